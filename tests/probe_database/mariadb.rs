//! MariaDB: a primary with a replica; sessions, locks, replication, tables, statements.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::Utc;
use opsctl::model::unit::{Dimension, Quantity};
use opsctl::model::value::Value;
use serde_json::json;
use sqlx::MySqlConnection;

use super::{SESSIONS, answers, ask, ask_with, count, fact, has, lines, number, seconds, why_down};
use crate::support::mariadb::{self, MariaDb, PASSWORD, USER};
use crate::support::server::wait_until;

type Client = super::Client<MySqlConnection>;

/// A primary that only has the defaults, and its replica, which records statements.
fn pair() -> &'static (MariaDb, MariaDb) {
    static PAIR: OnceLock<(MariaDb, MariaDb)> = OnceLock::new();
    PAIR.get_or_init(|| {
        let primary = MariaDb::start("mariadb-primary", &["--server-id=1", "--log-bin=bin", "--event-scheduler=ON"]);
        let replica = MariaDb::start(
            "mariadb-replica",
            &["--server-id=2", "--read-only=ON", "--performance-schema=ON", "--relay-log=relay"],
        );
        let at = primary.query("SHOW MASTER STATUS");
        let at: Vec<&str> = at[0].split('\t').collect();
        replica.query(&format!(
            "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = '{USER}', \
             MASTER_PASSWORD = '{PASSWORD}', MASTER_LOG_FILE = '{}', MASTER_LOG_POS = {}, MASTER_CONNECT_RETRY = 1; \
             START SLAVE;",
            primary.port, at[0], at[1]
        ));
        primary.query("CREATE DATABASE shop; CREATE TABLE shop.ticket (id INT PRIMARY KEY, t TEXT) ENGINE = InnoDB;");
        primary.query("INSERT INTO shop.ticket VALUES (1, 'printer'), (2, 'slow');");
        (primary, replica)
    })
}

fn primary() -> &'static MariaDb {
    &pair().0
}

/// Tests that judge all sessions of the server, or the state of its replication, come one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_server_tells_what_it_is_and_how_much_room_it_has() {
    let _alone = alone();
    let seen = answers(&ask(&primary().url("shop")));
    assert_eq!((fact(&seen, "role"), fact(&seen, "read_only")), (&Value::text("primary"), &Value::Bool(false)));
    assert!(fact(&seen, "version").to_string().contains("MariaDB"), "{seen:?}");
    assert_eq!(count(&seen, "connection_limit"), 151.0);
    let share = count(&seen, "connections") / 151.0 * 100.0;
    assert_eq!(number(&seen, "connection_share", Dimension::Percent), share);
    for known in ["deadlocks", "history_list", "aborted_connects", "slow_queries", "hits", "misses", "uptime"] {
        assert!(has(&seen, known), "{known} in {seen:?}");
    }
    assert!(seen.inapplicable.contains(&"wraparound".to_owned()) && !has(&seen, "link_up"), "{seen:?}");
}

#[test]
fn the_thread_of_the_event_scheduler_is_no_long_query() {
    let _alone = alone();
    let naive = "SELECT COALESCE(MAX(TIME), 0) >= 1 FROM information_schema.PROCESSLIST WHERE USER = 'event_scheduler'";
    wait_until("an old thread", || primary().query(naive) == ["1"]);
    let seen = answers(&ask(&primary().url("shop")));
    for none in ["longest_query", "longest_transaction", "longest_idle_in_transaction", "longest_lock_wait"] {
        assert_eq!(seconds(&seen, none), 0.0, "{none} in {seen:?}");
    }
    assert_eq!((count(&seen, "blocked"), count(&seen, "prepared_transactions")), (0.0, 0.0), "{seen:?}");
}

#[test]
fn a_database_that_does_not_exist_does_not_answer() {
    assert!(why_down(&ask(&primary().url("nothing"))).ends_with("Unknown database 'nothing'"));
}

#[test]
fn who_waits_for_a_row_and_who_holds_it_is_shown_without_secrets() {
    let _alone = alone();
    let url = primary().url("shop");
    let mut holder = Client::new(&url);
    holder.run("START TRANSACTION; UPDATE ticket SET t = 'open-sesame' WHERE id = 1").expect("a lock");
    let waits = Client::new(&url).start("UPDATE ticket SET t = 'other-sesame' WHERE id = 1");
    wait_until("a blocked session", || {
        let seen = answers(&ask(&url));
        count(&seen, "blocked") == 1.0 && seconds(&seen, "longest_lock_wait") >= 1.0
    });
    let seen = ask(&url).run().expect("a look");
    let subject = &seen.subjects[0];
    assert_eq!(count(subject, "idle_in_transaction"), 1.0, "{seen:?}");
    assert!(seconds(subject, "longest_transaction") >= 1.0 && seconds(subject, "longest_query") >= 1.0, "{seen:?}");
    assert!(seconds(subject, "longest_transaction") < 3600.0, "in the time zone of the server: {seen:?}");
    let sleeping = "SELECT ID FROM information_schema.PROCESSLIST p JOIN information_schema.INNODB_TRX t \
                    ON t.trx_mysql_thread_id = p.ID WHERE p.COMMAND = 'Sleep'";
    let holding = primary().query(sleeping);
    let shown = lines(&seen, SESSIONS);
    assert!(shown.contains(&format!(" for {}", holding[0])), "the waiting names who holds the lock: {shown}");
    assert!(shown.contains("UPDATE ticket SET t = ? WHERE id = 1") && !shown.contains("sesame"), "{shown}");
    holder.run("COMMIT").expect("the lock goes");
    waits.join().expect("the thread ends").expect("the update ends");
}

