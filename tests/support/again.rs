//! A test in a process of its own, for what must not happen to the process that all tests share.

use std::path::Path;
use std::process::Command;

const MARK: &str = "OPSCTL_TEST_AGAIN";

/// `all::probe_disk::name_of_the_test::{{closure}}` without its ends.
fn test_of<F: FnOnce()>() -> &'static str {
    std::any::type_name::<F>().trim_end_matches("::{{closure}}").split_once("::").expect("a path").1
}

/// Whether this is the new process.
pub fn is_again<F: FnOnce()>() -> bool {
    std::env::var(MARK).is_ok_and(|mark| mark == test_of::<F>())
}

/// Runs `body`, a closure of the test itself, in a new process that `wrapper` starts: the wrapper's arguments are
/// followed by a program and its arguments. Panics with the output when it fails there.
pub fn again_under<F: FnOnce()>(wrapper: &[&str], body: F) {
    again_in(&std::env::temp_dir(), wrapper, body);
}

/// The same, with temporary files below `temporary`.
pub fn again_in<F: FnOnce()>(temporary: &Path, wrapper: &[&str], body: F) {
    if is_again::<F>() {
        return body();
    }
    let test = test_of::<F>();
    // What is left there can be removed when the mounts of the new process are gone, and not before.
    let folder = tempfile::tempdir_in(temporary).expect("a temporary folder");
    let output = Command::new(wrapper[0])
        .args(&wrapper[1..])
        .arg(std::env::current_exe().expect("the test binary"))
        .args(["--exact", test, "--nocapture"])
        .env(MARK, test)
        .env("TMPDIR", folder.path())
        .output()
        .expect("the wrapper starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("1 passed"), "under {wrapper:?}:\n{printed}\n{errors}");
}

/// Runs `body` with mounts of its own: what it mounts is seen by nobody else, and gone with it. Needs root.
pub fn with_own_mounts<F: FnOnce()>(body: F) {
    again_under(&["unshare", "--mount"], body);
}
