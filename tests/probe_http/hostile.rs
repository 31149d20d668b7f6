//! Servers that mean harm, or behave as if they did: each look ends, says why, and takes little memory.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use serde_json::json;

use super::{SHORT, answers, fact, get, has, peak, silent, text};
use crate::support::look::Look;
use crate::support::web::{self, misbehaving, recording};

/// A look at a server that does this with the connection after a request.
fn at(behave: impl Fn(&mut TcpStream) + Send + Sync + Clone + 'static) -> Look {
    let port = misbehaving(move |mut connection| {
        web::request(&connection);
        behave(&mut connection);
    });
    get(&format!("http://127.0.0.1:{port}/")).limit(SHORT)
}

fn saying(answer: &'static [u8]) -> Look {
    at(move |connection| {
        connection.write_all(answer).ok();
    })
}

/// Writes the same again and again until nobody listens any more.
fn forever(connection: &mut TcpStream, text: &[u8]) {
    let many = text.repeat(8192 / text.len() + 1);
    while connection.write_all(&many).is_ok() {}
}

fn is_not_http(seen: &Subject, why: &str) {
    let note = silent(seen);
    assert!(note.starts_with("the answer of 127.0.0.1:") && note.ends_with(why), "{note}");
}

#[test]
fn a_header_without_end_is_given_up() {
    let before = peak();
    let seen = at(|connection| {
        connection.write_all(b"HTTP/1.1 200 OK\r\n").ok();
        forever(connection, b"x-more: of the same\r\n");
    });
    is_not_http(&seen.subject(), " is not HTTP: message head is too large");
    let seen = at(|connection| {
        connection.write_all(b"HTTP/1.1 200 OK\r\nx: ").ok();
        forever(connection, b"y");
    });
    is_not_http(&seen.subject(), " is not HTTP: message head is too large");
    assert!(peak().saturating_sub(before) < 1 << 30);
}

#[test]
fn a_status_line_without_end_is_given_up() {
    let seen = at(|connection| {
        connection.write_all(b"HTTP/1.1 200 ").ok();
        forever(connection, b"O");
    });
    is_not_http(&seen.subject(), " is not HTTP: message head is too large");
}

#[test]
fn a_huge_number_of_headers_is_given_up() {
    let seen = at(|connection| {
        connection.write_all(b"HTTP/1.1 200 OK\r\n").ok();
        for number in 0..1000 {
            connection.write_all(format!("x-{number}: y\r\n").as_bytes()).ok();
        }
        connection.write_all(b"content-length: 0\r\n\r\n").ok();
    });
    is_not_http(&seen.subject(), " is not HTTP: message head is too large");
}

#[test]
fn an_answer_that_is_always_about_to_come_ends_with_the_time() {
    let seen = at(|connection| forever(connection, b"HTTP/1.1 100 Continue\r\n\r\n"));
    assert!(silent(&seen.subject()).ends_with(", then no response"));
}

#[test]
fn a_body_of_endless_small_chunks_is_read_up_to_the_limit_only() {
    let before = peak();
    let port = misbehaving(|mut connection| {
        web::request(&connection);
        connection.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").ok();
        forever(&mut connection, b"1\r\nx\r\n");
    });
    // Each byte is a chunk of its own, and costs a program that is not optimised as much as a small answer.
    let inputs = json!({ "url": format!("http://127.0.0.1:{port}/"), "body_limit": "16KiB" });
    let seen = Look::new("http", inputs).limit(Duration::from_mins(1)).subject();
    answers(&seen, 200);
    assert_eq!(seen.notes, ["the body is longer than `body_limit` (16 KiB), so it was not read to its end"]);
    assert!(peak().saturating_sub(before) < 1 << 30);
}

#[test]
fn a_chunked_body_that_is_garbage_breaks_off() {
    for answer in [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n".as_slice(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffffff\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
    ] {
        let seen = saying(answer).subject();
        assert!(silent(&seen).starts_with("the answer broke off after "), "{seen:?}");
        assert_eq!(fact(&seen, "status"), &Value::Integer(200));
    }
}

