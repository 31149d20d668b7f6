//! PostgreSQL: the server, its sessions and its replication:
//! <https://www.postgresql.org/docs/current/monitoring-stats.html>.

use std::time::Duration;

use super::facts::{OF_MYSQL, SESSIONS};
use super::postgres_use;
use super::seen::{Seen, in_words};
use super::session::{Row, Session};
use crate::model::value::Value;
use crate::probe::sql::statement::Dialect;
use crate::probe::sql::trouble::Trouble;

/// What is asked differently on a replica, and of a user without rights.
#[derive(Clone, Copy)]
pub struct Server {
    pub is_replica: bool,
    pub sees_all: bool,
    /// `150020` is 15.20.
    pub version: u64,
    pub uptime: Option<Duration>,
}

pub const MONITOR: &str = "what others do is hidden from this user; GRANT pg_monitor TO the user of the URL";

/// Where the WAL ends, on a primary and on a replica that has replicas of its own.
const END_OF_WAL: &str = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END";

pub async fn look(session: &mut Session, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    seen.inapplicable(OF_MYSQL);
    let Some(server) = overview(session, seen).await? else { return Ok(()) };
    let received = if server.is_replica { position(session).await? } else { None };
    sessions(session, server, seen).await?;
    replicas(session, server, seen).await?;
    slots(session, seen).await?;
    archiver(session, seen).await?;
    postgres_use::look(session, server, seen).await?;
    if server.is_replica {
        replay(session, received, seen).await?;
    }
    Ok(())
}

const OVERVIEW: &str = "SELECT pg_is_in_recovery() AS replica, \
    pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS read_only, \
    current_setting('server_version_num') AS version, \
    extract(epoch FROM clock_timestamp() - pg_postmaster_start_time()) AS uptime, \
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int \
        - coalesce(current_setting('reserved_connections', true)::int, 0) AS connection_limit, \
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all, \
    (SELECT sum(numbackends) FROM pg_stat_database WHERE datname IS NOT NULL) AS backends, \
    (SELECT count(*) FROM pg_prepared_xacts) AS prepared, \
    (SELECT max(greatest(age(datfrozenxid)::float8, mxid_age(datminmxid)::float8)) / 2147483648.0 * 100 \
        FROM pg_database) AS wraparound, \
    deadlocks, blks_hit, blks_read, extract(epoch FROM clock_timestamp() - stats_reset) AS statistics_age \
    FROM pg_stat_database WHERE datname = current_database()";

async fn overview(session: &mut Session, seen: &mut Seen<'_>) -> Result<Option<Server>, Trouble> {
    let facts = ["role", "uptime", "connections", "connection_share", "wraparound", "deadlocks", "hit_ratio"];
    let Some(row) = seen.ask_one(session, &facts, OVERVIEW).await? else { return Ok(None) };
    let is_replica = row.flag("replica") == Some(true);
    let uptime = row.duration("uptime");
    seen.set("role", Some(Value::text(if is_replica { "replica" } else { "primary" })));
    seen.set("read_only", row.flag("read_only").map(Value::Bool));
    seen.set_duration("uptime", uptime);
    seen.set("wraparound", row.number("wraparound").map(Value::percent));
    seen.set_count("prepared_transactions", row.count("prepared"));
    seen.set_count("connection_limit", row.count("connection_limit"));
    // Statistics outlive a restart, so only their own age tells that they began anew.
    let age = row.duration("statistics_age");
    seen.set_counter("deadlocks", "recent_deadlocks", row.count("deadlocks"), age);
    seen.set_hits(row.count("blks_hit"), row.count("blks_read"), age);
    let sees_all = row.flag("sees_all") == Some(true);
    if !sees_all {
        seen.set_connections(row.count("backends"));
    }
    Ok(Some(Server { is_replica, sees_all, version: row.count("version").unwrap_or_default(), uptime }))
}

async fn sessions(session: &mut Session, server: Server, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    if !server.sees_all {
        seen.missing(SESSIONS, MONITOR);
        return Ok(());
    }
    let waits_since = if server.version >= 140_000 {
        "coalesce((SELECT min(waitstart) FROM pg_locks l WHERE l.pid = a.pid AND NOT granted), query_start)"
    } else {
        "query_start"
    };
    let sql = format!(
        "SELECT pid, usename AS user, datname AS database, state, query, pid = pg_backend_pid() AS own, \
         extract(epoch FROM clock_timestamp() - xact_start) AS transaction_age, \
         extract(epoch FROM clock_timestamp() - query_start) AS query_age, \
         extract(epoch FROM clock_timestamp() - state_change) AS state_age, \
         CASE WHEN wait_event_type = 'Lock' THEN extract(epoch FROM clock_timestamp() - {waits_since}) END AS waits, \
         CASE WHEN wait_event_type = 'Lock' THEN array_to_string(pg_blocking_pids(pid), ' ') END AS blocked_by \
         FROM pg_stat_activity a WHERE backend_type = 'client backend'"
    );
    let Some(rows) = seen.ask(session, SESSIONS, &sql).await? else { return Ok(()) };
    seen.set_connections(Some(rows.len() as u64));
    let others: Vec<Row> = rows.into_iter().filter(|row| row.flag("own") != Some(true)).collect();
    seen.set_sessions(&others, Dialect::Postgres);
    Ok(())
}

