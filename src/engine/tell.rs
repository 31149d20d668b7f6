//! Telling people, and writing reports.

use std::io::Read as _;

use chrono::Utc;

use super::ask::{Item, NoAnswer};
use super::recorder::Recorder;
use super::run::Run;
use super::{Place, Tell};
use crate::model::event::incident::{Delivered, Delivery, Message as Outgoing};
use crate::model::event::people::{Ask, Reply};
use crate::model::event::{EventKind, StepResult, SubjectResult};
use crate::model::fact::Facts;
use crate::model::outcome::Outcome;
use crate::procedure::document::{Message, Notify, Written};
use crate::report::emergency::{self, Existing, Form};

impl Run {
    pub async fn notify(
        &mut self,
        place: Place,
        notify: &Notify,
        items: &[Item],
        recorder: &mut Recorder,
    ) -> Result<StepResult, NoAnswer> {
        let mut whole = self.result(place, Outcome::Passed, None);
        for item in items {
            let tell = match self.what_to_tell(place, notify, item) {
                Ok(tell) => tell,
                Err(reason) => return Ok(self.result(place, Outcome::Errored, Some(reason))),
            };
            let escalation = match self.settings.crew.post.plan(&tell) {
                Ok(escalation) => escalation,
                Err(reason) => return Ok(self.result(place, Outcome::Errored, Some(reason))),
            };
            self.note(EventKind::Escalated(Box::new(escalation.clone())), recorder);
            for (track, rungs) in escalation.tracks.iter().enumerate() {
                // The first rung is for now; those above it are the clock's.
                let Some(rung) = rungs.first().filter(|rung| rung.due <= Utc::now()) else { continue };
                let message = Outgoing {
                    id: format!("{}.{}.{track}.0", tell.procedure, item_of(&tell, item)),
                    to: rung.to.clone(),
                    channel: rung.channel.clone(),
                    address: rung.address.clone(),
                    text: escalation.text.clone(),
                    deadline: rung.deadline,
                };
                let subject = self.tell_one(place, message, recorder).await?;
                whole.outcome = whole.outcome.max(subject.outcome);
                if subject.outcome != Outcome::Passed {
                    whole.reason = whole.reason.or_else(|| subject.notes.first().cloned());
                }
                whole.subjects.push(subject);
            }
        }
        Ok(whole)
    }

    fn what_to_tell(&self, place: Place, notify: &Notify, item: &Item) -> Result<Tell, String> {
        let context = self.context_for(place, item);
        let text = match &notify.message {
            Message::Text(phrase) => phrase.say(&context)?,
            Message::Template(name) => {
                let template = self.settings.crew.post.template(name)?;
                crate::procedure::template::render(&template, &context)?
            }
        };
        Ok(Tell {
            procedure: self.planned[place.0].procedure.id.clone(),
            step: self.step(place).id.clone(),
            to: notify.to.clone(),
            escalation: notify.escalation.clone(),
            severity: notify.severity.as_ref().map(|severity| severity.say(&context)).transpose()?,
            channel: notify.channel.clone(),
            text,
            since: Utc::now(),
        })
    }

    /// Queues a message once, sends it, and asks for a person's word where no channel can send.
    async fn tell_one(
        &mut self,
        place: Place,
        message: Outgoing,
        recorder: &mut Recorder,
    ) -> Result<SubjectResult, NoAnswer> {
        let known = self.record.messages.get(&message.id).and_then(|record| record.delivery.clone());
        let (mut at, mut delivery) = match known {
            Some((at, delivery)) => (at, delivery),
            None => {
                if !self.record.messages.contains_key(&message.id) {
                    self.note(EventKind::MessageQueued(Box::new(message.clone())), recorder);
                    self.settings.crew.ledger.written(recorder.seq()).await.ok();
                }
                let post = self.settings.crew.post.clone();
                let delivery = post.send(&message).await;
                self.note(EventKind::MessageDelivered(delivery.clone()), recorder);
                (Utc::now(), delivery)
            }
        };
        if delivery.state == Delivered::Waiting {
            let reach = message.address.as_ref().map_or(String::new(), |address| format!(" ({address})"));
            let text = format!("tell {}{reach}: {}", message.to, message.text);
            let question = self.question(place, Some(&message.to), Ask::Manual, &text);
            let answer = self.ask(place, question, &[], recorder).await?;
            let state =
                if matches!(answer.reply, Reply::Done | Reply::Yes) { Delivered::ByHand } else { Delivered::Failed };
            delivery = Delivery { id: message.id.clone(), state, detail: Some(format!("says {}", answer.by)) };
            at = Utc::now();
            self.note(EventKind::MessageDelivered(delivery.clone()), recorder);
        }
        let late = message.deadline.is_some_and(|deadline| at > deadline);
        let (outcome, word) = match delivery.state {
            Delivered::Sent if late => (Outcome::Failed, "told too late"),
            Delivered::ByHand if late => (Outcome::Failed, "told too late by a person"),
            Delivered::Sent => (Outcome::Passed, "told"),
            Delivered::ByHand => (Outcome::Passed, "told by a person"),
            Delivered::Failed => (Outcome::Failed, "not told"),
            Delivered::Waiting => (Outcome::Pending, "not told yet"),
        };
        let detail = delivery.detail.map_or(String::new(), |detail| format!(": {detail}"));
        Ok(SubjectResult {
            name: message.to.clone(),
            outcome,
            error: None,
            notes: vec![format!("{word} through {}{detail}", message.channel)],
            facts: Facts::new(),
            checks: Vec::new(),
        })
    }

    /// Fills the report from the record so far and writes it. The report of an earlier attempt of this run gives way,
    /// any other file stays.
    pub fn write_report(&self, place: Place, written: &Written) -> StepResult {
        let errored = |reason: String, help: Option<&str>| {
            let result = self.result(place, Outcome::Errored, Some(reason));
            StepResult { help: help.map(str::to_owned), ..result }
        };
        let file = match written.file.say(&self.context(place.0)) {
            Ok(file) => self.settings.folder.join(file),
            Err(reason) => return errored(reason, None),
        };
        let text = match emergency::render(&self.record, Form::of_file(&file), self.settings.timezone) {
            Ok(text) => text,
            Err(reason) => return errored(reason, None),
        };
        let ours = format!("Run {} of", self.settings.run.short());
        let before = std::fs::File::open(&file).and_then(|before| {
            let mut text = String::new();
            before.take(MOST_READ).read_to_string(&mut text).map(|_| text)
        });
        let existing =
            if before.is_ok_and(|before| before.contains(&ours)) { Existing::Replace } else { Existing::Keep };
        match emergency::write(&file, &text, existing) {
            Ok(()) => self.result(place, Outcome::Passed, Some(format!("written to {}", file.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let reason = format!("{} exists already, and is not the report of this run", file.display());
                errored(reason, Some("give each run a file of its own: `report-{{ run.id }}.md`"))
            }
            Err(error) => {
                let reason = format!("cannot write the report to {}: {error}", file.display());
                errored(reason, Some("make the folder, or write it later with `opsctl report emergency`"))
            }
        }
    }
}

/// As much of a file as is read to tell whose report it is.
const MOST_READ: u64 = 1 << 20;

/// The step, and the item that it is repeated for.
fn item_of(tell: &Tell, item: &Item) -> String {
    match &item.name {
        None => tell.step.to_string(),
        Some(name) => format!("{}.{name}", tell.step),
    }
}
