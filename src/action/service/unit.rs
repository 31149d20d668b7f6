//! A unit of systemd, as its properties describe it.

use std::collections::HashMap;

use uuid::Uuid;
use zbus::OwnedVariant;

use crate::probe::command::child::signal_name;

/// Units that stop, and are restarted, together with a unit.
const TOGETHER: [&str; 4] = ["RequiredBy", "BoundBy", "ConsistsOf", "RequisiteOf"];

/// The properties of one object on the bus. What is not there reads as empty, which systemd means by it too.
#[derive(Default)]
pub struct Properties(pub HashMap<String, OwnedVariant>);

impl Properties {
    fn get<T: TryFrom<OwnedVariant>>(&self, name: &str) -> Option<T> {
        self.0.get(name)?.try_clone().ok()?.try_into().ok()
    }

    fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default()
    }

    fn texts(&self, name: &str) -> Vec<String> {
        self.get(name).unwrap_or_default()
    }

    fn is(&self, name: &str) -> bool {
        self.get(name).unwrap_or(false)
    }
}

/// What is known of a unit at one moment.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The name that the unit has, whatever alias it was asked for by.
    pub name: String,
    /// `loaded`, `not-found`, `masked`, `bad-setting`, `error`.
    pub load: String,
    pub load_error: String,
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`.
    pub active: String,
    /// Finer: `running`, `dead`, `auto-restart`.
    pub sub: String,
    /// As `systemctl is-enabled` says it; empty when the unit has no file.
    pub enabled: String,
    /// The unit's file is newer than what systemd has read.
    pub file_changed: bool,
    pub can: Can,
    /// False when it was not started because one of its conditions does not hold.
    pub condition: bool,
    /// Another one for each start.
    pub invocation: String,
    pub triggered_by: Vec<String>,
    /// What stops, and restarts, with it.
    pub together: Vec<String>,
    /// What stops with it and is not started again by a restart.
    pub stops_too: Vec<String>,
    pub service: Option<Process>,
}

/// What a person may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Can {
    pub start: bool,
    pub stop: bool,
    pub reload: bool,
}

/// What only a service has.
#[derive(Clone, Debug)]
pub struct Process {
    /// `simple`, `notify`, `forking`, `oneshot`, ...
    pub kind: String,
    pub main_pid: Option<u32>,
    /// `success`, `exit-code`, `signal`, `timeout`, `start-limit-hit`, ...
    pub result: String,
    /// How often systemd itself has started it again.
    pub restarts: u32,
    /// How its main process ended last, in words.
    pub ended: Option<String>,
}

impl Unit {
    pub fn read(unit: &Properties, service: Option<&Properties>) -> Self {
        let load_error: (String, String) = unit.get("LoadError").unwrap_or_default();
        let invocation: Vec<u8> = unit.get("InvocationID").unwrap_or_default();
        Self {
            name: unit.text("Id"),
            load: unit.text("LoadState"),
            load_error: load_error.1,
            active: unit.text("ActiveState"),
            sub: unit.text("SubState"),
            enabled: unit.text("UnitFileState"),
            file_changed: unit.is("NeedDaemonReload"),
            can: Can { start: unit.is("CanStart"), stop: unit.is("CanStop"), reload: unit.is("CanReload") },
            // A unit that was never started, or was forgotten since, has not looked at its conditions.
            condition: unit.get("ConditionResult").unwrap_or(true) || unit.get("ConditionTimestamp") == Some(0_u64),
            invocation: Uuid::from_slice(&invocation).map(|id| id.simple().to_string()).unwrap_or_default(),
            triggered_by: unit.texts("TriggeredBy"),
            together: TOGETHER.iter().flat_map(|name| unit.texts(name)).collect(),
            stops_too: unit.texts("PropagatesStopTo"),
            service: service.map(Process::read),
        }
    }

    /// It works, or is on its way there: a stop would change something.
    pub fn is_up(&self) -> bool {
        !matches!(self.active.as_str(), "inactive" | "failed" | "maintenance")
    }

    /// As `systemctl status` shows it.
    pub fn state(&self) -> String {
        if self.sub == self.active { self.active.clone() } else { format!("{} ({})", self.active, self.sub) }
    }

    pub fn is_crash_looping(&self) -> bool {
        self.sub == "auto-restart"
    }

    /// Its process may end at once after systemd has called it started, since nothing tells that it is ready.
    pub fn starts_unseen(&self) -> bool {
        self.service.as_ref().is_some_and(|service| matches!(service.kind.as_str(), "simple" | "exec" | "idle"))
    }

    /// It is to be inactive again once it has done its work.
    pub fn ends_by_itself(&self) -> bool {
        self.service.as_ref().is_some_and(|service| service.kind == "oneshot" && service.result == "success")
    }

    /// Why it is not as wanted, as far as the unit itself says.
    pub fn trouble(&self) -> String {
        let mut words = vec![format!("it is {}", self.state())];
        if !self.condition {
            words.push("one of its conditions (`Condition...=`) does not hold".to_owned());
        }
        if let Some(service) = &self.service {
            if service.result != "success" && !service.result.is_empty() {
                words.push(format!("result {}", service.result));
            }
            words.extend(service.ended.clone());
        }
        words.join(", ")
    }
}

impl Process {
    fn read(service: &Properties) -> Self {
        let status: i32 = service.get("ExecMainStatus").unwrap_or(0);
        // As in `siginfo_t`: 1 exited, 2 killed, 3 dumped core.
        let ended = match service.get::<i32>("ExecMainCode") {
            Some(1) => Some(format!("its main process ended with exit status {status}")),
            Some(2 | 3) => Some(format!("its main process was ended by {}", signal_name(status))),
            Some(_) | None => None,
        };
        Self {
            kind: service.text("Type"),
            main_pid: service.get("MainPID").filter(|pid: &u32| *pid > 0),
            result: service.text("Result"),
            restarts: service.get("NRestarts").unwrap_or(0),
            ended,
        }
    }
}
