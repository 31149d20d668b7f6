//! Several URLs, several addresses.

use std::io::Write;
use std::time::Duration;

use opsctl::model::value::Value;
use serde_json::json;

use super::{SHORT, answers, fact, page, silent, text};
use crate::support::look::Look;
use crate::support::server::free_port;
use crate::support::web::{self, apache, misbehaving, recording};

#[test]
fn several_urls_are_a_subject_each_in_the_order_in_which_they_are_written() {
    let closed = format!("http://127.0.0.1:{}/", free_port());
    let urls = [page("/"), closed.clone(), page("/nothing-here")];
    let look = Look::new("http", json!({ "url": urls }));
    let seen = look.run().expect("a look that succeeds");
    let names: Vec<&str> = seen.subjects.iter().map(|subject| subject.name.as_str()).collect();
    assert_eq!(names, urls);
    answers(&seen.subjects[0], 200);
    assert!(silent(&seen.subjects[1]).starts_with("connection refused by "), "{seen:?}");
    answers(&seen.subjects[2], 404);
    let probe = look.build().expect("inputs that fit");
    assert_eq!(probe.target(), urls.join(", "));
    assert_eq!(probe.resource(), None, "it asks several servers");
}

#[test]
fn servers_that_never_answer_hold_up_no_other_and_each_has_the_whole_time() {
    let port = misbehaving(|connection| {
        web::request(&connection);
        std::thread::sleep(Duration::from_mins(10));
    });
    let hanging = (0..20).map(|number| format!("http://127.0.0.1:{port}/{number}"));
    let urls: Vec<String> = hanging.chain([page("/")]).collect();
    let seen = Look::new("http", json!({ "url": urls })).limit(SHORT).run().expect("a look that succeeds");
    assert_eq!(seen.subjects.len(), 21);
    for subject in &seen.subjects[..20] {
        assert!(silent(subject).ends_with(", then no response"), "{subject:?}");
    }
    answers(&seen.subjects[20], 200);
}

#[test]
fn what_never_had_its_turn_is_an_inability_to_look_and_no_outage() {
    let port = misbehaving(|_connection| std::thread::sleep(Duration::from_mins(10)));
    let urls: Vec<String> = (0..40).map(|number| format!("http://127.0.0.1:{port}/{number}")).collect();
    let seen = Look::new("http", json!({ "url": urls })).limit(Duration::from_secs(1)).run().expect("a look");
    silent(&seen.subjects[0]);
    assert_eq!(seen.subjects[39].error.as_deref(), Some("its turn did not come within the time limit"));
}

#[test]
fn each_address_of_a_name_is_a_subject_of_its_own() {
    let url = format!("http://localhost:{}/", apache().plain);
    let seen = Look::new("http", json!({ "url": url, "address": "each" })).run().expect("a look that succeeds");
    let first = seen.subjects.iter().find(|subject| subject.name == format!("{url} at 127.0.0.1"));
    answers(first.unwrap_or_else(|| panic!("{seen:?}")), 200);
    for other in seen.subjects.iter().filter(|subject| !subject.name.ends_with(" at 127.0.0.1")) {
        assert_eq!(other.name, format!("{url} at ::1"), "localhost has no other address");
        silent(other);
    }
    let host = format!("{}.localhost", "a".repeat(64));
    let look = Look::new("http", json!({ "url": format!("http://{host}/"), "address": "each" }));
    assert!(silent(&look.subject()).starts_with(&format!("unknown host {host}: ")));
}

#[test]
fn a_server_behind_a_balancer_is_asked_by_its_address_under_the_name_of_all() {
    let (port, asked) = recording("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned());
    let url = format!("http://shop.example:{port}/");
    let look = Look::new("http", json!({ "url": url, "connect_to": ["127.0.0.1", "127.0.0.9"] }));
    let seen = look.run().expect("a look that succeeds");
    let names: Vec<&str> = seen.subjects.iter().map(|subject| subject.name.as_str()).collect();
    assert_eq!(names, [format!("{url} at 127.0.0.1"), format!("{url} at 127.0.0.9")]);
    answers(&seen.subjects[0], 200);
    assert_eq!(text(&seen.subjects[0], "address"), "127.0.0.1");
    let request = asked.recv().expect("a request").to_lowercase();
    assert!(request.contains(&format!("host: shop.example:{port}\r\n")), "{request}");
    assert_eq!(silent(&seen.subjects[1]), format!("connection refused by 127.0.0.9:{port}"));
}

#[test]
fn the_certificate_is_that_of_the_name_and_not_of_the_address() {
    let look = |host: &str| {
        let url = format!("https://{host}:{}/", apache().tls);
        Look::new("http", json!({ "url": url, "connect_to": "127.0.0.1", "ca": apache().ca })).subject()
    };
    answers(&look("localhost"), 200);
    assert_eq!(silent(&look("shop.example")), "certificate is for localhost, 127.0.0.1, not for shop.example");
}

#[test]
fn a_redirect_to_another_host_goes_where_that_host_is() {
    let location = format!("http://localhost:{}/new.html", apache().plain);
    let port = misbehaving(move |mut connection| {
        web::request(&connection);
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        connection.write_all(head.as_bytes()).ok();
    });
    let url = format!("http://shop.example:{port}/");
    let seen = Look::new("http", json!({ "url": url, "connect_to": "127.0.0.1", "redirects": "follow" })).subject();
    answers(&seen, 200);
    assert_eq!(fact(&seen, "redirects"), &Value::Integer(1));
}

#[test]
fn what_does_not_fit_a_list_of_urls_or_addresses_is_refused() {
    let url = "http://shop.example/";
    for (inputs, input, message) in [
        (json!({ "url": [url, url] }), "url", "http://shop.example/ is named twice"),
        (json!({ "url": url, "connect_to": "shop" }), "connect_to", "`shop` is not an IP address"),
        (json!({ "url": url, "connect_to": ["10.0.0.1", "10.0.0.1"] }), "connect_to", "10.0.0.1 is named twice"),
        (
            json!({ "url": "http://10.0.0.1/", "connect_to": "10.0.0.2" }),
            "connect_to",
            "10.0.0.1 is one address and no host with several",
        ),
        (
            json!({ "url": url, "connect_to": "10.0.0.1", "address": "4" }),
            "connect_to",
            "there are two ways to the server: `address` and `connect_to`",
        ),
        (
            json!({ "url": url, "socket": "/run/x", "proxy": "http://127.0.0.1:1" }),
            "proxy",
            "there are two ways to the server: `socket` and `proxy`",
        ),
    ] {
        let error = Look::new("http", inputs).build().err().expect(message);
        assert_eq!((error.input, error.message.as_str()), (input, message));
        assert!(!error.help.is_empty());
    }
}
