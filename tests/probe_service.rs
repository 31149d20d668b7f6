//! Units of a real systemd, on a machine of their own.

mod loops;
mod machine;
mod timers;
mod trouble;

use std::sync::OnceLock;

use serde_json::{Value as Json, json};

use crate::support::case::{Case, Ran};
use crate::support::lab::Lab;
use crate::support::server::wait_until;

/// One machine for all tests that have units of their own there and leave the rest alone.
fn shared() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| Lab::up(&["dbus.service"]))
}

/// Writes the file of a unit and makes systemd read it.
fn unit(lab: &Lab, name: &str, content: &str) {
    lab.write(&format!("/etc/systemd/system/{name}"), content);
    systemctl(lab, &["daemon-reload"]);
}

/// A service that does nothing for ever.
fn idle(lab: &Lab, name: &str) {
    unit(lab, name, "[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n");
}

fn systemctl(lab: &Lab, args: &[&str]) {
    lab.run(["systemctl"].iter().chain(args)).exits(0);
}

fn property(lab: &Lab, unit: &str, name: &str) -> String {
    let shown = lab.run(["systemctl", "show", "--value", "--property", name, unit]).exits(0);
    shown.stdout.trim().to_owned()
}

fn wait_for(lab: &Lab, unit: &str, name: &str, value: &str) {
    wait_until(&format!("{name} {value} of {unit}"), || property(lab, unit, name) == value);
}

/// A procedure with one step; `step` is what follows its title.
fn case(lab: &Lab, step: &str) -> Case {
    let yaml = format!("title: Services\nsteps:\n  - id: services\n    title: Services\n    {step}\n");
    Case::inside(lab, "service").site("").procedure("daily/services.yaml", &yaml)
}

/// Judges `inputs` by `expect`, for people.
fn judge(lab: &Lab, inputs: &Json, expect: &str) -> Ran {
    case(lab, &format!("probe: {{ service: {inputs} }}\n    expect: {expect}")).run(["daily", "services"])
}

/// What one look saw.
struct Seen {
    subjects: Vec<Json>,
    evidence: Vec<Json>,
}

impl Seen {
    fn of(ran: &Ran) -> Self {
        let step = &ran.json()["procedures"][0]["steps"][0];
        let list = |key: &str| step[key].as_array().unwrap_or_else(|| panic!("no {key}: {step:#}")).clone();
        Self { subjects: list("subjects"), evidence: list("evidence") }
    }

    fn evidence(&self) -> String {
        self.evidence.iter().map(|evidence| evidence["lines"].to_string()).collect()
    }
}

fn gather(lab: &Lab, inputs: &Json) -> Case {
    case(lab, &format!("gather: {{ service: {inputs} }}"))
}

fn look(lab: &Lab, inputs: &Json) -> Seen {
    Seen::of(&gather(lab, inputs).run(["daily", "services", "--format", "json"]))
}

/// The only subject of a look at one unit.
fn one(lab: &Lab, name: &str) -> Json {
    look(lab, &json!({ "name": name })).subjects.remove(0)
}

/// The value of a fact; null if it is missing.
fn fact<'s>(subject: &'s Json, name: &str) -> &'s Json {
    &subject["facts"][name]["value"]
}

#[track_caller]
fn assert_facts(subject: &Json, expected: &Json) {
    for (name, value) in expected.as_object().expect("facts") {
        assert_eq!(fact(subject, name), value, "{name} of {subject:#}");
    }
}

fn notes(subject: &Json) -> String {
    subject["notes"].to_string()
}

#[test]
fn a_running_service_tells_what_systemd_knows_of_it() {
    let lab = shared();
    idle(lab, "running.service");
    systemctl(lab, &["enable", "--now", "running"]);
    let seen = look(lab, &json!({ "name": "running" }));
    let expected = json!({
        "active": true, "state": "active", "sub_state": "running", "enabled": true, "unit_file_state": "enabled",
        "masked": false, "crash_loop": false, "restarts": 0, "result": "success", "exit": null, "signal": null,
        "needs_reload": false, "scheduled": null, "failed_units": null,
    });
    let subject = &seen.subjects[0];
    assert_eq!(subject["name"], "running");
    assert_facts(subject, &expected);
    assert_eq!(subject["facts"]["state_age"]["unit"], "s");
    assert_eq!(fact(subject, "main_pid").to_string(), property(lab, "running", "MainPID"));
    assert_eq!(seen.evidence(), "", "a service that runs needs no explanation");
    assert_eq!(notes(subject), "[]");
    judge(lab, &json!({ "name": "running" }), "{ enabled: true }").exits(0);
}

