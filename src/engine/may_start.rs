//! Whether a step whose turn has come may start: what it needs, whether it applies, what this run does.

use std::time::Instant;

use super::Place;
use super::run::{Run, skipped, unseen};
use crate::model::event::{Mode, StepResult};
use crate::model::id::StepId;
use crate::model::outcome::{Outcome, Skip};
use crate::procedure::document::{Step, Work};

const INTERRUPTED: &str = "the run was interrupted";
const BUDGET_SPENT: &str = "the procedure's budget was spent";

impl Run {
    /// Whether the step may start; if not, its result.
    pub fn verdict(&self, place: Place) -> Result<(), Box<StepResult>> {
        let verdict = self.may_start(place);
        match verdict {
            // Of a step that a test does not tell of, it may still be known that it does not apply.
            Err(result) if matches!(result.skip, Some(Skip::Condition | Skip::Need)) => Err(result),
            _ if self.is_left_out(place) => Err(Box::new(skipped(self, place, Skip::Filter, "not given"))),
            verdict => verdict,
        }
    }

    fn may_start(&self, place: Place) -> Result<(), Box<StepResult>> {
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
        if let Some(undone) = self.undone_before(place) {
            // What would be done is shown, whoever decides about it.
            let shows = self.settings.mode == Mode::DryRun && matches!(step.work, Work::Procedure(_) | Work::Action(_));
            return if shows { Ok(()) } else { Err(Box::new(self.depends_on(place, undone))) };
        }
        for &need in step.needs.iter().filter(|_| !step.always) {
            let Some(result) = &self.results[place.0][need] else { continue };
            // What a test leaves open or does not tell of keeps nothing back.
            let is_open = result.outcome == Outcome::Pending || result.skip == Some(Skip::Filter);
            if is_open && self.settings.given.is_some() {
                continue;
            }
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

    /// In a run that only looks: what the step reads or needs and only a person or an action gives.
    pub fn undone_before(&self, place: Place) -> Option<&StepId> {
        if self.settings.mode == Mode::Run || self.settings.given.is_some() {
            return None;
        }
        let on = self.step(place).after.iter().map(|&earlier| (place.0, earlier)).find(|&on| self.is_undone(on));
        let on = on.or_else(|| {
            let steps = self.planned[place.0].procedure.steps.iter().enumerate();
            let verifies = |step: &Step| matches!(&step.work, Work::Action(act) if act.verify.contains(&place.1));
            let mut verified = steps.filter(|(_, step)| verifies(step)).map(|(action, _)| (place.0, action));
            let result = |on: Place| self.results[on.0][on.1].as_ref();
            verified.find(|&on| result(on).is_some_and(|result| result.skip == Some(Skip::Simulated)))
        })?;
        Some(&self.step(on).id)
    }

    /// Whether it, or a step of the procedure that it called, was left to a person or only simulated.
    fn is_undone(&self, (procedure, position): Place) -> bool {
        let undone = |result: &StepResult| {
            result.outcome == Outcome::Pending || matches!(result.skip, Some(Skip::LookOnly | Skip::Simulated))
        };
        let called = self.caller.iter().position(|caller| *caller == Some((procedure, position)));
        self.results[procedure][position].as_deref().is_some_and(undone)
            || called.is_some_and(|called| (0..self.results[called].len()).any(|step| self.is_undone((called, step))))
    }

    pub fn depends_on(&self, place: Place, undone: &StepId) -> StepResult {
        if self.settings.mode == Mode::Check {
            return skipped(self, place, Skip::LookOnly, &format!("depends on {undone}, which a check does not do"));
        }
        let reason = format!("could not tell: depends on {undone}, which a dry run does not do");
        let id = self.planned[place.0].procedure.id.clone();
        unseen(id, self.step(place).id.clone(), Outcome::Errored, Some(Skip::Simulated), &reason)
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
