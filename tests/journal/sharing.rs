//! Several programs at once, and a killed one.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use chrono::Utc;
use opsctl::journal::{Access, Filter, Journal, Problem};
use opsctl::model::outcome::Outcome;

use super::{Book, block_on, minute, new_run, run_of};
use crate::support::server::{program, wait_until};

const RECORDER: &str = "OPSCTL_TEST_RECORDER";

/// Starts this test binary as another process that records runs without end.
fn start_recorder(journal: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["journal::sharing::another_process_records_runs_without_end", "--exact"])
        .env(RECORDER, journal)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process")
}

/// The body of the other process; as a test of its own it has nothing to do.
#[test]
fn another_process_records_runs_without_end() {
    let Some(path) = std::env::var_os(RECORDER) else { return };
    block_on(async {
        let journal = Journal::open(Path::new(&path), Access::Write).await.expect("a journal");
        loop {
            let run = new_run();
            for event in run_of(run, "daily/check", Utc::now(), Outcome::Passed, 100) {
                journal.append(run, &[event]).await.expect("recorded");
            }
        }
    });
}

fn finished_runs(path: &Path) -> usize {
    block_on(async {
        match Journal::open(path, Access::Read).await {
            Ok(journal) => {
                let filter = Filter { outcome: Some(Outcome::Passed), ..Filter::default() };
                journal.runs(&filter).await.expect("runs").len()
            }
            Err(error) => {
                assert!(matches!(error.problem, Problem::Missing), "{error}");
                0
            }
        }
    })
}

#[test]
fn two_processes_record_side_by_side_and_the_chain_holds() {
    let book = Book::new();
    let mut recorders = [start_recorder(&book.path()), start_recorder(&book.path())];
    let own = book.open();
    for _ in 0..20 {
        let run = new_run();
        block_on(own.append(run, &run_of(run, "weekly/own", minute(0), Outcome::Passed, 1))).expect("recorded");
    }
    wait_until("the recorders", || finished_runs(&book.path()) >= 80);
    for recorder in &mut recorders {
        assert!(recorder.try_wait().expect("a state").is_none(), "a recorder gave up");
        recorder.kill().expect("killed");
        recorder.wait().expect("ended");
    }
    let verified = book.verify().expect("whole");
    assert!(verified.runs >= 80 && verified.unfinished.len() <= 2, "{verified:?}");
}

#[test]
fn a_killed_process_leaves_a_journal_that_shows_what_it_had_recorded() {
    let book = Book::new();
    for round in 1..=5 {
        let mut recorder = start_recorder(&book.path());
        wait_until("the recorder", || finished_runs(&book.path()) >= round * 10);
        recorder.kill().expect("killed with SIGKILL");
        recorder.wait().expect("ended");

        let verified = book.verify().expect("whole");
        let journal = book.open();
        for run in &verified.unfinished {
            let events = block_on(journal.replay(*run)).expect("events");
            assert!((1..=5).contains(&events.len()), "{} events of a killed run", events.len());
        }
        assert_eq!(finished_runs(&book.path()) + verified.unfinished.len(), verified.runs);
    }
}

#[test]
fn many_programs_may_create_the_journal_at_once() {
    let book = Book::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let run = new_run();
                book.append(run, &run_of(run, "daily/check", minute(0), Outcome::Passed, 1));
            });
        }
    });
    assert_eq!(book.verify().expect("whole").runs, 8);
}

#[test]
fn a_journal_that_stays_locked_is_reported_as_locked() {
    let book = Book::new();
    let run = new_run();
    let journal = book.open();
    let mut holder = Command::new(program("sqlite3"))
        .arg(book.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sqlite3 runs");
    let mut input = holder.stdin.take().expect("its input");
    input.write_all(b"BEGIN IMMEDIATE;\nSELECT 'held';\n").expect("told");
    let mut held = [0; 5];
    holder.stdout.as_mut().expect("its output").read_exact(&mut held).expect("held");

    let events = run_of(run, "daily/check", minute(0), Outcome::Passed, 1);
    let error = block_on(journal.append(run, &events)).expect_err("locked");
    assert!(matches!(error.problem, Problem::Locked), "{error}");
    drop(input);
    holder.wait().expect("ended");
    block_on(journal.append(run, &events)).expect("recorded once the lock is gone");
}
