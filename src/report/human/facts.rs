//! The facts behind a green line: enough that it can be believed.

use crate::model::condition::{Condition, Relation};
use crate::model::event::{StepResult, SubjectResult};
use crate::model::expectation::Check;
use crate::model::fact::FactType;
use crate::model::text::shortened;
use crate::model::value::Value;

/// More subjects than this are counted, and only the tightest of them are shown.
const MOST_SUBJECTS: usize = 3;
/// Facts of a look that expects nothing.
const MOST_FACTS: usize = 4;

/// What was checked on each subject: `/ free 71 % (57 GiB), /boot free 45 % (200 MiB)`.
///
/// `None` when nothing was seen that could be shown.
pub(super) fn key(result: &StepResult) -> Option<String> {
    let mut subjects: Vec<(f64, &SubjectResult)> =
        result.subjects.iter().map(|subject| (slack(subject), subject)).collect();
    let few = subjects.len() <= MOST_SUBJECTS;
    if !few {
        subjects.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    }
    let tightest = subjects.first().is_some_and(|(slack, _)| slack.is_finite());
    let shown: Vec<String> = subjects
        .iter()
        .take(MOST_SUBJECTS)
        .map(|(_, subject)| of(subject, result))
        .filter(|text| !text.is_empty())
        .collect();
    let shown = shown.join(if shown.iter().any(|text| text.contains(", ")) { "; " } else { ", " });
    if few {
        return (!shown.is_empty()).then_some(shown);
    }
    Some(format!("{} subjects, {}: {shown}", subjects.len(), if tightest { "tightest" } else { "first" }))
}

fn of(subject: &SubjectResult, result: &StepResult) -> String {
    let mut facts: Vec<&str> = Vec::new();
    let mut said = Vec::new();
    for check in &subject.checks {
        let Some(actual) = &check.actual else { continue };
        // That something answers goes without saying beside what it answered.
        let plain = check.expected == "true" && subject.checks.len() > 1;
        if !plain && !facts.contains(&check.fact.as_str()) {
            facts.push(&check.fact);
            said.push(format!("{} {}", check.fact, in_short(actual)));
        }
    }
    if subject.checks.is_empty() {
        let some = subject.facts.iter().map(|(name, value)| (name, value.to_string()));
        let some = some.filter(|(_, value)| !value.is_empty()).take(MOST_FACTS);
        said.extend(some.map(|(name, value)| format!("{name} {}", in_short(&value))));
    }
    // A step that is called as what it looks at names it once.
    let is_said = result.subjects.len() == 1 && subject.name == result.step.as_str();
    let name = if is_said { "" } else { &subject.name };
    format!("{name} {}", said.join(", ")).trim().to_owned()
}

/// A page or an output that passed is not read again here: its beginning says which it is.
fn in_short(text: &str) -> String {
    shortened(text, 40)
}

/// How far the tightest checked fact is from its limit, relative to the limit; infinite without limits.
fn slack(subject: &SubjectResult) -> f64 {
    let of_check = |check: &Check| {
        let value = subject.facts.get(&check.fact)?;
        distance(&Condition::parse(&check.expected, FactType::Any).ok()?, value)
    };
    subject.checks.iter().filter_map(of_check).fold(f64::INFINITY, f64::min)
}

fn distance(condition: &Condition, value: &Value) -> Option<f64> {
    let relative = |gap: f64, limit: f64| if limit == 0.0 { gap } else { gap / limit.abs() };
    match condition {
        Condition::Limit(relation, limit) => {
            let number = value.number_in(limit.dimension())?;
            let gap = match relation {
                Relation::Above | Relation::AtLeast => number - limit.amount(),
                Relation::Below | Relation::AtMost => limit.amount() - number,
            };
            Some(relative(gap, limit.amount()))
        }
        Condition::Between(low, high) => {
            let number = value.number_in(low.dimension())?;
            Some(relative((number - low.amount()).min(high.amount() - number), high.amount()))
        }
        Condition::All(all) | Condition::Any(all) => {
            all.iter().filter_map(|condition| distance(condition, value)).min_by(f64::total_cmp)
        }
        Condition::Is(_)
        | Condition::OneOf(_)
        | Condition::Contains(_)
        | Condition::StartsWith(_)
        | Condition::EndsWith(_)
        | Condition::Matches(_)
        | Condition::Within { .. }
        | Condition::Relative { .. }
        | Condition::Changes { .. }
        | Condition::Not(_) => None,
    }
}
