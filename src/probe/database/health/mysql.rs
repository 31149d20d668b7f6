//! MySQL and MariaDB: the server, its sessions and its replication.

use std::collections::HashMap;
use std::time::Duration;

use super::facts::{OF_POSTGRES, SESSIONS};
use super::mysql_use;
use super::seen::Seen;
use super::session::{Row, Session};
use crate::model::text::one_line;
use crate::model::value::Value;
use crate::probe::sql::statement::Dialect;
use crate::probe::sql::trouble::Trouble;

/// What is asked differently of MariaDB.
#[derive(Clone, Copy)]
pub struct Server {
    pub is_mariadb: bool,
    /// Performance schema.
    pub instruments: bool,
    pub uptime: Option<Duration>,
}

/// `InnoDB` tells times in the time zone of the system; a table that is locked by a change of it must not hold up the
/// look; MySQL shows sizes of yesterday.
const SET_UP: &str =
    "SET SESSION time_zone = 'SYSTEM', lock_wait_timeout = 2 /*!80000 , information_schema_stats_expiry = 0 */";

pub async fn look(session: &mut Session, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    seen.inapplicable(OF_POSTGRES);
    if let Err(refused) = session.ask(SET_UP).await? {
        return Err(Trouble::Down(refused.0));
    }
    let Some(server) = overview(session, seen).await? else { return Ok(()) };
    sessions(session, server, seen).await?;
    prepared(session, seen).await?;
    replication(session, server, seen).await?;
    replicas(session, seen).await?;
    mysql_use::look(session, server, seen).await
}

const STATUS: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime', 'Threads_connected', 'Aborted_connects', \
    'Slow_queries', 'Innodb_buffer_pool_read_requests', 'Innodb_buffer_pool_reads', 'Innodb_deadlocks', \
    'Innodb_history_list_length')";

const VARIABLES: &str = "SELECT @@global.read_only AS read_only, @@global.max_connections AS connection_limit, \
    @@global.performance_schema AS instruments, VERSION() AS version";

async fn overview(session: &mut Session, seen: &mut Seen<'_>) -> Result<Option<Server>, Trouble> {
    let facts = ["uptime", "connections", "connection_share", "aborted_connects", "slow_queries", "hit_ratio"];
    let Some(variables) = seen.ask_one(session, &facts, VARIABLES).await? else { return Ok(None) };
    let Some(status) = seen.ask(session, &facts, STATUS).await? else { return Ok(None) };
    let status: HashMap<String, u64> = status
        .iter()
        .filter_map(|row| Some((row.text("Variable_name")?.to_ascii_lowercase(), row.count("Value")?)))
        .collect();
    let of = |name: &str| status.get(name).copied();
    let uptime = of("uptime").map(Duration::from_secs);
    seen.set("read_only", variables.flag("read_only").map(Value::Bool));
    seen.set_duration("uptime", uptime);
    seen.set_count("connection_limit", variables.count("connection_limit"));
    seen.set_connections(of("threads_connected"));
    seen.set_counter("aborted_connects", "recent_aborted_connects", of("aborted_connects"), uptime);
    seen.set_counter("slow_queries", "recent_slow_queries", of("slow_queries"), uptime);
    let (requests, reads) = (of("innodb_buffer_pool_read_requests"), of("innodb_buffer_pool_reads"));
    let hits = requests.zip(reads).map(|(requests, reads)| requests.saturating_sub(reads));
    seen.set_hits(hits, reads, uptime);
    innodb(session, of("innodb_deadlocks"), of("innodb_history_list_length"), uptime, seen).await?;
    let is_mariadb = variables.text("version").is_some_and(|version| version.contains("MariaDB"));
    Ok(Some(Server { is_mariadb, instruments: variables.flag("instruments") == Some(true), uptime }))
}

/// MySQL has among its metrics what MariaDB has in its status.
async fn innodb(
    session: &mut Session,
    deadlocks: Option<u64>,
    history: Option<u64>,
    uptime: Option<Duration>,
    seen: &mut Seen<'_>,
) -> Result<(), Trouble> {
    let (mut deadlocks, mut history) = (deadlocks, history);
    if deadlocks.is_none() || history.is_none() {
        let facts = ["deadlocks", "recent_deadlocks", "history_list"];
        let sql = "SELECT NAME AS name, `COUNT` AS value, STATUS = 'enabled' AS counts \
                   FROM information_schema.INNODB_METRICS WHERE NAME IN ('lock_deadlocks', 'trx_rseg_history_len')";
        let rows = seen.ask(session, &facts, sql).await?.unwrap_or_default();
        let metric = |name: &str| {
            let row = rows.iter().find(|row| row.text("name") == Some(name))?;
            row.count("value").filter(|_| row.flag("counts") == Some(true))
        };
        deadlocks = deadlocks.or_else(|| metric("lock_deadlocks"));
        history = history.or_else(|| metric("trx_rseg_history_len"));
    }
    seen.set_counter("deadlocks", "recent_deadlocks", deadlocks, uptime);
    seen.set_count("history_list", history);
    Ok(())
}

