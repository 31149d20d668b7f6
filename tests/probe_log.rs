//! The log probe, on real files.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail with it")]
#![expect(clippy::format_collect, reason = "short, and fast enough for a test")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use opsctl::model::fact::{Observation, Subject};
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::support::look::Look;

/// Noon in UTC, 13:00 in Warsaw, where the looks of the harness take place.
const NOW: &str = "2026-11-21T12:00:00Z";

/// A folder of log files.
struct Logs(TempDir);

impl Logs {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn with(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(name), text).expect("a log file");
        self
    }

    /// Compressed by `pack`, and last changed `age` before [`NOW`].
    fn with_old(self, name: &str, age: Duration, bytes: impl AsRef<[u8]>) -> Self {
        let logs = self.with(name, bytes);
        let changed = SystemTime::from(now()) - age;
        File::options().write(true).open(logs.path(name)).unwrap().set_modified(changed).unwrap();
        logs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn look(&self, name: &str, inputs: Json) -> Look {
        look(&self.path(name), inputs)
    }

    fn subject(&self, name: &str, inputs: Json) -> Subject {
        self.look(name, inputs).subject()
    }
}

fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

fn look(path: &Path, mut inputs: Json) -> Look {
    inputs["file"] = json!(path);
    Look::new("log", inputs).now(now()).limit(Duration::from_mins(5))
}

fn count(subject: &Subject, fact: &str) -> i64 {
    match subject.facts.get(fact) {
        Some(Value::Integer(count)) => *count,
        other => panic!("{fact} is {other:?} in {subject:?}"),
    }
}

#[track_caller]
fn matches(subject: &Subject) -> i64 {
    assert_eq!(subject.error, None);
    count(subject, "matches")
}

fn evidence(seen: &Observation) -> &[String] {
    &seen.evidence.first().expect("evidence").lines
}

fn error(subject: &Subject) -> &str {
    assert!(!subject.facts.contains_key("matches"), "no count where nothing could be counted: {subject:?}");
    subject.error.as_deref().expect("an error")
}

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

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
fn a_stack_trace_is_one_entry_and_its_first_line_is_shown() {
    let trace = "Traceback (most recent call last):\n  File \"error.py\", line 1, in error\nValueError: an error\n";
    let text = format!(
        "2026-11-21 12:00:00,000 ERROR a\n{trace}2026-11-21 12:00:01,000 INFO b\n{trace}2026-11-21 12:00:02,000 INFO c\n"
    );
    let logs = Logs::new().with("app.log", text);
    for inputs in
        [json!({"match": "error", "ignore_case": true}), json!({"match": "error", "ignore_case": true, "since": "24h"})]
    {
        let seen = logs.look("app.log", inputs).run().unwrap();
        assert_eq!(matches(&seen.subjects[0]), 2);
        assert_eq!(count(&seen.subjects[0], "lines"), 9);
        assert_eq!(
            evidence(&seen),
            ["2026-11-21 12:00:00,000 ERROR a", "2026-11-21 12:00:01,000 INFO b … File \"error.py\", line 1, in error"]
        );
    }
    assert_eq!(matches(&logs.subject("app.log", json!({}))), 3, "without `match` every entry counts, not every line");
}

#[test]
fn a_trace_that_began_before_the_window_is_before_the_window() {
    let logs = Logs::new()
        .with("app.log", "ValueError: error\n2026-11-19 12:00:00,000 a\nan error\n2026-11-21 12:00:00,000 b\n");
    assert_eq!(matches(&logs.subject("app.log", json!({"since": "24h", "match": "error"}))), 0);
    assert_eq!(matches(&logs.subject("app.log", json!({"match": "error"}))), 2);
}

#[test]
fn zero_errors_are_no_error_and_a_word_is_not_its_part() {
    let logs = Logs::new().with(
        "app.log",
        "2026-11-21 12:00:00 done, 0 errors\n2026-11-21 12:00:01 author saved\n2026-11-21 12:00:02 Critical: disk\n2026-11-21 12:00:03 3 errors, 1 ERROR\n",
    );
    let inputs = json!({"match": r"\b(errors?|critical|auth)\b", "except": ["0 errors"], "ignore_case": true});
    assert_eq!(matches(&logs.subject("app.log", inputs)), 2);
}

