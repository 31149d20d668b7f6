//! The scribe: writes events to the journal beside the run, and reads its history.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};

use crate::engine::{History, Ledger};
use crate::journal::{Access, Entry, Journal, JournalError};
use crate::model::event::Event;
use crate::model::expectation::Reading;
use crate::model::id::{ProcedureId, RunId, StepId};
use crate::model::outcome::Outcome;
use crate::model::past::PastRun;

enum Order {
    Record(Entry),
    /// Answers when everything before it is written; with the first error, if there was one.
    Flush(oneshot::Sender<Result<(), Arc<JournalError>>>),
}

/// What came of opening the journal: nothing when it failed.
type Opened = Result<Journal, Arc<JournalError>>;

/// A journal that is being opened beside all that comes before the run.
pub struct Opening {
    pub path: PathBuf,
    begun: Option<oneshot::Receiver<Opened>>,
}

impl Opening {
    /// Begins at once if the journal is there already. It is only made for a run.
    pub fn start(path: PathBuf) -> Self {
        let begun = path.exists().then(|| {
            let (sender, opened) = oneshot::channel();
            let path = path.clone();
            let open = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
                sender.send(runtime.block_on(open(&path))).ok()
            };
            std::thread::Builder::new().name("journal".to_owned()).spawn(open).ok();
            opened
        });
        Self { path, begun }
    }

    async fn end(self) -> Opened {
        if let Some(begun) = self.begun
            && let Ok(opened) = begun.await
        {
            return opened;
        }
        // It is not there yet, or there was no thread to be had.
        open(&self.path).await
    }
}

async fn open(path: &Path) -> Opened {
    let journal = Journal::open(path, Access::Write).await?;
    journal.look_for_end().await?;
    Ok(journal)
}

/// Opens the journal while the first looks are under way, and never makes a look wait.
pub struct Scribe {
    orders: UnboundedSender<Order>,
    journal: watch::Receiver<Option<Opened>>,
    written: watch::Receiver<Written>,
    /// The last event that somebody waits for.
    wanted: watch::Sender<u64>,
}

/// How long an event may wait for others that are written with it, unless somebody waits for it.
const LINGER: Duration = Duration::from_millis(20);

/// How far the record is: the number of the last event on disk, or why no more come.
type Written = Result<u64, Arc<JournalError>>;

impl Scribe {
    pub fn start(opening: Opening, run: RunId) -> Self {
        let (orders, receiver) = unbounded_channel();
        let (opened, journal) = watch::channel(None);
        let (progress, written) = watch::channel(Ok(0));
        let wanted = watch::Sender::new(0);
        tokio::spawn(write(opening, run, receiver, opened, progress, wanted.subscribe()));
        Self { orders, journal, written, wanted }
    }

    pub fn ledger(&self) -> Recording {
        Recording { written: self.written.clone(), wanted: self.wanted.clone() }
    }

    pub fn record(&self, event: &Event) {
        self.orders.send(Order::Record(Entry::of(event))).ok();
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
    /// The last event that somebody waits for.
    wanted: watch::Sender<u64>,
}

impl Ledger for Recording {
    fn written(&self, seq: u64) -> BoxFuture<'_, Result<(), String>> {
        let mut written = self.written.clone();
        self.wanted.send_modify(|wanted| *wanted = seq.max(*wanted));
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
    opening: Opening,
    run: RunId,
    mut orders: UnboundedReceiver<Order>,
    opened: watch::Sender<Option<Opened>>,
    progress: watch::Sender<Written>,
    mut wanted: watch::Receiver<u64>,
) {
    let journal = opening.end().await;
    let mut wrong = journal.clone().err();
    opened.send(Some(journal.clone())).ok();
    let foresee = |entries: &mut [Entry]| {
        if let Ok(journal) = &journal {
            journal.foresee(run, entries);
        }
    };
    while let Some(Batch { entries, answers }) = Batch::gather(&mut orders, &mut wanted, foresee).await {
        let last = entries.last().map_or(0, |entry| entry.seq);
        // After an error nothing more is written: a record with a hole would look complete.
        if let (Ok(journal), None) = (&journal, &wrong)
            && !entries.is_empty()
        {
            #[cfg(debug_assertions)]
            let entries = super::failpoint::reach(journal, run, entries).await;
            wrong = journal.record(run, entries).await.err().map(Arc::new);
        }
        match &wrong {
            Some(error) => _ = progress.send_replace(Err(Arc::clone(error))),
            None => progress.send_modify(|written| *written = Ok(last.max(*written.as_ref().unwrap_or(&0)))),
        }
        for answer in answers {
            answer.send(wrong.clone().map_or(Ok(()), Err)).ok();
        }
    }
}

/// What is written together.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    /// Who waits for all of it.
    answers: Vec<oneshot::Sender<Result<(), Arc<JournalError>>>>,
}

impl Batch {
    /// The next orders, and those that come soon behind them, for which is prepared meanwhile; nothing when no more
    /// will come.
    async fn gather(
        orders: &mut UnboundedReceiver<Order>,
        wanted: &mut watch::Receiver<u64>,
        prepare: impl Fn(&mut [Entry]),
    ) -> Option<Self> {
        let mut batch = Self::default();
        batch.add(orders.recv().await?);
        let soon = tokio::time::sleep(LINGER);
        tokio::pin!(soon);
        loop {
            while let Ok(order) = orders.try_recv() {
                batch.add(order);
            }
            let awaited = *wanted.borrow_and_update();
            if !batch.answers.is_empty() || batch.entries.first().is_some_and(|entry| entry.seq <= awaited) {
                return Some(batch);
            }
            prepare(&mut batch.entries);
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => batch.add(order),
                    None => return Some(batch),
                },
                Ok(()) = wanted.changed() => {}
                () = &mut soon => return Some(batch),
            }
        }
    }

    fn add(&mut self, order: Order) {
        match order {
            Order::Record(entry) => self.entries.push(entry),
            Order::Flush(answer) => self.answers.push(answer),
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
