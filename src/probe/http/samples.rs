//! Many requests for the same: how long they took, how many failed, and in what their answers differ.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::time::Instant;

use super::look::{Taken, in_order};
use super::spec::TIMES;
use super::{status, trouble};
use crate::model::fact::{Evidence, Facts, Subject};
use crate::model::input::{InputError, Inputs};
use crate::model::unit::Dimension;
use crate::model::value::Value;

/// What a procedure says of them.
pub struct Samples {
    pub wanted: u64,
    interval: Duration,
    /// Any other status is an error.
    good: Vec<RangeInclusive<u16>>,
}

impl Samples {
    pub fn new(inputs: &Inputs) -> Result<Option<Self>, InputError> {
        let Some(wanted) = inputs.integer("samples").and_then(|wanted| u64::try_from(wanted).ok()) else {
            for (input, help) in [
                ("interval", "write how many requests to send: `samples: 20`"),
                (
                    "status",
                    "write what is expected of the status under `expect`, or `samples: 20` for several requests",
                ),
            ] {
                if inputs.has(input) {
                    return Err(InputError::new(input, format!("`{input}` is for `samples`"), help));
                }
            }
            return Ok(None);
        };
        let mut good = status::ranges(inputs)?;
        if good.is_empty() {
            good.push(status::GOOD);
        }
        Ok(Some(Self { wanted, interval: inputs.duration("interval").unwrap_or_default(), good }))
    }

    /// Waits until the next one is to be sent; false when the time is up.
    pub async fn wait(&self, deadline: Instant) -> bool {
        if !self.interval.is_zero() {
            tokio::time::sleep_until(deadline.min(Instant::now() + self.interval)).await;
        }
        Instant::now() < deadline
    }
}

/// The most reasons of failure that are told apart.
const MOST_REASONS: usize = 10;

/// What was seen so far: bounded, however many there are.
#[derive(Default)]
pub struct Tally {
    sent: u64,
    /// Of those that did not fail, in seconds.
    latencies: Vec<f64>,
    slowest: Facts,
    statuses: BTreeMap<u16, u64>,
    status: Spread,
    /// The other facts, of those that did not fail.
    facts: IndexMap<String, Spread>,
    /// The facts of the first that answered at all, for when all fail.
    first: Option<Facts>,
    notes: Vec<String>,
    failures: IndexMap<String, u64>,
    unanswered: u64,
    evidence: Option<Evidence>,
}

/// The first value, and the first that differs from it.
#[derive(Default)]
struct Spread {
    first: Option<(Value, u64)>,
    other: Option<(Value, u64)>,
}

impl Spread {
    fn add(&mut self, value: &Value) {
        let place = match &self.first {
            Some((first, _)) if first != value => &mut self.other,
            _ => &mut self.first,
        };
        place.get_or_insert_with(|| (value.clone(), 0)).1 += 1;
    }

    fn count(&self) -> u64 {
        [&self.first, &self.other].into_iter().flatten().map(|(_, count)| count).sum()
    }

    /// The one that differs from most of them, if there is one.
    fn odd(self) -> Option<Value> {
        match (self.first, self.other) {
            (Some((first, often)), Some((_, rarely))) if rarely > often => Some(first),
            (_, Some((other, _))) => Some(other),
            (first, None) => first.map(|(value, _)| value),
        }
    }
}

impl Tally {
    pub fn add(&mut self, taken: Taken, samples: &Samples) {
        self.sent += 1;
        let Taken { seen, evidence, answer } = taken;
        let status = answer.map(|answer| answer.status.as_u16());
        if let Some(status) = status {
            *self.statuses.entry(status).or_default() += 1;
            self.status.add(&Value::count(status.into()));
        }
        let refused = seen.facts.get("accepted") == Some(&Value::Bool(false));
        match status {
            Some(status) if status::holds(&samples.good, status) && !refused => return self.add_good(seen),
            Some(status) => {
                let why = if refused { seen.notes.join("; ") } else { format!("answered {status}") };
                self.fail(why);
                self.first.get_or_insert(seen.facts);
            }
            None => {
                self.unanswered += 1;
                self.fail(seen.notes.join("; "));
            }
        }
        self.evidence = self.evidence.take().or(evidence);
    }

    fn fail(&mut self, why: String) {
        let why = if self.failures.len() < MOST_REASONS { why } else { "other reasons".to_owned() };
        *self.failures.entry(why).or_default() += 1;
    }

