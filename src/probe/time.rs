//! Whether the clock of this machine is right: what the service that keeps it says, and what time servers say.

pub(crate) mod chrony;
pub(crate) mod ntpd;
pub(crate) mod sntp;
mod systemd;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tokio::time::Instant;

use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::unit::Quantity;
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "time",
    about: "whether the clock of this machine is right: what chrony, systemd-timesyncd or ntpd says, or without one of \
            them the kernel (`timedatectl`). With `server`, the clock is compared with that of time servers instead, \
            one result each",
    inputs: &[InputSpec {
        name: "server",
        ty: InputType::Texts,
        need: Need::Optional,
        about: "time servers to compare the clock with (NTP), such as `pool.ntp.org` or `10.0.0.1:123`",
    }],
    facts: FACTS,
    example: include_str!("../../examples/probes/time.yaml"),
    limit: Duration::from_secs(30),
    build,
};

const FACTS: &[FactSpec] = &[
    FactSpec::implied("answers", "something keeps the clock and tells how it is; with `server`, it answers in time"),
    FactSpec::new(
        "synchronised",
        FactType::Bool,
        "the clock follows another one; false while it follows nothing but itself. With `server`: that of the server does",
    ),
    FactSpec::new("offset", FactType::Duration, "how far the clock is off, fast or slow; missing where nobody tells"),
    FactSpec::new("source", FactType::Text, "what the clock follows: a server, or a clock such as `GPS`"),
    FactSpec::new(
        "stratum",
        FactType::Count,
        "how many clocks away the nearest one is that needs no other: 1 of a server with a clock such as GPS",
    ),
    FactSpec::new(
        "sources",
        FactType::Count,
        "of chrony: servers and clocks that it can reach, 3 or more in order to trust them",
    ),
    FactSpec::new(
        "last_sync",
        FactType::Duration,
        "since the clock was compared with its source last; missing where nobody tells",
    ),
    FactSpec::new("latency", FactType::Duration, "with `server`: how long question and answer were under way"),
    FactSpec::new("service", FactType::Text, "what keeps the clock: chrony, systemd-timesyncd, ntpd"),
];

/// How long a time server may take: an answer that comes later says nothing of the time.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Time {
    servers: Vec<sntp::Server>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let servers: Result<_, _> = inputs.texts("server").iter().map(|text| sntp::Server::parse(text)).collect();
    Ok(Arc::new(Time { servers: servers? }))
}

/// What is known of a clock.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Clock {
    synchronised: bool,
    /// Seconds, whatever the direction.
    offset: Option<f64>,
    source: Option<String>,
    stratum: Option<u64>,
    sources: Option<u64>,
    last_sync: Option<Duration>,
    service: Option<&'static str>,
    note: Option<&'static str>,
}

impl Clock {
    fn describe(self, mut subject: Subject) -> Subject {
        subject.set("answers", Value::Bool(true));
        subject.set("synchronised", Value::Bool(self.synchronised));
        let facts = [
            ("offset", self.offset.map(|seconds| Value::Number(Quantity::seconds(seconds.abs())))),
            ("source", self.source.map(Value::Text)),
            ("stratum", self.stratum.map(Value::count)),
            ("sources", self.sources.map(Value::count)),
            ("last_sync", self.last_sync.map(Value::duration)),
            ("service", self.service.map(Value::text)),
        ];
        for (name, value) in facts {
            if let Some(value) = value {
                subject.set(name, value);
            }
        }
        if let Some(note) = self.note {
            subject.note(note);
        }
        subject
    }
}

impl Time {
    async fn of_this_machine(cx: &Context) -> Result<Subject, ProbeError> {
        let deadline = Instant::now() + cx.limit.mul_f64(0.8);
        let mut subject = Subject::new("clock");
        subject.inapplicable.push("latency".to_owned());
        if let Some(clock) = chrony::ask(deadline, cx).await? {
            return Ok(clock.describe(subject));
        }
        subject.inapplicable.push("sources".to_owned());
        if let Some(clock) = ntpd::ask(deadline, cx).await? {
            return Ok(clock.describe(subject));
        }
        if let Some(clock) = systemd::ask(deadline, cx).await? {
            return Ok(clock.describe(subject));
        }
        subject.set("answers", Value::Bool(false));
        subject.note(
            "neither chrony, ntpd nor systemd tells of the clock; in a container it is that of the host, elsewhere \
             install chrony",
        );
        Ok(subject)
    }
}

impl Probe for Time {
    fn target(&self) -> String {
        if self.servers.is_empty() {
            return "clock of this machine".to_owned();
        }
        self.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(async move {
            if self.servers.is_empty() {
                return Ok(Self::of_this_machine(cx).await?.into());
            }
            let patience = PATIENCE.min(cx.limit.mul_f64(0.8));
            let asked = join_all(self.servers.iter().map(|server| server.look(patience)));
            let subjects = tokio::select! {
                subjects = asked => subjects,
                () = cx.cancel.cancelled() => {
                    return Err(ProbeError::new("cancelled", "nobody waits for the answer any more"));
                }
            };
            Ok(Observation { subjects, evidence: Vec::new() })
        })
    }
}
