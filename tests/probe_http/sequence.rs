//! Requests one after the other.

use std::collections::HashMap;
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use opsctl::model::fact::{Observation, Subject};
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use super::{answers, fact, silent};
use crate::support::look::Look;
use crate::support::web::{self, apache, misbehaving};

const CSRF: &str = "tok/en+1&x";
const SESSION: &str = "s3ss10n-s3ss10n";

/// A site with a login form as Django writes it, and an API with tokens. Keeps what it was asked.
struct Site {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    fn new() -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let port = misbehaving(move |mut connection: TcpStream| {
            let request = web::request(&connection);
            kept.lock().expect("no panic").push(request.clone());
            connection.write_all(answer(&request).as_bytes()).ok();
        });
        Self { port, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn requests(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn answer(request: &str) -> String {
    let page = |status: &str, head: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\n{head}content-length: {}\r\n\r\n{body}", body.len())
    };
    let (line, rest) = request.split_once("\r\n").unwrap_or((request, ""));
    let head: HashMap<String, &str> =
        rest.lines().filter_map(|line| line.split_once(": ")).map(|(name, v)| (name.to_lowercase(), v)).collect();
    let cookies = head.get("cookie").copied().unwrap_or_default();
    let body = request.rsplit_once('\n').map_or("", |(_, body)| body);
    let logged_in = cookies.contains(&format!("sessionid={SESSION}"));
    match line.trim_end_matches(" HTTP/1.1") {
        "GET /login/" => page(
            "200 OK",
            "set-cookie: csrftoken=abc; Path=/\r\n",
            &format!("<form><input type=\"hidden\" name=\"csrfmiddlewaretoken\" value=\"{CSRF}\"></form>"),
        ),
        "POST /login/"
            if cookies.contains("csrftoken=abc") && body.contains("csrfmiddlewaretoken=tok%2Fen%2B1%26x") =>
        {
            if !body.contains("password=correct-horse") {
                return page("200 OK", "", "Please enter a correct username and password.");
            }
            let head = format!("location: /home/\r\nset-cookie: sessionid={SESSION}; Path=/; HttpOnly\r\n");
            page("302 Found", &head, "")
        }
        "POST /login/" => page("403 Forbidden", "", "CSRF verification failed."),
        "GET /home/" if logged_in => page("200 OK", "", "Welcome back"),
        "GET /home/" => page("302 Found", "location: /login/\r\n", ""),
        "POST /token" => {
            page("200 OK", "", "{\"access_token\": \"t0ken-t0ken\", \"user\": {\"id\": 7, \"roles\": []}}")
        }
        "GET /users/7" if head.get("authorization") == Some(&"Bearer t0ken-t0ken") => page("200 OK", "", "{\"id\": 7}"),
        "POST /jobs" => page("202 Accepted", "location: /jobs/a%20b?full=1\r\nx-job: a b\r\n", ""),
        "GET /jobs/a%20b?full=1" | "GET /jobs/a%20b" => page("200 OK", "", "done"),
        _ => page("404 Not Found", "", "no such page"),
    }
}

fn login(folder: &std::path::Path, password: &str) -> Json {
    let file = folder.join(password);
    std::fs::write(&file, format!("{password}\n")).expect("a file");
    json!({ "name": "login", "url": "/login/", "status": 302, "form": {
        "csrfmiddlewaretoken": "${csrf}", "username": "operator", "password": { "file": file } } })
}

fn form() -> Json {
    let capture = "matches name=\"csrfmiddlewaretoken\" value=\"([^\"]+)\"";
    json!({ "name": "form", "url": "/login/", "capture": { "csrf": capture } })
}

fn run(inputs: Json, asked: &[&str]) -> Observation {
    Look::new("http", inputs).asked(asked).run().expect("a look that succeeds")
}

fn accepted(subject: &Subject) -> bool {
    fact(subject, "accepted") == &Value::Bool(true)
}

#[test]
fn a_login_through_a_form_with_a_csrf_token_opens_the_page_behind_it() {
    let (site, folder) = (Site::new(), tempfile::tempdir().expect("a folder"));
    let requests = json!([form(), login(folder.path(), web::PASSWORD), { "name": "home", "url": "/home/" }]);
    let look = Look::new("http", json!({ "url": site.url("/"), "requests": requests })).asked(&["status", "body"]);
    let seen = look.run().expect("a look that succeeds");
    let names: Vec<&str> = seen.subjects.iter().map(|subject| subject.name.as_str()).collect();
    assert_eq!(names, ["form", "login", "home"]);
    for (subject, status) in seen.subjects.iter().zip([200, 302, 200]) {
        answers(subject, status);
        assert!(accepted(subject), "{subject:?}");
    }
    assert_eq!(fact(&seen.subjects[2], "body"), &Value::text("Welcome back"));
    assert_eq!(look.cx.mask.apply(&format!("<{CSRF}>")), "<***>", "what was captured is a secret");
}

#[test]
fn what_is_expected_of_the_answer_is_expected_of_the_last_one_only() {
    let site = Site::new();
    let requests = json!([form(), { "url": "/home/" }]);
    let seen = run(json!({ "url": site.url("/"), "requests": requests }), &["status", "latency", "json.a"]);
    assert_eq!(seen.subjects[0].inapplicable, ["status", "json.a"]);
    assert!(seen.subjects[1].inapplicable.is_empty(), "{seen:?}");
    assert_eq!(seen.subjects[1].name, "2 GET /home/");
    answers(&seen.subjects[1], 302);
    assert!(accepted(&seen.subjects[1]), "the last may have any status: `expect` says which");
}

#[test]
fn a_wrong_password_ends_the_sequence_with_a_failure_and_the_page_that_says_why() {
    let (site, folder) = (Site::new(), tempfile::tempdir().expect("a folder"));
    let requests = json!([form(), login(folder.path(), "wrong-horse"), { "name": "home", "url": "/home/" }]);
    let seen = run(json!({ "url": site.url("/"), "requests": requests }), &["status"]);
    let [form, login, home] = seen.subjects.as_slice() else { panic!("three subjects expected: {seen:?}") };
    assert!(accepted(form) && !accepted(login), "{seen:?}");
    assert_eq!(login.notes, ["answered 200, not 302"]);
    assert_eq!(seen.evidence[0].lines, ["Please enter a correct username and password."]);
    assert_eq!(home.error.as_deref(), Some("not sent, because of `login`"));
    assert_eq!(site.requests().len(), 2, "the third was not sent");
}

#[test]
fn what_cannot_be_captured_ends_the_sequence() {
    let site = Site::new();
    for (capture, why) in [
        ("matches value='([0-9]+)'", "nothing in the body matches `value='([0-9]+)'`"),
        ("json.access", "the body has no member access"),
        ("json.user", "the member user of the body is not a single value"),
        ("header.x-none", "there is no header x-none"),
        ("cookie.sessionid", "there is no cookie sessionid"),
    ] {
        let requests = json!([
            { "name": "token", "url": "/token", "method": "POST", "capture": { "it": capture } },
            { "url": "/users/${it}" },
        ]);
        let seen = run(json!({ "url": site.url("/"), "requests": requests }), &[]);
        answers(&seen.subjects[0], 200);
        assert!(!accepted(&seen.subjects[0]), "{capture}");
        assert_eq!(seen.subjects[0].notes, [format!("nothing to capture for `it`: {why}")]);
        assert_eq!(seen.subjects[1].error.as_deref(), Some("not sent, because of `token`"));
    }
}

#[test]
fn a_server_that_is_down_ends_the_sequence() {
    let port = misbehaving(|connection| drop(web::request(&connection)));
    let requests = json!([{ "name": "one", "url": "/" }, { "name": "two", "url": "/" }]);
    let seen = run(json!({ "url": format!("http://127.0.0.1:{port}/"), "requests": requests }), &["status"]);
    silent(&seen.subjects[0]);
    assert_eq!(seen.subjects[1].error.as_deref(), Some("not sent, because of `one`"));
}

#[test]
fn a_token_a_header_and_a_number_are_captured_and_used() {
    let site = Site::new();
    let requests = json!([
        { "url": "/token", "json": { "user": "operator" }, "capture": { "token": "json.access_token", "id": "json.user.id" } },
        { "url": "/users/${id}", "headers": { "authorization": "Bearer ${token}" } },
        { "url": "/jobs", "json": { "by": ["${token}", "$${token}"] },
          "capture": { "where": "header.location", "job": "header.x-job" } },
        { "url": "${where}" },
        { "url": "/jobs/${job}" },
    ]);
    let seen = run(json!({ "url": site.url("/"), "requests": requests }), &["status"]);
    for (subject, status) in seen.subjects.iter().zip([200, 200, 202, 200, 200]) {
        answers(subject, status);
    }
    let requests = site.requests();
    assert!(requests[2].ends_with(r#"{"by":["t0ken-t0ken","${token}"]}"#), "{requests:?}");
    assert!(requests[4].starts_with("GET /jobs/a%20b HTTP/1.1\r\n"), "a value cannot leave its part of the path");
}

#[test]
fn cookies_are_kept_for_one_look_and_along_redirects() {
    let (site, folder) = (Site::new(), tempfile::tempdir().expect("a folder"));
    let mut login = login(folder.path(), web::PASSWORD);
    login["status"] = json!(200);
    let inputs = json!({ "url": site.url("/"), "redirects": "follow", "requests": [form(), login] });
    let seen = run(inputs, &["body"]);
    assert_eq!(fact(&seen.subjects[1], "body"), &Value::text("Welcome back"), "the cookie came with the redirect");
    let seen = run(json!({ "url": site.url("/home/") }), &[]);
    answers(&seen.subjects[0], 302);
}

#[test]
fn a_cookie_is_captured_by_its_name() {
    let site = Site::new();
    let requests = json!([
        { "url": "/login/", "capture": { "csrf": "cookie.csrftoken" } },
        { "url": "/nothing", "headers": { "x-csrftoken": "${csrf}" } },
    ]);
    run(json!({ "url": site.url("/"), "requests": requests }), &[]);
    let request = site.requests()[1].to_lowercase();
    assert!(request.contains("x-csrftoken: abc\r\n") && request.contains("cookie: csrftoken=abc\r\n"), "{request}");
}

#[test]
fn headers_and_login_of_all_requests_go_to_the_first_server_only() {
    let (site, other) = (Site::new(), Site::new());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "very-secret\n").expect("a file");
    let requests = json!([
        { "url": "/token", "method": "POST" },
        { "url": other.url("/token"), "method": "POST" },
        { "url": site.url("/token"), "method": "POST", "headers": { "x-tenant": "own" } },
    ]);
    let inputs = json!({ "url": site.url("/"), "requests": requests, "bearer": { "file": file },
        "headers": { "x-tenant": "acme" } });
    run(inputs, &[]);
    let [first, third] = site.requests().try_into().expect("two requests");
    assert!(first.contains("very-secret") && first.contains("x-tenant: acme"), "{first}");
    assert!(third.contains("very-secret") && third.contains("x-tenant: own") && !third.contains("acme"), "{third}");
    let second = &other.requests()[0];
    assert!(!second.contains("very-secret") && !second.contains("acme"), "{second}");
}

#[test]
fn a_sequence_goes_over_tls_with_http_2_as_well() {
    let requests = json!([{ "url": "/" }, { "url": "/health.json" }]);
    let inputs = json!({ "url": format!("https://localhost:{}/", apache().tls), "ca": apache().ca,
        "requests": requests });
    let seen = run(inputs, &["json.load"]);
    assert_eq!(fact(&seen.subjects[1], "json.load").to_string(), "1.9");
}

#[test]
fn a_sequence_that_cannot_be_right_is_refused_when_it_is_loaded() {
    let base = "http://shop.example/";
    let two = |first: Json, second: Json| json!({ "url": base, "requests": [first, second] });
    let plain = json!({ "url": "/" });
    for (inputs, input, message) in [
        (two(plain.clone(), json!({ "url": "/${id}" })), "requests", "2 GET /${id}: `${id}` is not captured before"),
        (
            two(
                json!({ "name": "a", "url": "/", "capture": { "id": "json.id" }, "headers": { "x": "${id}" } }),
                plain.clone(),
            ),
            "requests",
            "a: `${id}` is not captured before",
        ),
        (
            two(plain.clone(), json!({ "url": "/", "json": { "a": "${b-c}" } })),
            "requests",
            "2 POST /: `${b-c}` is no placeholder",
        ),
        (
            two(json!({ "url": "/", "capture": { "id": "body" } }), plain.clone()),
            "requests",
            "request 1: `body` cannot be captured",
        ),
        (
            two(json!({ "url": "/", "capture": { "id": "matches (" } }), plain.clone()),
            "requests",
            "request 1: `(` is not a regular expression: unclosed group",
        ),
        (
            two(json!({ "url": "/", "capture": { "a-b": "json.id" } }), plain.clone()),
            "requests",
            "request 1: `a-b` cannot stand in `${...}`",
        ),
        (
            two(json!({ "name": "a", "url": "/" }), json!({ "name": "a", "url": "/" })),
            "requests",
            "a: this name is given twice",
        ),
        (two(plain.clone(), json!({ "url": "/", "status": "ok" })), "requests", "request 2: `ok` is no HTTP status"),
        (
            two(plain.clone(), json!({ "url": "http://[x/" })),
            "requests",
            "request 2: `http://[x/` is no URL: invalid IPv6 address",
        ),
        (
            json!({ "url": base, "requests": [plain], "samples": 3 }),
            "samples",
            "`samples` is of a single request, and there are several",
        ),
        (
            json!({ "url": [base, "http://other.example/"], "requests": [plain] }),
            "url",
            "a sequence of requests starts from one URL",
        ),
        (
            json!({ "url": base, "requests": [plain], "address": "both" }),
            "requests",
            "a sequence of requests goes one way",
        ),
    ] {
        let error = Look::new("http", inputs).build().err().expect(message);
        assert_eq!((error.input, error.message.as_str()), (input, message));
        assert!(!error.help.is_empty());
    }
}
