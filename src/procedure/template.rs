//! `{{ name }}` and `when:`: MiniJinja, strict, after the YAML is parsed, so that text never becomes structure.

use std::borrow::Cow;
use std::sync::OnceLock;

use compact_str::CompactString;
use indexmap::IndexMap;
use minijinja::{Environment, UndefinedBehavior, Value};

use super::decode::Reader;
use super::diagnostic::suggestion;
use super::yaml::{Key, Node, NodeKind};

mod expression;
pub mod scan;

pub use expression::Expression;
use scan::{Piece, computed, steps_in};

/// The variables of a site, as they were written: a text, a list, or a reference to a secret.
pub type Vars = IndexMap<String, Node>;

/// What can be read of a run, as `run.site`.
pub const RUN: &[&str] = &["id", "title", "site", "date", "operator", "host", "findings"];

/// What can be read of a step, as `steps.disk.outcome`.
pub const STEP: &[&str] = &["outcome", "facts", "subjects", "rows", "choice", "steps"];

/// The longest text that a template may make.
const MAX_TEXT: usize = 1024 * 1024;

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(20_000));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        for outcome in ["passed", "warned", "failed", "errored", "skipped", "waived", "pending"] {
            environment.add_test(outcome, move |step: &Value| {
                step.get_attr("outcome").is_ok_and(|seen| seen.as_str() == Some(outcome))
            });
        }
        environment
    })
}

/// A function that every template has, such as `range`.
fn is_function(name: &str) -> bool {
    environment().globals().any(|(known, _)| known == name)
}

/// Which steps a template or expression reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reads {
    /// These, by their name in expressions, sorted.
    Steps(Vec<CompactString>),
    /// It cannot be told by reading it.
    Any,
}

/// In their order, each once.
fn sorted(names: impl IntoIterator<Item = impl Into<CompactString>>) -> Vec<CompactString> {
    let mut names: Vec<CompactString> = names.into_iter().map(Into::into).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The name of a step in expressions, in which a dash would subtract.
fn variable(step: &str) -> Cow<'_, str> {
    if step.contains('-') { Cow::Owned(step.replace('-', "_")) } else { Cow::Borrowed(step) }
}

/// `computed` are the texts that were compiled, for names that the engine tells nothing of: `steps['home-page']`.
fn reads_of<'t>(names: &[CompactString], computed: impl Iterator<Item = &'t str>) -> Reads {
    if names.iter().any(|name| name == "steps") {
        return steps_in(computed).map_or(Reads::Any, |steps| Reads::Steps(sorted(steps)));
    }
    let steps = names.iter().filter_map(|name| name.strip_prefix("steps.").map(first_part));
    Reads::Steps(sorted(steps))
}

/// `steps` of `steps.disk.outcome`.
fn first_part(name: &str) -> &str {
    memchr::memchr(b'.', name.as_bytes()).map_or(name, |end| &name[..end])
}

fn describe(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()))
}

/// The name in a text that is nothing but `{{ name }}`.
fn lone_name(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    plain.then_some(name)
}

/// Puts the site's variables into every template below `node`; what needs the results of the run stays as
/// [`NodeKind::Late`], and everything else that cannot be resolved is an error.
pub fn resolve<'n>(node: &'n Node, vars: &Vars, reader: &Reader) -> Cow<'n, Node> {
    changed(node, vars, reader).map_or(Cow::Borrowed(node), Cow::Owned)
}

/// With the variables in it; `None` where no template stands.
fn changed(node: &Node, vars: &Vars, reader: &Reader) -> Option<Node> {
    let inner = |node: &Node| changed(node, vars, reader);
    let kind = match &node.kind {
        NodeKind::Scalar { text, .. } => return has_template(text).then(|| scalar(node, text, vars, reader)),
        NodeKind::Late(_) => return None,
        NodeKind::List(items) => NodeKind::List(each_changed(items, inner)?),
        NodeKind::Map(entries) => {
            let inner = |(key, value): &(Key, Node)| Some((key.clone(), inner(value)?));
            NodeKind::Map(each_changed(entries, inner)?)
        }
    };
    Some(Node { span: node.span.clone(), kind })
}

