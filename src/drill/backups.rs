//! The database as it grew, and the backup of each of its last days.

use std::fmt::Write as _;
use std::fs::{self, File, FileTimes};
use std::io::{self, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::SystemTime;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use flate2::Compression;
use flate2::write::GzEncoder;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::data::{DELETED, SCHEMA, Story, taken_over};
use super::fault::Fault;
use super::setup::Setup;

const DAYS: u64 = 8;
/// The backup of a day is made at this hour of the day after.
const BACKUP_HOUR: u32 = 2;

/// One day's backup.
#[derive(Debug)]
pub(super) struct Backup {
    day: NaiveDate,
    at: DateTime<Utc>,
    dump: String,
}

impl Backup {
    fn name(&self) -> String {
        format!("backup_{}.sql.gz", self.day.format("%Y%m%d"))
    }
}

/// Lets the database grow to `now`; on the way, makes the backup of each day when its time comes.
pub(super) async fn grow_database(setup: &Setup, now: DateTime<Utc>) -> Result<Vec<Backup>, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(setup.database())
        .create_if_missing(true)
        // What is deleted past the application leaves what belonged to it.
        .foreign_keys(false)
        .journal_mode(SqliteJournalMode::Memory)
        .synchronous(SqliteSynchronous::Off);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    run(&mut connection, format!("BEGIN;\n{SCHEMA}")).await?;
    let no_rows = dump(&mut connection).await?;

    let story = Story::until(now);
    let mut grown = DateTime::<Utc>::MIN_UTC;
    let mut backups = Vec::new();
    for (day, at) in schedule(now, setup.timezone) {
        run(&mut connection, story.inserts(grown, at)).await?;
        grown = at;
        backups.push(Backup { day, at, dump: dump(&mut connection).await? });
    }
    let deleted = if setup.has(Fault::DataDeleted) { DELETED } else { "" };
    let taken_over = if setup.has(Fault::Intruder) { taken_over() } else { String::new() };
    run(&mut connection, format!("{}{deleted}{taken_over}COMMIT;", story.inserts(grown, now))).await?;
    connection.close().await?;

    if let Some(newest) = backups.last_mut().filter(|_| setup.has(Fault::BackupSmall)) {
        newest.dump = no_rows;
    }
    Ok(backups)
}

/// The last days, oldest first, each with the moment of its backup: never later than a quarter of an hour ago, so that
/// a drill at night finds yesterday's backup, too.
fn schedule(now: DateTime<Utc>, timezone: Tz) -> Vec<(NaiveDate, DateTime<Utc>)> {
    let today = now.with_timezone(&timezone).date_naive();
    let latest = now - TimeDelta::minutes(15);
    let days = (1..=DAYS).rev().filter_map(|back| today.checked_sub_days(Days::new(back)));
    // In a night in which the clocks go forward, the hour may not exist; then the next one does.
    let due = |morning: NaiveDate| {
        (BACKUP_HOUR..24)
            .filter_map(|hour| morning.and_hms_opt(hour, 0, 0))
            .find_map(|time| timezone.from_local_datetime(&time).earliest())
    };
    days.map(|day| (day, day.succ_opt().and_then(due).map_or(latest, |at| at.to_utc().min(latest)))).collect()
}

