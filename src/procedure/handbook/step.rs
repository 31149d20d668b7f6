//! One step in words.

use serde::Serialize;

use crate::model::expectation::Level;
use crate::model::id::ProcedureId;
use crate::model::unit::Quantity;
use crate::procedure::document::{Act, Manual, Message, Notify, OnFailure, Phrase, Procedure, Step, Work};
use crate::procedure::library;
use crate::procedure::site::Site;
use crate::procedure::yaml::{Node, NodeKind};

#[derive(Serialize)]
pub struct StepView {
    number: usize,
    id: String,
    title: String,
    kind: &'static str,
    /// What it looks at, does or asks.
    parts: Vec<Part>,
    /// What must hold.
    must: Vec<String>,
    /// What should hold.
    should: Vec<String>,
    /// A name and what is said of it: when, needs, effect, before, afterwards, undo, ...
    notes: Vec<(&'static str, String)>,
    why: Option<String>,
    next: Option<String>,
}

/// A sentence, and the particulars of it.
#[derive(Serialize, Default)]
struct Part {
    says: String,
    /// `name: value`.
    inputs: Vec<String>,
    /// A procedure that it leads to.
    link: Option<String>,
}

/// As a target of links: `daily-system-health`.
pub fn anchor(id: &ProcedureId) -> String {
    id.as_str().replace('/', "-")
}

impl StepView {
    /// `node` is the step as it stands in the file, with the site's variables.
    pub fn of(index: usize, procedure: &Procedure, node: &Node, site: &Site) -> Self {
        let step = &procedure.steps[index];
        let of_level = |level: Level| {
            let of_level = step.expectations.iter().filter(move |expectation| expectation.level == level);
            of_level.map(|expectation| format!("{}: {}", expectation.fact, expectation.condition)).collect()
        };
        let mut notes = general(step, procedure);
        let parts = match &step.work {
            Work::Look => looks(step, node),
            Work::Action(act) => {
                notes.extend(around(act, procedure, node));
                vec![kind_part("Does", act.doing.kind.name, act.doing.kind.about, node.get("action"))]
            }
            Work::Manual(manual) => points(manual),
            Work::Decision(manual) => choices(manual),
            Work::Approval(approval) => {
                let of: Vec<&str> = approval.of.iter().map(|&of| procedure.steps[of].id.as_str()).collect();
                let by = approval.by.as_deref().unwrap_or("another person than the operator");
                vec![Part::says(format!("{by} agrees to: {}", of.join(", ")))]
            }
            Work::Notify(notify) => told(notify, site, &mut notes),
            Work::Report(written) => {
                vec![Part::says(format!("Writes the {} report to {}", written.kind, phrase(&written.file)))]
            }
            Work::Procedure(call) => {
                let says = format!("Runs the procedure {}", call.run);
                vec![Part { link: Some(anchor(&call.run)), ..Part::says(says) }]
            }
        };
        Self {
            number: index + 1,
            id: step.id.to_string(),
            title: step.title.clone(),
            kind: step.kind.word(),
            parts,
            must: of_level(Level::Expect),
            should: of_level(Level::Prefer),
            notes,
            why: step.why.clone(),
            next: step.next.clone(),
        }
    }
}

impl Part {
    fn says(says: String) -> Self {
        Self { says, ..Self::default() }
    }
}

fn looks(step: &Step, node: &Node) -> Vec<Part> {
    let body = node.get("probe").or_else(|| node.get("gather"));
    let bodies: Vec<Option<&Node>> = match body.and_then(Node::list) {
        Some(list) => list.iter().map(Some).collect(),
        None => vec![body],
    };
    let of = |(look, body): (&crate::procedure::document::Look, Option<&Node>)| {
        kind_part("Looks at", look.kind.name, look.kind.about, body)
    };
    step.looks.iter().zip(bodies.into_iter().chain(std::iter::repeat(None))).map(of).collect()
}

/// `Looks at (http) a web server or an API`, and the inputs below `{ http: ... }`.
fn kind_part(verb: &str, name: &str, about: &str, body: Option<&Node>) -> Part {
    let clause = about.split([';', ':', '.']).next().unwrap_or_default().trim();
    let inputs = body.and_then(|body| body.get(name)).and_then(Node::map).unwrap_or_default();
    let inputs = inputs.iter().map(|(key, value)| format!("{}: {}", key.text, flow(value))).collect();
    Part { says: format!("{verb} ({name}): {clause}"), inputs, link: None }
}

/// A value on one line, as YAML may write it.
fn flow(node: &Node) -> String {
    match &node.kind {
        NodeKind::Scalar { text, .. } | NodeKind::Late(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        NodeKind::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        NodeKind::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{}: {}", key.text, flow(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// What every kind of step may have.
fn general(step: &Step, procedure: &Procedure) -> Vec<(&'static str, String)> {
    let ids = |steps: &[usize]| ids(steps, procedure);
    let mut notes = Vec::new();
    if let Some(when) = &step.when {
        notes.push(("Only when", when.text.clone()));
    }
    if !step.needs.is_empty() {
        notes.push(("Needs", ids(&step.needs)));
    }
    if let Some(list) = &step.for_each {
        notes.push(("For each of", list.text.clone()));
    }
    if step.always {
        notes.push(("Always", "runs even after a failure".to_owned()));
    }
    if step.retry.times > 0 {
        let wait = Quantity::duration(step.retry.wait).rounded();
        notes.push(("Tried", format!("up to {} times, {wait} apart", step.retry.times + 1)));
    }
    notes
}

fn ids(steps: &[usize], procedure: &Procedure) -> String {
    steps.iter().map(|&step| procedure.steps[step].id.as_str()).collect::<Vec<_>>().join(", ")
}

/// What comes before and after an action, and how it is taken back.
fn around(act: &Act, procedure: &Procedure, node: &Node) -> Vec<(&'static str, String)> {
    let mut notes = vec![("Effect", act.effect.word().to_owned())];
    if !act.precheck.is_empty() {
        notes.push(("Before, must hold", ids(&act.precheck, procedure)));
    }
    if !act.verify.is_empty() {
        notes.push(("Afterwards, must hold", ids(&act.verify, procedure)));
    }
    match (&act.undo, &act.irreversible) {
        (Some(_), _) => notes.push(("Taken back by", node.get("undo").map(flow).unwrap_or_default())),
        (None, Some(why)) => notes.push(("Cannot be taken back", phrase(why))),
        (None, None) => {}
    }
    let failed = match act.on_failure {
        OnFailure::Stop => None,
        OnFailure::Skip => Some("go on without it"),
        OnFailure::Retry => Some("once more, then stop"),
        OnFailure::RollBack => Some("take back what was done"),
    };
    notes.extend(failed.map(|failed| ("If it fails", failed.to_owned())));
    notes
}

fn points(manual: &Manual) -> Vec<Part> {
    let mut parts: Vec<Part> = manual
        .points
        .iter()
        .map(|(name, text)| {
            Part::says(if name.is_empty() { phrase(text) } else { format!("{name}: {}", phrase(text)) })
        })
        .collect();
    if manual.note_required {
        parts.push(Part::says("A note is required.".to_owned()));
    }
    parts
}

fn choices(manual: &Manual) -> Vec<Part> {
    let choices = manual.points.iter().map(|(name, text)| format!("{name}: {}", phrase(text)));
    vec![Part { inputs: choices.collect(), ..Part::says("Choose one of:".to_owned()) }]
}

fn told(notify: &Notify, site: &Site, notes: &mut Vec<(&'static str, String)>) -> Vec<Part> {
    let to = match (&notify.escalation, notify.to.is_empty()) {
        (Some(policy), true) => format!("Tells by the escalation policy {policy}"),
        (Some(policy), false) => format!("Tells {}, then by the escalation policy {policy}", notify.to.join(", ")),
        (None, _) => format!("Tells {}", notify.to.join(", ")),
    };
    let text = match &notify.message {
        Message::Text(text) => phrase(text),
        Message::Template(name) => library::template(site, name).unwrap_or_else(|_| format!("template {name}")),
    };
    if let Some(severity) = &notify.severity {
        notes.push(("Severity", phrase(severity)));
    }
    if let Some(channel) = &notify.channel {
        notes.push(("Through", channel.clone()));
    }
    vec![Part { inputs: text.lines().map(str::to_owned).collect(), ..Part::says(format!("{to}:")) }]
}

/// The text, its templates as they were written.
fn phrase(phrase: &Phrase) -> String {
    match &phrase.0.kind {
        NodeKind::Scalar { text, .. } | NodeKind::Late(text) => text.trim().to_owned(),
        NodeKind::List(_) | NodeKind::Map(_) => flow(&phrase.0),
    }
}
