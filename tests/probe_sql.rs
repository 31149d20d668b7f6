//! The sql probe against real servers. What all three kinds of database promise comes first.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use opsctl::model::fact::{Observation, Subject};
use opsctl::model::value::Value;
use opsctl::probe::ProbeError;
use serde_json::json;

use crate::support::look::Look;
use crate::support::{mariadb, postgres, server};

mod kinds;
mod tls;
mod types;

/// A database with the table `ticket (id, subject)`, two rows in it.
#[derive(Clone, Copy, Debug)]
enum Kind {
    MariaDb,
    Postgres,
    Sqlite,
}

const ALL: [Kind; 3] = [Kind::MariaDb, Kind::Postgres, Kind::Sqlite];

const TABLE: &str = "CREATE TABLE ticket (id INT PRIMARY KEY, subject VARCHAR(40)); \
                     INSERT INTO ticket VALUES (1, 'printer'), (2, 'it''s slow');";

/// A database of one test.
struct Database {
    kind: Kind,
    url: String,
    name: String,
    _folder: Option<tempfile::TempDir>,
}

impl Database {
    fn new(kind: Kind, test: &str) -> Self {
        let name = format!("sql_{test}");
        match kind {
            Kind::MariaDb => {
                mariadb::execute(&format!("CREATE DATABASE {name}; USE {name}; {TABLE}"));
                Self { kind, url: mariadb::url(&name), name, _folder: None }
            }
            Kind::Postgres => {
                postgres::execute("postgres", &format!("CREATE DATABASE {name}"));
                postgres::execute(&name, TABLE);
                Self { kind, url: postgres::url(&name), name, _folder: None }
            }
            Kind::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                let file = folder.path().join("app.db").display().to_string();
                sqlite(&file, TABLE);
                Self { kind, url: format!("sqlite://{file}"), name: file, _folder: Some(folder) }
            }
        }
    }

    fn look(&self, query: &str) -> Look {
        ask(&self.url, query)
    }

    /// As an administrator sees it.
    fn tickets(&self) -> String {
        let count = "SELECT COUNT(*) FROM ticket";
        match self.kind {
            Kind::MariaDb => mariadb::query(&format!("USE {}; {count}", self.name)).join(","),
            Kind::Postgres => postgres::query(&self.name, count).join(","),
            Kind::Sqlite => shown(&ask(&self.url, count).subject(), "value"),
        }
    }
}

fn ask(url: &str, query: &str) -> Look {
    Look::new("sql", json!({"database": "shop", "query": query})).database("shop", url)
}

fn ask_with(url: &str, query: &str, parameters: &[&str]) -> Look {
    Look::new("sql", json!({"database": "shop", "query": query, "parameters": parameters})).database("shop", url)
}

/// Writes to a SQLite file, which the probe cannot.
fn sqlite(file: &str, sql: &'static str) {
    use sqlx::{ConnectOptions as _, Connection as _};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let mut connection = options.connect().await.expect("the file opens");
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("the statements run");
        connection.close().await.expect("the file closes");
    });
}

fn value(look: &Look) -> Option<Value> {
    look.subject().facts.get("value").cloned()
}

fn shown(subject: &Subject, fact: &str) -> String {
    subject.facts.get(fact).map_or_else(|| "missing".to_owned(), Value::to_string)
}

fn error(look: &Look) -> ProbeError {
    look.run().expect_err("nothing could be seen")
}

/// The note of a look at a database that does not answer.
fn why_down(look: &Look) -> String {
    let subject = look.subject();
    assert_eq!(subject.facts.get("answers"), Some(&Value::Bool(false)), "{subject:?}");
    assert!(!subject.facts.contains_key("value") && !subject.facts.contains_key("query_time"), "{subject:?}");
    subject.notes.join("; ")
}

fn lines(seen: &Observation) -> Vec<&str> {
    seen.evidence.iter().flat_map(|evidence| evidence.lines.iter().map(String::as_str)).collect()
}

#[test]
fn one_number_is_a_value_with_times() {
    for kind in ALL {
        let subject = Database::new(kind, "one_number").look("SELECT COUNT(*) AS n FROM ticket").subject();
        assert_eq!(subject.name, "shop");
        assert_eq!(subject.facts.get("answers"), Some(&Value::Bool(true)));
        assert_eq!(subject.facts.get("value"), Some(&Value::Integer(2)), "{kind:?}");
        assert_eq!(subject.facts.get("rows"), Some(&Value::Integer(1)));
        assert!(subject.facts.contains_key("connect_time") && subject.facts.contains_key("query_time"));
        assert_eq!(subject.facts.contains_key("server"), !matches!(kind, Kind::Sqlite));
    }
}

