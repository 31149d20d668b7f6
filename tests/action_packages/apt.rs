//! apt, with packages made for the test.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use opsctl::action::Changed;
use opsctl::model::value::Value;
use serde_json::json;

use super::texts;
use crate::support::act::Act;
use crate::support::debian::{REPOSITORY, install, package, version};
use crate::support::lab::again_inside;
use crate::support::server::wait_until;

fn apt(packages: &[&str]) -> Act {
    Act::new("packages", json!({"manager": "apt", "package": packages}))
}

#[test]
fn the_plan_has_everything_that_changes_and_does_just_that() {
    again_inside(&[], || {
        package("shop-common", "1.0", "", &[]);
        package("shop-common", "2.0", "", &[]);
        package("shop-help", "2.0", "", &[]);
        package("shop", "1.0-1", "Depends: shop-common\n", &[]);
        install(&["shop-common=1.0", "shop=1.0-1"]);
        package("shop", "2.0-1", "Depends: shop-common (>= 2.0), shop-help\n", &[]);
        let act = apt(&["shop=2.0-1"]);
        let plan = act.plan().expect("a plan");
        let [does] = &plan.does[..] else { panic!("{plan:?}") };
        assert!(
            does.starts_with("DEBIAN_FRONTEND=noninteractive ") && does.ends_with(" --no-remove install shop=2.0-1"),
            "{does}"
        );
        assert!(does.contains("--force-confdef") && does.contains("--force-confold"), "{does}");
        assert_eq!(plan.notes[0], "changes shop 1.0-1 -> 2.0-1");
        assert_eq!(plan.notes[1], "changes with them shop-common 1.0 -> 2.0, shop-help 2.0 (new)");
        assert_eq!(version("shop"), "1.0-1", "a plan changes nothing");
        let done = act.perform(&plan).expect("an upgrade").subjects.remove(0);
        assert_eq!(["shop", "shop-common", "shop-help"].map(version), ["2.0-1", "2.0", "2.0"]);
        assert_eq!(texts(&done, "after"), ["shop=2.0-1"]);
        assert_eq!((&done.facts["changed"], &done.facts["removed"]), (&Value::Integer(3), &Value::Integer(0)));
        assert_eq!(done.facts["reboot_required"], Value::Bool(false));
        let again = act.plan().expect("a plan");
        assert_eq!((again.settled, again.notes[0].as_str()), (true, "installed already: shop 2.0-1"));
        // What undoes it is one of its facts.
        let before = texts(&done, "before");
        assert_eq!(before, ["shop-common=1.0", "shop=1.0-1"]);
        let undo = Act::new("packages", json!({"manager": "apt", "package": before}));
        assert!(undo.plan().expect("a plan").does[0].contains("--allow-downgrades"));
        undo.subject();
        assert_eq!(["shop", "shop-common"].map(version), ["1.0-1", "1.0"]);
    });
}

#[test]
fn a_removal_that_nobody_allowed_is_refused() {
    again_inside(&[], || {
        package("mailer", "1.0", "", &[]);
        package("shop", "1.0", "Conflicts: mailer\n", &[]);
        install(&["mailer"]);
        let error = apt(&["shop=1.0"]).plan().expect_err("mailer would go");
        assert_eq!((error.code, error.changed), ("refused", Changed::Nothing));
        assert_eq!(error.message, "mailer would be removed for shop 1.0");
        let act = Act::new("packages", json!({"manager": "apt", "package": "shop=1.0", "remove": "mailer"}));
        let plan = act.plan().expect("a plan");
        assert!(plan.notes.contains(&"removes mailer 1.0".to_owned()), "{plan:?}");
        let done = act.perform(&plan).expect("an exchange").subjects.remove(0);
        assert_eq!((version("mailer").as_str(), &done.facts["removed"]), ("", &Value::Integer(1)));
    });
}

#[test]
fn a_configuration_file_that_was_changed_is_kept_and_nobody_is_asked() {
    again_inside(&[], || {
        let with = |text| [("/etc/shop.conf", text), ("DEBIAN/conffiles", "/etc/shop.conf\n")];
        package("shop", "1.0", "", &with("port 80\n"));
        install(&["shop"]);
        fs::write("/etc/shop.conf", "port 8080\n").expect("a file");
        package("shop", "2.0", "", &with("port 80\nworkers 4\n"));
        apt(&["shop=2.0"]).subject();
        assert_eq!(fs::read_to_string("/etc/shop.conf").expect("a file"), "port 8080\n");
    });
}

