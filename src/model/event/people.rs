//! What people are asked in a run, and what they answer.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::model::id::{ProcedureId, StepId};

/// Something that only a person can do or decide. Without an answer it is a task that waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Question {
    pub procedure: ProcedureId,
    pub step: StepId,
    /// Of a step with several points, or one that is repeated: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    pub ask: Ask,
    /// What is to be done or decided.
    pub text: String,
    /// The choices of a decision, with what each means.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub choices: IndexMap<String, String>,
    /// The answer needs a note.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub note_required: bool,
    /// The role that should answer, if it is not the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What would be done, for whoever agrees to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub does: Vec<String>,
    /// Of what would be done: the answer binds to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// What has to be typed to agree: the target of something destructive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_to_agree: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Done, not done, not applicable.
    Manual,
    /// One of the choices.
    Decision,
    /// Another person than the operator agrees, or refuses.
    Approval,
    /// The operator agrees that an action is done, or refuses.
    Confirm,
    /// An action failed: again, skip, roll back or stop.
    Failure,
    /// The program was killed while an action ran, and looking does not tell: had it been done?
    Settle,
    /// The run was interrupted after something was changed: go on later, take it back, or leave it.
    Interrupted,
}

impl Ask {
    /// What stands before each line of [`Question::does`].
    #[must_use]
    pub fn of_what_it_does(self) -> &'static str {
        match self {
            Self::Manual | Self::Decision | Self::Approval | Self::Confirm | Self::Failure => "would run",
            Self::Settle => "was begun",
            Self::Interrupted => "changed",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub procedure: ProcedureId,
    pub step: StepId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    pub reply: Reply,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    pub by: String,
    /// The system vouches for `by` (a login, a PIN); otherwise it is what somebody typed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verified: bool,
    /// What was agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Done,
    NotDone,
    NotApplicable,
    Chosen(String),
    /// To an approval, a confirmation; the unknown action had been done.
    Yes,
    No,
    /// After a failure.
    Retry,
    Skip,
    RollBack,
    Stop,
}

/// A file that a person added; a copy of it is kept beside the journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attachment {
    pub name: String,
    pub size: u64,
    pub sha256: String,
    /// Of the copy.
    pub path: String,
}
