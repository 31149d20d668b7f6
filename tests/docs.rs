//! The manual is true: its references are made from the program, its links lead somewhere, its files load, its command
//! lines are understood.

mod markdown;
mod reference;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use opsctl::drill::Fault;
use opsctl::model::fact::FactSpec;
use opsctl::model::input::{InputSpec, InputType};
use opsctl::procedure::cases;
use opsctl::procedure::explain;
use opsctl::procedure::keys::{self, KeySpec};
use opsctl::procedure::library;
use opsctl::procedure::site::Site;
use opsctl::procedure::template::Vars;
use regex::Regex;
use tempfile::TempDir;

use markdown::{Block, Page};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages for people, by their path from the root.
static PAGES: LazyLock<BTreeMap<PathBuf, Page>> = LazyLock::new(|| {
    let in_docs = fs::read_dir(root().join("docs")).expect("docs/").map(|entry| entry.expect("an entry").path());
    let in_root = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name));
    let files = in_docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")).chain(in_root);
    files
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.strip_prefix(root()).expect("a path below the root").to_owned(), markdown::parse(&text))
        })
        .collect()
});

/// A site with all that the examples refer to.
const SITE: &str = r#"
site: helpdesk
packs: [host, helpdesk, ./procedures]
vars: { site_url: "http://127.0.0.1:8080", application: helpdesk, certificate_days: 14d }
databases: { helpdesk: { url: "sqlite:///nowhere.sqlite3" }, cache: { url: "redis://127.0.0.1" } }
"#;

/// A folder with that site file, and with the procedures that the pages show under the names that they give them.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("procedures")).expect("a folder");
    fs::write(folder.path().join("opsctl.yaml"), SITE).expect("a file");
    for (_, block) in yaml_blocks() {
        let name = block.text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default();
        if name.starts_with("procedures/") {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
            fs::write(file, &block.text).expect("a file");
        }
    }
    folder
}

fn site_for_everything() -> Site {
    static READ: LazyLock<Site> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("opsctl.yaml");
        fs::write(&file, SITE).expect("a file");
        Site::read(&file).unwrap_or_else(|wrong| panic!("{}", wrong.render(false)))
    });
    READ.clone()
}

fn yaml_blocks() -> impl Iterator<Item = (&'static Path, &'static Block)> {
    PAGES.iter().flat_map(|(path, page)| {
        page.blocks.iter().filter(|block| block.language == "yaml").map(|block| (path.as_path(), block))
    })
}

fn opsctl(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_opsctl"))
        .args(arguments)
        .current_dir(folder)
        .env("HOME", folder.path())
        .env_remove("OPSCTL_SITE")
        .output()
        .expect("the program")
}

// --- the references ---

