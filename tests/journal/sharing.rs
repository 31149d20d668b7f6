//! Several programs at once, and a killed one.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use chrono::Utc;
use opsctl::journal::{Access, Break, Filter, Journal, Problem};
use opsctl::model::event::{Event, EventKind};
use opsctl::model::outcome::Outcome;

use super::{Book, block_on, minute, new_run, procedure, run_of, step};
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
fn what_a_killed_run_saw_is_history_when_the_next_run_begins() {
    let book = Book::new();
    let (killed, next) = (new_run(), new_run());
    book.append(killed, &run_of(killed, "daily/check", minute(1), Outcome::Failed, 77)[..4]);
    let history = |journal: &Journal| {
        let (procedure, step, facts) = (procedure("daily/check"), step("disks"), ["free".to_owned()]);
        let since = block_on(journal.since(&procedure, &step, Outcome::Failed)).expect("an answer");
        let readings = block_on(journal.readings(&procedure, &step, &facts, 1)).expect("readings");
        (since, readings.values().flatten().map(|reading| reading.at).max())
    };
    assert_eq!(book.verify().expect("whole").unfinished, [killed]);

    let journal = book.open();
    block_on(journal.append(next, &run_of(next, "daily/check", minute(2), Outcome::Failed, 78)[..1])).expect("begun");
    assert_eq!(history(&journal), (Some(minute(1)), Some(minute(1))));
    block_on(journal.append(next, &run_of(next, "daily/check", minute(2), Outcome::Failed, 78)[1..])).expect("ended");
    assert_eq!(history(&journal), (Some(minute(1)), Some(minute(2))));
    assert_eq!(book.verify().expect("whole").unfinished, [killed]);
}

#[test]
fn a_damaged_event_of_a_killed_run_keeps_nobody_from_recording() {
    let book = Book::new();
    let (killed, next) = (new_run(), new_run());
    book.append(killed, &run_of(killed, "daily/check", minute(1), Outcome::Failed, 77)[..4]);
    book.sqlite3("UPDATE events SET event = '{' WHERE id = 4");
    book.append(next, &run_of(next, "daily/check", minute(2), Outcome::Passed, 78));
    assert_eq!(finished_runs(&book.path()), 1);
    assert_eq!(book.first_break(), Break::Changed { row: 4, run: killed.to_string(), seq: 4 });
}

#[test]
fn a_run_that_another_one_came_between_keeps_its_place_in_the_chain() {
    let book = Book::new();
    let (first, second) = (book.open(), book.open());
    let (one, other) = (new_run(), new_run());
    let events = [one, other].map(|run| run_of(run, "daily/check", minute(0), Outcome::Passed, 1));
    for (mine, theirs) in events[0].iter().zip(&events[1]) {
        block_on(first.append(one, std::slice::from_ref(mine))).expect("recorded");
        block_on(second.append(other, std::slice::from_ref(theirs))).expect("recorded");
    }
    assert_eq!(block_on(first.replay(one)).expect("events"), events[0]);
    assert_eq!(block_on(first.replay(other)).expect("events"), events[1]);
    assert_eq!(book.verify().expect("whole").events, 12);
}

#[test]
fn an_event_whose_timers_cannot_be_changed_is_not_recorded_either() {
    let book = Book::new();
    let run = new_run();
    let events = run_of(run, "daily/check", minute(0), Outcome::Passed, 1);
    let journal = book.open();
    block_on(journal.append(run, &events[..3])).expect("recorded");
    let acknowledged = Event { kind: EventKind::Acknowledged { by: "operator".to_owned() }, ..events[3].clone() };
    book.sqlite3("ALTER TABLE timers RENAME TO elsewhere");
    block_on(journal.append(run, std::slice::from_ref(&acknowledged))).expect_err("no timers");
    book.sqlite3("ALTER TABLE elsewhere RENAME TO timers");
    assert_eq!(block_on(journal.replay(run)).expect("events"), events[..3]);
    block_on(journal.append(run, &[acknowledged])).expect("recorded");
    assert_eq!(book.verify().expect("whole").events, 4);
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
