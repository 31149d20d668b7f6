//! The model: what is compared, judged and kept, example by example and by properties.

use chrono::{DateTime, Utc};
use opsctl::model::condition::Condition;
use opsctl::model::expectation::{Baseline, Check, Expectation, Level, NoHistory};
use opsctl::model::fact::{FactType, Subject};
use opsctl::model::value::Value;
use proptest::test_runner::Config;

mod any;
mod conditions;
mod events;
mod history;
mod judging;
mod outcomes;
mod secrets;
mod values;

/// As many cases as asked for; a failing one is printed, not kept in a file.
pub fn cases(count: u32) -> Config {
    Config { cases: count, failure_persistence: None, ..Config::default() }
}

fn now() -> DateTime<Utc> {
    "2026-03-29T12:00:00Z".parse().expect("a date")
}

fn parse(text: &str, ty: FactType) -> Condition {
    Condition::parse(text, ty).unwrap_or_else(|error| panic!("`{text}` for {ty:?}: {error}; {}", error.help))
}

/// `condition` judged on a fact of that value, or on a subject without the fact.
fn judged(condition: Condition, value: Option<Value>, past: &dyn Baseline) -> Check {
    let mut subject = Subject::new("disk");
    if let Some(value) = value {
        subject.set("fact", value);
    }
    Expectation { level: Level::Expect, fact: "fact".into(), condition }.check(&subject, past)
}

/// Whether `value` meets the condition; `None` when that cannot be told.
fn met(condition: &str, ty: FactType, value: Value) -> Option<bool> {
    judged(parse(condition, ty), Some(value), &NoHistory(now())).met
}
