//! Probes: each looks once at one kind of thing and reports typed facts. None judges, retries, prints or sleeps.
//!
//! A new kind is one file here, one line in [`KINDS`] and one example in `examples/probes/`.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;

use crate::model::expectation::Reading;
use crate::model::fact::{FactSpec, Observation};
use crate::model::id::ProcedureId;
use crate::model::input::{InputError, InputSpec, Inputs};
use crate::model::past::PastRun;
use crate::model::secret::{Mask, MaybeSecret, Secret, SecretRef};
use crate::model::unit::Quantity;

pub mod alerts;
pub mod backup;
pub mod certificate;
pub mod command;
pub mod compose;
pub mod container;
pub mod container_disk;
pub mod cpu;
pub mod database;
pub mod disk;
pub mod dns;
pub mod fail2ban;
pub mod file;
pub mod git;
mod group;
mod growth;
pub mod history;
pub mod http;
mod interval;
pub mod io;
pub mod journal;
pub mod kernel;
pub mod load;
pub mod log;
pub mod memory;
pub mod metric;
pub(crate) mod near;
pub mod network;
pub mod packages;
pub mod ping;
pub mod port;
pub mod pressure;
pub mod proc_file;
pub mod process;
pub mod reboot;
pub mod redis;
pub mod schedule;
pub mod secrets;
pub mod service;
pub mod smart;
pub mod sql;
pub mod tcp;
pub mod threads;
pub mod time;
pub(crate) mod tool;
pub mod vulnerability;

/// Looks once at one kind of thing. The engine owns time limits, attempts and cancellation.
pub trait Probe: Send + Sync {
    /// What is looked at, for people; free of secrets.
    fn target(&self) -> String;

    /// The host or database that is asked: at most two looks at one resource run at the same time.
    fn resource(&self) -> Option<String> {
        None
    }

    /// Looks once. What was seen is an observation, even if it is that the target does not answer; an error means
    /// that nothing could be seen.
    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>>;
}

/// A kind of probe: what procedures may write, what it reports, how it is made.
pub struct Kind {
    pub name: &'static str,
    pub about: &'static str,
    pub inputs: &'static [InputSpec],
    /// Every fact that this kind can report: the source of vetting, `explain` and the schema.
    pub facts: &'static [FactSpec],
    /// A step in YAML, shown by `explain`; the test over all examples runs it through the loader.
    pub example: &'static str,
    /// The time limit of a look, where the step names none.
    pub limit: Duration,
    pub build: fn(&Inputs) -> Result<Arc<dyn Probe>, InputError>,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({})", self.name)
    }
}

/// Every kind of probe, in the order in which they are listed: what is asked over the network, what is kept, the
/// machine, what runs on it, what was made, what was seen before.
pub const KINDS: &[&Kind] = &[
    &http::KIND,
    &certificate::KIND,
    &dns::KIND,
    &tcp::KIND,
    &ping::KIND,
    &port::KIND,
    &sql::KIND,
    &database::health::KIND,
    &redis::KIND,
    &log::KIND,
    &journal::KIND,
    &kernel::KIND,
    &disk::KIND,
    &io::KIND,
    &smart::KIND,
    &memory::KIND,
    &load::KIND,
    &cpu::KIND,
    &pressure::KIND,
    &network::KIND,
    &time::KIND,
    &reboot::KIND,
    &process::KIND,
    &service::KIND,
    &schedule::KIND,
    &container::KIND,
    &container_disk::KIND,
    &compose::KIND,
    &file::KIND,
    &backup::KIND,
    &git::KIND,
    &packages::KIND,
    &vulnerability::KIND,
    &fail2ban::KIND,
    &metric::KIND,
    &alerts::KIND,
    &history::KIND,
    &command::KIND,
];

#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name).copied()
}

/// A database that the site file names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Database {
    /// `mysql://`, `mariadb://`, `postgres://`, `sqlite://`, `redis://`, `rediss://` or `unix://` (of Redis).
    pub url: MaybeSecret,
}

/// A service that no service manager knows, by the commands that the site file gives for it. They run without a shell.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ManagedService {
    /// Exit status as LSB has it: 0 runs; 1, 2 and 3 do not; others cannot tell.
    pub status: Vec<String>,
    pub start: Option<Vec<String>>,
    pub stop: Option<Vec<String>>,
    pub restart: Option<Vec<String>>,
    pub reload: Option<Vec<String>>,
}

/// What the journal knows of this step's earlier runs, for kinds that tell what changed since then: a counter says
/// little, its growth much.
pub trait Past: Send + Sync + fmt::Debug {
    /// The newest earlier reading of each of `facts`, by subject and fact. Nothing in a first run, and where no journal
    /// can be read.
    fn newest<'p>(&'p self, facts: &'p [&'static str]) -> BoxFuture<'p, HashMap<(String, String), Reading>>;

    /// The newest runs of any procedure, the newest first, without the run at work and without dry runs; an error says
    /// why the journal cannot be read.
    fn runs_of<'p>(&'p self, procedure: &'p ProcedureId) -> BoxFuture<'p, Result<Vec<PastRun>, String>> {
        let _ = procedure;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

/// No earlier run.
#[derive(Clone, Copy, Debug)]
pub struct NoPast;

impl Past for NoPast {
    fn newest<'p>(&'p self, _facts: &'p [&'static str]) -> BoxFuture<'p, HashMap<(String, String), Reading>> {
        Box::pin(std::future::ready(HashMap::new()))
    }
}

