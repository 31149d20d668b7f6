//! Services: on a machine with a systemd of its own, and by the commands of a site file.

mod commands;
mod refused;

use std::process::Command;
use std::time::Duration;

use opsctl::action::{ActionError, Changed};
use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use serde_json::json;

use crate::support::act::Act;
use crate::support::lab::again_inside;
use crate::support::server::wait_until;

fn service(name: &str, state: &str) -> Act {
    Act::new("service", json!({"name": name, "state": state}))
}

/// Writes a unit and lets systemd read it.
fn unit(name: &str, text: &str) {
    std::fs::write(format!("/etc/systemd/system/{name}"), text).expect("a unit");
    systemctl(&["daemon-reload"]);
}

/// A service that runs until it is stopped.
fn lasting(name: &str, more: &str) {
    unit(name, &format!("[Unit]\n{more}\n[Service]\nExecStart=sleep 1000\n[Install]\nWantedBy=multi-user.target\n"));
}

fn systemctl(arguments: &[&str]) -> String {
    let output = Command::new("systemctl").args(arguments).output().expect("systemctl starts");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn is_active(name: &str) -> bool {
    systemctl(&["is-active", name]) == "active"
}

fn text<'s>(subject: &'s Subject, fact: &str) -> &'s str {
    match &subject.facts.get(fact) {
        Some(Value::Text(text)) => text,
        other => panic!("{fact} is {other:?}"),
    }
}

fn help(error: &ActionError) -> &str {
    error.help.as_deref().unwrap_or_default()
}

#[test]
fn a_stopped_service_is_started_as_the_plan_says() {
    again_inside(&["dbus.service"], || {
        lasting("shop.service", "");
        let act = service("shop", "started");
        let plan = act.plan().expect("a plan");
        assert_eq!(plan.does, ["systemctl start shop.service"]);
        assert_eq!(plan.notes, ["now: inactive (dead), disabled"]);
        assert!(!is_active("shop"), "a plan changes nothing");
        let done = act.perform(&plan).expect("a start").subjects.remove(0);
        assert_eq!((done.name.as_str(), text(&done, "state_before")), ("shop.service", "inactive (dead)"));
        assert_eq!((text(&done, "state"), text(&done, "enabled")), ("active (running)", "disabled"));
        let pid = systemctl(&["show", "--value", "-p", "MainPID", "shop"]);
        assert_eq!(done.facts["main_pid"], Value::Integer(pid.parse().expect("a number")));
        assert!(matches!(done.facts["took"], Value::Number(_)));
    });
}

#[test]
fn what_is_so_already_is_settled() {
    again_inside(&["dbus.service"], || {
        lasting("shop.service", "");
        let settled = |state: &str, why: &str| {
            let act = service("shop", state);
            let plan = act.plan().expect("a plan");
            assert_eq!((plan.settled, plan.does.len(), plan.notes[0].as_str()), (true, 0, why));
            act.perform(&plan).expect("nothing to do").subjects.remove(0)
        };
        let stopped = settled("stopped", "shop.service does not run: inactive (dead)");
        assert_eq!(text(&stopped, "state"), "inactive (dead)");
        settled("disabled", "shop.service is disabled");
        systemctl(&["enable", "--now", "shop"]);
        let pid = systemctl(&["show", "--value", "-p", "MainPID", "shop"]);
        settled("started", "shop.service runs: active (running)");
        settled("enabled", "shop.service is enabled");
        assert_eq!(systemctl(&["show", "--value", "-p", "MainPID", "shop"]), pid);
    });
}

#[test]
fn a_restart_gives_another_process_and_tells_what_restarts_with_it() {
    again_inside(&["dbus.service"], || {
        lasting("base.service", "");
        lasting("part.service", "PartOf=base.service");
        lasting("needs.service", "Requires=part.service");
        lasting("idle.service", "Requires=base.service");
        systemctl(&["start", "base", "part", "needs"]);
        let act = service("base", "restarted");
        let plan = act.plan().expect("a plan");
        assert_eq!(plan.does, ["systemctl restart base.service"]);
        assert_eq!(
            plan.notes,
            ["now: active (running), disabled", "are restarted together with it: needs.service, part.service"]
        );
        let before = systemctl(&["show", "--value", "-p", "MainPID", "base"]);
        let done = act.perform(&plan).expect("a restart").subjects.remove(0);
        assert_ne!(done.facts["main_pid"], Value::Integer(before.parse().expect("a number")));
        let stop = service("base", "stopped").plan().expect("a plan");
        assert_eq!(stop.notes[1], "stop together with it: needs.service, part.service");
    });
}

