//! Runs told event by event: what the engine would say, written by hand.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use opsctl::model::event::{
    CriterionResult, Event, EventKind, ProcedurePlan, ProcedureResult, RunStart, StepPlan, StepResult, SubjectResult,
};
use opsctl::model::expectation::{Check, Level};
use opsctl::model::fact::Evidence;
use opsctl::model::outcome::{Exit, Outcome, Skip, Verdict};
use opsctl::model::value::Value;

/// Wednesday, 08:00 in Warsaw.
pub fn eight() -> DateTime<Utc> {
    "2025-10-15T06:00:00Z".parse().expect("a time")
}

/// Tuesday, 03:12 in Warsaw.
pub fn tuesday() -> DateTime<Utc> {
    "2025-10-14T01:12:00Z".parse().expect("a time")
}

/// One procedure, `daily/system-health`, unless told otherwise.
pub struct Story {
    start: RunStart,
    results: Vec<(usize, Option<StepResult>)>,
    criteria: Vec<(usize, CriterionResult)>,
    took: Duration,
}

impl Story {
    pub fn new() -> Self {
        let procedure = ProcedurePlan {
            hash: String::new(),
            called_by: None,
            id: "daily/system-health".parse().expect("an id"),
            title: "Basic monitoring".to_owned(),
            budget_ms: Some(900_000),
            criteria: Vec::new(),
            steps: Vec::new(),
        };
        let start = RunStart {
            mode: opsctl::model::event::Mode::Check,
            incident: false,
            run: "0199e5f7-1a2b-7c3d-8e4f-5a6b7c8d9e0f".parse().expect("an id"),
            opsctl: "0.1.0".to_owned(),
            site: "helpdesk".to_owned(),
            command: "daily check".to_owned(),
            host: "web1".to_owned(),
            operator: "anna".to_owned(),
            timezone: "Europe/Warsaw".to_owned(),
            procedures: vec![procedure],
        };
        Self { start, results: Vec::new(), criteria: Vec::new(), took: Duration::from_millis(420) }
    }

    pub fn took(mut self, took: Duration) -> Self {
        self.took = took;
        self
    }

    pub fn edit(mut self, edit: impl FnOnce(&mut RunStart)) -> Self {
        edit(&mut self.start);
        self
    }

    /// A step and what came of it; the plan comes from [`Step::planned`].
    pub fn step(mut self, step: Step) -> Self {
        let procedure = self.start.procedures.last_mut().expect("a procedure");
        let at = format!("{}.yaml:{}", procedure.id, 5 + 9 * procedure.steps.len());
        procedure.steps.push(StepPlan { section: None, at, ..step.plan });
        let result = step.result.map(|result| StepResult { choice: None, procedure: procedure.id.clone(), ..result });
        self.results.push((self.start.procedures.len() - 1, result));
        self
    }

    pub fn criterion(mut self, says: &str, outcome: Verdict, proven_by: &[&str]) -> Self {
        self.start.procedures.last_mut().expect("a procedure").criteria.push(says.to_owned());
        let proven_by = proven_by.iter().map(|step| (*step).to_owned()).collect();
        let result = CriterionResult { says: says.to_owned(), outcome, proven_by };
        self.criteria.push((self.start.procedures.len() - 1, result));
        self
    }

    /// All events of a run that came to its end.
    pub fn ends(self, outcome: Outcome) -> Vec<Event> {
        let exit = Exit::of(outcome, None);
        self.tell(|kinds, procedures| {
            kinds.extend(procedures);
            kinds.push(EventKind::RunFinished { outcome, exit });
        })
    }

    /// A signal came; what had finished is told.
    pub fn interrupted(self, outcome: Outcome) -> Vec<Event> {
        self.tell(|kinds, procedures| {
            kinds.push(EventKind::Interrupted { exit: Exit::Interrupted });
            kinds.extend(procedures);
            kinds.push(EventKind::RunFinished { outcome, exit: Exit::Interrupted });
        })
    }

    /// The process died: nothing follows the last result.
    pub fn killed(self) -> Vec<Event> {
        self.tell(|_, _| {})
    }

