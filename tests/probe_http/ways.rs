//! Client certificates, proxies, Unix sockets.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use super::{SHORT, answers, fact, has, page, silent, text};
use crate::support::look::Look;
use crate::support::server::free_port;
use crate::support::web::{self, apache, nginx};

// --- client certificates ---

fn mutual(more: &Json) -> Look {
    let mut inputs = json!({ "url": format!("https://localhost:{}/", apache().mutual), "ca": apache().ca });
    for (name, value) in more.as_object().expect("a mapping") {
        inputs[name] = value.clone();
    }
    Look::new("http", inputs)
}

#[test]
fn a_server_that_demands_a_client_certificate_gets_it() {
    let (certificate, key) = web::client();
    answers(&mutual(&json!({ "certificate": certificate, "key": key })).subject(), 200);
    let folder = tempfile::tempdir().expect("a folder");
    let both = folder.path().join("both.pem");
    let read = |path: &Path| std::fs::read_to_string(path).expect("a file");
    std::fs::write(&both, read(&key) + &read(&certificate)).expect("a file");
    answers(&mutual(&json!({ "certificate": both })).subject(), 200);
}

#[test]
fn without_a_certificate_the_server_refuses_and_that_is_said() {
    let at = format!("localhost:{}", apache().mutual);
    let note = silent(&mutual(&json!({})).subject()).to_owned();
    assert!(note.ends_with(" demands a client certificate"), "{at}: {note}");
    let (certificate, key) = {
        let local = web::local();
        (local.other_ca.clone(), local.other_ca.with_extension("key"))
    };
    let note = silent(&mutual(&json!({ "certificate": certificate, "key": key })).subject()).to_owned();
    assert!(note.contains(" refused the TLS handshake: "), "{note}");
}

#[test]
fn a_client_certificate_that_cannot_be_used_is_an_inability_to_look() {
    let (certificate, key) = web::client();
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let empty = file("empty.pem", "nothing\n");
    let locked =
        file("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let gone = folder.path().join("gone.pem");
    for (certificate, key, code, message) in [
        (&empty, &key, "bad_file", format!("the client certificate {} holds no certificate", empty.display())),
        (&gone, &key, "not_found", format!("the client certificate {} does not exist", gone.display())),
        (&certificate, &empty, "bad_file", format!("the key {} holds no private key", empty.display())),
        (&certificate, &locked, "bad_file", format!("the key {} is locked by a passphrase", locked.display())),
        (&certificate, &gone, "not_found", format!("the key {} does not exist", gone.display())),
    ] {
        let error = mutual(&json!({ "certificate": certificate, "key": key })).run().expect_err(&message);
        assert_eq!((error.code, error.message), (code, message));
    }
    let other = web::local().key;
    let error = mutual(&json!({ "certificate": certificate, "key": other })).run().expect_err("a key of another");
    assert!(error.message.starts_with("the client certificate cannot be used: "), "{error}");
    let error = mutual(&json!({ "key": key })).build().err().expect("no certificate");
    assert_eq!((error.input, &*error.message), ("key", "there is a key, but no certificate that it is of"));
}

// --- proxies ---

fn through(port: u16, url: &str, more: &Json) -> Look {
    let mut inputs = json!({ "url": url, "proxy": format!("http://127.0.0.1:{port}"), "ca": apache().ca });
    for (name, value) in more.as_object().expect("a mapping") {
        inputs[name] = value.clone();
    }
    Look::new("http", inputs)
}

fn login(folder: &Path, password: &str) -> Json {
    let file = folder.join(password);
    std::fs::write(&file, format!("{password}\n")).expect("a file");
    json!({ "proxy_login": { "user": web::USER, "password": { "file": file } } })
}

#[test]
fn a_page_is_asked_for_through_a_proxy() {
    let look = through(apache().proxy, &page("/"), &json!({})).asked(&["header.via", "status"]);
    let seen = look.subject();
    answers(&seen, 200);
    assert!(text(&seen, "header.via").contains("1.1 localhost"), "it came through Apache: {seen:?}");
    assert!(!has(&seen, "address"), "the address is that of the proxy: {seen:?}");
}

#[test]
fn tls_goes_through_a_proxy_and_is_that_of_the_server() {
    let url = format!("https://localhost:{}/", apache().expired);
    let seen = through(apache().proxy, &url, &json!({})).subject();
    assert_eq!(silent(&seen), format!("certificate expired on {}", web::EXPIRED_ON));
    let url = format!("https://localhost:{}/", apache().tls);
    let seen = through(apache().proxy, &url, &json!({})).subject();
    answers(&seen, 200);
    assert!(has(&seen, "connect") && has(&seen, "tls") && has(&seen, "certificate_expires_in"), "{seen:?}");
}

#[test]
fn a_proxy_that_demands_a_login_gets_it_and_no_message_shows_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("https://localhost:{}/", apache().tls);
    let port = apache().private_proxy;
    let look = through(port, &url, &login(folder.path(), web::PASSWORD));
    answers(&look.subject(), 200);
    assert!(!look.cx.mask.is_empty());
    assert!(!look.build().expect("inputs that fit").target().contains(web::PASSWORD));
    answers(&through(port, &page("/"), &login(folder.path(), web::PASSWORD)).subject(), 200);
    let seen = through(port, &url, &json!({})).subject();
    assert_eq!(silent(&seen), format!("the proxy 127.0.0.1:{port} demands a login: see `proxy_login`"));
    let seen = through(port, &url, &login(folder.path(), "wrong-horse")).subject();
    assert!(silent(&seen).starts_with(&format!("the proxy 127.0.0.1:{port} ")), "{seen:?}");
    answers(&through(port, &page("/"), &json!({})).subject(), 407);
}

