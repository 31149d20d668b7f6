//! Databases that exist only for a restore. Their names say whose they are, so that nothing else is ever dropped.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::connection::{Connection, literal, quoted};
use super::{Target, dump, space};
use crate::probe::ProbeError;
use crate::probe::backup::decode::Bound;
use crate::probe::sql::statement::Dialect;

const PREFIX: &str = "opsctl_scratch_";
/// How long the server may take to make one.
const FOR_MAKING: Duration = Duration::from_mins(1);
/// What another machine made counts as left over after this time: it cannot be asked.
const ELSEWHERE: Duration = Duration::from_hours(24 * 2);

/// `opsctl_scratch_RUN_MACHINE_PROCESS_START_NUMBER`, all but the last two in hexadecimal digits.
///
/// The run is the beginning of its id, which starts with the time. The process is known by its number and the time of
/// its start, in ticks of the kernel since the machine started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    run: String,
    machine: String,
    process: u32,
    start: u64,
    number: u32,
}

/// Whose a scratch database is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    Alive,
    Gone,
}

impl Name {
    /// For `run`, made by this process.
    #[must_use]
    pub fn new(run: Uuid, number: u32) -> Self {
        let process = std::process::id();
        Self { run: digits(run), machine: machine().to_owned(), process, start: started(process).unwrap_or(0), number }
    }

    #[must_use]
    pub fn is_of(&self, run: Uuid) -> bool {
        self.run == digits(run)
    }

    /// When its run began.
    #[must_use]
    pub fn made(&self) -> DateTime<Utc> {
        let milliseconds = self.run.get(..12).and_then(|time| i64::from_str_radix(time, 16).ok());
        milliseconds.and_then(DateTime::from_timestamp_millis).unwrap_or_default()
    }

    #[must_use]
    pub fn owner(&self, now: DateTime<Utc>) -> Owner {
        let alive = if self.machine == machine() {
            started(self.process) == Some(self.start)
        } else {
            (now - self.made()).to_std().is_ok_and(|age| age < ELSEWHERE)
        };
        if alive { Owner::Alive } else { Owner::Gone }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, machine, process, start, number } = self;
        write!(f, "{PREFIX}{run}_{machine}_{process:x}_{start:x}_{number}")
    }
}

impl FromStr for Name {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.strip_prefix(PREFIX).ok_or(())?.split('_').collect();
        let [run, machine, process, start, number] = parts[..] else { return Err(()) };
        let name = Self {
            run: run.to_owned(),
            machine: machine.to_owned(),
            process: u32::from_str_radix(process, 16).map_err(drop)?,
            start: u64::from_str_radix(start, 16).map_err(drop)?,
            number: number.parse().map_err(drop)?,
        };
        // Only what this program would have written itself.
        if name.to_string() == text && run.len() == 16 && machine.len() == 6 { Ok(name) } else { Err(()) }
    }
}

/// 48 bits of time and 12 of chance.
fn digits(run: Uuid) -> String {
    run.simple().to_string()[..16].to_owned()
}

/// Tells this machine from others that use the same server.
fn machine() -> &'static str {
    static MACHINE: OnceLock<String> = OnceLock::new();
    MACHINE.get_or_init(|| {
        let id = std::fs::read("/etc/machine-id").or_else(|_| std::fs::read("/proc/sys/kernel/hostname"));
        dump::hex(&Sha256::digest(id.unwrap_or_default()))[..6].to_owned()
    })
}

