//! One step: attempts, errors, evidence, history, selection.

use chrono::{Duration, Utc};
use futures_util::FutureExt;
use opsctl::model::event::EventKind;
use opsctl::model::expectation::Reading;
use opsctl::model::outcome::{Exit, Outcome};
use opsctl::model::unit::Quantity;

use super::{FAIL, PASS, Past, Run, WARN, procedure, shell};

/// Fails the first time, passes the second.
const SECOND: &str = "if [ -e tried ]; then exit 0; else touch tried; exit 7; fi";

#[test]
fn a_second_attempt_that_passes_tells_of_the_first() {
    let step = format!("retry: {{ times: 2, wait: 1ms }}, {}", shell(SECOND));
    let ran = Run::of(&procedure(&[("once", &step)])).run();
    assert_eq!((ran.exit, ran.step("once").attempts), (Exit::Ok, 2));
    let reason = ran.reason_of("once");
    assert!(reason.starts_with("attempt 2 of 3; first ") && reason.contains("exit 7, expected 0"), "{reason}");
    let failed: Vec<u32> = ran
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::AttemptFailed { attempt, reason, .. } if reason.contains("exit 7") => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(failed, [1], "an event for each attempt that is followed by another");
}

#[test]
fn attempts_end_and_the_last_one_counts() {
    let step = format!("retry: {{ times: 3, wait: 1ms }}, {FAIL}");
    let ran = Run::of(&procedure(&[("never", &step)])).run();
    assert_eq!((ran.exit, ran.step("never").attempts), (Exit::Failed, 4));
    assert!(ran.reason_of("never").contains("exit 1, expected 0"));
}

#[test]
fn only_the_outcome_that_retry_names_is_tried_again() {
    let on = |outcome: &str, step: &str| {
        let step = format!("retry: {{ times: 1, wait: 1ms, on: {outcome} }}, {step}");
        Run::of(&procedure(&[("a", &step)])).run().step("a").attempts
    };
    assert_eq!((on("failed", FAIL), on("errored", FAIL)), (2, 1));
    assert_eq!((on("failed", super::ERROR), on("errored", super::ERROR)), (1, 2));
    assert_eq!(on("failed", WARN), 1, "a warning is no failure");
}

#[test]
fn a_probe_that_breaks_down_is_an_error_of_its_step_alone() {
    let look = || async { panic!("a hole in the probe") }.boxed();
    let mut run = Run::of(&procedure(&[("broken", PASS)])).faking(None, look);
    let other = Run::of(&procedure(&[("well", PASS)]));
    run.procedures.push(other.procedures.into_iter().next().expect("one"));
    run.procedures[1].id = "daily/other".parse().expect("an id");
    let ran = run.run();
    assert_eq!((ran.outcome_of("broken"), ran.outcome_of("well")), (Outcome::Errored, Outcome::Passed));
    assert_eq!(ran.reason_of("broken"), "the command probe broke down: a hole in the probe");
    assert_eq!(ran.exit, Exit::CouldNotTell);
}

#[test]
fn what_one_look_of_a_gather_cannot_see_does_not_hide_the_others() {
    let step = "gather: [{ command: { run: [echo, seen] } }, { command: { run: [opsctl-no-such-program] } }]";
    let ran = Run::of(&procedure(&[("both", step)])).run();
    let subjects: Vec<(&str, bool)> =
        ran.step("both").subjects.iter().map(|subject| (subject.name.as_str(), subject.error.is_some())).collect();
    assert_eq!(subjects, [("echo seen", false), ("opsctl-no-such-program", true)]);
    assert_eq!(ran.outcome_of("both"), Outcome::Errored);
}

#[test]
fn a_file_and_a_command_are_judged_together() {
    let ran = Run::of(&procedure(&[
        ("write", &shell("printf 12345 > data")),
        ("size", "needs: [write], probe: { file: { path: data } }, expect: { exists: true, size: 5B }"),
        ("too-large", "needs: [write], probe: { file: { path: data } }, expect: { size: below 5B }"),
        ("not-there", "probe: { file: { path: nothing } }, expect: { exists: true }"),
    ]))
    .run();
    assert_eq!((ran.outcome_of("size"), ran.outcome_of("too-large")), (Outcome::Passed, Outcome::Failed));
    assert!(ran.reason_of("too-large").contains("size 5 B, expected below 5 B"), "{}", ran.reason_of("too-large"));
    assert_eq!(ran.outcome_of("not-there"), Outcome::Failed);
}

#[test]
fn a_server_that_is_not_there_is_a_failure_that_says_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let step = format!("probe: {{ http: {{ url: 'http://127.0.0.1:{port}/' }} }}, expect: {{ status: 200 }}");
    let ran = Run::of(&procedure(&[("home", &step)])).run();
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.reason_of("home").contains("refused"), "{}", ran.reason_of("home"));
}

const BY_PREVIOUS: &str = "probe: { command: { run: [echo] } }, expect: { exit: 0, took: at most 150% of previous }";

#[test]
fn without_a_past_a_condition_on_it_cannot_be_told() {
    let ran = Run::of(&procedure(&[("a", BY_PREVIOUS)])).run();
    assert_eq!((ran.outcome_of("a"), ran.exit), (Outcome::Errored, Exit::CouldNotTell));
    assert!(ran.reason_of("a").contains("no history yet"), "{}", ran.reason_of("a"));
}

#[test]
fn the_past_comes_from_the_journal() {
    let reading = Reading { at: Utc::now() - Duration::days(1), value: Quantity::seconds(1e6) };
    let readings = [(("echo".to_owned(), "took".to_owned()), vec![reading])].into_iter().collect();
    let past = Past { readings, since: None };
    let run = Run::of(&procedure(&[("a", BY_PREVIOUS)])).with(|settings| settings.history = std::sync::Arc::new(past));
    assert_eq!(run.run().exit, Exit::Ok);
}

#[test]
fn a_failure_tells_since_when_it_is_so() {
    let since = Utc::now() - Duration::days(3);
    let past = || std::sync::Arc::new(Past { since: Some(since), ..Past::default() });
    let ran = Run::of(&procedure(&[("a", FAIL), ("b", PASS)])).with(|settings| settings.history = past()).run();
    assert_eq!((ran.step("a").since, ran.step("b").since), (Some(since), None));
}
