//! Runs that lead people, as they see them at a terminal, and what is left of them in the journal.

use rustix::process::Signal;

use crate::support::case::Case;
use crate::support::server::wait_until;

mod said;

const ACT: &str = r#"
title: Bring it back
report: emergency
budget: 30m
steps:
  - id: there
    probe: { command: { shell: "test -s done" } }
    expect: { exit: 0 }
    finding: true
  - id: how
    title: How bad is it?
    decision: { bad: it burns, good: it does not }
    marks: identified
  - id: act
    title: Put it out
    when: steps.how.choice == 'bad'
    action: { command: { shell: "echo x >> done" } }
    verify: [there]
    irreversible: what was burnt stays burnt
  - id: works
    manual: { login: People can log in, ticket: People can write a ticket }
    marks: restored
criteria:
  - { says: Identified in time, proven_by: { mark: identified, within: 15m } }
  - { says: It is there again, proven_by: [there, works] }
"#;

fn case(name: &str) -> Case {
    Case::new(name).site("").procedure("emergency/fire.yaml", ACT)
}

fn done(case: &Case) -> String {
    std::fs::read_to_string(case.path("done")).unwrap_or_default()
}

#[test]
fn an_engineer_is_led_through_an_emergency() {
    let case = case("led");
    let ran = case.talk(
        "emergency fire",
        &[
            ("when was it noticed?", " "),
            ("How bad is it?", ""),
            ("number or name", "nonsense"),
            ("type a number from 1 to 2", ""),
            ("number or name", "bad"),
            ("would run  /bin/sh -c 'echo x >> done'", ""),
            ("yes / no", "yes"),
            ("People can log in", "done: tried it as anna"),
            ("People can write a ticket", "done"),
        ],
    );
    assert_eq!(ran.exit, 0, "{}", ran.stdout);
    assert_eq!(done(&case), "x\n");
    case.run(["journal", "verify"]).exits(0).says("the journal is whole");
    case.run(["show", "last"]).exits(0).says("It is there again").says("Identified in time");
    case.run(["tasks"]).exits(0).prints("nothing waits for a person\n");
}

#[test]
fn without_a_terminal_a_question_is_a_task_that_somebody_answers_later() {
    let case = case("tasks");
    case.run(["emergency", "fire"]).exits(1).says("WAITING");
    case.run(["emergency", "fire"]).exits(3).says_on_stderr("go on with --resume, or begin anew with --new");
    case.run(["tasks"]).exits(0).says("How bad is it?").says("--choose NAME").says("opsctl emergency fire --resume");
    case.run(["tasks", "done", "how"]).exits(3).says_on_stderr("add --choose with one of bad, good");
    case.run(["tasks", "done", "how", "--choose", "bat"]).exits(3).says_on_stderr("did you mean `bad`?");
    case.run(["tasks", "done", "how", "--choose", "bad", "--note", "flames"]).exits(0).says("recorded");
    case.run(["emergency", "fire", "--resume"]).exits(1);
    case.run(["tasks"]).exits(0).says("would run  /bin/sh -c 'echo x >> done'");
    assert_eq!(done(&case), "", "nothing is done before somebody agrees");
    case.run(["tasks", "done", "act"]).exits(0);
    case.run(["emergency", "fire", "--resume"]);
    assert_eq!(done(&case), "x\n");
    case.run(["tasks", "done", "works.login"]).exits(0);
    case.run(["emergency", "fire", "--resume"]);
    case.run(["tasks", "done", "works.ticket", "--not-done"]).exits(0);
    case.run(["emergency", "fire", "--resume"]).exits(2).says("UNMET");
    assert_eq!(done(&case), "x\n", "it was done once");
    case.run(["journal", "verify"]).exits(0);
}

#[test]
fn unattended_an_action_needs_a_word_and_a_destructive_one_the_procedures_too() {
    let yaml = |effect: &str, more: &str| {
        format!(
            "title: T\n{more}steps:\n  - {{ id: act, action: {{ command: {{ shell: \"echo x >> done\" }} }}, irreversible: it stays, effect: {effect} }}\n"
        )
    };
    let case = Case::new("unattended")
        .site("")
        .procedure("daily/change.yaml", &yaml("change", ""))
        .procedure("daily/destroy.yaml", &yaml("destructive", ""))
        .procedure("daily/allowed.yaml", &yaml("destructive", "unattended: allow\n"));
    case.run(["daily", "change"]);
    assert_eq!(done(&case), "");
    case.run(["daily", "change", "--yes", "--new"]).exits(0);
    assert_eq!(done(&case), "x\n");
    case.run(["daily", "destroy", "--yes"]);
    assert_eq!(done(&case), "x\n", "--yes is not enough");
    case.run(["daily", "allowed", "--yes"]).exits(0);
    assert_eq!(done(&case), "x\nx\n");
}

