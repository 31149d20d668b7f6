//! Servers of databases that never answer, that drip, and that send without end.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use opsctl::model::value::Value;
use serde_json::json;

use super::{measured, outcomes, steps};
use crate::support::case::Case;
use crate::support::look::Look;
use crate::support::web::misbehaving;

/// Each kind of probe that speaks with a database, and the address that it asks.
fn looks(port: u16) -> [Look; 5] {
    let address = |scheme: &str| format!("{scheme}://me@127.0.0.1:{port}/shop");
    let ask = |kind: &'static str, more: serde_json::Value| {
        let mut inputs = json!({ "database": "shop" });
        inputs.as_object_mut().expect("a mapping").extend(more.as_object().cloned().unwrap_or_default());
        Look::new(kind, inputs).limit(Duration::from_millis(700))
    };
    [
        ask("sql", json!({ "query": "SELECT 1" })).database("shop", &address("mysql")),
        ask("sql", json!({ "query": "SELECT 1" })).database("shop", &address("postgres")),
        ask("database", json!({})).database("shop", &address("mysql")),
        ask("database", json!({})).database("shop", &address("postgres")),
        ask("redis", json!({})).database("shop", &format!("redis://127.0.0.1:{port}")),
    ]
}

/// Nobody there says what it is: that is an outage, or at least an error, and never an answer.
#[track_caller]
fn nobody_answers(port: u16) {
    for look in looks(port) {
        match look.run() {
            Ok(seen) => {
                let subject = &seen.subjects[0];
                assert_eq!(subject.facts["answers"], Value::Bool(false), "{subject:?}");
                assert!(!subject.notes.is_empty(), "it says why: {subject:?}");
            }
            Err(error) => assert!(["time_limit", "bad_answer"].contains(&error.code), "{error:?}"),
        }
    }
}

#[test]
fn a_database_that_accepts_and_never_answers_ends_with_the_time() {
    nobody_answers(misbehaving(|_connection| std::thread::park()));
}

/// Sends the beginning of what the server would say, one byte after the other.
fn drips(said: &'static [u8]) -> u16 {
    misbehaving(move |mut connection| {
        for byte in said.iter().chain(std::iter::repeat(&b'x')) {
            std::thread::sleep(Duration::from_millis(100));
            if connection.write_all(&[*byte]).is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_database_that_drips_ends_with_the_time() {
    for said in [
        // MariaDB's greeting, PostgreSQL's demand of a password, Redis's long text.
        b"\x5a\0\0\0\x0a11.4".as_slice(),
        b"R\0\0\0\x17\0\0\0\x0aSCRAM",
        b"$4000000\r\n",
    ] {
        nobody_answers(drips(said));
    }
}

/// Sends `begin`, and then `rest` again and again.
fn floods(begin: &'static [u8], rest: &'static [u8]) -> u16 {
    let rest = rest.repeat(65536 / rest.len());
    misbehaving(move |mut connection: TcpStream| {
        let mut written = connection.write_all(begin);
        while written.is_ok() {
            written = connection.write_all(&rest);
        }
    })
}

#[test]
fn a_database_that_sends_without_end_ends_with_the_time() {
    for port in [
        floods(b"", b"\n"),
        floods(b"", b"\0"),
        floods(b"", b"$9\r\nxxxxxxxxx\r\n"),
        floods(b"$9223372036854775807\r\n", b"x"),
        floods(b"*1000000000\r\n", b":1\r\n"),
        floods(b"", b"*1\r\n"),
    ] {
        nobody_answers(port);
    }
}

#[test]
fn redis_that_sends_without_end_takes_little_memory() {
    for port in [
        floods(b"$9223372036854775807\r\n", b"x"),
        floods(b"*1000000000\r\n", b":1\r\n"),
        floods(b"+PONG\r\n$9000000000\r\n", b"x"),
        floods(b"+PONG\r\n", b"x"),
    ] {
        let case = Case::new("flood").procedure(
            "daily/flood.yaml",
            &steps(&[
                ("cache", "{ redis: { database: cache } }", "{ role: master }"),
                ("elsewhere", "{ file: { path: / } }", "{ exists: true }"),
            ]),
        );
        let case = case.site(&format!("databases: {{ cache: {{ url: 'redis://127.0.0.1:{port}' }} }}\n"));
        let (ran, peak) = measured(&case, "opsctl daily flood --format json");
        assert_eq!(outcomes(&ran), ["cache failed", "elsewhere passed"], "{ran}");
        assert!(peak < super::SMALL, "{peak} MiB");
    }
}
