use std::process::Command;

use opsctl::model::fact::Observation;
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::json;

use crate::support::look::Look;
use crate::support::server;

fn percent(seen: &Observation, fact: &str) -> f64 {
    seen.subjects[0].facts[fact].number_in(Dimension::Percent).expect("a percentage")
}

#[test]
fn shares_make_a_whole_and_the_cores_are_those_of_the_system() {
    let seen = Look::new("cpu", json!({ "interval": "200ms" })).run().expect("a look");
    let parts: f64 = ["user", "system", "irq", "steal"].map(|fact| percent(&seen, fact)).iter().sum();
    assert!((parts - percent(&seen, "busy")).abs() < 1e-9, "{seen:?}");
    assert!(parts + percent(&seen, "iowait") <= 100.0 + 1e-9, "{seen:?}");
    assert!(percent(&seen, "busiest_core") >= 0.0);
    let online = Command::new("getconf").arg("_NPROCESSORS_ONLN").output().expect("getconf");
    let online: u64 = String::from_utf8_lossy(&online.stdout).trim().parse().expect("a number");
    assert_eq!(seen.subjects[0].facts["cores"], Value::count(online));
}

#[test]
fn a_process_that_keeps_a_core_busy_is_named_in_the_evidence() {
    // Ahead of all others, so that it is among the first whatever else runs here.
    let pid = server::start(["chrt", "--fifo", "1", "sh", "-c", "while :; do :; done"].map(Into::into).into());
    let seen = Look::new("cpu", json!({ "interval": "500ms" })).run().expect("a look");
    Command::new("kill").args(["-KILL", &pid.to_string()]).status().expect("kill");
    let lines = &seen.evidence[0].lines;
    assert!(lines.iter().any(|line| line.contains(&format!(" {pid}  sh"))), "{pid} in {lines:?}");
    assert!(percent(&seen, "busy") > 0.0 && percent(&seen, "busiest_core") >= percent(&seen, "busy"), "{seen:?}");
}

#[test]
fn an_interval_that_cannot_end_in_time_or_is_too_short_is_refused() {
    let look = Look::new("cpu", json!({ "interval": "1m" }));
    let error = look.run().expect_err("no look");
    assert_eq!(error.code, "time_limit");
    assert!(error.message.contains("60 s") && error.message.contains("20 s"), "{error:?}");
    let error = Look::new("cpu", json!({ "interval": "10ms" })).build().err().expect("no probe");
    assert_eq!((error.input, error.message.as_str()), ("interval", "nothing can be measured over 10 ms"));
}
