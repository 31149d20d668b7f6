//! What stands in the report: texts that are harmless on a terminal, not yet escaped for a format.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use crate::model::event::incident::Message;
use crate::model::event::people::{Answer, Reply};
use crate::model::event::{RunStart, StepResult};
use crate::model::incident::{self, Entry, EntryKind, Points};
use crate::model::outcome::Outcome;
use crate::model::record::{MessageRecord, Record, StepRecord};
use crate::report::human::words::spent;
use crate::report::line::harmless;

#[derive(Serialize)]
pub struct Sheet {
    pub title: String,
    /// Which run this is, in one line.
    pub run: String,
    pub sections: Vec<Section>,
    pub timeline: Vec<Row>,
    pub figures: Vec<Figure>,
    pub criteria: Vec<Criterion>,
}

/// A part of the form: fields by name, or items.
#[derive(Serialize, Default)]
pub struct Section {
    pub title: &'static str,
    pub fields: Vec<Field>,
    pub items: Vec<Item>,
}

/// Without values it is to be filled in by hand.
#[derive(Serialize)]
pub struct Field {
    pub name: &'static str,
    pub values: Vec<String>,
}

#[derive(Serialize)]
pub struct Item {
    pub text: String,
    /// Commands as they were run.
    pub lines: Vec<String>,
}

#[derive(Serialize)]
pub struct Row {
    pub at: String,
    pub kind: &'static str,
    pub text: String,
    pub by: Option<String>,
    pub entered: Option<String>,
    pub lines: Vec<String>,
}

#[derive(Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub value: String,
}

#[derive(Serialize)]
pub struct Criterion {
    pub verdict: &'static str,
    pub says: String,
    pub proven_by: String,
}

impl Row {
    /// Who, and when it was entered.
    pub fn remark(&self) -> String {
        let by = self.by.as_ref().map(|by| format!("by {by}"));
        let entered = self.entered.as_ref().map(|at| format!("entered {at}"));
        let said: Vec<String> = by.into_iter().chain(entered).collect();
        if said.is_empty() { String::new() } else { format!("  ({})", said.join(", ")) }
    }
}

impl Sheet {
    pub fn of(record: &Record, start: &RunStart, zone: Tz) -> Self {
        let points = Points::of(record);
        let asked = start.procedures.iter().find(|plan| plan.called_by.is_none()).or(start.procedures.first());
        let title = asked.map_or(start.command.as_str(), |plan| &plan.title);
        let begun = record.started.map_or(String::new(), |at| format!(", begun {}", time(at, zone)));
        let run = format!(
            "Run {} of opsctl {} for {}, by {} on {}{begun}: {}. Times are those of {}.",
            start.run.short(),
            start.command,
            start.site,
            start.operator,
            start.host,
            state(record),
            zone.name(),
        );
        Self {
            title: harmless(title),
            run: harmless(&run),
            sections: sections(record, &points, zone),
            timeline: incident::timeline(record).iter().map(|entry| row(entry, zone)).collect(),
            figures: figures(&points),
            criteria: incident::criteria(record)
                .map(|(says, verdict, proven_by)| Criterion {
                    verdict: verdict.word(),
                    says: harmless(says),
                    proven_by: proven_by.join(", "),
                })
                .collect(),
        }
    }
}

fn state(record: &Record) -> String {
    match (&record.suspended, record.finished) {
        (_, Some(_)) if record.interrupted.is_some() => "interrupted".to_owned(),
        (_, Some((outcome, _))) => outcome.to_string(),
        (Some(reason), None) => format!("not over, {reason}"),
        (None, None) => "no end is on record".to_owned(),
    }
}

fn time(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string()
}

fn sections(record: &Record, points: &Points, zone: Tz) -> Vec<Section> {
    let at = |point: Option<DateTime<Utc>>| point.map(|at| time(at, zone)).into_iter().collect::<Vec<_>>();
    let field = |name, values| Field { name, values };
    let mut problem = said(record, &["problem"]);
    if problem.is_empty() {
        problem = findings(record);
    }
    let identification = vec![
        field("Problem", problem),
        field("Occurred", at(points.occurred)),
        field("Detected", at(points.detected)),
        field("Extent", said(record, &["extent", "scope"])),
        field("Priority", said(record, &["priority", "severity"])),
    ];
    let solution = vec![
        field("Solution", said(record, &["solution"])),
        field("Solved", at(points.resolved)),
        field("Cause", said(record, &["cause"])),
    ];
    let corrective = said(record, &["corrective"]).into_iter().map(|text| Item { text, lines: Vec::new() });
    vec![
        Section { title: "Identification", fields: identification, ..Section::default() },
        Section { title: "Actions", items: actions(record, zone), ..Section::default() },
        communication(record, zone),
        Section { title: "Solution", fields: solution, ..Section::default() },
        Section { title: "Corrective actions", items: corrective.collect(), ..Section::default() },
    ]
}

/// What people said of a field: notes that begin with its name, `cause: ...`; else the newest answers of steps that have
/// one of `names` as a word of their id.
fn said(record: &Record, names: &[&str]) -> Vec<String> {
    let of_note = |text: &str| {
        let (name, rest) = text.split_once(':')?;
        let known = names.iter().any(|known| name.trim().eq_ignore_ascii_case(known));
        (known && !rest.trim().is_empty()).then(|| harmless(rest.trim()))
    };
    let noted: Vec<String> = record.notes.iter().filter_map(|(_, note)| of_note(&note.text)).collect();
    if !noted.is_empty() {
        return noted;
    }
    let meant = |step: &&StepRecord| step.plan.id.as_str().split('-').any(|word| names.contains(&word));
    let steps = record.procedures.values().flat_map(|procedure| procedure.steps.values()).filter(meant);
    steps.filter_map(|step| step.answers.iter().rev().find_map(|(_, answer)| of_answer(answer))).collect()
}

