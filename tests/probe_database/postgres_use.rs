//! PostgreSQL: sizes, statements, indexes, upkeep.

use std::sync::OnceLock;

use chrono::{TimeDelta, Utc};
use opsctl::model::unit::{Dimension, Quantity};
use serde_json::json;

use super::{answers, ask, ask_with, count, fact, has, lines, number, seconds};
use crate::support::postgres::{self, Postgres};
use crate::support::server::wait_until;

/// A server whose sessions nobody judges, with all statistics.
fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| {
        let settings = ["shared_preload_libraries=pg_stat_statements", "autovacuum=off"];
        Postgres::start("postgres-used", &["--data-checksums"], &settings)
    })
}

/// A database of the test's own.
fn database(name: &str, sql: &str) -> String {
    server().query("postgres", &format!("CREATE DATABASE {name}"));
    server().query(name, sql);
    server().url(name)
}

#[test]
fn sizes_are_told_of_the_database_and_of_the_tables_that_are_asked_for() {
    let url = database(
        "sizes",
        "CREATE TABLE big (id int PRIMARY KEY, t text); INSERT INTO big SELECT i, repeat('x', 100) FROM \
         generate_series(1, 5000) i; CREATE TABLE small (id int); CREATE SCHEMA other; \
         CREATE TABLE other.third (id int); \
         CREATE TABLE parted (id int, t text) PARTITION BY RANGE (id); \
         CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (9999); \
         INSERT INTO parted SELECT i, repeat('x', 100) FROM generate_series(1, 3000) i;",
    );
    let tables = ["table.big", "table.small", "table.public.big", "table.other.third", "table.third", "table.parted"];
    let look = ask(&url).asked(&tables);
    let seen = look.run().expect("a look");
    let subject = &seen.subjects[0];
    let size = |name: &str| number(subject, name, Dimension::Size);
    assert!(size("table.big") >= 500_000.0 && size("table.small") == 0.0, "{seen:?}");
    assert!(size("table.parted") >= 300_000.0, "a table has the size of its partitions: {seen:?}");
    assert_eq!(size("table.big"), size("table.public.big"));
    assert_eq!(size("table.other.third"), 0.0);
    assert!(!has(subject, "table.third"), "it is in a schema of its own: {seen:?}");
    assert_eq!(subject.notes, ["there is no table `third`, or this user may not see it"]);
    let shown = lines(&seen, "tables, the largest first");
    assert!(shown.lines().nth(1).is_some_and(|line| line.starts_with("public.big")), "{shown}");
    assert!(!has(subject, "size"), "nobody asked");

    let yesterday = Utc::now() - TimeDelta::days(2);
    let look = ask(&url).asked(&["size", "daily_growth"]);
    let size = number(&answers(&look), "size", Dimension::Size);
    let before = Quantity::new(size - 2000.0, Dimension::Size);
    let seen = answers(&ask(&url).asked(&["daily_growth"]).before(yesterday, &[("shop", "size", before)]));
    assert!((number(&seen, "daily_growth", Dimension::Size) - 1000.0).abs() < 1.0, "{seen:?}");
}

#[test]
fn growth_within_a_minute_is_not_taken_for_that_of_a_day() {
    let url = database("growth", "CREATE TABLE t (id int)");
    let look = ask(&url).asked(&["daily_growth"]);
    let now = number(&answers(&look), "size", Dimension::Size);
    let before = Quantity::new(now - 1000.0, Dimension::Size);
    let just_now = Utc::now() - TimeDelta::seconds(10);
    let seen = answers(&ask(&url).asked(&["daily_growth"]).before(just_now, &[("shop", "size", before)]));
    assert_eq!(number(&seen, "daily_growth", Dimension::Size), 24_000.0, "that of an hour");
}

#[test]
fn slow_statements_are_counted_and_shown_where_the_server_records_them() {
    let url = database(
        "statements",
        "CREATE EXTENSION pg_stat_statements; CREATE TABLE ticket (id int); SELECT pg_sleep(1);",
    );
    let asked = ["slow_statements", "recent_statement_time"];
    let inputs = json!({"slower_than": "900ms"});
    let seen = ask_with(&url, inputs.clone()).asked(&asked).run().expect("a look");
    let subject = &seen.subjects[0];
    assert_eq!(count(subject, "slow_statements"), 1.0, "{seen:?}");
    assert!(seconds(subject, "slowest_statement") >= 0.9 && count(subject, "statements") >= 3.0, "{seen:?}");
    let shown = lines(&seen, "statements, the slowest on average first");
    assert!(shown.lines().nth(1).is_some_and(|line| line.contains("SELECT pg_sleep($1)")), "{shown}");
    assert!(!shown.contains("pg_stat_database"), "the questions of the look are not those of the database: {shown}");
    assert!(!has(subject, "recent_statement_time"), "{seen:?}");

    // Since then nothing but quick statements.
    let before = [
        ("shop", "statements", Quantity::count(count(subject, "statements"))),
        ("shop", "statement_time", Quantity::seconds(seconds(subject, "statement_time"))),
    ];
    server().query("statements", "SELECT 1; SELECT 2;");
    let later = answers(&ask_with(&url, inputs).asked(&asked).before(Utc::now(), &before));
    assert!(seconds(&later, "recent_statement_time") < seconds(subject, "statement_time"), "{later:?}");
}

