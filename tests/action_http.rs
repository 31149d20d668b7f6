//! The http action against servers that keep what they were asked.

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opsctl::action::{ActionError, Changed};
use opsctl::model::action::Effect;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::support::act::Act;
use crate::support::look::inputs_of;
use crate::support::server::{free_port, wait_until};
use crate::support::web::{apache, misbehaving, recording, request};

const CREATED: &str = "HTTP/1.1 201 Created\r\nlocation: /jobs/7\r\nx-queue: slow\r\ncontent-length: 19\r\n\
                       connection: close\r\n\r\n{\"job\": {\"id\": 42}}";

fn answer(status: &str, rest: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{rest}content-length: 0\r\nconnection: close\r\n\r\n")
}

fn act(inputs: Json) -> Act {
    Act::new("http", inputs)
}

fn error(act: &Act) -> ActionError {
    act.run().expect_err("it is not done")
}

fn url(port: u16, path: &str) -> String {
    format!("http://127.0.0.1:{port}{path}")
}

/// A secret of this text in a file that lives as long as the test.
fn secret(folder: &tempfile::TempDir, text: &str) -> Json {
    let path = folder.path().join("secret");
    fs::write(&path, text).expect("written");
    json!({ "file": path })
}

#[test]
fn the_plan_shows_the_whole_call_without_its_secrets_and_sends_nothing() {
    let (port, asked) = recording(answer("200 OK", ""));
    let folder = tempfile::tempdir().expect("a folder");
    let act = act(json!({
        "url": url(port, "/api/export?user=7"),
        "headers": { "x-reason": "request of the person" },
        "body": "who=7\npin=correct-horse\n",
        "bearer": secret(&folder, "correct-horse"),
    }));
    let plan = act.plan().expect("a plan");
    let token = format!("  logged in with the token from file {}", folder.path().join("secret").display());
    let expected = [
        &format!("POST {}", url(port, "/api/export?user=7")),
        "  x-reason: request of the person",
        &token,
        "  | who=7",
        "  | pin=***",
        "  which must be answered with 200..299",
    ];
    assert_eq!(plan.does, expected);
    assert!(!serde_json::to_string(&plan).expect("JSON").contains("correct-horse"));
    assert!(asked.try_recv().is_err(), "nothing was sent");

    act.perform(&plan).expect("done");
    let sent = asked.recv().expect("a request").to_lowercase();
    assert!(sent.starts_with("post /api/export?user=7 http/1.1\r\n"), "{sent}");
    assert!(sent.contains("authorization: bearer correct-horse\r\n"), "{sent}");
    assert!(sent.contains("x-reason: request of the person\r\n"), "{sent}");
    assert!(sent.ends_with("\nwho=7\npin=correct-horse\n"), "{sent}");
    assert!(asked.try_recv().is_err(), "it was sent once");
}

#[test]
fn what_the_answer_says_is_known_afterwards() {
    let (port, asked) = recording(CREATED.to_owned());
    let mut act = act(json!({ "url": url(port, "/jobs"), "json": { "all": true }, "method": "PUT" }));
    act.cx.look.asked = Arc::new(["json.job.id".to_owned(), "header.x-queue".to_owned()]);
    let subject = act.subject();
    assert_eq!(subject.facts["status"], Value::Integer(201));
    assert_eq!(subject.facts["location"], Value::text("/jobs/7"));
    assert_eq!(subject.facts["header.x-queue"], Value::text("slow"));
    assert_eq!(subject.facts["json.job.id"], Value::Integer(42));
    assert!(subject.facts.contains_key("latency"));
    let sent = asked.recv().expect("a request");
    assert!(sent.contains("content-type: application/json"), "{sent}");
    assert!(sent.ends_with("{\"all\":true}"), "{sent}");
}

#[test]
fn an_answer_with_personal_data_is_not_kept_where_the_step_says_so() {
    let (port, _asked) = recording(CREATED.to_owned());
    let done = act(json!({ "url": url(port, "/"), "body_limit": "0B" })).run().expect("done");
    assert!(done.evidence.is_empty(), "{:?}", done.evidence);
    assert!(!done.subjects[0].facts.contains_key("body"));
}

#[test]
fn another_status_is_a_failure_that_says_what_the_server_said() {
    let (port, _asked) = recording("HTTP/1.1 409 Conflict\r\ncontent-length: 16\r\n\r\nalready running\n".to_owned());
    let error = error(&act(json!({ "url": url(port, "/jobs") })));
    assert_eq!((error.code, error.changed), ("status", Changed::Perhaps));
    let expected = format!("{} answered 409 Conflict, not 200..299: already running", url(port, "/jobs"));
    assert_eq!(error.message, expected);
}

#[test]
fn a_named_status_means_done() {
    let (port, _asked) = recording(answer("404 Not Found", ""));
    let act = act(json!({ "url": url(port, "/lock"), "method": "DELETE", "status": ["204", "404"] }));
    assert_eq!(act.subject().facts["status"], Value::Integer(404));
}

