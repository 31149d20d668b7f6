//! Whether a step whose turn has come may start: what it needs, whether it applies, what this run does.

use std::time::Instant;

use super::Place;
use super::run::{Run, skipped, unseen};
use crate::model::event::{Mode, StepResult};
use crate::model::outcome::{Outcome, Skip};
use crate::procedure::document::{Step, Work};

const INTERRUPTED: &str = "the run was interrupted";
const BUDGET_SPENT: &str = "the procedure's budget was spent";

impl Run {
    /// Whether the step may start; if not, its result.
    pub fn verdict(&self, place: Place) -> Result<(), Box<StepResult>> {
        let step = self.step(place);
        if let Some(halted) = self.halted.as_ref().filter(|_| !step.always) {
            return Err(Box::new(skipped(self, place, Skip::Stopped, halted)));
        }
        if self.stop.token.is_cancelled() && !(step.always && self.halted.is_some()) {
            return Err(Box::new(skipped(self, place, Skip::Stopped, INTERRUPTED)));
        }
        if self.deadline(place.0).is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Box::new(skipped(self, place, Skip::Stopped, BUDGET_SPENT)));
        }
        if let Some(result) = self.depends_on_people(place) {
            return Err(Box::new(result));
        }
        for &need in step.needs.iter().filter(|_| !step.always) {
            let Some(result) = &self.results[place.0][need] else { continue };
            if !matches!(result.outcome, Outcome::Passed | Outcome::Warned | Outcome::Waived) {
                let reason = format!("needs {}, which {}", result.step, ended(result.outcome));
                let skip = match result.skip {
                    Some(skip @ (Skip::Condition | Skip::LookOnly | Skip::Simulated | Skip::Operator)) => skip,
                    Some(Skip::Filter | Skip::Need | Skip::Stopped | Skip::TakenBack) | None => Skip::Need,
                };
                return Err(Box::new(skipped(self, place, skip, &reason)));
            }
        }
        if let Some(when) = &step.when {
            let context = self.context(place.0);
            match when.holds(&context) {
                Ok(true) => {}
                Ok(false) => {
                    let reason = format!("does not apply: {}", when.why_not(&context));
                    return Err(Box::new(skipped(self, place, Skip::Condition, &reason)));
                }
                Err(reason) => {
                    let step = step.id.clone();
                    let reason = format!("its `when` fails: {reason}");
                    let procedure = self.planned[place.0].procedure.id.clone();
                    let result = unseen(procedure, step, Outcome::Errored, None, &reason);
                    return Err(Box::new(result));
                }
            }
        }
        Ok(())
    }

    /// In a run that only looks: the result of a step that reads or needs what only a person or an action gives.
    fn depends_on_people(&self, place: Place) -> Option<StepResult> {
        if self.settings.mode == Mode::Run {
            return None;
        }
        let step = self.step(place);
        let undone = |result: &&StepResult| {
            result.outcome == Outcome::Pending || matches!(result.skip, Some(Skip::LookOnly | Skip::Simulated))
        };
        let on = step.after.iter().filter_map(|&earlier| self.results[place.0][earlier].as_deref()).find(undone);
        let on = on.or_else(|| {
            let steps = self.planned[place.0].procedure.steps.iter().zip(&self.results[place.0]);
            let verifies = |step: &Step| matches!(&step.work, Work::Action(act) if act.verify.contains(&place.1));
            let simulated = steps.filter(|(step, _)| verifies(step)).filter_map(|(_, result)| result.as_deref());
            simulated.into_iter().find(|result| result.skip == Some(Skip::Simulated))
        })?;
        if self.settings.mode == Mode::Check {
            let reason = format!("depends on {}, which a check does not do", on.step);
            return Some(skipped(self, place, Skip::LookOnly, &reason));
        }
        let reason = format!("could not tell: depends on {}, which a dry run does not do", on.step);
        let procedure = self.planned[place.0].procedure.id.clone();
        let mut result = unseen(procedure, step.id.clone(), Outcome::Errored, None, &reason);
        result.skip = Some(Skip::Simulated);
        Some(result)
    }
}

fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Failed => "failed",
        Outcome::Errored => "could not look",
        Outcome::Skipped => "was skipped",
        Outcome::Pending => "waits for a person",
        Outcome::Passed | Outcome::Warned | Outcome::Waived => "passed",
    }
}
