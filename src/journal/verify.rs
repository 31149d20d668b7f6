//! Proof that the record is what was recorded.

use std::slice;

use futures_util::TryStreamExt;
use sqlx::{Connection, Row, SqliteConnection};

use super::{Break, Journal, JournalError, Problem, chain, draw, open};
use crate::model::event::EventKind;
use crate::model::id::RunId;

/// A journal that holds together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    pub runs: usize,
    pub events: i64,
    /// The hash of the newest row. Whoever keeps it elsewhere can tell later that nothing up to it was changed, even
    /// by someone who can write the file and knows how it is made.
    pub head: String,
    /// Runs without an end: killed, or still running.
    pub unfinished: Vec<RunId>,
}

impl Journal {
    /// Checks every row against its hash, that none is missing or moved, and that the lists and the history follow
    /// from the events. The error names the first row that does not fit.
    pub async fn verify(&self) -> Result<Verified, JournalError> {
        let mut connection = self.connection().await;
        verify(&mut connection).await.map_err(|problem| self.error(problem))
    }
}

/// The fold over the rows of the chain.
struct Walk {
    row: i64,
    head: String,
    /// The newest event of each run, and whether the run has ended; in the order in which the runs began.
    runs: indexmap::IndexMap<String, (i64, bool)>,
}

async fn verify(connection: &mut SqliteConnection) -> Result<Verified, Problem> {
    // One snapshot, whatever other programs record meanwhile.
    let mut snapshot = connection.begin().await?;
    let mut redrawn = SqliteConnection::connect("sqlite::memory:").await?;
    open::migrate(&mut redrawn).await?;
    let mut drawing = redrawn.begin().await?;

    let mut walk = Walk { row: 0, head: chain::GENESIS.to_owned(), runs: indexmap::IndexMap::new() };
    let mut rows = sqlx::query("SELECT id, run, seq, event, hash FROM events ORDER BY id").fetch(&mut *snapshot);
    while let Some(row) = rows.try_next().await? {
        let (id, run, text) = (row.try_get(0)?, row.try_get::<&str, _>(1)?, row.try_get(3)?);
        walk.check(id, run, row.try_get(2)?, text, row.try_get(4)?)?;
        let event = draw::parse(id, text)?;
        if let Some((_, ended)) = walk.runs.get_mut(run) {
            // Others may have a word on a run that has ended: a message was delivered.
            if matches!(event.kind, EventKind::RunFinished { .. } | EventKind::Resumed(_)) {
                *ended = matches!(event.kind, EventKind::RunFinished { .. });
            }
        }
        draw::apply(&mut drawing, run, slice::from_ref(&event)).await?;
    }
    drop(rows);

    // The counter remembers the highest row there ever was, so a cut-off end shows.
    let highest = sqlx::query_scalar::<_, i64>("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        .fetch_optional(&mut *snapshot)
        .await?
        .unwrap_or_default();
    if highest > walk.row {
        return Err(Break::Missing { row: walk.row + 1 }.into());
    }
    if let Some(table) = draw::difference(&mut snapshot, &mut drawing).await? {
        return Err(Break::Drawn { table }.into());
    }
    walk.verified()
}

impl Walk {
    fn check(&mut self, row: i64, run: &str, seq: i64, event: &str, hash: &str) -> Result<(), Break> {
        if row != self.row + 1 {
            return Err(Break::Missing { row: self.row + 1 });
        }
        let expected = self.runs.get(run).map_or(1, |(newest, _)| newest + 1);
        if seq != expected {
            return Err(Break::Order { row, run: run.to_owned(), seq, expected });
        }
        if chain::link(&self.head, run, event) != hash {
            return Err(Break::Changed { row, run: run.to_owned(), seq });
        }
        self.row = row;
        hash.clone_into(&mut self.head);
        self.runs.entry(run.to_owned()).or_default().0 = seq;
        Ok(())
    }

    fn verified(self) -> Result<Verified, Problem> {
        let unfinished = self
            .runs
            .iter()
            .filter(|(_, (_, ended))| !ended)
            .map(|(run, _)| run.parse().map_err(|error| Problem::Damaged(format!("the events name a run: {error}"))))
            .collect::<Result<_, _>>()?;
        Ok(Verified { runs: self.runs.len(), events: self.row, head: self.head, unfinished })
    }
}
