//! MySQL and MariaDB.

use std::fmt::Write as _;
use std::future::ready;
use std::time::Instant;

use futures_util::TryStreamExt as _;
use sqlx::mysql::{MySql, MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Decode, Either, Row as _, TypeInfo as _};

use super::answer::{Answer, MOST_ROWS};
use super::cell::{self, Cell};
use super::trouble::Trouble;
use super::{Limits, Opened, Question};
use crate::model::value::Value;

pub async fn open(options: &MySqlConnectOptions, limits: Limits) -> Result<Opened<MySqlConnection>, Trouble> {
    let mut connection = options.clone().disable_statement_logging().connect().await?;
    let row = sqlx::raw_sql(AssertSqlSafe(set_up(limits, ""))).fetch_one(&mut connection).await?;
    let (session, version) = session(&row)?;
    Ok(Opened { connection, session, version: Some(version) })
}

/// Makes a session that only reads, with further `variables`, and answers which one it is. Each server executes the
/// comment that is meant for it: MariaDB counts in seconds, MySQL in milliseconds, and each refuses the other's variable.
fn set_up(limits: Limits, variables: &str) -> String {
    let limit = limits.for_server();
    format!(
        "SET SESSION TRANSACTION READ ONLY; \
         SET NAMES utf8mb4 /*M!, max_statement_time={:.3} */ /*!50708, max_execution_time={} */{variables}; \
         SELECT CONNECTION_ID(), VERSION()",
        limit.as_secs_f64(),
        limit.as_millis()
    )
}

fn session(row: &MySqlRow) -> Result<(Option<i64>, String), sqlx::Error> {
    let text = |column| row.try_get_unchecked::<Vec<u8>, _>(column);
    Ok((parsed(&text(0)?), String::from_utf8_lossy(&text(1)?).into_owned()))
}

/// In one round trip with the set-up: two more would cost a short look a third of its time.
pub async fn ask(options: &MySqlConnectOptions, question: &Question<'_>, answer: &mut Answer) -> Result<(), Trouble> {
    let begin = Instant::now();
    let mut connection = options.clone().disable_statement_logging().connect().await?;
    let mut rows = sqlx::raw_sql(AssertSqlSafe(script(question)))
        .fetch_many(&mut connection)
        .try_filter_map(|item| ready(Ok(Either::right(item))));
    let Some(row) = rows.try_next().await? else { return Err(Trouble::nonsense("it does not name the session")) };
    let (session, version) = session(&row)?;
    answer.server = Some(version);
    answer.connect_time = Some(begin.elapsed());

    let begin = Instant::now();
    answer.running = session;
    let outcome = answer.read(&mut rows, cell).await;
    answer.running = None;
    answer.query_time = Some(begin.elapsed());
    drop(rows);
    if answer.rows < MOST_ROWS {
        connection.close().await.ok();
    }
    Ok(outcome?)
}

/// The server takes one statement from a text that it prepares, whatever the text says. Hexadecimal digits need no quotes.
fn script(question: &Question<'_>) -> String {
    let names: Vec<String> = (1..=question.parameters.len()).map(|number| format!("@opsctl_{number}")).collect();
    let mut variables = format!(", @opsctl = {}", hexadecimal(question.sql));
    for (name, parameter) in names.iter().zip(question.parameters) {
        write!(variables, ", {name} = {}", hexadecimal(parameter)).ok();
    }
    let using = if names.is_empty() { String::new() } else { format!(" USING {}", names.join(", ")) };
    set_up(question.limits, &variables) + "; PREPARE opsctl FROM @opsctl; EXECUTE opsctl" + &using
}

fn hexadecimal(text: &str) -> String {
    let mut literal = String::from("_utf8mb4 X'");
    for byte in text.bytes() {
        write!(literal, "{byte:02x}").ok();
    }
    literal + "'"
}

/// Ends `session` and what runs in it.
pub async fn kill(options: &MySqlConnectOptions, session: i64) -> Result<(), sqlx::Error> {
    let mut connection = options.clone().disable_statement_logging().connect().await?;
    sqlx::raw_sql(AssertSqlSafe(format!("KILL {session}"))).execute(&mut connection).await?;
    connection.close().await
}

fn parsed<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// From the text that the server makes of it, which for a FLOAT has six digits.
fn cell(row: &MySqlRow, column: usize) -> Result<Cell, sqlx::Error> {
    // Only NULL has no bytes; the driver would take `0000-00-00` for it as well.
    let Ok(raw) = <&[u8] as Decode<MySql>>::decode(row.try_get_raw(column)?) else { return Ok(None) };
    let name = row.column(column).type_info().name();
    let number = match name {
        "BIT" if raw.len() <= 8 => Some(cell::unsigned(raw.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte)))),
        "GEOMETRY" => Some(cell::bytes(raw)),
        "FLOAT" | "DOUBLE" => parsed(raw).map(cell::float),
        "BOOLEAN" | "YEAR" => parsed(raw).map(Value::Integer),
        _ if name.ends_with("INT") || name.ends_with("INT UNSIGNED") => parsed(raw).map(Value::Integer),
        _ => None,
    };
    // Integers that are larger than ours stay exact.
    Ok(Some(number.unwrap_or_else(|| cell::text_or_bytes(raw))))
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;
    use std::time::Duration;

    #[test]
    fn neither_a_query_nor_a_parameter_can_end_its_literal() {
        let parameters = ["';".to_owned(), String::new()];
        let limits = Limits::new(Duration::from_secs(1));
        let question = Question { sql: "SELECT ?, ?", parameters: &parameters, timezone: chrono_tz::UTC, limits };
        let script = script(&question);
        assert!(
            script.contains(
                ", @opsctl = _utf8mb4 X'53454c454354203f2c203f', @opsctl_1 = _utf8mb4 X'273b', @opsctl_2 = _utf8mb4 X''; SELECT"
            ) && script.ends_with("; PREPARE opsctl FROM @opsctl; EXECUTE opsctl USING @opsctl_1, @opsctl_2"),
            "{script}"
        );
    }
}
