//! pip, in virtual environments of the test.

use opsctl::model::value::Value;
use serde_json::json;

use super::{count, lines, seen};
use crate::support::look::Look;
use crate::support::npm::Registry;
use crate::support::server::free_port;
use crate::support::venv::{Venv, alone};

fn look(venv: &Venv) -> Look {
    Look::new("packages", json!({"manager": "pip", "environment": venv.path()}))
}

#[test]
fn newer_versions_are_counted_and_what_is_required_is_checked() {
    alone(|| {
        let venv = Venv::new();
        venv.wheel("shop", "1.0", "shop_money>=1.0");
        venv.wheel("shop_money", "1.0", "");
        venv.pip(&["install", "shop==1.0"]);
        assert_eq!(count(&look(&venv).subject(), "pending"), 0);
        venv.wheel("shop_money", "1.1", "");
        let all = seen(json!({"manager": "pip", "environment": venv.path()}));
        assert_eq!((count(&all.subjects[0], "pending"), lines(&all)), (1, vec!["shop_money  1.0 -> 1.1"]));
        assert_eq!(all.subjects[0].facts["consistent"], Value::Bool(true));
        assert!(!all.subjects[0].facts.contains_key("security"), "pip does not know");
        venv.pip(&["uninstall", "--yes", "shop_money"]);
        let broken = look(&venv).subject();
        assert_eq!(broken.facts["consistent"], Value::Bool(false));
        assert!(broken.notes[0].contains("shop 1.0 requires shop-money") || broken.notes[0].contains("shop_money"));
    });
}

#[test]
fn without_its_index_pip_says_that_nothing_is_newer_and_that_is_an_error() {
    alone(|| {
        let venv = Venv::new();
        venv.configure(&format!("index-url = http://operator:sesame@127.0.0.1:{}/simple\n", free_port()));
        let error = look(&venv).run().expect_err("nobody answers");
        assert_eq!(error.code, "no_index", "{error}");
        assert!(error.message.starts_with("pip could not ask the index for the packages of "), "{error}");
        assert!(!error.message.contains("sesame"), "{error}");
    });
}

#[test]
fn a_package_that_the_index_does_not_know_has_nothing_newer() {
    alone(|| {
        let venv = Venv::new();
        // A server that answers 404.
        venv.configure(&format!("index-url = {}simple\n", Registry::start().url));
        assert_eq!(count(&look(&venv).subject(), "pending"), 0);
    });
}

#[test]
fn a_folder_that_is_no_virtual_environment_is_an_error() {
    let error = Look::new("packages", json!({"manager": "pip", "environment": "/usr"})).run().expect_err("none");
    assert_eq!(error.message, "/usr is no virtual environment");
}
