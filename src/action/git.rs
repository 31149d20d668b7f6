//! A git work tree, put on one exact commit.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;

use super::{Action, ActionError, Context, Kind, run};
use crate::model::action::{Effect, Plan};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;
use crate::probe;

mod repository;

use repository::{Repository, State};

const INPUTS: &[InputSpec] = &[
    InputSpec { name: "folder", ty: InputType::Path, need: Need::Required, about: "the top folder of the work tree" },
    InputSpec {
        name: "commit",
        ty: InputType::Text,
        need: Need::Required,
        about: "the commit to put it on, by its whole hash: a branch is another commit tomorrow. `git rev-parse \
                main^{commit}` prints the hash",
    },
    InputSpec {
        name: "fetch",
        ty: InputType::Bool,
        need: Need::Default("false"),
        about: "whether the commit may be fetched when it is not here yet",
    },
    InputSpec {
        name: "remote",
        ty: InputType::Text,
        need: Need::Default("origin"),
        about: "the name of the remote that is fetched from",
    },
    InputSpec {
        name: "user",
        ty: InputType::Text,
        need: Need::Optional,
        about: "the user as whom git runs, usually the folder's owner; needs root",
    },
];

pub static KIND: Kind = Kind {
    name: "git",
    about: "a git work tree, put on one exact commit. What is not committed is never touched: a work tree with changes \
            is refused, nothing is reset or merged, and no question is ever asked. To undo it, name the commit before",
    inputs: INPUTS,
    facts: &[
        FactSpec::new("commit_before", FactType::Text, "the commit that it was on, to go back to"),
        FactSpec::new("commit_after", FactType::Text, "the commit that it is on"),
        FactSpec::new("branch_before", FactType::Text, "the branch that it was on; missing when it was on none"),
        FactSpec::new("commits_added", FactType::Count, "commits that came in"),
        FactSpec::new("commits_removed", FactType::Count, "commits that were left; more than 0 when it went back"),
    ],
    checks: "nothing is uncommitted and no merge or rebase is unfinished, and the commit is here or may be \
             fetched; how many commits come in and how many are left is shown",
    effect: Effect::Change,
    destructive_when: "",
    least: |_| Effect::Change,
    example: include_str!("../../examples/actions/git.yaml"),
    limit: std::time::Duration::from_mins(5),
    build,
};

struct Git {
    folder: PathBuf,
    /// In lower case.
    commit: String,
    /// The remote to fetch from, if that is allowed.
    remote: Option<String>,
    user: Option<String>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Action>, InputError> {
    let commit = inputs.text("commit").unwrap_or_default().to_ascii_lowercase();
    if !matches!(commit.len(), 40 | 64) || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = format!("`{commit}` is not the whole hash of a commit");
        let help = format!("`git rev-parse {}^{{commit}}` prints it: 40 hexadecimal digits, or 64", word(&commit));
        return Err(InputError::new("commit", message, help));
    }
    let remote = inputs.text("remote").unwrap_or_default().to_owned();
    if word(&remote) != remote {
        let message = "`remote` is not the name of a remote".to_owned();
        return Err(InputError::new("remote", message, "write a name that `git remote` prints, such as `origin`"));
    }
    Ok(Arc::new(Git {
        folder: inputs.path("folder").cloned().unwrap_or_default(),
        commit,
        remote: inputs.flag("fetch").then_some(remote),
        user: inputs.text("user").map(str::to_owned),
    }))
}

/// The text if it is a plain name; `NAME` otherwise, for what is shown as a command.
fn word(text: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) { text } else { "NAME" }
}

impl Action for Git {
    fn target(&self) -> String {
        self.folder.display().to_string()
    }

    fn plan<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Plan, ActionError>> {
        async move {
            // Whatever went wrong with a look has changed nothing.
            self.look(&cx.look).await.map_err(|error| ActionError { changed: super::Changed::Nothing, ..error })
        }
        .boxed()
    }

    fn perform<'a>(&'a self, plan: &'a Plan, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ActionError>> {
        self.act(plan, &cx.look).boxed()
    }
}

impl Git {
    fn fetching(&self) -> Vec<&str> {
        let remote = self.remote.as_deref().unwrap_or_default();
        vec!["fetch", "--no-recurse-submodules", "--no-auto-maintenance", remote]
    }

    /// `--no-overwrite-ignore`: otherwise ignored files, such as a local configuration, would be replaced in silence.
    fn checking_out(&self) -> Vec<&str> {
        vec!["checkout", "--no-overwrite-ignore", "--detach", &self.commit]
    }

