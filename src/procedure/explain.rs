//! The format for people: the same tables as the loader's, as text.

mod words;

use std::fmt::Write as _;
use std::time::Duration;

use indexmap::IndexSet;

use super::keys::{self, Form, KeySpec};
use crate::action;
use crate::model::action::Effect;
use crate::model::fact::FactSpec;
use crate::model::input::{InputSpec, InputType, Need};
use crate::model::outcome::Outcome;
use crate::model::unit::Quantity;
use crate::probe;

/// The pages of it that are not about one kind.
const PAGES: [&str; 8] = ["procedure", "site", "pack", "test", "conditions", "units", "expressions", "outcomes"];

/// All that has a page of its own.
pub fn topics() -> impl Iterator<Item = &'static str> {
    let actions = action::KINDS.iter().map(|kind| kind.name).filter(|name| probe::kind(name).is_none());
    probe::KINDS.iter().map(|kind| kind.name).chain(actions).chain(PAGES)
}

/// Every word that can be explained: topics, keys of documents, outcomes, `KIND.FACT` and `KIND.INPUT`.
#[must_use]
pub fn all_words() -> Vec<String> {
    let outcomes = Outcome::ALL.map(Outcome::word);
    let short = topics().chain(words::keys()).chain(outcomes).map(str::to_owned);
    let mut all: Vec<String> = short.chain(words::members()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Any word of the format; `None` when it is none.
#[must_use]
pub fn word(word: &str) -> Option<String> {
    let outcome = || Outcome::ALL.iter().any(|outcome| outcome.word() == word).then(|| OUTCOMES.to_owned());
    let parts: Vec<String> =
        [topic(word).or_else(outcome), words::key(word), words::member(word)].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("\n"))
}

/// One topic; `None` when there is no such one. What is a kind of both is explained as a probe first.
#[must_use]
pub fn topic(word: &str) -> Option<String> {
    Some(match word {
        "procedure" => document("A procedure: one file, PACK/GROUP/NAME.yaml", keys::PROCEDURE),
        "site" => document("The site file: opsctl.yaml", keys::SITE),
        "pack" => document("A pack: a folder of groups, with a file pack.yaml", keys::PACK),
        "test" => document("Tests of a procedure: PACK/GROUP/NAME.test.yaml beside it", keys::TEST) + "\n" + TESTS,
        "conditions" | "units" => CONDITIONS.to_owned(),
        "expressions" => EXPRESSIONS.to_owned(),
        "outcomes" => OUTCOMES.to_owned(),
        _ => {
            let probe = probe::kind(word).map(probe_kind);
            let action = action::kind(word).map(action_kind);
            let both: Vec<String> = probe.into_iter().chain(action).collect();
            both.first()?;
            both.join("\n")
        }
    })
}

/// The list of topics.
#[must_use]
pub fn kinds() -> String {
    let mut text = String::from("`opsctl explain KIND` shows the inputs and facts of a kind.\n");
    text.push_str("\nKinds of probe, which look:\n\n");
    for kind in probe::KINDS {
        clause(&mut text, kind.name, kind.about);
    }
    text.push_str("\nKinds of action, which change something:\n\n");
    for kind in action::KINDS {
        clause(&mut text, kind.name, kind.about);
    }
    text.push('\n');
    paragraph(&mut text, "Also: ", 6, &PAGES.map(|page| format!("`{page}`")).join(", "));
    paragraph(
        &mut text,
        "And any word: ",
        6,
        "a key (`retry`), a fact (`disk.free`), an input (`http.url`), an outcome (`errored`), a procedure (`daily/host-health`)",
    );
    text
}

/// Where the clause begins behind the name of a kind.
const LIST: usize = 15;

/// The first clause; the topic itself has the rest.
fn clause(text: &mut String, name: &str, about: &str) {
    let clause = about.split([';', ':', '.']).next().unwrap_or_default();
    paragraph(text, &format!("  {name:<LIST$}"), LIST + 2, clause);
}

fn probe_kind(kind: &probe::Kind) -> String {
    let mut text = String::new();
    paragraph(&mut text, &format!("{} (probe): ", kind.name), 0, kind.about);
    inputs(&mut text, kind.inputs);
    facts(&mut text, "for `expect` and `prefer`", kind.facts);
    paragraph(&mut text, "Conditions: ", 0, &conditions_for(kind.facts));
    ending(&mut text, kind.limit, kind.example);
    text
}

fn action_kind(kind: &action::Kind) -> String {
    let mut text = String::new();
    paragraph(&mut text, &format!("{} (action): ", kind.name), 0, kind.about);
    inputs(&mut text, kind.inputs);
    facts(&mut text, "of what was done, for later steps (`steps.ID.facts.NAME`)", kind.facts);
    paragraph(&mut text, "Checks by itself, in a dry run too: ", 0, kind.checks);
    paragraph(&mut text, "Effect: ", 0, &effect(kind));
    ending(&mut text, kind.limit, kind.example);
    text
}

/// How much an action of this kind changes.
#[must_use]
pub fn effect(kind: &action::Kind) -> String {
    match (kind.effect, kind.destructive_when) {
        (Effect::Destructive, _) => "destructive".to_owned(),
        (effect, "") => format!("{}, or destructive if the step says so", effect.word()),
        (effect, when) => format!("{}, or destructive if {when}, or if the step says so", effect.word()),
    }
}

fn inputs(text: &mut String, specs: &[InputSpec]) {
    text.push_str("\nInputs:\n");
    if specs.is_empty() {
        text.push_str("  none\n");
    }
    input_entries(text, specs, 2);
}

fn facts(text: &mut String, what_for: &str, specs: &[FactSpec]) {
    writeln!(text, "\nFacts, {what_for}:").ok();
    for fact in specs {
        let name = if fact.family { format!("{}: {{ NAME: }}", fact.name) } else { fact.name.to_owned() };
        entry(text, 2, &name, fact.ty.describe().0, &fact.explained());
    }
    text.push('\n');
}

fn ending(text: &mut String, limit: Duration, example: &str) {
    let limit = Quantity::duration(limit).rounded();
    write!(text, "Time limit: {limit}, unless the step has a `timeout`\n\nExample:\n\n").ok();
    for line in example.lines() {
        writeln!(text, "  {line}").ok();
    }
}

/// One condition for each type of fact that there is among `facts`.
fn conditions_for(facts: &[FactSpec]) -> String {
    let types: IndexSet<_> = facts.iter().map(|fact| fact.ty.describe()).collect();
    let examples: Vec<String> = types.iter().map(|(ty, example)| format!("`{example}` ({ty})")).collect();
    format!("{}; see `opsctl explain conditions`", examples.join(", "))
}

/// The widest line.
const WIDTH: usize = 80;

/// `words`, wrapped. The first line begins with `first`, the others with `margin` spaces.
fn paragraph(text: &mut String, first: &str, margin: usize, words: &str) {
    let (mut line, mut begun) = (first.to_owned(), false);
    for word in words.split_whitespace() {
        if begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(text, "{line}").ok();
            (line, begun) = (" ".repeat(margin), false);
        }
        if begun {
            line.push(' ');
        }
        line.push_str(word);
        begun = true;
    }
    writeln!(text, "{line}").ok();
}

