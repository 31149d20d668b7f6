//! Services that end and are started again.

use serde_json::json;

use super::{assert_facts, fact, judge, notes, one, shared, systemctl, unit, wait_for};

/// Ends with an error as often as `times`, and runs when it is started again after that.
fn crashes(name: &str, times: u32, more: &str) {
    let count = format!("n=$$(cat /run/{name} 2>/dev/null || echo 0); echo $$((n + 1)) >/run/{name}");
    let script = format!("{count}; [ $$n -lt {times} ] && exit 3; exec sleep infinity");
    let file = format!("[Service]\nExecStart=/bin/sh -c '{script}'\nRestart=on-failure\n{more}\n");
    unit(shared(), &format!("{name}.service"), &file);
    systemctl(shared(), &["start", name]);
}

#[test]
fn a_service_that_waits_to_be_started_again_is_not_active_though_systemd_does_not_count_it_as_failed() {
    crashes("waiting", 9, "RestartSec=1d");
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
    crashes("hopeless", 9, "RestartSec=1ms\n[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=1h");
    wait_for(shared(), "hopeless", "ActiveState", "failed");
    let subject = one(shared(), "hopeless");
    assert_facts(&subject, &json!({ "state": "failed", "crash_loop": true }));
    assert_eq!(fact(&subject, "restarts").to_string(), super::property(shared(), "hopeless", "NRestarts"));
    assert!(notes(&subject).contains("restarts by systemd"), "{subject:#}");
}

#[test]
fn a_service_that_runs_for_the_moment_after_several_restarts_is_in_a_crash_loop() {
    crashes("staggering", 2, "RestartSec=1ms");
    wait_for(shared(), "staggering", "NRestarts", "2");
    wait_for(shared(), "staggering", "SubState", "running");
    let subject = one(shared(), "staggering");
    assert_facts(&subject, &json!({ "active": true, "crash_loop": true, "restarts": 2, "exit": null }));
    assert!(notes(&subject).contains("after 2 restarts by systemd"), "{subject:#}");
    judge(shared(), &json!({ "name": "staggering" }), "{ crash_loop: false }").exits(2).says("crash_loop true");
}

#[test]
fn one_restart_is_no_crash_loop() {
    crashes("stumbling", 1, "RestartSec=1ms");
    wait_for(shared(), "stumbling", "NRestarts", "1");
    wait_for(shared(), "stumbling", "SubState", "running");
    assert_facts(&one(shared(), "stumbling"), &json!({ "active": true, "crash_loop": false, "restarts": 1 }));
}
