//! Containers of Docker, or of another engine with its API.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use self::engine::{Engine, Trouble};
use self::look::Look;
use super::log::matcher::Matcher;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;

pub(crate) mod description;
pub(crate) mod engine;
pub(crate) mod log;
pub(crate) mod look;
mod stats;

pub static KIND: Kind = Kind {
    name: "container",
    about: "containers of Docker or Podman, one result each: whether they run and are healthy, how often they were \
            restarted, what they log. Without `name` all containers, those that have ended as well. The last log lines \
            are kept of those in trouble",
    inputs: &[
        InputSpec {
            name: "name",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "names of containers, in full, as `docker ps -a` shows them",
        },
        InputSpec {
            name: "label",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "instead of `name`: the containers that have all these labels, such as `tier=web`",
        },
        InputSpec { name: "log", ty: InputType::Group(LOG), need: Need::Optional, about: "count what they logged" },
        InputSpec {
            name: "stats",
            ty: InputType::Bool,
            need: Need::Optional,
            about: "report `memory`, `memory_share` and `cpu` although the step expects nothing of them. The engine \
                    measures for about a second",
        },
        engine::SOCKET,
    ],
    facts: FACTS,
    example: include_str!("../../examples/probes/container.yaml"),
    limit: Duration::from_secs(30),
    build,
};

const LOG: &[InputSpec] = &[
    InputSpec {
        name: "match",
        ty: InputType::Patterns,
        need: Need::Optional,
        about: "what counts, as regular expressions; every line when not given",
    },
    InputSpec {
        name: "except",
        ty: InputType::Patterns,
        need: Need::Optional,
        about: "lines that match one of these do not count",
    },
    InputSpec {
        name: "ignore_case",
        ty: InputType::Bool,
        need: Need::Optional,
        about: "`ERROR` matches `error` as well",
    },
    InputSpec {
        name: "since",
        ty: InputType::Duration,
        need: Need::Default("24h"),
        about: "how far back the log is read. A container that was made anew since then has a new log",
    },
];

const FACTS: &[FactSpec] = &[
    FactSpec::implied("answers", "the engine answers"),
    FactSpec::implied("exists", "there is a container of that name"),
    FactSpec::implied_unless(
        "running",
        &["state", "exit", "exists"],
        "it runs, and is neither paused nor waiting to be started again. Not implied where the step names `state`, \
         `exit` or `exists`",
    ),
    FactSpec::new(
        "state",
        FactType::Text,
        "created, running, paused, restarting (it ended and waits to be started again), removing, exited or dead",
    ),
    FactSpec::new("state_age", FactType::Duration, "since it was last started, or since it ended"),
    FactSpec::new("health", FactType::Text, "starting, healthy or unhealthy; missing without a health check"),
    FactSpec::new("healthy", FactType::Bool, "its health check passes; missing without one, which a note says"),
    FactSpec::new(
        "restarts",
        FactType::Count,
        "how often the engine has started it again by itself since the container was made or somebody started it",
    ),
    FactSpec::recent("recent_restarts", FactType::Count, "the same since the newest earlier run of this step"),
    FactSpec::new("exit", FactType::Count, "exit status of its last end; missing while it runs"),
    FactSpec::new("oom_killed", FactType::Bool, "it used too much memory, and it or one of its processes was killed"),
    FactSpec::new("image", FactType::Text, "the image that it was made from, as it was named then"),
    FactSpec::new(
        "image_age",
        FactType::Duration,
        "since the image was built; missing where its builder hides the time, or when it was removed",
    ),
    FactSpec::new(
        "image_digest",
        FactType::Text,
        "the digest by which the image is pulled (`sha256:...`); missing when it was built here",
    ),
    FactSpec::new("memory", FactType::Size, "what it uses, without what the kernel would give back at once"),
    FactSpec::new("memory_share", FactType::Percent, "`memory` of its limit, or of the machine's where it has none"),
    FactSpec::new("cpu", FactType::Percent, "of one processor, over about a second: 200 % are two busy ones"),
    FactSpec::new("log_lines", FactType::Count, "with `log`: lines since then; missing where the engine keeps no log"),
    FactSpec::new("log_matches", FactType::Count, "with `log`: those that count; the last of them are kept"),
];

pub struct Container {
    names: Vec<String>,
    labels: Vec<String>,
    log: Option<Log>,
    stats: bool,
    socket: Option<PathBuf>,
}

struct Log {
    wanted: Vec<String>,
    unwanted: Vec<String>,
    ignore_case: bool,
    since: Duration,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let (names, labels) = (inputs.texts("name").to_vec(), inputs.texts("label").to_vec());
    if !names.is_empty() && !labels.is_empty() {
        let message = "`label` finds containers, and `name` has them already";
        return Err(InputError::new("label", message, "leave out one of the two"));
    }
    for name in &names {
        check_name("name", name)?;
    }
    let log = inputs.group("log").map(|log| Log {
        wanted: log.texts("match").to_vec(),
        unwanted: log.texts("except").to_vec(),
        ignore_case: log.flag("ignore_case"),
        since: log.duration("since").unwrap_or_default(),
    });
    if let Some(log) = &log {
        Matcher::check(&log.wanted, &log.unwanted)?;
    }
    Ok(Arc::new(Container { names, labels, log, stats: inputs.flag("stats"), socket: inputs.path("socket").cloned() }))
}

/// The names that engines admit for containers, projects and services.
pub(crate) fn check_name(input: &'static str, name: &str) -> Result<(), InputError> {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if is_name {
        return Ok(());
    }
    let message = format!("`{}` is no name of a container or a service", name.escape_debug());
    Err(InputError::new(input, message, "write it as `docker ps` shows it"))
}

/// The time by which the engine must have answered: before the step's limit, to say how far it came.
pub(crate) fn deadline(cx: &Context) -> Instant {
    let margin = (cx.limit / 10).min(Duration::from_millis(500));
    Instant::now() + cx.limit.saturating_sub(margin)
}

/// An engine that does not answer is seen, and one that cannot be asked is not.
pub(crate) fn settled(seen: Result<Observation, Trouble>, subjects: &[String]) -> Result<Observation, ProbeError> {
    match seen {
        Ok(seen) => Ok(seen),
        Err(Trouble::Blind(error)) => Err(error),
        Err(Trouble::Down(error)) => {
            let down = |name: &String| {
                let mut subject = Subject::new(name).with("answers", Value::Bool(false));
                subject.note(error.message.clone());
                subject
            };
            Ok(Observation { subjects: subjects.iter().map(down).collect(), evidence: Vec::new() })
        }
    }
}

impl Probe for Container {
    fn target(&self) -> String {
        match (&self.names[..], &self.labels[..]) {
            ([], []) => "containers".to_owned(),
            ([], labels) => format!("containers with {}", labels.join(", ")),
            (names, _) => names.join(", "),
        }
    }

    fn resource(&self) -> Option<String> {
        Some("container engine".to_owned())
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        async move {
            let subjects = if self.names.is_empty() { vec![self.target()] } else { self.names.clone() };
            let engine = match Engine::connect(self.socket.as_deref(), deadline(cx), cx).await {
                Ok(engine) => engine,
                Err(trouble) => return settled(Err(trouble), &subjects),
            };
            settled(Look::new(self, engine, cx).await?.take().await, &subjects)
        }
        .boxed()
    }
}
