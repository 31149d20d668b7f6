//! Procedures that are steps of other procedures: one run, one incident, one record.

use std::sync::Arc;

use super::Place;
use super::recorder::Recorder;
use super::run::{Run, skipped, unseen};
use crate::model::event::{EventKind, StepResult};
use crate::model::outcome::{Outcome, Skip};
use crate::procedure::document::Call;

impl Run {
    /// Begins the procedure; the step ends when that has ended.
    pub fn call(&mut self, place: Place, call: &Call, recorder: &mut Recorder) {
        let Some(index) = self.planned.iter().position(|planned| planned.procedure.id == call.run) else {
            let reason = format!("there is no procedure {}", call.run);
            let procedure = self.planned[place.0].procedure.id.clone();
            let result = unseen(procedure, self.step(place).id.clone(), Outcome::Errored, None, &reason);
            return self.finish(place, result, recorder);
        };
        if self.caller[index] != Some(place) {
            let reason = format!("{} is called by another step of this run", call.run);
            return self.finish(place, skipped(self, place, Skip::Condition, &reason), recorder);
        }
        self.waiting.retain(|&waiting| waiting != place);
        let (procedure, step) = (self.planned[place.0].procedure.id.clone(), self.step(place).id.clone());
        self.note(EventKind::StepStarted { procedure, step }, recorder);
        self.called[index] = true;
        self.begin_procedure(index, recorder);
        // In a run that goes on it may have ended before the program was killed.
        if self.outcomes[index].is_some() {
            self.return_to_caller(index, recorder);
        }
    }

    /// The step that called a procedure ends with what that came to.
    pub fn return_to_caller(&mut self, index: usize, recorder: &mut Recorder) {
        let (Some(caller), Some(outcome)) = (self.caller[index], self.outcomes[index]) else { return };
        if self.results[caller.0][caller.1].is_some() {
            return;
        }
        let called = &self.planned[index].procedure;
        let reason = (outcome != Outcome::Passed).then(|| format!("{} {outcome}", called.id));
        // Nothing of it counted: it did not apply, or the operator left it out.
        let left_out = |result: &Arc<StepResult>| result.skip != Some(Skip::Condition);
        let skip = if self.results[index].iter().flatten().any(left_out) { Skip::Operator } else { Skip::Condition };
        let procedure = self.planned[caller.0].procedure.id.clone();
        let result = StepResult {
            took: self.begins[index].map_or_else(Default::default, |begin| begin.elapsed()),
            attempts: 1,
            reason,
            skip: (outcome == Outcome::Skipped).then_some(skip),
            ..unseen(procedure, self.step(caller).id.clone(), outcome, None, "")
        };
        self.finish(caller, result, recorder);
    }

    /// The title of the procedure, for people.
    pub fn title(&self, procedure: usize) -> String {
        Arc::clone(&self.planned)[procedure].procedure.title.clone()
    }
}
