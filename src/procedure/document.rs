//! A procedure's document: from YAML to something that can be run without a further question.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::decode::{Fields, Reader};
use super::diagnostic::{Diagnostic, Diagnostics, Source, suggestion};
use super::inputs::{self, Surroundings};
use super::keys;
use super::template::{self, Expression, Reads, Vars};
use super::yaml::{self, Node};
use crate::model::expectation::Expectation;
use crate::model::id::{ProcedureId, StepId};
use crate::probe::{Kind, Probe};

mod link;
mod step;

/// A vetted procedure.
#[derive(Debug)]
pub struct Procedure {
    pub id: ProcedureId,
    pub title: String,
    /// As the document that it comes from calls it.
    pub original_title: Option<String>,
    pub purpose: Option<String>,
    pub owner: Option<String>,
    /// A cron expression.
    pub schedule: Option<String>,
    pub budget: Option<Duration>,
    /// To whom, for people.
    pub escalate: Option<String>,
    pub steps: Vec<Step>,
    pub criteria: Vec<Criterion>,
}

/// What a step does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepKind {
    /// Looks and judges.
    Probe,
    /// Looks and keeps what was seen.
    Gather,
}

impl StepKind {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Gather => "gather",
        }
    }
}

/// Indexes of steps are positions in [`Procedure::steps`].
#[derive(Debug)]
pub struct Step {
    pub id: StepId,
    pub title: String,
    pub kind: StepKind,
    pub why: Option<String>,
    pub next: Option<String>,
    pub tags: Vec<String>,
    /// Steps that must have passed.
    pub needs: Vec<usize>,
    /// Steps that must have ended: what it needs and what its expressions read.
    pub after: BTreeSet<usize>,
    pub when: Option<Expression>,
    pub timeout: Duration,
    pub retry: Retry,
    pub looks: Vec<Look>,
    pub expectations: Vec<Expectation>,
    /// File and line.
    pub at: String,
}

/// One look of a step.
#[derive(Clone)]
pub struct Look {
    pub kind: &'static Kind,
    pub made: Made,
}

/// A probe, or the inputs of one that wait for the results of earlier steps.
#[derive(Clone)]
pub enum Made {
    Ready(Arc<dyn Probe>),
    Late { inputs: Node, source: Arc<Source> },
}

impl Look {
    /// The probe; inputs that waited for results get them from `context`.
    ///
    /// # Errors
    /// The results do not make right inputs.
    pub fn make(
        &self,
        context: Option<&minijinja::Value>,
        around: &Surroundings<'_>,
    ) -> Result<Arc<dyn Probe>, Diagnostics> {
        let (inputs, source) = match &self.made {
            Made::Ready(probe) => return Ok(Arc::clone(probe)),
            Made::Late { inputs, source } => (inputs, source),
        };
        let general = |message: String| Diagnostics(vec![Diagnostic::general(message, "")]);
        let context = context.cloned().unwrap_or_default();
        let inputs = template::resolve_late(inputs, &context).map_err(general)?;
        let reader = Reader::new(Arc::clone(source));
        match inputs::read(&reader, &inputs, self.kind.name, self.kind.inputs, around) {
            Some(read) => (self.kind.build)(&read).map(Arc::from).map_err(|error| general(error.message)),
            None => Err(reader.into_problems()),
        }
    }
}

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Look({})", self.kind.name)
    }
}

/// When to look again. The default is not to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retry {
    /// Looks after the first one.
    pub times: u32,
    pub wait: Duration,
    pub on: RetryOn,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RetryOn {
    Failed,
    Errored,
    Both,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Criterion {
    pub says: String,
    pub proven_by: Vec<Proof>,
}

/// A step, or one fact of it, that proves a criterion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    pub step: usize,
    pub fact: Option<String>,
    /// As it stands in the document.
    pub written: String,
}

/// Reads and vets one document.
///
/// # Errors
/// Everything that is wrong in it.
pub fn read(
    id: &ProcedureId,
    source: &Arc<Source>,
    vars: &Vars,
    around: &Surroundings<'_>,
) -> Result<Procedure, Diagnostics> {
    let node = yaml::parse(source).map_err(Diagnostics)?;
    let reader = Reader::new(Arc::clone(source));
    let procedure = Document { reader: &reader, vars, around }.procedure(id, &node);
    match procedure {
        Some(procedure) if reader.is_clean() => Ok(procedure),
        _ => Err(reader.into_problems()),
    }
}

