//! systemd over D-Bus: reading units, starting jobs and waiting for their results.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use zbus::message::{Message, Type};
use zbus::{Connection, DynamicType, MatchRule, MessageStream, OwnedObjectPath, OwnedVariant, fdo};

use super::unit::{Properties, Unit};
use crate::probe::ProbeError;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// How long systemd may take for an answer. It answers at once, but not while it reads its files again.
const ANSWER: Duration = Duration::from_secs(20);

/// Ends of jobs that may wait to be read: all of a large machine that boots.
const QUEUE: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

/// How many units are looked at in order to know what stops together.
const MOST_UNITS: usize = 200;

/// systemd, as the manager of this machine.
pub struct Manager {
    bus: Connection,
}

/// A job on its way.
pub struct Job {
    path: OwnedObjectPath,
    ends: MessageStream,
}

/// Links in `/etc/systemd/system` that were made or removed: the kind of change, the link, its target.
pub type Links = Vec<(String, String, String)>;

impl Manager {
    pub async fn connect() -> Result<Self, ProbeError> {
        if !Path::new("/run/systemd/system").is_dir() {
            return Err(ProbeError::new("no_service_manager", "this machine was not booted by systemd").help(
                "say in `services` of the site file by which commands the service is managed, or run the step on the \
                 machine where it runs",
            ));
        }
        let bus = zbus::connection::Builder::system().method_timeout(ANSWER).build().await;
        let bus = bus.map_err(|error| {
            ProbeError::new("no_service_manager", format!("cannot reach systemd over the system bus: {error}"))
                .help("install and start dbus (`systemctl start dbus`), or let opsctl see /run/dbus/system_bus_socket")
        })?;
        Ok(Self { bus })
    }

    async fn call<B>(&self, path: &str, interface: &str, method: &str, body: &B) -> Result<Message, zbus::Error>
    where
        B: serde::Serialize + DynamicType,
    {
        self.bus.call_method(Some(SYSTEMD), path, Some(interface), method, body).await
    }

    async fn properties(&self, path: &str, interface: &str) -> Result<Properties, zbus::Error> {
        let reply = self.call(path, "org.freedesktop.DBus.Properties", "GetAll", &(interface,)).await?;
        Ok(Properties(reply.body().deserialize::<HashMap<String, OwnedVariant>>()?))
    }

    /// The unit of that name, whether there is one or not: see [`Unit::load`].
    pub async fn unit(&self, name: &str) -> Result<Unit, ProbeError> {
        self.read_unit(name).await.map_err(|error| explain(&error, &format!("cannot look at {name}")))
    }

    async fn read_unit(&self, name: &str) -> Result<Unit, zbus::Error> {
        let reply = self.call(PATH, MANAGER, "LoadUnit", &(name,)).await?;
        let path: OwnedObjectPath = reply.body().deserialize()?;
        let unit = self.properties(path.as_str(), "org.freedesktop.systemd1.Unit").await?;
        let is_service = name.ends_with(".service");
        let service = if is_service {
            Some(self.properties(path.as_str(), "org.freedesktop.systemd1.Service").await?)
        } else {
            None
        };
        Ok(Unit::read(&unit, service.as_ref()))
    }

    /// The units that work now and would be stopped together with `unit`, directly or through each other, by name.
    pub async fn stopped_with(&self, unit: &Unit, restart: bool) -> Result<Vec<String>, ProbeError> {
        let next = |unit: &Unit| {
            let more = if restart { &[][..] } else { &unit.stops_too[..] };
            unit.together.iter().chain(more).cloned().collect::<Vec<_>>()
        };
        let (mut waiting, mut seen, mut found) = (next(unit), vec![unit.name.clone()], Vec::new());
        while let Some(name) = waiting.pop() {
            if seen.contains(&name) || seen.len() > MOST_UNITS {
                continue;
            }
            let other = self.unit(&name).await?;
            seen.push(name);
            if other.is_up() {
                waiting.extend(next(&other));
                found.push(other.name);
            }
        }
        found.sort();
        Ok(found)
    }

