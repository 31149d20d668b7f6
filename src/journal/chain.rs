//! The hash chain over all events of the file.

use sha2::{Digest, Sha256};
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

/// The hash of the newest row.
pub async fn head(connection: &mut SqliteConnection) -> Result<String, Problem> {
    let row = sqlx::query("SELECT hash FROM events ORDER BY id DESC LIMIT 1").fetch_optional(connection).await?;
    row.map_or_else(|| Ok(GENESIS.to_owned()), |row| Ok(row.try_get(0)?))
}
