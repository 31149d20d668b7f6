//! The block of a step that needs attention: what was seen and expected, what explains it, what to do.

use super::words::{Clock, count};
use crate::model::event::{StepPlan, StepResult, SubjectResult};
use crate::model::expectation::Check;
use crate::model::fact::Evidence;
use crate::model::outcome::Outcome;
use crate::model::record::StepRecord;
use crate::report::line::{Line, Paint, cut_middle, width};
use crate::report::page::Page;

const LABELS_AT: usize = 6;
pub(super) const TEXT_AT: usize = 17;
const MOST_SUBJECTS: usize = 10;
const MOST_NOTES: usize = 5;
pub(super) const MOST_EVIDENCE: usize = 10;
/// Subjects with longer names are not aligned.
const LONGEST_ALIGNED: usize = 24;

pub(super) fn write(page: &mut Page, step: &StepRecord, result: &StepResult, clock: Clock) {
    let plan = &step.plan;
    let subjects = troubled(result);
    headlines(page, plan, result, &subjects, clock);
    let mut lines = details(page, plan, result, &subjects);
    let place = Line::default().with(Paint::Dim, &plan.at);
    // Not beside a line of evidence, and not where lines are copied from a pipe: it would seem to be a part of them.
    let advised = plan.why.is_some() || result.help.is_some() || plan.next.is_some();
    let last = if page.width().is_some() && (advised || result.evidence.is_empty()) { lines.pop() } else { None };
    page.lines(lines);
    if !last.is_some_and(|last| page.sided(last, &place)) {
        page.line(label("at").then(place));
    }
}

/// What a step finds that is there to find it is no failure.
pub(in crate::report) fn tag(plan: &StepPlan, outcome: Outcome) -> (Paint, &'static str) {
    match outcome {
        Outcome::Failed | Outcome::Warned if plan.finding => (Paint::Caution, "FIND"),
        outcome => (Paint::of(outcome), outcome.tag()),
    }
}

/// Worst first, otherwise in the order in which they were seen.
pub(in crate::report) fn troubled(result: &StepResult) -> Vec<&SubjectResult> {
    super::TROUBLE
        .iter()
        .flat_map(|outcome| result.subjects.iter().filter(move |subject| subject.outcome == *outcome))
        .collect()
}

fn headlines(page: &mut Page, plan: &StepPlan, result: &StepResult, subjects: &[&SubjectResult], clock: Clock) {
    let since = result.since.map_or_else(String::new, |since| format!("since {}", clock.since(since)));
    let mut since = Line::default().with(Paint::Dim, since);
    if subjects.is_empty() {
        let reason = result.reason.clone().unwrap_or_else(|| plan.title.clone());
        headline(page, plan, result.outcome, None, &[reason], &mut since);
    }
    let aligned = subjects.iter().map(|subject| width(&subject.name)).filter(|width| *width <= LONGEST_ALIGNED);
    let column = if subjects.len() > 1 { aligned.max().unwrap_or(0) } else { 0 };
    for subject in subjects.iter().take(MOST_SUBJECTS) {
        headline(page, plan, subject.outcome, Some((&subject.name, column)), &messages(subject), &mut since);
    }
    if let more @ 1.. = subjects.len().saturating_sub(MOST_SUBJECTS) {
        page.line(Line::default().to(LABELS_AT).with(Paint::Plain, format!("and {more} more")));
    }
    if !since.is_empty() {
        page.line(Line::default().to(TEXT_AT).then(since));
    }
}

/// Takes `since` to its right if there is room.
fn headline(
    page: &mut Page,
    plan: &StepPlan,
    outcome: Outcome,
    subject: Option<(&str, usize)>,
    messages: &[String],
    since: &mut Line,
) {
    let half = page.width().map_or(usize::MAX, |width| width / 2);
    let (paint, tag) = tag(plan, outcome);
    let mut head = Line::default()
        .with(paint, tag)
        .with(Paint::Plain, "  ")
        .with(Paint::Bold, cut_middle(plan.id.as_str(), half))
        .with(Paint::Plain, "  ");
    // A step that is called as what it looks at names it once.
    let is_said = |name: &str, column| column == 0 && name == plan.id.as_str();
    if let Some((name, column)) = subject.filter(|(name, column)| !name.is_empty() && !is_said(name, *column)) {
        let start = head.width();
        let room = page.width().map_or(usize::MAX, |width| width.saturating_sub(start));
        head = head.with(Paint::Plain, cut_middle(&crate::report::line::harmless(name), room));
        head = head.to(start + column).with(Paint::Plain, "  ");
    }
    for line in page.hanging(head, messages, Paint::Plain, TEXT_AT) {
        if page.sided(line, since) {
            *since = Line::default();
        }
    }
}

