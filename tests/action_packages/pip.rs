//! pip, with wheels made for the test and no index.

use opsctl::action::Changed;
use opsctl::model::value::Value;
use serde_json::json;

use super::texts;
use crate::support::act::Act;
use crate::support::venv::{Venv, alone};

fn install(venv: &Venv, packages: &[&str]) -> Act {
    Act::new("packages", json!({"manager": "pip", "environment": venv.path(), "package": packages}))
}

#[test]
fn pip_installs_what_the_plan_resolved_and_nothing_newer() {
    alone(|| {
        let venv = Venv::new();
        venv.wheel("shop", "1.0", "shop_money>=1.0");
        venv.wheel("shop", "2.0", "shop_money>=1.1");
        venv.wheel("shop_money", "1.0", "");
        venv.pip(&["install", "shop==1.0"]);
        venv.wheel("shop_money", "1.1", "");
        let act = install(&venv, &["Shop==2.0"]);
        let plan = act.plan().expect("a plan");
        let python = format!("{}/bin/python", venv.path());
        assert_eq!(
            plan.does,
            [format!(
                "LC_ALL=C.UTF-8 {python} -m pip --no-input --disable-pip-version-check install --quiet --no-deps shop==2.0 \
             shop_money==1.1"
            )]
        );
        assert_eq!(plan.notes, ["changes shop 1.0 -> 2.0, shop_money 1.0 -> 1.1"]);
        venv.wheel("shop_money", "9.0", "");
        let done = act.perform(&plan).expect("an upgrade").subjects.remove(0);
        assert_eq!(
            (texts(&done, "before"), texts(&done, "after")),
            (vec!["shop==1.0".to_owned(), "shop_money==1.0".to_owned()], vec!["Shop==2.0".to_owned()])
        );
        assert_eq!(done.facts["consistent"], Value::Bool(true));
        assert!(act.plan().expect("a plan").settled);
        let before = texts(&done, "before");
        let undone = install(&venv, &before.iter().map(String::as_str).collect::<Vec<_>>()).subject();
        assert_eq!(texts(&undone, "after"), ["shop==1.0", "shop_money==1.0"]);
    });
}

#[test]
fn what_pip_cannot_install_or_what_has_changed_is_left_alone() {
    alone(|| {
        let venv = Venv::new();
        venv.wheel("shop", "1.0", "");
        venv.wheel("shop", "2.0", "");
        venv.wheel("broken", "1.0", "nowhere>=1");
        let error = install(&venv, &["shop==3.0"]).plan().expect_err("no such version");
        assert_eq!((error.code, error.changed), ("refused", Changed::Nothing));
        assert!(error.message.starts_with("pip cannot install shop 3.0: Could not find a version"), "{error}");
        let error = install(&venv, &["broken==1.0"]).plan().expect_err("what it requires is nowhere");
        assert!(error.message.contains("nowhere>=1"), "{error}");
        let act = install(&venv, &["shop==2.0"]);
        let plan = act.plan().expect("a plan");
        venv.pip(&["install", "shop==1.0"]);
        let error = act.perform(&plan).expect_err("it was planned as a new package");
        assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
    });
}

#[test]
fn a_folder_that_is_no_virtual_environment_is_refused() {
    let act = Act::new("packages", json!({"manager": "pip", "environment": "/usr", "package": "shop==1.0"}));
    let error = act.plan().expect_err("the system's own Python is not touched");
    assert_eq!(error.message, "/usr is no virtual environment");
}
