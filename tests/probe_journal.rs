//! Entries of a real journald, on a machine of its own.

use std::os::unix::net::UnixDatagram;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::support::case::{Case, Ran};
use crate::support::lab::Lab;

/// One machine for all tests that log under names of their own.
fn shared() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| Lab::up(&["dbus.service"]))
}

/// Logs an entry as a program under the name `who` would, by the journal's own protocol.
fn log(lab: &Lab, who: &str, priority: u8, message: &[u8]) {
    let mut entry = format!("SYSLOG_IDENTIFIER={who}\nPRIORITY={priority}\nMESSAGE\n").into_bytes();
    entry.extend((message.len() as u64).to_le_bytes());
    entry.extend(message);
    entry.push(b'\n');
    let socket = format!("/proc/{}/root/run/systemd/journal/socket", lab.leader());
    UnixDatagram::unbound().expect("a socket").send_to(&entry, socket).expect("journald takes it");
    lab.run(["journalctl", "--sync"]).exits(0);
}

/// Runs a service that prints `script`'s output, to its end.
fn service(lab: &Lab, name: &str, script: &str) {
    lab.write(
        &format!("/etc/systemd/system/{name}.service"),
        &format!("[Service]\nType=oneshot\nExecStart=sh -c '{script}'\n"),
    );
    lab.run(["systemctl", "daemon-reload"]).exits(0);
    lab.run(["systemctl", "start", name]);
    lab.run(["journalctl", "--sync"]).exits(0);
}

/// A procedure with one step; `step` is what follows its title.
fn case(lab: &Lab, step: &str) -> Case {
    let yaml = format!("title: Journal\nsteps:\n  - id: journal\n    title: Journal\n    {step}\n");
    Case::inside(lab, "journal").site("").procedure("daily/journal.yaml", &yaml)
}

fn judge(lab: &Lab, inputs: &Json, expect: &str) -> Ran {
    case(lab, &format!("probe: {{ journal: {inputs} }}\n    expect: {expect}")).run(["daily", "journal"])
}

/// What the step of a look saw.
fn look(lab: &Lab, inputs: &Json) -> Json {
    let ran = case(lab, &format!("gather: {{ journal: {inputs} }}")).run(["daily", "journal", "--format", "json"]);
    ran.json()["procedures"][0]["steps"][0].clone()
}

fn fact<'s>(step: &'s Json, name: &str) -> &'s Json {
    &step["subjects"][0]["facts"][name]["value"]
}

fn evidence(step: &Json) -> String {
    step["evidence"].to_string()
}

#[test]
fn entries_of_a_unit_are_counted_with_what_systemd_says_of_it() {
    let lab = shared();
    service(lab, "backup", "echo backup started; echo backup finished");
    let step = look(lab, &json!({ "unit": "backup", "match": "backup finished" }));
    assert_eq!(*fact(&step, "matches"), 1, "{step:#}");
    let entries = fact(&step, "entries").as_u64().expect("a number");
    assert!(entries > 2, "two lines of its own and what systemd says: {step:#}");
    for name in ["newest_age", "oldest_age"] {
        assert_eq!(step["subjects"][0]["facts"][name]["unit"], "s", "{name} of {step:#}");
    }
    assert_eq!(step["subjects"][0]["facts"]["rate"]["unit"], "/min");
    assert!(evidence(&step).contains("]: backup finished"), "{step:#}");
    assert!(evidence(&step).contains("matching entries of backup"), "{step:#}");
    let started = look(lab, &json!({ "unit": "backup", "match": "^Starting backup" }));
    assert_eq!(*fact(&started, "matches"), 1, "{started:#}");
}

#[test]
fn an_expected_line_that_does_not_appear_fails() {
    let lab = shared();
    service(lab, "copy", "echo copy started; exit 3");
    let inputs = json!({ "unit": "copy", "match": "copy finished" });
    judge(lab, &inputs, "{ matches: at least 1 }").exits(2).says("matches 0");
}

#[test]
fn a_unit_that_does_not_exist_is_an_error_and_never_zero_matches() {
    judge(shared(), &json!({ "unit": "apach2" }), "{ matches: 0 }")
        .exits(3)
        .says("there is no unit apach2.service on this machine; did you mean apache2.service");
}

#[test]
fn a_unit_that_is_there_and_silent_has_no_matches_and_no_age() {
    let lab = shared();
    lab.write("/etc/systemd/system/silent.service", "[Service]\nExecStart=sleep infinity\n");
    lab.run(["systemctl", "daemon-reload"]).exits(0);
    let step = look(lab, &json!({ "unit": "silent" }));
    assert_eq!((fact(&step, "matches"), fact(&step, "newest_age")), (&json!(0), &Json::Null), "{step:#}");
    judge(lab, &json!({ "unit": "silent" }), "{ newest_age: below 1h }").exits(3);
}

