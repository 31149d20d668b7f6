//! Performance data: facts that have limits, with the limits as ranges.

use std::collections::HashSet;

use crate::model::condition::{Condition, Literal, Relation};
use crate::model::event::SubjectResult;
use crate::model::expectation::Level;
use crate::model::fact::FactType;
use crate::model::record::Record;
use crate::model::unit::{Dimension, Quantity};
use crate::model::value::Value;
use crate::report::line::{cut_middle, harmless};

/// Bytes of all data together.
const MOST_DATA: usize = 4000;
/// Columns of one label.
const MOST_LABEL: usize = 100;

/// `'disks /var free'=3.8%;;20:;0;100`, one for each fact with a limit, as many as there is room for.
pub(super) fn data(record: &Record) -> Vec<String> {
    let (mut data, mut labels, mut room) = (Vec::new(), HashSet::new(), MOST_DATA);
    let results = record.procedures.values().flat_map(|procedure| procedure.steps.values());
    for result in results.filter_map(|step| step.result.as_ref()) {
        for subject in &result.subjects {
            for fact in facts(subject) {
                let Some(reading) = Reading::of(subject, fact) else { continue };
                let label = label(&[result.step.as_str(), &subject.name, fact]);
                let text = format!("'{label}'={reading}");
                // Cut out of the middle, a long name could be said twice.
                if text.len() < room && labels.insert(label) {
                    room -= text.len() + 1;
                    data.push(text);
                }
            }
        }
    }
    data
}

fn facts(subject: &SubjectResult) -> Vec<&str> {
    let mut facts: Vec<&str> = Vec::new();
    for check in &subject.checks {
        if !facts.contains(&check.fact.as_str()) {
            facts.push(&check.fact);
        }
    }
    facts
}

/// Nothing in it ends a label, or the data.
fn label(parts: &[&str]) -> String {
    let mut parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.dedup();
    let text = harmless(&parts.join(" ")).replace(['\'', '=', '|', ';'], "_");
    cut_middle(&text, MOST_LABEL)
}

struct Reading {
    amount: f64,
    unit: &'static str,
    warn: Option<Range>,
    crit: Option<Range>,
    /// What it can be at least and at most.
    bounds: (Option<f64>, Option<f64>),
}

impl Reading {
    /// In the unit of its limits; none without limits, or without a number.
    fn of(subject: &SubjectResult, fact: &str) -> Option<Self> {
        let value = subject.facts.get(fact)?;
        let limits: Vec<(Level, Range)> = subject
            .checks
            .iter()
            .filter(|check| check.fact == fact)
            .filter_map(|check| {
                let condition = Condition::parse(&check.expected, FactType::Any).ok()?;
                Some((check.level, Range::of(&condition)?))
            })
            .collect();
        let dimension = limits.first()?.1.dimension;
        let of_level = |level: Level| {
            let mut ranges = limits.iter().filter(|(of, range)| *of == level && range.dimension == dimension);
            ranges.next().map(|(_, range)| *range)
        };
        let unit = match dimension {
            Dimension::Percent => "%",
            Dimension::Size => "B",
            Dimension::Time => "s",
            // There is no unit for a rate of any kind.
            Dimension::Count | Dimension::Rate | Dimension::Throughput => "",
        };
        let (warn, crit) = (of_level(Level::Prefer), of_level(Level::Expect));
        Some(Self { amount: value.number_in(dimension)?, unit, warn, crit, bounds: bounds(value, dimension) })
    }
}

/// Known of shares only.
fn bounds(value: &Value, dimension: Dimension) -> (Option<f64>, Option<f64>) {
    match value {
        Value::Share { .. } if dimension == Dimension::Percent => (Some(0.0), Some(100.0)),
        Value::Share { percent, amount } if *percent > 0.0 => {
            (Some(0.0), Some((amount.amount() / percent * 100.0).round()).filter(|whole| whole.is_finite()))
        }
        Value::Share { .. } => (Some(0.0), None),
        Value::Bool(_) | Value::Integer(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => (None, None),
    }
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let range = |range: Option<Range>| range.map_or(String::new(), |range| range.to_string());
        let number = |number: Option<f64>| number.map_or(String::new(), |number| number.to_string());
        let (least, most) = self.bounds;
        let parts = [range(self.warn), range(self.crit), number(least), number(most)].join(";");
        write!(f, "{}{};{}", self.amount, self.unit, parts.trim_end_matches(';'))
    }
}

