//! The stored form of an event.

use std::time::Duration;

use chrono::DateTime;
use opsctl::model::event::{Event, EventKind, StepResult, SubjectResult};
use opsctl::model::fact::Evidence;
use opsctl::model::outcome::{Exit, Outcome, Skip};
use opsctl::model::unit::Quantity;
use opsctl::model::value::Value;
use proptest::prelude::*;

use super::{minute, procedure, step};

fn any_value() -> impl Strategy<Value = Value> {
    let number = -1e15_f64..1e15;
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        any::<u64>().prop_map(Value::count),
        number.clone().prop_map(|amount| Value::Number(Quantity::count(amount))),
        number.clone().prop_map(|amount| Value::Number(Quantity::seconds(amount))),
        number.clone().prop_map(|amount| Value::Number(Quantity::per_minute(amount))),
        number.prop_map(|amount| Value::Number(Quantity::bytes_per_second(amount))),
        (0..u64::MAX / 2, 1..u64::MAX / 2).prop_map(|(part, whole)| Value::share(part, whole)),
        ".*".prop_map(Value::Text),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::List))
}

fn any_kind() -> impl Strategy<Value = EventKind> {
    let facts = prop::collection::vec(("[a-z.]{1,8}", any_value()), 0..4);
    let finished =
        ("\\PC*", prop::option::of(".*"), 0_u64..1 << 41, facts, prop::sample::select(Outcome::ALL.to_vec()));
    prop_oneof![
        (any::<u32>(), ".*").prop_map(|(attempt, reason)| EventKind::AttemptFailed {
            procedure: procedure("daily/check"),
            step: step("disks"),
            attempt,
            reason,
        }),
        finished.prop_map(|(name, reason, took, facts, outcome)| {
            EventKind::StepFinished(Box::new(StepResult {
                choice: None,
                procedure: procedure("daily/check"),
                step: step("disks"),
                outcome,
                took: Duration::from_micros(took),
                attempts: 2,
                reason: reason.clone(),
                help: None,
                skip: Some(Skip::Need),
                since: Some(minute(1)),
                subjects: vec![SubjectResult {
                    name,
                    outcome,
                    error: reason,
                    notes: Vec::new(),
                    facts: facts.into_iter().collect(),
                    checks: Vec::new(),
                }],
                evidence: vec![Evidence { title: String::new(), lines: Vec::new(), rows: Vec::new(), left_out: took }],
            }))
        }),
        prop::sample::select(Outcome::ALL.to_vec())
            .prop_map(|outcome| EventKind::RunFinished { outcome, exit: Exit::of(outcome, None) }),
        Just(EventKind::Interrupted { exit: Exit::Terminated }),
    ]
}

proptest! {
    #[test]
    fn the_stored_text_of_an_event_is_the_event_to_the_microsecond(
        seq in 1_u64..1 << 53,
        micros in 0_i64..4_000_000_000_000_000,
        elapsed in 0_u64..1 << 41,
        kind in any_kind(),
    ) {
        let at = DateTime::from_timestamp_micros(micros).expect("a time");
        let event = Event { seq, at, elapsed: Duration::from_micros(elapsed), kind };
        let text = serde_json::to_string(&event).expect("JSON");
        prop_assert!(!text.contains('\n'), "one line, so that a shell can read it: {text}");
        prop_assert_eq!(serde_json::from_str::<Event>(&text).expect("an event"), event);
    }
}
