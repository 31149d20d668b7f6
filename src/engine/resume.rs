//! A run that goes on: what the program had not come to when it ended is caught up with, and nothing is done twice.

use std::time::Duration;

use chrono::Utc;

use super::Place;
use super::act::{Acted, Failure, SETTLE};
use super::ask::NoAnswer;
use super::perform::Item;
use super::recorder::Recorder;
use super::run::Run;
use crate::model::event::EventKind;
use crate::model::event::doing::{ActionEnd, ActionStart, Ended, Phase};
use crate::model::event::incident::Mark;
use crate::model::event::people::{Ask, Reply};
use crate::model::fact::Facts;
use crate::model::outcome::Outcome;
use crate::model::record::{ActionRecord, StepRecord};
use crate::procedure::document::{Act, OnFailure, Work};

/// How far an action had come when the program ended.
pub enum Before {
    /// It had not begun, or had not been done.
    Nothing,
    Done(Acted),
    /// It was tried so many times; what to do about it has not been carried out.
    Failed(Failure, u32),
}

impl Run {
    /// Carries out what follows from the record and is not in it: the program may have ended between any two events.
    pub async fn catch_up(&mut self, recorder: &mut Recorder) -> Result<(), NoAnswer> {
        self.catch_up_with_marks(recorder);
        self.halted = self.halted_before();
        self.catch_up_with_rollbacks(recorder).await?;
        for index in 0..self.planned.len() {
            if self.begins[index].is_none() || self.results[index].iter().any(Option::is_none) {
                continue;
            }
            match self.outcomes[index] {
                None => self.finish_procedure(index, recorder),
                Some(_) => self.return_to_caller(index, recorder),
            }
        }
        Ok(())
    }

    /// A step had passed, and its point of the timeline is missing.
    fn catch_up_with_marks(&mut self, recorder: &mut Recorder) {
        let settings = std::sync::Arc::clone(&self.settings);
        for event in &settings.past {
            let EventKind::StepFinished(result) = &event.kind else { continue };
            if !matches!(result.outcome, Outcome::Passed | Outcome::Warned | Outcome::Waived) {
                continue;
            }
            let procedure = self.planned.iter().find(|planned| planned.procedure.id == result.procedure);
            let step = procedure.and_then(|planned| planned.procedure.steps.iter().find(|step| step.id == result.step));
            let Some(name) = step.and_then(|step| step.marks.clone()) else { continue };
            if self.record.mark(&name).is_none() {
                let by = settings.operator.clone();
                self.note(EventKind::Marked(Mark { name, at: event.at, by }), recorder);
            }
        }
    }

    /// Why nothing further was to start, if an action had failed and the run was stopped for it.
    fn halted_before(&self) -> Option<String> {
        let steps = self.planned.iter().flat_map(|planned| {
            let record = self.record.procedures.get(&planned.procedure.id);
            planned.procedure.steps.iter().zip(record.into_iter().cycle())
        });
        for (step, procedure) in steps {
            let (Work::Action(act), Some(record)) = (&step.work, procedure.steps.get(&step.id)) else { continue };
            let failed = record.result.as_ref().is_some_and(|result| result.outcome == Outcome::Failed);
            if failed && !was_left(record, act) {
                return Some(format!("the run was stopped after {} had failed", step.id));
            }
        }
        None
    }

    /// A rollback that had begun goes on to its end; what had failed has failed.
    async fn catch_up_with_rollbacks(&mut self, recorder: &mut Recorder) -> Result<(), NoAnswer> {
        for index in 0..self.planned.len() {
            let Some(record) = self.record.procedures.get(&self.planned[index].procedure.id) else { continue };
            let Some((at, reason)) = record.rollback.clone() else { continue };
            let steps = &self.planned[index].procedure.steps;
            // What always runs begins after the rollback.
            let is_open = |step: &StepRecord| step.result.is_none() && step.began.is_some_and(|began| began <= at);
            let failed = steps.iter().position(|step| {
                matches!(step.work, Work::Action(_)) && record.steps.get(&step.id).is_some_and(is_open)
            });
            self.halted = Some(format!("the run was rolled back: {reason}"));
            self.take_back(recorder).await?;
            if let Some(step) = failed {
                let result = self.result((index, step), Outcome::Failed, Some(reason));
                self.finish((index, step), result, recorder);
            }
        }
        Ok(())
    }

