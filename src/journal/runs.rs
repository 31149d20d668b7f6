//! Lists of runs, and a run as it was.

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{Journal, JournalError, Problem, draw};
use crate::model::event::{Event, EventKind};
use crate::model::id::{ProcedureId, RunId};
use crate::model::outcome::{Exit, Outcome};
use crate::model::past::{Ended, PastRun};

/// Which runs to list; everything when empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    pub limit: Option<u32>,
    /// Runs that include this procedure.
    pub procedure: Option<ProcedureId>,
    /// Runs that include a procedure of this group.
    pub group: Option<String>,
    /// Runs that finished like this.
    pub outcome: Option<Outcome>,
    /// Runs that started then or later.
    pub since: Option<DateTime<Utc>>,
}

/// One line of a list of runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunSummary {
    pub run: RunId,
    pub started: DateTime<Utc>,
    pub site: String,
    pub command: String,
    pub operator: String,
    pub host: String,
    pub procedures: Vec<ProcedureId>,
    /// `None` while it runs, and for ever when it was killed.
    pub finished: Option<Finished>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finished {
    pub at: DateTime<Utc>,
    pub outcome: Outcome,
    pub exit: Exit,
}

/// How many earlier runs of a procedure anybody looks at.
const MOST_PAST: i64 = 100;

/// How many runs an ambiguous beginning names.
const CANDIDATES: usize = 8;

impl Journal {
    /// The runs that `filter` lets through, newest first.
    pub async fn runs(&self, filter: &Filter) -> Result<Vec<RunSummary>, JournalError> {
        let mut connection = self.connection().await;
        list(&mut connection, filter).await.map_err(|problem| self.error(problem))
    }

    /// The newest runs of `procedure`, the newest first, without `besides` and without dry runs.
    pub async fn runs_of(&self, procedure: &ProcedureId, besides: RunId) -> Result<Vec<PastRun>, JournalError> {
        let mut connection = self.connection().await;
        runs_of(&mut connection, procedure, besides).await.map_err(|problem| self.error(problem))
    }

    /// The run that `given` means: `last`, or the beginning of exactly one run's id.
    pub async fn find(&self, given: &str) -> Result<RunId, JournalError> {
        let mut connection = self.connection().await;
        find(&mut connection, given).await.map_err(|problem| self.error(problem))
    }

    /// All that was recorded of `run`, in order.
    pub async fn replay(&self, run: RunId) -> Result<Vec<Event>, JournalError> {
        let mut connection = self.connection().await;
        replay(&mut connection, run).await.map_err(|problem| self.error(problem))
    }
}

async fn list(connection: &mut SqliteConnection, filter: &Filter) -> Result<Vec<RunSummary>, Problem> {
    let rows = sqlx::query(
        "SELECT id, started, site, command, operator, host, procedures, outcome, exit, finished FROM runs
         WHERE (?1 IS NULL OR EXISTS (SELECT 1 FROM json_each(procedures) WHERE value = ?1))
           AND (?2 IS NULL OR EXISTS (SELECT 1 FROM json_each(procedures) WHERE substr(value, 1, length(?2)) = ?2))
           AND (?3 IS NULL OR outcome = ?3)
           AND (?4 IS NULL OR started >= ?4)
         ORDER BY id DESC LIMIT ?5",
    )
    .bind(filter.procedure.as_ref().map(ProcedureId::as_str))
    .bind(filter.group.as_ref().map(|group| format!("{group}/")))
    .bind(filter.outcome.map(Outcome::word))
    .bind(filter.since.map(draw::stamp))
    .bind(filter.limit.map_or(-1, i64::from))
    .fetch_all(connection)
    .await?;
    rows.iter().map(summary).collect()
}

async fn runs_of(
    connection: &mut SqliteConnection,
    procedure: &ProcedureId,
    besides: RunId,
) -> Result<Vec<PastRun>, Problem> {
    // Of a run that went on, the last end counts. A run's events lie together: no more of them are read than asked for.
    let rows = sqlx::query(
        "SELECT id, started, (
             SELECT event FROM events WHERE run = runs.id AND event ->> '$.event' = 'procedure_finished'
                 AND event ->> '$.procedure' = ?1 ORDER BY seq DESC LIMIT 1
         ) AS ended FROM runs
         WHERE id <> ?2 AND EXISTS (SELECT 1 FROM json_each(procedures) WHERE value = ?1)
             AND NOT EXISTS (SELECT 1 FROM events WHERE run = runs.id AND seq = 1 AND event ->> '$.mode' = 'dry_run')
         ORDER BY id DESC LIMIT ?3",
    )
    .bind(procedure.as_str())
    .bind(besides.to_string())
    .bind(MOST_PAST)
    .fetch_all(connection)
    .await?;
    rows.iter().map(past_run).collect()
}

