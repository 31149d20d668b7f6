//! The log probe, on real files.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail with it")]
#![expect(clippy::format_collect, reason = "short, and fast enough for a test")]

mod rotation;
mod time;

use std::fs::{self, File};
use std::io::Write;
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

    /// Last changed `age` before [`NOW`].
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
        assert!(evidence(&seen)[0].chars().count() <= 403, "evidence is cut");
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
fn a_last_line_that_has_no_end_yet_is_searched() {
    let logs = Logs::new().with("app.log", "2026-11-21 12:00:00 fine\n2026-11-21 12:00:01 error");
    for inputs in [json!({"match": "error"}), json!({"match": "error", "since": "24h"})] {
        assert_eq!(matches(&logs.subject("app.log", inputs)), 1);
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
    assert!(error(&subject).contains(" was not read to its end within "), "{subject:?}");
    let look = logs.look("app.log", json!({"match": "error"}));
    look.cx.cancel.cancel();
    assert!(error(&look.subject()).ends_with("was cancelled"));
}

#[test]
fn the_same_file_named_twice_is_one_result() {
    let logs = Logs::new().with("app.log", "error\n");
    let inputs = json!({"file": [logs.path("app.log"), logs.path("*.log")], "match": "error"});
    assert_eq!(matches(&Look::new("log", inputs).subject()), 1);
}
