//! The dns probe against name servers (NSD), and against what only looks like one.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use opsctl::model::fact::Subject;
use opsctl::model::outcome::Outcome;
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::json;

use crate::engine::Run;
use crate::support::again::again_under;
use crate::support::look::Look;
use crate::support::nameserver::NameServer;
use crate::support::server::free_port;

const SHORT: Duration = Duration::from_secs(2);

fn dns(name: &str, kind: Option<&str>, server: &NameServer) -> Look {
    let mut inputs = json!({ "name": name, "resolver": server.place() });
    if let Some(kind) = kind {
        inputs["type"] = json!(kind);
    }
    Look::new("dns", inputs)
}

#[track_caller]
fn text(subject: &Subject, name: &str) -> String {
    subject.facts.get(name).unwrap_or_else(|| panic!("no `{name}` in {subject:?}")).to_string()
}

fn has(subject: &Subject, name: &str) -> bool {
    subject.facts.contains_key(name)
}

/// A name server that does `answer` with each question, and says nothing where that is nothing.
fn stand_in(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut question = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            for packet in answer(&question[..length]) {
                socket.send_to(&packet, from).ok();
            }
        }
    });
    address
}

#[test]
fn without_a_type_the_addresses_of_both_families_are_one_result() {
    let server = NameServer::start(7);
    let seen = dns("www.example.test", None, &server).subject();
    assert_eq!(seen.name, "www.example.test");
    let names: Vec<&str> = seen.facts.keys().map(String::as_str).collect();
    let wanted = [
        "answers",
        "resolves",
        "rcode",
        "records",
        "count",
        "ttl",
        "authoritative",
        "authenticated",
        "latency",
        "resolver",
    ];
    assert_eq!(names, wanted);
    assert_eq!(text(&seen, "records"), "192.0.2.10, 192.0.2.11, 2001:db8::10");
    assert_eq!(
        (text(&seen, "answers"), text(&seen, "rcode"), text(&seen, "count")),
        ("true".into(), "NOERROR".into(), "3".into())
    );
    assert_eq!(seen.facts["ttl"], Value::duration(Duration::from_mins(5)));
    assert_eq!((text(&seen, "authoritative"), text(&seen, "authenticated")), ("true".into(), "false".into()));
    assert_eq!(text(&seen, "resolver"), server.place());
    assert!(seen.facts["latency"].number_in(Dimension::Time).is_some_and(|latency| latency > 0.0));
    assert!(seen.notes.is_empty(), "{seen:?}");
}

#[test]
fn a_name_with_addresses_of_one_family_resolves() {
    let server = NameServer::start(7);
    let seen = dns("only4.example.test", None, &server).subject();
    assert_eq!((text(&seen, "resolves"), text(&seen, "records")), ("true".into(), "192.0.2.44".into()));
}

#[test]
fn records_of_each_type_read_as_people_write_them() {
    let server = NameServer::start(7);
    for (name, kind, wanted) in [
        ("www.example.test", "AAAA", "2001:db8::10"),
        ("example.test", "MX", "10 mail.example.test, 20 mail2.example.test"),
        ("example.test", "NS", "ns1.example.test"),
        ("example.test", "TXT", "v=spf1 -all and more"),
        ("example.test", "CAA", "0 issue \"ca.example\""),
        ("example.test", "SOA", "ns1.example.test hostmaster.example.test 7 3600 600 86400 60"),
        ("_sip._tcp.example.test", "SRV", "1 2 5060 www.example.test"),
        ("alias.example.test", "CNAME", "www.example.test"),
        ("192.0.2.10", "PTR", "www.example.test"),
        ("10.2.0.192.in-addr.arpa", "ptr", "www.example.test"),
    ] {
        let seen = dns(name, Some(kind), &server).subject();
        assert_eq!(text(&seen, "records"), wanted, "{name} {kind}");
        assert_eq!(seen.name, format!("{name} {}", kind.to_uppercase()));
    }
}

#[test]
fn an_alias_leads_to_the_records_and_its_time_to_live_counts() {
    let server = NameServer::start(7);
    let seen = dns("alias.example.test", Some("A"), &server).subject();
    assert_eq!(text(&seen, "records"), "192.0.2.10, 192.0.2.11");
    assert_eq!(text(&seen, "canonical_name"), "www.example.test");
    assert_eq!(seen.facts["ttl"], Value::duration(Duration::from_mins(1)));
}