/// With a copy of each that does not change; `None` when none of them does.
fn each_changed<T: Clone>(items: &[T], change: impl Fn(&T) -> Option<T>) -> Option<Vec<T>> {
    let (first, new) = items.iter().enumerate().find_map(|(at, item)| Some((at, change(item)?)))?;
    let mut all = Vec::with_capacity(items.len());
    all.extend_from_slice(&items[..first]);
    all.push(new);
    all.extend(items[first + 1..].iter().map(|item| change(item).unwrap_or_else(|| item.clone())));
    Some(all)
}

fn has_template(text: &str) -> bool {
    let opens = |at: usize| matches!(text.as_bytes().get(at + 1), Some(b'{' | b'%'));
    memchr::memchr_iter(b'{', text.as_bytes()).any(opens)
}

fn scalar(node: &Node, text: &str, vars: &Vars, reader: &Reader) -> Node {
    let place = |kind| Node { span: node.span.clone(), kind };
    if let Some(name) = lone_name(text)
        && let Some(value) = vars.get(name)
    {
        return respan(value, &node.span);
    }
    if let Some(kind) = of_names(text, vars) {
        return place(kind);
    }
    let as_written = || place(NodeKind::Late(text.into()));
    let template = match environment().template_from_str(text) {
        Ok(template) => template,
        Err(error) => {
            reader.error(&node.span, format!("the template is broken: {}", describe(&error)), "", "write `{{ name }}`");
            return as_written();
        }
    };
    let mut late = false;
    let names = template.undeclared_variables(false);
    for name in names.iter().filter(|name| !is_function(name)) {
        let is_late = is_late(name);
        late |= is_late;
        if vars.get(name).is_some_and(|value| value.map().is_some()) {
            let help = format!("write `{{{{ {name} }}}}` alone, where a secret is taken");
            let message = format!("the variable `{name}` is a secret, which never becomes part of a text");
            reader.error(&node.span, message, "", help);
            return as_written();
        }
        if !is_late && !vars.contains_key(name) {
            let help = format!(
                "add `{name}` to `vars` of the site file, or use --set {name}=VALUE; {}",
                suggestion(name, vars.keys().map(String::as_str), "defined are")
            );
            reader.error(&node.span, format!("the variable `{name}` is not defined"), "undefined", help);
            return as_written();
        }
    }
    if late {
        return as_written();
    }
    match template.render(context_of_some(vars, names.iter().map(String::as_str))) {
        Ok(text) if text.len() <= MAX_TEXT => place(NodeKind::Scalar { text: text.into(), quoted: true }),
        Ok(_) => {
            reader.error(&node.span, format!("the template makes more than {MAX_TEXT} bytes"), "", "");
            as_written()
        }
        Err(error) => {
            reader.error(&node.span, format!("the template fails: {}", describe(&error)), "", "");
            as_written()
        }
    }
}

/// What the template engine would make of a text that has nothing but names between its braces, if the variables among
/// them are texts.
fn of_names(text: &str, vars: &Vars) -> Option<NodeKind> {
    let (mut made, mut late) = (String::with_capacity(text.len() * 2), false);
    for piece in scan::pieces(text)? {
        match piece {
            Piece::Text(text) => made.push_str(text),
            Piece::Name(name) | Piece::Filtered(name) if is_late(root_of(name)) => late = true,
            Piece::Filtered(_) => return None,
            Piece::Name(name) => match &vars.get(name)?.kind {
                NodeKind::Scalar { text, quoted: true } => made.push_str(text),
                _ => made.push_str(vars[name].to_json().as_str()?),
            },
        }
    }
    if late {
        return Some(NodeKind::Late(text.into()));
    }
    // The engine leaves out the last end of a line.
    (!text.ends_with('\n') && made.len() <= MAX_TEXT).then_some(NodeKind::Scalar { text: made.into(), quoted: true })
}

/// `steps` of `steps.disk.outcome` and of `steps['disk'].outcome`.
fn root_of(name: &str) -> &str {
    name.split(['.', '[']).next().unwrap_or(name)
}

/// Whether only a run knows what the name stands for.
fn is_late(name: &str) -> bool {
    matches!(name, "steps" | "run" | "item")
}

