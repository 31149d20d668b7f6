//! Asks a database one question: MySQL and MariaDB, PostgreSQL, SQLite.
//!
//! The session is read-only and has a time limit of its own, both kept by the server, so that neither a wrong
//! statement nor a client that gave up can do harm.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use self::answer::Answer;
use self::site::{Server, Site};
use self::statement::Dialect;
use self::trouble::Trouble;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::text::one_line;
use crate::model::value::Value;

pub(crate) mod answer;
mod cell;
pub(crate) mod mysql;
pub(crate) mod postgres;
pub(crate) mod site;
pub(crate) mod sqlite;
pub(crate) mod statement;
pub(crate) mod trouble;

pub(crate) const DATABASE: InputSpec = InputSpec {
    name: "database",
    ty: InputType::Database,
    need: Need::Required,
    about: "which database of the site file: mysql://, mariadb://, postgres:// or sqlite://",
};

pub static KIND: Kind = Kind {
    name: "sql",
    about: "one question to a database, in a read-only session",
    inputs: &[
        DATABASE,
        InputSpec {
            name: "query",
            ty: InputType::Text,
            need: Need::Required,
            about: "one statement that reads: SELECT, WITH, VALUES, TABLE, SHOW, EXPLAIN, DESCRIBE, CHECKSUM, PRAGMA; \
                    PostgreSQL takes and shows times in the site's time zone, MySQL shows a FLOAT with six digits",
        },
        InputSpec {
            name: "parameters",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "values for the placeholders of the query: ? in MySQL and SQLite, $1 in PostgreSQL",
        },
        InputSpec {
            name: "rows",
            ty: InputType::Integer { least: 0, most: 1000 },
            need: Need::Default("20"),
            about: "how many rows to keep as evidence",
        },
    ],
    facts: &[
        FactSpec::implied("answers", "connected, logged in, and the statement was answered"),
        FactSpec::new("value", FactType::Any, "the first column of the only row; missing if it is NULL"),
        FactSpec::new("rows", FactType::Count, "how many rows the query returned, counted up to 100000"),
        FactSpec::family("column", FactType::Any, "the columns of the first row by name; missing where NULL"),
        FactSpec::new("connect_time", FactType::Duration, "how long it took to connect and log in"),
        FactSpec::new("query_time", FactType::Duration, "how long it took from the statement to its last row"),
        FactSpec::new("server", FactType::Text, "the version of the server; missing for SQLite"),
    ],
    example: include_str!("../../examples/probes/sql.yaml"),
    limit: Duration::from_secs(30),
    build: |inputs| Sql::new(inputs).map(|sql| Arc::new(sql) as Arc<dyn Probe>),
};

pub(crate) struct Sql {
    database: String,
    query: String,
    parameters: Vec<String>,
    /// How many rows to keep as evidence.
    rows: usize,
}

/// One statement, ready to be sent.
pub(crate) struct Question<'a> {
    pub(crate) sql: &'a str,
    pub(crate) parameters: &'a [String],
    pub(crate) timezone: chrono_tz::Tz,
    pub(crate) limits: Limits,
}

/// A session that only reads, and what the server says of it.
pub(crate) struct Opened<C> {
    pub(crate) connection: C,
    /// The server's number of the session.
    pub(crate) session: Option<i64>,
    pub(crate) version: Option<String>,
}

/// When to give up: the server first, so that it can say so and nothing is left running; then we.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    server: Instant,
    pub(crate) client: Instant,
}

impl Limits {
    pub(crate) fn new(limit: Duration) -> Self {
        let begin = Instant::now();
        let margin = (limit / 10).min(Duration::from_millis(500));
        Self { server: begin + limit - margin * 2, client: begin + limit - margin }
    }

    /// How long the server may still work; never zero, which servers take for "no limit", nor more than they take.
    fn for_server(self) -> Duration {
        self.server.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), Duration::from_hours(24))
    }
}

