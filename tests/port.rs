//! The port probe: sockets of this test, of other programs, and of a network namespace where there are no others.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;

use opsctl::model::fact::{Observation, Subject};
use opsctl::model::value::Value;
use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
use serde_json::{Value as Json, json};

use crate::support::again::again_under;
use crate::support::case::Case;
use crate::support::look::Look;
use crate::support::redis::Server;

fn look(inputs: Json) -> Look {
    Look::new("port", inputs)
}

fn port(number: u16) -> Subject {
    look(json!({ "number": number })).subject()
}

/// On a port that nobody listens on at another address either, as other tests do: a socket for all addresses gets it.
fn listener(address: &str) -> (TcpListener, u16) {
    for _ in 0..100 {
        let free = TcpListener::bind("[::]:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        if let Ok(listener) = TcpListener::bind(format!("{address}:{port}")) {
            return (listener, port);
        }
    }
    panic!("no listener at {address}");
}

#[track_caller]
fn fact<'s>(subject: &'s Subject, name: &str) -> &'s Value {
    subject.facts.get(name).unwrap_or_else(|| panic!("no `{name}` in {subject:?}"))
}

#[track_caller]
fn is(subject: &Subject, name: &str) -> bool {
    fact(subject, name) == &Value::Bool(true)
}

fn has(subject: &Subject, name: &str) -> bool {
    subject.facts.contains_key(name)
}

#[track_caller]
fn addresses(subject: &Subject) -> Vec<String> {
    let Value::List(addresses) = fact(subject, "addresses") else { panic!("no list in {subject:?}") };
    addresses.iter().map(ToString::to_string).collect()
}

fn names(seen: &Observation) -> Vec<&str> {
    seen.subjects.iter().map(|subject| subject.name.as_str()).collect()
}

fn own_name() -> String {
    let path = std::env::current_exe().expect("the test binary");
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// In a network of its own, with loopback (and 192.0.2.7 on it) alone, on which nothing else listens.
fn in_own_network<F: FnOnce()>(body: F) {
    let up = "ip link set lo up && ip address add 192.0.2.7/32 dev lo && exec \"$@\"";
    again_under(&["unshare", "--net", "sh", "-c", up, "sh"], body);
}

#[test]
fn a_port_on_which_a_program_listens_is_told_with_all_about_it() {
    let (_listener, number) = listener("127.0.0.1");
    let seen = look(json!({ "number": number })).run().expect("a look");
    let subject = &seen.subjects[0];
    assert_eq!(subject.name, format!("{number}/tcp"));
    assert!(is(subject, "listening") && is(subject, "ipv4") && !is(subject, "ipv6") && !is(subject, "public"));
    assert_eq!(addresses(subject), ["127.0.0.1"]);
    assert_eq!(fact(subject, "process"), &Value::text(own_name()));
    assert_eq!(fact(subject, "pid"), &Value::Integer(std::process::id().into()));
    let me = Command::new("id").arg("-un").output().expect("id");
    let me = String::from_utf8(me.stdout).expect("a name").trim().to_owned();
    assert_eq!(fact(subject, "user"), &Value::text(&me));
    assert!(subject.notes.is_empty() && !has(subject, "others"), "{subject:?}");
    let line = format!("{number}/tcp 127.0.0.1 {} ({}) of {me}", own_name(), std::process::id());
    assert_eq!((seen.evidence[0].title.as_str(), seen.evidence[0].lines.as_slice()), ("listening ports", &[line][..]));
}

#[test]
fn a_server_is_known_by_its_name() {
    let server = Server::start(&[]);
    assert_eq!(fact(&port(server.port), "process"), &Value::text("redis-server"));
}

#[test]
fn a_port_on_which_nothing_listens_is_not_public_and_has_nothing_else() {
    in_own_network(|| {
        let (listener, number) = listener("0.0.0.0");
        assert!(is(&port(number), "public"));
        drop(listener);
        let seen = port(number);
        assert!(!is(&seen, "listening") && !is(&seen, "public"), "{seen:?}");
        for missing in ["addresses", "ipv4", "ipv6", "process", "pid", "user"] {
            assert!(!has(&seen, missing), "{missing} in {seen:?}");
        }
    });
}

#[test]
fn both_families_are_told_apart_whatever_the_socket() {
    // address, shown as, IPv4, IPv6, public
    for (address, shown, ipv4, ipv6, public) in [
        ("0.0.0.0", "0.0.0.0", true, false, true),
        ("[::]", "::", true, true, true),
        ("[::1]", "::1", false, true, false),
        ("[::ffff:127.0.0.1]", "127.0.0.1", true, false, false),
        ("127.0.0.9", "127.0.0.9", true, false, false),
    ] {
        let (_listener, number) = listener(address);
        let seen = port(number);
        assert_eq!(addresses(&seen), [shown]);
        let told = ["ipv4", "ipv6", "public"].map(|name| is(&seen, name));
        assert_eq!(told, [ipv4, ipv6, public], "{address}");
    }
}

#[test]
fn a_socket_for_ipv6_alone_takes_no_ipv4() {
    let only = socket(AddressFamily::INET6, SocketType::STREAM, None).expect("a socket");
    sockopt::set_ipv6_v6only(&only, true).expect("an option");
    bind(&only, &SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0))).expect("an address");
    listen(&only, 1).expect("a listener");
    let only = TcpListener::from(only);
    let number = only.local_addr().expect("an address").port();
    let seen = port(number);
    assert_eq!((addresses(&seen), is(&seen, "ipv4"), is(&seen, "ipv6")), (vec!["::".to_owned()], false, true));

    let _other = TcpListener::bind(("0.0.0.0", number)).expect("the same port for IPv4");
    let seen = port(number);
    assert_eq!((addresses(&seen), is(&seen, "ipv4")), (vec!["0.0.0.0".to_owned(), "::".to_owned()], true));
}

