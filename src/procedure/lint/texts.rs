//! Texts that mean something else than they look like: patterns, commands for a shell, passwords.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::input::{InputSpec, InputType};
use crate::model::pattern::Pattern;
use crate::procedure::decode::{Reader, passwords_in_urls};
use crate::procedure::document::{Step, StepKind, Work};
use crate::procedure::inputs::SECRET_HELP;
use crate::procedure::template::{self, Vars};
use crate::procedure::yaml::{Node, NodeKind};

/// What only a shell understands. A semicolon is left out: `find -exec` ends with one.
const SHELL_SIGNS: &[&str] =
    &["|", "||", "&&", ">", ">>", "<", "<<", "2>", "2>&1", ">&2", "&>", "2>/dev/null", ">/dev/null"];

/// A line that reports that nothing is wrong, and that says `error` nevertheless.
const NO_ERRORS: &str = "0 errors";

/// What the looks and the actions of a step are given. `vars` are the site's.
pub fn inputs(reader: &Reader, step: &Step, node: &Node, vars: &Vars) {
    let bodies = match (node.get("probe"), node.get("gather")) {
        (Some(probe), _) => std::slice::from_ref(probe),
        (_, Some(gather)) => gather.list().unwrap_or(std::slice::from_ref(gather)),
        _ => &[],
    };
    for (look, body) in step.looks.iter().zip(bodies) {
        each(reader, step, look.kind.inputs, body, vars);
    }
    if let Work::Action(act) = &step.work {
        let undo = act.undo.iter().filter_map(|undo| Some((undo.kind.inputs, node.get("undo")?)));
        let doing = node.get("action").map(|node| (act.doing.kind.inputs, node));
        doing.into_iter().chain(undo).for_each(|(specs, node)| each(reader, step, specs, node, vars));
    }
}

/// `body` is `{ KIND: { inputs } }`.
fn each(reader: &Reader, step: &Step, specs: &[InputSpec], body: &Node, vars: &Vars) {
    let Some([(_, inputs)]) = body.map() else { return };
    // What is wrong with a template was said when the procedure was vetted.
    let unheard = Reader::new(Arc::clone(&reader.source));
    let get = |name| inputs.get(name).map(|given| template::resolve(given, vars, &unheard));
    for spec in specs {
        let look: fn(&Reader, &Node) = match spec.ty {
            InputType::Arguments => arguments,
            InputType::Pairs => plain_secrets,
            InputType::Pattern | InputType::Patterns => {
                patterns(reader, step, spec.name, get);
                continue;
            }
            _ => continue,
        };
        if let Some(given) = get(spec.name) {
            look(reader, &given);
        }
    }
}

/// Arguments that only a shell would understand, and there is none.
fn arguments(reader: &Reader, node: &Node) {
    let Some(items) = node.list() else { return };
    let help = "no shell reads `run`: write the line under `shell`, or each argument as an item";
    if let Some((first, program)) = items.first().and_then(|first| Some((first, first.scalar()?)))
        && program.contains(char::is_whitespace)
        && !program.contains('/')
    {
        reader.remark(&first.span, format!("the program is called `{program}`, with its spaces"), help);
    }
    for (before, item) in items.iter().zip(items.iter().skip(1)) {
        // The value of an option, as in `cut -d |`.
        let is_value = before.scalar().is_some_and(|before| before.starts_with('-') && before.len() == 2);
        if let Some(sign) = item.scalar().filter(|sign| SHELL_SIGNS.contains(sign) && !is_value) {
            let message = format!("`{sign}` is handed to the program as an argument");
            reader.remark(&item.span, message, help);
        }
    }
    for (option, value) in items.iter().zip(items.iter().skip(1).map(Some).chain([None])) {
        password_argument(reader, option, value);
    }
}

/// `--password=x` and `--password x`, which every user of the machine can read, and every reader of the file.
fn password_argument(reader: &Reader, option: &Node, value: Option<&Node>) {
    let Some(text) = option.scalar() else { return };
    let (name, inline) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    if !name.starts_with("--") || !is_secret_name(name.trim_start_matches('-')) {
        return;
    }
    let place = match (inline, value.and_then(Node::scalar)) {
        (Some(""), _) | (None, None) => return,
        (Some(_), _) => option,
        (None, Some(value)) if value.starts_with('-') || value.starts_with('/') => return,
        (None, Some(_)) => value.unwrap_or(option),
    };
    reader.hide(&place.span);
    let help = "hand it over in `env` or in a file, where no other user of the machine can read it";
    reader.remark(&place.span, format!("a secret stands in the file, as an argument of `{name}`"), help);
}

