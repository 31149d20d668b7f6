//! The tables that are drawn from the events: runs, readings, streaks.

use std::slice;

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::TryStreamExt;
use sqlx::{Connection, Row, SqliteConnection};

use super::Problem;
use super::script::Script;
use crate::model::event::{Event, EventKind, RunStart, StepResult};
use crate::model::outcome::{Exit, Outcome};

/// The stored form of a time: one width, so that text sorts by time.
pub fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Adds what follows from `events` of `run`.
pub async fn apply(connection: &mut SqliteConnection, run: &str, events: &[Event]) -> Result<(), Problem> {
    let mut script = Script::default();
    push(&mut script, run, events);
    script.run(connection).await
}

/// Appends to `script` the statements that add what follows from `events` of `run`.
pub fn push(script: &mut Script, run: &str, events: &[Event]) {
    let mut results = Vec::new();
    for event in events {
        match &event.kind {
            EventKind::RunStarted(start) => started(script, run, event.at, start),
            EventKind::StepFinished(result) => results.push((stamp(event.at), &**result)),
            EventKind::RunFinished { outcome, exit } => finished(script, run, event.at, *outcome, *exit),
            EventKind::ProcedureStarted { .. }
            | EventKind::StepStarted { .. }
            | EventKind::AttemptFailed { .. }
            | EventKind::ProcedureFinished(_)
            | EventKind::Interrupted { .. } => {}
        }
    }
    readings(script, run, &results);
    streaks(script, &results);
}

fn started(script: &mut Script, run: &str, at: DateTime<Utc>, start: &RunStart) {
    let procedures: Vec<&str> = start.procedures.iter().map(|procedure| procedure.id.as_str()).collect();
    let rows = [(run, stamp(at), start, serde_json::json!(procedures).to_string())];
    script.values(
        "INSERT INTO runs (id, started, site, command, operator, host, procedures) ",
        &rows,
        |mut row, (run, at, start, procedures)| {
            row.push_bind(*run)
                .push_bind(at)
                .push_bind(&start.site)
                .push_bind(&start.command)
                .push_bind(&start.operator)
                .push_bind(&start.host)
                .push_bind(procedures);
        },
        "",
    );
}

fn finished(script: &mut Script, run: &str, at: DateTime<Utc>, outcome: Outcome, exit: Exit) {
    let update = script.statement("UPDATE runs SET outcome = ");
    update.push_bind(outcome.word()).push(", exit = ").push_bind(exit.code());
    update.push(", finished = ").push_bind(stamp(at)).push(" WHERE id = ").push_bind(run);
}

/// A finished step, with the stored form of the time.
type Finished<'e> = (String, &'e StepResult);

fn readings(script: &mut Script, run: &str, results: &[Finished<'_>]) {
    let mut rows = Vec::new();
    for (at, result) in results {
        for subject in &result.subjects {
            for (fact, value) in &subject.facts {
                rows.extend(value.history_number().map(|number| (at, result, subject, fact, number)));
            }
        }
    }
    script.values(
        "INSERT OR IGNORE INTO readings ",
        &rows,
        |mut row, (at, result, subject, fact, number)| {
            row.push_bind(result.procedure.as_str())
                .push_bind(result.step.as_str())
                .push_bind(fact)
                .push_bind(&subject.name)
                .push_bind(at)
                .push_bind(run)
                .push_bind(number.amount())
                .push_bind(number.dimension().base_unit())
                .push_bind(subject.outcome.word());
        },
        "",
    );
}

/// A skipped step was not looked at: it neither ends a streak nor begins one.
fn streaks(script: &mut Script, results: &[Finished<'_>]) {
    let rows: Vec<_> = results.iter().filter(|(_, result)| result.outcome != Outcome::Skipped).collect();
    script.values(
        "INSERT INTO streaks (procedure, step, outcome, began) ",
        &rows,
        |mut row, (at, result)| {
            row.push_bind(result.procedure.as_str())
                .push_bind(result.step.as_str())
                .push_bind(result.outcome.word())
                .push_bind(at);
        },
        " ON CONFLICT DO UPDATE SET outcome = excluded.outcome, began = excluded.began
          WHERE outcome <> excluded.outcome",
    );
}

pub async fn rebuild(connection: &mut SqliteConnection) -> Result<(), Problem> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql("DELETE FROM readings; DELETE FROM streaks; DELETE FROM runs").execute(&mut *transaction).await?;
    let mut row = 0_i64;
    while let Some((next, run, event)) = after(&mut transaction, row).await? {
        apply(&mut transaction, &run, slice::from_ref(&event)).await?;
        row = next;
    }
    Ok(transaction.commit().await?)
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