#[test]
fn a_change_of_a_table_that_waits_for_a_reader_is_blocked_too() {
    let _alone = alone();
    let url = primary().url("shop");
    let mut reader = Client::new(&url);
    reader
        .run("CREATE OR REPLACE TABLE changing (id INT) ENGINE = InnoDB; START TRANSACTION; SELECT * FROM changing")
        .expect("a reader");
    let waits = Client::new(&url).start("ALTER TABLE changing ADD b INT");
    wait_until("a blocked session", || count(&answers(&ask(&url)), "blocked") == 1.0);
    reader.run("COMMIT").expect("the lock goes");
    waits.join().expect("the thread ends").expect("the change ends");
}

#[test]
fn a_user_without_rights_sees_that_something_is_hidden_and_not_zero() {
    let _alone = alone();
    let server = primary();
    server.query("CREATE USER watcher@'%' IDENTIFIED BY 'open-sesame'; GRANT SELECT ON shop.* TO watcher@'%';");
    let url = format!("mysql://watcher:open-sesame@127.0.0.1:{}/shop", server.port);
    let hidden = ["longest_query", "blocked", "idle_in_transaction", "replicas", "role"];
    let seen = answers(&ask(&url).asked(&hidden));
    assert!(hidden.iter().all(|fact| !has(&seen, fact)), "{seen:?}");
    assert!(seen.notes.iter().any(|note| note.starts_with("`longest_query`") && note.contains("PROCESS")), "{seen:?}");
    assert!(seen.notes.iter().any(|note| note.starts_with("`role`") && note.contains("REPLICA MONITOR")), "{seen:?}");

    server.query("GRANT PROCESS, REPLICA MONITOR ON *.* TO watcher@'%';");
    let seen = answers(&ask(&url).asked(&hidden));
    assert!(hidden.iter().all(|fact| has(&seen, fact)) && seen.notes.is_empty(), "{seen:?}");
}

/// Waits until the replica has applied what the primary wrote.
fn wait_until_caught_up() {
    wait_until("a replica in step", || {
        let seen = answers(&ask(&pair().1.url("shop")));
        seen.facts.get("lag_time") == Some(&Value::duration(std::time::Duration::ZERO))
            && seen.facts.get("lag") == Some(&Value::bytes(0))
    });
}

#[test]
fn a_stopped_sql_thread_is_not_zero_seconds_behind() {
    let _alone = alone();
    let (primary, replica) = pair();
    wait_until("the database on the replica", || {
        replica.query("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop'") != ["0"]
    });
    wait_until_caught_up();
    let seen = answers(&ask(&replica.url("shop")));
    assert_eq!((fact(&seen, "role"), fact(&seen, "read_only")), (&Value::text("replica"), &Value::Bool(true)));
    assert_eq!((fact(&seen, "link_up"), fact(&seen, "replaying")), (&Value::Bool(true), &Value::Bool(true)));
    assert_eq!(count(&answers(&ask(&primary.url("shop"))), "replicas"), 1.0);

    replica.query("STOP SLAVE SQL_THREAD");
    primary.query("UPDATE shop.ticket SET t = REPEAT('x', 1000) WHERE id = 2");
    let look = ask(&replica.url("shop")).asked(&["lag_time"]);
    wait_until("something that is not applied", || number(&answers(&look), "lag", Dimension::Size) > 0.0);
    let seen = answers(&look);
    replica.query("START SLAVE SQL_THREAD");
    assert_eq!((fact(&seen, "link_up"), fact(&seen, "replaying")), (&Value::Bool(true), &Value::Bool(false)));
    assert!(!has(&seen, "lag_time"), "{seen:?}");
    assert_eq!(seen.notes, ["`lag_time` cannot be seen: Seconds_Behind is NULL: the replication does not run"]);
    wait_until_caught_up();
}

#[test]
fn sizes_are_told_of_the_database_and_of_the_tables_that_are_asked_for() {
    let _alone = alone();
    primary().query(
        "CREATE DATABASE sizes; USE sizes; CREATE TABLE sizes.big (id INT PRIMARY KEY, t TEXT); \
         INSERT INTO sizes.big SELECT seq, REPEAT('x', 100) FROM seq_1_to_5000; ANALYZE TABLE sizes.big; \
         CREATE TABLE sizes.small (id INT);",
    );
    let url = primary().url("sizes");
    let seen = ask(&url).asked(&["size", "table.big", "table.sizes.small", "table.gone"]).run().expect("a look");
    let subject = &seen.subjects[0];
    assert!(number(subject, "table.big", Dimension::Size) >= 500_000.0, "{seen:?}");
    let sum = number(subject, "table.big", Dimension::Size) + number(subject, "table.sizes.small", Dimension::Size);
    assert_eq!(number(subject, "size", Dimension::Size), sum);
    assert_eq!(subject.notes, ["there is no table `gone`, or this user may not see it"]);
    let shown = lines(&seen, "tables, the largest first");
    assert!(shown.lines().nth(1).is_some_and(|line| line.starts_with("sizes.big")), "{shown}");
    let gathered = answers(&ask(&url));
    assert!(has(&gathered, "size") && count(&gathered, "damaged_tables") == 0.0, "{gathered:?}");
}

