//! The tables that are drawn from the events: runs, readings, streaks; timers and outbox are in `outbox`.

use std::slice;

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::TryStreamExt;
use sqlx::{Connection, QueryBuilder, Row, SqliteConnection};

use super::{AT_ONCE, Problem, outbox};
use crate::model::event::{Event, EventKind, RunStart, StepResult};
use crate::model::outcome::{Exit, Outcome};

/// The stored form of a time: one width, so that text sorts by time.
pub fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Adds what follows from `events` of `run`.
pub async fn apply(connection: &mut SqliteConnection, run: &str, events: &[Event]) -> Result<(), Problem> {
    let mut results = Vec::new();
    for event in events {
        outbox::draw(connection, run, event).await?;
        match &event.kind {
            EventKind::RunStarted(start) => started(connection, run, event.at, start).await?,
            EventKind::StepFinished(result) => results.push((stamp(event.at), &**result)),
            EventKind::RunFinished { outcome, exit } => finished(connection, run, event.at, *outcome, *exit).await?,
            EventKind::ProcedureStarted { .. }
            | EventKind::StepStarted { .. }
            | EventKind::AttemptFailed { .. }
            | EventKind::ProcedureFinished(_)
            | EventKind::Asked(_)
            | EventKind::Answered(_)
            | EventKind::ActionStarted(_)
            | EventKind::ActionFinished(_)
            | EventKind::RollbackStarted { .. }
            | EventKind::Marked(_)
            | EventKind::Noted(_)
            | EventKind::BudgetUsed(_)
            | EventKind::Escalated(_)
            | EventKind::MessageQueued(_)
            | EventKind::MessageDelivered(_)
            | EventKind::Acknowledged { .. }
            | EventKind::Suspended { .. }
            | EventKind::Resumed(_)
            | EventKind::Interrupted { .. } => {}
        }
    }
    readings(connection, run, &results).await?;
    streaks(connection, &results).await
}

async fn started(
    connection: &mut SqliteConnection,
    run: &str,
    at: DateTime<Utc>,
    start: &RunStart,
) -> Result<(), Problem> {
    let procedures: Vec<&str> = start.procedures.iter().map(|procedure| procedure.id.as_str()).collect();
    sqlx::query(
        "INSERT INTO runs (id, started, site, command, operator, host, procedures) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(run)
    .bind(stamp(at))
    .bind(&start.site)
    .bind(&start.command)
    .bind(&start.operator)
    .bind(&start.host)
    .bind(serde_json::json!(procedures).to_string())
    .execute(connection)
    .await?;
    Ok(())
}

async fn finished(
    connection: &mut SqliteConnection,
    run: &str,
    at: DateTime<Utc>,
    outcome: Outcome,
    exit: Exit,
) -> Result<(), Problem> {
    sqlx::query("UPDATE runs SET outcome = ?, exit = ?, finished = ? WHERE id = ?")
        .bind(outcome.word())
        .bind(exit.code())
        .bind(stamp(at))
        .bind(run)
        .execute(connection)
        .await?;
    Ok(())
}

/// A finished step, with the stored form of the time.
type Finished<'e> = (String, &'e StepResult);

async fn readings(connection: &mut SqliteConnection, run: &str, results: &[Finished<'_>]) -> Result<(), Problem> {
    let mut rows = Vec::new();
    for (at, result) in results {
        for subject in &result.subjects {
            for (fact, value) in &subject.facts {
                rows.extend(value.history_number().map(|number| (at, result, subject, fact, number)));
            }
        }
    }
    for rows in rows.chunks(AT_ONCE) {
        QueryBuilder::new("INSERT OR IGNORE INTO readings ")
            .push_values(rows, |mut row, (at, result, subject, fact, number)| {
                row.push_bind(result.procedure.as_str())
                    .push_bind(result.step.as_str())
                    .push_bind(fact)
                    .push_bind(&subject.name)
                    .push_bind(at)
                    .push_bind(run)
                    .push_bind(number.amount())
                    .push_bind(number.dimension().base_unit())
                    .push_bind(subject.outcome.word());
            })
            .build()
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// A skipped step was not looked at: it neither ends a streak nor begins one.
async fn streaks(connection: &mut SqliteConnection, results: &[Finished<'_>]) -> Result<(), Problem> {
    let rows: Vec<_> = results.iter().filter(|(_, result)| result.outcome != Outcome::Skipped).collect();
    for rows in rows.chunks(AT_ONCE) {
        QueryBuilder::new("INSERT INTO streaks (procedure, step, outcome, began) ")
            .push_values(rows, |mut row, (at, result)| {
                row.push_bind(result.procedure.as_str())
                    .push_bind(result.step.as_str())
                    .push_bind(result.outcome.word())
                    .push_bind(at);
            })
            .push(
                " ON CONFLICT DO UPDATE SET outcome = excluded.outcome, began = excluded.began
                  WHERE outcome <> excluded.outcome",
            )
            .build()
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub async fn rebuild(connection: &mut SqliteConnection) -> Result<(), Problem> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    draw_anew(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Draws all tables from the events, within a transaction.
pub async fn draw_anew(transaction: &mut SqliteConnection) -> Result<(), Problem> {
    sqlx::raw_sql(
        "DELETE FROM readings; DELETE FROM streaks; DELETE FROM timers; DELETE FROM outbox; DELETE FROM runs",
    )
    .execute(&mut *transaction)
    .await?;
    let mut row = 0_i64;
    while let Some((next, run, event)) = after(transaction, row).await? {
        apply(transaction, &run, slice::from_ref(&event)).await?;
        row = next;
    }
    Ok(())
}

async fn after(connection: &mut SqliteConnection, row: i64) -> Result<Option<(i64, String, Event)>, Problem> {
    let found = sqlx::query("SELECT id, run, event FROM events WHERE id > ? ORDER BY id LIMIT 1")
        .bind(row)
        .fetch_optional(connection)
        .await?;
    let Some(found) = found else { return Ok(None) };
    let row = found.try_get(0)?;
    Ok(Some((row, found.try_get(1)?, parse(row, found.try_get(2)?)?)))
}

/// A stored event.
pub fn parse(row: i64, text: &str) -> Result<Event, Problem> {
    serde_json::from_str(text)
        .map_err(|error| Problem::Damaged(format!("row {row} of the events cannot be read: {error}")))
}

/// The first drawn table in which the two differ.
pub async fn difference(
    one: &mut SqliteConnection,
    other: &mut SqliteConnection,
) -> Result<Option<&'static str>, Problem> {
    let tables = [
        (
            "runs",
            "SELECT json_array(id, started, site, command, operator, host, procedures, outcome, exit, finished)
             FROM runs ORDER BY id",
        ),
        (
            "readings",
            "SELECT json_array(procedure, step, fact, subject, at, run, value, unit, outcome)
             FROM readings ORDER BY procedure, step, fact, subject, at, run",
        ),
        ("streaks", "SELECT json_array(procedure, step, outcome, began) FROM streaks ORDER BY procedure, step"),
        ("timers", outbox::TIMERS),
        ("outbox", outbox::OUTBOX),
    ];
    for (table, rows) in tables {
        let mut left = sqlx::query_scalar::<_, String>(rows).fetch(&mut *one);
        let mut right = sqlx::query_scalar::<_, String>(rows).fetch(&mut *other);
        loop {
            match (left.try_next().await?, right.try_next().await?) {
                (None, None) => break,
                (left, right) if left == right => {}
                _ => return Ok(Some(table)),
            }
        }
    }
    Ok(None)
}
