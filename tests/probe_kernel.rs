use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use chrono::{TimeDelta, Utc};
use opsctl::model::fact::{Observation, Subject};
use opsctl::model::unit::Quantity;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::support::case::Case;
use crate::support::look::Look;

fn look(inputs: Json) -> Observation {
    Look::new("kernel", inputs).run().expect("root may read the kernel's log")
}

fn count(subject: &Subject, fact: &str) -> f64 {
    subject.facts[fact].history_number().unwrap_or_else(|| panic!("no {fact} in {subject:?}")).amount()
}

/// A program that touches what is not its memory; the kernel writes a line about it.
fn crash() {
    let ended = Command::new("python3").args(["-c", "import ctypes; ctypes.string_at(0)"]).output().expect("python3");
    assert_eq!(ended.status.signal(), Some(11), "{ended:?}");
}

#[test]
fn a_program_that_crashes_is_counted_once_and_shown_with_its_line() {
    let before = look(json!({}));
    crash();
    let after = look(json!({}));
    let more = count(&after.subjects[0], "segfaults") - count(&before.subjects[0], "segfaults");
    assert!(more >= 1.0, "{after:?}");
    let newest = after.evidence[0].lines.iter().find(|line| line.contains("segfault at")).expect("its line");
    assert!(newest.contains("python3") && newest.len() < 450, "{newest}");
    assert!(after.evidence[0].lines.len() <= 30);
}

#[test]
fn lines_before_the_window_and_lines_that_are_accepted_are_not_counted() {
    crash();
    let later = Look::new("kernel", json!({ "since": "1h" })).now(Utc::now() + TimeDelta::days(400));
    let seen = later.subject();
    assert_eq!(count(&seen, "segfaults"), 0.0);
    let accepted = look(json!({ "except": "segfault at|Code:" })).subjects.remove(0);
    assert_eq!(count(&accepted, "segfaults"), 0.0);
    let wanted = look(json!({ "match": "python3.*segfault" })).subjects.remove(0);
    assert!(count(&wanted, "matches") >= 1.0, "{wanted:?}");
}

#[test]
fn errors_and_warnings_are_those_of_dmesg() {
    let of = |level: &str| {
        let args = ["--facility=kern", "--json", &format!("--level={level}")];
        let said = Command::new("dmesg").args(args).output().expect("dmesg of util-linux").stdout;
        let said: Json = serde_json::from_slice(&said).expect("JSON");
        said["dmesg"].as_array().map_or(0, Vec::len) as f64
    };
    // Lines may come between two looks.
    let (before, seen, after) = (
        [of("emerg,alert,crit,err"), of("warn")],
        look(json!({ "since": "5200w" })),
        [of("emerg,alert,crit,err"), of("warn")],
    );
    for (index, fact) in ["errors", "warnings"].into_iter().enumerate() {
        let counted = count(&seen.subjects[0], fact);
        assert!(before[index] <= counted && counted <= after[index], "{fact}: {before:?} {counted} {after:?}");
    }
}

#[test]
fn kills_since_the_newest_earlier_run_are_those_of_the_kernels_own_count() {
    let vmstat = std::fs::read_to_string("/proc/vmstat").expect("vmstat");
    let kills = vmstat.lines().find_map(|line| line.strip_prefix("oom_kill ")).expect("a count of kills");
    let first = Look::new("kernel", json!({})).subject();
    assert_eq!(first.facts["oom_kills_since_start"].to_string(), kills);
    assert!(!first.facts.contains_key("recent_oom_kills"), "there is no earlier run: {first:?}");
    let earlier = Quantity::count(kills.parse().expect("a number"));
    let before = [("kernel", "oom_kills_since_start", earlier)];
    let second = Look::new("kernel", json!({})).before(Utc::now() - TimeDelta::milliseconds(1), &before).subject();
    assert_eq!(second.facts["recent_oom_kills"], Value::count(0));
}

#[test]
fn who_may_not_read_the_log_is_told_what_to_do_and_the_count_of_kills_is_known_all_the_same() {
    let restricted = std::fs::read_to_string("/proc/sys/kernel/dmesg_restrict").expect("a setting");
    assert_eq!(restricted.trim(), "1", "this test needs `sysctl kernel.dmesg_restrict=1`, as Debian has it");
    let steps = "title: Kernel\nsteps:\n\
                 - { id: log, title: The log, probe: { kernel: {} }, expect: { io_errors: 0 } }\n\
                 - { id: kills, title: Kills, probe: { kernel: {} }, expect: { oom_kills_since_start: at least 0 } }\n\
                 - { id: seen, title: What may be seen, gather: { kernel: {} } }\n\
                 - { id: guarded, title: Guarded, when: steps.seen.facts.readable, probe: { kernel: {} }, \
                 expect: { io_errors: 0 } }\n";
    let case = Case::new("kernel").site("").procedure("daily/kernel.yaml", steps).by_nobody();
    let ran = case.run(["daily", "kernel", "--format", "json"]).exits(3);
    let outcomes: Vec<Json> = ran.json()["procedures"][0]["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| step["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["errored", "passed", "passed", "skipped"]);
    let shown = case.run(["daily", "kernel"]).exits(3);
    shown.says("no permission to read the kernel's log").says("CAP_SYSLOG");
}

#[test]
fn a_pattern_that_is_none_is_refused() {
    let error = Look::new("kernel", json!({ "except": "(" })).build().err().expect("no probe");
    assert_eq!(error.input, "except");
}
