//! The post: channels of the site behind the engine's seam, and the clocks of the escalations.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::check::{Recorded, block_on};
use super::message;
use super::settings::{self, Globals};
use crate::engine::{Post, Tell};
use crate::journal::{Access, Journal, JournalError, Letter, Stage};
use crate::model::event::incident::{Delivered, Delivery, Escalation, Message};
use crate::model::event::people::{Ask, Question};
use crate::model::event::{Event, EventKind};
use crate::model::id::RunId;
use crate::model::record::Record;
use crate::procedure::library;
use crate::procedure::site::Site;
use crate::procedure::site::telling::Asked;

/// The post of one run.
pub struct Office {
    pub site: Arc<Site>,
    pub run: RunId,
}

impl Post for Office {
    fn plan(&self, tell: &Tell) -> Result<Escalation, String> {
        let asked = Asked {
            to: &tell.to,
            policy: tell.escalation.as_deref(),
            severity: tell.severity.as_deref(),
            channel: tell.channel.as_deref(),
            since: tell.since,
        };
        Ok(Escalation {
            procedure: tell.procedure.clone(),
            step: tell.step.clone(),
            item: None,
            severity: tell.severity.clone(),
            since: tell.since,
            text: tell.text.clone(),
            tracks: self.site.tracks(&asked)?,
        })
    }

    fn template(&self, name: &str) -> Result<String, String> {
        library::template(&self.site, name)
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Delivery> {
        send(&self.site, self.run, message).boxed()
    }
}

async fn send(site: &Site, run: RunId, message: &Message) -> Delivery {
    match site.channel(&message.channel) {
        Some(channel) => channel.send(run, message).await,
        None => Delivery {
            id: message.id.clone(),
            state: Delivered::Failed,
            detail: Some(format!("the site file has no channel `{}` any more", message.channel)),
        },
    }
}

/// A message that was handed to its channel, and what came of it.
pub struct Told {
    pub run: RunId,
    pub message: Message,
    pub delivery: Delivery,
}

/// As many channels are at work at the same time.
const AT_ONCE: usize = 8;

/// Tells whoever is due by now. Who is told by this program is told by no other one.
pub async fn advance(site: &Site, journal: &Journal) -> Result<Vec<Told>, JournalError> {
    deliver(site, journal, journal.claim(Utc::now()).await?).await
}

/// Hands `messages` to their channels and records what came of it.
pub async fn deliver(
    site: &Site,
    journal: &Journal,
    messages: Vec<(RunId, Message)>,
) -> Result<Vec<Told>, JournalError> {
    let sent = stream::iter(messages).map(|(run, message)| async move {
        let delivery = send(site, run, &message).await;
        note(journal, run, vec![EventKind::MessageDelivered(delivery.clone())]).await?;
        Ok(Told { run, message, delivery })
    });
    sent.buffered(AT_ONCE).collect::<Vec<_>>().await.into_iter().collect()
}

/// Adds to a run that may be another program's.
pub async fn note(journal: &Journal, run: RunId, kinds: Vec<EventKind>) -> Result<(), JournalError> {
    let record = Record::of(&journal.replay(run).await?);
    let at = Utc::now();
    let elapsed = record.started.and_then(|started| (at - started).to_std().ok()).unwrap_or_default();
    // The journal numbers them.
    let events: Vec<Event> = kinds.into_iter().map(|kind| Event { seq: 0, at, elapsed, kind }).collect();
    journal.append(run, &events).await
}

/// How long after its channel's own limit a message without a word on it counts as lost.
const LOST_AFTER: Duration = Duration::from_mins(1);

/// Whether the program that was sending it must have ended meanwhile: nobody knows whether it was sent.
pub fn is_lost(letter: &Letter, site: &Site, now: DateTime<Utc>) -> bool {
    let limit = site.channel(&letter.message.channel).map_or(Duration::ZERO, |channel| channel.limit());
    letter.stage == Stage::Queued && (now - letter.queued).to_std().is_ok_and(|since| since > limit + LOST_AFTER)
}

/// What names a message for `opsctl outbox done`.
pub fn id_of(run: RunId, message: &Message) -> String {
    format!("{}.{}", run.short(), message.id)
}

/// `management by pager (+48 123 456 791)`
pub fn whom(message: &Message) -> String {
    let reach = message.address.as_ref().map_or(String::new(), |address| format!(" ({address})"));
    format!("{} by {}{reach}", message.to, message.channel)
}

/// Whether a question of a run asks a person to tell this message.
pub fn asks_for(question: &Question, message: &Message) -> bool {
    let step = format!("{}.{}.", question.procedure, question.step);
    question.ask == Ask::Manual
        && message.id.starts_with(&step)
        && question.text.starts_with(&format!("tell {}: {}", whom(message), message.text))
}

/// One line of what was done.
pub fn line(told: &Told) -> String {
    let Told { run, message, delivery } = told;
    let whom = whom(message);
    let text = message.text.lines().next().unwrap_or_default();
    let detail = delivery.detail.as_deref().unwrap_or("no reason is known");
    match delivery.state {
        Delivered::Sent | Delivered::ByHand => format!("TOLD  {whom}: {text}\n"),
        Delivered::Waiting => {
            format!("ASK   tell {whom}: {text}\n      then `opsctl outbox done {}`\n", id_of(*run, message))
        }
        Delivered::Failed => format!(
            "FAIL  {whom} was not told: {detail}\n      tell them, then `opsctl outbox done {}`; or `opsctl tick --retry`\n",
            id_of(*run, message)
        ),
    }
}

/// Advances the clocks after a command that has written to the journal. What is wrong is for `opsctl tick` to say.
pub fn advance_after(globals: &Globals, path: &Path) {
    let Ok(site) = settings::site(globals) else { return };
    block_on(async {
        let Ok(journal) = Journal::open(path, Access::Write).await else { return };
        report(advance(&site, &journal).await);
    })
    .ok();
}

fn report(told: Result<Vec<Told>, JournalError>) {
    match told {
        Ok(told) => told.iter().for_each(|told| message::warn(&line(told))),
        Err(error) => message::warn(&format!("warning: escalations stand still: {error}\n")),
    }
}

/// How often a run at work looks at the clocks.
const EVERY: Duration = Duration::from_secs(30);

/// Advances the clocks beside a run.
pub struct Clocks {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// When the clocks are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Once, while the run looks.
    Once,
    /// All the time as well: it may last for hours.
    Always,
}

impl Clocks {
    pub fn start(site: Arc<Site>, recorded: Recorded, watch: Watch) -> Self {
        let (stop, mut stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let Some(journal) = recorded.journal().await else { return };
            let mut at_work = true;
            while at_work {
                let told = advance(&site, &journal).await;
                if watch == Watch::Once {
                    // Not between the lines of a report that is being written.
                    (&mut stopped).await.ok();
                    return report(told);
                }
                report(told);
                tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    _ = &mut stopped => at_work = false,
                }
            }
            report(advance(&site, &journal).await);
        });
        Self { stop, task }
    }

    /// Looks once more if it has looked all the time; what is being sent is sent to its end.
    pub async fn finish(self) {
        self.stop.send(()).ok();
        self.task.await.ok();
    }
}
