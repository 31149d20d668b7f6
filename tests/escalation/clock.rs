//! What the clock does after the run has told the first ones.

use std::collections::BTreeSet;

use chrono::{TimeDelta, Utc};

use super::{add, an_hour_ago, begun, case, messages, queued, told, whole};
use crate::support::server::{program, wait_until};

#[test]
fn nobody_is_told_before_the_time_and_the_next_one_after_it() {
    let case = case("clock");
    begun(&case);
    case.run(["tick"]).exits(0).prints("");
    assert_eq!(told(&case), ["it-team"]);
    add(&case, Utc::now(), [an_hour_ago("repair", 1)]);
    case.run(["tick"]).exits(0).prints("TOLD  manager-1 by log (boss@example.com): Nobody answers\n");
    case.run(["tick"]).exits(0).prints("");
    assert_eq!(told(&case), ["it-team", "manager-1"]);
    whole(&case);
}

#[test]
fn a_tick_without_a_journal_makes_none() {
    let case = case("clock-none");
    case.run(["tick"]).exits(0).prints("");
    assert!(!case.journal().exists());
}

#[test]
fn whoever_acknowledges_stops_the_ladder() {
    let case = case("clock-ack");
    begun(&case);
    add(&case, Utc::now(), [an_hour_ago("repair", 2)]);
    let ran = case.run(["ack", "last", "--note", "I am on it"]).exits(0);
    ran.says(": acknowledged by ")
        .says("not told any more      management by log (boss@example.com), who was due at ")
        .says("not told any more      manager-2 by log");
    case.run(["tick"]).exits(0).prints("");
    assert_eq!(told(&case), ["it-team"]);
    case.run(["ack", "last"]).exits(0).says(" has acknowledged it already, at ");
    whole(&case);
}

#[test]
fn a_run_that_has_ended_tells_nobody_else() {
    let case = case("clock-end").procedure(
        "emergency/outage.yaml",
        "title: Outage\nsteps:\n  - id: tell\n    notify: { escalation: outage, message: down }\n",
    );
    case.run(["emergency", "outage"]).exits(0);
    add(&case, Utc::now(), [an_hour_ago("repair", 1)]);
    case.run(["tick"]).exits(0).prints("");
    case.run(["ack", "last"]).exits(3).says_on_stderr("no run that is under way has told anybody");
    assert_eq!(told(&case), ["it-team"]);
    whole(&case);
}

#[test]
fn many_ticks_at_the_same_time_tell_each_one_once() {
    let case = case("clock-many");
    begun(&case);
    add(&case, Utc::now(), [an_hour_ago("repair", 6)]);
    let ticks: Vec<_> = (0..6).map(|_| case.start(["tick"])).collect();
    for tick in ticks {
        tick.ends().exits(0);
    }
    let ids: Vec<String> = messages(&case).iter().map(|message| message["id"].to_string()).collect();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (7, 7), "{ids:?}");
    whole(&case);
}

#[test]
fn a_message_whose_program_was_killed_is_not_sent_again_in_silence() {
    let case = case("clock-killed");
    begun(&case);
    add(&case, Utc::now() - TimeDelta::hours(1), [queued("emergency/outage.repair.0.1")]);
    for _ in 0..2 {
        let ran = case.run(["tick"]).exits(2);
        ran.says("LOST  management by log: whether it was sent is not known").says("opsctl tick --retry");
    }
    case.run(["outbox"]).exits(0).says("LOST ");
    assert_eq!(told(&case), ["it-team"]);
    case.run(["tick", "--retry"]).exits(0).says("TOLD  management by log: Half sent");
    case.run(["tick"]).exits(0).prints("");
    assert_eq!(told(&case), ["it-team", "management"]);
}

#[test]
fn a_message_that_is_being_sent_right_now_is_left_alone() {
    let case = case("clock-sending");
    begun(&case);
    add(&case, Utc::now(), [queued("emergency/outage.repair.0.1")]);
    case.run(["tick", "--retry"]).exits(0).prints("");
    assert_eq!(told(&case), ["it-team"]);
}

#[test]
fn every_command_that_writes_to_the_journal_looks_at_the_clocks() {
    let ready = "title: Ready\nsteps:\n  - id: ready\n    probe: { file: { path: opsctl.yaml } }\n    expect: { exists: true }\n";
    let case = case("clock-others").procedure("daily/ready.yaml", ready);
    begun(&case);
    add(&case, Utc::now(), [an_hour_ago("repair", 1)]);
    case.run(["daily", "check"]).exits(0).says_on_stderr("TOLD  manager-1 by log");
    assert_eq!(told(&case), ["it-team", "manager-1"]);
}

#[test]
fn a_run_at_work_does_not_mind_what_others_add_to_it() {
    let outage = "title: Outage
steps:
  - id: tell
    notify: { escalation: outage, severity: critical, message: down }
  - id: wait
    action: { command: { run: [sh, -c, 'touch waits; while [ ! -e go ]; do sleep 0.05; done'] } }
    irreversible: it only waits
";
    let case = case("clock-beside").procedure("emergency/outage.yaml", outage);
    let running = case.start(["emergency", "outage", "--yes"]);
    let running = running.waits_for("the run", || case.path("waits").exists());
    case.run(["ack", "last"]).exits(0).says(": acknowledged by ");
    std::fs::write(case.path("go"), "").expect("a file");
    running.ends().exits(0);
    whole(&case);
    wait_until("the end on record", || case.run(["history"]).stdout.contains("passed"));
}

#[test]
fn the_lists_follow_from_the_events_and_can_be_made_again() {
    let case = case("clock-lists");
    begun(&case);
    add(&case, Utc::now(), [an_hour_ago("repair", 2)]);
    case.run(["ack", "last"]).exits(0);
    let sqlite = |sql: &str| {
        let output = std::process::Command::new(program("sqlite3")).arg(case.journal()).arg(sql).output();
        let output = output.expect("sqlite3 runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(sqlite("SELECT DISTINCT state FROM timers"), "stopped\n");
    for table in ["timers", "outbox"] {
        sqlite(&format!("UPDATE {table} SET state = 'other'"));
        case.run(["journal", "verify"]).exits(2).says_on_stderr(&format!("the table `{table}` does not follow"));
        case.run(["journal", "rebuild"]).exits(0);
        whole(&case);
    }
    // A journal of the format before this one.
    sqlite("DROP TABLE timers; DROP TABLE outbox; PRAGMA user_version = 2");
    case.run(["outbox"]).exits(0).says("TOLD ");
    assert_eq!(sqlite("SELECT DISTINCT state FROM timers"), "stopped\n");
    whole(&case);
}
