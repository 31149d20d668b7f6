//! One session that only reads, and asks several questions one after the other.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use sqlx::{AssertSqlSafe, Column as _};

use crate::model::text::one_line;
use crate::probe::database::connection::{self, Line};
use crate::probe::sql::site::Server;
use crate::probe::sql::trouble::Trouble;
use crate::probe::sql::{Limits, Opened, mysql, postgres};

/// More sessions, tables or indexes than this are not looked at.
const MOST_ROWS: usize = 100_000;

/// Stands in the questions to PostgreSQL, so that its statistics of statements can leave them out.
pub const MARK: &str = "/* opsctl */";

pub struct Session {
    connection: connection::Session,
    /// The server's number of it.
    pub number: Option<i64>,
    pub version: Option<String>,
}

/// A row as text, by the names of its columns.
#[derive(Clone)]
pub struct Row {
    names: Vec<String>,
    cells: Line,
}

/// Why a question was not answered, while others may be.
pub struct Refused(pub String);

impl Session {
    pub async fn open(server: &Server, limits: Limits, timezone: chrono_tz::Tz) -> Result<Option<Self>, Trouble> {
        Ok(Some(match server {
            Server::MySql(options) => {
                let Opened { connection, session, version } = mysql::open(options, limits).await?;
                Self { connection: connection::Session::MySql(connection), number: session, version }
            }
            Server::Postgres(options) => {
                let Opened { connection, session, version } = postgres::open(options, limits, timezone).await?;
                Self { connection: connection::Session::Postgres(connection), number: session, version }
            }
            Server::Sqlite(_) => return Ok(None),
        }))
    }

    /// The rows, or why the server gives none; an error if it is gone.
    pub async fn ask(&mut self, sql: &str) -> Result<Result<Vec<Row>, Refused>, Trouble> {
        let answer = match &mut self.connection {
            connection::Session::MySql(session) => {
                let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(&mut *session);
                taken(rows, connection::mysql).await
            }
            connection::Session::Postgres(session) => {
                // An error would end the transaction, and with it what keeps the session from writing.
                let marked = sql.replacen("SELECT ", &format!("SELECT {MARK} "), 1);
                let sql = format!("SAVEPOINT question; {marked}");
                let answer = taken(sqlx::raw_sql(AssertSqlSafe(sql)).fetch(&mut *session), connection::postgres).await;
                if let Err(sqlx::Error::Database(_)) = &answer {
                    sqlx::raw_sql("ROLLBACK TO question").execute(&mut *session).await?;
                }
                answer
            }
            connection::Session::Sqlite(_) => Ok(Vec::new()),
        };
        match answer {
            Ok(rows) => Ok(Ok(rows)),
            Err(error @ sqlx::Error::Database(_)) => Ok(Err(match Trouble::from(error) {
                Trouble::Down(why) => Refused(why),
                Trouble::Blind(error) => {
                    Refused(error.help.map_or(error.message.clone(), |help| format!("{}; {help}", error.message)))
                }
            })),
            Err(error) => Err(error.into()),
        }
    }

    pub async fn close(self) {
        connection::close(self.connection).await;
    }
}

async fn taken<R: sqlx::Row>(
    mut rows: impl Stream<Item = Result<R, sqlx::Error>> + Unpin,
    line: impl Fn(&R) -> Line,
) -> Result<Vec<Row>, sqlx::Error> {
    let mut taken = Vec::new();
    while let Some(row) = rows.next().await {
        let row = row?;
        if taken.len() < MOST_ROWS {
            let names = row.columns().iter().map(|column| column.name().to_owned()).collect();
            taken.push(Row { names, cells: line(&row) });
        }
    }
    Ok(taken)
}

impl Row {
    /// None if there is no such column, or if it is NULL.
    pub fn text(&self, name: &str) -> Option<&str> {
        let position = self.names.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        self.cells.get(position)?.as_deref()
    }

    /// The first of these columns that there is: servers rename them.
    pub fn any(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.text(name))
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    pub fn count(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// From seconds; what a clock that was set back makes negative is none.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        Duration::try_from_secs_f64(self.number(name)?.max(0.0)).ok()
    }

    /// `t` and `f`, `1` and `0`, `ON` and `OFF`.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.text(name)? {
            "t" | "1" | "ON" | "on" | "Yes" | "YES" => Some(true),
            "f" | "0" | "OFF" | "off" | "No" | "NO" => Some(false),
            _ => None,
        }
    }

    /// As a row of evidence; texts of some length are cut.
    pub fn shown(&self, column: &str, width: usize) -> String {
        self.text(column).map_or_else(|| "-".to_owned(), |text| one_line(text, width))
    }
}
