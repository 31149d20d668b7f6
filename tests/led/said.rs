//! What is said of a run that waits, was rolled back or only tried.

use super::{Case, case};

/// Something that is taken back when what follows fails.
const SWITCH: &str = r#"
title: Switch
steps:
  - id: switch
    title: Switch over
    action: { command: { run: [touch, done] } }
    verify: [there]
    undo: { command: { run: [rm, done] } }
  - id: there
    probe: { command: { shell: "test -e done" } }
    expect: { exit: 0 }
  - id: breaks
    title: Go on
    action: { command: { run: ['false'] } }
    irreversible: nothing happens
criteria:
  - { says: It is switched over, proven_by: [switch, there] }
"#;

#[test]
fn what_was_taken_back_proves_nothing_any_more() {
    let case = Case::new("taken-back").site("").procedure("daily/switch.yaml", SWITCH);
    let ran = case.talk(
        "daily switch",
        &[
            ("Switch over", "yes"),
            ("Go on", "yes"),
            ("failed: `false` ended with exit status 1", ""),
            ("retry / skip", "roll back"),
        ],
    );
    assert_eq!(ran.exit, 2, "{}", ran.stdout);
    assert!(!case.path("done").exists());
    case.run(["show", "last"]).says("UNMET       It is switched over").says("SKIP  switch  done, and taken back");
}

#[test]
fn a_dry_run_shows_what_would_be_run() {
    let case = Case::new("dry").site("").procedure("daily/switch.yaml", SWITCH);
    case.run(["daily", "switch", "--dry-run"]).exits(3).says("        would run  touch done\n").says("not proven");
    assert!(!case.path("done").exists());
}

#[test]
fn the_command_that_goes_on_is_one_that_goes_on() {
    let case = case("goes-on");
    case.run(["emergency", "fire", "--new"]).exits(1).says("then go on       opsctl emergency fire --resume\n");
    case.run(["tasks"]).says("go on with `opsctl emergency fire --resume`\n");
    case.run(["tasks", "done", "how", "--choose", "bad"]).says("go on with `opsctl emergency fire --resume`\n");
    case.run(["emergency", "fire", "--resume"]).exits(1);
}

#[test]
fn what_has_to_be_typed_is_one_word_for_the_shell() {
    let yaml = "title: T\nsteps:\n  - { id: act, action: { command: { run: [touch, done] } }, effect: destructive, irreversible: it stays }\n";
    let case = Case::new("quoted").site("").procedure("daily/act.yaml", yaml);
    case.run(["daily", "act"]).exits(1).says("WAIT  act  waits for a person");
    case.run(["tasks"]).says("--target 'touch done'   or --no");
    case.run(["tasks", "done", "act", "--target", "touch done"]).exits(0);
    case.run(["daily", "act", "--resume"]).exits(0);
    assert!(case.path("done").exists());
}
