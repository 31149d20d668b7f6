//! Recording and reading back, lists, history.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use opsctl::journal::{Access, Filter, Journal, Problem};
use opsctl::model::id::RunId;
use opsctl::model::outcome::{Exit, Outcome};
use opsctl::model::unit::Quantity;

use super::{Book, block_on, minute, new_run, procedure, run_of, step};

fn runs(journal: &Journal, filter: &Filter) -> Vec<RunId> {
    block_on(journal.runs(filter)).expect("runs").into_iter().map(|summary| summary.run).collect()
}

#[test]
fn a_run_is_read_back_as_it_was_recorded() {
    let book = Book::new();
    let run = new_run();
    let events = run_of(run, "daily/check", minute(0), Outcome::Failed, 77);
    book.append(run, &events[..3]);
    book.append(run, &events[3..]);

    let journal = book.open();
    assert_eq!(block_on(journal.replay(run)).expect("events"), events);
    let summary = block_on(journal.runs(&Filter::default())).expect("runs").remove(0);
    assert_eq!((summary.run, summary.started), (run, minute(0)));
    assert_eq!((summary.site.as_str(), summary.operator.as_str()), ("helpdesk", "żaneta"));
    assert_eq!((summary.command.as_str(), summary.host.as_str()), ("daily check", "web-1"));
    assert_eq!(summary.procedures, [procedure("daily/check")]);
    let finished = summary.finished.expect("an end");
    assert_eq!((finished.at, finished.outcome, finished.exit), (minute(0), Outcome::Failed, Exit::Failed));
}

#[test]
fn only_the_owner_can_read_a_new_journal() {
    let book = Book::new();
    book.open();
    let mode = |path: &Path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(&book.path()), 0o600);
    assert_eq!(mode(book.path().parent().expect("a folder")), 0o700);
}

#[test]
fn reading_a_journal_that_is_not_there_creates_nothing() {
    let book = Book::new();
    let error = block_on(Journal::open(&book.path(), Access::Read)).expect_err("nothing there");
    assert!(matches!(error.problem, Problem::Missing));
    assert_eq!(error.to_string(), format!("the journal {} does not exist", book.path().display()));
    assert!(!book.path().exists());
}

#[test]
fn runs_are_listed_newest_first_and_filtered() {
    let book = Book::new();
    let [first, second, third] = [new_run(), new_run(), new_run()];
    book.append(first, &run_of(first, "daily/check", minute(1), Outcome::Passed, 1));
    book.append(second, &run_of(second, "weekly/backup", minute(2), Outcome::Failed, 1));
    book.append(third, &run_of(third, "daily/check", minute(3), Outcome::Failed, 1)[..4]);

    let journal = book.open();
    let listed = |filter: Filter| runs(&journal, &filter);
    assert_eq!(listed(Filter::default()), [third, second, first]);
    assert_eq!(listed(Filter { limit: Some(2), ..Filter::default() }), [third, second]);
    assert_eq!(listed(Filter { procedure: Some(procedure("weekly/backup")), ..Filter::default() }), [second]);
    assert_eq!(listed(Filter { group: Some("daily".to_owned()), ..Filter::default() }), [third, first]);
    assert_eq!(listed(Filter { group: Some("dai".to_owned()), ..Filter::default() }), []);
    assert_eq!(listed(Filter { outcome: Some(Outcome::Failed), ..Filter::default() }), [second]);
    assert_eq!(listed(Filter { since: Some(minute(2)), ..Filter::default() }), [third, second]);
    assert_eq!(book.verify().expect("whole").unfinished, [third]);
}

