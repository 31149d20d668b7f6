//! dnf, with packages made for the test.

use std::fs;

use serde_json::json;

use super::{count, lines, seconds, seen};
use crate::support::debian::succeed;
use crate::support::lab::again_inside;
use crate::support::look::Look;

const REPOSITORY: &str = "/srv/rpm";

fn package(name: &str, version: &str) {
    fs::create_dir_all(REPOSITORY).expect("a folder");
    let spec = format!(
        "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: made for a test\nLicense: MIT\nBuildArch: noarch\n\
         %description\nmade for a test\n%files\n"
    );
    let file = format!("/srv/{name}.spec");
    fs::write(&file, spec).expect("a file");
    succeed("rpmbuild", &["-bb", "--quiet", "--define", "_topdir /srv/build", "--define", "_rpmdir /srv/rpm", &file]);
}

/// Makes the repository known, with an advisory for `shop-tls` 2, and nothing else.
fn index() {
    succeed("createrepo_c", &["--quiet", REPOSITORY]);
    let advisory = "<updates><update type='security' from='test' status='final' version='1'><id>TEST-1</id>\
                    <title>TLS</title><severity>Important</severity><issued date='2026-01-01 00:00:00'/><pkglist>\
                    <collection short='test'><name>test</name><package name='shop-tls' version='2' release='1' \
                    epoch='0' arch='noarch'><filename>shop-tls-2-1.noarch.rpm</filename></package></collection>\
                    </pkglist></update></updates>";
    fs::write("/srv/updateinfo.xml", advisory).expect("a file");
    succeed("modifyrepo_c", &["/srv/updateinfo.xml", "/srv/rpm/repodata"]);
    fs::create_dir_all("/etc/yum.repos.d").expect("a folder");
    let repository = "[test]\nname=test\nbaseurl=file:///srv/rpm\nenabled=1\ngpgcheck=0\n";
    fs::write("/etc/yum.repos.d/test.repo", repository).expect("a file");
    succeed("dnf", &["--quiet", "makecache", "--refresh"]);
}

#[test]
fn newer_versions_are_counted_and_those_with_a_security_advisory_come_first() {
    again_inside(&[], || {
        for name in ["shop", "shop-tls", "shop-other"] {
            package(name, "1");
        }
        let installed = ["shop", "shop-tls", "shop-other"].map(|name| format!("/srv/rpm/noarch/{name}-1-1.noarch.rpm"));
        let install =
            ["--install", "--nodeps", "--force-debian"].into_iter().chain(installed.iter().map(String::as_str));
        succeed("rpm", &install.collect::<Vec<_>>());
        index();
        let none = Look::new("packages", json!({"manager": "dnf"})).subject();
        assert_eq!((count(&none, "pending"), count(&none, "security")), (0, 0));
        assert!(seconds(&none, "lists_age") < 3600.0, "{none:?}");
        package("shop", "2");
        package("shop-tls", "2");
        index();
        let all = seen(json!({"manager": "dnf"}));
        assert_eq!((count(&all.subjects[0], "pending"), count(&all.subjects[0], "security")), (2, 1));
        assert_eq!(lines(&all), ["shop-tls.noarch  1-1 -> 2-1  security", "shop.noarch  1-1 -> 2-1"]);
    });
}

#[test]
fn a_repository_that_dnf_has_no_lists_of_is_an_error_and_not_up_to_date() {
    again_inside(&[], || {
        fs::create_dir_all("/etc/yum.repos.d").expect("a folder");
        let repository = "[test]\nname=test\nbaseurl=file:///nowhere\nenabled=1\ngpgcheck=0\n";
        fs::write("/etc/yum.repos.d/test.repo", repository).expect("a file");
        let error = Look::new("packages", json!({"manager": "dnf"})).run().expect_err("no lists");
        assert_eq!(error.code, "bad_answer", "{error}");
        assert!(error.message.contains("no cache for 'test'"), "{error}");
        fs::remove_file("/etc/yum.repos.d/test.repo").expect("a file");
        let none = Look::new("packages", json!({"manager": "dnf"})).subject();
        assert!(!none.facts.contains_key("pending"), "{none:?}");
    });
}
