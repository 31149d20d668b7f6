//! The git action against real repositories.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use opsctl::action::{ActionError, Changed};
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::support::act::Act;

/// A work tree `app` with the commits `first`, `second` and `third` on main, which it is on.
struct Repo {
    folder: tempfile::TempDir,
    commits: [String; 3],
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is installed; scripts/test installs it");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn commit(folder: &Path, file: &str, text: &str) -> String {
    fs::write(folder.join(file), text).expect("written");
    git(folder, &["add", "--force", file]);
    git(folder, &["commit", "--quiet", "--message", &format!("{file} says {text}")]);
    git(folder, &["rev-parse", "HEAD"])
}

impl Repo {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let app = folder.path().join("app");
        fs::create_dir(&app).expect("a folder");
        git(&app, &["init", "--quiet", "--initial-branch=main"]);
        let commits = ["first", "second", "third"].map(|text| commit(&app, "version", text));
        Self { folder, commits }
    }

    fn app(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    /// A clone with the first commit alone.
    fn old_clone(&self) -> PathBuf {
        let clone = self.folder.path().join("clone");
        git(&self.app(), &["branch", "old", &self.commits[0]]);
        let (from, to) = (format!("file://{}", self.app().display()), clone.display().to_string());
        git(self.folder.path(), &["clone", "--quiet", "--single-branch", "--branch", "old", &from, &to]);
        git(&clone, &["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"]);
        clone
    }

    fn to(&self, commit: &str) -> Act {
        act(&self.app(), commit, json!({}))
    }

    fn version(&self) -> String {
        fs::read_to_string(self.app().join("version")).expect("a file")
    }
}

fn act(folder: &Path, commit: &str, more: Json) -> Act {
    let mut inputs = json!({ "folder": folder, "commit": commit });
    if let Json::Object(more) = more {
        for (name, value) in more {
            inputs[name] = value;
        }
    }
    Act::new("git", inputs)
}

fn head(folder: &Path) -> String {
    git(folder, &["rev-parse", "HEAD"])
}

fn refused(act: &Act) -> ActionError {
    let error = act.plan().expect_err("no plan");
    assert_eq!(error.changed, Changed::Nothing);
    error
}

#[test]
fn the_plan_shows_the_command_and_the_commits_between() {
    let repo = Repo::new();
    git(&repo.app(), &["checkout", "--quiet", "--detach", &repo.commits[0]]);
    let plan = repo.to(&repo.commits[2]).plan().expect("a plan");
    let command =
        format!("git -C {} checkout --no-overwrite-ignore --detach {}", repo.app().display(), repo.commits[2]);
    assert_eq!(plan.does, [command]);
    let short = |commit: &str| commit[..7].to_owned();
    let notes = [
        format!("it is on {}", repo.commits[0]),
        format!("+ {} version says third", short(&repo.commits[2])),
        format!("+ {} version says second", short(&repo.commits[1])),
        "1 file changed, 1 insertion(+), 1 deletion(-)".to_owned(),
    ];
    assert_eq!(plan.notes, notes);
    assert_eq!(repo.version(), "first");
}

#[test]
fn it_goes_to_the_commit_and_back_and_leaves_the_branch_where_it_is() {
    let repo = Repo::new();
    let there = repo.to(&repo.commits[0]).subject();
    assert_eq!(there.facts["commit_before"], Value::text(&repo.commits[2]));
    assert_eq!(there.facts["commit_after"], Value::text(&repo.commits[0]));
    assert_eq!(there.facts["branch_before"], Value::text("main"));
    assert_eq!(
        (&there.facts["commits_added"], &there.facts["commits_removed"]),
        (&Value::Integer(0), &Value::Integer(2))
    );
    assert_eq!(repo.version(), "first");
    assert_eq!(git(&repo.app(), &["rev-parse", "main"]), repo.commits[2]);

    let back = repo.to(&repo.commits[2]).subject();
    assert_eq!(
        (&back.facts["commits_added"], &back.facts["commits_removed"]),
        (&Value::Integer(2), &Value::Integer(0))
    );
    assert!(!back.facts.contains_key("branch_before"));
    assert_eq!(repo.version(), "third");
}

#[test]
fn going_back_is_said() {
    let repo = Repo::new();
    let plan = repo.to(&repo.commits[1]).plan().expect("a plan");
    assert!(plan.notes.contains(&"it goes back: 1 commits are no longer in it".to_owned()), "{:?}", plan.notes);
}

