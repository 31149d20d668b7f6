//! The complete drill command: every fault is seen for what it is, and nothing stays behind.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use opsctl::drill::Fault;
use rustix::process::Signal;
use serde_json::Value as Json;

use super::interrupts::finished_steps;
use super::keeps_to_the_schema;
use crate::support::case::{Case, Ran, Running};
use crate::support::server::wait_until;

/// What a run with the fault ends with, and what its steps say. A new fault has to be put here.
fn expected(fault: Fault) -> (i32, &'static [(&'static str, &'static str)]) {
    match fault {
        Fault::SiteDown => (2, &[("http-home", "does not answer: connection refused")]),
        Fault::SiteSlow => (1, &[("http-home", "s, preferred below 2 s")]),
        Fault::SiteError => (2, &[("http-home", "status 500, expected 200"), ("apache-errors-24h", "expected 0")]),
        Fault::SiteWrongPage => (2, &[("http-home", "expected matches (?i)helpdesk")]),
        Fault::SiteHangs => (2, &[("http-home", "does not answer: no answer within 10 s")]),
        Fault::DatabaseDown | Fault::DatabaseLocked => {
            (2, &[("db-select-1", "does not answer: "), ("http-home", "status 500")])
        }
        Fault::ErrorStorm => (2, &[("apache-errors-24h", "expected 0"), ("django-errors-24h", "expected 0")]),
        Fault::LogMissing => (3, &[("django-errors-24h", "django.log: does not exist")]),
        Fault::BackupMissing => (2, &[("backup-yesterday-exists", "exists false: no backup of ")]),
        Fault::BackupCorrupt | Fault::BackupTruncated => {
            (2, &[("backup-dry-run-restore", "intact false, expected true")])
        }
        Fault::BackupSmall => (2, &[("backup-size-normal", "size_vs_median ")]),
        Fault::BackupEmpty => (2, &[("backup-size-normal", "size 0 B, expected above 0 B")]),
        Fault::LatestStale | Fault::LatestDangling => {
            (2, &[("backup-yesterday-exists", "latest_is_newest false, expected true")])
        }
        Fault::ProcessGone => (2, &[("proc-python", "count 0, expected at least 1")]),
        Fault::DiskFull => (2, &[("disk-free", "free 0 % (0 B), expected above 20 %")]),
        // What no look of the morning sees.
        Fault::DataDeleted | Fault::Intruder => (0, &[]),
    }
}

fn step<'j>(json: &'j Json, id: &str) -> &'j Json {
    let steps = json["procedures"]
        .as_array()
        .expect("procedures")
        .iter()
        .flat_map(|procedure| procedure["steps"].as_array().expect("steps"));
    steps.into_iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no step {id}"))
}

fn drill(args: &[&str]) -> Ran {
    Case::new("drill").run(["drill"].iter().chain(args))
}

#[test]
fn without_a_fault_everything_holds() {
    let ran = drill(&["daily", "check"]).exits(0).prints_on_stderr("");
    assert!(ran.first_line().starts_with("PASSED  daily check  drill   8 of 8 criteria met, 1 step skipped"), "{ran}");
    ran.never_says("opsctl show");
}

#[test]
fn every_fault_ends_as_it_should_and_names_its_step_and_its_reason() {
    let left = Mutex::new(Fault::ALL.to_vec());
    let next = || left.lock().expect("a healthy lock").pop();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                while let Some(fault) = next() {
                    shows(fault);
                }
            });
        }
    });
}

fn shows(fault: Fault) {
    let ran = drill(&["daily", "check", "--format", "json", "--fault", fault.name()]);
    if fault == Fault::DiskFull && !rustix::process::geteuid().is_root() {
        ran.exits(3).says_on_stderr("help: run this drill as root");
        return;
    }
    let (exit, reasons) = expected(fault);
    let ran = ran.exits(exit).prints_on_stderr("");
    keeps_to_the_schema(&ran);
    let json = ran.json();
    for (id, reason) in reasons {
        let said = step(&json, id)["reason"].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{fault}: {id} says `{said}`, not `{reason}`");
    }
}

#[test]
fn faults_combine_and_may_stand_on_either_side_of_the_command() {
    let ran = drill(&["--fault", "process-gone", "daily", "check", "--fault=latest-stale", "--fault", "log-missing"]);
    let ran = ran.exits(2).says("FAIL  proc-python  ").says("FAIL  backup-yesterday-exists  ");
    ran.says("ERR   django-errors-24h  ").says("2 of 8 criteria unmet");
}

#[test]
fn a_mistake_starts_nothing() {
    let ran = drill(&["--fault", "disk-ful", "daily", "check"]).exits(3).prints("");
    ran.says_on_stderr("error: `disk-ful` is not a fault; did you mean `disk-full`?\n");
    let ran = drill(&["daily", "check", "--fault"]).exits(3).prints("");
    ran.says_on_stderr("error: --fault names nothing\n");
    let ran = drill(&[]).exits(3).prints("");
    ran.says_on_stderr("error: there is nothing to practise\n  help: name a command: `opsctl drill daily check`\n");
    drill(&["daily", "chek"]).exits(3).prints("").says_on_stderr("a similar subcommand exists: 'check'");
}

