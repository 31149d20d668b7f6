//! Statements that change a database, exactly as they stand in the procedure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde_json::json;

use self::shape::Shape;
use super::{Action, ActionError, Changed, Context, Kind};
use crate::model::action::{Effect, Plan};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::unit::Quantity;
use crate::model::value::Value;
use crate::probe::ProbeError;
use crate::probe::backup::decode::Bound;
use crate::probe::database::connection::{Connection, Done};
use crate::probe::database::{Target, ask, bound, left};
use crate::probe::sql::DATABASE;
use crate::probe::sql::statement::{self, Dialect};

mod shape;

pub static KIND: Kind = Kind {
    name: "sql",
    about: "statements that change a database, one after the other, to the first error. One without WHERE, a DROP and \
            a TRUNCATE are destructive",
    inputs: &[
        DATABASE,
        InputSpec {
            name: "statement",
            ty: InputType::Texts,
            need: Need::Required,
            about: "one statement, or a list of them: one for each table, `[OPTIMIZE TABLE a, OPTIMIZE TABLE b]`",
        },
        InputSpec {
            name: "parameters",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "values for the placeholders of the only statement: ? in MySQL and SQLite, $1 in PostgreSQL",
        },
        InputSpec {
            name: "transaction",
            ty: InputType::Bool,
            need: Need::Optional,
            about: "all of them or none. When not given: in one transaction, unless one of them cannot be in any \
                    (VACUUM, CREATE INDEX CONCURRENTLY). In MySQL and MariaDB, a statement that changes tables \
                    themselves commits what came before",
        },
        InputSpec {
            name: "lock_wait",
            ty: InputType::Duration,
            need: Need::Default("10s"),
            about: "how long to wait for a lock that others hold; they wait behind this statement meanwhile",
        },
    ],
    facts: &[
        FactSpec::new("affected", FactType::Count, "rows that the statement changed, as the server counts them"),
        FactSpec::new("took", FactType::Duration, "how long it took"),
    ],
    checks: "each text is one statement. Rows that a plain DELETE or UPDATE concerns at this moment are \
             counted",
    effect: Effect::Change,
    destructive_when: "a DELETE or UPDATE has no WHERE, or something is dropped or truncated",
    least: |inputs| {
        let destructive = inputs.texts("statement").iter().any(|sql| shape::may_destroy(sql));
        if destructive { Effect::Destructive } else { Effect::Change }
    },
    example: include_str!("../../examples/actions/sql.yaml"),
    limit: Duration::from_mins(5),
    build: |inputs| Sql::new(inputs).map(|sql| Arc::new(sql) as Arc<dyn Action>),
};

/// How long counting the rows concerned may take; it is a courtesy.
const FOR_COUNTING: Duration = Duration::from_secs(10);

struct Sql {
    database: String,
    statements: Vec<String>,
    parameters: Vec<String>,
    transaction: Option<bool>,
    lock_wait: Duration,
}

