//! apt, with packages made for the test.

use std::process::{Command, Stdio};
use std::time::Duration;

use chrono::TimeDelta;
use opsctl::model::value::Value;
use serde_json::json;

use super::{count, lines, seconds, seen};
use crate::support::again::again_under;
use crate::support::debian::{SECURITY, install, package, package_in, succeed, version};
use crate::support::lab::again_inside;
use crate::support::look::Look;
use crate::support::server::wait_until;

/// What the machine has pending by itself is of its own archives, which the test takes away.
fn look() -> Look {
    Look::new("packages", json!({}))
}

#[test]
fn newer_versions_are_counted_and_those_for_security_come_first() {
    again_inside(&[], || {
        package("shop", "1.0", "", &[]);
        package("shop-tls", "1.0", "", &[]);
        install(&["shop", "shop-tls"]);
        let none = look().subject();
        assert_eq!((count(&none, "pending"), count(&none, "security"), count(&none, "broken")), (0, 0, 0));
        assert!(seconds(&none, "lists_age") < 3600.0 && none.notes.is_empty(), "{none:?}");
        package("shop", "2.0", "", &[]);
        package_in(SECURITY, "shop-tls", "1.1", "", &[]);
        let all = seen(json!({"manager": "apt"}));
        assert_eq!((count(&all.subjects[0], "pending"), count(&all.subjects[0], "security")), (2, 1));
        assert_eq!(all.subjects[0].facts["consistent"], Value::Bool(true));
        assert_eq!(lines(&all), ["shop-tls  1.0 -> 1.1  security", "shop  1.0 -> 2.0"]);
        assert_eq!(["shop", "shop-tls"].map(version), ["1.0", "1.0"], "nothing was changed");
    });
}

#[test]
fn a_new_version_that_needs_another_package_counts_as_kernels_do() {
    again_inside(&[], || {
        package("kernel", "1.0", "", &[]);
        install(&["kernel"]);
        package("kernel-image-2", "2.0", "", &[]);
        package("kernel", "2.0", "Depends: kernel-image-2\n", &[]);
        let all = seen(json!({}));
        assert_eq!((count(&all.subjects[0], "pending"), lines(&all)), (1, vec!["kernel  1.0 -> 2.0"]));
    });
}

#[test]
fn a_package_that_is_held_back_hides_nothing() {
    again_inside(&[], || {
        package("shop", "1.0", "", &[]);
        install(&["shop"]);
        succeed("apt-mark", &["hold", "shop"]);
        package_in(SECURITY, "shop", "1.1", "", &[]);
        let all = seen(json!({}));
        let subject = &all.subjects[0];
        assert_eq!((count(subject, "held"), count(subject, "pending"), count(subject, "security")), (1, 1, 1));
        assert_eq!(lines(&all), ["shop  1.0 -> 1.1  security  held back"]);
    });
}

#[test]
fn old_lists_know_nothing_newer_and_without_lists_nothing_is_known() {
    again_inside(&[], || {
        package("shop", "1.0", "", &[]);
        let mut later = look();
        later.cx.now += TimeDelta::days(3);
        let old = later.subject();
        assert!(seconds(&old, "lists_age") > 2.9 * 86_400.0, "{old:?}");
        assert!(old.notes[0].starts_with("the lists of packages are 3 d old"), "{old:?}");
        succeed("find", &["/var/lib/apt/lists", "-maxdepth", "1", "!", "-type", "d", "-delete"]);
        let none = look().subject();
        assert!(!none.facts.contains_key("pending") && !none.facts.contains_key("lists_age"), "{none:?}");
        assert_eq!(none.notes, ["there are no lists of packages, so nothing newer is known; run `apt-get update`"]);
    });
}

#[test]
fn what_is_half_installed_or_lacks_what_it_requires_is_told() {
    again_inside(&[], || {
        package("shop", "1.0", "", &[("DEBIAN/postinst", "#!/bin/sh\nexit 1\n")]);
        let failed = Command::new("apt-get").args(["--yes", "install", "shop"]).output().expect("apt-get");
        assert!(!failed.status.success());
        let all = seen(json!({}));
        assert_eq!(count(&all.subjects[0], "broken"), 1);
        assert_eq!(lines(&all), ["shop  half-configured"]);
        succeed("dpkg", &["--purge", "shop"]);
        package("needy", "1.0", "Depends: nowhere\n", &[]);
        succeed("dpkg", &["--force-depends", "--install", "/srv/repository/needy_1.0.deb"]);
        let needy = look().subject();
        assert_eq!(needy.facts["consistent"], Value::Bool(false));
        assert!(!needy.facts.contains_key("pending"), "{needy:?}");
        assert!(needy.notes[0].starts_with("some packages lack what they require: Unmet dependencies"), "{needy:?}");
    });
}

#[test]
fn what_nothing_needs_any_more_is_counted_when_asked_for() {
    again_inside(&[], || {
        let removable = || count(&look().asked(&["removable"]).subject(), "removable");
        package("shop-help", "1.0", "", &[]);
        package("shop", "1.0", "Depends: shop-help\n", &[]);
        install(&["shop"]);
        let before = removable();
        assert!(!look().subject().facts.contains_key("removable"), "nobody asked");
        succeed("apt-get", &["--yes", "remove", "shop"]);
        assert_eq!(removable(), before + 1);
    });
}

#[test]
fn another_package_manager_at_work_is_no_obstacle() {
    again_inside(&[], || {
        package("shop", "1.0", "", &[]);
        let program = "import fcntl, time\nfor name in ['/var/lib/dpkg/lock-frontend', '/var/lib/dpkg/lock', \
                       '/var/lib/apt/lists/lock']:\n f = open(name, 'w'); globals()[name] = f; \
                       fcntl.lockf(f, fcntl.LOCK_EX)\nopen('/run/locked', 'w')\ntime.sleep(1000)";
        let mut holder = Command::new("python3").args(["-c", program]).stdin(Stdio::null()).spawn().expect("python3");
        wait_until("the locks", || std::path::Path::new("/run/locked").exists());
        assert_eq!(count(&look().subject(), "broken"), 0);
        holder.kill().and_then(|()| holder.wait()).expect("its end");
    });
}

#[test]
fn nobody_needs_to_be_root_to_look_at_this_machine() {
    again_under(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"], || {
        // Without a cache of its own apt reads all lists anew.
        let subject = Look::new("packages", json!({"manager": "apt"})).limit(Duration::from_mins(2)).subject();
        assert!(count(&subject, "held") >= 0, "{subject:?}");
    });
}
