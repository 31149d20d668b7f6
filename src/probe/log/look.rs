//! The look at one log file, with the older files that rotation left.

use std::io;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::find;
use super::format::Stamps;
use super::matcher::Matcher;
use super::scan::{Pace, ScanError, Scanner, Watch};
use super::severity;
use super::source::{CHUNK, LogFile, Packing};
use super::stamp::{Clock, Instant, SECOND};
use super::tally::{Plan, Tally};
use super::window::{self, Start};
use crate::model::fact::{Evidence, Subject};
use crate::model::unit::Quantity;
use crate::model::value::Value;
use crate::probe::ProbeError;

/// Matching entries kept as evidence, from each end.
const KEPT_ENTRIES: usize = 5;

/// A smaller file is read whole sooner than it is searched for the start of the window.
const BISECT_FROM: u64 = 256 * 1024;

/// A part of this size is worth a second thread.
const SPLIT_FROM: u64 = 4 * 1024 * 1024;

/// Clocks may be this much ahead before it is worth a note.
const AHEAD: Instant = 60 * SECOND;

pub struct Setting {
    pub since: Option<Duration>,
    pub matcher: Matcher,
    pub rotated: bool,
    pub last: Option<u64>,
    pub now: DateTime<Utc>,
    pub zone: chrono_tz::Tz,
    /// The severities that are asked for.
    pub severities: Vec<String>,
    pub limit: Duration,
    pub watch: Watch,
}

impl Setting {
    fn window_start(&self) -> Option<Instant> {
        let since = i64::try_from(self.since?.as_micros()).unwrap_or(i64::MAX);
        Some(self.now.timestamp_micros().saturating_sub(since))
    }

    fn plan(&self) -> Plan {
        let (keep_first, keep_last) = match self.last {
            Some(last) => (0, usize::try_from(last).unwrap_or(usize::MAX)),
            None => (KEPT_ENTRIES, KEPT_ENTRIES),
        };
        Plan {
            since: self.window_start(),
            keep_first,
            keep_last,
            keep_lines: self.last.is_some() && self.matcher.wants_every_entry(),
            severity: !self.severities.is_empty(),
        }
    }
}

pub struct Look<'s> {
    setting: &'s Setting,
    path: &'s Path,
    pub subject: Subject,
    pub evidence: Option<Evidence>,
    oldest: Option<Instant>,
}

impl<'s> Look<'s> {
    pub fn new(path: &'s Path, setting: &'s Setting) -> Self {
        Self { setting, path, subject: Subject::new(path.display().to_string()), evidence: None, oldest: None }
    }

    pub fn take(&mut self) -> Result<(), ProbeError> {
        let main = LogFile::open(self.path)?;
        let older = if self.setting.rotated { self.older(&main)? } else { Vec::new() };
        let mut tally = Tally::new(self.setting.plan());
        for log in older.iter().chain([&main]) {
            if log.size > 0 {
                self.read(log, &mut tally)?;
            }
        }
        self.report(main.size, tally);
        Ok(())
    }

    /// The older files, open. Rotation may rename them between the listing and the opening: then once more.
    fn older(&mut self, main: &LogFile) -> Result<Vec<LogFile>, ProbeError> {
        let since =
            self.setting.since.and_then(|since| std::time::SystemTime::from(self.setting.now).checked_sub(since));
        let list = || {
            find::older(self.path, since).map_err(|error| {
                let folder = self.path.parent().unwrap_or(self.path).display();
                ProbeError::io(format!("{folder}, where rotated files of {} would be", self.path.display()), &error)
            })
        };
        let mut paths = list()?;
        let mut logs = Vec::new();
        for _ in 0..3 {
            let opened: Result<Vec<LogFile>, ProbeError> = paths.iter().map(|path| LogFile::open(path)).collect();
            let now = list()?;
            let moved = now != paths;
            match opened {
                Err(error) if !moved => return Err(error),
                Err(_) => {}
                Ok(opened) => {
                    logs = opened;
                    if !moved {
                        break;
                    }
                }
            }
            paths = now;
        }
        let mut seen = vec![main.id];
        logs.retain(|log| {
            let is_new = !seen.contains(&log.id);
            seen.push(log.id);
            is_new
        });
        if !logs.is_empty() {
            let names =
                logs.iter().filter_map(|log| log.path.file_name()).map(|name| name.to_string_lossy().into_owned());
            self.subject.note(format!("read together with the rotated {}", names.collect::<Vec<_>>().join(", ")));
        }
        Ok(logs)
    }

