//! The short way through YAML: what it reads, it reads as the full parser does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use opsctl::procedure::diagnostic::Source;
use opsctl::procedure::yaml::{full, plain};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::corpus;
use crate::model::cases;

/// Whether the short way reads `text`, which it must do as the full parser does.
fn is_short(text: &str) -> bool {
    let Some(node) = plain::parse(text) else { return false };
    let source = Arc::new(Source { name: "check.yaml".to_owned(), text: text.to_owned() });
    match full::parse(&source) {
        Ok(full) => assert_eq!(node, full, "read otherwise:\n{text}"),
        Err(wrong) => panic!("read though it is wrong ({}):\n{text}", wrong[0].message),
    }
    true
}

fn yaml_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            yaml_below(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
}

#[test]
fn all_procedures_examples_and_sites_of_the_project_go_the_short_way() {
    let mut files = Vec::new();
    for folder in ["procedures", "examples", "scripts/bench.d/pack", "scripts/bench.d/one"] {
        yaml_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        assert!(is_short(&std::fs::read_to_string(&file).expect("a file")), "{}", file.display());
    }
}

#[test]
fn good_and_bad_documents_are_read_alike() {
    let texts = [corpus::STEPS, corpus::PROCEDURES, corpus::SITES].concat();
    let short = texts.iter().filter(|(_, text)| is_short(text) && is_short(&format!("steps:\n  - {text}\n"))).count();
    assert!(short > texts.len() / 2, "{short} of {}", texts.len());
}

/// What is written every day.
const USUAL: &[&str] = &[
    "a: b",
    "a: b\n",
    "\n# comment\n\na: b # comment\n  # comment\nc: d\n",
    "- a\n- b\n",
    "  - a\n  - b\n",
    "a:\n  - b\n  - c\nd: e\n",
    "a:\n- b\n- c\nd: e\n",
    "- - a\n  - b\n- - c\n",
    "- a: 1\n  b: 2\n-   c: 3\n    d: 4\n-\n  e: 5\n",
    "a:\n    b:\n        c: d\n    e: f\n",
    "a : b\n'c d': e\n\"f\": g\nh i: j\n",
    "a: 'it''s'\nb: \"x\\ty\\n\\\"z\\\" \\\\\"\nc: ''\nd: \"\"\n",
    "a: http://b:80/#c\nd: x:y\ne: -5\nf: a, b [c] {d}\ng: 'h' # i\n",
    "a: []\nb: {}\nc: [d, 'e', [f], { g: h }, ]\ni: { j: [k], 'l': { m: n } }\n",
    "a: [ # comment\n  b, # comment\n\n  c ]\nd: { e: f,\n     g:\n       h }\n",
    "[a, b]",
    "{ a: b }",
    "word",
    "'word'\n",
    "a: żółw\nb: 日本 # \u{1f600}\n",
    "a: |\n  b\n  c\n",
    "a: |-\n  b:\n    c: d\n\n  # e\n  'f\nb: c\n",
    "a: >-\n  b\n  c\n\n  d\n\n\n  - e\nb: c\n",
    "- a: >\n    b\n    c\n\n- d: |\n      e\n       f\n\n# g\n- h\n",
    "a: |-\n  b\n\n\n  # c\n # d\ne: f\n",
    "a: ~\nb: null\nc: 0644\nd: <<\n<<: e\n",
];

/// What is left to the full parser, right or wrong: after the cases of the YAML test suite.
const UNUSUAL: &[&str] = &[
    "",
    "# comment\n",
    "---\na: b\n",
    "a: b\n---\nc: d\n",
    "a: b\n...\n",
    "%YAML 1.2\n---\na: b\n",
    "\u{feff}a: b\n",
    "a: b\r\nc: d\r\n",
    "a:\tb\n",
    "a:\n\tb: c\n",
    "a: \"b\tc\"\n",
    "a: b\u{85}c: d\n",
    "a: b\u{2028}c\n",
    "a: \u{7}\n",
    "a: |\n  b",
    "a: |+\n  b\n",
    "a: | # b\n  c\n",
    "a: |\n\n  b\n",
    "a: |\n b\n  \nc: d\n",
    "a: >-\n  b\n    c\n  d\n",
    "a: |\nb: c\n",
    "a: |\n",
    "[|\n  a\n]\n",
    "|\n a\n",
    "- |\n a\n",
    "a: |2+\n    b\n\n",
    "a: b\n  c\n",
    "a: 'b\n  c'\n",
    "a: \"b\n  c\"\n",
    "a: \"b\\x41\\u017c\"\n",
    "a: \"b\\\n  c\"\n",
    "a: &x b\nc: *x\n",
    "a: !t b\n",
    "!!map { a: b }\n",
    "? a\n: b\n",
    "? [a]\n: b\n",
    "a:\n",
    "a:\nb: c\n",
    "-\n- a\n",
    "{ a: , b: c }",
    "{ a, b }",
    "{ a: }",
    "{ \"a\":b }",
    "[a: b]",
    "[a, , b]",
    "[a\n b]",
    "a: [\n]\n",
    "a: {\nb: c }\n",
    "a: [b,#c\n  d]\n",
    "a: b: c\n",
    "a: - b\n",
    "a: 'b' c\n",
    "a: [b] c\n",
    "[a]: b\n",
    "a: b\nb\n",
    "a: b\n - c\n",
    "a:\n    b: c\n  d: e\n",
    "- a\nb: c\n",
    "a: 'b\n",
    "a: [b\n",
    "a: @b\n",
    "a: `b`\n",
    "a: %b\n",
    "a: ?b\n",
    "a: 1\na: 2\n",
    "{ a: 1, a: 2 }",
];

