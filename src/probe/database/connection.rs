//! One session that may write, with the same few verbs for all servers.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use sqlx::mysql::{MySqlArguments, MySqlConnection};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Either, Row as _, ValueRef as _};

use super::{Target, within};
use crate::probe::ProbeError;
use crate::probe::backup::decode::Bound;
use crate::probe::sql::postgres::with_parameters;
use crate::probe::sql::site::Server;
use crate::probe::sql::trouble::Trouble;

/// The columns of a row as text; NULL is `None`.
pub type Line = Vec<Option<String>>;

pub struct Connection {
    pub session: Session,
    bound: Bound,
    place: String,
}

/// How many of SQLite's own instructions pass between two looks at the bound.
const INSTRUCTIONS: i32 = 10_000;

pub enum Session {
    MySql(MySqlConnection),
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Connection {
    /// The server itself ends a statement after `statement`, and a wait for a lock after `lock`.
    ///
    /// # Errors
    /// No connection, no login.
    pub async fn open(target: &Target, statement: Duration, lock: Duration, bound: &Bound) -> Result<Self, ProbeError> {
        let place = target.shown();
        let opening = async { open(&target.site.server).await.map_err(|error| explain(error, &place)) };
        let session = within(bound, &format!("the login to {place}"), opening).await?;
        let mut connection = Self { session, bound: bound.clone(), place };
        if let Session::Sqlite(file) = &mut connection.session {
            // The driver's thread would go on with a statement that nobody waits for.
            let until = bound.clone();
            let mut handle = file.lock_handle().await.map_err(|error| explain(error, &connection.place))?;
            handle.set_progress_handler(INSTRUCTIONS, move || until.stop().is_none());
        }
        connection.run(&limits(&connection.session, statement, lock)).await?;
        Ok(connection)
    }

    /// Runs SQL that was written by this program; the number of rows that it changed.
    ///
    /// # Errors
    /// What the server says; the time limit; cancellation.
    pub async fn run(&mut self, sql: &str) -> Result<u64, ProbeError> {
        let place = self.place.clone();
        let bound = self.bound.clone();
        let work = async {
            let query = sqlx::raw_sql(AssertSqlSafe(sql));
            match &mut self.session {
                Session::MySql(connection) => query.execute(connection).await.map(|done| done.rows_affected()),
                Session::Postgres(connection) => query.execute(connection).await.map(|done| done.rows_affected()),
                Session::Sqlite(connection) => query.execute(connection).await.map(|done| done.rows_affected()),
            }
            .map_err(|error| explain(error, &place))
        };
        within(&bound, &format!("a statement on {place}"), work).await
    }

    /// The rows that a query of this program returns.
    ///
    /// # Errors
    /// As [`Connection::run`].
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Line>, ProbeError> {
        let place = self.place.clone();
        let bound = self.bound.clone();
        let work = async {
            let query = sqlx::raw_sql(AssertSqlSafe(sql));
            let rows = match &mut self.session {
                Session::MySql(connection) => {
                    query.fetch_all(connection).await.map(|rows| rows.iter().map(mysql).collect())
                }
                Session::Postgres(connection) => {
                    query.fetch_all(connection).await.map(|rows| rows.iter().map(postgres).collect())
                }
                Session::Sqlite(connection) => {
                    query.fetch_all(connection).await.map(|rows| rows.iter().map(sqlite).collect())
                }
            };
            rows.map_err(|error| explain(error, &place))
        };
        within(&bound, &format!("a query on {place}"), work).await
    }

    /// Runs one statement of a procedure, with its parameters bound; keeps the first rows that it returns.
    ///
    /// # Errors
    /// As [`Connection::run`].
    pub async fn statement(&mut self, sql: &str, parameters: &[String]) -> Result<Done, ProbeError> {
        let place = self.place.clone();
        let bound = self.bound.clone();
        let work = async {
            match &mut self.session {
                Session::MySql(connection) if parameters.is_empty() => {
                    taken(sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(connection), &place, mysql).await
                }
                Session::MySql(connection) => {
                    let mut arguments = MySqlArguments::default();
                    add(&mut arguments, parameters)?;
                    let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(false);
                    let done = query.execute(connection).await.map_err(|error| explain(error, &place))?;
                    Ok(Done { affected: done.rows_affected(), rows: Vec::new() })
                }
                Session::Postgres(connection) => {
                    let sql = with_parameters(sql, parameters)?;
                    taken(sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(connection), &place, postgres).await
                }
                Session::Sqlite(connection) => {
                    let mut arguments = SqliteArguments::default();
                    add(&mut arguments, parameters)?;
                    let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(false);
                    let done = query.execute(connection).await.map_err(|error| explain(error, &place))?;
                    Ok(Done { affected: done.rows_affected(), rows: Vec::new() })
                }
            }
        };
        within(&bound, &format!("a statement on {place}"), work).await
    }

    /// The server's number of the session, by which another one can end it.
    ///
    /// # Errors
    /// As [`Connection::run`].
    pub async fn number(&mut self) -> Result<Option<i64>, ProbeError> {
        let sql = match &self.session {
            Session::MySql(_) => "SELECT CONNECTION_ID()",
            Session::Postgres(_) => "SELECT pg_backend_pid()",
            Session::Sqlite(_) => return Ok(None),
        };
        Ok(self.text(sql).await?.and_then(|number| number.parse().ok()))
    }

    /// The first column of all rows.
    ///
    /// # Errors
    /// As [`Connection::run`].
    pub async fn texts(&mut self, sql: &str) -> Result<Vec<String>, ProbeError> {
        Ok(self.rows(sql).await?.into_iter().filter_map(|mut row| row.swap_remove(0)).collect())
    }

    /// The first column of the first row.
    ///
    /// # Errors
    /// As [`Connection::run`].
    pub async fn text(&mut self, sql: &str) -> Result<Option<String>, ProbeError> {
        Ok(self.texts(sql).await?.into_iter().next())
    }

    /// Closes it after an error; a file of SQLite is free for others then.
    pub async fn give_up(self) {
        tokio::time::timeout(Duration::from_secs(5), self.close()).await.ok();
    }

    pub async fn close(self) {
        close(self.session).await;
    }
}

pub async fn close(session: Session) {
    match session {
        Session::MySql(connection) => connection.close().await.ok(),
        Session::Postgres(connection) => connection.close().await.ok(),
        Session::Sqlite(connection) => connection.close().await.ok(),
    };
}

/// What a statement did.
#[derive(Default)]
pub struct Done {
    /// Rows that it changed.
    pub affected: u64,
    /// The first rows that it returned, at most [`MOST_ROWS`].
    pub rows: Vec<Line>,
}

const MOST_ROWS: usize = 100;

async fn taken<R, Q: Affected>(
    mut answers: impl Stream<Item = Result<Either<Q, R>, sqlx::Error>> + Unpin,
    place: &str,
    line: impl Fn(&R) -> Line,
) -> Result<Done, ProbeError> {
    let mut done = Done::default();
    while let Some(answer) = answers.next().await {
        match answer.map_err(|error| explain(error, place))? {
            Either::Left(result) => done.affected += result.rows(),
            Either::Right(row) if done.rows.len() < MOST_ROWS => done.rows.push(line(&row)),
            Either::Right(_) => {}
        }
    }
    Ok(done)
}

/// How many rows a statement changed, as each driver says it.
trait Affected {
    fn rows(&self) -> u64;
}

impl Affected for sqlx::mysql::MySqlQueryResult {
    fn rows(&self) -> u64 {
        self.rows_affected()
    }
}

impl Affected for sqlx::postgres::PgQueryResult {
    fn rows(&self) -> u64 {
        self.rows_affected()
    }
}

fn add<'q, A: sqlx::Arguments>(arguments: &mut A, parameters: &[String]) -> Result<(), ProbeError>
where
    String: sqlx::Encode<'q, A::Database> + sqlx::Type<A::Database>,
{
    for parameter in parameters {
        arguments.add(parameter.clone()).map_err(|error| ProbeError::new("bad_statement", error.to_string()))?;
    }
    Ok(())
}

async fn open(server: &Server) -> Result<Session, sqlx::Error> {
    Ok(match server {
        Server::MySql(options) => Session::MySql(options.clone().disable_statement_logging().connect().await?),
        Server::Postgres(options) => Session::Postgres(options.clone().disable_statement_logging().connect().await?),
        Server::Sqlite(options) => {
            let options = options.clone().read_only(false).pragma("query_only", "OFF").disable_statement_logging();
            Session::Sqlite(options.connect().await?)
        }
    })
}

/// MariaDB counts statements in seconds, MySQL only SELECT and in milliseconds; both wait for locks in whole seconds.
fn limits(session: &Session, statement: Duration, lock: Duration) -> String {
    let wait = lock.as_secs().max(1);
    match session {
        Session::MySql(_) => format!(
            "SET NAMES utf8mb4, lock_wait_timeout = {wait}, innodb_lock_wait_timeout = {wait} \
             /*M!, max_statement_time = {:.3} */ /*!50708, max_execution_time = {} */",
            statement.as_secs_f64(),
            statement.as_millis()
        ),
        Session::Postgres(_) => {
            format!("SET statement_timeout = {}; SET lock_timeout = {}", statement.as_millis(), lock.as_millis())
        }
        Session::Sqlite(_) => format!("PRAGMA busy_timeout = {}", lock.as_millis()),
    }
}

/// A database that does not answer is no observation here: something was to be done with it.
#[must_use]
pub fn explain(error: sqlx::Error, place: &str) -> ProbeError {
    let mut error = match Trouble::from(error) {
        Trouble::Down(why) => ProbeError::new("no_answer", why).help("find out what is wrong with the database server"),
        Trouble::Blind(error) => error,
    };
    error.message = format!("{place}: {}", error.message);
    error
}

pub fn mysql(row: &sqlx::mysql::MySqlRow) -> Line {
    let text = |column| row.try_get_unchecked::<Vec<u8>, _>(column).ok();
    (0..row.len()).map(|column| Some(String::from_utf8_lossy(&text(column)?).into_owned())).collect()
}

pub fn postgres(row: &sqlx::postgres::PgRow) -> Line {
    let text = |column| {
        let value = row.try_get_raw(column).ok().filter(|value| !value.is_null())?;
        value.as_str().ok().map(str::to_owned)
    };
    (0..row.len()).map(text).collect()
}

fn sqlite(row: &sqlx::sqlite::SqliteRow) -> Line {
    (0..row.len()).map(|column| row.try_get_unchecked::<Option<String>, _>(column).ok().flatten()).collect()
}

/// A name as the server reads it whatever it contains.
#[must_use]
pub fn quoted(session: &Session, name: &str) -> String {
    match session {
        Session::MySql(_) => format!("`{}`", name.replace('`', "``")),
        Session::Postgres(_) | Session::Sqlite(_) => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// A text without a backslash, which the dialects read in different ways.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace('\\', ""))
}