impl Sql {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let rows = inputs.integer("rows").and_then(|rows| usize::try_from(rows).ok()).unwrap_or_default();
        Self::of(inputs, "query", rows)
    }

    /// The statement of the input `query`; the first `rows` rows of its answer are kept.
    pub(crate) fn of(inputs: &Inputs, query: &'static str, rows: usize) -> Result<Self, InputError> {
        let text = inputs.text(query).unwrap_or_default();
        statement::reads(text).map_err(|message| {
            InputError::new(query, message, "a probe only looks: begin with SELECT, and put changes into an action")
        })?;
        Ok(Self {
            database: inputs.text("database").unwrap_or_default().to_owned(),
            query: text.to_owned(),
            parameters: inputs.texts("parameters").to_vec(),
            rows,
        })
    }

    /// Fills `answer` as far as it comes.
    async fn ask(&self, site: &Site, question: &Question<'_>, answer: &mut Answer) -> Result<(), Trouble> {
        match &site.server {
            Server::MySql(options) => mysql::ask(options, question, answer).await,
            Server::Postgres(options) => postgres::ask(options, question, answer).await,
            Server::Sqlite(options) => sqlite::ask(options, question, answer).await,
        }
    }

    /// What the database answered, and why it did not answer if that is so.
    pub(crate) async fn answer(&self, cx: &Context) -> Result<(Answer, Option<String>), ProbeError> {
        let limits = Limits::new(cx.limit);
        let site = Site::of(&self.database, cx).await?;
        let sql = statement::single(&self.query, Dialect::of(&site.server))
            .map_err(|message| ProbeError::new("bad_statement", format!("database {}: {message}", self.database)))?;
        let question = Question { sql, parameters: &self.parameters, timezone: cx.timezone, limits };
        let mut answer = Answer::new(self.rows);
        // The drivers panic on packets that are cut short.
        let asked = AssertUnwindSafe(self.ask(&site, &question, &mut answer)).catch_unwind();
        let outcome = tokio::select! {
            outcome = asked => outcome.unwrap_or_else(|_| Err(Trouble::nonsense("a packet is cut short"))),
            () = tokio::time::sleep_until(limits.client) => Err(Trouble::no_answer(cx.limit)),
            () = cx.cancel.cancelled() => {
                Err(Trouble::Blind(ProbeError::new("cancelled", "nobody waits for the answer any more")))
            }
        };
        if let (Err(_), Some(session)) = (&outcome, answer.running.take()) {
            site.end(session).await;
        }
        match outcome {
            Ok(()) => Ok((answer, None)),
            Err(Trouble::Down(note)) => Ok((answer, Some(format!("{}: {note}", site.place)))),
            Err(Trouble::Blind(mut error)) => {
                error.message = format!("database {} ({}): {}", self.database, site.place, error.message);
                Err(error)
            }
        }
    }

    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let (answer, down) = self.answer(cx).await?;
        Ok(match down {
            None => self.observation(&answer, cx),
            Some(note) => self.down(&answer, note),
        })
    }

    /// What is known of a database that does not answer.
    fn down(&self, answer: &Answer, note: String) -> Observation {
        let mut subject = Subject::new(&self.database).with("answers", Value::Bool(false));
        if let Some(connect_time) = answer.connect_time {
            subject.set("connect_time", Value::duration(connect_time));
        }
        subject.note(note);
        subject.into()
    }

    fn observation(&self, answer: &Answer, cx: &Context) -> Observation {
        let mut subject = Subject::new(&self.database).with("answers", Value::Bool(true));
        let asks_for_value = cx.asked.iter().any(|fact| fact == "value");
        match answer.value() {
            Ok(value) => subject.set("value", value),
            Err(why) if asks_for_value => subject.note(format!("no value: {why}")),
            Err(_) => {}
        }
        subject.set("rows", Value::count(answer.rows));
        for name in cx.asked_of("column") {
            if let Some(value) = answer.column(name) {
                subject.set(format!("column.{name}"), value);
            }
        }
        let times = [("connect_time", answer.connect_time), ("query_time", answer.query_time)];
        for (fact, time) in times.into_iter().filter_map(|(fact, time)| Some((fact, time?))) {
            subject.set(fact, Value::duration(time));
        }
        if let Some(server) = &answer.server {
            subject.set("server", Value::text(server));
        }
        if answer.rows == answer::MOST_ROWS {
            subject.note(format!("stopped reading after {} rows", answer::MOST_ROWS));
        }
        Observation { subjects: vec![subject], evidence: answer.evidence(&self.database).into_iter().collect() }
    }
}

impl Probe for Sql {
    fn target(&self) -> String {
        format!("database {}: {}", self.database, one_line(&self.query, 80))
    }

    fn resource(&self) -> Option<String> {
        Some(self.database.clone())
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(self.look(cx))
    }
}
