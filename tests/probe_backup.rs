//! The backup probe against real dumps, whole and damaged, and against real folders.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::support::look::Look;
use crate::support::server::program;

mod damage;
mod dumps;
mod series;

/// Everything that needs the content.
const CONTENT: &[&str] =
    &["intact", "complete", "kind", "database", "tables", "table_count", "tables_missing", "unpacked_size"];

fn folder() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

/// Midday of the 21st of November 2026 in Warsaw; yesterday is the 20th.
fn midday() -> DateTime<Utc> {
    "2026-11-21T11:00:00Z".parse().expect("a time")
}

/// What is known about one file when everything is wanted.
fn read(file: &Path) -> Subject {
    Look::new("backup", json!({ "file": file })).asked(CONTENT).subject()
}

fn read_bytes(name: &str, content: &[u8]) -> Subject {
    let folder = folder();
    let file = folder.path().join(name);
    fs::write(&file, content).expect("a file");
    read(&file)
}

fn series(folder: &Path, inputs: Json) -> Look {
    let mut all = json!({ "folder": folder, "name": "backup_%Y%m%d.sql.gz" });
    if let (Json::Object(all), Json::Object(more)) = (&mut all, inputs) {
        all.extend(more);
    }
    Look::new("backup", all).now(midday())
}

/// A backup of that many bytes, modified at the first hour of the day in its name.
fn dated(folder: &Path, day: &str, bytes: usize) -> PathBuf {
    let file = folder.join(format!("backup_{}.sql.gz", day.replace('-', "")));
    fs::write(&file, vec![b'x'; bytes]).expect("a file");
    let modified: DateTime<Utc> = format!("{day}T01:00:00Z").parse().expect("a day");
    touch(&file, modified);
    file
}

fn touch(file: &Path, modified: DateTime<Utc>) {
    let opened = fs::File::options().write(true).open(file).expect("a file");
    opened.set_modified(modified.into()).expect("a time");
}

/// What a program makes of `input`.
fn filter(name: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program(name))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{name} starts: {error}"));
    let (mut stdin, input) = (child.stdin.take().expect("stdin is piped"), input.to_vec());
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("an end");
    writer.join().expect("no panic").expect("all is taken");
    assert!(output.status.success(), "{name} {arguments:?} failed");
    output.stdout
}

/// A real dump of a SQLite database with some megabytes.
fn sqlite_dump() -> &'static [u8] {
    static DUMP: OnceLock<Vec<u8>> = OnceLock::new();
    DUMP.get_or_init(|| {
        let sql = "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE ticket (id INTEGER PRIMARY KEY, secret TEXT);
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000)
            INSERT INTO ticket SELECT i, hex(randomblob(40)) FROM n;\n.dump\n";
        filter("sqlite3", &[":memory:"], sql.as_bytes())
    })
}

fn fact<'s>(subject: &'s Subject, name: &str) -> Option<&'s Value> {
    subject.facts.get(name)
}

const YES: Option<&Value> = Some(&Value::Bool(true));
const NO: Option<&Value> = Some(&Value::Bool(false));

fn text(subject: &Subject, name: &str) -> String {
    fact(subject, name).unwrap_or_else(|| panic!("no {name} in {subject:?}")).to_string()
}

fn refused(inputs: Json) -> String {
    let error = Look::new("backup", inputs).build().err().expect("refused");
    format!("{}: {error}", error.input)
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    assert_eq!(refused(json!({})), ": what to look at is not said in full");
    assert_eq!(refused(json!({ "folder": "/x" })), ": what to look at is not said in full");
    assert_eq!(refused(json!({ "file": "/x/y", "folder": "/x" })), "file: `file` stands alone");
    assert_eq!(refused(json!({ "file": "/x/y", "latest": "/x/l" })), "latest: one file has no newest to compare with");
    assert_eq!(refused(json!({ "file": "/x", "dated": "tomorrow" })), "dated: `tomorrow` is no day");
    assert_eq!(
        refused(json!({ "folder": "/x", "name": "backup.gz" })),
        "name: `backup.gz` is not a pattern for dated names: it has no whole date: year, month and day"
    );
}

#[test]
fn a_look_whether_it_is_there_does_not_read_it() {
    let folder = folder();
    let file = folder.path().join("broken.sql.gz");
    fs::write(&file, "this is no gzip").unwrap();
    let look = |inputs: Json, asked: &[&str]| Look::new("backup", inputs).asked(asked).subject();
    let unread = look(json!({ "file": file }), &["exists", "size"]);
    assert_eq!(fact(&unread, "exists"), YES);
    for name in CONTENT {
        assert_eq!(fact(&unread, name), None, "{name}");
    }
    assert_eq!(fact(&look(json!({ "file": file }), &["intact"]), "intact"), NO);
    assert_eq!(fact(&look(json!({ "file": file, "integrity": true }), &[]), "intact"), NO);
    assert_eq!(fact(&look(json!({ "file": file, "tables": "customer" }), &[]), "intact"), NO);
    assert_eq!(fact(&look(json!({ "file": file, "integrity": false }), &["intact"]), "intact"), None);
    assert_eq!(text(&look(json!({ "file": file }), &["compression"]), "compression"), "none");
}

#[test]
fn a_file_that_is_not_there_is_an_answer() {
    let folder = folder();
    let seen = read(&folder.path().join("gone.sql.gz"));
    assert_eq!(fact(&seen, "exists"), NO);
    assert_eq!(seen.facts.len(), 1);
    assert_eq!(seen.error, None);
    assert_eq!(seen.notes, ["the file does not exist"]);
}

#[test]
fn a_file_that_was_just_written_may_still_grow() {
    let folder = folder();
    let file = folder.path().join("new.sql.gz");
    fs::write(&file, "x").unwrap();
    let look = || Look::new("backup", json!({ "file": file })).subject();
    assert_eq!(fact(&look(), "growing"), YES);
    touch(&file, Utc::now() - Duration::from_hours(1));
    assert_eq!(fact(&look(), "growing"), NO);
}

#[test]
fn a_cancelled_look_and_a_look_out_of_time_say_so_and_judge_nothing() {
    let folder = folder();
    let file = folder.path().join("a.sql.gz");
    fs::write(&file, filter("gzip", &[], sqlite_dump())).unwrap();
    let look = Look::new("backup", json!({ "file": file })).asked(&["intact"]);
    look.cx.cancel.cancel();
    let seen = look.subject();
    assert_eq!(seen.error.as_deref(), Some("the look was ended before it was complete"));
    assert_eq!(fact(&seen, "intact"), None);

    let late = Look::new("backup", json!({ "file": file })).asked(&["intact"]).limit(Duration::ZERO).subject();
    assert_eq!(late.error.as_deref(), Some("the backup was not read to its end within the time limit"));
    assert_eq!((fact(&late, "intact"), fact(&late, "exists")), (None, YES));
}