#[test]
fn the_references_are_what_the_program_knows() {
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut stale = Vec::new();
    for (name, wanted) in reference::pages() {
        let path = root().join("docs").join(name);
        if fs::read_to_string(&path).is_ok_and(|written| written == wanted) {
            continue;
        }
        if update {
            fs::write(&path, wanted).unwrap();
        } else {
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "{stale:?} are out of step; run `UPDATE_DOCS=1 cargo test --test all docs::`");
}

// --- the texts of the program ---

/// Fragments: lower case unless the word is a name, and no full stop at the end.
fn in_style(about: &str) -> bool {
    let mut chars = about.chars();
    let (first, second) = (chars.next().unwrap_or(' '), chars.next().unwrap_or(' '));
    let begins = !first.is_uppercase() || second.is_uppercase() || second.is_ascii_digit();
    begins && !first.is_whitespace() && !about.contains("  ") && (!about.ends_with('.') || about.ends_with("..."))
}

#[test]
fn every_text_about_a_kind_an_input_a_fact_or_a_key_is_a_fragment() {
    fn of_inputs(specs: &'static [InputSpec], texts: &mut Vec<&'static str>) {
        for spec in specs {
            texts.push(spec.about);
            if let InputType::Group(inner) | InputType::Groups(inner) = spec.ty {
                of_inputs(inner, texts);
            }
        }
    }
    fn of_keys(specs: &'static [KeySpec], texts: &mut Vec<&'static str>) {
        for spec in specs {
            texts.push(spec.about);
            if let (_, Some(inner)) = explain::key_form(spec.form) {
                of_keys(inner, texts);
            }
        }
    }
    let mut texts = Vec::new();
    for kind in opsctl::probe::KINDS {
        texts.push(kind.about);
        of_inputs(kind.inputs, &mut texts);
        texts.extend(kind.facts.iter().map(|fact: &FactSpec| fact.about));
    }
    for kind in opsctl::action::KINDS {
        texts.extend([kind.about, kind.checks]);
        of_inputs(kind.inputs, &mut texts);
        texts.extend(kind.facts.iter().map(|fact: &FactSpec| fact.about));
    }
    for document in [keys::PROCEDURE, keys::SITE, keys::PACK, keys::TEST] {
        of_keys(document, &mut texts);
    }
    let wrong: Vec<&str> = texts.into_iter().filter(|text| !in_style(text)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_explanation_fits_eighty_columns() {
    for topic in explain::topics() {
        let text = explain::topic(topic).expect("a topic");
        let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "opsctl explain {topic}: {wide:#?}");
    }
}

// --- the pages ---

#[test]
fn every_link_leads_somewhere() {
    let mut broken = String::new();
    for (path, page) in PAGES.iter() {
        for (line, target) in page.links() {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let linked =
                if file.is_empty() { root().join(path) } else { root().join(path).parent().unwrap().join(file) };
            let has_anchor = || {
                let text = fs::read_to_string(&linked).unwrap_or_default();
                markdown::parse(&text).anchors().iter().any(|known| known == anchor)
            };
            if !linked.exists() || !(anchor.is_empty() || has_anchor()) {
                writeln!(broken, "{}:{line}: {target}", path.display()).ok();
            }
        }
    }
    assert!(broken.is_empty(), "these links lead nowhere:\n{broken}");
}

#[test]
fn every_page_is_in_the_index() {
    let index = &PAGES[Path::new("docs/README.md")];
    let linked: Vec<String> = index.links().into_iter().map(|(_, target)| target).collect();
    for path in PAGES.keys().filter(|path| path.starts_with("docs") && !path.ends_with("README.md")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(linked.iter().any(|target| target == name), "docs/README.md does not link {name}");
    }
}

#[test]
fn every_yaml_file_in_the_pages_loads() {
    let mut wrong = String::new();
    for (path, block) in yaml_blocks() {
        if let Err(why) = load(&block.text) {
            writeln!(wrong, "{}:{}\n{why}", path.display(), block.line).ok();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What the tests that are shown are about.
const TESTED: &str = "title: Disks
steps: [{ id: disks, probe: { disk: {} }, expect: { free: above 20% } }]
criteria: [{ says: More than 20 % of each disk is free, proven_by: [disks] }]
";

/// A procedure, a list of steps, tests, a site file or a pack file, by what it holds.
fn load(text: &str) -> Result<(), String> {
    let has = |key: &str| text.lines().any(|line| line.starts_with(key));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let in_file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let procedure = |text: &str| {
        let read = library::read_one(&in_file("example.yaml", text), &site_for_everything(), &Vars::new());
        read.map(|_| ()).map_err(|wrong| wrong.render(false))
    };
    if has("site:") {
        return Site::read(&in_file("opsctl.yaml", text)).map(|_| ()).map_err(|wrong| wrong.render(false));
    }
    if has("cases:") {
        let group = folder.path().join("daily");
        fs::create_dir(&group).expect("a folder");
        fs::write(group.join("disks.yaml"), TESTED).expect("a file");
        let file = group.join("disks.test.yaml");
        fs::write(&file, text).expect("a file");
        let read = cases::read(&file, &site_for_everything(), &Vars::new());
        return read.map(|_| ()).map_err(|wrong| wrong.render(false));
    }
    if has("steps:") {
        return procedure(text);
    }
    if has("- id:") {
        return procedure(&format!("title: Example\nsteps:\n{}", crate::examples::with_looks(text)));
    }
    if has("vars:") {
        in_file("pack.yaml", text);
        let site = in_file("opsctl.yaml", "site: example\npacks: [./]\n");
        let site = Site::read(&site).map_err(|wrong| wrong.render(false))?;
        return library::Library::open(&site, &Vars::new()).map(|_| ()).map_err(|wrong| wrong.render(false));
    }
    Err("neither a procedure nor steps, a site file or a pack".to_owned())
}

/// The command lines of a page: those after `$` in a `console` block, and code in a line that begins with `opsctl`.
fn command_lines(page: &Page) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    for block in page.blocks.iter().filter(|block| block.language == "console") {
        for (index, line) in block.text.lines().enumerate() {
            if let Some(command) = line.strip_prefix("$ ") {
                lines.push((block.line + index, command.to_owned()));
            }
        }
    }
    lines.extend(page.code());
    lines.retain_mut(|(_, line)| {
        let bare = line.trim_start_matches("sudo ").replace("cargo run --release -- ", "opsctl ");
        let bare = bare.split([';', '|', '>']).next().unwrap_or_default().split(" #").next().unwrap_or_default();
        let bare = bare.split(" && ").next().unwrap_or_default().trim().to_owned();
        *line = bare;
        line.starts_with("opsctl ")
    });
    lines
}

/// Words that stand for others in the text.
fn meant(word: &str) -> &str {
    match word {
        "GROUP" => "daily",
        "PROCEDURE" | "NAME" => "system-health",
        "KIND" => "disk",
        "SHELL" => "bash",
        "COMMAND" => "lint",
        other => other,
    }
}

/// The line without the drill around it; the faults that it names are checked here.
fn without_drill<'w>(words: &[&'w str]) -> Result<Vec<&'w str>, String> {
    let Some(("drill", rest)) = words.split_first().map(|(first, rest)| (*first, rest)) else {
        return Ok(words.to_vec());
    };
    let (mut kept, mut rest) = (Vec::new(), rest.iter());
    while let Some(&word) = rest.next() {
        if word == "--fault" {
            let fault = rest.next().copied().unwrap_or_default();
            // `--fault NAME` in the text stands for any.
            if fault != meant("NAME") {
                fault.parse::<Fault>().map_err(|error| error.to_string())?;
            }
        } else {
            kept.push(word);
        }
    }
    Ok(if kept.is_empty() || kept == ["--list-faults"] { vec!["drill"] } else { kept })
}

#[test]
fn every_command_line_in_the_pages_is_understood() {
    let (folder, mut wrong) = (folder(), String::new());
    let mut known: BTreeMap<Vec<String>, Result<(), String>> = BTreeMap::new();
    for (path, page) in PAGES.iter() {
        for (number, line) in command_lines(page) {
            let words: Vec<String> =
                line.split_whitespace().skip(1).map(|word| meant(word.trim_matches(['"', '\''])).to_owned()).collect();
            if words.iter().any(|word| word.contains("...")) {
                continue;
            }
            let understood = known.entry(words.clone()).or_insert_with(|| understand(&folder, &words));
            if let Err(why) = understood {
                writeln!(wrong, "{}:{number}: {line}\n    {why}", path.display()).ok();
            }
        }
    }
    assert!(known.len() > 20, "only {} command lines were found", known.len());
    assert!(wrong.is_empty(), "{wrong}");
}

/// Whether the program takes the words. Behind the last one stands `--help`, so that nothing is run.
fn understand(folder: &TempDir, words: &[String]) -> Result<(), String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut words = without_drill(&words)?;
    if let ["explain", topic] = words.as_slice() {
        return explain::topics().any(|known| known == *topic).then_some(()).ok_or_else(|| format!("no topic {topic}"));
    }
    words.push("--help");
    let output = opsctl(folder, &words);
    let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() && errors.is_empty() { Ok(()) } else { Err(errors) }
}