#[test]
fn udp_is_another_protocol_and_a_socket_that_is_connected_listens_to_nobody_else() {
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let number = datagrams.local_addr().expect("an address").port();
    let seen = look(json!({ "number": [format!("{number}/udp"), number] })).run().expect("a look");
    assert_eq!(names(&seen), [format!("{number}/udp"), format!("{number}/tcp")]);
    assert_eq!([0, 1].map(|at| is(&seen.subjects[at], "listening")), [true, false], "{seen:?}");
    assert_eq!(fact(&seen.subjects[0], "pid"), &Value::Integer(std::process::id().into()));
    datagrams.connect("127.0.0.1:9").expect("an address");
    assert!(!is(&look(json!({ "number": format!("{number}/udp") })).subject(), "listening"));
}

#[test]
fn ports_are_results_in_the_order_in_which_they_are_named() {
    let (_first, first) = listener("127.0.0.1");
    let (_second, second) = listener("127.0.0.1");
    for order in [[first, second], [second, first]] {
        let seen = look(json!({ "number": order })).run().expect("a look");
        assert_eq!(names(&seen), order.map(|number| format!("{number}/tcp")));
    }
}

#[test]
fn only_what_takes_connections_to_the_address_counts() {
    let (_one, number) = listener("127.0.0.5");
    let (_all, everywhere) = listener("[::]");
    let listening =
        |number: u16, address: &str| is(&look(json!({ "number": number, "address": address })).subject(), "listening");
    assert!(listening(number, "127.0.0.5") && !listening(number, "127.0.0.1") && !listening(number, "::1"));
    assert!(listening(everywhere, "127.0.0.5") && listening(everywhere, "::1") && listening(everywhere, "[::1]"));
}

#[test]
fn a_connection_is_no_listener() {
    let (listener, number) = listener("127.0.0.1");
    let client = std::net::TcpStream::connect(("127.0.0.1", number)).expect("a connection");
    let _accepted = listener.accept().expect("a connection");
    assert!(!is(&port(client.local_addr().expect("an address").port()), "listening"));
}

#[test]
fn all_processes_that_hold_a_socket_are_named_and_the_first_is_numbered() {
    again_under(&["env"], || {
        // Without `CLOEXEC` a child keeps it.
        let shared = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&shared, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("an address");
        listen(&shared, 1).expect("a listener");
        let shared = TcpListener::from(shared);
        let number = shared.local_addr().expect("an address").port();
        let mut child = Command::new("sleep").arg("600").spawn().expect("a child");
        let both = port(number);
        drop(shared);
        let alone = port(number);
        child.kill().expect("it lives");
        child.wait().expect("it ends");
        assert_eq!(fact(&both, "process"), &Value::text(format!("{}, sleep", own_name())));
        assert_eq!(fact(&both, "pid"), &Value::Integer(std::process::id().into()));
        assert_eq!(fact(&alone, "process"), &Value::text("sleep"));
        assert!(!is(&port(number), "listening"));
    });
}

