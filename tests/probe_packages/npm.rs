//! npm, with a registry of the test.

use std::fs;

use opsctl::model::value::Value;
use serde_json::json;
use tempfile::TempDir;

use super::{count, lines};
use crate::support::look::Look;
use crate::support::npm::Registry;
use crate::support::server::free_port;

fn look(project: &TempDir) -> Look {
    Look::new("packages", json!({"manager": "npm", "folder": project.path()}))
}

#[test]
fn newer_versions_are_counted_within_and_outside_of_the_range() {
    let registry = Registry::start();
    registry.package("shop-list", &["1.0.0", "1.1.0", "2.0.0"]);
    registry.package("shop-tree", &["1.0.0", "2.0.0"]);
    registry.package("shop-same", &["1.0.0"]);
    let project = registry.project(&[
        ("shop-list", "^1.0.0", "1.0.0"),
        ("shop-tree", "^1.0.0", "1.0.0"),
        ("shop-same", "^1.0.0", "1.0.0"),
    ]);
    let all = look(&project).run().expect("a look");
    assert_eq!(count(&all.subjects[0], "pending"), 2);
    assert_eq!(all.subjects[0].facts["consistent"], Value::Bool(true));
    assert_eq!(all.subjects[0].notes, ["1 of them only outside of the range that package.json allows"]);
    assert_eq!(lines(&all), ["shop-list  1.0.0 -> 1.1.0", "shop-tree  1.0.0 -> 2.0.0  outside of the range"]);
    assert!(!project.path().join("node_modules/.package-lock.json").exists(), "nothing was changed");
}

#[test]
fn a_project_that_is_up_to_date_has_nothing_pending() {
    let registry = Registry::start();
    registry.package("shop-list", &["1.0.0"]);
    let all = look(&registry.project(&[("shop-list", "^1.0.0", "1.0.0")])).run().expect("a look");
    assert_eq!((count(&all.subjects[0], "pending"), all.evidence.len()), (0, 0));
}

#[test]
fn a_package_that_is_not_installed_is_told() {
    let registry = Registry::start();
    registry.package("shop-list", &["1.0.0"]);
    let all = look(&registry.project(&[("shop-list", "^1.0.0", "")])).run().expect("a look");
    assert_eq!(all.subjects[0].facts["consistent"], Value::Bool(false));
    assert_eq!(all.subjects[0].notes, ["not installed: shop-list; `npm ci` installs it"]);
}

#[test]
fn a_registry_that_does_not_answer_is_an_error_and_not_up_to_date() {
    let registry = Registry::start();
    registry.package("shop-list", &["1.0.0"]);
    let project = registry.project(&[("shop-list", "^1.0.0", "1.0.0")]);
    look(&project).run().expect("it answers");
    let gone = format!("registry=http://127.0.0.1:{}/\nfetch-retries=0\n", free_port());
    fs::write(project.path().join(".npmrc"), gone).expect("a file");
    let error = look(&project).run().expect_err("nobody answers");
    assert_eq!(error.code, "no_index", "{error}");
}

#[test]
fn a_folder_without_a_project_is_an_error() {
    let error = look(&tempfile::tempdir().expect("a folder")).run().expect_err("no project");
    assert!(error.message.ends_with(" has no package.json"), "{error}");
}
