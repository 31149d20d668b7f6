//! Services that the site file manages by commands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use opsctl::action::Changed;
use opsctl::probe::ManagedService;
use tempfile::TempDir;

use super::{help, service, text};
use crate::support::act::Act;
use crate::support::server::wait_until;

/// A service that is a process whose number is in a file, and a script that manages it.
struct Search {
    folder: TempDir,
}

impl Search {
    fn new() -> Self {
        Self::with("(while sleep 0.01; do echo still here; done) & echo $! > pid; echo started")
    }

    /// With that command to start it.
    fn with(start: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let script = format!(
            "#!/bin/sh\ncase $1 in\nstatus) test -e pid && kill -0 $(cat pid) 2>/dev/null || exit 3 ;;\nstart) {start} ;;\n\
             stop) kill $(cat pid); rm pid ;;\nreload) touch reloaded ;;\nesac\n"
        );
        let path = folder.path().join("searchctl");
        fs::write(&path, script).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        Self { folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn act(&self, state: &str) -> Act {
        self.act_with(state, |_| {})
    }

    fn act_with(&self, state: &str, change: impl FnOnce(&mut ManagedService)) -> Act {
        let run = |verb: &str| vec!["./searchctl".to_owned(), verb.to_owned()];
        let mut managed = ManagedService {
            status: run("status"),
            start: Some(run("start")),
            stop: Some(run("stop")),
            ..ManagedService::default()
        };
        change(&mut managed);
        let mut act = service("search", state).service("search", managed);
        self.folder.path().clone_into(&mut act.cx.look.folder);
        act
    }

    fn pid(&self) -> Option<String> {
        fs::read_to_string(self.path("pid")).ok().map(|pid| pid.trim().to_owned())
    }

    fn is_alive(&self) -> bool {
        self.pid().is_some_and(|pid| Path::new(&format!("/proc/{pid}/exe")).exists())
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = std::process::Command::new("kill").arg(pid).status();
        }
    }
}

#[test]
fn a_service_that_was_started_goes_on_and_may_go_on_printing() {
    let search = Search::new();
    let act = search.act("started");
    let plan = act.plan().expect("a plan");
    assert_eq!(
        (plan.does.as_slice(), plan.notes.as_slice()),
        (&["./searchctl start".to_owned()][..], &["now: not running".to_owned()][..])
    );
    let done = act.perform(&plan).expect("a start").subjects.remove(0);
    assert_eq!((text(&done, "state_before"), text(&done, "state")), ("not running", "running"));
    // It prints a line every 10 ms, which nobody reads any more.
    std::thread::sleep(Duration::from_millis(200));
    assert!(search.is_alive());
    assert_eq!(search.act("started").plan().expect("a plan").notes, ["search runs"]);
}

#[test]
fn a_restart_without_a_command_of_its_own_is_a_stop_and_a_start() {
    let search = Search::new();
    assert_eq!(search.act("restarted").plan().expect("a plan").does, ["./searchctl start"]);
    search.act("started").subject();
    let before = search.pid();
    let act = search.act("restarted");
    let plan = act.plan().expect("a plan");
    assert_eq!(plan.does, ["./searchctl stop", "./searchctl start"]);
    act.perform(&plan).expect("a restart");
    assert!(search.is_alive() && search.pid() != before);
    assert_eq!(text(&search.act("stopped").subject(), "state"), "not running");
    assert!(search.act("stopped").plan().expect("a plan").settled);
}

#[test]
fn a_command_that_the_site_file_does_not_have_is_named() {
    let search = Search::new();
    let error = search.act_with("started", |service| service.start = None).plan().expect_err("no command");
    assert_eq!(error.message, "the site file has no `start` for the service search");
    let error = search.act("enabled").plan().expect_err("not by commands");
    assert_eq!(error.message, "search cannot be enabled: it is managed by commands of the site file");
    let error = search.act("reloaded").plan().expect_err("does not run");
    assert_eq!(error.message, "search does not run, so there is nothing to reload");
    search.act("started").subject();
    let error = search.act("reloaded").plan().expect_err("no command");
    assert_eq!(error.message, "the site file has no `reload` for the service search");
}

#[test]
fn a_start_that_fails_says_what_it_printed_last() {
    let search = Search::with("echo reading; echo 'the index is locked' >&2; exit 7");
    let error = search.act("started").run().expect_err("a failure");
    assert_eq!((error.code, error.changed), ("failed", Changed::Perhaps));
    assert_eq!(
        error.message,
        "`./searchctl start` ended with exit status 7; it printed last: reading / the index is locked"
    );
    assert!(help(&error).contains("./searchctl status"), "{error:?}");
}

#[test]
fn a_long_last_line_is_shown_from_its_beginning() {
    let search = Search::with("printf 'cannot open: %04000d\\n' 7; exit 7");
    let error = search.act("started").run().expect_err("a failure");
    assert!(error.message.contains("it printed last: cannot open: 000"), "{error}");
    assert!(error.message.ends_with("000..."), "{error}");
}

#[test]
fn a_start_that_succeeds_without_a_service_is_a_failure() {
    let search = Search::with("true");
    let error = search.act("started").run().expect_err("nothing runs");
    assert_eq!(error.message, "`./searchctl start` succeeded, but search does not run");
    assert_eq!(error.changed, Changed::Perhaps);
}

#[test]
fn a_status_that_cannot_tell_is_not_taken_for_stopped() {
    let search = Search::new();
    let cannot_tell = |service: &mut ManagedService| {
        service.status = ["sh", "-c", "echo no database >&2; exit 4"].map(str::to_owned).to_vec();
    };
    let error = search.act_with("started", cannot_tell).plan().expect_err("unknown");
    assert_eq!((error.code, error.changed), ("bad_answer", Changed::Nothing));
    assert!(error.message.ends_with("it ended with exit status 4; it printed last: no database"), "{error}");
    let missing = |service: &mut ManagedService| service.status = vec!["./nowhere".to_owned()];
    let error = search.act_with("started", missing).plan().expect_err("no program");
    assert_eq!((error.code, error.changed), ("no_such_tool", Changed::Nothing));
}

#[test]
fn a_start_that_never_ends_is_ended_with_its_children() {
    let search = Search::with("sleep 1000 & echo $! > pid; wait");
    let mut act = search.act("started");
    act.cx.look.limit = Duration::from_secs(1);
    let error = act.run().expect_err("too long");
    assert_eq!((error.code, error.changed), ("time_limit", Changed::Perhaps));
    assert_eq!(error.message, "`./searchctl start` did not end within 1 s; it printed nothing");
    wait_until("the end of the child", || !search.is_alive());
}

#[test]
fn a_service_that_somebody_else_started_is_left_alone() {
    let search = Search::new();
    let act = search.act("restarted");
    let plan = act.plan().expect("a plan");
    search.act("started").subject();
    let before = search.pid();
    let error = act.perform(&plan).expect_err("it was planned to be started only");
    assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
    assert_eq!(search.pid(), before);
}