/// The value where it is used: errors point to the use.
fn respan(node: &Node, span: &std::ops::Range<usize>) -> Node {
    let kind = match &node.kind {
        NodeKind::Scalar { .. } | NodeKind::Late(_) => node.kind.clone(),
        NodeKind::List(items) => NodeKind::List(items.iter().map(|item| respan(item, span)).collect()),
        NodeKind::Map(entries) => {
            NodeKind::Map(entries.iter().map(|(key, value)| (key.clone(), respan(value, span))).collect())
        }
    };
    Node { span: span.clone(), kind }
}

/// The variables as a template sees them. References to secrets are left out: a secret is never part of a text.
#[must_use]
pub fn context_of(vars: &Vars) -> Value {
    context_of_some(vars, vars.keys().map(String::as_str))
}

/// Only the variables of these names: to make the values takes longer than to read a template.
pub fn context_of_some<'n>(vars: &Vars, names: impl IntoIterator<Item = &'n str>) -> Value {
    let named = names.into_iter().filter_map(|name| Some((name.to_owned(), value_of(vars.get(name)?)?)));
    Value::from_pairs(named)
}

/// A variable as a template sees it; nothing of a reference to a secret.
#[must_use]
pub fn value_of(variable: &Node) -> Option<Value> {
    variable.map().is_none().then(|| Value::from(minijinja::value::Serde(variable.to_json())))
}

/// A template's text with what is known.
///
/// # Errors
/// It is broken, or reads what is not there.
pub fn render(text: &str, context: &Value) -> Result<String, String> {
    environment().render_str(text, context).map_err(|error| describe(&error))
}

/// Resolves what was left to the run.
///
/// # Errors
/// A template reads what is not there.
pub fn resolve_late(node: &Node, context: &Value) -> Result<Node, String> {
    let kind = match &node.kind {
        NodeKind::Late(text) => NodeKind::Scalar { text: render(text, context)?.into(), quoted: true },
        NodeKind::Scalar { .. } => node.kind.clone(),
        NodeKind::List(items) => {
            NodeKind::List(items.iter().map(|item| resolve_late(item, context)).collect::<Result<_, _>>()?)
        }
        NodeKind::Map(entries) => NodeKind::Map(
            entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), resolve_late(value, context)?)))
                .collect::<Result<_, String>>()?,
        ),
    };
    Ok(Node { span: node.span.clone(), kind })
}

/// Which steps the late templates below `node` read; `None` when there are none.
#[must_use]
pub fn late_reads(node: &Node) -> Option<Reads> {
    match &node.kind {
        NodeKind::Late(text) => Some(reads_of_template(text)),
        NodeKind::Scalar { .. } => None,
        NodeKind::List(items) => items.iter().filter_map(late_reads).reduce(merge),
        NodeKind::Map(entries) => entries.iter().filter_map(|(_, value)| late_reads(value)).reduce(merge),
    }
}

fn reads_of_template(text: &str) -> Reads {
    let names = match scan::pieces(text) {
        // The engine tells no parts in brackets.
        Some(pieces) => {
            let names = pieces.into_iter().filter_map(Piece::name);
            sorted(names.map(|name| if name.contains('[') { root_of(name) } else { name }))
        }
        None => match environment().template_from_str(text) {
            Ok(template) => sorted(template.undeclared_variables(true)),
            Err(_) => return Reads::Any,
        },
    };
    reads_of(&names, computed(text))
}

/// Whether there is a late template below `node`.
#[must_use]
pub fn waits(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Late(_) => true,
        NodeKind::Scalar { .. } => false,
        NodeKind::List(items) => items.iter().any(waits),
        NodeKind::Map(entries) => entries.iter().any(|(_, value)| waits(value)),
    }
}

/// The late templates below `node`, with their places.
pub fn late_texts<'n>(node: &'n Node, found: &mut Vec<(&'n std::ops::Range<usize>, &'n str)>) {
    match &node.kind {
        NodeKind::Late(text) => found.push((&node.span, text)),
        NodeKind::Scalar { .. } => {}
        NodeKind::List(items) => items.iter().for_each(|item| late_texts(item, found)),
        NodeKind::Map(entries) => entries.iter().for_each(|(_, value)| late_texts(value, found)),
    }
}