async fn sessions(session: &mut Session, server: Server, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    let (time, waits) = if server.is_mariadb {
        (
            "p.TIME_MS / 1000",
            "information_schema.INNODB_LOCK_WAITS w JOIN information_schema.INNODB_TRX b \
             ON b.trx_id = w.blocking_trx_id WHERE w.requesting_trx_id = t.trx_id",
        )
    } else {
        (
            "p.TIME",
            "performance_schema.data_lock_waits w JOIN information_schema.INNODB_TRX b \
             ON b.trx_id = w.BLOCKING_ENGINE_TRANSACTION_ID WHERE w.REQUESTING_ENGINE_TRANSACTION_ID = t.trx_id",
        )
    };
    // The event scheduler and replication have threads that run for ever. InnoDB tells times in whole seconds.
    let sql = format!(
        "SELECT p.ID AS pid, p.USER AS `user`, p.DB AS `database`, p.INFO AS query, \
         CASE WHEN p.COMMAND <> 'Sleep' THEN 'active' WHEN t.trx_id IS NULL THEN 'idle' \
         ELSE 'idle in transaction' END AS state, {time} AS query_age, {time} AS state_age, \
         TIMESTAMPDIFF(MICROSECOND, t.trx_started, NOW(6)) / 1000000 AS transaction_age, \
         CASE WHEN t.trx_wait_started IS NOT NULL \
         THEN LEAST(TIMESTAMPDIFF(MICROSECOND, t.trx_wait_started, NOW(6)) / 1000000, {time}) \
         WHEN p.STATE LIKE 'Waiting for % lock' THEN {time} END AS waits, \
         (SELECT GROUP_CONCAT(DISTINCT b.trx_mysql_thread_id SEPARATOR ' ') FROM {waits}) AS blocked_by \
         FROM information_schema.PROCESSLIST p \
         LEFT JOIN information_schema.INNODB_TRX t ON t.trx_mysql_thread_id = p.ID \
         WHERE p.ID <> CONNECTION_ID() AND p.USER NOT IN ('system user', 'event_scheduler') \
         AND p.COMMAND NOT IN ('Daemon', 'Binlog Dump', 'Binlog Dump GTID', 'Slave_IO', 'Slave_SQL', 'Slave_worker') \
         AND (p.COMMAND <> 'Connect' OR p.INFO IS NOT NULL)"
    );
    if let Some(rows) = seen.ask(session, SESSIONS, &sql).await? {
        seen.set_sessions(&rows, Dialect::MySql);
    }
    Ok(())
}

async fn prepared(session: &mut Session, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    let rows = seen.ask(session, &["prepared_transactions"], "XA RECOVER").await?;
    seen.set_count("prepared_transactions", rows.map(|rows| rows.len() as u64));
    Ok(())
}

/// Both servers renamed what they tell.
const IO_RUNNING: [&str; 2] = ["Slave_IO_Running", "Replica_IO_Running"];
const SQL_RUNNING: [&str; 2] = ["Slave_SQL_Running", "Replica_SQL_Running"];
const BEHIND: [&str; 2] = ["Seconds_Behind_Master", "Seconds_Behind_Source"];

async fn replication(session: &mut Session, server: Server, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    let facts = ["role", "link_up", "replaying", "lag", "lag_time"];
    let newest = if server.is_mariadb { "SHOW ALL SLAVES STATUS" } else { "SHOW REPLICA STATUS" };
    let rows = match session.ask(newest).await? {
        Ok(rows) => rows,
        // Before MySQL 8.0.22.
        Err(_) if !server.is_mariadb => {
            let Some(rows) = seen.ask(session, &facts, "SHOW SLAVE STATUS").await? else { return Ok(()) };
            rows
        }
        Err(refused) => {
            seen.missing(&facts, &format!("{}: GRANT REPLICA MONITOR ON *.* TO it", refused.0));
            return Ok(());
        }
    };
    seen.set("role", Some(Value::text(if rows.is_empty() { "primary" } else { "replica" })));
    if rows.is_empty() {
        return Ok(());
    }
    let all_run = |names: &[&str]| rows.iter().all(|row| row.any(names) == Some("Yes"));
    seen.set("link_up", Some(Value::Bool(all_run(&IO_RUNNING))));
    seen.set("replaying", Some(Value::Bool(all_run(&SQL_RUNNING))));
    for row in &rows {
        let errors = ["Last_IO_Error", "Last_SQL_Error"].into_iter().filter_map(|column| row.text(column));
        seen.subject.notes.extend(errors.filter(|error| !error.is_empty()).map(|error| one_line(error, 300)));
    }
    let lags: Option<Vec<u64>> = rows.iter().map(not_applied).collect();
    match lags.and_then(|lags| lags.into_iter().max()) {
        Some(lag) => seen.set("lag", Some(Value::bytes(lag))),
        None => seen.missing(&["lag"], "the replica applies another file of the binary log than it receives"),
    }
    let seconds = |row: &Row| row.any(&BEHIND)?.parse().ok().map(Duration::from_secs);
    let times: Option<Vec<Duration>> = rows.iter().map(seconds).collect();
    match times.and_then(|times| times.into_iter().max()) {
        Some(time) => seen.set_duration("lag_time", Some(time)),
        None => seen.missing(&["lag_time"], "Seconds_Behind is NULL: the replication does not run"),
    }
    Ok(())
}

/// Bytes of the primary's binary log that the replica has received and not applied, as long as both are in one file.
fn not_applied(row: &Row) -> Option<u64> {
    let received = row.any(&["Master_Log_File", "Source_Log_File"])?;
    let applied = row.any(&["Relay_Master_Log_File", "Relay_Source_Log_File"])?;
    let position = |names: &[&str]| row.any(names)?.parse::<u64>().ok();
    let read = position(&["Read_Master_Log_Pos", "Read_Source_Log_Pos"])?;
    let done = position(&["Exec_Master_Log_Pos", "Exec_Source_Log_Pos"])?;
    (received == applied).then(|| read.saturating_sub(done))
}

async fn replicas(session: &mut Session, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    // Without the right to see others' threads, there would seem to be none.
    let sql = "SELECT (SELECT COUNT(*) FROM information_schema.INNODB_TRX) >= 0 AS sees_all, COUNT(*) AS replicas \
               FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'";
    if let Some(row) = seen.ask_one(session, &["replicas"], sql).await? {
        seen.set_count("replicas", row.count("replicas"));
    }
    Ok(())
}
