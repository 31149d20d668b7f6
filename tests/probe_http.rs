//! The http probe against Apache, nginx and servers that misbehave.

use std::io::Write;
use std::net::{Ipv6Addr, TcpListener};
use std::time::Duration;

use opsctl::model::fact::Subject;
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::json;

use crate::support::look::Look;
use crate::support::web::{self, apache, recording};

mod hostile;
mod many;
mod redirects;
mod runs;
mod samples;
mod sending;
mod sequence;
mod tls;
mod trouble;
mod ways;

/// For servers that let the time run out.
const SHORT: Duration = Duration::from_secs(2);

fn page(path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", apache().plain)
}

fn get(url: &str) -> Look {
    Look::new("http", json!({ "url": url }))
}

fn fact<'s>(subject: &'s Subject, name: &str) -> &'s Value {
    subject.facts.get(name).unwrap_or_else(|| panic!("no `{name}` in {subject:?}"))
}

fn text(subject: &Subject, name: &str) -> String {
    fact(subject, name).to_string()
}

fn seconds(subject: &Subject, name: &str) -> f64 {
    fact(subject, name).number_in(Dimension::Time).expect("a duration")
}

#[track_caller]
fn answers(subject: &Subject, status: i64) {
    assert_eq!(fact(subject, "answers"), &Value::Bool(true), "{subject:?}");
    assert_eq!(fact(subject, "status"), &Value::Integer(status), "{subject:?}");
}

/// The target does not answer, the only note says why, and no time is reported that looks like a fast answer.
#[track_caller]
fn silent(subject: &Subject) -> &str {
    assert_eq!(fact(subject, "answers"), &Value::Bool(false), "{subject:?}");
    for missing in ["latency", "transfer", "body", "body_size"] {
        assert!(!subject.facts.contains_key(missing), "{missing} in {subject:?}");
    }
    assert_eq!(subject.error, None);
    assert_eq!(subject.notes.len(), 1, "{subject:?}");
    &subject.notes[0]
}

fn has(subject: &Subject, name: &str) -> bool {
    subject.facts.contains_key(name)
}

/// The most memory that this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the own status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak");
    let number: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
    number * 1024
}

#[test]
fn a_page_is_reported_with_status_phases_size_and_body() {
    let look = get(&page("/"));
    let seen = look.subject();
    answers(&seen, 200);
    assert_eq!(seen.name, page("/"));
    assert_eq!(text(&seen, "http_version"), "HTTP/1.1");
    assert_eq!(text(&seen, "address"), "127.0.0.1");
    assert_eq!(text(&seen, "final_url"), page("/"));
    assert_eq!(fact(&seen, "redirects"), &Value::Integer(0));
    assert_eq!(fact(&seen, "body_size"), &Value::bytes(17));
    assert_eq!(fact(&seen, "body"), &Value::text("<h1>Welcome</h1>\n"));
    let phases = seconds(&seen, "connect") + seconds(&seen, "first_byte") + seconds(&seen, "transfer");
    assert!(phases > 0.0 && phases <= seconds(&seen, "latency"), "{seen:?}");
    assert!(!has(&seen, "resolve") && !has(&seen, "tls") && !has(&seen, "certificate_expires_in"), "{seen:?}");
    assert!(seen.notes.is_empty(), "{seen:?}");
    let probe = look.build().expect("inputs that fit");
    assert_eq!(probe.resource(), Some(format!("127.0.0.1:{}", apache().plain)));
    assert_eq!(probe.target(), page("/"));
}

#[test]
fn the_time_to_look_up_a_name_is_reported_and_facts_come_in_their_declared_order() {
    let seen = get(&format!("http://localhost:{}/", apache().plain)).subject();
    answers(&seen, 200);
    assert!(seconds(&seen, "resolve") > 0.0);
    let names: Vec<&str> = seen.facts.keys().map(String::as_str).collect();
    let wanted = [
        "answers",
        "status",
        "latency",
        "resolve",
        "connect",
        "first_byte",
        "transfer",
        "http_version",
        "address",
        "final_url",
        "redirects",
        "body_size",
        "body",
    ];
    assert_eq!(names, wanted);
}

