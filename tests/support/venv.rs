//! Virtual environments of Python, with wheels made for the test and no index.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::again::again_under;

/// A virtual environment that knows only the wheels of its own folder.
pub struct Venv {
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
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Command::new("python3").args(["-m", "venv"]).arg(folder.path().join("venv")).output();
        let made = made.expect("python3 starts");
        assert!(made.status.success(), "python3-venv is needed: {}", String::from_utf8_lossy(&made.stdout));
        fs::create_dir(folder.path().join("wheels")).expect("a folder");
        let wheels = folder.path().join("wheels").display().to_string();
        let venv = Self { folder };
        venv.configure(&format!("no-index = true\nfind-links = {wheels}\n"));
        venv
    }

    /// Its settings of pip.
    pub fn configure(&self, settings: &str) {
        let file = self.folder.path().join("venv/pip.conf");
        fs::write(file, format!("[global]\n{settings}")).expect("a file");
    }

    pub fn path(&self) -> String {
        self.folder.path().join("venv").display().to_string()
    }

    pub fn wheel(&self, name: &str, version: &str, requires: &str) {
        let made = Command::new("python3")
            .args(["-c", WHEEL])
            .arg(self.folder.path().join("wheels"))
            .args([name, version, requires])
            .status()
            .expect("python3 starts");
        assert!(made.success());
    }

    pub fn pip(&self, arguments: &[&str]) {
        let python = Path::new(&self.path()).join("bin/python");
        let done = Command::new(python).args(["-m", "pip", "--quiet"]).args(arguments).output().expect("pip starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// Runs `body` in a process that has no settings of pip in its environment: they would win over those of the test.
pub fn alone<F: FnOnce()>(body: F) {
    let settings = ["PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_CONFIG_FILE"];
    let without = settings.iter().flat_map(|name| ["-u", name]);
    again_under(&["env"].into_iter().chain(without).collect::<Vec<_>>(), body);
}
