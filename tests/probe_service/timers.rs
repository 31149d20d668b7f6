//! Timers: when they elapse next, when they did last, and those that never will.

use std::fs;
use std::process::Command;
use std::time::Duration;

use chrono::Utc;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use super::{assert_facts, fact, judge, notes, one, shared, systemctl, unit, wait_for};
use crate::support::lab::again_inside;
use crate::support::look::Look;

/// A timer and its service. Its state `result` is reached before this returns.
fn timer(name: &str, when: &str, state: &str) -> Json {
    unit(shared(), &format!("{name}.service"), "[Service]\nType=oneshot\nExecStart=true\n");
    unit(shared(), &format!("{name}.timer"), &format!("[Timer]\n{when}\n"));
    systemctl(shared(), &["start", &format!("{name}.timer")]);
    wait_for(shared(), &format!("{name}.timer"), "SubState", state);
    one(shared(), &format!("{name}.timer"))
}

fn seconds(subject: &Json, name: &str) -> f64 {
    assert_eq!(subject["facts"][name]["unit"], "s", "{name} of {subject:#}");
    fact(subject, name).as_f64().expect("a number")
}

#[test]
fn a_timer_by_the_calendar_tells_when_it_elapses_next() {
    let subject = timer("daily", "OnCalendar=daily", "waiting");
    assert_facts(&subject, &json!({ "active": true, "scheduled": true, "last_age": null, "restarts": null }));
    assert!((0.0..=86_400.0).contains(&seconds(&subject, "next_in")), "{subject:#}");
}

#[test]
fn a_timer_that_counts_from_its_start_tells_when_it_elapses_next() {
    let subject = timer("later", "OnActiveSec=10d", "waiting");
    let next = seconds(&subject, "next_in");
    assert!(next <= 864_000.0 && next > 860_000.0, "{subject:#}");
}

#[test]
fn a_timer_that_has_elapsed_for_good_is_active_and_yet_not_scheduled() {
    let subject = timer("once", "OnActiveSec=1ms", "elapsed");
    assert_facts(&subject, &json!({ "active": true, "scheduled": false, "next_in": null }));
    assert!(seconds(&subject, "last_age") < 600.0, "{subject:#}");
    assert!(notes(&subject).contains("it will not elapse again"), "{subject:#}");
    let input = json!({ "name": "once.timer" });
    judge(shared(), &input, "{ scheduled: true }").exits(2).says("scheduled false");
    judge(shared(), &input, "{ next_in: below 1d }").exits(3);
}

#[test]
fn a_timer_that_was_never_started_is_not_scheduled() {
    unit(shared(), "forgotten.service", "[Service]\nType=oneshot\nExecStart=true\n");
    unit(shared(), "forgotten.timer", "[Timer]\nOnCalendar=daily\n");
    let subject = one(shared(), "forgotten.timer");
    assert_facts(&subject, &json!({ "active": false, "scheduled": false, "next_in": null, "last_age": null }));
}

#[test]
fn a_timer_that_did_not_elapse_when_it_should_have_is_overdue() {
    again_inside(&["dbus.service"], || {
        let folder = "/etc/systemd/system";
        fs::write(format!("{folder}/nightly.service"), "[Service]\nType=oneshot\nExecStart=true\n").expect("a file");
        fs::write(format!("{folder}/nightly.timer"), "[Timer]\nOnCalendar=daily\n").expect("a file");
        let started = Command::new("systemctl").args(["start", "nightly.timer"]).status().expect("systemctl starts");
        assert!(started.success());
        let look = || Look::new("service", json!({ "name": "nightly.timer" }));
        assert_eq!(look().subject().facts["overdue"], Value::Bool(false));
        let late = look().now(Utc::now() + Duration::from_hours(48)).subject();
        assert_eq!(late.facts["overdue"], Value::Bool(true));
        assert!(late.notes.iter().any(|note| note.starts_with("it should have elapsed at ")), "{:?}", late.notes);
    });
}

#[test]
fn a_timer_tells_how_what_it_starts_ended() {
    let lab = shared();
    unit(lab, "failing.service", "[Service]\nType=oneshot\nExecStart=false\n");
    unit(lab, "failing.timer", "[Timer]\nOnActiveSec=1ms\n");
    assert_eq!(*fact(&one(lab, "failing.timer"), "last_result"), Json::Null, "it was not started yet");
    systemctl(lab, &["start", "failing.timer"]);
    wait_for(lab, "failing.service", "Result", "exit-code");
    let subject = one(lab, "failing.timer");
    assert_facts(&subject, &json!({ "active": true, "last_result": "exit-code" }));
    judge(lab, &json!({ "name": "failing.timer" }), "{ last_result: success }").exits(2).says("exit-code");
}
