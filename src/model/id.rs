//! Names of procedures, steps and runs.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A word for a step, a group or a procedure: letters, digits, `-` and `_`, starting with a letter or digit.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 80
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct IdError {
    pub text: String,
    pub wanted: &'static str,
}

macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// The id of a step, unique within its procedure.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StepId(CompactString);
text_id!(StepId);

impl StepId {
    /// How expressions write it: a dash becomes an underscore.
    #[must_use]
    pub fn variable(&self) -> String {
        self.0.replace('-', "_")
    }

    /// Whether expressions call it `name`; a dash in `name` is an underscore too.
    #[must_use]
    pub fn is_variable(&self, name: &str) -> bool {
        let plain = |byte| if byte == b'-' { b'_' } else { byte };
        self.0.bytes().map(plain).eq(name.bytes().map(plain))
    }
}

impl FromStr for StepId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wanted = "an id; use letters, digits and dashes, such as `disk-free`";
        if is_word(text) { Ok(Self(text.into())) } else { Err(IdError { text: text.to_owned(), wanted }) }
    }
}

/// `group/procedure`, from the folder and the name of its file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProcedureId(String);
text_id!(ProcedureId);

impl ProcedureId {
    const WANTED: &str = "a procedure; write group/procedure, such as `daily/system-health`";

    /// # Errors
    /// One of the two is not a word.
    pub fn new(group: &str, name: &str) -> Result<Self, IdError> {
        let text = [group, "/", name].concat();
        if is_word(group) && is_word(name) { Ok(Self(text)) } else { Err(IdError { text, wanted: Self::WANTED }) }
    }

    #[must_use]
    pub fn group(&self) -> &str {
        self.0.split_once('/').map_or("", |(group, _)| group)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl FromStr for ProcedureId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once('/') {
            Some((group, name)) => Self::new(group, name),
            None => Err(IdError { text: text.to_owned(), wanted: Self::WANTED }),
        }
    }
}

/// A run's id: UUID version 7, so that ids sort by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub uuid::Uuid);

impl RunId {
    /// The first two groups, which are the time in milliseconds: short, and nearly always enough to find the run.
    #[must_use]
    pub fn short(self) -> String {
        self.0.to_string()[..13].to_owned()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for RunId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        uuid::Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| IdError { text: text.to_owned(), wanted: "a run; `opsctl history` lists the runs" })
    }
}
