//! Units that are not there, files that changed, users who may see less, machines without systemd.

use std::fs;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{Seen, assert_facts, case, fact, gather, idle, judge, look, notes, one, shared, systemctl, unit};
use crate::support::again::with_own_mounts;
use crate::support::case::Case;
use crate::support::lab::Lab;

#[test]
fn a_unit_that_does_not_exist_is_an_error_and_not_an_inactive_service() {
    let ran = judge(shared(), &json!({ "name": ["dbus", "apach2"] }), "{ active: false }");
    ran.exits(2).says("there is no unit apach2.service on this machine; did you mean apache2.service");
    judge(shared(), &json!({ "name": "zzyzx.timer" }), "{ active: true }")
        .exits(3)
        .says("there is no unit zzyzx.timer on this machine; `systemctl list-unit-files`");
}

#[test]
fn a_service_whose_file_is_gone_still_runs_and_says_so() {
    idle(shared(), "orphan.service");
    systemctl(shared(), &["start", "orphan"]);
    shared().run(["rm", "/etc/systemd/system/orphan.service"]).exits(0);
    systemctl(shared(), &["daemon-reload"]);
    let subject = one(shared(), "orphan");
    assert_facts(&subject, &json!({ "active": true, "state": "active" }));
    assert!(notes(&subject).contains("no file defines it any more"), "{subject:#}");
}

#[test]
fn a_file_that_systemd_cannot_use_is_told_with_the_reason() {
    unit(shared(), "unusable.service", "[Service]\nRestart=always\n");
    let subject = one(shared(), "unusable");
    assert_eq!(*fact(&subject, "active"), false);
    assert!(notes(&subject).contains("bad unit file setting"), "{subject:#}");
}

#[test]
fn a_changed_file_needs_a_reload() {
    // A machine of its own: a reload of any other test would be one for all.
    let lab = Lab::up(&[]);
    idle(&lab, "edited.service");
    systemctl(&lab, &["start", "edited"]);
    judge(&lab, &json!({ "name": "edited" }), "{ needs_reload: false }").exits(0);
    lab.write("/etc/systemd/system/edited.service", "[Service]\nExecStart=sleep infinity\nNice=1\n");
    assert_eq!(*fact(&one(&lab, "edited"), "needs_reload"), true);
    judge(&lab, &json!({ "name": "edited" }), "{ needs_reload: false }").exits(2).says("systemctl daemon-reload");
    systemctl(&lab, &["daemon-reload"]);
    assert_eq!(*fact(&one(&lab, "edited"), "needs_reload"), false);
}

#[test]
fn a_user_without_rights_sees_the_same_facts_and_that_the_log_is_not_for_him() {
    let lab = shared();
    unit(lab, "private.service", "[Service]\nExecStart=sh -c 'echo the secret of the żółw; exit 7'\n");
    systemctl(lab, &["start", "private"]);
    super::wait_for(lab, "private", "ActiveState", "failed");
    let input = json!({ "name": ["private", "dbus"] });
    let seen = Seen::of(&gather(lab, &input).by_nobody().run(["daily", "services", "--format", "json"]));
    let expected = json!({ "active": false, "state": "failed", "result": "exit-code", "exit": 7 });
    assert_facts(&seen.subjects[0], &expected);
    assert_facts(&seen.subjects[1], &json!({ "active": true }));
    let said = notes(&seen.subjects[0]);
    assert!(said.contains("its log lines could not be read: No journal files were opened"), "{said}");
    assert_eq!(seen.evidence(), "");
    assert!(look(lab, &input).evidence().contains("the secret of the żółw"), "root may");
}

#[test]
fn without_the_message_bus_a_user_without_rights_sees_nothing_and_root_everything() {
    let lab = Lab::up(&["dbus.service"]);
    systemctl(&lab, &["stop", "dbus.socket", "dbus.service"]);
    let step = "probe: { service: { name: dbus } }\n    expect: { state: inactive }";
    let ran = case(&lab, step).by_nobody().run(["daily", "services"]);
    ran.exits(3).says("systemctl cannot ask systemd: Failed to connect to bus").says("need the D-Bus daemon");
    case(&lab, step).run(["daily", "services"]).exits(0);
}

#[test]
fn a_systemd_that_does_not_answer_is_an_error_within_the_time_limit() {
    let lab = Lab::up(&[]);
    let case = case(&lab, "probe: { service: { name: dbus } }\n    timeout: 1s\n    expect: { active: true }");
    let systemd = Pid::from_raw(lab.leader().cast_signed()).expect("a process");
    kill_process(systemd, Signal::STOP).expect("it stands still");
    case.run(["daily", "services"]).exits(3).says("`systemctl` did not answer within 1 s");
}

#[test]
fn names_that_systemctl_would_take_for_something_else_are_refused_when_the_file_is_loaded() {
    judge(shared(), &json!({ "name": "apache*" }), "{ active: true }")
        .exits(3)
        .says_on_stderr("`apache*` is not the name of a unit");
    judge(shared(), &json!({ "name": "getty@" }), "{ active: true }").exits(3).says_on_stderr("such as `getty@1`");
    judge(shared(), &json!({ "name": "apache2", "except": "cron" }), "{ active: true }")
        .exits(3)
        .says_on_stderr("leave out one of the two");
}

const APACHE: &str = "title: Services\nsteps:\n  - id: services\n    title: Services\n    \
                      probe: { service: { name: apache2 } }\n    expect: { active: true }\n";

/// Hides what says that systemd runs this machine, if it does. For a process with mounts of its own.
fn hide_systemd() {
    let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]).status();
    assert!(mounted.expect("mount starts").success());
}

fn outside() -> Case {
    Case::new("service").site("").procedure("daily/services.yaml", APACHE)
}

#[test]
fn a_machine_without_systemd_is_an_error_that_says_so() {
    with_own_mounts(|| {
        hide_systemd();
        let ran = outside().run(["daily", "services"]);
        ran.exits(3).says("this machine is not run by systemd").says("`process`");
    });
}

#[test]
fn a_machine_without_systemctl_is_an_error_that_says_so() {
    with_own_mounts(|| {
        hide_systemd();
        fs::create_dir_all("/run/systemd/system").expect("what systemd leaves there");
        let ran = outside().env("PATH", "/nowhere").run(["daily", "services"]);
        ran.exits(3).says("there is no program `systemctl` on the PATH").says("a part of systemd");
    });
}
