//! What a step saw, and how it was, in the runs before.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{Row, SqliteConnection};
use tokio::sync::{MappedMutexGuard, MutexGuard};

use super::{Journal, JournalError, Problem};
use crate::model::expectation::Reading;
use crate::model::id::{ProcedureId, StepId};
use crate::model::outcome::Outcome;
use crate::model::unit::{Dimension, Quantity};

/// Earlier readings, newest first, by subject and fact.
pub type History = HashMap<(String, String), Vec<Reading>>;

impl Journal {
    /// The connection, when all is drawn that was recorded before.
    async fn settled(&self) -> Result<MappedMutexGuard<'_, SqliteConnection>, JournalError> {
        let mut book = self.book.lock().await;
        book.settle().await.map_err(|problem| self.error(problem))?;
        Ok(MutexGuard::map(book, |book| &mut book.connection))
    }

    /// The readings of each of `facts` on each subject of the step in its newest `limit` runs.
    pub async fn readings(
        &self,
        procedure: &ProcedureId,
        step: &StepId,
        facts: &[String],
        limit: u32,
    ) -> Result<History, JournalError> {
        let mut connection = self.settled().await?;
        let mut history = History::new();
        for fact in facts {
            let found = readings(&mut connection, procedure, step, fact, limit).await;
            for (subject, reading) in found.map_err(|problem| self.error(problem))? {
                history.entry((subject, fact.clone())).or_default().push(reading);
            }
        }
        Ok(history)
    }

    /// When the step came to `outcome` for the first time in the unbroken row of runs up to now; `None` when the
    /// newest run that did not skip it had another outcome.
    pub async fn since(
        &self,
        procedure: &ProcedureId,
        step: &StepId,
        outcome: Outcome,
    ) -> Result<Option<DateTime<Utc>>, JournalError> {
        let mut connection = self.settled().await?;
        sqlx::query_scalar("SELECT began FROM streaks WHERE procedure = ? AND step = ? AND outcome = ?")
            .bind(procedure.as_str())
            .bind(step.as_str())
            .bind(outcome.word())
            .fetch_optional(&mut *connection)
            .await
            .map_err(|error| self.error(error))
    }
}

async fn readings(
    connection: &mut SqliteConnection,
    procedure: &ProcedureId,
    step: &StepId,
    fact: &str,
    limit: u32,
) -> Result<Vec<(String, Reading)>, Problem> {
    // What a step saw lies together by run: reads no more than the newest runs, however long the history is.
    let rows = sqlx::query(
        "SELECT subject AS name, at, value, unit FROM readings
         WHERE procedure = ?1 AND step = ?2 AND fact = ?3
             AND at >= coalesce((SELECT DISTINCT at FROM readings WHERE procedure = ?1 AND step = ?2
                                 ORDER BY at DESC LIMIT 1 OFFSET ?4 - 1), '')
         ORDER BY name, at DESC",
    )
    .bind(procedure.as_str())
    .bind(step.as_str())
    .bind(fact)
    .bind(i64::from(limit.max(1)))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let value = Quantity::new(row.try_get("value")?, dimension(row.try_get("unit")?)?);
            Ok((row.try_get("name")?, Reading { at: row.try_get("at")?, value }))
        })
        .collect()
}

fn dimension(unit: &str) -> Result<Dimension, Problem> {
    let all = [
        Dimension::Count,
        Dimension::Percent,
        Dimension::Size,
        Dimension::Time,
        Dimension::Rate,
        Dimension::Throughput,
    ];
    all.into_iter()
        .find(|dimension| dimension.base_unit() == unit)
        .ok_or_else(|| Problem::Damaged(format!("`{unit}` is no unit of a reading")))
}
