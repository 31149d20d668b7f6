//! The operator's selection: what runs of it, and what that needs.

use opsctl::engine::{Selection, SelectionError};
use opsctl::model::event::Mode;
use opsctl::model::outcome::{Exit, Outcome, Skip};

use super::{FAIL, PASS, Ran, Run, procedure};
use crate::procedures::Case;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn only(steps: &[&str]) -> Selection {
    Selection { only: words(steps), ..Selection::default() }
}

fn skip(steps: &[&str]) -> Selection {
    Selection { skip: words(steps), ..Selection::default() }
}

fn tag(tags: &[&str]) -> Selection {
    Selection { tags: words(tags), ..Selection::default() }
}

fn from(step: &str) -> Selection {
    Selection { from: Some(step.to_owned()), ..Selection::default() }
}

fn chosen(text: &str, selection: Selection) -> Ran {
    Run::of(text).with(|settings| settings.selection = selection).run()
}

#[test]
fn what_is_left_out_is_skipped_with_the_reason_and_counts_for_nothing() {
    let text = procedure(&[("a", FAIL), ("b", PASS), ("c", &format!("tags: [slow], {PASS}"))]);
    let ran = chosen(&text, only(&["b"]));
    assert_eq!((ran.started(), ran.exit), (vec!["b"], Exit::Ok));
    assert_eq!((ran.step("a").skip, ran.reason_of("a")), (Some(Skip::Filter), "left out by --only"));
    let ran = chosen(&text, skip(&["a"]));
    assert_eq!((ran.outcome_of("a"), ran.exit), (Outcome::Skipped, Exit::Ok));
    assert_eq!(chosen(&text, tag(&["slow"])).started(), ["c"]);
    assert!(!chosen(&text, from("b")).started().contains(&"a"));
    let both = Selection { skip: words(&["b"]), ..only(&["b", "c"]) };
    let ran = chosen(&text, both);
    assert_eq!((ran.started(), ran.reason_of("b")), (vec!["c"], "left out by --only, --skip"));
}

#[test]
fn what_is_left_out_ends_before_anything_starts() {
    let text = procedure(&[("a", PASS), ("b", PASS), ("c", PASS)]);
    assert_eq!(chosen(&text, only(&["a"])).ended(), ["b", "c", "a"]);
}

#[test]
fn what_a_step_needs_is_kept_with_it_and_so_is_what_that_needs() {
    let text = procedure(&[
        ("first", PASS),
        ("other", FAIL),
        ("second", &format!("needs: [first], {PASS}")),
        ("third", &format!("when: steps.second is passed, {PASS}")),
    ]);
    for selection in [only(&["third"]), from("third")] {
        let ran = chosen(&text, selection);
        assert_eq!((ran.started(), ran.exit), (vec!["first", "second", "third"], Exit::Ok));
    }
}

#[test]
fn a_step_whose_need_was_left_out_by_name_is_not_called_well() {
    let text = procedure(&[("a", PASS), ("b", &format!("needs: [a], {PASS}"))]);
    let ran = chosen(&text, skip(&["a"]));
    assert_eq!((ran.outcome_of("b"), ran.exit), (Outcome::Skipped, Exit::CouldNotTell));
    assert_eq!(ran.reason_of("b"), "needs a, which was skipped");
}

#[test]
fn a_criterion_is_not_proven_by_what_was_left_out() {
    let text = procedure(&[("a", PASS), ("b", PASS)]) + "criteria: [{ says: Both, proven_by: [a, b] }]\n";
    let ran = chosen(&text, only(&["a"]));
    assert_eq!(ran.procedure().criteria[0].outcome, opsctl::model::outcome::Verdict::NotProven);
    assert_eq!(ran.exit, Exit::Ok, "the operator asked for no more");
}

/// An action with looks before and after it, and an approval.
const ACTS: &str = "
title: Change
steps:
  - { id: other, probe: { command: { run: ['true'] } }, expect: { exit: 0 } }
  - { id: before, probe: { command: { run: ['true'] } }, expect: { exit: 0 } }
  - id: agreed
    approval: { of: [change], by: lead }
  - id: change
    action: { command: { run: [touch, changed] } }
    precheck: [before]
    verify: [after]
    irreversible: a file stays
  - { id: after, probe: { file: { path: changed } }, expect: { exists: true } }
";

#[test]
fn an_action_keeps_its_looks_and_its_approval() {
    let with = |settings: &mut opsctl::engine::Settings| {
        settings.selection = only(&["change"]);
        settings.mode = Mode::Check;
    };
    let ran = Run::of(ACTS).with(with).run();
    let left_out = ["other", "before", "agreed", "change", "after"].map(|id| ran.step(id).skip == Some(Skip::Filter));
    assert_eq!(left_out, [true, false, false, false, false]);
}

#[test]
fn a_procedure_that_is_called_is_kept_with_the_step_that_calls_it() {
    let step = |id: &str| format!("  - {{ id: {id}, {PASS} }}\n");
    let case = || {
        Case::new()
            .with(
                "pack/daily/check.yaml",
                format!("title: Check\nsteps:\n{}  - {{ id: both, procedure: {{ run: daily/part }} }}\n", step("own")),
            )
            .with("pack/daily/part.yaml", format!("title: Part\nsteps:\n{}{}", step("one"), step("two")))
    };
    let run = |selection| Run::in_case(case()).with(|settings| settings.selection = selection).run();
    let all = run(only(&["both"]));
    let mut started = all.started();
    started.sort_unstable();
    assert_eq!(started, ["both", "one", "two"], "all of what is called");
    assert_eq!(run(only(&["part.two"])).started(), ["both", "two"], "one step of it, by its procedure's name");
    assert_eq!(run(only(&["daily/check.own"])).started(), ["own"]);
}

#[test]
fn a_selection_that_names_what_is_not_there_is_refused_with_the_nearest_word() {
    let case = Case::new()
        .with("pack/daily/check.yaml", procedure(&[("disk", PASS), ("web", &format!("tags: [quick], {PASS}"))]));
    let procedures = case.load().unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
    let refused = |selection: Selection| -> SelectionError {
        selection.vet(&procedures.iter().collect::<Vec<_>>()).expect_err("nothing that can be selected")
    };
    let said = |selection| {
        let SelectionError { message, help } = refused(selection);
        format!("{message}; {help}")
    };
    assert_eq!(
        said(only(&["dsik"])),
        "--only dsik: there is no such step; did you mean `disk`? The steps are disk, web"
    );
    assert!(said(skip(&["check.dsk"])).starts_with("--skip check.dsk: there is no such step; "));
    assert!(said(from("wbe")).starts_with("--from wbe: there is no such step; did you mean `web`?"));
    assert_eq!(said(tag(&["quik"])), "--tag quik: no step has this tag; did you mean `quick`? The tags are quick");
    assert!(said(skip(&["disk", "web"])).starts_with("no step is selected; "), "nothing must not look like a pass");
    assert!(only(&["check.web"]).vet(&procedures.iter().collect::<Vec<_>>()).is_ok());
}