    fn read(&mut self, log: &LogFile, tally: &mut Tally) -> Result<(), ProbeError> {
        let result = match log.packing {
            Packing::Plain => self.read_plain(log, tally),
            Packing::Gzip | Packing::Zstd | Packing::Xz | Packing::Bzip2 => self.read_packed(log, tally),
        };
        result.map_err(|error| self.error(log, &error, tally))?;
        if log.was_cut() {
            self.subject.note(format!("{} became shorter while it was read", log.path.display()));
        }
        Ok(())
    }

    fn read_plain(&mut self, log: &LogFile, tally: &mut Tally) -> Result<(), ReadError> {
        let (head, tail) = log.ends()?;
        let mut scanner = self.scanner([&head, &tail])?;
        self.oldest = self.oldest.or_else(|| lines(&head).find_map(|line| scanner.stamps.of(line)));
        let ending = if tail.is_empty() { &head } else { &tail };
        tally.newest = tally.newest.max(lines(ending).filter_map(|line| scanner.stamps.of(line)).max());
        Ok(match (self.setting.last, tally.plan.since) {
            (Some(last), _) => scanner.range(log, log.last_lines(last)?, log.size, Pace::Walk, tally),
            (None, None) => scanner.range(log, log.start, log.size, scanner.pace(Pace::Skim), tally),
            (None, Some(since)) => self.read_window(log, since, &mut scanner, tally),
        }?)
    }

    fn read_window(
        &mut self,
        log: &LogFile,
        since: Instant,
        scanner: &mut Scanner<'_>,
        tally: &mut Tally,
    ) -> Result<(), ScanError> {
        if log.size >= BISECT_FROM {
            if let Start::Ordered { from, sure } = window::start(log, since, &mut scanner.stamps)? {
                let mut attempt = tally.clone();
                let rest = scanner.pace(Pace::Skim);
                let result = scanner
                    .range(log, from, sure, Pace::Walk, &mut attempt)
                    .and_then(|()| scanner.range(log, sure, log.size, rest, &mut attempt));
                if !matches!(result, Err(ScanError::Disorder)) {
                    *tally = attempt;
                    return result;
                }
            }
            self.subject.note(format!("{} is not in order of time, so all of it was read", log.path.display()));
        }
        scanner.range(log, log.start, log.size, Pace::Walk, tally)
    }

    fn read_packed(&mut self, log: &LogFile, tally: &mut Tally) -> Result<(), ReadError> {
        if self.setting.last.is_some() {
            return Err(ReadError::LastOfPacked);
        }
        let (head, content) = log.unpacked_with_head()?;
        let mut scanner = self.scanner([&head, &[]])?;
        self.oldest = self.oldest.or_else(|| lines(&head).find_map(|line| scanner.stamps.of(line)));
        let pace = if scanner.stamps.is_blind() { scanner.pace(Pace::Skim) } else { Pace::Walk };
        Ok(scanner.stream(content, pace, tally)?)
    }

