//! Windows of time: formats, order, clock changes.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::time::Duration;

use chrono::DateTime;
use opsctl::model::value::Value;
use serde_json::json;

use super::{HOUR, Logs, count, error, evidence, gzip, matches, now};

#[test]
fn entries_before_the_window_do_not_count() {
    let logs = Logs::new().with(
        "app.log",
        "2026-11-20 12:59:59,999 ERROR too old\n2026-11-20 13:00:00,000 ERROR just in\n2026-11-21 12:00:00,000 ERROR new\n",
    );
    let seen = logs.look("app.log", json!({"since": "24h", "match": "ERROR"})).run().unwrap();
    let subject = &seen.subjects[0];
    assert_eq!((matches(subject), count(subject, "lines")), (2, 2));
    assert_eq!(subject.facts["newest_age"], Value::duration(HOUR));
    assert_eq!(subject.facts["rate"].to_string(), "0.001/min");
    assert_eq!(subject.facts["size"], Value::bytes(fs::metadata(logs.path("app.log")).unwrap().len()));
    assert_eq!(evidence(&seen), ["2026-11-20 13:00:00,000 ERROR just in", "2026-11-21 12:00:00,000 ERROR new"]);
}

#[test]
fn the_window_is_right_in_every_format() {
    let (old, new) = ("one error before", "one error in the window");
    for (before, within) in [
        ("2026-11-20T11:00:00Z", "2026-11-21T11:00:00Z"),
        ("2026-11-20T12:00:00.5+01:00", "2026-11-21T12:00:00.5+01:00"),
        ("[2026-11-20 12:00:00]", "[2026-11-21 12:00:00]"),
        ("ERROR 2026-11-20 12:00:00,123", "ERROR 2026-11-21 12:00:00,123"),
        ("[20/Nov/2026 12:00:00]", "[21/Nov/2026 12:00:00]"),
        ("10.0.0.1 - - [20/Nov/2026:12:00:00 +0100]", "10.0.0.1 - - [21/Nov/2026:12:00:00 +0100]"),
        ("[Fri Nov 20 12:00:00.123456 2026]", "[Sat Nov 21 12:00:00.123456 2026]"),
        ("2026/11/20 12:00:00 [error]", "2026/11/21 12:00:00 [error]"),
        ("Nov 20 12:00:00 host app:", "Nov 21 12:00:00 host app:"),
        ("<34>1 2026-11-20T11:00:00Z host app - - -", "<34>1 2026-11-21T11:00:00Z host app - - -"),
        ("1795172400", "1795258800"),
        ("1795172400123", "1795258800123"),
    ] {
        let logs = Logs::new().with("app.log", format!("{before} {old}\n{within} {new}\n"));
        let seen = logs.look("app.log", json!({"since": "24h", "match": r"\berror\b.*one|one error"})).run().unwrap();
        assert_eq!(matches(&seen.subjects[0]), 1, "{within}");
        assert_eq!(evidence(&seen), [format!("{within} {new}")]);
    }
}

#[test]
fn a_trace_that_began_before_the_window_is_before_the_window() {
    let logs = Logs::new()
        .with("app.log", "ValueError: error\n2026-11-19 12:00:00,000 a\nan error\n2026-11-21 12:00:00,000 b\n");
    assert_eq!(matches(&logs.subject("app.log", json!({"since": "24h", "match": "error"}))), 0);
    assert_eq!(matches(&logs.subject("app.log", json!({"match": "error"}))), 2);
}

#[test]
fn a_window_over_a_file_without_timestamps_is_an_error_that_says_what_to_do() {
    let logs = Logs::new().with("app.log", "an error\nanother error\n");
    let subject = logs.subject("app.log", json!({"match": "error", "since": "24h"}));
    assert!(error(&subject).contains("has a timestamp that can be read; leave out `since`"), "{subject:?}");
    assert_eq!(matches(&logs.subject("app.log", json!({"match": "error"}))), 2);
}

