//! The command probe against real programs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use opsctl::probe::ProbeError;
use serde_json::json;

use crate::journal::as_nobody;
use crate::support::look::Look;
use crate::support::server::wait_until;

fn shell(line: &str) -> Look {
    Look::new("command", json!({ "shell": line }))
}

fn text<'s>(subject: &'s Subject, fact: &str) -> &'s str {
    match subject.facts.get(fact) {
        Some(Value::Text(text)) => text,
        other => panic!("{fact} is {other:?}"),
    }
}

fn error(look: &Look) -> ProbeError {
    look.run().expect_err("nothing can be seen")
}

/// Whether a process of that id runs; one that has ended and waits to be buried does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// A shell line that writes its own process id and that of a child into `folder`, then waits for ever with `wait`.
fn family(folder: &Path, first: &str, wait: &str) -> String {
    let pids = folder.join("pids").display().to_string();
    format!("{first} sleep 1000 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; {wait}")
}

fn pids(folder: &Path) -> Vec<String> {
    let file = folder.join("pids");
    wait_until("the command", || file.exists());
    std::fs::read_to_string(file).expect("pids").split_whitespace().map(str::to_owned).collect()
}

fn wait_until_gone(pids: &[String]) {
    assert_eq!(pids.len(), 2);
    for pid in pids {
        wait_until("the end of the process", || !runs(pid));
    }
}

#[test]
fn exit_status_output_and_time_are_facts() {
    let subject = shell("echo ' two\nlines '; echo trouble >&2; exit 7").subject();
    assert_eq!(subject.facts["exit"], Value::Integer(7));
    assert_eq!(text(&subject, "stdout"), " two\nlines");
    assert_eq!(text(&subject, "stderr"), "trouble");
    assert!(matches!(subject.facts["took"], Value::Number(took) if took.amount() > 0.0));
    assert!(!subject.facts.contains_key("signal") && !subject.facts.contains_key("state"));
    assert_eq!(subject.notes, ["exit status 7"]);
}

#[test]
fn arguments_arrive_as_they_are_and_no_shell_reads_them() {
    let subject = Look::new("command", json!({ "run": ["printf", "%s|", "$HOME", "a b", "*; exit 3", ""] })).subject();
    assert_eq!(text(&subject, "stdout"), "$HOME|a b|*; exit 3||");
}

#[test]
fn a_shell_line_may_have_pipes() {
    assert_eq!(text(&shell("printf 'b\na\n' | sort | head -n 1").subject(), "stdout"), "a");
}

#[test]
fn a_command_that_prints_nothing_has_empty_output_not_missing_output() {
    let subject = Look::new("command", json!({ "run": ["true"] })).subject();
    assert_eq!((text(&subject, "stdout"), text(&subject, "stderr")), ("", ""));
}

#[test]
fn a_command_that_reads_gets_the_end_of_input_at_once() {
    assert_eq!(text(&shell("wc -c").subject(), "stdout").trim(), "0");
}

#[test]
fn a_signal_that_ends_it_is_named_and_there_is_no_exit_status() {
    let subject = shell("kill -SEGV $$").subject();
    assert_eq!(text(&subject, "signal"), "SIGSEGV");
    assert!(!subject.facts.contains_key("exit"));
}

#[test]
fn it_runs_in_the_folder_of_the_site_file_or_in_its_own() {
    let site = tempfile::tempdir().expect("a folder");
    let own = tempfile::tempdir().expect("a folder");
    let seen = |mut look: Look| {
        look.cx.folder = site.path().to_owned();
        PathBuf::from(text(&look.subject(), "stdout"))
    };
    assert_eq!(seen(shell("pwd -P")), site.path().canonicalize().expect("a path"));
    let look = Look::new("command", json!({ "run": ["pwd", "-P"], "folder": own.path() }));
    assert_eq!(seen(look), own.path().canonicalize().expect("a path"));
}

#[test]
fn a_relative_program_is_sought_where_it_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    script(&folder.path().join("check"), "#!/bin/sh\necho found\n", 0o755);
    let look = Look::new("command", json!({ "run": ["./check"], "folder": folder.path() }));
    assert_eq!(text(&look.subject(), "stdout"), "found");
}

#[test]
fn a_secret_goes_into_the_environment_and_into_the_mask() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, "geheim-123\n").expect("written");
    let env = json!({ "TOKEN": { "file": file }, "PLAIN": "visible" });
    let look = Look::new("command", json!({ "shell": "echo $TOKEN $PLAIN", "env": env }));
    let subject = look.subject();
    assert_eq!(text(&subject, "stdout"), "geheim-123 visible", "the engine masks what leaves it");
    assert_eq!(look.cx.mask.apply(text(&subject, "stdout")), "*** visible");
    let target = look.build().expect("a probe").target();
    assert_eq!(target, "echo $TOKEN $PLAIN");
}

