//! A real fail2ban with a socket, a log and jails of its own, which bans without a firewall.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use chrono::Utc;
use opsctl::model::fact::Subject;
use opsctl::model::unit::{Dimension, Quantity};
use opsctl::model::value::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::support::again::again_under;
use crate::support::look::Look;
use crate::support::server::{self, wait_until};

struct Fail2ban {
    folder: TempDir,
}

impl Fail2ban {
    /// With the jails `ssh`, which bans at the second failure, and `web`, or with none.
    fn start(jails: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        let at = folder.path().display();
        write(
            "conf/fail2ban.conf",
            &format!(
                "[Definition]\nloglevel = INFO\nlogtarget = {at}/fail2ban.log\nsyslogsocket = auto\n\
                 socket = {at}/socket\npidfile = {at}/pid\ndbfile = {at}/db\ndbpurgeage = 1d\nallowipv6 = auto\n"
            ),
        );
        write("auth.log", "");
        write("conf/filter.d/test.conf", "[Definition]\nfailregex = failed from <HOST>$\n");
        let jail = |name: &str, retries: u32| {
            format!("[{name}]\nenabled = true\nfilter = test\nlogpath = {at}/auth.log\nmaxretry = {retries}\n")
        };
        let both = if jails { jail("ssh", 2) + &jail("web", 50) } else { String::new() };
        // Without an action, nothing but the list of fail2ban itself is changed.
        let common = "[DEFAULT]\nbackend = polling\nfindtime = 1h\nbantime = 1h\naction =\nignoreself = false\n";
        write("conf/jail.conf", &format!("{common}{both}"));
        let this = Self { folder };
        let program = server::program("fail2ban-server");
        let [conf, socket, pid] = ["conf", "socket", "pid"].map(|name| this.path(name).display().to_string());
        server::start(
            [program, "-xf".into(), "-c".into(), conf, "-s".into(), socket, "-p".into(), pid, "start".into()].into(),
        );
        wait_until("fail2ban", || this.client(&["ping"]).contains("pong"));
        if jails {
            wait_until("its jails", || this.client(&["status"]).contains("web"));
        }
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn client(&self, words: &[&str]) -> String {
        let mut command = Command::new("fail2ban-client");
        command.arg("-c").arg(self.path("conf")).arg("-s").arg(self.path("socket")).args(words);
        String::from_utf8(command.output().expect("fail2ban-client starts").stdout).expect("UTF-8")
    }

    fn look(&self) -> Look {
        Look::new("fail2ban", json!({ "socket": self.path("socket") }))
    }

    fn jail(&self, name: &str) -> Subject {
        Look::new("fail2ban", json!({ "socket": self.path("socket"), "jail": name })).subject()
    }
}

impl Drop for Fail2ban {
    fn drop(&mut self) {
        self.client(&["stop"]);
    }
}

fn number(subject: &Subject, fact: &str) -> Option<f64> {
    subject.facts.get(fact).and_then(|value| value.number_in(Dimension::Count))
}

fn is(subject: &Subject, fact: &str) -> Option<bool> {
    subject.facts.get(fact).map(|value| *value == Value::Bool(true))
}

#[test]
fn each_jail_tells_its_failures_and_bans() {
    let fail2ban = Fail2ban::start(true);
    fail2ban.client(&["set", "web", "banip", "192.0.2.1"]);
    let mut log = fs::File::options().append(true).open(fail2ban.path("auth.log")).expect("a log");
    for _ in 0..2 {
        let now = chrono::Local::now().format("%Y-%m-%d %H:%M:%S");
        writeln!(log, "{now} failed from 192.0.2.7").expect("a line");
    }
    wait_until("two bans", || {
        let seen = fail2ban.look().run().expect("a look");
        seen.subjects.iter().all(|subject| number(subject, "banned") == Some(1.0))
    });
    let seen = fail2ban.look().run().expect("a look");
    let names: Vec<&str> = seen.subjects.iter().map(|subject| subject.name.as_str()).collect();
    assert_eq!(names, ["ssh", "web"]);
    for subject in &seen.subjects {
        assert_eq!((is(subject, "answers"), is(subject, "active")), (Some(true), Some(true)), "{subject:?}");
        assert_eq!((number(subject, "total_banned"), number(subject, "recent_bans")), (Some(1.0), None), "{subject:?}");
    }
    assert_eq!(number(&seen.subjects[0], "total_failed"), Some(2.0));
    let evidence: Vec<_> = seen.evidence.iter().map(|one| (one.title.as_str(), one.lines.join(" "))).collect();
    assert_eq!(evidence, [("banned by ssh", "192.0.2.7".to_owned()), ("banned by web", "192.0.2.1".to_owned())]);

    let before = |bans, failures| {
        let counted =
            [("ssh", "total_banned", Quantity::count(bans)), ("ssh", "total_failed", Quantity::count(failures))];
        let later = fail2ban.look().before(Utc::now(), &counted).run().expect("a look").subjects.remove(0);
        (number(&later, "recent_bans"), number(&later, "recent_failures"))
    };
    assert_eq!(before(0.0, 2.0), (Some(1.0), Some(0.0)));
    assert_eq!(before(9.0, 9.0), (Some(1.0), Some(2.0)), "the server was started anew");
}

#[test]
fn a_jail_that_is_missing_is_not_active_and_those_at_work_are_named() {
    let fail2ban = Fail2ban::start(true);
    let missing = fail2ban.jail("sshd");
    assert_eq!((is(&missing, "answers"), is(&missing, "active")), (Some(true), Some(false)), "{missing:?}");
    assert_eq!(missing.notes, ["there is no jail sshd; those at work: ssh, web"]);
    assert_eq!(number(&missing, "banned"), None);
}

#[test]
fn a_fail2ban_without_jails_watches_nothing() {
    let none = Fail2ban::start(false).look().subject();
    assert_eq!((is(&none, "answers"), is(&none, "active")), (Some(true), Some(false)), "{none:?}");
    assert!(none.notes[0].contains("it has no jail"), "{none:?}");
}

#[test]
fn a_server_that_does_not_run_does_not_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let down = Look::new("fail2ban", json!({ "socket": folder.path().join("socket"), "jail": "ssh" })).subject();
    assert_eq!((is(&down, "answers"), is(&down, "active")), (Some(false), None), "{down:?}");
    assert!(down.notes[0].contains("no fail2ban answers at"), "{down:?}");
}

#[test]
fn a_user_who_may_not_ask_is_told_who_may() {
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
    let body = || {
        let socket = std::env::var("OPSCTL_TEST_FAIL2BAN").expect("the socket");
        let error = Look::new("fail2ban", json!({ "socket": socket })).run().expect_err("it is refused");
        assert_eq!((error.code, error.help.as_deref()), ("permission", Some("run opsctl as root")));
    };
    if std::env::var("OPSCTL_TEST_FAIL2BAN").is_ok() {
        return body();
    }
    let fail2ban = Fail2ban::start(true);
    fs::set_permissions(fail2ban.folder.path(), fs::Permissions::from_mode(0o755)).expect("rights");
    let socket = format!("OPSCTL_TEST_FAIL2BAN={}", fail2ban.path("socket").display());
    let wrapper: Vec<&str> = ["env", socket.as_str()].into_iter().chain(nobody).collect();
    again_under(&wrapper, body);
}

#[test]
fn what_is_no_name_of_a_jail_is_refused() {
    let refused = Look::new("fail2ban", json!({ "jail": "--help" })).build().err().expect("it is refused");
    assert_eq!(refused.message, "`--help` is not the name of a jail");
}
