//! What a case must come to, and where it came to something else.

use super::{Case, told};
use crate::model::event::{CriterionResult, Event, EventKind, StepResult};
use crate::model::id::StepId;
use crate::model::outcome::{Outcome, Skip, Verdict};
use crate::procedure::decode::Reader;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::document::Procedure;
use crate::procedure::yaml::Node;

/// One thing that must come out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    of: Of,
    /// An outcome or a verdict.
    word: &'static str,
    /// File and line.
    at: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Of {
    Whole,
    Step(StepId),
    /// By its position.
    Criterion(usize),
}

/// What came out otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Miss {
    /// The step, `outcome`, or the criterion.
    pub of: String,
    pub expected: &'static str,
    pub actual: String,
    /// Why it is what it is, in a line; also where it is expected.
    pub reason: Option<String>,
    pub at: String,
}

const WHOLE: &str = "outcome";
const CRITERIA: &str = "criteria";

const VERDICTS: [Verdict; 3] = [Verdict::Met, Verdict::Unmet, Verdict::NotProven];

/// Reads `expect` of a case.
pub fn read(reader: &Reader, node: &Node, procedure: &Procedure) -> Vec<Expected> {
    let entries = node.map().unwrap_or_default();
    if entries.is_empty() {
        let message = "the case expects nothing, so it cannot fail";
        reader.error(&node.span, message, "", "write `expect: { STEP: failed, outcome: failed }`");
    }
    let mut expected = Vec::new();
    for (key, value) in entries {
        if key.text == CRITERIA {
            criteria(reader, value, procedure, &mut expected);
            continue;
        }
        let of = if key.text == WHOLE {
            Some(Of::Whole)
        } else {
            told::find(reader, key, procedure, &[WHOLE, CRITERIA]).map(|step| Of::Step(step.id.clone()))
        };
        // Waivers do not count here.
        let possible = Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Waived);
        let word = word(reader, value, &key.text, possible.map(Outcome::word));
        if let (Some(of), Some(word)) = (of, word) {
            expected.push(Expected { of, word, at: reader.at(value) });
        }
    }
    expected
}

fn word(reader: &Reader, node: &Node, of: &str, words: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let words: Vec<&'static str> = words.into_iter().collect();
    let text = node.scalar().unwrap_or_default();
    let found = words.iter().copied().find(|word| *word == text);
    if found.is_none() {
        let what = if node.scalar().is_some() { format!("`{text}`") } else { node.describe().to_owned() };
        let message = format!("`{of}` cannot come to {what}");
        reader.error(&node.span, message, "", suggestion(text, words, "it can be"));
    }
    found
}

/// Criteria by the beginning of what they say, as far as it takes to tell them apart.
fn criteria(reader: &Reader, node: &Node, procedure: &Procedure, expected: &mut Vec<Expected>) {
    let says: Vec<&str> = procedure.criteria.iter().map(|criterion| criterion.says.as_str()).collect();
    let Some(entries) = node.map().filter(|entries| !entries.is_empty()) else {
        let message = format!("`{CRITERIA}` is a mapping from what criteria say, not {}", node.describe());
        reader.error(&node.span, message, "", "write `criteria: { The database answers: met }`");
        return;
    };
    for (key, value) in entries {
        let word = word(reader, value, &key.text, VERDICTS.map(Verdict::word));
        let beginning = key.text.trim_end_matches(['.', '…']).trim_end();
        let whole = says.iter().position(|says| *says == key.text);
        let mut like = says.iter().enumerate().filter(|(_, says)| says.starts_with(beginning));
        let found = match (whole, like.next(), like.next()) {
            (Some(index), ..) | (None, Some((index, _)), None) => index,
            (None, None, _) => {
                let help = suggestion(&key.text, says.iter().copied(), "the criteria are:");
                let message = format!("{} has no criterion `{}`", procedure.id, key.text);
                reader.error(&key.span, message, "no such criterion", help);
                continue;
            }
            (None, Some(_), Some(_)) => {
                let message = format!("several criteria begin with `{beginning}`");
                reader.error(&key.span, message, "", "write more of the one that is meant");
                continue;
            }
        };
        if let Some(word) = word {
            expected.push(Expected { of: Of::Criterion(found), word, at: reader.at(value) });
        }
    }
}

impl Case {
    /// Where the run came to something else than is expected.
    #[must_use]
    pub fn misses(&self, events: &[Event]) -> Vec<Miss> {
        let results: Vec<&StepResult> = events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::StepFinished(result) if result.procedure == self.procedure => Some(&**result),
                _ => None,
            })
            .collect();
        let whole = events.iter().find_map(|event| match &event.kind {
            EventKind::ProcedureFinished(result) if result.procedure == self.procedure => Some(result),
            _ => None,
        });
        let nothing: &[CriterionResult] = &[];
        let criteria = whole.map_or(nothing, |whole| &whole.criteria);
        let miss = |expected: &Expected| {
            let (of, actual, reason) = match &expected.of {
                Of::Whole => {
                    let worst = results.iter().rev().find(|result| Some(result.outcome) == whole.map(|w| w.outcome));
                    (WHOLE.to_owned(), whole.map_or("nothing", |whole| whole.outcome.word()), worst.map(|r| cause(r)))
                }
                Of::Step(step) => {
                    let result = results.iter().rev().find(|result| result.step == *step);
                    let reason = result.and_then(|result| result.reason.clone());
                    (step.to_string(), result.map_or("nothing", |result| came_to(result)), reason)
                }
                Of::Criterion(index) => {
                    let criterion = criteria.get(*index);
                    let says = criterion.map(|criterion| format!("`{}`", criterion.says)).unwrap_or_default();
                    let proofs = criterion.map(|criterion| format!("proof: {}", criterion.proven_by.join(", ")));
                    (says, criterion.map_or("nothing", |criterion| criterion.outcome.word()), proofs)
                }
            };
            let reason = reason.filter(|reason| reason != actual);
            let (word, at) = (expected.word, expected.at.clone());
            (actual != word).then(|| Miss { of, expected: word, actual: actual.to_owned(), reason, at })
        };
        self.expected.iter().filter_map(miss).collect()
    }
}

/// A step of which nothing is told was not skipped by the procedure.
fn came_to(result: &StepResult) -> &'static str {
    if result.skip == Some(Skip::Filter) { "not given" } else { result.outcome.word() }
}

fn cause(result: &StepResult) -> String {
    result.reason.as_ref().map_or_else(|| result.step.to_string(), |reason| format!("{}: {reason}", result.step))
}
