//! A git work tree: what it is on, and what in it is not committed, pushed or pulled.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::DateTime;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use self::tool::{Git, UNFINISHED, files_of};
use super::command::start::{self, User};
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputSpec, InputType, Need};
use crate::model::value::Value;

pub(crate) mod tool;

pub static KIND: Kind = Kind {
    name: "git",
    about: "git work trees, one result each: which commit they are on, what is not committed, and how they stand to their \
            upstream as it was when somebody fetched last. Nothing is fetched and nothing is written",
    inputs: &[
        InputSpec {
            name: "path",
            ty: InputType::Paths,
            need: Need::Required,
            about: "folders of work trees, such as `/srv/shop`",
        },
        InputSpec {
            name: "user",
            ty: InputType::Text,
            need: Need::Optional,
            about: "the user as whom git runs, usually the folder's owner: git refuses the work trees of others. Needs \
                    root",
        },
    ],
    facts: &[
        FactSpec::new("branch", FactType::Text, "the branch that it is on; missing when it is on none"),
        FactSpec::new(
            "commit",
            FactType::Text,
            "the whole hash of the commit that it is on, such as for `starts with 1f3c9a2`; missing before the first \
             commit",
        ),
        FactSpec::new("commit_age", FactType::Duration, "since that commit was made"),
        FactSpec::new("tags", FactType::Texts, "tags of that commit; missing when it has none"),
        FactSpec::new(
            "clean",
            FactType::Bool,
            "no file under version control has changes that are not committed, and no merge or rebase is unfinished. \
             Files that are not under version control are `untracked`",
        ),
        FactSpec::new("changed", FactType::Count, "files with changes that are not committed"),
        FactSpec::new(
            "untracked",
            FactType::Count,
            "files and folders that are neither under version control nor ignored",
        ),
        FactSpec::new("stashes", FactType::Count, "changes that somebody put aside with `git stash`"),
        FactSpec::new(
            "upstream",
            FactType::Text,
            "the branch that it follows, such as origin/main; missing without one",
        ),
        FactSpec::new(
            "ahead",
            FactType::Count,
            "commits that the upstream does not have, as known here; missing without an upstream",
        ),
        FactSpec::new(
            "behind",
            FactType::Count,
            "commits of the upstream that are not here, as far as they were fetched",
        ),
        FactSpec::new(
            "fetch_age",
            FactType::Duration,
            "since somebody fetched last, which is how old `ahead` and `behind` are; missing if nobody did since it was \
             cloned",
        ),
    ],
    example: include_str!("../../examples/probes/git.yaml"),
    limit: Duration::from_mins(1),
    build: |inputs| {
        Ok(Arc::new(Trees { paths: inputs.paths("path").to_vec(), user: inputs.text("user").map(str::to_owned) }))
    },
};

/// Changed files that are shown.
const SHOWN: usize = 20;

struct Trees {
    paths: Vec<PathBuf>,
    user: Option<String>,
}

impl Probe for Trees {
    fn target(&self) -> String {
        self.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        async move {
            let deadline = Instant::now() + cx.limit;
            let user = match &self.user {
                Some(name) => Some((name.as_str(), start::user(name).await?)),
                None => None,
            };
            let mut seen = Observation::default();
            for path in &self.paths {
                let user = user.as_ref().map(|(name, user): &(&str, User)| (*name, user));
                let git = Git { folder: path, user, deadline, cx };
                let mut subject = Subject::new(path.display().to_string());
                match describe(&git, &mut subject).await {
                    Ok(evidence) => seen.evidence.extend(evidence),
                    // Git itself is missing, or nobody waits any more.
                    Err(error) if matches!(error.code, "no_such_tool" | "cancelled") => return Err(error),
                    Err(error) => {
                        let help = error.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
                        subject.error = Some(format!("{error}{help}"));
                    }
                }
                seen.subjects.push(subject);
            }
            Ok(seen)
        }
        .boxed()
    }
}

