//! Events, and the record that they fold into.

use std::time::Duration;

use chrono::{DateTime, Utc};
use opsctl::model::event::incident::{Delivered, Delivery, Escalation, Mark, Note, Rung};
use opsctl::model::event::{
    CriterionResult, Event, EventKind, ProcedurePlan, ProcedureResult, RunStart, StepPlan, StepResult, SubjectResult,
};
use opsctl::model::expectation::{Check, Level};
use opsctl::model::fact::{Evidence, Facts};
use opsctl::model::id::{ProcedureId, RunId, StepId};
use opsctl::model::outcome::{Exit, Outcome, Skip, Verdict};
use opsctl::model::record::{Record, Tally};
use opsctl::model::secret::Mask;
use opsctl::model::value::Value;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::any::{text, value};
use super::{cases, now};

fn step_id() -> impl Strategy<Value = StepId> {
    "[a-z0-9][a-z0-9_-]{0,12}".prop_map(|text| text.parse().expect("an id"))
}

fn procedure_id() -> impl Strategy<Value = ProcedureId> {
    "[a-z][a-z0-9-]{0,8}/[a-z][a-z0-9-]{0,8}".prop_map(|text| text.parse().expect("an id"))
}

fn time() -> impl Strategy<Value = DateTime<Utc>> {
    (0_i64..4_000_000_000, 0_u32..1_000_000_000).prop_map(|(s, ns)| DateTime::from_timestamp(s, ns).expect("a time"))
}

/// Up to a month, in microseconds: as exact as an event keeps it.
fn took() -> impl Strategy<Value = Duration> {
    (0_u64..2_600_000_000_000).prop_map(Duration::from_micros)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    select(&Outcome::ALL)
}

fn check() -> impl Strategy<Value = Check> {
    let level = select(&[Level::Expect, Level::Prefer]);
    (text(), level, text(), option::of(text()), option::of(any::<bool>()), option::of(text()))
        .prop_map(|(fact, level, expected, actual, met, note)| Check { fact, level, expected, actual, met, note })
}

fn subject() -> impl Strategy<Value = SubjectResult> {
    let facts = vec((text(), value()), 0..4).prop_map(|facts| facts.into_iter().collect::<Facts>());
    (text(), outcome(), option::of(text()), vec(text(), 0..2), facts, vec(check(), 0..3)).prop_map(
        |(name, outcome, error, notes, facts, checks)| SubjectResult { name, outcome, error, notes, facts, checks },
    )
}

fn step_result() -> impl Strategy<Value = StepResult> {
    let skip = option::of(select(&[Skip::Condition, Skip::Filter, Skip::Need, Skip::Stopped]));
    let evidence = (text(), vec(text(), 0..3), any::<u64>()).prop_map(|(title, lines, left_out)| Evidence {
        title,
        lines,
        rows: Vec::new(),
        left_out,
    });
    (
        (procedure_id(), step_id(), outcome(), took(), any::<u32>()),
        (option::of(text()), option::of(text()), skip, option::of(time())),
        (vec(subject(), 0..3), vec(evidence, 0..2)),
    )
        .prop_map(
            |((procedure, step, outcome, took, attempts), (reason, help, skip, since), (subjects, evidence))| {
                StepResult {
                    choice: None,
                    procedure,
                    step,
                    outcome,
                    took,
                    attempts,
                    reason,
                    help,
                    skip,
                    since,
                    subjects,
                    evidence,
                }
            },
        )
}

fn plan() -> impl Strategy<Value = ProcedurePlan> {
    let step =
        (step_id(), vec(text(), 4), option::of(text()), option::of(text())).prop_map(|(id, texts, why, next)| {
            let [title, kind, probe, at] = texts.try_into().expect("four texts");
            StepPlan { section: None, id, title, kind, probe, at, why, next }
        });
    (procedure_id(), text(), option::of(any::<u64>()), vec(text(), 0..3), vec(step, 0..3)).prop_map(
        |(id, title, budget_ms, criteria, steps)| ProcedurePlan {
            hash: String::new(),
            called_by: None,
            id,
            title,
            budget_ms,
            criteria,
            steps,
        },
    )
}