#[test]
fn a_run_is_found_by_the_beginning_of_its_id() {
    let book = Book::new();
    let journal = book.open();
    assert!(matches!(block_on(journal.find("last")).expect_err("none yet").problem, Problem::Empty));
    let [older, newer] = ["0192aaaa-0000-7000-8000-000000000001", "0192aabb-0000-7000-8000-000000000002"]
        .map(|id| id.parse::<RunId>().expect("an id"));
    for run in [newer, older] {
        book.append(run, &run_of(run, "daily/check", minute(0), Outcome::Passed, 1));
    }
    assert_eq!(block_on(journal.find("last")).expect("a run"), newer);
    assert_eq!(block_on(journal.find("0192AAA")).expect("a run"), older);
    assert_eq!(block_on(journal.find(&newer.to_string())).expect("a run"), newer);
    let error = block_on(journal.find("0192aa")).expect_err("two runs").to_string();
    assert!(error.ends_with(&format!("has several runs that begin with `0192aa`: {newer}, {older}")), "{error}");
    for given in ["0193", "", "' OR 1=1", "%"] {
        let problem = block_on(journal.find(given)).expect_err("no run").problem;
        assert!(matches!(problem, Problem::NoSuchRun(_)), "{given}: {problem}");
    }
    assert!(matches!(block_on(journal.replay(new_run())).expect_err("no run").problem, Problem::NoSuchRun(_)));
}

#[test]
fn history_has_the_newest_readings_of_each_subject() {
    let book = Book::new();
    for (at, free) in [(1, 10), (2, 20), (3, 30)] {
        let run = new_run();
        book.append(run, &run_of(run, "daily/check", minute(at), Outcome::Passed, free));
    }
    let other = new_run();
    book.append(other, &run_of(other, "weekly/check", minute(4), Outcome::Passed, 99));

    let journal = book.open();
    let facts = ["free".to_owned(), "read_only".to_owned(), "no_such".to_owned()];
    let history = block_on(journal.readings(&procedure("daily/check"), &step("disks"), &facts, 2)).expect("history");
    let of = |subject: &str, fact: &str| -> Vec<(DateTime<Utc>, Quantity)> {
        let readings = history.get(&(subject.to_owned(), fact.to_owned()));
        readings.into_iter().flatten().map(|reading| (reading.at, reading.value)).collect()
    };
    assert_eq!(of("/", "free"), [(minute(3), Quantity::bytes(30)), (minute(2), Quantity::bytes(20))]);
    assert_eq!(of("/var", "free"), [(minute(3), Quantity::bytes(31)), (minute(2), Quantity::bytes(21))]);
    assert_eq!(history.len(), 2, "a fact that is no number has no history");
}

#[test]
fn a_streak_begins_with_the_first_run_of_its_outcome_and_skips_do_not_break_it() {
    let book = Book::new();
    let journal = book.open();
    let since =
        |outcome| block_on(journal.since(&procedure("daily/check"), &step("disks"), outcome)).expect("an answer");
    assert_eq!(since(Outcome::Failed), None);
    for (at, outcome) in
        [(1, Outcome::Failed), (2, Outcome::Passed), (3, Outcome::Failed), (4, Outcome::Skipped), (5, Outcome::Failed)]
    {
        let run = new_run();
        book.append(run, &run_of(run, "daily/check", minute(at), outcome, 1));
    }
    assert_eq!(since(Outcome::Failed), Some(minute(3)));
    assert_eq!(since(Outcome::Passed), None);
    assert_eq!(since(Outcome::Skipped), None);
}

/// Drawing in each run would cost it more than everything else that it writes.
#[test]
fn history_is_drawn_when_somebody_asks_for_it_or_when_much_of_it_waits() {
    let book = Book::new();
    let drawn = || book.sqlite3("SELECT row FROM drawn").trim().parse::<i64>().expect("a number");
    let mut recorded = 0;
    let mut record = |minutes: std::ops::Range<u32>| {
        for at in minutes {
            let run = new_run();
            book.append(run, &run_of(run, "daily/check", minute(at % 60), Outcome::Passed, 1));
            recorded += 6;
        }
        recorded
    };
    record(0..10);
    assert_eq!(drawn(), 0);
    let journal = book.open();
    let since = block_on(journal.since(&procedure("daily/check"), &step("disks"), Outcome::Passed));
    assert_eq!((since.expect("an answer"), drawn()), (Some(minute(0)), 60));
    let recorded = record(10..120);
    assert!((60 + 1..recorded).contains(&drawn()), "{} of {recorded}", drawn());
    book.verify().expect("whole");
}
