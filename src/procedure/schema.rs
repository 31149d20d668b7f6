//! JSON Schemas of the documents, made from the same tables that the loader reads by.

use serde_json::{Map, Value as Json, json};

use super::keys::{self, Form, KeySpec};
use crate::model::fact::{FactSpec, FactType};
use crate::model::input::{InputSpec, InputType, Need};
use crate::{action, probe};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
const AMOUNT: &str = r"[0-9][0-9_]*(\.[0-9]+)?";
const NUMBER: &str = r"[-+]?[0-9][0-9_]*(\.[0-9]+)?";
/// With the space after it.
const RELATION: &str = r"((above|at least|below|at most) \s*|(>=|<=|>|<)\s*)";

/// Of a procedure's file.
#[must_use]
pub fn procedure() -> Json {
    let mut schema = object(keys::PROCEDURE);
    schema["$schema"] = json!(DRAFT);
    schema["title"] = json!("opsctl procedure");
    schema["$defs"] = definitions();
    schema
}

/// What a procedure's schema says in more than one place: it is said once, and referred to.
fn definitions() -> Json {
    let mut all = conditions();
    for kind in probe::KINDS {
        all.insert(format!("{}_inputs", kind.name), inputs(kind.inputs));
        all.insert(format!("{}_facts", kind.name), facts(kind.facts));
    }
    all.insert("look".to_owned(), look());
    all.insert("action".to_owned(), action());
    all.insert("step".to_owned(), step());
    all.into()
}

