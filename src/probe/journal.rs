//! The journal of systemd: how many entries match, in a window of time, by unit or by identifier.

pub(crate) mod entry;
mod look;
mod reader;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use self::look::{Chosen, Setting};
use self::reader::Journal;
use super::log::matcher::Matcher;
use super::log::severity;
use super::service::name;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};

pub static KIND: Kind = Kind {
    name: "journal",
    about: "entries of systemd's journal that match, in a window of time; what `log` is for files. One result for each \
            unit or identifier, one for all without. A message of many lines is one entry. Reading the journal of the \
            system takes root, or the group adm or systemd-journal",
    inputs: &[
        InputSpec {
            name: "unit",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "units whose entries count, such as `apache2`: what they wrote and what systemd says of them. One that \
                    does not exist and never wrote anything is an error, never zero matches",
        },
        InputSpec {
            name: "identifier",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "the names that programs log under, such as `sshd`, `CRON` or `kernel`. With `unit`, only entries of \
                    the units that have one of these names",
        },
        InputSpec {
            name: "priority",
            ty: InputType::Choice(&severity::NAMES),
            need: Need::Optional,
            about: "only entries that are at least this grave, by the priority that they were logged with: `error` also \
                    counts critical, alert and emergency",
        },
        InputSpec {
            name: "since",
            ty: InputType::Duration,
            need: Need::Optional,
            about: "only entries of this last while, 24h when neither `boot` nor `last` is given",
        },
        InputSpec {
            name: "boot",
            ty: InputType::Bool,
            need: Need::Default("false"),
            about: "only entries since the machine started",
        },
        InputSpec {
            name: "match",
            ty: InputType::Patterns,
            need: Need::Optional,
            about: "regular expressions, of which one must be found in a line of the message. The message alone is \
                    searched, without time, host and name of the program. Without it every entry counts",
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
            name: "last",
            ty: InputType::Integer { least: 1, most: 1000 },
            need: Need::Optional,
            about: "only the newest entries, this many, all kept as evidence. For gathering",
        },
        InputSpec {
            name: "folder",
            ty: InputType::Path,
            need: Need::Optional,
            about: "a folder with journal files to read instead of this machine's journal, such as \
                    `/var/log/journal/remote`",
        },
    ],
    facts: &[
        FactSpec::new("matches", FactType::Count, "entries that match; every entry when `match` is not given"),
        FactSpec::new("rate", FactType::Rate, "matches a minute, over `since` or else from the first entry until now"),
        FactSpec::new("entries", FactType::Count, "entries that were looked at, whether they match or not"),
        FactSpec::new(
            "newest_age",
            FactType::Duration,
            "time since the newest entry, also when that is before the window: does it still log? Missing if there is \
             none",
        ),
        FactSpec::new(
            "oldest_age",
            FactType::Duration,
            "time since the oldest entry of the whole journal. If that is less than `since`, older entries are gone",
        ),
        FactSpec::family(
            "severity",
            FactType::Count,
            "matching entries of one severity: emergency, alert, critical, error, warning, notice, info or debug",
        ),
    ],
    example: include_str!("../../examples/probes/journal.yaml"),
    limit: Duration::from_mins(2),
    build,
};

/// The window of a look that names none.
const DAY: Duration = Duration::from_hours(24);

#[derive(Debug)]
struct Entries {
    /// As the step writes them, and with their types.
    units: Vec<(String, String)>,
    identifiers: Vec<String>,
    priority: Option<usize>,
    since: Option<Duration>,
    boot: bool,
    matcher: (Vec<String>, Vec<String>, bool),
    last: Option<usize>,
    folder: Option<PathBuf>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let since = inputs.duration("since");
    if since.is_some_and(|since| since.is_zero()) {
        let help = "write for example `since: 24h`";
        return Err(InputError::new("since", "a window of no time holds nothing", help));
    }
    let (boot, last) = (inputs.flag("boot"), inputs.integer("last").and_then(|last| usize::try_from(last).ok()));
    let units = inputs.texts("unit").iter();
    let units = units.map(|name| Ok((name.clone(), name::full("unit", name)?))).collect::<Result<_, _>>()?;
    let identifiers = inputs.texts("identifier").to_vec();
    if identifiers.iter().any(String::is_empty) {
        return Err(InputError::new("identifier", "an identifier is empty", "write one such as `sshd`"));
    }
    let (wanted, unwanted) = (inputs.texts("match").to_vec(), inputs.texts("except").to_vec());
    Matcher::check(&wanted, &unwanted)?;
    Ok(Arc::new(Entries {
        units,
        identifiers,
        priority: inputs.text("priority").and_then(|word| severity::NAMES.iter().position(|name| *name == word)),
        since: since.or((!boot && last.is_none()).then_some(DAY)),
        boot,
        matcher: (wanted, unwanted, inputs.flag("ignore_case")),
        last,
        folder: inputs.path("folder").cloned(),
    }))
}

impl Probe for Entries {
    fn target(&self) -> String {
        let names: Vec<String> = self.chosen().iter().map(Chosen::name).collect();
        names.join(", ")
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        self.look(cx).boxed()
    }
}

impl Entries {
    /// What has one result each.
    fn chosen(&self) -> Vec<Chosen> {
        if !self.units.is_empty() {
            let units = self.units.iter();
            return units.map(|(name, full)| Chosen::Unit { name: name.clone(), full: full.clone() }).collect();
        }
        if self.identifiers.is_empty() {
            return vec![Chosen::All];
        }
        self.identifiers.iter().cloned().map(Chosen::Identifier).collect()
    }

    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let (wanted, unwanted, ignore_case) = self.matcher.clone();
        let matcher = cx
            .blocking(move || {
                Matcher::new(&wanted, &unwanted, ignore_case)
                    .map_err(|error| ProbeError::new("bad_pattern", error.message).help(error.help))
            })
            .await?;
        let journal = Journal::new(cx, self.folder.as_deref());
        let setting = Setting {
            matcher,
            since: self.since,
            last: self.last,
            arguments: self.arguments(cx),
            severities: cx.asked_of("severity").map(str::to_owned).collect(),
            oldest: journal.oldest().await?,
        };
        let mut seen = Observation::default();
        for chosen in self.chosen() {
            let (subject, evidence) = setting.look(&journal, &chosen).await?;
            seen.subjects.push(subject);
            seen.evidence.extend(evidence);
        }
        Ok(seen)
    }

    /// Those that are the same for each result.
    fn arguments(&self, cx: &Context) -> Vec<String> {
        let mut arguments = Vec::new();
        if let Some(since) = self.since {
            let since = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
            let from = cx.now.timestamp_micros().saturating_sub(since).max(0);
            arguments.push(format!("--since=@{}.{:06}", from / 1_000_000, from % 1_000_000));
        }
        if self.boot {
            arguments.push("--boot".to_owned());
        }
        arguments.extend(self.priority.map(|priority| format!("--priority={priority}")));
        arguments.extend(self.last.map(|last| format!("--lines={last}")));
        if !self.units.is_empty() {
            arguments.extend(self.identifiers.iter().map(|identifier| format!("--identifier={identifier}")));
        }
        arguments
    }
}
