//! The hash chain over all events of the file.

use sha2::{Digest, Sha256};
use sqlx::SqliteConnection;

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

/// Where the chain ends.
#[derive(Clone, Debug)]
pub struct Head {
    /// The highest place that there ever was: rows that somebody cut off leave a gap that shows.
    pub row: i64,
    /// Of the newest row.
    pub hash: String,
}

impl Head {
    pub async fn find(connection: &mut SqliteConnection) -> Result<Self, Problem> {
        let (row, hash) = sqlx::query_as::<_, (Option<i64>, Option<String>)>(
            "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'events'),
                    (SELECT hash FROM events ORDER BY id DESC LIMIT 1)",
        )
        .fetch_one(connection)
        .await?;
        Ok(Self { row: row.unwrap_or_default(), hash: hash.unwrap_or_else(|| GENESIS.to_owned()) })
    }

    /// To the row that comes next.
    pub fn advance(&mut self, run: &str, event: &str) {
        self.hash = link(&self.hash, run, event);
        self.row += 1;
    }
}
