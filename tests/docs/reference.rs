//! The pages that are made from the program's own tables.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use opsctl::action;
use opsctl::model::fact::{FactSpec, FactType};
use opsctl::model::input::{InputSpec, InputType, Need};
use opsctl::model::unit::Quantity;
use opsctl::probe;
use opsctl::procedure::document::Procedure;
use opsctl::procedure::explain::{self, CONDITIONS};
use opsctl::procedure::keys::{self, KeySpec};
use opsctl::procedure::library::{Library, builtin_packs};
use opsctl::procedure::schema;
use opsctl::procedure::site::{PackRef, Site};
use regex::Regex;

use super::site_for_everything;

/// Every generated file of `docs/`, with what it must hold.
pub fn pages() -> [(&'static str, String); 7] {
    [
        ("probes.md", probes()),
        ("actions.md", actions()),
        ("format.md", format()),
        ("procedures.md", procedures()),
        ("procedure.schema.json", format!("{:#}\n", schema::procedure())),
        ("site.schema.json", format!("{:#}\n", schema::site())),
        ("test.schema.json", format!("{:#}\n", schema::test())),
    ]
}

const MADE: &str = "<!-- Made from the program's tables by `UPDATE_DOCS=1 cargo test --test all docs::`. -->\n\n";

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace(" | ", ", ").replace('|', r"\|")
}

