//! The record of an incident from its first line to its report: waiting, notes, answers, going on.

use std::fs;

use crate::support::case::Case;

const OUTAGE: &str = "\
title: System unavailable
report: emergency
steps:
  - { id: works, title: People can work, manual: Log in, marks: resolved }
  - { id: record, title: The report is written, report: { kind: emergency, file: 'report-{{ run.id }}.md' } }
";

fn incident(name: &str) -> Case {
    Case::new(name).site("").procedure("emergency/outage.yaml", OUTAGE)
}

#[test]
fn a_run_that_waits_says_for_what_and_how_it_goes_on() {
    let case = incident("waiting");
    let ran = case.run(["emergency", "outage"]).exits(1);
    assert!(ran.first_line().starts_with("WAITING  emergency outage  test   works waits for a person"), "{ran}");
    let ran = ran
        .says("      see and answer   opsctl tasks\n")
        .says("      then go on       opsctl emergency outage --resume\n");
    let shown = case.run(["show", "last"]).exits(0);
    assert_eq!(shown.first_line(), ran.first_line());
    case.run(["tasks", "done", "works"]).exits(0);
    case.run(["emergency", "outage", "--resume"]).exits(0).says("written to [folder]/report-[run].md");
    let files = fs::read_dir(case.path("")).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let reports: Vec<String> =
        files.filter_map(|name| name.into_string().ok()).filter(|name| name.starts_with("report-")).collect();
    let [report] = reports.as_slice() else { panic!("one report: {reports:?}") };
    let text = fs::read_to_string(case.path(report)).expect("a report");
    assert!(text.starts_with("# Emergency procedure: System unavailable\n"), "{text}");
    assert!(text.contains("| resolved |") && text.contains("| works: done |"), "{text}");
}

#[test]
fn notes_are_added_also_when_the_run_is_over() {
    let case = incident("notes").file("photo.txt", "what was seen");
    let _ = case.run(["emergency", "outage"]).exits(1);
    case.run(["note", "last", "a customer called", "--at", "2020-01-01T00:00"]).exits(0).says("before the run began");
    case.run(["tasks", "done", "works"]).exits(0);
    case.run(["emergency", "outage", "--resume"]).exits(0);
    case.run(["note", "last", "cause: a full disk", "--mark", "identified"]).exits(0).says("; identified is marked\n");
    case.run(["note", "last", "--attach", "photo.txt"]).exits(0);
    case.run(["note", "last", "--attach", "photo.txt"]).exits(0);
    assert_eq!(fs::read_dir(case.path("attachments")).expect("a folder").count(), 1, "one copy of one content");
    case.run(["note", "last", "soon", "--at", "2999-01-01T00:00"]).exits(3).says_on_stderr("is in the future");
    case.run(["note", "last", " "]).exits(3).says_on_stderr("the note is empty");
    case.run(["note", "last", "x", "--attach", "gone.txt"]).exits(3).says_on_stderr("cannot attach gone.txt");
    case.run(["note", "ffffffff", "x"]).exits(3).says_on_stderr("has no run that begins with");
    case.run(["report", "emergency"])
        .exits(0)
        .says("- **Cause:** a full disk\n")
        .says("a customer called")
        .says("attached: photo.txt");
    case.run(["journal", "verify"]).exits(0).says("the journal is whole").never_says("has no end");
    case.run(["show", "last"]).exits(0).says("cause: a full disk");
}

#[test]
fn a_report_is_of_the_newest_incident_and_never_replaced_by_itself() {
    let case = incident("report");
    case.run(["report", "emergency"]).exits(3);
    let _ = case.run(["emergency", "outage"]).exits(1);
    case.run(["report", "emergency", "-o", "report.html"]).exits(0).prints("");
    let html = fs::read_to_string(case.path("report.html")).expect("a report");
    assert!(html.starts_with("<!doctype html>"), "{html}");
    case.run(["report", "emergency", "-o", "report.html"]).exits(3).says_on_stderr("may have been completed by hand");
    case.run(["report", "emergency", "-o", "report.html", "--force", "--format", "human"]).exits(0);
    let text = fs::read_to_string(case.path("report.html")).expect("a report");
    assert!(text.starts_with("System unavailable\n"), "{text}");
    case.run(["report", "emergency", "--run", "last", "-o", "no/such/folder.md"])
        .exits(3)
        .says_on_stderr("cannot write");
}

#[test]
fn the_report_step_leaves_a_file_of_somebody_else_alone() {
    let case = Case::new("report_step")
        .site("")
        .procedure("emergency/outage.yaml", &OUTAGE.replace("report-{{ run.id }}.md", "report.md"))
        .file("report.md", "by hand");
    let _ = case.run(["emergency", "outage"]).exits(1);
    case.run(["tasks", "done", "works"]).exits(0);
    case.run(["emergency", "outage", "--resume"]).exits(3).says("exists already, and is not the report of this run");
    assert_eq!(fs::read_to_string(case.path("report.md")).expect("a file"), "by hand");
}

#[test]
fn the_last_incident_is_reported_whatever_was_looked_at_since() {
    let case = incident("since");
    case.run(["emergency", "outage"]).exits(1);
    case.run(["emergency", "outage", "--dry-run", "--new"]).exits(3);
    let report = ["report", "emergency", "--run", "last", "--format", "human"];
    case.run(report).exits(0).says("of opsctl emergency outage for test").never_says("--dry-run");
}
