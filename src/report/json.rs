//! For programs: format 1, as `docs/json.md` promises it. These types are the format; the events may change.

mod led;

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use chrono::SecondsFormat;
use serde::Serialize;

use super::line::deceives;
use super::unfinished;
use crate::model::event::{CriterionResult, Mode, RunStart, StepResult, SubjectResult};
use crate::model::expectation::Level;
use crate::model::fact::{Evidence, Facts};
use crate::model::incident;
use crate::model::outcome::{Outcome, Skip, Verdict};
use crate::model::record::{ProcedureRecord, Record, StepRecord};

const FORMAT: u32 = 1;

#[derive(Serialize)]
struct RunView<'r> {
    format: u32,
    opsctl: &'r str,
    run: String,
    site: &'r str,
    command: &'r str,
    host: &'r str,
    operator: &'r str,
    timezone: &'r str,
    started: Option<String>,
    took_ms: f64,
    interrupted: bool,
    outcome: Option<Outcome>,
    exit: Option<u8>,
    counts: Counts,
    procedures: Vec<ProcedureView<'r>>,
    mode: Mode,
    incident: bool,
    suspended: Option<&'r str>,
    points: led::PointsView,
    timeline: Vec<led::EntryView>,
}

#[derive(Serialize)]
struct Counts {
    steps: StepCounts,
    criteria: CriterionCounts,
}

#[derive(Serialize)]
struct StepCounts {
    passed: usize,
    waived: usize,
    skipped: usize,
    pending: usize,
    warned: usize,
    errored: usize,
    failed: usize,
    unfinished: usize,
}

#[derive(Serialize)]
struct CriterionCounts {
    met: usize,
    unmet: usize,
    not_proven: usize,
}

#[derive(Serialize)]
struct ProcedureView<'r> {
    id: &'r str,
    title: &'r str,
    outcome: Option<Outcome>,
    took_ms: Option<f64>,
    budget_ms: Option<u64>,
    criteria: Vec<CriterionView<'r>>,
    steps: Vec<StepView<'r>>,
    called_by: Option<String>,
    rolled_back: Option<&'r str>,
}

#[derive(Serialize)]
struct CriterionView<'r> {
    says: &'r str,
    outcome: Verdict,
    proven_by: &'r [String],
}

#[derive(Serialize)]
struct StepView<'r> {
    id: &'r str,
    title: &'r str,
    kind: &'r str,
    probe: &'r str,
    outcome: Option<Outcome>,
    took_ms: Option<f64>,
    attempts: u32,
    reason: Option<&'r str>,
    help: Option<&'r str>,
    skip: Option<Skip>,
    since: Option<String>,
    why: Option<&'r str>,
    next: Option<&'r str>,
    at: &'r str,
    subjects: Vec<SubjectView<'r>>,
    evidence: Vec<EvidenceView<'r>>,
    finding: bool,
    answers: Vec<led::AnswerView<'r>>,
    actions: Vec<led::ActionView<'r>>,
}

#[derive(Serialize)]
struct SubjectView<'r> {
    name: &'r str,
    outcome: Outcome,
    error: Option<&'r str>,
    notes: &'r [String],
    facts: &'r Facts,
    checks: Vec<CheckView<'r>>,
}

#[derive(Serialize)]
struct CheckView<'r> {
    fact: &'r str,
    level: Level,
    expected: &'r str,
    actual: Option<&'r str>,
    met: Option<bool>,
    note: Option<&'r str>,
}

#[derive(Serialize)]
struct EvidenceView<'r> {
    title: &'r str,
    lines: &'r [String],
    left_out: u64,
}

pub(super) fn render(record: &Record) -> io::Result<String> {
    let Some(start) = &record.start else { return Ok(String::new()) };
    let mut text = armoured(&serde_json::to_string(&view(record, start))?).into_owned();
    text.push('\n');
    Ok(text)
}

/// Escapes what a terminal would obey. Outside of strings JSON has no such characters.
pub(super) fn armoured(json: &str) -> Cow<'_, str> {
    let acts = |c: char| c.is_control() || deceives(c);
    if !json.contains(acts) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if acts(c) {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            text.push(c);
        }
    }
    Cow::Owned(text)
}