#[test]
fn it_runs_as_another_user_with_that_users_home() {
    let nobody = std::fs::read_to_string("/etc/passwd").expect("users");
    let home = nobody.lines().find(|line| line.starts_with("nobody:")).and_then(|line| line.split(':').nth(5));
    let inputs = json!({ "shell": "id -un; id -G | wc -w; echo $HOME $USER", "user": "nobody", "folder": "/" });
    let subject = Look::new("command", inputs).subject();
    let expected = format!("nobody\n1\n{} nobody", home.expect("the user nobody"));
    assert_eq!(text(&subject, "stdout"), expected, "these tests change the user, so they run as root");
}

#[test]
fn output_beyond_the_limit_is_thrown_away_without_blocking_the_command() {
    let line = "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2";
    let subject = Look::new("command", json!({ "shell": line, "output_limit": "10KiB" })).subject();
    assert_eq!(subject.facts["exit"], Value::Integer(0));
    assert_eq!(text(&subject, "stdout"), "x".repeat(10 * 1024) + "...");
    assert_eq!(text(&subject, "stderr"), "end");
    assert_eq!(subject.notes, ["stdout went on for 2.85 MiB after the 10 KiB that `output_limit` keeps"]);
}

#[test]
fn the_end_of_a_long_output_is_evidence() {
    let seen = shell("seq 1 50; echo oops >&2").run().expect("a look");
    let titles: Vec<(&str, usize, u64)> =
        seen.evidence.iter().map(|one| (one.title.as_str(), one.lines.len(), one.left_out)).collect();
    assert_eq!(titles, [("stderr", 1, 0), ("stdout", 20, 30)]);
    assert_eq!(seen.evidence[1].lines[19], "50");
}

#[test]
fn json_paths_are_facts_and_what_is_not_there_is_missing() {
    let line = r#"echo '{"queue": {"depth": 3.5}, "ok": true, "none": null}'"#;
    let asked = ["json.queue.depth", "json.ok", "json.none", "json.queue.age", "exit"];
    let subject = shell(line).asked(&asked).subject();
    let seen: Vec<&str> = subject.facts.keys().filter_map(|fact| fact.strip_prefix("json.")).collect();
    assert_eq!(seen, ["queue.depth", "ok"]);
    assert_eq!(subject.facts["json.queue.depth"].to_string(), "3.5");
}

#[test]
fn output_that_is_no_json_has_no_json_facts_and_says_so() {
    let subject = shell("echo all fine").asked(&["json.queue"]).subject();
    assert!(!subject.facts.keys().any(|fact| fact.starts_with("json")));
    assert_eq!(subject.notes, ["stdout is not JSON: expected value at line 1 column 1"]);
}

#[test]
fn a_monitoring_plugin_gives_state_message_and_readings_with_units() {
    let line = "echo \"DISK WARNING - /var 81% | '/var used'=81%;80;90 time=0.02s;;; inodes=U\"; exit 1";
    let subject = Look::new("command", json!({ "shell": line, "parse": "plugin" })).subject();
    assert_eq!(text(&subject, "state"), "warning");
    assert_eq!(text(&subject, "message"), "DISK WARNING - /var 81%");
    assert_eq!(subject.facts["perf./var used"], Value::percent(81.0));
    assert_eq!(subject.facts["perf.time"], Value::duration(Duration::from_millis(20)));
    assert!(!subject.facts.contains_key("perf.inodes"), "an unknown reading is missing, not zero");
}

#[test]
fn an_exit_status_that_is_none_of_a_plugin_gives_no_state() {
    let subject = Look::new("command", json!({ "shell": "exit 127", "parse": "plugin" })).subject();
    assert!(!subject.facts.contains_key("state") && !subject.facts.contains_key("message"));
    let note = "exit status 127 is none of a monitoring plugin (0 to 3)";
    assert_eq!(subject.notes, ["exit status 127", note]);
}

fn script(path: &Path, content: &str, mode: u32) {
    std::fs::write(path, content).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn a_command_is_either_run_or_shell() {
    for inputs in [json!({}), json!({ "run": ["true"], "shell": "true" }), json!({ "run": [] })] {
        let refused = Look::new("command", inputs.clone()).build().err();
        assert_eq!(refused.expect("refused").message, "a command needs either `run` or `shell`", "{inputs}");
    }
}

#[test]
fn what_cannot_be_started_is_an_error_that_names_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    script(folder.path().join("plain").as_path(), "#!/bin/sh\n", 0o644);
    script(folder.path().join("odd").as_path(), "#!/no/such/interpreter\n", 0o755);
    let (plain, odd) = (path("plain"), path("odd"));
    for (inputs, code, message) in [
        (
            json!({ "run": ["no-such-tool"] }),
            "no_such_tool",
            "there is no program `no-such-tool` on the PATH".to_owned(),
        ),
        (json!({ "run": [path("gone")] }), "no_such_tool", format!("there is no program {}", path("gone"))),
        (
            json!({ "run": [odd] }),
            "no_such_tool",
            format!("the interpreter that the first line of {odd} names is missing"),
        ),
        (json!({ "run": [plain], "folder": "/" }), "permission", format!("no permission to run `{plain}` in /")),
        (
            json!({ "run": ["true"], "folder": path("gone") }),
            "not_found",
            format!("the folder {} does not exist", path("gone")),
        ),
        (
            json!({ "run": ["true"], "folder": plain }),
            "not_found",
            format!("{plain} is not a folder, so `true` cannot run there"),
        ),
        (
            json!({ "run": ["true"], "user": "no-such-user" }),
            "no_such_user",
            "there is no user no-such-user on this machine".to_owned(),
        ),
    ] {
        let seen = error(&Look::new("command", inputs.clone()));
        assert_eq!((seen.code, seen.message), (code, message), "{inputs}");
    }
}

