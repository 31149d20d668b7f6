use std::io::{Read, Write};
use std::time::Duration;

use serde_json::json;

use super::{SHORT, at_apache, has, is, look, text};
use crate::support::look::Look;
use crate::support::mail::mail;
use crate::support::server::free_port;
use crate::support::tls::Authority;
use crate::support::web::{self, apache, misbehaving, nginx};
use crate::support::{mariadb, postgres, redis};

/// Nothing was presented, and the only note says why.
#[track_caller]
fn silent(look: &Look) -> String {
    let seen = look.subject();
    assert!(!is(&seen, "answers") && !has(&seen, "valid") && !has(&seen, "expires_in"), "{seen:?}");
    assert_eq!((&seen.error, seen.notes.len()), (&None, 1), "{seen:?}");
    seen.notes[0].clone()
}

fn starttls(port: u16, protocol: &str) -> Look {
    look(port, &web::local().ca, &json!({ "starttls": protocol }))
}

#[test]
fn servers_that_begin_without_tls_are_asked_for_it() {
    for (port, protocol) in [
        (mail().smtp, "smtp"),
        (mail().imap, "imap"),
        (mail().pop3, "pop3"),
        (postgres::server().port, "postgres"),
        (mariadb::server().port, "mysql"),
    ] {
        let seen = starttls(port, protocol).subject();
        assert!(is(&seen, "answers") && is(&seen, "valid"), "{protocol}: {seen:?}");
        assert!(text(&seen, "subject").contains("CN=good"), "{protocol}: {seen:?}");
    }
}

#[test]
fn a_server_that_offers_no_tls_does_not_answer_and_that_is_said() {
    let port = mail().plain_smtp;
    assert_eq!(silent(&starttls(port, "smtp")), format!("localhost:{port} offers no TLS"));
    let port = mail().plain_imap;
    let why = silent(&starttls(port, "imap"));
    assert!(why.starts_with(&format!("localhost:{port} does not change to TLS, but says `a1 ")), "{why}");
}

#[test]
fn a_server_of_another_protocol_is_said() {
    let server = redis::Server::start(&[]);
    let port = server.port;
    for protocol in ["postgres", "pop3"] {
        let why = silent(&starttls(port, protocol).limit(SHORT));
        assert_eq!(why, format!("connected to localhost:{port}, but no answer to STARTTLS within 2 s"), "{protocol}");
    }
    let port = mail().smtp;
    assert_eq!(silent(&starttls(port, "mysql")), format!("localhost:{port} does not speak the protocol of MySQL"));
    let why = silent(&starttls(port, "imap"));
    let wanted = format!("localhost:{port} does not change to TLS, but says `220 mail.example.test ESMTP ready`");
    assert_eq!(why, wanted);
}

#[test]
fn a_port_that_is_closed_does_not_answer_and_the_cause_is_said() {
    let port = free_port();
    let why = silent(&look(port, &apache().ca, &json!({})));
    assert_eq!(why, format!("connection refused by 127.0.0.1:{port}"));
}

#[test]
fn a_server_that_accepts_and_never_answers_ends_within_the_limit() {
    let port = misbehaving(|_connection| std::thread::sleep(Duration::from_mins(10)));
    let why = silent(&look(port, &apache().ca, &json!({})).limit(SHORT));
    assert_eq!(why, format!("connected to localhost:{port}, but no answer to the TLS handshake within 2 s"));
    let why = silent(&starttls(port, "smtp").limit(SHORT));
    assert_eq!(why, format!("connected to localhost:{port}, but no answer to STARTTLS within 2 s"));
}

#[test]
fn a_server_that_stops_after_it_agreed_to_tls_ends_within_the_limit() {
    let port = misbehaving(|mut connection| {
        connection.read_exact(&mut [0; 8]).ok();
        connection.write_all(b"S").ok();
        std::thread::sleep(Duration::from_mins(10));
    });
    let why = silent(&starttls(port, "postgres").limit(SHORT));
    assert_eq!(why, format!("connected to localhost:{port}, but no answer to the TLS handshake within 2 s"));
}

#[test]
fn a_server_that_floods_instead_of_greeting_is_cut_off() {
    for protocol in ["smtp", "imap", "mysql"] {
        let port = misbehaving(|mut connection| while connection.write_all(&[b'x'; 1000]).is_ok() {});
        let why = silent(&starttls(port, protocol));
        assert!(why.len() < 300, "{protocol}: {why}");
    }
}