/// A line each second over five days up to [`NOW`], and each hour an error with its trace.
fn five_days() -> String {
    let mut text = String::with_capacity(60 << 20);
    let first = now().timestamp() - 5 * 86_400;
    for second in 0..5 * 86_400_i64 {
        let at = DateTime::from_timestamp(first + second, 0).unwrap().with_timezone(&chrono_tz::Europe::Warsaw);
        let stamp = at.format("%Y-%m-%d %H:%M:%S");
        if second % 3600 == 1800 {
            let _ =
                writeln!(text, "{stamp},000 ERROR request failed\nTraceback:\n  an error in line {second}\nError: x");
        }
        let _ = writeln!(
            text,
            "{stamp},500 INFO django.request 2011 GET /tickets/list/{second} 200 4242B 12ms user=user77 ip=10.1.2.3 {}",
            "x".repeat(16)
        );
    }
    text
}

#[test]
fn bisection_counts_what_a_whole_scan_counts() {
    let text = five_days();
    assert!(text.len() > 50_000_000);
    // The same text packed has no middle to jump to.
    let mut fast = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    fast.write_all(text.as_bytes()).unwrap();
    let logs = Logs::new().with("app.log", &text).with("packed.log", fast.finish().unwrap());
    let pattern = json!({"match": "error", "ignore_case": true});
    for (since, extra, expected) in [
        ("1h", &pattern, 1),
        ("24h", &pattern, 24),
        ("30d", &pattern, 120),
        ("1ms", &pattern, 0),
        ("24h", &json!({}), 86_400 + 24),
    ] {
        let mut inputs = extra.clone();
        inputs["since"] = json!(since);
        let (one, other) = (logs.subject("app.log", inputs.clone()), logs.subject("packed.log", inputs));
        assert_eq!(one.notes, [""; 0], "in order, so nothing to say");
        assert_eq!(matches(&one), expected, "{since}");
        for fact in ["matches", "lines", "newest_age", "rate"] {
            assert_eq!(one.facts.get(fact), other.facts.get(fact), "{fact} of {since}");
        }
    }
    let whole = logs.subject("app.log", json!({"match": "error", "ignore_case": true}));
    assert_eq!((matches(&whole), count(&whole, "lines")), (120, i64::try_from(text.lines().count()).unwrap()));
}

#[test]
fn a_large_file_that_is_not_in_order_is_read_whole() {
    let line = |day: u32, text: &str| format!("2026-11-{day} 12:00:00 {text} {}\n", "x".repeat(100));
    let mut text = line(21, "error")
        + &line(10, "old error").repeat(10_000)
        + &line(21, "error")
        + &line(12, "old error").repeat(10_000);
    text += &line(21, "fine");
    let subject = Logs::new().with("app.log", text).subject("app.log", json!({"since": "24h", "match": "error"}));
    assert_eq!((matches(&subject), count(&subject, "lines")), (2, 3));
    assert!(subject.notes[0].ends_with("is not in order of time, so all of it was read"), "{subject:?}");
}

#[test]
fn lines_that_are_a_little_out_of_order_count_by_their_own_time() {
    let mut text = String::new();
    for second in 0..40_000_i64 {
        // Each request is written when it ends, with the time at which it began.
        let began = now() - chrono::TimeDelta::seconds(20_000 - second + (second * 7919) % 60);
        let _ = writeln!(
            text,
            "10.0.0.1 - - [{}] \"GET /error HTTP/1.1\" 200 {}",
            began.format("%d/%b/%Y:%H:%M:%S +0000"),
            "1".repeat(60)
        );
    }
    let since = now() - chrono::TimeDelta::seconds(7200);
    let expected = (0..40_000_i64)
        .filter(|second| now() - chrono::TimeDelta::seconds(20_000 - second + (second * 7919) % 60) >= since)
        .count();
    let subject = Logs::new().with("access.log", text).subject("access.log", json!({"since": "2h", "match": "error"}));
    assert_eq!(matches(&subject), i64::try_from(expected).unwrap());
    assert!(!subject.notes.iter().any(|note| note.contains("order")), "{subject:?}");
}

