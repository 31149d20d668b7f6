//! How git is asked: never a question, nothing written, no program of the repository's own settings.

use std::path::Path;

use tokio::process::Command;
use tokio::time::Instant;

use crate::model::unit::Quantity;
use crate::probe::command::child::{End, Stream};
use crate::probe::command::start::{self, User};
use crate::probe::{Context, ProbeError};

/// More than the names of all changed files that are of interest.
pub(crate) const OUTPUT: usize = 256 * 1024;

/// What would lead git elsewhere, set for opsctl when a hook of git runs it.
const ELSEWHERE: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
];

/// Git must never wait for an answer: a log-in or an unknown host key is a failure.
const NO_QUESTIONS: &[(&str, &str)] = &[
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "false"),
    ("SSH_ASKPASS", "false"),
    ("SSH_ASKPASS_REQUIRE", "force"),
    ("LC_ALL", "C"),
];

/// A look writes nothing, not even the index, fetches nothing, and starts no monitor of the file system and no hook.
const ONLY_LOOK: &[(&str, &str)] = &[
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_CONFIG_COUNT", "2"),
    ("GIT_CONFIG_KEY_0", "core.fsmonitor"),
    ("GIT_CONFIG_VALUE_0", "false"),
    ("GIT_CONFIG_KEY_1", "core.hooksPath"),
    ("GIT_CONFIG_VALUE_1", "/dev/null"),
];

/// What is left by an operation that somebody has begun and not ended.
pub(crate) const UNFINISHED: &[(&str, &str)] = &[
    ("MERGE_HEAD", "a merge"),
    ("rebase-merge", "a rebase"),
    ("rebase-apply", "a rebase"),
    ("CHERRY_PICK_HEAD", "a cherry-pick"),
    ("REVERT_HEAD", "a revert"),
    ("BISECT_LOG", "a bisection"),
];

/// What git is run for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    Look,
    Change,
}

/// Git in `folder`, as `user` if one is named.
pub(crate) fn command(folder: &Path, arguments: &[&str], user: Option<&User>, purpose: Purpose) -> Command {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder);
    for name in ELSEWHERE {
        command.env_remove(name);
    }
    command.envs(NO_QUESTIONS.iter().copied());
    if purpose == Purpose::Look {
        command.envs(ONLY_LOOK.iter().copied());
    }
    if let Some(user) = user {
        user.apply(&mut command);
    }
    command
}

/// The files with changes, and those that are not under version control, in what `git status --porcelain=v2 -z` says.
pub(crate) fn files_of(status: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut changed, mut untracked) = (Vec::new(), Vec::new());
    let mut entries = status.split('\0').filter(|entry| !entry.is_empty());
    while let Some(entry) = entries.next() {
        // The path comes after so many fields, none of which has a space.
        let (fields, files) = match entry.as_bytes()[0] {
            b'1' => (8, &mut changed),
            b'2' => (9, &mut changed),
            b'u' => (10, &mut changed),
            b'?' => (1, &mut untracked),
            _ => continue,
        };
        if entry.starts_with('2') {
            // The name that it had.
            entries.next();
        }
        files.extend(entry.splitn(fields + 1, ' ').nth(fields));
    }
    (changed, untracked)
}

/// A folder in which git looks.
pub struct Git<'g> {
    pub folder: &'g Path,
    pub user: Option<(&'g str, &'g User)>,
    pub deadline: Instant,
    pub cx: &'g Context,
}

impl Git<'_> {
    /// What git prints, without the line end.
    ///
    /// # Errors
    /// It refuses, or does not answer in time.
    pub async fn read(&self, arguments: &[&str]) -> Result<String, ProbeError> {
        let place = self.folder.display();
        let command = command(self.folder, arguments, self.user.map(|(_, user)| user), Purpose::Look);
        let user = self.user.map(|(name, _)| name.to_owned());
        let too_long = || {
            let limit = Quantity::duration(self.cx.limit).rounded();
            let help = "raise the step's `timeout` if the work tree is that large, or see whether its disk hangs";
            ProbeError::new("time_limit", format!("git did not answer of {place} within {limit}")).help(help)
        };
        let starting = self.cx.blocking(move || start::start(command, "git", user.as_deref()));
        let running = tokio::time::timeout_at(self.deadline, starting).await.map_err(|_| too_long())??;
        let ended = running.run(self.deadline, &self.cx.cancel, OUTPUT).await;
        match ended.end {
            End::Exited { status, .. } if status.success() => Ok(ended.stdout.text().trim_end_matches('\n').to_owned()),
            End::Exited { .. } => Err(self.refused(&ended.stderr)),
            End::TimeLimit => Err(too_long()),
            End::Cancelled => Err(ProbeError::new("cancelled", format!("the look at {place} was cancelled"))),
            End::Lost(error) => Err(ProbeError::new("io", format!("cannot wait for `git`: {error}"))),
        }
    }

    fn refused(&self, stderr: &Stream) -> ProbeError {
        let place = self.folder.display();
        let text = stderr.text();
        if text.contains("dubious ownership") {
            return ProbeError::new("permission", format!("git refuses {place}, because it belongs to another user"))
                .help("write the owner as `user`, or run opsctl as the owner");
        }
        if text.contains("not a git repository") {
            return ProbeError::new("not_found", format!("{place} is not in a git work tree"))
                .help("write the folder that was cloned as `path`");
        }
        let said = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it did not say why");
        ProbeError::new("bad_answer", format!("git cannot read {place}: {said}"))
            .help("see what `git status` says there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_and_untracked_files_are_told_apart() {
        let status = "# branch.head main\0\
                      1 .M N... 100644 100644 100644 a b my file\0\
                      2 R. N... 100644 100644 100644 a b R100 new name\0old name\0\
                      u UU N... 100644 100644 100644 100644 a b c both\0? notes.txt\0";
        let (changed, untracked) = files_of(status);
        assert_eq!(changed, ["my file", "new name", "both"]);
        assert_eq!(untracked, ["notes.txt"]);
    }
}
