//! One look at containers.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::sync::OnceCell;

use super::description::{Description, Entry, Image};
use super::engine::{Engine, Trouble, encoded};
use super::{Container, log, stats};
use crate::model::expectation::Reading;
use crate::model::fact::{Evidence, Observation, Subject};
use crate::model::text::one_line;
use crate::model::unit::Quantity;
use crate::model::value::Value;
use crate::probe::log::matcher::Matcher;
use crate::probe::near::near;
use crate::probe::{Context, ProbeError};

/// Questions that are with the engine at the same time.
const AT_ONCE: usize = 8;

/// How many containers in trouble have their last log lines shown, and how many of these.
const EXPLAINED: usize = 5;
const LOG_LINES: usize = 10;

/// How many matching log lines of a container are kept.
const MATCHES: usize = 20;

pub struct Look<'l> {
    pub asks: &'l Container,
    pub engine: Engine<'l>,
    pub cx: &'l Context,
    pub matcher: Option<Matcher>,
    images: tokio::sync::Mutex<HashMap<String, Arc<OnceCell<Option<Image>>>>>,
    earlier: HashMap<(String, String), Reading>,
}

/// A container with what is told of it.
struct Told {
    subject: Subject,
    evidence: Option<Evidence>,
    /// To be explained by its last lines: its id, and whether it has a terminal.
    in_trouble: Option<(String, bool)>,
}

impl<'l> Look<'l> {
    pub async fn new(asks: &'l Container, engine: Engine<'l>, cx: &'l Context) -> Result<Self, ProbeError> {
        let matcher = match &asks.log {
            Some(log) => Some(
                Matcher::new(&log.wanted, &log.unwanted, log.ignore_case)
                    .map_err(|error| ProbeError::new("bad_pattern", error.message).help(error.help))?,
            ),
            None => None,
        };
        let earlier = cx.past.newest(&["restarts"]).await;
        Ok(Self { asks, engine, cx, matcher, images: tokio::sync::Mutex::default(), earlier })
    }

    pub async fn take(self) -> Result<Observation, Trouble> {
        let told = if self.asks.names.is_empty() { self.all().await? } else { self.named().await? };
        let mut seen = Observation::default();
        let mut explained = 0;
        for Told { mut subject, evidence, in_trouble } in told {
            seen.evidence.extend(evidence);
            if let Some((id, terminal)) = in_trouble.filter(|_| explained < EXPLAINED) {
                explained += 1;
                match log::last_lines(&self.engine, &id, terminal, LOG_LINES).await {
                    Ok(lines) if lines.is_empty() => {}
                    Ok(lines) => {
                        seen.evidence.push(Evidence::new(format!("last log lines of {}", subject.name), lines));
                    }
                    Err(why) => subject.note(format!("its log could not be read: {}", one_line(&why, 200))),
                }
            }
            seen.subjects.push(subject);
        }
        Ok(seen)
    }

    async fn named(&self) -> Result<Vec<Told>, Trouble> {
        let looks: Vec<_> = self.asks.names.iter().map(|name| self.one(name)).collect();
        stream::iter(looks).buffered(AT_ONCE).try_collect().await
    }

    async fn one(&self, name: &str) -> Result<Told, Trouble> {
        let found = self.engine.find(&format!("/containers/{}/json", encoded(name))).await?;
        // The engine takes the beginning of an id for a name.
        match found.filter(|told: &Description| told.plain_name() == name) {
            Some(told) => self.describe(told).await,
            None => self.absent(name).await,
        }
    }

