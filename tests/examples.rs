//! What people copy from: examples, shipped procedures, and what is said of each input and fact.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use opsctl::action;
use opsctl::model::action::Effect;
use opsctl::model::fact::FactSpec;
use opsctl::model::id::ProcedureId;
use opsctl::model::input::{InputSpec, InputType, Need};
use opsctl::model::outcome::Outcome;
use opsctl::probe::{KINDS, Kind};
use opsctl::procedure::diagnostic::Source;
use opsctl::procedure::library::{Library, builtin_packs};
use opsctl::procedure::site::{PackRef, Site};
use opsctl::procedure::template::Vars;
use opsctl::procedure::{explain, keys, schema, yaml};
use regex::Regex;

use crate::engine::Run;
use crate::procedures::Case;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn parsed(text: &str) -> yaml::Node {
    let source = Arc::new(Source { name: "a.yaml".to_owned(), text: text.to_owned() });
    yaml::parse(&source).unwrap_or_else(|_| panic!("no YAML: {text}"))
}

/// Refuses what an editor with the schema would mark.
#[track_caller]
fn assert_valid(schema: &serde_json::Value, text: &str) {
    let validator = jsonschema::validator_for(schema).expect("a schema");
    let wrong: Vec<String> = validator.iter_errors(&parsed(text).to_json()).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{text}\n{}", wrong.join("\n"));
}

fn procedure_schema() -> &'static serde_json::Value {
    static SCHEMA: OnceLock<serde_json::Value> = OnceLock::new();
    SCHEMA.get_or_init(schema::procedure)
}

fn as_procedure(kind: &Kind) -> String {
    format!("title: Example\nsteps:\n{}", kind.example)
}

#[test]
fn every_kind_of_probe_has_an_example_that_loads_as_a_step() {
    for kind in KINDS {
        let path = root().join(format!("examples/probes/{}.yaml", kind.name));
        let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(kind.example, file, "`opsctl explain {}` shows the file", kind.name);
        let said = Case::new().with("pack/daily/check.yaml", as_procedure(kind)).complaints();
        assert_eq!(said, "", "{}", kind.name);
        assert_valid(procedure_schema(), &as_procedure(kind));
        let step = parsed(kind.example);
        let step = &step.list().expect("a list of steps")[0];
        let named = step.get("probe").and_then(|look| look.get(kind.name));
        assert!(named.is_some() && step.get("title").is_some(), "{} shows a step with a title", kind.name);
    }
}

/// The steps of an example, and a look for each that it names in `precheck` and `verify` and leaves out.
pub fn with_looks(steps: &str) -> String {
    let named = Regex::new(r"(?:precheck|verify): \[([^\]]+)\]").expect("a regular expression");
    let ids = named.captures_iter(steps).flat_map(|found| {
        let ids: Vec<String> = found[1].split(',').map(|id| id.trim().to_owned()).collect();
        ids
    });
    let missing: BTreeSet<String> = ids.filter(|id| !steps.contains(&format!("- id: {id}\n"))).collect();
    let looks =
        missing.iter().map(|id| format!("- id: {id}\n  probe: {{ memory: {{}} }}\n  expect: {{ total: above 0B }}\n"));
    looks.chain([steps.to_owned()]).collect()
}

#[test]
fn every_kind_of_action_has_an_example_that_loads_as_a_step() {
    for kind in action::KINDS {
        let path = root().join(format!("examples/actions/{}.yaml", kind.name));
        let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(kind.example, file, "`opsctl explain {}` shows the file", kind.name);
        let procedure = format!("title: Example\nsteps:\n{}", with_looks(kind.example));
        let said = Case::new().with("pack/daily/check.yaml", &procedure).complaints();
        assert_eq!(said, "", "{}", kind.name);
        assert_valid(procedure_schema(), &procedure);
        let step = parsed(kind.example);
        let step = &step.list().expect("a list of steps")[0];
        let named = step.get("action").and_then(|doing| doing.get(kind.name));
        assert!(named.is_some() && step.get("title").is_some(), "{} shows a step with a title", kind.name);
    }
}

#[test]
fn every_example_is_one_of_a_kind() {
    for (folder, kinds) in [
        ("examples/probes", KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>()),
        ("examples/actions", action::KINDS.iter().map(|kind| kind.name).collect()),
    ] {
        for entry in std::fs::read_dir(root().join(folder)).expect("the examples") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy();
            assert!(kinds.contains(&&*name), "there is no kind {name}");
        }
    }
}

#[test]
fn examples_that_look_at_the_machine_itself_can_look_anywhere() {
    for name in
        ["command", "cpu", "disk", "file", "load", "memory", "network", "port", "pressure", "process", "reboot", "time"]
    {
        let kind = opsctl::probe::kind(name).expect("a kind");
        let ran = Run::of(&as_procedure(kind)).run();
        assert_ne!(ran.outcome, Outcome::Errored, "{name}: {:?}", ran.record().procedures);
    }
}

