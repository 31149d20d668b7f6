//! PostgreSQL: what its databases hold and how they are used. Asked only where the step wants it.

use super::postgres::Server;
use super::seen::{Seen, in_words, longest};
use super::session::{MARK, Row, Session};
use crate::model::value::Value;
use crate::probe::sql::statement::Dialect;
use crate::probe::sql::trouble::Trouble;

/// A table that is locked by a change of it must not hold up the look.
const LOCK_LIMIT: &str = "SET LOCAL lock_timeout = '2s'";

const NOT_OF_SYSTEM: &str = "n.nspname NOT IN ('pg_catalog', 'information_schema') \
    AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'";

pub async fn look(session: &mut Session, server: Server, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    if session.ask(LOCK_LIMIT).await?.is_err() {
        return Ok(());
    }
    if seen.cx.wants(&["size", "daily_growth"]) {
        size(session, seen).await?;
    }
    if seen.cx.wants(&["size", "daily_growth", "table"]) {
        tables(session, seen).await?;
    }
    if seen.cx.wants(&STATEMENTS) {
        statements(session, seen).await?;
    }
    if seen.cx.wants(&INDEXES) {
        indexes(session, server, seen).await?;
    }
    if seen.cx.wants(&["invalid_indexes"]) {
        invalid_indexes(session, seen).await?;
    }
    if seen.cx.wants(&VACUUM) {
        vacuum(session, server, seen).await?;
    }
    if seen.cx.wants(&["checksum_failures"]) {
        checksums(session, server, seen).await?;
    }
    Ok(())
}

async fn size(session: &mut Session, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    let sql = "SELECT pg_database_size(current_database()) AS size";
    if let Some(row) = seen.ask_one(session, &["size", "daily_growth"], sql).await? {
        seen.set_size(row.count("size"));
    }
    Ok(())
}

async fn tables(session: &mut Session, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    // A partition counts for the table that it is part of.
    let sql = format!(
        "SELECT n.nspname || '.' || r.relname AS full_name, r.relname AS name, pg_table_is_visible(r.oid) AS visible, \
         t.size FROM (SELECT coalesce(pg_partition_root(c.oid), c.oid) AS root, \
         sum(pg_total_relation_size(c.oid)) AS size FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'm', 'p') AND {NOT_OF_SYSTEM} GROUP BY 1) t \
         JOIN pg_class r ON r.oid = t.root JOIN pg_namespace n ON n.oid = r.relnamespace ORDER BY t.size DESC, 1"
    );
    let Some(rows) = seen.ask(session, &["table"], &sql).await? else { return Ok(()) };
    seen.set_tables(&rows);
    Ok(())
}

const STATEMENTS: [&str; 5] =
    ["statements", "statement_time", "recent_statement_time", "slow_statements", "slowest_statement"];

const NO_STATEMENTS: &str = "the server keeps no statistics of statements; set shared_preload_libraries = \
    'pg_stat_statements', restart it, and CREATE EXTENSION pg_stat_statements in this database";

async fn statements(session: &mut Session, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    let sql = "SELECT quote_ident(n.nspname) AS schema, e.extversion AS version FROM pg_extension e \
               JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'";
    let Some(extension) = session.ask(sql).await?.ok().and_then(|rows| rows.into_iter().next()) else {
        seen.missing(&STATEMENTS, NO_STATEMENTS);
        return Ok(());
    };
    // Version 1.8 renamed the columns.
    let version = extension.text("version").unwrap_or_default().split_once('.');
    let minor: u32 = version.and_then(|(_, minor)| minor.parse().ok()).unwrap_or_default();
    let (total, mean) = if minor >= 8 { ("total_exec_time", "mean_exec_time") } else { ("total_time", "mean_time") };
    let sql = format!(
        "SELECT calls, {total} / 1000 AS total, {mean} / 1000 AS mean, max_{max} / 1000 AS longest, query \
         FROM {}.pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND query NOT LIKE '%{MARK}%' ORDER BY mean DESC",
        extension.text("schema").unwrap_or("public"),
        max = if minor >= 8 { "exec_time" } else { "time" },
    );
    match session.ask(&sql).await? {
        Ok(rows) => seen.set_statements(&rows, Dialect::Postgres),
        Err(refused) if refused.0.contains("shared_preload_libraries") => seen.missing(&STATEMENTS, NO_STATEMENTS),
        Err(refused) => seen.missing(&STATEMENTS, &refused.0),
    }
    Ok(())
}

const INDEXES: [&str; 2] = ["unused_indexes", "statistics_age"];