#[test]
fn headers_and_json_members_are_reported_when_asked_for_and_what_is_not_there_is_missing() {
    let asked = [
        "header.content-type",
        "header.x-none",
        "json.status",
        "json.queue.depth",
        "json.load",
        "json.items.0.name",
        "json.queue.age",
        "json.queue.length",
        "json.items.7.name",
    ];
    let seen = get(&page("/health.json")).asked(&asked).subject();
    answers(&seen, 200);
    assert_eq!(fact(&seen, "header.content-type"), &Value::text("application/json"));
    assert_eq!(fact(&seen, "json.status"), &Value::text("ok"));
    assert_eq!(fact(&seen, "json.queue.depth"), &Value::Integer(3));
    assert_eq!(fact(&seen, "json.load").number_in(Dimension::Count), Some(1.9));
    assert_eq!(fact(&seen, "json.items.0.name"), &Value::text("db"));
    for missing in ["header.x-none", "json.queue.age", "json.queue.length", "json.items.7.name"] {
        assert!(!has(&seen, missing), "{missing} in {seen:?}");
    }
    assert!(!has(&seen, "body"), "a body that nobody asked for is not kept: {seen:?}");
}

#[test]
fn a_page_that_is_not_json_has_no_members_and_says_so() {
    let seen = get(&page("/")).asked(&["json.status"]).subject();
    answers(&seen, 200);
    assert!(!has(&seen, "json.status"));
    assert_eq!(seen.notes, ["the body is not JSON: expected value at line 1 column 1"]);
}

#[test]
fn an_error_page_answers_and_its_beginning_is_evidence() {
    let seen = get(&page("/nothing-here")).run().expect("a look that succeeds");
    answers(&seen.subjects[0], 404);
    assert_eq!(seen.evidence[0].title, format!("{} answered 404", page("/nothing-here")));
    assert!(seen.evidence[0].lines.iter().any(|line| line.contains("404 Not Found")), "{:?}", seen.evidence);
}

#[test]
fn a_compressed_body_is_read_and_its_headers_stay() {
    let seen = get(&page("/style.css")).asked(&["header.content-encoding", "body"]).subject();
    answers(&seen, 200);
    assert_eq!(fact(&seen, "header.content-encoding"), &Value::text("gzip"));
    assert_eq!(fact(&seen, "body_size"), &Value::bytes(22_000));
    assert!(text(&seen, "body").starts_with("body { color: black }"), "{seen:?}");
}

#[test]
fn a_body_that_unpacks_beyond_the_limit_is_missing_and_not_cut() {
    let look = Look::new("http", json!({ "url": page("/style.css"), "body_limit": "10KiB" }));
    let seen = look.subject();
    answers(&seen, 200);
    assert!(!has(&seen, "body") && !has(&seen, "body_size"), "{seen:?}");
    assert_eq!(seen.notes, ["the body is longer than `body_limit` (10 KiB), so it was not read to its end"]);
}

#[test]
fn broken_gzip_is_said() {
    let (port, _) = recording("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc".to_owned());
    let seen = get(&format!("http://127.0.0.1:{port}/")).subject();
    answers(&seen, 200);
    assert!(!has(&seen, "body"), "{seen:?}");
    assert!(seen.notes[0].starts_with("the body is not the gzip that its header promises"), "{seen:?}");
}

#[test]
fn a_head_request_has_no_body() {
    let seen = Look::new("http", json!({ "url": page("/"), "method": "HEAD" })).subject();
    answers(&seen, 200);
    assert!(!has(&seen, "body") && !has(&seen, "body_size") && !has(&seen, "transfer"), "{seen:?}");
    assert!(has(&seen, "latency"), "{seen:?}");
}

