//! Python packages of a virtual environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::simulation::Change;
use super::tool::{Pinned, Tool, complaint, list};
use crate::action::run;
use crate::action::{ActionError, Changed, Context};
use crate::model::action::Plan;
use crate::model::fact::{Evidence, Observation, Subject};
use crate::model::value::Value;

pub struct Pip {
    pub environment: PathBuf,
    pub wanted: Vec<Pinned>,
}

/// What the plan is made for: with it, exactly these are installed, and pip looks for no other.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Planned {
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Report {
    install: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Pinned,
}

pub fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+-!_".contains(c))
}

/// The name by which Python's package index knows it: `Foo.Bar` and `foo_bar` are `foo-bar`.
fn normal(name: &str) -> String {
    let words: Vec<&str> = name.split(['-', '_', '.']).filter(|word| !word.is_empty()).collect();
    words.join("-").to_lowercase()
}

impl Pip {
    pub async fn plan(&self, cx: &Context) -> Result<Plan, ActionError> {
        let limit = run::deadline(&cx.look);
        let installed = self.installed(limit, cx).await?;
        if self.is_there(&installed) {
            return Ok(Plan::settled(format!("installed already in {}: {}", self.place(), self.named())));
        }
        let changes = self.resolve(&installed, limit, cx).await?;
        let all = changes.iter().map(Change::describe).collect::<Vec<_>>().join(", ");
        let plan = Plan::new(vec![self.install(&changes).shown()]).note(format!("changes {all}"));
        Ok(plan.data(serde_json::to_value(Planned { changes }).unwrap_or_default()))
    }

    pub async fn perform(&self, plan: &Plan, cx: &Context) -> Result<Observation, ActionError> {
        let (begun, limit) = (Instant::now(), run::deadline(&cx.look));
        let before = self.installed(limit, cx).await?;
        if plan.settled {
            return Ok(self.subject(&[], &before, limit, cx, begun).await.into());
        }
        let planned: Option<Planned> = serde_json::from_value(plan.data.clone()).ok();
        let tool = planned.as_ref().map(|planned| self.install(&planned.changes));
        let as_planned = |change: &Change| before.get(&normal(&change.name)) == change.from.as_ref();
        let (Some(Planned { changes }), Some(tool)) = (planned, tool) else { return Err(self.changed()) };
        if plan.does != [tool.shown()] || !changes.iter().all(as_planned) {
            return Err(self.changed());
        }
        let done = tool.run(limit, cx).await?;
        let after =
            self.installed(limit, cx).await.map_err(|error| ActionError { changed: Changed::Perhaps, ..error })?;
        if !done.status.success() {
            let message = format!("pip failed in {}: {}", self.place(), complaint(&done, &["ERROR: "]));
            let error = if after == before {
                ActionError::before("failed", message)
            } else {
                ActionError::midway("failed", message)
            };
            return Err(error.help("`pip list` in the environment shows what is installed; it must be writable"));
        }
        if !self.is_there(&after) {
            let message = format!("pip succeeded, but {} is not installed in {}", self.named(), self.place());
            return Err(ActionError::midway("failed", message).help("`pip list` in the environment shows what is"));
        }
        let lines = changes.iter().map(Change::describe).collect();
        let subject = self.subject(&changes, &after, limit, cx, begun).await;
        Ok(Observation { subjects: vec![subject], evidence: vec![Evidence::new("packages", lines)] })
    }