#[test]
fn what_is_written_every_day_goes_the_short_way() {
    for text in USUAL {
        assert!(is_short(text), "{text}");
    }
}

#[test]
fn what_is_unusual_or_wrong_is_left_to_the_full_parser() {
    for text in UNUSUAL {
        assert!(!is_short(text), "{text}");
    }
    assert!(!is_short(&format!("{}a: b\n", "x".repeat(1100))));
    assert!(!is_short(&format!("{}{}", "[".repeat(60), "]".repeat(60))));
    let many: Vec<String> = (0..30_000).map(|number| format!("- {number}\n")).collect();
    assert!(!is_short(&many.concat()));
}

const GOOD: &str = include_str!("../../procedures/helpdesk/daily/system-health.yaml");

/// What documents are made of, and what makes them unusual.
const PIECES: &[&str] = &[
    "a",
    "b",
    "c",
    "a",
    "b",
    "c",
    "\n",
    "\n",
    "\n",
    "\n",
    " ",
    " ",
    " ",
    "  ",
    "  ",
    "    ",
    ": ",
    ": ",
    ": ",
    ":",
    "- ",
    "- ",
    "-",
    "\n- ",
    "\n  - ",
    "\na: ",
    "\n  b: ",
    "\n    c: ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    ",",
    " #",
    "# x",
    "'",
    "'x'",
    "''",
    "\"",
    "\"x\"",
    "\\",
    "\\n",
    "\\\"",
    "|",
    "|\n",
    ">-\n",
    ": |\n  ",
    ": >-\n    ",
    ": >\n  ",
    ": |-\n ",
    "&a ",
    "*a",
    "!t ",
    "? ",
    "?",
    "%",
    "@",
    "`",
    "~",
    "---",
    "...",
    "\n---\n",
    "\t",
    "\r\n",
    "ż",
    "日本",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "\u{fffe}",
    "\u{1f600}",
    "\0",
    "\u{7f}",
    "<<: ",
];

/// Lines of blocks: what stands in front of a value, the value, what stands behind it.
fn line() -> impl Strategy<Value = String> {
    let before = select(&["", "", "- ", "- ", "a: ", "b: ", "c:", "- a: ", "-", "- - ", "'d': ", "a : ", "-  "][..]);
    let value = select(
        &[
            "",
            "",
            "x",
            "x y",
            "-x",
            "'x'",
            "'it''s'",
            "\"x\\n\"",
            "[]",
            "{}",
            "[x, 'y']",
            "[x,y, ]",
            "{ a: x, b: [y] }",
            "{a: x}",
            "{ a: { b: x } , 'c': y }",
            "[[x], {}]",
            "[",
            "]",
            "{",
            "}",
            "{ a:",
            "a: x",
            "x, y",
            "http://x:80/#y",
            "x:y",
            "{ a }",
            "[ x # y",
            ", x",
            "~",
            "null",
            "\"a\" b",
            "żółw",
            "{ \"a\": x }",
            "[a: x]",
            "{ a: }",
            "x:",
            "[-]",
            "[- x]",
            "{ a : x }",
        ][..],
    );
    let behind = select(&["", "", "", "", " ", "  # z", " #", "#", " :"][..]);
    (0_usize..5, before, value, behind)
        .prop_map(|(indent, before, value, behind)| format!("{}{before}{value}{behind}\n", " ".repeat(indent)))
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn any_lines_are_read_alike(lines in proptest::collection::vec(line(), 1..6)) {
        is_short(&lines.concat());
    }

    #[test]
    fn any_mixture_of_pieces_is_read_alike(pieces in proptest::collection::vec(select(PIECES), 0..24)) {
        is_short(&pieces.concat());
    }

    #[test]
    fn any_change_of_a_good_file_is_read_alike(
        from in any::<Index>(),
        changes in proptest::collection::vec((any::<Index>(), 0_usize..6, select(PIECES)), 1..4),
    ) {
        let lines: Vec<&str> = GOOD.lines().collect();
        let from = from.index(lines.len() - 20);
        let mut text: Vec<char> = lines[from..from + 20].join("\n").chars().collect();
        for (at, removed, piece) in changes {
            let at = at.index(text.len());
            let end = (at + removed).min(text.len());
            text.splice(at..end, piece.chars());
        }
        is_short(&text.into_iter().collect::<String>());
    }
}
