//! Log files: how many entries match, in a window of time, across rotation.

pub(crate) mod find;
pub(crate) mod format;
mod look;
pub(crate) mod matcher;
pub(crate) mod scan;
pub(crate) mod severity;
mod sieve;
mod source;
pub(crate) mod stamp;
pub(crate) mod tally;
#[cfg(test)]
mod tests;
mod window;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use self::find::Named;
use self::format::Stamps;
use self::look::{Look, Setting};
use self::matcher::Matcher;
use self::stamp::Clock;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};

pub static KIND: Kind = Kind {
    name: "log",
    about: "entries of log files that match, in a window of time and across rotated files. One result for each file. \
            A line without a timestamp, such as one of a stack trace, belongs to the entry above it",
    inputs: &[
        InputSpec {
            name: "file",
            ty: InputType::Paths,
            need: Need::Required,
            about: "log files, or patterns such as `/var/log/app/*.log` (`**` stands for any folders). A file that is \
                    not there and a pattern that nothing matches are errors, never zero matches",
        },
        InputSpec {
            name: "since",
            ty: InputType::Duration,
            need: Need::Optional,
            about: "only entries of this last while, such as `24h`, by their own timestamps. A time without a zone is \
                    one of the site's time zone. Without it the whole file counts",
        },
        InputSpec {
            name: "match",
            ty: InputType::Patterns,
            need: Need::Optional,
            about: "regular expressions, of which one must be found in a line of the entry. Without it every entry \
                    counts. Put `\\b` around a word: `error` is also in `no_errors.html`",
        },
        InputSpec {
            name: "except",
            ty: InputType::Patterns,
            need: Need::Optional,
            about: "regular expressions that take a line out again, such as `0 errors`. The other lines of its entry \
                    still count",
        },
        InputSpec {
            name: "ignore_case",
            ty: InputType::Bool,
            need: Need::Default("false"),
            about: "whether `match` and `except` take capital and small letters for the same",
        },
        InputSpec {
            name: "rotated",
            ty: InputType::Bool,
            need: Need::Optional,
            about: "whether older files such as `app.log.1`, `app.log-20260101` and `app.log.2.gz` are counted into \
                    the result of `app.log`, as far as they were changed within `since`. True when `since` is given \
                    and `last` is not",
        },
        InputSpec {
            name: "last",
            ty: InputType::Integer { least: 1, most: 1000 },
            need: Need::Optional,
            about: "only the newest lines, this many, all kept as evidence. For gathering: the last 100 lines are not \
                    the last day",
        },
    ],
    facts: &[
        FactSpec::new("matches", FactType::Count, "entries that match; every entry when `match` is not given"),
        FactSpec::new(
            "rate",
            FactType::Rate,
            "matches a minute, over `since` or else from the first timestamp of the file until now",
        ),
        FactSpec::new("lines", FactType::Count, "lines that were looked at and are in the window"),
        FactSpec::new("newest_age", FactType::Duration, "time since the newest timestamp: is the log still written?"),
        FactSpec::new("size", FactType::Size, "size of the file itself, without rotated ones"),
        FactSpec::family(
            "severity",
            FactType::Count,
            "matching entries of one severity: emergency, alert, critical, error, warning, notice, info or debug. \
             Missing when the entries state none",
        ),
    ],
    example: include_str!("../../examples/probes/log.yaml"),
    limit: std::time::Duration::from_mins(2),
    build: |inputs| Ok(Arc::new(Log::new(inputs)?)),
};

#[derive(Clone)]
struct Log {
    files: Vec<PathBuf>,
    since: Option<Duration>,
    wanted: Vec<String>,
    unwanted: Vec<String>,
    ignore_case: bool,
    rotated: bool,
    last: Option<u64>,
}

impl Log {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let since = inputs.duration("since");
        if since.is_some_and(|since| since.is_zero()) {
            return Err(InputError::new(
                "since",
                "a window of no time holds nothing",
                "write for example `since: 24h`",
            ));
        }
        let last = inputs.integer("last").and_then(|last| u64::try_from(last).ok());
        if last.is_some() && inputs.flag("rotated") {
            let help = "leave out one of them: the newest lines are in the newest file";
            return Err(InputError::new("last", "`last` and `rotated` do not go together", help));
        }
        let rotated = if inputs.has("rotated") { inputs.flag("rotated") } else { since.is_some() && last.is_none() };
        let (wanted, unwanted) = (inputs.texts("match").to_vec(), inputs.texts("except").to_vec());
        Matcher::check(&wanted, &unwanted)?;
        let ignore_case = inputs.flag("ignore_case");
        Ok(Self { files: inputs.paths("file").to_vec(), since, wanted, unwanted, ignore_case, rotated, last })
    }
}

/// The time with which a line begins, or that it has where logs have theirs. One without a zone is of `zone`.
pub(crate) fn time_of(line: &[u8], now: DateTime<Utc>, zone: chrono_tz::Tz) -> Option<DateTime<Utc>> {
    let mut stamps = Stamps::learn([line], Clock::new(zone, now));
    DateTime::from_timestamp_micros(stamps.of(line)?)
}

impl Probe for Log {
    fn target(&self) -> String {
        self.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        let log = self.clone();
        let (now, zone, limit, cancel) = (cx.now, cx.timezone, cx.limit, cx.cancel.clone());
        let severities = cx.asked_of("severity").map(str::to_owned).collect();
        let until = Instant::now() + cx.limit.mul_f64(0.9);
        cx.blocking(move || {
            let setting = Setting {
                since: log.since,
                // Compiled here: it takes longer than all that the other looks need to begin.
                matcher: Matcher::new(&log.wanted, &log.unwanted, log.ignore_case)
                    .map_err(|error| ProbeError::new("bad_pattern", error.message).help(error.help))?,
                rotated: log.rotated,
                last: log.last,
                now,
                zone,
                severities,
                limit,
                watch: scan::Watch { cancel, until },
            };
            observe(&log.files, &setting)
        })
        .boxed()
    }
}

fn observe(files: &[PathBuf], setting: &Setting) -> Result<Observation, ProbeError> {
    let mut named = find::expand(files, &setting.watch)?;
    if setting.rotated {
        fold_older(&mut named);
    }
    let mut observation = Observation::default();
    for file in named {
        let subject = match file {
            Named::Unseen(path, error) => Subject::unseen(path.display().to_string(), with_help(&error)),
            Named::File(path) | Named::Matched(path) => {
                let mut look = Look::new(&path, setting);
                match look.take() {
                    Ok(()) => {}
                    Err(error) => look.subject.error = Some(with_help(&error)),
                }
                observation.evidence.extend(look.evidence);
                look.subject
            }
        };
        observation.subjects.push(subject);
    }
    Ok(observation)
}

/// Takes out what a pattern matched and what is counted into another file's result.
fn fold_older(named: &mut Vec<Named>) {
    let mains: Vec<PathBuf> = named.iter().map(|file| file.path().to_owned()).collect();
    let name_of = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    named.retain(|file| {
        let Named::Matched(path) = file else { return true };
        let is_older_of =
            |main: &PathBuf| main.parent() == path.parent() && find::is_older(&name_of(main), &name_of(path));
        !mains.iter().any(is_older_of)
    });
}

fn with_help(error: &ProbeError) -> String {
    error.help.as_ref().map_or_else(|| error.to_string(), |help| format!("{error}; {help}"))
}
