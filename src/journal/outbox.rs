//! Who is to be told: the timers of the escalations, and the messages with what became of them.

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::chain::Head;
use super::draw::stamp;
use super::script::Script;
use super::{Journal, JournalError, Problem, append, runs};
use crate::model::event::incident::{Delivered, Delivery, Escalation, Mark, Message};
use crate::model::event::{Event, EventKind};
use crate::model::id::RunId;
use crate::model::ladder::{self, RESOLVED};
use crate::model::record::Record;

/// All of `timers`, for comparison.
pub const TIMERS: &str = "SELECT json_array(run, message, due, state) FROM timers ORDER BY run, message";

/// All of `outbox`, for comparison.
pub const OUTBOX: &str =
    "SELECT json_array(run, id, recipient, channel, address, text, severity, deadline, queued, state, detail, at)
     FROM outbox ORDER BY run, id";

/// A message of a run, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    pub run: RunId,
    pub message: Message,
    pub queued: DateTime<Utc>,
    pub stage: Stage,
    pub detail: Option<String>,
    /// When it came to this stage.
    pub at: DateTime<Utc>,
}

/// How far a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Queued. If its program has ended since, nobody knows whether it was sent.
    Queued,
    Came(Delivered),
}

/// Adds what follows from `event` of `run`.
pub fn draw(script: &mut Script, run: &str, event: &Event) {
    match &event.kind {
        EventKind::Escalated(escalation) => escalated(script, run, escalation),
        EventKind::MessageQueued(message) => queued(script, run, event.at, message),
        EventKind::MessageDelivered(delivery) => delivered(script, run, event.at, delivery),
        EventKind::Acknowledged { .. } => turn(script, run, &["waiting", "ended"], "stopped"),
        EventKind::Marked(Mark { name, .. }) if name == RESOLVED => {
            turn(script, run, &["waiting", "ended"], "stopped");
        }
        // Most runs tell nobody: they have no timer to end.
        EventKind::RunFinished { .. } => turn(script, run, &["waiting"], "ended"),
        EventKind::Resumed(_) => turn(script, run, &["ended"], "waiting"),
        _ => {}
    }
}

/// The first rung of each ladder has no timer: the run tells it at once.
fn escalated(script: &mut Script, run: &str, escalation: &Escalation) {
    for (track, rungs) in escalation.tracks.iter().enumerate() {
        for (rung, told) in rungs.iter().enumerate().skip(1) {
            let Some(message) = escalation.message(track, rung) else { continue };
            let insert = script.statement("INSERT OR IGNORE INTO timers (run, message, due, state) VALUES (");
            let mut row = insert.separated(", ");
            row.push_bind(run).push_bind(message.id).push_bind(stamp(told.due)).push_bind("waiting");
            insert.push(")");
        }
    }
}

fn queued(script: &mut Script, run: &str, at: DateTime<Utc>, message: &Message) {
    let insert = script.statement(
        "INSERT OR IGNORE INTO outbox (run, id, recipient, channel, address, text, severity, deadline, queued, state)
         VALUES (",
    );
    let mut row = insert.separated(", ");
    row.push_bind(run).push_bind(&message.id).push_bind(&message.to).push_bind(&message.channel);
    row.push_bind(&message.address).push_bind(&message.text).push_bind(&message.severity);
    row.push_bind(message.deadline.map(stamp)).push_bind(stamp(at)).push_bind("queued");
    insert.push(")");
    let update = script.statement("UPDATE timers SET state = 'queued' WHERE run = ");
    update.push_bind(run).push(" AND message = ").push_bind(&message.id);
}

fn delivered(script: &mut Script, run: &str, at: DateTime<Utc>, delivery: &Delivery) {
    let update = script.statement("UPDATE outbox SET state = ");
    update.push_bind(word(delivery.state)).push(", detail = ").push_bind(&delivery.detail);
    update.push(", at = ").push_bind(stamp(at)).push(" WHERE run = ").push_bind(run);
    update.push(" AND id = ").push_bind(&delivery.id);
}

/// All timers of `run` that are in one of the states `from`.
fn turn(script: &mut Script, run: &str, from: &[&str], to: &str) {
    for from in from {
        let update = script.statement("UPDATE timers SET state = ");
        update.push_bind(to).push(" WHERE run = ").push_bind(run).push(" AND state = ").push_bind(*from);
    }
}

fn word(state: Delivered) -> &'static str {
    match state {
        Delivered::Sent => "sent",
        Delivered::ByHand => "by_hand",
        Delivered::Failed => "failed",
        Delivered::Waiting => "waiting",
    }
}

