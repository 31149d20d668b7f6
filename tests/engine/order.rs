//! Order: what waits for what, and what does not.

use opsctl::model::id::StepId;
use opsctl::model::outcome::{Exit, Outcome, Skip};

use super::{ERROR, FAIL, LEAVE_OUT, PASS, Run, WARN, procedure, shell};
use crate::procedures::Case;

#[test]
fn neighbours_look_side_by_side() {
    // Each waits for the other: one after the other, they would never end.
    let ran = Run::of(&procedure(&[
        ("make", &shell("mkfifo one two")),
        ("left", &format!("needs: [make], {}", shell("echo x > one; read answer < two"))),
        ("right", &format!("needs: [make], {}", shell("read answer < one; echo x > two"))),
    ]))
    .run();
    assert_eq!(ran.exit, Exit::Ok, "{} {}", ran.reason_of("left"), ran.reason_of("right"));
}

#[test]
fn results_keep_the_order_of_the_document_whatever_ends_first() {
    let ran = Run::of(&procedure(&[
        ("slow", &format!("needs: [fast], {}", shell("test -e done"))),
        ("fast", &shell("touch done")),
    ]))
    .run();
    assert_eq!(ran.ended(), ["fast", "slow"]);
    let record = ran.record();
    let order: Vec<&str> = record.procedures[0].steps.keys().map(StepId::as_str).collect();
    assert_eq!(order, ["slow", "fast"]);
}

#[test]
fn a_step_starts_when_what_it_needs_has_passed_even_if_that_stands_below_it() {
    let ran = Run::of(&procedure(&[
        ("last", &format!("needs: [middle], {}", shell("test -e middle"))),
        ("middle", &format!("needs: [first], {}", shell("test -e first && touch middle"))),
        ("first", &shell("touch first")),
    ]))
    .run();
    assert_eq!((ran.exit, ran.ended()), (Exit::Ok, vec!["first", "middle", "last"]));
}

#[test]
fn a_step_is_skipped_because_of_what_it_needs() {
    let after = |need: &str| format!("needs: [{need}], {PASS}");
    let ran = Run::of(&procedure(&[
        ("failed", FAIL),
        ("errored", ERROR),
        ("warned", WARN),
        ("after-failed", &after("failed")),
        ("after-errored", &after("errored")),
        ("after-warned", &after("warned")),
        ("after-that", &after("after-failed")),
    ]))
    .run();
    let seen = |id: &str| (ran.outcome_of(id), ran.step(id).skip, ran.reason_of(id).to_owned());
    let skipped = |reason: &str| (Outcome::Skipped, Some(Skip::Need), reason.to_owned());
    assert_eq!(seen("after-failed"), skipped("needs failed, which failed"));
    assert_eq!(seen("after-errored"), skipped("needs errored, which could not look"));
    assert_eq!(seen("after-that"), skipped("needs after-failed, which was skipped"));
    assert_eq!(ran.outcome_of("after-warned"), Outcome::Passed, "a warning is no failure");
    assert!(!ran.started().contains(&"after-failed"));
}

#[test]
fn what_does_not_apply_takes_along_what_needs_it() {
    let ran = Run::of(&procedure(&[("redis", LEAVE_OUT), ("cache", &format!("needs: [redis], {PASS}"))])).run();
    assert_eq!((ran.step("cache").skip, ran.exit), (Some(Skip::Condition), Exit::Ok));
}

#[test]
fn when_reads_variables_outcomes_and_facts() {
    let when = |expression: &str| format!("when: \"{expression}\", {PASS}");
    let ran = Run::of(&procedure(&[
        ("home-page", FAIL),
        ("names", "gather: { command: { shell: 'echo alpha; exit 3' } }"),
        ("true-1", &when("steps.home_page is failed and not steps.home_page is passed")),
        ("true-2", &when("steps.names.facts.stdout == 'alpha' and steps.names.facts.exit == 3")),
        ("true-3", &when("vars.site_url and 'beta' in vars.names and run.site == 'test'")),
        ("false-1", &when("steps.home_page is passed")),
        ("false-2", &when("vars.empty or vars.none")),
        ("false-3", &when("vars.empty")),
        ("false-4", &when("vars.none")),
        ("false-5", &when("steps.none.rows")),
        ("none", "gather: { command: { shell: 'true' } }"),
        ("broken", &when("steps.names.facts.message == 'alpha'")),
    ]))
    .run();
    let outcomes = ["true-1", "true-2", "true-3", "false-1", "false-2", "broken"].map(|id| ran.outcome_of(id));
    assert_eq!(outcomes.map(Outcome::tag), ["PASS", "PASS", "PASS", "SKIP", "SKIP", "ERR "]);
    let reasons = ["false-1", "false-2", "false-3", "false-4", "false-5"].map(|id| ran.reason_of(id));
    assert_eq!(
        reasons,
        [
            "does not apply: `when: steps.home_page is passed` is false",
            "does not apply: `when: vars.empty or vars.none` is false",
            "does not apply: `empty` is empty",
            "does not apply: `none` is empty",
            "does not apply: `steps.none.rows` is empty",
        ]
    );
    assert!(ran.reason_of("broken").starts_with("its `when` fails: undefined value"), "{}", ran.reason_of("broken"));
}

#[test]
fn a_step_waits_for_the_results_that_its_inputs_name() {
    let ran = Run::of(&procedure(&[
        ("later", "probe: { command: { run: [echo, '{{ steps.first.facts.stdout }} {{ site_url }}'] } }, expect: { stdout: starts with made }"),
        ("first", "gather: { command: { shell: 'echo made' } }"),
    ]))
    .run();
    assert_eq!(ran.outcome_of("later"), Outcome::Passed, "{}", ran.reason_of("later"));
    assert_eq!(ran.step("later").subjects[0].name, "echo made http://127.0.0.1/");
}

#[test]
fn inputs_that_read_what_is_not_there_are_that_steps_error() {
    let ran = Run::of(&procedure(&[
        ("first", LEAVE_OUT),
        ("later", "gather: { command: { run: [echo, '{{ steps.first.facts.stdout }}'] } }"),
        ("other", PASS),
    ]))
    .run();
    assert_eq!((ran.outcome_of("later"), ran.outcome_of("other")), (Outcome::Errored, Outcome::Passed));
    assert!(ran.reason_of("later").contains("undefined"), "{}", ran.reason_of("later"));
}

#[test]
fn procedures_of_one_run_look_side_by_side_and_the_worst_counts() {
    let one = procedure(&[("a", &shell("until [ -e done ]; do sleep 0.01; done"))]);
    let other = procedure(&[("b", &shell("touch done; exit 1"))]);
    let case = Case::new().with("pack/daily/one.yaml", one).with("pack/weekly/other.yaml", other);
    let ran = Run::in_case(case).run();
    assert_eq!((ran.outcome_of("a"), ran.exit), (Outcome::Passed, Exit::Failed));
    let record = ran.record();
    let outcomes: Vec<Option<Outcome>> = record.procedures.values().map(|procedure| procedure.outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::Passed), Some(Outcome::Failed)]);
}