#[test]
fn a_server_without_tls_or_with_an_old_one_is_said() {
    let port = apache().plain;
    assert_eq!(silent(&look(port, &apache().ca, &json!({}))), format!("localhost:{port} does not speak TLS"));
    let port = nginx().old_tls;
    let why = silent(&look(port, &apache().ca, &json!({})));
    assert_eq!(why, format!("localhost:{port} speaks only TLS 1.1 or older, which is not secure"));
}

#[test]
fn the_certificate_of_a_server_that_demands_one_itself_is_seen() {
    let authority = Authority::new();
    authority.issue("whole", |_| {});
    for version in ["-tls1_2", "-tls1_3"] {
        let server = authority.serve("whole", &format!("{version} -Verify 1 -verify_return_error"));
        let seen = look(server.port, &authority.ca(), &json!({})).subject();
        assert!(is(&seen, "answers") && is(&seen, "valid"), "{version}: {seen:?}");
    }
}

#[test]
fn the_version_of_tls_is_reported() {
    let authority = Authority::new();
    authority.issue("whole", |_| {});
    let seen = look(authority.serve("whole", "-tls1_2").port, &authority.ca(), &json!({})).subject();
    assert_eq!(text(&seen, "tls_version"), "TLS 1.2");
}

#[test]
fn each_of_several_hosts_is_one_result_and_one_that_is_down_hides_no_other() {
    let hosts = [apache().tls, free_port(), apache().expired].map(|port| format!("127.0.0.1:{port}"));
    let seen = Look::new("certificate", json!({ "host": hosts, "ca": apache().ca })).run().expect("a look").subjects;
    assert_eq!(seen.iter().map(|one| one.name.clone()).collect::<Vec<_>>(), hosts);
    assert_eq!(seen.iter().map(|one| is(one, "answers")).collect::<Vec<_>>(), [true, false, true]);
    assert!(is(&seen[0], "valid") && !is(&seen[2], "valid"), "{seen:?}");
}

#[test]
fn both_families_are_two_results() {
    let port = apache().tls;
    let inputs = json!({ "host": format!("localhost:{port}"), "ca": apache().ca, "address": "both" });
    let seen = Look::new("certificate", inputs).run().expect("a look").subjects;
    assert_eq!(seen.iter().map(|one| is(one, "answers")).collect::<Vec<_>>(), [true, false]);
    assert_eq!(seen[1].name, format!("localhost:{port} over IPv6"));
}

#[test]
fn the_usual_port_is_that_of_the_protocol() {
    let target = |inputs| Look::new("certificate", inputs).build().expect("inputs that fit").target();
    assert_eq!(target(json!({ "host": "example.com" })), "example.com:443");
    assert_eq!(target(json!({ "host": "example.com", "starttls": "postgres" })), "example.com:5432");
    assert_eq!(target(json!({ "host": ["a", "b:993"], "file": "/x.pem" })), "a:443, b:993, /x.pem");
}

#[test]
fn an_authority_that_cannot_be_read_is_no_verdict_on_the_server() {
    let error = look(apache().tls, std::path::Path::new("/no/ca.pem"), &json!({})).run().expect_err("an error");
    assert_eq!(error.message, "the CA file /no/ca.pem does not exist");
    assert!(is(&at_apache(apache().tls), "valid"));
}

#[test]
fn what_cannot_be_right_is_refused() {
    for (inputs, input, message) in [
        (json!({}), "", "nothing is named"),
        (json!({ "host": "https://a" }), "host", "`https://a` is not a host"),
        (json!({ "host": ["a", "a:443"] }), "host", "a:443 is named twice"),
        (json!({ "host": "a", "name": "b/c" }), "name", "`b/c` is not a name that a certificate can be for"),
        (json!({ "file": "/x.pem", "starttls": "smtp" }), "starttls", "it is for hosts, and none is named"),
        (json!({ "host": "::1", "address": "both" }), "address", "::1 is one address and no host with several"),
    ] {
        let error = Look::new("certificate", inputs).build().err().expect("an error");
        assert_eq!((error.input, error.message.as_str()), (input, message));
        assert!(!error.help.is_empty());
    }
}
