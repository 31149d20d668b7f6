//! Asks a Redis or Valkey server how it is: a real login, PING and INFO.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use self::answer::Answer;
use self::connection::{Connection, Refusal};
use self::site::Site;
use self::slow_log::SlowLog;
use super::growth::Earlier;
use super::http::tls::Trust;
use super::sql::trouble::Trouble;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation};
use crate::model::input::{InputSpec, InputType, Inputs, Need};

mod answer;
pub(crate) mod connection;
pub(crate) mod info;
pub(crate) mod site;
mod slow_log;

pub static KIND: Kind = Kind {
    name: "redis",
    about: "a Redis or Valkey server: login, PING, and what INFO tells. `recent_...` is what happened since this step's \
            newest earlier run, or since the server started if that is later",
    inputs: INPUTS,
    facts: FACTS,
    example: include_str!("../../examples/probes/redis.yaml"),
    limit: Duration::from_secs(30),
    build: |inputs| Ok(Arc::new(Redis::new(inputs))),
};

pub(crate) const CA: InputSpec = InputSpec {
    name: "ca",
    ty: InputType::Path,
    need: Need::Optional,
    about: "for rediss://, a PEM file with the authorities to trust instead of the system's, or the server's own \
            self-signed certificate",
};

const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "database",
        ty: InputType::Database,
        need: Need::Required,
        about: "which database of the site file: redis://, rediss:// (TLS) or unix:///SOCKET",
    },
    CA,
];

const FACTS: &[FactSpec] = &[
    FactSpec::implied(
        "answers",
        "connected, logged in, and PING was answered with PONG. A server that refuses the login, still loads its data \
         or may not write them to disk does not",
    ),
    FactSpec::new("latency", FactType::Duration, "how long one PING took"),
    FactSpec::new("connect_time", FactType::Duration, "how long it took to connect and log in"),
    FactSpec::new("version", FactType::Text, "the version of the server"),
    FactSpec::new("role", FactType::Text, "`master` or `replica`"),
    FactSpec::new("uptime", FactType::Duration, "since the server started"),
    FactSpec::new("clients", FactType::Count, "connections, that of this look included, those of replicas not"),
    FactSpec::new("blocked_clients", FactType::Count, "clients that wait in BLPOP, WAIT or the like"),
    FactSpec::new(
        "rejected_connections",
        FactType::Count,
        "refused since the start because there were too many (`maxclients`)",
    ),
    FactSpec::recent(
        "recent_rejected_connections",
        FactType::Count,
        "`rejected_connections` since this step's newest earlier run",
    ),
    FactSpec::new("memory", FactType::Size, "what the data and the server's own buffers take (`used_memory`)"),
    FactSpec::new("memory_limit", FactType::Size, "`maxmemory`; missing without a limit"),
    FactSpec::new("memory_share", FactType::Percent, "`memory` of `memory_limit`; missing without a limit"),
    FactSpec::new(
        "eviction_policy",
        FactType::Text,
        "what goes when the limit is reached (`maxmemory_policy`), such as `noeviction`, which refuses to write",
    ),
    FactSpec::new(
        "fragmentation",
        FactType::Count,
        "the memory that the system gave to the server, as a multiple of `memory` (`mem_fragmentation_ratio`): much \
         above 1 is wasted, below 1 is swapped out. Says little of a server that holds only some megabytes",
    ),
    FactSpec::new("evictions", FactType::Count, "keys removed since the start because memory was short"),
    FactSpec::recent("recent_evictions", FactType::Count, "`evictions` since this step's newest earlier run"),
    FactSpec::new("keys", FactType::Count, "in all databases; those of one are `info: { db0.keys: ... }`"),
    FactSpec::new("hits", FactType::Count, "keys that were looked up and found since the start"),
    FactSpec::new("misses", FactType::Count, "keys that were looked up and not found since the start"),
    FactSpec::new("hit_ratio", FactType::Percent, "`hits` of both since the start; missing before the first look-up"),
    FactSpec::recent(
        "recent_hit_ratio",
        FactType::Percent,
        "`hit_ratio` since this step's newest earlier run; missing when no key was looked up since then",
    ),
    FactSpec::new(
        "slow_commands",
        FactType::Count,
        "commands that the slow log recorded since the start, the newest as evidence; missing where it records none \
         (`slowlog-log-slower-than` is negative)",
    ),
    FactSpec::recent("recent_slow_commands", FactType::Count, "`slow_commands` since this step's newest earlier run"),
    FactSpec::new("loading", FactType::Bool, "still loads its data from disk"),
    FactSpec::new("saving", FactType::Bool, "writes a snapshot or a new append-only file right now"),
    FactSpec::new(
        "last_save_age",
        FactType::Duration,
        "since the last snapshot (RDB), or since the start when none was made since then",
    ),
    FactSpec::new("last_save_ok", FactType::Bool, "the last snapshot succeeded; true before the first"),
    FactSpec::new("unsaved_changes", FactType::Count, "changes since the last snapshot"),
    FactSpec::new("aof", FactType::Bool, "each change is logged to the append-only file"),
    FactSpec::new(
        "aof_ok",
        FactType::Bool,
        "the last write and the last rewrite of the append-only file succeeded; missing without one",
    ),
    FactSpec::new("replicas", FactType::Count, "replicas that are connected"),
    FactSpec::new("link_up", FactType::Bool, "the replica is connected to its master; missing on a master"),
    FactSpec::new(
        "lag",
        FactType::Size,
        "on a master, what the replica furthest behind has not confirmed, missing without replicas; on a replica, what \
         it received and has not applied",
    ),
    FactSpec::new(
        "last_io",
        FactType::Duration,
        "on a replica, since it last heard of its master, which speaks every 10 s when idle; missing while the link is \
         down. On a master, since the quietest replica last confirmed; missing without replicas",
    ),
    FactSpec::family(
        "info",
        FactType::Any,
        "a field of `INFO everything`, such as `mem_fragmentation_ratio`, or a part of one, such as `db0.keys` or \
         `cmdstat_get.calls`. Without a unit, as the server writes it",
    ),
];

