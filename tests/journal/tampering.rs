//! Every way to falsify the record, and the proof by hand.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use opsctl::journal::Break;

use super::{Book, block_on};
use crate::support::server::program;

#[test]
fn a_whole_journal_verifies_and_tells_its_head() {
    let (book, _) = Book::of_three_runs();
    let verified = book.verify().expect("whole");
    assert_eq!((verified.runs, verified.events), (3, 18));
    assert_eq!(verified.unfinished, []);
    assert_eq!(verified.head, book.sqlite3("SELECT hash FROM events WHERE id = 18").trim());
}

#[test]
fn a_changed_event_is_named() {
    let (book, [_, second, _]) = Book::of_three_runs();
    book.sqlite3("UPDATE events SET event = replace(event, '\"passed\"', '\"failed\"') WHERE id = 10");
    assert_eq!(book.first_break(), Break::Changed { row: 10, run: second.to_string(), seq: 4 });
}

#[test]
fn a_changed_event_with_a_new_hash_of_its_own_breaks_the_next_row() {
    let (book, [_, second, _]) = Book::of_three_runs();
    book.sqlite3("UPDATE events SET event = replace(event, 'passed', 'failed') WHERE id = 10");
    let [before, run, event] =
        ["hash FROM events WHERE id = 9", "run FROM events WHERE id = 10", "event FROM events WHERE id = 10"]
            .map(|column| book.sqlite3(&format!("SELECT {column}")).trim_end().to_owned());
    let hash = sha256sum(&format!("{before}\n{run}\n{event}"));
    book.sqlite3(&format!("UPDATE events SET hash = '{hash}' WHERE id = 10"));
    assert_eq!(book.first_break(), Break::Changed { row: 11, run: second.to_string(), seq: 5 });
}

#[test]
fn an_event_given_to_another_run_is_named() {
    let (book, [first, _, third]) = Book::of_three_runs();
    book.sqlite3(&format!("UPDATE events SET run = '{first}', seq = 7 WHERE id = 13 AND run = '{third}'"));
    assert_eq!(book.first_break(), Break::Changed { row: 13, run: first.to_string(), seq: 7 });
}

#[test]
fn a_removed_row_is_named() {
    let (book, _) = Book::of_three_runs();
    book.sqlite3("DELETE FROM events WHERE id = 8");
    assert_eq!(book.first_break(), Break::Missing { row: 8 });
}

#[test]
fn a_removed_row_is_named_even_when_the_others_move_up() {
    let (book, [_, second, _]) = Book::of_three_runs();
    book.sqlite3("DELETE FROM events WHERE id = 8; UPDATE events SET id = id - 1 WHERE id > 8");
    assert_eq!(book.first_break(), Break::Order { row: 8, run: second.to_string(), seq: 3, expected: 2 });
}

#[test]
fn a_removed_run_is_noticed() {
    let (book, [_, second, _]) = Book::of_three_runs();
    book.sqlite3(&format!("DELETE FROM events WHERE run = '{second}'; DELETE FROM runs WHERE id = '{second}'"));
    assert_eq!(book.first_break(), Break::Missing { row: 7 });
}

#[test]
fn a_removed_newest_run_is_noticed() {
    let (book, [_, _, third]) = Book::of_three_runs();
    book.sqlite3(&format!("DELETE FROM events WHERE run = '{third}'; DELETE FROM runs WHERE id = '{third}'"));
    assert_eq!(book.first_break(), Break::Missing { row: 13 });
}

#[test]
fn two_swapped_rows_are_named() {
    let (book, [first, ..]) = Book::of_three_runs();
    book.sqlite3(
        "UPDATE events SET id = -1 WHERE id = 2; UPDATE events SET id = 2 WHERE id = 3; UPDATE events SET id = 3 WHERE id = -1",
    );
    assert_eq!(book.first_break(), Break::Order { row: 2, run: first.to_string(), seq: 3, expected: 2 });
}

#[test]
fn lists_and_history_that_do_not_follow_from_the_events_are_noticed_and_can_be_rebuilt() {
    for (table, change) in [
        ("runs", "UPDATE runs SET outcome = 'failed' WHERE id = (SELECT min(id) FROM runs)"),
        ("runs", "INSERT INTO runs VALUES ('x', '', '', '', '', '', '[]', NULL, NULL, NULL)"),
        ("readings", "UPDATE readings SET value = value + 1 WHERE subject = '/var' AND fact = 'free'"),
        ("readings", "DELETE FROM readings"),
        ("drawn", "UPDATE drawn SET row = (SELECT max(id) + 1 FROM events)"),
        ("readings", "UPDATE drawn SET row = (SELECT max(id) FROM events)"),
        ("streaks", "UPDATE streaks SET began = '2020-01-01T00:00:00.000000Z'"),
    ] {
        let (book, _) = Book::of_three_runs();
        let whole = book.verify().expect("whole");
        book.sqlite3(change);
        assert_eq!(book.first_break(), Break::Drawn { table }, "{change}");
        block_on(book.open().rebuild()).expect("rebuilt");
        assert_eq!(book.verify().expect("whole again"), whole);
    }
}

/// What `sha256sum` prints for `text`.
fn sha256sum(text: &str) -> String {
    let mut child = Command::new(program("sha256sum"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sha256sum runs");
    child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ended");
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

/// Runs the shell lines that the documentation gives to auditors.
fn verify_by_hand(path: &Path) -> (bool, String) {
    program("sqlite3");
    program("sha256sum");
    let page = include_str!("../../docs/journal.md");
    let script = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a script");
    let output = Command::new("sh").args(["-c", script]).env("JOURNAL", path).output().expect("sh runs");
    let printed = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    (output.status.success(), printed.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn an_auditor_comes_to_the_same_head_with_sqlite3_and_sha256sum() {
    let (book, _) = Book::of_three_runs();
    let verified = book.verify().expect("whole");
    assert_eq!(verify_by_hand(&book.path()), (true, format!("18 {}", verified.head)));
    book.sqlite3("UPDATE events SET event = replace(event, 'web-1', 'web-2') WHERE id = 7");
    assert_eq!(verify_by_hand(&book.path()), (false, "row 7 does not fit".to_owned()));
}
