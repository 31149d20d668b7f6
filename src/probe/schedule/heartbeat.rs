//! What a job leaves when it has done its work: a file, whose last change or whose first line is the time.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::fact::Subject;
use crate::model::unit::Quantity;
use crate::model::value::Value;
use crate::probe::{Context, ProbeError, log};

/// Clocks may be this much ahead.
const AHEAD: TimeDelta = TimeDelta::minutes(1);

/// Where the first line is looked for.
const HEAD: u64 = 4096;

#[derive(Clone, Debug)]
pub struct Heartbeat {
    path: PathBuf,
    /// `None` when there is no file: the job never came to its end.
    pub at: Option<DateTime<Utc>>,
}

/// # Errors
/// It cannot be read, has no time in it, or one of the future.
pub fn read(path: &Path, stamp: bool, now: DateTime<Utc>, zone: chrono_tz::Tz) -> Result<Heartbeat, ProbeError> {
    let shown = path.display();
    let time = if stamp { written_in(path, now, zone) } else { changed(path).map(Some) };
    let at = match time {
        Ok(Some(at)) => at,
        Ok(None) => {
            let message = format!("the first line of the heartbeat {shown} has no time that can be read");
            return Err(ProbeError::new("no_timestamp", message)
                .help("let the job write `date --iso-8601=seconds` into it, or leave `stamp` out"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Heartbeat { path: path.to_owned(), at: None });
        }
        Err(error) => return Err(ProbeError::io(format!("the heartbeat {shown}"), &error)),
    };
    if at > now + AHEAD {
        let ahead = Quantity::duration((at - now).to_std().unwrap_or_default()).rounded();
        let message = format!("the heartbeat {shown} is {ahead} in the future");
        return Err(ProbeError::new("future", message).help("a clock or a time zone is wrong"));
    }
    Ok(Heartbeat { path: path.to_owned(), at: Some(at) })
}

fn changed(path: &Path) -> io::Result<DateTime<Utc>> {
    Ok(path.metadata()?.modified()?.into())
}

fn written_in(path: &Path, now: DateTime<Utc>, zone: chrono_tz::Tz) -> io::Result<Option<DateTime<Utc>>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(log::time_of(line, now, zone))
}

impl Heartbeat {
    pub fn age(&self, now: DateTime<Utc>) -> Option<Duration> {
        Some((now - self.at?).to_std().unwrap_or_default())
    }

    pub fn describe(&self, cx: &Context, subject: &mut Subject) {
        match self.age(cx.now) {
            Some(age) => subject.set("last_run_age", Value::duration(age)),
            None => subject.note(format!("there is no heartbeat {}: it never came to its end", self.path.display())),
        }
    }
}
