//! PostgreSQL: a primary with a standby; sessions, locks, replication.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::json;
use sqlx::PgConnection;

use super::{SESSIONS, answers, ask, ask_with, count, fact, has, lines, number, seconds, why_down};
use crate::support::postgres::{self, Postgres};
use crate::support::server::wait_until;

type Client = super::Client<PgConnection>;

/// While there is this file, the archive of the primary refuses all.
fn refusal() -> PathBuf {
    std::env::temp_dir().join(format!("opsctl-archive-refuses-{}", std::process::id()))
}

/// A primary and its standby.
fn pair() -> &'static (Postgres, Postgres) {
    static PAIR: OnceLock<(Postgres, Postgres)> = OnceLock::new();
    PAIR.get_or_init(|| {
        let primary = Postgres::start(
            "postgres-primary",
            &[],
            &[
                "max_prepared_transactions=2",
                "deadlock_timeout=100ms",
                "archive_mode=on",
                &format!("archive_command=test ! -e {}", refusal().display()),
            ],
        );
        let standby = primary.standby("postgres-standby", &["max_prepared_transactions=2", "hot_standby=on"]);
        primary.query("postgres", "CREATE DATABASE shop");
        primary.query("shop", "CREATE TABLE ticket (id int PRIMARY KEY, t text)");
        primary.query("shop", "INSERT INTO ticket VALUES (1, 'printer'), (2, 'slow')");
        (primary, standby)
    })
}

fn primary() -> &'static Postgres {
    &pair().0
}

/// Tests that judge all sessions of the server, or the state of its replication, come one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_primary_tells_what_it_is_and_how_much_room_it_has() {
    let _alone = alone();
    let look = ask(&primary().url("shop"));
    let seen = answers(&look);
    assert_eq!((fact(&seen, "role"), fact(&seen, "read_only")), (&Value::text("primary"), &Value::Bool(false)));
    assert!(seconds(&seen, "connect_time") > 0.0 && seconds(&seen, "query_time") > 0.0, "{seen:?}");
    assert!(fact(&seen, "version").to_string().contains('.') && seconds(&seen, "uptime") >= 0.0, "{seen:?}");
    assert_eq!(count(&seen, "connection_limit"), 97.0, "without the three of superusers");
    assert_eq!(
        number(&seen, "connection_share", Dimension::Percent),
        count(&seen, "connections") / 97.0 * 100.0,
        "{seen:?}"
    );
    assert!((0.0..1.0).contains(&number(&seen, "wraparound", Dimension::Percent)), "{seen:?}");
    assert!(seen.inapplicable.contains(&"history_list".to_owned()), "{seen:?}");
    assert!(!has(&seen, "link_up") && !has(&seen, "replaying"), "{seen:?}");
    let probe = look.build().expect("a probe");
    assert_eq!((probe.target(), probe.resource()), ("database shop".to_owned(), Some("shop".to_owned())));
}

