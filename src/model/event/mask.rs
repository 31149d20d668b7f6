//! No secret leaves with an event: every text that comes from outside is masked. Ids and our own words stay as they are,
//! so that a secret that looks like one of them breaks nothing.

use super::doing::ActionStart;
use super::incident::{Escalation, Message};
use super::people::Question;
use super::{Event, EventKind, ProcedurePlan, RunStart, StepResult, SubjectResult};
use crate::model::expectation::Check;
use crate::model::fact::{Evidence, Facts};
use crate::model::secret::{MASK, Mask};
use crate::model::value::Value;

impl Event {
    /// Masks every text in it, names of facts included.
    pub fn mask(&mut self, mask: &Mask) {
        match &mut self.kind {
            EventKind::RunStarted(start) => run(start, mask),
            EventKind::StepFinished(result) => step(result, mask),
            EventKind::ProcedureFinished(result) => {
                result.criteria.iter_mut().for_each(|criterion| mask.cover(&mut criterion.says));
            }
            EventKind::Asked(question) => {
                let Question { text, choices, does, type_to_agree, item, .. } = &mut **question;
                let texts = [text].into_iter().chain(choices.values_mut()).chain(does);
                all(texts.chain(type_to_agree).chain(item), mask);
            }
            EventKind::Answered(answer) => {
                let files = answer.attachments.iter_mut().map(|file| &mut file.name);
                all(files.chain(&mut answer.note).chain(&mut answer.item), mask);
            }
            EventKind::ActionStarted(start) => {
                let ActionStart { target, plan, item, .. } = &mut **start;
                json(&mut plan.data, mask);
                all([target].into_iter().chain(&mut plan.does).chain(&mut plan.notes).chain(item), mask);
            }
            EventKind::ActionFinished(end) => {
                all(end.reason.iter_mut().chain(&mut end.help).chain(&mut end.item).chain(&mut end.notes), mask);
                facts(&mut end.facts, mask);
                evidence(&mut end.evidence, mask);
            }
            EventKind::AttemptFailed { reason, .. }
            | EventKind::RollbackStarted { reason, .. }
            | EventKind::Suspended { reason } => mask.cover(reason),
            EventKind::Noted(note) => {
                let files = note.attachments.iter_mut().map(|file| &mut file.name);
                all([&mut note.text].into_iter().chain(files), mask);
            }
            EventKind::Escalated(escalation) => {
                let Escalation { text, item, severity, .. } = &mut **escalation;
                all([text].into_iter().chain(item).chain(severity), mask);
            }
            // The id has the item in it.
            EventKind::MessageQueued(message) => {
                let Message { id, text, severity, .. } = &mut **message;
                all([id, text].into_iter().chain(severity), mask);
            }
            EventKind::MessageDelivered(delivery) => {
                all([&mut delivery.id].into_iter().chain(&mut delivery.detail), mask);
            }
            EventKind::Resumed(resume) => all([&mut resume.command, &mut resume.host, &mut resume.operator], mask),
            EventKind::ProcedureStarted { .. }
            | EventKind::StepStarted { .. }
            | EventKind::Marked(_)
            | EventKind::BudgetUsed(_)
            | EventKind::Acknowledged { .. }
            | EventKind::Interrupted { .. }
            | EventKind::RunFinished { .. } => {}
        }
    }
}

fn all<'t>(texts: impl IntoIterator<Item = &'t mut String>, mask: &Mask) {
    texts.into_iter().for_each(|text| mask.cover(text));
}

fn run(start: &mut RunStart, mask: &Mask) {
    let RunStart { site, command, host, operator, procedures, .. } = start;
    all([site, command, host, operator], mask);
    for ProcedurePlan { title, criteria, steps, .. } in procedures {
        mask.cover(title);
        all(criteria, mask);
        for step in steps {
            all([&mut step.title, &mut step.at].into_iter().chain(&mut step.why).chain(&mut step.next), mask);
        }
    }
}

fn step(result: &mut StepResult, mask: &Mask) {
    all(result.reason.iter_mut().chain(&mut result.help), mask);
    for SubjectResult { name, outcome: _, error, notes, facts: seen, checks } in &mut result.subjects {
        all([name].into_iter().chain(error).chain(notes), mask);
        facts(seen, mask);
        for Check { fact, level: _, expected, actual, met: _, note } in checks {
            all([fact, expected].into_iter().chain(actual).chain(note), mask);
        }
    }
    evidence(&mut result.evidence, mask);
}

fn facts(facts: &mut Facts, mask: &Mask) {
    *facts = std::mem::take(facts).into_iter().map(|fact| masked(fact, mask)).collect();
}

fn evidence(evidence: &mut [Evidence], mask: &Mask) {
    for Evidence { title, lines, rows, left_out: _ } in evidence {
        all([title].into_iter().chain(lines), mask);
        rows.iter_mut().flat_map(serde_json::Map::values_mut).for_each(|value| json(value, mask));
    }
}

/// Every text in it; the keys are our own.
fn json(value: &mut serde_json::Value, mask: &Mask) {
    match value {
        serde_json::Value::String(text) => mask.cover(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| json(item, mask)),
        serde_json::Value::Object(entries) => entries.values_mut().for_each(|item| json(item, mask)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

fn masked((mut name, mut value): (String, Value), mask: &Mask) -> (String, Value) {
    mask.cover(&mut name);
    cover(&mut value, mask);
    (name, value)
}

fn cover(value: &mut Value, mask: &Mask) {
    match value {
        Value::Text(text) => mask.cover(text),
        Value::List(items) => items.iter_mut().for_each(|item| cover(item, mask)),
        // A password of digits comes back from JSON and SQL as a number.
        Value::Integer(integer) if mask.apply(&integer.to_string()) == MASK => *value = Value::text(MASK),
        Value::Bool(_) | Value::Integer(_) | Value::Number(_) | Value::Share { .. } => {}
    }
}
