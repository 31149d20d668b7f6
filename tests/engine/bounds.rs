//! How much runs at the same time, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use opsctl::model::fact::{Observation, Subject};
use opsctl::model::outcome::{Exit, Outcome, Skip};
use opsctl::model::value::Value;
use opsctl::probe::ProbeError;
use opsctl::procedure::document::Made;
use tokio::sync::Barrier;

use super::{Fake, PASS, Run, procedure, shell};
use crate::support::server::wait_until;

/// Looks that end only when `together` of them run at the same time; counts how many do.
fn meeting(
    together: usize,
) -> (Arc<AtomicUsize>, impl Fn() -> BoxFuture<'static, Result<Observation, ProbeError>> + Clone) {
    let (most, now) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let barrier = Arc::new(Barrier::new(together));
    let seen = Arc::clone(&most);
    let look = move || {
        let (most, now, barrier) = (Arc::clone(&most), Arc::clone(&now), Arc::clone(&barrier));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            barrier.wait().await;
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(Subject::new("fake").with("exit", Value::Integer(0)).into())
        }
        .boxed()
    };
    (seen, look)
}

fn steps(count: usize) -> String {
    let ids: Vec<String> = (0..count).map(|number| format!("step-{number}")).collect();
    procedure(&ids.iter().map(|id| (id.as_str(), PASS)).collect::<Vec<_>>())
}

#[test]
fn as_many_looks_run_at_the_same_time_as_asked_for_and_no_more() {
    let (most, look) = meeting(8);
    let ran = Run::of(&steps(24)).faking(None, look).run();
    assert_eq!((ran.exit, most.load(Ordering::SeqCst)), (Exit::Ok, 8));
}

#[test]
fn one_at_a_time_is_one_at_a_time_in_the_order_of_the_document() {
    let (most, look) = meeting(1);
    let ran = Run::of(&steps(5)).with(|settings| settings.parallel = 1).faking(None, look).run();
    assert_eq!((ran.exit, most.load(Ordering::SeqCst)), (Exit::Ok, 1));
    assert_eq!(ran.started(), ["step-0", "step-1", "step-2", "step-3", "step-4"]);
}

#[test]
fn two_looks_at_one_host_run_at_the_same_time_and_no_more() {
    let (most, look) = meeting(2);
    let ran = Run::of(&steps(10)).faking(Some("host"), look).run();
    assert_eq!((ran.exit, most.load(Ordering::SeqCst)), (Exit::Ok, 2));
}

#[test]
fn a_busy_host_does_not_hold_up_steps_that_look_elsewhere() {
    // The two looks at the host end only when another one has begun.
    let (_, look) = meeting(3);
    let mut run = Run::of(&steps(6)).faking(Some("host"), look.clone());
    for step in &mut run.procedures[0].steps[3..] {
        step.looks[0].made = Made::Ready(Arc::new(Fake { look: Box::new(look.clone()), resource: None }));
    }
    assert_eq!(run.run().exit, Exit::Ok);
}

#[test]
fn a_step_that_takes_too_long_is_ended_with_all_that_it_started() {
    let line = "sleep 1000 & echo $$ $! > pids; wait";
    let ran = Run::of(&procedure(&[("slow", &format!("timeout: 3s, {}", shell(line))), ("other", PASS)])).run();
    assert_eq!((ran.outcome_of("slow"), ran.outcome_of("other")), (Outcome::Errored, Outcome::Passed));
    assert!(ran.reason_of("slow").contains("did not end within 3 s"), "{}", ran.reason_of("slow"));
    let pids = std::fs::read_to_string(ran.case.path().join("pids")).expect("it ran");
    for pid in pids.split_whitespace() {
        let stat = format!("/proc/{pid}/stat");
        let runs = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        wait_until("the end of the process", || !runs());
    }
    assert_eq!(ran.exit, Exit::CouldNotTell);
}

#[test]
fn a_look_that_does_not_heed_its_limit_is_given_up() {
    let look = || futures_util::future::pending().boxed();
    let ran = Run::of(&procedure(&[("slow", &format!("timeout: 10ms, {PASS}"))])).faking(None, look).run();
    assert_eq!(ran.outcome_of("slow"), Outcome::Errored);
    assert_eq!(ran.reason_of("slow"), "fake took longer than 10 ms");
    assert!(ran.step("slow").help.as_ref().is_some_and(|help| help.contains("timeout")));
}

#[test]
fn nothing_looks_beyond_the_budget_however_long_it_waited_for_its_turn() {
    let text = format!("budget: 1s\n{}", procedure(&[("one", PASS), ("two", PASS), ("three", PASS)]));
    let look = || futures_util::future::pending().boxed();
    let ran = Run::of(&text).with(|settings| settings.parallel = 1).faking(None, look).run();
    let seen = ["one", "two", "three"].map(|id| (ran.outcome_of(id), ran.step(id).skip));
    let spent = (Outcome::Skipped, Some(Skip::Stopped));
    assert_eq!(seen, [(Outcome::Errored, None), spent, spent]);
    assert_eq!(ran.reason_of("two"), "the procedure's budget was spent");
    assert_eq!((ran.exit, ran.started()), (Exit::CouldNotTell, vec!["one"]));
}

#[test]
fn no_attempt_begins_beyond_the_budget() {
    let step = format!("retry: {{ times: 20, wait: 1h }}, {PASS}");
    let look = || async { Err(ProbeError::new("io", "nothing there")) }.boxed();
    let ran = Run::of(&format!("budget: 1m\n{}", procedure(&[("one", &step)]))).faking(None, look).run();
    assert_eq!((ran.step("one").attempts, ran.outcome_of("one")), (1, Outcome::Errored));
}
