//! The tables that are drawn from the events: runs, readings, streaks; timers and outbox are in `outbox`.

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::TryStreamExt;
use sqlx::{Connection, SqliteConnection};

use super::script::Script;
use super::{Problem, outbox};
use crate::model::event::{Event, EventKind, RunStart, StepResult};
use crate::model::outcome::{Exit, Outcome};

/// Events that are held in memory at the same time.
const AT_ONCE: i64 = 1000;

/// The stored form of a time: one width, so that text sorts by time.
pub fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The list of runs, the timers and the outbox, with what follows from `event` of `run`.
pub fn list(script: &mut Script, run: &str, event: &Event) {
    outbox::draw(script, run, event);
    match &event.kind {
        EventKind::RunStarted(start) => row(script, run, event.at, start, None),
        EventKind::RunFinished { outcome, exit } => finished(script, run, event.at, *outcome, *exit),
        _ => {}
    }
}

/// The same for those of the events recorded together for which [`is_listed`] holds. A run that is there from its start
/// to its end, and tells nobody, is one row.
pub fn lists(script: &mut Script, run: &str, events: &[&Event]) {
    if let [first, last] = events
        && let EventKind::RunStarted(start) = &first.kind
        && let EventKind::RunFinished { outcome, exit } = last.kind
    {
        return row(script, run, first.at, start, Some((last.at, outcome, exit)));
    }
    for event in events {
        list(script, run, event);
    }
}

/// Whether [`list`] has anything to do for `event`: then it and the row of the chain need a transaction.
pub fn is_listed(event: &Event) -> bool {
    let mut script = Script::default();
    list(&mut script, "", event);
    !script.is_empty()
}

/// Readings and streaks with what follows from the finished steps among `events`, each with its run.
pub fn history<'e>(script: &mut Script, events: impl Iterator<Item = (&'e str, &'e Event)>) {
    let results: Vec<Finished<'_>> = events
        .filter_map(|(run, event)| {
            let EventKind::StepFinished(result) = &event.kind else { return None };
            Some(Finished { run, at: stamp(event.at), result })
        })
        .collect();
    readings(script, &results);
    streaks(script, &results);
}

/// The row of the events up to which readings and streaks are drawn.
pub async fn drawn(connection: &mut SqliteConnection) -> Result<i64, Problem> {
    Ok(sqlx::query_scalar("SELECT row FROM drawn").fetch_one(connection).await?)
}

fn set_drawn(script: &mut Script, row: i64) {
    script.statement("UPDATE drawn SET row = ").push_bind(row);
}

/// Draws readings and streaks of the rows behind `from`, up to `to`. An event that cannot be read is left to the
/// verification, which names it: it must not keep others from recording.
pub async fn catch_up(connection: &mut SqliteConnection, from: i64, to: i64) -> Result<(), Problem> {
    let mut from = from;
    while from < to {
        let rows: Vec<(i64, String, String)> =
            sqlx::query_as("SELECT id, run, event FROM events WHERE id > ? AND id <= ? ORDER BY id LIMIT ?")
                .bind(from)
                .bind(to)
                .bind(AT_ONCE)
                .fetch_all(&mut *connection)
                .await?;
        let events: Vec<(&str, Event)> =
            rows.iter().filter_map(|(row, run, text)| Some((run.as_str(), parse(*row, text).ok()?))).collect();
        from = rows.last().map_or(to, |(row, ..)| *row);
        let mut script = Script::default();
        history(&mut script, events.iter().map(|(run, event)| (*run, event)));
        set_drawn(&mut script, from);
        script.run(connection).await?;
    }
    Ok(())
}

/// A run, and how it ended if it has.
fn row(
    script: &mut Script,
    run: &str,
    at: DateTime<Utc>,
    start: &RunStart,
    end: Option<(DateTime<Utc>, Outcome, Exit)>,
) {
    let procedures: Vec<&str> = start.procedures.iter().map(|procedure| procedure.id.as_str()).collect();
    let insert = script.statement(
        "INSERT INTO runs (id, started, site, command, operator, host, procedures, outcome, exit, finished) VALUES (",
    );
    let mut row = insert.separated(", ");
    row.push_bind(run).push_bind(stamp(at)).push_bind(&start.site).push_bind(&start.command);
    row.push_bind(&start.operator).push_bind(&start.host).push_bind(serde_json::json!(procedures).to_string());
    row.push_bind(end.map(|(_, outcome, _)| outcome.word())).push_bind(end.map(|(.., exit)| exit.code()));
    row.push_bind(end.map(|(at, ..)| stamp(at)));
    insert.push(")");
}