async fn indexes(session: &mut Session, server: Server, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    let sql = "SELECT current_setting('track_counts') AS counts, \
               extract(epoch FROM clock_timestamp() - stats_reset) AS age \
               FROM pg_stat_database WHERE datname = current_database()";
    let Some(row) = seen.ask_one(session, &INDEXES, sql).await? else { return Ok(()) };
    if row.flag("counts") == Some(false) {
        seen.missing(&INDEXES, "the server does not count the use of indexes; set track_counts = on");
        return Ok(());
    }
    seen.set_duration("statistics_age", row.duration("age").or(server.uptime));
    let sql = "SELECT s.schemaname || '.' || s.relname AS table, s.indexrelname AS index, \
               pg_relation_size(s.indexrelid) AS size FROM pg_stat_user_indexes s \
               JOIN pg_index i ON i.indexrelid = s.indexrelid \
               WHERE s.idx_scan = 0 AND i.indisvalid AND NOT (i.indisunique OR i.indisprimary OR i.indisexclusion \
               OR i.indisreplident) AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = s.indexrelid) \
               ORDER BY size DESC";
    if let Some(rows) = seen.ask(session, &["unused_indexes"], sql).await? {
        seen.set_count("unused_indexes", Some(rows.len() as u64));
        seen.show_sizes("indexes that no query used", &["table", "index"], &rows);
        if server.is_replica {
            seen.subject.note("a replica counts only its own queries: indexes may be in use on the primary");
        }
    }
    Ok(())
}

async fn invalid_indexes(session: &mut Session, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    // One that is being built right now is not valid either.
    let sql = "SELECT indrelid::regclass AS table, indexrelid::regclass AS index FROM pg_index i WHERE NOT indisvalid \
               AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation = i.indexrelid AND l.pid <> pg_backend_pid() \
               AND l.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'AccessExclusiveLock'))";
    if let Some(rows) = seen.ask(session, &["invalid_indexes"], sql).await? {
        seen.set_count("invalid_indexes", Some(rows.len() as u64));
        seen.show("invalid indexes", &["table", "index"], &rows);
    }
    Ok(())
}

const VACUUM: [&str; 2] = ["dead_rows", "oldest_vacuum"];

/// Of a smaller table, a large share means nothing.
const FEW_ROWS: f64 = 1000.0;

async fn vacuum(session: &mut Session, server: Server, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    if server.is_replica {
        seen.missing(&VACUUM, "a replica does not count dead rows; ask the primary");
        return Ok(());
    }
    let sql = "SELECT s.schemaname || '.' || s.relname AS table, n_live_tup AS live, n_dead_tup AS dead, \
               extract(epoch FROM clock_timestamp() - coalesce(greatest(last_vacuum, last_autovacuum), \
               d.stats_reset, pg_postmaster_start_time())) AS age, \
               n_dead_tup > current_setting('autovacuum_vacuum_threshold')::int \
               + current_setting('autovacuum_vacuum_scale_factor')::float8 * greatest(c.reltuples, 0) AS due \
               FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid \
               CROSS JOIN (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()) d \
               ORDER BY n_dead_tup DESC";
    let Some(rows) = seen.ask(session, &VACUUM, sql).await? else { return Ok(()) };
    let share = |row: &Row| {
        let (live, dead) = row.number("live").zip(row.number("dead"))?;
        (live + dead >= FEW_ROWS).then(|| dead / (live + dead) * 100.0)
    };
    seen.set("dead_rows", Some(Value::percent(rows.iter().filter_map(share).fold(0.0, f64::max))));
    let due: Vec<&Row> = rows.iter().filter(|row| row.flag("due") == Some(true)).collect();
    seen.set_duration("oldest_vacuum", Some(longest(due.iter().filter_map(|row| row.duration("age")))));
    let notable = rows.iter().filter(|row| share(row).is_some_and(|share| share > 0.0));
    let lines = notable.map(|row| {
        let share = share(row).map_or_else(|| "-".to_owned(), |share| Value::percent(share).to_string());
        vec![row.shown("table", 80), row.shown("dead", 20), share, in_words(row.duration("age"))]
    });
    let columns = ["table", "dead_rows", "share", "since_last_vacuum"];
    seen.show_lines("tables with dead rows", &columns, lines.collect());
    Ok(())
}

async fn checksums(session: &mut Session, server: Server, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    let facts = ["checksum_failures"];
    if server.version < 120_000 {
        seen.missing(&facts, "the server counts them from version 12 on");
        return Ok(());
    }
    let sql = "SELECT current_setting('data_checksums') AS are_on, \
               (SELECT sum(checksum_failures) FROM pg_stat_database) AS failures";
    let Some(row) = seen.ask_one(session, &facts, sql).await? else { return Ok(()) };
    if row.flag("are_on") == Some(true) {
        seen.set_count("checksum_failures", row.count("failures"));
    } else {
        seen.missing(&facts, "the cluster has no checksums; pg_checksums --enable adds them while it is stopped");
    }
    Ok(())
}
