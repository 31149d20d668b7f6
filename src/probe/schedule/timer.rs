//! Jobs by timers of systemd.

use std::time::Duration;

use super::heartbeat::Heartbeat;
use crate::model::fact::Subject;
use crate::model::value::Value;
use crate::probe::ProbeError;
use crate::probe::service::name;
use crate::probe::service::tool::Systemd;

/// # Errors
/// systemd does not answer.
pub async fn look(
    timers: &[(String, String)],
    ran: Option<Heartbeat>,
    grace: Duration,
    systemd: &Systemd<'_>,
) -> Result<Vec<Subject>, ProbeError> {
    let mut subjects = Vec::new();
    for (written, full) in timers {
        subjects.push(one(written, full, ran.as_ref(), grace, systemd).await?);
    }
    Ok(subjects)
}

async fn one(
    written: &str,
    full: &str,
    ran: Option<&Heartbeat>,
    grace: Duration,
    systemd: &Systemd<'_>,
) -> Result<Subject, ProbeError> {
    let mut subject = Subject::new(written);
    subject.inapplicable.push("user".to_owned());
    let Some(unit) = systemd.unit(full).await?.filter(|unit| !unit.is_nowhere()) else {
        subject.set("defined", Value::Bool(false));
        subject.note(name::not_found(full, &systemd.known_units().await));
        return Ok(subject);
    };
    let Some(mut timer) = unit.timer() else {
        subject.error = Some(format!("systemd does not tell of {full} what it tells of timers"));
        return Ok(subject);
    };
    let mut told = Subject::new(written);
    unit.describe(full, &mut told);
    subject.set("defined", Value::Bool(true));
    for fact in ["scheduled", "enabled", "next_in"] {
        subject.facts.extend(told.facts.get(fact).map(|value| (fact.to_owned(), value.clone())));
    }
    subject.inapplicable.extend(told.inapplicable);
    subject.notes = told.notes;
    if let Some(expression) = timer.expression() {
        subject.set("expression", Value::text(expression));
    }
    match ran {
        Some(heartbeat) => {
            heartbeat.describe(systemd.cx, &mut subject);
            timer.ran(heartbeat.at);
        }
        None => subject.facts.extend(told.facts.get("last_age").map(|age| ("last_run_age".to_owned(), age.clone()))),
    }
    if let Some(due) = timer.due(systemd).await? {
        subject.facts.extend(due.period.map(|period| ("period".to_owned(), Value::duration(period))));
        let overdue = timer.is_overdue(&due, grace, systemd.now());
        subject.set("overdue", Value::Bool(overdue));
        if overdue {
            subject.note(format!("it should have run at {}", systemd.shown(due.at)));
        }
    }
    if let Some(unit) = &timer.unit
        && let Some(result) = systemd.last_result(unit).await?
    {
        subject.set("last_ok", Value::Bool(result == "success"));
        if result != "success" {
            subject.note(format!("{unit} ended with {result}"));
        }
    }
    Ok(subject)
}