/// What a look may know of the run that it is part of.
#[derive(Clone, Debug)]
pub struct Context {
    /// When the run began: windows and ages count from here.
    pub now: DateTime<Utc>,
    pub timezone: chrono_tz::Tz,
    /// The step's time limit. The engine ends the look shortly after it; a look that can say how far it came ends
    /// by itself within it.
    pub limit: Duration,
    /// Set when nobody waits for the answer any more; work on a blocking thread must look at it often.
    pub cancel: CancellationToken,
    /// The facts that the step's expectations name, in full (`json.queue.depth`): which members of a family to report.
    pub asked: Arc<[String]>,
    pub databases: Arc<IndexMap<String, Database>>,
    /// Services that the site file names; a name that is not here is one of the service manager's.
    pub services: Arc<IndexMap<String, ManagedService>>,
    /// Knows every secret that was resolved; the engine masks all that leaves it.
    pub mask: Mask,
    /// The folder of the site file, where relative paths and commands start.
    pub folder: PathBuf,
    pub past: Arc<dyn Past>,
}

impl Context {
    /// The members of `family` that the step's expectations name.
    pub fn asked_of<'c>(&'c self, family: &'c str) -> impl Iterator<Item = &'c str> {
        self.asked.iter().filter_map(move |fact| fact.strip_prefix(family)?.strip_prefix('.'))
    }

    /// Whether any of `facts` is worth an expensive question: the step's expectations name it, or a member of it, or the
    /// step expects nothing and gathers all.
    #[must_use]
    pub fn wants(&self, facts: &[&str]) -> bool {
        let named = |asked: &String| facts.contains(&asked.split('.').next().unwrap_or_default());
        self.asked.is_empty() || self.asked.iter().any(named)
    }

    /// Resolves a secret as late as possible, and masks it from now on.
    ///
    /// # Errors
    /// The variable, file or command is not there; the message names it and never its content.
    pub async fn secret(&self, secret: &SecretRef) -> Result<Secret, ProbeError> {
        let resolved = secrets::resolve(secret, self.limit).await?;
        self.mask.add(resolved.expose());
        Ok(resolved)
    }

    /// The text, resolved and masked if it is a secret.
    ///
    /// # Errors
    /// As [`Context::secret`].
    pub async fn text(&self, text: &MaybeSecret) -> Result<Secret, ProbeError> {
        match text {
            MaybeSecret::Plain(text) => Ok(Secret::new(text.clone())),
            MaybeSecret::Secret(secret) => self.secret(secret).await,
        }
    }

    /// The URL of a database of the site, resolved and masked as [`Self::text`] does it.
    ///
    /// # Errors
    /// The site has no such database, or its URL cannot be had.
    pub async fn url_of(&self, database: &str) -> Result<Secret, ProbeError> {
        let found = self.databases.get(database).ok_or_else(|| {
            ProbeError::new("not_found", format!("the site file names no database {database}"))
                .help("add it under `databases` in the site file")
        })?;
        self.text(&found.url).await
    }

    /// What `work` comes to, unless nobody waits for it any more.
    ///
    /// # Errors
    /// The look is cancelled.
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, ProbeError> {
        tokio::select! {
            done = work => Ok(done),
            () = self.cancel.cancelled() => {
                Err(ProbeError::new("cancelled", "nobody waits for the answer any more"))
            }
        }
    }

    /// Reads files of the step itself, such as certificates, as [`Self::blocking`] does, within the step's time: a file
    /// system that hangs is no outage of the server that is looked at.
    ///
    /// # Errors
    /// Those of the work, and that it takes too long.
    pub async fn reading<T: Send + 'static>(
        &self,
        place: impl fmt::Display,
        work: impl FnOnce() -> Result<T, ProbeError> + Send + 'static,
    ) -> Result<T, ProbeError> {
        tokio::time::timeout(self.limit, self.blocking(work)).await.unwrap_or_else(|_| {
            let limit = Quantity::duration(self.limit).rounded();
            Err(ProbeError::new("time_limit", format!("{place} was not read within {limit}"))
                .help("look whether its file system answers (`df`)"))
        })
    }

    /// Runs blocking work on another thread. Most of it is done in less time than it takes to make a thread, so a few
    /// threads do one piece after the other; what has waited for [`threads::PATIENCE`] gets a thread of its own, so that
    /// work that hangs holds up nothing else.
    ///
    /// # Errors
    /// Those of the work; a panic in it goes on in the caller.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ProbeError> + Send + 'static,
    ) -> Result<T, ProbeError> {
        let turn = tokio::time::timeout(threads::PATIENCE, threads::TURNS.acquire()).await;
        let done = tokio::task::spawn_blocking(work).await;
        drop(turn);
        match done {
            Ok(result) => result,
            Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
            Err(_) => Err(ProbeError::new("cancelled", "the program is ending")),
        }
    }
}

/// Why nothing could be seen.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ProbeError {
    /// A stable word for machines: `permission`, `not_found`, `no_such_tool`, `bad_answer`, `time_limit`, ...
    pub code: &'static str,
    /// Names the thing and the place; free of secrets.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl ProbeError {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// An I/O error at `place`: says "permission denied", "no such file" in plain words.
    #[must_use]
    pub fn io(place: impl fmt::Display, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound => Self::new("not_found", format!("{place} does not exist")),
            ErrorKind::PermissionDenied => Self::new("permission", format!("no permission to read {place}"))
                .help("run opsctl as a user who may, or give its user the right"),
            _ => Self::new("io", format!("cannot read {place}: {error}")),
        }
    }
}
