//! A procedure's document: from YAML to something that can be run without a further question.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::decode::{Fields, Reader};
use super::diagnostic::{Diagnostic, Diagnostics, Source, suggestion};
use super::expect;
use super::inputs::{self, Surroundings};
use super::keys;
use super::template::{self, Expression, Reads, Vars};
use super::yaml::{self, Node};
use crate::model::expectation::{Expectation, Level};
use crate::model::id::{ProcedureId, StepId};
use crate::probe::{self, Kind, Probe};

mod links;

use links::References;

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

/// Kinds of step that the format has and this version does not run.
const LATER: &[&str] = &["action", "manual", "decision", "approval", "notify", "report", "procedure"];

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
        for item in self.reader.items(node, "`steps`") {
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

    fn step(&self, node: &Node) -> Option<(Step, References)> {
        let reader = self.reader;
        if let Some((key, _)) =
            node.map().and_then(|entries| entries.iter().find(|(key, _)| LATER.contains(&key.text.as_str())))
        {
            let message = format!("steps that do something (`{}`) cannot be run by this version of opsctl", key.text);
            reader.error(&key.span, message, "", "this version looks only: `probe` and `gather`");
            return None;
        }
        let fields = reader.fields(node, "a step", keys::STEP)?;
        let id = fields.required(reader, "id", "a step").and_then(|node| self.step_id(node));
        let name = id.as_ref().map_or("?", StepId::as_str).to_owned();
        let (kind, body) = match (fields.get("probe"), fields.get("gather")) {
            (Some(node), None) => (StepKind::Probe, node),
            (None, Some(node)) => (StepKind::Gather, node),
            (Some(_), Some(node)) => {
                reader.error(&node.span, format!("step `{name}` has `probe` and `gather`"), "", "make two steps of it");
                return None;
            }
            (None, None) => {
                reader.error(
                    &reader.start_of(&node.span),
                    format!("step `{name}` does nothing"),
                    "",
                    "add `probe: { http: { url: ... } }`, or another kind",
                );
                return None;
            }
        };
        let body = template::resolve(body, self.vars, reader);
        let (looks, attempts) = self.looks(&body, kind, &name);
        let expectations = self.expectations(&fields, kind, &name, &looks);
        let mut reads: Vec<_> =
            template::late_reads(&body).map(|reads| (body.span.clone(), reads)).into_iter().collect();
        let when = fields.get("when").and_then(|node| self.when(node, &mut reads));
        let text = |key: &str| reader.text(&self.resolved(fields.get(key)?)?, &format!("`{key}`"));
        let timeout = fields.get("timeout").and_then(|node| reader.duration(node, "`timeout`"));
        let retry = fields.get("retry").map_or_else(|| Some(Retry::attempts(attempts)), |node| self.retry(node));
        let needs = fields.get("needs").map_or_else(Vec::new, |node| reader.words(node, "`needs`"));
        let tags = fields.get("tags").map_or_else(Vec::new, |node| reader.words(node, "`tags`"));
        let id = id?;
        let step = Step {
            title: text("title").unwrap_or_else(|| id.to_string()),
            id,
            kind,
            why: text("why"),
            next: text("next"),
            tags: tags.into_iter().map(|(_, tag)| tag).collect(),
            needs: Vec::new(),
            after: BTreeSet::new(),
            when,
            timeout: timeout.unwrap_or_else(|| looks.iter().map(|look| look.kind.limit).max().unwrap_or_default()),
            retry: retry?,
            looks,
            expectations,
            at: reader.at(node),
        };
        Some((step, References { needs, reads }))
    }

    /// With the site's variables in its templates; `None` when one of them is wrong, which was said then.
    fn resolved(&self, node: &Node) -> Option<Node> {
        let before = self.reader.count();
        let node = template::resolve(node, self.vars, self.reader);
        (self.reader.count() == before).then_some(node)
    }

    fn step_id(&self, node: &Node) -> Option<StepId> {
        let text = self.reader.text(node, "`id`")?;
        text.parse()
            .map_err(|error: crate::model::id::IdError| self.reader.error(&node.span, error.to_string(), "", ""))
            .ok()
    }

    fn when(&self, node: &Node, reads: &mut Vec<(Range<usize>, Reads)>) -> Option<Expression> {
        let text = self.reader.text(node, "`when`")?;
        let expression = match Expression::new(&text) {
            Ok(expression) => expression,
            Err(reason) => {
                self.reader.error(
                    &node.span,
                    format!("`when` is no expression: {reason}"),
                    "",
                    "write for example `steps.database is failed`",
                );
                return None;
            }
        };
        for root in expression.roots().collect::<BTreeSet<_>>() {
            if !matches!(root, "vars" | "steps" | "run") {
                let help = format!("write `vars.{root}`, `steps.{root}` or `run.{root}`; a text needs quotes");
                self.reader.error(&node.span, format!("`when` knows no `{root}`"), "", help);
            }
        }
        for name in expression.vars().collect::<BTreeSet<_>>() {
            if !self.vars.contains_key(name) {
                let help = suggestion(name, self.vars.keys().map(String::as_str), "defined are");
                self.reader.error(&node.span, format!("the variable `{name}` is not defined"), "undefined", help);
            }
        }
        reads.push((node.span.clone(), expression.reads()));
        Some(expression)
    }

    fn retry(&self, node: &Node) -> Option<Retry> {
        let reader = self.reader;
        let fields = reader.fields(node, "`retry`", keys::RETRY)?;
        let times = fields
            .required(reader, "times", "`retry`")
            .and_then(|node| reader.integer(node, "`times`", 1, keys::MOST_RETRIES));
        let wait = fields.get("wait").map_or(Some(Duration::from_secs(1)), |node| reader.duration(node, "`wait`"));
        let on = match fields.get("on") {
            None => RetryOn::Both,
            Some(node) => match self.choice(node, "`on`", &["failed", "errored"])?.as_str() {
                "failed" => RetryOn::Failed,
                _ => RetryOn::Errored,
            },
        };
        Some(Retry { times: u32::try_from(times?).unwrap_or(0), wait: wait?, on })
    }

    /// The looks of a step, and how many attempts their inputs ask for.
    fn looks(&self, body: &Node, kind: StepKind, step: &str) -> (Vec<Look>, u32) {
        let nodes = match (kind, body.list()) {
            (StepKind::Gather, Some(items)) if !items.is_empty() => items,
            _ => std::slice::from_ref(body),
        };
        let mut attempts = 1;
        let looks = nodes.iter().filter_map(|node| self.look(node, kind, step, &mut attempts)).collect();
        (looks, attempts)
    }

    fn look(&self, node: &Node, kind: StepKind, step: &str, attempts: &mut u32) -> Option<Look> {
        let reader = self.reader;
        let word = kind.word();
        let help = format!("write `{word}: {{ http: {{ url: ... }} }}`; kinds are {}", kind_names());
        let (key, inputs) = reader.single(node, &format!("`{word}` of step `{step}`"), &help)?;
        let Some(found) = probe::kind(&key.text) else {
            let help = suggestion(&key.text, probe::KINDS.iter().map(|kind| kind.name), "kinds are");
            reader.error(&key.span, format!("there is no kind of probe `{}`", key.text), "unknown kind", help);
            return None;
        };
        let read = inputs::read(reader, inputs, found.name, found.inputs, self.around)?;
        if let Some(wanted) = read.integer("attempts").and_then(|attempts| u32::try_from(attempts).ok()) {
            *attempts = (*attempts).max(wanted);
        }
        if template::late_reads(inputs).is_some() {
            let made = Made::Late { inputs: inputs.clone(), source: Arc::clone(&reader.source) };
            return Some(Look { kind: found, made });
        }
        match (found.build)(&read) {
            Ok(probe) => Some(Look { kind: found, made: Made::Ready(Arc::from(probe)) }),
            Err(error) => {
                let span = inputs.get(error.input).map_or_else(|| key.span.clone(), |node| node.span.clone());
                reader.error(&span, error.message, "", error.help);
                None
            }
        }
    }

    fn expectations(&self, fields: &Fields<'_>, kind: StepKind, step: &str, looks: &[Look]) -> Vec<Expectation> {
        let mut expectations = Vec::new();
        let mut stated = false;
        for (key, level) in [("expect", Level::Expect), ("prefer", Level::Prefer)] {
            let Some(node) = fields.get(key) else { continue };
            stated = true;
            if kind == StepKind::Gather {
                self.reader.error(
                    &node.span,
                    format!("step `{step}` gathers, so it judges nothing"),
                    "",
                    "make it a `probe`, or remove this",
                );
                continue;
            }
            let Some(look) = looks.first() else { continue };
            let Some(node) = self.resolved(node) else { continue };
            expectations.extend(expect::read(self.reader, &node, level, step, look.kind.name, look.kind.facts));
        }
        if kind == StepKind::Probe && !stated {
            let facts: Vec<&str> = looks.iter().flat_map(|look| look.kind.facts).map(|fact| fact.name).collect();
            let help = format!("add `expect: {{ ... }}`, or make it a `gather`; it reports {}", facts.join(", "));
            let at = self.reader.start_of(&fields.span);
            self.reader.error(&at, format!("step `{step}` expects nothing"), "", help);
        }
        implied(&mut expectations, looks);
        expectations
    }
}

