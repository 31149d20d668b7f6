//! A run as a whole: the fold of its events. Every format renders this, live or from the journal.

use std::time::Duration;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;

use super::event::doing::{ActionEnd, ActionStart};
use super::event::incident::{BudgetUse, Delivery, Escalation, Mark, Message, Note};
use super::event::people::{Answer, Question};
use super::event::{CriterionResult, Event, EventKind, ProcedurePlan, Resume, RunStart, StepPlan, StepResult};
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
    /// With when each was recorded, which may be long after it was so.
    pub marks: Vec<(DateTime<Utc>, Mark)>,
    pub notes: Vec<(DateTime<Utc>, Note)>,
    pub budgets: Vec<(DateTime<Utc>, BudgetUse)>,
    pub escalations: Vec<Escalation>,
    /// In the order in which they were queued.
    pub messages: IndexMap<String, MessageRecord>,
    /// Who has taken it on, and when.
    pub acknowledged: Option<(DateTime<Utc>, String)>,
    pub resumed: Vec<(DateTime<Utc>, Resume)>,
    /// Each time that it was suspended, and why.
    pub pauses: Vec<(DateTime<Utc>, String)>,
    /// Why the run waits, as long as it holds no process.
    pub suspended: Option<String>,
    pub interrupted: Option<Exit>,
    pub finished: Option<(Outcome, Exit)>,
    /// When it came to its end.
    pub ended: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug)]
pub struct MessageRecord {
    pub queued: DateTime<Utc>,
    pub message: Message,
    /// The newest word on it.
    pub delivery: Option<(DateTime<Utc>, Delivery)>,
}

/// An action as the record has it; without an end it is not known what came of it.
#[derive(Clone, Debug)]
pub struct ActionRecord {
    pub started: DateTime<Utc>,
    pub start: ActionStart,
    pub end: Option<ActionEnd>,
}

#[derive(Clone, Debug)]
pub struct ProcedureRecord {
    pub plan: ProcedurePlan,
    pub started: bool,
    /// When what it had done began to be taken back, and why.
    pub rollback: Option<(DateTime<Utc>, String)>,
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
    /// When it first began.
    pub began: Option<DateTime<Utc>>,
    /// Questions that wait for an answer, in their order.
    pub open: Vec<Question>,
    pub answers: Vec<(DateTime<Utc>, Answer)>,
    pub actions: Vec<ActionRecord>,
    /// The newest.
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
        // What is delivered or noted after the end makes no run longer.
        if self.ended.is_none() || matches!(event.kind, EventKind::Resumed(_)) {
            self.took = event.elapsed;
        }
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
                    step.began.get_or_insert(event.at);
                }
            }
            EventKind::AttemptFailed { .. } => {}
            EventKind::StepFinished(result) => {
                if let Some(step) = self.step_mut(&result.procedure, &result.step) {
                    // A question may have become needless: looking has told.
                    if result.outcome != Outcome::Pending {
                        step.open.clear();
                    }
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
            EventKind::Asked(question) => {
                if let Some(step) = self.step_mut(&question.procedure, &question.step) {
                    step.open.retain(|open| (&open.item, open.ask) != (&question.item, question.ask));
                    step.open.push((**question).clone());
                }
            }
            EventKind::Answered(answer) => {
                if let Some(step) = self.step_mut(&answer.procedure, &answer.step) {
                    step.open.retain(|open| open.item != answer.item);
                    step.answers.push((event.at, (**answer).clone()));
                }
            }
            EventKind::ActionStarted(start) => {
                if let Some(step) = self.step_mut(&start.procedure, &start.step) {
                    let start = (**start).clone();
                    step.actions.push(ActionRecord { started: event.at, start, end: None });
                }
            }
            EventKind::ActionFinished(end) => {
                if let Some(step) = self.step_mut(&end.procedure, &end.step)
                    && let Some(action) = step.actions.iter_mut().rev().find(|action| {
                        action.end.is_none() && (&action.start.item, action.start.phase) == (&end.item, end.phase)
                    })
                {
                    action.end = Some((**end).clone());
                }
            }
            EventKind::RollbackStarted { procedure, reason } => {
                if let Some(procedure) = self.procedures.get_mut(procedure) {
                    procedure.rollback = Some((event.at, reason.clone()));
                }
            }
            EventKind::Marked(mark) => self.marks.push((event.at, mark.clone())),
            EventKind::Noted(note) => self.notes.push((event.at, note.clone())),
            EventKind::BudgetUsed(used) => self.budgets.push((event.at, used.clone())),
            EventKind::Escalated(escalation) => self.escalations.push((**escalation).clone()),
            EventKind::MessageQueued(message) => {
                let record = MessageRecord { queued: event.at, message: (**message).clone(), delivery: None };
                self.messages.entry(message.id.clone()).or_insert(record);
            }
            EventKind::MessageDelivered(delivery) => {
                if let Some(message) = self.messages.get_mut(&delivery.id) {
                    message.delivery = Some((event.at, delivery.clone()));
                }
            }
            EventKind::Acknowledged { by } => _ = self.acknowledged.get_or_insert((event.at, by.clone())),
            EventKind::Suspended { reason } => {
                self.suspended = Some(reason.clone());
                self.pauses.push((event.at, reason.clone()));
            }
            EventKind::Resumed(resume) => {
                (self.suspended, self.interrupted, self.finished, self.ended) = (None, None, None, None);
                self.resumed.push((event.at, resume.clone()));
            }
            EventKind::Interrupted { exit } => self.interrupted = Some(*exit),
            EventKind::RunFinished { outcome, exit } => {
                (self.finished, self.ended) = (Some((*outcome, *exit)), Some(event.at));
            }
        }
    }

    /// When it was so, by the newest word on it.
    #[must_use]
    pub fn mark(&self, name: &str) -> Option<DateTime<Utc>> {
        self.marks.iter().rev().find(|(_, mark)| mark.name == name).map(|(_, mark)| mark.at)
    }

    /// The status of the process. Who waits warns; without an end on record it could not be told.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.finished {
            Some((_, exit)) => exit,
            None if self.suspended.is_some() => Exit::Warned,
            None => Exit::CouldNotTell,
        }
    }

    fn step_mut(&mut self, procedure: &ProcedureId, step: &StepId) -> Option<&mut StepRecord> {
        self.procedures.get_mut(procedure)?.steps.get_mut(step)
    }

    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        // What would have been called and was not is no part of what was done.
        let called = |procedure: &&ProcedureRecord| procedure.plan.called_by.is_none() || procedure.started;
        for procedure in self.procedures.values().filter(called) {
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
        let steps = plan.steps.iter().map(|step| (step.id.clone(), StepRecord::new(step))).collect();
        Self {
            plan: plan.clone(),
            started: false,
            rollback: None,
            steps,
            outcome: None,
            took: Duration::ZERO,
            criteria: Vec::new(),
        }
    }
}

impl StepRecord {
    fn new(plan: &StepPlan) -> Self {
        Self {
            plan: plan.clone(),
            started: false,
            began: None,
            open: Vec::new(),
            answers: Vec::new(),
            actions: Vec::new(),
            result: None,
        }
    }
}
