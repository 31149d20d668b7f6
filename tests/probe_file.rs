//! The file probe against real files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use opsctl::model::fact::Subject;
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::support::look::Look;

fn folder() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

fn look_at(path: &Path) -> Look {
    Look::new("file", json!({ "path": path }))
}

fn aged(path: &Path, hours: u64) {
    fs::write(path, "x".repeat(10)).expect("a file");
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    fs::File::options().write(true).open(path).and_then(|file| file.set_modified(then)).expect("a time");
}

fn hours(subject: &Subject, fact: &str) -> f64 {
    (subject.facts[fact].number_in(Dimension::Time).expect("a duration") / 3600.0).round()
}

#[test]
fn a_file_shows_size_age_rights_and_owner() {
    let folder = folder();
    let path = folder.path().join("motd");
    aged(&path, 3);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let seen = look_at(&path).subject();
    assert_eq!(seen.error, None);
    assert_eq!(seen.name, path.display().to_string());
    assert_eq!(seen.facts["exists"], Value::Bool(true));
    assert_eq!(seen.facts["type"], Value::text("file"));
    assert_eq!(seen.facts["size"], Value::bytes(10));
    assert_eq!(seen.facts["mode"], Value::text("0640"));
    assert_eq!(hours(&seen, "age"), 3.0);
    let owner = std::process::Command::new("stat").args(["-c", "%U %G"]).arg(&path).output().unwrap();
    let owner = String::from_utf8(owner.stdout).unwrap();
    assert_eq!(format!("{} {}\n", seen.facts["owner"], seen.facts["group"]), owner);
    assert!(!seen.facts.contains_key("checksum"), "nobody asked for it");
    assert!(!seen.facts.contains_key("contains"), "nothing to look for was given");
}

#[test]
fn a_path_without_a_file_is_an_answer_to_who_asks_and_an_error_to_who_does_not() {
    let folder = folder();
    let path = folder.path().join("gone");
    let asked = look_at(&path).asked(&["exists"]).subject();
    assert_eq!((asked.facts.get("exists"), asked.error), (Some(&Value::Bool(false)), None));
    assert_eq!(asked.facts.len(), 1, "what is not there has no size");
    let not_asked = look_at(&path).asked(&["size"]).subject();
    assert_eq!(not_asked.error.as_deref(), Some("does not exist"));
    assert!(not_asked.facts.is_empty());
}

#[test]
fn each_path_is_one_subject_and_a_missing_one_hides_no_other() {
    let folder = folder();
    let (there, gone) = (folder.path().join("there"), folder.path().join("gone"));
    fs::write(&there, "").unwrap();
    let seen = Look::new("file", json!({ "path": [gone, there] })).run().unwrap();
    let errors: Vec<_> = seen.subjects.iter().map(|subject| subject.error.is_some()).collect();
    assert_eq!(errors, [true, false]);
}

#[test]
fn a_link_shows_its_target_and_a_dangling_one_is_nothing() {
    let folder = folder();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    fs::write(&target, "12345").unwrap();
    symlink("target", &link).unwrap();
    let seen = look_at(&link).subject();
    assert_eq!(seen.facts["type"], Value::text("file"));
    assert_eq!(seen.facts["size"], Value::bytes(5));
    assert_eq!(seen.facts["links_to"], Value::text("target"));

    fs::remove_file(&target).unwrap();
    let dangling = look_at(&link).asked(&["exists"]).subject();
    assert_eq!(dangling.facts["exists"], Value::Bool(false));
    assert_eq!(dangling.facts["type"], Value::text("link"));
    assert_eq!(dangling.notes, ["is a link to target, which does not exist"]);
}

#[test]
fn folders_sockets_and_devices_are_told_apart() {
    let folder = folder();
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let paths = json!({ "path": [folder.path(), socket, fifo, "/dev/null"], "contains": "x" });
    let seen = Look::new("file", paths).asked(&["checksum"]).run().unwrap();
    let types: Vec<_> = seen.subjects.iter().map(|subject| subject.facts["type"].to_string()).collect();
    assert_eq!(types, ["folder", "socket", "fifo", "device"]);
    for subject in &seen.subjects {
        assert_eq!(subject.error, None);
        assert!(!subject.facts.contains_key("checksum"), "only files are read: {subject:?}");
    }
}

#[test]
fn the_checksum_is_that_of_sha256sum() {
    let folder = folder();
    let path = folder.path().join("big");
    fs::write(&path, "0123456789abcdef\n".repeat(200_000)).unwrap();
    let seen = look_at(&path).asked(&["checksum", "lines"]).subject();
    let expected = std::process::Command::new("sha256sum").arg(&path).output().unwrap();
    let expected = String::from_utf8(expected.stdout).unwrap();
    assert_eq!(seen.facts["checksum"].to_string(), expected[..64]);
    assert_eq!(seen.facts["lines"], Value::Integer(200_000));
}

