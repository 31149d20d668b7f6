//! One procedure as a whole: how it went, its criteria, its steps in the order of the document.

use std::time::Duration;

use super::words::{count, spent};
use super::{block, facts, led};
use crate::model::event::StepResult;
use crate::model::event::incident::BudgetUse;
use crate::model::outcome::{Outcome, Skip, Verdict};
use crate::model::record::{ProcedureRecord, Record, StepRecord};
use crate::report::line::{Line, Paint, cut, cut_middle, harmless, width};
use crate::report::page::Page;
use crate::report::unfinished;

/// Longer ids are not aligned.
const LONGEST_ALIGNED: usize = 20;
/// Below this a title says nothing; the outcome then goes to the next line.
const SHORTEST_TITLE: usize = 16;
/// Where a line goes on below its id, when the id takes too much room.
const FALLBACK: usize = 8;

pub(super) fn write(page: &mut Page, record: &Record, procedure: &ProcedureRecord) {
    header(page, record, procedure);
    if let Some((_, reason)) = &procedure.rollback {
        let line = Line::default().to(2).with(Paint::Caution, "rolled back").with(Paint::Plain, format!(": {reason}"));
        page.line(line);
    }
    criteria(page, procedure);
    steps(page, procedure);
}

fn header(page: &mut Page, record: &Record, procedure: &ProcedureRecord) {
    let (word, paint) = state(record, procedure);
    let mut right = Line::default().with(paint, word);
    if let Some((took, caution)) = time(record, procedure) {
        right = right.with(Paint::Plain, format!("  {took}")).with(Paint::Caution, caution);
    }
    let id = procedure.plan.id.as_str();
    let title = harmless(&procedure.plan.title);
    let (id, title) = match page.width() {
        None => (id.to_owned(), title),
        Some(page) => {
            let room = page.saturating_sub(right.width() + 4);
            let id = cut_middle(id, page / 2);
            let title = cut(&title, room.saturating_sub(width(&id)).max(SHORTEST_TITLE));
            (id, title)
        }
    };
    let left = Line::default().with(Paint::Bold, id).with(Paint::Plain, "  ").with(Paint::Plain, title);
    if !page.sided(left, &right) {
        page.line(Line::default().to(2).then(right));
    }
}

/// In a word.
pub(in crate::report) fn state(record: &Record, procedure: &ProcedureRecord) -> (&'static str, Paint) {
    match procedure.outcome {
        Some(outcome) => (outcome.word(), Paint::of(outcome)),
        None if procedure.started && record.suspended.is_some() => ("waiting", Paint::Caution),
        None if procedure.started => ("not finished", Paint::Unknown),
        None => ("not started", Paint::Dim),
    }
}

/// How long it took, of which budget, and a word of caution where the budget is used.
pub(in crate::report) fn time(record: &Record, procedure: &ProcedureRecord) -> Option<(String, &'static str)> {
    let budget = procedure.plan.budget_ms.map(Duration::from_millis);
    let since = led::since_detection(record, procedure);
    let took = since.or(procedure.outcome.map(|_| procedure.took))?;
    let of = budget.map_or(String::new(), |budget| format!(" of {}", spent(budget)));
    let detection = if since.is_some() { " since detection" } else { "" };
    let nearly = |used: &BudgetUse| used.procedure == procedure.plan.id && used.section.is_none();
    let caution = if budget.is_some_and(|budget| took > budget) {
        ", over budget"
    } else if record.budgets.iter().any(|(_, used)| nearly(used)) {
        ", over 80 %"
    } else {
        ""
    };
    Some((format!("took {}{of}{detection}", spent(took)), caution))
}

fn criteria(page: &mut Page, procedure: &ProcedureRecord) {
    if procedure.criteria.is_empty() {
        for says in &procedure.plan.criteria {
            criterion(page, Verdict::NotProven, says, &[]);
        }
    }
    for result in &procedure.criteria {
        criterion(page, result.outcome, &result.says, &result.proven_by);
    }
    if !procedure.plan.criteria.is_empty() && !procedure.steps.is_empty() {
        page.blank();
    }
}

