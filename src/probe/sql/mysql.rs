//! MySQL and MariaDB.

use std::time::Instant;

use sqlx::mysql::{MySql, MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Decode, Row as _, TypeInfo as _,
};

use super::answer::{Answer, MOST_ROWS};
use super::cell::{self, Cell};
use super::trouble::Trouble;
use super::{Limits, Opened, ProbeError, Question};
use crate::model::value::Value;

pub async fn open(options: &MySqlConnectOptions, limits: Limits) -> Result<Opened<MySqlConnection>, Trouble> {
    let mut connection = options.clone().disable_statement_logging().connect().await?;
    // One round trip for all. Each server executes the comment that is meant for it: MariaDB counts in seconds,
    // MySQL in milliseconds, and each refuses the other's variable.
    let limit = limits.for_server();
    let set_up = format!(
        "SET SESSION TRANSACTION READ ONLY; \
         SET NAMES utf8mb4 /*M!, max_statement_time={:.3} */ /*!50708, max_execution_time={} */; \
         SELECT CONNECTION_ID(), VERSION()",
        limit.as_secs_f64(),
        limit.as_millis()
    );
    let row = sqlx::raw_sql(AssertSqlSafe(set_up)).fetch_one(&mut connection).await?;
    let session = number(&row.try_get_unchecked::<Vec<u8>, _>(0)?);
    let version = String::from_utf8_lossy(&row.try_get_unchecked::<Vec<u8>, _>(1)?).into_owned();
    Ok(Opened { connection, session, version: Some(version) })
}

pub async fn ask(options: &MySqlConnectOptions, question: &Question<'_>, answer: &mut Answer) -> Result<(), Trouble> {
    let begin = Instant::now();
    let Opened { mut connection, session, version } = open(options, question.limits).await?;
    answer.server = version;
    answer.connect_time = Some(begin.elapsed());

    let mut arguments = MySqlArguments::default();
    for parameter in question.parameters {
        arguments.add(parameter).map_err(|error| ProbeError::new("bad_statement", error.to_string()))?;
    }
    let begin = Instant::now();
    answer.running = session;
    let query = sqlx::query_with(AssertSqlSafe(question.sql), arguments).persistent(false);
    let outcome = answer.read(query.fetch(&mut connection), cell).await;
    answer.running = None;
    answer.query_time = Some(begin.elapsed());
    if answer.rows < MOST_ROWS {
        connection.close().await.ok();
    }
    Ok(outcome?)
}

/// Ends `session` and what runs in it.
pub async fn kill(options: &MySqlConnectOptions, session: i64) -> Result<(), sqlx::Error> {
    let mut connection = options.clone().disable_statement_logging().connect().await?;
    sqlx::raw_sql(AssertSqlSafe(format!("KILL {session}"))).execute(&mut connection).await?;
    connection.close().await
}

/// Of the text protocol.
fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// From the binary protocol: integers and floats in little-endian order, times in parts, all else as text.
fn cell(row: &MySqlRow, column: usize) -> Result<Cell, sqlx::Error> {
    // Only NULL has no bytes; the driver would take `0000-00-00` for it as well.
    let Ok(raw) = <&[u8] as Decode<MySql>>::decode(row.try_get_raw(column)?) else { return Ok(None) };
    let name = row.column(column).type_info().name();
    Ok(Some(match name {
        "BOOLEAN" if raw.len() == 1 => Value::Integer(i64::from(raw[0].cast_signed())),
        "YEAR" => cell::unsigned(little_endian(raw)),
        _ if name.ends_with("INT UNSIGNED") => cell::unsigned(little_endian(raw)),
        _ if name.ends_with("INT") => Value::Integer(signed(raw)),
        "FLOAT" => raw.try_into().map_or_else(|_| cell::bytes(raw), |raw| cell::float32(f32::from_le_bytes(raw))),
        "DOUBLE" => raw.try_into().map_or_else(|_| cell::bytes(raw), |raw| cell::float(f64::from_le_bytes(raw))),
        "BIT" if raw.len() <= 8 => cell::unsigned(raw.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))),
        "DATE" => cell::text(&date(raw)),
        "TIMESTAMP" | "DATETIME" => cell::text(&format!("{} {}", date(raw), clock(raw.get(5..).unwrap_or_default()))),
        "TIME" => cell::text(&time(raw)),
        "GEOMETRY" => cell::bytes(raw),
        _ => cell::text_or_bytes(raw),
    }))
}

fn little_endian(raw: &[u8]) -> u64 {
    raw.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn signed(raw: &[u8]) -> i64 {
    let unused = 64 - 8 * u32::try_from(raw.len().clamp(1, 8)).unwrap_or(8);
    (little_endian(raw) << unused).cast_signed() >> unused
}

/// Length, year in two bytes, month, day; only a length of zero for `0000-00-00`.
fn date(raw: &[u8]) -> String {
    match raw {
        [_, low, high, month, day, ..] => format!("{:04}-{month:02}-{day:02}", u16::from_le_bytes([*low, *high])),
        _ => "0000-00-00".to_owned(),
    }
}

/// Hour, minute, second, microseconds in four bytes; zeros at the end are not sent.
fn clock(raw: &[u8]) -> String {
    let [hour, minute, second] = [0, 1, 2].map(|part| raw.get(part).copied().unwrap_or_default());
    format!("{hour:02}:{minute:02}:{second:02}{}", fraction(raw.get(3..).unwrap_or_default()))
}

/// Length, sign, days in four bytes, hour, minute, second, microseconds in four bytes.
fn time(raw: &[u8]) -> String {
    let [_, sign, d0, d1, d2, d3, hour, minute, second, micros @ ..] = raw else { return "00:00:00".to_owned() };
    let hours = u64::from(u32::from_le_bytes([*d0, *d1, *d2, *d3])) * 24 + u64::from(*hour);
    let sign = if *sign == 0 { "" } else { "-" };
    format!("{sign}{hours:02}:{minute:02}:{second:02}{}", fraction(micros))
}

fn fraction(micros: &[u8]) -> String {
    if micros.is_empty() { String::new() } else { format!(".{:06}", little_endian(micros)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_all_widths_keep_their_sign() {
        assert_eq!(signed(&[0xff]), -1);
        assert_eq!(signed(&[0x00, 0x80]), -32768);
        assert_eq!(signed(&[0x2a, 0, 0, 0]), 42);
        assert_eq!(signed(&i64::MIN.to_le_bytes()), i64::MIN);
    }

    #[test]
    fn times_leave_out_what_was_not_sent() {
        assert_eq!(date(&[0]), "0000-00-00");
        assert_eq!(clock(&[]), "00:00:00");
        assert_eq!(clock(&[1, 2, 3, 64, 226, 1, 0]), "01:02:03.123456");
        assert_eq!(time(&[0]), "00:00:00");
        assert_eq!(time(&[8, 1, 34, 0, 0, 0, 22, 59, 58]), "-838:59:58");
    }
}