/// A name, its type, and below them what it means.
fn entry(text: &mut String, indent: usize, name: &str, ty: &str, about: &str) {
    paragraph(text, &format!("{:indent$}{name:<22} ", ""), indent + 23, ty);
    let margin = indent + 4;
    paragraph(text, &" ".repeat(margin), margin, about);
}

fn input_entries(text: &mut String, specs: &[InputSpec], indent: usize) {
    for spec in specs {
        let need = match spec.need {
            Need::Required => "; required".to_owned(),
            Need::Optional => String::new(),
            Need::Default(default) => format!("; {default} if not given"),
        };
        entry(text, indent, spec.name, &format!("{}{need}", input_type(spec.ty)), spec.about);
        if let InputType::Group(specs) | InputType::Groups(specs) = spec.ty {
            input_entries(text, specs, indent + 4);
        }
    }
}

/// How an input of this type is written.
#[must_use]
pub fn input_type(ty: InputType) -> String {
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
        InputType::Secret => "secret, such as { env: NAME }".to_owned(),
        InputType::Pairs => "mapping from names to texts or secrets".to_owned(),
        InputType::Database => "name of a database of the site file".to_owned(),
        InputType::Procedures => "name of a procedure, such as `daily/check`, or list of them".to_owned(),
        InputType::Json => "any YAML value".to_owned(),
        InputType::Group(_) => "mapping".to_owned(),
        InputType::Groups(_) => "list of mappings".to_owned(),
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
        let (form, inner) = key_form(spec.form);
        entry(text, indent, spec.name, &format!("{form}{need}"), spec.about);
        if let Some(inner) = inner {
            table(text, inner, indent + 4);
        }
    }
}

