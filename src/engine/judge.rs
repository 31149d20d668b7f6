//! From what was seen to outcomes: subjects, steps, criteria, procedures. Pure.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;

use super::clock::Points;
use crate::model::event::{CriterionResult, Mode, StepResult, SubjectResult};
use crate::model::expectation::{Baseline, Check, Expectation, Level, Reading};
use crate::model::fact::Subject;
use crate::model::id::{ProcedureId, StepId};
use crate::model::outcome::{Outcome, Skip, Verdict};
use crate::model::value::Value;
use crate::procedure::document::{Clock, Criterion, Procedure, Proof, Step, belongs_to};
use crate::procedure::site::Waiver;

/// The history of one step, fetched before judging.
pub struct Past {
    pub now: DateTime<Utc>,
    pub readings: HashMap<(String, String), Vec<Reading>>,
}

impl Baseline for Past {
    fn now(&self) -> DateTime<Utc> {
        self.now
    }

    fn earlier(&self, subject: &str, fact: &str) -> &[Reading] {
        self.readings.get(&(subject.to_owned(), fact.to_owned())).map_or(&[], Vec::as_slice)
    }
}

/// Judges one subject against what the step expects.
pub fn subject(step: &Step, seen: Subject, past: &dyn Baseline) -> SubjectResult {
    let mut checks: Vec<Check> = Vec::new();
    let applicable = |expectation: &&Expectation| !seen.inapplicable.iter().any(|fact| *fact == expectation.fact);
    if seen.error.is_none() {
        checks =
            step.expectations.iter().filter(applicable).map(|expectation| expectation.check(&seen, past)).collect();
        settle_implied(step, &seen, &mut checks);
    }
    let none_applies = seen.error.is_none()
        && !step.expectations.is_empty()
        && !step.expectations.iter().any(|expectation| applicable(&expectation));
    let judged = checks.iter().map(|check| match (check.level, check.met) {
        (_, Some(true)) => Outcome::Passed,
        (Level::Expect, Some(false)) => Outcome::Failed,
        (Level::Expect, None) => Outcome::Errored,
        (Level::Prefer, Some(false) | None) => Outcome::Warned,
    });
    let outcome = match judged.max() {
        _ if seen.error.is_some() => Outcome::Errored,
        _ if none_applies => Outcome::Skipped,
        judged => judged.unwrap_or(Outcome::Passed),
    };
    let mut facts = seen.facts;
    facts.values_mut().for_each(cap);
    SubjectResult { name: seen.name, outcome, error: seen.error, notes: seen.notes, facts, checks }
}

/// The longest text that a record keeps of one fact; a page or an output is judged whole, but not kept whole.
const MOST_TEXT: usize = 4096;

fn cap(value: &mut Value) {
    if let Value::Text(text) = value
        && text.len() > MOST_TEXT
    {
        let all = text.len();
        text.truncate(text.floor_char_boundary(MOST_TEXT));
        *text = format!("{text}... ({all} bytes)");
    }
}

/// What is only implied says nothing when it holds; when it does not, facts that are missing because of it add nothing.
fn settle_implied(step: &Step, seen: &Subject, checks: &mut Vec<Check>) {
    let specs = || step.looks.iter().flat_map(|look| look.kind.facts);
    let is_implied = |fact: &str| specs().any(|spec| spec.implied.is_some() && spec.name == fact);
    let down = checks.iter().any(|check| is_implied(&check.fact) && check.met == Some(false));
    if down {
        checks.retain(|check| check.met.is_some());
        for check in checks.iter_mut().filter(|check| is_implied(&check.fact)) {
            check.note = Some(seen.notes.join("; ")).filter(|note| !note.is_empty());
        }
    } else {
        checks.retain(|check| !(is_implied(&check.fact) && check.met == Some(true)));
    }
}

