//! A copy of a SQLite database, checked by SQLite itself.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, query_scalar};

use super::decode::{Bound, End};
use crate::probe::ProbeError;

/// Steps of SQLite's machine between two looks at the bound.
const STEPS: i32 = 10_000;
const TABLES: &str =
    r"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name";

/// Checks every page and index, and lists the tables. Nothing is written, not even a lock: the file counts as one that
/// nobody else uses.
pub async fn read(path: &Path, bound: &Bound) -> Result<(Vec<String>, End), ProbeError> {
    let (mut tables, mut verdict) = (Vec::new(), String::new());
    let result = ask(path, bound, &mut tables, &mut verdict).await;
    if let Some(stop) = bound.stop() {
        return Err(stop.into());
    }
    let end = match result {
        Ok(()) if verdict == "ok" => End::Whole,
        Ok(()) => End::Damaged(format!("is damaged: {}", verdict.lines().last().unwrap_or_default())),
        Err(sqlx::Error::Database(error)) => End::Damaged(format!("is damaged: SQLite says {}", error.message())),
        Err(error) => return Err(ProbeError::new("io", format!("SQLite cannot read the backup: {error}"))),
    };
    Ok((tables, end))
}

async fn ask(path: &Path, bound: &Bound, tables: &mut Vec<String>, verdict: &mut String) -> sqlx::Result<()> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
    let mut connection = options.connect().await?;
    let bound = bound.clone();
    connection.lock_handle().await?.set_progress_handler(STEPS, move || bound.stop().is_none());
    *tables = query_scalar(TABLES).fetch_all(&mut connection).await?;
    *verdict = query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut connection).await?;
    Ok(())
}