/// What is wrong with a subject: what could not be seen, then what does not hold, then what could not be told.
pub(in crate::report) fn messages(subject: &SubjectResult) -> Vec<String> {
    let mut messages: Vec<String> = subject.error_alone().map(str::to_owned).into_iter().collect();
    messages.extend(subject.checks.iter().filter(|check| check.met == Some(false)).map(ToString::to_string));
    let unknown: Vec<&Check> = subject.checks.iter().filter(|check| check.met.is_none()).collect();
    if messages.is_empty() {
        messages.extend(unknown.into_iter().map(ToString::to_string));
    } else if !unknown.is_empty() {
        let facts: Vec<&str> = unknown.into_iter().map(|check| check.fact.as_str()).collect();
        messages.push(format!("could not tell: {}", facts.join(", ")));
    }
    if messages.is_empty() {
        messages.push(subject.outcome.to_string());
    }
    messages
}

fn label(word: &str) -> Line {
    Line::default().to(LABELS_AT).with(Paint::Dim, word).to(TEXT_AT)
}

fn details(page: &Page, plan: &StepPlan, result: &StepResult, subjects: &[&SubjectResult]) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(reason) = result.reason.as_ref().filter(|reason| adds(reason, subjects)) {
        lines.extend(labelled(page, "reason", reason));
    }
    if result.attempts > 1 {
        lines.extend(labelled(page, "tried", &format!("{} times", result.attempts)));
    }
    let notes: Vec<_> = subjects
        .iter()
        .flat_map(|subject| {
            subject.notes.iter().filter(|note| !is_cause(note, subject)).map(|note| (&subject.name, note))
        })
        .collect();
    for (name, note) in notes.iter().take(MOST_NOTES) {
        let note = if subjects.len() > 1 { &format!("{name}: {note}") } else { *note };
        lines.extend(labelled(page, "note", note));
    }
    if let more @ 1.. = notes.len().saturating_sub(MOST_NOTES) {
        lines.push(
            Line::default().to(TEXT_AT).with(Paint::Dim, format!("and {}", count(more, "more note", "more notes"))),
        );
    }
    lines.extend(evidence(&result.evidence));
    for (word, text) in [("why", &plan.why), ("help", &result.help), ("next", &plan.next)] {
        if let Some(text) = text {
            lines.extend(labelled(page, word, text));
        }
    }
    lines
}

fn labelled(page: &Page, word: &str, text: &str) -> Vec<Line> {
    page.hanging(label(word), &[text.to_owned()], Paint::Plain, TEXT_AT)
}

/// Whether a step's reason says what the lines of its subjects do not.
fn adds(reason: &str, subjects: &[&SubjectResult]) -> bool {
    let unmet = |check: &&Check| check.met != Some(true);
    let in_reason = |check: &Check| reason.contains(&check.expected) || reason.contains(&check.to_string());
    let said = |subject: &&SubjectResult| {
        subject.error_alone().is_some_and(|error| reason.contains(error))
            || subject.checks.iter().filter(unmet).any(in_reason)
    };
    !subjects.is_empty() && !subjects.iter().any(said)
}

/// Whether the headline has said the note already, as the cause of a check that does not hold.
fn is_cause(note: &str, subject: &SubjectResult) -> bool {
    subject.checks.iter().any(|check| check.note.as_ref().is_some_and(|cause| cause.contains(note)))
}

/// Titles, and below them lines; the lines are cut, for their columns would be lost in wrapping.
pub(super) fn evidence(evidence: &[Evidence]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut room = MOST_EVIDENCE;
    let total: u64 = evidence.iter().map(|one| one.lines.len() as u64 + one.left_out).sum();
    for one in evidence {
        let next = |lines: &Vec<Line>| if lines.is_empty() { label("evidence") } else { Line::default().to(TEXT_AT) };
        let indent = if one.title.is_empty() { "" } else { "  " };
        if room == 0 {
            break;
        }
        if !one.title.is_empty() {
            lines.push(next(&lines).with(Paint::Plain, &one.title));
        }
        for line in one.lines.iter().take(room) {
            lines.push(next(&lines).with(Paint::Plain, indent).with(Paint::Plain, line));
        }
        room -= one.lines.len().min(room);
    }
    if let more @ 1.. = total.saturating_sub((MOST_EVIDENCE - room) as u64) {
        let more = count(usize::try_from(more).unwrap_or(usize::MAX), "more line", "more lines");
        lines.push(Line::default().to(TEXT_AT).with(Paint::Dim, format!("and {more}")));
    }
    lines
}
