//! Jobs of systemd: asked for, waited for, and what is said when one fails.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout_at};

use crate::action::run::Job;
use crate::action::service::Wanted;
use crate::action::service::bus::{self, Manager};
use crate::action::service::unit::Unit;
use crate::action::{ActionError, Context};
use crate::model::fact::Evidence;
use crate::model::text::one_line;
use crate::model::unit::Quantity;
use crate::probe::ProbeError;
use crate::probe::service::tool::{LOG_READ, MOST_OUTPUT, ends_the_rest};

/// A service that does not tell when it is ready has to stay up this long.
const STAYS_UP: Duration = Duration::from_secs(1);

/// Between two looks at it during that time.
const PAUSE: Duration = Duration::from_millis(100);

/// How many of the journal's last lines a failure repeats.
const JOURNAL_LINES: usize = 8;

/// The time limit of a look into the journal.
const JOURNAL_LIMIT: Duration = Duration::from_secs(5);

/// Starts the job and waits for its end.
pub async fn job(
    manager: &Manager,
    name: &str,
    wanted: Wanted,
    limit: Instant,
    cx: &Context,
) -> Result<(), ActionError> {
    let since = Utc::now();
    let method = match wanted {
        Wanted::Started => "StartUnit",
        Wanted::Stopped => "StopUnit",
        Wanted::Restarted => "RestartUnit",
        Wanted::Reloaded | Wanted::Enabled | Wanted::Disabled => "ReloadUnit",
    };
    let what = format!("the {} of {name}", wanted.verb());
    let ended = async { manager.job(method, name).await.map_err(|error| asked(&error, &what)) };
    let job = patient(&what, limit, cx, ended).await??;
    let result = patient(&what, limit, cx, job.result()).await?;
    match result.map_err(|error| midway(bus::explain(&error, &format!("{what}: its end was not seen"))))?.as_str() {
        "done" => Ok(()),
        result => {
            let now = manager.unit(name).await.map_err(midway)?;
            Err(failed(&format!("{what} failed ({result})"), &now, since, cx).await)
        }
    }
}

/// Watches a service that was just started. What tells that it is ready, or is to end, needs no watching.
pub async fn stays_up(manager: &Manager, name: &str, since: DateTime<Utc>, cx: &Context) -> Result<Unit, ActionError> {
    let begun = Instant::now();
    loop {
        let unit = manager.unit(name).await.map_err(midway)?;
        if (!unit.is_up() && !unit.ends_by_itself()) || unit.is_crash_looping() || !unit.condition {
            return Err(failed(&format!("{name} was started and does not run"), &unit, since, cx).await);
        }
        if !unit.starts_unseen() || begun.elapsed() >= STAYS_UP {
            return Ok(unit);
        }
        sleep(PAUSE).await;
    }
}

/// Makes or removes the links that start it with the machine.
pub async fn link(
    manager: &Manager,
    name: &str,
    wanted: Wanted,
    limit: Instant,
    cx: &Context,
) -> Result<Option<Evidence>, ActionError> {
    let verb = wanted.verb();
    let what = format!("systemctl {verb} {name}");
    let work = async {
        let linked = if wanted == Wanted::Enabled { manager.enable(name).await } else { manager.disable(name).await };
        let links = linked.map_err(|error| asked(&error, &what))?;
        manager
            .reload()
            .await
            .map_err(|error| midway(bus::explain(&error, "the links are changed, but systemd did not read them")))?;
        Ok::<_, ActionError>(links)
    };
    let links: bus::Links = patient(&what, limit, cx, work).await??;
    let lines =
        links.into_iter().map(
            |(kind, link, to)| if to.is_empty() { format!("{kind} {link}") } else { format!("{kind} {link} -> {to}") },
        );
    let lines: Vec<String> = lines.collect();
    let after = manager.unit(name).await.map_err(midway)?;
    let as_wanted = (after.enabled == "enabled") == (wanted == Wanted::Enabled);
    if !as_wanted {
        let message = format!("{what} changed nothing: {name} is {}", after.enabled);
        return Err(
            ActionError::midway("failed", message).help(format!("`systemctl cat {name}` shows its [Install] section"))
        );
    }
    Ok((!lines.is_empty()).then(|| Evidence::new("links", lines)))
}

