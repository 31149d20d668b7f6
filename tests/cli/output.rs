//! Where reports go and how they look: pipes, terminals, files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::both;
use super::interrupts::{slow, started};
use crate::support::case::{Case, Ran};
use crate::support::terminal;

const FAILED: [&str; 4] = ["daily", "check", "--set", "outcome=failed"];

fn is_painted(ran: &Ran) -> bool {
    ran.stdout.contains('\x1b')
}

#[test]
fn a_pipe_gets_no_colour_unless_it_is_asked_for() {
    let case = both("pipe");
    assert!(!is_painted(&case.run(FAILED).exits(2)));
    assert!(!is_painted(&case.run(FAILED.iter().chain(&["--format", "human"])).exits(2)));
    assert!(is_painted(&case.run(FAILED.iter().chain(&["--color", "always"])).exits(2)));
    assert!(is_painted(&case.run(["--color=always", "show", "last"]).exits(0)));
    assert!(case.run(["--color=always", "daly"]).exits(3).stderr.contains('\x1b'));
}

#[test]
fn a_terminal_gets_colour_unless_it_is_refused() {
    let line = FAILED.join(" ");
    assert!(is_painted(&both("terminal").run_on_a_terminal(&line).exits(2)));
    assert!(!is_painted(&both("never").run_on_a_terminal(&format!("{line} --color never")).exits(2)));
    assert!(!is_painted(&both("no-color").env("NO_COLOR", "1").run_on_a_terminal(&line).exits(2)));
    assert!(is_painted(&both("empty-no-color").env("NO_COLOR", "").run_on_a_terminal(&line).exits(2)));
    assert!(!is_painted(&both("dumb").env("TERM", "dumb").run_on_a_terminal(&line).exits(2)));
    assert!(!is_painted(&both("help").run_on_a_terminal("--color never --help").exits(0)));
}

#[test]
fn a_terminal_is_never_wider_than_it_says() {
    let widest = |ran: Ran| {
        let codes = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
        let text = codes.replace_all(&ran.stdout, "").into_owned();
        text.lines().map(unicode_width::UnicodeWidthStr::width).max().expect("lines")
    };
    let line = FAILED.join(" ");
    assert!(widest(both("eighty").run_on_a_terminal(&line)) <= 80);
    let of_sixty = widest(both("sixty").env("COLUMNS", "60").run_on_a_terminal(&line));
    assert!((50..=60).contains(&of_sixty), "{of_sixty}");
}

#[test]
fn a_run_that_takes_its_time_shows_its_steps_on_a_terminal_and_then_the_verdict() {
    let yaml = "title: Slow\nsteps:\n  - id: slow\n    title: A step that takes its time\n    \
                probe: { command: { run: [sleep, '1'] } }\n    expect: { exit: 0 }\n";
    let case = Case::new("progress").site("").procedure("daily/slow.yaml", yaml);
    let shown = case.run_on_a_terminal("daily slow").exits(0);
    let (before, after) = shown.stdout.split_once("PASSED").expect("a verdict");
    assert!(before.contains("A step that takes its time") && before.contains("0/1 steps"), "{shown}");
    assert!(!after.contains("0/1 steps"), "{shown}");
    let screen = terminal::as_seen(&shown.stdout);
    assert!(screen.starts_with("PASSED  daily slow  test   1 of 1 step passed"), "nothing is left of it: {screen}");

    let shown = case.run_on_a_terminal("daily slow > report.txt").exits(0);
    assert!(shown.stdout.contains("A step that takes its time"), "the progress is on standard error: {shown}");
    let report = fs::read_to_string(case.path("report.txt")).unwrap();
    assert!(
        report.starts_with("PASSED  daily slow  test   1 of 1 step passed") && !report.contains('\x1b'),
        "{report}"
    );

    case.run_on_a_terminal("daily slow --quiet").exits(0).prints("");
    case.run(["daily", "slow"]).exits(0).prints_on_stderr("");
    let dumb = case.env("TERM", "dumb").run_on_a_terminal("daily slow").exits(0);
    assert!(dumb.first_line().starts_with("PASSED  daily slow"), "{dumb}");
}

#[test]
fn a_reader_that_goes_away_is_no_trouble() {
    let case = both("head");
    let ran = case.run_in_a_shell("opsctl daily check | head -1").exits(0).prints_on_stderr("");
    assert!(ran.stdout.starts_with("PASSED  daily check"), "{ran}");
    for line in ["opsctl daily check", "opsctl show last", "opsctl --help", "opsctl explain", "opsctl schema"] {
        let ran = case.run_in_a_shell(&format!("{{ {line}; echo $? > exit; }} | true")).exits(0);
        ran.prints("").prints_on_stderr("");
        assert_eq!(fs::read_to_string(case.path("exit")).unwrap(), "0\n", "{line}");
    }
}

