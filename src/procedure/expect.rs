//! `expect` and `prefer`: nodes against the facts of the kind.

use compact_str::{CompactString, format_compact};

use super::decode::Reader;
use super::diagnostic::{nearest, suggestion};
use super::yaml::{Key, Node, NodeKind};
use crate::model::condition::{Condition, ConditionError};
use crate::model::expectation::{Expectation, Level};
use crate::model::fact::{FactSpec, FactType};

/// Reads one of the two blocks. `step` and `kind` are for messages.
pub fn read(
    reader: &Reader,
    node: &Node,
    level: Level,
    step: &str,
    kind: &str,
    facts: &[FactSpec],
) -> Vec<Expectation> {
    let word = match level {
        Level::Expect => "expect",
        Level::Prefer => "prefer",
    };
    let entries = match node.map() {
        Some(entries) if !entries.is_empty() => entries,
        _ => {
            let message = format!("the `{word}` of step `{step}` says nothing");
            let help = format!("write `{word}: {{ fact: condition }}`; {kind} reports {}", names(facts));
            reader.error(&node.span, message, "", help);
            return Vec::new();
        }
    };
    let mut expectations = Vec::with_capacity(entries.len() + 1);
    for (key, value) in entries {
        let Some(spec) = facts.iter().find(|spec| key.is(spec.name)) else {
            unknown(reader, key, word, step, kind, facts);
            continue;
        };
        if !spec.family {
            push(reader, &mut expectations, level, key.text.clone(), value, spec.ty);
            continue;
        }
        match value.map() {
            Some(members) if !members.is_empty() => {
                for (member, value) in members {
                    push(
                        reader,
                        &mut expectations,
                        level,
                        format_compact!("{}.{}", spec.name, member.text),
                        value,
                        spec.ty,
                    );
                }
            }
            _ => {
                let message = format!("`{}` is a family of facts; say which one", spec.name);
                let help = format!("write `{}: {{ name: {} }}`", spec.name, spec.ty.describe().1);
                reader.error(&value.span, message, "", help);
            }
        }
    }
    expectations
}

fn names(facts: &[FactSpec]) -> String {
    facts.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ")
}

fn unknown(reader: &Reader, key: &Key, word: &str, step: &str, kind: &str, facts: &[FactSpec]) {
    let message = format!("step `{step}` {word}s `{}`, which the {kind} probe does not report", key.text);
    let known = facts.iter().map(|spec| spec.name);
    let help = match nearest(&key.text, known.clone()) {
        Some(near) => format!("did you mean `{near}`? It reports: {}", names(facts)),
        None => suggestion(&key.text, known, "it reports:"),
    };
    reader.error(&key.span, message, "no such fact", help);
}

fn push(
    reader: &Reader,
    expectations: &mut Vec<Expectation>,
    level: Level,
    fact: CompactString,
    node: &Node,
    ty: FactType,
) {
    match condition(node, ty) {
        Ok(condition) => expectations.push(Expectation { level, fact, condition }),
        Err((span, error)) => reader.error(&span, format!("`{fact}`: {}", error.message), "", error.help),
    }
}

type Wrong = (std::ops::Range<usize>, ConditionError);

/// A condition as YAML writes it: a text of the grammar, a list of allowed values, or `all`, `any`, `not`.
fn condition(node: &Node, ty: FactType) -> Result<Condition, Wrong> {
    let wrong = |message: &str, help: &str| Err((node.span.clone(), ConditionError::new(message, help)));
    let (_, example) = ty.describe();
    match &node.kind {
        NodeKind::Late(_) => {
            wrong("an expectation cannot depend on the results of the run", "compare in a `when`, or in SQL")
        }
        NodeKind::Scalar { text, .. } => {
            if node.is_null() {
                return wrong("nothing is expected", &format!("write for example `{example}`"));
            }
            Condition::parse(text, ty).map_err(|error| (node.span.clone(), error))
        }
        NodeKind::List(items) => {
            if let Some(item) = items.iter().find(|item| item.scalar().is_none()) {
                let error = ConditionError::new(
                    "a list holds allowed values only",
                    "write `[200, 204]`, or `any: [...]` for conditions",
                );
                return Err((item.span.clone(), error));
            }
            Condition::one_of(items.iter().filter_map(Node::scalar), ty).map_err(|error| (node.span.clone(), error))
        }
        NodeKind::Map(entries) => {
            let [(key, value)] = entries.as_slice() else {
                return wrong(
                    "a combination has exactly one key",
                    "write `{ all: [...] }`, `{ any: [...] }` or `{ not: ... }`",
                );
            };
            match key.text.as_str() {
                "not" => Ok(Condition::Not(Box::new(condition(value, ty)?))),
                "all" => several(value, ty).map(Condition::All),
                "any" => several(value, ty).map(Condition::Any),
                _ => wrong(
                    &format!("`{}` is no combination", key.text),
                    "write `{ all: [...] }`, `{ any: [...] }` or `{ not: ... }`; only families of facts take names",
                ),
            }
        }
    }
}

fn several(node: &Node, ty: FactType) -> Result<Vec<Condition>, Wrong> {
    match node.list() {
        Some(items) if !items.is_empty() => items.iter().map(|item| condition(item, ty)).collect(),
        _ => Err((
            node.span.clone(),
            ConditionError::new("a combination needs a list of conditions", "write `[above 20%, above 50GiB]`"),
        )),
    }
}