    /// What a run that goes on finds of an action: done before, or begun and not known how it ended.
    pub async fn before(
        &mut self,
        place: Place,
        act: &Act,
        item: &Item,
        recorder: &mut Recorder,
    ) -> Result<Before, NoAnswer> {
        let actions = self.actions_of(place, Phase::Do, item.name.as_deref());
        let tries = u32::try_from(actions.len()).unwrap_or(u32::MAX);
        let Some(last) = actions.into_iter().next_back() else { return Ok(Before::Nothing) };
        let (facts, reason, patience) = match &last.end {
            Some(end) if end.ended.is_done() => {
                let since = (Utc::now() - last.started).to_std().unwrap_or_default().saturating_sub(end.took);
                (end.facts.clone(), "done before the program ended", SETTLE.saturating_sub(since))
            }
            Some(end) if end.ended == Ended::FoundUndone => return Ok(Before::Nothing),
            Some(end) => {
                let reason = end.reason.clone().unwrap_or_else(|| "it failed before the program ended".to_owned());
                return Ok(Before::Failed(Failure { reason, help: end.help.clone() }, tries));
            }
            None => {
                if !self.settle(place, &act.verify, &last.start, recorder).await? {
                    return Ok(Before::Nothing);
                }
                (Facts::new(), "it had been done when the program ended", Duration::ZERO)
            }
        };
        if let Err(failure) = self.verify(place, act, patience, recorder).await {
            return Ok(Before::Failed(failure, tries));
        }
        let mut acted = Acted::ended(Outcome::Passed, reason);
        (acted.facts, acted.does) = (facts, last.start.plan.does);
        Ok(Before::Done(acted))
    }

    /// The actions of a step for one of its items, as they are on record, in their order.
    pub fn actions_of(&self, place: Place, phase: Phase, item: Option<&str>) -> Vec<ActionRecord> {
        let procedure = self.record.procedures.get(&self.planned[place.0].procedure.id);
        let actions =
            procedure.and_then(|procedure| procedure.steps.get(&self.step(place).id)).map(|step| &step.actions);
        let of = |action: &&ActionRecord| action.start.phase == phase && action.start.item.as_deref() == item;
        actions.into_iter().flatten().filter(of).cloned().collect()
    }

    /// Finds out whether an action that was cut off had been done, and records it: by the looks that verify it, or else
    /// by asking.
    pub async fn settle(
        &mut self,
        place: Place,
        looks: &[usize],
        start: &ActionStart,
        recorder: &mut Recorder,
    ) -> Result<bool, NoAnswer> {
        let done = self.shows(place, looks, recorder).await || {
            let what = match start.phase {
                Phase::Do => "changed",
                Phase::Undo => "taken back",
            };
            let target = &start.target;
            let text = format!("opsctl ended while this ran, so its outcome is unknown: had {target} been {what}?");
            let mut question = self.question(place, start.item.as_deref(), Ask::Settle, &text);
            question.does.clone_from(&start.plan.does);
            self.ask(place, question, &start.plan.notes, recorder).await?.reply == Reply::Yes
        };
        let end = ActionEnd {
            procedure: start.procedure.clone(),
            step: start.step.clone(),
            item: start.item.clone(),
            phase: start.phase,
            ended: if done { Ended::FoundDone } else { Ended::FoundUndone },
            took: Duration::ZERO,
            reason: Some("the program ended while this ran; what came of it was found out afterwards".to_owned()),
            help: None,
            facts: Facts::new(),
            notes: Vec::new(),
            evidence: Vec::new(),
        };
        self.note(EventKind::ActionFinished(Box::new(end)), recorder);
        Ok(done)
    }

    /// Whether all of `looks` hold at once; none show nothing.
    async fn shows(&mut self, place: Place, looks: &[usize], recorder: &mut Recorder) -> bool {
        for &look in looks {
            if !super::act::holds(self.look_again((place.0, look), recorder).await.outcome) {
                return false;
            }
        }
        !looks.is_empty()
    }
}

/// Whether the run went on without an action that had failed: by the operator's word, or by the procedure's where nobody
/// was asked.
fn was_left(record: &StepRecord, act: &Act) -> bool {
    let mut replies = record.answers.iter().rev().map(|(_, answer)| &answer.reply);
    match replies.find(|reply| matches!(reply, Reply::Skip | Reply::Stop | Reply::RollBack)) {
        Some(reply) => *reply == Reply::Skip,
        None => act.on_failure == OnFailure::Skip,
    }
}
