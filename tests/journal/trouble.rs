//! A hurt file, a newer format, a full or read-only disk.

use std::fs::Permissions;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use opsctl::journal::{Access, Journal, Problem};
use opsctl::model::event::{Event, EventKind};
use opsctl::model::outcome::{Exit, Outcome};
use tempfile::TempDir;

use super::{Book, as_nobody, block_on, minute, new_run, run_of, verify};

/// A small file system in memory, gone at the end.
struct Mount(TempDir);

impl Mount {
    fn new(size: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        mount(&["-t", "tmpfs", "-o", &format!("size={size},mode=0755"), "opsctl-test"], folder.path());
        Self(folder)
    }

    fn make_read_only(&self) {
        mount(&["-o", "remount,ro"], self.0.path());
    }
}

fn mount(arguments: &[&str], at: &Path) {
    let output = Command::new("mount").args(arguments).arg(at).output().expect("mount runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "these tests mount file systems, so they run as root: {error}");
}

impl Drop for Mount {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.0.path()).status().ok();
    }
}

#[test]
fn a_file_that_is_something_else_is_refused_and_left_alone() {
    let book = Book::new();
    std::fs::create_dir_all(book.path().parent().expect("a folder")).expect("a folder");
    for content in
        ["", "not a database at all, but long enough to have a header of a hundred bytes ........................"]
    {
        std::fs::write(book.path(), content).expect("written");
        for access in [Access::Read, Access::Write] {
            let error = block_on(Journal::open(&book.path(), access)).expect_err("refused");
            assert!(matches!(error.problem, Problem::NotAJournal), "{access:?}: {error}");
        }
        assert_eq!(std::fs::read_to_string(book.path()).expect("text"), content);
    }
    std::fs::remove_file(book.path()).expect("removed");
    book.sqlite3("CREATE TABLE events (id INTEGER); PRAGMA user_version = 1");
    let error = block_on(Journal::open(&book.path(), Access::Write)).expect_err("refused");
    assert!(matches!(error.problem, Problem::NotAJournal), "{error}");
}

#[test]
fn a_damaged_file_is_reported_as_damaged() {
    let (book, _) = Book::of_three_runs();
    book.sqlite3("PRAGMA wal_checkpoint(TRUNCATE)");
    let file = std::fs::OpenOptions::new().write(true).open(book.path()).expect("the file");
    let size = file.metadata().expect("metadata").len();
    for page in 1..size / 4096 {
        file.write_all_at(&[0xAA; 2000], page * 4096).expect("overwritten");
    }
    let error = book.verify().expect_err("damaged");
    assert!(matches!(error.problem, Problem::Damaged(_)), "{error}");
    assert!(error.help().is_some());

    let run = new_run();
    let error = block_on(async {
        let events = run_of(run, "daily/check", minute(0), Outcome::Passed, 1);
        Journal::open(&book.path(), Access::Write).await?.append(run, &events).await
    });
    assert!(matches!(error.expect_err("damaged").problem, Problem::Damaged(_)));
}

#[test]
fn a_file_that_is_cut_off_is_reported_as_damaged() {
    let (book, _) = Book::of_three_runs();
    book.sqlite3("PRAGMA wal_checkpoint(TRUNCATE)");
    let file = std::fs::OpenOptions::new().write(true).open(book.path()).expect("the file");
    file.set_len(5000).expect("cut off");
    let error = book.verify().expect_err("damaged");
    assert!(matches!(error.problem, Problem::Damaged(_)), "{error}");
}

#[test]
fn a_journal_of_a_newer_opsctl_is_refused() {
    let (book, _) = Book::of_three_runs();
    book.sqlite3("PRAGMA user_version = 99");
    for access in [Access::Read, Access::Write] {
        let error = block_on(Journal::open(&book.path(), access)).expect_err("refused");
        assert!(matches!(error.problem, Problem::Newer { found: 99, .. }), "{error}");
        assert!(error.to_string().contains("format 99 of a newer opsctl"), "{error}");
    }
}

