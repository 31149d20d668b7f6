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
use crate::model::input::{InputError, InputSpec, Inputs};
use crate::probe::schedule::When;
use crate::probe::{Kind, Probe};

mod act;
mod link;
mod people;
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
    /// File and line.
    pub at: String,
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
type Build<T> = fn(&Inputs) -> Result<Box<T>, InputError>;

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
            Some(read) => build(&read).map(Arc::from).map_err(|error| general(error.message)),
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
    reads: Vec<(Range<usize>, Reads)>,
    /// Expressions, and what is computed in templates.
    computed: Vec<(Range<usize>, String)>,
    precheck: Named,
    verify: Named,
    /// The actions that an approval is about.
    of: Named,
}

/// Names with their places.
type Named = Vec<(Range<usize>, String)>;

impl Document<'_> {
    fn procedure(&self, id: &ProcedureId, node: &Node) -> Option<Procedure> {
        let reader = self.reader;
        let fields = reader.fields(node, "a procedure", keys::PROCEDURE)?;
        let title = fields.required(reader, "title", "a procedure").and_then(|node| reader.text(node, "`title`"));
        let (steps, references, broken, sections) = self.steps(&fields);
        let steps = self.connect(steps, &references, &broken);
        self.check_reads(&steps, &references);
        let criteria = self.criteria(&fields, &steps, &broken);
        let words = |key: &str| -> Vec<String> {
            let node = fields.get(key).and_then(|node| self.resolved(node));
            let words = node.map_or_else(Vec::new, |node| reader.words(&node, &format!("`{key}`")));
            words.into_iter().map(|(_, word)| word).collect()
        };
        Some(Procedure {
            id: id.clone(),
            title: title?,
            original_title: fields.text(reader, "original_title"),
            purpose: fields.text(reader, "purpose"),
            owner: fields.text(reader, "owner"),
            schedule: fields.get("schedule").and_then(|node| self.schedule(node)),
            budget: fields.get("budget").and_then(|node| reader.duration(node, "`budget`")),
            escalate: fields.get("escalate").and_then(|node| self.escalate(node)),
            report: fields.get("report").and_then(|node| self.choice(node, "`report`", &["emergency"])),
            symptoms: words("symptoms"),
            lock: words("lock"),
            unattended: fields
                .get("unattended")
                .and_then(|node| self.choice(node, "`unattended`", &["allow"]))
                .is_some(),
            source: Arc::clone(&reader.source),
            root: Node::empty(),
            sections,
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
        } else if When::parse(&text).is_none() {
            let help =
                "minutes are 0-59, hours 0-23, days 1-31, months 1-12 or jan-dec, days of the week 0-7 or sun-sat";
            self.reader.error(&cron.span, format!("cron cannot read `{text}`"), "", help);
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

    /// The steps, what they refer to, the ids of those that are wrong (references to these are no second mistake), and
    /// the sections.
    fn steps(&self, fields: &Fields<'_>) -> (Vec<Step>, Vec<References>, HashSet<String>, Vec<Section>) {
        let mut list = StepList::default();
        if let Some(node) = fields.required(self.reader, "steps", "a procedure") {
            if node.is_null() || node.list().is_some_and(<[Node]>::is_empty) {
                self.reader.error(
                    &node.span,
                    "a procedure without steps checks nothing",
                    "",
                    "add a step; `opsctl explain http` shows one",
                );
            } else {
                for item in self.reader.items(node, "`steps`") {
                    if item.get("section").is_some() {
                        self.section(item, &mut list);
                    } else {
                        self.one_step(item, None, &mut list);
                    }
                }
            }
        }
        (list.steps, list.references, list.broken, list.sections)
    }

    fn section(&self, item: &Node, list: &mut StepList) {
        let reader = self.reader;
        let Some(fields) = reader.fields(item, "a section", keys::SECTION) else { return };
        let title = fields.text(reader, "section").unwrap_or_default();
        let budget = fields.get("budget").and_then(|node| reader.duration(node, "`budget`"));
        list.sections.push(Section { title, budget });
        let index = list.sections.len() - 1;
        let Some(steps) = fields.required(reader, "steps", "a section") else { return };
        for item in reader.items(steps, "`steps`") {
            self.one_step(item, Some(index), list);
        }
    }

    fn one_step(&self, item: &Node, section: Option<usize>, list: &mut StepList) {
        let Some((mut step, reference)) = self.step(item) else {
            if let Some(id) = item.get("id").and_then(Node::scalar) {
                list.broken.extend([id.to_owned(), id.replace('-', "_")]);
            }
            return;
        };
        if list.steps.iter().any(|known| known.id.variable() == step.id.variable()) {
            let span = item.get("id").map_or(item.span.clone(), |id| id.span.clone());
            let message = format!("the step `{}` exists twice", step.id);
            self.reader.error(&span, message, "", "give one of the two another id");
            return;
        }
        step.section = section;
        list.steps.push(step);
        list.references.push(reference);
    }
}

/// What was read of the steps so far.
#[derive(Default)]
struct StepList {
    steps: Vec<Step>,
    references: Vec<References>,
    broken: HashSet<String>,
    sections: Vec<Section>,
}

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
