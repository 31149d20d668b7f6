//! The metric probe against a real Prometheus, expositions, JSON and databases.

use chrono::{DateTime, TimeDelta, Utc};
use opsctl::model::condition::Condition;
use opsctl::model::expectation::{Baseline, Expectation, Level, NoHistory, Reading};
use opsctl::model::fact::{FactType, Subject};
use opsctl::model::outcome::Outcome;
use opsctl::model::unit::{Dimension, Quantity};
use opsctl::model::value::Value;
use opsctl::probe::ProbeError;
use serde_json::{Value as Json, json};

use crate::engine::Run;
use crate::support::look::Look;
use crate::support::prometheus::shared;
use crate::support::server::{free_port, wait_until};

mod login;
mod ratio;
mod sources;
mod trouble;
mod window;

fn look(inputs: Json) -> Look {
    Look::new("metric", inputs)
}

/// `query` of the Prometheus of all tests.
fn ask(query: &str) -> Look {
    look(json!({ "prometheus": shared().url, "query": query }))
}

fn all(look: &Look) -> Vec<Subject> {
    look.run().expect("a look that succeeds").subjects
}

#[track_caller]
fn fact<'s>(subject: &'s Subject, name: &str) -> &'s Value {
    subject.facts.get(name).unwrap_or_else(|| panic!("no `{name}` in {subject:?}"))
}

#[track_caller]
fn number_in(subject: &Subject, name: &str, dimension: Dimension) -> f64 {
    fact(subject, name).number_in(dimension).unwrap_or_else(|| panic!("`{name}` of another kind in {subject:?}"))
}

#[track_caller]
fn number(subject: &Subject, name: &str) -> f64 {
    number_in(subject, name, Dimension::Count)
}

#[track_caller]
fn value(subject: &Subject) -> f64 {
    number(subject, "value")
}

fn has(subject: &Subject, name: &str) -> bool {
    subject.facts.contains_key(name)
}

#[track_caller]
fn error(look: &Look) -> ProbeError {
    look.run().expect_err("nothing could be seen")
}

/// Whether the condition holds of the fact; none if that cannot be told.
fn met(subject: &Subject, fact: &str, condition: &str) -> Option<bool> {
    met_after(&NoHistory(Utc::now()), subject, fact, condition)
}

fn met_after(past: &dyn Baseline, subject: &Subject, fact: &str, condition: &str) -> Option<bool> {
    let condition = Condition::parse(condition, FactType::Any).expect("a condition");
    let expectation = Expectation { level: Level::Expect, fact: fact.into(), condition };
    expectation.check(subject, past).met
}

/// The same number in each of 14 earlier runs, one a day.
struct Fortnight(Vec<Reading>);

impl Fortnight {
    fn of(value: Quantity) -> Self {
        Self((1..=14).map(|days| Reading { at: Utc::now() - TimeDelta::days(days), value }).collect())
    }
}

impl Baseline for Fortnight {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn earlier(&self, subject: &str, _fact: &str) -> &[Reading] {
        if subject == "sum(queue_depth)" { &self.0 } else { &[] }
    }
}

#[test]
fn a_query_gives_one_number_that_is_called_like_the_query() {
    let look = ask("sum(queue_depth)");
    let seen = look.subject();
    assert_eq!(seen.name, "sum(queue_depth)");
    assert_eq!(fact(&seen, "answers"), &Value::Bool(true));
    assert_eq!((value(&seen), number(&seen, "series")), (12.5, 1.0));
    for missing in ["average", "p95", "increase", "rate", "last", "samples", "ratio", "newest_age"] {
        assert!(!has(&seen, missing), "{missing} in {seen:?}");
    }
    assert!(seen.notes.is_empty(), "{seen:?}");
    let probe = look.build().expect("a probe");
    assert_eq!(probe.target(), format!("{}: sum(queue_depth)", shared().url));
    assert_eq!(probe.resource().map(|resource| format!("http://{resource}")), Some(shared().url.clone()));
}

