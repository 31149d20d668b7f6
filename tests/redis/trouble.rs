//! Servers in trouble, and what is no server of this kind.

use super::*;
use crate::support::web::misbehaving;

#[test]
fn a_server_that_loads_its_data_does_not_answer_yet_and_tells_so() {
    let server = Server::start(&["--rdbcompression", "no"]);
    let mut connection = server.connect();
    for key in 0..300 {
        redis::cmd("SET").arg(key).arg("x".repeat(2048)).exec(&mut connection).expect("a key");
    }
    drop(connection);
    server.run("SAVE");
    let slow = ["--key-load-delay", "100000", "--loading-process-events-interval-bytes", "1024"];
    let server = server.restart(&slow);
    let look = ask(&server.url(""));
    let note = why_down(&look);
    let begin = format!("127.0.0.1:{}: PING was refused: LOADING ", server.port);
    assert!(note.starts_with(&begin), "{note}");
    assert_eq!(fact(&look.subject(), "loading"), &Value::Bool(true));
}

#[test]
fn a_server_that_cannot_save_does_not_answer_and_tells_why() {
    let server = Server::start(&["--save", "3600 1", "--enable-protected-configs", "yes"]);
    let gone = server.folder().join("gone");
    std::fs::create_dir(&gone).expect("a folder");
    server.run(&format!("CONFIG SET dir {}", gone.display()));
    std::fs::remove_dir_all(&gone).expect("it is empty");
    server.run("SET a 1");
    server.run("BGSAVE");
    let look = ask(&server.url(""));
    server::wait_until("the failure", || fact(&look.subject(), "last_save_ok") == &Value::Bool(false));
    let note = why_down(&look);
    assert!(note.contains(": PING was refused: MISCONF Redis is configured to save RDB snapshots, but"), "{note}");
    assert_eq!(count(&look.subject(), "unsaved_changes"), 1.0);
}

#[test]
fn a_server_that_is_not_there_does_not_answer() {
    let port = server::free_port();
    let look = ask(&format!("redis://:open-sesame@127.0.0.1:{port}"));
    assert_eq!(why_down(&look), format!("127.0.0.1:{port}: connection refused"));
    assert_eq!(why_down(&ask("unix:///nowhere/redis.sock")), "/nowhere/redis.sock: no such socket");
    // Longer than a name may be: nobody is asked.
    let host = "x".repeat(70);
    let note = why_down(&ask(&format!("redis://{host}")));
    assert!(note.starts_with(&format!("{host}:6379: ")), "{note}");
}

#[test]
fn a_server_that_accepts_and_never_speaks_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    for (login, missing) in [("", "PING"), (":sesame@", "AUTH")] {
        let look = ask(&format!("redis://{login}127.0.0.1:{port}")).limit(Duration::from_millis(400));
        assert_eq!(why_down(&look), format!("127.0.0.1:{port}: no answer to {missing} within 400ms"));
    }
    let look = ask(&format!("rediss://127.0.0.1:{port}")).limit(Duration::from_millis(400));
    assert_eq!(why_down(&look), format!("127.0.0.1:{port}: no answer to the TLS handshake within 400ms"));
}

#[test]
fn a_server_that_hangs_after_ping_does_not_answer() {
    let port = misbehaving(|mut connection| {
        connection.write_all(b"+PONG\r\n").ok();
        std::thread::park();
    });
    let subject = ask(&format!("redis://127.0.0.1:{port}")).limit(Duration::from_millis(400)).subject();
    assert_eq!(fact(&subject, "answers"), &Value::Bool(false));
    let note = format!("127.0.0.1:{port}: PING was answered, but no answer to INFO within 400ms");
    assert_eq!(subject.notes, [note]);
}

#[test]
fn what_speaks_another_protocol_does_not_answer() {
    let endless = vec![b'$'; 9 << 20];
    for (said, shown) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), "`HTTP/1.1 400 Bad Request`"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "`SSH-2.0-OpenSSH_9.2`"),
        (b"+PON", "`+PON`"),
        (b"*99999999999\r\n:1\r\n", "`*99999999999 :1`"),
        (b"$9223372036854775807\r\nx", "`$9223372036854775807 x`"),
        (b"\x16\x03\x01\0\0", "`"),
        (b"%-1\r\n|-1\r\n", "`%-1 |-1`"),
        (&endless, "`$$$"),
    ] {
        let said = said.to_vec();
        let port = misbehaving(move |mut connection| {
            connection.write_all(&said).ok();
        });
        let note = why_down(&ask(&format!("redis://127.0.0.1:{port}")));
        let begin = format!("127.0.0.1:{port}: what answers there does not speak the protocol of Redis: {shown}");
        assert!(note.starts_with(&begin), "{note}");
    }
}

#[test]
fn a_server_that_closes_the_connection_does_not_answer() {
    let port = misbehaving(drop);
    assert_eq!(
        why_down(&ask(&format!("redis://127.0.0.1:{port}"))),
        format!("127.0.0.1:{port}: the server closed the connection")
    );
}

#[test]
fn an_answer_to_ping_that_is_no_pong_is_none() {
    let port = misbehaving(|mut connection| {
        connection.write_all(b"+PING\r\n").ok();
        std::thread::park();
    });
    let note = why_down(&ask(&format!("redis://127.0.0.1:{port}")));
    assert_eq!(note, format!("127.0.0.1:{port}: it answers PING, but not with PONG"));
}
