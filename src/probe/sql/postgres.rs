//! PostgreSQL.

use std::fmt::Write as _;
use std::time::Instant;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, TypeInfo as _, ValueRef as _};

use super::answer::{Answer, MOST_ROWS};
use super::cell::{self, Cell};
use super::trouble::Trouble;
use super::{Limits, Opened, ProbeError, Question};
use crate::model::value::Value;

pub async fn open(
    options: &PgConnectOptions,
    limits: Limits,
    timezone: chrono_tz::Tz,
) -> Result<Opened<PgConnection>, Trouble> {
    let mut connection = options.clone().disable_statement_logging().connect().await?;
    // In a transaction, not in the session: it also holds behind a pooler, and nothing inside it can commit.
    let set_up = format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL standard_conforming_strings = on; \
         SET LOCAL bytea_output = hex; SET LOCAL TIME ZONE '{}'; SELECT pg_backend_pid()",
        limits.for_server().as_millis(),
        timezone.name()
    );
    let row = sqlx::raw_sql(AssertSqlSafe(set_up)).fetch_one(&mut connection).await?;
    let session = row.try_get_raw(0)?.as_str().ok().and_then(|pid| pid.parse().ok());
    let version = connection.server_version_num().map(version);
    Ok(Opened { connection, session, version })
}

/// By the simple protocol, which sends every type as text, also those that no driver knows.
pub async fn ask(options: &PgConnectOptions, question: &Question<'_>, answer: &mut Answer) -> Result<(), Trouble> {
    let begin = Instant::now();
    let Opened { mut connection, session, version } = open(options, question.limits, question.timezone).await?;
    answer.server = version;
    answer.connect_time = Some(begin.elapsed());

    let statement = with_parameters(question.sql, question.parameters)?;
    let begin = Instant::now();
    answer.running = session;
    let outcome = answer.read(sqlx::raw_sql(AssertSqlSafe(statement)).fetch(&mut connection), cell).await;
    answer.running = None;
    answer.query_time = Some(begin.elapsed());
    if answer.rows < MOST_ROWS {
        connection.close().await.ok();
    }
    Ok(outcome?)
}

/// Ends `session` and what runs in it.
pub async fn kill(options: &PgConnectOptions, session: i64) -> Result<(), sqlx::Error> {
    let mut connection = options.clone().disable_statement_logging().connect().await?;
    let terminate = format!("SELECT pg_terminate_backend({session})");
    sqlx::raw_sql(AssertSqlSafe(terminate)).execute(&mut connection).await?;
    connection.close().await
}

/// The statement as it is, or prepared and then executed with the parameters.
///
/// The server parses the statement before it sees any parameter, and gives each the type that the statement needs:
/// `$1` compares with an integer column without a cast, which it would not if the driver bound it as text.
pub fn with_parameters(sql: &str, parameters: &[String]) -> Result<String, ProbeError> {
    if parameters.is_empty() {
        return Ok(sql.to_owned());
    }
    if parameters.iter().any(|parameter| parameter.contains('\0')) {
        return Err(ProbeError::new("bad_statement", "a parameter contains a null character"));
    }
    let literals: Vec<String> = parameters.iter().map(|parameter| literal(parameter)).collect();
    // Behind a pooler, the name may meet another's.
    let name = format!("opsctl_{}", uuid::Uuid::now_v7().simple());
    Ok(format!("PREPARE {name} AS {sql}\n; EXECUTE {name}({}); DEALLOCATE {name}", literals.join(", ")))
}

/// With standard strings, as the session has, only the quote itself is special.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `150020` is 15.20.
fn version(number: u32) -> String {
    let (major, minor) = (number / 10_000, number % 10_000);
    let mut version = major.to_string();
    if major >= 10 { write!(version, ".{minor}") } else { write!(version, ".{}.{}", minor / 100, minor % 100) }.ok();
    version
}

fn cell(row: &PgRow, column: usize) -> Result<Cell, sqlx::Error> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(None);
    }
    let text = value.as_str().map_err(sqlx::Error::Decode)?;
    let typed = match value.type_info().name() {
        "BOOL" => Some(Value::Bool(text == "t")),
        "INT2" | "INT4" | "INT8" | "OID" => text.parse().ok().map(Value::Integer),
        "FLOAT4" | "FLOAT8" => text.parse().ok().map(cell::float),
        "BYTEA" => text.strip_prefix("\\x").map(|digits| cell::hexadecimal(digits, digits.len() / 2)),
        _ => None,
    };
    Ok(Some(typed.unwrap_or_else(|| cell::text(text))))
}
