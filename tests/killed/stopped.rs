//! Runs in which an action fails: what the operator said about it holds, whenever the program is killed.

use opsctl::model::event::{Event, EventKind};
use opsctl::model::outcome::{Exit, Outcome};
use opsctl::model::record::Record;

use super::{Cut, Lived, Script, done, everywhere, for_each, lines, outcome_of};
use crate::support::case::Case;

/// `two` is done, and does not help.
const HELPS: &str = r#"
title: Does it help?
steps:
  - { id: one, action: { command: { shell: "echo one >> done" } }, undo: { command: { shell: "echo not-one >> done" } } }
  - id: each
    for_each: "['a', 'b']"
    action: { command: { shell: "echo {{ item }} >> done" } }
    undo: { command: { shell: "echo not-{{ item }} >> done" } }
  - id: two
    action: { command: { shell: "echo two >> done" } }
    verify: [helped]
    undo: { command: { shell: "echo not-two >> done" } }
  - { id: helped, probe: { file: { path: never } }, expect: { exists: true } }
  - { id: later, action: { command: { shell: "echo later >> done" } }, irreversible: It stays. }
  - { id: clean, action: { command: { shell: "echo clean >> done" } }, irreversible: It stays., always: true }
"#;

/// `two` fails midway.
const BREAKS: &str = r#"
title: Does it break?
steps:
  - { id: one, action: { command: { shell: "echo one >> done" } }, undo: { command: { shell: "echo not-one >> done" } } }
  - { id: two, action: { command: { shell: "echo two >> done; false" } }, irreversible: It stays. }
  - { id: later, action: { command: { shell: "echo later >> done" } }, irreversible: It stays. }
  - { id: clean, action: { command: { shell: "echo clean >> done" } }, irreversible: It stays., always: true }
"#;

fn helps(name: &str) -> Case {
    Case::new(name).site("").procedure("daily/act.yaml", HELPS)
}

fn breaks(name: &str) -> Case {
    Case::new(name).site("").procedure("daily/act.yaml", BREAKS)
}

/// Each line was written once, and the step has failed.
fn has_failed(lived: &Lived, cuts: &[Cut], expected: &[&str]) -> Record {
    lived.is_whole(cuts, Exit::Failed);
    let record = Record::of(&lived.events);
    assert_eq!(lines(&lived.case, "done"), expected, "killed at {cuts:?}: {}", lived.last);
    assert_eq!(outcome_of(&record, "two"), Some(Outcome::Failed), "killed at {cuts:?}: {}", lived.last);
    record
}

const TAKEN_BACK: [&str; 9] = ["one", "a", "b", "two", "not-two", "not-b", "not-a", "not-one", "clean"];

#[test]
fn a_rollback_that_is_killed_anywhere_goes_on_to_its_end() {
    let script = Script { case: helps, command: "daily act", on_failure: "roll back" };
    let is_taken_back = |lived: &Lived, cuts: &[Cut]| {
        let record = has_failed(lived, cuts, &TAKEN_BACK);
        let undone = ["undo each a", "undo each b", "undo one", "undo two"];
        assert_eq!(done(&record), [["clean", "each a", "each b", "one", "two"].as_slice(), &undone].concat());
    };
    let whole = script.live(&[]);
    is_taken_back(&whole, &[]);
    let begins =
        |event: &&Event| matches!(&event.kind, EventKind::ActionStarted(start) if start.step.as_str() == "two");
    let begin = whole.events.iter().find(begins).expect("a beginning of `two`").seq;
    let once = everywhere(&whole).into_iter().filter(|(_, point)| *point >= begin).map(|cut| vec![cut]);
    // Within the rollback, and soon again.
    let rollback = |event: &&Event| matches!(event.kind, EventKind::RollbackStarted { .. });
    let rollback = whole.events.iter().find(rollback).expect("a rollback").seq;
    let twice = (rollback..rollback + 8).map(|point| vec![("before", point), ("after", point + 2)]);
    let cuts: Vec<Vec<Cut>> = once.chain(twice).collect();
    // All at the same time: each waits a while for the effect of `two` to show.
    for_each(&cuts, cuts.len(), |cuts| is_taken_back(&script.live(cuts), cuts));
}

#[test]
fn a_stop_that_is_killed_anywhere_stays_a_stop() {
    let script = Script { case: breaks, command: "daily act", on_failure: "stop" };
    let whole = script.live(&[]);
    has_failed(&whole, &[], &["one", "two", "clean"]);
    let ends = |event: &&Event| matches!(&event.kind, EventKind::ActionFinished(end) if end.step.as_str() == "two");
    let end = whole.events.iter().find(ends).expect("an end of `two`").seq;
    for_each(&everywhere(&whole), 6, |cut| {
        let lived = script.live(&[*cut]);
        // The failure is not on record: who is asked looks, and says that `two` had been done.
        if *cut == ("before", end) {
            lived.is_whole(&[*cut], Exit::Ok);
            assert_eq!(lines(&lived.case, "done"), ["one", "two", "later", "clean"], "{cut:?}: {}", lived.last);
        } else {
            has_failed(&lived, &[*cut], &["one", "two", "clean"]);
        }
    });
}
