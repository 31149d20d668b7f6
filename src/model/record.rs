//! A run as a whole: the fold of its events. Every format renders this, live or from the journal.

use std::time::Duration;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;

use super::event::{CriterionResult, Event, EventKind, ProcedurePlan, RunStart, StepPlan, StepResult};
use super::id::{ProcedureId, StepId};
use super::outcome::{Exit, Outcome, Verdict};

/// What is known of a run so far. A run that was killed has no `finished`.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub start: Option<RunStart>,
    pub started: Option<DateTime<Utc>>,
    /// Since the start, at the newest event.
    pub took: Duration,
    pub procedures: IndexMap<ProcedureId, ProcedureRecord>,
    pub interrupted: Option<Exit>,
    pub finished: Option<(Outcome, Exit)>,
}

#[derive(Clone, Debug)]
pub struct ProcedureRecord {
    pub plan: ProcedurePlan,
    pub started: bool,
    /// In the order of the document.
    pub steps: IndexMap<StepId, StepRecord>,
    pub outcome: Option<Outcome>,
    pub took: Duration,
    pub criteria: Vec<CriterionResult>,
}

#[derive(Clone, Debug)]
pub struct StepRecord {
    pub plan: StepPlan,
    pub started: bool,
    pub result: Option<StepResult>,
}

/// How many steps came to each outcome, and criteria to each verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    pub passed: usize,
    pub waived: usize,
    pub skipped: usize,
    pub pending: usize,
    pub warned: usize,
    pub errored: usize,
    pub failed: usize,
    /// Planned, but without a result: the run was stopped.
    pub unfinished: usize,
    pub met: usize,
    pub unmet: usize,
    pub not_proven: usize,
}

impl Record {
    /// The fold over stored or live events.
    #[must_use]
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Event>) -> Self {
        let mut record = Self::default();
        for event in events {
            record.apply(event);
        }
        record
    }

    pub fn apply(&mut self, event: &Event) {
        self.took = event.elapsed;
        match &event.kind {
            EventKind::RunStarted(start) => {
                self.started = Some(event.at);
                self.procedures =
                    start.procedures.iter().map(|plan| (plan.id.clone(), ProcedureRecord::new(plan))).collect();
                self.start = Some(start.clone());
            }
            EventKind::ProcedureStarted { procedure } => {
                if let Some(procedure) = self.procedures.get_mut(procedure) {
                    procedure.started = true;
                }
            }
            EventKind::StepStarted { procedure, step } => {
                if let Some(step) = self.step_mut(procedure, step) {
                    step.started = true;
                }
            }
            EventKind::AttemptFailed { .. } => {}
            EventKind::StepFinished(result) => {
                if let Some(step) = self.step_mut(&result.procedure, &result.step) {
                    step.result = Some((**result).clone());
                }
            }
            EventKind::ProcedureFinished(result) => {
                if let Some(procedure) = self.procedures.get_mut(&result.procedure) {
                    procedure.outcome = Some(result.outcome);
                    procedure.took = result.took;
                    procedure.criteria.clone_from(&result.criteria);
                }
            }
            EventKind::Interrupted { exit } => self.interrupted = Some(*exit),
            EventKind::RunFinished { outcome, exit } => self.finished = Some((*outcome, *exit)),
        }
    }

    fn step_mut(&mut self, procedure: &ProcedureId, step: &StepId) -> Option<&mut StepRecord> {
        self.procedures.get_mut(procedure)?.steps.get_mut(step)
    }

    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for procedure in self.procedures.values() {
            for step in procedure.steps.values() {
                *match step.result.as_ref().map(|result| result.outcome) {
                    Some(Outcome::Passed) => &mut tally.passed,
                    Some(Outcome::Waived) => &mut tally.waived,
                    Some(Outcome::Skipped) => &mut tally.skipped,
                    Some(Outcome::Pending) => &mut tally.pending,
                    Some(Outcome::Warned) => &mut tally.warned,
                    Some(Outcome::Errored) => &mut tally.errored,
                    Some(Outcome::Failed) => &mut tally.failed,
                    None => &mut tally.unfinished,
                } += 1;
            }
            if procedure.criteria.is_empty() {
                tally.not_proven += procedure.plan.criteria.len();
            }
            for criterion in &procedure.criteria {
                *match criterion.outcome {
                    Verdict::Met => &mut tally.met,
                    Verdict::Unmet => &mut tally.unmet,
                    Verdict::NotProven => &mut tally.not_proven,
                } += 1;
            }
        }
        tally
    }
}

impl ProcedureRecord {
    fn new(plan: &ProcedurePlan) -> Self {
        let steps = plan
            .steps
            .iter()
            .map(|step| (step.id.clone(), StepRecord { plan: step.clone(), started: false, result: None }))
            .collect();
        Self { plan: plan.clone(), started: false, steps, outcome: None, took: Duration::ZERO, criteria: Vec::new() }
    }
}