#[test]
fn a_redirect_is_never_followed() {
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect"] {
        let (elsewhere, asked) = recording(answer("200 OK", ""));
        let (port, _first) = recording(answer(status, &format!("location: {}\r\n", url(elsewhere, "/login"))));
        let error = error(&act(json!({ "url": url(port, "/"), "body": "x" })));
        assert_eq!((error.code, error.changed), ("status", Changed::Perhaps));
        assert!(error.message.contains(&format!("sends on to {}", url(elsewhere, "/login"))), "{error}");
        assert!(asked.try_recv().is_err(), "{status} was followed");
    }
}

#[test]
fn a_call_that_breaks_off_is_made_once_and_may_have_been_done() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let port = misbehaving(move |connection| {
        counted.fetch_add(1, Ordering::SeqCst);
        request(&connection);
        connection.shutdown(Shutdown::Both).ok();
    });
    let error = error(&act(json!({ "url": url(port, "/pay"), "body": "x" })));
    assert_eq!((error.code, error.changed), ("no_answer", Changed::Perhaps));
    assert!(error.help.is_some_and(|help| help.contains("may have been done")));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn an_answer_that_breaks_off_may_have_been_done() {
    let port = misbehaving(|mut connection| {
        request(&connection);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").ok();
    });
    let error = error(&act(json!({ "url": url(port, "/") })));
    assert_eq!((error.code, error.changed), ("no_answer", Changed::Perhaps));
    assert!(error.message.contains("answered 200 OK, then broke off"), "{error}");
}

#[test]
fn a_server_that_cannot_be_reached_has_done_nothing() {
    let error = error(&act(json!({ "url": url(free_port(), "/") })));
    assert_eq!((error.code, error.changed), ("no_answer", Changed::Nothing));
    assert!(error.message.contains("connection refused"), "{error}");
    assert!(error.message.ends_with("nothing was sent"), "{error}");
}

#[test]
fn a_certificate_that_does_not_hold_is_not_given_the_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("https://localhost:{}/", apache().expired);
    let error = error(&act(json!({ "url": url, "ca": apache().ca, "bearer": secret(&folder, "correct-horse") })));
    assert_eq!((error.code, error.changed), ("no_answer", Changed::Nothing));
    assert!(error.message.contains("certificate expired"), "{error}");
}

#[test]
fn a_trusted_server_is_called_over_tls() {
    let act = act(json!({ "url": format!("https://localhost:{}/", apache().tls), "method": "GET", "ca": apache().ca }));
    assert!(act.subject().facts.contains_key("status"));
}

#[test]
fn a_server_that_never_answers_may_have_done_it() {
    let port = misbehaving(|connection| {
        request(&connection);
        hold(&connection);
    });
    let mut act = act(json!({ "url": url(port, "/") }));
    act.cx.look.limit = Duration::from_millis(300);
    let error = error(&act);
    assert_eq!((error.code, error.changed), ("time_limit", Changed::Perhaps));
}

#[test]
fn a_cancelled_call_may_have_been_done() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let port = misbehaving(move |connection| {
        request(&connection);
        sender.send(()).ok();
        hold(&connection);
    });
    let act = act(json!({ "url": url(port, "/") }));
    let cancel = act.cx.look.cancel.clone();
    std::thread::spawn(move || {
        receiver.recv().ok();
        cancel.cancel();
    });
    let error = error(&act);
    assert_eq!((error.code, error.changed), ("cancelled", Changed::Perhaps));
}

/// Keeps the connection open for as long as the other side wants it.
fn hold(connection: &TcpStream) {
    let closed = || connection.peek(&mut [0]).is_ok_and(|read| read == 0) || connection.take_error().is_err();
    wait_until("the end of the connection", closed);
}

#[test]
fn the_plan_of_another_call_is_refused() {
    let (port, asked) = recording(answer("200 OK", ""));
    let plan = act(json!({ "url": url(port, "/a"), "body": "1" })).plan().expect("a plan");
    let error = act(json!({ "url": url(port, "/a"), "body": "2" })).perform(&plan).expect_err("it is refused");
    assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
    assert!(asked.try_recv().is_err(), "nothing was sent");
}

#[test]
fn a_missing_secret_is_found_by_the_plan() {
    let missing = act(json!({ "url": url(1, "/"), "bearer": { "env": "OPSCTL_TEST_NOT_SET" } }));
    assert_eq!(missing.plan().expect_err("no plan").code, "secret");
}

#[test]
fn a_deletion_is_destructive() {
    let kind = opsctl::action::kind("http").expect("the kind");
    let least = |method: &str| (kind.least)(&inputs_of(kind.inputs, &json!({ "url": "http://a/", "method": method })));
    assert_eq!(least("DELETE"), Effect::Destructive);
    assert_eq!(least("POST"), Effect::Change);
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    for (inputs, input) in [
        (json!({ "url": "ftp://a/" }), "url"),
        (json!({ "url": "http://me:secret@a/" }), "url"),
        (json!({ "url": "http://a/", "status": "ok" }), "status"),
        (json!({ "url": "http://a/", "status": "299..200" }), "status"),
        (json!({ "url": "http://a/", "body": "x", "json": 1 }), "json"),
        (json!({ "url": "http://a/", "body": "x", "method": "GET" }), "method"),
    ] {
        let refused = act(inputs).build().err().expect("it is refused");
        assert_eq!(refused.input, input);
        assert!(!refused.message.contains("secret"), "{refused}");
    }
}
