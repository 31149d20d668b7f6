//! Events: all that a run says, in the order in which it happened. Facts only; sums are folds (see `record`).

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::expectation::Check;
use super::fact::{Evidence, Facts};
use super::id::{ProcedureId, RunId, StepId};
use super::outcome::{Exit, Outcome, Skip, Verdict};

pub mod doing;
pub mod incident;
mod mask;
pub mod people;

use doing::{ActionEnd, ActionStart};
use incident::{BudgetUse, Delivery, Escalation, Mark, Message, Note};
use people::{Answer, Question};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// From 1, without gaps, within the run.
    pub seq: u64,
    pub at: DateTime<Utc>,
    /// Since the run began, by the monotonic clock.
    #[serde(rename = "elapsed_ms", with = "millis")]
    pub elapsed: Duration,
    #[serde(flatten)]
    pub kind: EventKind,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    RunStarted(RunStart),
    ProcedureStarted {
        procedure: ProcedureId,
    },
    StepStarted {
        procedure: ProcedureId,
        step: StepId,
    },
    /// An attempt that did not pass and is followed by another one.
    AttemptFailed {
        procedure: ProcedureId,
        step: StepId,
        attempt: u32,
        reason: String,
    },
    StepFinished(Box<StepResult>),
    ProcedureFinished(ProcedureResult),
    /// The operator was asked, or a task waits for somebody.
    Asked(Box<Question>),
    Answered(Box<Answer>),
    ActionStarted(Box<ActionStart>),
    ActionFinished(Box<ActionEnd>),
    /// What was completed is taken back, the newest first.
    RollbackStarted {
        procedure: ProcedureId,
        reason: String,
    },
    Marked(Mark),
    Noted(Note),
    BudgetUsed(BudgetUse),
    Escalated(Box<Escalation>),
    MessageQueued(Box<Message>),
    MessageDelivered(Delivery),
    /// Somebody has taken it on: ladders stop.
    Acknowledged {
        by: String,
    },
    /// The run holds no process any more and goes on with `--resume`.
    Suspended {
        reason: String,
    },
    Resumed(Resume),
    /// A signal asked the run to stop: no new step starts.
    Interrupted {
        exit: Exit,
    },
    RunFinished {
        outcome: Outcome,
        exit: Exit,
    },
}

/// What is going to be run: enough to show the run without the files that it came from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunStart {
    pub run: RunId,
    /// Version of the program.
    pub opsctl: String,
    pub site: String,
    /// As typed, for people: `daily check`.
    pub command: String,
    pub host: String,
    /// The user who started it.
    pub operator: String,
    pub timezone: String,
    #[serde(default, skip_serializing_if = "Mode::is_check")]
    pub mode: Mode,
    /// The procedure that was asked for is an emergency: the run is the record of an incident.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incident: bool,
    /// In the order in which they were asked for, then those that they call.
    pub procedures: Vec<ProcedurePlan>,
}

impl RunStart {
    /// The command that goes on with the run: as it was typed, without what only a beginning takes.
    #[must_use]
    pub fn goes_on(&self) -> String {
        let words = self.command.split_whitespace().filter(|word| *word != "--new" && !word.starts_with("--resume"));
        format!("opsctl {} --resume", words.collect::<Vec<_>>().join(" "))
    }
}

/// How far a run goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Looks only.
    #[default]
    Check,
    /// Looks, and says what it would do.
    DryRun,
    /// With actions and people.
    Run,
}

impl Mode {
    #[must_use]
    pub fn is_check(&self) -> bool {
        *self == Self::Check
    }
}

/// A suspended or killed run goes on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Resume {
    pub opsctl: String,
    pub command: String,
    pub host: String,
    pub operator: String,
    /// Procedures whose files have changed since, which the operator accepted, with their new hashes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<(ProcedureId, String)>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ProcedurePlan {
    pub id: ProcedureId,
    pub title: String,
    /// SHA-256 of the file, in hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// A step of another procedure runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_by: Option<(ProcedureId, StepId)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_ms: Option<u64>,
    pub criteria: Vec<String>,
    pub steps: Vec<StepPlan>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StepPlan {
    pub id: StepId,
    pub title: String,
    /// `probe`, `gather`, ...
    pub kind: String,
    /// The kind of probe or action.
    pub probe: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// File and line.
    pub at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What it finds is what the procedure is there to find.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finding: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StepResult {
    pub procedure: ProcedureId,
    pub step: StepId,
    pub outcome: Outcome,
    #[serde(rename = "took_ms", with = "millis")]
    pub took: Duration,
    pub attempts: u32,
    /// Why it is not simply passed, in one line; also set for a pass that needs a remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<Skip>,
    /// When this step was first seen like this, if it was so in the runs before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// What was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    pub subjects: Vec<SubjectResult>,
    pub evidence: Vec<Evidence>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SubjectResult {
    pub name: String,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    pub facts: Facts,
    pub checks: Vec<Check>,
}

impl SubjectResult {
    /// The error without the subject's name, with which many begin.
    #[must_use]
    pub fn error_alone(&self) -> Option<&str> {
        let error = self.error.as_deref()?;
        let rest = error.strip_prefix(self.name.as_str()).filter(|rest| rest.starts_with([' ', ':', ',']));
        Some(rest.map_or(error, |rest| rest.trim_start_matches([' ', ':', ','])))
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ProcedureResult {
    pub procedure: ProcedureId,
    pub outcome: Outcome,
    #[serde(rename = "took_ms", with = "millis")]
    pub took: Duration,
    pub criteria: Vec<CriterionResult>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CriterionResult {
    pub says: String,
    pub outcome: Verdict,
    pub proven_by: Vec<String>,
}

/// Durations as whole milliseconds with three decimals: exact to the microsecond.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::cast_precision_loss, reason = "microseconds of a run fit")]
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_micros() as f64 / 1000.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let millis = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(millis / 1000.0).map_err(serde::de::Error::custom)
    }
}
