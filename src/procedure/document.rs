//! A procedure's document: from YAML to something that can be run without a further question.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use smallvec::SmallVec;

use super::decode::Reader;
use super::diagnostic::{Diagnostic, Diagnostics, Source};
use super::inputs::{self, Surroundings};
use super::template::{self, Expression, Reads, Vars};
use super::yaml::{self, Node};
use crate::model::expectation::Expectation;
use crate::model::id::{ProcedureId, StepId};
use crate::model::input::{InputError, InputSpec, Inputs};
use crate::probe::{Kind, Probe};

mod act;
mod link;
mod people;
mod procedure;
mod reads;
mod step;
mod work;

pub use link::waits_for;
pub use work::{Act, Approval, Call, Doing, Manual, Message, Notify, OnFailure, Phrase, Work, Written};

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
    /// It is an incident: its record fills this report.
    pub report: Option<String>,
    pub symptoms: Vec<String>,
    /// What no other run may work on at the same time, besides the procedure itself.
    pub lock: Vec<String>,
    /// With `--yes`, its destructive actions run without a person.
    pub unattended: bool,
    source: Arc<Source>,
    root: Node,
    pub sections: Vec<Section>,
    pub steps: Vec<Step>,
    pub criteria: Vec<Criterion>,
}

impl Procedure {
    /// SHA-256 of the file, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        use sha2::{Digest, Sha256};
        crate::model::event::doing::hexadecimal(&Sha256::digest(self.source.text.as_bytes()))
    }

    /// The file that it was read from.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Where a step stands: file and line.
    #[must_use]
    pub fn place(&self, step: &Step) -> String {
        format!("{}:{}", self.source.name, step.line)
    }

    /// The file as it was parsed: what it says of inputs is not kept elsewhere.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The procedures that its steps run.
    pub fn calls(&self) -> impl Iterator<Item = &ProcedureId> {
        self.steps.iter().filter_map(|step| match &step.work {
            Work::Procedure(call) => Some(&call.run),
            Work::Look
            | Work::Action(_)
            | Work::Manual(_)
            | Work::Decision(_)
            | Work::Approval(_)
            | Work::Notify(_)
            | Work::Report(_) => None,
        })
    }
}

/// What a step does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepKind {
    /// Looks and judges.
    Probe,
    /// Looks and keeps what was seen.
    Gather,
    /// Changes something.
    Action,
    /// A person does or judges something.
    Manual,
    /// A person chooses.
    Decision,
    /// Another person agrees.
    Approval,
    /// Tells people.
    Notify,
    /// Writes a report.
    Report,
    /// Runs another procedure.
    Procedure,
}

impl StepKind {
    pub const ALL: [Self; 9] = [
        Self::Probe,
        Self::Gather,
        Self::Action,
        Self::Manual,
        Self::Decision,
        Self::Approval,
        Self::Notify,
        Self::Report,
        Self::Procedure,
    ];

    /// By its key in a step.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Gather => "gather",
            Self::Action => "action",
            Self::Manual => "manual",
            Self::Decision => "decision",
            Self::Approval => "approval",
            Self::Notify => "notify",
            Self::Report => "report",
            Self::Procedure => "procedure",
        }
    }

    /// Whether it only looks: such steps run side by side, the others alone.
    #[must_use]
    pub fn looks(self) -> bool {
        matches!(self, Self::Probe | Self::Gather)
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
    /// Of `probe` and `gather`.
    pub looks: Vec<Look>,
    pub expectations: Vec<Expectation>,
    /// What the other kinds do.
    pub work: Work,
    /// What it finds is what the procedure is there to find, and no failure of it.
    pub finding: bool,
    /// The point of the timeline that is reached when it has passed.
    pub marks: Option<String>,
    /// The list for whose items it runs.
    pub for_each: Option<Expression>,
    /// Runs even after a failure or a stop.
    pub always: bool,
    /// Position in [`Procedure::sections`].
    pub section: Option<usize>,
    /// Where it begins in the file, from 1.
    pub line: usize,
}