fn kind() -> impl Strategy<Value = EventKind> {
    let exit =
        || select(&[Exit::Ok, Exit::Warned, Exit::Failed, Exit::CouldNotTell, Exit::Interrupted, Exit::Terminated]);
    let start = (any::<u128>(), vec(text(), 6), vec(plan(), 0..3)).prop_map(|(run, texts, procedures)| {
        let [opsctl, site, command, host, operator, timezone] = texts.try_into().expect("six texts");
        let run = RunId(uuid::Uuid::from_u128(run));
        EventKind::RunStarted(RunStart {
            mode: opsctl::model::event::Mode::Check,
            incident: false,
            run,
            opsctl,
            site,
            command,
            host,
            operator,
            timezone,
            procedures,
        })
    });
    let criterion = (text(), select(&[Verdict::Met, Verdict::Unmet, Verdict::NotProven]), vec(text(), 0..3))
        .prop_map(|(says, outcome, proven_by)| CriterionResult { says, outcome, proven_by });
    let procedure =
        (procedure_id(), outcome(), took(), vec(criterion, 0..3)).prop_map(|(procedure, outcome, took, criteria)| {
            EventKind::ProcedureFinished(ProcedureResult { procedure, outcome, took, criteria })
        });
    prop_oneof![
        start,
        procedure_id().prop_map(|procedure| EventKind::ProcedureStarted { procedure }),
        (procedure_id(), step_id()).prop_map(|(procedure, step)| EventKind::StepStarted { procedure, step }),
        (procedure_id(), step_id(), any::<u32>(), text()).prop_map(|(procedure, step, attempt, reason)| {
            EventKind::AttemptFailed { procedure, step, attempt, reason }
        }),
        step_result().prop_map(|result| EventKind::StepFinished(Box::new(result))),
        procedure,
        told(),
        exit().prop_map(|exit| EventKind::Interrupted { exit }),
        (outcome(), exit()).prop_map(|(outcome, exit)| EventKind::RunFinished { outcome, exit }),
    ]
}

fn escalation() -> BoxedStrategy<Escalation> {
    let rung = (text(), option::of(text()), time(), option::of(time())).prop_map(|(to, address, due, deadline)| Rung {
        channel: to.clone(),
        instead_of: address.clone(),
        to,
        address,
        due,
        deadline,
    });
    let tracks = vec(vec(rung, 0..3), 0..3).boxed();
    (procedure_id(), step_id(), option::of(text()), time(), text(), tracks)
        .prop_map(|(procedure, step, item, since, text, tracks)| Escalation {
            procedure,
            step,
            severity: item.clone(),
            item,
            since,
            text,
            tracks,
        })
        .boxed()
}

/// Of an incident: points in time, notes, who was told.
fn told() -> BoxedStrategy<EventKind> {
    let mark = (text(), time(), text()).prop_map(|(name, at, by)| EventKind::Marked(Mark { name, at, by }));
    let note = (time(), text(), text(), option::of((procedure_id(), step_id())))
        .prop_map(|(at, by, text, step)| EventKind::Noted(Note { at, by, text, step, attachments: Vec::new() }));
    let states = select(&[Delivered::Sent, Delivered::ByHand, Delivered::Failed, Delivered::Waiting]);
    let delivery = (text(), states, option::of(text()))
        .prop_map(|(id, state, detail)| EventKind::MessageDelivered(Delivery { id, state, detail }));
    let queued = escalation()
        .prop_filter_map("nobody", |escalation| escalation.message(0, 0))
        .prop_map(|message| EventKind::MessageQueued(Box::new(message)));
    prop_oneof![
        mark,
        note,
        escalation().prop_map(|escalation| EventKind::Escalated(Box::new(escalation))),
        queued,
        delivery,
        text().prop_map(|by| EventKind::Acknowledged { by }),
    ]
    .boxed()
}

