//! pip, with wheels made for the test and no index.

use std::fs;
use std::path::Path;
use std::process::Command;

use opsctl::action::Changed;
use opsctl::model::value::Value;
use serde_json::json;
use tempfile::TempDir;

use super::texts;
use crate::support::act::Act;
use crate::support::again::again_under;

/// A virtual environment that knows only the wheels of its own folder.
struct Venv {
    folder: TempDir,
}

const WHEEL: &str = "
import sys, zipfile
folder, name, version, requires = sys.argv[1:]
info = f'{name}-{version}.dist-info/'
with zipfile.ZipFile(f'{folder}/{name}-{version}-py3-none-any.whl', 'w') as wheel:
    wheel.writestr(f'{name}.py', f'version = {version!r}')
    lines = ''.join(f'Requires-Dist: {one}\\n' for one in requires.split(',') if one)
    wheel.writestr(info + 'METADATA', f'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n{lines}')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(info + 'RECORD', '')
";

impl Venv {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Command::new("python3").args(["-m", "venv"]).arg(folder.path().join("venv")).output();
        let made = made.expect("python3 starts");
        assert!(made.status.success(), "python3-venv is needed: {}", String::from_utf8_lossy(&made.stdout));
        fs::create_dir(folder.path().join("wheels")).expect("a folder");
        let config = format!("[global]\nno-index = true\nfind-links = {}\n", folder.path().join("wheels").display());
        fs::write(folder.path().join("venv/pip.conf"), config).expect("a file");
        Self { folder }
    }

    fn path(&self) -> String {
        self.folder.path().join("venv").display().to_string()
    }

    fn wheel(&self, name: &str, version: &str, requires: &str) {
        let made = Command::new("python3")
            .args(["-c", WHEEL])
            .arg(self.folder.path().join("wheels"))
            .args([name, version, requires])
            .status()
            .expect("python3 starts");
        assert!(made.success());
    }

    fn act(&self, packages: &[&str]) -> Act {
        Act::new("packages", json!({"manager": "pip", "environment": self.path(), "package": packages}))
    }

    fn pip(&self, arguments: &[&str]) {
        let python = Path::new(&self.path()).join("bin/python");
        let done = Command::new(python).args(["-m", "pip", "--quiet"]).args(arguments).output().expect("pip starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// Runs `body` in a process that has no settings of pip in its environment: they would win over those of the test.
fn alone<F: FnOnce()>(body: F) {
    let settings = ["PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_CONFIG_FILE"];
    let without = settings.iter().flat_map(|name| ["-u", name]);
    again_under(&["env"].into_iter().chain(without).collect::<Vec<_>>(), body);
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
        let act = venv.act(&["Shop==2.0"]);
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
        let undone = venv.act(&before.iter().map(String::as_str).collect::<Vec<_>>()).subject();
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
        let error = venv.act(&["shop==3.0"]).plan().expect_err("no such version");
        assert_eq!((error.code, error.changed), ("refused", Changed::Nothing));
        assert!(error.message.starts_with("pip cannot install shop 3.0: Could not find a version"), "{error}");
        let error = venv.act(&["broken==1.0"]).plan().expect_err("what it requires is nowhere");
        assert!(error.message.contains("nowhere>=1"), "{error}");
        let act = venv.act(&["shop==2.0"]);
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
