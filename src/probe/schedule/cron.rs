//! Jobs of cron.

use std::fs;
use std::time::Duration;

use chrono::DateTime;
use chrono_tz::Tz;
use regex::Regex;

use super::crontab::{Crontabs, Job};
use super::expression::When;
use super::heartbeat::Heartbeat;
use crate::model::fact::Subject;
use crate::model::value::Value;
use crate::probe::process::table::{ProcessTable, Scope};
use crate::probe::{Context, ProbeError};

/// How the daemon is called.
const DAEMONS: [&str; 2] = ["cron", "crond"];

/// Blocks.
///
/// # Errors
/// A pattern is none, or the processes cannot be seen.
pub fn look(
    commands: &[String],
    ran: Option<Heartbeat>,
    grace: Duration,
    cx: &Context,
) -> Result<Vec<Subject>, ProbeError> {
    let crontabs = Crontabs::read();
    let table = ProcessTable::now(Scope::Programs, cx)?;
    let runs = table.processes.iter().any(|process| DAEMONS.iter().any(|name| process.names().include(name)));
    let daemon = if runs || !table.hidden { Some(runs) } else { None };
    let (zone, zone_note) = zone_of_the_machine(cx);
    let look = Look { daemon, now: cx.now.with_timezone(&zone), ran, grace, cx };
    let mut subjects = Vec::new();
    for command in commands {
        let pattern = Regex::new(command)
            .map_err(|error| ProbeError::new("bad_pattern", format!("`{command}` cannot be used: {error}")))?;
        let (ignored, jobs): (Vec<&Job>, Vec<&Job>) =
            crontabs.jobs.iter().filter(|job| pattern.is_match(&job.command)).partition(|job| job.ignored.is_some());
        if jobs.is_empty() {
            subjects.push(undefined(command, &ignored, &crontabs));
        }
        for job in &jobs {
            let name = if jobs.len() == 1 { command.clone() } else { format!("{command} ({})", job.place) };
            let mut subject = look.job(name, job);
            subject.notes.extend(zone_note.clone());
            subjects.push(subject);
        }
    }
    Ok(subjects)
}

/// No job that cron goes by has this command.
fn undefined(command: &str, ignored: &[&Job], crontabs: &Crontabs) -> Subject {
    let mut subject = Subject::new(command);
    if !crontabs.unread.is_empty() {
        subject.error = Some(format!(
            "no job of this command was found, and not everywhere could be looked: {}; run opsctl as root",
            crontabs.unread.join(", ")
        ));
        return subject;
    }
    subject.set("defined", Value::Bool(false));
    for job in ignored {
        subject.note(format!("{}: {}", job.place, job.ignored.unwrap_or_default()));
    }
    if ignored.is_empty() {
        subject.note("no job of this command is in /etc/crontab, /etc/cron.d or the crontab of a user");
    }
    subject
}

struct Look<'c> {
    /// Whether cron runs; `None` where that cannot be seen.
    daemon: Option<bool>,
    now: DateTime<Tz>,
    ran: Option<Heartbeat>,
    grace: Duration,
    cx: &'c Context,
}

impl Look<'_> {
    fn job(&self, name: String, job: &Job) -> Subject {
        let mut subject = Subject::new(name);
        subject.inapplicable = ["enabled", "last_ok"].map(str::to_owned).into();
        subject.note(format!("defined in {}", job.place));
        let Some(when) = &job.when else {
            subject.error = Some(format!("cron cannot read `{}` in {}", job.expression, job.place));
            return subject;
        };
        subject.set("defined", Value::Bool(true));
        let next = when.next(&self.now);
        match (self.daemon, when) {
            (Some(true), When::Times(_)) if next.is_none() => {
                subject.set("scheduled", Value::Bool(false));
                subject.note("its time never comes");
            }
            (Some(true), _) => subject.set("scheduled", Value::Bool(true)),
            (Some(false), _) => {
                subject.set("scheduled", Value::Bool(false));
                subject.note("cron does not run");
            }
            (None, _) => subject.note("whether cron runs cannot be seen: /proc shows only this user's processes"),
        }
        subject.set("expression", Value::text(&job.expression));
        subject.set("user", Value::text(&job.user));
        let until = next.and_then(|next| (next - self.now).to_std().ok());
        subject.facts.extend(until.map(|until| ("next_in".to_owned(), Value::duration(until))));
        let period = when.period(&self.now);
        subject.facts.extend(period.map(|period| ("period".to_owned(), Value::duration(period))));
        if let Some(ran) = &self.ran {
            ran.describe(self.cx, &mut subject);
            self.judge_lateness(when, ran, &mut subject);
        }
        subject
    }

    /// It is overdue when it did not come to its end since the last time of which the grace is over.
    fn judge_lateness(&self, when: &When, ran: &Heartbeat, subject: &mut Subject) {
        let Some(due) = when.previous(&(self.now - self.grace)) else { return };
        let Some(at) = ran.at else { return };
        let overdue = at < due;
        subject.set("overdue", Value::Bool(overdue));
        if overdue {
            subject.note(format!("it should have run at {}", due.format("%F %R %Z")));
        }
    }
}

/// cron goes by the zone of the machine, whatever that of the site or of this program's environment.
fn zone_of_the_machine(cx: &Context) -> (Tz, Option<String>) {
    let link = fs::read_link("/etc/localtime").ok();
    let linked = link.as_ref().and_then(|path| path.to_str()?.split_once("zoneinfo/")).map(|(_, zone)| zone.to_owned());
    let written = fs::read_to_string("/etc/timezone").ok().map(|zone| zone.trim().to_owned());
    let zone = [linked, written].into_iter().flatten().find_map(|zone| zone.parse::<Tz>().ok());
    match zone {
        Some(zone) => (zone, None),
        None if !std::path::Path::new("/etc/localtime").exists() => (Tz::UTC, None),
        None => {
            let note = format!("the zone of the machine is unknown, so times are told as of {}", cx.timezone);
            (cx.timezone, Some(note))
        }
    }
}