fn event() -> impl Strategy<Value = Event> {
    (any::<u64>(), time(), took(), kind()).prop_map(|(seq, at, elapsed, kind)| Event { seq, at, elapsed, kind })
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn an_event_is_the_same_after_a_journey_through_json(event in event()) {
        let json = serde_json::to_string(&event).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Event>(&json).expect("an event"), event);
    }

    /// Whatever order they come in, and whatever is missing among them.
    #[test]
    fn any_events_fold_into_a_record(events in vec(event(), 0..12)) {
        let record = Record::of(&events);
        let steps: usize = record.procedures.values().map(|procedure| procedure.steps.len()).sum();
        let tally = record.tally();
        let counted = tally.passed + tally.waived + tally.skipped + tally.pending + tally.warned + tally.errored
            + tally.failed + tally.unfinished;
        prop_assert_eq!(counted, steps);
    }
}

fn planned(steps: &[&str]) -> EventKind {
    let step = |id: &&str| StepPlan {
        section: None,
        id: id.parse().expect("an id"),
        title: (*id).to_owned(),
        kind: "probe".to_owned(),
        probe: "disk".to_owned(),
        at: "a.yaml:1".to_owned(),
        why: None,
        next: None,
    };
    let id: ProcedureId = "daily/check".parse().expect("an id");
    let procedure = ProcedurePlan {
        hash: String::new(),
        called_by: None,
        id,
        title: "Check".to_owned(),
        budget_ms: None,
        criteria: vec!["There is room".to_owned()],
        steps: steps.iter().map(step).collect(),
    };
    EventKind::RunStarted(RunStart {
        mode: opsctl::model::event::Mode::Check,
        incident: false,
        run: RunId(uuid::Uuid::nil()),
        opsctl: "0.1.0".to_owned(),
        site: "test".to_owned(),
        command: "daily check".to_owned(),
        host: "host".to_owned(),
        operator: "root".to_owned(),
        timezone: "UTC".to_owned(),
        procedures: vec![procedure],
    })
}

fn finished(step: &str, outcome: Outcome) -> EventKind {
    EventKind::StepFinished(Box::new(StepResult {
        choice: None,
        procedure: "daily/check".parse().expect("an id"),
        step: step.parse().expect("an id"),
        outcome,
        took: Duration::ZERO,
        attempts: 1,
        reason: None,
        help: None,
        skip: None,
        since: None,
        subjects: Vec::new(),
        evidence: Vec::new(),
    }))
}

fn numbered(kinds: Vec<EventKind>) -> Vec<Event> {
    (1_u64..).zip(kinds).map(|(seq, kind)| Event { seq, at: now(), elapsed: Duration::from_secs(seq), kind }).collect()
}

#[test]
fn a_run_that_was_killed_is_unfinished_and_proves_nothing() {
    let record = Record::of(&numbered(vec![planned(&["one", "two"]), finished("two", Outcome::Passed)]));
    assert_eq!(record.finished, None);
    assert_eq!(record.tally(), Tally { passed: 1, unfinished: 1, not_proven: 1, ..Tally::default() });
    let order: Vec<&str> = record.procedures[0].steps.keys().map(StepId::as_str).collect();
    assert_eq!(order, ["one", "two"], "the order of the document, whatever finished first");
}

#[test]
fn the_record_of_a_whole_run_counts_steps_and_criteria() {
    let criteria = vec![CriterionResult {
        says: "There is room".to_owned(),
        outcome: Verdict::Unmet,
        proven_by: vec!["one".to_owned()],
    }];
    let result = ProcedureResult {
        procedure: "daily/check".parse().expect("an id"),
        outcome: Outcome::Failed,
        took: Duration::from_secs(2),
        criteria,
    };
    let record = Record::of(&numbered(vec![
        planned(&["one", "two"]),
        finished("one", Outcome::Failed),
        finished("two", Outcome::Warned),
        EventKind::ProcedureFinished(result),
        EventKind::RunFinished { outcome: Outcome::Failed, exit: Exit::Failed },
    ]));
    assert_eq!(record.finished, Some((Outcome::Failed, Exit::Failed)));
    assert_eq!(record.tally(), Tally { failed: 1, warned: 1, unmet: 1, ..Tally::default() });
    assert_eq!(record.took, Duration::from_secs(5));
}