#[test]
fn quiet_prints_nothing_when_all_holds_and_the_report_when_not() {
    let case = both("quiet");
    case.run(["daily", "check", "--quiet"]).exits(0).prints("").prints_on_stderr("");
    case.run(["daily", "check", "-q", "--format", "json"]).exits(0).prints("").prints_on_stderr("");
    case.run(["daily", "check", "-q", "--set", "outcome=warned"]).exits(1).says("WARN  varying").prints_on_stderr("");
    case.run(["daily", "check", "-q", "--set", "outcome=failed"]).exits(2).says("FAIL  varying").prints_on_stderr("");
    case.run(["history"]).says("daily check -q").says("daily check --quiet");
}

#[test]
fn reports_to_files_come_beside_the_one_on_standard_output() {
    let case = both("reports");
    let ran = case.run(["daily", "check", "--report", "json=a.json", "--report=plain=b.txt"]).exits(0);
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(case.path("a.json")).unwrap()).unwrap();
    assert_eq!(json["outcome"], "passed");
    assert_eq!(fs::read_to_string(case.path("b.txt")).unwrap(), ran.stdout);
    case.run(["daily", "check", "-q", "--report=json=quiet.json"]).exits(0).prints("");
    assert!(fs::read_to_string(case.path("quiet.json")).unwrap().starts_with("{\"format\":1,"));
}

#[test]
fn a_report_that_cannot_be_written_is_found_out_before_anything_runs() {
    let case = slow("unwritable");
    let ran = case.run(["daily", "slow", "--report", "json=no/such/folder.json"]).exits(3).prints("");
    ran.prints_on_stderr(
        "error: cannot write the report no/such/folder.json: No such file or directory (os error 2)\n  \
         help: check the folder and its permissions\n",
    );
    assert!(!case.path("pids").exists() && !case.journal().exists());
}

#[test]
fn a_report_in_a_folder_without_permission_is_found_out_before_anything_runs() {
    let case = slow("forbidden").file("reports/old.json", "the one before");
    fs::set_permissions(case.path("reports"), fs::Permissions::from_mode(0o555)).unwrap();
    let case = case.by_nobody();
    for file in ["reports/new.json", "reports/old.json"] {
        let ran = case.run(["daily", "slow", "--report", &format!("json={file}")]).exits(3).prints("");
        ran.says_on_stderr(&format!("error: cannot write the report {file}: Permission denied"));
    }
    assert!(!case.path("pids").exists());
}

/// Whoever reads the file of a report never sees half of one, nor none.
#[test]
fn a_report_replaces_the_one_before_when_the_run_is_over() {
    let case = slow("replaced").file("old.json", "the one before").file("report.json", "");
    let (old, link) = (case.path("old.json"), case.path("report.json"));
    fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).unwrap();
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("old.json", &link).unwrap();

    let running = started(&case, &["--report", "json=report.json", "--report", "plain=new.txt"]);
    assert_eq!(fs::read_to_string(&old).unwrap(), "the one before");
    assert!(!case.path("new.txt").exists());
    running.signal(Signal::TERM).ends().exits(143);

    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(&old).unwrap()).unwrap();
    assert_eq!(json["exit"], 143);
    assert!(link.is_symlink(), "what the link leads to was replaced");
    let mode = |path: &str| fs::metadata(case.path(path)).unwrap().permissions().mode() & 0o777;
    fs::write(case.path("any"), "").unwrap();
    assert_eq!((mode("old.json"), mode("new.txt")), (0o640, mode("any")));
    let mut left = fs::read_dir(case.path(".")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.any(|name| name.to_string_lossy().contains("opsctl-report")));
}

#[test]
fn a_report_that_cannot_be_finished_is_an_error() {
    let ran = both("full").run(["daily", "check", "--report", "json=/dev/full"]).exits(3);
    ran.says("PASSED  daily check").says_on_stderr("error: cannot write the report /dev/full: No space left on device");
}

#[test]
fn json_on_standard_output_keeps_to_its_schema_whatever_happens_beside_it() {
    let case = both("json");
    fs::create_dir(case.journal()).unwrap();
    let ran = case.run(FAILED.iter().chain(&["--format", "json"])).exits(3);
    assert!(ran.stderr.contains("not on record") && ran.stdout.matches('\n').count() == 1, "{ran}");
    super::keeps_to_the_schema(&ran);
    assert_eq!(ran.json()["outcome"], "failed", "what was seen stays what it is: {ran}");
}
