//! The disposable machine itself, which other tests rely on.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::case::Case;
use crate::support::lab::{Lab, again_inside};
use crate::support::server::wait_until;

/// Control groups of machines that are up, in all hierarchies that this machine has mounted.
fn groups_of(keeper: &str) -> String {
    let found = Command::new("find").args(["/sys/fs/cgroup", "-name", &format!("opsctl-lab-{keeper}")]).output();
    String::from_utf8(found.expect("find of findutils starts").stdout).expect("paths")
}

/// The process outside that keeps the machine up: the parent's parent of its first process.
fn keeper_of(lab: &Lab) -> String {
    let parent = |of: &str| {
        let status = fs::read_to_string(format!("/proc/{of}/status")).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("a parent");
        line.trim().to_owned()
    };
    parent(&parent(&lab.leader().to_string()))
}

#[test]
fn machines_side_by_side_have_services_of_their_own() {
    let (one, other) = (Lab::up(&["apache2.service"]), Lab::up(&["apache2.service"]));
    for lab in [&one, &other] {
        lab.run(["systemctl", "is-active", "apache2"]).exits(0).prints("active\n");
    }
    one.run(["systemctl", "stop", "apache2"]).exits(0);
    one.run(["pgrep", "apache2"]).exits(1);
    other.run(["pgrep", "--count", "--uid", "root", "apache2"]).exits(0).prints("1\n");
    other.run(["systemctl", "is-active", "apache2"]).exits(0);
}

#[test]
fn what_happens_inside_stays_inside() {
    let lab = Lab::up(&[]);
    lab.write("/etc/opsctl-lab-was-here", "x");
    lab.run(["cat", "/etc/opsctl-lab-was-here"]).exits(0).prints("x");
    assert!(!Path::new("/etc/opsctl-lab-was-here").exists());
    lab.run(["sysctl", "--write", "vm.swappiness=61"]).exits(1);
    lab.run(["ip", "-brief", "link", "show", "up"]).exits(0).says("lo ").never_says("eth");
}

#[test]
fn nothing_is_left_of_a_machine_that_was_taken_down() {
    let lab = Lab::up(&["apache2.service"]);
    let (leader, keeper, share) = (lab.leader(), keeper_of(&lab), lab.share());
    assert_ne!(groups_of(&keeper), "");
    drop(lab);
    wait_until("the end of its first process", || !Path::new(&format!("/proc/{leader}")).exists());
    assert_eq!(groups_of(&keeper), "");
    assert!(!share.exists());
}

#[test]
fn the_program_runs_inside_with_files_of_its_user_and_on_a_terminal() {
    let lab = Lab::up(&[]);
    lab.opsctl(["--version"]).exits(0).says("opsctl");
    let name = "title: Name\nsteps:\n  - id: name\n    title: The machine has a name\n    \
                probe: { command: { run: [hostname] } }\n    expect: { stdout: lab }\n";
    let case = Case::inside(&lab, "lab").site("").procedure("daily/name.yaml", name);
    case.run(["daily", "name"]).exits(0);
    case.run_on_a_terminal("daily name").exits(0).says("\x1b[32mPASS\x1b[0m  name");
}

#[test]
fn a_test_can_go_on_inside() {
    again_inside(&[], || {
        assert_eq!(fs::read_to_string("/etc/hostname").expect("a name"), "lab\n");
        assert!(tempfile::tempdir().is_ok());
    });
}
