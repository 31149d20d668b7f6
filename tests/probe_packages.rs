//! Packages that could be newer: apt and dnf on disposable machines with archives of their own, pip and npm with indexes
//! on loopback.

mod apt;
mod dnf;
mod npm;
mod pip;

use opsctl::model::fact::{Observation, Subject};
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::support::look::Look;

fn seen(inputs: Json) -> Observation {
    Look::new("packages", inputs).run().expect("a look that succeeds")
}

#[track_caller]
fn count(subject: &Subject, fact: &str) -> i64 {
    match subject.facts.get(fact) {
        Some(Value::Integer(count)) => *count,
        other => panic!("`{fact}` is {other:?} in {subject:?}"),
    }
}

#[track_caller]
fn seconds(subject: &Subject, fact: &str) -> f64 {
    let value = subject.facts.get(fact).and_then(|value| value.number_in(Dimension::Time));
    value.unwrap_or_else(|| panic!("no `{fact}` in {subject:?}"))
}

fn lines(seen: &Observation) -> Vec<&str> {
    seen.evidence.iter().flat_map(|evidence| evidence.lines.iter().map(String::as_str)).collect()
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    let wrong = |inputs| Look::new("packages", inputs).build().err().expect("wrong inputs").message;
    assert_eq!(wrong(json!({"manager": "pip"})), "pip needs the virtual environment that is looked at");
    assert_eq!(
        wrong(json!({"manager": "npm", "environment": "/a"})),
        "npm needs the folder of the project that is looked at"
    );
    assert_eq!(wrong(json!({"environment": "/a"})), "`environment` is for pip and `folder` for npm");
}
