//! What differs from one kind of database to another: writes that hide, logins, limits, trouble.

use std::time::{Duration, Instant};

use opsctl::model::value::Value;

use super::{Database, Kind, ask, error, sqlite, value, why_down};
use crate::support::{mariadb, postgres, server};

/// The limit of a look that is to run into it. Long enough to log in on a busy machine.
const SHORT: Duration = Duration::from_secs(2);

/// Statements of the probe that contain `mark`, as the server sees them.
fn mariadb_sessions(mark: &str) -> usize {
    let mine =
        format!("SELECT INFO FROM information_schema.PROCESSLIST WHERE USER = 'opsctl' AND INFO LIKE '%{mark}%'");
    mariadb::query(&mine).len()
}

fn postgres_sessions(mark: &str) -> usize {
    let mine = format!("SELECT pid FROM pg_stat_activity WHERE application_name = 'opsctl' AND query LIKE '%{mark}%'");
    postgres::query("postgres", &mine).len()
}

#[test]
fn a_function_that_writes_is_refused_by_the_server() {
    let database = Database::new(Kind::MariaDb, "writes");
    mariadb::execute(&format!(
        "DELIMITER //\nUSE {}//\nCREATE FUNCTION writes() RETURNS INT BEGIN DELETE FROM ticket; RETURN 1; END//\n",
        database.name
    ));
    let error = error(&database.look("SELECT writes()"));
    assert_eq!(error.code, "read_only");
    assert!(error.message.contains("READ ONLY transaction"), "{}", error.message);
    assert_eq!(database.tickets(), "2");
}

#[test]
fn writes_that_begin_like_a_read_are_refused_by_postgres() {
    let database = Database::new(Kind::Postgres, "writes");
    postgres::execute(
        &database.name,
        "CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'DELETE FROM ticket RETURNING 1';
         CREATE SEQUENCE numbers;",
    );
    for query in [
        "WITH gone AS (DELETE FROM ticket RETURNING id) SELECT * FROM gone",
        "SELECT writes()",
        "SELECT * INTO copy FROM ticket",
        "SELECT nextval('numbers')",
        "EXPLAIN ANALYZE DELETE FROM ticket",
    ] {
        assert_eq!(error(&database.look(query)).code, "read_only", "{query}");
    }
    let switched = error(&database.look("SELECT set_config('transaction_read_only', 'off', false), writes()"));
    assert_eq!(switched.code, "read_only", "{switched}");
    assert_eq!(database.tickets(), "2");
}

#[test]
fn a_sqlite_file_is_opened_for_reading_only() {
    let database = Database::new(Kind::Sqlite, "writes");
    for query in ["WITH gone AS (SELECT 1) DELETE FROM ticket", "PRAGMA user_version = 7", "PRAGMA journal_mode = WAL"]
    {
        database.look(query).run().ok();
    }
    assert_eq!(error(&database.look("WITH gone AS (SELECT 1) DELETE FROM ticket")).code, "read_only");
    assert_eq!(database.tickets(), "2");
    assert_eq!(value(&database.look("PRAGMA user_version")), Some(Value::Integer(0)));
    assert_eq!(value(&database.look("PRAGMA journal_mode")), Some(Value::text("delete")));
}

#[test]
fn mariadb_ends_a_slow_statement_itself_and_no_session_is_left() {
    let database = Database::new(Kind::MariaDb, "slow");
    let note = why_down(&database.look("SELECT 'slow one', SLEEP(60)").limit(SHORT));
    assert!(note.contains("the statement was ended: Query execution was interrupted (max_statement_time"), "{note}");
    server::wait_until("the end of the session", || mariadb_sessions("slow one") == 0);
}

#[test]
fn postgres_ends_a_slow_statement_itself_and_no_session_is_left() {
    let database = Database::new(Kind::Postgres, "slow");
    let note = why_down(&database.look("SELECT 'slow one', pg_sleep(60)").limit(SHORT));
    assert!(note.ends_with("the statement was ended: canceling statement due to statement timeout"), "{note}");
    server::wait_until("the end of the session", || postgres_sessions("slow one") == 0);
}

