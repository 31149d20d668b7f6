//! What a container takes of the machine.

use serde::Deserialize;

use super::engine::{Engine, Trouble};
use crate::model::fact::Subject;
use crate::model::value::Value;

/// The answer to `GET /containers/ID/stats?stream=false`: two samples about a second apart.
#[derive(Deserialize)]
struct Stats {
    #[serde(default, rename = "memory_stats")]
    memory: Memory,
    #[serde(default, rename = "cpu_stats")]
    cpu: Cpu,
    /// About a second earlier.
    #[serde(default, rename = "precpu_stats")]
    before: Cpu,
}

#[derive(Default, Deserialize)]
struct Memory {
    usage: Option<u64>,
    limit: Option<u64>,
    stats: Option<Parts>,
}

#[derive(Deserialize)]
struct Parts {
    /// Of control groups version 2.
    inactive_file: Option<u64>,
    /// Of version 1.
    total_inactive_file: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Cpu {
    #[serde(default, rename = "cpu_usage")]
    own: Usage,
    /// Of the whole machine.
    #[serde(rename = "system_cpu_usage")]
    all: Option<u64>,
    online_cpus: Option<u32>,
}

#[derive(Default, Deserialize)]
struct Usage {
    total_usage: Option<u64>,
}

/// Sets `memory`, `memory_share` and `cpu`, as far as the engine tells them.
pub async fn facts(engine: &Engine<'_>, id: &str, subject: &mut Subject) -> Result<(), Trouble> {
    let stats: Option<Stats> = engine.find(&format!("/containers/{id}/stats?stream=false")).await?;
    let Some(stats) = stats else { return Ok(()) };
    if let Some(memory) = stats.memory.used() {
        subject.set("memory", Value::bytes(memory));
        if let Some(limit) = stats.memory.limit.filter(|limit| *limit > 0) {
            subject.set("memory_share", Value::percent(memory as f64 / limit as f64 * 100.0));
        }
    }
    if let Some(share) = stats.share() {
        subject.set("cpu", Value::percent(share));
    }
    Ok(())
}

impl Memory {
    /// Without what the kernel would give back at once, as `docker stats` counts it.
    fn used(&self) -> Option<u64> {
        let given_back = self.stats.as_ref().and_then(|parts| parts.inactive_file.or(parts.total_inactive_file));
        Some(self.usage?.saturating_sub(given_back.unwrap_or(0)))
    }
}

impl Stats {
    /// In percent of one processor.
    fn share(&self) -> Option<f64> {
        let grown = |of: fn(&Cpu) -> Option<u64>| of(&self.cpu)?.checked_sub(of(&self.before)?);
        let own = grown(|cpu| cpu.own.total_usage)?;
        let all = grown(|cpu| cpu.all).filter(|all| *all > 0)?;
        Some(own as f64 / all as f64 * f64::from(self.cpu.online_cpus?) * 100.0)
    }
}