#[test]
fn a_procedure_is_run_by_one_at_a_time_and_a_lock_has_no_dead_holder() {
    let yaml = "title: T\nlock: [helpdesk]\nsteps:\n  - { id: act, action: { command: { shell: \"touch begun; sleep 60\" } }, irreversible: it stays }\n";
    let other = "title: O\nlock: [helpdesk]\nsteps:\n  - { id: act, action: { command: { run: ['true'] } }, irreversible: it stays }\n";
    let case = Case::new("lock").site("").procedure("daily/one.yaml", yaml).procedure("daily/other.yaml", other);
    let one = case.start(["daily", "one", "--yes"]);
    wait_until("the action", || case.path("begun").exists());
    case.run(["daily", "other", "--yes"])
        .exits(3)
        .says_on_stderr("helpdesk is being worked on: by")
        .says_on_stderr("process");
    let pid = one.id();
    one.signal(Signal::KILL).ends();
    wait_until("its end", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
    case.run(["daily", "other", "--yes"]).exits(0);
}

#[test]
fn a_run_whose_procedure_changed_goes_on_only_when_that_is_accepted() {
    let case = case("changed");
    case.run(["emergency", "fire"]);
    case.run(["tasks", "done", "how", "--choose", "good"]).exits(0);
    let case = case.procedure("emergency/fire.yaml", &ACT.replace("it burns", "it burns a lot"));
    case.run(["emergency", "fire", "--resume"]).exits(3).says_on_stderr("emergency/fire changed since run");
    case.run(["emergency", "fire", "--resume", "--accept-change"]);
    case.run(["tasks"]).says("works.login");
}

#[test]
fn an_approval_at_the_operators_terminal_needs_somebody_elses_name() {
    let yaml = r#"
title: T
steps:
  - { id: agree, title: May it be done?, approval: { of: [act] } }
  - { id: act, title: Do it, action: { command: { shell: "echo x >> done" } }, irreversible: it stays }
"#;
    let case = Case::new("approval").site("").procedure("daily/careful.yaml", yaml);
    let operator = std::env::var("SUDO_USER").unwrap_or_else(|_| "root".to_owned());
    let ran = case.talk(
        "daily careful",
        &[
            ("yes / no", "yes"),
            ("name of the person", &operator),
            ("another person has to agree", ""),
            ("yes / no", "yes"),
            ("name of the person", "anna"),
            ("Do it", "yes"),
        ],
    );
    assert_eq!(ran.exit, 0, "{}", ran.stdout);
    assert_eq!(done(&case), "x\n");
    case.run(["show", "last"]).says("anna agreed");
}

#[test]
fn what_became_of_an_action_can_be_answered_as_a_task() {
    let yaml = "title: T\nsteps:\n  - { id: act, action: { command: { shell: \"echo x >> done\" } }, irreversible: it stays }\n";
    let case = Case::new("settled").site("").procedure("daily/act.yaml", yaml);
    // The action is done, and its end is not on record.
    let case = case.env("OPSCTL_FAILPOINT", "before:5");
    case.run(["daily", "act", "--yes"]).exits(-9);
    let case = case.env("OPSCTL_FAILPOINT", "");
    case.run(["show", "last"]).exits(0).says("outcome unknown");
    case.run(["daily", "act", "--yes", "--resume"]).exits(1);
    case.run(["tasks"]).exits(0).says("its outcome is unknown");
    case.run(["tasks", "done", "act"]).exits(0);
    case.run(["daily", "act", "--yes", "--resume"]).exits(0);
    assert_eq!(done(&case), "x\n");
}

#[test]
fn a_run_at_work_is_neither_gone_on_with_nor_given_up() {
    let yaml = "title: T\nsteps:\n  - { id: act, action: { command: { shell: \"touch begun; sleep 60\" } }, irreversible: it stays }\n";
    let case = Case::new("at-work").site("").procedure("daily/one.yaml", yaml);
    let one = case.start(["daily", "one", "--yes"]);
    wait_until("the action", || case.path("begun").exists());
    for option in ["--new", "--resume", "--yes"] {
        case.run(["daily", "one", option]).exits(3).says_on_stderr("daily/one is being worked on: by");
    }
    case.run(["show", "last"]).exits(0).never_says("given up");
    one.signal(Signal::KILL).ends();
}

#[test]
fn items_of_the_same_name_are_different_items() {
    let yaml = "title: T\nsteps:\n  - { id: act, for_each: \"['x', 'x', 'y']\", action: { command: { shell: \"echo {{ item }} >> done\" } }, irreversible: it stays }\n";
    let case = Case::new("items").site("").procedure("daily/act.yaml", yaml);
    case.run(["daily", "act", "--yes"]).exits(0);
    assert_eq!(done(&case), "x\nx\ny\n");
    case.run(["show", "last"]).says("act for x (2)");
}