/// Where a number is good. The ends count as good: plugins have no stricter ranges.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Range {
    dimension: Dimension,
    low: Option<f64>,
    high: Option<f64>,
    /// Good outside, not inside.
    outside: bool,
}

impl Range {
    fn of(condition: &Condition) -> Option<Self> {
        let range = |low: Option<Quantity>, high: Option<Quantity>| {
            let dimension = low.or(high)?.dimension();
            let (low, high) = (low.map(Quantity::amount), high.map(Quantity::amount));
            Some(Self { dimension, low, high, outside: false })
        };
        match condition {
            Condition::Limit(Relation::Above | Relation::AtLeast, limit) => range(Some(*limit), None),
            Condition::Limit(Relation::Below | Relation::AtMost, limit) => range(None, Some(*limit)),
            Condition::Between(low, high) => range(Some(*low), Some(*high)),
            Condition::Is(Literal::Integer(number)) => {
                let number = Some(Quantity::count(*number as f64));
                range(number, number)
            }
            Condition::Is(Literal::Number(number)) => range(Some(*number), Some(*number)),
            Condition::Not(inner) => Self::of(inner).map(|range| Self { outside: !range.outside, ..range }),
            Condition::All(all) => {
                let mut ranges = all.iter().map(Self::of);
                let first = ranges.next()??;
                ranges.try_fold(first, |one, other| one.and(other?))
            }
            Condition::Is(Literal::Bool(_) | Literal::Text(_))
            | Condition::OneOf(_)
            | Condition::Contains(_)
            | Condition::StartsWith(_)
            | Condition::EndsWith(_)
            | Condition::Matches(_)
            | Condition::Within { .. }
            | Condition::Relative { .. }
            | Condition::Changes { .. }
            | Condition::Any(_) => None,
        }
    }

    /// Good in both.
    fn and(self, other: Self) -> Option<Self> {
        if self.dimension != other.dimension || self.outside || other.outside {
            return None;
        }
        let tighter = |one: Option<f64>, other: Option<f64>, choose: fn(f64, f64) -> f64| match (one, other) {
            (Some(one), Some(other)) => Some(choose(one, other)),
            (one, other) => one.or(other),
        };
        let (low, high) = (tighter(self.low, other.low, f64::max), tighter(self.high, other.high, f64::min));
        Some(Self { low, high, ..self })
    }
}

/// As the plugins' guidelines write it: outside of `low:high` is bad; with `@`, inside is.
impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = if self.outside { "@" } else { "" };
        let low = self.low.map_or("~".to_owned(), |low| low.to_string());
        let high = self.high.map_or(String::new(), |high| high.to_string());
        write!(f, "{at}{low}:{high}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Option<String> {
        Range::of(&Condition::parse(text, FactType::Any).expect("a condition")).map(|range| range.to_string())
    }

    #[test]
    fn a_condition_becomes_the_range_in_which_all_is_well() {
        let cases = [
            ("above 20%", "20:"),
            ("at least 3", "3:"),
            ("below 2s", "~:2"),
            ("at most 1.5GiB", "~:1610612736"),
            ("200..299", "200:299"),
            ("at most -5", "~:-5"),
            ("0", "0:0"),
            ("not at most 5", "@~:5"),
        ];
        for (condition, expected) in cases {
            assert_eq!(range(condition).as_deref(), Some(expected), "{condition}");
        }
        for condition in ["contains x", "at most 150% of previous", "true", "[200, 204]"] {
            assert_eq!(range(condition), None, "{condition}");
        }
    }

    #[test]
    fn a_label_ends_where_it_should() {
        assert_eq!(label(&["disks", "it's a=b|c;\n", "free"]), "disks it_s a_b_c_  free");
        assert_eq!(label(&["load", "", "one"]), "load one");
    }
}