#[test]
fn a_request_carries_method_headers_and_json() {
    let (port, asked) = recording("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n".to_owned());
    let inputs = json!({
        "url": format!("http://127.0.0.1:{port}/tickets?dry=1"), "method": "POST",
        "headers": { "X-Tenant": "acme", "user-agent": "monitor" }, "json": { "title": "test", "tags": [1] },
    });
    answers(&Look::new("http", inputs).subject(), 201);
    let request = asked.recv().expect("a request");
    assert!(request.starts_with("POST /tickets?dry=1 HTTP/1.1\r\n"), "{request}");
    for line in ["x-tenant: acme\r\n", "content-type: application/json\r\n", "user-agent: monitor\r\n"] {
        assert!(request.to_lowercase().contains(line), "{request}");
    }
    assert!(request.ends_with(r#"{"title":"test","tags":[1]}"#), "{request}");
}

#[test]
fn a_text_body_is_sent_as_it_is() {
    let (port, asked) = recording("HTTP/1.1 204 No Content\r\n\r\n".to_owned());
    let url = format!("http://127.0.0.1:{port}/");
    let seen = Look::new("http", json!({ "url": url, "method": "PUT", "body": "a=1&b=ż" })).subject();
    answers(&seen, 204);
    let request = asked.recv().expect("a request");
    assert!(request.starts_with("PUT / ") && request.ends_with("\na=1&b=ż"), "{request}");
}

#[test]
fn basic_login_opens_a_private_page_and_a_wrong_password_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let login = |password: &str| {
        let file = folder.path().join(password);
        std::fs::write(&file, format!("{password}\n")).expect("a file");
        let basic = json!({ "user": web::USER, "password": { "file": file } });
        Look::new("http", json!({ "url": page("/private/"), "basic": basic }))
    };
    let look = login(web::PASSWORD);
    answers(&look.subject(), 200);
    assert!(!look.cx.mask.is_empty(), "a resolved password is masked from then on");
    answers(&login("wrong-horse").subject(), 401);
    answers(&get(&page("/private/")).subject(), 401);
}

#[test]
fn what_is_sent_as_a_login_is_masked_as_it_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "correct-horse\n").expect("a file");
    let (port, asked) = recording("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned());
    let basic = json!({ "user": "operator", "password": { "file": file } });
    let look = Look::new("http", json!({ "url": format!("http://127.0.0.1:{port}/"), "basic": basic }));
    answers(&look.subject(), 200);
    let request = asked.recv().expect("a request");
    assert!(request.contains(" Basic b3BlcmF0b3I6Y29ycmVjdC1ob3JzZQ==\r\n"), "{request}");
    let shown = look.cx.mask.apply(&request).into_owned();
    assert!(shown.contains(" Basic ***\r\n"), "{shown}");
}

#[test]
fn a_login_with_a_line_break_is_not_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "t0ken\rt0ken\n").expect("a file");
    let error = Look::new("http", json!({ "url": page("/"), "bearer": { "file": file } })).run();
    let error = error.expect_err("no header, no request");
    assert_eq!((error.code, &*error.message), ("secret", "the secret of `bearer` has a line break"));
}

#[test]
fn a_bearer_token_and_a_secret_header_are_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "t0ken-t0ken\n").expect("a file");
    let (port, asked) = recording("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned());
    let url = format!("http://127.0.0.1:{port}/");
    let inputs = json!({ "url": url, "bearer": { "file": file }, "headers": { "x-key": { "file": file } } });
    answers(&Look::new("http", inputs).subject(), 200);
    let request = asked.recv().expect("a request").to_lowercase();
    assert!(request.contains("authorization: bearer t0ken-t0ken\r\n"), "{request}");
    assert!(request.contains("x-key: t0ken-t0ken\r\n"), "{request}");
}