/// The complete site of the examples.
fn example_site() -> Site {
    let path = root().join("examples/opsctl.yaml");
    Site::read(&path).unwrap_or_else(|wrong| panic!("{}", wrong.render(false)))
}

fn load_all(site: &Site) -> Vec<ProcedureId> {
    let library = Library::open(site, &Vars::new()).unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
    let ids: Vec<ProcedureId> = library.ids().cloned().collect();
    let procedures = library.load(&ids, site).unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
    procedures.into_iter().map(|procedure| procedure.id).collect()
}

#[test]
fn every_built_in_procedure_loads() {
    assert_eq!(builtin_packs(), ["helpdesk", "host"]);
    let mut site = example_site();
    for pack in builtin_packs() {
        site.packs = vec![PackRef::Builtin(pack.to_owned()).into()];
        assert!(!load_all(&site).is_empty(), "{pack} has procedures");
    }
}

#[test]
fn the_host_pack_needs_no_site_file() {
    assert!(load_all(&Site::of_this_machine("host")).iter().any(|id| id.as_str() == "daily/host-health"));
}

#[test]
fn the_example_of_a_site_loads_with_its_own_procedures_and_shows_every_key() {
    let site = example_site();
    let ids = load_all(&site);
    for id in ["daily/system-health", "daily/backup-check", "daily/website"] {
        assert!(ids.iter().any(|known| known.as_str() == id), "{id} among {ids:?}");
    }
    let text = std::fs::read_to_string(root().join("examples/opsctl.yaml")).expect("the example");
    assert_valid(&schema::site(), &text);
    let node = parsed(&text);
    for key in keys::SITE {
        assert!(node.get(key.name).is_some(), "it does not show `{}`", key.name);
    }
}

#[test]
fn waivers_of_the_example_name_steps_that_exist() {
    let site = example_site();
    let library = Library::open(&site, &Vars::new()).expect("a library");
    let ids: Vec<ProcedureId> = library.ids().cloned().collect();
    let procedures = library.load(&ids, &site).expect("procedures");
    let steps: Vec<String> = procedures
        .iter()
        .flat_map(|procedure| procedure.steps.iter().map(|step| format!("{}.{}", procedure.id, step.id)))
        .collect();
    for waiver in &site.waivers {
        assert!(steps.contains(&waiver.step), "{} among {steps:?}", waiver.step);
    }
}

