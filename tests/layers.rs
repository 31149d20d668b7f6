//! An import goes down, never up, never sideways; only the command line prints and ends the process.

use std::path::{Path, PathBuf};

use regex::Regex;

/// Folders of `src` by layer, from the lowest.
const LAYERS: [&[&str]; 8] = [
    &["model"],
    &["probe", "report", "journal", "notify", "schedule"],
    &["action"],
    &["procedure"],
    &["engine"],
    &["fleet", "serve", "drill"],
    &["cli"],
    // Not part of the program.
    &["fuzzing"],
];

/// What only the command line may do.
const ONLY_CLI: &str = r"\b(println!|eprintln!|print!|eprint!|dbg!|process::exit)";

/// What has no place in the model: files, network, processes, threads, clocks, runtimes.
const NOT_IN_MODEL: &str = r"\b(tokio|std::fs|std::env|std::net|std::process|std::thread|std::io|Utc::now|Local::now|Instant::now|SystemTime)\b";

fn layer(folder: &str) -> Option<usize> {
    LAYERS.iter().position(|folders| folders.contains(&folder))
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_below(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The code without comments, in which text like `crate::` means nothing.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The folders at the root of the crate that `code` names: `crate::a::b`, `crate::{a, b::c}`.
fn folders_named(code: &str) -> Vec<String> {
    let names = Regex::new(r"\bcrate::(?:\{([^;]*?)\}\s*;|([a-z_]+))").expect("a pattern");
    let first = Regex::new(r"(?:^|,)\s*([a-z_]+)").expect("a pattern");
    let inner = Regex::new(r"\{[^{}]*\}").expect("a pattern");
    let mut folders = Vec::new();
    for found in names.captures_iter(code) {
        if let Some(name) = found.get(2) {
            folders.push(name.as_str().to_owned());
        } else if let Some(group) = found.get(1) {
            let mut group = group.as_str().to_owned();
            while inner.is_match(&group) {
                group = inner.replace_all(&group, "").into_owned();
            }
            folders.extend(first.captures_iter(&group).map(|name| name[1].to_owned()));
        }
    }
    folders
}

/// What is wrong with the code of a file, whose path is relative to `src`.
fn wrong(path: &Path, text: &str) -> Vec<String> {
    let shown = path.display();
    let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().replace(".rs", "")).collect();
    let folder = parts[0].as_str();
    if matches!(folder, "lib" | "main") {
        return Vec::new();
    }
    let code = code(text);
    let Some(own) = layer(folder) else {
        return vec![format!("{shown}: the folder {folder} has no layer")];
    };
    let mut wrong = Vec::new();
    for other in folders_named(&code).iter().filter(|other| *other != folder) {
        if layer(other).is_none_or(|other| other >= own) {
            wrong.push(format!("{shown}: {folder} must not use {other}"));
        }
    }
    let depth = parts.iter().filter(|part| *part != "mod").count();
    if code.contains(&"super::".repeat(depth)) {
        wrong.push(format!("{shown}: `super` leads to the root of the crate; write `crate`"));
    }
    let mut ban = |pattern: &str, reason: &str| {
        for found in Regex::new(pattern).expect("a pattern").find_iter(&code) {
            wrong.push(format!("{shown}: `{}` {reason}", found.as_str()));
        }
    };
    if folder != "cli" {
        ban(ONLY_CLI, "is for the command line only");
    }
    if folder == "model" {
        ban(NOT_IN_MODEL, "has no place in the model");
    }
    wrong
}

#[test]
fn every_import_goes_down_and_only_the_command_line_speaks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    files_below(&root, &mut files);
    files.sort();
    assert!(files.len() > 50, "the sources are found");
    let all: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).expect("a source");
            wrong(file.strip_prefix(&root).expect("below src"), &text)
        })
        .collect();
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

#[test]
fn an_import_up_or_sideways_is_found() {
    let wrong = |path: &str, text: &str| wrong(Path::new(path), text);
    assert_eq!(wrong("engine/mod.rs", "use crate::cli::x;"), ["engine/mod.rs: engine must not use cli"]);
    assert_eq!(wrong("probe/disk.rs", "let x = crate::report::Format;"), ["probe/disk.rs: probe must not use report"]);
    assert_eq!(
        wrong("model/id.rs", "use crate::{model::{a, probe}, probe::{b, c},\n  procedure};"),
        ["model/id.rs: model must not use probe", "model/id.rs: model must not use procedure"]
    );
    assert_eq!(wrong("new/a.rs", ""), ["new/a.rs: the folder new has no layer"]);
    assert_eq!(wrong("report/a.rs", "use crate::helpers::x;"), ["report/a.rs: report must not use helpers"]);
    assert_eq!(
        wrong("probe/disk.rs", "use super::super::report;"),
        ["probe/disk.rs: `super` leads to the root of the crate; write `crate`"]
    );
    assert_eq!(
        wrong("probe/disk.rs", "fn f() { eprintln!(\"x\") }"),
        ["probe/disk.rs: `eprintln!` is for the command line only"]
    );
    assert_eq!(wrong("model/id.rs", "use std::fs;"), ["model/id.rs: `std::fs` has no place in the model"]);
}

#[test]
fn an_import_down_is_not() {
    let text = "use crate::model::id; // crate::cli\n/// crate::engine\nuse super::Kind;\nuse crate::{model, probe::{Probe, cli}};";
    assert_eq!(wrong(Path::new("procedure/document.rs"), text), Vec::<String>::new());
    assert_eq!(
        wrong(Path::new("cli/mod.rs"), "println!(); std::process::exit(1); crate::engine::x"),
        Vec::<String>::new()
    );
}