#[test]
fn sqlite_ends_a_slow_statement() {
    let database = Database::new(Kind::Sqlite, "slow");
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
    let note = why_down(&database.look(endless).limit(SHORT));
    assert!(note.ends_with("the statement was ended: it took too long"), "{note}");
}

#[test]
fn a_cancelled_look_ends_its_statement_in_the_server() {
    let sessions = [mariadb_sessions as fn(&str) -> usize, postgres_sessions];
    for ((url, query), sessions) in [
        (mariadb::url("mysql"), "SELECT 'cancelled one', SLEEP(300)"),
        (postgres::url("postgres"), "SELECT 'cancelled one', pg_sleep(300)"),
    ]
    .into_iter()
    .zip(sessions)
    {
        let look = ask(&url, query).limit(Duration::from_secs(200));
        let cancel = look.cx.cancel.clone();
        let begin = Instant::now();
        let waiting = std::thread::spawn(move || error(&look));
        server::wait_until("the statement", || sessions("cancelled one") == 1);
        cancel.cancel();
        assert_eq!(waiting.join().expect("an error").code, "cancelled");
        server::wait_until("the end of the session", || sessions("cancelled one") == 0);
        assert!(begin.elapsed() < Duration::from_secs(150), "only the server's own limit ended it");
    }
}

#[test]
fn a_wrong_password_is_an_error_that_does_not_show_it() {
    for (url, user) in [(mariadb::url("mysql"), "'opsctl'"), (postgres::url("postgres"), "\"opsctl\"")] {
        let url = url.replace("open%2Fsesame%207", "wrong%2Fsecret");
        let error = error(&ask(&url, "SELECT 1"));
        assert_eq!(error.code, "permission");
        assert!(error.message.contains(user), "{}", error.message);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[test]
fn a_database_that_does_not_exist_does_not_answer() {
    let note = why_down(&ask(&mariadb::url("no_such"), "SELECT 1"));
    assert!(note.ends_with("Unknown database 'no_such'"), "{note}");
    let note = why_down(&ask(&postgres::url("no_such"), "SELECT 1"));
    assert!(note.ends_with("database \"no_such\" does not exist"), "{note}");
}

#[test]
fn a_table_that_may_not_be_read_is_an_error() {
    let database = Database::new(Kind::MariaDb, "rights");
    mariadb::execute(
        "CREATE TABLE sql_rights.other (id INT); CREATE USER narrow@'%' IDENTIFIED BY 'narrow';
         GRANT SELECT ON sql_rights.other TO narrow@'%'",
    );
    let url = database.url.replace("opsctl:open%2Fsesame%207", "narrow:narrow");
    let denied = error(&ask(&url, "SELECT * FROM ticket"));
    assert_eq!(denied.code, "permission");
    assert!(denied.message.contains("SELECT command denied to user 'narrow'"), "{}", denied.message);

    let database = Database::new(Kind::Postgres, "rights");
    postgres::execute("postgres", "CREATE ROLE narrow LOGIN PASSWORD 'narrow'");
    let url = database.url.replace("opsctl:open%2Fsesame%207", "narrow:narrow");
    let denied = error(&ask(&url, "SELECT * FROM ticket"));
    assert_eq!(denied.code, "permission");
    assert!(denied.message.ends_with("permission denied for table ticket"), "{}", denied.message);
}

#[test]
fn a_server_that_takes_no_more_connections_does_not_answer() {
    let database = Database::new(Kind::MariaDb, "full");
    mariadb::execute(
        "CREATE USER once@'%' IDENTIFIED BY 'once' WITH MAX_CONNECTIONS_PER_HOUR 1; GRANT ALL ON *.* TO once@'%'",
    );
    let look = ask(&database.url.replace("opsctl:open%2Fsesame%207", "once:once"), "SELECT 1");
    assert_eq!(value(&look), Some(Value::Integer(1)));
    let note = why_down(&look);
    assert!(note.contains("has exceeded the 'max_connections_per_hour' resource"), "{note}");

    let database = Database::new(Kind::Postgres, "full");
    postgres::execute("postgres", "CREATE ROLE never LOGIN PASSWORD 'never' CONNECTION LIMIT 0");
    let note = why_down(&ask(&database.url.replace("opsctl:open%2Fsesame%207", "never:never"), "SELECT 1"));
    assert!(note.ends_with("too many connections for role \"never\""), "{note}");
}

#[test]
fn sockets_are_as_good_as_ports() {
    let socket = mariadb::server().socket.display().to_string();
    assert_eq!(
        value(&ask(&format!("mysql://root@localhost/mysql?socket={socket}"), "SELECT 1")),
        Some(Value::Integer(1))
    );
    let postgres = postgres::server();
    let url = format!("postgres:///postgres?user=opsctl&host={}&port={}", postgres.socket.display(), postgres.port);
    assert_eq!(value(&ask(&url, "SELECT 1")), Some(Value::Integer(1)));
}

#[test]
fn a_query_means_what_it_means_in_the_servers_own_client() {
    // The driver would make `||` join texts.
    assert_eq!(value(&ask(&mariadb::url("mysql"), "SELECT 0 || 1")), Some(Value::Integer(1)));
    let zone = mariadb::query("SELECT @@time_zone, @@character_set_server");
    let seen = ask(&mariadb::url("mysql"), "SELECT CONCAT(@@time_zone, '\t', @@character_set_server)");
    assert_eq!(value(&seen), Some(Value::text(&zone[0])));
}

#[test]
fn a_sqlite_database_that_is_locked_missing_or_damaged_does_not_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let url = |name: &str| format!("sqlite://{}", path(name));
    assert_eq!(why_down(&ask(&url("none.db"), "SELECT 1")), format!("{}: no such file", path("none.db")));
    assert_eq!(
        why_down(&ask(&format!("sqlite://{}", folder.path().display()), "SELECT 1")),
        format!("{}: not a file", folder.path().display())
    );
    std::fs::write(path("text.db"), "not a database, but long enough to be taken for one at first").expect("written");
    assert!(why_down(&ask(&url("text.db"), "SELECT * FROM ticket")).ends_with("file is not a database"));
    assert!(!std::path::Path::new(&path("none.db")).exists(), "a look must not create a file");

    let database = Database::new(Kind::Sqlite, "locked");
    let locked = lock(&database.name);
    let note = why_down(&database.look("SELECT * FROM ticket").limit(Duration::from_secs(1)));
    assert!(note.ends_with("database is locked"), "{note}");
    drop(locked);
    assert_eq!(database.tickets(), "2");
}

/// Locks a SQLite file until what is returned goes away.
fn lock(file: &str) -> (tokio::runtime::Runtime, sqlx::SqliteConnection) {
    use sqlx::ConnectOptions as _;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let connection = runtime.block_on(async {
        let mut connection =
            sqlx::sqlite::SqliteConnectOptions::new().filename(file).connect().await.expect("the file opens");
        sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut connection).await.expect("the lock is taken");
        connection
    });
    (runtime, connection)
}