/// A fragment as a sentence.
fn sentence(fragment: &str) -> String {
    let mut chars = fragment.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

// --- kinds of probe ---

fn probes() -> String {
    let mut text = format!("# Kinds of probe\n\n{MADE}");
    text.push_str(
        "What `opsctl explain KIND` prints. An input that takes a list also takes a single value. A fact in `expect` \
         or `prefer` takes [conditions](conditions.md) of its type; a fact that was not seen is missing and satisfies \
         nothing.\n\n| kind | looks at |\n|---|---|\n",
    );
    for kind in probe::KINDS {
        let about = kind.about.split(". ").next().unwrap_or_default();
        writeln!(text, "| [{0}](#{0}) | {1} |", kind.name, cell(about)).ok();
    }
    for kind in probe::KINDS {
        probe_kind(&mut text, kind);
    }
    text
}

fn probe_kind(text: &mut String, kind: &probe::Kind) {
    let limit = Quantity::duration(kind.limit).rounded();
    write!(text, "\n## {}\n\n{} A look may take {limit}.\n\n", kind.name, sentence(kind.about)).ok();
    if kind.inputs.is_empty() {
        writeln!(text, "It has no inputs: `{}: {{}}`.", kind.name).ok();
    } else {
        text.push_str("| input | is | meaning |\n|---|---|---|\n");
        inputs(text, kind.inputs, "");
    }
    facts(text, kind.facts);
    write!(text, "\n```yaml\n{}```\n", kind.example).ok();
}

fn facts(text: &mut String, specs: &[FactSpec]) {
    text.push_str("\n| fact | is | meaning |\n|---|---|---|\n");
    for fact in specs {
        let name = if fact.family { format!("{}: {{ NAME: ... }}", fact.name) } else { fact.name.to_owned() };
        let implied = match fact.implied {
            None => "",
            Some([]) => ". Expected to be true by every step that does not name it",
            Some(_) => ". Expected to be true unless the step says otherwise",
        };
        writeln!(text, "| `{name}` | {} | {}{implied} |", fact.ty.describe().0, cell(&fact.explained())).ok();
    }
}

fn inputs(text: &mut String, specs: &[InputSpec], within: &str) {
    for spec in specs {
        let need = match spec.need {
            Need::Required => "; required".to_owned(),
            Need::Optional => String::new(),
            Need::Default(default) => format!("; `{default}` if not given"),
        };
        let name = format!("{within}{}", spec.name);
        writeln!(text, "| `{name}` | {}{need} | {} |", cell(&explain::input_type(spec.ty)), cell(spec.about)).ok();
        if let InputType::Group(specs) | InputType::Groups(specs) = spec.ty {
            inputs(text, specs, &format!("{name}."));
        }
    }
}

// --- kinds of action ---

fn actions() -> String {
    let mut text = format!("# Kinds of action\n\n{MADE}");
    text.push_str(
        "What `opsctl explain KIND` prints. [Acting](acting.md) tells how a step with an action runs: what is shown and \
         agreed to before, what is looked at afterwards, how it is taken back. An input that takes a list also takes a \
         single value. Facts are of what was done: later steps read them as `steps.ID.facts.NAME`.\n\n\
         | kind | does | effect |\n|---|---|---|\n",
    );
    for kind in action::KINDS {
        let about = kind.about.split(". ").next().unwrap_or_default();
        writeln!(text, "| [{0}](#{0}) | {1} | {2} |", kind.name, cell(about), cell(&explain::effect(kind))).ok();
    }
    for kind in action::KINDS {
        let limit = Quantity::duration(kind.limit).rounded();
        write!(text, "\n## {}\n\n{} It may take {limit}.\n\n", kind.name, sentence(kind.about)).ok();
        write!(text, "What it checks by itself, in a dry run too: {}.\n\n", kind.checks).ok();
        write!(text, "Effect: {}.\n\n", explain::effect(kind)).ok();
        text.push_str("| input | is | meaning |\n|---|---|---|\n");
        inputs(&mut text, kind.inputs, "");
        facts(&mut text, kind.facts);
        write!(text, "\n```yaml\n{}```\n", kind.example).ok();
    }
    text
}

// --- the documents ---

fn format() -> String {
    let mut text = format!("# The format\n\n{MADE}");
    text.push_str(
        "Every key of the documents, what may stand there, and the grammar of conditions. [Writing \
         procedures](writing-procedures.md) and [the site file](site-file.md) tell it by tasks. The JSON Schemas for \
         editors are [procedure.schema.json](procedure.schema.json) and [site.schema.json](site.schema.json); `opsctl \
         schema` prints them.\n\nA file is UTF-8, at most 1 MiB, and one YAML document. An unknown key, a key that \
         stands twice, a tag and an empty list are refused.\n",
    );
    document(&mut text, "A procedure", "`PACK/GROUP/NAME.yaml` is the command `opsctl GROUP NAME`.", keys::PROCEDURE);
    document(&mut text, "A pack", "`PACK/pack.yaml` may stand beside the groups.", keys::PACK);
    document(&mut text, "The site file", "`opsctl.yaml`; relative paths in it start at its folder.", keys::SITE);
    document(
        &mut text,
        "Tests",
        "`PACK/GROUP/NAME.test.yaml` is about the procedure `NAME.yaml` beside it.",
        keys::TEST,
    );
    write!(text, "\n## Conditions\n\n```text\n{CONDITIONS}```\n\n").ok();
    text.push_str("| a fact that is | takes for example |\n|---|---|\n");
    for ty in [
        FactType::Bool,
        FactType::Count,
        FactType::Percent,
        FactType::Size,
        FactType::SizeShare,
        FactType::Duration,
        FactType::Rate,
        FactType::Throughput,
        FactType::Text,
        FactType::Texts,
        FactType::Any,
    ] {
        let (word, example) = ty.describe();
        writeln!(text, "| {word} | `{example}` |").ok();
    }
    text
}

fn document(text: &mut String, title: &str, place: &str, specs: &'static [KeySpec]) {
    write!(text, "\n## {title}\n\n{place}\n\n").ok();
    table(text, specs, "");
}

fn table(text: &mut String, specs: &'static [KeySpec], within: &str) {
    text.push_str("| key | is | meaning |\n|---|---|---|\n");
    let mut inner = Vec::new();
    for spec in specs {
        let need = if spec.required { "; required" } else { "" };
        let (form, below) = explain::key_form(spec.form);
        writeln!(text, "| `{}` | {}{need} | {} |", spec.name, cell(&form), cell(spec.about)).ok();
        inner.extend(below.map(|below| (format!("{within}{}", spec.name), below)));
    }
    for (path, below) in inner {
        write!(text, "\n### `{path}`\n\n").ok();
        table(text, below, &format!("{path}."));
    }
}

// --- the shipped procedures ---

fn procedures() -> String {
    let mut text = format!("# The procedures that come with opsctl\n\n{MADE}");
    text.push_str(
        "A pack is named in `packs` of the [site file](site-file.md); its variables are set in `vars`. Without a site \
         file there is the pack `host`. `opsctl GROUP PROCEDURE --help` shows one.\n",
    );
    for pack in builtin_packs() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("procedures").join(pack);
        let of_pack = std::fs::read_to_string(folder.join("pack.yaml")).expect("a pack.yaml in every built-in pack");
        write!(text, "\n## {pack}\n\n{}", needed(&folder, &of_pack)).ok();
        write!(text, "Its variables where the site file gives no others:\n\n```yaml\n{of_pack}```\n").ok();
        let site = Site { packs: vec![PackRef::Builtin(pack.to_owned()).into()], ..site_for_everything() };
        let library = Library::open(&site, &opsctl::procedure::template::Vars::new()).expect("a pack that opens");
        let loaded = library.load(library.ids(), &site);
        for procedure in loaded.unwrap_or_else(|wrong| panic!("{}", wrong.render(false))) {
            one_procedure(&mut text, &procedure);
        }
    }
    text
}