#[test]
fn several_series_are_one_result_each_named_by_their_labels() {
    let seen = all(&ask("sum by (queue) (queue_depth)"));
    let seen: Vec<_> = seen.iter().map(|one| (one.name.as_str(), value(one), number(one, "series"))).collect();
    assert_eq!(seen, [(r#"{queue="mail"}"#, 12.5, 2.0), (r#"{queue="print"}"#, 0.0, 2.0)]);
    let named = format!(r#"queue_depth{{instance="127.0.0.1:{}",job="shop",queue="print"}}"#, shared().target.port);
    assert_eq!(ask(r#"queue_depth{queue="print"}"#).subject().name, named);
}

#[test]
fn numbers_are_not_cut_to_integers() {
    let seen = ask("vector(1.9)").subject();
    assert_eq!(met(&seen, "value", "at most 1.2"), Some(false));
    assert_eq!(met(&seen, "value", "at most 1.9"), Some(true));
    assert_eq!(value(&ask("1.9").subject()), 1.9, "a scalar is a number too");
}

#[test]
fn what_a_query_does_not_find_is_missing_and_never_zero() {
    let seen = ask(r#"queue_depth{queue="none"}"#).subject();
    assert_eq!((fact(&seen, "answers"), number(&seen, "series")), (&Value::Bool(true), 0.0));
    for condition in ["at most 10", "0", "at least 0", "not 5"] {
        assert_eq!(met(&seen, "value", condition), None, "{condition}");
    }
    assert!(seen.notes[0].contains("finds nothing"), "{seen:?}");
    assert_eq!(seen.name, r#"queue_depth{queue="none"}"#);
}

#[test]
fn a_step_could_not_tell_what_was_not_found_and_fails_when_nobody_answers() {
    let outcome = |url: &str, query: &str| {
        let look = json!({ "metric": { "prometheus": url, "query": query } });
        let step = format!("{{ id: number, probe: {look}, expect: {{ value: at most 20 }} }}");
        Run::of(&format!("title: A number\nsteps:\n  - {step}\n")).run().outcome
    };
    let gone = format!("http://127.0.0.1:{}", free_port());
    assert_eq!(outcome(&shared().url, "sum(queue_depth)"), Outcome::Passed);
    assert_eq!(outcome(&shared().url, "sum(queue_depth) * 2"), Outcome::Failed);
    assert_eq!(outcome(&shared().url, "none_such"), Outcome::Errored);
    assert_eq!(outcome(&shared().url, "vector(0) / 0"), Outcome::Errored);
    assert_eq!(outcome(&gone, "sum(queue_depth)"), Outcome::Failed);
}

#[test]
fn what_is_no_finite_number_is_said_as_such_and_satisfies_nothing() {
    for (query, said) in [("vector(0) / 0", "NaN"), ("vector(1) / 0", "+Inf"), ("vector(-1) / 0", "-Inf")] {
        let seen = ask(query).subject();
        assert_eq!(fact(&seen, "value"), &Value::text(said), "{query}");
        for condition in ["at most 10", "above 10", "not above 10", "0..1"] {
            assert_eq!(met(&seen, "value", condition), None, "{query} {condition}");
        }
    }
}

#[test]
fn a_unit_makes_limits_with_units_fit() {
    let with =
        |unit: &str| look(json!({ "prometheus": shared().url, "query": "vector(0.25)", "unit": unit })).subject();
    for (unit, condition, shown) in [
        ("s", "below 300ms", "250 ms"),
        ("ms", "below 1ms", "0.25 ms"),
        ("ratio", "25%", "25 %"),
        ("%", "below 1%", "0.25 %"),
        ("GiB", "256MiB", "256 MiB"),
        ("/s", "15/min", "15/min"),
        ("/min", "below 1/min", "0.25/min"),
        ("us", "below 1ms", "0 ms"),
    ] {
        let seen = with(unit);
        assert_eq!(met(&seen, "value", condition), Some(true), "{unit}: {seen:?}");
        assert_eq!(fact(&seen, "value").to_string(), shown, "{unit}");
    }
    assert_eq!(met(&with("s"), "value", "below 1"), None, "a duration is no bare number");
}

#[test]
fn a_number_can_be_compared_with_what_it_was_in_earlier_runs() {
    let inputs = json!({ "prometheus": shared().url, "query": "sum(queue_depth)", "window": "10m", "step": "1s",
                         "unit": "ms" });
    let look = look(inputs);
    wait_until("a second with a sample", || has(&look.subject(), "average"));
    let seen = look.subject();
    for fact in ["value", "average", "p95"] {
        let after =
            |earlier| met_after(&Fortnight::of(Quantity::seconds(earlier)), &seen, fact, "within 30% of median(14)");
        assert_eq!((after(0.011), after(0.006), after(0.03)), (Some(true), Some(false), Some(false)), "{fact}");
    }
    let grown = Fortnight::of(Quantity::seconds(0.010));
    assert_eq!(met_after(&grown, &seen, "value", "at most 120% of previous"), Some(false));
    assert_eq!(met(&seen, "value", "within 30% of median(14)"), None, "no history yet");
    let other = Fortnight::of(Quantity::count(12.0));
    assert_eq!(met_after(&other, &seen, "value", "within 30% of previous"), None, "it was counted in something else");
}

#[test]
fn a_series_that_stopped_is_not_its_last_value() {
    let inputs = json!({ "prometheus": shared().url, "query": "stopped", "window": "1h" });
    let seen = look(inputs).subject();
    assert_eq!(met(&seen, "value", "at most 100"), None);
    assert_eq!((number(&seen, "last"), number(&seen, "samples")), (8.0, 2.0));
    assert!(number_in(&seen, "newest_age", Dimension::Time) >= 1200.0, "{seen:?}");
    assert!(seen.notes.iter().any(|note| note.contains("no value any more")), "{seen:?}");
}

#[test]
fn a_number_that_a_program_no_longer_exposes_is_missing_although_it_was_there_a_moment_ago() {
    let gone = |seen: &[Subject]| seen.iter().all(|one| !has(one, "value"));
    let now = || all(&ask("vanishing"));
    wait_until("the number", || !gone(&now()));
    shared().changing.set("other 1\n");
    wait_until("the end of the number", || gone(&now()));
    let seen = look(json!({ "prometheus": shared().url, "query": "vanishing", "window": "10m" })).subject();
    assert_eq!((has(&seen, "value"), number(&seen, "last"), number(&seen, "maximum")), (false, 4.0, 4.0));
}
