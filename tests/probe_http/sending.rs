//! Bodies: of a size, forms, GraphQL.

use std::io::{Read, Write};
use std::net::TcpStream;

use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use super::{answers, fact, has, page, peak, silent};
use crate::support::look::Look;
use crate::support::web::{self, misbehaving, nginx, recording};

const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// What a server is sent with these inputs.
fn sent(mut inputs: Json) -> String {
    let (port, asked) = recording(EMPTY.to_owned());
    inputs["url"] = json!(format!("http://127.0.0.1:{port}/"));
    answers(&Look::new("http", inputs).subject(), 200);
    asked.recv().expect("a request")
}

fn body_of(request: &str) -> &str {
    request.split_once("\r\n\n").expect("a head and a body").1
}

#[test]
fn what_has_a_body_is_posted_unless_the_procedure_says_otherwise() {
    assert!(sent(json!({ "json": { "a": 1 } })).starts_with("POST / "));
    assert!(sent(json!({ "body": "x", "method": "PUT" })).starts_with("PUT / "));
    assert!(sent(json!({})).starts_with("GET / "));
}

#[test]
fn a_form_is_sent_as_browsers_do_and_may_hold_a_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "a&b c\n").expect("a file");
    let request = sent(json!({ "form": { "user": "zażółć", "password": { "file": file } } }));
    assert!(request.to_lowercase().contains("content-type: application/x-www-form-urlencoded\r\n"), "{request}");
    assert_eq!(body_of(&request), "user=za%C5%BC%C3%B3%C5%82%C4%87&password=a%26b+c");
}

#[test]
fn json_is_filled_up_with_spaces_and_stays_the_same_json() {
    let request = sent(json!({ "json": { "a": [1] }, "body_size": "100kB" }));
    let body = body_of(&request);
    assert_eq!(body.len(), 100_000);
    assert_eq!(serde_json::from_str::<Json>(body).expect("JSON"), json!({ "a": [1] }));
    assert!(request.to_lowercase().contains("content-length: 100000\r\n"), "a server may refuse by this alone");
}

#[test]
fn text_is_filled_up_with_letters() {
    let request = sent(json!({ "body": "begin:", "body_size": "20B" }));
    assert_eq!(body_of(&request), "begin:xxxxxxxxxxxxxx");
    assert_eq!(body_of(&sent(json!({ "body_size": "3B" }))), "xxx");
}

#[test]
fn a_server_takes_a_body_of_its_limit_and_refuses_one_byte_more() {
    let upload = |size: &str| {
        let url = format!("http://127.0.0.1:{}/upload", nginx().plain);
        Look::new("http", json!({ "url": url, "body_size": size })).subject()
    };
    answers(&upload("1MiB"), 200);
    answers(&upload("1048577B"), 413);
    answers(&upload("5MiB"), 413);
}

/// The server reads 256 MiB of 8 GiB, as one does that gives up: a body that was built in memory would show.
#[test]
fn a_large_body_takes_no_memory() {
    let port = misbehaving(|mut connection: TcpStream| {
        let (mut buffer, mut left) = (vec![0; 1 << 20], 256_u64 << 20);
        while left > 0 {
            match connection.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(read) => left = left.saturating_sub(read as u64),
            }
        }
        connection.write_all(EMPTY.as_bytes()).ok();
        connection.read_to_end(&mut Vec::new()).ok();
    });
    let before = peak();
    let url = format!("http://127.0.0.1:{port}/");
    answers(&Look::new("http", json!({ "url": url, "body_size": "8GiB", "body_limit": "0B" })).subject(), 200);
    let grown = peak().saturating_sub(before);
    assert!(grown < 2 << 30, "{grown} bytes more");
}

#[test]
fn bodies_that_cannot_be_sent_are_refused() {
    let url = page("/");
    for (inputs, input, message) in [
        (json!({ "url": url, "form": { "a": "b" }, "json": 1 }), "form", "there are two bodies: `json` and `form`"),
        (json!({ "url": url, "form": { "a": "b" }, "body_size": "1kB" }), "body_size", "a form cannot be filled up"),
        (json!({ "url": url, "body": "long", "body_size": "3B" }), "body_size", "the body has 4 bytes already"),
        (json!({ "url": url, "method": "HEAD", "form": { "a": "b" } }), "method", "a HEAD request has no body"),
        (
            json!({ "url": url, "graphql": { "query": "{ a }", "variables": [1] } }),
            "graphql",
            "the variables of a query have names",
        ),
    ] {
        let error = Look::new("http", inputs).build().err().expect(message);
        assert_eq!((error.input, error.message.as_str()), (input, message));
        assert!(!error.help.is_empty());
    }
}

/// A look at a server that answers a GraphQL query with `body`.
fn graphql(body: &str) -> (Look, std::sync::mpsc::Receiver<String>) {
    let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
    let (port, asked) = recording(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}"));
    let query = json!({ "query": "query One($id: ID!) { ticket(id: $id) { title } }", "variables": { "id": 7 },
        "operation": "One" });
    (Look::new("http", json!({ "url": format!("http://127.0.0.1:{port}/graphql"), "graphql": query })), asked)
}

#[test]
fn a_graphql_query_is_posted_and_its_data_are_read() {
    let (look, asked) = graphql(r#"{"data":{"ticket":{"title":"printer"}}}"#);
    let seen = look.asked(&["json.data.ticket.title"]).subject();
    answers(&seen, 200);
    assert_eq!(fact(&seen, "accepted"), &Value::Bool(true));
    assert_eq!(fact(&seen, "graphql_errors"), &Value::Integer(0));
    assert_eq!(fact(&seen, "json.data.ticket.title"), &Value::text("printer"));
    let request = asked.recv().expect("a request");
    assert!(request.starts_with("POST /graphql "), "{request}");
    let body: Json = serde_json::from_str(body_of(&request)).expect("JSON");
    assert_eq!(body["variables"], json!({ "id": 7 }));
    assert_eq!(body["operationName"], json!("One"));
    assert!(body["query"].as_str().is_some_and(|query| query.starts_with("query One")), "{body}");
}

#[test]
fn graphql_errors_are_a_failure_although_the_status_is_200() {
    let errors = r#"{"errors":[{"message":"no such ticket","path":["ticket",0]},{"message":"and more"}],"data":null}"#;
    let seen = graphql(errors).0.run().expect("a look that succeeds");
    answers(&seen.subjects[0], 200);
    assert_eq!(fact(&seen.subjects[0], "accepted"), &Value::Bool(false));
    assert_eq!(fact(&seen.subjects[0], "graphql_errors"), &Value::Integer(2));
    assert_eq!(seen.subjects[0].notes, ["GraphQL: ticket.0: no such ticket"]);
    assert_eq!(seen.evidence[0].lines, ["ticket.0: no such ticket", "and more"]);
}

#[test]
fn a_page_is_no_answer_to_a_graphql_query() {
    for body in ["<h1>Maintenance</h1>", "{\"status\":\"ok\"}", "[]"] {
        let seen = graphql(body).0.subject();
        answers(&seen, 200);
        assert_eq!(fact(&seen, "accepted"), &Value::Bool(false), "{body}");
        assert!(!has(&seen, "graphql_errors"), "missing is not zero: {seen:?}");
    }
    let port = misbehaving(|connection| drop(web::request(&connection)));
    let url = format!("http://127.0.0.1:{port}/");
    silent(&Look::new("http", json!({ "url": url, "graphql": { "query": "{ a }" } })).subject());
}
