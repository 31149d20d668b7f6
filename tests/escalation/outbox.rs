//! What a person has to tell.

use super::{Case, SITE, case, messages, whole};

fn by_hand(name: &str) -> Case {
    let outage = "title: Outage
steps:
  - id: tell
    notify: { to: [users, it-team], message: It is down }
";
    Case::new(name).site(SITE).procedure("emergency/outage.yaml", outage)
}

#[test]
fn nobody_waits_for_those_whom_a_person_has_to_tell() {
    let case = by_hand("outbox-order");
    case.run(["emergency", "outage"]).exits(1);
    assert_eq!(messages(&case).len(), 1, "the channel was served before anybody was asked");
    case.run(["tasks"]).exits(0).says("tell users by phone (+48 123 456 789): It is down");
    let ran = case.run(["outbox"]).exits(0);
    assert!(ran.first_line().starts_with("ASK "), "what waits comes first: {ran}");
    ran.says("users by phone (+48 123 456 789)").says("opsctl outbox done ").says("TOLD ");
}

#[test]
fn whoever_has_told_them_says_so_and_the_run_goes_on() {
    let case = by_hand("outbox-done");
    case.run(["emergency", "outage"]).exits(1);
    let done = ["outbox", "done", "emergency/outage.tell.0.0"];
    case.run(done).exits(0).says("users by phone (+48 123 456 789): told, says ");
    case.run(done).exits(3).says_on_stderr("was told already");
    case.run(["tasks"]).exits(0).never_says("tell users");
    case.run(["emergency", "outage", "--resume"]).exits(0).says("PASS  tell  users, it-team");
    case.run(["outbox"]).exits(0).says("HAND ");
    whole(&case);
}

#[test]
fn a_task_that_was_done_counts_as_told() {
    let case = by_hand("outbox-task");
    case.run(["emergency", "outage"]).exits(1);
    case.run(["tasks", "done", "tell.users"]).exits(0);
    case.run(["outbox"]).exits(0).says("HAND ").never_says("ASK ");
    case.run(["emergency", "outage", "--resume"]).exits(0).says("PASS  tell  users, it-team");
    case.run(["outbox"]).exits(0).says("HAND ");
    assert_eq!(messages(&case).len(), 1, "nobody was told twice");
    whole(&case);
}

#[test]
fn an_unknown_message_is_refused_with_those_that_there_are() {
    let case = by_hand("outbox-unknown");
    case.run(["outbox"]).exits(0).prints("nobody was told anything\n");
    case.run(["emergency", "outage"]).exits(1);
    let ran = case.run(["outbox", "done", "nothing"]).exits(3);
    ran.says_on_stderr("there is no message `nothing`").says_on_stderr("emergency/outage.tell.0.0");
}

#[test]
fn a_run_that_goes_on_does_not_begin_its_clocks_anew() {
    let case = case("outbox-again");
    super::begun(&case);
    case.run(["emergency", "outage", "--resume"]).exits(1);
    assert_eq!(messages(&case).len(), 1);
    let shown = std::process::Command::new(crate::support::server::program("sqlite3"))
        .arg(case.journal())
        .arg("SELECT count(*) FROM events WHERE json_extract(event, '$.event') = 'escalated'")
        .output()
        .expect("sqlite3 runs");
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "1\n");
}