#[test]
fn memory_is_told_where_systemd_accounts_for_it_and_nowhere_else() {
    let lab = shared();
    idle(lab, "remembering.service");
    systemctl(lab, &["start", "remembering"]);
    let accounted = property(lab, "remembering", "MemoryCurrent").parse::<u64>().is_ok();
    let subject = one(lab, "remembering");
    assert_eq!(fact(&subject, "memory").is_number(), accounted, "{subject:#}");
    systemctl(lab, &["stop", "remembering"]);
    assert_eq!(*fact(&one(lab, "remembering"), "memory"), Json::Null);
}

#[test]
fn the_memory_that_it_may_take_is_told_with_its_share() {
    let lab = shared();
    unit(lab, "limited.service", "[Service]\nExecStart=sleep infinity\nMemoryMax=64M\n");
    systemctl(lab, &["start", "limited"]);
    let subject = one(lab, "limited");
    assert_eq!(fact(&subject, "memory_limit").as_f64(), Some(67_108_864.0));
    let (memory, share) = (fact(&subject, "memory").as_f64(), fact(&subject, "memory_share").as_f64());
    assert_eq!(share, memory.map(|memory| memory / 67_108_864.0 * 100.0), "only where systemd accounts for it");
    idle(lab, "unlimited.service");
    assert_facts(&one(lab, "unlimited"), &json!({ "memory_limit": null, "memory_share": null }));
}

#[test]
fn a_stopped_service_fails_a_step_that_expects_anything_of_it() {
    let lab = shared();
    idle(lab, "stopped.service");
    systemctl(lab, &["enable", "--now", "stopped"]);
    systemctl(lab, &["stop", "stopped"]);
    assert_facts(&one(lab, "stopped"), &json!({ "active": false, "state": "inactive", "crash_loop": false }));
    let ran = judge(lab, &json!({ "name": "stopped" }), "{ enabled: true }");
    ran.exits(2).says("active false: inactive (dead) for").says("last log lines of stopped");
}

#[test]
fn a_service_with_a_bad_configuration_says_how_its_start_failed() {
    let lab = Lab::up(&[]);
    lab.run(["sh", "-c", "echo Nonsense >> /etc/apache2/apache2.conf"]).exits(0);
    lab.run(["systemctl", "start", "apache2"]).exits(1);
    let seen = look(&lab, &json!({ "name": "apache2" }));
    let expected = json!({
        "active": false, "state": "failed", "result": "exit-code", "exit": 1, "main_pid": null, "crash_loop": false,
    });
    assert_facts(&seen.subjects[0], &expected);
    assert!(notes(&seen.subjects[0]).contains("failed (exit-code, exit status 1) for"), "{}", notes(&seen.subjects[0]));
    assert!(seen.evidence().contains("Invalid command 'Nonsense'"), "{}", seen.evidence());
}

#[test]
fn a_signal_that_ended_a_service_is_named() {
    let lab = shared();
    idle(lab, "killed.service");
    systemctl(lab, &["start", "killed"]);
    systemctl(lab, &["kill", "--signal=SEGV", "killed"]);
    wait_for(lab, "killed", "ActiveState", "failed");
    let subject = one(lab, "killed");
    assert_eq!(*fact(&subject, "signal"), "SIGSEGV", "{subject:#}");
    assert_eq!(*fact(&subject, "exit"), Json::Null);
}

