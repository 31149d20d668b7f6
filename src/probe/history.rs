//! What became of the latest runs of other procedures, as the journal knows it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::id::ProcedureId;
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::outcome::Outcome;
use crate::model::past::{Ended, PastRun};
use crate::model::unit::Quantity;
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "history",
    about: "the latest runs of procedures, one result each: what came of them, and how long ago. The run at work does not \
            count, nor does a dry run of what acts. A procedure that has never run is `known: false`, and nothing else is known of it",
    inputs: &[InputSpec {
        name: "procedure",
        ty: InputType::Procedures,
        need: Need::Required,
        about: "procedures of this site, such as `daily/system-health`",
    }],
    facts: &[
        FactSpec::new("known", FactType::Bool, "it has come to an end at least once"),
        FactSpec::new(
            "outcome",
            FactType::Text,
            "of the procedure in the newest run that ended: passed, warned, failed, errored (could not tell), waived, \
             skipped or pending (waits for a person)",
        ),
        FactSpec::new("outcome_age", FactType::Duration, "since when it has had this outcome in each run"),
        FactSpec::new("age", FactType::Duration, "since the newest run ended"),
        FactSpec::new(
            "passed_age",
            FactType::Duration,
            "since it last passed, with warnings or waivers at the most; missing if it never did",
        ),
        FactSpec::new(
            "failures",
            FactType::Count,
            "how many of its newest runs failed or could not tell, with none between them that passed",
        ),
        FactSpec::new("took", FactType::Duration, "how long the newest run that ended took"),
        FactSpec::new(
            "unfinished",
            FactType::Bool,
            "its newest run has come to no end: it is at work, waits for somebody, or was killed",
        ),
    ],
    example: include_str!("../../examples/probes/history.yaml"),
    limit: Duration::from_secs(30),
    build,
};

/// Runs that are shown of a procedure that did not pass.
const SHOWN: usize = 10;

struct History {
    procedures: Vec<ProcedureId>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let procedures = inputs.texts("procedure").iter().map(|text| {
        text.parse().map_err(|error| InputError::new("procedure", format!("{error}"), "`opsctl` lists the groups"))
    });
    Ok(Arc::new(History { procedures: procedures.collect::<Result<_, _>>()? }))
}

impl Probe for History {
    fn target(&self) -> String {
        self.procedures.iter().map(ProcedureId::as_str).collect::<Vec<_>>().join(", ")
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        async move {
            let mut seen = Observation::default();
            for procedure in &self.procedures {
                let runs = cx.past.runs_of(procedure).await.map_err(|why| {
                    let message = format!("the journal cannot tell of the runs of {procedure}: {why}");
                    ProbeError::new("no_journal", message).help("`opsctl history` shows whether it can be read")
                })?;
                seen.subjects.push(subject(procedure, &runs, cx.now));
                seen.evidence.extend(evidence(procedure, &runs, cx.timezone));
            }
            Ok(seen)
        }
        .boxed()
    }
}

/// It did what it is there for.
fn held(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Passed | Outcome::Warned | Outcome::Waived)
}

/// `runs` come the newest first.
fn subject(procedure: &ProcedureId, runs: &[PastRun], now: DateTime<Utc>) -> Subject {
    let age = |at: DateTime<Utc>| Value::duration((now - at).to_std().unwrap_or_default());
    let ended: Vec<Ended> = runs.iter().filter_map(|run| run.ended).collect();
    let mut subject = Subject::new(procedure.as_str()).with("known", Value::Bool(!ended.is_empty()));
    if let Some(newest) = ended.first() {
        let streak = ended.iter().take_while(|run| run.outcome == newest.outcome).last().unwrap_or(newest);
        subject.set("outcome", Value::text(newest.outcome.word()));
        subject.set("outcome_age", age(streak.at));
        subject.set("age", age(newest.at));
        let passed = ended.iter().find(|run| held(run.outcome));
        subject.facts.extend(passed.map(|run| ("passed_age".to_owned(), age(run.at))));
        let bad = |outcome| matches!(outcome, Outcome::Failed | Outcome::Errored);
        let failures = ended.iter().take_while(|run| !held(run.outcome)).filter(|run| bad(run.outcome)).count();
        subject.set("failures", Value::count(failures as u64));
        subject.set("took", Value::duration(newest.took));
    } else if runs.is_empty() {
        subject.note("it has never run, as far as the journal goes back");
    }
    if let Some(newest) = runs.first() {
        subject.set("unfinished", Value::Bool(newest.ended.is_none()));
        if newest.ended.is_none() {
            subject.note(format!(
                "its newest run has come to no end; `opsctl show {}` tells how far it came",
                newest.run.short()
            ));
        }
    }
    subject
}

/// The newest runs, if the last of them did not hold.
fn evidence(procedure: &ProcedureId, runs: &[PastRun], zone: chrono_tz::Tz) -> Option<Evidence> {
    if runs.first()?.ended.is_some_and(|newest| held(newest.outcome)) {
        return None;
    }
    let line = |run: &PastRun| {
        let began = run.began.with_timezone(&zone).format("%F %R");
        let became = run.ended.map_or_else(
            || "unfinished".to_owned(),
            |ended| format!("{} after {}", ended.outcome, Quantity::duration(ended.took).rounded()),
        );
        format!("{began}  {became}  {}", run.run.short())
    };
    let lines = runs.iter().take(SHOWN).map(line).collect();
    let left_out = runs.len().saturating_sub(SHOWN) as u64;
    Some(Evidence { left_out, ..Evidence::new(format!("latest runs of {procedure}"), lines) })
}
