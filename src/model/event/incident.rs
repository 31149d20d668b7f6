//! The course of an incident: points in time, notes, and who was told.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::people::Attachment;
use crate::model::id::{ProcedureId, StepId};

/// A point of the timeline: `occurred`, `detected`, `acknowledged`, `identified`, `mitigated`, `restored`, `resolved`,
/// or another name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mark {
    pub name: String,
    /// When it was so; may lie before the event that says it, whose own `at` stands beside it.
    #[serde(rename = "time")]
    pub at: DateTime<Utc>,
    pub by: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Note {
    /// What the note is about; may lie before the event that says it, whose own `at` stands beside it.
    #[serde(rename = "time")]
    pub at: DateTime<Utc>,
    pub by: String,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<(ProcedureId, StepId)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
}

/// The budget of a procedure or a section is used up to this percentage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BudgetUse {
    pub procedure: ProcedureId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// 80 or 100.
    pub percent: u8,
    pub budget_ms: u64,
    /// When the budget began to count.
    pub since: DateTime<Utc>,
}

/// People are told, track by track, until somebody acknowledges.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Escalation {
    pub procedure: ProcedureId,
    pub step: StepId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// When the deadlines begin to count.
    pub since: DateTime<Utc>,
    pub text: String,
    /// Side by side; each is a ladder.
    pub tracks: Vec<Vec<Rung>>,
}

/// One rung of a ladder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rung {
    /// A role.
    pub to: String,
    pub channel: String,
    /// Where the channel reaches the role: a mail address, a phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// When it is due, unless somebody has acknowledged before (the first rung of a track is due in any case).
    pub due: DateTime<Utc>,
    /// By when it has to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DateTime<Utc>>,
}

/// A message to somebody, in the outbox.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Unique in the run: `emergency/outage-identify.tell-it-team.0.1`. A message is queued once.
    pub id: String,
    pub to: String,
    pub channel: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DateTime<Utc>>,
}

/// What became of a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    pub id: String,
    pub state: Delivered,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivered {
    /// The channel took it.
    Sent,
    /// A person told them, and said so.
    ByHand,
    Failed,
    /// The channel cannot send by itself: a person has to.
    Waiting,
}