/// Whether the fact `name` is `fact` or a member of that family.
#[must_use]
pub fn belongs_to(name: &str, fact: &str) -> bool {
    name == fact || name.strip_prefix(fact).is_some_and(|rest| rest.starts_with('.'))
}

fn kind_names() -> String {
    probe::KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
}

/// Adds what every step with an expectation also expects, unless the author said otherwise.
fn implied(expectations: &mut Vec<Expectation>, looks: &[Look]) {
    use crate::model::condition::{Condition, Literal};
    let Some(look) = looks.first() else { return };
    if expectations.is_empty() {
        return;
    }
    let level = if expectations.iter().any(|e| e.level == Level::Expect) { Level::Expect } else { Level::Prefer };
    for spec in look.kind.facts {
        let Some(others) = spec.implied else { continue };
        let named = |fact: &str| fact == spec.name || others.iter().any(|other| belongs_to(fact, other));
        if !expectations.iter().any(|expectation| named(&expectation.fact)) {
            let condition = Condition::Is(Literal::Bool(true));
            expectations.insert(0, Expectation { level, fact: spec.name.to_owned(), condition });
        }
    }
}

impl Retry {
    /// As many looks as `attempts`, a second apart, until one passes.
    fn attempts(attempts: u32) -> Self {
        Self { times: attempts.saturating_sub(1), wait: Duration::from_secs(1), on: RetryOn::Both }
    }
}