#[test]
fn the_commit_that_it_is_on_is_settled() {
    let repo = Repo::new();
    let act = repo.to(&repo.commits[2].to_uppercase());
    let plan = act.plan().expect("a plan");
    assert!(plan.settled && plan.does.is_empty(), "{plan:?}");
    assert_eq!(act.perform(&plan).expect("nothing to do").subjects[0].facts["commits_added"], Value::Integer(0));
    assert_eq!(git(&repo.app(), &["symbolic-ref", "HEAD"]), "refs/heads/main");
}

#[test]
fn only_the_whole_hash_is_taken() {
    let repo = Repo::new();
    for commit in ["main", "HEAD", "v1.0", &repo.commits[0][..7], "--force", ""] {
        let error = repo.to(commit).build().err().expect("it is refused");
        assert_eq!(error.input, "commit");
        assert!(error.help.contains("git rev-parse"), "{}", error.help);
    }
    assert!(repo.to("main").build().err().expect("refused").help.contains("`git rev-parse main^{commit}`"));
    let error = act(&repo.app(), &repo.commits[0], json!({ "remote": "--upload-pack=x" })).build();
    assert_eq!(error.err().expect("it is refused").input, "remote");
}

#[test]
fn a_work_tree_with_changes_is_refused_and_keeps_them() {
    for stage in [false, true] {
        let repo = Repo::new();
        fs::write(repo.app().join("version"), "hot fix").expect("written");
        if stage {
            git(&repo.app(), &["add", "version"]);
        }
        let error = refused(&repo.to(&repo.commits[0]));
        assert_eq!(error.code, "dirty");
        assert!(error.message.ends_with("has changes that are not committed: version"), "{error}");
        assert_eq!(repo.version(), "hot fix");
    }
}

#[test]
fn a_change_after_the_plan_is_refused() {
    let repo = Repo::new();
    let act = repo.to(&repo.commits[0]);
    let plan = act.plan().expect("a plan");
    fs::write(repo.app().join("version"), "hot fix").expect("written");
    let error = act.perform(&plan).expect_err("it is refused");
    assert_eq!((error.code, error.changed), ("dirty", Changed::Nothing));
    assert_eq!(repo.version(), "hot fix");
}

#[test]
fn another_commit_after_the_plan_is_refused() {
    let repo = Repo::new();
    let act = repo.to(&repo.commits[0]);
    let plan = act.plan().expect("a plan");
    let other = commit(&repo.app(), "version", "fourth");
    let error = act.perform(&plan).expect_err("it is refused");
    assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
    assert_eq!(head(&repo.app()), other);
}

#[test]
fn an_unfinished_merge_is_refused() {
    let repo = Repo::new();
    git(&repo.app(), &["checkout", "--quiet", "-b", "side", &repo.commits[0]]);
    commit(&repo.app(), "other", "side");
    git(&repo.app(), &["merge", "--quiet", "--no-commit", "--no-ff", "main"]);
    let error = refused(&repo.to(&repo.commits[0]));
    assert_eq!(error.code, "unfinished");
    assert!(error.message.starts_with("a merge is not finished in "), "{error}");
}

#[test]
fn files_that_are_not_under_version_control_are_left_alone_and_named() {
    let repo = Repo::new();
    fs::write(repo.app().join("upload.png"), "picture").expect("written");
    let act = repo.to(&repo.commits[0]);
    let plan = act.plan().expect("a plan");
    let note = "not under version control, and left alone: upload.png";
    assert!(plan.notes.contains(&note.to_owned()), "{:?}", plan.notes);
    act.perform(&plan).expect("done");
    assert_eq!(fs::read_to_string(repo.app().join("upload.png")).expect("a file"), "picture");
}

#[test]
fn a_file_in_the_way_is_never_overwritten_not_even_an_ignored_one() {
    let repo = Repo::new();
    let with_settings = commit(&repo.app(), "settings", "of the commit");
    git(&repo.app(), &["checkout", "--quiet", "--detach", &repo.commits[2]]);
    fs::write(repo.app().join(".git/info/exclude"), "settings\n").expect("written");
    fs::write(repo.app().join("settings"), "of this machine").expect("written");
    let error = repo.to(&with_settings).run().expect_err("git refuses");
    assert_eq!((error.code, error.changed), ("git", Changed::Nothing));
    assert!(error.message.contains("settings"), "{error}");
    assert_eq!(fs::read_to_string(repo.app().join("settings")).expect("a file"), "of this machine");
    assert_eq!(head(&repo.app()), repo.commits[2]);
}

