//! The redis probe against real servers, and against what only looks like one.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use opsctl::model::fact::Subject;
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use opsctl::probe::ProbeError;
use serde_json::json;

use crate::support::look::Look;
use crate::support::redis::Server;
use crate::support::server;

mod login;
mod recent;
mod replication;
mod tls;
mod trouble;

fn ask(url: &str) -> Look {
    Look::new("redis", json!({ "database": "cache" })).database("cache", url)
}

fn has(subject: &Subject, name: &str) -> bool {
    subject.facts.contains_key(name)
}

#[track_caller]
fn fact<'s>(subject: &'s Subject, name: &str) -> &'s Value {
    subject.facts.get(name).unwrap_or_else(|| panic!("no `{name}` in {subject:?}"))
}

#[track_caller]
fn number(subject: &Subject, name: &str, dimension: Dimension) -> f64 {
    fact(subject, name).number_in(dimension).unwrap_or_else(|| panic!("`{name}` of another kind in {subject:?}"))
}

#[track_caller]
fn seconds(subject: &Subject, name: &str) -> f64 {
    number(subject, name, Dimension::Time)
}

#[track_caller]
fn count(subject: &Subject, name: &str) -> f64 {
    number(subject, name, Dimension::Count)
}

#[track_caller]
fn answers(look: &Look) -> Subject {
    let subject = look.subject();
    assert_eq!(fact(&subject, "answers"), &Value::Bool(true), "{subject:?}");
    subject
}

/// The note of a look at a server that does not answer.
#[track_caller]
fn why_down(look: &Look) -> String {
    let subject = look.subject();
    assert_eq!(fact(&subject, "answers"), &Value::Bool(false), "{subject:?}");
    assert!(!has(&subject, "latency") && subject.error.is_none(), "{subject:?}");
    subject.notes.join("; ")
}

#[track_caller]
fn error(look: &Look) -> ProbeError {
    look.run().expect_err("nothing could be seen")
}

#[test]
fn a_server_tells_what_it_is_and_how_long_it_took() {
    let server = Server::start(&[]);
    let look = ask(&server.url(""));
    let seen = answers(&look);
    assert_eq!(seen.name, "cache");
    assert!(seconds(&seen, "latency") > 0.0 && seconds(&seen, "connect_time") > 0.0, "{seen:?}");
    let installed = std::process::Command::new("redis-server").arg("--version").output().expect("its version");
    let installed = String::from_utf8(installed.stdout).expect("a text");
    assert!(installed.contains(&format!("v={} ", fact(&seen, "version"))), "{installed} {seen:?}");
    assert_eq!(fact(&seen, "role"), &Value::text("master"));
    assert_eq!(fact(&seen, "clients"), &Value::Integer(1));
    for none in ["rejected_connections", "evictions", "keys", "hits", "misses", "unsaved_changes", "replicas"] {
        assert_eq!(fact(&seen, none), &Value::Integer(0), "{none}");
    }
    assert!(seconds(&seen, "uptime") >= 0.0 && number(&seen, "memory", Dimension::Size) > 0.0, "{seen:?}");
    assert_eq!(fact(&seen, "loading"), &Value::Bool(false));
    for missing in ["hit_ratio", "aof_ok", "link_up", "lag", "last_io", "memory_limit", "memory_share"] {
        assert!(!has(&seen, missing), "{missing} in {seen:?}");
    }
    assert!(seen.notes.is_empty(), "{seen:?}");
    let probe = look.build().expect("a probe");
    assert_eq!((probe.target(), probe.resource()), ("database cache".to_owned(), Some("cache".to_owned())));
}

#[test]
fn a_socket_is_as_good_as_a_port() {
    let server = Server::start(&["--port", "0"]);
    let url = format!("unix://{}?db=3", server.socket.display());
    assert_eq!(fact(&answers(&ask(&url)), "role"), &Value::text("master"));
}

#[test]
fn keys_of_all_databases_are_counted_and_hits_make_a_ratio() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    let mut run = |name: &str, arguments: &[&str]| {
        redis::cmd(name).arg(arguments).exec(&mut connection).expect("a command that runs");
    };
    run("SET", &["a", "1"]);
    run("SELECT", &["3"]);
    run("SET", &["b", "1"]);
    for key in ["b", "b", "b", "nothing"] {
        run("GET", &[key]);
    }
    let seen = answers(&ask(&server.url("")).asked(&["info.db3.keys", "info.db0", "info.db7.keys"]));
    assert_eq!((count(&seen, "keys"), count(&seen, "hits"), count(&seen, "misses")), (2.0, 3.0, 1.0));
    assert_eq!(fact(&seen, "hit_ratio"), &Value::percent(75.0));
    assert_eq!(fact(&seen, "info.db3.keys"), &Value::Integer(1));
    assert_eq!(fact(&seen, "info.db0"), &Value::text("keys=1,expires=0,avg_ttl=0"));
    assert!(!has(&seen, "info.db7.keys"));
    assert_eq!(seen.notes, ["INFO has no field `db7.keys`"]);
}

