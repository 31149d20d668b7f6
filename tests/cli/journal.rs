//! What runs leave in the journal, and what happens when it cannot be written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use opsctl::report::Format;

use super::{READY, both};
use crate::support::case::Case;

fn sqlite(case: &Case, sql: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        use sqlx::Connection as _;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(case.journal());
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.expect("a journal");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("a statement");
        connection.close().await.expect("an end");
    });
}

// --- showing again ---

#[test]
fn a_run_reads_the_same_live_and_from_the_journal_in_every_format() {
    let case = both("again").env("COLUMNS", "90");
    let reports = Format::names().map(|format| format!("--report={format}=report.{format}"));
    let args = ["daily", "check", "--set", "outcome=failed"].map(str::to_owned).into_iter().chain(reports);
    let live = case.run(args).exits(2);
    for format in Format::names() {
        let file = fs::read_to_string(case.path(&format!("report.{format}"))).unwrap();
        let shown = case.run(["show", "last", "--format", format]).exits(0).prints_on_stderr("");
        assert_eq!(shown.stdout, file, "{format}");
    }
    assert_eq!(case.run(["show", "last"]).stdout, live.stdout, "a pipe gets the plain report");
    let run = case.run(["show", "last", "--format", "json"]).json()["run"].as_str().unwrap().to_owned();
    assert_eq!(case.run(["show", &run[..13]]).exits(0).stdout, live.stdout);
}

#[test]
fn a_run_that_is_not_there_or_not_the_only_one_is_named() {
    let case = both("ids");
    let ran = case.run(["show", "last"]).exits(3).prints("");
    ran.says_on_stderr("error: the journal [folder]/journal.db does not exist\n");
    case.run(["daily", "check"]).exits(0);
    case.run(["daily", "check"]).exits(0);
    let ran = case.run(["show", "01"]).exits(3).prints("");
    ran.says_on_stderr("has several runs that begin with `01`: [run], [run]\n  help: write more of the run's id\n");
    for unknown in ["ffff", "no-such-run", "%"] {
        let ran = case.run(["show", unknown]).exits(3).prints("");
        ran.prints_on_stderr(&format!(
            "error: the journal [folder]/journal.db has no run that begins with `{unknown}`\n  \
             help: `opsctl history` lists the runs\n"
        ));
    }
}

// --- the list ---

#[test]
fn history_lists_the_newest_first_and_filters() {
    let case = both("history").procedure("weekly/ready.yaml", READY);
    case.run(["history"]).exits(0).prints("no such run in the journal [folder]/journal.db\n");
    case.run(["history", "--format", "json"]).exits(0).prints("[]\n");
    case.run(["daily", "both"]).exits(0);
    case.run(["weekly", "check"]).exits(2);
    case.run(["daily", "check", "--set", "outcome=warned"]).exits(1);
    let warned = "[run]  [time]  warned      daily check --set outcome=...  by [user]\n";
    let failed = "[run]  [time]  failed      weekly check  by [user]\n";
    let passed = "[run]  [time]  passed      daily both  by [user]\n";
    for (args, expected) in [
        (&[][..], [warned, failed, passed].concat()),
        (&["-n", "1"], warned.to_owned()),
        (&["daily"], [warned, passed].concat()),
        (&["weekly/ready"], failed.to_owned()),
        (&["daily", "--outcome", "passed"], passed.to_owned()),
        (&["--outcome", "errored"], "no such run in the journal [folder]/journal.db\n".to_owned()),
    ] {
        case.run(["history"].iter().chain(args)).exits(0).prints(&expected).prints_on_stderr("");
    }
    let json = case.run(["history", "--format", "json"]).exits(0).json();
    let outcomes: Vec<_> = json.as_array().unwrap().iter().map(|run| (&run["outcome"], &run["exit"])).collect();
    assert_eq!(outcomes, [(&"warned".into(), &1.into()), (&"failed".into(), &2.into()), (&"passed".into(), &0.into())]);
    case.run(["history", "--outcome", "bad"]).exits(3).says_on_stderr("possible values: passed, ");
}

// --- a site file with mistakes ---

/// Whoever audits has not written the site file.
#[test]
fn the_journal_can_be_read_whatever_is_wrong_in_the_site_file() {
    let case = both("broken");
    case.run(["daily", "check"]).exits(0);
    let reads = [&["history"][..], &["show", "last"], &["journal", "verify"]];
    let right = reads.map(|command| case.run(command).exits(0).stdout);
    let site = fs::read_to_string(case.path("opsctl.yaml")).unwrap();
    let named = "the site file has mistakes; this is from the journal that it names: [folder]/journal.db\n";
    for mistake in ["pakcs: [helpdesk]\n", "vars: [1, 2\n", "vars: {}\nvars: {}\n"] {
        fs::write(case.path("opsctl.yaml"), format!("{site}{mistake}")).unwrap();
        for (command, right) in reads.iter().zip(&right) {
            let ran = case.run(*command).exits(0).says_on_stderr(named);
            assert_eq!(ran.stdout, *right);
            assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains("opsctl.yaml:"), "{ran}");
        }
        case.run(["daily", "check"]).exits(3).prints("");
        case.run(["journal", "rebuild"]).exits(3).prints("");
    }
    fs::write(case.path("opsctl.yaml"), "journal: [\n").unwrap();
    let ran = case.run(["history"]).exits(0);
    ran.says_on_stderr("this is from the usual journal: [folder]/home/state/opsctl/journal.db\n");
    case.run(["--site", "no.yaml", "history"]).exits(3).prints("").says_on_stderr("there is no site file no.yaml");
}

