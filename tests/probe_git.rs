//! Work trees of the real git.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chrono::Utc;
use opsctl::model::fact::Subject;
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::support::look::Look;

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
        .envs([("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
        .output()
        .expect("git starts; scripts/setup installs it");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
}

fn commit(folder: &Path, file: &str, text: &str) -> String {
    fs::write(folder.join(file), text).expect("a file");
    git(folder, &["add", file]);
    git(folder, &["commit", "--quiet", "--message", text]);
    git(folder, &["rev-parse", "HEAD"])
}

/// `origin` with one commit, and `app`, its clone.
struct Repo(TempDir);

impl Repo {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let origin = folder.path().join("origin");
        fs::create_dir(&origin).expect("a folder");
        git(&origin, &["init", "--quiet", "--initial-branch=main"]);
        commit(&origin, "version", "first");
        git(folder.path(), &["clone", "--quiet", "origin", "app"]);
        Self(folder)
    }

    fn origin(&self) -> PathBuf {
        self.0.path().join("origin")
    }

    fn app(&self) -> PathBuf {
        self.0.path().join("app")
    }
}

fn look(inputs: Json) -> Look {
    Look::new("git", inputs)
}

fn of(path: &Path) -> Subject {
    look(json!({ "path": path })).subject()
}

fn number(subject: &Subject, fact: &str) -> Option<f64> {
    subject.facts.get(fact).and_then(|value| value.number_in(Dimension::Count))
}

fn is_clean(subject: &Subject) -> bool {
    assert_eq!(subject.error, None);
    subject.facts["clean"] == Value::Bool(true)
}

#[test]
fn a_fresh_clone_is_clean_and_as_its_upstream() {
    let repo = Repo::new();
    let app = of(&repo.app());
    assert!(is_clean(&app), "{app:?}");
    assert_eq!(app.facts["branch"], Value::text("main"));
    assert_eq!(app.facts["commit"], Value::text(git(&repo.app(), &["rev-parse", "HEAD"])));
    assert_eq!(app.facts["upstream"], Value::text("origin/main"));
    for count in ["changed", "untracked", "stashes", "ahead", "behind"] {
        assert_eq!(number(&app, count), Some(0.0), "{count} of {app:?}");
    }
    assert!(!app.facts.contains_key("fetch_age") && !app.facts.contains_key("tags"), "{app:?}");
    let later = look(json!({ "path": repo.app() })).now(Utc::now() + Duration::from_hours(2)).subject();
    assert!(later.facts["commit_age"].number_in(Dimension::Time).is_some_and(|age| age >= 7200.0), "{later:?}");
}

#[test]
fn what_is_not_committed_is_counted_apart_from_what_is_not_under_version_control() {
    let repo = Repo::new();
    fs::write(repo.app().join("notes.txt"), "x").expect("a file");
    let untracked = of(&repo.app());
    assert!(is_clean(&untracked));
    assert_eq!(number(&untracked, "untracked"), Some(1.0));
    fs::write(repo.app().join("version"), "by hand").expect("a file");
    let seen = look(json!({ "path": repo.app() })).run().expect("a look");
    let changed = &seen.subjects[0];
    assert!(!is_clean(changed));
    assert_eq!((number(changed, "changed"), number(changed, "untracked")), (Some(1.0), Some(1.0)));
    assert_eq!(seen.evidence[0].lines, ["version"]);
    git(&repo.app(), &["stash", "--quiet"]);
    let stashed = of(&repo.app());
    assert!(is_clean(&stashed));
    assert_eq!(number(&stashed, "stashes"), Some(1.0));
}

#[test]
fn commits_on_each_side_are_counted_as_they_were_fetched() {
    let repo = Repo::new();
    commit(&repo.origin(), "version", "second");
    commit(&repo.app(), "own", "own");
    let before = of(&repo.app());
    assert_eq!((number(&before, "ahead"), number(&before, "behind")), (Some(1.0), Some(0.0)), "nothing is fetched");
    git(&repo.app(), &["fetch", "--quiet"]);
    let after = of(&repo.app());
    assert_eq!((number(&after, "ahead"), number(&after, "behind")), (Some(1.0), Some(1.0)));
    assert!(after.facts.contains_key("fetch_age"), "{after:?}");
    git(&repo.app(), &["update-ref", "-d", "refs/remotes/origin/main"]);
    let gone = of(&repo.app());
    assert_eq!((number(&gone, "ahead"), gone.notes), (None, vec!["its upstream origin/main is gone".to_owned()]));
}

#[test]
fn a_commit_that_is_on_no_branch_has_its_tags() {
    let repo = Repo::new();
    git(&repo.app(), &["tag", "v1.0"]);
    git(&repo.app(), &["tag", "--annotate", "--message", "x", "stable"]);
    git(&repo.app(), &["checkout", "--quiet", "--detach"]);
    let app = of(&repo.app());
    assert_eq!(app.facts["tags"], Value::List(vec![Value::text("stable"), Value::text("v1.0")]));
    assert!(!app.facts.contains_key("branch") && !app.facts.contains_key("ahead"), "{app:?}");
}

#[test]
fn an_unfinished_merge_is_not_clean_though_nothing_is_changed() {
    let repo = Repo::new();
    git(&repo.app(), &["checkout", "--quiet", "-b", "side"]);
    git(&repo.app(), &["commit", "--quiet", "--allow-empty", "--message", "side"]);
    git(&repo.app(), &["checkout", "--quiet", "main"]);
    git(&repo.app(), &["merge", "--quiet", "--no-commit", "--no-ff", "side"]);
    let app = of(&repo.app());
    assert_eq!((is_clean(&app), number(&app, "changed")), (false, Some(0.0)));
    assert!(app.notes.contains(&"a merge is not finished".to_owned()), "{app:?}");
}

#[test]
fn a_repository_without_a_commit_has_no_commit() {
    let folder = tempfile::tempdir().expect("a folder");
    git(folder.path(), &["init", "--quiet", "--initial-branch=main"]);
    let new = of(folder.path());
    assert!(is_clean(&new) && !new.facts.contains_key("commit") && !new.facts.contains_key("commit_age"), "{new:?}");
    assert_eq!(new.facts["branch"], Value::text("main"));
}

#[test]
fn a_folder_that_is_no_work_tree_is_an_error_and_hides_no_other() {
    let repo = Repo::new();
    let bare = repo.0.path().join("bare.git");
    git(repo.0.path(), &["clone", "--quiet", "--bare", "origin", "bare.git"]);
    let paths = json!({ "path": [repo.0.path(), bare, "/nowhere", repo.app()] });
    let seen = look(paths).run().expect("a look").subjects;
    let error = |index: usize| seen[index].error.clone().expect("an error");
    assert!(error(0).contains("is not in a git work tree; write the folder that was cloned"), "{}", error(0));
    assert!(error(1).contains("must be run in a work tree"), "{}", error(1));
    assert!(error(2).contains("/nowhere does not exist"), "{}", error(2));
    assert!(is_clean(&seen[3]));
}

#[test]
fn a_folder_inside_a_work_tree_says_whose_state_it_is() {
    let repo = Repo::new();
    fs::create_dir(repo.app().join("inner")).expect("a folder");
    let inner = of(&repo.app().join("inner"));
    assert!(inner.notes[0].contains(&format!("in the work tree {}", repo.app().display())), "{inner:?}");
}

#[test]
fn a_work_tree_of_another_user_is_an_error_unless_git_runs_as_that_user() {
    let repo = Repo::new();
    fs::set_permissions(repo.0.path(), fs::Permissions::from_mode(0o755)).expect("rights");
    let owned = Command::new("chown").args(["-R", "nobody:nogroup"]).arg(repo.0.path()).status().expect("chown");
    assert!(owned.success());
    let refused = of(&repo.app()).error.expect("an error");
    assert!(refused.contains("it belongs to another user; write the owner as `user`"), "{refused}");
    assert!(is_clean(&look(json!({ "path": repo.app(), "user": "nobody" })).subject()));
}

#[test]
fn looking_writes_nothing_and_runs_no_program_of_the_repository() {
    let repo = Repo::new();
    let mark = repo.0.path().join("ran");
    let script = repo.0.path().join("script");
    fs::write(&script, format!("#!/bin/sh\ntouch {}\n", mark.display())).expect("a file");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("rights");
    let hooks = repo.app().join(".git/hooks");
    fs::create_dir_all(&hooks).expect("a folder");
    fs::copy(&script, hooks.join("post-index-change")).expect("a hook");
    git(&repo.app(), &["config", "core.fsmonitor", script.to_str().expect("a plain path")]);
    // Git would write down that nothing has changed.
    fs::File::open(repo.app().join("version"))
        .and_then(|file| file.set_modified(std::time::SystemTime::now() + Duration::from_mins(1)))
        .expect("a time");
    let index = || fs::read(repo.app().join(".git/index")).expect("an index");
    let before = index();
    assert!(is_clean(&of(&repo.app())));
    assert!(index() == before && !mark.exists(), "something was written or run");
}
