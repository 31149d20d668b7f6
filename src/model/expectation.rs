//! The only judge: a pure function from what was seen, what is expected and what was before to a check.

use std::fmt;

use chrono::{DateTime, Utc};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::condition::{Condition, Direction, Earlier, Literal};
use super::fact::{ANSWERS, Subject};
use super::text::shortened;
use super::unit::{Dimension, Quantity};
use super::value::Value;

/// A condition on one fact, and what it costs when it does not hold.
#[derive(Clone, PartialEq, Debug)]
pub struct Expectation {
    pub level: Level,
    /// The fact's full name: `free`, `json.queue.depth`.
    pub fact: CompactString,
    pub condition: Condition,
}

/// `expect` fails, `prefer` warns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Expect,
    Prefer,
}

/// One condition judged against one subject.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Check {
    pub fact: String,
    pub level: Level,
    pub expected: String,
    /// For people; absent when the fact is missing.
    pub actual: Option<String>,
    /// `None` when it could not be told.
    pub met: Option<bool>,
    /// Why it could not be told, or what the limit came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Of a page or an output that is not as expected, this much is quoted.
const QUOTED: usize = 80;

/// `free 3.8 % (1.9 GiB), expected above 20 %`; what is known of the cause in place of the wish where that is plain.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fact, expected, .. } = self;
        let actual = self.actual.as_deref().map_or_else(|| "not seen".to_owned(), |seen| shortened(seen, QUOTED));
        let wish = match self.level {
            Level::Expect => "expected",
            Level::Prefer => "preferred",
        };
        match &self.note {
            Some(cause) if actual == "false" && fact == ANSWERS => write!(f, "does not answer: {cause}"),
            Some(cause) if actual == "false" => write!(f, "{fact} false: {cause}"),
            Some(note) if self.actual.is_some() => write!(f, "{fact} {actual}, {wish} {expected} ({note})"),
            Some(_) | None => write!(f, "{fact} {actual}, {wish} {expected}"),
        }
    }
}

/// An earlier value of a fact.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reading {
    pub at: DateTime<Utc>,
    pub value: Quantity,
}

/// This step's history: where conditions such as `at most 150% of previous` look.
pub trait Baseline {
    /// When the look that is judged was made.
    fn now(&self) -> DateTime<Utc>;
    /// Earlier readings of `fact` on `subject`, newest first, without the look that is judged.
    fn earlier(&self, subject: &str, fact: &str) -> &[Reading];
}

/// No history at all.
#[derive(Clone, Copy, Debug)]
pub struct NoHistory(pub DateTime<Utc>);

impl Baseline for NoHistory {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    fn earlier(&self, _subject: &str, _fact: &str) -> &[Reading] {
        &[]
    }
}

/// Whether a condition holds. Not knowing is its own answer, and stays one under negation.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Truth {
    Met,
    Unmet,
    Unknown(String),
}

impl From<bool> for Truth {
    fn from(met: bool) -> Self {
        if met { Self::Met } else { Self::Unmet }
    }
}

impl Expectation {
    /// Judges `seen`. Total: a missing fact or a value of another kind is "could not tell", never met.
    #[must_use]
    pub fn check(&self, seen: &Subject, past: &dyn Baseline) -> Check {
        let value = seen.facts.get(self.fact.as_str());
        let (truth, note) = match value {
            None => (Truth::Unknown(format!("no `{}` was seen", self.fact)), None),
            Some(value) => {
                let earlier = past.earlier(&seen.name, &self.fact);
                judge(&self.condition, value, earlier, past.now())
            }
        };
        let (met, note) = match truth {
            Truth::Met => (Some(true), note),
            Truth::Unmet => (Some(false), note),
            Truth::Unknown(why) => (None, Some(why)),
        };
        Check {
            fact: self.fact.to_string(),
            level: self.level,
            expected: self.condition.to_string(),
            actual: value.map(|value| shortened(&value.to_string(), 160)),
            met,
            note,
        }
    }
}

type Judged = (Truth, Option<String>);