struct Document<'d> {
    reader: &'d Reader,
    vars: &'d Vars,
    around: &'d Surroundings<'d>,
}

/// What a step refers to by name, before all steps are known.
struct References {
    needs: Vec<(Range<usize>, String)>,
    reads: Vec<(Range<usize>, Reads)>,
}

impl Document<'_> {
    fn procedure(&self, id: &ProcedureId, node: &Node) -> Option<Procedure> {
        let reader = self.reader;
        let fields = reader.fields(node, "a procedure", keys::PROCEDURE)?;
        let title = fields.required(reader, "title", "a procedure").and_then(|node| reader.text(node, "`title`"));
        let (steps, references, broken) = self.steps(&fields);
        let steps = self.connect(steps, &references, &broken);
        let criteria = self.criteria(&fields, &steps, &broken);
        Some(Procedure {
            id: id.clone(),
            title: title?,
            original_title: fields.text(reader, "original_title"),
            purpose: fields.text(reader, "purpose"),
            owner: fields.text(reader, "owner"),
            schedule: fields.get("schedule").and_then(|node| self.schedule(node)),
            budget: fields.get("budget").and_then(|node| reader.duration(node, "`budget`")),
            escalate: fields.get("escalate").and_then(|node| self.escalate(node)),
            steps,
            criteria,
        })
    }

    fn schedule(&self, node: &Node) -> Option<String> {
        let fields = self.reader.fields(node, "a schedule", keys::SCHEDULE)?;
        if let Some(node) = fields.get("missed") {
            self.choice(node, "`missed`", &["run_once", "skip"]);
        }
        let cron = fields.required(self.reader, "cron", "a schedule")?;
        let text = self.reader.text(cron, "`cron`")?;
        if text.split_whitespace().count() != 5 {
            let help = "write minute, hour, day of month, month and day of week: `\"0 8 * * *\"`";
            self.reader.error(&cron.span, "this is not a cron expression of five fields", "", help);
        }
        Some(text)
    }

    fn escalate(&self, node: &Node) -> Option<String> {
        let fields = self.reader.fields(node, "an escalation", keys::ESCALATION)?;
        if let Some(node) = fields.get("when") {
            self.choice(node, "`when`", &["failed", "errored", "warned"]);
        }
        fields.required(self.reader, "to", "an escalation").and_then(|node| self.reader.text(node, "`to`"))
    }

    fn choice(&self, node: &Node, what: &str, choices: &[&str]) -> Option<String> {
        let text = self.reader.text(node, what)?;
        if choices.contains(&text.as_str()) {
            return Some(text);
        }
        let help = suggestion(&text, choices.iter().copied(), "it can be");
        self.reader.error(&node.span, format!("{what} cannot be `{text}`"), "", help);
        None
    }

    /// The steps, what they refer to, and the ids of those that are wrong: references to these are no second mistake.
    fn steps(&self, fields: &Fields<'_>) -> (Vec<Step>, Vec<References>, HashSet<String>) {
        let (mut steps, mut references, mut broken) = (Vec::<Step>::new(), Vec::new(), HashSet::new());
        let Some(node) = fields.required(self.reader, "steps", "a procedure") else {
            return (steps, references, broken);
        };
        if node.is_null() || node.list().is_some_and(<[Node]>::is_empty) {
            self.reader.error(
                &node.span,
                "a procedure without steps checks nothing",
                "",
                "add a step; `opsctl explain http` shows one",
            );
            return (steps, references, broken);
        }
        let items = self.reader.items(node, "`steps`");
        steps.reserve(items.len());
        for item in items {
            let Some((step, reference)) = self.step(item) else {
                if let Some(id) = item.get("id").and_then(Node::scalar) {
                    broken.extend([id.to_owned(), id.replace('-', "_")]);
                }
                continue;
            };
            if steps.iter().any(|known| known.id.variable() == step.id.variable()) {
                let span = item.get("id").map_or(item.span.clone(), |id| id.span.clone());
                self.reader.error(
                    &span,
                    format!("the step `{}` exists twice", step.id),
                    "",
                    "give one of the two another id",
                );
                continue;
            }
            steps.push(step);
            references.push(reference);
        }
        (steps, references, broken)
    }
}

/// Whether the fact `name` is `fact` or a member of that family.
#[must_use]
pub fn belongs_to(name: &str, fact: &str) -> bool {
    name == fact || name.strip_prefix(fact).is_some_and(|rest| rest.starts_with('.'))
}