#[test]
fn a_proxy_that_is_down_or_cannot_connect_is_told_from_a_server_that_is() {
    let closed = free_port();
    let seen = through(closed, &page("/"), &json!({})).subject();
    assert_eq!(silent(&seen), format!("connection refused by the proxy 127.0.0.1:{closed}"));
    let seen = through(apache().proxy, &format!("https://localhost:{closed}/"), &json!({})).subject();
    let proxy = apache().proxy;
    assert_eq!(silent(&seen), format!("the proxy 127.0.0.1:{proxy} does not connect to localhost:{closed}"));
    answers(&through(proxy, &format!("http://localhost:{closed}/"), &json!({})).subject(), 503);
}

#[test]
fn a_proxy_that_accepts_and_never_answers_ends_within_the_time_limit() {
    let port = web::misbehaving(|_connection| std::thread::sleep(Duration::from_mins(10)));
    let seen = through(port, "https://localhost/", &json!({})).limit(SHORT).subject();
    assert!(silent(&seen).starts_with("no answer within 2 s: not connected to the proxy "), "{seen:?}");
}

#[test]
fn socks_proxies_are_taken_with_a_stand_in_for_one() {
    use std::io::{Read, Write};
    let port = web::misbehaving(|mut client| {
        let mut greeting = [0; 3];
        client.read_exact(&mut greeting).ok();
        client.write_all(&[5, 0]).ok();
        let mut head = [0; 4];
        client.read_exact(&mut head).ok();
        assert_eq!(head, [5, 1, 0, 1], "connect to an IPv4 address");
        let mut place = [0; 6];
        client.read_exact(&mut place).ok();
        assert_eq!(place[..4], [127, 0, 0, 1]);
        let target = u16::from_be_bytes([place[4], place[5]]);
        let mut server = std::net::TcpStream::connect(("127.0.0.1", target)).expect("the server");
        client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).ok();
        let mut back = (server.try_clone().expect("a copy"), client.try_clone().expect("a copy"));
        std::thread::spawn(move || std::io::copy(&mut back.0, &mut back.1));
        std::io::copy(&mut client, &mut server).ok();
    });
    let look = Look::new("http", json!({ "url": page("/"), "proxy": format!("socks5://127.0.0.1:{port}") }));
    answers(&look.subject(), 200);
}

#[test]
fn what_is_no_proxy_is_refused() {
    let login = json!({ "user": "u", "password": { "env": "X" } });
    for (inputs, input, message) in [
        (json!({ "proxy": "https://proxy.example" }), "proxy", "a proxy of the kind `https` cannot be used"),
        (json!({ "proxy": "http://u:secret@proxy.example" }), "proxy", "the URL holds a login"),
        (json!({ "proxy": "proxy.example" }), "proxy", "this is no URL: relative URL without a base"),
        (json!({ "proxy_login": login }), "proxy_login", "there is a login for a proxy, but no proxy"),
    ] {
        let mut inputs = inputs;
        inputs["url"] = json!("http://shop.example/");
        let error = Look::new("http", inputs).build().err().expect(message);
        assert_eq!((error.input, error.message.as_str()), (input, message));
        assert!(!error.help.is_empty());
    }
}

// --- Unix sockets ---

fn over_socket(path: &Path) -> Look {
    Look::new("http", json!({ "url": "http://localhost/health.json", "socket": path }))
}

#[test]
fn a_server_behind_a_unix_socket_is_asked() {
    let seen = over_socket(&nginx().socket).asked(&["json.queue.depth", "status"]).subject();
    answers(&seen, 200);
    assert_eq!(fact(&seen, "json.queue.depth"), &Value::Integer(3));
    assert!(has(&seen, "connect") && !has(&seen, "address") && !has(&seen, "resolve"), "{seen:?}");
}

fn down(seen: &Subject, path: &Path, why: &str) {
    assert_eq!(silent(seen), why.replace("SOCKET", &format!("the socket {}", path.display())));
}

#[test]
fn a_socket_that_nobody_serves_is_an_outage_and_one_that_must_not_be_opened_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.sock");
    down(&over_socket(&path).subject(), &path, "SOCKET does not exist");
    drop(UnixListener::bind(&path).expect("a socket"));
    down(&over_socket(&path).subject(), &path, "connection refused by SOCKET");
    let quiet = folder.path().join("quiet.sock");
    let listener = UnixListener::bind(&quiet).expect("a socket");
    let seen = over_socket(&quiet).limit(SHORT).subject();
    assert!(silent(&seen).ends_with(", then no response"), "{seen:?}");
    drop(listener);
}

#[test]
fn a_socket_of_another_family_than_http_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    drop(listener);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    std::fs::write(&path, "no socket").expect("a file");
    down(&over_socket(&path).subject(), &path, "connection refused by SOCKET");
}
