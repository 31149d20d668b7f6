//! MySQL and MariaDB: what the database holds and how it is used. Asked only where the step wants it.

use super::mysql::Server;
use super::seen::Seen;
use super::session::{Row, Session};
use crate::probe::sql::statement::Dialect;
use crate::probe::sql::trouble::Trouble;

pub async fn look(session: &mut Session, server: Server, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    if seen.cx.wants(&TABLES) {
        tables(session, seen).await?;
    }
    if seen.cx.wants(&STATEMENTS) {
        statements(session, server, seen).await?;
    }
    if seen.cx.wants(&INDEXES) {
        indexes(session, server, seen).await?;
    }
    Ok(())
}

const TABLES: [&str; 4] = ["size", "daily_growth", "table", "damaged_tables"];

async fn tables(session: &mut Session, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    let sql = "SELECT TABLE_NAME AS name, CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) AS full_name, 1 AS visible, \
               DATA_LENGTH + INDEX_LENGTH AS size, ENGINE AS engine, TABLE_COMMENT AS trouble \
               FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE <> 'VIEW' \
               ORDER BY size DESC, name";
    let Some(rows) = seen.ask(session, &TABLES, sql).await? else { return Ok(()) };
    seen.set_size(Some(rows.iter().filter_map(|row| row.count("size")).fold(0, u64::saturating_add)));
    seen.set_tables(&rows);
    // What cannot be opened has no engine, and the reason where others have their comment.
    let is_damaged = |row: &&Row| row.text("engine").is_none();
    let damaged: Vec<Row> = rows.iter().filter(is_damaged).cloned().collect();
    seen.set_count("damaged_tables", Some(damaged.len() as u64));
    seen.show("tables that the server cannot open", &["name", "trouble"], &damaged);
    Ok(())
}

const STATEMENTS: [&str; 5] =
    ["statements", "statement_time", "recent_statement_time", "slow_statements", "slowest_statement"];

const NO_INSTRUMENTS: &str =
    "the server keeps no statistics of statements; set performance_schema = ON in its configuration and restart it";

async fn statements(session: &mut Session, server: Server, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    if !server.instruments {
        seen.missing(&STATEMENTS, NO_INSTRUMENTS);
        return Ok(());
    }
    let consumer = "SELECT ENABLED AS enabled FROM performance_schema.setup_consumers WHERE NAME = 'statements_digest'";
    let Some(consumer) = seen.ask_one(session, &STATEMENTS, consumer).await? else { return Ok(()) };
    if consumer.flag("enabled") == Some(false) {
        seen.missing(&STATEMENTS, "the consumer statements_digest of the performance schema is off");
        return Ok(());
    }
    // Who asks the server about itself, as this look does, is not what the database is for.
    let sql = "SELECT COUNT_STAR AS calls, SUM_TIMER_WAIT / 1e12 AS total, AVG_TIMER_WAIT / 1e12 AS mean, \
               MAX_TIMER_WAIT / 1e12 AS longest, DIGEST_TEXT AS query \
               FROM performance_schema.events_statements_summary_by_digest \
               WHERE SCHEMA_NAME = DATABASE() \
               AND LOWER(COALESCE(DIGEST_TEXT, '')) NOT LIKE '%information\\_schema%' \
               AND LOWER(COALESCE(DIGEST_TEXT, '')) NOT LIKE '%performance\\_schema%' ORDER BY mean DESC";
    if let Some(rows) = seen.ask(session, &STATEMENTS, sql).await? {
        seen.set_statements(&rows, Dialect::MySql);
    }
    Ok(())
}

const INDEXES: [&str; 2] = ["unused_indexes", "statistics_age"];

/// Indexes that are no keys: neither primary nor unique, nor what a foreign key needs.
const PLAIN_INDEXES: &str = "(SELECT DISTINCT i.TABLE_SCHEMA, i.TABLE_NAME, i.INDEX_NAME \
    FROM information_schema.STATISTICS i WHERE i.TABLE_SCHEMA = DATABASE() AND i.NON_UNIQUE = 1 AND i.SEQ_IN_INDEX = 1 \
    AND NOT EXISTS (SELECT 1 FROM information_schema.KEY_COLUMN_USAGE k WHERE k.TABLE_SCHEMA = i.TABLE_SCHEMA \
    AND k.TABLE_NAME = i.TABLE_NAME AND k.COLUMN_NAME = i.COLUMN_NAME AND k.ORDINAL_POSITION = 1 \
    AND k.REFERENCED_TABLE_NAME IS NOT NULL)) i";

async fn indexes(session: &mut Session, server: Server, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    let Some(used) = used_indexes(session, server, seen).await? else { return Ok(()) };
    let sql = format!(
        "SELECT i.TABLE_NAME AS `table`, i.INDEX_NAME AS `index` FROM {PLAIN_INDEXES} \
         LEFT JOIN {used} u ON u.s = i.TABLE_SCHEMA AND u.t = i.TABLE_NAME AND u.i = i.INDEX_NAME \
         WHERE u.i IS NULL ORDER BY 1, 2"
    );
    if let Some(rows) = seen.ask(session, &INDEXES, &sql).await? {
        seen.set_count("unused_indexes", Some(rows.len() as u64));
        seen.set_duration("statistics_age", server.uptime);
        seen.show("indexes that no query used", &["table", "index"], &rows);
    }
    Ok(())
}

/// The table of what was used, from whichever statistics the server keeps.
async fn used_indexes(
    session: &mut Session,
    server: Server,
    seen: &mut Seen<'_>,
) -> Result<Option<&'static str>, Trouble> {
    let userstat = seen.ask(session, &INDEXES, "SHOW GLOBAL VARIABLES LIKE 'userstat'").await?.unwrap_or_default();
    if userstat.first().and_then(|row| row.flag("Value")) == Some(true) {
        return Ok(Some(
            "(SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, INDEX_NAME AS i FROM information_schema.INDEX_STATISTICS)",
        ));
    }
    if server.instruments {
        let sql = "SELECT ENABLED AS enabled FROM performance_schema.setup_instruments \
                   WHERE NAME = 'wait/io/table/sql/handler'";
        let Some(instrument) = seen.ask_one(session, &INDEXES, sql).await? else { return Ok(None) };
        if instrument.flag("enabled") == Some(true) {
            return Ok(Some(
                "(SELECT OBJECT_SCHEMA AS s, OBJECT_NAME AS t, INDEX_NAME AS i \
                 FROM performance_schema.table_io_waits_summary_by_index_usage WHERE COUNT_STAR > 0)",
            ));
        }
    }
    let on = if server.is_mariadb { "SET GLOBAL userstat = ON" } else { "set performance_schema = ON and restart it" };
    seen.missing(&INDEXES, &format!("the server does not count the use of indexes; switch it on: {on}"));
    Ok(None)
}
