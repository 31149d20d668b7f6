//! What a case tells of steps, against what their kinds can report.

use super::{ByStep, Told};
use crate::model::condition::{Condition, Literal};
use crate::model::fact::{ANSWERS, Evidence, FactSpec, FactType, Facts, Observation, Subject};
use crate::model::outcome::Outcome;
use crate::model::unit::{Dimension, Quantity};
use crate::model::value::Value;
use crate::procedure::decode::Reader;
use crate::procedure::diagnostic::{nearest, suggestion};
use crate::procedure::document::{Procedure, Step, Work};
use crate::procedure::template::Vars;
use crate::procedure::yaml::{Key, Node, NodeKind};

/// Reads what was seen, done and answered.
pub struct Teller<'t> {
    pub reader: &'t Reader,
    /// The procedure and those that it calls.
    pub planned: &'t [(Procedure, Vars)],
}

/// A fact that a thing of this nature does not have.
const INAPPLICABLE: &str = "not applicable";

impl Teller<'_> {
    /// A mapping from steps of `procedure` to what became of them.
    pub fn steps(&self, node: &Node, procedure: &Procedure, told: &mut ByStep) {
        let Some(entries) = node.map() else {
            let message = format!("`given` is a mapping from steps to what was seen, not {}", node.describe());
            self.reader.error(&node.span, message, "", "write `given: { disks: { free: 3% } }`");
            return;
        };
        for (key, value) in entries {
            let Some(step) = find(self.reader, key, procedure, &[]) else { continue };
            if let Some(one) = self.step(step, value, told) {
                told.insert((procedure.id.clone(), step.id.clone()), one);
            }
        }
    }

    fn step(&self, step: &Step, node: &Node, told: &mut ByStep) -> Option<Told> {
        match &step.work {
            Work::Look => self.look(step, node),
            Work::Manual(_) => self.word(step, node, PEOPLE),
            Work::Approval(_) => self.word(step, node, APPROVAL),
            Work::Decision(decision) => {
                let choice = self.reader.text(node, format_args!("the choice of step `{}`", step.id))?;
                if decision.points.contains_key(&choice) {
                    return Some(Told::Done { outcome: Outcome::Passed, choice: Some(choice), facts: Facts::new() });
                }
                let help = suggestion(&choice, decision.points.keys().map(String::as_str), "the choices are");
                self.reader.error(&node.span, format!("step `{}` has no choice `{choice}`", step.id), "", help);
                None
            }
            Work::Action(act) if node.map().is_some() => {
                let what = What { step, kind: act.doing.kind.name, specs: act.doing.kind.facts.iter().collect() };
                let mut subject = Subject::new("");
                self.facts(&what, node.map().unwrap_or_default(), &mut subject);
                Some(Told::Done { outcome: Outcome::Passed, choice: None, facts: subject.facts })
            }
            Work::Procedure(call) if node.map().is_some() => {
                let called = self.planned.iter().find(|(procedure, _)| procedure.id == call.run)?;
                self.steps(node, &called.0, told);
                Some(Told::Called)
            }
            Work::Action(_) | Work::Procedure(_) | Work::Notify(_) | Work::Report(_) => self.word(step, node, DOING),
        }
    }

    /// One of the words for what became of a step.
    fn word(&self, step: &Step, node: &Node, words: &[(&str, Outcome)]) -> Option<Told> {
        let text = node.scalar().unwrap_or_default();
        if let Some((_, outcome)) = words.iter().find(|(word, _)| *word == text) {
            return Some(Told::Done { outcome: *outcome, choice: None, facts: Facts::new() });
        }
        let what = if node.scalar().is_some() { format!("`{text}`") } else { node.describe().to_owned() };
        let kind = step.kind.word();
        let message = format!("what became of step `{}`, which is of the kind `{kind}`, cannot be {what}", step.id);
        self.reader.error(&node.span, message, "", suggestion(text, words.iter().map(|(word, _)| *word), "it can be"));
        None
    }

    fn look(&self, step: &Step, node: &Node) -> Option<Told> {
        let Some(entries) = node.map() else {
            let message = format!("what step `{}` has seen is a mapping of facts, not {}", step.id, node.describe());
            let help = "write `{ FACT: value }`, `{ subjects: { NAME: { FACT: value } } }` or `{ error: text }`";
            self.reader.error(&node.span, message, "", help);
            return None;
        };
        let named: Vec<&str> = step.looks.iter().map(|look| look.kind.name).collect();
        let kind = named.join(", ");
        let what = What { step, kind: &kind, specs: step.looks.iter().flat_map(|look| look.kind.facts).collect() };
        if let [(key, value)] = entries
            && key.text == "error"
        {
            return self.reader.text(value, "`error`").map(Told::Unseen);
        }
        let mut observation = Observation::default();
        let own: Vec<&(Key, Node)> = entries.iter().filter(|(key, _)| key.text != "evidence").collect();
        if let Some(node) = node.get("evidence") {
            observation.evidence.extend(self.evidence(node));
        }
        match own.as_slice() {
            [(key, subjects)] if key.text == "subjects" => {
                let subjects = subjects.map().unwrap_or_else(|| {
                    let message = format!("`subjects` is a mapping from names to facts, not {}", subjects.describe());
                    self.reader.error(&subjects.span, message, "", "write `subjects: { /var: { free: 3% } }`");
                    &[]
                });
                for (name, node) in subjects {
                    observation.subjects.push(self.subject(&what, &name.text, node));
                }
            }
            _ => {
                let mut subject = Subject::new("");
                self.facts(&what, own, &mut subject);
                what.complete(&mut subject);
                observation.subjects.push(subject);
            }
        }
        Some(Told::Seen(observation))
    }

    fn subject(&self, what: &What<'_>, name: &str, node: &Node) -> Subject {
        let mut subject = Subject::new(name);
        match node.map() {
            Some([(key, value)]) if key.text == "error" => subject.error = self.reader.text(value, "`error`"),
            Some(entries) => {
                self.facts(what, entries, &mut subject);
                what.complete(&mut subject);
            }
            None => {
                let message = format!("what was seen of `{name}` is a mapping of facts, not {}", node.describe());
                self.reader.error(&node.span, message, "", "write `{ FACT: value }` or `{ error: text }`");
            }
        }
        subject
    }

    /// Rows, which `for_each` and expressions read.
    fn evidence(&self, node: &Node) -> Option<Evidence> {
        let mut evidence = Evidence::new("given", Vec::new());
        for item in self.reader.items(node, "`evidence`") {
            match item.to_json() {
                serde_json::Value::Object(row) => evidence.rows.push(row),
                _ => {
                    let message = format!("a row of `evidence` is a mapping, not {}", item.describe());
                    self.reader.error(&item.span, message, "", "write `- { column: value }`");
                    return None;
                }
            }
        }
        Some(evidence)
    }

    fn facts<'n>(&self, what: &What<'_>, entries: impl IntoIterator<Item = &'n (Key, Node)>, subject: &mut Subject) {
        for (key, value) in entries {
            let Some(spec) = what.specs.iter().find(|spec| spec.name == key.text) else {
                self.unknown(what, key);
                continue;
            };
            if !spec.family {
                self.fact(spec.name.to_owned(), spec.ty, value, subject);
                continue;
            }
            let Some(members) = value.map().filter(|members| !members.is_empty()) else {
                let message = format!("`{}` is a family of facts; say which one", spec.name);
                self.reader.error(&value.span, message, "", format!("write `{}: {{ name: value }}`", spec.name));
                continue;
            };
            for (member, value) in members {
                self.fact(format!("{}.{}", spec.name, member.text), spec.ty, value, subject);
            }
        }
    }

    fn unknown(&self, what: &What<'_>, key: &Key) {
        let message = format!("step `{}` is given `{}`, which {} does not report", what.step.id, key.text, what.kind);
        let names: Vec<&str> = what.specs.iter().map(|spec| spec.name).collect();
        let all = names.join(", ");
        let help = match nearest(&key.text, names) {
            Some(near) => format!("did you mean `{near}`? It reports: {all}"),
            None => format!("it reports: {all}"),
        };
        self.reader.error(&key.span, message, "no such fact", help);
    }

    fn fact(&self, name: String, ty: FactType, node: &Node, subject: &mut Subject) {
        if node.scalar() == Some(INAPPLICABLE) && !matches!(ty, FactType::Text | FactType::Any) {
            subject.inapplicable.push(name);
            return;
        }
        match value(node, ty) {
            Ok(value) => subject.set(name, value),
            Err(reason) => {
                let help = format!("write for example `{name}: {}` ({})", example(ty), ty.describe().0);
                self.reader.error(&node.span, format!("`{name}`: {reason}"), "", help);
            }
        }
    }
}