#[test]
fn the_logs_of_a_unit_that_is_gone_still_count() {
    let lab = shared();
    service(lab, "gone", "echo good bye");
    lab.run(["rm", "/etc/systemd/system/gone.service"]).exits(0);
    lab.run(["systemctl", "daemon-reload"]).exits(0);
    assert_eq!(*fact(&look(lab, &json!({ "unit": "gone", "match": "good bye" })), "matches"), 1);
}

#[test]
fn a_name_that_never_logged_is_an_error_with_the_nearest_one() {
    log(shared(), "nightly-job", 6, b"done");
    judge(shared(), &json!({ "identifier": "nigtly-job" }), "{ matches: 0 }")
        .exits(3)
        .says("nothing ever logged to the journal as nigtly-job; did you mean nightly-job?");
    judge(shared(), &json!({ "identifier": "zzyzx" }), "{ matches: 0 }").exits(3).says("--field=SYSLOG_IDENTIFIER");
}

#[test]
fn the_name_of_the_program_does_not_match_as_ban_does_in_each_line_of_fail2ban() {
    let lab = shared();
    log(lab, "fail2ban", 6, b"Found 192.0.2.1");
    log(lab, "fail2ban", 5, b"Ban 192.0.2.1");
    let step = look(lab, &json!({ "identifier": "fail2ban", "match": "ban", "ignore_case": true }));
    assert_eq!((fact(&step, "matches"), fact(&step, "entries")), (&json!(1), &json!(2)), "{step:#}");
}

#[test]
fn entries_of_at_least_a_priority_are_counted_by_severity() {
    let lab = shared();
    for (priority, message) in [(7, "debug"), (4, "a warning"), (3, "an error"), (2, "it is critical")] {
        log(lab, "graded", priority, message.as_bytes());
    }
    let inputs = json!({ "identifier": "graded", "priority": "error" });
    let step = look(lab, &inputs);
    assert_eq!((fact(&step, "matches"), fact(&step, "entries")), (&json!(2), &json!(2)), "{step:#}");
    judge(lab, &inputs, "{ severity: { critical: 1, error: 1, warning: 0 } }").exits(0);
    judge(lab, &json!({ "identifier": "graded", "priority": "err" }), "{ matches: 0 }")
        .exits(3)
        .says_on_stderr("it can be emergency, alert, critical, error,");
}

#[test]
fn a_stack_trace_is_one_entry() {
    let lab = shared();
    log(lab, "tracing", 3, b"request failed\n  File \"a.py\"\n  File \"b.py\"\nValueError: x");
    log(lab, "tracing", 6, b"fine");
    let step = look(lab, &json!({ "identifier": "tracing", "match": ["File", "^ValueError"] }));
    assert_eq!((fact(&step, "matches"), fact(&step, "entries")), (&json!(1), &json!(2)), "{step:#}");
    assert!(evidence(&step).contains("request failed … File"), "{step:#}");
}

#[test]
fn a_line_that_is_excepted_does_not_count_and_others_of_its_entry_do() {
    let lab = shared();
    log(lab, "summing", 6, b"0 errors");
    log(lab, "summing", 6, b"0 errors\n3 errors");
    let step = look(lab, &json!({ "identifier": "summing", "match": "errors", "except": "^0 errors" }));
    assert_eq!(*fact(&step, "matches"), 1, "{step:#}");
}

#[test]
fn a_message_that_is_no_utf_8_is_searched_as_well() {
    let lab = shared();
    log(lab, "binary", 4, b"\xff\xfe\x00 disk failure");
    let step = look(lab, &json!({ "identifier": "binary", "match": "disk failure$" }));
    assert_eq!(*fact(&step, "matches"), 1, "{step:#}");
}

#[test]
fn the_end_of_a_long_message_is_searched_as_well() {
    let lab = shared();
    let long = [vec![b'x'; 60_000], b" the end".to_vec()].concat();
    log(lab, "long", 4, &long);
    let step = look(lab, &json!({ "identifier": "long", "match": "the end$" }));
    assert_eq!(*fact(&step, "matches"), 1);
    assert!(evidence(&step).len() < 2000, "what is kept of it is capped");
}

