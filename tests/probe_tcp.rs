//! The tcp probe against Redis, MariaDB, PostgreSQL, a mail server, and servers that misbehave.

use std::io::Write;
use std::net::{Ipv6Addr, TcpListener};
use std::time::Duration;

use opsctl::model::fact::Subject;
use opsctl::model::outcome::Outcome;
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::engine::Run;
use crate::support::look::Look;
use crate::support::mail::mail;
use crate::support::redis::Server;
use crate::support::server::free_port;
use crate::support::web::misbehaving;
use crate::support::{mariadb, postgres};

/// For servers that let the time run out.
const SHORT: Duration = Duration::from_secs(2);

fn tcp(port: u16, more: &Json) -> Look {
    let mut inputs = json!({ "host": format!("127.0.0.1:{port}") });
    for (name, value) in more.as_object().expect("a mapping") {
        inputs[name] = value.clone();
    }
    Look::new("tcp", inputs)
}

/// A look whose step names the banner.
fn banner(port: u16) -> Look {
    tcp(port, &json!({})).asked(&["banner"])
}

#[track_caller]
fn text(subject: &Subject, name: &str) -> String {
    subject.facts.get(name).unwrap_or_else(|| panic!("no `{name}` in {subject:?}")).to_string()
}

/// It does not answer, no banner is reported, and the only note says why.
#[track_caller]
fn silent(subject: &Subject) -> &str {
    assert_eq!(text(subject, "answers"), "false", "{subject:?}");
    assert!(!subject.facts.contains_key("banner") && !subject.facts.contains_key("first_byte"), "{subject:?}");
    assert_eq!((&subject.error, subject.notes.len()), (&None, 1), "{subject:?}");
    &subject.notes[0]
}

#[test]
fn an_open_port_is_connected_and_nothing_is_read_that_nobody_asked_for() {
    let look = tcp(mail().smtp, &json!({}));
    let seen = look.subject();
    assert_eq!(seen.name, format!("127.0.0.1:{}", mail().smtp));
    let names: Vec<&str> = seen.facts.keys().map(String::as_str).collect();
    assert_eq!(names, ["answers", "connect", "address"]);
    assert_eq!((text(&seen, "answers"), text(&seen, "address")), ("true".into(), "127.0.0.1".into()));
    assert!(seen.facts["connect"].number_in(Dimension::Time).is_some_and(|connect| connect > 0.0));
    assert!(seen.notes.is_empty(), "{seen:?}");
    let probe = look.build().expect("inputs that fit");
    assert_eq!((probe.target(), probe.resource()), (seen.name.clone(), Some(seen.name)));
}

#[test]
fn the_time_to_look_up_a_name_is_reported() {
    let seen = Look::new("tcp", json!({ "host": format!("localhost:{}", mail().smtp), "address": "4" })).subject();
    assert_eq!(text(&seen, "answers"), "true");
    assert!(seen.facts["resolve"].number_in(Dimension::Time).is_some_and(|resolve| resolve > 0.0), "{seen:?}");
    assert_eq!(seen.name, format!("localhost:{} over IPv4", mail().smtp));
}

#[test]
fn a_name_that_is_unknown_is_said() {
    let seen = Look::new("tcp", json!({ "host": "no-such-host.invalid:22" })).subject();
    let why = silent(&seen);
    assert!(why.starts_with("unknown host no-such-host.invalid: "), "{why}");
}

#[test]
fn a_banner_is_read_when_a_step_names_it() {
    let seen = banner(mail().smtp).subject();
    assert_eq!(
        (text(&seen, "answers"), text(&seen, "banner")),
        ("true".into(), "220 mail.example.test ESMTP ready".into())
    );
    assert_eq!(seen.facts["banner_size"], Value::bytes("220 mail.example.test ESMTP ready\r\n".len() as u64));
    assert!(seen.facts.contains_key("first_byte") && seen.notes.is_empty(), "{seen:?}");
}

#[test]
fn a_banner_that_is_no_text_is_shown_without_what_cannot_be_shown() {
    let seen = banner(mariadb::server().port).subject();
    assert!(text(&seen, "banner").contains("MariaDB"), "{seen:?}");
    let unseen = |c: char| c.is_control() && !c.is_whitespace();
    assert!(!text(&seen, "banner").contains(unseen), "{seen:?}");
}

#[test]
fn what_is_sent_is_answered() {
    let server = Server::start(&[]);
    let seen = tcp(server.port, &json!({ "send": "PING\r\n" })).subject();
    assert_eq!((text(&seen, "answers"), text(&seen, "banner")), ("true".into(), "+PONG".into()));
    let seen = tcp(server.port, &json!({ "send": "ECHO one\r\nECHO two\r\n" })).subject();
    assert_eq!(text(&seen, "banner"), "$3\r\none\r\n$3\r\ntwo");
}

#[test]
fn a_closed_port_is_an_outage_with_its_cause() {
    let port = free_port();
    assert_eq!(silent(&tcp(port, &json!({})).subject()), format!("connection refused by 127.0.0.1:{port}"));
}

