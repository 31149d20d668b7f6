//! Telling people, and writing reports.

use std::io::Read as _;

use chrono::Utc;
use futures_util::future::join_all;

use super::ask::NoAnswer;
use super::perform::Item;
use super::recorder::Recorder;
use super::run::Run;
use super::{Place, Tell};
use crate::model::event::incident::{Delivered, Delivery, Escalation, Message as Outgoing};
use crate::model::event::people::{Ask, Reply};
use crate::model::event::{EventKind, StepResult, SubjectResult};
use crate::model::fact::Facts;
use crate::model::outcome::Outcome;
use crate::procedure::document::{Message, Notify, Written};
use crate::report::emergency::{self, Existing, Form};

/// A message of a step, and what it is called there: the role, with the item of a step that is repeated.
type Named = (String, Outgoing);

impl Run {
    /// Everybody is told before anybody is asked to tell somebody.
    pub async fn notify(
        &mut self,
        place: Place,
        notify: &Notify,
        items: &[Item],
        recorder: &mut Recorder,
    ) -> Result<StepResult, NoAnswer> {
        let mut whole = self.result(place, Outcome::Passed, None);
        let mut messages: Vec<Named> = Vec::new();
        for item in items {
            match self.escalation(place, notify, item, recorder) {
                Ok(escalation) => name_messages(&mut messages, &escalation),
                Err(reason) => (whole.outcome, whole.reason) = (Outcome::Errored, Some(reason)),
            }
        }
        self.send(&messages, recorder).await;
        for message in messages {
            let subject = self.told(place, message, recorder).await?;
            whole.outcome = whole.outcome.max(subject.outcome);
            if subject.outcome != Outcome::Passed {
                whole.reason = whole.reason.or_else(|| subject.notes.first().cloned());
            }
            whole.subjects.push(subject);
        }
        Ok(whole)
    }

    /// Whom to tell what: as it is on record when the run goes on, so that no clock begins anew.
    fn escalation(
        &mut self,
        place: Place,
        notify: &Notify,
        item: &Item,
        recorder: &mut Recorder,
    ) -> Result<Escalation, String> {
        let (procedure, step) = (self.planned[place.0].procedure.id.clone(), self.step(place).id.clone());
        let known = self
            .record
            .escalations
            .iter()
            .find(|known| (&known.procedure, &known.step, &known.item) == (&procedure, &step, &item.name));
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let tell = self.what_to_tell(place, notify, item)?;
        let escalation = Escalation { item: item.name.clone(), ..self.settings.crew.post.plan(&tell)? };
        self.note(EventKind::Escalated(Box::new(escalation.clone())), recorder);
        // As it is on record: without secrets.
        Ok(self.record.escalations.last().cloned().unwrap_or(escalation))
    }

    fn what_to_tell(&self, place: Place, notify: &Notify, item: &Item) -> Result<Tell, String> {
        let context = self.context_for(place, item);
        let text = match &notify.message {
            Message::Text(phrase) => phrase.say(&context)?,
            Message::Template(name) => {
                let template = self.settings.crew.post.template(name)?;
                crate::procedure::template::render(&template, &context)
                    .map_err(|reason| format!("the template `{name}`: {reason}"))?
            }
        };
        Ok(Tell {
            procedure: self.planned[place.0].procedure.id.clone(),
            step: self.step(place).id.clone(),
            to: notify.to.clone(),
            escalation: notify.escalation.clone(),
            severity: notify.severity.as_ref().map(|severity| severity.say(&context)).transpose()?,
            channel: notify.channel.clone(),
            text: text.trim_end().to_owned(),
            since: Utc::now(),
        })
    }

    /// Queues the messages that are not on record yet, and sends them side by side. What was queued before the program
    /// ended may have been sent: that is for a person to find out.
    async fn send(&mut self, messages: &[Named], recorder: &mut Recorder) {
        let mut fresh = Vec::new();
        for (_, message) in messages {
            match self.record.messages.get(&message.id) {
                None => {
                    self.note(EventKind::MessageQueued(Box::new(message.clone())), recorder);
                    fresh.push(message);
                }
                Some(known) if known.delivery.is_none() => {
                    let detail = "whether it was sent is not known: opsctl was ended meanwhile".to_owned();
                    let delivery = Delivery { id: message.id.clone(), state: Delivered::Waiting, detail: Some(detail) };
                    self.note(EventKind::MessageDelivered(delivery), recorder);
                }
                Some(_) => {}
            }
        }
        if fresh.is_empty() {
            return;
        }
        // Telling people matters more than the record of it: without a record they are told all the same.
        self.settings.crew.ledger.written(recorder.seq()).await.ok();
        let post = self.settings.crew.post.clone();
        for delivery in join_all(fresh.into_iter().map(|message| post.send(message))).await {
            self.note(EventKind::MessageDelivered(delivery), recorder);
        }
    }

    /// What became of a message, and a person's word where no channel could send it.
    async fn told(
        &mut self,
        place: Place,
        (name, message): Named,
        recorder: &mut Recorder,
    ) -> Result<SubjectResult, NoAnswer> {
        let known = self.record.messages.get(&message.id).and_then(|record| record.delivery.clone());
        let (mut at, mut delivery) = known.unwrap_or_else(|| {
            let delivery = Delivery { id: message.id.clone(), state: Delivered::Waiting, detail: None };
            (Utc::now(), delivery)
        });
        if delivery.state == Delivered::Waiting {
            let reach = message.address.as_ref().map_or(String::new(), |address| format!(" ({address})"));
            let doubt = delivery.detail.as_ref().map_or(String::new(), |detail| format!(" [{detail}]"));
            let text = format!("tell {} by {}{reach}: {}{doubt}", message.to, message.channel, message.text);
            let question = self.question(place, Some(&name), Ask::Manual, &text);
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
            name,
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

/// The first rung of each track; those above it are the clock's.
fn name_messages(messages: &mut Vec<Named>, escalation: &Escalation) {
    for message in (0..escalation.tracks.len()).filter_map(|track| escalation.message(track, 0)) {
        let mut name = match &escalation.item {
            Some(item) => format!("{item} {}", message.to),
            None => message.to.clone(),
        };
        // The same role in two tracks.
        if messages.iter().any(|(other, _)| *other == name) {
            name = format!("{name} by {}", message.channel);
        }
        messages.push((name, message));
    }
}
