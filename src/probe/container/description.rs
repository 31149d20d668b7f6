//! What the engine tells of a container and of an image.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

/// The answer to `GET /containers/ID/json`, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Description {
    pub id: String,
    /// With a slash before it.
    #[serde(default)]
    pub name: String,
    /// The id of the image.
    #[serde(default)]
    pub image: String,
    #[serde(default)]
    pub created: String,
    #[serde(default)]
    pub restart_count: u64,
    pub state: State,
    #[serde(default)]
    pub config: Config,
    #[serde(default)]
    pub host_config: HostConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    /// created, running, paused, restarting, removing, exited or dead; Podman has more words.
    #[serde(default)]
    pub status: String,
    /// Also of a container that is paused, and of one that waits to be started again.
    pub running: bool,
    #[serde(default)]
    pub exit_code: i64,
    #[serde(default, rename = "OOMKilled")]
    pub oom_killed: bool,
    /// Why it could not be started.
    #[serde(default)]
    pub error: String,
    #[serde(default)]
    pub started_at: String,
    #[serde(default)]
    pub finished_at: String,
    health: Option<Health>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Health {
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub failing_streak: u64,
    #[serde(default, deserialize_with = "or_null")]
    pub log: Vec<HealthLook>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthLook {
    #[serde(default)]
    pub exit_code: i64,
    #[serde(default)]
    pub output: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    /// As its Compose file or `docker run` names the image.
    #[serde(default)]
    pub image: String,
    #[serde(default)]
    pub tty: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostConfig {
    #[serde(default)]
    pub restart_policy: RestartPolicy,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RestartPolicy {
    #[serde(default)]
    pub name: String,
}

/// The answer to `GET /images/ID/json`, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    #[serde(default)]
    created: String,
    #[serde(default, deserialize_with = "or_null")]
    repo_digests: Vec<String>,
}

/// An entry of `GET /containers/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    pub id: String,
    #[serde(default, deserialize_with = "or_null")]
    names: Vec<String>,
    #[serde(default, deserialize_with = "or_null")]
    pub labels: BTreeMap<String, String>,
}

/// Go writes an empty list as null.
pub fn or_null<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Description {
    pub fn plain_name(&self) -> &str {
        self.name.trim_start_matches('/')
    }

    /// None without a health check.
    pub fn health(&self) -> Option<&Health> {
        self.state.health.as_ref().filter(|health| !health.status.is_empty() && health.status != "none")
    }

    /// It does its work: neither paused nor waiting to be started again.
    pub fn is_running(&self) -> bool {
        self.state.running && !matches!(self.state.status.as_str(), "restarting" | "paused")
    }

    pub fn is_unhealthy(&self) -> bool {
        self.health().is_some_and(|health| health.status == "unhealthy")
    }

    /// The exit status of its last end, while it does not run.
    pub fn exit(&self) -> Option<i64> {
        let has_ended = matches!(self.state.status.as_str(), "exited" | "dead" | "restarting" | "stopped");
        has_ended.then_some(self.state.exit_code)
    }

    pub fn created_at(&self) -> Option<DateTime<Utc>> {
        time(&self.created)
    }

    /// Since when it is in its state.
    pub fn state_since(&self) -> Option<DateTime<Utc>> {
        match self.state.status.as_str() {
            "created" => self.created_at(),
            _ if self.is_running() => time(&self.state.started_at),
            "paused" => None,
            _ => time(&self.state.finished_at),
        }
    }
}

impl Image {
    /// None for images that are built so that they come out the same at any time.
    pub fn created_at(&self) -> Option<DateTime<Utc>> {
        const FIRST: i64 = 1_000_000_000;
        time(&self.created).filter(|created| created.timestamp() > FIRST)
    }

    /// The digest under which `name` is pulled; none when the image was built here.
    pub fn digest(&self, name: &str) -> Option<&str> {
        let name = name.split('@').next().unwrap_or(name);
        let repository = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => name,
        };
        let parts = || self.repo_digests.iter().filter_map(|one| one.split_once('@'));
        // The engine may write `docker.io/library/` before it.
        let of_name = parts().find(|(known, _)| {
            *known == repository || known.strip_suffix(repository).is_some_and(|before| before.ends_with('/'))
        });
        of_name.or_else(|| parts().next()).map(|(_, digest)| digest)
    }
}

impl Entry {
    /// A container that others link to has several names; its own has no slash in it.
    pub fn name(&self) -> &str {
        let names = || self.names.iter().map(|name| name.trim_start_matches('/'));
        names().find(|name| !name.contains('/')).or_else(|| names().next()).unwrap_or(&self.id)
    }
}

/// What never was is written as the year 1.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    (time.timestamp() > 0).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_repository_the_container_names() {
        let digests = ["other@sha256:1", "docker.io/library/shop@sha256:2"].map(str::to_owned).to_vec();
        let image = Image { created: String::new(), repo_digests: digests };
        assert_eq!(image.digest("shop:1.0"), Some("sha256:2"));
        assert_eq!(image.digest("localhost:5000/none"), Some("sha256:1"));
        assert_eq!(Image { created: String::new(), repo_digests: Vec::new() }.digest("shop"), None);
    }

    #[test]
    fn a_time_that_never_was_is_none() {
        assert_eq!(time("0001-01-01T00:00:00Z"), None);
        assert_eq!(time(""), None);
        assert!(time("2026-01-01T00:00:00.123456789Z").is_some());
    }
}