    /// What the plan is made from.
    fn lines(&self) -> Vec<String> {
        let remote = self.remote.as_deref().unwrap_or("none");
        vec![self.target(), self.commit.clone(), remote.to_owned(), self.user.clone().unwrap_or_default()]
    }

    async fn look(&self, cx: &probe::Context) -> Result<Plan, ActionError> {
        let tree = Repository::open(&self.folder, self.user.as_deref(), cx).await?;
        let state = tree.state().await?;
        if state.commit == self.commit {
            return Ok(Plan::settled(format!("{} is on {} already", self.target(), self.commit))
                .data(json!({ "before": state.commit })));
        }
        let is_here = tree.has_commit(&self.commit).await?;
        let mut does = Vec::new();
        if !is_here {
            if self.remote.is_none() {
                return Err(tree
                    .commit_missing(&self.commit, "and fetching is not allowed")
                    .help("correct `commit`, or write `fetch: true`"));
            }
            does.push(tree.shown(&self.fetching()));
        }
        does.push(tree.shown(&self.checking_out()));
        does.extend(self.user.iter().map(|user| format!("  as user {user}")));
        let mut plan = Plan::new(does).data(json!({
            "fingerprint": run::fingerprint(&self.lines()), "before": state.commit, "fetch": !is_here,
        }));
        plan = plan.note(match &state.branch {
            Some(branch) => format!("it is on {}, the branch {branch}, which stays where it is", state.commit),
            None => format!("it is on {}", state.commit),
        });
        plan.notes.extend(tree.dangers(&state).await?);
        if is_here {
            plan.notes.extend(tree.way(&state.commit, &self.commit).await?);
        } else {
            plan.notes.push("which commits lie between is not known before the fetch".to_owned());
        }
        Ok(plan)
    }

    async fn act(&self, plan: &Plan, cx: &probe::Context) -> Result<Observation, ActionError> {
        let before = plan.data["before"].as_str().unwrap_or_default();
        if plan.settled {
            return Ok(self.report(before, None, 0, 0).into());
        }
        run::refuse_other_plan(plan, &self.lines())?;
        let tree = Repository::open(&self.folder, self.user.as_deref(), cx).await?;
        let state = tree.state().await?;
        if state.commit != before {
            let message =
                format!("{} was on {before} when this was planned and is on {} now", self.target(), state.commit);
            return Err(ActionError::before("changed", message).help("look at who moved it, and plan it again"));
        }
        if plan.data["fetch"] == true && !tree.has_commit(&self.commit).await? {
            let fetched = tree.change(&self.fetching()).await?;
            if !fetched.status.success() {
                let message = format!("{}: the fetch failed; {}", self.target(), fetched.last_words());
                return Err(ActionError::before("fetch", message)
                    .help("see that the remote answers and that git may log in there without a question"));
            }
        }
        if !tree.has_commit(&self.commit).await? {
            return Err(tree
                .commit_missing(&self.commit, "nor on a branch or tag that was fetched")
                .help("push it to a branch or tag, or correct `commit`"));
        }
        let (added, removed) = tree.distance(before, &self.commit).await?;
        let checked_out = tree.change(&self.checking_out()).await?;
        let now = tree.head().await;
        if checked_out.status.success() && now.as_ref().is_ok_and(|now| *now == self.commit) {
            return Ok(self.report(before, state.branch, added, removed).into());
        }
        Err(self.not_checked_out(&tree, &state, now.ok(), &checked_out.last_words()).await)
    }

    async fn not_checked_out(
        &self,
        tree: &Repository<'_>,
        before: &State,
        now: Option<String>,
        said: &str,
    ) -> ActionError {
        let folder = self.target();
        let untouched = tree.state().await.is_ok_and(|now| now == *before);
        if untouched {
            return ActionError::before("git", format!("{folder} stays on {}: git refused; {said}", before.commit))
                .help("move what is in the way, and plan it again");
        }
        let at = now.unwrap_or_else(|| "an unknown commit".to_owned());
        ActionError::midway("git", format!("{folder} is on {at} now, and git reports a failure; {said}"))
            .help(format!("look at `git status` there; it was on {}", before.commit))
    }

    fn report(&self, before: &str, branch: Option<String>, added: u64, removed: u64) -> Subject {
        let mut subject = Subject::new(self.target())
            .with("commit_before", Value::text(before))
            .with("commit_after", Value::text(&self.commit));
        if let Some(branch) = branch {
            subject.set("branch_before", Value::text(branch));
        }
        subject.with("commits_added", Value::count(added)).with("commits_removed", Value::count(removed))
    }
}
