//! Python packages of a virtual environment.

use std::path::Path;

use serde::Deserialize;

use super::{Asks, Update, set_updates};
use crate::model::fact::{Observation, Subject};
use crate::model::text::one_line;
use crate::model::value::Value;
use crate::probe::ProbeError;

#[derive(Deserialize)]
struct Outdated {
    name: String,
    version: String,
    latest_version: String,
}

pub async fn look(environment: &Path, asks: &Asks<'_>) -> Result<Observation, ProbeError> {
    let place = environment.display().to_string();
    if !environment.join("pyvenv.cfg").is_file() {
        return Err(ProbeError::new("not_found", format!("{place} is no virtual environment"))
            .help("correct `environment`; `python3 -m venv` makes one"));
    }
    let python = environment.join("bin/python").display().to_string();
    let folder = tempfile::tempdir().map_err(|error| ProbeError::io("the folder for temporary files", &error))?;
    let log = folder.path().join("log").display().to_string();
    let pip = [&*python, "-m", "pip", "--no-input", "--disable-pip-version-check"];
    let options = ["--retries", "1", "--log", &log, "list", "--outdated", "--format", "json"];
    let done = asks.run(&[&pip[..], &options].concat()).await?;
    let outdated: Vec<Outdated> = match serde_json::from_slice(done.stdout.text().as_bytes()) {
        Ok(outdated) if done.status.success() => outdated,
        _ => {
            let message = format!("pip does not tell what is outdated in {place}: {}", done.last_words());
            return Err(ProbeError::new("bad_answer", message).help("repair the environment, or make it anew"));
        }
    };
    // Without its index pip says that nothing is outdated; only its log tells.
    let said = std::fs::read_to_string(&log).map_err(|error| ProbeError::io("the log of pip", &error))?;
    if let Some(why) = said.lines().find_map(unreachable) {
        let message = format!("pip could not ask the index for the packages of {place}: {}", one_line(why, 200));
        return Err(ProbeError::new("no_index", message)
            .help("check the network and pip's settings (`pip config list`); pip itself says that nothing is newer"));
    }
    let mut seen = Observation::from(Subject::new(&place));
    let check = asks.run(&[&pip[..], &["check"]].concat()).await?;
    seen.subjects[0].set("consistent", Value::Bool(check.status.success()));
    if !check.status.success() {
        seen.subjects[0].note(check.last_words());
    }
    let update = |Outdated { name, version, latest_version }| Update {
        name,
        from: version,
        to: latest_version,
        security: false,
        remark: None,
    };
    set_updates(&mut seen, outdated.into_iter().map(update).collect(), false);
    Ok(seen)
}

/// A line that says that an index did not answer. A package that the index does not know is none.
fn unreachable(line: &str) -> Option<&str> {
    let (_, why) = line.split_once("Could not fetch URL ")?;
    (!why.contains("404 Client Error")).then_some(why)
}