async fn replicas(session: &mut Session, server: Server, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    let facts: &[&str] = if server.is_replica { &["replicas"] } else { &["replicas", "lag", "lag_time"] };
    if !server.sees_all {
        seen.missing(facts, MONITOR);
        return Ok(());
    }
    let sql = format!(
        "SELECT coalesce(nullif(application_name, ''), 'pid ' || pid) AS name, client_addr AS address, state, \
         sync_state, greatest(pg_wal_lsn_diff({END_OF_WAL}, replay_lsn), 0) AS lag, \
         extract(epoch FROM replay_lag) AS lag_time \
         FROM pg_stat_replication WHERE state IN ('streaming', 'catchup') ORDER BY lag DESC NULLS FIRST"
    );
    let Some(rows) = seen.ask(session, facts, &sql).await? else { return Ok(()) };
    seen.set_count("replicas", Some(rows.len() as u64));
    if !server.is_replica {
        let lags: Option<Vec<u64>> = rows.iter().map(|row| row.count("lag")).collect();
        seen.set("lag", lags.and_then(|lags| lags.into_iter().max()).map(Value::bytes));
        // Of an idle primary, the server tells no time, or one that it took long ago.
        let time =
            |row: &Row| if row.count("lag") == Some(0) { Some(Duration::ZERO) } else { row.duration("lag_time") };
        let times: Option<Vec<Duration>> = rows.iter().map(time).collect();
        seen.set_duration("lag_time", times.and_then(|times| times.into_iter().max()));
    }
    seen.show("replicas", &["name", "address", "state", "sync_state", "lag", "lag_time"], &rows);
    Ok(())
}

const STANDBY: &str = "SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn AS received, \
    pg_last_wal_replay_lsn() - '0/0'::pg_lsn AS replayed, pg_is_wal_replay_paused() AS paused, \
    extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) AS since_replay, \
    (SELECT count(*) FROM pg_stat_wal_receiver WHERE pid IS NOT NULL) AS receivers, \
    (SELECT status FROM pg_stat_wal_receiver) AS status";

/// What has been received so far.
async fn position(session: &mut Session) -> Result<Option<u64>, Trouble> {
    Ok(session.ask(STANDBY).await?.ok().and_then(|rows| rows.first()?.count("received")))
}

/// At the end of the look: what was `received` at its beginning had the time of the look to be replayed.
async fn replay(session: &mut Session, received: Option<u64>, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    let facts = ["link_up", "replaying", "lag", "lag_time"];
    let Some(row) = seen.ask_one(session, &facts, STANDBY).await? else { return Ok(()) };
    let link_up = match (row.count("receivers"), row.text("status")) {
        (Some(0), _) => Some(false),
        (_, Some(status)) => Some(status == "streaming"),
        (_, None) => None,
    };
    match link_up {
        Some(up) => seen.set("link_up", Some(Value::Bool(up))),
        None => seen.missing(&["link_up"], MONITOR),
    }
    let paused = row.flag("paused");
    seen.set("replaying", paused.map(|paused| Value::Bool(!paused)));
    if paused == Some(true) {
        seen.subject.note("the replay is paused; SELECT pg_wal_replay_resume() goes on");
    }
    let (now_received, replayed) = (row.count("received"), row.count("replayed"));
    let lag = now_received.zip(replayed).map(|(received, replayed)| received.saturating_sub(replayed));
    seen.set("lag", lag.map(Value::bytes));
    if link_up == Some(false) {
        seen.subject.note("the link to the primary is down: nothing is received");
        seen.missing(&["lag_time"], "what the primary wrote since the link is down is not known here");
        return Ok(());
    }
    let caught_up = received.zip(replayed).is_some_and(|(received, replayed)| replayed >= received);
    seen.set_duration("lag_time", if caught_up { Some(Duration::ZERO) } else { row.duration("since_replay") });
    Ok(())
}

async fn slots(session: &mut Session, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    let sql = format!(
        "SELECT slot_name AS slot, slot_type AS type, database, active, \
         greatest(pg_wal_lsn_diff({END_OF_WAL}, restart_lsn), 0) AS retained \
         FROM pg_replication_slots ORDER BY retained DESC NULLS LAST"
    );
    let Some(rows) = seen.ask(session, &["inactive_slots", "retained_wal"], &sql).await? else { return Ok(()) };
    let inactive: Vec<Row> = rows.iter().filter(|row| row.flag("active") == Some(false)).cloned().collect();
    seen.set_count("inactive_slots", Some(inactive.len() as u64));
    let most = rows.iter().filter_map(|row| row.count("retained")).max().unwrap_or_default();
    seen.set("retained_wal", Some(Value::bytes(most)));
    seen.show("replication slots that nobody uses", &["slot", "type", "database", "retained"], &inactive);
    Ok(())
}

const ARCHIVER: &str = "SELECT current_setting('archive_mode') AS mode, last_failed_wal AS wal, \
    last_failed_time > coalesce(last_archived_time, '-infinity') AS failing, \
    extract(epoch FROM clock_timestamp() - last_archived_time) AS since_archived FROM pg_stat_archiver";

async fn archiver(session: &mut Session, seen: &mut Seen<'_>) -> Result<(), Trouble> {
    let Some(row) = seen.ask_one(session, &["archiving"], ARCHIVER).await? else { return Ok(()) };
    let (is_off, fails) = (row.text("mode") == Some("off"), row.flag("failing") == Some(true));
    seen.set("archiving", Some(Value::Bool(!is_off && !fails)));
    if is_off && seen.cx.asked.iter().any(|fact| fact == "archiving") {
        seen.subject.note("WAL is not archived: archive_mode is off");
    } else if fails {
        let since = row.duration("since_archived").map_or_else(
            || "none was ever archived".to_owned(),
            |age| format!("the last that was archived is {} ago", in_words(Some(age))),
        );
        seen.subject.note(format!(
            "archiving {} failed, {since}; see archive_command and the server's log",
            row.shown("wal", 60)
        ));
    }
    Ok(())
}