    async fn all(&self) -> Result<Vec<Told>, Trouble> {
        let filters = if self.asks.labels.is_empty() {
            String::new()
        } else {
            format!("&filters={}", encoded(&json!({"label": self.asks.labels}).to_string()))
        };
        let mut entries: Vec<Entry> = self.engine.json(&format!("/containers/json?all=true{filters}")).await?;
        if entries.is_empty() {
            let (name, note) = if self.asks.labels.is_empty() {
                ("containers".to_owned(), "the engine has no container".to_owned())
            } else {
                let labels = self.asks.labels.join(", ");
                (labels.clone(), format!("no container has the label {labels}"))
            };
            return Ok(vec![Told::absent(name, note)]);
        }
        entries.sort_by(|one, other| one.name().cmp(other.name()));
        let looks: Vec<_> = entries.iter().map(|entry| self.listed(&entry.id)).collect();
        let told: Vec<Option<Told>> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
        Ok(told.into_iter().flatten().collect())
    }

    /// One that is gone since it was listed is none.
    async fn listed(&self, id: &str) -> Result<Option<Told>, Trouble> {
        match self.engine.find(&format!("/containers/{id}/json")).await? {
            Some(told) => self.describe(told).await.map(Some),
            None => Ok(None),
        }
    }

    async fn absent(&self, name: &str) -> Result<Told, Trouble> {
        let entries: Vec<Entry> = self.engine.json("/containers/json?all=true").await?;
        let near = near(name, entries.iter().map(Entry::name));
        let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
        Ok(Told::absent(name.to_owned(), format!("there is no container {name}{hint}")))
    }

    async fn describe(&self, told: Description) -> Result<Told, Trouble> {
        let name = told.plain_name().to_owned();
        let mut subject = Subject::new(&name)
            .with("answers", Value::Bool(true))
            .with("exists", Value::Bool(true))
            .with("running", Value::Bool(told.is_running()))
            .with("state", Value::text(&told.state.status));
        if let Some(since) = told.state_since() {
            let age = (self.cx.now - since).to_std().unwrap_or_default();
            subject.set("state_age", Value::duration(age));
        }
        if told.is_running() {
            health_facts(&told, &mut subject);
        }
        subject.set("restarts", Value::count(told.restart_count));
        if let Some(grown) = grown(&told, self.earlier.get(&(name.clone(), "restarts".to_owned()))) {
            subject.set("recent_restarts", Value::count(grown));
        }
        if let Some(exit) = told.exit() {
            subject.set("exit", Value::Integer(exit));
        }
        subject.set("oom_killed", Value::Bool(told.state.oom_killed));
        self.image_facts(&told, &mut subject).await?;
        let wanted = ["memory", "memory_share", "cpu"];
        let is_asked = self.asks.stats || self.cx.asked.iter().any(|fact| wanted.contains(&fact.as_str()));
        if is_asked && told.is_running() {
            stats::facts(&self.engine, &told.id, &mut subject).await?;
        }
        let evidence = self.log_facts(&told, &mut subject).await?;
        if let Some(note) = trouble(&told) {
            subject.note(note);
        }
        let in_trouble = (!told.is_running() && told.exit() != Some(0)) || told.is_unhealthy();
        let in_trouble = (in_trouble && told.state.status != "created").then_some((told.id, told.config.tty));
        Ok(Told { subject, evidence, in_trouble })
    }

    /// What the engine knows of the image; many containers may have the same.
    async fn image_facts(&self, told: &Description, subject: &mut Subject) -> Result<(), Trouble> {
        let name = &told.config.image;
        subject.set("image", Value::text(if name.is_empty() { &told.image } else { name }));
        if told.image.is_empty() {
            return Ok(());
        }
        let cell = Arc::clone(self.images.lock().await.entry(told.image.clone()).or_default());
        let path = format!("/images/{}/json", told.image);
        let Some(image) = cell.get_or_try_init(|| self.engine.find::<Image>(&path)).await? else {
            subject.note("its image has been removed");
            return Ok(());
        };
        if let Some(created) = image.created_at() {
            subject.set("image_age", Value::duration((self.cx.now - created).to_std().unwrap_or_default()));
        }
        if let Some(digest) = image.digest(name) {
            subject.set("image_digest", Value::text(digest));
        }
        Ok(())
    }