#[test]
fn why_a_server_ended_is_not_hidden_behind_the_workers_that_were_ended_with_it() {
    let lab = shared();
    let start = "sh -c 'for worker in $(seq 100); do sleep infinity & done; touch /run/forked; wait'";
    unit(lab, "forking.service", &format!("[Service]\nKillMode=mixed\nExecStart={start}\n"));
    systemctl(lab, &["start", "forking"]);
    wait_until("its workers", || lab.run(["test", "-e", "/run/forked"]).exit == 0);
    systemctl(lab, &["kill", "--kill-who=main", "--signal=KILL", "forking"]);
    wait_for(lab, "forking", "ActiveState", "failed");
    lab.run(["journalctl", "--sync"]).exits(0);
    let seen = look(lab, &json!({ "name": "forking" })).evidence();
    assert!(seen.contains("Main process exited, code=killed, status=9/KILL"), "{seen}");
    assert!(!seen.contains("Killing process"), "{seen}");
}

#[test]
fn a_job_that_never_ran_has_no_result() {
    let lab = shared();
    unit(lab, "job.service", "[Service]\nType=oneshot\nExecStart=true\n");
    let input = json!({ "name": "job" });
    assert_facts(&one(lab, "job"), &json!({ "active": false, "result": null, "state_age": null }));
    judge(lab, &input, "{ result: success }").exits(3);
    // Kept by a timer, systemd remembers a job that has ended.
    unit(lab, "job.timer", "[Timer]\nOnActiveSec=1d\n");
    systemctl(lab, &["start", "job.timer"]);
    systemctl(lab, &["start", "job"]);
    assert_facts(&one(lab, "job"), &json!({ "active": false, "result": "success", "exit": 0 }));
    judge(lab, &input, "{ result: success }").exits(0);
}

#[test]
fn enabled_disabled_and_what_cannot_be_enabled_are_told_apart() {
    let lab = shared();
    idle(lab, "disabled.service");
    systemctl(lab, &["start", "disabled"]);
    assert_facts(&one(lab, "disabled"), &json!({ "active": true, "enabled": false, "unit_file_state": "disabled" }));
    judge(lab, &json!({ "name": "disabled" }), "{ enabled: true }").exits(2).says("enabled false");
    assert_facts(&one(lab, "dbus"), &json!({ "active": true, "enabled": null, "unit_file_state": "static" }));
    judge(lab, &json!({ "name": "dbus" }), "{ active: true, enabled: true }").exits(0);
}

#[test]
fn a_masked_service_says_so() {
    let lab = shared();
    lab.write("/usr/lib/systemd/system/masked.service", "[Service]\nExecStart=sleep infinity\n");
    systemctl(lab, &["mask", "masked"]);
    let expected = json!({ "active": false, "masked": true, "enabled": false, "unit_file_state": "masked" });
    assert_facts(&one(lab, "masked"), &expected);
    judge(lab, &json!({ "name": "masked" }), "{ active: true }").exits(2).says("systemctl unmask masked.service");
    judge(lab, &json!({ "name": "masked" }), "{ masked: true }").exits(0);
}

#[test]
fn a_unit_under_another_name_says_whose_name_it_is() {
    let lab = shared();
    let file = "[Service]\nExecStart=sleep infinity\n[Install]\nAlias=nickname.service\nWantedBy=multi-user.target\n";
    unit(lab, "properly.service", file);
    systemctl(lab, &["enable", "--now", "properly"]);
    let subject = one(lab, "nickname");
    assert_facts(&subject, &json!({ "active": true, "enabled": true }));
    assert!(notes(&subject).contains("nickname.service is an alias of properly.service"), "{subject:#}");
}

#[test]
fn a_hundred_units_have_one_result_each_in_the_order_of_the_step() {
    let lab = shared();
    unit(lab, "many@.service", "[Service]\nExecStart=sleep infinity\n");
    let names: Vec<String> = (1..=100).rev().map(|number| format!("many@{number}")).collect();
    lab.run(["systemctl", "start"].into_iter().chain(names.iter().skip(1).map(String::as_str))).exits(0);
    let seen = look(lab, &json!({ "name": names }));
    let subjects: Vec<&str> = seen.subjects.iter().filter_map(|subject| subject["name"].as_str()).collect();
    assert_eq!(subjects, names);
    let active = seen.subjects.iter().filter(|subject| *fact(subject, "active") == true).count();
    assert_eq!((active, fact(&seen.subjects[0], "active")), (99, &json!(false)));
}
