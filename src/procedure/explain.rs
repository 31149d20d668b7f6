//! The format for people: the same tables as the loader's, as text.

use std::fmt::Write as _;

use super::keys::{self, Form, KeySpec};
use crate::model::input::{InputSpec, InputType, Need};
use crate::probe::{self, Kind};

/// All that can be explained.
pub fn topics() -> impl Iterator<Item = &'static str> {
    probe::KINDS.iter().map(|kind| kind.name).chain(["procedure", "site", "conditions"])
}

/// One topic; `None` when there is no such one.
#[must_use]
pub fn topic(word: &str) -> Option<String> {
    Some(match word {
        "procedure" => document("A procedure: one file, PACK/GROUP/NAME.yaml", keys::PROCEDURE),
        "site" => document("The site file: opsctl.yaml", keys::SITE),
        "conditions" => CONDITIONS.to_owned(),
        _ => kind(probe::kind(word)?),
    })
}

/// The list of topics.
#[must_use]
pub fn kinds() -> String {
    let mut text = String::from("Kinds of probe; `opsctl explain KIND` shows inputs and facts:\n\n");
    for kind in probe::KINDS {
        // The first clause; the topic itself has the rest.
        let clause = kind.about.split([';', ':', '.']).next().unwrap_or_default();
        writeln!(text, "  {:<10} {clause}", kind.name).ok();
    }
    text.push_str("\nAlso: `opsctl explain procedure`, `opsctl explain site`, `opsctl explain conditions`\n");
    text
}

fn kind(kind: &Kind) -> String {
    let mut text = format!("{}: {}\n\nInputs:\n", kind.name, kind.about);
    if kind.inputs.is_empty() {
        text.push_str("  none\n");
    }
    inputs(&mut text, kind.inputs, 2);
    text.push_str("\nFacts, for `expect` and `prefer`:\n");
    for fact in kind.facts {
        let (ty, example) = fact.ty.describe();
        let name = if fact.family { format!("{}: {{ NAME: }}", fact.name) } else { fact.name.to_owned() };
        entry(&mut text, 2, &name, &format!("{ty}, such as `{example}`"), fact.about);
    }
    let limit = crate::model::unit::Quantity::duration(kind.limit).rounded();
    write!(text, "\nTime limit: {limit}, unless the step has a `timeout`\n\nExample:\n\n").ok();
    for line in kind.example.lines() {
        writeln!(text, "  {line}").ok();
    }
    text
}

/// A name, its type, and below them what it means.
fn entry(text: &mut String, indent: usize, name: &str, ty: &str, about: &str) {
    writeln!(text, "{:indent$}{name:<22} {ty}", "").ok();
    let mut line = String::new();
    for word in about.split_whitespace() {
        if !line.is_empty() && indent + 4 + line.len() + 1 + word.len() > 80 {
            writeln!(text, "{:indent$}    {line}", "").ok();
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        writeln!(text, "{:indent$}    {line}", "").ok();
    }
}

fn inputs(text: &mut String, specs: &[InputSpec], indent: usize) {
    for spec in specs {
        let need = match spec.need {
            Need::Required => "; required".to_owned(),
            Need::Optional => String::new(),
            Need::Default(default) => format!("; {default} if not given"),
        };
        entry(text, indent, spec.name, &format!("{}{need}", input_type(spec.ty)), spec.about);
        if let InputType::Group(specs) = spec.ty {
            inputs(text, specs, indent + 4);
        }
    }
}

fn input_type(ty: InputType) -> String {
    match ty {
        InputType::Text => "text".to_owned(),
        InputType::Texts => "text, or list of texts".to_owned(),
        InputType::Arguments => "list: program and arguments".to_owned(),
        InputType::Bool => "true or false".to_owned(),
        InputType::Integer { least, most } => format!("whole number from {least} to {most}"),
        InputType::Duration => "duration, such as `2s`, `15m`, `24h`".to_owned(),
        InputType::Size => "size, such as `512MiB`".to_owned(),
        InputType::Pattern => "regular expression".to_owned(),
        InputType::Patterns => "regular expression, or list of them".to_owned(),
        InputType::Choice(choices) => choices.join(" | "),
        InputType::Path => "path".to_owned(),
        InputType::Paths => "path or glob, or list of them".to_owned(),
        InputType::Secret => "secret: { env: NAME }, { file: PATH } or { command: [...] }".to_owned(),
        InputType::Pairs => "mapping from names to texts or secrets".to_owned(),
        InputType::Database => "name of a database of the site file".to_owned(),
        InputType::Json => "any YAML value".to_owned(),
        InputType::Group(_) => "mapping:".to_owned(),
    }
}

fn document(title: &str, specs: &[KeySpec]) -> String {
    let mut text = format!("{title}\n\n");
    table(&mut text, specs, 2);
    text
}

fn table(text: &mut String, specs: &[KeySpec], indent: usize) {
    for spec in specs {
        let need = if spec.required { "; required" } else { "" };
        let (form, inner) = describe(spec.form);
        entry(text, indent, spec.name, &format!("{form}{need}"), spec.about);
        if let Some(inner) = inner {
            table(text, inner, indent + 4);
        }
    }
}

fn describe(form: Form) -> (String, Option<&'static [KeySpec]>) {
    let plain = |text: &str| (text.to_owned(), None);
    match form {
        Form::Text => plain("text"),
        Form::Id => plain("letters, digits and dashes"),
        Form::Words => plain("list"),
        Form::Duration => plain("duration, such as `15m`"),
        Form::Keys(keys) => ("mapping:".to_owned(), Some(keys)),
        Form::List(keys) => ("list of:".to_owned(), Some(keys)),
        Form::Named(keys) => ("NAME with:".to_owned(), Some(keys)),
        Form::Choice(choices) => (choices.join(" | "), None),
        Form::Integer(least, most) => (format!("whole number from {least} to {most}"), None),
        Form::MaybeSecret => plain("text, or secret"),
        Form::Vars => plain("NAME: text, list of texts, or secret"),
        Form::Look => plain("{ KIND: { inputs } }"),
        Form::Looks => plain("{ KIND: { inputs } }, or a list of them"),
        Form::Conditions => plain("{ FACT: condition }"),
    }
}

const CONDITIONS: &str = "\
Conditions, for every fact of `expect` and `prefer`:

  200, true, ok                   equals
  [200, 204]                      one of these
  200..299                        in the range, both ends included
  above 20%, below 2s             strict limits (also \"> 20%\", \"< 2s\")
  at least 3, at most 0           inclusive limits (also \">= 3\", \"<= 0\")
  contains x, matches ^ok         text and lists
  starts with x, ends with x      text
  not contains x                  the opposite; of a missing fact nothing holds
  within 30% of median(14)        not further from the median of up to 14 earlier
                                  runs; needs at least half of them
  at most 150% of previous        a limit by the run before
  rises below 5% per day          the change since the newest value that is at
                                  least half a day old (hour, day, week; falls)
  { all: [...] }, { any: [...] }, { not: ... }

Units: %, B KiB MiB GiB TiB (kB MB GB TB), ms s m h d w, /min
A fact that is missing satisfies nothing: the step could not tell.
";
