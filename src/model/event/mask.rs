//! No secret leaves with an event: every text that comes from outside is masked. Ids and our own words stay as they are,
//! so that a secret that looks like one of them breaks nothing.

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
            EventKind::AttemptFailed { reason, .. } => mask.cover(reason),
            EventKind::StepFinished(result) => step(result, mask),
            EventKind::ProcedureFinished(result) => {
                result.criteria.iter_mut().for_each(|criterion| mask.cover(&mut criterion.says));
            }
            EventKind::ProcedureStarted { .. }
            | EventKind::StepStarted { .. }
            | EventKind::Interrupted { .. }
            | EventKind::RunFinished { .. } => {}
        }
    }
}

fn all<'t>(texts: impl IntoIterator<Item = &'t mut String>, mask: &Mask) {
    texts.into_iter().for_each(|text| mask.cover(text));
}

fn run(start: &mut RunStart, mask: &Mask) {
    let RunStart { run: _, opsctl: _, site, command, host, operator, timezone: _, procedures } = start;
    all([site, command, host, operator], mask);
    for ProcedurePlan { id: _, title, budget_ms: _, criteria, steps } in procedures {
        mask.cover(title);
        all(criteria, mask);
        for step in steps {
            all([&mut step.title, &mut step.at].into_iter().chain(&mut step.why).chain(&mut step.next), mask);
        }
    }
}

fn step(result: &mut StepResult, mask: &Mask) {
    all(result.reason.iter_mut().chain(&mut result.help), mask);
    for SubjectResult { name, outcome: _, error, notes, facts, checks } in &mut result.subjects {
        all([name].into_iter().chain(error).chain(notes), mask);
        *facts = std::mem::take(facts).into_iter().map(|fact| masked(fact, mask)).collect::<Facts>();
        for Check { fact, level: _, expected, actual, met: _, note } in checks {
            all([fact, expected].into_iter().chain(actual).chain(note), mask);
        }
    }
    for Evidence { title, lines, left_out: _ } in &mut result.evidence {
        all([title].into_iter().chain(lines), mask);
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