#[test]
fn a_server_that_accepts_and_never_answers_is_connected_but_has_no_banner() {
    let port = postgres::server().port;
    assert_eq!(text(&tcp(port, &json!({})).subject(), "answers"), "true");
    let seen = banner(port).limit(SHORT).subject();
    assert_eq!(silent(&seen), "connected, but the server said nothing within the time limit");
    assert!(seen.facts.contains_key("connect"), "{seen:?}");
}

#[test]
fn a_server_that_closes_without_a_word_is_said() {
    let port = misbehaving(drop);
    assert_eq!(silent(&banner(port).subject()), "the server closed the connection and said nothing");
}

#[test]
fn a_server_that_drips_is_read_as_far_as_it_came() {
    let port = misbehaving(|mut connection| {
        while connection.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let seen = banner(port).limit(SHORT).subject();
    assert_eq!(text(&seen, "answers"), "true");
    assert!(text(&seen, "banner").starts_with('x'), "{seen:?}");
    assert!(seen.notes[0].starts_with("the time was up before the end of the line, after "), "{seen:?}");
}

#[test]
fn a_server_that_floods_is_read_up_to_the_limit() {
    let port = misbehaving(|mut connection| while connection.write_all(&[b'x'; 1000]).is_ok() {});
    let seen = banner(port).subject();
    assert_eq!(text(&seen, "banner"), "x".repeat(4096) + "...");
    assert_eq!(seen.facts["banner_size"], Value::bytes(4096));
    assert_eq!(seen.notes, ["more than 4096 bytes were said; only these were read"]);
}

#[test]
fn a_line_in_two_parts_is_one_banner() {
    let port = misbehaving(|mut connection| {
        connection.write_all(b"SSH-2.0-").ok();
        std::thread::sleep(Duration::from_millis(800));
        connection.write_all(b"OpenSSH_9.2\r\n").ok();
        std::thread::sleep(Duration::from_mins(1));
    });
    assert_eq!(text(&banner(port).subject(), "banner"), "SSH-2.0-OpenSSH_9.2");
}

#[test]
fn ipv6_down_and_ipv4_up_are_two_results() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let host = json!({ "host": format!("localhost:{port}"), "address": "both" });
    let seen = Look::new("tcp", host).run().expect("a look").subjects;
    assert_eq!(seen.iter().map(|one| text(one, "answers")).collect::<Vec<_>>(), ["true", "false"]);
    assert_eq!(seen[1].name, format!("localhost:{port} over IPv6"));
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("a free port of IPv6");
    let port = listener.local_addr().expect("an address").port();
    let seen = Look::new("tcp", json!({ "host": format!("[::1]:{port}") })).subject();
    assert_eq!((text(&seen, "answers"), text(&seen, "address")), ("true".into(), "::1".into()));
}

#[test]
fn a_host_whose_first_address_is_dead_is_reached_at_the_next() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let seen = Look::new("tcp", json!({ "host": format!("localhost:{port}") })).subject();
    assert_eq!((text(&seen, "answers"), text(&seen, "address")), ("true".into(), "127.0.0.1".into()));
}

#[test]
fn each_of_several_hosts_is_one_result() {
    let (open, closed) = (mail().smtp, free_port());
    let hosts = [open, closed].map(|port| format!("127.0.0.1:{port}"));
    let seen = Look::new("tcp", json!({ "host": hosts })).run().expect("a look").subjects;
    assert_eq!(seen.iter().map(|one| text(one, "answers")).collect::<Vec<_>>(), ["true", "false"]);
    assert_eq!(seen.iter().map(|one| one.name.clone()).collect::<Vec<_>>(), hosts);
}

#[test]
fn a_port_that_refuses_fails_the_step_and_a_wrong_banner_too() {
    let step = |port: u16, expect: &str| {
        let text = format!(
            "title: Ports\nsteps:\n- id: a\n  title: A\n  probe: {{ tcp: {{ host: 127.0.0.1:{port} }} }}\n  \
             expect: {expect}\n"
        );
        Run::of(&text).run().outcome
    };
    assert_eq!(step(mail().smtp, "{ connect: below 1h }"), Outcome::Passed);
    assert_eq!(step(free_port(), "{ connect: below 1h }"), Outcome::Failed);
    assert_eq!(step(mail().smtp, "{ banner: starts with 220 }"), Outcome::Passed);
    assert_eq!(step(mail().smtp, "{ banner: starts with SSH }"), Outcome::Failed);
}

#[test]
fn hosts_that_cannot_be_right_are_refused() {
    for (inputs, input, message) in [
        (json!({ "host": "example.com" }), "host", "`example.com` is not a host with a port"),
        (json!({ "host": "" }), "host", "`` is not a host with a port"),
        (json!({ "host": "https://example.com" }), "host", "`https://example.com` is not a host with a port"),
        (json!({ "host": ["a:1", "a:1"] }), "host", "a:1 is named twice"),
        (json!({ "host": "[::1]:22", "address": "4" }), "address", "::1 is one address and no host with several"),
    ] {
        let error = Look::new("tcp", inputs).build().err().expect("an error");
        assert_eq!((error.input, error.message.as_str()), (input, message));
        assert!(!error.help.is_empty());
    }
}
