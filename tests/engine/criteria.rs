//! Criteria, the outcome of the whole, and the exit status.

use opsctl::model::outcome::{Exit, Outcome, Verdict};

use super::{ERROR, FAIL, LEAVE_OUT, PASS, Run, WARN, procedure};

/// The verdict on one criterion proven by `a` and `b`, the run's outcome and its exit code.
fn judged(a: &str, b: &str) -> (Verdict, Outcome, u8) {
    let text = format!("{}criteria: [{{ says: Well, proven_by: [a, b] }}]\n", procedure(&[("a", a), ("b", b)]));
    let ran = Run::of(&text).run();
    let criterion = &ran.procedure().criteria[0];
    assert_eq!(
        (criterion.says.as_str(), criterion.proven_by.as_slice()),
        ("Well", &["a".to_owned(), "b".to_owned()][..])
    );
    assert_eq!(ran.procedure().outcome, ran.outcome);
    (criterion.outcome, ran.outcome, ran.exit.code())
}

#[test]
fn the_worst_step_decides_a_criterion_whatever_the_order() {
    let table = [
        (PASS, PASS, (Verdict::Met, Outcome::Passed, 0)),
        (PASS, WARN, (Verdict::Met, Outcome::Warned, 1)),
        (PASS, FAIL, (Verdict::Unmet, Outcome::Failed, 2)),
        (PASS, ERROR, (Verdict::NotProven, Outcome::Errored, 3)),
        (FAIL, ERROR, (Verdict::Unmet, Outcome::Failed, 2)),
        (WARN, ERROR, (Verdict::NotProven, Outcome::Errored, 3)),
        (PASS, LEAVE_OUT, (Verdict::Met, Outcome::Passed, 0)),
        (FAIL, LEAVE_OUT, (Verdict::Unmet, Outcome::Failed, 2)),
    ];
    for (a, b, expected) in table {
        assert_eq!(judged(a, b), expected, "{a} and {b}");
        assert_eq!(judged(b, a), expected, "{b} and {a}");
    }
}

#[test]
fn a_criterion_whose_steps_do_not_apply_is_not_proven_and_harms_nothing() {
    let (verdict, _, code) = judged(LEAVE_OUT, LEAVE_OUT);
    assert_eq!((verdict, code), (Verdict::NotProven, 0));
}

#[test]
fn a_step_that_could_not_start_leaves_its_criterion_unproven() {
    let text = format!(
        "{}criteria: [{{ says: Well, proven_by: [b] }}]\n",
        procedure(&[("a", WARN), ("x", FAIL), ("b", &format!("needs: [x], {PASS}"))])
    );
    let ran = Run::of(&text).run();
    assert_eq!((ran.procedure().criteria[0].outcome, ran.exit), (Verdict::NotProven, Exit::Failed));
}

#[test]
fn steps_that_no_criterion_names_count_too() {
    let text = format!("{}criteria: [{{ says: Well, proven_by: [a] }}]\n", procedure(&[("a", PASS), ("b", FAIL)]));
    let ran = Run::of(&text).run();
    assert_eq!((ran.procedure().criteria[0].outcome, ran.exit), (Verdict::Met, Exit::Failed));
}

#[test]
fn a_criterion_can_ask_for_one_fact_and_the_others_still_count() {
    let step = "probe: { command: { run: ['false'] } }, expect: { exit: 0, stdout: not contains x }";
    let text = format!(
        "{}criteria: [{{ says: Quiet, proven_by: [a.stdout] }}, {{ says: Well, proven_by: [a.exit] }}]\n",
        procedure(&[("a", step)])
    );
    let ran = Run::of(&text).run();
    let verdicts: Vec<Verdict> = ran.procedure().criteria.iter().map(|criterion| criterion.outcome).collect();
    assert_eq!((verdicts, ran.exit), (vec![Verdict::Met, Verdict::Unmet], Exit::Failed));
    let text = text.replace(", { says: Well, proven_by: [a.exit] }", "");
    let ran = Run::of(&text).run();
    assert_eq!((ran.outcome_of("a"), ran.exit), (Outcome::Failed, Exit::Failed), "a failed step is not hidden");
}

#[test]
fn a_family_of_facts_proves_a_criterion_with_all_its_members() {
    let step =
        "probe: { command: { shell: 'echo ''{ \\\"a\\\": 1, \\\"b\\\": 2 }''' } }, expect: { json: { a: 1, b: 1 } }";
    let step = step.replace("\\\"", "\"");
    let text = format!(
        "{}criteria: [{{ says: A, proven_by: [a.json.a] }}, {{ says: B, proven_by: [a.json] }}]\n",
        procedure(&[("a", &step)])
    );
    let ran = Run::of(&text).run();
    let verdicts: Vec<Verdict> = ran.procedure().criteria.iter().map(|criterion| criterion.outcome).collect();
    assert_eq!(verdicts, [Verdict::Met, Verdict::Unmet]);
}

#[test]
fn an_expected_fact_that_is_missing_is_neither_met_nor_unmet() {
    let step = "probe: { command: { run: [echo, '{}'] } }, expect: { exit: 0, json: { queue.depth: not above 10 } }";
    let ran = Run::of(&procedure(&[("a", step)])).run();
    assert_eq!((ran.outcome_of("a"), ran.exit), (Outcome::Errored, Exit::CouldNotTell));
    assert!(ran.reason_of("a").contains("json.queue.depth"), "{}", ran.reason_of("a"));
    let checks = &ran.step("a").subjects[0].checks;
    assert!(checks.iter().any(|check| check.fact == "json.queue.depth" && check.met.is_none()), "{checks:?}");
}

#[test]
fn a_preferred_fact_that_is_missing_is_a_warning() {
    let step = "probe: { command: { run: [echo, '{}'] } }, expect: { exit: 0 }, prefer: { json: { a: 1 } }";
    let ran = Run::of(&procedure(&[("a", step)])).run();
    assert_eq!((ran.outcome_of("a"), ran.exit), (Outcome::Warned, Exit::Warned));
}
