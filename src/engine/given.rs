//! Tests: what a document says was seen, done and answered stands in for the looks, the actions and the people.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::look::Attempt;
use super::run::Run;
use super::{History, Place};
use crate::model::event::StepResult;
use crate::model::expectation::Reading;
use crate::model::fact::{Facts, Observation};
use crate::model::id::{ProcedureId, RunId, StepId};
use crate::model::outcome::{Outcome, Skip};
use crate::model::past::PastRun;
use crate::probe::ProbeError;
use crate::procedure::cases::{Given, Told};
use crate::procedure::document::Step;

/// What a look has seen.
pub fn look(given: &Given, procedure: &ProcedureId, step: &Step) -> Attempt {
    match given.told(procedure, &step.id) {
        Some(Told::Seen(observation)) => Attempt::Seen(observation.clone()),
        Some(Told::Unseen(message)) => Attempt::Unseen(ProbeError::new("given", message.clone())),
        Some(Told::Done { .. } | Told::Called) | None => Attempt::Seen(Observation::default()),
    }
}

impl Run {
    /// Whether this is a test that does not tell of the step.
    pub fn is_left_out(&self, place: Place) -> bool {
        let procedure = &self.planned[place.0].procedure.id;
        self.settings.given.as_ref().is_some_and(|given| given.told(procedure, &self.step(place).id).is_none())
    }

    /// What a test says became of a step that does not look.
    pub fn given(&self, place: Place) -> Option<StepResult> {
        let given = self.settings.given.as_ref()?;
        let Told::Done { outcome, choice, facts } =
            given.told(&self.planned[place.0].procedure.id, &self.step(place).id)?
        else {
            return None;
        };
        let mut result = self.result(place, *outcome, Some("as given".to_owned()));
        result.skip = (*outcome == Outcome::Skipped).then_some(Skip::Operator);
        result.choice.clone_from(choice);
        if !facts.is_empty() {
            result.subjects.push(done(*outcome, facts.clone()));
        }
        Some(result)
    }
}

fn done(outcome: Outcome, facts: Facts) -> crate::model::event::SubjectResult {
    crate::model::event::SubjectResult {
        name: String::new(),
        outcome,
        error: None,
        notes: Vec::new(),
        facts,
        checks: Vec::new(),
    }
}

/// The runs that a test says were before.
impl History for Given {
    fn readings<'h>(
        &'h self,
        procedure: &'h ProcedureId,
        step: &'h StepId,
        facts: &'h [String],
        runs: u32,
    ) -> BoxFuture<'h, HashMap<(String, String), Vec<Reading>>> {
        let mut readings: HashMap<(String, String), Vec<Reading>> = HashMap::new();
        for (at, told) in self.before(procedure, step).take(runs as usize) {
            let Told::Seen(observation) = told else { continue };
            for subject in &observation.subjects {
                for fact in facts {
                    let value = subject.facts.get(fact).and_then(crate::model::value::Value::history_number);
                    let reading = value.map(|value| Reading { at, value });
                    readings.entry((subject.name.clone(), fact.clone())).or_default().extend(reading);
                }
            }
        }
        std::future::ready(readings).boxed()
    }

    fn runs_of<'h>(&'h self, _: &'h ProcedureId, _: RunId) -> BoxFuture<'h, Result<Vec<PastRun>, String>> {
        std::future::ready(Ok(Vec::new())).boxed()
    }

    fn since<'h>(&'h self, _: &'h ProcedureId, _: &'h StepId, _: Outcome) -> BoxFuture<'h, Option<DateTime<Utc>>> {
        std::future::ready(None).boxed()
    }
}
