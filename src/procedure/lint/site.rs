//! The site file against all procedures of its packs.

use std::collections::HashMap;
use std::sync::Arc;

use super::texts::{is_secret_name, passwords};
use super::{Linted, Reader};
use crate::model::id::ProcedureId;
use crate::procedure::diagnostic::{Diagnostics, nearest, suggestion};
use crate::procedure::inputs::SECRET_HELP;
use crate::procedure::library::{Library, read_source, templates};
use crate::procedure::site::Site;
use crate::procedure::yaml::{self, Node};

/// What no procedure alone can show: roles that nobody has, titles that two have, and what is in the site file for
/// nothing.
#[must_use]
pub fn across(site: &Site, library: &Library, linted: &[Linted]) -> Diagnostics {
    let mut remarks = titles(linted);
    remarks.extend(roles(site, linted));
    let source = site.file.as_ref().and_then(|file| read_source(file).ok());
    if let Some(source) = source
        && let Ok(root) = yaml::parse(&source)
    {
        let reader = Reader::new(source);
        if let Some(vars) = root.get("vars") {
            variables(&reader, vars, site, library, linted);
        }
        waivers(&reader, &root, linted);
        passwords(&reader, &root);
        remarks.extend(reader.into_problems());
    }
    remarks
}

fn titles(linted: &[Linted]) -> Diagnostics {
    let mut remarks = Diagnostics::default();
    let mut known: HashMap<&str, &ProcedureId> = HashMap::new();
    for later in linted {
        let Some((span, title)) =
            later.title.as_ref().and_then(|span| Some((span, later.source.text.get(span.clone())?)))
        else {
            continue;
        };
        let first = *known.entry(title).or_insert(&later.id);
        if *first != later.id {
            let reader = Reader::new(Arc::clone(&later.source));
            let message = format!("{} has the title of {first}", later.id);
            reader.remark(span, message, "say in each what is different: lists of procedures show titles");
            remarks.extend(reader.into_problems());
        }
    }
    remarks
}

/// Each once, where it is named first. A site without any roles leaves them to people.
fn roles(site: &Site, linted: &[Linted]) -> Diagnostics {
    let mut remarks = Diagnostics::default();
    if site.roles.is_empty() {
        return remarks;
    }
    let named = || linted.iter().flat_map(|linted| linted.roles.iter().map(move |named| (linted, named)));
    let mut seen: Vec<&str> = Vec::new();
    for (linted, (role, what, span)) in named() {
        if site.roles.contains_key(role) || seen.contains(&role.as_str()) {
            continue;
        }
        seen.push(role);
        let others = named().filter(|(_, (other, _, _))| other == role).count() - 1;
        let others = match others {
            0 => String::new(),
            1 => "; it is named in one more place".to_owned(),
            _ => format!("; it is named in {others} more places"),
        };
        let reader = Reader::new(Arc::clone(&linted.source));
        let help = suggestion(role, site.roles.keys().map(String::as_str), "its roles are");
        reader.remark(span, format!("the site file has no role `{role}`, who {what}{others}"), help);
        remarks.extend(reader.into_problems());
    }
    remarks
}

/// Variables that nothing reads, and those that are called a secret and stand there as they are.
fn variables(reader: &Reader, node: &Node, site: &Site, library: &Library, linted: &[Linted]) {
    let texts = || linted.iter().map(|linted| linted.source.text.as_str()).chain(templates(site));
    for (key, value) in node.map().unwrap_or_default() {
        if !texts().any(|text| has_word(text, &key.text)) {
            let near = nearest(&key.text, library.defaults().filter(|name| !site.vars.contains_key(*name)));
            let help = near.map_or_else(
                || "remove it, or correct its name".to_owned(),
                |near| format!("did you mean `{near}`? Now its value is the one of the pack"),
            );
            reader.remark(&key.span, format!("nothing reads the variable `{}`", key.text), help);
        }
        if is_secret_name(&key.text) && value.scalar().is_some_and(|text| !text.is_empty()) {
            reader.hide(&value.span);
            reader.remark(&key.span, format!("the variable `{}` stands in the file as it is", key.text), SECRET_HELP);
        }
    }
}

/// Whether `name` stands in `text`, and not as a part of another name.
fn has_word(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part))
}

/// Waivers of steps that are not there: they cover nothing, and nobody would see it.
fn waivers(reader: &Reader, root: &Node, linted: &[Linted]) {
    for waiver in root.get("waivers").and_then(Node::list).unwrap_or_default() {
        let Some((node, named)) = waiver.get("step").and_then(|node| Some((node, node.scalar()?))) else { continue };
        let ids: Vec<String> =
            linted.iter().flat_map(|linted| linted.steps.iter().map(|step| format!("{}.{step}", linted.id))).collect();
        if ids.iter().any(|id| id == named) {
            continue;
        }
        let help = match nearest(named, ids.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write group/procedure.step, such as `daily/system-health.disk-free`".to_owned(),
        };
        reader.remark(&node.span, format!("this waiver covers nothing: there is no step `{named}`"), help);
    }
}