    /// The names of all units that have a file.
    pub async fn names(&self) -> Result<Vec<String>, zbus::Error> {
        let reply = self.call(PATH, MANAGER, "ListUnitFiles", &()).await?;
        let files: Vec<(String, String)> = reply.body().deserialize()?;
        Ok(files.iter().filter_map(|(path, _)| Some(path.rsplit_once('/')?.1.to_owned())).collect())
    }

    /// Asks for a job: `StartUnit`, `StopUnit`, `RestartUnit` or `ReloadUnit`.
    pub async fn job(&self, method: &str, name: &str) -> Result<Job, zbus::Error> {
        self.call(PATH, MANAGER, "Subscribe", &()).await?;
        // So that what is known of it is not forgotten as soon as it is inactive. Without the right to do this, there
        // is none to the job.
        self.call(PATH, MANAGER, "RefUnit", &(name,)).await?;
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(SYSTEMD)
            .path(PATH)
            .interface(MANAGER)
            .member("JobRemoved")
            .build()?;
        let ends = MessageStream::for_match_rule(rule, &self.bus, Some(QUEUE)).await?;
        let reply = self.call(PATH, MANAGER, method, &(name, "replace")).await?;
        Ok(Job { path: reply.body().deserialize()?, ends })
    }

    /// Makes the links that start the unit with the machine. Systemd knows of them after [`Manager::reload`].
    pub async fn enable(&self, name: &str) -> Result<Links, zbus::Error> {
        let reply = self.call(PATH, MANAGER, "EnableUnitFiles", &(vec![name], false, false)).await?;
        let (_, links): (bool, Links) = reply.body().deserialize()?;
        Ok(links)
    }

    /// Removes those links.
    pub async fn disable(&self, name: &str) -> Result<Links, zbus::Error> {
        let reply = self.call(PATH, MANAGER, "DisableUnitFiles", &(vec![name], false)).await?;
        let links: Links = reply.body().deserialize()?;
        Ok(links)
    }

    /// Lets systemd read its files again, as `systemctl enable` and `disable` do at their end.
    pub async fn reload(&self) -> Result<(), zbus::Error> {
        self.call(PATH, MANAGER, "Reload", &()).await.map(|_| ())
    }
}

impl Job {
    /// Waits for its end: `done`, `failed`, `timeout`, `dependency`, `canceled`, `skipped`. Waits for ever, so bound it.
    pub async fn result(mut self) -> Result<String, zbus::Error> {
        while let Some(message) = self.ends.next().await {
            let message = message?;
            let body = message.body();
            let (_, path, _, result): (u32, OwnedObjectPath, String, String) = body.deserialize()?;
            if path == self.path {
                return Ok(result);
            }
        }
        Err(zbus::Error::Failure("the system bus has closed the connection".to_owned()))
    }
}

/// What systemd refused, in plain words: nothing was changed.
pub fn explain(error: &zbus::Error, what: &str) -> ProbeError {
    if is_denied(error) {
        return ProbeError::new("permission", format!("{what}: systemd does not permit it")).help(
            "run opsctl as root, or allow its user `org.freedesktop.systemd1.manage-units` (for enabling: \
             `manage-unit-files` and `reload-daemon`) by a rule of polkit",
        );
    }
    match error {
        zbus::Error::MethodError(_, Some(text), _) => ProbeError::new("refused", format!("{what}: {text}"))
            .help("`systemctl status` of the unit says how it stands"),
        error => ProbeError::new("bad_answer", format!("{what}: {error}"))
            .help("`systemctl status` shows whether systemd still answers"),
    }
}

/// Systemd said no: what was asked for has not begun. Without an answer it may have.
pub fn is_refusal(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(..)) || is_denied(error)
}

fn is_denied(error: &zbus::Error) -> bool {
    let zbus::Error::FDO(error) = error else { return false };
    matches!(**error, fdo::Error::AccessDenied(_) | fdo::Error::InteractiveAuthorizationRequired(_))
}