#[test]
fn a_hook_that_fails_afterwards_is_told_with_the_commit_that_it_is_on() {
    let repo = Repo::new();
    let hook = repo.app().join(".git/hooks/post-checkout");
    fs::create_dir_all(hook.parent().expect("a folder")).expect("a folder");
    fs::write(&hook, "#!/bin/sh\necho no mail server >&2\nexit 1\n").expect("written");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("executable");
    let error = repo.to(&repo.commits[0]).run().expect_err("a failure");
    assert_eq!((error.code, error.changed), ("git", Changed::Perhaps));
    assert!(error.message.contains(&format!("is on {} now", repo.commits[0])), "{error}");
    assert!(error.message.contains("no mail server"), "{error}");
    assert!(error.help.expect("help").contains(&repo.commits[2]));
}

#[test]
fn a_commit_that_is_not_here_is_fetched_only_when_allowed() {
    let repo = Repo::new();
    let clone = repo.old_clone();
    let error = refused(&act(&clone, &repo.commits[2], json!({})));
    assert_eq!(error.code, "not_found");
    assert!(error.help.expect("help").contains("fetch: true"));

    let act = act(&clone, &repo.commits[2], json!({ "fetch": true }));
    let refs = git(&clone, &["for-each-ref"]);
    let plan = act.plan().expect("a plan");
    assert_eq!(git(&clone, &["for-each-ref"]), refs, "the plan fetched something");
    let at = clone.display();
    assert_eq!(plan.does[0], format!("git -C {at} fetch --no-recurse-submodules --no-auto-maintenance origin"));
    assert_eq!(plan.does.len(), 2);
    let done = act.perform(&plan).expect("done");
    assert_eq!(done.subjects[0].facts["commits_added"], Value::Integer(2));
    assert_eq!(head(&clone), repo.commits[2]);
}

#[test]
fn a_commit_that_the_remote_does_not_have_changes_nothing() {
    let repo = Repo::new();
    let clone = repo.old_clone();
    let error = act(&clone, &"0123456789".repeat(4), json!({ "fetch": true })).run().expect_err("it is refused");
    assert_eq!((error.code, error.changed), ("not_found", Changed::Nothing));
    assert_eq!(head(&clone), repo.commits[0]);
}

#[test]
fn a_remote_that_cannot_be_reached_changes_nothing_and_asks_nobody() {
    let repo = Repo::new();
    let clone = repo.old_clone();
    git(&clone, &["remote", "set-url", "origin", "http://127.0.0.1:1/app.git"]);
    let error = act(&clone, &repo.commits[2], json!({ "fetch": true })).run().expect_err("it is refused");
    assert_eq!((error.code, error.changed), ("fetch", Changed::Nothing));
    assert_eq!(head(&clone), repo.commits[0]);
}

#[test]
fn a_folder_inside_a_work_tree_is_refused_with_the_top() {
    let repo = Repo::new();
    let inner = repo.app().join("inner");
    fs::create_dir(&inner).expect("a folder");
    let error = refused(&act(&inner, &repo.commits[0], json!({})));
    assert_eq!(error.code, "not_top");
    assert!(error.message.contains(&format!("in the work tree {}", repo.app().display())), "{error}");
}

#[test]
fn a_folder_without_a_repository_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = refused(&act(folder.path(), &"0123456789".repeat(4), json!({})));
    assert_eq!(error.code, "git");
    assert!(error.message.contains("not a git repository"), "{error}");
    let error = refused(&act(Path::new("/nowhere"), &"0123456789".repeat(4), json!({})));
    assert_eq!(error.message, "the folder /nowhere does not exist");
}

#[test]
fn a_tag_or_a_tree_is_no_commit() {
    let repo = Repo::new();
    git(&repo.app(), &["tag", "--annotate", "--message", "release", "v1", &repo.commits[0]]);
    let tag = git(&repo.app(), &["rev-parse", "v1"]);
    let error = refused(&repo.to(&tag));
    assert_eq!(error.code, "not_a_commit");
    assert!(error.help.expect("help").contains(&format!("{tag}^{{commit}}")));
}

#[test]
fn commits_that_belong_to_no_branch_are_said_before_they_are_left() {
    let repo = Repo::new();
    git(&repo.app(), &["checkout", "--quiet", "--detach"]);
    let lost = commit(&repo.app(), "version", "only here");
    let plan = repo.to(&repo.commits[0]).plan().expect("a plan");
    assert!(plan.notes.contains(&format!("it is on {lost}")), "{:?}", plan.notes);
    assert!(plan.notes.iter().any(|note| note.contains("no branch and no tag")), "{:?}", plan.notes);
}

#[test]
fn a_plan_for_another_commit_is_refused() {
    let repo = Repo::new();
    let plan = repo.to(&repo.commits[0]).plan().expect("a plan");
    let error = repo.to(&repo.commits[1]).perform(&plan).expect_err("it is refused");
    assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
    assert_eq!(head(&repo.app()), repo.commits[2]);
}