fn judge(condition: &Condition, value: &Value, earlier: &[Reading], now: DateTime<Utc>) -> Judged {
    let plain = |truth: Truth| (truth, None);
    match condition {
        Condition::Is(literal) => plain(equals(value, literal)),
        Condition::OneOf(literals) => plain(any(literals.iter().map(|literal| equals(value, literal)))),
        Condition::Between(low, high) => {
            plain(with_number(value, low.dimension(), |number| number >= low.amount() && number <= high.amount()))
        }
        Condition::Limit(relation, limit) => {
            plain(with_number(value, limit.dimension(), |number| relation.holds(number, limit.amount())))
        }
        Condition::Contains(part) => plain(with_texts(value, |text| text.contains(part.as_str()), |item| item == part)),
        Condition::Matches(pattern) => {
            plain(with_texts(value, |text| pattern.is_match(text), |item| pattern.is_match(item)))
        }
        Condition::StartsWith(part) => plain(with_text(value, |text| text.starts_with(part.as_str()))),
        Condition::EndsWith(part) => plain(with_text(value, |text| text.ends_with(part.as_str()))),
        Condition::Within { percent, of } => {
            with_earlier(value, earlier, *of, |number, then| (number - then).abs() <= then.abs() * percent / 100.0)
        }
        Condition::Relative { relation, percent, of } => {
            with_earlier(value, earlier, *of, |number, then| relation.holds(number, then * percent / 100.0))
        }
        Condition::Changes { direction, relation, by, per } => {
            let Some(number) = value.history_number() else { return plain(not_a_number(value)) };
            let half = per.seconds() / 2.0;
            let age = |reading: &Reading| seconds_between(reading.at, now);
            let Some(then) = earlier.iter().find(|reading| age(reading) >= half && same(reading, number)) else {
                return plain(Truth::Unknown(format!("no history yet: no value is at least half a {per} old")));
            };
            let mut change = (number.amount() - then.value.amount()) / age(then) * per.seconds();
            if by.dimension() == Dimension::Percent && number.dimension() != Dimension::Percent {
                if then.value.amount() == 0.0 {
                    return plain(Truth::Unknown("the earlier value is 0, so a change has no percentage".to_owned()));
                }
                change = change / then.value.amount().abs() * 100.0;
            } else if by.dimension() != number.dimension() {
                return plain(not_a_number(value));
            }
            if *direction == Direction::Falls {
                change = -change;
            }
            let shown = Quantity::new(change, by.dimension()).rounded();
            (relation.holds(change, by.amount()).into(), Some(format!("{shown} per {per}")))
        }
        Condition::Not(inner) => {
            let (truth, note) = judge(inner, value, earlier, now);
            let truth = match truth {
                Truth::Met => Truth::Unmet,
                Truth::Unmet => Truth::Met,
                Truth::Unknown(why) => Truth::Unknown(why),
            };
            (truth, note)
        }
        Condition::All(conditions) => plain(all(conditions.iter().map(|inner| judge(inner, value, earlier, now).0))),
        Condition::Any(conditions) => plain(any(conditions.iter().map(|inner| judge(inner, value, earlier, now).0))),
    }
}

fn all(truths: impl Iterator<Item = Truth>) -> Truth {
    let mut result = Truth::Met;
    for truth in truths {
        match truth {
            Truth::Unmet => return Truth::Unmet,
            Truth::Unknown(why) => result = Truth::Unknown(why),
            Truth::Met => {}
        }
    }
    result
}

fn any(truths: impl Iterator<Item = Truth>) -> Truth {
    let mut result = Truth::Unmet;
    for truth in truths {
        match truth {
            Truth::Met => return Truth::Met,
            Truth::Unknown(why) => result = Truth::Unknown(why),
            Truth::Unmet => {}
        }
    }
    result
}

/// The number of `value` in `dimension`; a text that is wholly a number counts as one (drivers hand decimals as text).
fn number(value: &Value, dimension: Dimension) -> Option<f64> {
    match value {
        Value::Text(text) => {
            text.trim().parse::<Quantity>().ok().filter(|q| q.dimension() == dimension).map(Quantity::amount)
        }
        Value::Bool(_) | Value::Integer(_) | Value::Number(_) | Value::Share { .. } | Value::List(_) => {
            value.number_in(dimension)
        }
    }
}