#[test]
fn who_is_not_root_cannot_run_a_command_as_another_user() {
    let test = "probe_command::who_is_not_root_cannot_run_a_command_as_another_user";
    as_nobody(test, Path::new("/"), |_| {
        let seen = error(&Look::new("command", json!({ "run": ["true"], "user": "root", "folder": "/" })));
        assert_eq!((seen.code, seen.message.as_str()), ("permission", "no permission to run `true` as user root"));
        let own = Look::new("command", json!({ "run": ["id", "-un"], "user": "nobody", "folder": "/" }));
        assert_eq!(text(&own.subject(), "stdout"), "nobody");
        let nowhere = error(&Look::new("command", json!({ "run": ["no-such-tool"], "folder": "/" })));
        assert_eq!(nowhere.code, "no_such_tool", "even if a folder of the PATH may not be entered");
    });
}

#[test]
fn the_time_limit_ends_the_command_with_all_its_children() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = family(folder.path(), "echo waiting for godot;", "wait");
    let seen = error(&shell(&line).limit(Duration::from_secs(1)));
    assert_eq!(seen.code, "time_limit");
    let said = "did not end within 1 s; the last that it printed is: waiting for godot";
    assert!(seen.message.ends_with(said), "{}", seen.message);
    wait_until_gone(&pids(folder.path()));
}

#[test]
fn a_command_may_tidy_up_before_it_is_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let done = folder.path().join("tidied");
    let line = format!("trap 'touch {}; exit 0' TERM; echo ready; sleep 1000", done.display());
    assert_eq!(error(&shell(&line).limit(Duration::from_secs(1))).code, "time_limit");
    assert!(done.exists());
}

#[test]
fn a_command_that_does_not_want_to_end_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = family(folder.path(), "trap '' TERM;", "while :; do sleep 1; done");
    assert_eq!(error(&shell(&line).limit(Duration::from_secs(1))).code, "time_limit");
    wait_until_gone(&pids(folder.path()));
}

#[test]
fn cancelling_the_run_ends_the_command_with_all_its_children() {
    let folder = tempfile::tempdir().expect("a folder");
    let look = shell(&family(folder.path(), "", "wait"));
    let cancel = look.cx.cancel.clone();
    let seen = std::thread::scope(|scope| {
        let looking = scope.spawn(|| error(&look));
        pids(folder.path());
        cancel.cancel();
        looking.join().expect("an answer")
    });
    assert_eq!(seen.code, "cancelled");
    wait_until_gone(&pids(folder.path()));
}

#[test]
fn a_look_that_nobody_waits_for_any_more_ends_the_command_with_all_its_children() {
    let folder = tempfile::tempdir().expect("a folder");
    let look = shell(&family(folder.path(), "", "wait"));
    let probe = look.build().expect("a probe");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let dropped = tokio::select! {
            seen = probe.observe(&look.cx) => panic!("it ended: {seen:?}"),
            pids = tokio::task::spawn_blocking({
                let folder = folder.path().to_owned();
                move || pids(&folder)
            }) => pids.expect("pids"),
        };
        wait_until_gone(&dropped);
    });
}

#[test]
fn a_child_that_keeps_the_output_open_does_not_hold_up_the_look_and_does_not_outlive_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let subject = shell(&family(folder.path(), "", "echo started")).subject();
    assert_eq!(subject.facts["exit"], Value::Integer(0));
    assert_eq!(text(&subject, "stdout"), "started");
    let note = "a process that it started kept its output open; what that printed later is not here";
    assert_eq!(subject.notes, [note]);
    wait_until_gone(&pids(folder.path()));
}

#[test]
fn a_child_in_a_session_of_its_own_does_not_hold_up_the_look_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid = folder.path().join("pid");
    let file = pid.display();
    let line = format!(
        "setsid sh -c 'echo $$ > {file}; exec sleep 1000' & until [ -s {file} ]; do sleep 0.01; done; echo started"
    );
    let subject = shell(&line).subject();
    assert_eq!(text(&subject, "stdout"), "started");
    assert_eq!(subject.notes.len(), 1, "{:?}", subject.notes);
    let pid = std::fs::read_to_string(&pid).expect("its id");
    std::process::Command::new("kill").arg(pid.trim()).status().expect("kill runs");
}

#[test]
fn a_command_that_prints_without_end_is_ended_by_the_time_limit() {
    let seen = error(&Look::new("command", json!({ "run": ["yes"] })).limit(Duration::from_secs(1)));
    assert_eq!(seen.code, "time_limit");
    assert!(seen.message.ends_with("the last that it printed is: y"), "{}", seen.message);
}
