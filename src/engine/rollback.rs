//! Rolling back: what was completed is taken back, the newest first.

use std::sync::Arc;

use super::Place;
use super::act::holds;
use super::ask::NoAnswer;
use super::recorder::Recorder;
use super::run::{Run, skipped};
use crate::model::event::EventKind;
use crate::model::event::doing::{Ended, Phase};
use crate::model::outcome::Skip;
use crate::model::record::ActionRecord;
use crate::procedure::document::Work;

impl Run {
    /// Takes back what this run has completed and knows how to take back. What fails is said and recorded; the rest is
    /// still taken back.
    pub async fn roll_back(&mut self, procedure: usize, reason: &str, recorder: &mut Recorder) -> Result<(), NoAnswer> {
        let id = self.planned[procedure].procedure.id.clone();
        self.note(EventKind::RollbackStarted { procedure: id, reason: reason.to_owned() }, recorder);
        self.take_back(recorder).await
    }

    /// A rollback from where it is on record to its end; nothing is taken back twice.
    pub async fn take_back(&mut self, recorder: &mut Recorder) -> Result<(), NoAnswer> {
        let crew = self.settings.crew.clone();
        for (place, name) in self.to_undo() {
            let planned = Arc::clone(&self.planned);
            let step = &planned[place.0].procedure.steps[place.1];
            let Work::Action(act) = &step.work else { continue };
            let Some(undo) = &act.undo else {
                crew.people.tell(&format!("{} is not taken back: nothing can", step.id));
                continue;
            };
            if let Some(last) = self.actions_of(place, Phase::Undo, name.as_deref()).pop() {
                let is_open = match &last.end {
                    None => !self.settle(place, &[], &last.start, recorder).await?,
                    Some(end) => end.ended == Ended::FoundUndone,
                };
                if !is_open {
                    continue;
                }
            }
            let could_not = |reason: &str| crew.people.tell(&format!("{} could not be taken back: {reason}", step.id));
            let context = self.item(place, step, name.as_deref()).map(|item| self.context_for(place, &item));
            let foreseen = match context {
                Ok(context) => self.plan(undo, &context, step.timeout).await.map_err(|error| error.message),
                Err(reason) => Err(reason),
            };
            let foreseen = match foreseen {
                Ok(foreseen) if foreseen.plan.settled => {
                    crew.people.tell(&format!("{}: nothing to take back: {}", step.id, foreseen.plan.notes.join("; ")));
                    continue;
                }
                Ok(foreseen) => foreseen,
                Err(reason) => {
                    could_not(&reason);
                    continue;
                }
            };
            crew.people.tell(&format!("{}: taking back: {}", step.id, foreseen.plan.does.join("; ")));
            let by = self.settings.operator.clone();
            if let Err(error) =
                self.perform_written(place, Phase::Undo, name, &foreseen, act.effect, by, recorder).await
            {
                could_not(&error.message);
            }
        }
        self.take_back_results(recorder).await;
        Ok(())
    }

    /// What was taken back proves nothing any more, nor do the looks of when it was done.
    async fn take_back_results(&mut self, recorder: &mut Recorder) {
        let planned = Arc::clone(&self.planned);
        for (index, planned) in planned.iter().enumerate() {
            for (position, step) in planned.procedure.steps.iter().enumerate() {
                let (place, Work::Action(act)) = ((index, position), &step.work) else { continue };
                let passed = self.results[index][position].as_ref().is_some_and(|result| holds(result.outcome));
                if !passed || !self.is_taken_back(place) {
                    continue;
                }
                let result = skipped(self, place, Skip::TakenBack, "done, and taken back");
                self.note(EventKind::StepFinished(Box::new(result.clone())), recorder);
                self.results[index][position] = Some(Arc::new(result));
                for &look in &act.verify {
                    self.look_again((index, look), recorder).await;
                }
            }
        }
    }

    fn is_taken_back(&self, place: Place) -> bool {
        let procedure = self.record.procedures.get(&self.planned[place.0].procedure.id);
        let step = procedure.and_then(|procedure| procedure.steps.get(&self.step(place).id));
        let is_undone = |action: &ActionRecord| {
            action.start.phase == Phase::Undo && action.end.as_ref().is_some_and(|end| end.ended.is_done())
        };
        step.is_some_and(|step| step.actions.iter().any(is_undone))
    }

    /// What was completed and not taken back yet, the newest first.
    pub fn to_undo(&self) -> Vec<(Place, Option<String>)> {
        let mut completed = Vec::new();
        for (index, planned) in self.planned.iter().enumerate() {
            let Some(record) = self.record.procedures.get(&planned.procedure.id) else { continue };
            for (position, step) in planned.procedure.steps.iter().enumerate() {
                let Some(record) = record.steps.get(&step.id) else { continue };
                let ended = |action: &&ActionRecord| action.end.as_ref().is_some_and(|end| end.ended.is_done());
                for action in record.actions.iter().filter(ended) {
                    let place = ((index, position), action.start.item.clone());
                    match action.start.phase {
                        Phase::Do => completed.push((action.started, place)),
                        Phase::Undo => completed.retain(|(_, known)| *known != place),
                    }
                }
            }
        }
        completed.sort_by_key(|(started, _)| std::cmp::Reverse(*started));
        completed.into_iter().map(|(_, place)| place).collect()
    }
}
