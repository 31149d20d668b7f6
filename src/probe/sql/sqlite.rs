//! SQLite.

use std::io;
use std::path::Path;
use std::time::Instant;

use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow, SqliteStatement};
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Either, Executor as _, Row as _,
    SqlSafeStr as _, Statement as _, TypeInfo as _, ValueRef as _,
};
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::cell::{self, Cell};
use super::trouble::Trouble;
use super::{ProbeError, Question};
use crate::model::value::Value;

/// How many of SQLite's own instructions pass between two looks at the clock: well below a millisecond.
const INSTRUCTIONS: i32 = 10_000;

pub async fn ask(options: &SqliteConnectOptions, question: &Question<'_>, answer: &mut Answer) -> Result<(), Trouble> {
    let begin = Instant::now();
    readable(options.get_filename()).await?;
    let limits = question.limits;
    let options = options.clone().busy_timeout(limits.for_server()).disable_statement_logging();
    let mut connection = options.connect().await?;
    // The driver's thread would go on with the statement when this future is dropped.
    let dropped = CancellationToken::new();
    let _guard = dropped.clone().drop_guard();
    connection.lock_handle().await?.set_progress_handler(INSTRUCTIONS, move || {
        !dropped.is_cancelled() && tokio::time::Instant::now() < limits.server
    });
    answer.connect_time = Some(begin.elapsed());

    let mut arguments = SqliteArguments::default();
    for parameter in question.parameters {
        arguments.add(parameter.clone()).map_err(|error| ProbeError::new("bad_statement", error.to_string()))?;
    }
    let begin = Instant::now();
    // SQLite takes NULL for what is not given, and says nothing of what is left over.
    let statement = (&mut connection).prepare(AssertSqlSafe(question.sql).into_sql_str()).await?;
    let (wanted, given) = (placeholders(&statement), question.parameters.len());
    if wanted != given {
        let message = format!("the query has {wanted} parameters, {given} are given");
        return Err(ProbeError::new("bad_statement", message).into());
    }
    let query = sqlx::query_with(AssertSqlSafe(question.sql), arguments).persistent(false);
    answer.read(query.fetch(&mut connection), cell).await?;
    answer.query_time = Some(begin.elapsed());
    connection.close().await.ok();
    Ok(())
}

fn placeholders(statement: &SqliteStatement) -> usize {
    match statement.parameters() {
        Some(Either::Left(types)) => types.len(),
        Some(Either::Right(count)) => count,
        None => 0,
    }
}

/// SQLite says "unable to open database file" whatever the reason.
async fn readable(file: &Path) -> Result<(), Trouble> {
    let opened = match tokio::fs::metadata(file).await {
        Ok(metadata) if metadata.is_file() => tokio::fs::File::open(file).await.map(drop),
        Ok(_) => return Err(Trouble::Down("not a file".to_owned())),
        Err(error) => Err(error),
    };
    opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Trouble::Down("no such file".to_owned()),
        _ => Trouble::Blind(ProbeError::io(file.display(), &error)),
    })
}

/// By the type of the value: columns have none that binds.
fn cell(row: &SqliteRow, column: usize) -> Result<Cell, sqlx::Error> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(None);
    }
    let name = value.type_info().name().to_owned();
    drop(value);
    Ok(Some(match name.as_str() {
        "INTEGER" => Value::Integer(row.try_get_unchecked(column)?),
        "REAL" => cell::float(row.try_get_unchecked(column)?),
        "TEXT" => cell::text(&String::from_utf8_lossy(&row.try_get_unchecked::<Vec<u8>, _>(column)?)),
        _ => cell::bytes(&row.try_get_unchecked::<Vec<u8>, _>(column)?),
    }))
}
