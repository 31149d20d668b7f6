//! Units of systemd, as `systemctl show` tells of them: one question for all units of a step, the same for every version
//! and every user.

pub(crate) mod clock;
mod managed;
pub(crate) mod name;
pub(crate) mod properties;
pub(crate) mod timer;
pub(crate) mod tool;
pub(crate) mod unit;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use self::clock::Clock;
use self::properties::Properties;
use self::tool::Systemd;
use self::unit::Unit;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "service",
    about: "services and other units of systemd, one result each; without `name` the failed and crash-looping units of \
            the whole machine. A name of `services` in the site file is asked with its own `status`, which tells \
            `active` and `state` alone. The last lines of their logs are kept of units that do not run",
    inputs: &[
        InputSpec {
            name: "name",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "names of units: `apache2` is `apache2.service`; timers, sockets and mounts are written in full, \
                    such as `backup.timer`",
        },
        InputSpec {
            name: "except",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "without `name`: units whose failure is known and accepted. They are not counted",
        },
    ],
    facts: FACTS,
    example: include_str!("../../examples/probes/service.yaml"),
    limit: std::time::Duration::from_secs(30),
    build,
};

const FACTS: &[FactSpec] = &[
    FactSpec::implied_unless(
        "active",
        &["state", "sub_state", "result", "masked", "scheduled", "failed_units", "crash_loops"],
        "it is up; false while it still starts, and while it waits to be started again. Not implied where the step \
         names `state`, `sub_state`, `result`, `masked` or `scheduled`",
    ),
    FactSpec::new("state", FactType::Text, "active, reloading, inactive, failed, activating or deactivating"),
    FactSpec::new("sub_state", FactType::Text, "the state in systemd's words for the type, such as running or exited"),
    FactSpec::new(
        "state_age",
        FactType::Duration,
        "since it came into this state; missing if it has been like this since boot",
    ),
    FactSpec::new(
        "enabled",
        FactType::Bool,
        "it starts with the machine. Nothing is expected of units that cannot be enabled since they name nobody to \
         start them (static, generated, transient)",
    ),
    FactSpec::new("unit_file_state", FactType::Text, "enabled, disabled, static, masked, alias, ..., as systemd says"),
    FactSpec::new("masked", FactType::Bool, "nothing can start it until it is unmasked"),
    FactSpec::new(
        "crash_loop",
        FactType::Bool,
        "of a service: it ended and waits to be started again (auto-restart), or systemd gave up starting it again, or \
         it was started again twice or more by systemd, the last time within ten minutes. `systemctl --failed` shows \
         only those that systemd gave up",
    ),
    FactSpec::new(
        "restarts",
        FactType::Count,
        "how often systemd started the service again by itself since somebody started it last",
    ),
    FactSpec::recent(
        "recent_restarts",
        FactType::Count,
        "`restarts` since this step's newest earlier run, or since somebody started it if fewer are counted now than \
         then",
    ),
    FactSpec::new(
        "result",
        FactType::Text,
        "how it ended, or how its last start went: success, exit-code, signal, core-dump, timeout, watchdog, oom-kill, \
         start-limit-hit, ...; missing if it was not started since boot",
    ),
    FactSpec::new(
        "exit",
        FactType::Count,
        "exit status of its main process, or of the command that failed to start it; missing while it runs",
    ),
    FactSpec::new("signal", FactType::Text, "the signal that ended it, such as SIGSEGV; missing otherwise"),
    FactSpec::new("main_pid", FactType::Count, "number of its main process; missing when it has none"),
    FactSpec::new("memory", FactType::Size, "of all its processes; missing where systemd does not account for it"),
    FactSpec::new("memory_limit", FactType::Size, "what they may take at most (`MemoryMax`); missing without a limit"),
    FactSpec::new("memory_share", FactType::Percent, "`memory` of `memory_limit`; missing without one of the two"),
    FactSpec::new(
        "needs_reload",
        FactType::Bool,
        "its unit file changed on the disk and systemd still goes by the old one, until `systemctl daemon-reload`",
    ),
    FactSpec::new("scheduled", FactType::Bool, "of a timer: it will elapse again"),
    FactSpec::new("next_in", FactType::Duration, "of a timer: until it elapses next; missing if it never will"),
    FactSpec::new("last_age", FactType::Duration, "of a timer: since it last elapsed; missing if it never did"),
    FactSpec::new(
        "overdue",
        FactType::Bool,
        "of a timer by the calendar or by `OnUnitActiveSec`: it should have elapsed again by now, and did not: it was \
         stopped, the machine was off and the timer is not `Persistent`, or what it starts still runs",
    ),
    FactSpec::new(
        "last_result",
        FactType::Text,
        "of a timer: how the unit that it starts ended last, such as success or exit-code; missing if that was not \
         started since boot",
    ),
    FactSpec::new("failed_units", FactType::Count, "without `name`: units of the machine that failed"),
    FactSpec::new(
        "crash_loops",
        FactType::Count,
        "without `name`: services with `crash_loop`, whether they count as failed at the moment or not",
    ),
];

/// How many units in trouble have their last log lines shown.
const EXPLAINED: usize = 5;

/// How many units in trouble are listed.
const LISTED: usize = 20;