    fn scanner(&self, samples: [&[u8]; 2]) -> Result<Scanner<'s>, ReadError> {
        let clock = Clock::new(self.setting.zone, self.setting.now);
        let stamps = Stamps::learn(samples.into_iter().flat_map(lines), clock);
        let is_blank = samples.concat().trim_ascii().is_empty();
        if stamps.is_blind() && !is_blank && self.setting.since.is_some() {
            return Err(ReadError::NoTimes);
        }
        let Setting { matcher, watch, .. } = self.setting;
        Ok(Scanner { matcher, stamps, watch, chunk: CHUNK, split: SPLIT_FROM })
    }

    fn error(&self, log: &LogFile, error: &ReadError, tally: &Tally) -> ProbeError {
        let path = log.path.display();
        match error {
            ReadError::NoTimes => {
                ProbeError::new("no_timestamps", format!("no line of {path} has a timestamp that can be read"))
                    .help("leave out `since` to count the whole file")
            }
            ReadError::LastOfPacked => {
                ProbeError::new("packed", format!("{path} is compressed, so it cannot be read from its end"))
                    .help("leave out `last`, or name the log that is not compressed yet")
            }
            ReadError::Scan(ScanError::Stopped { .. }) if self.setting.watch.cancel.is_cancelled() => {
                ProbeError::new("cancelled", format!("the look at {path} was cancelled"))
            }
            ReadError::Scan(ScanError::Stopped { read }) => {
                let of = |bytes: u64| Quantity::bytes(bytes).rounded();
                let (read, size, matches) = (of(*read), of(log.size), tally.matches);
                let limit = Quantity::duration(self.setting.limit).rounded();
                let message = format!(
                    "{path} was not read to its end within {limit}: {read} of {size}, with {matches} matches so far"
                );
                ProbeError::new("time_limit", message)
                    .help("give the step more time with `timeout`, or a shorter `since`")
            }
            ReadError::Scan(ScanError::Disorder) => {
                ProbeError::new("disorder", format!("{path} is not in order of time"))
            }
            ReadError::Scan(ScanError::Io(error)) if log.packing != Packing::Plain => {
                ProbeError::new("damaged", format!("{path} cannot be unpacked: {error}"))
            }
            ReadError::Scan(ScanError::Io(error)) => ProbeError::io(path, error),
        }
    }

    fn report(&mut self, size: u64, tally: Tally) {
        let now = self.setting.now.timestamp_micros();
        self.subject.set("matches", Value::count(tally.matches));
        let span = self.setting.since.or_else(|| micros(now - self.oldest?)).filter(|span| !span.is_zero());
        if let Some(span) = span {
            let rate = Quantity::per_minute(tally.matches as f64 / (span.as_secs_f64() / 60.0));
            self.subject.set("rate", Value::Number(rate));
        }
        self.subject.set("lines", Value::count(tally.lines));
        if let Some(newest) = tally.newest {
            self.subject.set("newest_age", Value::duration(micros(now - newest).unwrap_or_default()));
            if newest > now + AHEAD {
                let ahead = Quantity::duration(micros(newest - now).unwrap_or_default()).rounded();
                self.subject.note(format!("its newest timestamp is {ahead} in the future: a wrong clock or time zone"));
            }
        }
        self.subject.set("size", Value::bytes(size));
        self.report_severities(&tally);
        let (lines, left_out) = tally.evidence();
        if !lines.is_empty() {
            let what = if self.setting.last.is_some() { "last lines" } else { "matching entries" };
            let title = format!("{what} of {}", self.path.display());
            self.evidence = Some(Evidence { left_out, ..Evidence::new(title, lines) });
        }
    }

    fn report_severities(&mut self, tally: &Tally) {
        if self.setting.severities.is_empty() {
            return;
        }
        let stated: u64 = tally.severities.iter().sum();
        if stated == 0 && tally.matches > 0 {
            self.subject.note("its entries state no severity");
            return;
        }
        for asked in &self.setting.severities {
            if let Some(index) = severity::NAMES.iter().position(|name| name == asked) {
                self.subject.set(format!("severity.{asked}"), Value::count(tally.severities[index]));
            } else {
                self.subject.note(format!("`{asked}` is no severity; they are {}", severity::NAMES.join(", ")));
            }
        }
        if stated < tally.matches {
            self.subject.note(format!("{} of its matching entries state no severity", tally.matches - stated));
        }
    }
}

/// Why a file could not be read to its end.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error("no timestamps")]
    NoTimes,
    #[error("packed")]
    LastOfPacked,
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Scan(error.into())
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// `None` when negative.
fn micros(micros: Instant) -> Option<Duration> {
    u64::try_from(micros).ok().map(Duration::from_micros)
}
