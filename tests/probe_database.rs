//! The database probe against real servers of its own, so that it sees no sessions of other tests.

use std::time::Duration;

use opsctl::model::fact::{Observation, Subject};
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::json;
use sqlx::Executor as _;

use crate::support::look::Look;
use crate::support::server;

mod mariadb;
mod postgres;
mod postgres_use;

fn ask(url: &str) -> Look {
    ask_with(url, json!({}))
}

/// With more inputs than the name of the database, which is `shop`.
fn ask_with(url: &str, mut inputs: serde_json::Value) -> Look {
    inputs["database"] = json!("shop");
    Look::new("database", inputs).database("shop", url)
}

#[track_caller]
fn fact<'s>(subject: &'s Subject, name: &str) -> &'s Value {
    subject.facts.get(name).unwrap_or_else(|| panic!("no `{name}` in {subject:?}"))
}

fn has(subject: &Subject, name: &str) -> bool {
    subject.facts.contains_key(name)
}

#[track_caller]
fn count(subject: &Subject, name: &str) -> f64 {
    number(subject, name, Dimension::Count)
}

#[track_caller]
fn seconds(subject: &Subject, name: &str) -> f64 {
    number(subject, name, Dimension::Time)
}

#[track_caller]
fn number(subject: &Subject, name: &str, dimension: Dimension) -> f64 {
    fact(subject, name).number_in(dimension).unwrap_or_else(|| panic!("`{name}` of another kind in {subject:?}"))
}

#[track_caller]
fn answers(look: &Look) -> Subject {
    let subject = look.subject();
    assert_eq!(fact(&subject, "answers"), &Value::Bool(true), "{subject:?}");
    subject
}

#[track_caller]
fn why_down(look: &Look) -> String {
    let subject = look.subject();
    assert_eq!(fact(&subject, "answers"), &Value::Bool(false), "{subject:?}");
    subject.notes.join("; ")
}

/// The lines of the evidence with this title.
#[track_caller]
fn lines(seen: &Observation, title: &str) -> String {
    let found = seen.evidence.iter().find(|evidence| evidence.title == title);
    found.unwrap_or_else(|| panic!("no evidence `{title}` in {seen:?}")).lines.join("\n")
}

const SESSIONS: &str = "sessions that take long, wait, or make others wait";

/// A session that stays open.
struct Client<C: sqlx::Connection> {
    runtime: tokio::runtime::Runtime,
    connection: C,
}

impl<C: sqlx::Connection> Client<C>
where
    for<'c> &'c mut C: sqlx::Executor<'c, Database = C::Database>,
{
    fn new(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connection = runtime.block_on(C::connect(url)).expect("a connection");
        Self { runtime, connection }
    }

    fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        self.runtime.block_on((&mut self.connection).execute(sqlx::raw_sql(sql))).map(|_| ())
    }

    /// Runs `sql`, which waits, on another thread.
    fn start(mut self, sql: &'static str) -> std::thread::JoinHandle<Result<(), sqlx::Error>>
    where
        C: 'static,
    {
        std::thread::spawn(move || self.run(sql))
    }
}

#[test]
fn a_server_that_is_not_there_does_not_answer() {
    for scheme in ["postgres", "mysql"] {
        let port = server::free_port();
        let url = format!("{scheme}://me:open-sesame@127.0.0.1:{port}/shop");
        assert_eq!(why_down(&ask(&url)), format!("127.0.0.1:{port}: connection refused"));
    }
}

#[test]
fn a_server_that_accepts_and_says_nothing_does_not_answer_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let look = ask(&format!("mysql://me@127.0.0.1:{port}/shop")).limit(Duration::from_secs(1));
    assert_eq!(why_down(&look), format!("127.0.0.1:{port}: no login within 1s"));
}

#[test]
fn a_file_of_sqlite_is_no_server_and_the_error_says_what_to_use() {
    let error = ask("sqlite:///var/lib/shop.db").run().expect_err("no server");
    assert_eq!(
        (error.code, error.message.as_str()),
        ("not_a_server", "the database shop is a file of SQLite, which has no server")
    );
    assert!(error.help.is_some_and(|help| help.contains("PRAGMA quick_check")));
}

#[test]
fn a_url_without_a_database_is_an_error() {
    let error = ask("mysql://me:open-sesame@127.0.0.1").run().expect_err("no database");
    assert_eq!((error.code, error.message.as_str()), ("bad_url", "the URL of the database shop names no database"));
}
