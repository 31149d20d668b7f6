//! What goes wrong: outages, wrong questions, other servers, inputs that do not fit together.

use std::io::Write as _;
use std::time::Duration;

use opsctl::model::value::Value;
use serde_json::json;

use super::{ask, error, fact, has, look};
use crate::support::prometheus::shared;
use crate::support::server::free_port;
use crate::support::web::{self, apache};

#[test]
fn a_server_that_is_down_does_not_answer_and_has_no_number() {
    let url = format!("http://127.0.0.1:{}", free_port());
    for source in ["prometheus", "exposition", "json"] {
        let seen = look(json!({ source: url, "query": "up" })).subject();
        assert_eq!(fact(&seen, "answers"), &Value::Bool(false), "{source}");
        assert!(seen.notes[0].contains("connection refused") && !has(&seen, "value"), "{seen:?}");
    }
}

#[test]
fn a_server_that_is_in_trouble_does_not_answer() {
    let port = web::misbehaving(|mut connection| {
        web::request(&connection);
        connection.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nsorry").ok();
    });
    let url = format!("http://127.0.0.1:{port}");
    for source in ["prometheus", "exposition", "json"] {
        let seen = look(json!({ source: url, "query": "up" })).subject();
        assert_eq!(fact(&seen, "answers"), &Value::Bool(false), "{source}");
        assert!(seen.notes[0].ends_with("answered 503 Service Unavailable: sorry"), "{seen:?}");
    }
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let port = web::misbehaving(|connection| {
        web::request(&connection);
        std::thread::sleep(Duration::from_mins(1));
    });
    let seen = look(json!({ "prometheus": format!("http://127.0.0.1:{port}"), "query": "up" }))
        .limit(Duration::from_secs(2))
        .subject();
    assert_eq!(fact(&seen, "answers"), &Value::Bool(false));
    assert!(seen.notes[0].starts_with("no answer within 2 s"), "{seen:?}");
}

#[test]
fn what_a_server_warns_of_is_a_note_with_a_stand_in_for_thanos() {
    let body = r#"{"status":"success","warnings":["store eu-1 did not answer"],
        "data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"2"]}]}}"#;
    let (port, asked) = web::recording(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    let url = format!("http://127.0.0.1:{port}/prefix/");
    let seen = look(json!({ "prometheus": url, "query": "a + b", "headers": { "x-scope-orgid": "shop" } })).subject();
    assert_eq!(seen.notes, ["store eu-1 did not answer"]);
    let request = asked.recv().expect("a request").to_lowercase();
    assert!(request.starts_with("get /prefix/api/v1/query?query=a+%2b+b http/1.1"), "{request}");
    assert!(request.contains("x-scope-orgid: shop"), "{request}");
}

#[test]
fn a_query_that_prometheus_refuses_is_an_error_with_its_words() {
    for (query, said) in [
        ("sum(up", "unclosed left parenthesis"),
        ("requests_total * on(job) requests_total", "many-to-many matching not allowed"),
        ("up[5m]", "over a time"),
        ("\"text\"", "a text"),
    ] {
        let error = error(&ask(query));
        assert_eq!(error.code, "bad_query", "{query}: {error:?}");
        assert!(error.message.contains(said) && error.help.is_some(), "{query}: {error:?}");
    }
    let nested = look(json!({ "prometheus": shared().url, "query": "up[5m]", "window": "1h" }));
    assert_eq!(error(&nested).code, "bad_query");
}

#[test]
fn what_is_not_prometheus_is_no_source_of_numbers() {
    let page = format!("http://127.0.0.1:{}", apache().plain);
    let not_found = error(&look(json!({ "prometheus": page, "query": "up" })));
    assert!(not_found.message.contains("/api/v1/query answered 404"), "{not_found:?}");
    let html = error(&look(json!({ "exposition": format!("{page}/"), "query": "up" })));
    assert!(html.message.contains("holds no metrics in Prometheus's text format: line 1"), "{html:?}");
    let text = error(&look(json!({ "json": format!("{page}/"), "query": "up" })));
    assert!(text.message.contains("is not JSON"), "{text:?}");
    let login = error(&look(json!({ "json": format!("{page}/account"), "query": "up" })));
    assert!(login.message.contains("redirects to") && login.message.contains("/login.html"), "{login:?}");
    let graph = error(&look(json!({ "prometheus": format!("{}/graph", shared().url), "query": "up" })));
    assert!(graph.help.is_some(), "{graph:?}");
}

#[test]
fn a_file_that_is_not_there_is_an_error_that_names_it() {
    let error = error(&look(json!({ "exposition": "/none/such.prom", "query": "up" })));
    assert_eq!((error.code, error.message.as_str()), ("not_found", "/none/such.prom does not exist"));
}

#[test]
fn more_results_than_can_be_judged_are_refused() {
    let target = crate::support::prometheus::Target::start(
        &(0..501).map(|number| format!("a{{n=\"{number}\"}} 1\n")).collect::<Vec<_>>().concat(),
    );
    let error = error(&look(json!({ "exposition": target.url(), "query": "a" })));
    assert_eq!(error.code, "too_many");
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    let (p, e) = (("prometheus", json!("http://127.0.0.1")), ("exposition", json!("/a.prom")));
    let of = |pairs: &[(&str, serde_json::Value)]| {
        let mut inputs = json!({ "query": "up" });
        for (name, value) in pairs {
            inputs[*name] = value.clone();
        }
        look(inputs).build().err().map(|error| (error.input, error.message))
    };
    assert_eq!(of(std::slice::from_ref(&p)), None);
    for (pairs, input) in [
        (vec![], ""),
        (vec![p.clone(), e.clone()], ""),
        (vec![e.clone(), ("window", json!("1h"))], "window"),
        (vec![p.clone(), ("step", json!("1m"))], "step"),
        (vec![p.clone(), ("window", json!("1m")), ("step", json!("1h"))], "step"),
        (vec![p.clone(), ("of", json!("sum"))], "of"),
        (vec![p.clone(), ("window", json!("1m")), ("over", json!("up"))], "over"),
        (vec![e.clone(), ("of", json!("sum")), ("over", json!("up"))], "of"),
        (vec![e.clone(), ("ca", json!("/ca.pem"))], "ca"),
        (vec![e.clone(), ("query", json!("up{"))], "query"),
        (vec![("prometheus", json!("ftp://127.0.0.1"))], "prometheus"),
        (vec![("prometheus", json!("http://me:secret@127.0.0.1"))], "prometheus"),
    ] {
        let (at, message) = of(&pairs).unwrap_or_else(|| panic!("{pairs:?} is taken"));
        assert_eq!(at, input, "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}
