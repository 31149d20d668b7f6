//! The backups of a folder, by the dates in their names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{Days, NaiveDate, NaiveDateTime};

use super::name::NamePattern;
use crate::model::fact::Subject;
use crate::model::value::Value;
use crate::probe::ProbeError;

/// How many earlier backups the median looks at, and how many days the search for gaps.
const RECENT: usize = 30;
/// A median of fewer says nothing.
const LEAST_FOR_MEDIAN: usize = 3;

/// One file of the series.
pub struct Backup {
    pub path: PathBuf,
    pub name: String,
    /// The time in the name.
    pub time: NaiveDateTime,
    pub size: u64,
    pub modified: SystemTime,
}

/// At least no file, in the order of the times in their names.
pub struct Series(Vec<Backup>);

impl Series {
    /// # Errors
    /// The folder or a file in it cannot be read, or `go_on` says so.
    pub fn read(
        folder: &Path,
        pattern: &NamePattern,
        go_on: impl Fn() -> Result<(), ProbeError>,
    ) -> Result<Self, ProbeError> {
        let in_folder =
            |error| ProbeError::io(format!("the folder {}", folder.display()), &error).help("check the input `folder`");
        let mut backups = Vec::new();
        for entry in fs::read_dir(folder).map_err(in_folder)? {
            go_on()?;
            let entry = entry.map_err(in_folder)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(time) = pattern.time_of(&name) else { continue };
            let path = entry.path();
            let metadata = match fs::metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(ProbeError::io(path.display(), &error)),
            };
            if metadata.is_file() {
                let modified = metadata.modified().map_err(|error| ProbeError::io(path.display(), &error))?;
                backups.push(Backup { path, name, time, size: metadata.len(), modified });
            }
        }
        backups.sort_by(|one, other| (one.time, &one.name).cmp(&(other.time, &other.name)));
        Ok(Self(backups))
    }

    #[must_use]
    pub fn newest(&self) -> Option<&Backup> {
        self.0.last()
    }

    /// The last one of that day; the newest of all without a day.
    #[must_use]
    pub fn of_day(&self, day: Option<NaiveDate>) -> Option<&Backup> {
        self.0.iter().rev().find(|backup| day.is_none_or(|day| backup.time.date() == day))
    }

    /// Sets the facts that describe the series as a whole.
    pub fn describe(&self, subject: &mut Subject) {
        subject.set("count", Value::count(self.0.len() as u64));
        let Some(newest) = self.newest() else { return };
        subject.set("newest", Value::text(&newest.name));
        if let Some(last) = self.0.iter().max_by_key(|backup| backup.modified) {
            let agrees = last.modified == newest.modified;
            let last = if agrees { newest } else { last };
            subject.set("newest_by_mtime", Value::text(&last.name));
            subject.set("newest_agrees", Value::Bool(agrees));
            if !agrees {
                subject.note(format!("{} was modified after {}, the newest by name", last.name, newest.name));
            }
        }
        let gaps = self.gaps();
        subject.set("gaps", Value::count(gaps.len() as u64));
        subject.set("gap_days", Value::List(gaps.iter().map(|day| Value::text(day.to_string())).collect()));
    }

    /// The days without a backup among the last ones before the newest.
    fn gaps(&self) -> Vec<NaiveDate> {
        let days: BTreeSet<_> = self.0.iter().map(|backup| backup.time.date()).collect();
        let Some(newest) = days.last() else { return Vec::new() };
        let first = *newest - Days::new(RECENT as u64 - 1);
        let present: BTreeSet<_> = days.range(first..).copied().collect();
        let Some(oldest) = present.first() else { return Vec::new() };
        oldest.iter_days().take_while(|day| day < newest).filter(|day| !present.contains(day)).collect()
    }

    /// The size of `backup` as a percentage of the median size of those before it.
    #[must_use]
    pub fn size_vs_median(&self, backup: &Backup) -> Option<f64> {
        let earlier = self.0.iter().rev().filter(|other| other.time < backup.time);
        let mut sizes: Vec<u64> = earlier.take(RECENT).map(|other| other.size).collect();
        if sizes.len() < LEAST_FOR_MEDIAN {
            return None;
        }
        sizes.sort_unstable();
        let middle = sizes.len() / 2;
        let median = if sizes.len() % 2 == 1 {
            sizes[middle] as f64
        } else {
            f64::midpoint(sizes[middle - 1] as f64, sizes[middle] as f64)
        };
        (median > 0.0).then(|| backup.size as f64 / median * 100.0)
    }
}