#[test]
fn a_stop_tells_what_starts_the_service_again() {
    again_inside(&["dbus.service"], || {
        lasting("shop.service", "");
        unit("shop.socket", "[Socket]\nListenStream=/run/shop.sock\n");
        systemctl(&["start", "shop.socket"]);
        systemctl(&["enable", "--now", "shop"]);
        let act = service("shop", "stopped");
        let plan = act.plan().expect("a plan");
        assert_eq!(
            plan.notes,
            [
                "now: active (running), enabled",
                "shop.socket is active, and starts it again when it is needed: stop that as well",
                "it is enabled, and starts again with the machine",
            ]
        );
        let done = act.perform(&plan).expect("a stop").subjects.remove(0);
        assert_eq!((text(&done, "state"), done.facts.get("main_pid")), ("inactive (dead)", None));
    });
}

#[test]
fn a_reload_keeps_the_process() {
    again_inside(&["dbus.service"], || {
        unit("shop.service", "[Service]\nExecStart=sleep 1000\nExecReload=touch /run/reloaded\n");
        let refused = service("shop", "reloaded").plan().expect_err("nothing runs");
        assert_eq!(refused.message, "shop.service does not run (inactive (dead)), so there is nothing to reload");
        systemctl(&["start", "shop"]);
        let pid = systemctl(&["show", "--value", "-p", "MainPID", "shop"]);
        let done = service("shop", "reloaded").subject();
        assert_eq!(done.facts["main_pid"], Value::Integer(pid.parse().expect("a number")));
        assert!(std::path::Path::new("/run/reloaded").exists());
    });
}

#[test]
fn enabling_makes_the_links_and_starts_nothing() {
    again_inside(&["dbus.service"], || {
        lasting("shop.service", "");
        let act = service("shop", "enabled");
        let plan = act.plan().expect("a plan");
        assert_eq!(plan.does, ["systemctl enable shop.service"]);
        assert_eq!(plan.notes[1], "it is not started now, only with the machine");
        let done = act.perform(&plan).expect("links");
        assert_eq!(
            done.evidence[0].lines,
            ["symlink /etc/systemd/system/multi-user.target.wants/shop.service -> /etc/systemd/system/shop.service"]
        );
        assert_eq!(
            (text(&done.subjects[0], "enabled_before"), text(&done.subjects[0], "enabled")),
            ("disabled", "enabled")
        );
        assert_eq!((systemctl(&["is-enabled", "shop"]).as_str(), is_active("shop")), ("enabled", false));
        assert_eq!(text(&service("shop", "disabled").subject(), "enabled"), "disabled");
        assert_eq!(systemctl(&["is-enabled", "shop"]), "disabled");
    });
}

#[test]
fn an_alias_leads_to_the_unit_itself() {
    again_inside(&["dbus.service"], || {
        unit("shop.service", "[Service]\nExecStart=sleep 1000\n[Install]\nAlias=store.service\n");
        systemctl(&["enable", "shop"]);
        assert_eq!(service("store", "started").plan().expect("a plan").does, ["systemctl start shop.service"]);
    });
}

#[test]
fn a_start_that_fails_says_why_with_the_last_lines_of_the_journal() {
    again_inside(&["dbus.service"], || {
        unit(
            "shop.service",
            "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo reading shop.conf; echo port 80 is taken >&2; exit 7'\n",
        );
        let error = service("shop", "restarted").run().expect_err("a failure");
        assert_eq!((error.code, error.changed), ("failed", Changed::Perhaps));
        let begin = "the restart of shop.service failed (failed): it is failed, result exit-code, its main \
                     process ended with exit status 7; the journal's last lines: ";
        assert!(error.message.starts_with(begin), "{}", error.message);
        for line in ["reading shop.conf", "port 80 is taken"] {
            assert!(error.message.contains(line), "{}", error.message);
        }
        assert!(help(&error).contains("journalctl -u shop.service"), "{error:?}");
    });
}