fn finished(script: &mut Script, run: &str, at: DateTime<Utc>, outcome: Outcome, exit: Exit) {
    let update = script.statement("UPDATE runs SET outcome = ");
    update.push_bind(outcome.word()).push(", exit = ").push_bind(exit.code());
    update.push(", finished = ").push_bind(stamp(at)).push(" WHERE id = ").push_bind(run);
}

struct Finished<'e> {
    run: &'e str,
    /// The stored form of the time.
    at: String,
    result: &'e StepResult,
}

fn readings(script: &mut Script, results: &[Finished<'_>]) {
    let mut rows = Vec::new();
    for finished in results {
        for subject in &finished.result.subjects {
            for (fact, value) in &subject.facts {
                rows.extend(value.history_number().map(|number| (finished, subject, fact, number)));
            }
        }
    }
    script.values(
        "INSERT OR IGNORE INTO readings ",
        &rows,
        |mut row, (Finished { run, at, result }, subject, fact, number)| {
            row.push_bind(result.procedure.as_str())
                .push_bind(result.step.as_str())
                .push_bind(fact)
                .push_bind(&subject.name)
                .push_bind(at)
                .push_bind(*run)
                .push_bind(number.amount())
                .push_bind(number.dimension().base_unit())
                .push_bind(subject.outcome.word());
        },
        "",
    );
}

/// A skipped step was not looked at: it neither ends a streak nor begins one.
fn streaks(script: &mut Script, results: &[Finished<'_>]) {
    let rows: Vec<_> = results.iter().filter(|finished| finished.result.outcome != Outcome::Skipped).collect();
    script.values(
        "INSERT INTO streaks (procedure, step, outcome, began) ",
        &rows,
        |mut row, Finished { at, result, .. }| {
            row.push_bind(result.procedure.as_str())
                .push_bind(result.step.as_str())
                .push_bind(result.outcome.word())
                .push_bind(at);
        },
        " ON CONFLICT DO UPDATE SET outcome = excluded.outcome, began = excluded.began
          WHERE outcome <> excluded.outcome",
    );
}

/// Draws everything from the events, from the first one on.
pub async fn rebuild(connection: &mut SqliteConnection) -> Result<(), Problem> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let (row, unread) = lists_anew(&mut transaction).await?;
    if let Some(problem) = unread {
        return Err(problem);
    }
    let clear = "DELETE FROM readings; DELETE FROM streaks; DELETE FROM drawn; INSERT INTO drawn VALUES (0)";
    sqlx::raw_sql(clear).execute(&mut *transaction).await?;
    catch_up(&mut transaction, 0, row).await?;
    Ok(transaction.commit().await?)
}

/// Draws what [`list`] draws from all events that can be read. The row of the newest event, and what kept the first one
/// from being read that could not be.
pub async fn lists_anew(connection: &mut SqliteConnection) -> Result<(i64, Option<Problem>), Problem> {
    sqlx::raw_sql("DELETE FROM timers; DELETE FROM outbox; DELETE FROM runs").execute(&mut *connection).await?;
    let (mut row, mut unread) = (0, None);
    while let Some((next, run, text)) = after(connection, row).await? {
        match parse(next, &text) {
            Ok(event) => {
                let mut script = Script::default();
                list(&mut script, &run, &event);
                script.run(connection).await?;
            }
            Err(problem) => unread = unread.or(Some(problem)),
        }
        row = next;
    }
    Ok((row, unread))
}

/// The first row behind `row`: its place, its run and its event.
async fn after(connection: &mut SqliteConnection, row: i64) -> Result<Option<(i64, String, String)>, Problem> {
    Ok(sqlx::query_as("SELECT id, run, event FROM events WHERE id > ? ORDER BY id LIMIT 1")
        .bind(row)
        .fetch_optional(connection)
        .await?)
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