    fn add_good(&mut self, seen: Subject) {
        let latency = seen.facts.get("latency").and_then(|value| value.number_in(Dimension::Time)).unwrap_or_default();
        if self.latencies.iter().all(|other| *other < latency) {
            self.slowest = TIMES.iter().filter_map(|name| seen.facts.get_key_value(*name)).map(pair).collect();
        }
        self.latencies.push(latency);
        let others = |name: &str| !TIMES.contains(&name) && !matches!(name, "answers" | "accepted" | "status");
        for (name, value) in seen.facts.iter().filter(|(name, _)| others(name)) {
            self.facts.entry(name.clone()).or_default().add(value);
        }
        if self.notes.is_empty() {
            self.notes = seen.notes;
        }
    }

    /// All of them as one subject. What is not in every good answer is missing.
    pub fn into_taken(mut self, name: String, samples: &Samples, limit: Duration) -> Taken {
        let good = self.latencies.len() as u64;
        let failed = self.sent - good;
        let mut seen = Subject::new(name);
        if good == 0 {
            seen.facts = self.first.take().unwrap_or_default();
            seen.facts.retain(|name, _| !TIMES.contains(&name.as_str()));
        }
        seen.facts.extend(std::mem::take(&mut self.slowest));
        for (fact, spread) in std::mem::take(&mut self.facts) {
            if spread.count() == good
                && let Some(value) = spread.odd()
            {
                seen.set(fact, value);
            }
        }
        if let Some(status) = std::mem::take(&mut self.status).odd() {
            seen.set("status", status);
        }
        seen.set("answers", Value::Bool(self.unanswered == 0));
        seen.set("accepted", Value::Bool(failed == self.unanswered));
        seen.set("samples", Value::count(self.sent));
        seen.set("errors", Value::count(failed));
        seen.set("error_share", Value::percent(failed as f64 * 100.0 / self.sent.max(1) as f64));
        self.latencies.sort_by(f64::total_cmp);
        spread(&mut seen, &self.latencies);
        let evidence = self.evidence.take();
        self.tell(&mut seen, failed, samples, limit);
        in_order(&mut seen);
        Taken { seen, evidence, answer: None }
    }

    fn tell(self, seen: &mut Subject, failed: u64, samples: &Samples, limit: Duration) {
        let requests = if self.sent == 1 { "request" } else { "requests" };
        seen.note(format!(
            "{} {requests}, {} failed",
            self.sent,
            if failed == 0 { "none".into() } else { failed.to_string() }
        ));
        if self.sent < samples.wanted {
            let (wanted, limit) = (samples.wanted, trouble::shown(limit));
            seen.note(format!(
                "{wanted} were to be sent, but the time was up after {limit}: raise `timeout` of the step"
            ));
        }
        seen.notes.extend(self.failures.into_iter().map(|(why, count)| format!("{count} × {why}")));
        if self.statuses.len() > 1 {
            let all: Vec<_> = self.statuses.iter().map(|(status, count)| format!("{count} × {status}")).collect();
            seen.note(format!("status: {}", all.join(", ")));
        }
        seen.notes.extend(self.notes);
    }
}

fn pair((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// Nothing when there is nothing to tell of.
fn spread(seen: &mut Subject, sorted: &[f64]) {
    let Some(slowest) = sorted.last() else { return };
    let duration = |seconds: f64| Value::duration(Duration::from_secs_f64(seconds));
    seen.set("average", duration(sorted.iter().sum::<f64>() / sorted.len() as f64));
    for (name, percent) in [("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99)] {
        seen.set(name, duration(sorted[nearest_rank(percent, sorted.len())]));
    }
    seen.set("slowest", duration(*slowest));
}

/// The place in a sorted list that so many percent of it do not exceed.
fn nearest_rank(percent: usize, length: usize) -> usize {
    (percent * length).div_ceil(100).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        assert_eq!(nearest_rank(50, 1), 0);
        assert_eq!(nearest_rank(50, 20), 9);
        assert_eq!(nearest_rank(95, 20), 18);
        assert_eq!(nearest_rank(95, 19), 18);
        assert_eq!(nearest_rank(99, 20), 19);
        assert_eq!(nearest_rank(99, 200), 197);
    }

    #[test]
    fn of_values_that_differ_the_rare_one_is_told() {
        let odd = |values: &[u64]| {
            let mut spread = Spread::default();
            for value in values {
                spread.add(&Value::count(*value));
            }
            spread.odd()
        };
        assert_eq!(odd(&[200, 200, 503, 200]), Some(Value::count(503)));
        assert_eq!(odd(&[503, 200, 200]), Some(Value::count(503)));
        assert_eq!(odd(&[200]), Some(Value::count(200)));
        assert_eq!(odd(&[]), None);
    }
}
