//! The Test Anything Protocol, read by prove.

use opsctl::model::event::{Event, EventKind};
use opsctl::report::Format;

use super::{every_run, formatted, in_file, read_by, runs};

/// As `prove` sums it up.
fn proved(events: &[Event]) -> (bool, String) {
    let text = formatted(Format::Tap, events);
    let file = in_file(".tap", &text);
    let path = file.path().to_str().expect("a path");
    read_by("prove", &["--exec", "cat", "--verbose", "--comments", path], "")
}

#[test]
fn prove_reads_every_run_without_a_parse_error() {
    for (name, events) in every_run() {
        let (_, said) = proved(&events);
        assert!(!said.contains("Parse errors"), "{name}: {said}");
    }
}

#[test]
fn prove_and_the_exit_status_agree() {
    for (name, events) in every_run() {
        let (is_ok, said) = proved(&events);
        let ended = events.iter().rev().find_map(|event| match &event.kind {
            EventKind::RunFinished { exit, .. } => Some(exit.code()),
            _ => None,
        });
        let waits = name == "waiting";
        assert_eq!(is_ok, waits || ended.is_some_and(|exit| exit < 2), "{name}, exit {ended:?}: {said}");
    }
}

#[test]
fn what_is_left_out_is_skipped_and_what_is_waived_is_to_do() {
    let text = formatted(Format::Tap, &runs::remarks());
    assert!(text.contains("ok 3 - daily/system-health error-logs: Look at error-logs # SKIP its condition"), "{text}");
    assert!(
        text.contains("not ok 5 - daily/system-health certificate: Look at certificate # TODO waived by anna"),
        "{text}"
    );
    let (is_ok, said) = proved(&runs::remarks());
    assert!(is_ok && said.contains("Result: PASS"), "{said}");
}

#[test]
fn an_interrupted_run_bails_out() {
    let (is_ok, said) = proved(&runs::interrupted());
    assert!(!is_ok && said.contains("Bailout called") && said.contains("the run was interrupted"), "{said}");
}