fn criterion(page: &mut Page, verdict: Verdict, says: &str, proven_by: &[String]) {
    let (word, paint) = match verdict {
        Verdict::Met => ("met", Paint::Good),
        Verdict::Unmet => ("UNMET", Paint::Bad),
        Verdict::NotProven => ("not proven", Paint::Unknown),
    };
    let head = Line::default().to(2).with(paint, word).to(14);
    let mut steps = Line::default().with(Paint::Dim, proven_by.join(", "));
    for line in page.hanging(head, &[says.to_owned()], Paint::Plain, FALLBACK) {
        if page.sided(line, &steps) {
            steps = Line::default();
        }
    }
    if !steps.is_empty() {
        let by = format!("by {}", proven_by.join(", "));
        let lines = page.hanging(Line::default().to(14), &[by], Paint::Dim, FALLBACK);
        page.lines(lines);
    }
}

fn steps(page: &mut Page, procedure: &ProcedureRecord) {
    let ids = procedure.steps.keys().map(|id| width(id.as_str()));
    let column = 8 + ids.filter(|width| *width <= LONGEST_ALIGNED).max().unwrap_or(0) + 2;
    for step in procedure.steps.values() {
        let (paint, tag) = match &step.result {
            Some(result) => block::tag(&step.plan, result.outcome),
            None if !step.open.is_empty() => block::tag(&step.plan, Outcome::Pending),
            None => (Paint::Unknown, "----"),
        };
        let id =
            page.width().map_or_else(|| step.plan.id.to_string(), |width| cut_middle(step.plan.id.as_str(), width / 2));
        let head = Line::default().to(2).with(paint, tag).with(Paint::Plain, "  ").with(Paint::Plain, id);
        let head = head.with(Paint::Plain, "  ").to(column);
        let texts = match &step.result {
            Some(result) => summary(step, result),
            None => vec![unfinished(step).to_owned()],
        };
        let lines = page.hanging(head, &texts, Paint::Plain, FALLBACK);
        page.lines(lines);
        if let Some(result) = step.result.as_ref().filter(|_| step.plan.kind == "gather") {
            page.lines(block::evidence(&result.evidence));
        }
        led::step(page, step);
    }
}

/// What to say of a step in the list: facts of what passed, reasons of the rest, a remark first.
pub(in crate::report) fn summary(step: &StepRecord, result: &StepResult) -> Vec<String> {
    let title = || vec![step.plan.title.clone()];
    let reason = || result.reason.clone().map(|reason| vec![reason]);
    match result.outcome {
        Outcome::Passed => {
            let retried = (result.attempts > 1).then(|| format!("passed on attempt {}", result.attempts));
            let mut texts: Vec<String> = result.reason.clone().or(retried).into_iter().collect();
            texts.extend(facts::key(result));
            if texts.is_empty() { title() } else { texts }
        }
        Outcome::Waived | Outcome::Pending => reason().unwrap_or_else(title),
        Outcome::Skipped => reason().unwrap_or_else(|| vec![skipped(result.skip).to_owned()]),
        Outcome::Warned | Outcome::Errored | Outcome::Failed => {
            let bad = result.subjects.iter().filter(|subject| super::TROUBLE.contains(&subject.outcome)).count();
            match result.subjects.len() {
                0 | 1 => title(),
                all => vec![format!("trouble with {bad} of {}, see above", count(all, "subject", "subjects"))],
            }
        }
    }
}

pub(in crate::report) fn skipped(skip: Option<Skip>) -> &'static str {
    match skip {
        Some(Skip::Condition) => "does not apply: its condition is false",
        Some(Skip::Filter | Skip::Operator) => "left out by the operator",
        Some(Skip::Need) => "a step that it needs did not pass",
        Some(Skip::TakenBack) => "done, and taken back",
        Some(Skip::Stopped) => "the run was stopped before it",
        Some(Skip::LookOnly) => "not part of a check, which only looks",
        Some(Skip::Simulated) => "a dry run does not do this",
        None => "no reason given",
    }
}
