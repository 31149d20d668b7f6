//! The health of a database server, as one database of it sees it: connections, locks, replication, space, statements.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use self::seen::Seen;
use self::session::Session;
use crate::model::fact::Observation;
use crate::model::input::{InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;
use crate::probe::growth::Earlier;
use crate::probe::sql::site::{Server, Site};
use crate::probe::sql::trouble::Trouble;
use crate::probe::sql::{DATABASE, Limits};
use crate::probe::{Context, Kind, Probe, ProbeError};

mod facts;
mod measures;
mod mysql;
mod mysql_use;
mod postgres;
mod postgres_use;
mod seen;
mod session;

pub static KIND: Kind = Kind {
    name: "database",
    about: "the health of a PostgreSQL, MySQL or MariaDB server, as the user of one database sees it, in a read-only \
            session. What costs the server work (sizes, statements, indexes) is asked only where the step expects \
            something of it, or gathers. What the user may not see is missing, with the right that is needed: \
            `pg_monitor` in PostgreSQL; PROCESS and REPLICA MONITOR (REPLICATION CLIENT) in MariaDB and MySQL. \
            `recent_...` is what happened since this step's newest earlier run, or since the server began to count if \
            that is later. Facts of one kind of server are passed over for the other",
    inputs: &[
        InputSpec { about: "which database of the site file: mysql://, mariadb:// or postgres://", ..DATABASE },
        InputSpec {
            name: "slower_than",
            ty: InputType::Duration,
            need: Need::Default("1s"),
            about: "from what average time a statement counts as slow, and from what time a running one is shown",
        },
        InputSpec {
            name: "top",
            ty: InputType::Integer { least: 1, most: 100 },
            need: Need::Default("10"),
            about: "how many tables, statements, sessions and indexes to keep as evidence, of each the worst",
        },
    ],
    facts: facts::FACTS,
    example: include_str!("../../../examples/probes/database.yaml"),
    limit: Duration::from_secs(30),
    build: |inputs| Ok(Arc::new(Health::new(inputs))),
};

struct Health {
    database: String,
    slower_than: Duration,
    top: usize,
}

/// How far a look came.
struct Progress {
    stage: &'static str,
    answers: bool,
    /// The server's number of the session, while it works.
    session: Option<i64>,
}

impl Health {
    fn new(inputs: &Inputs) -> Self {
        Self {
            database: inputs.text("database").unwrap_or_default().to_owned(),
            slower_than: inputs.duration("slower_than").unwrap_or(Duration::from_secs(1)),
            top: inputs.integer("top").and_then(|top| usize::try_from(top).ok()).unwrap_or(10),
        }
    }

    async fn site(&self, cx: &Context) -> Result<Site, ProbeError> {
        let site = Site::of(&self.database, cx).await?;
        match &site.server {
            Server::MySql(options) if options.get_database().is_none_or(str::is_empty) => {
                let message = format!("the URL of the database {} names no database", self.database);
                Err(ProbeError::new("bad_url", message)
                    .help("write it behind the host: mysql://USER:PASSWORD@HOST/DATABASE"))
            }
            Server::Sqlite(_) => {
                let message = format!("the database {} is a file of SQLite, which has no server", self.database);
                Err(ProbeError::new("not_a_server", message).help(
                    "look at it with the probe sql (query: PRAGMA quick_check) and at its size with the probe file",
                ))
            }
            Server::MySql(_) | Server::Postgres(_) => Ok(site),
        }
    }

    /// Fills `seen` as far as it comes.
    async fn ask(site: &Site, limits: Limits, progress: &mut Progress, seen: &mut Seen<'_>) -> Result<(), Trouble> {
        progress.stage = "no login";
        let begin = Instant::now();
        let Some(mut session) = Session::open(&site.server, limits, seen.cx.timezone).await? else { return Ok(()) };
        seen.set_duration("connect_time", Some(begin.elapsed()));
        progress.session = session.number;
        progress.stage = "logged in, but no answer to SELECT 1";
        let begin = Instant::now();
        session.ask("SELECT 1").await?.map_err(|refused| Trouble::Down(refused.0))?;
        seen.set_duration("query_time", Some(begin.elapsed()));
        seen.set("version", session.version.as_deref().map(Value::text));
        progress.answers = true;
        progress.stage = "the server answers, but not all was asked";
        match &site.server {
            Server::MySql(_) => mysql::look(&mut session, seen).await?,
            Server::Postgres(_) => postgres::look(&mut session, seen).await?,
            Server::Sqlite(_) => {}
        }
        progress.session = None;
        session.close().await;
        Ok(())
    }

    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let limits = Limits::new(cx.limit);
        let site = self.site(cx).await?;
        let earlier = if cx.wants(facts::RECENT) {
            Earlier::of(&self.database, facts::EARLIER, cx).await
        } else {
            Earlier::nothing(cx)
        };
        let mut seen = Seen::new(&self.database, self.top, self.slower_than, earlier, cx);
        let mut progress = Progress { stage: "", answers: false, session: None };
        // The drivers panic on packets that are cut short.
        let asked = AssertUnwindSafe(Self::ask(&site, limits, &mut progress, &mut seen)).catch_unwind();
        let outcome = tokio::select! {
            outcome = asked => Some(outcome.unwrap_or_else(|_| Err(Trouble::nonsense("a packet is cut short")))),
            () = tokio::time::sleep_until(limits.client) => None,
            () = cx.cancel.cancelled() => {
                Some(Err(Trouble::Blind(ProbeError::new("cancelled", "nobody waits for the answer any more"))))
            }
        };
        if let Some(session) = progress.session.filter(|_| !matches!(outcome, Some(Ok(())))) {
            site.end(session).await;
        }
        let down = match outcome {
            Some(Ok(())) => None,
            Some(Err(Trouble::Down(why))) => Some(why),
            None if progress.answers => {
                seen.subject.note(format!("{} within {:?}", progress.stage, cx.limit));
                return Ok(seen.done(None));
            }
            None => Some(format!("{} within {:?}", progress.stage, cx.limit)),
            Some(Err(Trouble::Blind(mut error))) => {
                error.message = format!("database {} ({}): {}", self.database, site.place, error.message);
                return Err(error);
            }
        };
        Ok(seen.done(down.map(|why| format!("{}: {why}", site.place))))
    }
}

impl Probe for Health {
    fn target(&self) -> String {
        format!("database {}", self.database)
    }

    fn resource(&self) -> Option<String> {
        Some(self.database.clone())
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(self.look(cx))
    }
}
