//! The restore drill: a backup is restored for real, into a database that exists only for that, asked, and dropped.
//!
//! It cannot touch the database of production: a dump that names another database is refused before anything is
//! loaded, the client logs in to the scratch database by name, and only names of scratch databases can be dropped.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDateTime, TimeZone as _, Utc};
use tokio_util::sync::CancellationToken;

use super::decode::Bound;
use crate::model::fact::{FactSpec, FactType, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;
use crate::probe::database::dump::{Dump, Inspection};
use crate::probe::database::policy::Into;
use crate::probe::database::{Target, ask, load, scratch, space, to_the_end};
use crate::probe::sql::statement;
use crate::probe::{Context, ProbeError};

pub const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "into",
        ty: InputType::Choice(&["scratch"]),
        need: Need::Default("scratch"),
        about: "always `scratch`: a new database that is dropped afterwards, whatever happens",
    },
    InputSpec {
        name: "server",
        ty: InputType::Database,
        need: Need::Required,
        about: "the database of the site on whose server the scratch database is made. Its user needs the right to \
                create and drop databases; give one of its own that has no right to others, and better a server of \
                its own. SQLite: a file in the temporary folder ($TMPDIR)",
    },
    InputSpec {
        name: "checks",
        ty: InputType::Json,
        need: Need::Optional,
        about: "what to ask the restored database: `NAME: { query: SELECT COUNT(*) FROM t }`, one value each. With \
                `compare: true` the database that `server` names is asked too, read-only",
    },
    InputSpec {
        name: "recovery_point",
        ty: InputType::Text,
        need: Need::Optional,
        about: "the check that gives the time of the newest data: a date and time (in the site's time zone if it has \
                none) or seconds since 1970",
    },
];

/// The facts of the drill, among those of the kind.
pub const RESTORED: FactSpec =
    FactSpec::new("restored", FactType::Bool, "the whole backup went into a scratch database without any error");
pub const NAMES_OTHER: FactSpec = FactSpec::new(
    "names_other_database",
    FactType::Bool,
    "the dump names a database (CREATE DATABASE, USE, \\connect, db.table); such a dump is not restored",
);
pub const DROPPED: FactSpec = FactSpec::new("dropped", FactType::Bool, "the scratch database is gone again");
pub const TOOK: FactSpec =
    FactSpec::new("took", FactType::Duration, "from the empty database to the restored one: the recovery time");
pub const RECOVERY_POINT: FactSpec =
    FactSpec::new("recovery_point", FactType::Duration, "age of the newest data, by the check of that name");
pub const RESTORED_TABLES: FactSpec =
    FactSpec::new("restored_tables", FactType::Count, "tables of the restored database");
pub const RESTORED_ROWS: FactSpec = FactSpec::new(
    "restored_rows",
    FactType::Count,
    "rows of the restored database, all tables counted; only when a step names it",
);
pub const LEFT_OVER: FactSpec =
    FactSpec::new("left_over", FactType::Count, "scratch databases on the server whose run is gone");
pub const CHECK: FactSpec = FactSpec::family("check", FactType::Any, "what the check answered; missing if NULL");
pub const PRODUCTION: FactSpec =
    FactSpec::family("production", FactType::Any, "what the database of production answered to the same check");
pub const SHARE: FactSpec =
    FactSpec::family("share", FactType::Percent, "the number of the check, of that of production");

/// What is kept of the time limit for dropping the scratch database.
const FOR_DROPPING: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Drill {
    server: String,
    checks: Vec<Check>,
    recovery_point: Option<String>,
}

#[derive(Clone)]
pub struct Check {
    name: String,
    query: String,
    compare: bool,
}

