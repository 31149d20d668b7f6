//! Recording events.

use std::borrow::Cow;

use sqlx::{Connection, QueryBuilder, SqliteConnection};

use super::{AT_ONCE, Journal, JournalError, PATIENCE, Problem, chain, draw};
use crate::model::event::Event;
use crate::model::id::RunId;

/// Bytes of a write-ahead log that are worth a visit to the disk.
const MOST_LOG: u64 = 512 * 1024;

impl Journal {
    /// Records `events` of `run`, all or none of them, behind what is recorded of it: they are numbered here, so that
    /// several programs can add to one run. Several programs may record their runs at the same time.
    pub async fn append(&self, run: RunId, events: &[Event]) -> Result<(), JournalError> {
        self.record(run, events).await.map_err(|problem| self.error(problem))
    }

    async fn record(&self, run: RunId, events: &[Event]) -> Result<(), Problem> {
        let mut connection = self.connection().await;
        // Takes the write lock before reading the head of the chain: nobody can come in between.
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        insert(&mut transaction, run, events).await?;
        transaction.commit().await?;
        self.fold(&mut connection).await;
        Ok(())
    }

    /// Moves a write-ahead log that has grown into the main file. Who opens the journal first reads the whole log, so
    /// it has to stay short; while others use the journal it is left to the next run.
    async fn fold(&self, connection: &mut SqliteConnection) {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        if std::fs::metadata(log).is_ok_and(|log| log.len() > MOST_LOG) {
            let wait = PATIENCE.as_millis();
            let fold =
                format!("PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = {wait}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(fold)).execute(connection).await.ok();
        }
    }

    /// Makes the tables that lists and history read anew from the events.
    pub async fn rebuild(&self) -> Result<(), JournalError> {
        let mut connection = self.connection().await;
        draw::rebuild(&mut connection).await.map_err(|problem| self.error(problem))
    }
}

/// Adds `events` of `run` within a transaction that holds the write lock.
pub async fn insert(transaction: &mut SqliteConnection, run: RunId, events: &[Event]) -> Result<(), Problem> {
    let run = run.to_string();
    let mut head = chain::head(transaction).await?;
    let newest = sqlx::query_scalar::<_, Option<i64>>("SELECT max(seq) FROM events WHERE run = ?")
        .bind(&run)
        .fetch_one(&mut *transaction)
        .await?
        .unwrap_or(0);
    let mut rows = Vec::with_capacity(events.len());
    for (seq, event) in (newest + 1..).zip(events) {
        let text = serde_json::to_string(&*numbered(event, seq)).map_err(std::io::Error::from)?;
        head = chain::link(&head, &run, &text);
        rows.push((seq, text, head.clone()));
    }
    for rows in rows.chunks(AT_ONCE) {
        QueryBuilder::new("INSERT INTO events (run, seq, event, hash) ")
            .push_values(rows, |mut row, (seq, text, hash)| {
                row.push_bind(&run).push_bind(seq).push_bind(text).push_bind(hash);
            })
            .build()
            .execute(&mut *transaction)
            .await?;
    }
    draw::apply(transaction, &run, events).await
}

/// The event with its place in the run; another program may have added to the run since the event was made.
fn numbered(event: &Event, seq: i64) -> Cow<'_, Event> {
    match u64::try_from(seq) {
        Ok(seq) if seq != event.seq => Cow::Owned(Event { seq, ..event.clone() }),
        Ok(_) | Err(_) => Cow::Borrowed(event),
    }
}
