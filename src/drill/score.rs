//! What a drill of an emergency tells its engineer in the end: how fast, what held, what was not needed.

use std::fmt::Write as _;

use super::fault::Fault;
use crate::model::event::doing::Ended;
use crate::model::outcome::{Outcome, Verdict};
use crate::model::record::{ActionRecord, ProcedureRecord, Record, StepRecord};
use crate::model::unit::Quantity;

/// Said when a run waits for a person: the practice system is gone then, so nobody can go on with it.
pub const LEFT_OPEN: &str = "The run waits for a person, and its practice system is gone: begin the drill anew,\nat a \
    terminal, to be asked. A real run would go on with --resume.\n";

/// The points of an incident's timeline that people are measured by, in their order.
const POINTS: &[(&str, &str)] =
    &[("identified", "identified"), ("neutralised", "threat gone"), ("restored", "restored"), ("resolved", "resolved")];

/// In a few lines; `None` of a run that is no incident.
#[must_use]
pub fn score(record: &Record, faults: &[Fault]) -> Option<String> {
    if !record.start.as_ref()?.incident {
        return None;
    }
    let mut text = String::from("\nYour drill\n");
    let mut line = |what: &str, said: &str| {
        writeln!(text, "  {what:<12} {said}").ok();
    };
    let since = record.mark("detected").or(record.started);
    for (mark, word) in POINTS {
        let Some((at, since)) = record.mark(mark).zip(since) else { continue };
        let took = Quantity::duration((at - since).to_std().unwrap_or_default()).rounded();
        line(word, &format!("after {took}{}", limit_of(record, mark)));
    }
    let criteria = record.procedures.values().flat_map(|procedure| &procedure.criteria);
    let (met, all) = criteria.fold((0, 0), |(met, all), one| (met + usize::from(one.outcome == Verdict::Met), all + 1));
    if all > 0 {
        line("criteria", &format!("{met} of {all} met"));
    }
    let done: Vec<&ActionRecord> = actions(record).filter(|action| is_done(action)).collect();
    line("changes", &format!("{} made", done.len()));
    for action in done.iter().filter(|action| !was_needed(action, faults)) {
        line("not needed", &format!("{}: {} was not what was broken", action.start.step, action.start.target));
    }
    for (id, step) in held_back(record) {
        let why = step.result.as_ref().and_then(|result| result.reason.as_deref()).unwrap_or_default();
        line("held back", &format!("{id}: {why}"));
    }
    if let Some(said) = evidence_first(record, &done) {
        line("evidence", said);
    }
    Some(text)
}

/// `, of 15 min` where a criterion limits the point.
fn limit_of(record: &Record, mark: &str) -> String {
    let proofs = record.procedures.values().flat_map(|procedure| &procedure.criteria);
    let limit = proofs.flat_map(|criterion| &criterion.proven_by).find_map(|proof| {
        let (within, _) = proof.strip_prefix(mark)?.strip_prefix(" within ")?.split_once(" from detected")?;
        Some(within)
    });
    limit.map_or_else(String::new, |limit| format!(", of {limit}"))
}

fn steps(record: &Record) -> impl Iterator<Item = &StepRecord> {
    record.procedures.values().flat_map(|procedure: &ProcedureRecord| procedure.steps.values())
}

fn actions(record: &Record) -> impl Iterator<Item = &ActionRecord> {
    steps(record).flat_map(|step| &step.actions)
}

fn is_done(action: &ActionRecord) -> bool {
    action.end.as_ref().is_some_and(|end| matches!(end.ended, Ended::Done | Ended::FoundDone))
}

/// A restart ends what a service had got itself into; a restore brings back what was deleted. Copies cost nothing.
fn was_needed(action: &ActionRecord, faults: &[Fault]) -> bool {
    let broken = |some: &[Fault]| faults.iter().any(|fault| some.contains(fault));
    let data = broken(&[Fault::DataDeleted, Fault::DatabaseDown]);
    match action.start.action.as_str() {
        "service" if action.start.target.ends_with("-web") => {
            data || broken(&[Fault::SiteDown, Fault::SiteHangs, Fault::Intruder])
        }
        "service" => data || broken(&[Fault::DatabaseLocked]),
        "restore" => data,
        "sql" => broken(&[Fault::Intruder]),
        _ => true,
    }
}

/// Actions that were refused before they began, because something had to be put right first.
fn held_back(record: &Record) -> impl Iterator<Item = (String, &StepRecord)> {
    let refused = |step: &&StepRecord| {
        let failed = step.result.as_ref().is_some_and(|result| result.outcome == Outcome::Failed);
        step.plan.kind == "action" && step.actions.is_empty() && failed
    };
    steps(record).filter(refused).map(|step| (step.plan.id.to_string(), step))
}

/// Whether what explains the trouble was kept before the first interruption.
fn evidence_first(record: &Record, done: &[&ActionRecord]) -> Option<&'static str> {
    let changed = done.iter().filter(|action| action.start.action != "backup").map(|action| action.started).min()?;
    let copied = done.iter().filter(|action| action.start.action == "backup").map(|action| action.started);
    let gathered = steps(record).filter(|step| step.plan.kind == "gather").filter_map(|step| step.began);
    let first = gathered.chain(copied).min();
    Some(match first {
        Some(first) if first <= changed => "kept before the first change",
        _ => "nothing was kept before the first change: a restart writes over what explains it",
    })
}
