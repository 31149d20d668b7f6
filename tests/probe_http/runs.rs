//! What whole runs make of it.

use serde_json::json;

use super::page;
use crate::support::case::{Case, Ran};
use crate::support::web::{misbehaving, recording, request};

/// A run of one step with this look and these expectations, as YAML or JSON.
fn run(look: &str, expect: &str) -> Ran {
    case(look, expect).run(["daily", "page"])
}

fn case(look: &str, expect: &str) -> Case {
    let yaml = format!(
        "title: Page\nsteps:\n  - id: page\n    title: Page\n    probe: {{ http: {look} }}\n    expect: {expect}\n"
    );
    Case::new("http").site("").procedure("daily/page.yaml", &yaml)
}

fn with(body: &str) -> String {
    let (port, _) = recording(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    format!("http://127.0.0.1:{port}/")
}

#[test]
fn a_plain_look_at_a_page_is_one_line_and_expects_nothing_of_its_own() {
    run(&json!({ "url": page("/") }).to_string(), "{ status: 200 }").exits(0);
    run(&json!({ "url": page("/nothing") }).to_string(), "{ status: 404 }").exits(0);
}

#[test]
fn a_missing_member_is_neither_zero_nor_empty_nor_unequal() {
    let look = json!({ "url": page("/health.json") }).to_string();
    run(&look, "{ json: { queue.depth: at most 10 } }").exits(0);
    for condition in ["at most 10", "not contains x", "{ not: 3 }", "not above 10"] {
        for member in ["queue.length", "items.4.name", "queue.depth.x"] {
            let expect =
                format!("{{ json: {{ {member}: \"{condition}\" }} }}").replace("\"{", "{").replace("}\" }", "} }");
            run(&look, &expect).exits(3);
        }
    }
}

#[test]
fn a_number_of_json_is_not_cut_to_an_integer() {
    let look = json!({ "url": page("/health.json") }).to_string();
    run(&look, "{ json: { load: at most 1.2 } }").exits(2);
    run(&look, "{ json: { load: at most 1.9 } }").exits(0);
}

#[test]
fn lists_and_keys_with_dots_are_found() {
    let url = with(r#"{"db.main": {"up": true}, "tags": ["a", "b"], "nodes": [{"id": 1}, {"id": 2.5}]}"#);
    let look = json!({ "url": url }).to_string();
    run(&look, "{ json: { db.main.up: true, tags: contains b, tags.1: b, nodes.1.id: 2.5 } }").exits(0);
    run(&look, "{ json: { tags: contains c } }").exits(2);
}

#[test]
fn a_member_of_a_body_that_is_too_long_is_an_inability_to_tell() {
    let url = with(&format!("{{\"depth\": 3, \"more\": \"{}\"}}", "x".repeat(2000)));
    let look = json!({ "url": url, "body_limit": "1KiB" }).to_string();
    for condition in ["at most 10", "not above 10"] {
        let ran = run(&look, &format!("{{ json: {{ depth: {condition} }} }}")).exits(3);
        ran.says("longer than `body_limit` (1 KiB)");
    }
}

#[test]
fn graphql_errors_fail_a_step_that_expects_nothing_of_them() {
    let look = |body: &str| json!({ "url": with(body), "graphql": { "query": "{ a }" } }).to_string();
    run(&look(r#"{"data":{"a":1}}"#), "{ status: 200 }").exits(0);
    let errors = r#"{"errors":[{"message":"the database is gone"}]}"#;
    run(&look(errors), "{ status: 200 }").exits(2).says("the database is gone");
    run(&look(errors), "{ graphql_errors: 1 }").exits(0);
}

#[test]
fn a_share_of_errors_that_is_allowed_passes_and_any_fails_where_none_is_named() {
    let url = || {
        let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let port = misbehaving(move |mut connection| {
            request(&connection);
            let status = if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 2 { "500" } else { "200" };
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
            std::io::Write::write_all(&mut connection, answer.as_bytes()).ok();
        });
        format!("http://127.0.0.1:{port}/")
    };
    let look = || json!({ "url": url(), "samples": 10 }).to_string();
    run(&look(), "{ error_share: at most 10%, p95: below 20s }").exits(0);
    run(&look(), "{ error_share: below 10% }").exits(2).says("10 requests, 1 failed");
    run(&look(), "{ p95: below 20s }").exits(2);
    run(&look(), "{ status: 200 }").exits(2);
}

#[test]
fn a_login_that_fails_is_a_failure_and_no_inability_to_look() {
    let requests = json!([{ "name": "login", "url": "/private/" }, { "name": "home", "url": "/" }]);
    let look = json!({ "url": page("/"), "requests": requests }).to_string();
    run(&look, "{ status: 200 }").exits(2).says("not sent, because of `login`");
    let requests = json!([{ "name": "login", "url": "/private/", "status": 401 }, { "name": "home", "url": "/" }]);
    let look = json!({ "url": page("/"), "requests": requests }).to_string();
    run(&look, "{ status: 200, body: contains Welcome }").exits(0);
}

#[test]
fn what_is_captured_is_masked_wherever_it_would_be_shown() {
    let url = with(r#"{"access_token": "t0ken-t0ken"}"#);
    let requests = json!([
        { "url": "/", "capture": { "token": "json.access_token" } },
        { "url": "/${token}" },
    ]);
    let look = json!({ "url": url, "requests": requests }).to_string();
    let case = case(&look, "{ body: contains nothing }");
    case.run(["daily", "page"]).exits(2).never_says("t0ken-t0ken").says("***");
    case.run(["daily", "page", "--format", "json"]).exits(2).never_says("t0ken-t0ken");
}

#[test]
fn a_placeholder_for_what_is_not_captured_is_refused_with_its_place() {
    let requests = json!([{ "url": "/" }, { "name": "user", "url": "/users/${id}" }]);
    let look = json!({ "url": page("/"), "requests": requests }).to_string();
    let ran = run(&look, "{ status: 200 }").exits(3);
    ran.says_on_stderr("user: `${id}` is not captured before").says_on_stderr("pack/daily/page.yaml:5");
}

#[test]
fn boundary_pairs_are_written_with_templates() {
    let sizes = |length: usize| format!("{{ url: \"URL\", json: {{ message: \"{{{{ 'a' * {length} }}}}\" }} }}");
    let keys = |count: usize| {
        format!(
            "{{ url: \"URL\", headers: {{ content-type: application/json }}, body: '{{ {{% for i in range({count}) %}}\
             \"k{{{{ i }}}}\": 1{{% if not loop.last %}}, {{% endif %}}{{% endfor %}} }}' }}"
        )
    };
    let body = |look: String| {
        let (port, asked) = recording("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned());
        run(&look.replace("URL", &format!("http://127.0.0.1:{port}/")), "{ status: 200 }").exits(0);
        let request = asked.recv().expect("a request");
        let body = request.split_once("\r\n\n").expect("a head and a body").1;
        serde_json::from_str::<serde_json::Value>(body).expect("JSON")
    };
    for length in [4000, 4001, 100_000] {
        assert_eq!(body(sizes(length))["message"].as_str().map(str::len), Some(length));
    }
    for count in [50, 51] {
        assert_eq!(body(keys(count)).as_object().map(serde_json::Map::len), Some(count));
    }
}

#[test]
fn the_proxy_of_the_environment_is_never_used() {
    let (port, asked) = recording("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned());
    let proxy = format!("http://127.0.0.1:{port}");
    let case = case(&json!({ "url": page("/") }).to_string(), "{ body: contains Welcome }");
    case.env("http_proxy", &proxy).env("ALL_PROXY", &proxy).run(["daily", "page"]).exits(0);
    assert!(asked.try_recv().is_err(), "the proxy was asked");
}
