//! Actions of a run: written before they begin, and when they have ended.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::action::{Effect, Plan};
use crate::model::fact::{Evidence, Facts};
use crate::model::id::{ProcedureId, StepId};

/// Forward, or back again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Do,
    Undo,
}

/// An action is about to begin. It is on disk before anything is changed; without an [`ActionEnd`] after it, what came
/// of it is unknown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ActionStart {
    pub procedure: ProcedureId,
    pub step: StepId,
    /// Of a step that is repeated: for which item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    pub phase: Phase,
    /// The kind of action: `service`, `restore`, ...
    pub action: String,
    pub target: String,
    pub effect: Effect,
    pub plan: Plan,
    /// Of target and plan; what people agreed to carries the same.
    pub hash: String,
    /// Who agreed that it is done.
    pub agreed_by: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ActionEnd {
    pub procedure: ProcedureId,
    pub step: StepId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    pub phase: Phase,
    pub ended: Ended,
    #[serde(rename = "took_ms", with = "super::millis")]
    pub took: Duration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub facts: Facts,
    /// What the action says of what it did, besides its facts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// How an action ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    Done,
    /// Before anything was changed.
    Failed,
    /// After it had begun: it may have changed something.
    Midway,
    /// The program was killed meanwhile; later looks, or a person, found that it had been done.
    FoundDone,
    /// The program was killed meanwhile; later looks, or a person, found that it had not been done.
    FoundUndone,
}

impl Ended {
    /// Whether there is something that an undo can take back.
    #[must_use]
    pub fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::FoundDone)
    }
}

/// SHA-256 over what would be done, in hexadecimal: agreeing binds to it, and what is run has to have the same.
#[must_use]
pub fn hash_of(target: &str, plan: &Plan) -> String {
    use sha2::{Digest, Sha256};
    let text = serde_json::json!([target, plan.does, plan.data]).to_string();
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

/// A checksum as people compare it.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        text
    })
}