fn view<'r>(record: &'r Record, start: &'r RunStart) -> RunView<'r> {
    let tally = record.tally();
    RunView {
        format: FORMAT,
        opsctl: &start.opsctl,
        run: start.run.to_string(),
        site: &start.site,
        command: &start.command,
        host: &start.host,
        operator: &start.operator,
        timezone: &start.timezone,
        started: record.started.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true)),
        took_ms: millis(record.took),
        interrupted: record.interrupted.is_some(),
        outcome: record.finished.map(|(outcome, _)| outcome),
        exit: record.finished.map(|(_, exit)| exit.code()),
        counts: Counts {
            steps: StepCounts {
                passed: tally.passed,
                waived: tally.waived,
                skipped: tally.skipped,
                pending: tally.pending,
                warned: tally.warned,
                errored: tally.errored,
                failed: tally.failed,
                unfinished: tally.unfinished,
            },
            criteria: CriterionCounts { met: tally.met, unmet: tally.unmet, not_proven: tally.not_proven },
        },
        procedures: record.procedures.values().map(procedure).collect(),
        mode: start.mode,
        incident: start.incident,
        suspended: record.suspended.as_deref().filter(|_| record.finished.is_none()),
        points: led::points(record),
        timeline: if incident::is_led(record) { led::timeline(record) } else { Vec::new() },
    }
}

fn procedure(record: &ProcedureRecord) -> ProcedureView<'_> {
    let planned =
        record.plan.criteria.iter().map(|says| CriterionView { says, outcome: Verdict::NotProven, proven_by: &[] });
    let judged = record.criteria.iter().map(|CriterionResult { says, outcome, proven_by }| CriterionView {
        says,
        outcome: *outcome,
        proven_by,
    });
    ProcedureView {
        id: record.plan.id.as_str(),
        title: &record.plan.title,
        outcome: record.outcome,
        took_ms: record.outcome.map(|_| millis(record.took)),
        budget_ms: record.plan.budget_ms,
        criteria: if record.criteria.is_empty() { planned.collect() } else { judged.collect() },
        steps: record.steps.values().map(step).collect(),
        called_by: record.plan.called_by.as_ref().map(|(procedure, step)| format!("{procedure}.{step}")),
        rolled_back: record.rollback.as_ref().map(|(_, reason)| reason.as_str()),
    }
}

fn step(record: &StepRecord) -> StepView<'_> {
    let plan = &record.plan;
    let result = record.result.as_ref();
    StepView {
        id: plan.id.as_str(),
        title: &plan.title,
        kind: &plan.kind,
        probe: &plan.probe,
        outcome: result.map(|result| result.outcome),
        took_ms: result.map(|result| millis(result.took)),
        attempts: result.map_or(u32::from(record.started), |result| result.attempts),
        reason: result.map_or_else(|| Some(unfinished(record)), |result| result.reason.as_deref()),
        help: result.and_then(|result| result.help.as_deref()),
        skip: result.and_then(|result| result.skip),
        since: result.and_then(|result| result.since).map(|since| since.to_rfc3339_opts(SecondsFormat::Millis, true)),
        why: plan.why.as_deref(),
        next: plan.next.as_deref(),
        at: &plan.at,
        subjects: result.into_iter().flat_map(|result: &StepResult| &result.subjects).map(subject).collect(),
        evidence: result.into_iter().flat_map(|result| &result.evidence).map(evidence).collect(),
        finding: plan.finding,
        answers: record.answers.iter().map(led::answer).collect(),
        actions: record.actions.iter().map(led::action).collect(),
    }
}

fn subject(result: &SubjectResult) -> SubjectView<'_> {
    let checks = result.checks.iter().map(|check| CheckView {
        fact: &check.fact,
        level: check.level,
        expected: &check.expected,
        actual: check.actual.as_deref(),
        met: check.met,
        note: check.note.as_deref(),
    });
    SubjectView {
        name: &result.name,
        outcome: result.outcome,
        error: result.error.as_deref(),
        notes: &result.notes,
        facts: &result.facts,
        checks: checks.collect(),
    }
}

fn evidence(evidence: &Evidence) -> EvidenceView<'_> {
    EvidenceView { title: &evidence.title, lines: &evidence.lines, left_out: evidence.left_out }
}

/// Exact to the microsecond.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