/// One look of a step.
#[derive(Clone)]
pub struct Look {
    pub kind: &'static Kind,
    pub made: Made,
}

/// What is ready to be used, or the inputs of it that wait for the results of earlier steps.
pub enum Made<T: ?Sized = dyn Probe> {
    Ready(Arc<T>),
    Late { inputs: Node, source: Arc<Source> },
}

/// Makes something of vetted inputs.
type Build<T> = fn(&Inputs) -> Result<Arc<T>, InputError>;

impl<T: ?Sized> Clone for Made<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Ready(made) => Self::Ready(Arc::clone(made)),
            Self::Late { inputs, source } => Self::Late { inputs: inputs.clone(), source: Arc::clone(source) },
        }
    }
}

impl<T: ?Sized> Made<T> {
    /// What was made; inputs that waited for results get them from `context`.
    fn make(
        &self,
        (kind, specs, build): (&str, &'static [InputSpec], Build<T>),
        context: Option<&minijinja::Value>,
        around: &Surroundings<'_>,
    ) -> Result<Arc<T>, Diagnostics> {
        let (inputs, source) = match self {
            Self::Ready(made) => return Ok(Arc::clone(made)),
            Self::Late { inputs, source } => (inputs, source),
        };
        let general = |message: String| Diagnostics(vec![Diagnostic::general(message, "")]);
        let context = context.cloned().unwrap_or_default();
        let inputs = template::resolve_late(inputs, &context).map_err(general)?;
        let reader = Reader::new(Arc::clone(source));
        match inputs::read(&reader, &inputs, kind, specs, around) {
            Some(read) => build(&read).map_err(|error| general(error.message)),
            None => Err(reader.into_problems()),
        }
    }
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
        self.made.make((self.kind.name, self.kind.inputs, self.kind.build), context, around)
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
    /// A limit that the clock of the run judges, instead of steps.
    pub clock: Option<Clock>,
}

/// A point in time and its limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clock {
    pub mark: String,
    pub within: Option<Duration>,
    /// The point from which `within` counts: `detected`, `started`, `occurred` or another mark.
    pub from: String,
    /// The time of day by which it must be, in the site's time zone.
    pub before: Option<chrono::NaiveTime>,
    /// As it stands in the document.
    pub written: String,
}

/// A part of a procedure with a budget of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    pub title: String,
    pub budget: Option<Duration>,
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
    let root = yaml::parse(source).map_err(Diagnostics)?;
    let reader = Reader::new(Arc::clone(source));
    let procedure = Document { reader: &reader, vars, around }.procedure(id, &root);
    match procedure {
        Some(procedure) if reader.is_clean() => Ok(Procedure { root, ..procedure }),
        _ => Err(reader.into_problems()),
    }
}

struct Document<'d> {
    reader: &'d Reader,
    vars: &'d Vars,
    around: &'d Surroundings<'d>,
}

/// What a step refers to by name, before all steps are known.
#[derive(Default)]
struct References {
    needs: Named,
    reads: Few<(Range<usize>, Reads)>,
    /// Expressions, and what is computed in templates.
    computed: Few<(Range<usize>, CompactString)>,
    precheck: Named,
    verify: Named,
    /// The actions that an approval is about.
    of: Named,
}

/// Most steps have one.
type Few<T> = SmallVec<[T; 1]>;

/// Names with their places.
type Named = Vec<(Range<usize>, CompactString)>;

/// The steps as they stand in the file, those of sections among them: what they say of inputs is not kept.
#[must_use]
pub fn step_nodes(document: &Node) -> Vec<&Node> {
    fn items(node: &Node) -> &[Node] {
        node.get("steps").and_then(Node::list).unwrap_or_default()
    }
    fn flat(item: &Node) -> &[Node] {
        if item.get("section").is_some() { items(item) } else { std::slice::from_ref(item) }
    }
    items(document).iter().flat_map(flat).collect()
}

/// Whether the fact `name` is `fact` or a member of that family.
#[must_use]
pub fn belongs_to(name: &str, fact: &str) -> bool {
    name == fact || name.strip_prefix(fact).is_some_and(|rest| rest.starts_with('.'))
}
