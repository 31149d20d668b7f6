//! Packs: which procedures there are, and what is wrong with all of them.

use super::{Case, assert_says};

const GOOD: &str = "title: A\nsteps: [{ id: a, probe: { memory: {} }, expect: { available: above 5% } }]\n";

#[test]
fn folders_are_groups_and_files_are_procedures() {
    let case = Case::new()
        .with("pack/weekly/b.yaml", GOOD)
        .with("pack/daily/z.yml", GOOD)
        .with("pack/daily/a.yaml", GOOD)
        .with("pack/daily/.hidden.yaml", "broken: [")
        .with("pack/daily/notes.txt", "broken: [")
        .with("pack/.git/config.yaml", "broken: [");
    let (_, library) = case.library().expect("a library");
    let ids: Vec<&str> = library.ids().map(opsctl::model::id::ProcedureId::as_str).collect();
    assert_eq!(ids, ["daily/a", "daily/z", "weekly/b"]);
    assert_eq!(case.complaints(), "");
}

#[test]
fn everything_that_is_wrong_in_all_files_is_said_at_once() {
    let said = Case::new()
        .with("pack/daily/a.yaml", "title: A\nsteps: [{ id: a, probe: { memory: {} }, expect: { avail: above 5% } }]\n")
        .with("pack/daily/b.yaml", GOOD)
        .with("pack/weekly/c.yaml", "title: C\nstep: []\n")
        .complaints();
    assert_says(
        &said,
        r"
error: step `a` expects `avail`, which the memory probe does not report
 --> pack/daily/a.yaml:2:51
  |
2 | steps: [{ id: a, probe: { memory: {} }, expect: { avail: above 5% } }]
  |                                                   ^^^^^ no such fact
  |
  = help: did you mean `available`? It reports: <facts of memory>

error: a procedure has no `steps`
 --> pack/weekly/c.yaml:1:1
  |
1 | title: C
  | ^
  |
  = help: add `steps: ...`

error: a procedure has no key `step`
 --> pack/weekly/c.yaml:2:1
  |
2 | step: []
  | ^^^^ unknown key
  |
  = help: did you mean `steps`? The keys are title, original_title, purpose, owner, schedule, budget, escalate, report, symptoms, lock, unattended, steps, criteria
",
    );
}

#[test]
fn two_packs_with_one_procedure_are_refused() {
    let said = Case::new()
        .with("opsctl.yaml", "site: test\npacks: [./pack, ./other]\n")
        .with("pack/daily/check.yaml", GOOD)
        .with("other/daily/check.yaml", GOOD)
        .complaints();
    assert_says(
        &said,
        r"
error: the procedure daily/check exists twice: pack/daily/check.yaml and other/daily/check.yaml
 |
 = help: rename one, or remove one pack from `packs` of the site file
",
    );
}

#[test]
fn two_files_for_one_command_are_refused() {
    let said = Case::new().with("pack/daily/check.yaml", GOOD).with("pack/daily/check.yml", GOOD).complaints();
    assert_says(
        &said,
        r"
error: the procedure daily/check exists twice: pack/daily/check.yaml and pack/daily/check.yml
 |
 = help: rename one, or remove one pack from `packs` of the site file
",
    );
}

#[test]
fn a_pack_that_is_not_there_is_refused_with_those_that_are() {
    let said = Case::new().with("opsctl.yaml", "site: test\npacks: [helpdsk, ./none]\n").complaints();
    assert_says(
        &said,
        r"
error: there is no built-in pack `helpdsk`
 --> opsctl.yaml:2:9
  |
2 | packs: [helpdsk, ./none]
  |         ^^^^^^^
  |
  = help: did you mean `helpdesk`? Built in are helpdesk, host; a folder is written with a slash: `./helpdsk`

error: cannot read the pack none: No such file or directory (os error 2)
 --> opsctl.yaml:2:18
  |
2 | packs: [helpdsk, ./none]
  |                  ^^^^^^
  |
  = help: `packs` of the site file names built-in packs and folders
",
    );
}

#[test]
fn a_file_name_that_cannot_be_a_command_is_refused() {
    let said = Case::new().with("pack/daily/my check.yaml", GOOD).complaints();
    assert_says(
        &said,
        r"
error: pack/daily/my check.yaml cannot be a command: `daily/my check` is not a procedure; write group/procedure, such as `daily/system-health`
 |
 = help: rename the file
",
    );
}

#[test]
fn a_pack_may_have_defaults_that_the_site_overrides() {
    let step = "title: A\nsteps: [{ id: a, title: '{{ one }} {{ two }}', probe: { memory: {} }, expect: { available: above 5% } }]\n";
    let case = Case::new()
        .with("opsctl.yaml", "site: test\npacks: [./pack]\nvars: { two: site }\n")
        .with("pack/pack.yaml", "title: Pack\nvars: { one: pack, two: pack }\n")
        .with("pack/daily/check.yaml", step);
    assert_eq!(case.load().expect("a procedure")[0].steps[0].title, "pack site");
}

#[test]
fn a_mistake_in_what_a_pack_says_of_itself_is_refused() {
    let said = Case::new().with("pack/pack.yaml", "titel: Pack\n").with("pack/daily/check.yaml", GOOD).complaints();
    assert_says(
        &said,
        r"
error: a pack has no key `titel`
 --> pack/pack.yaml:1:1
  |
1 | titel: Pack
  | ^^^^^ unknown key
  |
  = help: did you mean `title`? The keys are title, vars, escalation
",
    );
}
