//! The pack `host` on machines of several kinds: whatever it looks at it can tell of, and what is not there is left out.

use std::collections::BTreeMap;

use crate::support::case::{Case, Ran};
use crate::support::lab::Lab;

const SITE: &str = "site: test\ntimezone: UTC\npacks: [host]\n";

/// The outcome of each step.
fn outcomes(ran: &Ran) -> BTreeMap<String, String> {
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let steps = ran.json()["procedures"][0]["steps"].as_array().expect("steps").clone();
    steps.iter().map(|step| (text(&step["id"]), text(&step["outcome"]))).collect()
}

fn check(case: &Case) -> BTreeMap<String, String> {
    outcomes(&case.run(["daily", "check", "--format", "json"]))
}

/// None could not look, and these did not apply.
#[track_caller]
fn assert_left_out(seen: &BTreeMap<String, String>, expected: &[&str]) {
    let with = |outcome: &str| -> Vec<&str> {
        seen.iter().filter(|(_, had)| *had == outcome).map(|(step, _)| step.as_str()).collect()
    };
    assert_eq!(with("errored"), Vec::<&str>::new(), "{seen:?}");
    let logs = ["system-log"];
    let skipped: Vec<&str> = with("skipped").into_iter().filter(|step| !logs.contains(step)).collect();
    assert_eq!(skipped, expected, "{seen:?}");
}

#[test]
fn a_machine_without_systemd_and_without_a_time_service_is_checked_and_growth_from_the_second_run_on() {
    let case = Case::new("host").file("opsctl.yaml", format!("{SITE}journal: ./journal.db\n"));
    assert_left_out(&check(&case), &["clock", "memory-kills", "network", "units"]);
    assert_left_out(&check(&case), &["clock", "memory-kills", "units"]);
}

#[test]
fn a_user_without_rights_is_told_what_he_may_see_and_of_nothing_else() {
    let case = Case::new("host").file("opsctl.yaml", SITE).by_nobody();
    assert_left_out(&check(&case), &["clock", "kernel", "memory-kills", "network", "units"]);
}

#[test]
fn a_machine_with_systemd_has_its_units_checked() {
    let lab = Lab::up(&["dbus.service"]);
    let case = Case::inside(&lab, "host").file("opsctl.yaml", format!("{SITE}journal: ./journal.db\n"));
    let seen = check(&case);
    // It has neither a network nor `/dev/kmsg`, as containers.
    assert_left_out(&seen, &["kernel", "memory-kills", "network"]);
    assert_eq!(seen["units"], "passed");
    lab.write("/etc/systemd/system/broken.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n");
    lab.run(["systemctl", "daemon-reload"]).exits(0);
    lab.run(["systemctl", "start", "broken"]).exits(1);
    assert_eq!(check(&case)["units"], "warned");
}
