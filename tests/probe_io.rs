use std::process::Command;

use opsctl::model::fact::{Observation, Subject};
use opsctl::model::unit::Dimension;
use serde_json::json;

use crate::support::look::Look;
use crate::support::server;

fn number(subject: &Subject, fact: &str, dimension: Dimension) -> f64 {
    subject.facts.get(fact).and_then(|value| value.number_in(dimension)).unwrap_or(0.0)
}

/// A look while something writes to a disk and waits for it each time.
fn while_writing(device: serde_json::Value) -> Observation {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let script =
        format!("while :; do dd if=/dev/zero of={}/x bs=64k count=1 conv=fsync; done", folder.path().display());
    let writer = server::start(["bash", "-c", &script].map(Into::into).into());
    let seen = Look::new("io", device).run().expect("a look");
    Command::new("kill").args(["-KILL", &writer.to_string()]).status().expect("kill");
    seen
}

#[test]
fn what_is_written_to_a_disk_is_seen_with_its_latency() {
    let seen = while_writing(json!({ "interval": "1s" }));
    let busiest = seen.subjects.iter().max_by(|one, other| {
        let rate = |subject| number(subject, "writes", Dimension::Rate);
        rate(one).total_cmp(&rate(other))
    });
    let busiest = busiest.expect("a disk");
    assert!(number(busiest, "writes", Dimension::Rate) > 0.0, "{seen:?}");
    assert!(number(busiest, "write_rate", Dimension::Throughput) > 0.0, "{seen:?}");
    assert!(number(busiest, "write_latency", Dimension::Time) > 0.0, "{seen:?}");
    assert!((0.0..=100.0).contains(&number(busiest, "busy", Dimension::Percent)), "{seen:?}");
}

#[test]
fn every_real_disk_is_looked_at_and_loop_and_memory_devices_are_not() {
    let seen = Look::new("io", json!({ "interval": "100ms" })).run().expect("a look");
    let names: Vec<&str> = seen.subjects.iter().map(|subject| subject.name.as_str()).collect();
    assert!(!names.is_empty() && names.iter().all(|name| !name.starts_with("loop") && !name.starts_with("zram")));
    let by_path = format!("/dev/{}", names[0]);
    let seen = Look::new("io", json!({ "interval": "100ms", "device": by_path })).subject();
    assert_eq!(seen.name, by_path);
    assert!(seen.facts.contains_key("busy"), "{seen:?}");
}

#[test]
fn a_device_that_is_not_there_is_an_error_that_names_the_others() {
    let seen = Look::new("io", json!({ "interval": "100ms", "device": "sdzz" })).subject();
    let error = seen.error.expect("an error");
    assert!(error.starts_with("there is no such block device; there are: "), "{error}");
}
