//! What a plan is made for, what systemd would refuse, and what a person should know.

use serde::{Deserialize, Serialize};

use crate::action::ActionError;
use crate::action::service::Wanted;
use crate::action::service::bus::Manager;
use crate::action::service::unit::Unit;
use crate::model::action::Plan;
use crate::probe::ProbeError;

/// What the plan is made for; what else it is, it must not be done any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Planned {
    pub unit: String,
    pub state: String,
    pub up: bool,
    pub invocation: String,
    pub restarts: u32,
    pub enabled: String,
    pub file_changed: bool,
    pub stops_with_it: Vec<String>,
}

/// Why there is nothing to do, if there is nothing.
pub fn settled(unit: &Unit, wanted: Wanted) -> Option<String> {
    match wanted {
        Wanted::Started if unit.active == "active" => Some(format!("runs: {}", unit.state())),
        Wanted::Stopped if !unit.is_up() => Some(format!("does not run: {}", unit.state())),
        Wanted::Enabled if unit.enabled == "enabled" => Some("is enabled".to_owned()),
        Wanted::Disabled if matches!(unit.enabled.as_str(), "disabled" | "indirect" | "masked" | "masked-runtime") => {
            Some(format!("is {}", unit.enabled))
        }
        _ => None,
    }
}

/// What systemd would refuse, or do without any effect.
pub fn possible(unit: &Unit, wanted: Wanted) -> Result<(), ActionError> {
    let name = &unit.name;
    let refuse = |message: String, help: String| Err(ActionError::before("refused", message).help(help));
    match wanted {
        Wanted::Started | Wanted::Restarted | Wanted::Enabled if unit.load == "masked" => refuse(
            format!("{name} is masked: somebody has forbidden that it is started"),
            format!("find out why; `systemctl unmask {name}` allows it again"),
        ),
        Wanted::Started | Wanted::Restarted if !unit.can.start => refuse(
            format!("{name} cannot be started by hand"),
            format!("`systemctl show -p RefuseManualStart,TriggeredBy {name}` says what starts it"),
        ),
        Wanted::Stopped | Wanted::Restarted if unit.is_up() && !unit.can.stop => {
            refuse(format!("{name} cannot be stopped by hand"), format!("`systemctl cat {name}` shows why"))
        }
        Wanted::Reloaded if !unit.can.reload => refuse(
            format!("{name} cannot read its configuration again while it runs"),
            "write `state: restarted`, which interrupts it".to_owned(),
        ),
        Wanted::Reloaded if unit.active != "active" => refuse(
            format!("{name} does not run ({}), so there is nothing to reload", unit.state()),
            "write `state: started`".to_owned(),
        ),
        Wanted::Enabled | Wanted::Disabled if unit.enabled == "static" => refuse(
            format!("{name} cannot be enabled or disabled: its file has no [Install] section"),
            "it starts because another unit wants it, or by a timer or socket: enable that".to_owned(),
        ),
        Wanted::Enabled | Wanted::Disabled if matches!(unit.enabled.as_str(), "generated" | "transient" | "") => {
            refuse(
                format!("{name} cannot be enabled or disabled: it has no file of its own, but is made by a program"),
                format!("`systemctl cat {name}` shows what makes it: /etc/init.d (see `update-rc.d`), /etc/fstab, ..."),
            )
        }
        _ => Ok(()),
    }
}

pub async fn planned(manager: &Manager, unit: &Unit, wanted: Wanted) -> Result<Planned, ProbeError> {
    let stops_with_it = match wanted {
        Wanted::Stopped => manager.stopped_with(unit, false).await?,
        Wanted::Restarted => manager.stopped_with(unit, true).await?,
        Wanted::Started | Wanted::Reloaded | Wanted::Enabled | Wanted::Disabled => Vec::new(),
    };
    Ok(Planned {
        unit: unit.name.clone(),
        state: wanted.word().to_owned(),
        up: unit.is_up(),
        invocation: unit.invocation.clone(),
        restarts: unit.service.as_ref().map_or(0, |service| service.restarts),
        enabled: unit.enabled.clone(),
        file_changed: unit.file_changed,
        stops_with_it,
    })
}

/// What a person should know before agreeing.
pub async fn notes(
    unit: &Unit,
    wanted: Wanted,
    planned: &Planned,
    manager: &Manager,
) -> Result<Vec<String>, ProbeError> {
    let mut notes = vec![match unit.enabled.as_str() {
        "" => format!("now: {}", unit.state()),
        enabled => format!("now: {}, {enabled}", unit.state()),
    }];
    if unit.is_crash_looping() {
        notes.push(format!("it ends again and again, and systemd has started it {} times", planned.restarts));
    }
    if !planned.stops_with_it.is_empty() {
        let verb = if wanted == Wanted::Restarted { "are restarted" } else { "stop" };
        notes.push(format!("{verb} together with it: {}", planned.stops_with_it.join(", ")));
    }
    if unit.file_changed {
        notes.push(format!(
            "the file of {} was changed since systemd read it: `systemctl daemon-reload` was not done, and this does \
             not do it, so the old version is used",
            unit.name
        ));
    }
    if wanted == Wanted::Stopped {
        for name in &unit.triggered_by {
            if manager.unit(name).await?.is_up() {
                notes.push(format!("{name} is active, and starts it again when it is needed: stop that as well"));
            }
        }
        if matches!(unit.enabled.as_str(), "enabled" | "enabled-runtime") {
            notes.push("it is enabled, and starts again with the machine".to_owned());
        }
    }
    if wanted == Wanted::Enabled && !unit.is_up() {
        notes.push("it is not started now, only with the machine".to_owned());
    }
    if wanted == Wanted::Disabled && unit.is_up() {
        notes.push("it is not stopped now; it does not start with the machine any more".to_owned());
    }
    Ok(notes)
}

pub fn refuse_change(plan: &Plan, now: &Planned) -> Result<(), ActionError> {
    let then: Planned = serde_json::from_value(plan.data.clone())
        .map_err(|_| ActionError::before("changed", "the plan is not one of this kind of action").help(PLAN_AGAIN))?;
    let changes = [
        (then.unit != now.unit || then.state != now.state, "the step asks for something else now".to_owned()),
        (then.up != now.up, format!("it {} now", if now.up { "runs" } else { "does not run" })),
        // A restart by systemd itself counts up; by a person or another program it begins to count anew.
        (
            then.up && then.invocation != now.invocation && now.restarts <= then.restarts,
            "it has been restarted".to_owned(),
        ),
        (then.enabled != now.enabled, format!("it is {} now", now.enabled)),
        (then.file_changed != now.file_changed, "its file has been changed, or systemd has read it again".to_owned()),
        (
            then.stops_with_it != now.stops_with_it,
            format!("other units stop together with it: {}", now.stops_with_it.join(", ")),
        ),
    ];
    match changes.into_iter().find(|(changed, _)| *changed) {
        None => Ok(()),
        Some((_, what)) => {
            let message = format!("{} has changed since this was planned: {what}", now.unit);
            Err(ActionError::before("changed", message).help(PLAN_AGAIN))
        }
    }
}

const PLAN_AGAIN: &str = "plan it again, and have the new plan agreed to";