/// The variables and databases that the procedures below `folder` name and the pack does not give.
fn needed(folder: &Path, of_pack: &str) -> String {
    let mut names = BTreeSet::new();
    let named =
        Regex::new(r"\{\{ *([a-z_]+) *\}\}|\bvars\.([a-z_]+)|\bdatabase: *([a-z_]+)").expect("a regular expression");
    for file in walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.expect("a readable folder")) {
        let procedure = std::fs::read_to_string(file.path()).unwrap_or_default();
        for found in named.captures_iter(&procedure) {
            if let Some(database) = found.get(3) {
                names.insert(format!("the database `{}`", database.as_str()));
            } else if let Some(variable) = found.get(1).or(found.get(2)).map(|found| found.as_str())
                && !of_pack.contains(&format!("  {variable}:"))
            {
                names.insert(format!("the variable `{variable}`"));
            }
        }
    }
    if names.is_empty() {
        return "It needs nothing in the site file. ".to_owned();
    }
    format!("It needs {} in the site file. ", names.into_iter().collect::<Vec<_>>().join(" and "))
}

fn one_procedure(text: &mut String, procedure: &Procedure) {
    let id = &procedure.id;
    write!(text, "\n### {} {}\n\n{}.", id.group(), id.name(), procedure.title).ok();
    if let Some(purpose) = &procedure.purpose {
        write!(text, " {purpose}").ok();
    }
    if let Some(original) = &procedure.original_title {
        write!(text, " In the document: *{original}*.").ok();
    }
    text.push('\n');
    if !procedure.criteria.is_empty() {
        text.push_str("\n| criterion | is proven by |\n|---|---|\n");
        for criterion in &procedure.criteria {
            let proofs: Vec<String> = criterion.proven_by.iter().map(|proof| format!("`{}`", proof.written)).collect();
            writeln!(text, "| {} | {} |", cell(&criterion.says), proofs.join(", ")).ok();
        }
    }
    text.push_str("\n| step | | looks with |\n|---|---|---|\n");
    for step in &procedure.steps {
        let kinds: Vec<&str> = step.looks.iter().map(|look| look.kind.name).collect();
        writeln!(text, "| `{}` | {} | {} |", step.id, cell(&step.title), kinds.join(", ")).ok();
    }
}
