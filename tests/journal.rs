//! The journal against the real file: recording, reading back, and every way in which the file can be hurt.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use opsctl::journal::{Access, Break, Journal, JournalError, Problem, Verified};
use opsctl::model::event::{
    Event, EventKind, ProcedurePlan, ProcedureResult, RunStart, StepPlan, StepResult, SubjectResult,
};
use opsctl::model::expectation::{Check, Level};
use opsctl::model::fact::{Evidence, Facts};
use opsctl::model::id::{ProcedureId, RunId, StepId};
use opsctl::model::outcome::{Exit, Outcome, Skip};
use opsctl::model::unit::Quantity;
use opsctl::model::value::Value;
use tempfile::TempDir;

use crate::support::server::program;

mod form;
mod recording;
mod sharing;
mod tampering;
mod trouble;

fn procedure(text: &str) -> ProcedureId {
    text.parse().expect("a procedure")
}

fn step(text: &str) -> StepId {
    text.parse().expect("a step")
}

/// Minute `minute` of the day on which these tests play.
fn minute(minute: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 2, 8, minute, 0).single().expect("a time") + chrono::TimeDelta::microseconds(123_456)
}

fn new_run() -> RunId {
    RunId(uuid::Uuid::now_v7())
}

/// A run of one procedure with the step `disks`, which comes to `outcome` and sees `free` bytes on `/` and on `/var`.
fn run_of(run: RunId, id: &str, at: DateTime<Utc>, outcome: Outcome, free: u64) -> Vec<Event> {
    let procedure = procedure(id);
    let subject = |name: &str, free: u64| SubjectResult {
        name: name.to_owned(),
        outcome,
        error: None,
        notes: vec!["ext4".to_owned()],
        facts: Facts::from_iter([
            ("free".to_owned(), Value::share(free, 1 << 40)),
            ("read_only".to_owned(), Value::Bool(false)),
            ("load".to_owned(), Value::Number(Quantity::count(0.1 + 0.2))),
        ]),
        checks: vec![Check {
            fact: "free".to_owned(),
            level: Level::Expect,
            expected: "above 20 %".to_owned(),
            actual: Some("19 %".to_owned()),
            met: Some(outcome == Outcome::Passed),
            note: None,
        }],
    };
    let kinds = vec![
        EventKind::RunStarted(RunStart {
            mode: opsctl::model::event::Mode::Check,
            incident: false,
            run,
            opsctl: "0.1.0".to_owned(),
            site: "helpdesk".to_owned(),
            command: id.replace('/', " "),
            host: "web-1".to_owned(),
            operator: "żaneta".to_owned(),
            timezone: "Europe/Warsaw".to_owned(),
            procedures: vec![ProcedurePlan {
                hash: String::new(),
                called_by: None,
                id: procedure.clone(),
                title: "Basic monitoring".to_owned(),
                budget_ms: Some(900_000),
                criteria: vec!["20 % of each disk is free".to_owned()],
                steps: vec![StepPlan {
                    finding: false,
                    section: None,
                    id: step("disks"),
                    title: "It's \"full\" | or\nnot".to_owned(),
                    kind: "probe".to_owned(),
                    probe: "disk".to_owned(),
                    at: "daily/check.yaml:12".to_owned(),
                    why: None,
                    next: None,
                }],
            }],
        }),
        EventKind::ProcedureStarted { procedure: procedure.clone() },
        EventKind::StepStarted { procedure: procedure.clone(), step: step("disks") },
        EventKind::StepFinished(Box::new(StepResult {
            choice: None,
            procedure: procedure.clone(),
            step: step("disks"),
            outcome,
            took: Duration::from_micros(1_234_567),
            attempts: 1,
            reason: None,
            help: None,
            skip: (outcome == Outcome::Skipped).then_some(Skip::Filter),
            since: None,
            subjects: vec![subject("/", free), subject("/var", free + 1)],
            evidence: vec![Evidence::new("largest files", vec!["a  b".to_owned()])],
        })),
        EventKind::ProcedureFinished(ProcedureResult {
            procedure,
            outcome,
            took: Duration::from_micros(2_000_001),
            criteria: Vec::new(),
        }),
        EventKind::RunFinished { outcome, exit: Exit::of(outcome, None) },
    ];
    (1_u64..)
        .zip(kinds)
        .map(|(seq, kind)| Event { seq, at, elapsed: Duration::from_micros(seq * 1001), kind })
        .collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// A journal in a folder of its own.
struct Book {
    folder: TempDir,
}

impl Book {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// With three whole runs: rows 1 to 6, 7 to 12 and 13 to 18. Readings are drawn of the first two.
    fn of_three_runs() -> (Self, [RunId; 3]) {
        let book = Self::new();
        let runs = [new_run(), new_run(), new_run()];
        for (at, run) in (0..).zip(runs) {
            book.append(run, &run_of(run, "daily/check", minute(at), Outcome::Passed, 100));
            if at == 1 {
                let since = block_on(book.open().since(&procedure("daily/check"), &step("disks"), Outcome::Passed));
                assert_eq!(since.expect("an answer"), Some(minute(0)));
            }
        }
        (book, runs)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state/opsctl/journal.db")
    }

    fn open(&self) -> Journal {
        block_on(Journal::open(&self.path(), Access::Write)).expect("a journal")
    }

    fn append(&self, run: RunId, events: &[Event]) {
        block_on(async {
            let journal = Journal::open(&self.path(), Access::Write).await.expect("a journal");
            journal.append(run, events).await.expect("recorded");
            journal.close().await.expect("closed");
        });
    }

    fn verify(&self) -> Result<Verified, JournalError> {
        verify(&self.path())
    }

    fn first_break(&self) -> Break {
        match self.verify().expect_err("a broken journal").problem {
            Problem::Broken(found) => found,
            other => panic!("{other}"),
        }
    }

    /// Changes the file behind opsctl's back.
    fn sqlite3(&self, sql: &str) -> String {
        // opsctl may still be closing it.
        let patient = ["-cmd", ".timeout 20000"];
        let output =
            Command::new(program("sqlite3")).args(patient).arg(self.path()).arg(sql).output().expect("sqlite3 runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }
}

fn verify(path: &Path) -> Result<Verified, JournalError> {
    block_on(async { Journal::open(path, Access::Read).await?.verify().await })
}

const NOBODY: &str = "OPSCTL_TEST_NOBODY";

/// Runs `body` as the user nobody, for whom permissions count: this test binary runs `test` once more as that user.
pub fn as_nobody(test: &str, folder: &Path, body: impl FnOnce(&Path)) {
    if let Some(folder) = std::env::var_os(NOBODY) {
        return body(Path::new(&folder));
    }
    let binary = tempfile::tempdir().expect("a folder");
    let copy = binary.path().join("tests");
    std::fs::copy(std::env::current_exe().expect("this program"), &copy).expect("copied");
    std::fs::set_permissions(binary.path(), std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let output = Command::new(program("setpriv"))
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
        .arg(&copy)
        .args([test, "--exact"])
        .env(NOBODY, folder)
        .current_dir("/")
        .output()
        .expect("setpriv runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}
