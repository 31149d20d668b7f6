//! Running a package manager, and saying what it complains about.

use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::Instant;

use crate::action::run::{Done, Job};
use crate::action::{ActionError, Changed, Context, shown};
use crate::model::text::one_line;
use crate::model::value::Value;

/// A package in one version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pinned {
    pub name: String,
    pub version: String,
}

/// Packages as a fact, in the form in which a step names them.
pub fn list(packages: &[Pinned], sign: &str) -> Value {
    let text = |one: &Pinned| Value::text(format!("{}{sign}{}", one.name, one.version));
    Value::List(packages.iter().map(text).collect())
}

/// A program of a package manager with its arguments and its environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tool {
    pub environment: &'static [(&'static str, &'static str)],
    pub run: Vec<String>,
}

/// Enough for the report on a whole system.
const OUTPUT: usize = 4 * 1024 * 1024;

impl Tool {
    pub fn new<A: Into<String>>(run: impl IntoIterator<Item = A>) -> Self {
        Self { environment: &[("LC_ALL", "C.UTF-8")], run: run.into_iter().map(Into::into).collect() }
    }

    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.run.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// As a person would type it.
    pub fn shown(&self) -> String {
        let environment = self.environment.iter().map(|(name, value)| format!("{name}={value} "));
        environment.chain([shown::command(&self.run)]).collect()
    }

    /// Runs it to its end, whatever its exit status.
    pub async fn run(&self, limit: Instant, cx: &Context) -> Result<Done, ActionError> {
        let mut command = Command::new(&self.run[0]);
        command.args(&self.run[1..]).envs(self.environment.iter().copied()).current_dir(&cx.look.folder);
        let shown = shown::command(&self.run);
        Job { command, program: &self.run[0], user: None, shown: &shown, output_limit: OUTPUT }
            .run(limit, &cx.look)
            .await
    }

    /// Runs what only looks: whatever happens, nothing was changed.
    pub async fn look(&self, limit: Instant, cx: &Context) -> Result<Done, ActionError> {
        self.run(limit, cx).await.map_err(|error| ActionError { changed: Changed::Nothing, ..error })
    }
}

/// What it complains about: its lines that begin with one of `marks`, else what it printed last.
pub fn complaint(done: &Done, marks: &[&str]) -> String {
    let (stderr, stdout) = (done.stderr.text(), done.stdout.text());
    let complaints: Vec<String> = stderr
        .lines()
        .chain(stdout.lines())
        .filter_map(|line| marks.iter().find_map(|mark| line.trim().strip_prefix(mark)))
        .take(5)
        .map(|line| one_line(line, 200))
        .collect();
    if complaints.is_empty() { done.last_words() } else { complaints.join(" / ") }
}

/// The last lines of what it printed as errors.
pub fn last_lines(done: &Done) -> String {
    let stderr = done.stderr.text();
    let lines: Vec<String> = stderr.lines().map(|line| one_line(line, 200)).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(8)..].join(" / ")
}
