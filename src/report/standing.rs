//! What steps, criteria and the run are for programs that know little more than good, bad and left out.
//!
//! Nothing is judged here: outcomes and the exit status are those of the record.

use super::human::block::{messages, troubled};
use super::human::led::{is_finding, is_not_called};
use super::human::procedure::skipped;
use super::line::{cut, harmless};
use super::unfinished;
use crate::model::event::StepResult;
use crate::model::incident;
use crate::model::outcome::{Exit, Outcome, Skip, Verdict};
use crate::model::record::{ProcedureRecord, Record, StepRecord};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Good,
    /// Good, with something that people should know: warned, or found what it was there to find.
    Remark,
    Bad,
    /// Could not look, or did not come to its end.
    Unknown,
    /// Bad or unknown, and covered by a waiver.
    Waived,
    /// Skipped, or waits for a person.
    LeftOut,
}

/// A step or a criterion, and what is to be said of it: in one line each, harmless, the most important first.
pub(super) struct Case<'r> {
    pub procedure: &'r ProcedureRecord,
    pub standing: Standing,
    pub lines: Vec<String>,
    pub what: What<'r>,
}

pub(super) enum What<'r> {
    Step(&'r StepRecord),
    Criterion(&'r str),
}

/// Of outside text, a line shows at most this much.
const MOST_TEXT: usize = 2000;
/// Lines of a case.
const MOST_LINES: usize = 20;

/// One line, harmless and not endless.
pub(super) fn tidy(text: &str) -> String {
    cut(&harmless(text), MOST_TEXT)
}

/// The steps of a procedure, in the order of the document.
pub(super) fn steps<'r>(record: &'r Record, procedure: &'r ProcedureRecord) -> impl Iterator<Item = Case<'r>> {
    procedure.steps.values().map(move |step| Case {
        procedure,
        standing: of_step(record, procedure, step),
        lines: lines(procedure, step),
        what: What::Step(step),
    })
}

/// Its criteria. What is open because somebody left it out or has yet to answer is no error.
pub(super) fn criteria<'r>(record: &'r Record, procedure: &'r ProcedureRecord) -> impl Iterator<Item = Case<'r>> {
    let of_it = incident::criteria_of(procedure);
    of_it.map(move |(says, verdict, proven_by)| {
        let standing = match verdict {
            Verdict::Met => Standing::Good,
            Verdict::Unmet => Standing::Bad,
            Verdict::NotProven if is_not_called(procedure) || waits(record) => Standing::LeftOut,
            Verdict::NotProven => match procedure.outcome {
                None | Some(Outcome::Errored | Outcome::Failed) => Standing::Unknown,
                Some(Outcome::Passed | Outcome::Warned | Outcome::Waived | Outcome::Skipped | Outcome::Pending) => {
                    Standing::LeftOut
                }
            },
        };
        let proof = if proven_by.is_empty() { String::new() } else { format!(": {}", proven_by.join(", ")) };
        let lines = vec![tidy(&format!("{}{proof}", verdict.word()))];
        Case { procedure, standing, lines, what: What::Criterion(says) }
    })
}

/// What the run as a whole adds to what its steps and criteria show. With it, a run that does not end with 0 or 1 never
/// looks good.
pub(super) fn of_run(record: &Record) -> Option<(Standing, String)> {
    let (done, all) = finished_steps(record);
    let so_far = format!("{done} of {all} steps finished");
    if record.interrupted.is_some() {
        return Some((Standing::Unknown, format!("the run was interrupted: {so_far}")));
    }
    if waits(record) {
        let why = record.suspended.as_deref().unwrap_or_default();
        return Some((Standing::LeftOut, tidy(&format!("the run waits: {why}"))));
    }
    let Some((outcome, exit)) = record.finished else {
        return Some((Standing::Unknown, format!("the end of this run is not on record: {so_far}")));
    };
    let standing = match exit {
        Exit::Ok | Exit::Warned => return None,
        Exit::Failed => Standing::Bad,
        Exit::CouldNotTell | Exit::Interrupted | Exit::Terminated => Standing::Unknown,
    };
    if exit != Exit::of(outcome, None) {
        return Some((standing, "the run could not be recorded, or not be reported, as it was asked for".to_owned()));
    }
    let told = |case: Case<'_>| matches!(case.standing, Standing::Bad | Standing::Unknown);
    let is_told = record.procedures.values().any(|one| steps(record, one).chain(criteria(record, one)).any(told));
    (!is_told).then(|| (standing, format!("the run {outcome}")))
}

pub(super) fn waits(record: &Record) -> bool {
    record.suspended.is_some() && record.finished.is_none()
}

/// How many steps came to a result, and how many there are.
fn finished_steps(record: &Record) -> (usize, usize) {
    let called = record.procedures.values().filter(|procedure| !is_not_called(procedure));
    let (mut done, mut all) = (0, 0);
    for step in called.flat_map(|procedure| procedure.steps.values()) {
        all += 1;
        done += usize::from(step.result.as_ref().is_some_and(|result| result.skip != Some(Skip::Stopped)));
    }
    (done, all)
}

fn of_step(record: &Record, procedure: &ProcedureRecord, step: &StepRecord) -> Standing {
    let Some(result) = &step.result else {
        let left_out = is_not_called(procedure) || waits(record) || !step.open.is_empty();
        return if left_out { Standing::LeftOut } else { Standing::Unknown };
    };
    match result.outcome {
        Outcome::Passed => Standing::Good,
        Outcome::Warned => Standing::Remark,
        Outcome::Failed if is_finding(step) => Standing::Remark,
        Outcome::Failed => Standing::Bad,
        Outcome::Errored => Standing::Unknown,
        Outcome::Waived => Standing::Waived,
        // It was to be done, and was not.
        Outcome::Skipped if result.skip == Some(Skip::Stopped) => Standing::Unknown,
        Outcome::Skipped | Outcome::Pending => Standing::LeftOut,
    }
}

fn lines(procedure: &ProcedureRecord, step: &StepRecord) -> Vec<String> {
    let Some(result) = &step.result else {
        let why = if is_not_called(procedure) { "its procedure was not called" } else { unfinished(step) };
        return vec![why.to_owned()];
    };
    let mut lines: Vec<String> = match result.outcome {
        Outcome::Failed | Outcome::Errored | Outcome::Warned => of_trouble(result),
        Outcome::Skipped if result.reason.is_none() => vec![skipped(result.skip).to_owned()],
        Outcome::Pending if result.reason.is_none() => vec!["waits for a person".to_owned()],
        Outcome::Passed | Outcome::Waived | Outcome::Skipped | Outcome::Pending => {
            result.reason.iter().map(|reason| tidy(reason)).collect()
        }
    };
    if result.attempts > 1 {
        lines.push(format!("tried {} times", result.attempts));
    }
    lines
}

/// What does not hold, subject by subject.
fn of_trouble(result: &StepResult) -> Vec<String> {
    let subjects = troubled(result);
    let mut lines: Vec<String> = subjects
        .iter()
        .take(MOST_LINES)
        .map(|subject| {
            let said = messages(subject).join("; ");
            if subject.name.is_empty() { tidy(&said) } else { tidy(&format!("{}  {said}", subject.name)) }
        })
        .collect();
    if let more @ 1.. = subjects.len().saturating_sub(MOST_LINES) {
        lines.push(format!("and {more} more"));
    }
    if lines.is_empty() {
        lines.push(tidy(result.reason.as_deref().unwrap_or_else(|| result.outcome.word())));
    }
    lines
}

/// What else helps whoever reads of a step: advice and evidence, each with its word.
pub(super) fn advice(step: &StepRecord) -> Vec<(&'static str, String)> {
    let result = step.result.as_ref();
    let help = result.and_then(|result| result.help.as_ref());
    let said = [("why", step.plan.why.as_ref()), ("help", help), ("next", step.plan.next.as_ref())];
    let said = said.into_iter().filter_map(|(word, text)| Some((word, tidy(text?))));
    let place = Some(("at", step.plan.at.clone())).filter(|(_, at)| !at.is_empty());
    said.chain(place).collect()
}

/// The evidence with its titles, and how much of it is not shown here.
pub(super) fn evidence(step: &StepRecord) -> Vec<String> {
    let (mut lines, mut left, mut left_out) = (Vec::new(), MOST_LINES, 0);
    for one in step.result.iter().flat_map(|result| &result.evidence) {
        if !one.title.is_empty() && left > 0 {
            lines.push(tidy(&one.title));
        }
        lines.extend(one.lines.iter().take(left).map(|line| tidy(line)));
        let shown = one.lines.len().min(left);
        left -= shown;
        left_out += (one.lines.len() - shown) as u64 + one.left_out;
    }
    if left_out > 0 {
        lines.push(format!("and {left_out} more lines"));
    }
    lines
}
