//! Signals: a run ends in order, says what it had finished, and takes its children with it.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use sqlx::Connection as _;

use crate::support::case::{Case, Ran, Running};
use crate::support::terminal;

/// A quick step, and one whose command writes the ids of itself and its child into `pids`, and ends long after any test.
const SLOW: &str = "\
title: Slow
steps:
  - id: quick
    title: Quick
    probe: { file: { path: opsctl.yaml } }
    expect: { exists: true }
  - id: slow
    title: Slow
    timeout: 1h
    probe: { command: { shell: 'sleep 3600 & echo $$ $! > pids.part; mv pids.part pids; wait' } }
    expect: { exit: 0 }
  - id: later
    title: Later
    needs: [slow]
    probe: { file: { path: opsctl.yaml } }
    expect: { exists: true }
criteria:
  - { says: It is quick, proven_by: [quick] }
  - { says: It is slow, proven_by: [slow, later] }
";

pub fn slow(name: &str) -> Case {
    Case::new(name).site("").procedure("daily/slow.yaml", SLOW)
}

/// The run, with its slow step under way and its quick step on record.
pub fn started(case: &Case, args: &[&str]) -> Running {
    let (pids, journal) = (case.path("pids"), case.journal());
    case.start(["daily", "slow"].iter().chain(args))
        .waits_for("the slow command", || pids.exists())
        .waits_for("the record of the quick step", || is_on_record(&journal, "step_finished"))
}

pub fn is_on_record(journal: &Path, event: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(journal).read_only(true);
        let Ok(mut connection) = sqlx::SqliteConnection::connect_with(&options).await else { return false };
        let found =
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM events WHERE json_extract(event, '$.event') = ?");
        found.bind(event).fetch_one(&mut connection).await.is_ok_and(|count| count > 0)
    })
}

/// What the slow step's command started, as far as it still runs.
pub fn children(case: &Case) -> Vec<String> {
    let pids = fs::read_to_string(case.path("pids")).expect("the ids of the children");
    let runs = |pid: &&str| {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        state.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
    };
    pids.split_whitespace().filter(runs).map(str::to_owned).collect()
}

fn interrupted(case: &Case, ran: Ran, exit: i32) {
    let ran = ran.exits(exit).prints_on_stderr("");
    assert!(ran.first_line().starts_with("INTERRUPTED  daily slow  test   1 of 3 steps finished"), "{ran}");
    let ran = ran.says("  PASS  quick  ").says("  SKIP  slow   the run was interrupted while it looked\n");
    ran.says("  SKIP  later  the run was interrupted\n").says("  not proven  It is slow  slow, later\n");
    crate::support::server::wait_until("the end of the children", || children(case).is_empty());
    case.run(["show", "last"]).exits(0).says("INTERRUPTED  daily slow").says(&format!("exit {exit}: "));
    case.run(["journal", "verify"]).exits(0).never_says("has no end");
}

#[test]
fn an_interrupt_ends_the_run_in_order() {
    let case = slow("interrupt");
    let ran = started(&case, &[]).signal(Signal::INT).ends();
    interrupted(&case, ran, 130);
}

#[test]
fn a_termination_ends_the_run_in_order() {
    let case = slow("terminate");
    let ran = started(&case, &[]).signal(Signal::TERM).ends();
    interrupted(&case, ran, 143);
}

#[test]
fn a_terminal_that_goes_away_ends_the_run_in_order() {
    let case = slow("hangup");
    let ran = started(&case, &[]).signal(Signal::HUP).ends();
    interrupted(&case, ran, 143);
}

#[test]
fn nohup_keeps_a_run_going() {
    let yaml = "title: Short\nsteps:\n  - id: short\n    title: Short\n    \
                probe: { command: { shell: 'kill -HUP $PPID; sleep 0.2' } }\n    expect: { exit: 0 }\n";
    let case = Case::new("nohup").site("").procedure("daily/short.yaml", yaml);
    case.run_in_a_shell("nohup opsctl daily short 2>/dev/null").exits(0).says("PASSED  daily short");
    case.run(["daily", "short"]).exits(143).says("INTERRUPTED  daily short");
}

#[test]
fn a_ctrl_c_on_a_terminal_leaves_nothing_of_the_progress_above_the_verdict() {
    let shown = slow("keyboard").interrupt_on_a_terminal("daily slow", "/3 steps");
    let screen = terminal::as_seen(&shown);
    assert!(screen.starts_with("INTERRUPTED  daily slow  test   1 of 3 steps finished"), "{screen}");
    assert!(!screen.contains("^C") && screen.contains("exit 130: interrupted"), "{screen}");
}

#[test]
fn an_interrupted_run_is_told_even_when_asked_to_be_quiet_and_as_json() {
    let case = slow("quiet");
    let ran = started(&case, &["--quiet", "--format", "json"]).signal(Signal::INT).ends().exits(130);
    let json = ran.json();
    assert_eq!((&json["interrupted"], &json["exit"]), (&true.into(), &130.into()), "{ran}");
    assert_eq!(json["procedures"][0]["steps"][1]["skip"], "stopped", "{ran}");
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let case = slow("twice");
    let running = started(&case, &[]);
    // Somebody holds the journal, so the first interrupt does not end the run yet.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let holder = runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(case.journal());
        let mut holder = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("BEGIN EXCLUSIVE").execute(&mut holder).await.unwrap();
        holder
    });
    let running = running.signal(Signal::INT);
    let running = running.waits_for("the end of the children", || children(&case).is_empty());
    // The run waits for the journal, and would say so; the second interrupt is quicker.
    running.signal(Signal::INT).ends().exits(130).prints("").prints_on_stderr("");
    drop(holder);
}

#[test]
fn a_killed_run_keeps_what_it_had_finished() {
    let case = slow("killed");
    let ran = started(&case, &[]).signal(Signal::KILL).ends();
    assert_eq!(ran.exit, -9);
    for pid in children(&case) {
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).ok();
    }
    case.run(["journal", "verify"]).exits(0).says("the journal is whole").says("note  run [run] has no end");
    let shown = case.run(["show", "last"]).exits(0).says("  PASS  quick  ");
    assert!(shown.first_line().starts_with("UNFINISHED  daily slow  test   1 of 3 steps finished"), "{shown}");
    shown
        .says("  ----  slow   started, but how it ended is not known\n")
        .says("the end of this run was not recorded\n");
    case.run(["history"]).exits(0).prints("[run]  [time]  unfinished  daily slow  by [user]\n");
}