#[test]
fn a_missing_secret_is_an_inability_to_look() {
    let error = Look::new("http", json!({ "url": page("/"), "bearer": { "env": "OPSCTL_TEST_NO_SUCH" } })).run();
    let error = error.expect_err("no secret, no look");
    assert_eq!(error.code, "secret");
    assert_eq!(error.message, "the environment variable OPSCTL_TEST_NO_SUCH is not set");
}

#[test]
fn each_family_of_addresses_is_a_subject_of_its_own() {
    let url = format!("http://localhost:{}/", apache().plain);
    let seen = Look::new("http", json!({ "url": url, "address": "both" })).run().expect("a look that succeeds");
    let [v4, v6] = seen.subjects.as_slice() else { panic!("two subjects expected: {seen:?}") };
    assert_eq!((v4.name.as_str(), v6.name.as_str()), (&*format!("{url} over IPv4"), &*format!("{url} over IPv6")));
    answers(v4, 200);
    assert_eq!(text(v4, "address"), "127.0.0.1");
    let why = silent(v6);
    let refused = format!("connection refused by [::1]:{}", apache().plain);
    assert!(why == "localhost has no IPv6 address" || why == refused, "Apache listens on 127.0.0.1 only: {why}");
    let only = Look::new("http", json!({ "url": url, "address": "4" })).subject();
    assert_eq!(only.name, format!("{url} over IPv4"));
    answers(&only, 200);
}

#[test]
fn an_ipv6_address_in_the_url_is_asked_or_said_to_be_out_of_reach() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(listener) => {
            let port = listener.local_addr().expect("a local address").port();
            std::thread::spawn(move || {
                let (mut connection, _) = listener.accept().expect("a connection");
                web::request(&connection);
                connection.write_all(answer.as_bytes()).ok();
            });
            let look = Look::new("http", json!({ "url": format!("http://[::1]:{port}/"), "address": "6" }));
            let seen = look.subject();
            answers(&seen, 200);
            assert_eq!(text(&seen, "address"), "::1");
            assert_eq!(look.build().expect("inputs that fit").resource(), Some(format!("[::1]:{port}")));
        }
        Err(_) => assert!(silent(&get("http://[::1]:9/").subject()).starts_with("cannot connect to [::1]:9: ")),
    }
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    let secret = json!({ "env": "X" });
    let basic = json!({ "user": "u", "password": secret });
    let url = "http://localhost/";
    for (inputs, input, message) in [
        (json!({ "url": "localhost/x" }), "url", "`localhost/x` is no URL: relative URL without a base"),
        (json!({ "url": "ftp://localhost/" }), "url", "`ftp` is neither http nor https"),
        (json!({ "url": "http://u:secret@localhost/" }), "url", "the URL holds a login"),
        (json!({ "url": "http://u:secret@local host/" }), "url", "this is no URL: invalid international domain name"),
        (json!({ "url": url, "method": "GET", "body": "x" }), "method", "a GET request has no body"),
        (
            json!({ "url": url, "method": "POST", "body": "x", "json": 1 }),
            "json",
            "there are two bodies: `body` and `json`",
        ),
        (
            json!({ "url": url, "basic": basic, "bearer": secret }),
            "bearer",
            "there are two logins: `basic` and `bearer`",
        ),
        (
            json!({ "url": url, "bearer": secret, "headers": { "Authorization": "x" } }),
            "headers",
            "there are two logins: a header and another input",
        ),
        (json!({ "url": url, "headers": { "a b": "x" } }), "headers", "`a b` is not the name of a header"),
        (json!({ "url": url, "headers": { "a": "x\ny" } }), "headers", "the value of `a` has a line break"),
        (
            json!({ "url": "http://127.0.0.1/", "address": "both" }),
            "address",
            "127.0.0.1 is one address and no host with several",
        ),
    ] {
        let error = Look::new("http", inputs).build().err().expect(message);
        assert_eq!((error.input, error.message.as_str()), (input, message));
        assert!(!error.help.is_empty());
    }
}