/// Lowers the outcome of a subject that a waiver covers on `today`; an expired one is mentioned.
pub fn waive(result: &mut SubjectResult, procedure: &ProcedureId, step: &StepId, waivers: &[Waiver], today: NaiveDate) {
    if !matches!(result.outcome, Outcome::Failed | Outcome::Warned | Outcome::Errored) {
        return;
    }
    let id = format!("{procedure}.{step}");
    let covers =
        |waiver: &&Waiver| waiver.step == id && waiver.subject.as_ref().is_none_or(|subject| *subject == result.name);
    let Some(waiver) = waivers.iter().filter(covers).max_by_key(|waiver| waiver.until) else { return };
    if waiver.until >= today {
        result.outcome = Outcome::Waived;
        result.notes.push(format!("waived by {} until {}: {}", waiver.owner, waiver.until, waiver.reason));
    } else {
        result.notes.push(format!("the waiver of {} ended on {}", waiver.owner, waiver.until));
    }
}

/// The step's outcome and the line that says why, from its judged subjects. Subjects of which nothing can be expected
/// count for nothing; with no others the step does not apply.
pub fn step(subjects: &[SubjectResult]) -> (Outcome, Option<String>) {
    if subjects.is_empty() {
        return (Outcome::Errored, Some("there was nothing to look at".to_owned()));
    }
    let counting = subjects.iter().map(|subject| subject.outcome).filter(|outcome| *outcome != Outcome::Skipped);
    let Some(worst) = counting.max() else {
        let known = subjects.iter().find_map(|subject| subject.notes.first());
        let reason = known.map_or("does not apply to anything that is here", String::as_str);
        return (Outcome::Skipped, Some(reason.to_owned()));
    };
    let reason = subjects.iter().find(|subject| subject.outcome == worst).and_then(why);
    (worst, reason)
}

fn why(subject: &SubjectResult) -> Option<String> {
    let first = |wanted: fn(&Check) -> bool| subject.checks.iter().find(|check| wanted(check)).map(ToString::to_string);
    let line = match subject.outcome {
        Outcome::Passed | Outcome::Skipped | Outcome::Pending => return None,
        Outcome::Waived => subject.notes.last().cloned()?,
        Outcome::Errored => match subject.error_alone() {
            Some(error) => error.to_owned(),
            None => first(|check| check.met.is_none() && check.level == Level::Expect)?,
        },
        Outcome::Failed => first(|check| check.met == Some(false) && check.level == Level::Expect)?,
        Outcome::Warned => first(|check| check.met != Some(true))?,
    };
    Some(if subject.name.is_empty() { line } else { format!("{}: {line}", subject.name) })
}

/// Whether earlier values are needed to judge.
pub fn history_facts(expectations: &[Expectation]) -> Vec<String> {
    let needing = expectations.iter().filter(|expectation| expectation.condition.needs_history());
    needing.map(|expectation| expectation.fact.to_string()).collect()
}

/// The criteria of a procedure, and the worst of them and of the steps that no criterion names as a whole: what else
/// a step expects counts, even if a criterion asks for one fact of it. Skipped when nothing counts: then nothing applied.
pub fn procedure(procedure: &Procedure, results: &[&StepResult], points: &Points) -> (Vec<CriterionResult>, Outcome) {
    let mut worst: Option<Outcome> = None;
    let mut named = vec![false; results.len()];
    let mut criteria = Vec::new();
    for criterion in &procedure.criteria {
        for proof in &criterion.proven_by {
            named[proof.step] |= proof.fact.is_none();
        }
        let (verdict, outcome) = match &criterion.clock {
            Some(clock) => judge_clock(clock, points),
            None => judge_criterion(criterion, results),
        };
        worst = worst.max(outcome);
        let proofs = criterion.proven_by.iter().map(|proof| proof.written.clone());
        criteria.push(CriterionResult {
            says: criterion.says.clone(),
            outcome: verdict,
            proven_by: proofs.chain(criterion.clock.iter().map(|clock| clock.written.clone())).collect(),
        });
    }
    for ((result, named), step) in results.iter().zip(named).zip(&procedure.steps) {
        if !named && !step.finding {
            worst = worst.max(weight(result.outcome, result.skip));
        }
    }
    (criteria, worst.unwrap_or(Outcome::Skipped))
}

/// How much an outcome counts for the run: a step that does not apply or was left out counts for nothing.
fn weight(outcome: Outcome, skip: Option<Skip>) -> Option<Outcome> {
    match (outcome, skip) {
        (Outcome::Skipped, Some(Skip::Need | Skip::Stopped | Skip::Simulated | Skip::TakenBack)) => {
            Some(Outcome::Errored)
        }
        (Outcome::Skipped, Some(Skip::LookOnly)) => Some(Outcome::Pending),
        (Outcome::Skipped, Some(Skip::Condition | Skip::Filter | Skip::Operator)) => None,
        (other, _) => Some(other),
    }
}