fn of_answer(answer: &Answer) -> Option<String> {
    let note = answer.note.as_deref().map(str::trim).filter(|note| !note.is_empty());
    match (&answer.reply, note) {
        (Reply::Chosen(name), Some(note)) => Some(harmless(&format!("{name}: {note}"))),
        (Reply::Chosen(name), None) => Some(harmless(name)),
        (_, note) => note.map(harmless),
    }
}

/// What the steps that look for the trouble have found.
fn findings(record: &Record) -> Vec<String> {
    let steps = record.procedures.values().flat_map(|procedure| procedure.steps.values());
    let found = steps.filter(|step| step.plan.finding).filter_map(|step| Some((step, step.result.as_ref()?)));
    let found = found.filter(|(_, result)| matches!(result.outcome, Outcome::Failed | Outcome::Warned));
    found.map(|(step, result)| harmless(&format!("does not hold: {}{}", step.plan.title, seen(result)))).collect()
}

fn seen(result: &StepResult) -> String {
    let unmet = |subject: &crate::model::event::SubjectResult| {
        let checks = subject.checks.iter().filter(|check| check.met == Some(false));
        let seen = checks.filter_map(|check| Some(format!("{} {}", check.fact, check.actual.as_ref()?)));
        let seen: Vec<String> = seen.collect();
        (!seen.is_empty()).then(|| format!("{} {}", subject.name, seen.join(", ")).trim().to_owned())
    };
    let seen: Vec<String> = result.subjects.iter().filter_map(unmet).take(3).collect();
    match (&result.reason, seen.as_slice()) {
        // What the facts alone do not say: why nothing answered, since when.
        (Some(reason), [] | [_]) => format!(" ({reason})"),
        (None, []) => String::new(),
        (_, seen) => format!(" ({})", seen.join("; ")),
    }
}

fn actions(record: &Record, zone: Tz) -> Vec<Item> {
    let entries = incident::timeline(record).into_iter();
    let done = entries.filter(|entry| matches!(entry.kind, EntryKind::Action | EntryKind::Undo));
    done.map(|entry| {
        let by = entry.by.as_ref().map_or(String::new(), |by| format!(", agreed by {by}"));
        Item {
            text: harmless(&format!("{}  {}{by}", time(entry.at, zone), entry.text)),
            lines: entry.lines.iter().map(|line| harmless(line)).collect(),
        }
    })
    .collect()
}

fn communication(record: &Record, zone: Tz) -> Section {
    let title = "Communication";
    if record.messages.is_empty() {
        let fields = ["Told", "When", "State"].map(|name| Field { name, values: Vec::new() });
        return Section { title, fields: fields.into(), ..Section::default() };
    }
    let item = |message: &MessageRecord| {
        let at = message.delivery.as_ref().map_or(message.queued, |(at, _)| *at);
        let late = message.message.deadline.is_some_and(|deadline| at > deadline);
        let late = if late { ", too late" } else { "" };
        let Message { to, channel, text, .. } = &message.message;
        let state = incident::delivered(message);
        let text = format!("{to} through {channel}, {}, {state}{late}: {text}", time(at, zone));
        Item { text: harmless(&text), lines: Vec::new() }
    };
    Section { title, items: record.messages.values().map(item).collect(), ..Section::default() }
}

pub(in crate::report) fn row(entry: &Entry, zone: Tz) -> Row {
    Row {
        at: time(entry.at, zone),
        kind: entry.kind.word(),
        text: harmless(&entry.text),
        by: entry.by.as_deref().map(harmless),
        entered: entry.entered.map(|at| time(at, zone)),
        lines: entry.lines.iter().map(|line| harmless(line)).collect(),
    }
}

fn figures(points: &Points) -> Vec<Figure> {
    let value = |duration: Option<Duration>, from: (&str, bool), to: (&str, bool)| match duration {
        Some(duration) => spent(duration),
        None => {
            let missing: Vec<&str> = [from, to].iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect();
            match missing.as_slice() {
                [] => format!("not known: {} lies after {}", from.0, to.0),
                missing => format!("not known: nobody has said when it was {}", missing.join(" and ")),
            }
        }
    };
    let occurred = ("occurred", points.occurred.is_some());
    let detected = ("detected", points.detected.is_some());
    let figure = |name, duration, from, to| Figure { name, value: value(duration, from, to) };
    vec![
        figure("Occurred to detected", incident::between(points.occurred, points.detected), occurred, detected),
        figure(
            "Detected to acknowledged",
            points.to_acknowledge(),
            detected,
            ("acknowledged", points.acknowledged.is_some()),
        ),
        figure(
            "Detected to identified",
            incident::between(points.detected, points.identified),
            detected,
            ("identified", points.identified.is_some()),
        ),
        figure("Detected to mitigated", points.to_mitigate(), detected, ("mitigated", points.mitigated.is_some())),
        figure("Detected to resolved", points.to_resolve(), detected, ("resolved", points.resolved.is_some())),
    ]
}
