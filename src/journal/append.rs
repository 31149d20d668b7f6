//! Recording events.

use sqlx::SqliteConnection;

use super::chain::{Found, Head};
use super::script::{self, Script};
use super::{Book, Entry, Journal, JournalError, PATIENCE, Problem, draw};
use crate::model::event::{Event, EventKind};
use crate::model::id::RunId;

/// Bytes of a write-ahead log that are worth a visit to the disk.
const MOST_LOG: u64 = 256 * 1024;

/// As many rows wait to be drawn until someone asks for what is drawn from them. Many at once take less time, and pages,
/// than a few in each run.
const MOST_UNDRAWN: i64 = 500;

impl Journal {
    /// Records `events` of `run`, all or none of them, behind what is recorded of it: they are numbered here, so that
    /// several programs can add to one run. Several programs may record their runs at the same time.
    pub async fn append(&self, run: RunId, events: &[Event]) -> Result<(), JournalError> {
        self.record(run, events.iter().map(Entry::of).collect()).await
    }

    /// As [`Self::append`], of events that were made ready as they came.
    pub async fn record(&self, run: RunId, mut entries: Vec<Entry>) -> Result<(), JournalError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut book = self.book.lock().await;
        record(&mut book, &run.to_string(), &mut entries).await.map_err(|problem| self.error(problem))?;
        self.fold(&mut book.connection).await;
        Ok(())
    }

    /// Links `entries` that will be recorded to the chain as it is now, while there is time: unless another program
    /// records before, this need not be done when somebody waits for the record. Does nothing while the journal is busy.
    pub fn foresee(&self, run: RunId, entries: &mut [Entry]) {
        let Ok(book) = self.book.try_lock() else { return };
        let Some(End { head, .. }) = &book.end else { return };
        let (run, mut before) = (run.to_string(), head.hash.as_str());
        for entry in entries {
            let Ok(hash) = entry.link(before, &run) else { return };
            before = hash;
        }
    }

    /// Looks where the chain ends: the first events of a run need not look for it, and its history ends there.
    pub async fn look_for_end(&self) -> Result<(), JournalError> {
        let mut book = self.book.lock().await;
        let Found { head, drawn, clocks } =
            Head::look(&mut book.connection).await.map_err(|problem| self.error(problem))?;
        book.is_nobody_due = !clocks;
        book.before = Some(head.row);
        // Whoever draws looks for it under the lock.
        book.end = (head.row - drawn <= MOST_UNDRAWN).then(|| End { head, newest: (String::new(), 0) });
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

/// What a program knows of the end of the journal.
#[derive(Debug)]
pub struct End {
    head: Head,
    /// The run that it recorded last, and the number of its newest event.
    newest: (String, u64),
}

impl Book {
    /// Draws readings and streaks of what was recorded before the run that this program is recording.
    pub async fn settle(&mut self) -> Result<(), Problem> {
        if self.is_settled {
            return Ok(());
        }
        let Self { connection, before, .. } = self;
        let settled = async {
            let Found { head, drawn, .. } = Head::lock(connection).await?;
            draw::catch_up(connection, drawn, before.unwrap_or(head.row)).await?;
            sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
            Ok(())
        };
        match settled.await {
            // Whoever may only read sees what was drawn.
            Ok(()) | Err(Problem::ReadOnly) => self.is_settled = before.is_some(),
            Err(problem) => {
                sqlx::raw_sql("ROLLBACK").execute(connection).await.ok();
                return Err(problem);
            }
        }
        Ok(())
    }
}

/// Takes the end of the chain to be where this program left it. If another one has recorded since, that place is taken
/// and nothing is written; then once more from the end that is found under the write lock.
async fn record(book: &mut Book, run: &str, entries: &mut [Entry]) -> Result<(), Problem> {
    let known = book.end.take();
    let is_known = known.is_some();
    let mut written = write(&mut book.connection, known, run, entries).await;
    if is_known && written.as_ref().is_err_and(is_taken) {
        written = write(&mut book.connection, None, run, entries).await;
    }
    let end = written?;
    let mut listed = entries.iter().filter_map(Entry::listed);
    if listed.any(|event| matches!(event.kind, EventKind::RunFinished { .. })) {
        // What this run saw is history from now on.
        (book.before, book.is_settled) = (None, false);
    } else {
        book.before.get_or_insert(end.head.row - i64::try_from(entries.len()).unwrap_or(i64::MAX));
    }
    book.end = Some(end);
    Ok(())
}

fn is_taken(problem: &Problem) -> bool {
    matches!(problem, Problem::Sql(sqlx::Error::Database(error)) if error.is_unique_violation())
}

/// One transaction, all or nothing; the new end.
async fn write(
    connection: &mut SqliteConnection,
    known: Option<End>,
    run: &str,
    entries: &mut [Entry],
) -> Result<End, Problem> {
    let written = transaction(connection, known, run, entries).await;
    if written.is_err() {
        // Fails where not even the beginning worked.
        sqlx::raw_sql("ROLLBACK").execute(connection).await.ok();
    }
    written
}

/// In one message to the database when the end is known.
async fn transaction(
    connection: &mut SqliteConnection,
    known: Option<End>,
    run: &str,
    entries: &mut [Entry],
) -> Result<End, Problem> {
    let mut script = Script::default();
    // Rows of the chain alone are one statement, which is a transaction by itself.
    let is_one =
        known.is_some() && entries.len() <= script::AT_ONCE && entries.iter().all(|entry| entry.listed().is_none());
    let mut end = match known {
        Some(end) => {
            if !is_one {
                script.statement("BEGIN IMMEDIATE");
            }
            end
        }
        None => {
            let Found { head, drawn, .. } = Head::lock(connection).await?;
            if head.row - drawn > MOST_UNDRAWN {
                draw::catch_up(connection, drawn, head.row).await?;
            }
            End { head, newest: (String::new(), 0) }
        }
    };
    if end.newest.0 != run {
        let first = entries.first().and_then(Entry::listed);
        let is_new = first.is_some_and(|event| matches!(event.kind, EventKind::RunStarted(_)));
        end.newest = (run.to_owned(), if is_new { 0 } else { newest(connection, run).await? });
    }
    add(&mut script, &mut end.head, run, entries, &mut end.newest.1)?;
    if !is_one {
        script.statement("COMMIT");
    }
    script.run(connection).await?;
    Ok(end)
}

/// Adds `events` of `run` within a transaction that was begun by [`Head::lock`], and leaves it open.
pub async fn insert(
    connection: &mut SqliteConnection,
    head: &mut Head,
    run: &str,
    events: &[Event],
) -> Result<(), Problem> {
    let mut last = newest(connection, run).await?;
    let mut entries: Vec<Entry> = events.iter().map(Entry::of).collect();
    let mut script = Script::default();
    add(&mut script, head, run, &mut entries, &mut last)?;
    script.run(connection).await
}

/// The number of the newest event of `run`; 0 before the first one.
async fn newest(connection: &mut SqliteConnection, run: &str) -> Result<u64, Problem> {
    let newest = sqlx::query_scalar::<_, Option<i64>>("SELECT max(seq) FROM events WHERE run = ?").bind(run);
    let newest = newest.fetch_one(connection).await?.unwrap_or(0);
    Ok(u64::try_from(newest).unwrap_or(0))
}

/// The rows of the chain behind `head`, and what is drawn from them; `newest` is the number of the newest event of `run`.
fn add(
    script: &mut Script,
    head: &mut Head,
    run: &str,
    entries: &mut [Entry],
    newest: &mut u64,
) -> Result<(), Problem> {
    let mut rows = Vec::with_capacity(entries.len());
    for entry in &mut *entries {
        *newest += 1;
        entry.move_to(*newest)?;
        head.advance(entry.link(&head.hash, run)?);
        rows.push((head.clone(), i64::try_from(entry.seq).unwrap_or(i64::MAX), entry.text()?));
    }
    script.values(
        "INSERT INTO events (id, run, seq, event, hash) ",
        &rows,
        |mut row, (head, seq, text)| {
            row.push_bind(head.row).push_bind(run).push_bind(seq).push_bind(*text).push_bind(&head.hash);
        },
        "",
    );
    draw::lists(script, run, &entries.iter().filter_map(Entry::listed).collect::<Vec<_>>());
    Ok(())
}
