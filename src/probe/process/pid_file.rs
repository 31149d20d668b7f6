//! Pid files: what they say, and why that may be out of date.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::table::{Process, ProcessTable};
use crate::probe::ProbeError;

/// More than a number and a line end is no pid file.
const MOST_BYTES: u64 = 4096;

/// A process may be this much younger than the file that names it before that looks odd: clocks are not exact.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Absent,
    NoPid,
    Pid { pid: i32, written: Option<SystemTime> },
}

impl PidFile {
    pub fn read(path: &Path) -> Result<Self, ProbeError> {
        // Opening a pipe would wait for somebody to write.
        let special = fs::metadata(path).is_ok_and(|file| !file.is_file());
        if special {
            return Ok(Self { path: path.to_owned(), content: Content::NoPid });
        }
        let content = match File::open(path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Content::Absent,
            Err(error) => return Err(ProbeError::io(path.display(), &error)),
            Ok(file) => {
                let written = file.metadata().and_then(|file| file.modified()).ok();
                let mut text = String::new();
                match file.take(MOST_BYTES).read_to_string(&mut text) {
                    Ok(_) => parse(&text).map_or(Content::NoPid, |pid| Content::Pid { pid, written }),
                    Err(error) if error.kind() == ErrorKind::InvalidData => Content::NoPid,
                    Err(error) => return Err(ProbeError::io(path.display(), &error)),
                }
            }
        };
        Ok(Self { path: path.to_owned(), content })
    }

    pub fn pid(&self) -> Option<i32> {
        match self.content {
            Content::Pid { pid, .. } => Some(pid),
            Content::Absent | Content::NoPid => None,
        }
    }

    /// Whether it settles that there is no such process, even where processes are hidden.
    pub fn settles(&self, table: &ProcessTable) -> bool {
        self.pid().is_none_or(|pid| table.processes.iter().any(|process| process.pid == pid))
    }

    /// What a person should know of the file, given the processes that were found by it.
    pub fn note(&self, matching: &[&Process], table: &ProcessTable) -> Option<String> {
        let path = self.path.display();
        let (pid, written) = match self.content {
            Content::Absent => return Some(format!("{path} does not exist")),
            Content::NoPid => return Some(format!("{path} holds no process number")),
            Content::Pid { pid, written } => (pid, written),
        };
        let Some(process) = table.processes.iter().find(|process| process.pid == pid) else {
            return Some(format!("process {pid} of {path} does not run"));
        };
        if matching.is_empty() {
            return Some(format!("process {pid} of {path} is `{}`, which is not asked for", process.names().best()));
        }
        let started = SystemTime::now().checked_sub(table.age(process))?;
        (started > written?.checked_add(GRACE)?).then(|| {
            format!("process {pid} started after {path} was written, so it may be another program: add `name` to know")
        })
    }
}

fn parse(text: &str) -> Option<i32> {
    text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_alone_on_the_first_line() {
        assert_eq!(parse(" 4711\n/var/lib/postgresql\n"), Some(4711));
        assert_eq!(parse(""), None);
        assert_eq!(parse("-1\n"), None);
        assert_eq!(parse("pid 4711\n"), None);
    }
}