    async fn log_facts(&self, told: &Description, subject: &mut Subject) -> Result<Option<Evidence>, Trouble> {
        let (Some(log), Some(matcher)) = (&self.asks.log, &self.matcher) else { return Ok(None) };
        let since = self.cx.now - TimeDelta::from_std(log.since).unwrap_or(TimeDelta::MAX);
        let path = format!("/containers/{}/logs?stdout=true&stderr=true&since={}", told.id, since.timestamp().max(0));
        let (mut lines, mut matches, mut kept) = (0, 0, std::collections::VecDeque::new());
        let done = log::read(&self.engine, &path, told.config.tty, |line| {
            lines += 1;
            if (matcher.wants_every_entry() || matcher.finds(line)) && !matcher.excludes(line) {
                matches += 1;
                kept.push_back(log::readable(line));
                if kept.len() > MATCHES {
                    kept.pop_front();
                }
            }
        })
        .await?;
        if let Err(why) = done {
            subject.note(format!("its log could not be read: {}", one_line(&why, 200)));
            return Ok(None);
        }
        subject.set("log_lines", Value::count(lines));
        subject.set("log_matches", Value::count(matches));
        if let Some(created) = told.created_at().filter(|created| *created > since) {
            let age = Quantity::duration((self.cx.now - created).to_std().unwrap_or_default()).rounded();
            subject.note(format!("the container was made {age} ago; what an earlier one logged is gone"));
        }
        let left_out = matches - kept.len() as u64;
        let evidence = Evidence { left_out, ..Evidence::new(format!("log lines of {}", subject.name), kept.into()) };
        Ok((!evidence.lines.is_empty()).then_some(evidence))
    }
}

impl Told {
    fn absent(name: String, note: String) -> Self {
        let mut subject = Subject::new(name)
            .with("answers", Value::Bool(true))
            .with("exists", Value::Bool(false))
            .with("running", Value::Bool(false));
        subject.note(note);
        Self { subject, evidence: None, in_trouble: None }
    }
}

pub fn health_facts(told: &Description, subject: &mut Subject) {
    let Some(health) = told.health() else {
        subject.note("has no health check (HEALTHCHECK), so only its process is known to run");
        return;
    };
    subject.set("health", Value::text(&health.status));
    subject.set("healthy", Value::Bool(health.status == "healthy"));
    if health.status == "unhealthy" {
        let said = health.log.last().map(|look| {
            let output = one_line(&look.output, 200);
            format!("; the last ended with {}: {output}", look.exit_code)
        });
        subject.note(format!("{} health checks in a row failed{}", health.failing_streak, said.unwrap_or_default()));
    }
}

/// How often the engine restarted it since `earlier`. The count begins anew with a new container, and when somebody
/// starts it by hand.
pub fn grown(told: &Description, earlier: Option<&Reading>) -> Option<u64> {
    let earlier = earlier?;
    let is_new = told.created_at().is_some_and(|created| created > earlier.at);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of restarts")]
    let then = if is_new { 0 } else { earlier.value.amount() as u64 };
    Some(told.restart_count.checked_sub(then).unwrap_or(told.restart_count))
}

/// Why it does not run, in a line.
pub fn trouble(told: &Description) -> Option<String> {
    if told.is_running() {
        return None;
    }
    let state = &told.state;
    let mut note = match (state.status.as_str(), told.exit()) {
        ("restarting", Some(exit)) => format!("ends again and again, last with exit status {exit}"),
        ("created", _) => "was made and never started".to_owned(),
        (status, Some(exit)) => format!("{status} with exit status {exit}"),
        (status, None) => status.to_owned(),
    };
    if state.oom_killed {
        note.push_str(": it used too much memory and was killed for it");
    }
    if !state.error.is_empty() {
        note = format!("{note}; the engine says: {}", one_line(&state.error, 200));
    }
    Some(note)
}
