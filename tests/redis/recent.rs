//! What happened since the newest earlier run, and the slow log.

use chrono::{DateTime, TimeDelta, Utc};
use opsctl::model::unit::Quantity;
use opsctl::model::value::Value;

use super::{answers, ask, count, fact, has, seconds};
use crate::support::look::Look;
use crate::support::redis::Server;

const RECENT: [&str; 4] =
    ["recent_hit_ratio", "recent_evictions", "recent_rejected_connections", "recent_slow_commands"];

fn looked_up(server: &Server, found: u32, not_found: u32) {
    let mut connection = server.connect();
    redis::cmd("SET").arg("a").arg(1).exec(&mut connection).expect("a key");
    for key in std::iter::repeat_n("a", found as usize).chain(std::iter::repeat_n("b", not_found as usize)) {
        redis::cmd("GET").arg(key).exec(&mut connection).expect("an answer");
    }
}

/// The look after one that saw these counters `at` that time.
fn after(server: &Server, at: DateTime<Utc>, seen: &[(&str, f64)]) -> Look {
    let seen: Vec<_> = seen.iter().map(|(fact, number)| ("cache", *fact, Quantity::count(*number))).collect();
    ask(&server.url("")).asked(&RECENT).before(at, &seen)
}

fn just_now() -> DateTime<Utc> {
    Utc::now()
}

#[test]
fn the_hit_ratio_since_the_last_run_is_not_that_since_the_start() {
    let server = Server::start(&[]);
    looked_up(&server, 90, 10);
    let before = answers(&ask(&server.url("")));
    looked_up(&server, 1, 3);
    let seen = answers(&after(
        &server,
        just_now(),
        &[("hits", count(&before, "hits")), ("misses", count(&before, "misses")), ("evictions", 0.0)],
    ));
    assert_eq!(fact(&seen, "hit_ratio"), &Value::percent(91.0 / 104.0 * 100.0));
    assert_eq!(fact(&seen, "recent_hit_ratio"), &Value::percent(25.0));
    assert_eq!(count(&seen, "recent_evictions"), 0.0);
}

#[test]
fn a_first_run_has_no_recent_past() {
    let server = Server::start(&[]);
    looked_up(&server, 3, 1);
    let seen = answers(&ask(&server.url("")).asked(&RECENT));
    assert!(RECENT.iter().all(|recent| !has(&seen, recent)), "{seen:?}");
}

#[test]
fn after_a_restart_counters_begin_anew_even_when_they_passed_their_old_value() {
    let server = Server::start(&[]);
    looked_up(&server, 3, 1);
    let yesterday = Utc::now() - TimeDelta::days(1);
    let seen = answers(&after(&server, yesterday, &[("hits", 2.0), ("misses", 0.0)]));
    assert_eq!(fact(&seen, "recent_hit_ratio"), &Value::percent(75.0));
    let seen = answers(&after(&server, just_now(), &[("hits", 5000.0), ("misses", 1000.0)]));
    assert_eq!(fact(&seen, "recent_hit_ratio"), &Value::percent(75.0), "the counters were set back");
}

#[test]
fn without_any_look_up_there_is_no_recent_hit_ratio() {
    let server = Server::start(&[]);
    let seen = answers(&after(&server, just_now(), &[("hits", 0.0), ("misses", 0.0)]));
    assert!(!has(&seen, "recent_hit_ratio"), "{seen:?}");
    assert_eq!(seen.notes, ["no key was looked up since the newest earlier run"]);
}

#[test]
fn refused_connections_and_evictions_since_the_last_run_are_counted() {
    let server = Server::start(&["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"]);
    let mut connection = server.connect();
    for key in 0..100 {
        redis::cmd("SET").arg(key).arg("x".repeat(50_000)).exec(&mut connection).expect("a key");
    }
    let before = [("hits", 0.0), ("misses", 0.0), ("evictions", 1.0), ("rejected_connections", 0.0)];
    let seen = answers(&after(&server, just_now(), &before));
    assert_eq!(count(&seen, "recent_evictions"), count(&seen, "evictions") - 1.0);
    assert_eq!(count(&seen, "recent_rejected_connections"), 0.0);
}

#[test]
fn slow_commands_are_counted_and_shown_without_their_arguments() {
    let server = Server::start(&["--slowlog-log-slower-than", "0"]);
    server.run("SET token open-sesame");
    let look = ask(&server.url("")).asked(&["slow_commands"]);
    let seen = look.run().expect("a look");
    assert!(count(&seen.subjects[0], "slow_commands") >= 1.0, "{seen:?}");
    let shown = &seen.evidence[0];
    assert_eq!(shown.title, "slow commands of cache, newest first");
    assert!(shown.lines.iter().any(|line| line.ends_with("  SET …")), "{shown:?}");
    assert!(!format!("{seen:?}").contains("sesame"), "{seen:?}");
}

#[test]
fn a_server_that_records_no_slow_commands_does_not_seem_fast() {
    let server = Server::start(&["--slowlog-log-slower-than", "-1"]);
    let seen = answers(&ask(&server.url("")).asked(&["slow_commands"]));
    assert!(!has(&seen, "slow_commands"), "{seen:?}");
    assert!(seen.notes[0].starts_with("the server records no slow commands; switch it on: "), "{seen:?}");

    let recording = Server::start(&["--slowlog-log-slower-than", "60000000"]);
    assert_eq!(count(&answers(&ask(&recording.url("")).asked(&["slow_commands"])), "slow_commands"), 0.0);
}

#[test]
fn who_may_not_read_the_slow_log_is_told_what_to_allow() {
    let server = Server::start(&[]);
    server.run("ACL SETUSER watcher on >sesame +ping +info +select");
    let seen = answers(&ask(&server.url("watcher:sesame@")).asked(&["slow_commands"]));
    assert!(!has(&seen, "slow_commands"), "{seen:?}");
    assert!(seen.notes[0].ends_with("; allow it on the server: ACL SETUSER NAME +slowlog|get"), "{seen:?}");
}

#[test]
fn clients_that_wait_are_counted() {
    let server = Server::start(&[]);
    let mut waiting = server.connect();
    let id: i64 = redis::cmd("CLIENT").arg("ID").query(&mut waiting).expect("a number");
    let waits = std::thread::spawn(move || redis::cmd("BLPOP").arg("queue").arg(0).exec(&mut waiting));
    crate::support::server::wait_until("a client that waits", || {
        count(&answers(&ask(&server.url(""))), "blocked_clients") == 1.0
    });
    let seen = answers(&ask(&server.url("")));
    assert!(count(&seen, "fragmentation") > 0.0 && seconds(&seen, "uptime") >= 0.0, "{seen:?}");
    assert_eq!(fact(&seen, "saving"), &Value::Bool(false));
    server.run(&format!("CLIENT UNBLOCK {id}"));
    waits.join().expect("the thread ends").expect("the wait ends");
}
