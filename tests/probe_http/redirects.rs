use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use serde_json::json;

use super::{answers, fact, get, has, page, silent, text};
use crate::support::look::Look;
use crate::support::server::free_port;
use crate::support::web::{apache, recording};

fn redirects(path: &str, policy: &str) -> Subject {
    Look::new("http", json!({ "url": page(path), "redirects": policy })).subject()
}

#[test]
fn a_redirect_to_a_login_page_is_not_a_200_unless_redirects_are_followed() {
    let seen = get(&page("/account")).subject();
    answers(&seen, 302);
    assert_eq!(text(&seen, "final_url"), page("/account"));
    assert_eq!(seen.notes, [format!("redirects to {}: not followed", page("/login.html"))]);
    let seen = redirects("/account", "follow");
    answers(&seen, 200);
    assert_eq!(text(&seen, "final_url"), page("/login.html"));
    assert_eq!(fact(&seen, "redirects"), &Value::Integer(1));
    assert!(seen.notes.is_empty(), "{seen:?}");
}

#[test]
fn redirects_within_the_host_are_followed_and_to_another_one_are_not() {
    let seen = redirects("/old", "same-host");
    answers(&seen, 200);
    assert_eq!(text(&seen, "final_url"), page("/new.html"));
    let seen = redirects("/elsewhere", "same-host");
    answers(&seen, 302);
    let target = format!("http://localhost:{}/new.html", apache().plain);
    assert_eq!(seen.notes, [format!("redirects to {target}: another host, not followed")]);
    let seen = redirects("/elsewhere", "follow");
    answers(&seen, 200);
    assert_eq!(text(&seen, "final_url"), target);
}

#[test]
fn a_redirect_loop_ends_after_ten() {
    let seen = redirects("/loop", "follow");
    answers(&seen, 302);
    assert_eq!(fact(&seen, "redirects"), &Value::Integer(10));
    assert_eq!(seen.notes, [format!("redirects to {}: not followed after 10 redirects", page("/loop"))]);
}

#[test]
fn a_redirect_to_something_else_than_http_is_not_followed() {
    let (port, _) = recording("HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n".into());
    let url = format!("http://127.0.0.1:{port}/");
    let seen = Look::new("http", json!({ "url": url, "redirects": "follow" })).subject();
    answers(&seen, 302);
    assert_eq!(seen.notes, ["redirects to `file:///etc/passwd`, which is not an http URL"]);
}

/// What the second server is asked when the first one redirects to it with `status`.
fn redirected_post(status: &str, host: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "correct-horse").expect("a file");
    let (second, asked) = recording("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned());
    let location = format!("location: http://intruder:pass@{host}:{second}/next");
    let (first, _) = recording(format!("HTTP/1.1 {status} x\r\n{location}\r\ncontent-length: 0\r\n\r\n"));
    let inputs = json!({
        "url": format!("http://127.0.0.1:{first}/"), "method": "POST", "json": { "a": 1 }, "redirects": "follow",
        "headers": { "x-key": "very-secret", "cookie": "session=1" },
        "basic": { "user": "operator", "password": { "file": file } },
    });
    answers(&Look::new("http", inputs).subject(), 200);
    asked.recv().expect("a request").to_lowercase()
}

#[test]
fn login_and_headers_never_follow_a_redirect_to_another_host_or_port() {
    for host in ["localhost", "127.0.0.1"] {
        let request = redirected_post("307", host);
        assert!(request.starts_with("post /next "), "{request}");
        for secret in ["authorization", "very-secret", "cookie"] {
            assert!(!request.contains(secret), "{request}");
        }
        assert!(request.contains("content-type: application/json\r\n") && request.ends_with("{\"a\":1}"), "{request}");
    }
}

#[test]
fn a_post_becomes_a_get_after_302_and_303() {
    for status in ["302", "303"] {
        let request = redirected_post(status, "127.0.0.1");
        assert!(request.starts_with("get /next ") && !request.contains("content-type"), "{request}");
    }
}

#[test]
fn a_failure_after_a_redirect_says_how_far_it_came() {
    let closed = free_port();
    let location = format!("http://127.0.0.1:{closed}/");
    let (port, _) = recording(format!("HTTP/1.1 301 x\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"));
    let url = format!("http://127.0.0.1:{port}/");
    let seen = Look::new("http", json!({ "url": url, "redirects": "follow" })).subject();
    assert_eq!(silent(&seen), format!("connection refused by 127.0.0.1:{closed}"));
    assert_eq!(text(&seen, "final_url"), location);
    assert!(!has(&seen, "status"), "the status of a redirect is not that of the answer: {seen:?}");
}