#[test]
fn a_full_disk_is_named_and_hurts_nothing_that_was_recorded() {
    let disk = Mount::new("400k");
    let path = disk.0.path().join("journal.db");
    let journal = block_on(Journal::open(&path, Access::Write)).expect("a journal");
    let mut recorded = 0;
    let error = loop {
        let run = new_run();
        match block_on(journal.append(run, &run_of(run, "daily/check", minute(0), Outcome::Passed, 1))) {
            Ok(()) => recorded += 1,
            Err(error) => break error,
        }
        assert!(recorded < 10_000, "the disk never gets full");
    };
    assert!(matches!(error.problem, Problem::DiskFull), "{error}");
    assert!(error.to_string().contains("the disk is full"), "{error}");
    let verified = block_on(journal.verify()).expect("whole");
    assert_eq!((verified.runs, verified.unfinished), (recorded, Vec::new()));
}

#[test]
fn a_journal_that_does_not_fit_on_the_disk_is_not_created() {
    let disk = Mount::new("8k");
    let path = disk.0.path().join("journal.db");
    let error = block_on(Journal::open(&path, Access::Write)).expect_err("no room");
    assert!(matches!(error.problem, Problem::DiskFull), "{error}");
    assert_eq!(std::fs::read_dir(disk.0.path()).expect("entries").count(), 0, "nothing half done stays");
}

#[test]
fn a_journal_on_a_read_only_disk_can_be_read_and_not_written() {
    let disk = Mount::new("4m");
    let path = disk.0.path().join("journal.db");
    let run = new_run();
    let events = run_of(run, "daily/check", minute(0), Outcome::Passed, 1);
    block_on(async {
        let journal = Journal::open(&path, Access::Write).await.expect("a journal");
        journal.append(run, &events).await.expect("recorded");
        journal.close().await.expect("closed");
    });
    disk.make_read_only();

    assert_eq!(verify(&path).expect("whole").runs, 1);
    let error = block_on(Journal::open(&path, Access::Write)).expect_err("read-only");
    assert!(matches!(error.problem, Problem::ReadOnly), "{error}");
    let error = block_on(Journal::open(&disk.0.path().join("new/journal.db"), Access::Write)).expect_err("read-only");
    assert!(matches!(error.problem, Problem::ReadOnly), "{error}");
}

#[test]
fn a_journal_opened_for_reading_refuses_to_record() {
    let (book, [run, ..]) = Book::of_three_runs();
    let journal = block_on(Journal::open(&book.path(), Access::Read)).expect("a journal");
    let event = Event {
        seq: 7,
        at: minute(0),
        elapsed: Duration::ZERO,
        kind: EventKind::Interrupted { exit: Exit::Interrupted },
    };
    let error = block_on(journal.append(run, &[event])).expect_err("read-only");
    assert!(matches!(error.problem, Problem::ReadOnly), "{error}");
}

#[test]
fn without_permission_a_journal_is_refused_and_a_readable_one_can_still_be_read() {
    let (book, _) = Book::of_three_runs();
    for path in book.path().ancestors().skip(1).take(3) {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("a mode");
    }
    let readable = book.path().with_file_name("readable.db");
    std::fs::copy(book.path(), &readable).expect("copied");
    std::fs::set_permissions(&readable, Permissions::from_mode(0o644)).expect("a mode");

    let test = "journal::trouble::without_permission_a_journal_is_refused_and_a_readable_one_can_still_be_read";
    as_nobody(test, book.path().parent().expect("a folder"), |folder| {
        let refused = |name: &str, access| {
            let path = folder.join(name);
            block_on(Journal::open(&path, access)).expect_err("no permission").problem
        };
        let (own, readable) = (folder.join("journal.db"), folder.join("readable.db"));
        for (access, name, place) in [
            (Access::Read, "journal.db", own.as_path()),
            (Access::Write, "journal.db", own.as_path()),
            (Access::Write, "readable.db", readable.as_path()),
            (Access::Write, "new.db", folder),
        ] {
            let problem = refused(name, access);
            assert!(matches!(&problem, Problem::Permission(path) if path == place), "{access:?} {name}: {problem}");
        }
        assert_eq!(verify(&readable).expect("whole").runs, 3);
    });
}
