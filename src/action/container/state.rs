//! Containers that are started, stopped and restarted.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tokio::time::{Instant, sleep};

use super::engine::{Engine, encoded};
use super::{Wanted, Which};
use crate::action::{ActionError, Changed, Context};
use crate::model::action::Plan;
use crate::model::fact::{Observation, Subject};
use crate::model::value::Value;
use crate::probe::container::description::Description;
use crate::probe::container::log;
use crate::probe::near::near;

/// A container that was started has to stay up this long.
const STAYS_UP: Duration = Duration::from_secs(1);

/// Between two looks at it during that time.
const PAUSE: Duration = Duration::from_millis(100);

/// How many of a container's last lines a failure repeats.
const LOG_LINES: usize = 5;

/// What is known of a container at one moment; at the same time what a plan is made for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Seen {
    id: String,
    name: String,
    /// The id of the image that it was made from.
    image: String,
    /// As its Compose file or `docker run` names the image.
    image_name: String,
    status: String,
    running: bool,
    started_at: String,
    restarts: u64,
    #[serde(default)]
    health: Option<String>,
    exit: i64,
    out_of_memory: bool,
    policy: String,
    terminal: bool,
}

impl Seen {
    /// It ends again and again: at times it runs.
    fn is_restarting(&self) -> bool {
        self.status == "restarting"
    }
}

/// What the engine is asked to do.
pub struct Change {
    pub socket: Option<PathBuf>,
    pub which: Which,
    pub wanted: Wanted,
    pub grace: Option<Duration>,
}

impl Change {
    pub async fn plan(&self, cx: &Context) -> Result<Plan, ActionError> {
        let engine = Engine::connect(self.socket.as_deref(), cx).await?;
        let all = self.find(&engine).await?;
        let todo: Vec<&Seen> = all.iter().filter(|seen| self.is_to_be_done(seen)).collect();
        if todo.is_empty() {
            let states: Vec<String> = all.iter().map(|seen| format!("{} is {}", seen.name, seen.status)).collect();
            return Ok(Plan::settled(states.join(", ")));
        }
        let mut plan = Plan::new(todo.iter().map(|seen| format!("POST {}", self.path(seen))).collect());
        for seen in &all {
            let digest = digest(&engine, &seen.image).await.unwrap_or_else(|| seen.image.clone());
            let health = seen.health.as_deref().map(|health| format!(", {health}")).unwrap_or_default();
            plan = plan.note(format!(
                "{} ({}): {}{health}, restarted {} times, from {} ({digest})",
                seen.name,
                short(&seen.id),
                seen.status,
                seen.restarts,
                seen.image_name,
            ));
            if self.wanted == Wanted::Stopped && seen.policy == "always" {
                plan = plan.note(format!("{} starts again with the engine (restart policy `always`)", seen.name));
            }
        }
        Ok(plan.data(json!({"containers": all})))
    }

    pub async fn perform(&self, plan: &Plan, cx: &Context) -> Result<Observation, ActionError> {
        let engine = Engine::connect(self.socket.as_deref(), cx).await?;
        let before = self.find(&engine).await?;
        if !plan.settled {
            self.refuse_change(plan, &before)?;
        }
        let (mut subjects, mut begun) = (Vec::new(), false);
        for seen in &before {
            let clock = Instant::now();
            let mut after = seen.clone();
            if !plan.settled && self.is_to_be_done(seen) {
                let done = self.carry_out(&engine, seen).await;
                after = done.map_err(|error| if begun { midway(error) } else { error })?;
                begun = true;
            }
            subjects.push(subject(seen, &after).with("took", Value::duration(clock.elapsed())));
        }
        Ok(Observation { subjects, evidence: Vec::new() })
    }

    fn is_to_be_done(&self, seen: &Seen) -> bool {
        match self.wanted {
            Wanted::Started => !seen.running || seen.is_restarting(),
            Wanted::Stopped => seen.running || seen.is_restarting(),
            Wanted::Restarted => true,
        }
    }

