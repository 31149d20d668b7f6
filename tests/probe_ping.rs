//! The ping probe on loopback, and in networks of its own where packets get lost.

use std::net::TcpListener;
use std::time::Duration;

use opsctl::model::fact::Subject;
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::support::again::again_under;
use crate::support::look::Look;
use crate::support::server::free_port;

/// Loopback only, and everybody may ping.
const OPEN: &str = "ip link set lo up; echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range; \"$@\"";
/// The same, but no host answers pings.
const DEAF: &str = "ip link set lo up; echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all; \"$@\"";
const NOBODY: &str = "ip link set lo up; echo 1 0 >/proc/sys/net/ipv4/ping_group_range; \
                      exec setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all \"$@\"";
/// As a user without rights who may ping all the same.
const ALLOWED: &str = "ip link set lo up; echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range; \
                       exec setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all \"$@\"";

fn in_network<F: FnOnce()>(script: &str, body: F) {
    again_under(&["unshare", "--net", "sh", "-c", script, "sh"], body);
}

fn ping(host: &str, more: &Json) -> Look {
    let mut inputs = json!({ "host": host, "count": 3, "interval": "10ms" });
    for (name, value) in more.as_object().expect("a mapping") {
        inputs[name] = value.clone();
    }
    Look::new("ping", inputs)
}

#[track_caller]
fn text(subject: &Subject, name: &str) -> String {
    subject.facts.get(name).unwrap_or_else(|| panic!("no `{name}` in {subject:?}")).to_string()
}

/// Every request was answered, and the times fit together.
#[track_caller]
fn complete(subject: &Subject, method: &str) {
    assert_eq!(text(subject, "answers"), "true", "{subject:?}");
    assert_eq!((text(subject, "sent"), text(subject, "received")), ("3".into(), "3".into()), "{subject:?}");
    assert_eq!((subject.facts["loss"].clone(), text(subject, "method")), (Value::percent(0.0), method.to_owned()));
    let seconds = |name: &str| subject.facts[name].number_in(Dimension::Time).expect("a duration");
    assert!(seconds("latency") > 0.0 && seconds("latency") <= seconds("latency_max"), "{subject:?}");
    assert!(seconds("jitter") >= 0.0, "{subject:?}");
}

/// Nothing came back, and no time is reported that looks like a fast answer.
#[track_caller]
fn lost(subject: &Subject) {
    assert_eq!((text(subject, "answers"), text(subject, "received")), ("false".into(), "0".into()), "{subject:?}");
    assert_eq!(subject.facts["loss"], Value::percent(100.0));
    for missing in ["latency", "latency_max", "jitter"] {
        assert!(!subject.facts.contains_key(missing), "{missing} in {subject:?}");
    }
}

#[test]
fn a_host_answers_over_icmp_of_both_families() {
    for host in ["127.0.0.1", "::1"] {
        let seen = ping(host, &json!({})).subject();
        complete(&seen, "icmp");
        assert_eq!((seen.name.as_str(), text(&seen, "address")), (host, host.to_owned()));
        assert!(seen.notes.is_empty() && !seen.facts.contains_key("resolve"), "{seen:?}");
    }
}

#[test]
fn several_looks_at_the_same_time_hear_only_their_own_replies() {
    let hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "::1"];
    let seen = Look::new("ping", json!({ "host": hosts, "count": 3, "interval": "10ms" })).run().expect("a look");
    assert_eq!(seen.subjects.len(), 4);
    seen.subjects.iter().for_each(|subject| complete(subject, "icmp"));
}

#[test]
fn a_user_without_rights_may_ping_where_the_kernel_lets_him() {
    in_network(ALLOWED, || {
        for host in ["127.0.0.1", "::1"] {
            complete(&ping(host, &json!({ "method": "icmp" })).subject(), "icmp");
        }
    });
}

#[test]
fn where_ping_is_not_allowed_connections_are_timed_and_that_is_said() {
    in_network(NOBODY, || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let seen = ping("127.0.0.1", &json!({ "port": port })).subject();
        complete(&seen, "tcp");
        assert_eq!(seen.notes, [format!("the kernel allows no ping here, so connections to port {port} were timed")]);
        let error = ping("127.0.0.1", &json!({ "method": "icmp" })).run().expect_err("an error");
        assert_eq!(error.code, "permission");
        assert!(error.help.is_some_and(|help| help.contains("ping_group_range")));
    });
}

#[test]
fn a_closed_port_is_an_answer_of_the_host() {
    let port = free_port();
    let seen = ping("127.0.0.1", &json!({ "method": "tcp", "port": port })).subject();
    complete(&seen, "tcp");
    assert_eq!(
        seen.notes,
        [format!("port {port} is closed, but the host refuses connections itself, and so it is there")]
    );
}

#[test]
fn what_is_lost_is_never_a_latency() {
    in_network(DEAF, || lost(&ping("127.0.0.1", &json!({})).subject()));
}

#[test]
fn a_host_to_which_there_is_no_way_does_not_answer_and_the_cause_is_said() {
    in_network(OPEN, || {
        let seen = ping("192.0.2.1", &json!({})).subject();
        assert_eq!(text(&seen, "answers"), "false");
        assert_eq!(seen.notes, ["192.0.2.1 cannot be reached: Network is unreachable"]);
        let seen = ping("192.0.2.1", &json!({ "method": "tcp" })).subject();
        lost(&seen);
        assert_eq!(seen.notes, ["cannot connect to 192.0.2.1:443: Network is unreachable"]);
    });
}

#[test]
fn a_name_is_looked_up_and_one_that_is_unknown_is_said() {
    let seen = ping("localhost", &json!({ "address": "4" })).subject();
    complete(&seen, "icmp");
    assert!(seen.facts.contains_key("resolve") && seen.name == "localhost over IPv4", "{seen:?}");
    let seen = ping("no-such-host.invalid", &json!({})).subject();
    assert_eq!(text(&seen, "answers"), "false");
    assert!(seen.notes[0].starts_with("unknown host no-such-host.invalid: "), "{seen:?}");
}

#[test]
fn a_look_that_would_take_too_long_says_how_far_it_came() {
    let look = ping("127.0.0.1", &json!({ "count": 1000, "interval": "100ms" })).limit(Duration::from_secs(1));
    let seen = look.subject();
    assert_eq!(text(&seen, "answers"), "true");
    assert!(seen.notes.iter().any(|note| note.starts_with("the time limit ended it after ")), "{seen:?}");
    let look = ping("127.0.0.1", &json!({ "count": 1000, "interval": "100ms", "method": "tcp", "port": free_port() }));
    let seen = look.limit(Duration::from_secs(1)).subject();
    assert_eq!(text(&seen, "answers"), "true");
    assert!(seen.notes.iter().any(|note| note.starts_with("the time limit ended it after ")), "{seen:?}");
}

#[test]
fn what_cannot_be_right_is_refused() {
    for (inputs, input, message) in [
        (json!({ "host": "" }), "host", "`` is not a host"),
        (json!({ "host": "example.com:22" }), "host", "example.com:22 has a port, and a host is asked"),
        (json!({ "host": ["a", "a"] }), "host", "a:443 is named twice"),
        (json!({ "host": "::1", "address": "4" }), "address", "::1 is one address and no host with several"),
        (json!({ "host": "a", "interval": "1ms" }), "interval", "an interval of 1 ms is too short"),
    ] {
        let error = Look::new("ping", inputs).build().err().expect("an error");
        assert_eq!((error.input, error.message.as_str()), (input, message));
    }
}
