use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use chrono::{TimeDelta, Utc};
use opsctl::model::fact::Subject;
use opsctl::model::unit::{Dimension, Quantity};
use opsctl::model::value::Value;
use serde_json::json;

use crate::support::case::Case;
use crate::support::lab::again_inside;
use crate::support::look::Look;

fn loopback() -> Look {
    Look::new("network", json!({ "interface": "lo", "interval": "200ms" }))
}

fn throughput(subject: &Subject, fact: &str) -> f64 {
    subject.facts[fact].number_in(Dimension::Throughput).expect("a throughput")
}

#[test]
fn traffic_over_the_interval_is_seen_in_both_directions() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut sender = TcpStream::connect(listener.local_addr().expect("its port")).expect("a connection");
    let (mut receiver, _) = listener.accept().expect("a connection");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let reading = std::thread::spawn(move || std::io::copy(&mut receiver, &mut std::io::sink()));
    let writing = std::thread::spawn(move || {
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            sender.write_all(&vec![7; 65536]).expect("a reader");
        }
    });
    let seen = loopback().subject();
    drop(stop);
    writing.join().expect("a writer");
    reading.join().expect("a reader").expect("all was read");
    // What loopback sends it receives.
    assert!(throughput(&seen, "rx_rate") > 65536.0, "{seen:?}");
    assert_eq!(throughput(&seen, "rx_rate"), throughput(&seen, "tx_rate"));
    assert!(seen.facts["rx_packets"].number_in(Dimension::Rate).is_some_and(|rate| rate > 0.0), "{seen:?}");
    assert_eq!(seen.facts["up"], Value::Bool(true));
    assert!(seen.inapplicable.contains(&"share".to_owned()), "loopback has no speed: {seen:?}");
}

#[test]
fn errors_are_told_since_the_newest_earlier_run() {
    let first = loopback().subject();
    let errors = first.facts["errors"].history_number().expect("a count");
    assert!(!first.facts.contains_key("recent_errors"), "there is no earlier run: {first:?}");

    let moment_ago = Utc::now() - TimeDelta::milliseconds(10);
    let again = loopback().before(moment_ago, &[("lo", "errors", errors), ("eth9", "drops", errors)]).subject();
    assert_eq!(again.facts["recent_errors"], Value::count(0));
    assert!(!again.facts.contains_key("recent_drops"), "nothing is known of its drops: {again:?}");

    let before_the_start = Utc::now() - TimeDelta::days(20_000);
    let many = Quantity::count(1e9);
    let after_a_restart = loopback().before(before_the_start, &[("lo", "errors", many)]).subject();
    assert_eq!(after_a_restart.facts["recent_errors"], after_a_restart.facts["errors"]);
}

#[test]
fn an_interface_that_is_not_there_is_an_error_that_names_the_others() {
    let look = Look::new("network", json!({ "interface": ["lo", "eth99"], "interval": "100ms" }));
    let seen = look.run().expect("a look");
    assert_eq!(seen.subjects[0].error, None);
    let error = seen.subjects[1].error.as_deref().expect("an error");
    assert!(error.starts_with("there is no such interface; there are: ") && error.contains("lo"), "{error}");
}

fn ip(args: &str) {
    let done = Command::new("ip").args(args.split(' ')).output().expect("ip of iproute2 starts");
    assert!(done.status.success(), "ip {args}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_machine_without_a_network_is_down_and_nothing_else_is_expected_of_it() {
    again_inside(&[], || {
        let seen = Look::new("network", json!({ "interval": "100ms" })).subject();
        assert_eq!((seen.name.as_str(), &seen.facts["up"]), ("network", &Value::Bool(false)));
        assert!(seen.inapplicable.contains(&"recent_errors".to_owned()), "{seen:?}");
    });
}

#[test]
fn a_pulled_cable_is_seen_and_interfaces_of_containers_are_left_out() {
    again_inside(&[], || {
        ip("link add name eth0 type veth peer name veth0");
        ip("link set dev eth0 up");
        let look = || Look::new("network", json!({ "interval": "100ms" })).subject();
        let pulled = look();
        assert_eq!((pulled.name.as_str(), &pulled.facts["up"]), ("eth0", &Value::Bool(false)), "{pulled:?}");
        ip("link set dev veth0 up");
        let plugged = look();
        assert_eq!((plugged.name.as_str(), &plugged.facts["up"]), ("eth0", &Value::Bool(true)), "{plugged:?}");
        let changes = |seen: &Subject| seen.facts["link_changes"].history_number().expect("a count").amount();
        assert!(changes(&plugged) > changes(&pulled), "{plugged:?}");
    });
}

#[test]
fn in_a_first_run_nothing_is_expected_of_what_happened_since_an_earlier_one() {
    let step = "title: Network\nsteps:\n  - id: network\n    probe: { network: { interface: lo, interval: 100ms } }\n";
    let case = Case::new("recent").site("");
    let case = case.procedure("daily/network.yaml", &format!("{step}    expect: {{ recent_errors: 0 }}\n"));
    let first = case.run(["daily", "network"]).exits(0);
    first.says("SKIP  network").says("no earlier run to compare with yet");
    case.run(["daily", "network"]).exits(0).says("PASS  network");
}
