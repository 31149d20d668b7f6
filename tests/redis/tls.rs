//! TLS with an authority of one's own.

use std::time::Duration;

use opsctl::model::value::Value;
use serde_json::json;

use super::{answers, error, fact, why_down};
use crate::support::look::Look;
use crate::support::redis::Server;
use crate::support::server::free_port;
use crate::support::web::{apache, authority_and_stem};

/// A server with TLS alone, and its port.
fn server() -> (Server, u16) {
    let (ca, stem) = authority_and_stem();
    let (port, ca) = (free_port(), ca.display().to_string());
    let (certificate, key) = (format!("{stem}.pem"), format!("{stem}.key"));
    let tls = port.to_string();
    let options = ["--port", "0", "--tls-port", &tls, "--tls-cert-file", &certificate, "--tls-key-file", &key];
    (Server::start(&[&options[..], &["--tls-ca-cert-file", &ca, "--tls-auth-clients", "no"]].concat()), port)
}

fn secure(url: &str, ca: &std::path::Path) -> Look {
    Look::new("redis", json!({ "database": "cache", "ca": ca })).database("cache", url)
}

#[test]
fn a_server_with_a_certificate_of_the_own_authority_answers() {
    let (_server, port) = server();
    let (ca, _) = authority_and_stem();
    for host in ["localhost", "127.0.0.1"] {
        let seen = answers(&secure(&format!("rediss://{host}:{port}"), &ca));
        assert_eq!(fact(&seen, "role"), &Value::text("master"));
    }
}

#[test]
fn a_certificate_of_an_unknown_authority_is_an_outage() {
    let (_server, port) = server();
    let url = format!("rediss://localhost:{port}");
    let trouble = "certificate was issued by `CN=opsctl test root`, which is not trusted here";
    let system = Look::new("redis", json!({ "database": "cache" })).database("cache", &url);
    for look in [system, secure(&url, &apache().self_signed_certificate)] {
        let note = why_down(&look);
        assert!(note.starts_with(&format!("localhost:{port}: no TLS connection: {trouble}")), "{note}");
    }
}

#[test]
fn a_server_that_speaks_no_tls_and_one_that_speaks_nothing_else_are_told_apart() {
    let plain = Server::start(&[]);
    let (ca, _) = authority_and_stem();
    // It takes the handshake for a command, whose end may or may not come.
    let look = secure(&format!("rediss://127.0.0.1:{}", plain.port), &ca).limit(Duration::from_secs(2));
    let note = why_down(&look);
    let told = ["does not speak TLS", "during the TLS handshake", "no answer to the TLS handshake within 2s"];
    assert!(told.iter().any(|told| note.contains(told)), "{note}");

    let (_server, port) = server();
    let note = why_down(&super::ask(&format!("redis://127.0.0.1:{port}")));
    let begin = format!("127.0.0.1:{port}: ");
    assert!(note.starts_with(&begin), "{note}");
}

#[test]
fn a_file_without_a_certificate_is_an_error() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let error = error(&secure("rediss://localhost:1", file.path()));
    assert_eq!(error.code, "bad_file");
}
