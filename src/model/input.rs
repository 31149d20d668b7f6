//! Inputs: what a procedure tells a probe. A kind declares them once, as data; vetting, `explain` and the schema read it.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use super::secret::{MaybeSecret, SecretRef};

/// One input of a probe kind.
#[derive(Clone, Copy, Debug)]
pub struct InputSpec {
    pub name: &'static str,
    pub ty: InputType,
    pub need: Need,
    pub about: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    Required,
    Optional,
    /// The written form of the value that is used when the input is not given.
    Default(&'static str),
}

/// The type of an input, and with it how it may be written.
#[derive(Clone, Copy, Debug)]
pub enum InputType {
    Text,
    /// One text or a list of texts.
    Texts,
    /// A list of texts only: the arguments of a command.
    Arguments,
    Bool,
    Integer {
        least: i64,
        most: i64,
    },
    Duration,
    Size,
    /// One regular expression.
    Pattern,
    /// One regular expression or a list of them.
    Patterns,
    Choice(&'static [&'static str]),
    /// A path; relative ones start at the folder of the site file.
    Path,
    /// One path or glob, or a list of them.
    Paths,
    /// A reference to a secret; plain text is refused.
    Secret,
    /// A mapping from names to texts, each of which may be a secret.
    Pairs,
    /// The name of a database of the site file.
    Database,
    /// The name of a procedure of the site, `group/name`, or a list of them.
    Procedures,
    /// Any YAML value, as JSON: a request body.
    Json,
    /// A mapping with inputs of its own.
    Group(&'static [InputSpec]),
    /// A list of mappings with inputs of their own.
    Groups(&'static [InputSpec]),
}

/// A vetted input.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    Text(String),
    Texts(Vec<String>),
    Bool(bool),
    Integer(i64),
    Duration(Duration),
    Size(u64),
    Path(PathBuf),
    Paths(Vec<PathBuf>),
    Secret(SecretRef),
    Pairs(IndexMap<String, MaybeSecret>),
    Json(serde_json::Value),
    Group(Inputs),
    Groups(Vec<Inputs>),
}

/// The vetted inputs of one step: what the kind's specification demands is there and has the right type.
///
/// The getters return what the type of the specification promises; asking for another type is a bug that shows as
/// "absent", which the test over all examples finds.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Inputs(pub Vec<(&'static str, Input)>);

impl Inputs {
    // A step gives a handful of them: to look at each takes less time than to hash a name.
    fn get(&self, name: &str) -> Option<&Input> {
        self.0.iter().find(|(given, _)| *given == name).map(|(_, input)| input)
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Of `Text`, `Pattern`, `Choice` and `Database`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        if let Some(Input::Text(text)) = self.get(name) { Some(text) } else { None }
    }

    /// Of `Texts`, `Patterns`, `Arguments` and `Procedures`; empty when not given.
    #[must_use]
    pub fn texts(&self, name: &str) -> &[String] {
        if let Some(Input::Texts(texts)) = self.get(name) { texts } else { &[] }
    }

    /// False when not given.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Input::Bool(true)))
    }

    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        if let Some(Input::Integer(integer)) = self.get(name) { Some(*integer) } else { None }
    }

    #[must_use]
    pub fn duration(&self, name: &str) -> Option<Duration> {
        if let Some(Input::Duration(duration)) = self.get(name) { Some(*duration) } else { None }
    }

    /// In bytes.
    #[must_use]
    pub fn size(&self, name: &str) -> Option<u64> {
        if let Some(Input::Size(size)) = self.get(name) { Some(*size) } else { None }
    }

    /// Absolute.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<&PathBuf> {
        if let Some(Input::Path(path)) = self.get(name) { Some(path) } else { None }
    }

    /// Absolute; empty when not given.
    #[must_use]
    pub fn paths(&self, name: &str) -> &[PathBuf] {
        if let Some(Input::Paths(paths)) = self.get(name) { paths } else { &[] }
    }

    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&SecretRef> {
        if let Some(Input::Secret(secret)) = self.get(name) { Some(secret) } else { None }
    }

    #[must_use]
    pub fn pairs(&self, name: &str) -> Option<&IndexMap<String, MaybeSecret>> {
        if let Some(Input::Pairs(pairs)) = self.get(name) { Some(pairs) } else { None }
    }

    #[must_use]
    pub fn json(&self, name: &str) -> Option<&serde_json::Value> {
        if let Some(Input::Json(json)) = self.get(name) { Some(json) } else { None }
    }

    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Inputs> {
        if let Some(Input::Group(group)) = self.get(name) { Some(group) } else { None }
    }

    /// Empty when not given.
    #[must_use]
    pub fn groups(&self, name: &str) -> &[Inputs] {
        if let Some(Input::Groups(groups)) = self.get(name) { groups } else { &[] }
    }
}

/// Why inputs that are right one by one do not fit together.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct InputError {
    /// The input to point at; the whole probe when empty.
    pub input: &'static str,
    pub message: String,
    pub help: String,
}

impl InputError {
    pub fn new(input: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { input, message: message.into(), help: help.into() }
    }
}
