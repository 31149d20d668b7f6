//! What the kind `database` can report.

use crate::model::fact::{FactSpec, FactType};

/// Facts that tell what happened since the newest earlier run, or how fast something grows.
pub const RECENT: &[&str] = &[
    "recent_hit_ratio",
    "recent_deadlocks",
    "recent_aborted_connects",
    "recent_slow_queries",
    "recent_statement_time",
    "daily_growth",
];

/// Of what those are made.
pub const EARLIER: &[&str] =
    &["hits", "misses", "deadlocks", "aborted_connects", "slow_queries", "statements", "statement_time", "size"];

/// What only PostgreSQL has.
pub const OF_POSTGRES: &[&str] = &[
    "inactive_slots",
    "retained_wal",
    "archiving",
    "wraparound",
    "dead_rows",
    "oldest_vacuum",
    "invalid_indexes",
    "checksum_failures",
];

/// What only MySQL and MariaDB have.
pub const OF_MYSQL: &[&str] = &[
    "aborted_connects",
    "recent_aborted_connects",
    "slow_queries",
    "recent_slow_queries",
    "history_list",
    "damaged_tables",
];

/// What sessions do, which only some users may see of others.
pub const SESSIONS: &[&str] = &[
    "longest_query",
    "longest_transaction",
    "idle_in_transaction",
    "longest_idle_in_transaction",
    "blocked",
    "longest_lock_wait",
];