#[test]
fn the_last_line_counts_without_a_newline_and_an_empty_file_has_none() {
    let folder = folder();
    let path = folder.path().join("lines");
    for (text, lines) in [("a\nb", 2), ("a\nb\n", 2), ("", 0), ("\n", 1)] {
        fs::write(&path, text).unwrap();
        assert_eq!(look_at(&path).asked(&["lines"]).subject().facts["lines"], Value::Integer(lines), "{text:?}");
    }
}

fn contains(path: &Path, pattern: &str) -> Value {
    Look::new("file", json!({ "path": path, "contains": pattern })).subject().facts["contains"].clone()
}

#[test]
fn a_pattern_is_found_wherever_it_stands() {
    let folder = folder();
    let path = folder.path().join("config");
    fs::write(&path, "first=1\r\nPermitRootLogin no\r\nlast=3").unwrap();
    assert_eq!(contains(&path, r"^PermitRootLogin\s+no$"), Value::Bool(true));
    assert_eq!(contains(&path, "^last=3$"), Value::Bool(true));
    assert_eq!(contains(&path, "^RootLogin"), Value::Bool(false));
    fs::write(&path, "").unwrap();
    assert_eq!(contains(&path, "x*"), Value::Bool(false), "nothing is in an empty file");

    let line = "x".repeat(99) + "\n";
    fs::write(&path, line.repeat(30_000) + "needle across blocks\n" + &line.repeat(30_000)).unwrap();
    assert_eq!(contains(&path, "^needle across blocks$"), Value::Bool(true));
    fs::write(&path, "y".repeat(3 << 20) + "end").unwrap();
    assert_eq!(contains(&path, "end$"), Value::Bool(true), "a line longer than any buffer");
}

#[test]
fn a_glob_is_one_subject_with_count_newest_and_oldest() {
    let folder = folder();
    for (name, hours) in [("a.gz", 5), ("b.gz", 1), ("c.gz", 30), ("d.txt", 0)] {
        aged(&folder.path().join(name), hours);
    }
    fs::create_dir(folder.path().join("folder.gz")).unwrap();
    fs::create_dir(folder.path().join("deep")).unwrap();
    aged(&folder.path().join("deep/e.gz"), 100);
    let seen = look_at(&folder.path().join("*.gz")).subject();
    assert_eq!(seen.facts["count"], Value::Integer(3), "no folders, nothing deeper");
    assert_eq!(seen.facts["total_size"], Value::bytes(30));
    assert_eq!(seen.facts["newest"], Value::text(folder.path().join("b.gz").display().to_string()));
    assert_eq!(seen.facts["oldest"], Value::text(folder.path().join("c.gz").display().to_string()));
    assert_eq!((hours(&seen, "newest_age"), hours(&seen, "oldest_age")), (1.0, 30.0));
    assert_eq!(look_at(&folder.path().join("**/*.gz")).subject().facts["count"], Value::Integer(4));
    assert_eq!(look_at(&folder.path().join("*/*.gz")).subject().facts["count"], Value::Integer(1));
}

#[test]
fn a_glob_without_a_match_counts_zero_and_has_no_newest() {
    let folder = folder();
    let seen = look_at(&folder.path().join("*.lock")).subject();
    assert_eq!(seen.error, None);
    assert_eq!(seen.facts["count"], Value::Integer(0));
    assert_eq!(seen.facts["exists"], Value::Bool(false));
    assert!(!seen.facts.contains_key("newest_age"));
}

#[test]
fn a_glob_in_a_folder_that_is_not_there_cannot_be_counted() {
    let folder = folder();
    let seen = look_at(&folder.path().join("typo/*.lock")).subject();
    assert_eq!(seen.error, Some(format!("{} does not exist", folder.path().join("typo").display())));
    assert!(seen.facts.is_empty());
}

#[test]
fn a_file_with_a_wildcard_in_its_name_is_that_file() {
    let folder = folder();
    let path = folder.path().join("what?[1].txt");
    fs::write(&path, "1").unwrap();
    assert_eq!(look_at(&path).subject().facts["size"], Value::bytes(1));
}

#[test]
fn a_cancelled_look_ends_and_says_so() {
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, "1").unwrap();
    let look = look_at(&path);
    look.cx.cancel.cancel();
    assert_eq!(look.subject().error.as_deref(), Some("the look was ended before it was complete"));
}

#[test]
fn the_time_of_the_run_is_where_ages_count_from() {
    let folder = folder();
    let path = folder.path().join("file");
    aged(&path, 0);
    let seen = look_at(&path).now(chrono::Utc::now() + chrono::TimeDelta::hours(48)).subject();
    assert_eq!(hours(&seen, "age"), 48.0);
    let before = look_at(&path).now(chrono::Utc::now() - chrono::TimeDelta::hours(48)).subject();
    assert_eq!(hours(&before, "age"), 0.0, "modified after the run began");
}
