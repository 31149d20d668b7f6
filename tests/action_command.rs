//! The command action against real programs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use opsctl::action::{ActionError, Changed};
use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::support::act::Act;
use crate::support::server::wait_until;

fn act(inputs: Json) -> Act {
    Act::new("command", inputs)
}

fn error(act: &Act) -> ActionError {
    act.run().expect_err("it is not done")
}

fn text<'s>(subject: &'s Subject, fact: &str) -> &'s str {
    match subject.facts.get(fact) {
        Some(Value::Text(text)) => text,
        other => panic!("{fact} is {other:?}"),
    }
}

fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The ids of the two processes that a command wrote into `file`.
fn pids(file: &Path) -> Vec<String> {
    wait_until("the command", || file.exists());
    let pids: Vec<String> = fs::read_to_string(file).expect("pids").split_whitespace().map(str::to_owned).collect();
    assert_eq!(pids.len(), 2);
    pids
}

/// A shell line that starts a child, writes both ids into `file`, and never ends.
fn never_ending(file: &Path) -> String {
    let file = file.display();
    format!("sleep 1000 & echo $$ $! > {file}.new; mv {file}.new {file}; wait")
}

#[test]
fn the_plan_shows_the_command_and_runs_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("mark");
    let act = act(json!({
        "run": ["touch", "--", mark, "two words"],
        "folder": folder.path(),
        "env": { "MODE": "full run", "TOKEN": { "env": "PATH" } },
        "exit": ["0", "3"],
    }));
    let plan = act.plan().expect("a plan");
    let (at, mark_at) = (folder.path().display(), mark.display());
    let expected = [
        format!("touch -- {mark_at} 'two words'"),
        format!("  in {at}"),
        "  with MODE='full run'".to_owned(),
        "  with TOKEN from $PATH".to_owned(),
        "  which must end with exit status 0 or 3".to_owned(),
    ];
    assert_eq!(plan.does, expected);
    assert!(!mark.exists());
    let shown = serde_json::to_string(&plan).expect("JSON");
    assert!(!shown.contains(&std::env::var("PATH").expect("a path")), "no secret: {shown}");
    act.perform(&plan).expect("done");
    assert!(mark.exists());
}

#[test]
fn exit_and_output_are_facts_and_evidence() {
    let done = act(json!({ "shell": "echo made 7; echo careful >&2; exit 3", "exit": "3" })).run().expect("done");
    let subject = &done.subjects[0];
    assert_eq!(subject.facts["exit"], Value::Integer(3));
    assert_eq!((text(subject, "stdout"), text(subject, "stderr")), ("made 7", "careful"));
    let evidence: Vec<_> = done.evidence.iter().map(|one| (one.title.as_str(), one.lines.join("|"))).collect();
    assert_eq!(evidence, [("stderr", "careful".to_owned()), ("stdout", "made 7".to_owned())]);
}

#[test]
fn an_exit_status_that_nobody_expected_is_a_failure_with_the_last_words() {
    let error = error(&act(json!({ "shell": "echo first; echo 'no space left' >&2; exit 4" })));
    assert_eq!((error.code, error.changed), ("failed", Changed::Perhaps));
    assert!(error.message.contains("exit status 4, not with 0"), "{error}");
    assert!(error.message.ends_with("it printed last: no space left"), "{error}");
}

#[test]
fn a_command_that_a_signal_ended_has_failed_whatever_is_expected() {
    let error = error(&act(json!({ "shell": "kill -SEGV $$", "exit": ["0", "139"] })));
    assert!(error.message.contains("was ended by SIGSEGV"), "{error}");
}

#[test]
fn no_shell_reads_the_arguments() {
    let subject = act(json!({ "run": ["printf", "%s|", "$HOME", "*; exit 3"] })).subject();
    assert_eq!(text(&subject, "stdout"), "$HOME|*; exit 3|");
}

#[test]
fn a_secret_reaches_the_command_and_is_masked_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    fs::write(&file, "correct-horse\n").expect("written");
    let act = act(json!({ "shell": "test \"$TOKEN\" = correct-horse", "env": { "TOKEN": { "file": file } } }));
    act.subject();
    assert_eq!(act.cx.look.mask.apply("it is correct-horse"), "it is ***");
}

#[test]
fn a_missing_secret_is_found_before_anything_is_done() {
    let error = act(json!({ "run": ["true"], "env": { "T": { "env": "OPSCTL_TEST_NOT_SET" } } })).plan();
    let error = error.expect_err("no plan");
    assert_eq!((error.code, error.changed), ("secret", Changed::Nothing));
}

