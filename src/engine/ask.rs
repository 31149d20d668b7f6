//! Asking people: a question, what they have to know for it, and the answer, which may have been given before.

use indexmap::IndexMap;

use super::recorder::Recorder;
use super::run::Run;
use super::{Briefing, Place, Reaction};
use crate::model::event::EventKind;
use crate::model::event::people::{Answer, Ask, Question};
use crate::model::outcome::Outcome;
use crate::procedure::document::StepKind;

/// Why there is no answer: the run is suspended.
pub struct NoAnswer;

impl Run {
    pub fn question(&self, place: Place, item: Option<&str>, ask: Ask, text: &str) -> Question {
        Question {
            procedure: self.planned[place.0].procedure.id.clone(),
            step: self.step(place).id.clone(),
            item: item.map(str::to_owned),
            ask,
            text: text.to_owned(),
            choices: IndexMap::new(),
            note_required: false,
            role: None,
            does: Vec::new(),
            hash: None,
            type_to_agree: None,
        }
    }

    pub fn briefing(&self, place: Place, notes: &[String]) -> Briefing {
        let step = self.step(place);
        let ends = |(since, budget)| Some((since, since + chrono::Duration::from_std(budget).ok()?));
        Briefing {
            run: Some(self.settings.run),
            title: self.title(place.0),
            step: step.title.clone(),
            why: step.why.clone(),
            next: step.next.clone(),
            findings: self.findings(place.0),
            notes: notes.to_vec(),
            budget: self.budget(place.0).and_then(ends),
        }
    }

    /// Looks again at what was wrong: a person who has done something wants to see whether it helped.
    pub async fn look_at_findings(&mut self, procedure: usize, recorder: &mut Recorder) {
        for position in 0..self.results[procedure].len() {
            let place = (procedure, position);
            let wrong = self.results[procedure][position]
                .as_ref()
                .is_some_and(|result| matches!(result.outcome, Outcome::Failed | Outcome::Errored | Outcome::Warned));
            if wrong && self.step(place).kind == StepKind::Probe && self.step(place).for_each.is_none() {
                self.look_again(place, recorder).await;
            }
        }
    }

    /// The answer to a question: one that was given already, or that somebody gives now. Without one the question stays as
    /// a task.
    pub async fn ask(
        &mut self,
        place: Place,
        question: Question,
        notes: &[String],
        recorder: &mut Recorder,
    ) -> Result<Answer, NoAnswer> {
        match self.answered(place, &question) {
            Some(answer) => Ok(answer),
            None => self.ask_anew(place, question, notes, recorder).await,
        }
    }

    pub async fn ask_anew(
        &mut self,
        place: Place,
        question: Question,
        notes: &[String],
        recorder: &mut Recorder,
    ) -> Result<Answer, NoAnswer> {
        self.note(EventKind::Asked(Box::new(question.clone())), recorder);
        self.settings.crew.ledger.written(recorder.seq()).await.ok();
        loop {
            let briefing = self.briefing(place, notes);
            let crew = self.settings.crew.clone();
            let reaction = tokio::select! {
                reaction = crew.people.ask(&question, &briefing) => reaction,
                () = self.stop.token.cancelled(), if self.interrupted.is_none() => {
                    self.interrupt(recorder);
                    return Err(NoAnswer);
                }
            };
            self.watch_budget(place, recorder);
            match reaction {
                Reaction::Answered(answer) => match self.refusal(&question, &answer) {
                    None => {
                        self.note(EventKind::Answered(Box::new(answer.clone())), recorder);
                        return Ok(answer);
                    }
                    Some(refusal) => crew.people.tell(&refusal),
                },
                Reaction::Elsewhere(event) => {
                    recorder.pass_on(&event);
                    self.record.apply(&event);
                    if let EventKind::Answered(answer) = event.kind {
                        return Ok(*answer);
                    }
                }
                Reaction::Noted(note) => self.note(EventKind::Noted(note), recorder),
                Reaction::Later => return Err(NoAnswer),
            }
        }
    }

    /// Why an answer does not count.
    fn refusal(&self, question: &Question, answer: &Answer) -> Option<String> {
        if question.ask == Ask::Approval && answer.by == self.settings.operator {
            return Some(format!("{} runs this procedure; another person has to agree", answer.by));
        }
        if question.note_required && answer.note.as_deref().is_none_or(|note| note.trim().is_empty()) {
            return Some("this needs a note".to_owned());
        }
        None
    }

    /// An answer that was given before the program ended, if it is about the same.
    fn answered(&self, place: Place, question: &Question) -> Option<Answer> {
        // Whether to try again is asked anew each time.
        if matches!(question.ask, Ask::Failure | Ask::Interrupted) {
            return None;
        }
        let procedure = self.record.procedures.get(&self.planned[place.0].procedure.id)?;
        let record = procedure.steps.get(&self.step(place).id)?;
        let used = record.actions.iter().map(|action| action.started).max();
        let (_, answer) = record
            .answers
            .iter()
            .rev()
            .find(|(at, answer)| answer.item == question.item && used.is_none_or(|used| *at > used))?;
        (answer.hash == question.hash).then(|| answer.clone())
    }
}
