//! Files made to break the loader: it refuses them, soon, and never breaks down.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use indexmap::IndexMap;
use opsctl::procedure::diagnostic::Source;
use opsctl::procedure::document;
use opsctl::procedure::inputs::Surroundings;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{Case, complaints};
use crate::model::cases;

/// What `text` is refused with. Time is only there to end a test that hangs.
fn refused(text: String) -> String {
    let (send, receive) = channel();
    std::thread::spawn(move || send.send(complaints(&text)));
    let said = receive.recv_timeout(Duration::from_mins(1)).expect("an answer before long");
    said.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn an_alias_bomb_is_refused_before_it_unfolds() {
    let mut bomb = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned()];
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push(format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert_eq!(refused(bomb.concat()), "error: more than 20000 values, aliases unfolded");
}

#[test]
fn an_alias_inside_what_it_refers_to_is_refused() {
    assert_eq!(refused("a: &a [*a]\n".to_owned()), "error: an alias inside what it refers to");
}

#[test]
fn a_million_brackets_are_refused() {
    let said = refused("[".repeat(1_000_000));
    assert!(said.starts_with("error: this is not YAML"), "{said}");
}

#[test]
fn deep_blocks_are_refused() {
    let deep: Vec<String> = (0..1000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    let said = refused(deep.concat());
    assert!(said.starts_with("error: this is not YAML") || said.starts_with("error: nested"), "{said}");
    let dashes = refused("- ".repeat(100_000));
    assert!(dashes.starts_with("error: this is not YAML") || dashes.starts_with("error: nested"), "{dashes}");
}

#[test]
fn a_file_of_more_than_a_mebibyte_is_refused_unread() {
    let said = refused(format!("title: {}\n", "x".repeat(1024 * 1024)));
    assert_eq!(said, "error: pack/daily/check.yaml is larger than 1 MiB");
}

#[test]
fn a_hundred_thousand_keys_are_refused() {
    let keys: Vec<String> = (0..100_000).map(|key| format!("k{key}: 1\n")).collect();
    let said = refused(keys.concat());
    assert!(said.starts_with("error: more than 20000 values"), "{said}");
}

#[test]
fn a_template_that_makes_too_much_is_refused() {
    let step = |url: &str| {
        format!("title: A\nsteps: [{{ id: a, probe: {{ http: {{ url: '{url}' }} }}, expect: {{ status: 200 }} }}]\n")
    };
    let endless = refused(step("{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}"));
    assert!(endless.starts_with("error: the template fails"), "{endless}");
    let long = refused(step("{{ \"x\" * 2000000 }}"));
    assert!(long.starts_with("error: the template"), "{long}");
}

#[test]
fn a_pipe_and_a_device_are_refused_unread() {
    let case = Case::new();
    let folder = case.path().join("pack/daily");
    std::fs::create_dir_all(&folder).expect("a folder");
    let made = std::process::Command::new("mkfifo").arg(folder.join("pipe.yaml")).status().expect("mkfifo");
    assert!(made.success());
    std::os::unix::fs::symlink("/dev/zero", folder.join("zero.yaml")).expect("a link");
    let (send, receive) = channel();
    std::thread::spawn(move || send.send(case.complaints()));
    let said = receive.recv_timeout(Duration::from_mins(1)).expect("an answer before long");
    let first: Vec<&str> = said.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!(first, ["error: pack/daily/pipe.yaml is not a file", "error: pack/daily/zero.yaml is not a file"]);
}

#[test]
fn what_is_no_utf_8_is_refused_with_the_place() {
    let said = Case::new().with("pack/daily/check.yaml", b"title: \xff\xfe\n").complaints();
    assert_eq!(said.lines().next(), Some("error: pack/daily/check.yaml is not UTF-8: byte 7 is wrong"));
}

#[test]
fn a_mark_of_byte_order_is_no_mistake() {
    let text = "\u{feff}title: A\nsteps: [{ id: a, probe: { memory: {} }, expect: { available: above 5% } }]\n";
    assert_eq!(complaints(text), "");
}

/// The loader without files, for many cases.
fn read(text: &str) {
    let source = Arc::new(Source { name: "check.yaml".to_owned(), text: text.to_owned() });
    let databases = ["helpdesk".to_owned()];
    let around = Surroundings { databases: &databases, procedures: None, folder: std::path::Path::new("/nowhere") };
    let id = "daily/check".parse().expect("an id");
    if let Err(wrong) = document::read(&id, &source, &IndexMap::new(), &around) {
        assert!(!wrong.is_empty(), "refused without a word");
        assert!(!wrong.render(true).is_empty());
    }
}

const GOOD: &str = include_str!("../../procedures/host/daily/host-health.yaml");

/// Pieces of YAML and of the format.
const PIECES: &[&str] = &[
    "title: A\n",
    "steps:\n",
    "  - id: a\n",
    "    probe: { memory: {} }\n",
    "    expect: { available: above 5% }\n",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ": ",
    ", ",
    "\n",
    "  ",
    "&a ",
    "*a",
    "!t ",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "# ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "? ",
    "{{ ",
    " }}",
    "{% ",
    "ż",
    "日本",
    "\u{feff}",
    "\t",
    "\r\n",
    "\0",
    "<<: ",
    "~",
    "when: ",
    "criteria: ",
    "retry: ",
    "steps.a.facts",
    "\u{85}",
    "\u{2028}",
];

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn no_text_breaks_the_loader_down(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn no_mixture_of_pieces_breaks_the_loader_down(pieces in proptest::collection::vec(select(PIECES), 0..40)) {
        read(&pieces.concat());
    }

    #[test]
    fn no_change_of_a_good_file_breaks_the_loader_down(
        changes in proptest::collection::vec((any::<Index>(), 0_usize..12, select(PIECES)), 1..6)
    ) {
        let mut text: Vec<char> = GOOD.chars().collect();
        for (at, removed, piece) in changes {
            let at = at.index(text.len());
            let end = (at + removed).min(text.len());
            text.splice(at..end, piece.chars());
        }
        read(&text.into_iter().collect::<String>());
    }
}

#[test]
fn bytes_of_any_kind_in_a_file_are_read_or_refused() {
    let mut bytes: Vec<u8> = (0..=255).collect();
    for _ in 0..8 {
        bytes.rotate_left(31);
        let case = Case::new().with("pack/daily/check.yaml", &bytes);
        assert!(case.load().is_err());
    }
}