#[test]
fn a_length_that_is_too_short_ends_the_body_there_and_two_lengths_are_no_answer() {
    let seen = saying(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello and much more").subject();
    answers(&seen, 200);
    assert_eq!(text(&seen, "body"), "hello");
    let seen = saying(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\nhello!!").subject();
    silent(&seen);
    let seen = saying(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nhello").subject();
    silent(&seen);
    let seen = saying(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nhello").subject();
    silent(&seen);
}

#[test]
fn a_length_that_is_far_too_long_takes_no_memory() {
    let before = peak();
    let seen = saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000000000000\r\n\r\nhello").subject();
    assert!(silent(&seen).starts_with("the answer broke off after 5 bytes of its body: "), "{seen:?}");
    assert!(peak().saturating_sub(before) < 1 << 30);
}

#[test]
fn text_that_is_not_utf_8_is_shown_as_far_as_it_is() {
    let answer = b"HTTP/1.1 200 OK\r\nx-name: caf\xe9\r\ncontent-length: 6\r\n\r\n\xff\xfe ok!";
    let seen = saying(answer).asked(&["header.x-name", "body", "json.a"]).subject();
    answers(&seen, 200);
    assert_eq!(text(&seen, "header.x-name"), "caf\u{fffd}");
    assert_eq!(text(&seen, "body"), "\u{fffd}\u{fffd} ok!");
    assert!(!has(&seen, "json.a") && seen.notes[0].starts_with("the body is not JSON"), "{seen:?}");
    let seen = saying(b"HTTP/1.1 302 Found\r\nlocation: /caf\xe9\xff\r\ncontent-length: 0\r\n\r\n").subject();
    answers(&seen, 302);
}

/// 4 GiB in a few megabytes.
#[test]
fn a_gzip_bomb_is_unpacked_up_to_the_limit_only() {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&vec![0; 8 << 20]).expect("memory");
    let bomb = packer.finish().expect("memory").repeat(512);
    assert!(bomb.len() < 8 << 20, "it is read as a whole: {} bytes", bomb.len());
    let before = peak();
    let port = misbehaving(move |mut connection| {
        web::request(&connection);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len());
        connection.write_all(head.as_bytes()).ok();
        connection.write_all(&bomb).ok();
    });
    let look = Look::new("http", json!({ "url": format!("http://127.0.0.1:{port}/"), "body_limit": "8MiB" }));
    let seen = look.subject();
    answers(&seen, 200);
    assert!(!has(&seen, "body") && !has(&seen, "body_size"), "{seen:?}");
    assert_eq!(seen.notes, ["the body is longer than `body_limit` (8 MiB), so it was not read to its end"]);
    assert!(peak().saturating_sub(before) < 2 << 30);
}

/// Ends the connection the hard way, without a farewell.
fn reset(connection: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(connection, Some(Duration::ZERO)).expect("a socket");
}

#[test]
fn a_connection_that_is_reset_is_no_answer_wherever_it_happens() {
    let seen = at(|connection| reset(connection)).subject();
    assert!(silent(&seen).ends_with("closed the connection without an answer"), "{seen:?}");
    let seen = at(|connection| {
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").ok();
        std::thread::sleep(Duration::from_millis(50));
        reset(connection);
    });
    silent(&seen.subject());
    let seen = at(|connection| {
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf of").ok();
        std::thread::sleep(Duration::from_millis(50));
        reset(connection);
    });
    let seen = seen.subject();
    assert!(silent(&seen).starts_with("the answer broke off after "), "{seen:?}");
    assert_eq!(fact(&seen, "status"), &Value::Integer(200));
}

#[test]
fn redirects_that_lead_ever_further_end_after_ten() {
    let port = misbehaving(|mut connection| {
        let request = web::request(&connection);
        let place = request.split(' ').nth(1).unwrap_or("/").to_owned();
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {place}x/\r\ncontent-length: 0\r\n\r\n");
        connection.write_all(head.as_bytes()).ok();
    });
    let seen = Look::new("http", json!({ "url": format!("http://127.0.0.1:{port}/"), "redirects": "follow" }));
    let seen = seen.subject();
    answers(&seen, 302);
    assert_eq!(fact(&seen, "redirects"), &Value::Integer(10));
}

#[test]
fn a_redirect_to_nowhere_is_not_followed() {
    for place in ["http://", "//", "http://[::1", "javascript:alert(1)", "http://a b/"] {
        let (port, _) = recording(format!("HTTP/1.1 302 x\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n"));
        let url = format!("http://127.0.0.1:{port}/");
        let seen = Look::new("http", json!({ "url": url, "redirects": "follow" })).subject();
        answers(&seen, 302);
        assert_eq!(seen.notes, [format!("redirects to `{place}`, which is not an http URL")]);
    }
}

#[test]
fn a_server_that_sets_cookies_without_measure_hinders_nobody() {
    let cookie = format!("set-cookie: NAME={}; Path=/\r\n", "x".repeat(3000));
    let port = misbehaving(move |mut connection| {
        web::request(&connection);
        let cookies: String = (0..50).map(|number| cookie.replace("NAME", &format!("c{number}"))).collect();
        let head = format!("HTTP/1.1 302 Found\r\nlocation: /\r\n{cookies}content-length: 0\r\n\r\n");
        connection.write_all(head.as_bytes()).ok();
    });
    let seen = Look::new("http", json!({ "url": format!("http://127.0.0.1:{port}/"), "redirects": "follow" }));
    answers(&seen.limit(Duration::from_mins(1)).subject(), 302);
}