pub const FACTS: &[FactSpec] = &[
    FactSpec::implied("answers", "logged in to the database that the URL names, and a trivial question was answered"),
    FactSpec::new("connect_time", FactType::Duration, "how long it took to connect and log in"),
    FactSpec::new("query_time", FactType::Duration, "how long the answer to `SELECT 1` took"),
    FactSpec::new("version", FactType::Text, "the version of the server"),
    FactSpec::new("uptime", FactType::Duration, "since the server started"),
    FactSpec::new("role", FactType::Text, "`primary` or `replica`"),
    FactSpec::new("read_only", FactType::Bool, "a new session may not write"),
    // Sessions of the whole server.
    FactSpec::new(
        "connections",
        FactType::Count,
        "connections of clients to the whole server, that of this look included",
    ),
    FactSpec::new("connection_limit", FactType::Count, "how many there may be, without those kept for superusers"),
    FactSpec::new("connection_share", FactType::Percent, "`connections` of `connection_limit`"),
    FactSpec::new(
        "longest_query",
        FactType::Duration,
        "how long the oldest statement of a client runs; 0 s when none runs. As all facts of sessions, of the whole \
         server, without this look and the server's own threads",
    ),
    FactSpec::new("longest_transaction", FactType::Duration, "the age of the oldest open transaction; 0 s without one"),
    FactSpec::new("idle_in_transaction", FactType::Count, "sessions that do nothing in an open transaction"),
    FactSpec::new(
        "longest_idle_in_transaction",
        FactType::Duration,
        "for how long one of them has done nothing; 0 s without one",
    ),
    FactSpec::new("blocked", FactType::Count, "sessions that wait for a lock; who holds it is in the evidence"),
    FactSpec::new("longest_lock_wait", FactType::Duration, "how long one of them has waited; 0 s when none waits"),
    FactSpec::new(
        "prepared_transactions",
        FactType::Count,
        "prepared (two-phase, XA) and not yet ended: they hold locks",
    ),
    FactSpec::new("deadlocks", FactType::Count, "since the server began to count; PostgreSQL: in this database"),
    FactSpec::recent("recent_deadlocks", FactType::Count, "`deadlocks` since this step's newest earlier run"),
    FactSpec::new("aborted_connects", FactType::Count, "logins that failed since the start; MySQL and MariaDB only"),
    FactSpec::recent(
        "recent_aborted_connects",
        FactType::Count,
        "`aborted_connects` since this step's newest earlier run",
    ),
    // Replication.
    FactSpec::new("replicas", FactType::Count, "replicas that are connected"),
    FactSpec::new(
        "link_up",
        FactType::Bool,
        "the replica receives from its primary (WAL receiver; `Slave_IO_Running`); missing on a primary",
    ),
    FactSpec::new(
        "replaying",
        FactType::Bool,
        "the replica applies what it receives: its replay is not paused, its SQL thread runs; missing on a primary",
    ),
    FactSpec::new(
        "lag",
        FactType::Size,
        "what the replica received and has not applied; on a primary of PostgreSQL, what the replica furthest behind \
         has not applied; missing without replicas",
    ),
    FactSpec::new(
        "lag_time",
        FactType::Duration,
        "how long ago the primary wrote what the replica has not applied; 0 s when it has applied all, however \
         long the \
         primary has been idle. Missing where it cannot be known: the link is down, the replay stopped \
         (`Seconds_Behind_Master` is NULL)",
    ),
    FactSpec::new(
        "inactive_slots",
        FactType::Count,
        "replication slots that nobody uses: they keep WAL for ever; PostgreSQL only",
    ),
    FactSpec::new(
        "retained_wal",
        FactType::Size,
        "the WAL that the slot furthest behind keeps; 0 without slots; PostgreSQL only",
    ),
    FactSpec::new(
        "archiving",
        FactType::Bool,
        "the WAL is archived, and the last attempt did not fail; false where `archive_mode` is off; PostgreSQL only",
    ),
    // Space.
    FactSpec::new("size", FactType::Size, "of the database: tables and indexes"),
    FactSpec::recent(
        "daily_growth",
        FactType::Size,
        "growth of `size` in a day, from that since this step's newest earlier run (less than an hour counts as an \
         hour); negative when it shrank",
    ),
    FactSpec::family(
        "table",
        FactType::Size,
        "a table with its indexes and partitions, by its name, in PostgreSQL also as `schema.table`",
    ),
    FactSpec::new("hits", FactType::Count, "pages found in the server's own cache since it began to count"),
    FactSpec::new("misses", FactType::Count, "pages not found there"),
    FactSpec::new("hit_ratio", FactType::Percent, "`hits` of both"),
    FactSpec::recent("recent_hit_ratio", FactType::Percent, "`hit_ratio` since this step's newest earlier run"),
    // Statements and indexes.
    FactSpec::new(
        "statements",
        FactType::Count,
        "how often statements ran in this database since the statistics began (pg_stat_statements; \
         performance_schema); missing where the server keeps none, with what switches them on",
    ),
    FactSpec::new("statement_time", FactType::Duration, "how long they took on average"),
    FactSpec::recent(
        "recent_statement_time",
        FactType::Duration,
        "`statement_time` since this step's newest earlier run",
    ),
    FactSpec::new(
        "slow_statements",
        FactType::Count,
        "different statements that take longer than `slower_than` on average; the slowest are in the evidence",
    ),
    FactSpec::new("slowest_statement", FactType::Duration, "how long the slowest of all takes on average"),
    FactSpec::new(
        "slow_queries",
        FactType::Count,
        "statements since the start that took longer than the server's `long_query_time`; MySQL and MariaDB only",
    ),
    FactSpec::recent("recent_slow_queries", FactType::Count, "`slow_queries` since this step's newest earlier run"),
    FactSpec::new(
        "unused_indexes",
        FactType::Count,
        "indexes of this database that no query has used since the statistics began, without those of keys; missing \
         where the server keeps no statistics. Look at `statistics_age` as well, and at the replicas",
    ),
    FactSpec::new(
        "statistics_age",
        FactType::Duration,
        "for how long the use of indexes has been counted; in MySQL and MariaDB, since the start of the server at most",
    ),
    FactSpec::new("invalid_indexes", FactType::Count, "indexes left behind by a build that failed; PostgreSQL only"),
    // Upkeep.
    FactSpec::new(
        "dead_rows",
        FactType::Percent,
        "dead rows in the table of this database with the largest share, of those with 1000 rows or more; \
         PostgreSQL only",
    ),
    FactSpec::new(
        "oldest_vacuum",
        FactType::Duration,
        "of the tables that are due for autovacuum, how long one was not vacuumed; 0 s when none is due; \
         PostgreSQL only",
    ),
    FactSpec::new(
        "wraparound",
        FactType::Percent,
        "transaction ids used up by the oldest database, of the 2^31 at which the server stops to write; \
         PostgreSQL only",
    ),
    FactSpec::new(
        "checksum_failures",
        FactType::Count,
        "damaged pages that were noticed in all databases; missing where checksums are off; PostgreSQL only",
    ),
    FactSpec::new(
        "history_list",
        FactType::Count,
        "old versions of rows that InnoDB has not purged (history list length); MySQL and MariaDB only",
    ),
    FactSpec::new("damaged_tables", FactType::Count, "tables that the server cannot open; MySQL and MariaDB only"),
];
