//! The certificate probe against Apache, nginx, OpenSSL, mail servers and databases, with authorities of its own.

use std::path::Path;
use std::time::Duration;

use opsctl::model::fact::{Observation, Subject};
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::support::look::Look;
use crate::support::web::apache;

mod chain;
mod file;
mod server;

/// For servers that let the time run out.
const SHORT: Duration = Duration::from_secs(2);

/// A look at a port of localhost over IPv4, with `ca` as the only authority.
fn look(port: u16, ca: &Path, more: &Json) -> Look {
    let mut inputs = json!({ "host": format!("localhost:{port}"), "ca": ca, "address": "4" });
    for (name, value) in more.as_object().expect("a mapping") {
        inputs[name] = value.clone();
    }
    Look::new("certificate", inputs)
}

/// The same with the authority of Apache's certificates.
fn at_apache(port: u16) -> Subject {
    look(port, &apache().ca, &json!({})).subject()
}

#[track_caller]
fn text(subject: &Subject, name: &str) -> String {
    subject.facts.get(name).unwrap_or_else(|| panic!("no `{name}` in {subject:?}")).to_string()
}

#[track_caller]
fn is(subject: &Subject, name: &str) -> bool {
    match subject.facts.get(name) {
        Some(Value::Bool(flag)) => *flag,
        other => panic!("`{name}` is {other:?} in {subject:?}"),
    }
}

fn has(subject: &Subject, name: &str) -> bool {
    subject.facts.contains_key(name)
}

fn days(subject: &Subject, name: &str) -> f64 {
    subject.facts[name].number_in(Dimension::Time).expect("a duration") / 86_400.0
}

/// The only subject, with the lines of its evidence.
fn with_lines(seen: Observation) -> (Subject, Vec<String>) {
    let lines = seen.evidence.into_iter().flat_map(|evidence| evidence.lines).collect();
    (seen.subjects.into_iter().next().expect("a subject"), lines)
}