#[test]
fn the_list_of_faults_has_each_of_them() {
    let mut ran = drill(&["--list-faults"]).exits(0).prints_on_stderr("");
    for fault in Fault::ALL {
        ran = ran.says(&format!("  {fault} ")).says(fault.about());
    }
}

#[test]
fn any_command_can_be_practised_and_each_drill_begins_anew() {
    drill(&["daily"]).exits(0).says("backup-check   never run  ").says("system-health  never run  ");
    drill(&["daily", "backup-check", "--fault", "backup-empty"]).exits(2).says("FAIL  backup-size-normal  ");
    drill(&["lint"]).exits(0).says("11 procedures with ");
    drill(&["history"]).exits(0).says("no such run in the journal ");
    drill(&["show", "last"]).exits(3).prints("").says_on_stderr("does not exist");
    drill(&["daily", "check", "--help"]).exits(0).says("Usage: opsctl daily check");
    drill(&["daily", "check", "--quiet"]).exits(0).prints("").prints_on_stderr("");
    drill(&["daily", "backup-check", "--color", "always"]).exits(0).says("\x1b[32mPASSED");
}

#[test]
fn the_journal_of_the_user_knows_nothing_of_drills() {
    let case = Case::new("own");
    case.run(["drill", "daily", "check", "--only", "disk-free"]).exits(0);
    case.run(["history"]).exits(0).says("no such run");
}

// --- its end ---

/// A drill of a web server that hangs, once all but the hanging step is on record; and the folder of the practice system.
fn hanging(case: &Case) -> (Running, PathBuf) {
    let running = case.start(["drill", "daily", "check", "--fault", "site-hangs"]);
    let drill = running.id();
    let running = running.waits_for("the practised command", || practised(drill).is_some());
    let folder = practised(drill).expect("it is still there").parent().expect("a folder").to_owned();
    let journal = folder.join("journal.db");
    let running = running.waits_for("all that does not hang", || finished_steps(&journal) >= 11);
    (running, folder)
}

/// The command lines of the processes that the drill started.
fn children_of(drill: u32) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let child = |process: fs::DirEntry| {
        let stat = fs::read_to_string(process.path().join("stat")).ok()?;
        let parent = stat.rsplit(") ").next()?.split(' ').nth(1)?;
        (parent == drill.to_string()).then(|| fs::read_to_string(process.path().join("cmdline")).ok())?
    };
    processes.filter_map(child).collect()
}

/// The site file of the command that the drill started.
fn practised(drill: u32) -> Option<PathBuf> {
    children_of(drill).into_iter().find_map(|line| {
        let mut words = line.split('\0').skip_while(|word| *word != "--site");
        words.nth(1).map(PathBuf::from)
    })
}

fn nothing_is_left_of(folder: &std::path::Path) {
    let name = folder.to_string_lossy();
    let mentions = || {
        let lines = fs::read_dir("/proc").expect("/proc").flatten();
        lines
            .filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok())
            .any(|line| line.contains(&*name))
    };
    wait_until("the end of every process of the drill", || !mentions());
    assert!(!folder.exists(), "{name} is still there");
}

#[test]
fn an_interrupt_from_the_terminal_leaves_nothing_behind() {
    let case = Case::new("interrupt");
    let (running, folder) = hanging(&case);
    let ran = running.signal_group(Signal::INT).ends().exits(130).prints_on_stderr("");
    assert!(ran.first_line().starts_with("INTERRUPTED  daily check  drill   "), "{ran}");
    ran.says("PASS  db-select-1").says("SKIP  http-home ").says("exit 130: interrupted\n");
    nothing_is_left_of(&folder);
}

#[test]
fn a_termination_of_the_drill_alone_leaves_nothing_behind() {
    let case = Case::new("terminate");
    let (running, folder) = hanging(&case);
    let ran = running.signal(Signal::TERM).ends().exits(143).prints_on_stderr("");
    ran.says("INTERRUPTED  daily check").says("exit 143: terminated\n");
    nothing_is_left_of(&folder);
}

/// Nobody is told of this signal: whatever belongs to the drill has to notice by itself.
#[test]
fn killing_the_drill_leaves_nothing_behind() {
    let case = Case::new("kill");
    let (running, folder) = hanging(&case);
    running.signal(Signal::KILL).ends().exits(-9);
    nothing_is_left_of(&folder);
}

/// The folder of a practice system, by the first service that the drill started.
fn folder_of_a_service(drill: u32) -> Option<PathBuf> {
    children_of(drill).into_iter().find_map(|line| {
        let mut words = line.split('\0').skip_while(|word| *word != opsctl::drill::SERVICE);
        words.nth(2).map(PathBuf::from)
    })
}

/// From its beginning on: the services are there before the first file is.
#[test]
fn killing_a_drill_that_is_still_starting_leaves_nothing_behind() {
    let running = Case::new("kill-early").start(["drill", "daily", "check"]);
    let drill = running.id();
    let running = running.waits_for("the first service", || folder_of_a_service(drill).is_some());
    let folder = folder_of_a_service(drill).expect("it is still there");
    running.signal(Signal::KILL).ends().exits(-9);
    nothing_is_left_of(&folder);
}