/// Values of headers, fields and variables of the environment that are called secrets.
fn plain_secrets(reader: &Reader, node: &Node) {
    for (key, value) in node.map().unwrap_or_default() {
        if is_secret_name(&key.text) && value.scalar().is_some_and(|text| !text.is_empty()) {
            reader.hide(&value.span);
            reader.remark(&value.span, format!("`{}` stands in the file as it is", key.text), SECRET_HELP);
        }
    }
}

/// Whether what has this name is a secret: `DB_PASSWORD`, `api-key`, `Authorization`.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let ends = ["password", "passwd", "secret", "token", "api_key", "apikey", "private_key", "passphrase"];
    ends.iter().any(|end| name.ends_with(end)) || matches!(name.as_str(), "authorization" | "proxy_authorization")
}

/// Patterns that match what they are not meant for.
fn patterns<'n>(
    reader: &Reader,
    step: &Step,
    input: &'static str,
    get: impl Fn(&'static str) -> Option<Cow<'n, Node>>,
) {
    let Some(given) = get(input) else { return };
    let folded = get("ignore_case").as_deref().and_then(Node::scalar) == Some("true");
    let matches = |pattern: &str| {
        if folded { matches(&format!("(?i){pattern}")) } else { matches(pattern) }
    };
    let is_excepted = || {
        let except = get("except");
        let except = except.as_deref().map(items).unwrap_or_default();
        except.iter().filter_map(Node::scalar).any(|except| matches(except)[2])
    };
    let counts = input == "match" && step.kind == StepKind::Probe;
    for item in items(&given) {
        let Some(pattern) = item.scalar().filter(|pattern| !pattern.is_empty()) else { continue };
        // Only what repeats or leaves open can be empty; most patterns need not be compiled.
        let may_be_empty = pattern.contains(['*', '?', '|', '{']);
        let names_errors = counts && pattern.to_ascii_lowercase().contains("err");
        if !may_be_empty && !names_errors {
            continue;
        }
        let [nothing, anything, no_errors] = matches(pattern);
        if nothing && anything {
            let help = "take the part out that may be empty (`x*`, `a|`); for any text at all write `.`";
            reader.remark(&item.span, format!("`{pattern}` matches everything, even nothing"), help);
        } else if names_errors && no_errors && !is_excepted() {
            let help = "write `\\berror\\b` for the word alone, or add `except: '\\b0 errors'`";
            reader.remark(&item.span, format!("`{pattern}` also matches `{NO_ERRORS}`"), help);
        }
    }
}

/// Whether a pattern matches nothing at all, anything at all, and a line that reports no errors. Each is tried once:
/// the steps of a library look for the same few.
fn matches(pattern: &str) -> [bool; 3] {
    static KNOWN: Mutex<BTreeMap<String, [bool; 3]>> = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&matches) = known().get(pattern) {
        return matches;
    }
    let once = |pattern: Pattern| pattern.match_once(["", "\u{1}~", NO_ERRORS]);
    let matches = Pattern::new(pattern).map_or([false; 3], once);
    known().insert(pattern.to_owned(), matches);
    matches
}

/// One or many.
fn items(node: &Node) -> &[Node] {
    node.list().unwrap_or(std::slice::from_ref(node))
}

/// Passwords in the addresses below `node`.
pub fn passwords(reader: &Reader, node: &Node) {
    match &node.kind {
        NodeKind::Scalar { text, .. } if !passwords_in_urls(text).is_empty() => {
            let help = "take it out of the address, and hand it over as a secret: `{ env: NAME }`";
            reader.remark(&node.span, "a password stands in an address", help);
        }
        NodeKind::Scalar { .. } | NodeKind::Late(_) => {}
        NodeKind::List(items) => items.iter().for_each(|item| passwords(reader, item)),
        NodeKind::Map(entries) => entries.iter().for_each(|(_, value)| passwords(reader, value)),
    }
}