#[test]
fn a_database_that_does_not_exist_does_not_answer_though_pg_isready_accepts_it() {
    let server = primary();
    let ready = Command::new(server.programs.join("pg_isready"))
        .args(["--host=127.0.0.1", &format!("--port={}", server.port), "--dbname=nothing"])
        .output()
        .expect("pg_isready runs");
    assert!(ready.status.success(), "it accepts a database that does not exist");
    assert!(why_down(&ask(&server.url("nothing"))).ends_with(r#": database "nothing" does not exist"#));
}

#[test]
fn without_work_no_time_is_long() {
    let _alone = alone();
    let seen = answers(&ask(&primary().url("shop")));
    for none in ["longest_query", "longest_transaction", "longest_idle_in_transaction", "longest_lock_wait"] {
        assert_eq!(seconds(&seen, none), 0.0, "{none} in {seen:?}");
    }
    for none in ["idle_in_transaction", "blocked", "prepared_transactions", "inactive_slots"] {
        assert_eq!(count(&seen, none), 0.0, "{none} in {seen:?}");
    }
}

#[test]
fn who_waits_for_a_lock_and_who_holds_it_is_shown_without_secrets() {
    let _alone = alone();
    let url = primary().url("shop");
    let mut holder = Client::new(&url);
    holder.run("BEGIN; UPDATE ticket SET t = 'open-sesame' WHERE id = 1").expect("a lock");
    let waits = Client::new(&url).start("UPDATE ticket SET t = 'other-sesame' WHERE id = 1");
    wait_until("a blocked session", || count(&answers(&ask(&url)), "blocked") == 1.0);
    wait_until("a transaction of a second", || seconds(&answers(&ask(&url)), "longest_lock_wait") >= 1.0);

    let look = ask(&url);
    let seen = look.run().expect("a look");
    let subject = &seen.subjects[0];
    assert_eq!((count(subject, "blocked"), count(subject, "idle_in_transaction")), (1.0, 1.0), "{seen:?}");
    assert!(seconds(subject, "longest_transaction") >= seconds(subject, "longest_lock_wait"), "{seen:?}");
    assert!(seconds(subject, "longest_query") >= 1.0 && seconds(subject, "longest_idle_in_transaction") >= 1.0);
    let pid = primary().query("shop", "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction'");
    let shown = lines(&seen, SESSIONS);
    assert!(shown.contains(&format!(" for {}", pid[0])), "the waiting names who holds the lock: {shown}");
    assert!(shown.contains("UPDATE ticket SET t = ? WHERE id = 1") && !shown.contains("sesame"), "{shown}");

    holder.run("COMMIT").expect("the lock goes");
    waits.join().expect("the thread ends").expect("the update ends");
}

#[test]
fn a_user_without_rights_sees_that_something_is_hidden_and_not_zero() {
    let _alone = alone();
    let server = primary();
    server.query("shop", "CREATE ROLE watcher LOGIN PASSWORD 'open-sesame'");
    let url = format!("postgres://watcher:open-sesame@127.0.0.1:{}/shop", server.port);
    let hidden = ["longest_query", "longest_transaction", "idle_in_transaction", "blocked", "replicas", "lag"];
    let seen = answers(&ask(&url).asked(&hidden));
    assert!(hidden.iter().all(|fact| !has(&seen, fact)), "{seen:?}");
    assert!(count(&seen, "connections") >= 1.0, "{seen:?}");
    assert!(seen.notes[0].contains("GRANT pg_monitor TO") && seen.notes[0].contains("`longest_query`"), "{seen:?}");

    server.query("shop", "GRANT pg_monitor TO watcher");
    wait_until("a standby that is connected", || count(&answers(&ask(&url)), "replicas") == 1.0);
    let seen = answers(&ask(&url).asked(&hidden));
    assert!(hidden.iter().all(|fact| has(&seen, fact)) && seen.notes.is_empty(), "{seen:?}");
}

#[test]
fn deadlocks_since_the_last_run_are_counted() {
    let _alone = alone();
    let url = primary().url("shop");
    let look = || ask(&url).asked(&["recent_deadlocks"]);
    let before = answers(&look());
    assert!(!has(&before, "recent_deadlocks"), "{before:?}");
    let [mut first, mut second] = [Client::new(&url), Client::new(&url)];
    first.run("BEGIN; UPDATE ticket SET t = 'a' WHERE id = 1").expect("a lock");
    second.run("BEGIN; UPDATE ticket SET t = 'b' WHERE id = 2").expect("a lock");
    let crossed = first.start("UPDATE ticket SET t = 'a' WHERE id = 2; ROLLBACK");
    let other = second.run("UPDATE ticket SET t = 'b' WHERE id = 1; ROLLBACK");
    drop(second);
    let ended = crossed.join().expect("the thread ends");
    assert!(ended.is_err() || other.is_err(), "one of both is ended");
    let then = opsctl::model::unit::Quantity::count(count(&before, "deadlocks"));
    wait_until("the statistics", || {
        let look = look().before(chrono::Utc::now(), &[("shop", "deadlocks", then)]);
        count(&answers(&look), "recent_deadlocks") == 1.0
    });
}

#[test]
fn prepared_transactions_and_slots_that_nobody_uses_are_found() {
    let _alone = alone();
    let server = primary();
    server.query("shop", "BEGIN; INSERT INTO ticket VALUES (7, 'forgotten'); PREPARE TRANSACTION 'forgotten'");
    server.query("shop", "SELECT pg_create_physical_replication_slot('forgotten', true)");
    server.query("shop", "SELECT pg_logical_emit_message(false, 'x', repeat('x', 100000)), pg_switch_wal()");
    let look = ask(&server.url("shop"));
    let seen = look.run().expect("a look");
    server.query("shop", "ROLLBACK PREPARED 'forgotten'");
    server.query("shop", "SELECT pg_drop_replication_slot('forgotten')");
    let subject = &seen.subjects[0];
    assert_eq!((count(subject, "prepared_transactions"), count(subject, "inactive_slots")), (1.0, 1.0));
    assert!(number(subject, "retained_wal", Dimension::Size) >= 100_000.0, "{seen:?}");
    assert!(lines(&seen, "replication slots that nobody uses").contains("forgotten"), "{seen:?}");
}

#[test]
fn an_archive_that_is_off_or_fails_is_not_archiving() {
    let _alone = alone();
    let seen = answers(&ask(&postgres::url("postgres")).asked(&["archiving"]));
    assert_eq!(fact(&seen, "archiving"), &Value::Bool(false));
    assert!(seen.notes.contains(&"WAL is not archived: archive_mode is off".to_owned()), "{seen:?}");

    let server = primary();
    let look = ask(&server.url("shop")).asked(&["archiving"]);
    let next = || server.query("shop", "SELECT pg_logical_emit_message(false, 'x', 'x'); SELECT pg_switch_wal()");
    std::fs::write(refusal(), "").expect("the archive refuses");
    next();
    wait_until("a failure", || answers(&look).notes.iter().any(|note| note.starts_with("archiving ")));
    let seen = answers(&look);
    std::fs::remove_file(refusal()).expect("the archive takes again");
    assert_eq!(fact(&seen, "archiving"), &Value::Bool(false), "{seen:?}");
    next();
    wait_until("an archive that works", || fact(&answers(&look), "archiving") == &Value::Bool(true));
}

/// A standby that has replayed all.
fn wait_until_caught_up() {
    let (primary, standby) = pair();
    let end = primary.query("postgres", "SELECT pg_current_wal_lsn()");
    wait_until("a standby in step", || {
        let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{}'", end[0]);
        standby.query("postgres", &sql) == ["t"]
    });
}

#[test]
fn a_standby_of_an_idle_primary_has_no_lag_however_old_the_last_change_is() {
    let _alone = alone();
    let (primary, standby) = pair();
    wait_until_caught_up();
    let naive = "SELECT coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0) >= 2";
    wait_until("an idle primary", || standby.query("postgres", naive) == ["t"]);
    let seen = answers(&ask(&standby.url("shop")));
    assert_eq!((fact(&seen, "role"), fact(&seen, "read_only")), (&Value::text("replica"), &Value::Bool(true)));
    assert_eq!((fact(&seen, "link_up"), fact(&seen, "replaying")), (&Value::Bool(true), &Value::Bool(true)));
    assert_eq!((seconds(&seen, "lag_time"), number(&seen, "lag", Dimension::Size)), (0.0, 0.0), "{seen:?}");

    wait_until("a standby that has told so", || {
        answers(&ask(&primary.url("shop"))).facts.get("lag") == Some(&Value::bytes(0))
    });
    let seen = answers(&ask(&primary.url("shop")));
    assert_eq!((count(&seen, "replicas"), seconds(&seen, "lag_time")), (1.0, 0.0), "{seen:?}");
}

#[test]
fn a_paused_replay_is_behind_in_bytes_and_in_time() {
    let _alone = alone();
    let (primary, standby) = pair();
    wait_until_caught_up();
    standby.query("postgres", "SELECT pg_wal_replay_pause()");
    primary.query("shop", "UPDATE ticket SET t = repeat('x', 1000) WHERE id = 2");
    wait_until("something that is not replayed", || {
        number(&answers(&ask(&standby.url("shop"))), "lag", Dimension::Size) > 0.0
    });
    let seen = answers(&ask(&standby.url("shop")));
    let behind = answers(&ask(&primary.url("shop")));
    standby.query("postgres", "SELECT pg_wal_replay_resume()");
    assert_eq!((fact(&seen, "replaying"), fact(&seen, "link_up")), (&Value::Bool(false), &Value::Bool(true)));
    assert!(seconds(&seen, "lag_time") > 0.0, "{seen:?}");
    assert!(seen.notes.iter().any(|note| note.contains("the replay is paused")), "{seen:?}");
    assert!(number(&behind, "lag", Dimension::Size) > 0.0, "the primary knows as well: {behind:?}");
}

#[test]
fn a_standby_without_its_primary_does_not_know_how_late_it_is() {
    let _alone = alone();
    let (_, standby) = pair();
    wait_until_caught_up();
    let conninfo = standby.query("postgres", "SHOW primary_conninfo");
    standby.query("postgres", "ALTER SYSTEM SET primary_conninfo = ''");
    standby.query("postgres", "SELECT pg_reload_conf()");
    let look = ask(&standby.url("shop")).asked(&["lag_time"]);
    wait_until("the end of the link", || fact(&answers(&look), "link_up") == &Value::Bool(false));
    let seen = answers(&look);
    standby.query("postgres", &format!("ALTER SYSTEM SET primary_conninfo = '{}'", conninfo[0].replace('\'', "''")));
    standby.query("postgres", "SELECT pg_reload_conf()");
    assert!(!has(&seen, "lag_time"), "{seen:?}");
    assert!(seen.notes.iter().any(|note| note.contains("the link to the primary is down")), "{seen:?}");
    wait_until("the link", || fact(&answers(&look), "link_up") == &Value::Bool(true));
}

#[test]
fn statements_below_the_limit_are_not_shown() {
    let _alone = alone();
    let url = primary().url("shop");
    let mut idle = Client::new(&url);
    idle.run("BEGIN; SELECT 1").expect("a transaction");
    let seen = ask_with(&url, json!({"slower_than": "1h"})).run().expect("a look");
    assert!(seen.evidence.iter().all(|evidence| evidence.title != SESSIONS), "{seen:?}");
    let seen = ask_with(&url, json!({"slower_than": "0s"})).run().expect("a look");
    assert!(lines(&seen, SESSIONS).contains("idle in transaction"), "{seen:?}");
}
