//! References to secrets, and the mask that keeps resolved ones out of everything that leaves the program.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

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

pub const MASK: &str = "***";

/// Shorter secrets would turn ordinary words into stars.
const SHORTEST: usize = 4;

/// Every secret resolved so far, shared by all who may print.
#[derive(Clone, Default, Debug)]
pub struct Mask(Arc<RwLock<Vec<Secret>>>);

impl Mask {
    /// From now on `secret` is shown as stars wherever text passes through [`Mask::apply`].
    pub fn add(&self, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !known.iter().any(|one| one.0 == secret) {
            known.push(Secret(secret.to_owned()));
            known.sort_by_key(|one| std::cmp::Reverse(one.0.len()));
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).is_empty()
    }

    #[must_use]
    pub fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let known = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut masked = Cow::Borrowed(text);
        for secret in known.iter() {
            if masked.contains(&secret.0) {
                masked = Cow::Owned(masked.replace(&secret.0, MASK));
            }
        }
        masked
    }

    /// Masks every text inside `json`, keys included.
    pub fn apply_json(&self, json: &mut serde_json::Value) {
        use serde_json::Value as Json;
        match json {
            Json::String(text) => {
                if let Cow::Owned(masked) = self.apply(text) {
                    *text = masked;
                }
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.apply_json(item)),
            Json::Object(map) => {
                for (key, mut value) in std::mem::take(map) {
                    self.apply_json(&mut value);
                    map.insert(self.apply(&key).into_owned(), value);
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }
}
