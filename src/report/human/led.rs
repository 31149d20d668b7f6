//! What only runs with people have: what goes on with a run that waits, what was run and who agreed, and the timeline.

use chrono::{DateTime, Utc};

use super::words::{Clock, spent};
use crate::model::event::{RunStart, StepResult};
use crate::model::incident::{self, between};
use crate::model::outcome::{Outcome, Skip};
use crate::model::record::{ProcedureRecord, Record, StepRecord};
use crate::report::line::{Line, Paint};
use crate::report::page::Page;

/// Where the lines below a step begin.
const BELOW: usize = 8;

/// How a run that waits goes on.
pub(super) fn goes_on(page: &mut Page, record: &Record, start: &RunStart) {
    if record.suspended.is_none() || record.finished.is_some() {
        return;
    }
    let tasks = ("see and answer", "opsctl tasks".to_owned());
    for (what, command) in [tasks, ("then go on", start.goes_on())] {
        page.line(Line::default().to(6).with(Paint::Dim, what).to(23).with(Paint::Plain, command));
    }
}

/// What the step has found is no failure of the run.
pub(in crate::report) fn is_finding(step: &StepRecord) -> bool {
    let found = |outcome| matches!(outcome, Outcome::Failed | Outcome::Warned);
    step.plan.finding && step.result.as_ref().is_some_and(|result| found(result.outcome))
}

/// What would have been called, and was not.
pub(in crate::report) fn is_not_called(procedure: &ProcedureRecord) -> bool {
    procedure.plan.called_by.is_some() && !procedure.started
}

/// The time of the whole, which counts from detection, as its budget does; until now, if it is not over.
pub(super) fn since_detection(record: &Record, procedure: &ProcedureRecord) -> Option<std::time::Duration> {
    let whole = procedure.plan.called_by.is_none() && incident::is_led(record);
    let now: Option<DateTime<Utc>> = record.ended.or_else(|| Some(record.started? + record.took));
    between(record.mark("detected").filter(|_| whole), now)
}

/// Below a step: the answers, and each action with what was run, who agreed and what came of it.
pub(super) fn step(page: &mut Page, step: &StepRecord) {
    for (paint, text) in below(step) {
        let lines = page.hanging(Line::default().to(BELOW), &[text], paint, BELOW);
        page.lines(lines);
    }
}

pub(in crate::report) fn below(step: &StepRecord) -> Vec<(Paint, String)> {
    let mut below = Vec::new();
    for (_, answer) in &step.answers {
        let item = answer.item.as_ref().map_or(String::new(), |item| format!("{item}: "));
        below.push((Paint::Plain, format!("{item}{}, says {}", incident::said(answer), answer.by)));
    }
    // What a dry run found out; notes are marked like comments.
    for line in step.result.iter().filter(|result| result.skip == Some(Skip::Simulated)).flat_map(foretold) {
        below.push(match line.strip_prefix("# ") {
            Some(note) => (Paint::Dim, format!("note  {note}")),
            None => (Paint::Plain, format!("would run  {line}")),
        });
    }
    for action in &step.actions {
        let paint =
            if action.end.as_ref().is_some_and(|end| end.ended.is_done()) { Paint::Plain } else { Paint::Unknown };
        below.extend(action.start.plan.does.iter().map(|line| (Paint::Plain, format!("ran  {line}"))));
        below.push((paint, format!("{}, agreed by {}", incident::told(action), action.start.agreed_by)));
        let notes = action.end.iter().flat_map(|end| &end.notes);
        below.extend(notes.map(|note| (Paint::Plain, format!("note  {note}"))));
    }
    for question in &step.open {
        let role = question.role.as_deref().unwrap_or("an answer");
        below.push((Paint::Caution, format!("waits for {role}: {}", question.text)));
    }
    below
}

fn foretold(result: &StepResult) -> impl Iterator<Item = &String> {
    result.evidence.iter().flat_map(|evidence| &evidence.lines)
}

/// What happened when, and how long it took.
pub(super) fn timeline(page: &mut Page, record: &Record, clock: Clock) {
    if !incident::is_led(record) {
        return;
    }
    page.blank();
    page.line(Line::default().with(Paint::Bold, "timeline"));
    for entry in incident::timeline(record) {
        let head = Line::default().to(2).with(Paint::Dim, clock.minute(entry.at)).to(20);
        let by = entry.by.as_ref().map_or(String::new(), |by| format!(", {by}"));
        let entered = entry.entered.map_or(String::new(), |at| format!(" (entered {})", clock.minute(at)));
        let paint = if entry.kind == incident::EntryKind::Mark { Paint::Bold } else { Paint::Plain };
        let lines = page.hanging(head, &[format!("{}{by}{entered}", entry.text)], paint, BELOW);
        page.lines(lines);
    }
    let points = incident::Points::of(record);
    let figures = [
        ("acknowledged", points.to_acknowledge()),
        ("mitigated", points.to_mitigate()),
        ("resolved", points.to_resolve()),
    ];
    let known = figures.into_iter().filter_map(|(name, took)| Some(format!("{name} after {}", spent(took?))));
    let known: Vec<String> = known.collect();
    if !known.is_empty() {
        let head = Line::default().to(2).with(Paint::Plain, "since detection").to(20);
        let lines = page.hanging(head, &[known.join(", ")], Paint::Plain, BELOW);
        page.lines(lines);
    }
}
