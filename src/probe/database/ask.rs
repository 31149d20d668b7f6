//! One value from a database, in a read-only session.

use super::{Target, left, within};
use crate::model::value::Value;
use crate::probe::ProbeError;
use crate::probe::backup::decode::Bound;
use crate::probe::sql::answer::Answer;
use crate::probe::sql::site::Server;
use crate::probe::sql::statement;
use crate::probe::sql::trouble::Trouble;
use crate::probe::sql::{Limits, Question, mysql, postgres, sqlite};

/// The value, or why there is none.
///
/// # Errors
/// The bound was reached.
pub async fn value(
    target: &Target,
    query: &str,
    parameters: &[String],
    timezone: chrono_tz::Tz,
    bound: &Bound,
) -> Result<Result<Value, String>, ProbeError> {
    let sql = match statement::single(query, target.dialect()) {
        Ok(sql) => sql,
        Err(why) => return Ok(Err(why)),
    };
    let question = Question { sql, parameters, timezone, limits: Limits::new(left(bound)) };
    let asking = async {
        let mut answer = Answer::new(0);
        let asked = match &target.site.server {
            Server::MySql(options) => mysql::ask(options, &question, &mut answer).await,
            Server::Postgres(options) => postgres::ask(options, &question, &mut answer).await,
            Server::Sqlite(options) => sqlite::ask(options, &question, &mut answer).await,
        };
        Ok(match asked {
            Ok(()) => answer.value(),
            Err(Trouble::Down(why)) => Err(why),
            Err(Trouble::Blind(error)) => Err(error.message),
        })
    };
    within(bound, &format!("a query on {}", target.shown()), asking).await
}