#[test]
fn a_service_that_ends_right_after_its_start_has_not_been_started() {
    again_inside(&["dbus.service"], || {
        unit("shop.service", "[Service]\nExecStart=/bin/sh -c 'sleep 0.3; echo no database; exit 3'\n");
        let error = service("shop", "started").run().expect_err("systemctl itself would succeed");
        assert!(error.message.starts_with("shop.service was started and does not run: it is failed"), "{error}");
        assert!(error.message.contains("exit status 3") && error.message.contains("no database"), "{error}");
    });
}

#[test]
fn why_a_service_ended_is_not_hidden_behind_what_was_ended_with_it() {
    again_inside(&["dbus.service"], || {
        let start = "/bin/sh -c 'for worker in $(seq 30); do sleep 1000 & done; echo no database; exit 3'";
        unit("shop.service", &format!("[Service]\nKillMode=mixed\nExecStart={start}\n"));
        let error = service("shop", "started").run().expect_err("it ends at once");
        assert!(error.message.contains("no database"), "{error}");
    });
}

#[test]
fn a_service_that_ends_again_and_again_is_seen_and_may_be_restarted() {
    again_inside(&["dbus.service"], || {
        unit(
            "shop.service",
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sh -c 'test -e /run/repaired && exec sleep \
             1000'\nRestart=always\nRestartSec=50ms\n",
        );
        let error = service("shop", "started").run().expect_err("it never runs for long");
        assert!(error.message.starts_with("shop.service was started and does not run"), "{error}");
        let looping = || service("shop", "restarted").plan().expect("a plan").notes.join("\n");
        wait_until("a look between two starts", || looping().contains("it ends again and again"));
        std::fs::write("/run/repaired", "").expect("a file");
        systemctl(&["restart", "shop"]);
        assert_eq!(text(&service("shop", "restarted").subject(), "state"), "active (running)");
    });
}

#[test]
fn a_service_that_was_not_started_because_of_a_condition_is_a_failure() {
    again_inside(&["dbus.service"], || {
        lasting("shop.service", "ConditionPathExists=/nowhere");
        let error = service("shop", "started").run().expect_err("systemctl itself would succeed");
        assert!(error.message.contains("one of its conditions (`Condition...=`) does not hold"), "{error}");
    });
}

#[test]
fn work_that_is_done_once_is_not_expected_to_go_on() {
    again_inside(&["dbus.service"], || {
        unit("once.service", "[Service]\nType=oneshot\nExecStart=touch /run/once\n");
        assert_eq!(text(&service("once", "started").subject(), "state"), "inactive (dead)");
        assert!(std::path::Path::new("/run/once").exists());
    });
}

#[test]
fn a_start_that_takes_too_long_goes_on_in_systemd_and_says_so() {
    again_inside(&["dbus.service"], || {
        unit("slow.service", "[Service]\nType=oneshot\nExecStart=sleep 1000\n");
        let mut act = service("slow", "started");
        let plan = act.plan().expect("a plan");
        act.cx.look.limit = Duration::from_secs(1);
        let error = act.perform(&plan).expect_err("too long");
        assert_eq!((error.code, error.changed), ("time_limit", Changed::Perhaps));
        assert_eq!(error.message, "the start of slow.service did not end within 1 s");
        assert!(help(&error).starts_with("systemd goes on with it: `systemctl list-jobs`"), "{error:?}");
        assert_eq!(systemctl(&["is-active", "slow"]), "activating");
    });
}

#[test]
fn the_end_of_the_run_ends_the_waiting() {
    again_inside(&["dbus.service"], || {
        unit("slow.service", "[Service]\nType=oneshot\nExecStart=sleep 1000\n");
        let act = service("slow", "started");
        let cancel = act.cx.look.cancel.clone();
        let watch = std::thread::spawn(move || {
            wait_until("a start", || systemctl(&["is-active", "slow"]) == "activating");
            cancel.cancel();
        });
        let error = act.run().expect_err("the run has ended");
        watch.join().expect("a look");
        assert_eq!((error.code, error.changed), ("cancelled", Changed::Perhaps));
        assert_eq!(error.message, "the start of slow.service had begun when the run was ended");
    });
}