#[test]
fn no_row_null_and_many_rows_have_no_value_and_say_why() {
    for kind in ALL {
        let database = Database::new(kind, "no_value");
        for (query, rows, why) in [
            ("SELECT id FROM ticket WHERE id = 9", "0", "no value: the query returned no row"),
            ("SELECT MAX(id) FROM ticket WHERE id = 9", "1", "no value: it is NULL"),
            ("SELECT id FROM ticket", "2", "no value: the query returned 2 rows"),
        ] {
            let subject = database.look(query).asked(&["value"]).subject();
            assert_eq!(shown(&subject, "value"), "missing", "{kind:?} {query}");
            assert_eq!(shown(&subject, "rows"), rows, "{kind:?} {query}");
            assert_eq!(subject.notes, [why], "{kind:?} {query}");
        }
    }
}

#[test]
fn columns_of_the_first_row_are_facts_by_name() {
    for kind in ALL {
        let database = Database::new(kind, "columns");
        let look = database.look("SELECT id, subject, NULL AS owner FROM ticket ORDER BY id");
        let subject = look.asked(&["column.ID", "column.subject", "column.owner", "column.nope"]).subject();
        assert_eq!(subject.facts.get("column.ID"), Some(&Value::Integer(1)), "{kind:?}");
        assert_eq!(subject.facts.get("column.subject"), Some(&Value::text("printer")));
        assert!(!subject.facts.contains_key("column.owner") && !subject.facts.contains_key("column.nope"));
    }
}

#[test]
fn rows_are_kept_as_an_aligned_table() {
    for kind in ALL {
        let database = Database::new(kind, "table");
        let seen = database.look("SELECT subject, id, NULL AS owner FROM ticket ORDER BY id").run().expect("rows");
        assert_eq!(
            lines(&seen),
            ["subject   | id | owner", "printer   | 1  | NULL", "it's slow | 2  | NULL"],
            "{kind:?}"
        );

        let inputs = json!({"database": "shop", "query": "SELECT id FROM ticket", "rows": 1});
        let seen = Look::new("sql", inputs).database("shop", &database.url).run().expect("rows");
        assert_eq!(lines(&seen), ["id", "1"]);
        assert_eq!(seen.evidence[0].left_out, 1);
        assert_eq!(shown(&seen.subjects[0], "rows"), "2");
    }
}

#[test]
fn reading_stops_after_a_hundred_thousand_rows() {
    for (kind, query) in [
        (Kind::MariaDb, "SELECT seq, REPEAT('x', 200) FROM seq_1_to_300000"),
        (Kind::Postgres, "SELECT i, repeat('x', 200) FROM generate_series(1, 300000) i"),
        (Kind::Sqlite, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT i FROM n"),
    ] {
        let subject = Database::new(kind, "many").look(query).subject();
        assert_eq!(subject.facts.get("rows"), Some(&Value::Integer(100_000)), "{kind:?}");
        assert_eq!(subject.notes, ["stopped reading after 100000 rows"], "{kind:?}");
    }
}

#[test]
fn parameters_are_values_whatever_they_contain() {
    let nasty = r#"it's "\'; DROP TABLE ticket; -- $1 ? `"#;
    for kind in ALL {
        let database = Database::new(kind, "parameters");
        let [text, number] = match kind {
            Kind::MariaDb | Kind::Sqlite => ["SELECT CONCAT(?, '')", "SELECT subject FROM ticket WHERE id = ?"],
            Kind::Postgres => ["SELECT $1::text", "SELECT subject FROM ticket WHERE id = $1"],
        };
        assert_eq!(value(&ask_with(&database.url, text, &[nasty])), Some(Value::text(nasty)), "{kind:?}");
        assert_eq!(value(&ask_with(&database.url, number, &["2"])), Some(Value::text("it's slow")), "{kind:?}");
        assert_eq!(database.tickets(), "2");
    }
}

/// What is compared decides, not how opsctl hands the parameters over.
#[test]
fn a_parameter_of_mariadb_is_compared_as_a_literal_is() {
    let url = mariadb::url("mysql");
    for (column, parameter) in [
        ("CONVERT('abc' USING utf8mb4) COLLATE utf8mb4_polish_ci", "ABC"),
        ("CONVERT('abc' USING utf8mb4) COLLATE utf8mb4_bin", "abc"),
        ("CONVERT('abc' USING latin1) COLLATE latin1_swedish_ci", "abc"),
        ("DATE '2026-01-02'", "2026-01-02"),
        ("17", "17"),
    ] {
        let query = format!("SELECT COUNT(*) FROM (SELECT {column} AS c UNION SELECT NULL) t WHERE c = ? LIMIT ?");
        assert_eq!(value(&ask_with(&url, &query, &[parameter, "1"])), Some(Value::Integer(1)), "{column}");
    }
}

#[test]
fn statements_that_write_are_refused_when_they_are_read() {
    for query in ["DELETE FROM ticket", "insert into ticket values (3)", "DROP TABLE ticket", "SET a = 1", "DO $$ $$"] {
        let refused = ask("sqlite:///none", query).build().err().expect("refused");
        assert_eq!(refused.input, "query");
        assert!(refused.message.contains("is not a statement that reads"), "{}", refused.message);
    }
}

#[test]
fn several_statements_are_refused_and_nothing_changes() {
    for kind in ALL {
        let database = Database::new(kind, "several");
        let error = error(&database.look("SELECT 1; DELETE FROM ticket"));
        assert_eq!(error.code, "bad_statement", "{kind:?}");
        assert!(error.message.contains("one statement expected"), "{}", error.message);
        assert_eq!(database.tickets(), "2");
        let one = database.look("SELECT ';' /* ; */ ; -- done");
        assert_eq!(value(&one), Some(Value::text(";")), "{kind:?}");
    }
}

#[test]
fn a_wrong_statement_is_an_error_in_the_words_of_the_server() {
    for kind in ALL {
        let database = Database::new(kind, "wrong");
        for query in ["SELECT FROM WHERE", "SELECT nope FROM ticket", "SELECT * FROM nope"] {
            let error = error(&database.look(query));
            assert_eq!(error.code, "bad_statement", "{kind:?} {query}");
            assert!(error.message.starts_with("database shop ("), "{}", error.message);
            assert!(!error.message.contains('\n') && !error.message.contains("at line 3"), "{}", error.message);
        }
        let unknown = error(&database.look("SELECT nope FROM ticket")).message;
        assert!(unknown.to_lowercase().contains("column") && unknown.contains("nope"), "{unknown}");
    }
}

#[test]
fn the_probe_names_what_it_looks_at() {
    let probe = ask("sqlite:///none", "SELECT 1\n  FROM ticket").build().expect("a probe");
    assert_eq!(probe.target(), "database shop: SELECT 1 FROM ticket");
    assert_eq!(probe.resource().as_deref(), Some("shop"));
}

#[test]
fn a_database_that_the_site_does_not_name_is_an_error() {
    let error = error(&Look::new("sql", json!({"database": "shop", "query": "SELECT 1"})));
    assert_eq!((error.code, error.message.as_str()), ("not_found", "the site file names no database shop"));
}

#[test]
fn a_server_that_is_not_there_does_not_answer() {
    let port = server::free_port();
    // Longer than a name may be: nobody is asked.
    let host = "x".repeat(70);
    for scheme in ["mysql", "postgres"] {
        let look = ask(&format!("{scheme}://me:open-sesame@127.0.0.1:{port}/shop"), "SELECT 1");
        assert_eq!(why_down(&look), format!("127.0.0.1:{port}: connection refused"));
        let look = ask(&format!("{scheme}://me:open-sesame@{host}/shop"), "SELECT 1");
        assert!(why_down(&look).starts_with(&format!("{host}:")), "{}", why_down(&look));
    }
    let look = ask("mysql://me@localhost/shop?socket=/nowhere/mysqld.sock", "SELECT 1");
    assert_eq!(why_down(&look), "/nowhere/mysqld.sock: no such socket");
}

#[test]
fn a_server_that_accepts_and_never_speaks_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    for scheme in ["mysql", "postgres"] {
        let look = ask(&format!("{scheme}://me@127.0.0.1:{port}/shop"), "SELECT 1").limit(Duration::from_millis(400));
        assert_eq!(why_down(&look), format!("127.0.0.1:{port}: no answer within 400 ms"));
    }
}

