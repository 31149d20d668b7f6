//! The hash chain over all events of the file.

use sha2::{Digest, Sha256};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::Problem;

/// What stands before the first row.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash of a row: over the row before, the run and the stored text, a line each, so that `sha256sum` can check it.
pub fn link(before: &str, run: &str, event: &str) -> String {
    let mut hash = Sha256::new();
    for part in [before, "\n", run, "\n", event] {
        hash.update(part);
    }
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        text
    })
}

/// The end of the chain.
macro_rules! end {
    () => {
        "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'events'),
                (SELECT hash FROM events ORDER BY id DESC LIMIT 1),
                row, EXISTS (SELECT 1 FROM timers WHERE state = 'waiting') FROM drawn"
    };
}

/// Where the chain ends.
#[derive(Clone, Debug)]
pub struct Head {
    /// The highest place that there ever was: rows that somebody cut off leave a gap that shows.
    pub row: i64,
    /// Of the newest row.
    pub hash: String,
}

impl Head {
    /// Takes the write lock before looking: nobody can come in between.
    pub async fn lock(connection: &mut SqliteConnection) -> Result<Found, Problem> {
        Found::of(&sqlx::raw_sql(concat!("BEGIN IMMEDIATE; ", end!())).fetch_one(connection).await?)
    }

    /// As [`Self::lock`] without the lock: somebody may come in between.
    pub async fn look(connection: &mut SqliteConnection) -> Result<Found, Problem> {
        Found::of(&sqlx::raw_sql(end!()).fetch_one(connection).await?)
    }

    /// To the row that comes next.
    pub fn advance(&mut self, hash: &str) {
        hash.clone_into(&mut self.hash);
        self.row += 1;
    }
}

/// The end of the chain, and what is drawn from it.
pub struct Found {
    pub head: Head,
    /// Readings and streaks are drawn up to this row.
    pub drawn: i64,
    /// Whether the clock of an escalation runs.
    pub clocks: bool,
}

impl Found {
    fn of(row: &SqliteRow) -> Result<Self, Problem> {
        let hash = row.try_get::<Option<String>, _>(1)?.unwrap_or_else(|| GENESIS.to_owned());
        let head = Head { row: row.try_get::<Option<i64>, _>(0)?.unwrap_or_default(), hash };
        Ok(Self { head, drawn: row.try_get(2)?, clocks: row.try_get(3)? })
    }
}