#[test]
fn every_option_of_a_run_is_told() {
    let help = String::from_utf8(opsctl(&folder(), &["daily", "check", "--help"]).stdout).unwrap();
    let page = fs::read_to_string(root().join("docs/running.md")).unwrap();
    let options = help.split_whitespace().filter(|word| word.starts_with("--") && *word != "--help");
    let missing: Vec<&str> = options.filter(|option| !page.contains(option.trim_end_matches(','))).collect();
    assert!(missing.is_empty(), "docs/running.md does not tell {missing:?}");
}

/// A line of a shown output against a printed one: numbers, units of time and the drill's folder may differ, `...` is
/// anything.
fn alike(shown: &str, printed: &str) -> bool {
    let replace = |text: &str, pattern: &str, by: &str| {
        Regex::new(pattern).expect("a pattern").replace_all(text, regex::NoExpand(by)).into_owned()
    };
    let words = shown.split_whitespace().map(|word| {
        let word = regex::escape(word).replace(r"\.\.\.", ".*");
        let word = replace(&word, r"[/a-z]*opsctl\\-drill\\-[A-Za-z0-9]+", r"\S*opsctl-drill-\w+");
        // Dates in names of files, too.
        let word = replace(&word, r"[0-9]+(\\\.[0-9]+)?", "[0-9.]+");
        if word == "ms" || word == "s" { "m?s".to_owned() } else { word }
    });
    let pattern = format!("^{}$", words.collect::<Vec<_>>().join(r"\s+"));
    Regex::new(&pattern).expect("a pattern").is_match(printed.trim())
}

#[test]
fn the_output_in_the_readme_is_what_the_drill_prints() {
    let page = &PAGES[Path::new("README.md")];
    let block = page.blocks.iter().find(|block| block.language == "text").expect("an output");
    let (command, shown) = block.text.split_once('\n').expect("a command and its output");
    let arguments: Vec<&str> = command.strip_prefix("$ opsctl ").expect("a command line").split(' ').collect();
    let printed = String::from_utf8(opsctl(&folder(), &arguments).stdout).unwrap();
    let mut rest = printed.lines();
    for line in shown.lines().filter(|line| !line.trim().is_empty() && line.trim() != "...") {
        assert!(rest.any(|printed| alike(line, printed)), "`{line}` is not printed (in this order):\n{printed}");
    }
}

#[test]
fn the_examples_are_told_of() {
    let texts: String = [
        "README.md",
        "docs/README.md",
        "docs/writing-procedures.md",
        "docs/site-file.md",
        "docs/probes.md",
        "docs/actions.md",
    ]
    .iter()
    .map(|name| fs::read_to_string(root().join(name)).unwrap())
    .collect();
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(texts.contains(&format!("examples/{name}")), "no page tells of examples/{name}");
    }
}
