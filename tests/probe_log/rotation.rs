//! Files that are rotated, packed, cut off or written while they are read.

use std::fs::{self, File};
use std::io::{Seek, Write};

use opsctl::model::value::Value;
use serde_json::json;

use super::{DAY, HOUR, Logs, count, error, evidence, gzip, matches};

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
    assert_eq!(subject.notes, ["read together with the rotated app.log-20261120, app.log.2.gz, app.log.1"]);
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
