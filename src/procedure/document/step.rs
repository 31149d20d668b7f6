//! One step: what it does, what it expects, and what it refers to.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::work::Work;
use super::{Document, Look, Made, References, Retry, RetryOn, Step, StepKind, belongs_to};
use crate::model::expectation::{Expectation, Level};
use crate::model::id::StepId;
use crate::model::input::Need;
use crate::probe;
use crate::procedure::decode::Fields;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::template::{self, Expression};
use crate::procedure::yaml::Node;
use crate::procedure::{expect, inputs, keys};

impl Document<'_> {
    pub(super) fn step(&self, node: &Node) -> Option<(Step, References)> {
        let reader = self.reader;
        let fields = reader.fields(node, "a step", keys::STEP)?;
        let id = fields.required(reader, "id", "a step").and_then(|node| self.step_id(node));
        let name = id.as_ref().map_or("?", StepId::as_str);
        let (kind, body) = self.kind_of(&fields, node, name)?;
        let mut references = References::default();
        let when = fields.get("when").and_then(|node| self.expression(node, "when", &mut references));
        let applies = self.applies(when.as_ref());
        let body = template::resolve(body, self.vars, reader);
        let (mut looks, mut attempts, mut expectations, mut work) = (Vec::new(), 1, Vec::new(), Some(Work::Look));
        match kind {
            StepKind::Probe | StepKind::Gather => {
                (looks, attempts) = self.looks(&body, kind, name, applies);
                expectations = self.expectations(&fields, kind, name, &looks);
                if let Some(reads) = template::late_reads(&body) {
                    references.reads.push((body.span.clone(), reads));
                    references.late(&body);
                }
            }
            StepKind::Action => work = self.action(&fields, &body, name, applies, &mut references),
            StepKind::Manual => work = self.manual(&fields, &body, &mut references),
            StepKind::Decision => work = self.decision(&fields, &body, &mut references),
            StepKind::Approval => work = self.approval(&body, &mut references),
            StepKind::Notify => work = self.notify(&body, &mut references),
            StepKind::Report => work = self.report(&body, &mut references),
            StepKind::Procedure => work = self.call(&body),
        }
        let for_each = fields.get("for_each").and_then(|node| self.expression(node, "for_each", &mut references));
        let text = |key: &str| {
            let node = self.resolved(fields.get(key)?)?;
            reader.text(&node, format_args!("`{key}`"))
        };
        let flag = |key: &str| {
            let given = fields.get(key).and_then(|node| self.choice(node, format_args!("`{key}`"), &["true", "false"]));
            given == Some("true")
        };
        let timeout = fields.get("timeout").and_then(|node| reader.duration(node, "`timeout`"));
        let retry = fields.get("retry").map_or_else(|| Some(Retry::attempts(attempts)), |node| self.retry(node));
        references.needs = fields.get("needs").map_or_else(Vec::new, |node| reader.words(node, "`needs`"));
        let tags = fields.get("tags").map_or_else(Vec::new, |node| reader.words(node, "`tags`"));
        let id = id?;
        let work = work?;
        let limit = match &work {
            Work::Action(act) => act.doing.kind.limit,
            _ => looks.iter().map(|look: &Look| look.kind.limit).max().unwrap_or_default(),
        };
        let step = Step {
            title: text("title").unwrap_or_else(|| id.to_string()),
            id,
            kind,
            why: text("why"),
            next: text("next"),
            tags: tags.into_iter().map(|(_, tag)| tag.into_string()).collect(),
            needs: Vec::new(),
            after: BTreeSet::new(),
            when,
            timeout: timeout.unwrap_or(limit),
            retry: retry?,
            looks,
            expectations,
            work,
            finding: flag("finding"),
            marks: fields.get("marks").and_then(|node| self.step_id(node)).map(|mark| mark.to_string()),
            for_each,
            always: flag("always"),
            section: None,
            line: reader.line(node),
        };
        Some((step, references))
    }

    /// What the step does: exactly one key says it, and the others fit it.
    fn kind_of<'n>(&self, fields: &Fields<'n>, node: &Node, name: &str) -> Option<(StepKind, &'n Node)> {
        let reader = self.reader;
        let mut given = fields.entries().filter_map(|(key, node)| Some((StepKind::of(&key.text)?, node)));
        let (kind, body) = match (given.next(), given.next()) {
            (Some(one), None) => one,
            (None, _) => {
                reader.error(
                    &reader.start_of(&node.span),
                    format!("step `{name}` does nothing"),
                    "",
                    "add `probe: { http: { url: ... } }`, or another kind",
                );
                return None;
            }
            (Some((first, _)), Some((second, body))) => {
                let message = format!("step `{name}` has `{}` and `{}`", first.word(), second.word());
                reader.error(&body.span, message, "", "make two steps of it");
                return None;
            }
        };
        for (key, node) in fields.entries() {
            // Of a `gather` that judges more can be said, see `expectations`.
            if let Some((key, kinds)) = keys::ONLY.iter().find(|(only, _)| key.is(only))
                && !kinds.contains(&kind.word())
                && kind != StepKind::Gather
            {
                let message = format!("step `{name}` is a `{}`, which has no `{key}`", kind.word());
                reader.error(&node.span, message, "", format!("`{key}` is for {}", kinds.join(", ")));
            }
        }
        Some((kind, body))
    }

    /// With the site's variables in its templates; `None` when one of them is wrong, which was said then.
    pub(super) fn resolved<'n>(&self, node: &'n Node) -> Option<Cow<'n, Node>> {
        let before = self.reader.count();
        let node = template::resolve(node, self.vars, self.reader);
        (self.reader.count() == before).then_some(node)
    }

    fn step_id(&self, node: &Node) -> Option<StepId> {
        let text = self.reader.str(node, "`id`")?;
        text.parse()
            .map_err(|error: crate::model::id::IdError| self.reader.error(&node.span, error.to_string(), "", ""))
            .ok()
    }

    fn expression(&self, node: &Node, key: &str, references: &mut References) -> Option<Expression> {
        let text = self.reader.str(node, format_args!("`{key}`"))?;
        let expression = match Expression::new(text) {
            Ok(expression) => expression,
            Err(reason) => {
                self.reader.error(
                    &node.span,
                    format!("`{key}` is no expression: {reason}"),
                    "",
                    "write for example `steps.database is failed`",
                );
                return None;
            }
        };
        let is_known = |root: &str| matches!(root, "vars" | "steps" | "run");
        for root in expression.roots().filter(|root| !is_known(root)).collect::<BTreeSet<_>>() {
            let help = format!("write `vars.{root}`, `steps.{root}` or `run.{root}`; a text needs quotes");
            self.reader.error(&node.span, format!("`{key}` knows no `{root}`"), "", help);
        }
        for name in expression.vars().filter(|name| !self.vars.contains_key(*name)).collect::<BTreeSet<_>>() {
            let help = suggestion(name, self.vars.keys().map(String::as_str), "defined are");
            self.reader.error(&node.span, format!("the variable `{name}` is not defined"), "undefined", help);
        }
        references.reads.push((node.span.clone(), expression.reads()));
        references.computed.push((node.span.clone(), text.into()));
        Some(expression)
    }

    /// Whether the step can be reached at this site: its `when` is not false whatever the other steps find. Inputs of a
    /// step that cannot, such as the empty name of a service that the site does not have, are nobody's mistake.
    fn applies(&self, when: Option<&Expression>) -> Applies {
        let Some(when) = when.filter(|when| !when.is_of_steps_alone()) else { return Applies::Yes };
        let holds = |name: &str| Some(template::value_of(self.vars.get(name.strip_prefix("vars.")?)?)?.is_true());
        if let Some(holds) = when.lone_name().and_then(holds) {
            return if holds { Applies::Yes } else { Applies::Never };
        }
        match when.condition().and_then(holds) {
            Some(false) => return Applies::Never,
            // What reads a step cannot be told here.
            Some(true) if when.vars().count() == 1 => return Applies::Yes,
            _ => {}
        }
        let context = minijinja::context! { vars => template::context_of_some(self.vars, when.vars()) };
        // What reads a step cannot be told here, unless a variable before it decides alone.
        if when.holds(&context) == Ok(false) { Applies::Never } else { Applies::Yes }
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
            Some(node) => match self.choice(node, "`on`", &["failed", "errored"])? {
                "failed" => RetryOn::Failed,
                _ => RetryOn::Errored,
            },
        };
        Some(Retry { times: u32::try_from(times?).unwrap_or(0), wait: wait?, on })
    }

    /// The looks of a step, and how many attempts their inputs ask for.
    fn looks(&self, body: &Node, kind: StepKind, step: &str, applies: Applies) -> (Vec<Look>, u32) {
        let nodes = match (kind, body.list()) {
            (StepKind::Gather, Some(items)) if !items.is_empty() => items,
            _ => std::slice::from_ref(body),
        };
        let mut attempts = 1;
        let looks = nodes.iter().filter_map(|node| self.look(node, kind, step, applies, &mut attempts)).collect();
        (looks, attempts)
    }

    /// What is made when the step's turn comes.
    pub(super) fn late<T: ?Sized>(&self, inputs: &Node) -> Made<T> {
        Made::Late { inputs: inputs.clone(), source: Arc::clone(&self.reader.source) }
    }

    fn look(&self, node: &Node, kind: StepKind, step: &str, applies: Applies, attempts: &mut u32) -> Option<Look> {
        let reader = self.reader;
        let word = kind.word();
        let help = std::fmt::from_fn(|f| match node.scalar().and_then(probe::kind) {
            Some(kind) => {
                write!(f, "write `{word}: {{ {} }}`; `opsctl explain {}` tells its inputs", empty(kind), kind.name)
            }
            None => write!(f, "write `{word}: {{ http: {{ url: ... }} }}`; kinds are {}", kind_names()),
        });
        let (key, inputs) = reader.single(node, format_args!("`{word}` of step `{step}`"), help)?;
        let Some(found) = probe::kind(&key.text) else {
            let help = suggestion(&key.text, probe::KINDS.iter().map(|kind| kind.name), "kinds are");
            reader.error(&key.span, format!("there is no kind of probe `{}`", key.text), "unknown kind", help);
            return None;
        };
        if applies == Applies::Never {
            return Some(Look { kind: found, made: self.late(inputs) });
        }
        let read = inputs::read(reader, inputs, found.name, found.inputs, self.around)?;
        if let Some(wanted) = read.integer("attempts").and_then(|attempts| u32::try_from(attempts).ok()) {
            *attempts = (*attempts).max(wanted);
        }
        if template::waits(inputs) {
            return Some(Look { kind: found, made: self.late(inputs) });
        }
        match (found.build)(&read) {
            Ok(probe) => Some(Look { kind: found, made: Made::Ready(probe) }),
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

/// Whether a step can be reached at the site.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Applies {
    Yes,
    Never,
}

/// A look of this kind, as it is written with no more inputs than it must have.
fn empty(kind: &probe::Kind) -> String {
    let inputs = kind.inputs.iter().filter(|input| input.need == Need::Required);
    let inputs: Vec<String> = inputs.map(|input| format!(" {}: ... ", input.name)).collect();
    format!("{}: {{{}}}", kind.name, inputs.join(","))
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
            expectations.insert(0, Expectation { level, fact: spec.name.into(), condition });
        }
    }
}

impl Retry {
    /// As many looks as `attempts`, a second apart, until one passes.
    fn attempts(attempts: u32) -> Self {
        Self { times: attempts.saturating_sub(1), wait: Duration::from_secs(1), on: RetryOn::Both }
    }
}
