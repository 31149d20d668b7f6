//! The scribe: writes events to the journal beside the run, and reads its history.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};

use crate::engine::{History, Ledger};
use crate::journal::{Access, Journal, JournalError};
use crate::model::event::Event;
use crate::model::expectation::Reading;
use crate::model::id::{ProcedureId, RunId, StepId};
use crate::model::outcome::Outcome;
use crate::model::past::PastRun;

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
    written: watch::Receiver<Written>,
}

/// How far the record is: the number of the last event on disk, or why no more come.
type Written = Result<u64, Arc<JournalError>>;

impl Scribe {
    pub fn start(path: PathBuf, run: RunId) -> Self {
        let (orders, receiver) = unbounded_channel();
        let (opened, journal) = watch::channel(None);
        let (progress, written) = watch::channel(Ok(0));
        tokio::spawn(write(path, run, receiver, opened, progress));
        Self { orders, journal, written }
    }

    pub fn ledger(&self) -> Recording {
        Recording { written: self.written.clone() }
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

/// What has to be on disk before something is changed.
pub struct Recording {
    written: watch::Receiver<Written>,
}

impl Ledger for Recording {
    fn written(&self, seq: u64) -> BoxFuture<'_, Result<(), String>> {
        let mut written = self.written.clone();
        async move {
            let there = written.wait_for(|written| written.as_ref().map_or(true, |last| *last >= seq)).await;
            match there.as_deref() {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("the program is ending".to_owned()),
            }
        }
        .boxed()
    }
}

async fn write(
    path: PathBuf,
    run: RunId,
    mut orders: UnboundedReceiver<Order>,
    opened: watch::Sender<Option<Opened>>,
    progress: watch::Sender<Written>,
) {
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
            #[cfg(debug_assertions)]
            super::failpoint::reach(journal, run, &batch).await;
            wrong = journal.append(run, &batch).await.err().map(Arc::new);
        }
        let last = batch.last().map_or(0, |event: &Event| event.seq);
        match &wrong {
            Some(error) => _ = progress.send_replace(Err(Arc::clone(error))),
            None => progress.send_modify(|written| *written = Ok(last.max(*written.as_ref().unwrap_or(&0)))),
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

impl Recorded {
    /// The journal once it is open; `None` if it cannot be opened.
    pub async fn journal(&self) -> Option<Journal> {
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
        runs: u32,
    ) -> BoxFuture<'h, HashMap<(String, String), Vec<Reading>>> {
        async move {
            let Some(journal) = self.journal().await else { return HashMap::new() };
            journal.readings(procedure, step, facts, runs).await.unwrap_or_default()
        }
        .boxed()
    }

    fn runs_of<'h>(
        &'h self,
        procedure: &'h ProcedureId,
        besides: RunId,
    ) -> BoxFuture<'h, Result<Vec<PastRun>, String>> {
        async move {
            let journal = self.journal().await.ok_or_else(|| "it could not be opened".to_owned())?;
            journal.runs_of(procedure, besides).await.map_err(|error| error.to_string())
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