#[test]
fn only_what_is_in_the_window_counts_and_the_age_is_known_all_the_same() {
    let lab = shared();
    log(lab, "earlier", 6, b"once");
    std::thread::sleep(Duration::from_millis(1100));
    let step = look(lab, &json!({ "identifier": "earlier", "since": "1s" }));
    assert_eq!((fact(&step, "matches"), fact(&step, "entries")), (&json!(0), &json!(0)), "{step:#}");
    assert!(fact(&step, "newest_age").as_f64().is_some_and(|age| age >= 1.0), "{step:#}");
    for window in [json!({ "identifier": "earlier" }), json!({ "identifier": "earlier", "boot": true })] {
        assert_eq!(*fact(&look(lab, &window), "matches"), 1);
    }
}

#[test]
fn a_journal_that_does_not_reach_back_as_far_as_the_window_says_so() {
    log(shared(), "young", 6, b"x");
    let step = look(shared(), &json!({ "identifier": "young", "since": "7d" }));
    assert!(step["subjects"][0]["notes"].to_string().contains("the journal reaches back"), "{step:#}");
}

#[test]
fn without_a_name_all_entries_count_and_the_busiest_units_are_shown() {
    let lab = Lab::up(&[]);
    for number in 0..30 {
        log(&lab, "noisy", 3, format!("failure {number}").as_bytes());
    }
    log(&lab, "quiet", 3, b"failure");
    let step = look(&lab, &json!({ "match": "^failure", "priority": "error" }));
    assert_eq!((&step["subjects"][0]["name"], fact(&step, "matches")), (&json!("journal"), &json!(31)), "{step:#}");
    assert_eq!(step["evidence"][0]["lines"].as_array().map(Vec::len), Some(10), "{step:#}");
    assert_eq!(step["evidence"][0]["left_out"], 21, "{step:#}");
    assert_eq!(step["evidence"][1]["lines"], json!(["30  noisy", "1  quiet"]), "{step:#}");
}

#[test]
fn the_last_entries_are_gathered_whole() {
    let lab = shared();
    for number in 0..20 {
        log(lab, "gathered", 6, format!("number {number}").as_bytes());
    }
    let step = look(lab, &json!({ "identifier": "gathered", "last": 12 }));
    let lines = step["evidence"][0]["lines"].as_array().expect("lines").clone();
    assert_eq!(lines.len(), 12, "{step:#}");
    assert!(lines[0].as_str().is_some_and(|line| line.ends_with("number 8")), "{step:#}");
}

#[test]
fn each_unit_and_each_name_has_a_result_of_its_own() {
    let lab = shared();
    log(lab, "one", 6, b"x");
    log(lab, "two", 6, b"x");
    let step = look(lab, &json!({ "identifier": ["two", "one", "three"] }));
    let names: Vec<&Json> = step["subjects"].as_array().expect("subjects").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["two", "one", "three"]);
    assert!(step["subjects"][2]["error"].as_str().is_some_and(|error| error.contains("three")), "{step:#}");
}

#[test]
fn a_user_who_may_not_see_the_journal_is_told_which_group_may() {
    let lab = shared();
    log(lab, "private", 3, b"secret");
    let step = "probe: { journal: { identifier: private } }\n    expect: { matches: 0 }";
    case(lab, step)
        .by_nobody()
        .run(["daily", "journal"])
        .exits(3)
        .says("no permission to read all of the journal")
        .says("the group adm or systemd-journal")
        .never_says("secret");
}

#[test]
fn a_journal_without_files_is_an_error_and_never_zero_matches() {
    let lab = shared();
    lab.run(["mkdir", "-p", "/srv/empty"]).exits(0);
    judge(lab, &json!({ "folder": "/srv/empty" }), "{ matches: 0 }")
        .exits(3)
        .says("the journal in /srv/empty has no entries");
    judge(lab, &json!({ "folder": "/nowhere" }), "{ matches: 0 }").exits(3).says("No such file or directory");
}

#[test]
fn the_journal_of_another_machine_is_read_from_its_folder() {
    let lab = shared();
    log(lab, "remote", 3, b"from afar");
    lab.run(["sh", "-c", "mkdir -p /srv/remote && cp -r /run/log/journal/. /srv/remote/"]).exits(0);
    let inputs = json!({ "folder": "/srv/remote", "identifier": "remote" });
    assert_eq!(*fact(&look(lab, &inputs), "matches"), 1);
    judge(lab, &json!({ "folder": "/srv/remote", "unit": "cron" }), "{ matches: 0 }")
        .exits(3)
        .says("has no entry of a unit cron.service");
}

#[test]
fn what_cannot_be_a_unit_or_a_window_is_refused_when_the_file_is_loaded() {
    judge(shared(), &json!({ "unit": "ssh*" }), "{ matches: 0 }").exits(3).says_on_stderr("is not the name of a unit");
    judge(shared(), &json!({ "since": "0s" }), "{ matches: 0 }").exits(3).says_on_stderr("a window of no time");
}
