//! Finding the backup that is asked for, and what can be told without reading it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::NaiveDate;

use super::decode::Bound;
use super::latest;
use super::name::NamePattern;
use super::series::{Backup, Series};
use crate::model::fact::Subject;
use crate::model::value::Value;
use crate::probe::ProbeError;

/// A file that was modified more recently may still be written to.
const STILL_WRITING: Duration = Duration::from_mins(1);

pub struct Find {
    /// The day whose backup is wanted; the newest without a day.
    pub day: Option<NaiveDate>,
    /// Ages count from here.
    pub now: SystemTime,
    pub bound: Bound,
}

impl Find {
    /// Describes one file and returns it; `None` if it is not there.
    pub fn file(&self, file: PathBuf, subject: &mut Subject) -> Result<Option<PathBuf>, ProbeError> {
        let io = |error| ProbeError::io(file.display(), &error);
        let metadata = match std::fs::metadata(&file) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                subject.set("exists", Value::Bool(false));
                subject.note("the file does not exist");
                return Ok(None);
            }
            Err(error) => return Err(io(error)),
        };
        if !metadata.is_file() {
            return Err(ProbeError::new("not_a_file", format!("{} is not a file", file.display()))
                .help("give a folder of backups as `folder` with `name`"));
        }
        self.describe(&file, metadata.len(), metadata.modified().map_err(io)?, subject);
        Ok(Some(file))
    }

    /// Describes the series and the backup of the day, and returns that one; `None` if it is not there.
    pub fn in_series(
        &self,
        folder: &Path,
        name: &NamePattern,
        latest: Option<&Path>,
        subject: &mut Subject,
    ) -> Result<Option<PathBuf>, ProbeError> {
        let series = Series::read(folder, name, || self.bound.stop().map_or(Ok(()), |stop| Err(stop.into())))?;
        let chosen = series.of_day(self.day);
        if let Some(backup) = chosen {
            self.describe(&backup.path, backup.size, backup.modified, subject);
            subject.set("dated", Value::text(backup.time.date().to_string()));
            if let Some(percent) = series.size_vs_median(backup) {
                subject.set("size_vs_median", Value::percent(percent));
            }
        } else {
            subject.set("exists", Value::Bool(false));
            subject.note(absence(self.day, series.newest()));
        }
        series.describe(subject);
        if let (Some(latest), Some(newest)) = (latest, series.newest()) {
            match latest::trouble(latest, newest, &self.bound) {
                Ok(trouble) => {
                    subject.set("latest_is_newest", Value::Bool(trouble.is_none()));
                    subject.notes.extend(trouble);
                }
                Err(error) => subject.error = Some(error.message),
            }
        }
        Ok(chosen.map(|backup| backup.path.clone()))
    }

    fn describe(&self, path: &Path, size: u64, modified: SystemTime, subject: &mut Subject) {
        let age = self.now.duration_since(modified).unwrap_or_default();
        subject.set("exists", Value::Bool(true));
        subject.set("path", Value::text(path.display().to_string()));
        subject.set("link", Value::Bool(path.is_symlink()));
        subject.set("age", Value::duration(age));
        subject.set("size", Value::bytes(size));
        subject.set("growing", Value::Bool(age < STILL_WRITING));
    }
}

fn absence(day: Option<NaiveDate>, newest: Option<&Backup>) -> String {
    match (day, newest) {
        (Some(day), Some(newest)) => format!("no backup of {day}; the newest is {}", newest.name),
        (_, _) => "no file in the folder has such a name".to_owned(),
    }
}
