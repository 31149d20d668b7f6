//! Opening and creating the file.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs;
use rustix::io::Errno;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection};

use super::{Access, PATIENCE, Problem, draw};

/// Migration N brings the file from format N-1 to N; `PRAGMA user_version` is the format. Never edited once released.
pub const MIGRATIONS: [&str; 3] = [
    include_str!("../../migrations/0001_journal.sql"),
    include_str!("../../migrations/0002_drawn.sql"),
    include_str!("../../migrations/0003_outbox.sql"),
];

const KNOWN: usize = MIGRATIONS.len();

/// `PRAGMA application_id` of a journal: "opsc".
const APPLICATION: i64 = 0x6f70_7363;

pub async fn open(path: &Path, access: Access) -> Result<SqliteConnection, Problem> {
    let wanted = match access {
        Access::Write => fs::Access::READ_OK | fs::Access::WRITE_OK,
        Access::Read => fs::Access::READ_OK,
    };
    match fs::access(path, wanted) {
        Ok(()) if path.is_dir() => return Err(Problem::Io(io::ErrorKind::IsADirectory.into())),
        Ok(()) => {}
        Err(Errno::NOENT) if access == Access::Write => create(path).await?,
        Err(Errno::NOENT) => return Err(Problem::Missing),
        Err(error) => return Err(Problem::io(path, error.into())),
    }
    let opened = connect(&options(path, access)).await;
    let Err(Problem::Sql(_) | Problem::ReadOnly) = opened else { return opened };
    // Even a reader keeps an index beside the file, unless it may take the file as unchanging.
    let folder = path.parent().unwrap_or(Path::new("/"));
    match fs::access(folder, fs::Access::WRITE_OK | fs::Access::EXEC_OK) {
        Ok(()) => opened,
        Err(_) if access == Access::Read && is_settled(path) => connect(&options(path, access).immutable(true)).await,
        Err(error) => Err(Problem::io(folder, error.into())),
    }
}

fn options(path: &Path, access: Access) -> SqliteConnectOptions {
    // NORMAL: a killed process loses nothing; a power cut may lose the newest runs, and damages nothing.
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(access == Access::Read)
        .busy_timeout(PATIENCE)
        .synchronous(SqliteSynchronous::Normal)
        // Other tables than the events are made from them alone; checking that would copy every page before it changes.
        .foreign_keys(false)
        // `append` folds the log itself: SQLite would leave its length, and who opens it next reads it through.
        .pragma("wal_autocheckpoint", "0")
        .disable_statement_logging()
}

/// Connects and makes sure that the file is a journal of a format that this program knows.
async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, Problem> {
    let mut connection = options.connect().await?;
    let (application, found) = format(&mut connection).await?;
    if application != APPLICATION {
        return Err(Problem::NotAJournal);
    }
    if found > KNOWN {
        return Err(Problem::Newer { found, known: KNOWN });
    }
    if found < KNOWN {
        // Whoever only reads brings it to the newest format too: its lists could not be read otherwise.
        let mut writer = options.clone().read_only(false).connect().await?;
        migrate(&mut writer).await?;
        writer.close().await?;
    }
    Ok(connection)
}

async fn format(connection: &mut SqliteConnection) -> Result<(i64, usize), Problem> {
    let rows = sqlx::raw_sql("PRAGMA application_id; PRAGMA user_version").fetch_all(connection).await?;
    let number = |row: usize| rows.get(row).map_or(Ok(0), |row| row.try_get::<i64, _>(0));
    Ok((number(0)?, usize::try_from(number(1)?).unwrap_or(usize::MAX)))
}

/// Brings the file to the newest format, in one transaction; two programs may try at the same time.
pub async fn migrate(connection: &mut SqliteConnection) -> Result<(), Problem> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let (_, found) = format(&mut transaction).await?;
    for migration in MIGRATIONS.iter().skip(found) {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
    }
    sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA user_version = {KNOWN}"))).execute(&mut *transaction).await?;
    if (1..KNOWN).contains(&found) {
        // What is new is drawn from what was recorded before; what cannot be read must keep nobody from recording.
        draw::lists_anew(&mut transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// Makes an empty journal beside `path` and moves it there whole, so that nobody ever sees half of one. If another
/// program was quicker, its journal stays.
async fn create(path: &Path) -> Result<(), Problem> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| Problem::io(folder, error))?;
    let nursery =
        tempfile::Builder::new().prefix(".journal-").tempdir_in(folder).map_err(|error| Problem::io(folder, error))?;
    let fresh = nursery.path().join("journal.db");
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(|error| Problem::io(&fresh, error))?;
    let mut connection = options(&fresh, Access::Write).journal_mode(SqliteJournalMode::Wal).connect().await?;
    migrate(&mut connection).await?;
    connection.close().await?;
    let moved = tempfile::TempPath::try_from_path(fresh).and_then(|fresh| Ok(fresh.persist_noclobber(path)?));
    match moved {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Problem::io(path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether everything is in the main file: nobody writes, and nothing waits in the write-ahead log.
fn is_settled(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(PathBuf::from(log)).map_or(true, |log| log.len() == 0)
}