/// How a key of this form is written, and the keys below it.
#[must_use]
pub fn key_form(form: Form) -> (String, Option<&'static [KeySpec]>) {
    let plain = |text: &str| (text.to_owned(), None);
    match form {
        Form::Text => plain("text"),
        Form::Id => plain("letters, digits and dashes"),
        Form::Words => plain("list"),
        Form::Arguments => plain("list: the program and its arguments"),
        Form::Duration => plain("duration, such as `15m`"),
        Form::Day => plain("day, such as `2026-12-31`"),
        Form::Keys(keys) => ("mapping".to_owned(), Some(keys)),
        Form::List(keys) => ("list of mappings".to_owned(), Some(keys)),
        Form::Named(keys) => ("mapping from names to mappings".to_owned(), Some(keys)),
        Form::Policies(keys) => ("{ POLICY: { SEVERITY: list of mappings } }".to_owned(), Some(keys)),
        Form::Choice(choices) => (choices.join(" | "), None),
        Form::Integer(least, most) => (format!("whole number from {least} to {most}"), None),
        Form::MaybeSecret => plain("text, or secret"),
        Form::Vars => plain("NAME: text, list of texts, or secret"),
        Form::Look | Form::Action => plain("{ KIND: { inputs } }"),
        Form::Looks => plain("{ KIND: { inputs } }, or a list of them"),
        Form::Conditions => plain("{ FACT: condition }"),
        Form::Flag => plain("true | false"),
        Form::TextOrWords => plain("text, or list"),
        Form::Points => plain("text, or { NAME: text }"),
        Form::Choices => plain("{ NAME: text }"),
        Form::TextOr(keys) => ("text, or mapping".to_owned(), Some(keys)),
        Form::WordsOr(keys) => ("list, or mapping".to_owned(), Some(keys)),
        Form::BySteps(each) => (format!("STEP: {each}"), None),
        Form::Steps(keys, _) => ("list of steps, or of sections of steps".to_owned(), Some(keys)),
    }
}