/// Both together.
#[must_use]
pub fn merge(one: Reads, other: Reads) -> Reads {
    match (one, other) {
        (Reads::Steps(one), Reads::Steps(other)) => Reads::Steps(sorted(one.into_iter().chain(other))),
        (Reads::Any, _) | (_, Reads::Any) => Reads::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_makes_what_the_engine_makes() {
        let text = |text: &str, quoted| NodeKind::Scalar { text: text.into(), quoted };
        let kinds = [
            ("a", text("x y", true)),
            ("b", text("<1.50>", false)),
            ("c_1", text("1.50", true)),
            ("n", text("1.50", false)),
        ];
        let vars: Vars = kinds.into_iter().map(|(name, kind)| (name.to_owned(), Node { span: 0..0, kind })).collect();
        let context = context_of(&vars);
        for template in ["{{ a }}-{{b}}", " {{c_1}} }} ", "{ {a} {{ a }}\n\n {", "ż{{ a }}{{ a }}"] {
            let made = render(template, &context).expect("a template");
            assert_eq!(of_names(template, &vars), Some(text(&made, true)), "{template:?}");
        }
        for template in [
            "{{ n }}/",
            "{{ a | upper }}x",
            "{{ d }}x",
            "{{- a }}x",
            "{{ a }}x\n",
            "{# a #}{{ a }}",
            "{{ a ",
            "{{ 1 }}x",
        ] {
            assert_eq!(of_names(template, &vars), None, "{template:?}");
        }
    }

    /// What is read without the engine must be right for the engine.
    #[test]
    fn any_mixture_of_names_and_filters_is_read_as_the_engine_does() {
        let parts = [
            "steps.a",
            "steps",
            "item",
            ".b",
            "['c-d']",
            " | upper",
            "|default('x')",
            " | replace('a', \"b\")",
            " | replace( 'a' , 'ż' )",
            " | join()",
            " not",
            " }} {{ ",
            "'",
            ")",
            "(",
            "",
        ];
        let mut known = 0;
        for number in 0..parts.len().pow(4) {
            let part = |place: u32| parts[number / parts.len().pow(place) % parts.len()];
            let text = ["{{ ", part(0), part(1), part(2), part(3), " }}"].concat();
            if scan::pieces(&text).is_some() {
                known += 1;
                let compiled = environment().template_from_str(&text).unwrap_or_else(|error| panic!("{text} {error}"));
                let names = sorted(compiled.undeclared_variables(true));
                assert_eq!(reads_of_template(&text), reads_of(&names, computed(&text)), "{text}");
            }
        }
        assert!(known > 1000, "{known}");
    }

    #[test]
    fn the_short_way_finds_the_steps_that_the_engine_finds() {
        for template in [
            "{{ steps.a.facts.b }} of {{ run.title }}",
            "{{ item }}{{ steps.b_c }}",
            "{{ steps }}",
            "{{ steps['a-b'].choice }} {{ steps['c'].facts['d.e'] }}",
            "{{ steps.a['b'] }}",
            "{{ steps['a'].facts.b | replace(' ', '') }}, {{ item | default('ż') | upper }}",
        ] {
            let compiled = environment().template_from_str(template).expect("a template");
            let names = sorted(compiled.undeclared_variables(true));
            assert!(scan::pieces(template).is_some());
            assert_eq!(reads_of_template(template), reads_of(&names, computed(template)), "{template:?}");
            assert_eq!(of_names(template, &Vars::new()), Some(NodeKind::Late(template.into())));
        }
        for template in [
            "{{ not.a }}",
            "{{ a[b] }}",
            "{{ a['] }}",
            "{{ a['b }}",
            "{{ a['\\n'] }}",
            "{{ ['a'] }}",
            "{{ a['b']c }}",
            "{{ a | }}",
            "{{ a | b() }}",
            "{{ a | b(c) }}",
            "{{ a | b('c', '|') }}",
            "{{ a | b('}}') }}",
            "{{ a | b('c') + d }}",
            "{{ a | not }}",
            "{{ a | b is c }}",
            "{{ a }",
            "{{ a } }}",
            "{{{ a }}",
            "{%",
        ] {
            assert_eq!(scan::pieces(template), None, "{template:?}");
        }
        assert_eq!(scan::pieces("{{ a.0 }}"), None);
    }
}
