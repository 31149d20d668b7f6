//! Databases as a whole: their servers, what dumps of them hold, loading a dump into one that exists only for that.
//!
//! Shared by the drill of backups and by the actions. The kind of probe `database` is [`health`].

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::backup::decode::Bound;
use super::sql::site::{self, Server, Site};
use super::sql::statement::Dialect;
use super::sql::{mysql, postgres};
use super::{Context, ProbeError};
use crate::model::secret::Secret;

pub mod ask;
pub mod connection;
pub mod dump;
pub mod health;
pub mod lexer;
pub mod load;
pub mod policy;
pub mod scratch;
pub mod space;
pub mod tool;

use connection::Connection;

/// A database of the site, or another one of the same server.
#[derive(Clone)]
pub struct Target {
    /// As the site file names it.
    pub name: String,
    /// As the server names it; the path of a file of SQLite.
    pub database: String,
    pub site: Site,
    password: Option<Secret>,
    /// Options of the URL, such as `sslca`.
    options: Vec<(String, String)>,
}

impl Target {
    /// # Errors
    /// The site file has no such database, or its URL is wrong or cannot be resolved.
    pub async fn of_site(cx: &Context, name: &str) -> Result<Self, ProbeError> {
        let url = cx.url_of(name).await?;
        let passwords = site::passwords(url.expose());
        for password in &passwords {
            cx.mask.add(password);
        }
        let site = Site::parse(name, url.expose(), &cx.folder)?;
        let database = match &site.server {
            Server::MySql(options) => options.get_database().map(str::to_owned),
            Server::Postgres(options) => Some(options.get_database().unwrap_or(options.get_username()).to_owned()),
            Server::Sqlite(options) => Some(options.get_filename().display().to_string()),
        };
        let database = database.filter(|database| !database.is_empty()).ok_or_else(|| {
            ProbeError::new("bad_url", format!("the URL of the database {name} names no database"))
                .help("write it behind the host: mysql://USER:PASSWORD@HOST/DATABASE")
        })?;
        let options = url.expose().split_once('?').map_or("", |(_, options)| options).split('&');
        let options = options.filter_map(|pair| pair.split_once('='));
        Ok(Self {
            name: name.to_owned(),
            database,
            site,
            password: passwords.into_iter().next().map(Secret::new),
            options: options.map(|(key, value)| (key.to_owned(), site::percent_decoded(value))).collect(),
        })
    }

    /// Another database of the same server; of SQLite, another file.
    #[must_use]
    pub fn sibling(&self, database: &str) -> Self {
        let mut other = self.clone();
        database.clone_into(&mut other.database);
        other.site.server = match other.site.server {
            Server::MySql(options) => Server::MySql(options.database(database)),
            Server::Postgres(options) => Server::Postgres(options.database(database)),
            Server::Sqlite(options) => Server::Sqlite(options.filename(database)),
        };
        other
    }

    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect::of(&self.site.server)
    }

    /// For messages: `helpdesk (127.0.0.1:3306)`.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} ({})", self.name, self.site.place)
    }

    /// A session that may write. Statements and waits for locks end with the bound at the latest.
    ///
    /// # Errors
    /// No connection, no login.
    pub async fn connect(&self, bound: &Bound) -> Result<Connection, ProbeError> {
        Connection::open(self, left(bound), left(bound), bound).await
    }

    /// Ends a session of the server and what runs in it.
    pub async fn end(&self, session: i64) {
        let kill = async {
            match &self.site.server {
                Server::MySql(options) => mysql::kill(options, session).await,
                Server::Postgres(options) => postgres::kill(options, session).await,
                Server::Sqlite(_) => Ok(()),
            }
        };
        // The server's own limit ends the statement when this cannot.
        tokio::time::timeout(Duration::from_secs(5), kill).await.ok();
    }

    /// The option of the URL by any of these names.
    fn option(&self, names: &[&str]) -> Option<&str> {
        self.options.iter().find(|(key, _)| names.contains(&key.as_str())).map(|(_, value)| value.as_str())
    }
}

/// Until the time limit of `cx`, which begins now.
#[must_use]
pub fn bound(cx: &Context) -> Bound {
    Bound { until: Instant::now() + cx.limit, cancel: cx.cancel.clone() }
}

/// As [`bound`], but some of the limit is kept for tidying up: `kept`, or a quarter of a short limit.
#[must_use]
pub fn bound_keeping(cx: &Context, kept: Duration) -> Bound {
    Bound { until: Instant::now() + cx.limit.saturating_sub(kept.min(cx.limit / 4)), cancel: cx.cancel.clone() }
}

/// The time that is left, at least a second: zero means "no limit" to servers.
#[must_use]
pub fn left(bound: &Bound) -> Duration {
    bound.until.saturating_duration_since(Instant::now()).clamp(Duration::from_secs(1), Duration::from_hours(24))
}

/// Waits for `work` until the bound.
///
/// # Errors
/// Those of the work; `cancelled`; `time_limit`, which says what was waited for.
pub async fn within<T>(
    bound: &Bound,
    what: &str,
    work: impl Future<Output = Result<T, ProbeError>>,
) -> Result<T, ProbeError> {
    tokio::select! {
        biased;
        () = bound.cancel.cancelled() => Err(ProbeError::new("cancelled", format!("{what} was ended with the run"))),
        done = tokio::time::timeout_at(bound.until.into(), work) => done.unwrap_or_else(|_| {
            Err(ProbeError::new("time_limit", format!("{what} did not end within the time limit"))
                .help("give the step a longer `timeout`"))
        }),
    }
}

/// How many works there are that must come to their end.
static AT_WORK: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// Counts as long as it lives.
struct AtWork;

impl AtWork {
    fn begin() -> Self {
        *AT_WORK.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        *AT_WORK.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        AT_WORK.1.notify_all();
    }
}

/// Waits until everything that was made for a short time is gone again: what must happen before the program ends.
/// Works that were cancelled need seconds at most, unless a server hangs.
pub fn wait_for_tidying() {
    let working = AT_WORK.0.lock().unwrap_or_else(PoisonError::into_inner);
    drop(AT_WORK.1.wait_timeout_while(working, MOST_TIDYING, |working| *working > 0));
}

const MOST_TIDYING: Duration = Duration::from_mins(2);

/// Runs `work` on a thread of its own with a runtime of its own: it comes to its end, with what it tidies up, even if
/// nobody waits for it any more. [`wait_for_tidying`] waits for that.
///
/// # Errors
/// Those of the work.
pub async fn to_the_end<T: Send + 'static, W: Future<Output = Result<T, ProbeError>>>(
    cx: &Context,
    work: impl FnOnce() -> W + Send + 'static,
) -> Result<T, ProbeError> {
    let at_work = AtWork::begin();
    cx.blocking(move || {
        let _at_work = at_work;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ProbeError::new("io", format!("cannot start a runtime: {error}")))?;
        runtime.block_on(work())
    })
    .await
}