/// A failure, with what the unit and the journal say about it.
async fn failed(what: &str, unit: &Unit, since: DateTime<Utc>, cx: &Context) -> ActionError {
    let name = &unit.name;
    let lines = journal(unit, since, cx).await;
    let said = if lines.is_empty() {
        "the journal says nothing about it".to_owned()
    } else {
        format!("the journal's last lines: {}", lines.join(" / "))
    };
    ActionError::midway("failed", format!("{what}: {}; {said}", unit.trouble())).help(format!(
        "correct what the journal says (`journalctl -u {name} -n 50`); after too many attempts, \
         `systemctl reset-failed {name}` allows another one"
    ))
}

/// The last lines of the journal about the unit since then.
async fn journal(unit: &Unit, since: DateTime<Utc>, cx: &Context) -> Vec<String> {
    // What was printed a moment ago may still be on its way. Only root may ask for it.
    journalctl(&["--sync"], cx).await;
    // Not by the start's id: journald does not know it any more when a process has ended at once.
    let (most, since) = (LOG_READ.to_string(), format!("@{}", since.timestamp()));
    let arguments =
        ["--quiet", "--no-pager", "--output=cat", "--lines", &most, "--since", &since, "--unit", &unit.name];
    let text = journalctl(&arguments, cx).await;
    let telling = text.lines().filter(|line| !line.trim().is_empty() && !ends_the_rest(line, &unit.name));
    let lines: Vec<String> = telling.map(|line| one_line(line, 200)).collect();
    lines[lines.len().saturating_sub(JOURNAL_LINES)..].to_vec()
}

/// What it prints; nothing when it cannot.
async fn journalctl(arguments: &[&str], cx: &Context) -> String {
    let mut command = Command::new("journalctl");
    command.args(arguments);
    let job = Job { command, program: "journalctl", user: None, shown: "journalctl", output_limit: MOST_OUTPUT };
    let done = job.run(Instant::now() + JOURNAL_LIMIT, &cx.look).await;
    done.map(|done| done.stdout.text().into_owned()).unwrap_or_default()
}

/// What could not be asked for has not begun; without an answer it may have.
fn asked(error: &zbus::Error, what: &str) -> ActionError {
    let explained = bus::explain(error, what);
    if bus::is_refusal(error) { explained.into() } else { midway(explained) }
}

pub fn midway(error: ProbeError) -> ActionError {
    let ActionError { code, message, help, .. } = error.into();
    ActionError { help, ..ActionError::midway(code, message) }
}

/// Work that changes nothing, until the time limit or the end of the run.
pub async fn bounded<T>(
    name: &str,
    limit: Instant,
    cx: &Context,
    work: impl Future<Output = T>,
) -> Result<T, ActionError> {
    tokio::select! {
        done = timeout_at(limit, work) => done.map_err(|_| {
            let message = format!("systemd said nothing of {name} within {}", Quantity::duration(cx.look.limit).rounded());
            ActionError::before("time_limit", message).help("`systemctl status` shows whether it still answers")
        }),
        () = cx.look.cancel.cancelled() => Err(ActionError::before("cancelled", format!("the run was ended before anything was done to {name}"))),
    }
}

/// Work that systemd goes on with, whether anybody waits or not.
async fn patient<T>(what: &str, limit: Instant, cx: &Context, work: impl Future<Output = T>) -> Result<T, ActionError> {
    let help = "systemd goes on with it: `systemctl list-jobs` and `systemctl status` show how far it is";
    tokio::select! {
        done = timeout_at(limit, work) => done.map_err(|_| {
            let message = format!("{what} did not end within {}", Quantity::duration(cx.look.limit).rounded());
            ActionError::midway("time_limit", message).help(help)
        }),
        () = cx.look.cancel.cancelled() => {
            Err(ActionError::midway("cancelled", format!("{what} had begun when the run was ended")).help(help))
        }
    }
}