async fn run(connection: &mut SqliteConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

/// The whole database as SQL, as the `.dump` of SQLite's own shell writes it.
pub(super) async fn dump(connection: &mut SqliteConnection) -> Result<String, sqlx::Error> {
    let mut sql = String::from("PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n");
    let tables: Vec<(String, String)> =
        sqlx::query_as("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY rowid")
            .fetch_all(&mut *connection)
            .await?;
    for (table, create) in tables {
        writeln!(sql, "{create};").ok();
        let columns: String = sqlx::query_scalar(
            "SELECT group_concat('quote(\"' || name || '\")', '||'',''||') FROM pragma_table_info(?)",
        )
        .bind(&table)
        .fetch_one(&mut *connection)
        .await?;
        let statement = format!("'INSERT INTO {table} VALUES(' || {columns} || ');' || char(10)");
        let rows = format!("SELECT group_concat({statement}, '') FROM (SELECT * FROM \"{table}\" ORDER BY rowid)");
        let rows: Option<String> = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(&mut *connection).await?;
        sql.push_str(&rows.unwrap_or_default());
    }
    let others: Vec<String> =
        sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL ORDER BY rowid")
            .fetch_all(&mut *connection)
            .await?;
    for create in others {
        writeln!(sql, "{create};").ok();
    }
    sql.push_str("COMMIT;\n");
    Ok(sql)
}

/// Writes the backups (side by side: packing is most of the work), breaks what the faults say and points `latest` to
/// the newest.
pub(super) fn write(setup: &Setup, backups: &[Backup]) -> io::Result<()> {
    let folder = setup.backups();
    fs::create_dir_all(&folder)?;
    std::thread::scope(|threads| {
        let writers: Vec<_> =
            backups.iter().map(|backup| threads.spawn(|| write_one(&folder.join(backup.name()), backup))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().map_err(|_| io::Error::other("a writer panicked"))?)
    })?;

    let mut names: Vec<String> = backups.iter().map(Backup::name).collect();
    if let (Some(newest), Some(backup)) = (names.last(), backups.last()) {
        let file = folder.join(newest);
        spoil(setup, &file)?;
        if setup.has(Fault::BackupMissing) {
            fs::remove_file(file)?;
            names.pop();
        } else {
            set_time(&file, backup.at)?;
        }
    }
    let newest = if setup.has(Fault::LatestStale) { names.first() } else { names.last() };
    let dangling = "backup_19990101.sql.gz".to_owned();
    let target = if setup.has(Fault::LatestDangling) { Some(&dangling) } else { newest };
    target.map_or(Ok(()), |target| symlink(target, folder.join("latest.sql.gz")))
}

fn write_one(file: &Path, backup: &Backup) -> io::Result<()> {
    let mut encoder = GzEncoder::new(File::create(file)?, Compression::fast());
    encoder.write_all(backup.dump.as_bytes())?;
    encoder.finish()?;
    set_time(file, backup.at)
}

fn set_time(file: &Path, at: DateTime<Utc>) -> io::Result<()> {
    File::options().append(true).open(file)?.set_times(FileTimes::new().set_modified(SystemTime::from(at)))
}

fn spoil(setup: &Setup, file: &Path) -> io::Result<()> {
    let mut content = fs::read(file)?;
    let middle = content.len() / 2;
    if setup.has(Fault::BackupCorrupt) {
        for byte in content.iter_mut().skip(middle).take(64) {
            *byte = !*byte;
        }
    }
    if setup.has(Fault::BackupTruncated) {
        content.truncate(middle);
    }
    if setup.has(Fault::BackupEmpty) {
        content.clear();
    }
    fs::write(file, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backups_end_yesterday_and_are_made_at_two_the_morning_after() {
        let now = "2026-03-29T06:00:00Z".parse().unwrap();
        let schedule = schedule(now, Tz::Europe__Warsaw);
        let written: Vec<_> = schedule.iter().map(|(day, at)| format!("{day} {}", at.format("%dT%H:%M"))).collect();
        assert_eq!(written[0], "2026-03-21 22T01:00");
        assert_eq!(written[6], "2026-03-27 28T01:00");
        assert_eq!(written[7], "2026-03-28 29T01:00", "there is no two o'clock when the clocks go forward");
    }

    #[test]
    fn a_drill_at_night_has_yesterdays_backup_already() {
        let now = "2026-06-01T22:30:00Z".parse().unwrap();
        let schedule = schedule(now, Tz::Europe__Warsaw);
        let (day, at) = schedule.last().unwrap();
        assert_eq!((day.to_string().as_str(), at.to_rfc3339().as_str()), ("2026-06-01", "2026-06-01T22:15:00+00:00"));
    }
}