/// The step that `key` names, or an error. `others` are words that may stand there as well.
pub fn find<'p>(reader: &Reader, key: &Key, procedure: &'p Procedure, others: &[&str]) -> Option<&'p Step> {
    let found = procedure.steps.iter().find(|step| step.id.as_str() == key.text);
    if found.is_none() {
        let known = procedure.steps.iter().map(|step| step.id.as_str()).chain(others.iter().copied());
        let help = suggestion(&key.text, known, "there are");
        reader.error(&key.span, format!("{} has no step `{}`", procedure.id, key.text), "no such step", help);
    }
    found
}

/// What became of a step for people.
const PEOPLE: &[(&str, Outcome)] =
    &[("done", Outcome::Passed), ("not done", Outcome::Failed), ("not applicable", Outcome::Skipped)];

const APPROVAL: &[(&str, Outcome)] = &[("agreed", Outcome::Passed), ("refused", Outcome::Failed)];

/// What became of a step that does something.
const DOING: &[(&str, Outcome)] = &[("done", Outcome::Passed), ("failed", Outcome::Failed)];

/// The step that is told of, and what it can report.
struct What<'w> {
    step: &'w Step,
    /// For messages.
    kind: &'w str,
    specs: Vec<&'w FactSpec>,
}

impl What<'_> {
    /// What every step of the kind expects holds, unless the case says otherwise: a server whose answer is given answers.
    fn complete(&self, subject: &mut Subject) {
        for spec in self.specs.iter().filter(|spec| spec.implied.is_some()) {
            let expected = self.step.expectations.iter().any(|expectation| expectation.fact == spec.name);
            if (expected || spec.name == ANSWERS) && !subject.facts.contains_key(spec.name) {
                subject.set(spec.name, Value::Bool(true));
            }
        }
    }
}