/// The grammar of conditions.
pub const CONDITIONS: &str = "\
Conditions, for every fact of `expect` and `prefer`:

  200, true, ok                   equals
  [200, 204]                      one of these
  200..299                        in the range, both ends included
  above 20%, below 2s             strict limits (also \"> 20%\", \"< 2s\")
  at least 3, at most 0           inclusive limits (also \">= 3\", \"<= 0\")
  contains x, matches ^ok         text and lists
  starts with x, ends with x      text
  not contains x                  the opposite; of a missing fact nothing holds
  within 30% of median(14)        no further from the median of up to 14 runs
                                  before; needs at least half of them
  at most 150% of previous        a limit by the run before
  rises below 5% per day          the change since the newest value that is at
                                  least half a day old (hour, day, week; falls)
  { all: [...] }, { any: [...] }, { not: ... }

Units: %, B KiB MiB GiB TiB (kB MB GB TB), ms s m h d w, /s /min,
       B/s KiB/s MiB/s GiB/s Mbit/s Gbit/s
A fact that is missing satisfies nothing: the step could not tell.
";

/// What a case can tell and expect.
pub const TESTS: &str = "\
What a step is given, by its kind:

  probe, gather      { FACT: value }, a single thing without a name
                     { subjects: { /var: { FACT: value } } }, several by name
                     { error: no permission }, of one subject or of all
                     { evidence: [{ column: value }] }, rows for `for_each`
  manual             done, not done, not applicable
  decision           the choice
  approval           agreed, refused
  action             done, failed, or { FACT: value } of what was done
  notify, report     done, failed
  procedure          done, failed, or what its own steps are given

A value has the unit of its fact: `latency: 2s`, `free: 3% of 40GiB` (the amount
and its share; `free: 3%` is the share alone). A fact that is not named is
missing; what a kind implies (`answers: true`) holds unless it is named. A fact
of which nothing can be expected is `not applicable`.

A step that is not given is left out: it counts for nothing, and no step waits
for it. Nothing is looked at, nobody is asked, nothing is done, no run is
recorded. Waivers do not count, and a limit of time is never proven.

Example:

  cases:
    - name: a full disk fails
      given: { disks: { subjects: { /: { free: 60% }, /var: { free: 3% } } } }
      expect: { disks: failed, outcome: failed, criteria: { More than: unmet } }
    - name: a page twice as slow as yesterday is a warning
      given: { page: { status: 200, latency: 2s } }
      before: [{ given: { page: { latency: 1s } } }]
      expect: { page: warned }

`opsctl test` judges the tests of the site's packs, `opsctl test PATH` those of
a pack, a group or a procedure. Exit 0: all came out as expected; 2: some did
not; 3: a file is wrong, or there are none.
";

/// What `when`, `for_each` and templates see.
pub const EXPRESSIONS: &str = "\
Expressions, for `when` and `for_each`; between {{ and }} in any text:

  vars.NAME, NAME                 a variable of the pack, the site file or --set
  steps.ID.outcome                passed, warned, failed, errored, skipped, ...
  steps.ID is failed              the same as a test: is passed, is skipped, ...
  steps.ID.facts.NAME             what was seen, of the first subject
  steps.ID.subjects['/var'].free  the same of a subject by its name
  steps.ID.rows                   rows that were kept as evidence
  steps.ID.choice                 what was chosen in a decision
  run.id, run.date, run.operator, run.host, run.site, run.findings
  item                            the thing that `for_each` has come to

A dash in an id becomes an underscore: `steps.disk_free` is step `disk-free`.
and, or, not, ==, !=, <, >, in, filters (`steps.x.rows | length`): as in Jinja.
A name that does not exist is an error when the file is read.
";

/// What a step can come to, and what the program says of a run.
pub const OUTCOMES: &str = "\
Outcomes of steps, and the exit status of a run, which is that of the worst:

  passed    looked; everything expected holds                          exit 0
  waived    does not hold, and a waiver covers it                      exit 0
  skipped   its `when` was false, or it was left out                   exit 0
  pending   waits for a person                                         exit 0
  warned    looked; something preferred does not hold                  exit 1
  failed    looked; something expected does not hold                   exit 2
  errored   could not look: no permission, no such tool, time limit    exit 3

A step that was skipped because another one failed counts as errored.
Exit 3 is also a wrong file, a wrong flag, a lock that is held, and a run that
could not be recorded. 130 and 143: interrupted.

A criterion is met when all steps that prove it passed or warned, unmet when
one failed, not proven otherwise.
";