    async fn subject(
        &self,
        changes: &[Change],
        after: &BTreeMap<String, String>,
        limit: Instant,
        cx: &Context,
        begun: Instant,
    ) -> Subject {
        let before: Vec<Pinned> = changes
            .iter()
            .filter_map(|change| Some(Pinned { name: change.name.clone(), version: change.from.clone()? }))
            .collect();
        let after: Vec<Pinned> = self
            .wanted
            .iter()
            .filter_map(|one| Some(Pinned { name: one.name.clone(), version: after.get(&normal(&one.name))?.clone() }))
            .collect();
        let mut subject = Subject::new(self.place())
            .with("before", list(&before, "=="))
            .with("after", list(&after, "=="))
            .with("changed", Value::count(changes.len() as u64))
            .with("removed", Value::count(0));
        // It may have been out of order before, so this is told and not judged.
        if let Ok(check) = self.pip(&["check"]).look(limit, cx).await {
            subject.set("consistent", Value::Bool(check.status.success()));
            if !check.status.success() {
                subject.note(check.last_words());
            }
        }
        subject.with("took", Value::duration(begun.elapsed()))
    }

    fn place(&self) -> String {
        self.environment.display().to_string()
    }

    fn named(&self) -> String {
        self.wanted.iter().map(|one| format!("{} {}", one.name, one.version)).collect::<Vec<_>>().join(", ")
    }

    fn changed(&self) -> ActionError {
        let message = format!("the packages of {} or the step have changed since this was planned", self.place());
        ActionError::before("changed", message).help("plan it again, and have the new plan agreed to")
    }

    fn pip(&self, arguments: &[&str]) -> Tool {
        let python = self.environment.join("bin/python").display().to_string();
        Tool::new([&python, "-m", "pip", "--no-input", "--disable-pip-version-check"]).with(arguments)
    }

    /// The command that installs exactly these, without looking for what they require: the plan has that already.
    fn install(&self, changes: &[Change]) -> Tool {
        let mut tool = self.pip(&["install", "--quiet", "--no-deps"]);
        tool.run.extend(changes.iter().map(|change| format!("{}=={}", change.name, change.to)));
        tool
    }

    fn is_there(&self, installed: &BTreeMap<String, String>) -> bool {
        self.wanted.iter().all(|one| installed.get(&normal(&one.name)) == Some(&one.version))
    }

    /// Every package of the environment by its normal name.
    async fn installed(&self, limit: Instant, cx: &Context) -> Result<BTreeMap<String, String>, ActionError> {
        if !self.environment.join("pyvenv.cfg").is_file() {
            return Err(ActionError::before("not_found", format!("{} is no virtual environment", self.place()))
                .help("correct `environment`; `python3 -m venv` makes one"));
        }
        let done = self.pip(&["list", "--format=json"]).look(limit, cx).await?;
        let packages: Vec<Pinned> = match serde_json::from_slice(done.stdout.text().as_bytes()) {
            Ok(packages) if done.status.success() => packages,
            _ => {
                let message = format!("pip does not tell what is in {}: {}", self.place(), done.last_words());
                return Err(ActionError::before("bad_answer", message).help("repair the environment, or make it anew"));
            }
        };
        Ok(packages.into_iter().map(|one| (normal(&one.name), one.version)).collect())
    }

    /// What pip would install for the packages and what they require.
    async fn resolve(
        &self,
        installed: &BTreeMap<String, String>,
        limit: Instant,
        cx: &Context,
    ) -> Result<Vec<Change>, ActionError> {
        let mut tool = self.pip(&["install", "--quiet", "--dry-run", "--report", "-"]);
        tool.run.extend(self.wanted.iter().map(|one| format!("{}=={}", one.name, one.version)));
        let done = tool.look(limit, cx).await?;
        if !done.status.success() {
            let message = format!("pip cannot install {}: {}", self.named(), complaint(&done, &["ERROR: "]));
            return Err(ActionError::before("refused", message)
                .help("correct the version, or what else is named; the simulation needs pip 22.2 or newer"));
        }
        let report: Report = serde_json::from_slice(done.stdout.text().as_bytes()).map_err(|error| {
            ActionError::before("bad_answer", format!("the report of pip in {} cannot be read: {error}", self.place()))
                .help("the simulation needs pip 22.2 or newer")
        })?;
        let change = |Item { metadata: Pinned { name, version } }| {
            let from = installed.get(&normal(&name)).cloned();
            Change { name, from, to: version }
        };
        Ok(report.install.into_iter().map(change).collect())
    }
}
