use std::fs;
use std::process::Command;

use chrono::{TimeDelta, Utc};
use opsctl::model::unit::{Dimension, Quantity};
use opsctl::model::value::Value;
use serde_json::json;

use crate::support::again::again_under;
use crate::support::case::Case;
use crate::support::lab::again_inside;
use crate::support::look::Look;
use crate::support::server::{stand_in, start, wait_until};

fn look() -> Look {
    Look::new("reboot", json!({}))
}

#[test]
fn kernel_and_uptime_are_those_of_the_system() {
    let seen = look().subject();
    let release = Command::new("uname").arg("-r").output().expect("uname");
    assert_eq!(seen.facts["kernel"].to_string(), String::from_utf8_lossy(&release.stdout).trim());
    let text = fs::read_to_string("/proc/uptime").expect("uptime");
    let now: f64 = text.split(' ').next().and_then(|seconds| seconds.parse().ok()).expect("seconds");
    let seen = seen.facts["uptime"].number_in(Dimension::Time).expect("a duration");
    assert!(0.0 < seen && seen <= now, "{seen} and {now}");
}

#[test]
fn a_machine_that_was_started_since_the_newest_earlier_run_was_rebooted() {
    assert!(look().subject().inapplicable.contains(&"rebooted".to_owned()), "nobody knows in the first run");
    let uptime = [("reboot", "uptime", Quantity::seconds(5.0))];
    let rebooted = |at| look().before(at, &uptime).subject().facts["rebooted"].clone();
    assert_eq!(rebooted(Utc::now() - TimeDelta::days(20_000)), Value::Bool(true));
    assert_eq!(rebooted(Utc::now() - TimeDelta::seconds(1)), Value::Bool(false));
}

#[test]
fn what_packages_and_kernels_ask_for_is_told_with_the_reason() {
    again_inside(&[], || {
        let before = look().subject();
        assert_eq!(before.facts["pending"], Value::Bool(false), "{before:?}");
        assert!(!before.facts.contains_key("reason"), "{before:?}");
        fs::write("/run/reboot-required", "*** System restart required ***\n").expect("a file");
        fs::write("/run/reboot-required.pkgs", "libc6\nlibc6\n").expect("a file");
        let running = before.facts["kernel"].to_string();
        let flavour = running.split('-').find(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()));
        let newest = format!("999.0.0-1-{}", flavour.unwrap_or("amd64"));
        fs::create_dir_all("/boot").expect("a folder");
        fs::write(format!("/boot/vmlinuz-{newest}"), "").expect("a kernel");
        let after = look().subject();
        assert_eq!(
            (&after.facts["pending"], &after.facts["newest_kernel"]),
            (&Value::Bool(true), &Value::text(&newest))
        );
        let reason = format!("/run/reboot-required is there, for libc6; kernel {newest} is installed, {running} runs");
        assert_eq!(after.facts["reason"], Value::text(reason));
    });
}

#[test]
fn a_process_whose_program_was_replaced_is_counted_and_named() {
    again_inside(&[], || {
        fs::create_dir_all("/opt/shop").expect("a folder");
        fs::copy("/bin/sleep", "/opt/shop/worker").expect("a program");
        let pid = start(["/opt/shop/worker", "1000"].map(Into::into).into());
        let maps = format!("/proc/{pid}/maps");
        wait_until("the worker", || fs::read_to_string(&maps).is_ok_and(|maps| maps.contains("/opt/shop/worker")));
        assert_eq!(look().subject().facts["outdated_processes"], Value::count(0));
        fs::remove_file("/opt/shop/worker").expect("an update");
        let seen = look().run().expect("a look");
        assert_eq!(seen.subjects[0].facts["outdated_processes"], Value::count(1));
        assert_eq!(seen.evidence[0].lines, [format!("{pid:>7}  worker  /opt/shop/worker")]);
    });
}

#[test]
fn what_may_not_be_seen_of_other_processes_is_said() {
    let steps = "title: Reboot\nsteps:\n\
                 - { id: reboot, title: Reboot, probe: { reboot: {} }, expect: { outdated_processes: at least 0 } }\n";
    let case = Case::new("reboot").site("").procedure("daily/reboot.yaml", steps).by_nobody();
    case.run(["daily", "reboot", "--format", "json"]).says("processes may be seen by root only");
}

#[test]
fn dnf_says_that_a_reboot_is_needed_with_a_stand_in_for_needs_restarting() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = "#!/bin/sh\n[ \"$*\" = -r ] || exit 2\n\
                  echo 'Core libraries or services have been updated since boot-up:'\n\
                  echo '  * kernel'\necho '  * openssl-libs'\nexit 1\n";
    let path = stand_in(folder.path(), "needs-restarting", script);
    again_under(&["env", &path], || {
        let seen = look().subject();
        assert_eq!(seen.facts["pending"], Value::Bool(true));
        let reason = seen.facts["reason"].to_string();
        assert!(reason.ends_with("`needs-restarting -r` says so: kernel, openssl-libs"), "{reason}");
    });
}

#[test]
fn dnf_that_cannot_tell_is_noted_with_a_stand_in_for_needs_restarting() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = "#!/bin/sh\necho 'Error: cannot open the database' >&2\nexit 3\n";
    let path = stand_in(folder.path(), "needs-restarting", script);
    again_under(&["env", &path], || {
        let seen = look().subject();
        let note = "`needs-restarting -r` cannot tell: Error: cannot open the database".to_owned();
        assert!(seen.notes.contains(&note), "{seen:?}");
    });
}
