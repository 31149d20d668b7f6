//! A run that is asked to end early.

use opsctl::model::event::EventKind;
use opsctl::model::outcome::{Exit, Outcome, Skip};

use super::{PASS, Ran, Run, procedure, shell};
use crate::support::server::wait_until;

/// Runs until the file `started` is there, then stops.
fn stopped(text: &str, parallel: usize, exit: Exit) -> Ran {
    let run = Run::of(text).with(|settings| settings.parallel = parallel);
    let started = run.case.path().join("started");
    run.run_beside(move |stop| {
        wait_until("the first step", || started.exists());
        stop.now(exit);
    })
}

#[test]
fn what_runs_is_given_up_and_what_waits_is_skipped() {
    let ran = stopped(
        &procedure(&[
            ("done", PASS),
            ("running", &format!("needs: [done], {}", shell("touch started; sleep 1000"))),
            ("after", &format!("needs: [running], {PASS}")),
        ]),
        8,
        Exit::Interrupted,
    );
    assert_eq!((ran.exit, ran.exit.code()), (Exit::Interrupted, 130));
    let seen = ["done", "running", "after"].map(|id| (ran.outcome_of(id), ran.step(id).skip));
    let stopped = (Outcome::Skipped, Some(Skip::Stopped));
    assert_eq!(seen, [(Outcome::Passed, None), stopped, stopped]);
    assert_eq!(ran.reason_of("running"), "the run was interrupted while it looked");
    assert_eq!(ran.reason_of("after"), "the run was interrupted");
    assert_eq!(ran.record().interrupted, Some(Exit::Interrupted));
}

#[test]
fn no_step_starts_after_the_interruption_even_if_it_only_waited_for_its_turn() {
    let ran = stopped(
        &procedure(&[("one", &shell("touch started; sleep 1000")), ("two", PASS), ("three", PASS)]),
        1,
        Exit::Terminated,
    );
    let interrupted = ran.events.iter().position(|event| matches!(event.kind, EventKind::Interrupted { .. }));
    let after = &ran.events[interrupted.expect("an event that tells of it")..];
    assert!(!after.iter().any(|event| matches!(event.kind, EventKind::StepStarted { .. })), "{after:?}");
    assert_eq!((ran.started(), ran.exit.code()), (vec!["one"], 143));
    assert_eq!(ran.reason_of("three"), "the run was interrupted");
}

#[test]
fn waiting_for_the_next_attempt_ends_with_the_run() {
    let step = format!("retry: {{ times: 3, wait: 1h }}, {}", shell("touch started; exit 1"));
    let ran = stopped(&procedure(&[("one", &step), ("two", &format!("needs: [one], {PASS}"))]), 8, Exit::Interrupted);
    assert_eq!((ran.outcome_of("two"), ran.exit), (Outcome::Skipped, Exit::Interrupted));
}

#[test]
fn the_first_signal_says_how_the_run_exits() {
    let run = Run::of(&procedure(&[("one", &shell("touch started; sleep 1000"))]));
    let started = run.case.path().join("started");
    let ran = run.run_beside(move |stop| {
        wait_until("the first step", || started.exists());
        stop.now(Exit::Terminated);
        stop.now(Exit::Interrupted);
    });
    assert_eq!(ran.exit, Exit::Terminated);
}

#[test]
fn a_command_that_runs_is_ended_with_the_run() {
    let ran = stopped(&procedure(&[("one", &shell("echo $$ > pid; touch started; sleep 1000"))]), 8, Exit::Interrupted);
    let pid = std::fs::read_to_string(ran.case.path().join("pid")).expect("it ran");
    let stat = format!("/proc/{}/stat", pid.trim());
    let runs = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    wait_until("the end of the process", || !runs());
}
