use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use opsctl::model::value::Value;
use serde_json::json;

use super::{SHORT, answers, fact, get, has, page, silent};
use crate::support::look::Look;
use crate::support::server::free_port;
use crate::support::web::{self, misbehaving, recording};

#[test]
fn a_closed_port_refuses_the_connection() {
    let port = free_port();
    let seen = get(&format!("http://127.0.0.1:{port}/")).subject();
    assert_eq!(silent(&seen), format!("connection refused by 127.0.0.1:{port}"));
    assert!(!has(&seen, "connect"), "{seen:?}");
}

#[test]
fn a_name_that_nobody_knows_is_said() {
    let host = format!("{}.localhost", "a".repeat(64));
    let seen = get(&format!("http://{host}/")).subject();
    assert!(silent(&seen).starts_with(&format!("unknown host {host}: ")), "{seen:?}");
    assert!(!has(&seen, "resolve"), "{seen:?}");
}

#[test]
fn a_server_that_accepts_and_never_answers_ends_within_the_time_limit() {
    let port = misbehaving(|connection| {
        web::request(&connection);
        std::thread::sleep(Duration::from_mins(10));
    });
    let seen = get(&format!("http://127.0.0.1:{port}/")).limit(SHORT).subject();
    let note = silent(&seen);
    assert!(note.starts_with(&format!("no answer within 2 s: connected to 127.0.0.1:{port} after ")), "{note}");
    assert!(note.ends_with(", then no response"), "{note}");
    assert!(has(&seen, "connect") && !has(&seen, "first_byte"), "{seen:?}");
}

#[test]
fn a_server_that_drips_its_header_does_not_answer() {
    let port = misbehaving(|mut connection| {
        web::request(&connection);
        connection.write_all(b"HTTP/1.1 200 OK\r\nx: ").ok();
        while connection.write_all(b"y").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let seen = get(&format!("http://127.0.0.1:{port}/")).limit(SHORT).subject();
    assert!(silent(&seen).ends_with(", then no response"), "{seen:?}");
    assert!(!has(&seen, "status"), "{seen:?}");
}

#[test]
fn a_server_that_drips_its_body_does_not_answer_but_its_status_is_known() {
    let port = misbehaving(|mut connection| {
        web::request(&connection);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").ok();
        while connection.write_all(b".").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let seen = get(&format!("http://127.0.0.1:{port}/")).limit(SHORT).subject();
    let note = silent(&seen);
    assert!(note.starts_with("the answer broke off after ") && note.ends_with(": no end within 2 s"), "{note}");
    assert_eq!(fact(&seen, "status"), &Value::Integer(200));
    assert!(has(&seen, "first_byte"), "{seen:?}");
}

#[test]
fn a_body_without_end_is_read_up_to_the_limit_only() {
    let port = misbehaving(|mut connection| {
        web::request(&connection);
        connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok();
        while connection.write_all(&[b'x'; 8192]).is_ok() {}
    });
    let url = format!("http://127.0.0.1:{port}/");
    let seen = get(&url).asked(&["body"]).subject();
    answers(&seen, 200);
    assert!(!has(&seen, "body") && !has(&seen, "body_size"), "a part is not the whole: {seen:?}");
    assert_eq!(seen.notes, ["the body is longer than `body_limit` (1 MiB), so it was not read to its end"]);
    let seen = Look::new("http", json!({ "url": url, "body_limit": "0B" })).subject();
    answers(&seen, 200);
    assert!(seen.notes.is_empty() && has(&seen, "latency") && !has(&seen, "transfer"), "{seen:?}");
}

#[test]
fn a_body_of_exactly_the_limit_is_whole() {
    let seen = Look::new("http", json!({ "url": page("/"), "body_limit": "17B" })).subject();
    answers(&seen, 200);
    assert_eq!(fact(&seen, "body_size"), &Value::bytes(17));
}

#[test]
fn a_body_that_breaks_off_is_no_answer() {
    let (port, _) = recording("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello".to_owned());
    let seen = get(&format!("http://127.0.0.1:{port}/")).subject();
    assert!(silent(&seen).starts_with("the answer broke off after 5 bytes of its body: "), "{seen:?}");
    assert_eq!(fact(&seen, "status"), &Value::Integer(200));
}

#[test]
fn a_server_that_closes_early_or_answers_garbage_is_said() {
    let port = misbehaving(|connection| {
        web::request(&connection);
        connection.shutdown(Shutdown::Both).ok();
    });
    let seen = get(&format!("http://127.0.0.1:{port}/")).subject();
    assert_eq!(silent(&seen), format!("127.0.0.1:{port} closed the connection without an answer"));
    let (port, _) = recording("Hello, who is there?\r\n".to_owned());
    let seen = get(&format!("http://127.0.0.1:{port}/")).subject();
    assert_eq!(silent(&seen), format!("the answer of 127.0.0.1:{port} is not HTTP: invalid HTTP version parsed"));
    let port = misbehaving(|mut connection| {
        connection.write_all(b"220 mail.example ESMTP\r\n").ok();
        web::request(&connection);
    });
    let seen = get(&format!("http://127.0.0.1:{port}/")).subject();
    // What is told depends on whether the greeting or the request is first.
    let told = [
        format!("the answer of 127.0.0.1:{port} is not HTTP: "),
        format!("127.0.0.1:{port} closed the connection or spoke first, as servers of other protocols do"),
    ];
    assert!(told.iter().any(|told| silent(&seen).starts_with(told)), "{seen:?}");
}