#[test]
fn several_patterns_are_alternatives() {
    let logs = Logs::new().with("app.log", "a one\nb two\nc three\n");
    assert_eq!(matches(&logs.subject("app.log", json!({"match": ["one", "three$"]}))), 2);
}

#[test]
fn a_wrong_pattern_is_refused_with_the_pattern() {
    let error = look(Path::new("/x"), json!({"match": ["ok", "a(b"]})).build().err().expect("an error");
    assert_eq!(error.input, "match");
    assert!(error.message.starts_with("`a(b` is not a regular expression"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_an_error_and_others_still_answer() {
    let logs = Logs::new().with("app.log", "an error\n");
    let inputs = json!({"file": [logs.path("gone.log"), logs.path("app.log"), logs.path("*.txt"), logs.0.path()], "match": "error"});
    let seen = Look::new("log", inputs).run().unwrap();
    assert!(error(&seen.subjects[0]).ends_with("gone.log does not exist"));
    assert_eq!(matches(&seen.subjects[1]), 1);
    assert!(error(&seen.subjects[2]).starts_with("no file matches "));
    assert!(error(&seen.subjects[3]).ends_with(" is a directory"));
}

#[test]
fn a_pipe_is_an_error_and_nobody_waits_for_its_writer() {
    let logs = Logs::new();
    let made = std::process::Command::new("mkfifo").arg(logs.path("pipe.log")).status().expect("mkfifo");
    assert!(made.success());
    assert!(error(&logs.subject("pipe.log", json!({}))).ends_with("is not a regular file"));
}

#[test]
fn a_file_that_may_not_be_read_is_an_error() {
    let logs = Logs::new().with("secret.log", "an error\n");
    fs::set_permissions(logs.path("secret.log"), fs::Permissions::from_mode(0o000)).unwrap();
    let subject = logs.subject("secret.log", json!({"match": "error"}));
    if rustix::process::geteuid().is_root() {
        assert_eq!(matches(&subject), 1, "root may read everything");
    } else {
        assert!(error(&subject).starts_with("no permission to read "));
    }
}

#[test]
fn an_empty_file_has_no_matches() {
    let logs = Logs::new().with("app.log", "");
    for inputs in [json!({"match": "error"}), json!({"match": "error", "since": "24h"})] {
        let subject = logs.subject("app.log", inputs);
        assert_eq!((matches(&subject), count(&subject, "lines")), (0, 0));
        assert!(!subject.facts.contains_key("newest_age"), "there is no newest line");
    }
}

#[test]
fn a_window_over_a_file_without_timestamps_is_an_error_that_says_what_to_do() {
    let logs = Logs::new().with("app.log", "an error\nanother error\n");
    let subject = logs.subject("app.log", json!({"match": "error", "since": "24h"}));
    assert!(error(&subject).contains("has a timestamp that can be read; leave out `since`"), "{subject:?}");
    assert_eq!(matches(&logs.subject("app.log", json!({"match": "error"}))), 2);
}

#[test]
fn a_glob_gives_one_result_for_each_file() {
    let logs = Logs::new()
        .with("a.log", "error\n")
        .with("b.log", "fine\n")
        .with(".hidden.log", "error\n")
        .with("c.txt", "error\n");
    fs::create_dir_all(logs.path("deep/er")).unwrap();
    fs::write(logs.path("deep/er/d.log"), "error\nerror\n").unwrap();
    let counts = |pattern: &str| {
        let seen = logs.look(pattern, json!({"match": "error"})).run().unwrap();
        seen.subjects
            .iter()
            .map(|subject| (subject.name.rsplit('/').next().unwrap().to_owned(), matches(subject)))
            .collect::<Vec<_>>()
    };
    assert_eq!(counts("*.log"), [("a.log".into(), 1), ("b.log".into(), 0)]);
    assert_eq!(counts("**/*.log"), [("a.log".into(), 1), ("b.log".into(), 0), ("d.log".into(), 2)]);
    assert_eq!(counts("*/*/d.log"), [("d.log".into(), 2)]);
}

fn rotated() -> Logs {
    Logs::new()
        .with("app.log", "2026-11-21 12:00:00 error 1\n")
        .with_old("app.log.1", 2 * HOUR, "2026-11-21 10:00:00 error 2\n")
        .with_old("app.log.2.gz", 20 * HOUR, gzip("2026-11-20 10:00:00 error too old\n2026-11-20 15:00:00 error 3\n"))
        .with_old("app.log.3.gz", 3 * DAY, gzip("2026-11-18 10:00:00 error too old\n"))
        .with_old("app.log-20261120", 22 * HOUR, "2026-11-20 14:00:00 error 4\n")
        .with("app2.log.1", "2026-11-21 12:00:00 error of another log\n")
}

#[test]
fn rotated_files_are_counted_in_as_far_as_the_window_goes() {
    let logs = rotated();
    let seen = logs.look("app.log", json!({"since": "24h", "match": "error"})).run().unwrap();
    let subject = &seen.subjects[0];
    assert_eq!(matches(subject), 4);
    assert_eq!(subject.notes, ["with the rotated app.log-20261120, app.log.2.gz, app.log.1"]);
    let order: Vec<&str> = evidence(&seen).iter().map(|line| &line[line.len() - 1..]).collect();
    assert_eq!(order, ["4", "3", "2", "1"], "oldest first");
    assert_eq!(matches(&logs.subject("app.log", json!({"since": "24h", "match": "error", "rotated": false}))), 1);
    assert_eq!(matches(&logs.subject("app.log", json!({"match": "error"}))), 1);
    assert_eq!(matches(&logs.subject("app.log", json!({"match": "error", "rotated": true}))), 6);
}

#[test]
fn a_glob_over_rotated_files_counts_each_of_them_once() {
    let logs = rotated();
    let seen = logs.look("app.log*", json!({"since": "24h", "match": "error"})).run().unwrap();
    assert_eq!(seen.subjects.iter().map(matches).collect::<Vec<_>>(), [4]);
    let seen = logs.look("app.log*", json!({"match": "error"})).run().unwrap();
    assert_eq!(seen.subjects.iter().map(matches).collect::<Vec<_>>(), [1, 1, 1, 2, 1]);
}

#[test]
fn a_log_that_was_just_rotated_is_still_one_log() {
    let logs = Logs::new().with("app.log", "2026-11-21 11:00:00 error\n2026-11-21 12:00:00 a\n");
    fs::rename(logs.path("app.log"), logs.path("app.log.1")).unwrap();
    let logs = logs.with("app.log", "");
    let subject = logs.subject("app.log", json!({"since": "24h", "match": "error"}));
    assert_eq!(matches(&subject), 1);
    assert_eq!(subject.facts["newest_age"], Value::duration(HOUR));
}

#[test]
fn a_quiet_day_that_was_rotated_and_packed_has_no_matches() {
    let logs = Logs::new().with("app.log", "").with("app.log.1.gz", gzip(""));
    assert_eq!(matches(&logs.subject("app.log", json!({"since": "24h", "match": "error"}))), 0);
}

#[test]
fn a_rotated_file_that_is_being_packed_counts_once() {
    let line = "2026-11-21 12:00:00 error\n";
    let logs = Logs::new().with("app.log", "").with("app.log.1", line).with("app.log.1.gz", &gzip(line)[..12]);
    assert_eq!(matches(&logs.subject("app.log", json!({"since": "24h", "match": "error"}))), 1);
}

#[test]
fn every_packing_is_read_and_a_damaged_file_is_an_error() {
    let text = "2026-11-19 12:00:00 error\n2026-11-21 12:00:00 error\n".to_owned() + &"  more\n".repeat(50_000);
    let bzip2 = {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let plain = Logs::new().with("plain", &text);
    let xz = std::process::Command::new("xz")
        .arg("--stdout")
        .arg(plain.path("plain"))
        .output()
        .expect("the xz program")
        .stdout;
    let zstd = zstd::stream::encode_all(text.as_bytes(), 19).unwrap();
    for (name, bytes) in [("a.gz", gzip(&text)), ("a.bz2", bzip2), ("a.xz", xz), ("a.zst", zstd)] {
        let logs = Logs::new().with(name, &bytes).with("damaged", &bytes[..bytes.len() - 9]);
        let subject = logs.subject(name, json!({"since": "24h", "match": "error"}));
        assert_eq!((matches(&subject), count(&subject, "lines")), (1, 50_001), "{name}");
        let subject = logs.subject("damaged", json!({"match": "error"}));
        assert!(error(&subject).contains("damaged cannot be unpacked: "), "{name}: {subject:?}");
    }
}

#[test]
fn gz_members_one_after_the_other_are_one_file() {
    let bytes = [gzip("error\n"), gzip("error\n")].concat();
    assert_eq!(matches(&Logs::new().with("a.log.gz", bytes).subject("a.log.gz", json!({"match": "error"}))), 2);
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
fn a_line_of_64_mebibytes_is_searched_to_its_end() {
    let logs = Logs::new();
    let mut file = File::create(logs.path("app.log")).unwrap();
    file.write_all(b"2026-11-21 12:00:00 a\n2026-11-21 12:00:01 start ").unwrap();
    for _ in 0..64 {
        file.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    file.write_all(b" error\n2026-11-21 12:00:02 b").unwrap();
    for inputs in [json!({"match": "error"}), json!({"match": "error", "since": "24h"})] {
        let seen = logs.look("app.log", inputs).run().unwrap();
        assert_eq!((matches(&seen.subjects[0]), count(&seen.subjects[0], "lines")), (1, 3));
        assert!(evidence(&seen)[0].starts_with("2026-11-21 12:00:01 start xxx"));
        assert!(evidence(&seen)[0].chars().count() <= 401, "evidence is cut");
    }
}

#[test]
fn any_bytes_are_read_and_shown_without_control_characters() {
    let logs = Logs::new().with(
        "app.log",
        b"2026-11-21 12:00:00 error \xff\xfe \x1b[31mred\r\n2026-11-21 12:00:01 \0 error$\r\nlast error".as_slice(),
    );
    let seen = logs.look("app.log", json!({"match": [r"error \W", r"error\$$"]})).run().unwrap();
    assert_eq!(matches(&seen.subjects[0]), 2);
    assert_eq!(count(&seen.subjects[0], "lines"), 3, "a last line without newline is a line");
    assert_eq!(
        evidence(&seen),
        ["2026-11-21 12:00:00 error \u{fffd}\u{fffd} \u{fffd}[31mred", "2026-11-21 12:00:01 \u{fffd} error$"]
    );
}

#[test]
fn the_zeros_that_copytruncate_leaves_are_passed_over() {
    let logs = Logs::new();
    let mut file = File::create(logs.path("app.log")).unwrap();
    file.write_all("2026-11-21 11:00:00 error\n".repeat(50_000).as_bytes()).unwrap();
    fs::copy(logs.path("app.log"), logs.path("app.log.1")).unwrap();
    file.set_len(0).unwrap();
    // The writer goes on where it was.
    assert!(file.stream_position().unwrap() > 1_000_000);
    file.write_all(b"2026-11-21 12:00:00 error\n2026-11-21 12:00:01 fine\n").unwrap();
    let subject = logs.subject("app.log", json!({"since": "24h", "match": "error", "rotated": false}));
    assert_eq!((matches(&subject), count(&subject, "lines")), (1, 2));
    assert_eq!(matches(&logs.subject("app.log", json!({"since": "24h", "match": "error"}))), 50_001);
}

#[test]
fn a_file_that_is_cut_off_while_it_is_read_does_no_harm() {
    let logs = Logs::new().with("app.log", "2026-11-21 12:00:00 error\n".repeat(400_000));
    let path = logs.path("app.log");
    let cutter = std::thread::spawn(move || {
        for size in (0..10_000_000_u64).rev().step_by(100_000) {
            File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
        }
    });
    while !cutter.is_finished() {
        let subject = logs.subject("app.log", json!({"match": "error"}));
        assert!((0..=400_000).contains(&matches(&subject)), "{subject:?}");
    }
    cutter.join().unwrap();
}

#[test]
fn a_growing_file_is_not_chased() {
    let logs = Logs::new().with("app.log", "error\n");
    let path = logs.path("app.log");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        let mut file = File::options().append(true).open(path).unwrap();
        while stopped.try_recv().is_err() && file.metadata().unwrap().len() < 200_000_000 {
            file.write_all("error\n".repeat(10_000).as_bytes()).unwrap();
        }
    });
    let subject = logs.subject("app.log", json!({"match": "error"}));
    let Value::Number(size) = &subject.facts["size"] else { panic!("{subject:?}") };
    // The last line may have been half written.
    let written = ((size.amount() + 1.0) / 6.0).floor();
    assert_eq!(matches(&subject) as f64, written, "what was there when it was opened");
    stop.send(()).ok();
    writer.join().unwrap();
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
fn severities_are_counted_when_they_are_asked_for() {
    let logs = Logs::new()
        .with("app.log", "2026-11-21 12:00:00 ERROR a\n trace\n2026-11-21 12:00:01 CRITICAL b\n2026-11-21 12:00:02 ERROR c\n2026-11-21 12:00:03 INFO d\n")
        .with("access.log", "10.0.0.1 - - [21/Nov/2026:12:00:00 +0100] \"GET /ERROR HTTP/1.1\" 200 1\n")
        .with("empty.log", "");
    let asked = ["severity.error", "severity.critical", "severity.emergency"];
    let subject = logs.look("app.log", json!({"since": "24h"})).asked(&asked).subject();
    assert_eq!(asked.map(|fact| count(&subject, fact)), [2, 1, 0]);
    let subject = logs.look("app.log", json!({"match": "[ab]$"})).asked(&asked).subject();
    assert_eq!(asked.map(|fact| count(&subject, fact)), [1, 1, 0], "of the matching entries");
    let subject = logs.look("access.log", json!({})).asked(&asked).subject();
    assert!(!subject.facts.contains_key("severity.error"), "an access log states no severity: {subject:?}");
    let subject = logs.look("empty.log", json!({})).asked(&asked).subject();
    assert_eq!(count(&subject, "severity.error"), 0);
}

#[test]
fn evidence_is_the_first_and_the_last_entries_and_says_how_many_are_left_out() {
    let text: String = (0..60).map(|second| format!("2026-11-21 12:00:{second:02} error\n")).collect();
    let seen = Logs::new().with("app.log", text).look("app.log", json!({"match": "error"})).run().unwrap();
    assert_eq!(seen.evidence[0].left_out, 50);
    let seconds: Vec<&str> = evidence(&seen).iter().map(|line| &line[17..19]).collect();
    assert_eq!(seconds, ["00", "01", "02", "03", "04", "55", "56", "57", "58", "59"]);
}

#[test]
fn the_last_lines_can_be_gathered() {
    let text: String = (0..50_000).map(|line| format!("2026-11-21 12:00:00 line {line}\n  more\n")).collect();
    let logs = Logs::new().with("app.log", &text).with("short.log", "one\n\n  two").with("packed.log", gzip(&text));
    let seen = logs.look("app.log", json!({"last": 3})).run().unwrap();
    assert_eq!(evidence(&seen), ["  more", "2026-11-21 12:00:00 line 49999", "  more"]);
    assert_eq!(count(&seen.subjects[0], "lines"), 3);
    let seen = logs.look("app.log", json!({"last": 100, "match": "line 4999[89]"})).run().unwrap();
    assert_eq!(evidence(&seen), ["2026-11-21 12:00:00 line 49998", "2026-11-21 12:00:00 line 49999"]);
    let seen = logs.look("short.log", json!({"last": 100})).run().unwrap();
    assert_eq!(evidence(&seen), ["one", "", "  two"]);
    assert!(error(&logs.subject("packed.log", json!({"last": 3}))).contains("leave out `last`"));
}

#[test]
fn a_look_that_has_no_time_left_says_how_far_it_came() {
    let logs = Logs::new().with("app.log", "2026-11-21 12:00:00 error\n".repeat(10));
    let subject = logs.look("app.log", json!({"match": "error"})).limit(Duration::ZERO).subject();
    assert!(error(&subject).starts_with("the time limit of "), "{subject:?}");
    let look = logs.look("app.log", json!({"match": "error"}));
    look.cx.cancel.cancel();
    assert!(error(&look.subject()).ends_with("was cancelled"));
}

#[test]
fn a_timestamp_in_the_future_is_noted() {
    let logs = Logs::new().with("app.log", "2026-11-21 15:00:00 error\n");
    let subject = logs.subject("app.log", json!({"since": "1h", "match": "error"}));
    assert_eq!(matches(&subject), 1);
    assert_eq!(subject.facts["newest_age"], Value::duration(Duration::ZERO));
    assert_eq!(subject.notes, ["its newest timestamp is 2 h in the future"]);
}

#[test]
fn the_same_file_named_twice_is_one_result() {
    let logs = Logs::new().with("app.log", "error\n");
    let inputs = json!({"file": [logs.path("app.log"), logs.path("*.log")], "match": "error"});
    assert_eq!(matches(&Look::new("log", inputs).subject()), 1);
}