    fn tell(self, end: impl FnOnce(&mut Vec<EventKind>, Vec<EventKind>)) -> Vec<Event> {
        let mut kinds = vec![EventKind::RunStarted(self.start.clone())];
        for procedure in &self.start.procedures {
            kinds.push(EventKind::ProcedureStarted { procedure: procedure.id.clone() });
        }
        let mut seen = vec![0; self.start.procedures.len()];
        let mut worst = vec![Outcome::Passed; self.start.procedures.len()];
        for (index, result) in self.results {
            let plan = &self.start.procedures[index].steps[seen[index]];
            seen[index] += 1;
            let (procedure, step) = (self.start.procedures[index].id.clone(), plan.id.clone());
            match result {
                Some(result) => {
                    worst[index] = worst[index].max(result.outcome);
                    if result.outcome != Outcome::Skipped {
                        kinds.push(EventKind::StepStarted { procedure, step });
                    }
                    kinds.push(EventKind::StepFinished(Box::new(result)));
                }
                None if plan.title == STARTED => kinds.push(EventKind::StepStarted { procedure, step }),
                None => {}
            }
        }
        let took = self.took.saturating_sub(Duration::from_millis(120));
        let finished = self.start.procedures.iter().enumerate().map(|(index, procedure)| {
            let criteria = self.criteria.iter().filter(|(of, _)| *of == index);
            EventKind::ProcedureFinished(ProcedureResult {
                procedure: procedure.id.clone(),
                outcome: worst[index],
                took,
                criteria: criteria.map(|(_, result)| result.clone()).collect(),
            })
        });
        end(&mut kinds, finished.collect());
        let last = kinds.len() as u64;
        let event = |(kind, seq): (EventKind, u64)| {
            let elapsed = if seq == 1 { Duration::ZERO } else { self.took };
            Event { seq, at: eight() + TimeDelta::from_std(elapsed).expect("a short time"), elapsed, kind }
        };
        kinds.into_iter().zip(1..=last).map(event).collect()
    }
}

const STARTED: &str = "started only";

pub struct Step {
    plan: StepPlan,
    result: Option<StepResult>,
}

impl Step {
    pub fn new(id: &str, outcome: Outcome) -> Self {
        let mut step = Self::planned(id);
        step.result = Some(StepResult {
            choice: None,
            procedure: "daily/system-health".parse().expect("an id"),
            step: step.plan.id.clone(),
            outcome,
            took: Duration::from_millis(12),
            attempts: u32::from(outcome != Outcome::Skipped),
            reason: None,
            help: None,
            skip: None,
            since: None,
            subjects: Vec::new(),
            evidence: Vec::new(),
        });
        step
    }

    /// Never reached.
    pub fn planned(id: &str) -> Self {
        let plan = StepPlan {
            finding: false,
            section: None,
            id: id.parse().expect("an id"),
            title: format!("Look at {id}"),
            kind: "probe".to_owned(),
            probe: "disk".to_owned(),
            at: String::new(),
            why: None,
            next: None,
        };
        Self { plan, result: None }
    }

    /// Started, and then the run was gone.
    pub fn started(id: &str) -> Self {
        let mut step = Self::planned(id);
        STARTED.clone_into(&mut step.plan.title);
        step
    }

    pub fn plan(mut self, edit: impl FnOnce(&mut StepPlan)) -> Self {
        edit(&mut self.plan);
        self
    }

    pub fn result(mut self, edit: impl FnOnce(&mut StepResult)) -> Self {
        edit(self.result.as_mut().expect("a step with a result"));
        self
    }

    pub fn subject(self, subject: SubjectResult) -> Self {
        self.result(|result| result.subjects.push(subject))
    }

    pub fn reason(self, reason: &str) -> Self {
        self.result(|result| result.reason = Some(reason.to_owned()))
    }

    pub fn skipped(self, skip: Skip, reason: &str) -> Self {
        self.reason(reason).result(|result| result.skip = Some(skip))
    }

    pub fn evidence(self, title: &str, lines: &[&str]) -> Self {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        self.result(|result| result.evidence.push(Evidence::new(title, lines)))
    }
}

pub fn subject(name: &str, outcome: Outcome) -> SubjectResult {
    SubjectResult {
        name: name.to_owned(),
        outcome,
        error: None,
        notes: Vec::new(),
        facts: opsctl::model::fact::Facts::new(),
        checks: Vec::new(),
    }
}

pub trait Seen {
    fn seen(self, fact: &str, value: Value, expected: &str, met: bool) -> Self;
    fn checked(self, level: Level, fact: &str, value: Option<Value>, expected: &str, met: Option<bool>) -> Self;
}

impl Seen for SubjectResult {
    fn seen(self, fact: &str, value: Value, expected: &str, met: bool) -> Self {
        self.checked(Level::Expect, fact, Some(value), expected, Some(met))
    }

    fn checked(mut self, level: Level, fact: &str, value: Option<Value>, expected: &str, met: Option<bool>) -> Self {
        self.checks.push(Check {
            fact: fact.to_owned(),
            level,
            expected: expected.to_owned(),
            actual: value.as_ref().map(ToString::to_string),
            met,
            note: value.is_none().then(|| format!("no `{fact}` was seen")),
        });
        if let Some(value) = value {
            self.facts.insert(fact.to_owned(), value);
        }
        self
    }
}

pub const GIB: u64 = 1 << 30;

/// Free space of a mount, of which more than 20 % should be free.
pub fn mount(name: &str, free: u64, size: u64) -> SubjectResult {
    let enough = free * 5 > size;
    subject(name, if enough { Outcome::Passed } else { Outcome::Failed }).seen(
        "free",
        Value::share(free, size),
        "above 20 %",
        enough,
    )
}