async fn describe(git: &Git<'_>, subject: &mut Subject) -> Result<Option<Evidence>, ProbeError> {
    let status = git.read(&STATUS).await?;
    let header = |name: &str| {
        let prefix = format!("# {name} ");
        status.split('\0').find_map(|entry| entry.strip_prefix(&prefix)).map(str::to_owned)
    };
    if let Some(branch) = header("branch.head").filter(|branch| branch != "(detached)") {
        subject.set("branch", Value::text(branch));
    }
    let commit = header("branch.oid").filter(|commit| commit != "(initial)");
    if let Some(commit) = &commit {
        subject.set("commit", Value::text(commit));
        let made = git.read(&["log", "--max-count=1", "--no-show-signature", "--format=%ct", commit]).await?;
        if let Some(made) = made.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0)) {
            subject.set("commit_age", Value::duration((git.cx.now - made).to_std().unwrap_or_default()));
        }
        let tags = git.read(&["tag", "--points-at", commit]).await?;
        if !tags.is_empty() {
            subject.set("tags", Value::List(tags.lines().map(Value::text).collect()));
        }
    }
    let (changed, untracked) = files_of(&status);
    let unfinished = places(git, subject).await?;
    subject.set("clean", Value::Bool(changed.is_empty() && unfinished.is_none()));
    subject.notes.extend(unfinished.map(|what| format!("{what} is not finished")));
    subject.set("changed", Value::count(changed.len() as u64));
    subject.set("untracked", Value::count(untracked.len() as u64));
    let stashes = header("stash").and_then(|count| count.parse().ok()).unwrap_or(0);
    subject.set("stashes", Value::count(stashes));
    if let Some(upstream) = header("branch.upstream") {
        match header("branch.ab").as_deref().and_then(ahead_and_behind) {
            Some((ahead, behind)) => {
                subject.set("ahead", Value::count(ahead));
                subject.set("behind", Value::count(behind));
            }
            None => subject.note(format!("its upstream {upstream} is gone")),
        }
        subject.set("upstream", Value::text(upstream));
    }
    let lines: Vec<String> = changed.iter().take(SHOWN).map(|file| (*file).to_owned()).collect();
    let left_out = changed.len().saturating_sub(SHOWN) as u64;
    let title = format!("changed files of {}", subject.name);
    Ok((!lines.is_empty()).then(|| Evidence { left_out, ..Evidence::new(title, lines) }))
}

/// Git would look into the work trees of submodules with the settings that these have.
const STATUS: [&str; 7] = [
    "status",
    "--porcelain=v2",
    "--branch",
    "--show-stash",
    "-z",
    "--untracked-files=normal",
    "--ignore-submodules=dirty",
];

/// `+1 -2`
fn ahead_and_behind(text: &str) -> Option<(u64, u64)> {
    let (ahead, behind) = text.split_once(' ')?;
    Some((ahead.strip_prefix('+')?.parse().ok()?, behind.strip_prefix('-')?.parse().ok()?))
}

/// What the files in git's own folder tell: the last fetch, and an operation that was begun and not ended.
async fn places(git: &Git<'_>, subject: &mut Subject) -> Result<Option<&'static str>, ProbeError> {
    let mut arguments = vec!["rev-parse", "--show-toplevel", "--git-path", "FETCH_HEAD"];
    arguments.extend(UNFINISHED.iter().flat_map(|(file, _)| ["--git-path", file]));
    let printed = git.read(&arguments).await?;
    let mut paths = printed.lines();
    let top = Path::new(paths.next().unwrap_or_default());
    let real = tokio::fs::canonicalize(git.folder).await.unwrap_or_else(|_| git.folder.to_owned());
    if top != real {
        subject.note(format!("it is in the work tree {}, of which all this is told", top.display()));
    }
    let fetched = tokio::fs::metadata(git.folder.join(paths.next().unwrap_or_default())).await;
    if let Some(fetched) = fetched.ok().and_then(|file| file.modified().ok()) {
        let age = SystemTime::from(git.cx.now).duration_since(fetched).unwrap_or_default();
        subject.set("fetch_age", Value::duration(age));
    }
    for (path, (_, what)) in paths.zip(UNFINISHED) {
        if tokio::fs::symlink_metadata(git.folder.join(path)).await.is_ok() {
            return Ok(Some(what));
        }
    }
    Ok(None)
}