fn yaml_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(yaml_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_schema_accepts_every_procedure_that_is_shipped() {
    let files =
        yaml_below(&root().join("procedures")).into_iter().chain(yaml_below(&root().join("examples/procedures")));
    let is_test = opsctl::procedure::library::is_test;
    for file in files.filter(|file| file.file_name().is_some_and(|name| name != "pack.yaml") && !is_test(file)) {
        assert_valid(procedure_schema(), &std::fs::read_to_string(&file).expect("a procedure"));
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Inputs with those of their groups; the names of each group are unique.
fn inputs_of(kind: &str, specs: &'static [InputSpec]) -> Vec<&'static InputSpec> {
    let mut all = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        assert!(specs[..index].iter().all(|other| other.name != spec.name), "{kind} has {} twice", spec.name);
        all.push(spec);
        if let InputType::Group(inner) | InputType::Groups(inner) = spec.ty {
            all.extend(inputs_of(kind, inner));
        }
    }
    all
}

/// What is said of a kind of probe or action, with its name.
struct Said {
    name: &'static str,
    about: &'static str,
    inputs: &'static [InputSpec],
    facts: &'static [FactSpec],
    example: &'static str,
}

fn all_kinds() -> impl Iterator<Item = Said> {
    let probes = KINDS.iter().map(|kind| Said {
        name: kind.name,
        about: kind.about,
        inputs: kind.inputs,
        facts: kind.facts,
        example: kind.example,
    });
    let actions = action::KINDS.iter().map(|kind| Said {
        name: kind.name,
        about: kind.about,
        inputs: kind.inputs,
        facts: kind.facts,
        example: kind.example,
    });
    probes.chain(actions)
}

#[test]
fn no_two_kinds_have_the_same_name_and_each_has_a_time_limit() {
    let probes: Vec<_> = KINDS.iter().map(|kind| (kind.name, kind.limit)).collect();
    let actions: Vec<_> = action::KINDS.iter().map(|kind| (kind.name, kind.limit)).collect();
    for kinds in [probes, actions] {
        let names: BTreeSet<&str> = kinds.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), kinds.len(), "{names:?}");
        assert!(kinds.iter().all(|(_, limit)| !limit.is_zero()), "{kinds:?}");
    }
}

#[test]
fn inputs_and_facts_have_names_and_say_what_they_are() {
    for kind in all_kinds() {
        assert!(is_name(kind.name) && !kind.about.is_empty() && !kind.facts.is_empty(), "{}", kind.name);
        for spec in inputs_of(kind.name, kind.inputs) {
            assert!(is_name(spec.name) && spec.about.len() > 5, "the input {} of {}", spec.name, kind.name);
            if let Need::Default(written) = spec.need {
                assert!(!written.is_empty(), "the default of {} of {}", spec.name, kind.name);
            }
        }
        for (index, fact) in kind.facts.iter().enumerate() {
            assert!(is_name(fact.name) && fact.about.len() > 5, "the fact {} of {}", fact.name, kind.name);
            assert!(
                kind.facts[..index].iter().all(|other| other.name != fact.name),
                "{} has {} twice",
                kind.name,
                fact.name
            );
        }
    }
}

#[test]
fn facts_that_imply_others_name_facts_of_the_same_kind() {
    for kind in KINDS {
        let is_known = |name: &str| kind.facts.iter().any(|fact| fact.name == name);
        for FactSpec { name, implied, .. } in kind.facts {
            for other in implied.unwrap_or_default() {
                assert!(
                    is_known(other),
                    "`{name}` of {} is implied unless `{other}`, which it does not report",
                    kind.name
                );
            }
        }
    }
}

#[test]
fn explaining_a_kind_mentions_every_input_and_every_fact() {
    for kind in all_kinds() {
        let text = explain::topic(kind.name).expect("a topic");
        let first_words: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .map(|word| word.trim_end_matches(':'))
            .collect();
        let inputs = inputs_of(kind.name, kind.inputs).into_iter().map(|spec| spec.name);
        for name in inputs.chain(kind.facts.iter().map(|fact| fact.name)) {
            assert!(first_words.contains(&name), "`opsctl explain {}` does not mention `{name}`", kind.name);
        }
        assert!(text.contains(kind.about.split_whitespace().next().expect("words")));
        let line = kind.example.lines().next().expect("an example");
        assert!(text.contains(line), "`opsctl explain {}` shows the example", kind.name);
        assert!(explain::kinds().contains(&format!("\n  {} ", kind.name)), "`opsctl explain` lists {}", kind.name);
    }
}

#[test]
fn what_is_a_kind_of_both_is_explained_as_a_probe_first() {
    let text = explain::topic("service").expect("a topic");
    let (probe, action) = (text.find("service (probe): "), text.find("service (action): "));
    assert!(probe.is_some() && probe < action, "{text}");
    assert_eq!(explain::topics().filter(|topic| *topic == "service").count(), 1);
}

#[test]
fn an_explained_action_says_what_it_checks_and_how_much_it_changes() {
    for kind in action::KINDS {
        let text = explain::topic(kind.name).expect("a topic").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!kind.checks.is_empty() && text.contains(&format!("in a dry run too: {}", kind.checks)), "{text}");
        let effect = if kind.effect == Effect::Destructive { "Effect: destructive" } else { "Effect: change, or" };
        assert!(text.contains(effect), "{text}");
    }
}

#[test]
fn every_word_of_the_format_can_be_explained() {
    for word in explain::all_words() {
        let text = explain::word(&word).unwrap_or_else(|| panic!("{word}"));
        assert!(text.lines().count() >= 3 && text.lines().all(|line| line.chars().count() <= 80), "{word}:\n{text}");
    }
    for (word, says) in [
        ("retry", "retry (key of a step)"),
        ("times", "times (key of `retry` of a step)"),
        ("disk.free", "disk.free (fact of the disk probe)"),
        ("http.json.queue.depth", "json: { NAME: }"),
        ("http.basic.user", "http.basic.user (input of the http probe)"),
        ("errored", "could not look"),
        ("report", "report (key of a procedure)"),
        ("report", "report (key of a step)"),
    ] {
        let text = explain::word(word).unwrap_or_else(|| panic!("{word}"));
        assert!(text.contains(says), "{word}:\n{text}");
    }
    assert_eq!(explain::word("nonsense"), None);
    assert_eq!(explain::word("disk.nonsense"), None);
}

#[test]
fn every_topic_can_be_explained_and_every_key_is_mentioned() {
    for topic in explain::topics() {
        assert!(explain::topic(topic).is_some_and(|text| text.lines().count() > 3), "{topic}");
    }
    let mentions = |topic: &str, keys: &[keys::KeySpec]| {
        let text = explain::topic(topic).expect("a topic");
        for key in keys {
            assert!(text.lines().any(|line| line.trim_start().starts_with(key.name)), "{topic}: {}", key.name);
        }
    };
    mentions("procedure", keys::PROCEDURE);
    mentions("procedure", keys::STEP);
    mentions("site", keys::SITE);
    mentions("site", keys::WAIVER);
    assert!(explain::topic("nothing").is_none());
}