#[test]
fn a_table_that_the_server_cannot_open_is_found() {
    let _alone = alone();
    primary().query("CREATE DATABASE damaged; CREATE TABLE damaged.broken (id INT) ENGINE = MyISAM; FLUSH TABLES;");
    std::fs::write(primary().data().join("damaged/broken.frm"), "no table").expect("the file is damaged");
    let seen = ask(&primary().url("damaged")).asked(&["damaged_tables"]).run().expect("a look");
    assert_eq!(count(&seen.subjects[0], "damaged_tables"), 1.0, "{seen:?}");
    assert!(lines(&seen, "tables that the server cannot open").contains("broken"), "{seen:?}");
}

#[test]
fn slow_statements_are_counted_where_the_server_records_them() {
    let replica = &pair().1;
    replica.query("CREATE DATABASE statements; USE statements; SELECT SLEEP(1);");
    let look = ask_with(&replica.url("statements"), json!({"slower_than": "900ms"})).asked(&["slow_statements"]);
    let seen = look.run().expect("a look");
    assert_eq!(count(&seen.subjects[0], "slow_statements"), 1.0, "{seen:?}");
    assert!(seconds(&seen.subjects[0], "slowest_statement") >= 0.9, "{seen:?}");
    let shown = lines(&seen, "statements, the slowest on average first");
    assert!(shown.lines().nth(1).is_some_and(|line| line.contains("SLEEP")), "{shown}");
}

#[test]
fn a_server_that_records_nothing_seems_neither_fast_nor_without_unused_indexes() {
    let _alone = alone();
    let seen = answers(&ask(&primary().url("shop")).asked(&["slow_statements", "unused_indexes"]));
    assert!(!has(&seen, "slow_statements") && !has(&seen, "unused_indexes"), "{seen:?}");
    assert!(seen.notes[0].contains("performance_schema = ON"), "{seen:?}");
    assert!(seen.notes[1].contains("switch it on: SET GLOBAL userstat = ON"), "{seen:?}");
}

const INDEXED: &str = "CREATE TABLE parent (id INT PRIMARY KEY) ENGINE = InnoDB; \
    CREATE TABLE t (id INT PRIMARY KEY, a INT UNIQUE, b INT, c INT, p INT, KEY unused (b), KEY used (c), \
    KEY fk (p), FOREIGN KEY (p) REFERENCES parent (id)) ENGINE = InnoDB; \
    INSERT INTO t SELECT seq, seq, seq, seq, NULL FROM seq_1_to_100; SELECT * FROM t FORCE INDEX (used) WHERE c = 5;";

#[test]
fn keys_are_not_unused_indexes_whichever_statistics_there_are() {
    let _alone = alone();
    let (primary, replica) = pair();
    primary.query("SET GLOBAL userstat = ON");
    for server in [primary, replica] {
        server.query(&format!("SET sql_log_bin = 0; CREATE DATABASE indexes; USE indexes; {INDEXED}"));
        let seen = ask(&server.url("indexes")).asked(&["unused_indexes"]).run().expect("a look");
        assert_eq!(count(&seen.subjects[0], "unused_indexes"), 1.0, "{seen:?}");
        assert!(lines(&seen, "indexes that no query used").contains("t     | unused"), "{seen:?}");
    }
    primary.query("SET GLOBAL userstat = OFF");
}

#[test]
fn what_happened_since_the_last_run_is_told() {
    let url = mariadb::url("mysql");
    let recent = ["recent_slow_queries", "recent_aborted_connects", "recent_hit_ratio"];
    let seen = answers(&ask(&url).asked(&recent));
    assert!(recent.iter().all(|fact| !has(&seen, fact)), "{seen:?}");
    let now = ["slow_queries", "aborted_connects", "hits", "misses"];
    let before = now.map(|fact| ("shop", fact, Quantity::count(count(&seen, fact))));
    mariadb::query(
        "SET SESSION long_query_time = 0; CREATE DATABASE touched; CREATE TABLE touched.t (id INT) ENGINE = InnoDB; \
         SELECT * FROM touched.t;",
    );
    let seen = answers(&ask(&url).asked(&recent).before(Utc::now(), &before));
    assert!(count(&seen, "recent_slow_queries") >= 1.0, "{seen:?}");
    assert!((0.0..=100.0).contains(&number(&seen, "recent_hit_ratio", Dimension::Percent)), "{seen:?}");
}