#[test]
fn a_server_that_records_no_statements_does_not_seem_fast() {
    let seen = answers(&ask(&postgres::url("postgres")).asked(&["slow_statements", "statement_time"]));
    assert!(!has(&seen, "slow_statements") && !has(&seen, "statement_time"), "{seen:?}");
    assert!(seen.notes[0].contains("CREATE EXTENSION pg_stat_statements"), "{seen:?}");
}

#[test]
fn an_extension_whose_library_is_not_loaded_records_nothing_either() {
    postgres::execute("postgres", "CREATE DATABASE not_preloaded");
    postgres::execute("not_preloaded", "CREATE EXTENSION pg_stat_statements");
    let seen = answers(&ask(&postgres::url("not_preloaded")).asked(&["slow_statements", "size"]));
    assert!(!has(&seen, "slow_statements") && has(&seen, "size"), "one refusal costs nothing else: {seen:?}");
    assert!(seen.notes[0].contains("shared_preload_libraries = 'pg_stat_statements'"), "{seen:?}");
}

#[test]
fn keys_are_not_unused_indexes_and_the_age_of_the_statistics_is_told() {
    let url = database(
        "indexes",
        "CREATE TABLE t (id int PRIMARY KEY, a int UNIQUE, b int, c int); CREATE INDEX unused ON t (b); \
         CREATE INDEX used ON t (c); INSERT INTO t SELECT i, i, i, i FROM generate_series(1, 1000) i; ANALYZE t; \
         SET enable_seqscan = off; SELECT * FROM t WHERE c = 5;",
    );
    let look = ask(&url).asked(&["unused_indexes", "statistics_age"]);
    wait_until("the statistics", || count(&answers(&look), "unused_indexes") == 1.0);
    let seen = look.run().expect("a look");
    let shown = lines(&seen, "indexes that no query used");
    assert!(shown.contains("public.t | unused") && shown.lines().count() == 2, "{shown}");
    assert!(seconds(&seen.subjects[0], "statistics_age") >= 0.0);
}

#[test]
fn indexes_left_behind_by_a_failed_build_are_found() {
    let url = database("invalid", "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1);");
    let look = ask(&url).asked(&["invalid_indexes"]);
    assert_eq!(count(&answers(&look), "invalid_indexes"), 0.0);
    let mut client = super::Client::<sqlx::PgConnection>::new(&url);
    client.run("CREATE UNIQUE INDEX CONCURRENTLY broken ON t (id)").expect_err("there are duplicates");
    drop(client);
    let seen = look.run().expect("a look");
    assert_eq!(count(&seen.subjects[0], "invalid_indexes"), 1.0);
    assert!(lines(&seen, "invalid indexes").contains("broken"), "{seen:?}");
}

#[test]
fn dead_rows_are_a_share_of_tables_that_are_not_tiny() {
    let url = database(
        "vacuum",
        "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 4000); CREATE TABLE tiny (id int); \
         INSERT INTO tiny VALUES (1), (2); DELETE FROM tiny;",
    );
    server().query("vacuum", "DELETE FROM t WHERE id > 1000");
    let look = ask(&url).asked(&["dead_rows", "oldest_vacuum"]);
    wait_until("the statistics", || number(&answers(&look), "dead_rows", Dimension::Percent) == 75.0);
    let seen = look.run().expect("a look");
    assert!(seconds(&seen.subjects[0], "oldest_vacuum") > 0.0, "a vacuum is due: {seen:?}");
    assert!(lines(&seen, "tables with dead rows").contains("public.t"), "{seen:?}");
    server().query("vacuum", "VACUUM");
    wait_until("the vacuum", || number(&answers(&look), "dead_rows", Dimension::Percent) == 0.0);
    assert_eq!(seconds(&answers(&look), "oldest_vacuum"), 0.0);
}

#[test]
fn without_checksums_nobody_counts_damaged_pages() {
    let seen = answers(&ask(&postgres::url("postgres")).asked(&["checksum_failures"]));
    assert!(!has(&seen, "checksum_failures"), "{seen:?}");
    assert!(seen.notes[0].contains("the cluster has no checksums"), "{seen:?}");
    assert_eq!(
        count(&answers(&ask(&server().url("postgres")).asked(&["checksum_failures"])), "checksum_failures"),
        0.0
    );
}

#[test]
fn a_table_that_is_being_changed_does_not_hold_up_the_look() {
    let url = database("locked", "CREATE TABLE t (id int)");
    let mut client = super::Client::<sqlx::PgConnection>::new(&url);
    client.run("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").expect("a lock");
    let seen = answers(&ask(&url).asked(&["table.t", "size"]));
    assert!(!has(&seen, "table.t") && has(&seen, "size"), "{seen:?}");
    assert!(seen.notes[0].starts_with("`table` cannot be seen: "), "{seen:?}");
    assert_eq!(fact(&seen, "answers").to_string(), "true");
}