#[derive(Clone, Debug)]
struct Services {
    /// As the step writes them; empty for the whole machine.
    names: Vec<String>,
    /// With their types.
    units: Vec<String>,
    except: Vec<String>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let names = inputs.texts("name").to_vec();
    if !names.is_empty() && inputs.has("except") {
        let message = "`except` is for the whole machine, and `name` asks for some units only";
        return Err(InputError::new("except", message, "leave out one of the two"));
    }
    let units = names.iter().map(|name| name::full("name", name)).collect::<Result<_, _>>()?;
    let except = inputs.texts("except").iter().map(|name| name::full("except", name)).collect::<Result<_, _>>()?;
    Ok(Arc::new(Services { names, units, except }))
}

impl Probe for Services {
    fn target(&self) -> String {
        if self.names.is_empty() { "units of this machine".to_owned() } else { self.names.join(", ") }
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        async move {
            if self.units.is_empty() {
                return self.machine(&Systemd::of_this_machine(cx)?).await;
            }
            let (own, others) = self.clone().divided(cx);
            let mut seen = Observation::default();
            let deadline = Instant::now() + cx.limit;
            for name in &own.names {
                if let Some(service) = cx.services.get(name) {
                    seen.subjects.push(managed::look(name, service, deadline, cx).await);
                }
            }
            if !others.names.is_empty() {
                let units = others.each(&Systemd::of_this_machine(cx)?).await?;
                seen.subjects.extend(units.subjects);
                seen.evidence.extend(units.evidence);
            }
            Ok(seen)
        }
        .boxed()
    }
}

impl Services {
    /// Those that the site file manages, and those of systemd.
    fn divided(self, cx: &Context) -> (Self, Self) {
        let empty = || Self { names: Vec::new(), units: Vec::new(), except: self.except.clone() };
        let (mut own, mut others) = (empty(), empty());
        for (name, unit) in self.names.into_iter().zip(self.units) {
            let part = if cx.services.contains_key(&name) { &mut own } else { &mut others };
            part.names.push(name);
            part.units.push(unit);
        }
        (own, others)
    }

    async fn each(&self, systemd: &Systemd<'_>) -> Result<Observation, ProbeError> {
        let shown = systemd.show(&self.units).await?;
        if shown.len() != self.units.len() {
            let message = format!("`systemctl show` told of {} units instead of {}", shown.len(), self.units.len());
            return Err(ProbeError::new("bad_answer", message).help("run `systemctl show` by hand with the same names"));
        }
        let clock = Clock::now(systemd.now());
        let earlier = systemd.cx.past.newest(&["restarts"]).await;
        let mut known = None;
        let mut seen = Observation::default();
        let mut explained = 0;
        for ((name, full), properties) in self.names.iter().zip(&self.units).zip(shown) {
            let mut unit = Unit::new(properties, clock);
            let mut subject = Subject::new(name);
            if unit.is_nowhere() {
                if known.is_none() {
                    known = Some(systemd.known_units().await);
                }
                subject.error = Some(name::not_found(full, known.as_deref().unwrap_or_default()));
                seen.subjects.push(subject);
                continue;
            }
            let explain = unit.has_log() && unit.is_in_trouble() && explained < EXPLAINED;
            if explain && unit.failed_before_main() {
                unit.set_control_end(systemd.control_end(full).await);
            }
            unit.describe(full, &mut subject);
            if let Some(before) = earlier.get(&(name.clone(), "restarts".to_owned()))
                && let Some(grown) = unit.recent_restarts(before.value.amount())
            {
                subject.set("recent_restarts", Value::count(grown));
            }
            if let Some(timer) = unit.timer() {
                timer::describe(&timer, systemd, &mut subject).await;
            }
            if explain {
                explained += 1;
                match systemd.last_lines(unit.id(full)).await {
                    Ok(lines) if lines.is_empty() => {}
                    Ok(lines) => seen.evidence.push(Evidence::new(format!("last log lines of {name}"), lines)),
                    Err(why) => subject.note(format!("its log lines could not be read: {why}")),
                }
            }
            seen.subjects.push(subject);
        }
        Ok(seen)
    }

    async fn machine(&self, systemd: &Systemd<'_>) -> Result<Observation, ProbeError> {
        let shown = systemd.show(&["*".to_owned()]).await?;
        let clock = Clock::now(systemd.now());
        let counted = |properties: &Properties| properties.get("Id").is_none_or(|id| !self.except.contains(&id.into()));
        let units: Vec<Unit> =
            shown.into_iter().filter(counted).map(|properties| Unit::new(properties, clock)).collect();
        let count = |wanted: fn(&Unit) -> bool| Value::count(units.iter().filter(|unit| wanted(unit)).count() as u64);
        let subject = Subject::new("units")
            .with("failed_units", count(Unit::has_failed))
            .with("crash_loops", count(|unit| unit.crash_loop() == Some(true)));
        let in_trouble: Vec<&Unit> =
            units.iter().filter(|unit| unit.has_failed() || unit.crash_loop() == Some(true)).collect();
        let mut seen = Observation::from(subject);
        if !in_trouble.is_empty() {
            let line = |unit: &&Unit| format!("{}  {}", unit.id("?"), unit.story());
            let lines = in_trouble.iter().take(LISTED).map(line).collect();
            let left_out = in_trouble.len().saturating_sub(LISTED) as u64;
            seen.evidence.push(Evidence { left_out, ..Evidence::new("failed and crash-looping units", lines) });
        }
        Ok(seen)
    }
}