    fn path(&self, seen: &Seen) -> String {
        let grace = self.grace.filter(|_| self.wanted != Wanted::Started);
        let grace = grace.map(|grace| format!("?t={}", grace.as_secs())).unwrap_or_default();
        format!("/containers/{}/{}{grace}", seen.id, self.wanted.verb())
    }

    async fn carry_out(&self, engine: &Engine<'_>, seen: &Seen) -> Result<Seen, ActionError> {
        let path = self.path(seen);
        let answer = engine.post(&path).await?;
        // 304: it is so already.
        if !matches!(answer.status, 204 | 304) {
            let message =
                format!("POST {path} ({}) was answered with {}: {}", seen.name, answer.status, answer.message());
            // It may have been stopped before it could not be started again.
            let error = if answer.status < 500 {
                ActionError::before("refused", message)
            } else {
                ActionError::midway("failed", message)
            };
            return Err(error.help(format!("`docker ps -a` and `docker logs {}` show how it stands", seen.name)));
        }
        let begun = Instant::now();
        loop {
            let now = inspect(engine, &seen.id).await.map_err(midway)?;
            let as_wanted = (now.running && !now.is_restarting()) == (self.wanted != Wanted::Stopped);
            if !as_wanted {
                return Err(self.failed(engine, &now).await);
            }
            if self.wanted == Wanted::Stopped || begun.elapsed() >= STAYS_UP {
                return Ok(now);
            }
            sleep(PAUSE).await;
        }
    }

    async fn failed(&self, engine: &Engine<'_>, now: &Seen) -> ActionError {
        if self.wanted == Wanted::Stopped {
            return ActionError::midway("failed", format!("{} was stopped and is {}", now.name, now.status))
                .help("something else has started it again: find out what");
        }
        let killed = if now.out_of_memory { ", for it used too much memory" } else { "" };
        let lines = log::last_lines(&engine.0, &now.id, now.terminal, LOG_LINES).await.unwrap_or_default();
        let said = if lines.is_empty() {
            "it printed nothing".to_owned()
        } else {
            format!("it printed last: {}", lines.join(" / "))
        };
        let message =
            format!("{} was started and is {} (exit status {}{killed}); {said}", now.name, now.status, now.exit);
        ActionError::midway("failed", message).help(format!("correct what `docker logs {}` says", now.name))
    }

    /// The containers, by name.
    async fn find(&self, engine: &Engine<'_>) -> Result<Vec<Seen>, ActionError> {
        match &self.which {
            Which::Name(name) => {
                let answer = engine.get(&format!("/containers/{name}/json")).await?;
                match answer.status {
                    200 => Ok(vec![read(serde_json::from_slice(&answer.body).unwrap_or_default())?]),
                    404 => Err(unknown(engine, name).await),
                    status => {
                        let message = format!("the engine does not tell of {name}: {status}, {}", answer.message());
                        Err(ActionError::before("bad_answer", message).help("`docker inspect` shows what it knows"))
                    }
                }
            }
            Which::Service { project, service } => {
                let labels = [("project", project), ("service", service)]
                    .map(|(key, value)| format!("com.docker.compose.{key}={value}"));
                let filters = encoded(&json!({"label": labels}).to_string());
                let list = engine.json(&format!("/containers/json?all=true&filters={filters}")).await?;
                let mut found = Vec::new();
                for id in list.as_array().into_iter().flatten().filter_map(|one| one.get("Id")?.as_str()) {
                    found.push(inspect(engine, id).await?);
                }
                found.sort_by(|one, other| one.name.cmp(&other.name));
                if found.is_empty() {
                    let message =
                        format!("there is no container of the service {service} of the Compose project {project}");
                    return Err(ActionError::before("not_found", message)
                        .help("`docker compose ls` and `docker compose ps -a` show what there is; `docker compose up` makes it"));
                }
                Ok(found)
            }
        }
    }

