//! Actions: what a step would change, said before it is changed.

use serde::{Deserialize, Serialize};

/// How much a step changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Looks only.
    None,
    /// Changes something that can be changed back.
    Change,
    /// Interrupts people's work or loses data: the operator types the target's name.
    Destructive,
}

impl Effect {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Change => "change",
            Self::Destructive => "destructive",
        }
    }
}

/// Exactly what an action would do, found out by looking. It is shown, agreed to, recorded, and then done: what is
/// done is what stands here, not what a second look finds.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The commands, statements, calls and files, as they will be run: one a line, complete, free of secrets.
    pub does: Vec<String>,
    /// What a person should know before agreeing: the age of the backup, the space that is left, who is logged in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// All is as it should be already: nothing will be done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
    /// What the kind needs in order to do just this: the listed files with their identities, the backup's checksum.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
}

impl Plan {
    #[must_use]
    pub fn new(does: Vec<String>) -> Self {
        Self { does, ..Self::default() }
    }

    /// There is nothing to do; `why` says how it stands.
    #[must_use]
    pub fn settled(why: impl Into<String>) -> Self {
        Self { notes: vec![why.into()], settled: true, ..Self::default() }
    }

    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    #[must_use]
    pub fn data(mut self, data: serde_json::Value) -> Self {
        self.data = data;
        self
    }
}