/// The stored form is what other programs read: its words do not change by accident.
#[test]
fn the_stored_form_of_a_result_is_flat_and_leaves_out_what_is_not_there() {
    let mut kind = finished("one", Outcome::Failed);
    if let EventKind::StepFinished(result) = &mut kind {
        result.took = Duration::from_micros(1500);
        result.subjects.push(SubjectResult {
            name: "/".to_owned(),
            outcome: Outcome::Failed,
            error: None,
            notes: Vec::new(),
            facts: Facts::from_iter([("free".to_owned(), Value::percent(3.5))]),
            checks: vec![Check {
                fact: "free".to_owned(),
                level: Level::Expect,
                expected: "above 20 %".to_owned(),
                actual: Some("3.5 %".to_owned()),
                met: Some(false),
                note: None,
            }],
        });
    }
    let event = Event { seq: 2, at: now(), elapsed: Duration::from_secs(1), kind };
    assert_eq!(
        serde_json::to_value(event).expect("JSON"),
        serde_json::json!({
            "seq": 2, "at": "2026-03-29T12:00:00Z", "elapsed_ms": 1000.0, "event": "step_finished",
            "procedure": "daily/check", "step": "one", "outcome": "failed", "took_ms": 1.5, "attempts": 1,
            "subjects": [{
                "name": "/", "outcome": "failed", "facts": {"free": {"value": 3.5, "unit": "%"}},
                "checks": [{"fact": "free", "level": "expect", "expected": "above 20 %", "actual": "3.5 %", "met": false}],
            }],
            "evidence": [],
        })
    );
}

#[test]
fn a_masked_event_has_no_secret_in_any_text_and_the_same_ids() {
    let mask = Mask::default();
    mask.add("passed");
    mask.add("hunter22");
    mask.add("20260329");
    let mut kind = finished("passed", Outcome::Passed);
    let EventKind::StepFinished(result) = &mut kind else { unreachable!() };
    let secret = || "a hunter22 b".to_owned();
    (result.reason, result.help) = (Some(secret()), Some(secret()));
    result.evidence = vec![Evidence::new(secret(), vec![secret()])];
    result.subjects.push(SubjectResult {
        name: secret(),
        outcome: Outcome::Passed,
        error: Some(secret()),
        notes: vec![secret()],
        facts: Facts::from_iter([
            ("json.hunter22".to_owned(), Value::List(vec![Value::text(secret()), Value::Integer(7)])),
            ("number".to_owned(), Value::Integer(20_260_329)),
        ]),
        checks: vec![Check {
            fact: "json.hunter22".to_owned(),
            level: Level::Expect,
            expected: "contains hunter22".to_owned(),
            actual: Some(secret()),
            met: Some(true),
            note: Some(secret()),
        }],
    });
    let mut event = Event { seq: 1, at: now(), elapsed: Duration::ZERO, kind };
    event.mask(&mask);
    let json = serde_json::to_string(&event).expect("JSON");
    assert!(!json.contains("hunter22") && !json.contains("20260329"), "{json}");
    let EventKind::StepFinished(result) = &event.kind else { unreachable!() };
    assert_eq!((result.step.as_str(), result.outcome), ("passed", Outcome::Passed));
    assert_eq!(result.subjects[0].facts["json.***"], Value::List(vec![Value::text("a *** b"), Value::Integer(7)]));
}

#[test]
fn the_masked_start_of_a_run_has_no_secret_in_any_text() {
    let EventKind::RunStarted(mut start) = planned(&["one"]) else { unreachable!() };
    for text in [&mut start.site, &mut start.command, &mut start.host, &mut start.operator] {
        text.push_str(" hunter22");
    }
    let procedure = &mut start.procedures[0];
    procedure.title.push_str("hunter22");
    procedure.criteria[0].push_str("hunter22");
    let step = &mut procedure.steps[0];
    (step.why, step.next) = (Some("hunter22".to_owned()), Some("hunter22".to_owned()));
    step.title.push_str("hunter22");
    let mask = Mask::default();
    mask.add("hunter22");
    let mut event = Event { seq: 1, at: now(), elapsed: Duration::ZERO, kind: EventKind::RunStarted(start) };
    event.mask(&mask);
    let json = serde_json::to_string(&event).expect("JSON");
    assert!(!json.contains("hunter22"), "{json}");
}
