//! Inputs of probes: nodes against the specification of the kind.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::decode::Reader;
use super::diagnostic::suggestion;
use super::template;
use super::yaml::{Node, NodeKind};
use crate::model::id::ProcedureId;
use crate::model::input::{Input, InputSpec, InputType, Inputs, Need};
use crate::model::pattern;
use crate::model::secret::{MaybeSecret, SecretRef};
use crate::model::unit::{parse_duration, parse_size};

/// What inputs may refer to.
pub struct Surroundings<'s> {
    pub databases: &'s [String],
    /// Of the site; `None` where they are not known.
    pub procedures: Option<Vec<&'s str>>,
    /// Where relative paths start.
    pub folder: &'s Path,
}

/// Reads the inputs of a probe of kind `kind`. Inputs whose templates are late are left out: they are read again when
/// they are known. `None` when something is wrong; the reader has all of it.
pub fn read(
    reader: &Reader,
    node: &Node,
    kind: &str,
    specs: &'static [InputSpec],
    around: &Surroundings<'_>,
) -> Option<Inputs> {
    let before = reader.count();
    let inputs = group(reader, node, kind, specs, around);
    (reader.count() == before).then_some(inputs)
}

fn group(reader: &Reader, node: &Node, what: &str, specs: &'static [InputSpec], around: &Surroundings<'_>) -> Inputs {
    let nothing = Vec::new();
    let entries = match &node.kind {
        NodeKind::Map(entries) => entries,
        _ if node.is_null() => &nothing,
        NodeKind::Scalar { .. } | NodeKind::List(_) | NodeKind::Late(_) => {
            let names: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
            let message = format!("`{what}` takes a mapping of inputs, not {}", node.describe());
            let help = if names.is_empty() {
                format!("write `{what}: {{}}`")
            } else {
                format!("its inputs are {}", names.join(", "))
            };
            reader.error(&node.span, message, "", help);
            return Inputs::default();
        }
    };
    for (key, _) in entries {
        if !specs.iter().any(|spec| key.is(spec.name)) {
            let help = suggestion(&key.text, specs.iter().map(|spec| spec.name), "it takes");
            reader.error(&key.span, format!("`{what}` has no input `{}`", key.text), "no such input", help);
        }
    }
    let defaults = specs.iter().filter(|spec| matches!(spec.need, Need::Default(_))).count();
    let mut inputs = Vec::with_capacity(entries.len() + defaults);
    for spec in specs {
        let given = entries.iter().find(|(key, _)| key.is(spec.name)).map(|(_, value)| value);
        let given = given.filter(|value| !(spec.need != Need::Required && is_empty(value)));
        let default;
        let value = match (given, spec.need) {
            (Some(value), _) => value,
            (None, Need::Default(written)) => {
                default =
                    Node { span: node.span.clone(), kind: NodeKind::Scalar { text: written.into(), quoted: false } };
                &default
            }
            (None, Need::Required) => {
                let message = format!("`{what}` needs the input `{}`: {}", spec.name, spec.about);
                reader.error(&reader.start_of(&node.span), message, "", format!("add `{}: ...`", spec.name));
                continue;
            }
            (None, Need::Optional) => continue,
        };
        if let Some(input) = one(reader, value, spec, around) {
            inputs.push((spec.name, input));
        }
    }
    Inputs(inputs)
}

/// An empty list, or an empty text made by a variable: as good as not given.
fn is_empty(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Scalar { text, .. } => node.is_null() || text.is_empty(),
        NodeKind::List(items) => items.is_empty(),
        NodeKind::Map(_) | NodeKind::Late(_) => false,
    }
}

