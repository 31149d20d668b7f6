//! `helpdesk-database`: owns the database file and records activity in it.

use std::io;
use std::time::Duration;

use chrono::Utc;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{Connection as _, SqliteConnection};

use crate::drill::data::stored;
use crate::drill::fault::Fault;
use crate::drill::setup::Setup;

const PACE: Duration = Duration::from_millis(500);

pub(super) async fn run(setup: &Setup) -> io::Result<()> {
    if setup.has(Fault::DatabaseDown) {
        super::say_ready("without a database")?;
        return std::future::pending().await;
    }
    own(setup).await.map_err(io::Error::other)
}

async fn own(setup: &Setup) -> Result<(), sqlx::Error> {
    // With a write-ahead log, readers never wait for the writer. The old journal is what lets one lock out all others.
    let locked = setup.has(Fault::DatabaseLocked);
    let mode = if locked { SqliteJournalMode::Delete } else { SqliteJournalMode::Wal };
    let options = SqliteConnectOptions::new().filename(setup.database()).journal_mode(mode);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    if locked {
        sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await?;
        super::say_ready("locked")?;
        return std::future::pending().await;
    }
    record_activity(&mut connection).await?;
    super::say_ready("open")?;
    let mut pace = tokio::time::interval(PACE);
    loop {
        pace.tick().await;
        record_activity(&mut connection).await?;
    }
}

async fn record_activity(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO activity_log (user_id, action_type, description, ip_address, created_at) \
         VALUES (1 + abs(random()) % 40, 'ticket_viewed', 'ticket list', '10.20.0.17', ?)",
    )
    .bind(stored(Utc::now()))
    .execute(connection)
    .await
    .map(drop)
}