/// When a process of this machine started; `None` if there is no such process.
fn started(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program, in parentheses, may contain anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// All scratch databases of the server, by whoever made them.
///
/// # Errors
/// The server does not list its databases.
pub async fn list(server: &Target, connection: &mut Connection) -> Result<Vec<Name>, ProbeError> {
    let names = match server.dialect() {
        Dialect::MySql => connection.texts("SELECT schema_name FROM information_schema.schemata ORDER BY 1").await?,
        Dialect::Postgres => connection.texts("SELECT datname FROM pg_database ORDER BY 1").await?,
        Dialect::Sqlite => files()?,
    };
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// Those whose process is gone: left over by a run that was killed.
///
/// # Errors
/// As [`list`].
pub async fn left_over(
    server: &Target,
    connection: &mut Connection,
    now: DateTime<Utc>,
) -> Result<Vec<Name>, ProbeError> {
    let names = list(server, connection).await?;
    Ok(names.into_iter().filter(|name| name.owner(now) == Owner::Gone).collect())
}

/// A name that is free.
///
/// # Errors
/// As [`list`].
pub async fn free_name(server: &Target, run: Uuid, connection: &mut Connection) -> Result<Name, ProbeError> {
    let known = list(server, connection).await?;
    let taken = known.iter().filter(|name| name.is_of(run)).map(|name| name.number).max();
    Ok(Name::new(run, taken.unwrap_or(0) + 1))
}

/// Makes an empty database, with the character set of the one that the site names.
///
/// # Errors
/// The user may not, or the server does not; there is one of that name.
pub async fn create(server: &Target, name: &Name) -> Result<(), ProbeError> {
    // Not to be interrupted: the server would make it all the same, and nobody would drop it.
    let unbroken = Bound { until: Instant::now() + FOR_MAKING, cancel: CancellationToken::new() };
    let mut connection = server.connect(&unbroken).await?;
    let known = list(server, &mut connection).await?;
    if known.contains(name) {
        return Err(ProbeError::new("exists", format!("there is already a database {name}")));
    }
    let made = make(server, name, &mut connection).await;
    connection.close().await;
    if let Err(error) = made {
        // It may be there all the same.
        remove(server, name, &unbroken).await.ok();
        return Err(error.help("restores into a scratch database need a user who may create databases and drop them"));
    }
    Ok(())
}

/// The statement that makes it.
///
/// # Errors
/// The server does not tell the character set of the database that the site names.
pub async fn statement(server: &Target, name: &Name, connection: &mut Connection) -> Result<String, ProbeError> {
    if server.dialect() == Dialect::Sqlite {
        return Ok(format!("touch {}", file(name).display()));
    }
    let quoted = quoted(&connection.session, &name.to_string());
    Ok(format!("CREATE DATABASE {quoted} {}", space::character_set(server, connection).await?))
}

async fn make(server: &Target, name: &Name, connection: &mut Connection) -> Result<(), ProbeError> {
    if server.dialect() == Dialect::Sqlite {
        let path = file(name);
        return std::fs::File::create_new(&path).map(drop).map_err(|error| ProbeError::io(path.display(), &error));
    }
    let statement = statement(server, name, connection).await?;
    connection.run(&statement).await.map(drop)
}

/// The scratch database as something to load into and to ask.
#[must_use]
pub fn target(server: &Target, name: &Name) -> Target {
    match server.dialect() {
        Dialect::MySql | Dialect::Postgres => server.sibling(&name.to_string()),
        Dialect::Sqlite => server.sibling(&file(name).display().to_string()),
    }
}

/// The statement that drops it.
#[must_use]
pub fn drop_statement(server: &Target, name: &Name) -> String {
    match server.dialect() {
        Dialect::MySql => format!("DROP DATABASE `{name}`"),
        Dialect::Postgres => format!("DROP DATABASE \"{name}\" WITH (FORCE)"),
        Dialect::Sqlite => format!("rm {}", file(name).display()),
    }
}

/// Drops it, with whatever still runs in it. A [`Name`] can be nothing else than a scratch database.
///
/// # Errors
/// The server does not.
pub async fn remove(server: &Target, name: &Name, bound: &Bound) -> Result<(), ProbeError> {
    if server.dialect() == Dialect::Sqlite {
        return remove_file(name);
    }
    let mut connection = server.connect(bound).await?;
    if server.dialect() == Dialect::MySql {
        let own = format!("SELECT id FROM information_schema.processlist WHERE db = {}", literal(&name.to_string()));
        for session in connection.texts(&own).await? {
            // It may have ended by itself.
            connection.run(&format!("KILL {session}")).await.ok();
        }
    }
    let done = connection.run(&drop_statement(server, name)).await;
    connection.close().await;
    done.map(drop)
}

/// Where its data will be, if that is known and on this machine.
pub async fn folder(server: &Target, connection: &mut Connection) -> Option<PathBuf> {
    match server.dialect() {
        Dialect::MySql | Dialect::Postgres => space::data_folder(server, connection).await,
        Dialect::Sqlite => Some(std::env::temp_dir()),
    }
}

/// Of SQLite: a file in the temporary folder.
fn file(name: &Name) -> PathBuf {
    std::env::temp_dir().join(format!("{name}.db"))
}

fn files() -> Result<Vec<String>, ProbeError> {
    let folder = std::env::temp_dir();
    let entries = std::fs::read_dir(&folder).map_err(|error| ProbeError::io(folder.display(), &error))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter_map(|name| name.strip_suffix(".db").map(str::to_owned)).collect())
}

fn remove_file(name: &Name) -> Result<(), ProbeError> {
    let path = file(name);
    let remove = |path: &Path| std::fs::remove_file(path).map_err(|error| ProbeError::io(path.display(), &error));
    for beside in ["-journal", "-wal", "-shm"] {
        // Only there after a database was left in the middle of something.
        remove(Path::new(&format!("{}{beside}", path.display()))).ok();
    }
    remove(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_nothing_else_is_taken_for_one() {
        let run = Uuid::now_v7();
        let name = Name::new(run, 2);
        assert_eq!(name.to_string().parse(), Ok(name.clone()));
        assert!(name.is_of(run) && !name.is_of(Uuid::nil()));
        assert!(name.to_string().len() <= 63, "PostgreSQL cuts longer names off");
        assert_eq!(name.owner(Utc::now()), Owner::Alive);
        for other in
            ["helpdesk", "opsctl_scratch_", "opsctl_scratch_1_2_3_4_5", &format!("{name}x"), &format!("x{name}")]
        {
            assert_eq!(other.parse::<Name>(), Err(()), "{other}");
        }
    }

    #[test]
    fn a_process_that_started_at_another_time_is_another_process() {
        let name = Name { start: 1, ..Name::new(Uuid::now_v7(), 1) };
        assert_eq!(name.owner(Utc::now()), Owner::Gone);
    }

    #[test]
    fn what_another_machine_made_is_left_over_only_after_days() {
        let name = Name { machine: "other!".to_owned(), ..Name::new(Uuid::now_v7(), 1) };
        assert_eq!(name.owner(Utc::now()), Owner::Alive);
        assert_eq!(name.owner(Utc::now() + Duration::from_hours(49)), Owner::Gone);
    }
}