#[test]
fn a_sqlite_path_starts_at_the_folder_of_the_site() {
    let folder = tempfile::tempdir().expect("a folder");
    sqlite(&folder.path().join("app.db").display().to_string(), "CREATE TABLE t (x); INSERT INTO t VALUES (5)");
    let mut look = ask("sqlite://app.db", "SELECT x FROM t");
    look.cx.folder = folder.path().to_owned();
    assert_eq!(value(&look), Some(Value::Integer(5)));
}

#[test]
fn every_statement_that_reads_is_taken() {
    for (kind, queries) in [
        (
            Kind::MariaDb,
            ["VALUES (1)", "SHOW STATUS LIKE 'Uptime'", "CHECKSUM TABLE ticket", "DESCRIBE ticket", "EXPLAIN SELECT 1"]
                .as_slice(),
        ),
        (Kind::Postgres, &["VALUES (1)", "SHOW work_mem", "TABLE ticket", "EXPLAIN ANALYZE SELECT 1", "(SELECT 1)"]),
        (Kind::Sqlite, &["VALUES (1)", "PRAGMA table_info(ticket)", "EXPLAIN QUERY PLAN SELECT 1"]),
    ] {
        let database = Database::new(kind, "reads");
        for query in queries {
            let subject = database.look(query).subject();
            assert_ne!(subject.facts.get("rows"), Some(&Value::Integer(0)), "{query}");
        }
    }
}