#[test]
fn a_missing_program_is_found_by_the_plan() {
    let error = act(json!({ "run": ["no-such-program"] })).plan().expect_err("no plan");
    assert_eq!((error.code, error.changed), ("no_such_tool", Changed::Nothing));
    let error = act(json!({ "run": ["true"], "folder": "/nowhere" })).plan().expect_err("no plan");
    assert_eq!(error.message, "the folder /nowhere does not exist");
}

#[test]
fn what_exists_already_is_settled() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("mark");
    let inputs = json!({ "shell": "echo once >> mark", "folder": folder.path(), "creates": mark });
    act(inputs.clone()).subject();
    let again = act(inputs);
    let plan = again.plan().expect("a plan");
    assert!(plan.settled && plan.does.is_empty(), "{plan:?}");
    again.perform(&plan).expect("nothing to do");
    assert_eq!(fs::read_to_string(mark).expect("a file"), "once\n");
}

#[test]
fn a_script_that_was_edited_after_the_plan_is_not_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (script, mark) = (folder.path().join("fix.sh"), folder.path().join("mark"));
    fs::write(&script, "echo reviewed\n").expect("written");
    let act = act(json!({ "run": ["sh", script], "reviewed": [script] }));
    let plan = act.plan().expect("a plan");
    let sum = "has the SHA-256 ";
    assert!(plan.notes.iter().any(|note| note.contains(sum)), "{:?}", plan.notes);
    fs::write(&script, format!("touch {}\n", mark.display())).expect("written");
    let error = act.perform(&plan).expect_err("it is refused");
    assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
    assert!(error.message.contains("fix.sh has changed since this was planned"), "{error}");
    assert!(!mark.exists());
}

#[test]
fn a_program_that_was_replaced_after_the_plan_is_not_run() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("tool");
    let put = |text: &str| {
        let new = folder.path().join("new");
        fs::write(&new, text).expect("written");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("executable");
        fs::rename(&new, &program).expect("replaced");
    };
    put("#!/bin/sh\necho old\n");
    let act = act(json!({ "run": [program] }));
    let plan = act.plan().expect("a plan");
    put("#!/bin/sh\necho another\n");
    let error = act.perform(&plan).expect_err("it is refused");
    assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
}

#[test]
fn the_plan_of_another_command_is_refused() {
    let plan = act(json!({ "run": ["true"] })).plan().expect("a plan");
    let error = act(json!({ "run": ["true", "--all"] })).perform(&plan).expect_err("it is refused");
    assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
}

#[test]
fn a_time_limit_ends_the_command_with_its_children() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pids");
    let mut act = act(json!({ "shell": never_ending(&file) }));
    act.cx.look.limit = Duration::from_secs(1);
    let error = error(&act);
    assert_eq!((error.code, error.changed), ("time_limit", Changed::Perhaps));
    for pid in pids(&file) {
        wait_until("the end of the process", || !runs(&pid));
    }
}

#[test]
fn a_cancelled_run_ends_the_command_with_its_children() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pids");
    let act = act(json!({ "shell": never_ending(&file) }));
    let cancel = act.cx.look.cancel.clone();
    let started = file.clone();
    std::thread::spawn(move || {
        wait_until("the command", || started.exists());
        cancel.cancel();
    });
    let error = error(&act);
    assert_eq!((error.code, error.changed), ("cancelled", Changed::Perhaps));
    for pid in pids(&file) {
        wait_until("the end of the process", || !runs(&pid));
    }
}

#[test]
fn output_without_end_is_cut_and_does_not_hold_the_command_up() {
    let subject = act(json!({ "shell": "head -c 3000000 /dev/zero | tr '\\0' x", "output_limit": "1KiB" })).subject();
    assert_eq!(text(&subject, "stdout"), "x".repeat(1024) + "...");
    assert!(subject.notes.iter().any(|note| note.contains("`output_limit` keeps")), "{:?}", subject.notes);
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    for (inputs, input) in [
        (json!({}), ""),
        (json!({ "run": ["true"], "shell": "true" }), ""),
        (json!({ "run": [""] }), "run"),
        (json!({ "run": ["true"], "exit": ["0", "fine"] }), "exit"),
        (json!({ "run": ["true"], "exit": "256" }), "exit"),
    ] {
        let refused = act(inputs).build().err().expect("it is refused");
        assert_eq!(refused.input, input);
    }
}
