//! Health of disks: the real smartctl, which finds none in a virtual machine, and answers of disks as it prints them.

use opsctl::model::fact::{Observation, Subject};
use opsctl::model::value::Value;
use opsctl::probe::ProbeError;
use serde_json::json;

use crate::support::again::again_under;
use crate::support::look::Look;
use crate::support::server::{program, stand_in};

fn look(device: &str) -> Observation {
    Look::new("smart", json!({ "device": device })).run().expect("a look")
}

#[test]
fn a_device_that_smartctl_cannot_ask_is_an_error_in_its_words() {
    program("smartctl");
    let seen = look("/dev/no-such-disk");
    let error = seen.subjects[0].error.as_deref().expect("an error");
    assert!(error.starts_with("smartctl cannot ask it: /dev/no-such-disk: "), "{error}");
}

/// A smartctl that prints `answer` and ends with `status`, whatever it is asked; a scan finds two disks.
fn smartctl(folder: &std::path::Path, answer: &str, status: u8) -> String {
    let scan = r#"{"devices":[{"name":"/dev/sda","type":"scsi"},{"name":"/dev/bus/0","type":"megaraid,0"}]}"#;
    let script =
        format!("#!/bin/sh\ncase \"$*\" in *--scan*) echo '{scan}'; exit 0;; esac\necho '{answer}'\nexit {status}\n");
    stand_in(folder, "smartctl", &script)
}

fn fact(subject: &Subject, name: &str) -> String {
    subject.facts.get(name).map_or_else(|| "missing".to_owned(), ToString::to_string)
}

/// A failing ATA disk, shortened from what smartctl 7.3 prints.
const ATA: &str = r#"{
  "smartctl": { "exit_status": 216 },
  "device": { "name": "/dev/sda", "type": "sat", "protocol": "ATA" },
  "model_name": "WDC WD40EFRX-68WT0N0", "serial_number": "WD-WCC4E0000001",
  "smart_support": { "available": true, "enabled": true },
  "smart_status": { "passed": false },
  "ata_smart_attributes": { "table": [
    { "id": 5, "name": "Reallocated_Sector_Ct", "value": 130, "worst": 130, "thresh": 140, "when_failed": "now",
      "raw": { "value": 1987, "string": "1987" } },
    { "id": 194, "name": "Temperature_Celsius", "value": 113, "thresh": 0, "when_failed": "",
      "raw": { "value": 34, "string": "34" } },
    { "id": 197, "name": "Current_Pending_Sector", "value": 200, "thresh": 0, "when_failed": "",
      "raw": { "value": 12, "string": "12" } } ] },
  "power_on_time": { "hours": 48120 }, "temperature": { "current": 34 } }"#;

/// A worn disk of flash memory.
const NVME: &str = r#"{
  "smartctl": { "exit_status": 8 },
  "device": { "name": "/dev/nvme0", "type": "nvme", "protocol": "NVMe" },
  "model_name": "SAMSUNG MZVLB512", "serial_number": "S4EVNX0M000001",
  "smart_support": { "available": true, "enabled": true },
  "smart_status": { "passed": false, "nvme": { "value": 4 } },
  "nvme_smart_health_information_log": { "critical_warning": 4, "temperature": 41, "available_spare": 97,
    "available_spare_threshold": 10, "percentage_used": 103, "media_errors": 2, "num_err_log_entries": 7 },
  "power_on_time": { "hours": 21000 }, "temperature": { "current": 41 } }"#;

const FACTS: [&str; 6] = ["passed", "failing", "prefail", "was_prefail", "error_log", "self_test_failed"];

#[test]
fn each_bit_of_the_exit_status_is_a_fact_with_a_stand_in_for_smartctl() {
    let folder = tempfile::tempdir().expect("a folder");
    // Failing, a value beyond its limit now, errors recorded, a self-test failed.
    again_under(&["env", &smartctl(folder.path(), ATA, 8 + 16 + 64 + 128)], || {
        let seen = look("/dev/sda");
        let disk = &seen.subjects[0];
        assert_eq!(disk.error, None);
        assert_eq!(FACTS.map(|name| fact(disk, name)), ["false", "true", "true", "false", "true", "true"]);
        let numbers = ["temperature", "power_on", "reallocated", "pending_sectors", "percentage_used"];
        assert_eq!(numbers.map(|name| fact(disk, name)), ["34", "2005 d", "1987", "12", "missing"]);
        assert!(disk.inapplicable.contains(&"percentage_used".to_owned()), "{disk:?}");
        assert_eq!(
            seen.evidence[0].lines,
            [
                "the disk says that it is failing",
                "a value that announces a failure is beyond its limit",
                "the disk has recorded errors",
                "a self-test found errors",
                "Reallocated_Sector_Ct 130, limit 140, raw 1987: failed now"
            ]
        );
    });
}

#[test]
fn a_worn_nvme_disk_tells_what_is_left_of_its_life_with_a_stand_in_for_smartctl() {
    let folder = tempfile::tempdir().expect("a folder");
    again_under(&["env", &smartctl(folder.path(), NVME, 8)], || {
        let seen = look("/dev/nvme0");
        let disk = &seen.subjects[0];
        let numbers = ["percentage_used", "available_spare", "media_errors", "reallocated"];
        assert_eq!(numbers.map(|name| fact(disk, name)), ["103 %", "97 %", "2", "missing"]);
        assert!(disk.inapplicable.contains(&"reallocated".to_owned()), "{disk:?}");
        assert!(seen.evidence[0].lines.contains(&"it is not reliable any more".to_owned()), "{seen:?}");
    });
}

#[test]
fn every_disk_of_the_scan_is_asked_with_a_stand_in_for_smartctl() {
    let folder = tempfile::tempdir().expect("a folder");
    let sound = ATA.replace("\"passed\": false", "\"passed\": true");
    again_under(&["env", &smartctl(folder.path(), &sound, 0)], || {
        let seen = Look::new("smart", json!({})).run().expect("a look");
        let names: Vec<&str> = seen.subjects.iter().map(|disk| disk.name.as_str()).collect();
        assert_eq!(names, ["/dev/sda", "/dev/bus/0 (megaraid,0)"]);
        assert!(seen.subjects.iter().all(|disk| disk.facts["passed"] == Value::Bool(true)), "{seen:?}");
    });
}

#[test]
fn a_disk_that_may_not_be_opened_is_not_taken_for_sound_with_a_stand_in_for_smartctl() {
    let folder = tempfile::tempdir().expect("a folder");
    let denied = r#"{"smartctl": { "exit_status": 2, "messages": [
        { "string": "Smartctl open device: /dev/sda failed: Permission denied", "severity": "error" } ] } }"#;
    again_under(&["env", &smartctl(folder.path(), denied, 2)], || {
        let error = look("/dev/sda").subjects.remove(0).error.expect("an error");
        let expected =
            "smartctl cannot ask it: Smartctl open device: /dev/sda failed: Permission denied; run opsctl as root";
        assert_eq!(error, expected);
    });
}

fn without_smartctl() -> ProbeError {
    Look::new("smart", json!({})).run().expect_err("no look")
}

#[test]
fn without_smartctl_the_package_is_named() {
    let nothing = tempfile::tempdir().expect("a folder");
    again_under(&["env", &format!("PATH={}", nothing.path().display())], || {
        let error = without_smartctl();
        assert_eq!((error.code, error.help.as_deref()), ("no_such_tool", Some("install the package smartmontools")));
    });
}