fn stage(word: &str) -> Result<Stage, Problem> {
    let all = [Delivered::Sent, Delivered::ByHand, Delivered::Failed, Delivered::Waiting];
    match all.into_iter().find(|state| self::word(*state) == word) {
        Some(state) => Ok(Stage::Came(state)),
        None if word == "queued" => Ok(Stage::Queued),
        None => Err(Problem::Damaged(format!("a row of the outbox cannot be read: `{word}` is no state"))),
    }
}

impl Journal {
    /// Every message, the oldest first.
    pub async fn outbox(&self) -> Result<Vec<Letter>, JournalError> {
        let mut connection = self.connection().await;
        letters(&mut connection).await.map_err(|problem| self.error(problem))
    }

    /// Queues what the clocks of the escalations say is due at `now`, and tells what it was. Each message is queued
    /// once, however many programs ask at the same time: who queues it sends it.
    pub async fn claim(&self, now: DateTime<Utc>) -> Result<Vec<(RunId, Message)>, JournalError> {
        let mut book = self.book.lock().await;
        if std::mem::take(&mut book.is_nobody_due) {
            return Ok(Vec::new());
        }
        claim(&mut book.connection, now).await.map_err(|problem| self.error(problem))
    }
}

async fn letters(connection: &mut SqliteConnection) -> Result<Vec<Letter>, Problem> {
    let rows = sqlx::query(
        "SELECT run, id, recipient, channel, address, text, severity, deadline, queued, state, detail, at
         FROM outbox ORDER BY queued, run, id",
    )
    .fetch_all(connection)
    .await?;
    rows.iter().map(letter).collect()
}

fn letter(row: &SqliteRow) -> Result<Letter, Problem> {
    let damaged = |error| Problem::Damaged(format!("a row of the outbox cannot be read: {error}"));
    let queued = row.try_get("queued")?;
    Ok(Letter {
        run: row
            .try_get::<&str, _>("run")?
            .parse()
            .map_err(|error: crate::model::id::IdError| damaged(error.to_string()))?,
        message: Message {
            id: row.try_get("id")?,
            to: row.try_get("recipient")?,
            channel: row.try_get("channel")?,
            address: row.try_get("address")?,
            severity: row.try_get("severity")?,
            text: row.try_get("text")?,
            deadline: row.try_get("deadline")?,
        },
        queued,
        stage: stage(row.try_get("state")?)?,
        detail: row.try_get("detail")?,
        at: row.try_get::<Option<_>, _>("at")?.unwrap_or(queued),
    })
}

/// The runs with a timer that is due.
const RUNS_DUE: &str = "SELECT DISTINCT run FROM timers WHERE state = 'waiting' AND due <= ? ORDER BY run";

async fn claim(connection: &mut SqliteConnection, now: DateTime<Utc>) -> Result<Vec<(RunId, Message)>, Problem> {
    // Most of the time nothing is due: nobody has to wait for that.
    let due = sqlx::query(RUNS_DUE).bind(stamp(now)).fetch_optional(&mut *connection).await?;
    if due.is_none() {
        return Ok(Vec::new());
    }
    let mut head = Head::lock(connection).await?.head;
    let claimed = queue(connection, &mut head, now).await;
    sqlx::raw_sql(if claimed.is_ok() { "COMMIT" } else { "ROLLBACK" }).execute(connection).await?;
    claimed
}

/// Under the write lock.
async fn queue(
    connection: &mut SqliteConnection,
    head: &mut Head,
    now: DateTime<Utc>,
) -> Result<Vec<(RunId, Message)>, Problem> {
    let due = sqlx::query_scalar::<_, String>(RUNS_DUE).bind(stamp(now)).fetch_all(&mut *connection).await?;
    let mut claimed = Vec::new();
    for name in due {
        let run: RunId =
            name.parse().map_err(|error| Problem::Damaged(format!("a row of the timers cannot be read: {error}")))?;
        let record = Record::of(&runs::replay(connection, run).await?);
        let messages = ladder::due(&record, now);
        let elapsed = record.started.and_then(|started| (now - started).to_std().ok()).unwrap_or_default();
        let event = |message: &Message| Event {
            seq: 0,
            at: now,
            elapsed,
            kind: EventKind::MessageQueued(Box::new(message.clone())),
        };
        let events: Vec<Event> = messages.iter().map(event).collect();
        append::insert(connection, head, &name, &events).await?;
        claimed.extend(messages.into_iter().map(|message| (run, message)));
    }
    Ok(claimed)
}
