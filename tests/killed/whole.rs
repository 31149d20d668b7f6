//! A run with everything in it that comes to a good end.

use opsctl::model::outcome::{Exit, Outcome};

use super::{Cut, Lived, Script, backups, done, everywhere, for_each, lines, outcome_of, rows};
use crate::support::case::Case;
use crate::support::shop::sqlite;

const SITE: &str = "
databases: { shop: { url: 'sqlite://shop.db' } }
channels: { log: { file: ./messages.jsonl } }
roles: { it-team: { mail: it@example.com, channel: log } }
";

const FIRE: &str = r#"
title: Bring it back
report: emergency
budget: 30m
steps:
  - { id: there, probe: { file: { path: opsctl.yaml } }, expect: { exists: true } }
  - { id: how, decision: { bad: it burns, good: it does not }, marks: identified }
  - { id: tell, notify: { to: it-team, message: It burns } }
  - { id: agree, approval: { of: [one, old] } }
  - id: one
    action: { command: { shell: "echo one >> done" } }
    verify: [one-there]
    undo: { command: { shell: "echo not-one >> done" } }
  - { id: one-there, probe: { command: { shell: "grep -q one done" } }, expect: { exit: 0 }, marks: mitigated }
  - id: insert
    action: { sql: { database: shop, statement: "INSERT INTO ledger VALUES ('it burnt')" } }
    irreversible: It stays in the books.
  - id: copy
    action: { backup: { database: shop, folder: "{{ folder }}/backups", name: "shop_%Y%m%d_%H%M%S.db" } }
    irreversible: It only adds a file.
  - id: old
    action: { cleanup: { folder: "{{ folder }}/logs", name: "old*.log" } }
    irreversible: Nobody reads it.
  - { id: users, gather: { sql: { database: shop, query: SELECT name FROM users ORDER BY name } } }
  - id: each
    for_each: steps.users.rows
    action: { command: { shell: "echo {{ item.name }} >> each" } }
    irreversible: They know it now.
  - { id: asked, for_each: steps.users.rows, manual: "{{ item.name }} can log in" }
  - { id: inner, procedure: emergency/inner }
  - { id: works, manual: { login: People can log in, ticket: People can write a ticket }, marks: restored }
  - id: clean
    action: { command: { shell: "echo clean >> done" } }
    irreversible: It is gone.
    always: true
  - { id: write, report: { kind: emergency, file: "{{ folder }}/report.md" } }
criteria:
  - { says: Identified in time, proven_by: { mark: identified, within: 15m } }
  - { says: Restored in time, proven_by: { mark: restored, within: 15m } }
  - { says: It works, proven_by: [one-there, works] }
"#;

const INNER: &str = r#"
title: A part
steps:
  - { id: deep, probe: { file: { path: opsctl.yaml } }, expect: { exists: true } }
  - { id: mend, action: { command: { shell: "echo mend >> done" } }, irreversible: It stays. }
"#;

const FIRE_SCRIPT: Script = Script { case, command: "emergency fire", on_failure: "stop" };

fn case(name: &str) -> Case {
    let case = Case::new(name);
    let folder = format!("vars: {{ folder: '{}' }}\n", case.path("").display());
    let case = case.site(&(SITE.to_owned() + &folder));
    let case = case.procedure("emergency/fire.yaml", FIRE).procedure("emergency/inner.yaml", INNER);
    let case = case.file("logs/old.log", "old").file("backups/.keep", "");
    std::fs::remove_file(case.path("backups/.keep")).expect("an empty folder");
    sqlite(
        &case.path("shop.db").display().to_string(),
        "CREATE TABLE ledger (note TEXT); CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('anna'), ('bert')",
    );
    case
}

/// Everything was done, and nothing twice.
fn is_done_once(lived: &Lived, cuts: &[Cut]) {
    lived.is_whole(cuts, Exit::Ok);
    let Lived { case, events, last, .. } = lived;
    let at = format!("killed at {cuts:?}: {last}");
    assert_eq!(lines(case, "done"), ["one", "mend", "clean"], "{at}");
    assert_eq!(lines(case, "each"), ["anna", "bert"], "{at}");
    assert_eq!(rows(case), ["it burnt"], "{at}");
    assert_eq!(backups(case), 1, "{at}");
    assert!(!case.path("logs/old.log").exists(), "{at}");
    assert!(lines(case, "messages.jsonl").len() <= 1, "{at}");
    let record = opsctl::model::record::Record::of(events);
    assert_eq!(done(&record), ["clean", "copy", "each anna", "each bert", "insert", "mend", "old", "one"], "{at}");
    for mark in ["identified", "mitigated", "restored"] {
        let marks = record.marks.iter().filter(|(_, set)| set.name == mark).count();
        assert_eq!(marks, 1, "{mark}, {at}");
    }
    for (id, step) in record.procedures.values().flat_map(|procedure| &procedure.steps) {
        assert_eq!(outcome_of(&record, id.as_str()), Some(Outcome::Passed), "{id}: {:?}; {at}", step.result);
    }
}

#[test]
fn a_run_that_is_killed_anywhere_goes_on_and_does_nothing_twice() {
    let whole = FIRE_SCRIPT.live(&[]);
    is_done_once(&whole, &[]);
    assert_eq!(lines(&whole.case, "messages.jsonl").len(), 1);
    assert_eq!(whole.resumed, 0);
    for_each(&everywhere(&whole), 6, |cut| {
        let lived = FIRE_SCRIPT.live(&[*cut]);
        assert!(lived.resumed > 0 || cut.1 == 1, "{cut:?} was never reached: {}", lived.last);
        is_done_once(&lived, &[*cut]);
    });
}

#[test]
fn a_run_that_is_killed_again_and_again_does_nothing_twice() {
    let whole = u64::try_from(FIRE_SCRIPT.live(&[]).events.len()).expect("a number");
    // The second and third time soon after the run goes on: where it settles what the kill before left open.
    let cuts: Vec<[Cut; 3]> = (3..whole)
        .step_by(7)
        .flat_map(|point| {
            let first = if point % 2 == 0 { "before" } else { "after" };
            [
                [(first, point), ("after", point + 2), ("before", point + 5)],
                [(first, point), ("before", point + 3), ("after", point + 4)],
            ]
        })
        .collect();
    for_each(&cuts, 6, |cuts| is_done_once(&FIRE_SCRIPT.live(cuts), cuts));
}
