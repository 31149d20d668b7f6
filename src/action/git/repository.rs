//! A work tree as git itself sees it.

use std::path::Path;

use tokio::time::Instant;

use super::super::run::{Done, Job, deadline};
use super::super::{ActionError, shown};
use crate::probe;
use crate::probe::command::start::{self, User};
use crate::probe::git::tool::{self, OUTPUT, Purpose, UNFINISHED, files_of};

/// How many commits and file names a plan shows.
const SHOWN: usize = 20;

pub struct Repository<'a> {
    folder: &'a Path,
    user: Option<(&'a str, User)>,
    cx: &'a probe::Context,
    deadline: Instant,
}

/// Of a work tree without changes and without an unfinished operation.
#[derive(PartialEq, Eq, Debug)]
pub struct State {
    pub commit: String,
    pub branch: Option<String>,
    /// The first files that are not under version control.
    untracked: Vec<String>,
}

impl<'a> Repository<'a> {
    /// # Errors
    /// The folder is not the top of a work tree.
    pub async fn open(folder: &'a Path, user: Option<&'a str>, cx: &'a probe::Context) -> Result<Self, ActionError> {
        let user = match user {
            Some(name) => Some((name, start::user(name).await?)),
            None => None,
        };
        let tree = Self { folder, user, cx, deadline: deadline(cx) };
        let top = tree.read(&["rev-parse", "--show-toplevel"]).await?;
        let real = tokio::fs::canonicalize(folder).await.unwrap_or_else(|_| folder.to_owned());
        if Path::new(&top) != real {
            let message = format!("{} is in the work tree {top}, which would change as a whole", folder.display());
            return Err(
                ActionError::before("not_top", message).help("write the top folder as `folder` if that is meant")
            );
        }
        Ok(tree)
    }

    /// The command that `arguments` make, for the plan.
    pub fn shown(&self, arguments: &[&str]) -> String {
        let folder = self.folder.display().to_string();
        let all = ["git", "-C", &folder].into_iter().chain(arguments.iter().copied()).map(str::to_owned);
        shown::command(&all.collect::<Vec<_>>())
    }

    /// # Errors
    /// It has changes that are not committed, or an operation that is not finished.
    pub async fn state(&self) -> Result<State, ActionError> {
        self.refuse_unfinished().await?;
        let status = self.read(&["status", "--porcelain=v2", "-z", "--untracked-files=normal"]).await?;
        let quoted = |files: Vec<&str>| files.iter().map(|path| shown::quoted(path).into_owned()).collect::<Vec<_>>();
        let (changed, untracked) = files_of(&status);
        let (changed, untracked) = (quoted(changed), quoted(untracked));
        if !changed.is_empty() {
            let message = format!("{} has changes that are not committed: {}", self.place(), some(&changed));
            return Err(ActionError::before("dirty", message)
                .help("keep them on a branch, or undo them by hand; opsctl never throws changes away"));
        }
        let branch = self.look(&["symbolic-ref", "--quiet", "--short", "HEAD"]).await?;
        let branch = branch.status.success().then(|| branch.stdout.text().trim_end().to_owned());
        Ok(State { commit: self.head().await?, branch, untracked })
    }

    pub async fn head(&self) -> Result<String, ActionError> {
        self.read(&["rev-parse", "--verify", "HEAD^{commit}"]).await
    }

    /// # Errors
    /// There is something of that hash, and it is no commit.
    pub async fn has_commit(&self, commit: &str) -> Result<bool, ActionError> {
        let found = self.look(&["cat-file", "-t", commit]).await?;
        let what = found.stdout.text().trim_end().to_owned();
        if !found.status.success() || what == "commit" {
            return Ok(found.status.success());
        }
        let message = format!("{commit} in {} is a {what} and not a commit", self.place());
        Err(ActionError::before("not_a_commit", message).help(format!(
            "`git rev-parse {commit}^{{commit}}` prints the commit that it leads to, if it leads to one"
        )))
    }

    pub fn commit_missing(&self, commit: &str, besides: &str) -> ActionError {
        ActionError::before("not_found", format!("the commit {commit} is not in {}, {besides}", self.place()))
    }

    /// How many commits are added and how many removed on the way from one to the other.
    pub async fn distance(&self, from: &str, to: &str) -> Result<(u64, u64), ActionError> {
        let counts = self.read(&["rev-list", "--left-right", "--count", &format!("{from}...{to}")]).await?;
        let mut counts = counts.split_whitespace().map(|count| count.parse().unwrap_or(0));
        let removed = counts.next().unwrap_or(0);
        Ok((counts.next().unwrap_or(0), removed))
    }