#[test]
fn a_year_that_begins_between_lines_without_year_is_seen() {
    let logs = Logs::new().with(
        "syslog",
        "Dec 30 12:00:00 host a: error\nDec 31 23:59:00 host a: error\nJan  1 00:01:00 host a: error\n",
    );
    let subject = logs
        .look("syslog", json!({"since": "24h", "match": "error"}))
        .now("2027-01-01T00:00:00Z".parse().unwrap())
        .subject();
    assert_eq!(matches(&subject), 2);
    assert_eq!(subject.facts["newest_age"], Value::duration(Duration::from_mins(59)));
}

#[test]
fn the_nights_of_the_clock_changes_are_counted_whole() {
    let lines = |times: &[&str]| times.iter().map(|time| format!("{time} error\n")).collect::<String>();
    let spring = lines(&["2026-03-29 01:30:00", "2026-03-29 02:30:00", "2026-03-29 03:30:00", "2026-03-29 04:30:00"]);
    let autumn = lines(&["2026-10-25 01:30:00", "2026-10-25 02:30:00", "2026-10-25 02:30:00", "2026-10-25 03:30:00"]);
    for (text, now, since, expected) in [
        // 05:00 summer time; 03:30 summer time and 02:30, which was not, are one instant.
        (&spring, "2026-03-29T03:00:00Z", "1h", 1),
        (&spring, "2026-03-29T03:00:00Z", "2h", 3),
        (&spring, "2026-03-29T03:00:00Z", "3h", 4),
        // 04:00 winter time; of 02:30, which was twice, the later one is meant.
        (&autumn, "2026-10-25T03:00:00Z", "1h", 1),
        (&autumn, "2026-10-25T03:00:00Z", "2h", 3),
        (&autumn, "2026-10-25T03:00:00Z", "4h", 4),
        // 02:40 summer time: the later 02:30 is yet to come, so the earlier one is meant. The future is not left out.
        (&autumn, "2026-10-25T00:40:00Z", "30m", 3),
    ] {
        let logs = Logs::new().with("app.log", text);
        let subject =
            logs.look("app.log", json!({"since": since, "match": "error"})).now(now.parse().unwrap()).subject();
        assert_eq!(matches(&subject), expected, "{since} before {now}");
    }
}

#[test]
fn a_large_log_over_a_clock_change_is_counted_by_bisection_as_whole() {
    let at = |second: i64| {
        DateTime::from_timestamp(1_792_875_600 + second * 4, 0).unwrap().with_timezone(&chrono_tz::Europe::Warsaw)
    };
    let text: String = (0..10_000)
        .map(|second| format!("{} error {}\n", at(second).format("%Y-%m-%d %H:%M:%S"), "x".repeat(120)))
        .collect();
    let logs = Logs::new().with("app.log", &text).with("packed.log", gzip(&text));
    for now in ["2026-10-25T02:00:00Z", "2026-10-25T04:30:00Z"] {
        for minutes in [30, 60, 90, 120, 180] {
            let inputs = json!({"since": format!("{minutes}m"), "match": "error"});
            let seen = |name| logs.look(name, inputs.clone()).now(now.parse().unwrap()).subject();
            assert_eq!(matches(&seen("app.log")), matches(&seen("packed.log")), "{minutes} minutes before {now}");
        }
    }
}

#[test]
fn a_timestamp_in_the_future_is_noted() {
    let logs = Logs::new().with("app.log", "2026-11-21 15:00:00 error\n");
    let subject = logs.subject("app.log", json!({"since": "1h", "match": "error"}));
    assert_eq!(matches(&subject), 1);
    assert_eq!(subject.facts["newest_age"], Value::duration(Duration::ZERO));
    assert_eq!(subject.notes, ["its newest timestamp is 2 h in the future: a wrong clock or time zone"]);
}
