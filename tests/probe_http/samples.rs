//! Several requests for the same.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::json;

use super::{SHORT, answers, fact, has, page, seconds};
use crate::support::look::Look;
use crate::support::server::free_port;
use crate::support::web::{self, misbehaving};

/// A server whose answer to the n-th request is `answer(n)`, from 0; an empty one is none at all.
fn server(answer: impl Fn(usize) -> String + Send + Sync + 'static) -> String {
    let (count, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(answer));
    let port = misbehaving(move |mut connection| {
        web::request(&connection);
        let answer = answer(count.fetch_add(1, Ordering::SeqCst));
        connection.write_all(answer.as_bytes()).ok();
    });
    format!("http://127.0.0.1:{port}/")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

const BUSY: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy";

fn share(seen: &opsctl::model::fact::Subject) -> f64 {
    fact(seen, "error_share").number_in(Dimension::Percent).expect("a percentage")
}

#[test]
fn the_spread_of_many_requests_is_reported() {
    let seen = Look::new("http", json!({ "url": page("/"), "samples": 20 })).subject();
    answers(&seen, 200);
    assert_eq!(fact(&seen, "accepted"), &Value::Bool(true));
    assert_eq!((fact(&seen, "samples"), fact(&seen, "errors")), (&Value::Integer(20), &Value::Integer(0)));
    assert_eq!(share(&seen), 0.0);
    let times = ["p50", "p90", "p95", "p99", "slowest"].map(|name| seconds(&seen, name));
    assert!(times[0] > 0.0 && times.is_sorted(), "{times:?}");
    assert!(seconds(&seen, "average") <= times[4]);
    assert_eq!(fact(&seen, "latency"), fact(&seen, "slowest"), "a limit on it holds for all of them");
    assert_eq!(fact(&seen, "body"), &Value::text("<h1>Welcome</h1>\n"));
    assert_eq!(seen.notes, ["20 requests, none failed"]);
    assert!(seen.inapplicable.is_empty(), "{seen:?}");
}

/// The failures here are faster than any answer: counted as latencies they would be most of the percentiles.
#[test]
fn failures_are_not_counted_as_fast_answers() {
    let url = server(|number| {
        if number % 2 == 0 {
            return BUSY.to_owned();
        }
        std::thread::sleep(Duration::from_millis(60));
        ok("fine")
    });
    let seen = Look::new("http", json!({ "url": url, "samples": 6 })).subject();
    assert!(seconds(&seen, "p50") >= 0.06 && seconds(&seen, "average") >= 0.06, "{seen:?}");
    assert_eq!(share(&seen), 50.0);
    assert_eq!(fact(&seen, "answers"), &Value::Bool(true), "each was answered");
    assert_eq!(fact(&seen, "accepted"), &Value::Bool(false), "and some with an error");
    assert_eq!(seen.notes, ["6 requests, 3 failed", "3 × answered 503", "status: 3 × 200, 3 × 503"]);
}

#[test]
fn one_failure_of_many_is_told_and_its_status_is_the_one_that_counts() {
    let url = server(|number| if number == 4 { BUSY.to_owned() } else { ok("{\"depth\": 3}") });
    let look = Look::new("http", json!({ "url": url, "samples": 20 })).asked(&["status", "json.depth"]);
    let seen = look.run().expect("a look that succeeds");
    let subject = &seen.subjects[0];
    assert_eq!(fact(subject, "status"), &Value::Integer(503), "an expectation must hold for all");
    assert_eq!(fact(subject, "json.depth"), &Value::Integer(3), "of those that did not fail");
    assert_eq!(share(subject), 5.0);
    assert_eq!(subject.notes[..2], ["20 requests, 1 failed", "1 × answered 503"]);
    assert_eq!(seen.evidence[0].lines, ["busy"]);
}

#[test]
fn a_member_that_differs_or_is_missing_once_is_not_hidden_by_the_others() {
    let body = |number| match number {
        2 => "{\"depth\": 90, \"age\": 1}",
        3 => "{\"depth\": 3}",
        _ => "{\"depth\": 3, \"age\": 1}",
    };
    let url = server(move |number| ok(body(number)));
    let look = Look::new("http", json!({ "url": url, "samples": 6 })).asked(&["json.depth", "json.age"]);
    let seen = look.subject();
    assert_eq!(fact(&seen, "json.depth"), &Value::Integer(90));
    assert!(!has(&seen, "json.age"), "one answer has none: {seen:?}");
}

#[test]
fn connections_that_break_are_failures_and_no_answers() {
    let url = server(|number| if number == 1 { String::new() } else { ok("") });
    let seen = Look::new("http", json!({ "url": url, "samples": 4 })).subject();
    assert_eq!(fact(&seen, "answers"), &Value::Bool(false));
    assert_eq!(fact(&seen, "accepted"), &Value::Bool(true), "no answer was a wrong one");
    assert_eq!(share(&seen), 25.0);
    assert_eq!(fact(&seen, "status"), &Value::Integer(200));
    assert!(seen.notes[1].ends_with("closed the connection without an answer"), "{seen:?}");
}

#[test]
fn a_server_that_is_down_has_no_times_at_all() {
    let url = format!("http://127.0.0.1:{}/", free_port());
    let seen = Look::new("http", json!({ "url": url, "samples": 5 })).subject();
    assert_eq!(fact(&seen, "answers"), &Value::Bool(false));
    assert_eq!(share(&seen), 100.0);
    for missing in ["latency", "p50", "p99", "average", "slowest", "connect", "status"] {
        assert!(!has(&seen, missing), "{missing} in {seen:?}");
    }
}

#[test]
fn a_server_that_never_answers_ends_within_the_time_limit_and_says_how_many_were_left() {
    let port = misbehaving(|connection| {
        web::request(&connection);
        std::thread::sleep(Duration::from_mins(10));
    });
    let look = Look::new("http", json!({ "url": format!("http://127.0.0.1:{port}/"), "samples": 20 }));
    let seen = look.limit(SHORT).subject();
    assert_eq!((fact(&seen, "samples"), fact(&seen, "errors")), (&Value::Integer(1), &Value::Integer(1)));
    assert_eq!(seen.notes[0], "1 request, 1 failed");
    assert_eq!(seen.notes[1], "20 were to be sent, but the time was up after 2 s: raise `timeout` of the step");
}

#[test]
fn the_interval_lies_between_two_requests() {
    let begin = Instant::now();
    Look::new("http", json!({ "url": page("/"), "samples": 3, "interval": "150ms" })).subject();
    assert!(begin.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_status_that_is_meant_is_no_error() {
    let look = Look::new("http", json!({ "url": page("/private/"), "samples": 3, "status": ["401", "403"] }));
    let seen = look.subject();
    assert_eq!((fact(&seen, "status"), fact(&seen, "errors")), (&Value::Integer(401), &Value::Integer(0)));
}

#[test]
fn what_is_only_for_samples_is_refused_without_them() {
    for (input, value) in [("interval", json!("1s")), ("status", json!("200"))] {
        let mut inputs = json!({ "url": page("/") });
        inputs[input] = value;
        let error = Look::new("http", inputs).build().err().expect(input);
        assert_eq!((error.input, error.message), (input, format!("`{input}` is for `samples`")));
    }
    let error = Look::new("http", json!({ "url": page("/"), "samples": 2, "status": "ok" })).build().err();
    assert_eq!(error.expect("no status").message, "`ok` is no HTTP status");
}