fn defined(name: &str) -> Json {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// Of the site file.
#[must_use]
pub fn site() -> Json {
    let mut schema = object(keys::SITE);
    schema["$schema"] = json!(DRAFT);
    schema["title"] = json!("opsctl site file");
    schema
}

/// Of a file of tests.
#[must_use]
pub fn test() -> Json {
    let mut schema = object(keys::TEST);
    schema["$schema"] = json!(DRAFT);
    schema["title"] = json!("opsctl tests of a procedure");
    schema
}

/// A step: exactly one kind, and only the keys of that kind.
fn step() -> Json {
    let mut step = object(keys::STEP);
    let others = keys::KINDS.iter().filter(|kind| **kind != "probe").map(|kind| {
        let foreign = keys::KINDS.iter().filter(|other| *other != kind);
        let reserved = keys::ONLY.iter().filter(|(_, kinds)| !kinds.contains(kind)).map(|(key, _)| key);
        let never: Vec<Json> = foreign.chain(reserved).map(|key| json!({"required": [key]})).collect();
        json!({"required": [kind], "not": {"anyOf": never}})
    });
    step["oneOf"] = Json::Array(probe::KINDS.iter().map(|kind| step_of(kind)).chain(others).collect());
    step
}

/// A step with a probe of this kind: its expectations name facts of this kind.
fn step_of(kind: &probe::Kind) -> Json {
    let look = json!({
        "type": "object", "additionalProperties": false, "required": [kind.name],
        "properties": { kind.name: defined(&format!("{}_inputs", kind.name)) },
    });
    let facts = defined(&format!("{}_facts", kind.name));
    let foreign = keys::KINDS.iter().filter(|other| **other != "probe");
    let reserved = keys::ONLY.iter().filter(|(_, kinds)| !kinds.contains(&"probe")).map(|(key, _)| key);
    let never: Vec<Json> = foreign.chain(reserved).map(|key| json!({"required": [key]})).collect();
    json!({
        "required": ["probe"],
        "not": {"anyOf": never},
        "anyOf": [{"required": ["expect"]}, {"required": ["prefer"]}],
        "properties": { "probe": look, "expect": facts.clone(), "prefer": facts },
    })
}

fn object(specs: &[KeySpec]) -> Json {
    let mut properties = Map::new();
    for spec in specs {
        let mut schema = form(spec.form);
        schema["description"] = json!(spec.about);
        properties.insert(spec.name.to_owned(), schema);
    }
    let required: Vec<&str> = specs.iter().filter(|spec| spec.required).map(|spec| spec.name).collect();
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

/// A text, however YAML reads it: `title: 2026` is a text to the loader.
fn text() -> Json {
    json!({"anyOf": [{"type": "string", "pattern": r"\S"}, {"type": ["number", "boolean"]}]})
}

fn duration() -> Json {
    json!({"type": "string", "pattern": r"^\s*\+?[0-9][0-9_]*(\.[0-9]+)?\s*(ms|s|min|m|h|d|w)\s*$"})
}

fn form(form: Form) -> Json {
    match form {
        Form::Text => text(),
        Form::Id => {
            json!({"anyOf": [{"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*$"}, {"type": "integer", "minimum": 0}]})
        }
        Form::Words => json!({"type": "array", "minItems": 1, "uniqueItems": true, "items": text()}),
        Form::Arguments => json!({"type": "array", "minItems": 1, "items": text()}),
        Form::Duration => {
            let mut some = duration();
            some["not"] = json!({"type": "string", "pattern": r"^\s*\+?[0_]+(\.0+)?\s*[a-z]"});
            some
        }
        Form::Day => json!({"type": "string", "pattern": r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$"}),
        Form::Keys(keys) => object(keys),
        Form::List(keys) => json!({"type": "array", "minItems": 1, "items": object(keys)}),
        Form::Named(keys) => json!({"type": "object", "additionalProperties": object(keys)}),
        Form::Policies(keys) => {
            let tracks = json!({"type": "array", "minItems": 1, "items": object(keys)});
            let rows = json!({"type": "object", "additionalProperties": tracks});
            json!({"type": "object", "additionalProperties": rows})
        }
        Form::Choice(choices) => json!({"enum": choices}),
        Form::Integer(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Form::MaybeSecret => maybe_secret(),
        Form::Vars => json!({
            "type": ["object", "null"],
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "not": {"enum": ["steps", "run", "vars", "item"]}},
            "additionalProperties": {"anyOf": [
                {"type": ["string", "number", "boolean", "null"], "not": template()},
                {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}},
                secret(),
            ]},
        }),
        Form::Look => defined("look"),
        Form::Looks => {
            json!({"anyOf": [defined("look"), {"type": "array", "minItems": 1, "items": defined("look")}]})
        }
        Form::Conditions | Form::BySteps(_) => json!({"type": "object", "minProperties": 1}),
        Form::Action => defined("action"),
        Form::Flag => json!({"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}]}),
        Form::TextOrWords => json!({"anyOf": [text(), {"type": "array", "minItems": 1, "items": text()}]}),
        Form::Points => json!({"anyOf": [text(), named_texts()]}),
        Form::Choices => named_texts(),
        Form::TextOr(keys) => json!({"anyOf": [text(), object(keys)]}),
        Form::WordsOr(keys) => {
            json!({"anyOf": [{"type": "array", "minItems": 1, "uniqueItems": true, "items": text()}, object(keys)]})
        }
        Form::Steps(_, sections) => {
            let step = defined("step");
            let mut section = object(sections);
            section["properties"]["steps"] = json!({"type": "array", "minItems": 1, "items": step});
            json!({"type": "array", "minItems": 1, "items": {
                "if": {"required": ["section"]}, "then": section, "else": step}})
        }
    }
}

fn named_texts() -> Json {
    json!({"type": "object", "minProperties": 1, "additionalProperties": text(),
        "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*$"}})
}

fn action() -> Json {
    let kinds: Map<String, Json> =
        action::KINDS.iter().map(|kind| (kind.name.to_owned(), inputs(kind.inputs))).collect();
    json!({"type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1, "properties": kinds})
}

fn look() -> Json {
    let one = |kind: &probe::Kind| (kind.name.to_owned(), defined(&format!("{}_inputs", kind.name)));
    let kinds: Map<String, Json> = probe::KINDS.iter().map(|kind| one(kind)).collect();
    json!({"type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1, "properties": kinds})
}

fn secret() -> Json {
    json!({"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
        "properties": {"env": text(), "file": text(), "command": {"type": "array", "minItems": 1, "items": text()}}})
}

fn maybe_secret() -> Json {
    json!({"anyOf": [text(), secret()]})
}

fn inputs(specs: &[InputSpec]) -> Json {
    let mut properties = Map::new();
    for spec in specs {
        let mut alternatives = vec![input(spec.ty), template()];
        if spec.need != Need::Required {
            alternatives.push(json!({"type": "null"}));
            alternatives.push(json!({"enum": [""]}));
            alternatives.push(json!({"type": "array", "maxItems": 0}));
        }
        let mut schema = json!({"anyOf": alternatives, "description": spec.about});
        if let Need::Default(default) = spec.need {
            schema["default"] = json!(default);
        }
        properties.insert(spec.name.to_owned(), schema);
    }
    let required: Vec<&str> = specs.iter().filter(|spec| spec.need == Need::Required).map(|spec| spec.name).collect();
    let kind = if required.is_empty() { json!(["object", "null"]) } else { json!("object") };
    json!({"type": kind, "additionalProperties": false, "required": required, "properties": properties})
}

fn template() -> Json {
    json!({"type": "string", "pattern": r"\{\{"})
}

fn input(ty: InputType) -> Json {
    let many = |one: Json| json!({"anyOf": [one.clone(), {"type": "array", "minItems": 1, "items": one}]});
    match ty {
        InputType::Text | InputType::Database | InputType::Path => text(),
        InputType::Pattern => {
            json!({"anyOf": [{"type": "string", "format": "regex", "pattern": r"\S"}, {"type": ["number", "boolean"]}]})
        }
        InputType::Texts | InputType::Paths | InputType::Patterns | InputType::Procedures => many(text()),
        InputType::Arguments => {
            json!({"type": "array", "minItems": 1, "items": {"type": ["string", "number", "boolean", "null"]}})
        }
        InputType::Bool => json!({"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}]}),
        InputType::Integer { least, most } => {
            json!({"anyOf": [{"type": "integer", "minimum": least, "maximum": most}, {"type": "string", "pattern": "^[-+]?[0-9]+$"}]})
        }
        InputType::Duration => duration(),
        InputType::Size => {
            json!({"type": "string", "pattern": r"^\s*\+?[0-9][0-9_]*(\.[0-9]+)?\s*(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)\s*$"})
        }
        InputType::Choice(choices) => {
            let numbers: Vec<i64> = choices.iter().filter_map(|choice| choice.parse().ok()).collect();
            json!({"anyOf": [{"enum": choices}, {"enum": numbers}]})
        }
        InputType::Secret => secret(),
        InputType::Pairs => json!({"type": "object", "additionalProperties": maybe_secret()}),
        InputType::Json => json!({}),
        InputType::Group(specs) => inputs(specs),
        InputType::Groups(specs) => json!({"type": "array", "minItems": 1, "items": inputs(specs)}),
    }
}

fn facts(specs: &[FactSpec]) -> Json {
    let mut properties = Map::new();
    for spec in specs {
        let condition = reference(spec.ty);
        let mut schema = if spec.family {
            json!({"type": "object", "minProperties": 1, "additionalProperties": condition})
        } else {
            condition
        };
        schema["description"] = json!(spec.about);
        properties.insert(spec.name.to_owned(), schema);
    }
    json!({"type": "object", "minProperties": 1, "additionalProperties": false, "properties": properties})
}

/// The units that fit a type, as an alternative of a regular expression; `None` where there are no numbers.
fn unit(ty: FactType) -> Option<&'static str> {
    const SIZE: &str = r"\s*(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)";
    match ty {
        FactType::Bool | FactType::Text | FactType::Texts => None,
        FactType::Count => Some(""),
        FactType::Percent => Some(r"\s*%"),
        FactType::Size => Some(SIZE),
        FactType::SizeShare => Some(r"(\s*%|\s*(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB))"),
        FactType::Duration => Some(r"\s*(ms|s|min|m|h|d|w)"),
        FactType::Rate => Some(r"\s*/(s|min)"),
        FactType::Throughput => Some(r"\s*(B|KiB|MiB|GiB|Mbit|Gbit)/s"),
        FactType::Any => {
            Some(r"\s*(%|B|KiB|MiB|GiB|TiB|kB|MB|GB|TB|ms|s|min|m|h|d|w|/s|/min|(B|KiB|MiB|GiB|Mbit|Gbit)/s)?")
        }
    }
}

fn scalar(ty: FactType) -> Vec<Json> {
    let groups = r"(one of|any of|all of)\s*\[.+\]";
    let Some(unit) = unit(ty) else {
        return match ty {
            FactType::Bool => vec![
                json!({"type": "boolean"}),
                json!({"type": "string", "pattern": format!("^(not )*(true|false|{groups})$")}),
            ],
            FactType::Texts => {
                vec![json!({"type": "string", "pattern": format!(r"^(not )*((contains|matches)\s+\S.*|{groups})$")})]
            }
            _ => vec![text()],
        };
    };
    if ty == FactType::Any {
        return vec![text()];
    }
    let number = format!("{NUMBER}{unit}");
    let earlier = r"(previous|median\([0-9]+\))";
    let forms = [
        number.clone(),
        format!(r"{number}\.\.{number}"),
        format!("{RELATION}{number}"),
        format!(r"within \s*\+?{AMOUNT}\s*%\s+of\s+{earlier}"),
        format!(r"{RELATION}{NUMBER}\s*%\s+of\s+{earlier}"),
        format!(r"(rises|falls)\s+{RELATION}{NUMBER}(\s*%|{unit})\s+per\s+(hour|day|week)"),
        groups.to_owned(),
    ];
    let pattern = format!(r"^\s*(not )*({})\s*$", forms.join("|"));
    let mut schemas = vec![json!({"type": "string", "pattern": pattern})];
    if ty == FactType::Count {
        schemas.push(json!({"type": "number"}));
    }
    schemas
}

/// A condition on a fact of this type.
fn reference(ty: FactType) -> Json {
    defined(&definition(ty))
}

fn definition(ty: FactType) -> String {
    ty.describe().0.replace(' ', "_")
}

/// The conditions on every type of fact, which refer to themselves.
fn conditions() -> Map<String, Json> {
    let types = probe::KINDS.iter().flat_map(|kind| kind.facts).map(|fact| fact.ty);
    types.map(|ty| (definition(ty), condition(ty))).collect()
}

fn condition(ty: FactType) -> Json {
    let literal = match (unit(ty), ty) {
        (_, FactType::Text | FactType::Any) => text(),
        (Some(unit), _) => {
            let mut alternatives = vec![json!({"type": "string", "pattern": format!("^{NUMBER}{unit}$")})];
            if ty == FactType::Count {
                alternatives.push(json!({"type": "number"}));
            }
            json!({"anyOf": alternatives})
        }
        (None, FactType::Bool) => json!({"type": "boolean"}),
        (None, _) => json!(false),
    };
    let mut alternatives = scalar(ty);
    alternatives.push(json!({"type": "array", "minItems": 1, "items": literal}));
    let nested = reference(ty);
    for word in ["all", "any"] {
        alternatives.push(json!({"type": "object", "additionalProperties": false, "required": [word],
            "properties": {word: {"type": "array", "minItems": 1, "items": nested}}}));
    }
    alternatives.push(
        json!({"type": "object", "additionalProperties": false, "required": ["not"], "properties": {"not": nested}}),
    );
    json!({"anyOf": alternatives})
}