fn one(reader: &Reader, node: &Node, spec: &InputSpec, around: &Surroundings<'_>) -> Option<Input> {
    if template::waits(node) {
        return None;
    }
    let name = &std::fmt::from_fn(|f| write!(f, "`{}`", spec.name));
    let wrong = |message: String, help: &str| {
        reader.error(&node.span, message, "", help);
        None
    };
    match spec.ty {
        InputType::Text => reader.text(node, name).map(Input::Text),
        InputType::Pattern => checked_pattern(reader, node, name).map(Input::Text),
        InputType::Texts => many(reader, node, name, |item| reader.text(item, name)).map(Input::Texts),
        InputType::Patterns => many(reader, node, name, |item| checked_pattern(reader, item, name)).map(Input::Texts),
        InputType::Arguments if node.list().is_none() => {
            let help =
                "write the program and each argument as an item: `[pg_isready, -q]`; a shell line goes under `shell`";
            wrong(format!("{name} is a list of arguments, not {}", node.describe()), help)
        }
        InputType::Arguments => {
            let arguments: Vec<Option<String>> =
                reader.items(node, name).iter().map(|item| argument(reader, item, name)).collect();
            arguments.into_iter().collect::<Option<Vec<_>>>().map(Input::Texts)
        }
        InputType::Bool => match node.scalar() {
            Some("true") => Some(Input::Bool(true)),
            Some("false") => Some(Input::Bool(false)),
            _ => wrong(format!("{name} is yes or no"), "write `true` or `false`"),
        },
        InputType::Integer { least, most } => reader.integer(node, name, least, most).map(Input::Integer),
        InputType::Duration => parse_duration(reader.str(node, name)?).map_or_else(
            |error| wrong(format!("{name}: {error}"), "write a duration, such as `2s`, `15m` or `24h`"),
            |duration| Some(Input::Duration(duration)),
        ),
        InputType::Size => parse_size(reader.str(node, name)?).map_or_else(
            |error| wrong(format!("{name}: {error}"), "write a size, such as `512MiB`"),
            |size| Some(Input::Size(size)),
        ),
        InputType::Choice(choices) => {
            let text = reader.str(node, name)?;
            if choices.contains(&text) {
                return Some(Input::Text(text.to_owned()));
            }
            wrong(format!("{name} cannot be `{text}`"), &suggestion(text, choices.iter().copied(), "it can be"))
        }
        InputType::Path => reader.str(node, name).map(|text| Input::Path(absolute(text, around.folder))),
        InputType::Paths => {
            many(reader, node, name, |item| Some(absolute(reader.str(item, name)?, around.folder))).map(Input::Paths)
        }
        InputType::Secret => match secret(reader, node, name, around.folder)? {
            MaybeSecret::Secret(secret) => Some(Input::Secret(secret)),
            MaybeSecret::Plain(_) => {
                reader.secret(&node.span, format!("{name} is a secret and must not stand in a file"));
                None
            }
        },
        InputType::Pairs => {
            let Some(entries) = node.map() else {
                return wrong(format!("{name} is a mapping from names to texts"), "write `{ name: text }`");
            };
            let pairs: Option<IndexMap<_, _>> = entries
                .iter()
                .map(|(key, value)| {
                    Some((
                        key.text.as_str().to_owned(),
                        secret(reader, value, format_args!("`{}`", key.text), around.folder)?,
                    ))
                })
                .collect();
            pairs.map(Input::Pairs)
        }
        InputType::Database => {
            let text = reader.str(node, name)?;
            if around.databases.iter().any(|known| known == text) {
                return Some(Input::Text(text.to_owned()));
            }
            let help =
                suggestion(text, around.databases.iter().map(String::as_str), "`databases` of the site file names");
            wrong(format!("the site file names no database `{text}`"), &help)
        }
        InputType::Procedures => {
            many(reader, node, name, |item| procedure(reader, item, name, around)).map(Input::Texts)
        }
        InputType::Json => Some(Input::Json(node.to_json())),
        InputType::Group(specs) => Some(Input::Group(group(reader, node, spec.name, specs, around))),
        InputType::Groups(specs) if node.list().is_some() => {
            let each = |item: &Node| Some(group(reader, item, spec.name, specs, around));
            many(reader, node, name, each).map(Input::Groups)
        }
        InputType::Groups(_) => {
            wrong(format!("{name} is a list of mappings, not {}", node.describe()), "begin each with a dash")
        }
    }
}

fn procedure(reader: &Reader, node: &Node, name: impl Display + Copy, around: &Surroundings<'_>) -> Option<String> {
    let text = reader.str(node, name)?;
    if let Err(error) = text.parse::<ProcedureId>() {
        reader.error(&node.span, format!("{name}: {error}"), "", "");
        return None;
    }
    match &around.procedures {
        Some(known) if !known.contains(&text) => {
            let help = suggestion(text, known.iter().copied(), "there are");
            reader.error(&node.span, format!("there is no procedure {text}"), "", help);
            None
        }
        _ => Some(text.to_owned()),
    }
}

/// An argument may be empty, unlike other texts.
fn argument(reader: &Reader, node: &Node, name: impl Display + Copy) -> Option<String> {
    match node.scalar() {
        Some(text) => Some(text.to_owned()),
        None => {
            let help = "a secret does not belong into arguments, which every user of the machine can read; hand it over in `env`";
            let help = if node.map().is_some() { help } else { "" };
            reader.error(&node.span, format!("an argument of {name} is a text, not {}", node.describe()), "", help);
            None
        }
    }
}

fn many<T>(
    reader: &Reader,
    node: &Node,
    name: impl Display + Copy,
    read: impl Fn(&Node) -> Option<T>,
) -> Option<Vec<T>> {
    match node.list() {
        Some([]) => {
            reader.error(&node.span, format!("{name} is an empty list"), "", "name at least one");
            None
        }
        Some(items) => {
            let read: Vec<Option<T>> = items.iter().map(read).collect();
            read.into_iter().collect()
        }
        None => Some(vec![read(node)?]),
    }
}

fn checked_pattern(reader: &Reader, node: &Node, name: impl Display + Copy) -> Option<String> {
    let text = reader.str(node, name)?;
    if let Err(reason) = pattern::check(text) {
        let help = "single quotes keep backslashes: '\\berror\\b'";
        reader.error(&node.span, format!("{name} is not a regular expression: {reason}"), "", help);
        return None;
    }
    Some(text.to_owned())
}

fn absolute(text: &str, folder: &Path) -> PathBuf {
    if let Some(rest) = text.strip_prefix("~/")
        && let Ok(home) = etcetera::home_dir()
    {
        return home.join(rest);
    }
    folder.join(text)
}

pub const SECRET_HELP: &str =
    "refer to it: `{ env: NAME }`, `{ file: /run/secrets/name }` or `{ command: [pass, name] }`";

/// A plain text or a reference to a secret.
pub fn secret(reader: &Reader, node: &Node, name: impl Display + Copy, folder: &Path) -> Option<MaybeSecret> {
    if node.map().is_none() {
        return reader.text(node, name).map(MaybeSecret::Plain);
    }
    let (key, value) = reader.single(node, name, SECRET_HELP)?;
    match key.text.as_str() {
        "env" => reader.text(value, "`env`").map(|name| MaybeSecret::Secret(SecretRef::Env(name))),
        "file" => {
            reader.text(value, "`file`").map(|path| MaybeSecret::Secret(SecretRef::File(absolute(&path, folder))))
        }
        "command" => {
            let run: Option<Vec<String>> =
                reader.items(value, "`command`").iter().map(|item| argument(reader, item, "`command`")).collect();
            run.filter(|run| !run.is_empty()).map(|run| MaybeSecret::Secret(SecretRef::Command(run)))
        }
        other => {
            reader.error(&key.span, format!("a secret cannot come from `{other}`"), "", SECRET_HELP);
            None
        }
    }
}
