//! PostgreSQL's custom format, read by PostgreSQL's own `pg_restore`, which turns all of it into SQL.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::content::{Content, Scanner};
use super::decode::{Block, Bound, End, Stop};
use crate::probe::ProbeError;
use crate::probe::command::child::beginning;

const SERVERS: &str = "/usr/lib/postgresql";
const MOST_ERROR: usize = 2 << 10;

/// What `pg_restore` could tell.
pub enum Restored {
    /// The SQL that the archive holds.
    Read(Content, End),
    /// Why nothing is known about the archive.
    Unknown(String),
}

/// Reads the whole archive, data included: a list of its contents alone would not notice that data are cut off.
pub async fn read(path: &Path, wanted: &[String], bound: &Bound) -> Result<Restored, ProbeError> {
    let Some(program) = pg_restore() else {
        return Ok(Restored::Unknown("was not read: pg_restore is not installed".to_owned()));
    };
    let mut child = Command::new(program)
        .args(["--create", "--file=-"])
        .arg(path)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| ProbeError::io("pg_restore", &error))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(ProbeError::new("io", "pg_restore has no output"));
    };
    let work = async { tokio::join!(scan(stdout, wanted), beginning(stderr, MOST_ERROR), child.wait()) };
    let (content, errors, status) = tokio::select! {
        done = tokio::time::timeout_at(bound.until.into(), work) => done.map_err(|_| Stop::TimeLimit)?,
        () = bound.cancel.cancelled() => return Err(Stop::Cancelled.into()),
    };
    let failed = |error| ProbeError::io("the output of pg_restore", &error);
    let (content, status) = (content.map_err(failed)?, status.map_err(failed)?);
    if status.success() {
        return Ok(Restored::Read(content, End::Whole));
    }
    let reason = errors.lines().find(|line| line.contains("error:")).unwrap_or("no reason given");
    if reason.contains("unsupported version") {
        return Ok(Restored::Unknown(format!("was not read: pg_restore is older than the archive ({reason})")));
    }
    Ok(Restored::Read(content, End::Damaged(format!("is damaged: {reason}"))))
}

async fn scan(mut output: impl AsyncRead + Unpin, wanted: &[String]) -> std::io::Result<Content> {
    let (mut scanner, mut block) = (Scanner::new(wanted), Block::new());
    loop {
        let read = output.read(block.room()).await?;
        if read == 0 {
            return Ok(scanner.finish());
        }
        block.set_length(read);
        scanner.feed(&mut block);
    }
}

/// The one of the newest server that is installed, as it reads all older archives; else the one on the path.
fn pg_restore() -> Option<PathBuf> {
    let newest = std::fs::read_dir(SERVERS)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let version: u32 = folder.file_name()?.to_str()?.parse().ok()?;
            let program = folder.join("bin/pg_restore");
            program.is_file().then_some((version, program))
        })
        .max();
    newest.map(|(_, program)| program).or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("pg_restore")).find(|program| program.is_file())
    })
}