#[test]
fn that_there_is_no_such_name_is_an_answer() {
    let server = NameServer::start(7);
    let seen = dns("none.example.test", None, &server).subject();
    assert_eq!((text(&seen, "answers"), text(&seen, "resolves")), ("true".into(), "false".into()));
    assert_eq!((text(&seen, "rcode"), text(&seen, "count")), ("NXDOMAIN".into(), "0".into()));
    assert!(!has(&seen, "records") && !has(&seen, "ttl"), "{seen:?}");
    assert_eq!(seen.notes, ["there is no such name"]);
}

#[test]
fn a_name_without_records_of_the_type_exists() {
    let server = NameServer::start(7);
    let seen = dns("www.example.test", Some("MX"), &server).subject();
    assert_eq!((text(&seen, "rcode"), text(&seen, "count")), ("NOERROR".into(), "0".into()));
    assert_eq!(seen.notes, ["the name exists, but has no such record"]);
}

#[test]
fn a_resolver_that_cannot_or_will_not_find_out_has_not_seen_that_there_is_none() {
    let server = NameServer::start(7);
    for (name, rcode, why) in [
        ("broken.test", "SERVFAIL", "the resolver could not find out (SERVFAIL)"),
        ("elsewhere.test", "REFUSED", "the resolver refuses to answer this"),
    ] {
        let seen = dns(name, None, &server).subject();
        assert_eq!((text(&seen, "answers"), text(&seen, "resolves")), ("true".into(), "false".into()));
        assert_eq!(text(&seen, "rcode"), rcode);
        assert!(!has(&seen, "count") && !has(&seen, "records"), "{seen:?}");
        assert!(seen.notes[0].starts_with(why), "{seen:?}");
    }
}

#[test]
fn an_answer_that_is_too_long_for_a_datagram_is_asked_for_over_tcp() {
    let many = (1..=200).map(|number| format!("many A 198.51.100.{number}\n")).collect::<Vec<_>>().concat();
    let server = NameServer::start_with(7, &many);
    let observed = dns("many.example.test", Some("A"), &server).run().expect("a look");
    let seen = &observed.subjects[0];
    assert_eq!(text(seen, "count"), "200");
    assert!(seen.facts["records"].to_string().starts_with("198.51.100.1, 198.51.100.10, "), "{seen:?}");
    assert_eq!(seen.notes, ["only the first 100 of 200 records are shown"]);
}

#[test]
fn several_resolvers_are_compared() {
    let (old, new) = (NameServer::start(7), NameServer::start_with(8, "new A 192.0.2.99\n"));
    let look = |name: &str, kind: &str| {
        let resolvers = [old.place(), new.place()];
        Look::new("dns", json!({ "name": name, "type": kind, "resolver": resolvers })).run().expect("a look")
    };
    let seen = look("example.test", "SOA");
    assert_eq!(seen.subjects[0].name, format!("example.test SOA at {}", old.place()));
    assert_eq!(seen.subjects.iter().map(|one| text(one, "serial")).collect::<Vec<_>>(), ["7", "8"]);
    assert_eq!(seen.subjects.iter().map(|one| text(one, "agrees")).collect::<Vec<_>>(), ["false", "false"]);
    assert!(seen.evidence[1].lines[0].contains(" 8 3600 "), "{:?}", seen.evidence);
    let seen = look("www.example.test", "A");
    assert_eq!(seen.subjects.iter().map(|one| text(one, "agrees")).collect::<Vec<_>>(), ["true", "true"]);
    assert!(seen.evidence.is_empty(), "{:?}", seen.evidence);
    let seen = look("new.example.test", "A");
    assert_eq!(seen.subjects.iter().map(|one| text(one, "rcode")).collect::<Vec<_>>(), ["NXDOMAIN", "NOERROR"]);
    assert_eq!(text(&seen.subjects[0], "agrees"), "false");
}

#[test]
fn a_resolver_that_is_down_does_not_answer_and_the_others_are_seen() {
    let (server, port) = (NameServer::start(7), free_port());
    let resolvers = [format!("127.0.0.1:{port}"), server.place()];
    let seen = Look::new("dns", json!({ "name": "www.example.test", "resolver": resolvers })).run().expect("a look");
    let [down, up] = &seen.subjects[..] else { panic!("two results: {seen:?}") };
    assert_eq!(text(down, "answers"), "false");
    assert_eq!(down.notes, [format!("connection refused: no name server listens at 127.0.0.1:{port}")]);
    assert_eq!(text(up, "resolves"), "true");
    assert!(!has(up, "agrees"), "{up:?}");
}

