//! References to secrets, and the mask that keeps resolved ones out of everything that leaves the program.

mod mask;
mod spelling;

use std::fmt;
use std::path::PathBuf;

pub use mask::{MASK, Mask};

/// Where a secret is. The secret itself is never in a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// The first line of a file, without its line end.
    File(PathBuf),
    /// The first line that a command prints.
    Command(Vec<String>),
}

/// What people may see of it: the place, not the value.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "${name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Command(run) => write!(f, "command {}", run.first().map_or("", String::as_str)),
        }
    }
}

/// A text that may be a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MaybeSecret {
    Plain(String),
    Secret(SecretRef),
}

/// A resolved secret. Printing it shows stars.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself: for the wire, never for a message.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}
