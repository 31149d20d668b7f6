//! The program as its users meet it: arguments, environment, files and signals in, texts and exit status out.

mod arguments;
mod drill;
mod files;
mod incident;
mod interrupts;
mod journal;
mod output;
mod reports;
mod secrets;
mod statements;

use crate::support::case::{Case, Ran};

/// Passes and fails with the file `ready` in the case's folder.
const READY: &str = "\
title: Ready or not
steps:
  - id: ready
    title: The mark is set
    probe: { file: { path: ready } }
    expect: { exists: true }
    next: touch ready
";

/// A step that passes, and one that is as `{{ outcome }}` says.
const BOTH: &str = "\
title: Both
purpose: Show each outcome.
budget: 5m
steps:
  - id: fine
    title: The site file is there
    tags: [quick]
    probe: { file: { path: opsctl.yaml } }
    expect: { exists: true }
  - id: varying
    title: As the variable says
    probe: { command: { run: [echo, \"{{ outcome }}\"] } }
    expect: { stdout: 'not contains failed' }
    prefer: { stdout: 'not contains warned' }
    why: Somebody waits for it.
    next: opsctl daily check
criteria:
  - { says: The file is there, proven_by: [fine] }
  - { says: The word is good, proven_by: [varying] }
";

fn both(name: &str) -> Case {
    Case::new(name).site("vars: { outcome: passed }\n").procedure("daily/both.yaml", BOTH)
}

// --- one run, whole ---

#[test]
fn a_run_that_holds_says_so_first_and_exits_with_0() {
    both("passed").run(["daily", "check"]).exits(0).prints_on_stderr("").prints(
        "\
PASSED  daily check  test   2 of 2 criteria met   [took]

daily/both  Both  passed  took [took] of 5 min
  met         The file is there  fine
  met         The word is good  varying

  PASS  fine     [folder]/opsctl.yaml exists true
  PASS  varying  echo passed stdout passed

started [time] on [host] by [user]
see it again: opsctl show [run]
",
    );
}

#[test]
fn a_run_that_fails_shows_what_was_seen_what_was_expected_and_what_to_do() {
    both("failed").run(["daily", "check", "--set", "outcome=failed"]).exits(2).prints_on_stderr("").prints(
        "\
FAILED  daily check --set outcome=...  test   1 of 2 criteria unmet   [took]

FAIL  varying  echo failed  stdout failed, expected not contains failed
      why        Somebody waits for it.
      next       opsctl daily check
      at         pack/daily/both.yaml:10

daily/both  Both  failed  took [took] of 5 min
  met         The file is there  fine
  UNMET       The word is good  varying

  PASS  fine     [folder]/opsctl.yaml exists true
  FAIL  varying  As the variable says

started [time] on [host] by [user]
see it again: opsctl show [run]  exit 2: not as expected
",
    );
}

#[test]
fn a_preference_that_is_not_met_warns() {
    let ran = both("warned").run(["daily", "both", "--set=outcome=warned"]).exits(1);
    ran.says("WARN  varying  echo warned  stdout warned, preferred not contains warned\n")
        .says("exit 1: not as preferred\n");
}

#[test]
fn a_probe_that_cannot_look_is_no_failure_and_no_pass() {
    let yaml = READY.replace("file: { path: ready }", "command: { run: [no-such-program] }");
    let yaml = yaml.replace("exists: true", "exit: 0");
    let ran = Case::new("errored").site("").procedure("daily/ready.yaml", &yaml).run(["daily", "ready"]).exits(3);
    assert!(ran.first_line().starts_with("COULD NOT TELL  daily ready  test   1 of 1 step errored"), "{ran}");
    ran.says("ERR   ready  ").says("no-such-program").says("exit 3: could not tell\n");
}

#[test]
fn a_failure_and_an_error_at_the_same_time_are_a_failure() {
    let worse = BOTH
        .replace("file: { path: opsctl.yaml }", "command: { run: [no-such-program] }")
        .replace("exists: true", "exit: 0");
    let case = Case::new("worst").site("vars: { outcome: failed }\n").procedure("daily/both.yaml", &worse);
    case.run(["daily", "check"]).exits(2).says("1 of 2 criteria unmet, 1 not proven");
}

// --- selecting ---

#[test]
fn only_skip_and_tag_leave_steps_out_and_say_so() {
    let case = both("selecting");
    case.run(["daily", "both", "--only", "fine"]).exits(0).says("SKIP  varying  left out by --only\n");
    case.run(["daily", "both", "--skip=fine"]).exits(0).says("SKIP  fine     left out by --skip\n");
    let tagged = case.run(["daily", "both", "--tag", "quick"]).exits(0).says("PASS  fine");
    assert!(tagged.stdout.contains("not proven  The word is good"), "what was left out is not proven: {tagged}");
}

#[test]
fn selecting_nothing_is_not_a_pass() {
    let case = both("nothing");
    for args in [&["--only", "fine", "--skip", "fine"][..], &["--skip", "fine,varying"]] {
        let ran = case.run(["daily", "both"].iter().chain(args)).exits(3).prints("");
        ran.prints_on_stderr("error: no step is selected\n  help: check --only, --skip, --tag and --from\n").exits(3);
    }
    let ran = case.run(["daily", "both", "--only", "fien"]).exits(3).prints("");
    ran.prints_on_stderr(
        "error: --only fien: there is no such step\n  help: did you mean `fine`? The steps are fine, varying\n",
    )
    .exits(3);
}

// --- history ---

#[test]
fn the_second_failure_in_a_row_says_since_when() {
    let case = Case::new("since").site("").procedure("daily/ready.yaml", READY);
    case.run(["daily", "check"]).exits(2).never_says("true  since");
    case.run(["daily", "check"])
        .exits(2)
        .says("FAIL  ready  [folder]/ready  exists false, expected true  since [time]\n");
    let case = case.file("ready", "");
    case.run(["daily", "check"]).exits(0).never_says("true  since");
}

#[test]
fn a_condition_on_history_cannot_tell_at_first_and_judges_then() {
    let yaml = READY.replace("exists: true", "size: at most 150% of previous");
    let case = Case::new("previous").site("").procedure("daily/ready.yaml", &yaml).file("ready", [b'x'; 100]);
    case.run(["daily", "check"])
        .exits(3)
        .says("size 100 B, expected at most 150 % of previous (no history yet: 0 of 1 earlier values)\n");
    let case = case.file("ready", [b'x'; 140]);
    case.run(["daily", "check"]).exits(0).says("PASS  ready  [folder]/ready size 140 B\n");
    let case = case.file("ready", [b'x'; 300]);
    case.run(["daily", "check"]).exits(2).says("size 300 B, expected at most 150 % of previous (previous is 140 B)\n");
}

// --- what there is ---

#[test]
fn a_group_lists_its_procedures_with_their_last_outcome() {
    let case = both("group").procedure("daily/ready.yaml", READY);
    let hint = "\n`opsctl daily PROCEDURE` runs one; with --help it is shown.
`opsctl daily check` looks at all of them, and changes nothing.\n";
    let ran = case.run(["daily"]).exits(0);
    ran.prints(&format!("both   never run  Both\nready  never run  Ready or not\n{hint}")).exits(0);
    case.run(["daily", "both"]).exits(0).says("PASSED");
    let ran = case.run(["daily"]).exits(0);
    ran.prints(&format!("both   passed [time]  Both\nready  never run                    Ready or not\n{hint}"))
        .exits(0);
}

#[test]
fn the_help_of_a_procedure_shows_what_it_proves_and_how() {
    both("help").run(["daily", "both", "--help"]).exits(0).prints_on_stderr("").says(
        "\
Purpose   Show each outcome.
Budget    5 min

Criteria:
  - The file is there
  - The word is good

Steps:
  fine                     probe     The site file is there
  varying                  probe     As the variable says

Usage: opsctl daily both [OPTIONS]
",
    );
}

/// Standard output is one report that `docs/report.schema.json` describes.
#[track_caller]
fn keeps_to_the_schema(ran: &Ran) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/report.schema.json");
    let schema = serde_json::from_str(&std::fs::read_to_string(file).expect("a schema")).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let json = ran.json();
    let wrong: Vec<String> =
        schema.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{wrong:#?}; {ran}");
}
