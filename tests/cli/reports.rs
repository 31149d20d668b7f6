//! Reports in every format: on standard output, in files, and shown again.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use opsctl::report::Format;
use rustix::process::Signal;
use serde_json::Value as Json;

use super::both;
use super::interrupts::{slow, started};
use crate::support::case::Case;

fn read(case: &Case, file: &str) -> String {
    fs::read_to_string(case.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn lines(case: &Case, file: &str) -> Vec<Json> {
    read(case, file).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn the_exit_status_is_the_same_in_every_format() {
    let case = both("statuses");
    for format in Format::names() {
        for (outcome, exit) in [("passed", 0), ("warned", 1), ("failed", 2)] {
            let set = format!("outcome={outcome}");
            case.run(["daily", "check", "--format", format, "--set", &set]).exits(exit).prints_on_stderr("");
        }
    }
}

#[test]
fn a_run_that_is_under_way_can_be_followed() {
    let case = slow("followed").file("old.ndjson", "the one before\n".repeat(500));
    let running = started(&case, &["--report", "ndjson=old.ndjson", "--format", "ndjson"]);
    let so_far = lines(&case, "old.ndjson");
    let finished = |line: &&Json| line["event"] == "step_finished";
    assert_eq!(so_far[0]["event"], "run_started");
    assert_eq!(so_far.iter().filter(finished).count(), 1, "the quick step: {so_far:#?}");
    let ran = running.signal(Signal::TERM).ends().exits(143);
    assert_eq!(ran.stdout, read(&case, "old.ndjson"));
    assert_eq!(lines(&case, "old.ndjson").last().map(|line| &line["exit"]), Some(&"terminated".into()));
    assert_eq!(case.run(["show", "last", "--format", "ndjson"]).exits(0).stdout, ran.stdout);
}

#[test]
fn an_interrupted_run_leaves_every_report() {
    let case = slow("interrupted");
    let reports: Vec<String> = Format::names().map(|format| format!("--report={format}=report.{format}")).collect();
    let reports: Vec<&str> = reports.iter().map(String::as_str).collect();
    started(&case, &reports).signal(Signal::INT).ends().exits(130);
    for (format, said) in [
        ("junit", "the run was interrupted"),
        ("tap", "Bail out! the run was interrupted"),
        ("nagios", "UNKNOWN: the run was interrupted"),
        ("prometheus", "opsctl_run_exit_status{site=\"test\",command=\"daily slow\"} 130"),
        ("markdown", "# INTERRUPTED: daily slow"),
        ("html", ">INTERRUPTED</span>"),
        ("json", "\"exit\":130"),
        ("ndjson", "\"exit\":\"interrupted\""),
    ] {
        let report = read(&case, &format!("report.{format}"));
        assert!(report.contains(said), "{format}: {report}");
    }
}

#[test]
fn quiet_holds_the_events_back_too() {
    let case = both("quiet-events");
    case.run(["daily", "check", "-q", "--format", "ndjson"]).exits(0).prints("").prints_on_stderr("");
    let ran = case.run(["daily", "check", "-q", "--format", "ndjson", "--set", "outcome=failed"]).exits(2);
    assert_eq!(case.run(["show", "last", "--format", "ndjson"]).stdout, ran.stdout);
    assert!(ran.stdout.starts_with("{\"format\":1,\"seq\":1,"), "{ran}");
}

#[test]
fn the_node_exporter_may_read_what_is_for_it_whatever_the_umask() {
    let case = both("umask");
    let line = "umask 077; opsctl daily check --report prometheus=opsctl.prom --report plain=check.txt";
    case.run_in_a_shell(line).exits(0);
    let mode = |path: &str| fs::metadata(case.path(path)).expect("a report").permissions().mode() & 0o777;
    assert_eq!((mode("opsctl.prom"), mode("check.txt")), (0o644, 0o600));
}

#[test]
fn a_wrong_report_is_refused_before_anything_runs() {
    let case = both("refused").file("sub/a.xml", "the one before").file("log", "the one before");
    std::os::unix::fs::symlink(case.path("sub/a.xml"), case.path("link")).expect("a link");
    for (reports, said) in [
        (vec!["xml=a.xml"], "error: --report xml=a.xml: `xml` is not a format; the formats are human, plain"),
        (vec!["junit=-"], "error: --report junit=- names no file\n  help: write --format junit for standard output"),
        (vec!["junit=no/a.xml"], "error: cannot write the report no/a.xml: No such file or directory"),
        (vec!["ndjson=no/a"], "error: cannot write the report no/a: No such file or directory"),
        (vec!["junit=sub"], "error: cannot write the report sub: Is a directory"),
        (vec!["junit=a.xml", "html=sub/../a.xml"], "error: two reports go to the same file, sub/../a.xml"),
        (vec!["junit=sub/a.xml", "html=link"], "error: two reports go to the same file, link"),
        (vec!["ndjson=log", "html=no/such.html"], "error: cannot write the report no/such.html"),
    ] {
        let reports: Vec<String> = reports.iter().map(|report| format!("--report={report}")).collect();
        let args: Vec<&str> = ["daily", "check"].into_iter().chain(reports.iter().map(String::as_str)).collect();
        case.run(&args).exits(3).prints("").says_on_stderr(said);
    }
    assert!(!case.journal().exists() && !case.path("a.xml").exists());
    assert_eq!((read(&case, "sub/a.xml"), read(&case, "log")), ("the one before".into(), "the one before".into()));
}

#[test]
fn a_report_that_cannot_be_written_hides_nothing_of_the_run() {
    let case = both("full-reports");
    for format in Format::names() {
        let report = format!("--report={format}=/dev/full");
        let other = format!("--report={format}=other.{format}");
        let ran = case.run(["daily", "check", &report, &other, "--set", "outcome=failed"]).exits(3);
        let said = "error: cannot write the report /dev/full: No space left on device (os error 28)\n  \
            help: check the space that is left; `opsctl show last --report FORMAT=FILE` writes it again\n";
        assert!(ran.stdout.starts_with("FAILED  daily check"), "{ran}");
        assert_eq!(ran.stderr, said, "{format}");
        assert!(!read(&case, &format!("other.{format}")).is_empty(), "{format}");
    }
    let ran = case.run(["daily", "check", "--report=tap=/dev/full", "--format=nagios"]).exits(3);
    assert!(ran.stdout.starts_with("UNKNOWN: "), "the answer of a plugin fits its exit status: {ran}");
}

#[test]
fn a_full_standard_output_is_said_and_the_files_are_written() {
    let case = both("full-output");
    for format in Format::names() {
        let line = format!("opsctl daily check --format {format} --report {format}=there.{format} > /dev/full");
        let ran = case.run_in_a_shell(&line).exits(3);
        ran.says_on_stderr("error: cannot write the report: No space left on device");
        assert!(!read(&case, &format!("there.{format}")).is_empty(), "{format}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_no_run_and_is_no_error() {
    let case = both("gone");
    let ran = case.run_in_a_shell("{ opsctl daily check --format ndjson; echo $? > exit; } | true").exits(0);
    ran.prints("").prints_on_stderr("");
    assert_eq!(read(&case, "exit"), "0\n");
}

#[test]
fn a_run_is_shown_again_to_files() {
    let case = both("shown");
    case.run(["daily", "check", "--set", "outcome=failed"]).exits(2);
    let ran = case.run(["show", "last", "--format=tap", "--report=junit=a.xml", "--report=html=a.html"]).exits(0);
    assert!(ran.stdout.starts_with("TAP version 13\n"), "{ran}");
    assert!(read(&case, "a.xml").contains("<failure") && read(&case, "a.html").contains(">FAILED</span>"));
    case.run(["show", "last", "--report=junit=/dev/full"]).exits(3).says_on_stderr("cannot write the report /dev/full");
}

#[test]
fn a_practised_run_is_reported_too() {
    let case = Case::new("drilled");
    let ran = case.run(["drill", "daily", "check", "--format=nagios", "--report=junit=drill.xml"]).exits(0);
    assert!(ran.first_line().starts_with("OK: "), "{ran}");
    assert!(read(&case, "drill.xml").contains("<testsuites"));
}