    /// The commits that are added and removed on the way, and what that does to the files, one a line.
    pub async fn way(&self, from: &str, to: &str) -> Result<Vec<String>, ActionError> {
        let (added, removed) = self.distance(from, to).await?;
        let mut lines = Vec::new();
        for (sign, count, range) in [("+", added, format!("{from}..{to}")), ("-", removed, format!("{to}..{from}"))] {
            let most = format!("--max-count={SHOWN}");
            let log =
                self.read(&["log", "--no-decorate", "--no-show-signature", "--format=%h %s", &most, &range]).await?;
            lines.extend(log.lines().map(|line| format!("{sign} {}", shown::escaped(line))));
            if count > SHOWN as u64 {
                lines.push(format!("{sign} and {} more commits", count - SHOWN as u64));
            }
        }
        if removed > 0 {
            lines.push(format!("it goes back: {removed} commits are no longer in it"));
        }
        lines.push(self.read(&["diff", "--no-ext-diff", "--shortstat", from, to]).await?.trim().to_owned());
        let modules = self.read(&["ls-tree", "--name-only", to, "--", ".gitmodules"]).await?;
        if !modules.is_empty() {
            lines.push("it has submodules, which stay as they are".to_owned());
        }
        Ok(lines)
    }

    /// What a person should know before the work tree is moved.
    pub async fn dangers(&self, state: &State) -> Result<Vec<String>, ActionError> {
        let mut notes = Vec::new();
        if !state.untracked.is_empty() {
            notes.push(format!("not under version control, and left alone: {}", some(&state.untracked)));
        }
        let named = self.read(&["for-each-ref", "--count=1", "--contains", &state.commit]).await?;
        if named.is_empty() {
            notes.push(
                "the commit that it is on belongs to no branch and no tag: keep its hash to come back".to_owned(),
            );
        }
        Ok(notes)
    }

    async fn refuse_unfinished(&self) -> Result<(), ActionError> {
        let mut arguments = vec!["rev-parse"];
        arguments.extend(UNFINISHED.iter().flat_map(|(file, _)| ["--git-path", file]));
        let paths = self.read(&arguments).await?;
        for (path, (_, what)) in paths.lines().zip(UNFINISHED) {
            if tokio::fs::symlink_metadata(self.folder.join(path)).await.is_ok() {
                let message = format!("{what} is not finished in {}", self.place());
                return Err(ActionError::before("unfinished", message).help("finish it, or end it with its `--abort`"));
            }
        }
        Ok(())
    }

    /// Runs git for something that only looks.
    async fn look(&self, arguments: &[&str]) -> Result<Done, ActionError> {
        self.run(arguments, Purpose::Look)
            .await
            .map_err(|error| ActionError { changed: super::super::Changed::Nothing, ..error })
    }

    /// Runs git for something that changes the work tree.
    pub async fn change(&self, arguments: &[&str]) -> Result<Done, ActionError> {
        self.run(arguments, Purpose::Change).await
    }

    /// What a look prints, without the line end.
    async fn read(&self, arguments: &[&str]) -> Result<String, ActionError> {
        let done = self.look(arguments).await?;
        if done.status.success() {
            return Ok(done.stdout.text().trim_end_matches('\n').to_owned());
        }
        let said = done.last_words();
        if said.contains("dubious ownership") {
            let message = format!("git refuses {}, because it belongs to another user", self.place());
            return Err(ActionError::before("permission", message).help("write the owner as `user`"));
        }
        let message = format!("git cannot read {}: `{}` failed; {said}", self.place(), self.shown(arguments));
        Err(ActionError::before("git", message).help("see that it is the top of a work tree with a commit"))
    }

    async fn run(&self, arguments: &[&str], purpose: Purpose) -> Result<Done, ActionError> {
        let command = tool::command(self.folder, arguments, self.user.as_ref().map(|(_, user)| user), purpose);
        let shown = self.shown(arguments);
        let user = self.user.as_ref().map(|(name, _)| *name);
        let job = Job { command, program: "git", user, shown: &shown, output_limit: OUTPUT };
        job.run(self.deadline, self.cx).await
    }

    fn place(&self) -> std::path::Display<'_> {
        self.folder.display()
    }
}

/// The first of `names`, and how many there are besides.
fn some(names: &[String]) -> String {
    let first = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