#[test]
fn memory_has_a_share_where_it_has_a_limit() {
    let asked = ["memory_share", "hit_ratio"];
    let seen = answers(&ask(&Server::start(&[]).url("")).asked(&asked));
    assert!(!has(&seen, "memory_share") && !has(&seen, "memory_limit") && !has(&seen, "hit_ratio"));
    assert_eq!(
        seen.notes,
        ["the server has no limit of memory (maxmemory is 0)", "no key was looked up since the start"]
    );
    assert_eq!(fact(&seen, "eviction_policy"), &Value::text("noeviction"));

    let server = Server::start(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]);
    let seen = answers(&ask(&server.url("")).asked(&asked));
    let [memory, limit] = ["memory", "memory_limit"].map(|name| number(&seen, name, Dimension::Size));
    assert_eq!(limit, 64.0 * 1024.0 * 1024.0);
    assert_eq!(number(&seen, "memory_share", Dimension::Percent), memory / limit * 100.0);
    assert_eq!(fact(&seen, "eviction_policy"), &Value::text("allkeys-lru"));
}

#[test]
fn keys_that_had_to_go_are_counted() {
    let server = Server::start(&["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"]);
    let mut connection = server.connect();
    for key in 0..100 {
        redis::cmd("SET").arg(key).arg("x".repeat(50_000)).exec(&mut connection).expect("a key");
    }
    let seen = answers(&ask(&server.url("")));
    assert_eq!(count(&seen, "evictions") + count(&seen, "keys"), 100.0);
    assert!(count(&seen, "evictions") > 0.0, "{seen:?}");
}

#[test]
fn what_is_saved_and_when_is_told() {
    let server = Server::start(&["--appendonly", "yes"]);
    server.run("SET a 1");
    let seen = answers(&ask(&server.url("")));
    assert_eq!((fact(&seen, "aof"), fact(&seen, "aof_ok")), (&Value::Bool(true), &Value::Bool(true)));
    assert_eq!((count(&seen, "unsaved_changes"), fact(&seen, "last_save_ok")), (1.0, &Value::Bool(true)));
    assert!(seconds(&seen, "last_save_age") <= seconds(&seen, "uptime") + 1.0, "since the start: {seen:?}");
    server.run("SAVE");
    assert_eq!(count(&answers(&ask(&server.url(""))), "unsaved_changes"), 0.0);
}

#[test]
fn fields_of_info_are_facts_when_asked_for() {
    let server = Server::start(&[]);
    server.run("PING");
    let asked = ["mem_fragmentation_ratio", "tcp_port", "redis_mode", "cmdstat_ping.calls", "used_memory_peak_perc"];
    let asked = asked.map(|field| format!("info.{field}"));
    let seen = answers(&ask(&server.url("")).asked(&asked.each_ref().map(String::as_str)));
    assert!(count(&seen, "info.mem_fragmentation_ratio") > 0.0, "{seen:?}");
    assert_eq!(fact(&seen, "info.tcp_port"), &Value::Integer(i64::from(server.port)));
    assert_eq!(fact(&seen, "info.redis_mode"), &Value::text("standalone"));
    assert_eq!(fact(&seen, "info.cmdstat_ping.calls"), &Value::Integer(2));
    assert!(number(&seen, "info.used_memory_peak_perc", Dimension::Percent) > 0.0, "{seen:?}");
    assert!(!has(&answers(&ask(&server.url(""))), "info.tcp_port"), "nobody asked");
}

#[test]
fn connections_that_were_refused_are_counted() {
    let server = Server::start(&["--maxclients", "1"]);
    let only = server.connect();
    let note = why_down(&ask(&server.url("")));
    assert_eq!(note, format!("127.0.0.1:{}: PING was refused: ERR max number of clients reached", server.port));
    drop(only);
    server::wait_until("room for another client", || {
        fact(&ask(&server.url("")).subject(), "answers") == &Value::Bool(true)
    });
    assert!(count(&answers(&ask(&server.url(""))), "rejected_connections") >= 1.0);
}

#[test]
fn a_database_that_the_site_does_not_name_is_an_error() {
    let error = error(&Look::new("redis", json!({ "database": "cache" })));
    assert_eq!((error.code, error.message.as_str()), ("not_found", "the site file names no database cache"));
}

#[test]
fn a_url_of_another_server_is_an_error_without_the_password() {
    for url in ["mysql://me:open-sesame@127.0.0.1/shop", "redis://:open/sesame@127.0.0.1"] {
        let error = error(&ask(url));
        assert_eq!(error.code, "bad_url");
        assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
    }
}
