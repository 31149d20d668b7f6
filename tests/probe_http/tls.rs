use std::net::Shutdown;
use std::time::Duration;

use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use super::{SHORT, answers, fact, get, has, seconds, silent, text};
use crate::support::look::Look;
use crate::support::web::{self, apache, misbehaving, nginx};

/// A look at a TLS port of Apache as localhost, with the tests' own authority.
fn secure(port: u16, more: &Json) -> Look {
    let mut inputs = json!({ "url": format!("https://localhost:{port}/"), "ca": apache().ca });
    for (name, value) in more.as_object().expect("a mapping") {
        inputs[name] = value.clone();
    }
    Look::new("http", inputs)
}

fn days(subject: &Subject) -> f64 {
    seconds(subject, "certificate_expires_in") / 86_400.0
}

#[test]
fn tls_is_timed_and_the_certificate_read() {
    let seen = secure(apache().tls, &json!({})).subject();
    answers(&seen, 200);
    assert!(seconds(&seen, "tls") > 0.0 && seconds(&seen, "connect") > 0.0, "{seen:?}");
    assert_eq!(text(&seen, "http_version"), "HTTP/2");
    assert!(days(&seen) > 10_000.0, "{seen:?}");
    assert_eq!(fact(&seen, "body"), &Value::text("<h1>Welcome</h1>\n"));
    assert!(seen.notes.is_empty(), "{seen:?}");
}

#[test]
fn nginx_answers_over_http2_and_over_plain_http() {
    let seen = secure(nginx().tls, &json!({})).asked(&["json.queue.depth", "header.server"]).subject();
    answers(&seen, 200);
    assert_eq!(text(&seen, "http_version"), "HTTP/2");
    assert!(text(&seen, "header.server").starts_with("nginx"), "{seen:?}");
    let seen = get(&format!("http://127.0.0.1:{}/health.json", nginx().plain)).asked(&["json.load"]).subject();
    answers(&seen, 200);
    assert_eq!(text(&seen, "json.load"), "1.9");
}

#[test]
fn an_expired_certificate_is_an_outage_and_its_age_is_known() {
    let seen = secure(apache().expired, &json!({})).subject();
    assert_eq!(silent(&seen), format!("certificate expired on {}", web::EXPIRED_ON));
    assert!(days(&seen) < 0.0, "{seen:?}");
    assert!(has(&seen, "connect") && !has(&seen, "tls"), "{seen:?}");
}

#[test]
fn a_certificate_for_another_name_is_an_outage() {
    let seen = secure(apache().other_name, &json!({})).subject();
    assert_eq!(silent(&seen), "certificate is for other.example, not for localhost");
    assert!(days(&seen) > 10_000.0, "{seen:?}");
}

#[test]
fn an_authority_that_is_not_trusted_is_an_outage() {
    let seen = get(&format!("https://localhost:{}/", apache().tls)).subject();
    assert_eq!(
        silent(&seen),
        "certificate was issued by `CN=opsctl test root`, which is not trusted here; it comes without an \
         intermediate certificate"
    );
    assert!(days(&seen) > 10_000.0, "{seen:?}");
}

#[test]
fn without_verification_the_certificate_is_noted_and_the_answer_read() {
    let seen = secure(apache().expired, &json!({ "verify": false })).subject();
    answers(&seen, 200);
    assert_eq!(seen.notes, [format!("not verified: certificate expired on {}", web::EXPIRED_ON)]);
    assert!(days(&seen) < 0.0, "{seen:?}");
    let seen = secure(apache().tls, &json!({ "verify": false })).subject();
    answers(&seen, 200);
    assert!(seen.notes.is_empty(), "{seen:?}");
}

#[test]
fn the_first_certificate_of_the_chain_to_expire_counts_and_is_named() {
    let seen = secure(apache().chain, &json!({})).subject();
    answers(&seen, 200);
    assert!((days(&seen) - web::INTERMEDIATE_DAYS as f64).abs() <= 2.0, "{seen:?}");
    assert_eq!(seen.notes, ["the first to expire is the intermediate certificate of `CN=opsctl test intermediate`"]);
}

#[test]
fn a_self_signed_certificate_is_trusted_only_when_it_is_named() {
    let url = format!("https://localhost:{}/", apache().self_signed);
    let ca = &apache().self_signed_certificate;
    answers(&Look::new("http", json!({ "url": url, "ca": ca })).subject(), 200);
    let seen = secure(apache().self_signed, &json!({})).subject();
    assert_eq!(silent(&seen), "certificate is self-signed by `CN=opsctl test itself` and not trusted here");
}

#[test]
fn a_server_without_tls_or_with_an_old_one_is_said() {
    let port = apache().plain;
    let seen = secure(port, &json!({ "address": "4" })).subject();
    assert_eq!(silent(&seen), format!("127.0.0.1:{port} does not speak TLS"));
    let port = nginx().old_tls;
    let seen = secure(port, &json!({ "address": "4" })).subject();
    assert_eq!(silent(&seen), format!("127.0.0.1:{port} speaks only TLS 1.1 or older, which is not secure"));
    let port = misbehaving(|connection| {
        connection.shutdown(Shutdown::Write).ok();
        std::thread::sleep(Duration::from_millis(100));
    });
    let seen = secure(port, &json!({ "address": "4" })).subject();
    assert_eq!(silent(&seen), format!("127.0.0.1:{port} closed the connection during the TLS handshake"));
}

#[test]
fn a_tls_handshake_that_never_ends_is_said() {
    let port = misbehaving(|_connection| std::thread::sleep(Duration::from_mins(10)));
    let seen = secure(port, &json!({ "address": "4" })).limit(SHORT).subject();
    assert!(silent(&seen).ends_with(", TLS handshake not finished"), "{seen:?}");
    assert!(has(&seen, "connect") && !has(&seen, "tls"), "{seen:?}");
}

#[test]
fn a_ca_file_that_is_not_there_or_holds_nothing_is_an_inability_to_look() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing\n").expect("a file");
    let error = secure(apache().tls, &json!({ "ca": empty })).run().expect_err("no certificate in it");
    assert_eq!(
        (error.code, error.message),
        ("bad_file", format!("the CA file {} holds no certificate", empty.display()))
    );
    let gone = folder.path().join("gone.pem");
    let error = secure(apache().tls, &json!({ "ca": gone })).run().expect_err("no such file");
    assert_eq!((error.code, error.message), ("not_found", format!("the CA file {} does not exist", gone.display())));
}