#[test]
fn ports_that_are_not_named_are_counted_and_told() {
    in_own_network(|| {
        let (_named, named) = listener("0.0.0.0");
        let (_local, local) = listener("127.0.0.1");
        let (_public, public) = listener("192.0.2.7");
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let udp = datagrams.local_addr().expect("an address").port();
        let asked = ["listening", "others", "public_others"];
        let seen = look(json!({ "number": named })).asked(&asked).run().expect("a look");
        assert_eq!(names(&seen), [format!("{named}/tcp"), "other ports".to_owned()]);
        let others = &seen.subjects[1];
        let counts =
            |subject: &Subject| [fact(subject, "others"), fact(subject, "public_others")].map(ToString::to_string);
        assert_eq!(counts(others), ["2", "1"]);
        assert!(others.inapplicable.iter().any(|fact| fact == "listening"), "{others:?}");
        assert!(seen.subjects[0].inapplicable.iter().any(|fact| fact == "others"), "{seen:?}");
        assert_eq!(
            others.notes,
            [format!("others can reach {public}/tcp"), format!("on loopback alone listen {local}/tcp")]
        );
        assert_eq!(seen.evidence[0].lines.len(), 3);

        let all = json!({ "number": [named, local, public, format!("{udp}/udp")] });
        let seen = look(all).asked(&asked).run().expect("a look");
        assert_eq!(counts(&seen.subjects[4]), ["0", "0"]);
        assert!(seen.subjects[4].notes.is_empty(), "{seen:?}");
        let tcp = json!({ "number": [named, local, public, format!("{}/udp", udp ^ 1)] });
        let seen = look(tcp).asked(&asked).run().expect("a look");
        assert_eq!(counts(&seen.subjects[4]), ["1", "0"], "a step that names a UDP port means UDP too");
        let here = json!({ "number": named, "address": "192.0.2.7" });
        let seen = look(here).asked(&asked).run().expect("a look");
        assert_eq!(counts(&seen.subjects[1]), ["1", "1"]);
    });
}

#[test]
fn without_a_number_every_port_is_a_result() {
    in_own_network(|| {
        let nothing = look(json!({})).run().expect("a look");
        assert_eq!((names(&nothing), fact(&nothing.subjects[0], "others")), (vec!["other ports"], &Value::Integer(0)));
        let (_first, first) = listener("127.0.0.1");
        let (_second, second) = listener("[::]");
        let seen = look(json!({})).run().expect("a look");
        let mut numbers = [first, second];
        numbers.sort_unstable();
        assert_eq!(names(&seen), numbers.map(|number| format!("{number}/tcp")));
        assert!(seen.subjects.iter().all(|subject| is(subject, "listening")), "{seen:?}");
        assert_eq!(seen.evidence[0].lines.len(), 2);
    });
}

#[test]
fn a_namespace_sees_its_own_ports_only() {
    let (_listener, number) = listener("127.0.0.1");
    assert!(is(&port(number), "listening"));
    // The test runs again there, with a listener of its own.
    in_own_network(|| assert_eq!(names(&look(json!({})).run().expect("a look")), [format!("{number}/tcp")]));
}

#[test]
fn a_step_says_these_ports_and_nothing_else() {
    in_own_network(|| {
        let (_named, named) = listener("127.0.0.1");
        let procedure = format!(
            "title: Ports\nsteps:\n- id: ports\n  title: The web server and nothing else\n  \
             probe: {{ port: {{ number: {named} }} }}\n  expect: {{ listening: true, others: 0 }}\n"
        );
        let case = Case::new("port").site("").procedure("daily/ports.yaml", &procedure);
        case.run(["daily", "check"]).exits(0);
        let (stray, other) = listener("0.0.0.0");
        case.run(["daily", "check"])
            .exits(2)
            .says("others 1, expected 0")
            .says(&format!("others can reach {other}/tcp"))
            .says(&format!("{other}/tcp 0.0.0.0 {} ({}) of root", own_name(), std::process::id()));
        drop(stray);
        let silent = Case::new("port")
            .site("")
            .procedure("daily/ports.yaml", procedure.replace(&named.to_string(), &other.to_string()).as_str());
        silent
            .run(["daily", "check"])
            .exits(2)
            .says("listening false")
            .says(&format!("on loopback alone listen {named}/tcp"));
    });
}

#[test]
fn processes_of_other_users_cannot_be_seen_and_that_is_said() {
    let (_listener, number) = listener("127.0.0.1");
    let procedure = format!(
        "title: Ports\nsteps:\n- id: port\n  title: A port\n  probe: {{ port: {{ number: {number} }} }}\n  \
         expect: {{ listening: true, user: root, process: nginx }}\n"
    );
    let ran = Case::new("port").site("").procedure("daily/ports.yaml", &procedure).by_nobody().run(["daily", "check"]);
    ran.exits(3)
        .says("which process it is cannot be seen by this user: run opsctl as root")
        .says("process not seen, expected nginx");
}

#[test]
fn what_is_no_port_and_no_address_is_refused() {
    for (inputs, input, message) in [
        (json!({ "number": "ssh" }), "number", "`ssh` is not a port"),
        (json!({ "number": 70_000 }), "number", "`70000` is not a port"),
        (json!({ "number": ["22", "22/tcp"] }), "number", "the port 22/tcp is named twice"),
        (json!({ "address": "localhost" }), "address", "`localhost` is not an IP address"),
    ] {
        let refused = look(inputs).build().err().expect("refused");
        assert_eq!((refused.input, refused.message.as_str()), (input, message));
    }
    let target = |inputs| look(inputs).build().expect("a probe").target();
    assert_eq!(target(json!({ "number": ["22", "53/udp"], "address": "::1" })), "22/tcp, 53/udp of ::1");
    assert_eq!(target(json!({})), "all listening ports");
}
