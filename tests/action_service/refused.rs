//! What is not done, and what is said then.

use std::path::Path;
use std::process::Command;

use opsctl::action::Changed;

use super::{help, is_active, lasting, service, systemctl, unit};
use crate::support::again::{again_in, is_again, with_own_mounts};
use crate::support::lab::{Lab, again_inside};

#[test]
fn a_unit_that_does_not_exist_is_an_error_with_near_names() {
    again_inside(&["dbus.service"], || {
        lasting("webshop.service", "");
        let error = service("webshpo", "restarted").plan().expect_err("no such unit");
        assert_eq!((error.code, error.changed), ("not_found", Changed::Nothing));
        assert_eq!(error.message, "there is no unit webshpo.service on this machine");
        assert!(help(&error).starts_with("did you mean webshop.service?"), "{error:?}");
        let stopped = service("webshpo", "stopped").plan().expect_err("not settled: it never was there");
        assert_eq!(stopped.code, "not_found");
    });
}

#[test]
fn a_unit_that_systemd_cannot_read_is_said_to_be_so() {
    again_inside(&["dbus.service"], || {
        unit("broken.service", "[Service]\nType=simple\n");
        let error = service("broken", "started").plan().expect_err("no ExecStart");
        assert_eq!(error.code, "bad_unit");
        assert!(error.message.starts_with("systemd cannot use broken.service: bad-setting"), "{error}");
    });
}

#[test]
fn a_masked_unit_is_neither_started_nor_unmasked() {
    again_inside(&["dbus.service"], || {
        systemctl(&["mask", "fstrim.service"]);
        let error = service("fstrim", "started").plan().expect_err("masked");
        assert_eq!(error.message, "fstrim.service is masked: somebody has forbidden that it is started");
        assert_eq!(error.changed, Changed::Nothing);
        assert!(help(&error).contains("systemctl unmask fstrim.service"));
    });
}

#[test]
fn what_has_no_install_section_cannot_be_enabled() {
    again_inside(&["dbus.service"], || {
        let error = service("dbus", "enabled").plan().expect_err("static");
        assert_eq!(error.message, "dbus.service cannot be enabled or disabled: its file has no [Install] section");
    });
}

#[test]
fn what_cannot_reload_is_not_restarted_instead() {
    again_inside(&["dbus.service"], || {
        lasting("shop.service", "");
        systemctl(&["start", "shop"]);
        let error = service("shop", "reloaded").plan().expect_err("no ExecReload");
        assert_eq!(error.message, "shop.service cannot read its configuration again while it runs");
    });
}

#[test]
fn a_unit_that_refuses_people_says_so() {
    again_inside(&["dbus.service"], || {
        lasting("shop.service", "RefuseManualStart=yes");
        let error = service("shop", "started").plan().expect_err("refused");
        assert_eq!(error.message, "shop.service cannot be started by hand");
    });
}

#[test]
fn a_file_that_systemd_has_not_read_again_is_noted_and_not_read() {
    again_inside(&["dbus.service"], || {
        lasting("shop.service", "");
        systemctl(&["start", "shop"]);
        let changed = "[Service]\nExecStart=sleep 2000\n";
        std::fs::write("/etc/systemd/system/shop.service", changed).expect("a unit");
        let act = service("shop", "restarted");
        let plan = act.plan().expect("a plan");
        assert!(plan.notes[1].starts_with("the file of shop.service was changed since systemd read it"), "{plan:?}");
        act.perform(&plan).expect("a restart");
        assert_eq!(systemctl(&["show", "--value", "-p", "NeedDaemonReload", "shop"]), "yes");
        let plan = act.plan().expect("a plan");
        systemctl(&["daemon-reload"]);
        let error = act.perform(&plan).expect_err("another program would be started");
        assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
    });
}

#[test]
fn what_has_changed_since_the_plan_is_left_alone() {
    again_inside(&["dbus.service"], || {
        lasting("shop.service", "");
        systemctl(&["start", "shop"]);
        let act = service("shop", "restarted");
        let plan = act.plan().expect("a plan");
        systemctl(&["restart", "shop"]);
        let error = act.perform(&plan).expect_err("somebody else was quicker");
        assert_eq!(error.message, "shop.service has changed since this was planned: it has been restarted");
        let plan = act.plan().expect("a plan");
        systemctl(&["stop", "shop"]);
        let error = act.perform(&plan).expect_err("somebody has stopped it");
        assert_eq!(error.message, "shop.service has changed since this was planned: it does not run now");
        assert!(!is_active("shop"));
        let plan = service("shop", "started").plan().expect("a plan");
        let error = act.perform(&plan).expect_err("the plan of another step");
        assert_eq!(
            error.message,
            "shop.service has changed since this was planned: the step asks for something else now"
        );
    });
}

/// Runs `body` inside as a user who may change nothing, where there is a service `shop`.
fn as_nobody_inside<F: FnOnce()>(body: F) {
    if is_again::<F>() {
        return body();
    }
    let lab = Lab::up(&["dbus.service"]);
    lab.write("/etc/systemd/system/shop.service", "[Service]\nExecStart=sleep 1000\n");
    let mut words = lab.words(Path::new("/"));
    words.extend(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"].map(str::to_owned));
    again_in(&lab.share(), &words.iter().map(String::as_str).collect::<Vec<_>>(), body);
}

#[test]
fn without_permission_nothing_is_done_and_the_right_is_named() {
    as_nobody_inside(|| {
        let act = service("shop", "started");
        let plan = act.plan().expect("anybody may look");
        let error = act.perform(&plan).expect_err("no permission");
        assert_eq!((error.code, error.changed), ("permission", Changed::Nothing));
        assert_eq!(error.message, "the start of shop.service: systemd does not permit it");
        assert!(help(&error).contains("org.freedesktop.systemd1.manage-units"), "{error:?}");
    });
}

#[test]
fn without_a_bus_the_message_says_so() {
    again_inside(&[], || {
        systemctl(&["stop", "dbus.socket", "dbus.service"]);
        let error = service("cron", "started").plan().expect_err("no bus");
        assert_eq!((error.code, error.changed), ("no_service_manager", Changed::Nothing));
        assert!(error.message.starts_with("cannot reach systemd over the system bus"), "{error}");
    });
}

#[test]
fn without_systemd_the_site_file_is_named() {
    with_own_mounts(|| {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]).status().expect("mount starts");
        assert!(mounted.success());
        let error = service("cron", "started").plan().expect_err("no systemd");
        assert_eq!(error.message, "this machine was not booted by systemd");
        assert!(help(&error).contains("`services` of the site file"), "{error:?}");
    });
}

#[test]
fn what_is_no_name_is_refused() {
    let wrong = |name: &str| service(name, "started").build().err().expect("a wrong name").message;
    assert_eq!(wrong("--force"), "`--force` is no name of a service");
    assert_eq!(wrong("a b"), "`a b` is no name of a service");
    assert_eq!(wrong("postgresql@"), "`postgresql@` is a template for services");
    assert_eq!(wrong("postgresql@.service"), "`postgresql@.service` is a template for services");
}
