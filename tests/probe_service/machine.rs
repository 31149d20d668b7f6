//! The whole machine: what failed or crashes on it, by whatever name.

use serde_json::json;

use super::{assert_facts, idle, judge, look, systemctl, unit, wait_for};
use crate::support::lab::Lab;

/// A machine with a service that failed, one that waits to be started again, and one that runs.
fn troubled() -> Lab {
    let lab = Lab::up(&[]);
    unit(&lab, "broken.service", "[Service]\nExecStart=false\n");
    unit(&lab, "looping.service", "[Service]\nExecStart=false\nRestart=always\nRestartSec=1d\n");
    idle(&lab, "fine.service");
    systemctl(&lab, &["start", "broken", "looping", "fine"]);
    wait_for(&lab, "broken", "ActiveState", "failed");
    wait_for(&lab, "looping", "SubState", "auto-restart");
    lab
}

#[test]
fn failed_and_crash_looping_units_are_counted_and_listed() {
    let lab = troubled();
    let seen = look(&lab, &json!({}));
    assert_eq!(seen.subjects.len(), 1);
    assert_facts(&seen.subjects[0], &json!({ "failed_units": 1, "crash_loops": 1, "active": null }));
    let evidence = seen.evidence();
    assert!(evidence.contains("broken.service  failed (exit-code, exit status 1) for"), "{evidence}");
    assert!(evidence.contains("looping.service  activating (auto-restart"), "{evidence}");
    assert!(!evidence.contains("fine.service"), "{evidence}");
    judge(&lab, &json!({}), "{ failed_units: 0, crash_loops: 0 }")
        .exits(2)
        .says("failed_units 1")
        .says("broken.service");

    let known = look(&lab, &json!({ "except": ["broken", "looping.service"] }));
    assert_facts(&known.subjects[0], &json!({ "failed_units": 0, "crash_loops": 0 }));
    assert_eq!(known.evidence(), "");
    judge(&lab, &json!({ "except": "looping" }), "{ failed_units: at most 1, crash_loops: 0 }").exits(0);
}

#[test]
fn a_healthy_machine_has_no_failed_units() {
    judge(&Lab::up(&["dbus.service"]), &json!({}), "{ failed_units: 0, crash_loops: 0 }").exits(0);
}
