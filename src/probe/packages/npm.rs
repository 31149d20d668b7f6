//! JavaScript packages of a project.

use std::path::Path;

use serde_json::{Map, Value as Json};

use super::{Asks, Update, set_updates};
use crate::model::fact::{Observation, Subject};
use crate::model::text::one_line;
use crate::model::value::Value;
use crate::probe::ProbeError;

pub async fn look(folder: &Path, asks: &Asks<'_>) -> Result<Observation, ProbeError> {
    let place = folder.display().to_string();
    if !folder.join("package.json").is_file() {
        return Err(ProbeError::new("not_found", format!("{place} has no package.json"))
            .help("correct `folder`: it is that of the project"));
    }
    // With its usual cache npm would answer from there when the registry does not.
    let cache = tempfile::tempdir().map_err(|error| ProbeError::io("the folder for temporary files", &error))?;
    let cache = cache.path().display().to_string();
    let environment =
        [("npm_config_cache", &*cache), ("npm_config_fetch_retries", "1"), ("npm_config_update_notifier", "false")];
    let done = asks.run_in(folder, &environment, &["npm", "outdated", "--json"]).await?;
    let text = done.stdout.text();
    // Status 1 is that of outdated packages, and of errors.
    let told: Option<Map<String, Json>> =
        if text.trim().is_empty() { Some(Map::new()) } else { serde_json::from_str(&text).ok() };
    let told = told.filter(|told| matches!((done.status.code(), told.is_empty()), (Some(0), _) | (Some(1), false)));
    let Some(told) = told else {
        let message = format!("npm does not tell what is outdated in {place}: {}", done.last_words());
        return Err(ProbeError::new("bad_answer", message).help("`npm outdated` in that folder says the same"));
    };
    // A package has the version `latest`; what npm says of its own failure has not.
    if let Some(error) = told.get("error").filter(|error| error.get("latest").is_none() && !error.is_array()) {
        let said = error.get("summary").and_then(Json::as_str).unwrap_or("it does not say why");
        let message = format!("npm could not ask its registry for the packages of {place}: {}", one_line(said, 200));
        return Err(ProbeError::new("no_index", message).help("check the network and `npm config get registry`"));
    }
    let mut seen = Observation::from(Subject::new(&place));
    let (mut updates, mut absent) = (Vec::new(), Vec::new());
    for (name, entry) in &told {
        // A package that is there several times is a list.
        for one in entry.as_array().map_or(std::slice::from_ref(entry), Vec::as_slice) {
            match one.get("current").and_then(Json::as_str) {
                None => absent.push(name.as_str()),
                Some(current) => updates.extend(update(name, current, one)),
            }
        }
    }
    let subject = &mut seen.subjects[0];
    subject.set("consistent", Value::Bool(absent.is_empty()));
    if !absent.is_empty() {
        subject.note(format!("not installed: {}; `npm ci` installs it", one_line(&absent.join(", "), 200)));
    }
    let outside = updates.iter().filter(|update| update.remark.is_some()).count();
    if outside > 0 {
        subject.note(format!("{outside} of them only outside of the range that package.json allows"));
    }
    set_updates(&mut seen, updates, false);
    Ok(seen)
}

fn update(name: &str, current: &str, told: &Json) -> Option<Update> {
    let version = |key: &str| told.get(key).and_then(Json::as_str);
    let latest = version("latest")?;
    let remark = (version("wanted") == Some(current)).then(|| "outside of the range".to_owned());
    let to = if remark.is_some() { latest } else { version("wanted").unwrap_or(latest) };
    Some(Update { name: name.to_owned(), from: current.to_owned(), to: to.to_owned(), security: false, remark })
}