#[test]
fn what_is_not_there_is_refused_before_anything_is_done() {
    again_inside(&[], || {
        package("shop", "1.0", "", &[]);
        let error = apt(&["shop=3.0"]).plan().expect_err("no such version");
        assert_eq!(error.message, "apt-get cannot install shop 3.0: Version '3.0' for 'shop' was not found");
        let error = apt(&["shpo=1.0"]).plan().expect_err("no such package");
        assert_eq!(error.message, "apt-get cannot install shpo 1.0: Unable to locate package shpo");
        let error = apt(&["s.op=1.0"]).plan().expect_err("apt-get takes this for a pattern");
        assert_eq!((error.code, error.changed), ("refused", Changed::Nothing), "{error}");
        assert_eq!(version("shop"), "");
    });
}

#[test]
fn what_has_changed_since_the_plan_is_not_done() {
    again_inside(&[], || {
        package("shop-common", "1.0", "", &[]);
        package("shop", "1.0", "Depends: shop-common\n", &[]);
        let act = apt(&["shop=1.0"]);
        let plan = act.plan().expect("a plan");
        package("shop-common", "1.1", "", &[]);
        let error = act.perform(&plan).expect_err("another shop-common would be installed");
        assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
        assert_eq!(error.message, "what apt-get would do for shop 1.0 has changed since this was planned");
        assert_eq!(version("shop"), "");
    });
}

#[test]
fn another_package_manager_is_waited_for_and_then_named() {
    again_inside(&[], || {
        package("shop", "1.0", "", &[]);
        let program = "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); \
                       open('/run/locked', 'w'); time.sleep(1000)";
        let mut holder = Command::new("python3")
            .args(["-c", program])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3");
        wait_until("the lock", || Path::new("/run/locked").exists());
        let mut act = apt(&["shop=1.0"]);
        act.cx.look.limit = Duration::from_secs(20);
        let plan = act.plan().expect("a simulation needs no lock");
        let error = act.perform(&plan).expect_err("the lock is held");
        assert_eq!((error.code, error.changed), ("locked", Changed::Nothing), "{error}");
        assert!(error.message.contains(&format!("which process {} (python3) holds", holder.id())), "{error}");
        holder.kill().and_then(|()| holder.wait()).expect("its end");
        act.cx.look.limit = Duration::from_mins(1);
        act.subject();
    });
}

#[test]
fn a_download_that_fails_has_changed_nothing() {
    again_inside(&[], || {
        package("shop", "1.0", "", &[]);
        let act = apt(&["shop=1.0"]);
        let plan = act.plan().expect("a plan");
        fs::remove_file(format!("{REPOSITORY}/shop_1.0.deb")).expect("a file");
        let error = act.perform(&plan).expect_err("the file is gone");
        assert_eq!((error.code, error.changed), ("failed", Changed::Nothing), "{error}");
    });
}

#[test]
fn a_package_whose_script_fails_may_be_half_installed() {
    again_inside(&[], || {
        package("shop", "1.0", "", &[("DEBIAN/postinst", "#!/bin/sh\necho the database is locked >&2\nexit 1\n")]);
        let error = apt(&["shop=1.0"]).run().expect_err("its script fails");
        assert_eq!((error.code, error.changed), ("failed", Changed::Perhaps), "{error}");
        for said in ["the database is locked", "post-installation script subprocess returned error exit status 1"] {
            assert!(error.message.contains(said), "{error}");
        }
        assert!(error.help.as_deref().is_some_and(|help| help.contains("dpkg --configure -a")));
    });
}

#[test]
fn a_script_that_hangs_is_ended_with_everything_that_it_started() {
    again_inside(&[], || {
        package("shop", "1.0", "", &[("DEBIAN/postinst", "#!/bin/sh\nsleep 4711\n")]);
        let mut act = apt(&["shop=1.0"]);
        let plan = act.plan().expect("a plan");
        act.cx.look.limit = Duration::from_secs(15);
        let error = act.perform(&plan).expect_err("too long");
        assert_eq!((error.code, error.changed), ("time_limit", Changed::Perhaps), "{error}");
        assert!(error.help.as_deref().is_some_and(|help| help.contains("dpkg --configure -a")));
        let left = Command::new("pgrep").args(["-f", "sleep 4711|apt-get|dpkg"]).output().expect("pgrep");
        assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    });
}

#[test]
fn a_machine_that_waits_to_be_booted_again_says_so() {
    again_inside(&[], || {
        package("kernel", "1.0", "", &[("DEBIAN/postinst", "#!/bin/sh\ntouch /run/reboot-required\n")]);
        assert_eq!(apt(&["kernel=1.0"]).subject().facts["reboot_required"], Value::Bool(true));
    });
}