fn not_a_number(value: &Value) -> Truth {
    Truth::Unknown(format!("`{}` is not a number of that unit", shortened(&value.to_string(), 60)))
}

fn with_number(value: &Value, dimension: Dimension, holds: impl Fn(f64) -> bool) -> Truth {
    number(value, dimension).map_or_else(|| not_a_number(value), |number| holds(number).into())
}

fn equals(value: &Value, literal: &Literal) -> Truth {
    match (value, literal) {
        (Value::Bool(seen), Literal::Bool(wanted)) => (seen == wanted).into(),
        (Value::Integer(seen), Literal::Integer(wanted)) => (seen == wanted).into(),
        (Value::Text(seen), Literal::Text(wanted)) => (seen == wanted).into(),
        (Value::Text(seen), Literal::Integer(wanted)) => match seen.trim().parse::<i64>() {
            Ok(seen) => (seen == *wanted).into(),
            Err(_) => equals(value, &Literal::Number(Quantity::count(*wanted as f64))),
        },
        (Value::Text(seen), Literal::Bool(wanted)) => (seen == if *wanted { "true" } else { "false" }).into(),
        (_, Literal::Integer(wanted)) => with_number(value, Dimension::Count, |seen| seen == *wanted as f64),
        (_, Literal::Number(wanted)) => with_number(value, wanted.dimension(), |seen| seen == wanted.amount()),
        (Value::List(_), _) => Truth::Unknown("a list is not one value; use `contains`".to_owned()),
        (_, Literal::Bool(_) | Literal::Text(_)) => Truth::Unmet,
    }
}

fn with_text(value: &Value, holds: impl Fn(&str) -> bool) -> Truth {
    match value {
        Value::Text(text) => holds(text).into(),
        Value::List(_) => Truth::Unknown("a list is not one text; use `contains`".to_owned()),
        Value::Bool(_) | Value::Integer(_) | Value::Number(_) | Value::Share { .. } => holds(&written(value)).into(),
    }
}

fn with_texts(value: &Value, holds: impl Fn(&str) -> bool, item_holds: impl Fn(&String) -> bool) -> Truth {
    match value {
        Value::List(items) => items.iter().any(|item| item_holds(&written(item))).into(),
        Value::Bool(_) | Value::Integer(_) | Value::Number(_) | Value::Share { .. } | Value::Text(_) => {
            with_text(value, holds)
        }
    }
}

/// The value as a text, with all digits of a number.
fn written(value: &Value) -> String {
    match value {
        Value::Number(quantity) => quantity.to_string(),
        Value::Bool(_) | Value::Integer(_) | Value::Share { .. } | Value::Text(_) | Value::List(_) => value.to_string(),
    }
}

fn same(reading: &Reading, number: Quantity) -> bool {
    reading.value.dimension() == number.dimension() && reading.value.amount().is_finite()
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds between two dates")]
fn seconds_between(then: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - then).num_milliseconds() as f64 / 1000.0
}

fn with_earlier(value: &Value, earlier: &[Reading], of: Earlier, holds: impl Fn(f64, f64) -> bool) -> Judged {
    let Some(number) = value.history_number() else { return (not_a_number(value), None) };
    let comparable: Vec<f64> =
        earlier.iter().filter(|reading| same(reading, number)).map(|r| r.value.amount()).collect();
    let (wanted, least) = match of {
        Earlier::Previous => (1, 1),
        Earlier::Median(count) => (count, count.div_ceil(2)),
    };
    let newest = &comparable[..comparable.len().min(wanted)];
    if newest.len() < least {
        return (Truth::Unknown(format!("no history yet: {} of {least} earlier values", newest.len())), None);
    }
    let then = median(newest);
    let shown = Quantity::new(then, number.dimension()).rounded();
    (holds(number.amount(), then).into(), Some(format!("{of} is {shown}")))
}

/// The middle value, or the mean of the two in the middle; 0 of nothing.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}
