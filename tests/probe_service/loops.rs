//! Services that end and are started again.

use std::process::Command;

use chrono::Utc;
use opsctl::model::unit::Quantity;
use opsctl::model::value::Value;
use serde_json::json;

use super::{assert_facts, case, fact, idle, judge, notes, one, shared, systemctl, unit, wait_for};
use crate::support::lab::{Lab, again_inside};
use crate::support::look::Look;

/// A machine for one test that counts restarts. Systemd 252 counts one more when it reloads its files, as other tests
/// on a shared machine make it do, while a service waits to be started again.
fn own() -> Lab {
    Lab::up(&["dbus.service"])
}

/// Ends with an error as often as `times`, and runs when it is started again after that.
fn crashes(lab: &Lab, name: &str, times: u32, more: &str) {
    let count = format!("n=$$(cat /run/{name} 2>/dev/null || echo 0); echo $$((n + 1)) >/run/{name}");
    let script = format!("{count}; [ $$n -lt {times} ] && exit 3; exec sleep infinity");
    let file = format!("[Service]\nExecStart=/bin/sh -c '{script}'\nRestart=on-failure\n{more}\n");
    unit(lab, &format!("{name}.service"), &file);
    systemctl(lab, &["start", name]);
}

#[test]
fn a_service_that_waits_to_be_started_again_is_not_active_though_systemd_does_not_count_it_as_failed() {
    crashes(shared(), "waiting", 9, "RestartSec=1d");
    wait_for(shared(), "waiting", "SubState", "auto-restart");
    let expected =
        json!({ "active": false, "state": "activating", "crash_loop": true, "result": "exit-code", "exit": 3 });
    assert_facts(&one(shared(), "waiting"), &expected);
    shared().run(["systemctl", "--failed", "--plain", "--no-legend"]).never_says("waiting.service");
    judge(shared(), &json!({ "name": "waiting" }), "{ active: true }")
        .exits(2)
        .says("activating (auto-restart, exit-code, exit status 3) for");
}

#[test]
fn a_service_that_systemd_gave_up_was_in_a_crash_loop() {
    crashes(shared(), "hopeless", 9, "RestartSec=1ms\n[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=1h");
    wait_for(shared(), "hopeless", "ActiveState", "failed");
    let subject = one(shared(), "hopeless");
    assert_facts(&subject, &json!({ "state": "failed", "crash_loop": true }));
    assert_eq!(fact(&subject, "restarts").to_string(), super::property(shared(), "hopeless", "NRestarts"));
    assert!(notes(&subject).contains("restarts by systemd"), "{subject:#}");
}

#[test]
fn a_service_that_runs_for_the_moment_after_several_restarts_is_in_a_crash_loop() {
    let lab = own();
    crashes(&lab, "staggering", 2, "RestartSec=1ms");
    wait_for(&lab, "staggering", "NRestarts", "2");
    wait_for(&lab, "staggering", "SubState", "running");
    let subject = one(&lab, "staggering");
    assert_facts(&subject, &json!({ "active": true, "crash_loop": true, "restarts": 2, "exit": null }));
    assert!(notes(&subject).contains("after 2 restarts by systemd"), "{subject:#}");
    judge(&lab, &json!({ "name": "staggering" }), "{ crash_loop: false }").exits(2).says("crash_loop true");
}

#[test]
fn one_restart_is_no_crash_loop() {
    let lab = own();
    crashes(&lab, "stumbling", 1, "RestartSec=1ms");
    wait_for(&lab, "stumbling", "NRestarts", "1");
    wait_for(&lab, "stumbling", "SubState", "running");
    assert_facts(&one(&lab, "stumbling"), &json!({ "active": true, "crash_loop": false, "restarts": 1 }));
}

#[test]
fn restarts_since_the_run_before_are_told_apart_from_those_of_the_past() {
    let lab = &own();
    idle(lab, "growing.service");
    unit(lab, "growing.service", "[Service]\nExecStart=sleep infinity\nRestart=always\nRestartSec=1ms\n");
    systemctl(lab, &["start", "growing"]);
    let case = case(lab, "probe: { service: { name: growing } }\n    expect: { recent_restarts: 0 }");
    case.run(["daily", "services"]).exits(0).says("no earlier run to compare with yet");
    case.run(["daily", "services"]).exits(0).never_says("no earlier run");
    systemctl(lab, &["kill", "--signal=KILL", "growing"]);
    wait_for(lab, "growing", "NRestarts", "1");
    wait_for(lab, "growing", "SubState", "running");
    case.run(["daily", "services"]).exits(2).says("recent_restarts 1");
    case.run(["daily", "services"]).exits(0);
}

#[test]
fn a_counter_that_a_start_by_hand_has_reset_does_not_count_backwards() {
    again_inside(&["dbus.service"], || {
        let run = ["--unit=reset", "--property=Restart=on-failure", "--quiet", "sleep", "infinity"];
        assert!(Command::new("systemd-run").args(run).status().expect("systemd-run starts").success());
        let before = |restarts| ("reset", "restarts", Quantity::count(restarts));
        let look = |restarts| Look::new("service", json!({ "name": "reset" })).before(Utc::now(), &[before(restarts)]);
        let subject = look(5.0).subject();
        assert_eq!(
            (&subject.facts["restarts"], &subject.facts["recent_restarts"]),
            (&Value::Integer(0), &Value::Integer(0))
        );
        assert_eq!(look(0.0).subject().facts["recent_restarts"], Value::Integer(0));
        let first = Look::new("service", json!({ "name": "reset" })).subject();
        assert!(!first.facts.contains_key("recent_restarts"), "{first:?}");
    });
}