impl Drill {
    pub fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let checks = inputs.json("checks").map(checks).transpose()?.unwrap_or_default();
        let recovery_point = inputs.text("recovery_point").map(str::to_owned);
        if let Some(named) = &recovery_point
            && !checks.iter().any(|check| check.name == *named)
        {
            let message = format!("there is no check `{named}` to give the recovery point");
            return Err(InputError::new("restore", message, "name one of `checks`"));
        }
        Ok(Self { server: inputs.text("server").unwrap_or_default().to_owned(), checks, recovery_point })
    }

    /// Restores the backup, and sets what was seen, also in front of an error.
    pub async fn run(&self, file: &Path, cx: &Context, subject: &mut Subject) -> Result<(), ProbeError> {
        let (drill, path, own) = (self.clone(), file.to_path_buf(), cx.clone());
        let mut seen = std::mem::replace(subject, Subject::new(""));
        let done = to_the_end(cx, move || async move {
            let result = drill.restore(path, &own, &mut seen).await;
            Ok((seen, result))
        });
        let (seen, result) = done.await?;
        *subject = seen;
        result
    }

    async fn restore(&self, path: PathBuf, cx: &Context, subject: &mut Subject) -> Result<(), ProbeError> {
        let limit = cx.limit.saturating_sub(FOR_DROPPING.min(cx.limit / 4));
        let bound = Bound { until: Instant::now() + limit, cancel: cx.cancel.clone() };
        let server = Target::of_site(cx, &self.server).await?;
        let dump = Dump::open(&path, &bound).await?;
        let inspection = dump.inspect(server.dialect(), Into::Scratch, &bound).await?;
        if let Some(why) = refusal(&inspection, subject) {
            subject.set("restored", Value::Bool(false));
            subject.note(why);
            return Ok(());
        }
        let name = prepare(&server, inspection.content.size, cx, &bound, subject).await?;
        let begin = Instant::now();
        scratch::create(&server, &name).await?;
        let result =
            self.fill_and_ask(&server, &scratch::target(&server, &name), &dump, begin, cx, &bound, subject).await;
        // Whatever happened, and also when nobody waits any more.
        let last = Bound { until: Instant::now() + FOR_DROPPING, cancel: CancellationToken::new() };
        let dropped = scratch::remove(&server, &name, &last).await;
        subject.set("dropped", Value::Bool(dropped.is_ok()));
        if let Err(error) = dropped {
            subject.note(format!("the scratch database {name} is still there: {error}; drop it by hand"));
        }
        result
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the drill, which has all of them at hand")]
    async fn fill_and_ask(
        &self,
        server: &Target,
        restored: &Target,
        dump: &Dump,
        begin: Instant,
        cx: &Context,
        bound: &Bound,
        subject: &mut Subject,
    ) -> Result<(), ProbeError> {
        match load::load(dump, restored, Into::Scratch, "", bound).await {
            Ok(()) => {}
            Err(error)
                if matches!(error.code, "tool_failed" | "bad_statement" | "damaged" | "changed" | "no_answer") =>
            {
                subject.set("restored", Value::Bool(false));
                subject.note(error.message);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        subject.set("restored", Value::Bool(true));
        subject.set("took", Value::duration(begin.elapsed()));
        let mut connection = restored.connect(bound).await?;
        let tables = space::tables(&mut connection).await?;
        subject.set("restored_tables", Value::count(tables.len() as u64));
        if cx.asked.iter().any(|fact| fact == "restored_rows") {
            subject.set("restored_rows", Value::count(space::rows(&mut connection, &tables).await?));
        }
        connection.close().await;
        for check in &self.checks {
            self.ask(check, server, restored, cx, bound, subject).await?;
        }
        Ok(())
    }

    async fn ask(
        &self,
        check: &Check,
        server: &Target,
        restored: &Target,
        cx: &Context,
        bound: &Bound,
        subject: &mut Subject,
    ) -> Result<(), ProbeError> {
        let name = &check.name;
        let mut answers = Vec::new();
        for (family, target) in [("check", restored), ("production", server)] {
            if family == "production" && !check.compare {
                continue;
            }
            match ask::value(target, &check.query, &[], cx.timezone, bound).await? {
                Ok(value) => {
                    subject.set(format!("{family}.{name}"), value.clone());
                    answers.push(value);
                }
                Err(why) => subject.note(format!("{family} {name}: {why}")),
            }
        }
        if let [one, all] = &answers[..]
            && let (Some(one), Some(all)) = (one.history_number(), all.history_number())
            && all.amount() > 0.0
        {
            subject.set(format!("share.{name}"), Value::percent(one.amount() / all.amount() * 100.0));
        }
        if self.recovery_point.as_ref() == Some(name)
            && let Some(newest) = answers.first()
        {
            match time_of(newest, cx.timezone) {
                Some(time) => {
                    let age = (cx.now - time).to_std().unwrap_or_default();
                    subject.set("recovery_point", Value::duration(age));
                }
                None => subject.note(format!("the check {name} gives no time: {newest}")),
            }
        }
        Ok(())
    }
}

/// Sets whether it names another database; why it is not restored at all.
fn refusal(inspection: &Inspection, subject: &mut Subject) -> Option<String> {
    let findings = &inspection.findings;
    if inspection.trouble.is_none() || findings.other.is_some() {
        subject.set("names_other_database", Value::Bool(findings.other.is_some()));
    }
    inspection.refusal().map(|why| format!("{why}, so it was not restored"))
}

/// Room for it, what earlier drills left behind, and a name.
async fn prepare(
    server: &Target,
    size: u64,
    cx: &Context,
    bound: &Bound,
    subject: &mut Subject,
) -> Result<scratch::Name, ProbeError> {
    let mut connection = server.connect(bound).await?;
    let left_over = scratch::left_over(server, &mut connection, cx.now).await?;
    subject.set("left_over", Value::count(left_over.len() as u64));
    for name in left_over.iter().take(5) {
        let made = name.made().with_timezone(&cx.timezone).format("%Y-%m-%d %H:%M");
        subject.note(format!("{name} was left over by a run of {made} that was killed; drop it when nobody needs it"));
    }
    let name = scratch::free_name(server, uuid::Uuid::now_v7(), &mut connection).await?;
    let folder = scratch::folder(server, &mut connection).await;
    connection.close().await;
    folder.map_or(Ok(()), |folder| space::fits(&folder, size).map(drop))?;
    Ok(name)
}

fn checks(json: &serde_json::Value) -> Result<Vec<Check>, InputError> {
    const HELP: &str = "write `checks: { users: { query: SELECT COUNT(*) FROM auth_user } }`";
    let bad = |message: String| InputError::new("restore", message, HELP);
    let map = json.as_object().ok_or_else(|| bad("`checks` is no mapping of names to queries".to_owned()))?;
    let one = |(name, value): (&String, &serde_json::Value)| {
        let inputs = value.as_object().ok_or_else(|| bad(format!("the check `{name}` is no mapping")))?;
        if let Some(unknown) = inputs.keys().find(|key| !matches!(key.as_str(), "query" | "compare")) {
            return Err(bad(format!("the check `{name}` has no input `{unknown}`")));
        }
        let query = inputs.get("query").and_then(|query| query.as_str());
        let query = query.ok_or_else(|| bad(format!("the check `{name}` has no `query`")))?;
        statement::reads(query).map_err(|why| bad(format!("the check `{name}`: {why}")))?;
        let compare = match inputs.get("compare") {
            None => false,
            // Text where it was made by a template.
            Some(flag) => flag
                .as_bool()
                .or_else(|| flag.as_str()?.parse().ok())
                .ok_or_else(|| bad(format!("`compare` of the check `{name}` is yes or no")))?,
        };
        Ok(Check { name: name.clone(), query: query.to_owned(), compare })
    };
    map.iter().map(one).collect()
}

/// A date and time as databases write it, or seconds since 1970.
fn time_of(value: &Value, timezone: chrono_tz::Tz) -> Option<DateTime<Utc>> {
    if let Value::Integer(seconds) = value {
        return DateTime::from_timestamp(*seconds, 0);
    }
    let Value::Text(text) = value else { return None };
    // A server may write whole seconds with a fraction: `1795172400.000000`.
    if let Ok(seconds) = text.split('.').next().unwrap_or_default().parse() {
        return DateTime::from_timestamp(seconds, 0);
    }
    let text = text.replacen('T', " ", 1);
    for format in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z", "%Y-%m-%d %H:%M:%S%.fZ"] {
        if let Ok(time) = DateTime::parse_from_str(&text, format) {
            return Some(time.to_utc());
        }
    }
    let time = NaiveDateTime::parse_from_str(text.trim_end_matches('Z'), "%Y-%m-%d %H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(&format!("{text} 00:00:00"), "%Y-%m-%d %H:%M:%S"))
        .ok()?;
    if text.ends_with('Z') {
        return Some(time.and_utc());
    }
    timezone.from_local_datetime(&time).latest().map(|time| time.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_servers_are_read() {
        let time = |value: Value| time_of(&value, chrono_tz::Europe::Warsaw).map(|time| time.to_rfc3339());
        let noon = Some("2026-11-20T11:00:00+00:00".to_owned());
        assert_eq!(time(Value::text("2026-11-20 12:00:00")), noon);
        assert_eq!(time(Value::text("2026-11-20 12:00:00+01")), noon);
        assert_eq!(time(Value::text("2026-11-20T11:00:00Z")), noon);
        assert_eq!(time(Value::text("2026-11-20 16:30:00+05:30")), noon);
        assert_eq!(time(Value::Integer(1_795_172_400)), noon);
        assert_eq!(time(Value::text("2026-11-20")).as_deref(), Some("2026-11-19T23:00:00+00:00"));
        assert_eq!(time(Value::text("yesterday")), None);
        assert_eq!(time(Value::Bool(true)), None);
    }
}
