//! What steps do that do not only look.

use std::sync::Arc;

use indexmap::IndexMap;

use super::Made;
use crate::action::{self, Action};
use crate::model::action::Effect;
use crate::model::id::ProcedureId;
use crate::procedure::diagnostic::Diagnostics;
use crate::procedure::inputs::Surroundings;
use crate::procedure::template;
use crate::procedure::yaml::Node;

/// What a step does; what looks is in [`super::Step::looks`].
#[derive(Clone, Debug)]
pub enum Work {
    Look,
    Action(Box<Act>),
    Manual(Manual),
    Decision(Manual),
    Approval(Approval),
    Notify(Notify),
    Report(Written),
    Procedure(Call),
}

/// An action of a step. Indexes are positions in [`super::Procedure::steps`].
#[derive(Clone, Debug)]
pub struct Act {
    pub doing: Doing,
    /// Looks that must hold before.
    pub precheck: Vec<usize>,
    /// Looks that must hold afterwards.
    pub verify: Vec<usize>,
    pub undo: Option<Doing>,
    /// Why there is no `undo`.
    pub irreversible: Option<Phrase>,
    pub effect: Effect,
    pub on_failure: OnFailure,
}

/// One action: a kind and its inputs.
#[derive(Clone)]
pub struct Doing {
    pub kind: &'static action::Kind,
    pub made: Made<dyn Action>,
}

impl Doing {
    /// The action; inputs that waited for results get them from `context`.
    ///
    /// # Errors
    /// The results do not make right inputs.
    pub fn make(
        &self,
        context: Option<&minijinja::Value>,
        around: &Surroundings<'_>,
    ) -> Result<Arc<dyn Action>, Diagnostics> {
        self.made.make((self.kind.name, self.kind.inputs, self.kind.build), context, around)
    }
}

impl std::fmt::Debug for Doing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Doing({})", self.kind.name)
    }
}

/// What happens after a failed action when nobody can be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnFailure {
    #[default]
    Stop,
    Skip,
    /// Once more; then stop.
    Retry,
    RollBack,
}

/// What people do or decide: points, or choices, by name. A single point has an empty name.
#[derive(Clone, Debug)]
pub struct Manual {
    pub points: IndexMap<String, Phrase>,
    pub note_required: bool,
}

#[derive(Clone, Debug)]
pub struct Approval {
    /// The steps with the actions, by position.
    pub of: Vec<usize>,
    pub by: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Notify {
    /// Roles.
    pub to: Vec<String>,
    /// A policy of the site file, or of a pack.
    pub escalation: Option<String>,
    pub severity: Option<Phrase>,
    pub channel: Option<String>,
    pub message: Message,
}

#[derive(Clone, Debug)]
pub enum Message {
    Text(Phrase),
    /// By name.
    Template(String),
}

#[derive(Clone, Debug)]
pub struct Written {
    pub kind: String,
    pub file: Phrase,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    pub run: ProcedureId,
}

/// A text that may wait for the results of earlier steps.
#[derive(Clone, Debug)]
pub struct Phrase(pub Node);

impl Phrase {
    /// The text with what is known by now.
    ///
    /// # Errors
    /// It reads what is not there.
    pub fn say(&self, context: &minijinja::Value) -> Result<String, String> {
        let node = template::resolve_late(&self.0, context)?;
        Ok(node.scalar().unwrap_or_default().to_owned())
    }

    /// The text, if it waits for nothing.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        self.0.scalar().filter(|_| !template::waits(&self.0))
    }
}