impl Sql {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let statements = inputs.texts("statement").to_vec();
        if statements.is_empty() || statements.iter().any(|sql| sql.trim().is_empty()) {
            return Err(InputError::new(
                "statement",
                "there is no statement",
                "write one statement, or a list of them",
            ));
        }
        let parameters = inputs.texts("parameters").to_vec();
        if !parameters.is_empty() && statements.len() > 1 {
            let message = "several statements cannot share parameters";
            return Err(InputError::new("parameters", message, "write a step for each statement with parameters"));
        }
        Ok(Self {
            database: inputs.text("database").unwrap_or_default().to_owned(),
            statements,
            parameters,
            transaction: inputs.has("transaction").then(|| inputs.flag("transaction")),
            lock_wait: inputs.duration("lock_wait").unwrap_or_default().max(Duration::from_secs(1)),
        })
    }

    /// The statements without what follows them, and what kind each is.
    fn read(&self, dialect: Dialect) -> Result<Vec<(&str, Shape)>, ActionError> {
        let one = |sql| {
            let single = statement::single(sql, dialect).map_err(|why| {
                ActionError::before("bad_statement", format!("database {}: {why}: {}", self.database, one_line(sql)))
                    .help("write each statement as an item of the list")
            })?;
            Ok((single.trim(), Shape::of(single, dialect)))
        };
        self.statements.iter().map(String::as_str).map(one).collect()
    }

    /// Whether all of them are in one transaction.
    fn together(&self, read: &[(&str, Shape)]) -> Result<bool, ActionError> {
        let alone = read.iter().find(|(_, shape)| shape.alone);
        match (self.transaction, alone) {
            (Some(true), Some((sql, _))) => Err(ActionError::before(
                "bad_statement",
                format!("database {}: it cannot be in a transaction: {}", self.database, one_line(sql)),
            )
            .help("leave out `transaction`, or make it a step of its own")),
            (wanted, alone) => Ok(wanted.unwrap_or(alone.is_none())),
        }
    }

    async fn look(&self, cx: &Context) -> Result<Plan, ActionError> {
        let target = Target::of_site(&cx.look, &self.database).await?;
        let read = self.read(target.dialect())?;
        let together = self.together(&read)?;
        let mut plan = Plan::new(self.shown(&read, together, cx)).data(json!(self.statements));
        plan = plan.note(format!(
            "waits at most {} for locks and {} for each statement",
            Quantity::duration(self.lock_wait).rounded(),
            Quantity::duration(cx.look.limit).rounded()
        ));
        for (sql, shape) in &read {
            if shape.commits && together && read.len() > 1 {
                plan = plan.note(format!("commits by itself, what came before included: {}", one_line(sql)));
            }
            if let Some(count) = &shape.count
                && let Some(rows) = self.concerned(&target, count, cx).await?
            {
                plan = plan.note(format!("{rows} rows at this moment: {}", one_line(sql)));
            }
        }
        Ok(plan)
    }

    /// What is sent, secrets masked.
    fn shown(&self, read: &[(&str, Shape)], together: bool, cx: &Context) -> Vec<String> {
        let mask = |text: &str| cx.look.mask.apply(text).into_owned();
        let mut does: Vec<String> = read.iter().map(|(sql, _)| mask(sql)).collect();
        if !self.parameters.is_empty() {
            let parameters: Vec<String> = self.parameters.iter().map(|value| format!("'{}'", mask(value))).collect();
            does = does.into_iter().map(|sql| format!("{sql}   -- with {}", parameters.join(", "))).collect();
        }
        if together {
            does.insert(0, "BEGIN".to_owned());
            does.push("COMMIT".to_owned());
        }
        does
    }

    /// How many rows an UPDATE or DELETE concerns, if that can be counted soon. A connection that fails is an error:
    /// the statements would fail as well.
    async fn concerned(&self, target: &Target, count: &str, cx: &Context) -> Result<Option<Value>, ProbeError> {
        let bound = Bound { until: Instant::now() + FOR_COUNTING.min(cx.look.limit), cancel: cx.look.cancel.clone() };
        match ask::value(target, count, &self.parameters, cx.look.timezone, &bound).await {
            Ok(answer) => Ok(answer.ok()),
            Err(error) if error.code == "time_limit" => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn act(&self, plan: &Plan, cx: &Context) -> Result<Observation, ActionError> {
        if plan.data != json!(self.statements) {
            return Err(ActionError::before("changed", "the statements are not those of the plan").help("plan again"));
        }
        let bound = bound(&cx.look);
        let target = Target::of_site(&cx.look, &self.database).await?;
        let read = self.read(target.dialect())?;
        let together = self.together(&read)?;
        let mut connection = Connection::open(&target, left(&bound), self.lock_wait, &bound).await?;
        let session = connection.number().await?;
        let mut work = Work { connection: &mut connection, changed: Changed::Nothing };
        let done = self.run(&read, together, &mut work).await;
        let changed = work.changed;
        match done {
            Ok(subjects) => {
                connection.close().await;
                Ok(Observation { subjects, evidence: Vec::new() })
            }
            Err(error) => {
                // What was not committed is taken back with the session.
                match session {
                    Some(session) if matches!(error.code, "time_limit" | "cancelled") => target.end(session).await,
                    Some(_) => {}
                    None => connection.give_up().await,
                }
                let help = error.help.clone();
                let error = ActionError { changed, ..error.into() };
                Err(match (changed, help) {
                    (Changed::Perhaps, _) => error.help("look at what the statements came to before this is run again"),
                    (Changed::Nothing, Some(help)) => error.help(help),
                    (Changed::Nothing, None) => error,
                })
            }
        }
    }

    async fn run(
        &self,
        read: &[(&str, Shape)],
        together: bool,
        work: &mut Work<'_>,
    ) -> Result<Vec<Subject>, ProbeError> {
        if together {
            work.connection.run("BEGIN").await?;
        }
        let mut subjects = Vec::new();
        for (sql, shape) in read {
            let begin = Instant::now();
            if !together || shape.commits {
                work.changed = Changed::Perhaps;
            }
            let done = work.connection.statement(sql, &self.parameters).await;
            let done = done.and_then(|done| refused_in_rows(done, sql))?;
            let mut subject = Subject::new(one_line(sql)).with("affected", Value::count(done.affected));
            subject.set("took", Value::duration(begin.elapsed()));
            subjects.push(subject);
        }
        if together {
            work.changed = Changed::Perhaps;
            work.connection.run("COMMIT").await?;
        }
        Ok(subjects)
    }
}

/// A session at work, and whether what it did may stay.
struct Work<'c> {
    connection: &'c mut Connection,
    changed: Changed,
}

/// OPTIMIZE, REPAIR, CHECK and ANALYZE of MySQL tell their errors as rows: table, operation, kind, text.
fn refused_in_rows(done: Done, sql: &str) -> Result<Done, ProbeError> {
    let is_error = |row: &&Vec<Option<String>>| {
        row.len() == 4 && row[2].as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("error"))
    };
    match done.rows.iter().find(is_error) {
        None => Ok(done),
        Some(row) => {
            let text = row[3].clone().unwrap_or_default();
            Err(ProbeError::new("bad_statement", format!("{}: {text}", one_line(sql))))
        }
    }
}

fn one_line(sql: &str) -> String {
    crate::model::text::one_line(sql, 80)
}

impl Action for Sql {
    fn target(&self) -> String {
        self.database.clone()
    }

    fn plan<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Plan, ActionError>> {
        Box::pin(self.look(cx))
    }

    fn perform<'a>(&'a self, plan: &'a Plan, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ActionError>> {
        Box::pin(self.act(plan, cx))
    }
}
