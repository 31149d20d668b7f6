//! A unit of systemd: what would be done to it, and doing that.

use chrono::Utc;
use tokio::time::Instant;

use self::job::{bounded, midway};
use super::Wanted;
use super::bus::Manager;
use super::unit::Unit;
use crate::action::run;
use crate::action::{ActionError, Context};
use crate::model::action::Plan;
use crate::model::fact::{Observation, Subject};
use crate::model::value::Value;
use crate::probe::near::near;

mod job;
mod planned;

/// Finds out how the unit stands and what would be done.
pub async fn plan(name: &str, wanted: Wanted, cx: &Context) -> Result<Plan, ActionError> {
    let limit = run::deadline(&cx.look);
    bounded(name, limit, cx, async {
        let manager = Manager::connect().await?;
        let unit = existing(&manager, name).await?;
        if let Some(why) = planned::settled(&unit, wanted) {
            return Ok(Plan::settled(format!("{} {why}", unit.name)));
        }
        planned::possible(&unit, wanted)?;
        let planned = planned::planned(&manager, &unit, wanted).await?;
        let mut plan = Plan::new(vec![format!("systemctl {} {}", wanted.verb(), unit.name)]);
        for note in planned::notes(&unit, wanted, &planned, &manager).await? {
            plan = plan.note(note);
        }
        Ok(plan.data(serde_json::to_value(&planned).unwrap_or_default()))
    })
    .await?
    .map_err(|error: ActionError| error)
}

/// Does it, and waits until it is done.
pub async fn perform(name: &str, wanted: Wanted, plan: &Plan, cx: &Context) -> Result<Observation, ActionError> {
    let limit = run::deadline(&cx.look);
    let looked = bounded(name, limit, cx, async {
        let manager = Manager::connect().await?;
        let unit = existing(&manager, name).await?;
        if plan.settled {
            return Ok((manager, unit));
        }
        let now = planned::planned(&manager, &unit, wanted).await?;
        planned::refuse_change(plan, &now)?;
        planned::possible(&unit, wanted)?;
        Ok::<_, ActionError>((manager, unit))
    });
    let (manager, before) = looked.await??;
    let (begun, since) = (Instant::now(), Utc::now());
    let mut evidence = Vec::new();
    match wanted {
        _ if plan.settled => {}
        Wanted::Enabled | Wanted::Disabled => {
            evidence.extend(job::link(&manager, &before.name, wanted, limit, cx).await?);
        }
        Wanted::Started | Wanted::Stopped | Wanted::Restarted | Wanted::Reloaded => {
            job::job(&manager, &before.name, wanted, limit, cx).await?;
        }
    }
    let took = begun.elapsed();
    let after = match wanted {
        Wanted::Started | Wanted::Restarted if !plan.settled => {
            job::stays_up(&manager, &before.name, since, cx).await?
        }
        _ => manager.unit(&before.name).await.map_err(midway)?,
    };
    let mut subject = Subject::new(&before.name)
        .with("state_before", Value::text(before.state()))
        .with("state", Value::text(after.state()));
    for (fact, word) in [("enabled_before", &before.enabled), ("enabled", &after.enabled)] {
        if !word.is_empty() {
            subject.set(fact, Value::text(word));
        }
    }
    if let Some(pid) = after.service.as_ref().and_then(|service| service.main_pid) {
        subject.set("main_pid", Value::count(pid.into()));
    }
    subject.set("took", Value::duration(took));
    Ok(Observation { subjects: vec![subject], evidence })
}

/// The unit, if there is one.
async fn existing(manager: &Manager, name: &str) -> Result<Unit, ActionError> {
    let unit = manager.unit(name).await?;
    match unit.load.as_str() {
        "loaded" | "masked" => Ok(unit),
        "not-found" => {
            let names = manager.names().await.unwrap_or_default();
            let (stem, suffix) = name.rsplit_once('.').unwrap_or((name, "service"));
            let stems = names.iter().filter_map(|other| other.strip_suffix(suffix)?.strip_suffix('.'));
            let near: Vec<String> = near(stem, stems).iter().map(|stem| format!("{stem}.{suffix}")).collect();
            let help = if near.is_empty() {
                "`systemctl list-unit-files` lists what there is".to_owned()
            } else {
                format!("did you mean {}? `systemctl list-unit-files` lists all", near.join(", "))
            };
            Err(ActionError::before("not_found", format!("there is no unit {name} on this machine")).help(help))
        }
        load => {
            let message = format!("systemd cannot use {name}: {load}, {}", unit.load_error);
            Err(ActionError::before("bad_unit", message)
                .help(format!("correct it; `systemd-analyze verify {name}` checks it")))
        }
    }
}