    fn refuse_change(&self, plan: &Plan, now: &[Seen]) -> Result<(), ActionError> {
        let then: Vec<Seen> = serde_json::from_value(plan.data["containers"].clone()).unwrap_or_default();
        let differs = |(then, now): (&Seen, &Seen)| {
            let other = then.id != now.id || then.image != now.image || then.running != now.running;
            // A restart by the engine itself is counted; by a person it is not.
            let restarted = then.started_at != now.started_at && now.restarts <= then.restarts;
            (other || restarted).then(|| now.name.clone())
        };
        let does: Vec<String> = now
            .iter()
            .filter(|seen| self.is_to_be_done(seen))
            .map(|seen| format!("POST {}", self.path(seen)))
            .collect();
        let what = if then.len() == now.len() {
            then.iter().zip(now).find_map(differs)
        } else {
            Some("there are others now".to_owned())
        };
        match what {
            None if plan.does == does => Ok(()),
            what => {
                let what = what.unwrap_or_else(|| "the step asks for something else".to_owned());
                let message = format!("the containers have changed since this was planned: {what}");
                Err(ActionError::before("changed", message).help("plan it again, and have the new plan agreed to"))
            }
        }
    }
}

fn subject(before: &Seen, after: &Seen) -> Subject {
    let mut subject = Subject::new(&after.name)
        .with("state_before", Value::text(&before.status))
        .with("state", Value::text(&after.status));
    if let Some(health) = &after.health {
        subject.set("health", Value::text(health));
    }
    subject
        .with("restarts", Value::count(after.restarts))
        .with("id", Value::text(&after.id))
        .with("image", Value::text(&after.image))
}

fn midway(error: ActionError) -> ActionError {
    ActionError { changed: Changed::Perhaps, ..error }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

async fn unknown(engine: &Engine<'_>, name: &str) -> ActionError {
    let list = engine.json("/containers/json?all=true").await.unwrap_or_default();
    let names: Vec<&str> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("Names")?.as_array())
        .flatten()
        .filter_map(|name| name.as_str()?.strip_prefix('/'))
        .collect();
    let near = near(name, names);
    let help = if near.is_empty() { String::new() } else { format!("did you mean {}? ", near.join(", ")) };
    ActionError::before("not_found", format!("there is no container {name}"))
        .help(format!("{help}`docker ps -a` lists all"))
}

async fn inspect(engine: &Engine<'_>, id: &str) -> Result<Seen, ActionError> {
    read(engine.json(&format!("/containers/{id}/json")).await?)
}

/// Takes what matters here out of the engine's description of a container.
fn read(json: Json) -> Result<Seen, ActionError> {
    let told: Description = serde_json::from_value(json).map_err(|error| {
        let message = format!("the engine's description of a container cannot be read: {error}");
        ActionError::before("bad_answer", message)
            .help("`docker inspect` shows it; is this the socket of a container engine?")
    })?;
    Ok(Seen {
        name: told.plain_name().to_owned(),
        health: told.health().map(|health| health.status.clone()),
        id: told.id,
        image: told.image,
        image_name: told.config.image,
        status: told.state.status,
        running: told.state.running,
        started_at: told.state.started_at,
        restarts: told.restart_count,
        exit: told.state.exit_code,
        out_of_memory: told.state.oom_killed,
        policy: told.host_config.restart_policy.name,
        terminal: told.config.tty,
    })
}

/// The digest under which the image can be pulled; none when it was built here.
async fn digest(engine: &Engine<'_>, image: &str) -> Option<String> {
    let json = engine.json(&format!("/images/{image}/json")).await.ok()?;
    let first = json.pointer("/RepoDigests/0")?.as_str()?;
    Some(first.split_once('@').map_or(first, |(_, digest)| digest).to_owned())
}