/// A limit of time: met when its point was reached within it, unmet when it was reached later or cannot be in time any
/// more, else not proven.
fn judge_clock(clock: &Clock, points: &Points) -> (Verdict, Option<Outcome>) {
    if points.mode != Mode::Run {
        return (Verdict::NotProven, Some(Outcome::Pending));
    }
    let Some(from) = points.reached.get(&clock.from) else { return (Verdict::NotProven, Some(Outcome::Errored)) };
    let reached = points.reached.get(&clock.mark);
    let at = reached.unwrap_or(&points.now);
    let within = clock.within.is_none_or(|limit| (*at - *from).to_std().is_ok_and(|took| took <= limit) || at < from);
    let day = from.with_timezone(&points.timezone).date_naive();
    let before = clock.before.is_none_or(|time| at.with_timezone(&points.timezone).naive_local() <= day.and_time(time));
    match (within && before, reached) {
        (true, Some(_)) => (Verdict::Met, Some(Outcome::Passed)),
        (false, _) => (Verdict::Unmet, Some(Outcome::Failed)),
        (true, None) => (Verdict::NotProven, Some(Outcome::Errored)),
    }
}

/// What its steps come to. One that the operator left out leaves it open, and counts for nothing; one that does not
/// apply says nothing about it.
fn judge_criterion(criterion: &Criterion, results: &[&StepResult]) -> (Verdict, Option<Outcome>) {
    let seen = criterion.proven_by.iter().map(|proof| proof_of(proof, results[proof.step]));
    let applying: Vec<(Outcome, Option<Skip>)> = seen.filter(|(_, skip)| *skip != Some(Skip::Condition)).collect();
    let worst = applying.iter().filter_map(|(outcome, skip)| weight(*outcome, *skip)).max();
    // A warned step beside one that waits or was left out: the criterion is open, whatever the order of the two.
    let open = applying.iter().any(|(outcome, _)| matches!(outcome, Outcome::Pending | Outcome::Skipped));
    let verdict = match worst {
        Some(Outcome::Failed) => Verdict::Unmet,
        Some(Outcome::Passed | Outcome::Warned | Outcome::Waived) if !open => Verdict::Met,
        _ => Verdict::NotProven,
    };
    (verdict, worst)
}

/// What a step, or one fact of it, shows.
fn proof_of(proof: &Proof, result: &StepResult) -> (Outcome, Option<Skip>) {
    let Some(fact) = &proof.fact else { return (result.outcome, result.skip) };
    if result.subjects.is_empty() {
        return (result.outcome, result.skip);
    }
    let worst = result.subjects.iter().map(|subject| {
        if subject.error.is_some() || subject.outcome == Outcome::Waived {
            return subject.outcome;
        }
        let mut about = subject.checks.iter().filter(|check| belongs_to(&check.fact, fact)).peekable();
        if about.peek().is_none() {
            return subject.outcome;
        }
        let judged = about.map(|check| match (check.level, check.met) {
            (_, Some(true)) => Outcome::Passed,
            (Level::Expect, Some(false)) => Outcome::Failed,
            (Level::Expect, None) => Outcome::Errored,
            (Level::Prefer, _) => Outcome::Warned,
        });
        judged.max().unwrap_or(Outcome::Passed)
    });
    (worst.max().unwrap_or(result.outcome), result.skip)
}

/// A step as expressions see it: `outcome`, `facts` of its first subject, `subjects` by name.
pub fn seen_of(result: &StepResult) -> serde_json::Value {
    let facts_of = |subject: &SubjectResult| -> serde_json::Value {
        subject
            .facts
            .iter()
            .map(|(name, value)| (name.clone(), value.plain()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let subjects: serde_json::Map<_, _> =
        result.subjects.iter().map(|subject| (subject.name.clone(), facts_of(subject))).collect();
    json!({
        "outcome": result.outcome.word(),
        "choice": result.choice,
        "rows": result.evidence.first().map_or(&[][..], |evidence| &evidence.rows),
        "facts": result.subjects.first().map_or(json!({}), facts_of),
        "subjects": subjects,
    })
}