#[test]
fn a_server_that_speaks_nonsense_is_an_error() {
    for (scheme, nonsense) in [
        ("mysql", b"\x01\0\0\0\x09".as_slice()),
        ("mysql", b"\x08\0\0\0\x0a5.5\0\x01\0\0"),
        ("postgres", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("postgres", b"NR\0\0\0\x04"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let served = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            client.write_all(nonsense).expect("it listens");
            client.read_to_end(&mut Vec::new()).ok();
        });
        let error = error(&ask(&format!("{scheme}://me@127.0.0.1:{port}/shop"), "SELECT 1"));
        assert_eq!(error.code, "bad_answer", "{error}");
        assert!(error.message.contains("the server's answer makes no sense: "), "{error}");
        assert!(!error.message.contains("sqlx"), "{error}");
        served.join().expect("the nonsense was spoken");
    }
}

#[test]
fn the_wrong_number_of_parameters_is_an_error() {
    for kind in ALL {
        let database = Database::new(kind, "too_many");
        let query = if matches!(kind, Kind::Postgres) { "SELECT $1::text" } else { "SELECT ?" };
        for parameters in [["a", "b"].as_slice(), &[]] {
            let error = error(&ask_with(&database.url, query, parameters));
            assert_eq!(error.code, "bad_statement", "{kind:?} {error}");
            assert!(error.message.contains("parameter") && !error.message.contains("sqlx"), "{kind:?} {error}");
        }
    }
}

#[test]
fn a_url_that_is_wrong_is_an_error_without_the_password() {
    let error = error(&ask("mysql://me:open/sesame@127.0.0.1/shop", "SELECT 1"));
    assert_eq!(error.code, "bad_url");
    assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
}

#[test]
fn a_password_is_masked_as_it_is_and_as_it_is_written() {
    let look = ask(&mariadb::url("mysql"), "SELECT 1");
    look.run().expect("an answer");
    assert_eq!(look.cx.mask.apply("open/sesame 7, open%2Fsesame%207"), "***, ***");
}
