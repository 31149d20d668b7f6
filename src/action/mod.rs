//! Actions: each changes one kind of thing. It says first, by looking, exactly what it would do; then it does just that.
//! Asking, recording, verifying and undoing are the engine's.
//!
//! A new kind is one file here, one line in [`KINDS`] and one example in `examples/actions/`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::model::action::{Effect, Plan};
use crate::model::fact::{FactSpec, Observation};
use crate::model::id::RunId;
use crate::model::input::{InputError, InputSpec, Inputs};
use crate::probe::{self, ProbeError};

pub mod backup;
pub mod cache;
pub mod cleanup;
pub mod command;
pub mod container;
pub mod database;
pub mod git;
pub mod http;
pub mod packages;
pub mod restore;
mod run;
pub mod service;
mod shown;
pub mod sql;

/// Changes one kind of thing.
pub trait Action: Send + Sync {
    /// What is changed: what an operator types to agree to something destructive. Short, and free of secrets.
    fn target(&self) -> String;

    /// Finds out what would be done. Changes nothing.
    fn plan<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Plan, ActionError>>;

    /// Does what `plan` says and nothing else; what has changed in the meantime so that the plan is no longer right is
    /// an error before anything is done. The facts and the evidence are of what was done.
    fn perform<'a>(&'a self, plan: &'a Plan, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ActionError>>;
}

/// A kind of action: what procedures may write, what it reports, how it is made.
pub struct Kind {
    pub name: &'static str,
    pub about: &'static str,
    pub inputs: &'static [InputSpec],
    /// What is known after it was done, for later steps and for the record.
    pub facts: &'static [FactSpec],
    /// What it finds out before anything is changed, and refuses, whatever the step says in `precheck`.
    pub checks: &'static str,
    /// The effect where the step names none. A step may say that it is destructive; it may not say that it is less
    /// than what [`Kind::least`] finds in its inputs.
    pub effect: Effect,
    /// The least effect that these inputs can have: a restore into production is destructive, into scratch it is not.
    pub least: fn(&Inputs) -> Effect,
    /// The same in words, where it depends on the inputs; else empty.
    pub destructive_when: &'static str,
    /// A step in YAML, shown by `explain`; the test over all examples runs it through the loader.
    pub example: &'static str,
    /// The time limit where the step names none.
    pub limit: Duration,
    pub build: fn(&Inputs) -> Result<Arc<dyn Action>, InputError>,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({})", self.name)
    }
}

/// Every kind of action, by name.
pub const KINDS: &[&Kind] = &[
    &command::KIND,
    &http::KIND,
    &service::KIND,
    &container::KIND,
    &packages::KIND,
    &git::KIND,
    &cleanup::KIND,
    &cache::KIND,
    &sql::KIND,
    &database::KIND,
    &backup::KIND,
    &restore::KIND,
];

#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name).copied()
}

/// What an action may know of the run that it is part of.
#[derive(Clone, Debug)]
pub struct Context {
    /// As for a look: time limit, cancellation, databases, secrets, folder.
    pub look: probe::Context,
    /// Names what this run makes, so that it finds and removes only its own.
    pub run: RunId,
}

/// Whether an action that went wrong left something changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changed {
    Nothing,
    /// It had begun: what it came to has to be looked at.
    Perhaps,
}

/// Why an action was not done, or not to its end.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ActionError {
    /// A stable word for machines: `permission`, `not_found`, `no_such_tool`, `refused`, `time_limit`, ...
    pub code: &'static str,
    /// Names the thing and the place; free of secrets.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    pub changed: Changed,
}

impl ActionError {
    /// Before anything was changed.
    pub fn before(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, changed: Changed::Nothing }
    }

    /// After it had begun.
    pub fn midway(code: &'static str, message: impl Into<String>) -> Self {
        Self { changed: Changed::Perhaps, ..Self::before(code, message) }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A look that an action takes before it changes something.
impl From<ProbeError> for ActionError {
    fn from(error: ProbeError) -> Self {
        Self { code: error.code, message: error.message, help: error.help, changed: Changed::Nothing }
    }
}
