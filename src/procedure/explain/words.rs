//! Single words of the format: a key, a fact or an input of a kind.

use std::fmt::Write as _;

use super::{entry, input_entries, key_form, table};
use crate::action;
use crate::model::fact::FactSpec;
use crate::model::input::{InputSpec, InputType};
use crate::probe;
use crate::procedure::keys::{self, KeySpec};

/// Where the keys of documents stand.
const TABLES: &[(&str, &[KeySpec])] = &[
    ("a procedure", keys::PROCEDURE),
    ("a section of steps", keys::SECTION),
    ("the site file", keys::SITE),
    ("the file pack.yaml", keys::PACK),
    ("a file of tests", keys::TEST),
];

/// Every key of this name, wherever it stands.
pub fn key(word: &str) -> Option<String> {
    let mut found: Vec<(String, &KeySpec)> = Vec::new();
    for (place, specs) in TABLES {
        collect(word, place, specs, &mut found);
    }
    let mut text = String::new();
    let mut seen: Vec<*const KeySpec> = Vec::new();
    for (place, spec) in found {
        // Tables are shared: a step of a section is a step.
        if !seen.contains(&std::ptr::from_ref(spec)) {
            seen.push(spec);
            writeln!(text, "{} (key of {place})\n", spec.name).ok();
            table(&mut text, &[*spec], 2);
            text.push('\n');
        }
    }
    let end = text.trim_end().len();
    text.truncate(end);
    (!text.is_empty()).then_some(text + "\n")
}

fn collect<'k>(word: &str, place: &str, specs: &'k [KeySpec], found: &mut Vec<(String, &'k KeySpec)>) {
    for spec in specs {
        if spec.name == word {
            found.push((place.to_owned(), spec));
        }
        if let (_, Some(inner)) = key_form(spec.form) {
            let below = match spec.name {
                "steps" => "a step".to_owned(),
                name => format!("`{name}` of {place}"),
            };
            collect(word, &below, inner, found);
        }
    }
}

/// The names of all keys.
pub fn keys() -> Vec<&'static str> {
    fn names(specs: &'static [KeySpec], all: &mut Vec<&'static str>) {
        for spec in specs {
            all.push(spec.name);
            if let (_, Some(inner)) = key_form(spec.form) {
                names(inner, all);
            }
        }
    }
    let mut all = Vec::new();
    for (_, specs) in TABLES {
        names(specs, &mut all);
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// `disk.free`, `http.json.queue.depth`, `http.basic.user`: facts and inputs of kinds of probe and action.
pub fn member(word: &str) -> Option<String> {
    let (kind, member) = word.split_once('.')?;
    let probe = probe::kind(kind).map(|kind| ("probe", kind.inputs, kind.facts));
    let action = action::kind(kind).map(|kind| ("action", kind.inputs, kind.facts));
    let mut text = String::new();
    for (of, inputs, facts) in probe.into_iter().chain(action) {
        let is_meant = |fact: &&FactSpec| crate::procedure::document::belongs_to(member, fact.name);
        if let Some(fact) = facts.iter().find(|fact| fact.name == member || (fact.family && is_meant(fact))) {
            let name = if fact.family { format!("{}: {{ NAME: }}", fact.name) } else { fact.name.to_owned() };
            let (ty, example) = fact.ty.describe();
            writeln!(text, "{word} (fact of the {kind} {of})\n").ok();
            entry(&mut text, 2, &name, ty, &fact.explained());
            writeln!(text, "\n  A condition on it: `{example}`; see `opsctl explain conditions`\n").ok();
        }
        if let Some(input) = input(inputs, member) {
            writeln!(text, "{word} (input of the {kind} {of})\n").ok();
            input_entries(&mut text, &[input], 2);
            text.push('\n');
        }
    }
    let end = text.trim_end().len();
    text.truncate(end);
    (!text.is_empty()).then_some(text + "\n")
}

/// `url`, or `basic.user` of a group.
fn input(specs: &[InputSpec], path: &str) -> Option<InputSpec> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let spec = specs.iter().find(|spec| spec.name == name)?;
    match (rest, spec.ty) {
        (None, _) => Some(*spec),
        (Some(rest), InputType::Group(specs)) => input(specs, rest),
        (Some(_), _) => None,
    }
}

/// The facts and inputs of all kinds, as `KIND.NAME`.
pub fn members() -> Vec<String> {
    let probes = probe::KINDS.iter().map(|kind| (kind.name, kind.inputs, kind.facts));
    let actions = action::KINDS.iter().map(|kind| (kind.name, kind.inputs, kind.facts));
    let of = |(kind, inputs, facts): (&str, &[InputSpec], &[FactSpec])| {
        let names = facts.iter().map(|fact| fact.name).chain(inputs.iter().map(|input| input.name));
        names.map(|name| format!("{kind}.{name}")).collect::<Vec<_>>()
    };
    probes.chain(actions).flat_map(of).collect()
}