const RECENT: [&str; 4] =
    ["recent_rejected_connections", "recent_evictions", "recent_hit_ratio", "recent_slow_commands"];

/// Of whose growth those tell.
const COUNTERS: [&str; 5] = ["rejected_connections", "evictions", "hits", "misses", "slow_commands"];

struct Redis {
    database: String,
    ca: Option<PathBuf>,
}

impl Redis {
    fn new(inputs: &Inputs) -> Self {
        Self { database: inputs.text("database").unwrap_or_default().to_owned(), ca: inputs.path("ca").cloned() }
    }

    /// Fills `answer` as far as it comes.
    async fn ask(site: &Site, trust: Option<Trust>, cx: &Context, answer: &mut Answer) -> Result<(), Trouble> {
        let begin = Instant::now();
        let mut connection = Connection::open(site, trust, &mut answer.stage).await?;
        if let Some(login) = &site.login {
            answer.stage = "no answer to AUTH";
            connection.run(&login.command()).await?.map_err(Refusal::of_login)?;
        }
        if site.database != 0 {
            answer.stage = "no answer to SELECT";
            connection.run(redis::cmd("SELECT").arg(site.database)).await?.map_err(|refusal| refusal.of("SELECT"))?;
        }
        answer.connect_time = Some(begin.elapsed());
        answer.stage = "no answer to PING";
        let sent = Instant::now();
        match connection.run(&redis::cmd("PING")).await? {
            Ok(redis::Value::SimpleString(pong)) if pong == "PONG" => answer.latency = Some(sent.elapsed()),
            Ok(_) => return Err(Trouble::Down("it answers PING, but not with PONG".to_owned())),
            Err(refusal) if refusal.is_of_everything() => return Err(refusal.of("PING")),
            // What is loading its data, or may not write them, still tells of itself.
            Err(refusal) => answer.ping_refused = Some(format!("PING was refused: {}", refusal.into_text())),
        }
        answer.stage = "PING was answered, but no answer to INFO";
        let mut info = redis::cmd("INFO");
        if cx.asked_of("info").next().is_some() {
            info.arg("everything");
        }
        let told = connection.run(&info).await?;
        answer.set_info(told.map_err(Refusal::into_text));
        if cx.wants(&slow_log::FACTS) {
            answer.stage = "INFO was answered, but no answer to SLOWLOG";
            answer.slow_log = Some(SlowLog::ask(&mut connection).await?);
        }
        Ok(())
    }

    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        // Ends before the engine does, to say how far it came.
        let margin = (cx.limit / 10).min(Duration::from_millis(500));
        let end = Instant::now() + cx.limit.saturating_sub(margin);
        let site = Site::of(&self.database, cx).await?;
        let trust = site.trust(self.ca.as_deref(), cx).await?;
        let mut answer = Answer::default();
        let outcome = tokio::select! {
            outcome = Self::ask(&site, trust, cx, &mut answer) => Some(outcome),
            () = tokio::time::sleep_until(end) => None,
            () = cx.cancel.cancelled() => {
                return Err(ProbeError::new("cancelled", "nobody waits for the answer any more"));
            }
        };
        let down = match outcome {
            Some(Ok(())) => None,
            Some(Err(Trouble::Down(why))) => Some(why),
            None => Some(format!("{} within {:?}", answer.stage, cx.limit)),
            Some(Err(Trouble::Blind(mut error))) => {
                error.message = format!("database {} ({}): {}", self.database, site.place, error.message);
                return Err(error);
            }
        };
        let earlier =
            if cx.wants(&RECENT) { Earlier::of(&self.database, &COUNTERS, cx).await } else { Earlier::nothing(cx) };
        let down = answer.ping_refused.take().or(down).map(|why| format!("{}: {why}", site.place));
        Ok(answer.observation(&self.database, down, &earlier, cx))
    }
}

impl Probe for Redis {
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