// --- a journal that cannot be written ---

/// The check runs and reports all the same, says that it is not on record, and does not end as if it were.
fn not_recorded(case: &Case, why: &str) {
    let ran = case.run(["daily", "check"]).exits(3);
    assert!(ran.first_line().starts_with("PASSED  daily check  test   2 of 2 criteria met"), "{ran}");
    let ran = ran.says("this run is not on record  exit 3: could not tell\n").never_says("opsctl show");
    ran.says_on_stderr("error: this run is not on record: the journal ").says_on_stderr(why);
    let quiet = case.run(["daily", "check", "--quiet", "--format", "json"]).exits(3);
    assert_eq!(quiet.json()["exit"], 3, "{quiet}");
}

#[test]
fn a_journal_in_a_folder_without_permission_does_not_stop_the_check() {
    let case = both("readonly");
    fs::set_permissions(case.path("."), fs::Permissions::from_mode(0o555)).unwrap();
    not_recorded(&case.by_nobody(), "no permission for [folder]");
}

#[test]
fn a_journal_that_is_a_folder_does_not_stop_the_check() {
    let case = both("folder");
    fs::create_dir(case.journal()).unwrap();
    not_recorded(&case, "[folder]/journal.db cannot be used: is a directory\n  help: name another file as `journal`");
}

#[test]
fn a_journal_that_is_another_file_is_left_as_it_is() {
    let case = both("other").file("journal.db", "a letter to my mother, which is longer than a header of a database");
    not_recorded(&case, "[folder]/journal.db is not a journal of opsctl\n  help: name another file as `journal`");
    assert!(fs::read_to_string(case.journal()).unwrap().starts_with("a letter to my mother"));
}

/// A file system of so many bytes. Mounting takes root; without it the limit on the size of files does the same.
#[test]
fn a_journal_on_a_full_disk_does_not_stop_the_check() {
    let case = both("full");
    if rustix::process::geteuid().is_root() {
        let site = fs::read_to_string(case.path("opsctl.yaml")).unwrap();
        let case = case.file("opsctl.yaml", site.replace("./journal.db", "./disk/journal.db")).file("disk/.keep", "");
        let disk = case.path("disk");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&disk).status();
        assert!(mounted.unwrap().success(), "mounting takes root in this container too");
        let unmount = Unmount(disk);
        fs::write(unmount.0.join("filler"), vec![0; 48 * 1024]).unwrap();
        not_recorded(&case, "the disk is full");
    } else {
        let ran = case.run_in_a_shell("ulimit -f 8; trap '' XFSZ; exec opsctl daily check").exits(3);
        ran.says("PASSED  daily check").says_on_stderr("error: this run is not on record: ");
    }
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

// --- the chain ---

#[test]
fn runs_at_the_same_time_are_all_recorded() {
    let case = both("together");
    let running: Vec<_> = (0..6).map(|_| case.start(["daily", "check"])).collect();
    let runs = running.len();
    for ran in running.into_iter().map(crate::support::case::Running::ends) {
        ran.exits(0).prints_on_stderr("");
    }
    assert_eq!(case.run(["history"]).stdout.matches("  passed  ").count(), runs);
    case.run(["journal", "verify"]).exits(0).says(&format!(" events of {runs} runs\n"));
}

#[test]
fn a_changed_record_is_found_and_named() {
    let case = both("tampered");
    case.run(["daily", "check", "--set", "outcome=failed"]).exits(2);
    let ran = case.run(["journal", "verify"]).exits(0).prints_on_stderr("");
    ran.says("the journal is whole: 8 events of 1 run\n  file  [folder]/journal.db\n  head  ");
    sqlite(&case, "UPDATE events SET event = replace(event, 'failed', 'passed') WHERE id = 6");
    let ran = case.run(["journal", "verify"]).exits(2).prints("");
    ran.says_on_stderr(
        "error: the journal [folder]/journal.db does not hold together: row 6 of the events (event 6 of run ",
    )
    .says_on_stderr(
        " was changed after it was recorded\n  help: keep the file as evidence and compare it with a backup\n",
    );
}

#[test]
fn lists_that_do_not_follow_from_the_events_are_made_anew() {
    let case = both("rebuild");
    case.run(["daily", "check", "--set", "outcome=failed"]).exits(2);
    sqlite(&case, "UPDATE runs SET outcome = 'passed', exit = 0");
    case.run(["history"]).says("passed");
    let ran = case.run(["journal", "verify"]).exits(2).prints("");
    ran.says_on_stderr("the table `runs` does not follow from them").says_on_stderr("`opsctl journal rebuild`");
    case.run(["journal", "rebuild"]).exits(0).says("are made anew from its events\n");
    case.run(["journal", "verify"]).exits(0).says("the journal is whole");
    case.run(["history"]).says("failed");
}

#[test]
fn verifying_a_journal_that_does_not_exist_is_no_proof() {
    let ran = both("missing").run(["journal", "verify"]).exits(3).prints("");
    ran.says_on_stderr("does not exist\n  help: ");
}
