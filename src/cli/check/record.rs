//! The scribe: writes events to the journal beside the run, and reads its history.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};

use crate::engine::History;
use crate::journal::{Access, Journal, JournalError};
use crate::model::event::Event;
use crate::model::expectation::Reading;
use crate::model::id::{ProcedureId, RunId, StepId};
use crate::model::outcome::Outcome;

enum Order {
    Record(Box<Event>),
    /// Answers when everything before it is written; with the first error, if there was one.
    Flush(oneshot::Sender<Result<(), Arc<JournalError>>>),
}

/// What came of opening the journal: nothing when it failed.
type Opened = Result<Journal, Arc<JournalError>>;

/// Opens the journal while the first looks are under way, and never makes a look wait.
pub struct Scribe {
    orders: UnboundedSender<Order>,
    journal: watch::Receiver<Option<Opened>>,
}

impl Scribe {
    pub fn start(path: PathBuf, run: RunId) -> Self {
        let (orders, receiver) = unbounded_channel();
        let (opened, journal) = watch::channel(None);
        tokio::spawn(write(path, run, receiver, opened));
        Self { orders, journal }
    }

    pub fn record(&self, event: &Event) {
        self.orders.send(Order::Record(Box::new(event.clone()))).ok();
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// The first thing that went wrong with the journal since the start.
    pub async fn flush(&self) -> Result<(), Arc<JournalError>> {
        let (answer, wait) = oneshot::channel();
        self.orders.send(Order::Flush(answer)).ok();
        wait.await.unwrap_or(Ok(()))
    }

    pub fn history(&self) -> Recorded {
        Recorded { journal: self.journal.clone() }
    }
}

async fn write(path: PathBuf, run: RunId, mut orders: UnboundedReceiver<Order>, opened: watch::Sender<Option<Opened>>) {
    let journal = Journal::open(&path, Access::Write).await.map_err(Arc::new);
    let mut wrong = journal.clone().err();
    opened.send(Some(journal.clone())).ok();
    let mut batch = Vec::new();
    while let Some(first) = orders.recv().await {
        // At once, with all that came while the events before were written: a run that is killed must show what it did.
        let mut next = Some(first);
        let mut answers = Vec::new();
        while let Some(order) = next {
            match order {
                Order::Record(event) => batch.push(*event),
                Order::Flush(answer) => answers.push(answer),
            }
            next = orders.try_recv().ok();
        }
        // After an error nothing more is written: a record with a hole would look complete.
        if let (Ok(journal), None) = (&journal, &wrong)
            && !batch.is_empty()
        {
            wrong = journal.append(run, &batch).await.err().map(Arc::new);
        }
        batch.clear();
        for answer in answers {
            answer.send(wrong.clone().map_or(Ok(()), Err)).ok();
        }
    }
}

/// The history that the journal holds; none when it cannot be opened, which the run says anyway.
pub struct Recorded {
    journal: watch::Receiver<Option<Opened>>,
}

/// As many earlier readings as any condition can ask for.
const MOST_READINGS: u32 = 1000;

impl Recorded {
    async fn journal(&self) -> Option<Journal> {
        let mut journal = self.journal.clone();
        let opened = journal.wait_for(Option::is_some).await.ok()?;
        opened.as_ref()?.clone().ok()
    }
}

impl History for Recorded {
    fn readings<'h>(
        &'h self,
        procedure: &'h ProcedureId,
        step: &'h StepId,
        facts: &'h [String],
    ) -> BoxFuture<'h, HashMap<(String, String), Vec<Reading>>> {
        async move {
            let Some(journal) = self.journal().await else { return HashMap::new() };
            journal.readings(procedure, step, facts, MOST_READINGS).await.unwrap_or_default()
        }
        .boxed()
    }

    fn since<'h>(
        &'h self,
        procedure: &'h ProcedureId,
        step: &'h StepId,
        outcome: Outcome,
    ) -> BoxFuture<'h, Option<DateTime<Utc>>> {
        async move { self.journal().await?.since(procedure, step, outcome).await.ok().flatten() }.boxed()
    }
}
