//! Recording events.

use sqlx::{Connection, QueryBuilder, SqliteConnection};

use super::{AT_ONCE, Journal, JournalError, PATIENCE, Problem, chain, draw};
use crate::model::event::Event;
use crate::model::id::RunId;

/// Bytes of a write-ahead log that are worth a visit to the disk.
const MOST_LOG: u64 = 512 * 1024;

impl Journal {
    /// Records `events` of `run`, all or none of them. Events of one run come in their order; several programs may
    /// record their runs at the same time.
    pub async fn append(&self, run: RunId, events: &[Event]) -> Result<(), JournalError> {
        self.record(run, events).await.map_err(|problem| self.error(problem))
    }

    async fn record(&self, run: RunId, events: &[Event]) -> Result<(), Problem> {
        let run = run.to_string();
        let mut connection = self.connection().await;
        // Takes the write lock before reading the head of the chain: nobody can come in between.
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut head = chain::head(&mut transaction).await?;
        let mut rows = Vec::with_capacity(events.len());
        for event in events {
            let text = serde_json::to_string(event).map_err(std::io::Error::from)?;
            head = chain::link(&head, &run, &text);
            rows.push((i64::try_from(event.seq).unwrap_or(i64::MAX), text, head.clone()));
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
        draw::apply(&mut transaction, &run, events).await?;
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