/// The value as a fact of this type; an error says what is wrong with it.
fn value(node: &Node, ty: FactType) -> Result<Value, String> {
    match (&node.kind, ty) {
        _ if node.is_null() => Err("nothing is given; a fact that is missing is left out".to_owned()),
        (NodeKind::List(items), FactType::Texts | FactType::Any) => {
            let one = if ty == FactType::Texts { FactType::Text } else { ty };
            items.iter().map(|item| value(item, one)).collect::<Result<_, _>>().map(Value::List)
        }
        (NodeKind::Scalar { text, .. }, FactType::Texts) => Ok(Value::List(vec![Value::text(text.as_str())])),
        (NodeKind::Scalar { text, .. }, FactType::Text) | (NodeKind::Scalar { text, quoted: true }, FactType::Any) => {
            Ok(Value::text(text.as_str()))
        }
        (NodeKind::Scalar { text, .. }, FactType::SizeShare) if text.contains(" of ") => share(text),
        (NodeKind::Scalar { text, .. }, _) => {
            match Condition::one_of(std::iter::once(text.as_str()), ty).map_err(|error| error.message)? {
                Condition::OneOf(literals) => {
                    literals.into_iter().next().map(value_of).ok_or_else(|| "nothing is given".to_owned())
                }
                _ => Err(format!("`{text}` is no value")),
            }
        }
        _ => Err(format!("this is {}", node.describe())),
    }
}

fn value_of(literal: Literal) -> Value {
    match literal {
        Literal::Bool(flag) => Value::Bool(flag),
        Literal::Integer(integer) => Value::Integer(integer),
        Literal::Number(quantity) => Value::Number(quantity),
        Literal::Text(text) => Value::Text(text),
    }
}

/// `3% of 40GiB`, `2GiB of 40GiB`.
fn share(text: &str) -> Result<Value, String> {
    let (part, whole) = text.split_once(" of ").unwrap_or((text, ""));
    let part: Quantity = part.parse().map_err(|error: crate::model::unit::QuantityError| error.to_string())?;
    let whole = Quantity::parse_as(whole, Dimension::Size).map_err(|error| error.to_string())?;
    let of = |amount: f64| Quantity::new(amount, Dimension::Size);
    match part.dimension() {
        Dimension::Percent => {
            Ok(Value::Share { percent: part.amount(), amount: of(whole.amount() * part.amount() / 100.0) })
        }
        Dimension::Size if whole.amount() > 0.0 => {
            Ok(Value::Share { percent: part.amount() / whole.amount() * 100.0, amount: part })
        }
        _ => Err(format!("`{text}` is no part of a whole")),
    }
}

/// A value of this type.
fn example(ty: FactType) -> &'static str {
    match ty {
        FactType::Bool => "true",
        FactType::Count | FactType::Any => "10",
        FactType::Percent => "20%",
        FactType::Size => "512MiB",
        FactType::SizeShare => "3% of 40GiB",
        FactType::Duration => "2s",
        FactType::Rate => "10/min",
        FactType::Throughput => "5MiB/s",
        FactType::Text => "some text",
        FactType::Texts => "[a, b]",
    }
}