#[test]
fn a_resolver_that_never_answers_ends_within_the_limit_with_a_stand_in() {
    let server = stand_in(|_| Vec::new());
    let look = Look::new("dns", json!({ "name": "www.example.test", "resolver": server.to_string() }));
    let seen = look.limit(SHORT).subject();
    assert_eq!(text(&seen, "answers"), "false");
    assert!(seen.notes[0].starts_with(&format!("no answer from {server} within ")), "{seen:?}");
    assert!(!has(&seen, "latency") && !has(&seen, "rcode"), "{seen:?}");
}

#[test]
fn what_is_not_dns_is_said_with_a_stand_in() {
    let server = stand_in(|_| vec![b"hello".to_vec()]);
    let seen = Look::new("dns", json!({ "name": "a.test", "type": "A", "resolver": server.to_string() })).subject();
    assert_eq!(text(&seen, "answers"), "false");
    assert!(seen.notes[0].starts_with(&format!("the answer of {server} is not DNS: ")), "{seen:?}");
}

#[test]
fn an_answer_to_another_question_is_not_believed_with_a_stand_in() {
    let server = stand_in(|question| {
        let mut forged = question.to_vec();
        forged[0] ^= 0xff;
        forged[2] |= 0x80;
        let mut real = question.to_vec();
        real[2] |= 0x80;
        real[3] = 3;
        vec![forged, real]
    });
    let seen = Look::new("dns", json!({ "name": "a.test", "type": "A", "resolver": server.to_string() })).subject();
    assert_eq!((text(&seen, "answers"), text(&seen, "rcode")), ("true".into(), "NXDOMAIN".into()));
}

/// With name servers of its own, of which the first is down.
const OWN_RESOLVERS: &str = "ip link set lo up; f=$(mktemp); \
                             printf 'nameserver 127.0.0.9\\nnameserver 127.0.0.1\\n' >$f; \
                             mount --bind $f /etc/resolv.conf; \"$@\"";

#[test]
fn without_a_resolver_those_of_the_system_are_asked_one_after_the_other() {
    again_under(&["unshare", "--net", "--mount", "sh", "-c", OWN_RESOLVERS, "sh"], || {
        let _server = NameServer::start_at(53, 7, "");
        let seen = Look::new("dns", json!({ "name": "www.example.test", "type": "A" })).subject();
        assert_eq!((text(&seen, "resolves"), text(&seen, "resolver")), ("true".into(), "127.0.0.1:53".into()));
        assert_eq!(seen.notes, ["connection refused: no name server listens at 127.0.0.9:53"]);
    });
}

#[test]
fn a_name_that_does_not_resolve_fails_a_step_that_expects_something_of_it() {
    let server = NameServer::start(7);
    let step = |name: &str, expect: &str| {
        let look = format!("dns: {{ name: {name}, type: A, resolver: \"{}\" }}", server.place());
        Run::of(&format!("title: Names\nsteps:\n- id: a\n  title: A\n  probe: {{ {look} }}\n  expect: {expect}\n"))
            .run()
            .outcome
    };
    assert_eq!(step("www.example.test", "{ records: contains 192.0.2.10 }"), Outcome::Passed);
    assert_eq!(step("www.example.test", "{ records: contains 192.0.2.99 }"), Outcome::Failed);
    assert_eq!(step("none.example.test", "{ records: contains 192.0.2.10 }"), Outcome::Failed);
    assert_eq!(step("none.example.test", "{ ttl: at least 1s }"), Outcome::Failed);
    assert_eq!(step("none.example.test", "{ rcode: NXDOMAIN }"), Outcome::Passed);
    assert_eq!(step("none.example.test", "{ count: 0 }"), Outcome::Passed);
    assert_eq!(step("broken.test", "{ count: 0 }"), Outcome::Errored);
}

#[test]
fn what_cannot_be_right_is_refused() {
    for (inputs, input, message) in [
        (json!({ "name": "a.test", "type": "AXFR" }), "type", "`AXFR` is not a type of record that is known here"),
        (json!({ "name": "" }), "name", "`` is not a name"),
        (json!({ "name": "a..test" }), "name", "`a..test` is not a name"),
        (json!({ "name": "a.test", "resolver": "udp://[::1]" }), "resolver", "`udp://[::1]` is not a host"),
    ] {
        let error = Look::new("dns", inputs).build().err().expect("an error");
        assert_eq!((error.input, error.message.as_str()), (input, message));
    }
}