fn past_run(row: &SqliteRow) -> Result<PastRun, Problem> {
    let ended = match row.try_get::<Option<&str>, _>("ended")? {
        None => None,
        Some(text) => {
            let event: Event = serde_json::from_str(text).map_err(damaged)?;
            let EventKind::ProcedureFinished(result) = event.kind else { return Err(damaged("an end is none")) };
            Some(Ended { at: event.at, outcome: result.outcome, took: result.took })
        }
    };
    let run = row.try_get::<&str, _>("id")?.parse().map_err(damaged)?;
    Ok(PastRun { run, began: row.try_get("started")?, ended })
}

fn summary(row: &SqliteRow) -> Result<RunSummary, Problem> {
    let run = row.try_get::<&str, _>("id")?.parse().map_err(damaged)?;
    let finished = match row.try_get::<Option<&str>, _>("outcome")? {
        None => None,
        Some(word) => {
            Some(Finished { at: row.try_get("finished")?, outcome: outcome(word)?, exit: exit(row.try_get("exit")?)? })
        }
    };
    Ok(RunSummary {
        run,
        started: row.try_get("started")?,
        site: row.try_get("site")?,
        command: row.try_get("command")?,
        operator: row.try_get("operator")?,
        host: row.try_get("host")?,
        procedures: serde_json::from_str(row.try_get("procedures")?).map_err(damaged)?,
        finished,
    })
}

fn damaged(error: impl std::fmt::Display) -> Problem {
    Problem::Damaged(format!("a row of the runs cannot be read: {error}"))
}

fn outcome(word: &str) -> Result<Outcome, Problem> {
    let known = Outcome::ALL.into_iter().find(|outcome| outcome.word() == word);
    known.ok_or_else(|| damaged(format!("`{word}` is no outcome")))
}

fn exit(code: u8) -> Result<Exit, Problem> {
    let all = [Exit::Ok, Exit::Warned, Exit::Failed, Exit::CouldNotTell, Exit::Interrupted, Exit::Terminated];
    all.into_iter().find(|exit| exit.code() == code).ok_or_else(|| damaged(format!("{code} is no exit status")))
}

async fn find(connection: &mut SqliteConnection, given: &str) -> Result<RunId, Problem> {
    let beginning = given.trim().to_lowercase();
    if beginning == "last" {
        let newest = sqlx::query_scalar::<_, String>("SELECT id FROM runs ORDER BY id DESC LIMIT 1")
            .fetch_optional(connection)
            .await?;
        return newest.ok_or(Problem::Empty)?.parse().map_err(damaged);
    }
    if beginning.is_empty() || !beginning.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        return Err(Problem::NoSuchRun(given.to_owned()));
    }
    // `g` sorts after every hexadecimal digit.
    let ids = sqlx::query_scalar::<_, String>(
        "SELECT id FROM runs WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id DESC LIMIT ?2",
    )
    .bind(&beginning)
    .bind(i64::try_from(CANDIDATES).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    let runs = ids.iter().map(|id| id.parse().map_err(damaged)).collect::<Result<Vec<RunId>, Problem>>()?;
    match runs.as_slice() {
        [] => Err(Problem::NoSuchRun(given.to_owned())),
        [run] => Ok(*run),
        _ => Err(Problem::Ambiguous { given: given.to_owned(), runs }),
    }
}

pub async fn replay(connection: &mut SqliteConnection, run: RunId) -> Result<Vec<Event>, Problem> {
    let rows = sqlx::query("SELECT id, event FROM events WHERE run = ? ORDER BY seq")
        .bind(run.to_string())
        .fetch_all(connection)
        .await?;
    if rows.is_empty() {
        return Err(Problem::NoSuchRun(run.to_string()));
    }
    rows.iter().map(|row| draw::parse(row.try_get(0)?, row.try_get(1)?)).collect()
}
