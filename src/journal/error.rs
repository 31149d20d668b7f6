//! What can go wrong with a journal, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::id::RunId;

#[derive(Debug, thiserror::Error)]
#[error("the journal {} {problem}", path.display())]
pub struct JournalError {
    pub path: PathBuf,
    #[source]
    pub problem: Problem,
}

/// Reads on after "the journal PATH".
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("does not exist")]
    Missing,
    #[error("is not a journal of opsctl")]
    NotAJournal,
    #[error("has format {found} of a newer opsctl; this one knows formats up to {known}")]
    Newer { found: usize, known: usize },
    #[error("was locked by another program for {} seconds", super::PATIENCE.as_secs())]
    Locked,
    #[error("cannot be written: the disk is full")]
    DiskFull,
    #[error("cannot be written: it is read-only here")]
    ReadOnly,
    #[error("cannot be used: no permission for {}", .0.display())]
    Permission(PathBuf),
    #[error("is damaged: {0}")]
    Damaged(String),
    #[error("does not hold together: {0}")]
    Broken(#[from] Break),
    #[error("has no run that begins with `{0}`")]
    NoSuchRun(String),
    #[error("has no run yet")]
    Empty,
    #[error("has several runs that begin with `{given}`: {}", list(.runs))]
    Ambiguous { given: String, runs: Vec<RunId> },
    #[error("cannot be used: {0}")]
    Io(#[from] io::Error),
    #[error("answered: {0}")]
    Sql(sqlx::Error),
}

/// The first place where the stored events are not what was recorded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Break {
    #[error("row {row} of the events is missing")]
    Missing { row: i64 },
    #[error("row {row} of the events (event {seq} of run {run}) was changed after it was recorded")]
    Changed { row: i64, run: String, seq: i64 },
    #[error("row {row} of the events (event {seq} of run {run}) stands where event {expected} of that run should")]
    Order { row: i64, run: String, seq: i64, expected: i64 },
    #[error("the events are whole, but the table `{table}` does not follow from them")]
    Drawn { table: &'static str },
}

fn list(runs: &[RunId]) -> String {
    runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl JournalError {
    /// What to do.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let folder = self.path.parent().unwrap_or(Path::new("/")).display();
        Some(match &self.problem {
            Problem::Missing => "the first recorded run creates it; look at `journal` in the site file".to_owned(),
            Problem::NotAJournal | Problem::Io(_) => "name another file as `journal` in the site file".to_owned(),
            Problem::Newer { .. } => "use the newest opsctl that ever wrote to it, or name another journal".to_owned(),
            Problem::Locked => "end the program that holds it (`fuser` names it) and try again".to_owned(),
            Problem::DiskFull => format!("free space on the disk of {folder} and try again"),
            Problem::ReadOnly => format!("make {folder} and the file writable, or name another journal"),
            Problem::Permission(_) => "run as the user who owns the journal, or name another journal".to_owned(),
            Problem::Damaged(_) => {
                "keep the file, restore a copy from before the damage, or name another journal".to_owned()
            }
            Problem::Broken(Break::Drawn { .. }) => {
                "the record itself is intact; `opsctl journal rebuild` makes its lists anew".to_owned()
            }
            Problem::Broken(_) => "keep the file as evidence and compare it with a backup".to_owned(),
            Problem::NoSuchRun(_) | Problem::Empty => "`opsctl history` lists the runs".to_owned(),
            Problem::Ambiguous { .. } => "write more of the run's id".to_owned(),
            Problem::Sql(_) => return None,
        })
    }
}

/// Result codes of SQLite: primary ones, and an extended one, which has its primary code in the low byte.
mod code {
    pub const BUSY: i32 = 5;
    pub const READ_ONLY: i32 = 8;
    pub const CORRUPT: i32 = 11;
    pub const FULL: i32 = 13;
    pub const NOT_A_DATABASE: i32 = 26;
    /// The index of the write-ahead log cannot grow: a full disk.
    pub const SHM_SIZE: i32 = 0x0a | (0x13 << 8);
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else { return Self::Sql(error) };
        let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
        match code & 0xff {
            code::BUSY => Self::Locked,
            code::READ_ONLY => Self::ReadOnly,
            code::FULL => Self::DiskFull,
            code::CORRUPT => Self::Damaged(database.message().to_owned()),
            code::NOT_A_DATABASE => Self::NotAJournal,
            _ if code == code::SHM_SIZE => Self::DiskFull,
            _ => Self::Sql(error),
        }
    }
}

impl Problem {
    /// An I/O error at `path`.
    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Permission(path.to_owned()),
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Io(error),
        }
    }
}
