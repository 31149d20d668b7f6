//! XML for continuous integration, read by python3-junitparser and xmllint.

use std::collections::BTreeMap;

use opsctl::model::event::Event;
use opsctl::report::Format;

use super::{every_run, formatted, read_by, runs, signs};

/// As python3-junitparser reads it: `suite.case` to its result.
fn results(xml: &str) -> BTreeMap<String, String> {
    let script = "import json, sys\nfrom junitparser import JUnitXml\nfound = {}\n\
        for suite in JUnitXml.fromstring(sys.stdin.buffer.read()):\n    for case in suite:\n        \
        assert len(case.result) < 2\n        \
        found[suite.name + '.' + case.name] = [type(r).__name__ + ': ' + (r.message or '') for r in case.result][0] if case.result else 'passed'\n\
        print(json.dumps(found))";
    let (is_read, said) = read_by("/usr/bin/python3", &["-c", script], xml);
    assert!(is_read, "junitparser: {said}");
    serde_json::from_str(&said).expect("what the script prints")
}

fn of(events: &[Event]) -> BTreeMap<String, String> {
    results(&formatted(Format::Junit, events))
}

#[test]
fn every_run_is_well_formed_and_counts_its_cases_right() {
    for (name, events) in every_run() {
        let xml = formatted(Format::Junit, &events);
        let (is_good, said) = read_by("xmllint", &["--noout", "--nonet", "-"], &xml);
        assert!(is_good, "{name}: {said}");
        let count = |path: &str| read_by("xmllint", &["--xpath", path, "-"], &xml).1.trim().to_owned();
        for (kind, element) in [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")] {
            let cases = count(&format!("count(//testcase/{element})"));
            assert_eq!(count(&format!("string(/testsuites/@{kind})")), cases, "{name}");
        }
    }
}

#[test]
fn failing_not_being_able_to_look_and_leaving_out_are_three_things() {
    let seen = of(&runs::disk_failed());
    let of = |case: &str| seen[&format!("daily/system-health{case}")].clone();
    assert_eq!(of(".home-page"), "passed");
    assert_eq!(of(".disks"), "Failure: /var  free 3.8 % (1.9 GiB), expected above 20 %");
    assert!(of(".database").starts_with("Error: could not connect to database `helpdesk`"), "{seen:?}");
    assert_eq!(of(".error-logs"), "Skipped: needs `database`, which errored");
    assert_eq!(of(" criteria.The system answers with HTTP 200"), "passed");
    assert_eq!(of(" criteria.More than 20 % of each disk is free"), "Failure: unmet: disks");
    assert_eq!(of(" criteria.The database answers"), "Error: not proven: database");
}

#[test]
fn waived_and_waiting_are_skipped_with_the_reason() {
    let seen = of(&runs::remarks());
    assert_eq!(seen["daily/system-health.certificate"], "Skipped: waived by anna until 2025-11-01: renewal ordered");
    assert_eq!(seen["daily/system-health.call-customer"], "Skipped: waits for a person");
}

#[test]
fn a_warning_and_a_second_attempt_pass_and_say_so() {
    let xml = formatted(Format::Junit, &runs::warned());
    assert_eq!(of(&runs::warned())["daily/system-health.home-page"], "passed");
    assert!(
        xml.contains("not as preferred: Look at home-page\nhttps://helpdesk.example  latency 3.1 s, preferred"),
        "{xml}"
    );
    let xml = formatted(Format::Junit, &runs::remarks());
    assert!(xml.contains("passed on attempt 2 of 3: timeout"), "{xml}");
}

#[test]
fn what_did_not_come_to_its_end_is_an_error() {
    let seen = of(&runs::killed());
    assert_eq!(seen["daily/system-health.database"], "Error: started, but how it ended is not known");
    assert_eq!(seen["daily/system-health.disks"], "Error: not started");
    assert_eq!(seen["run.the run as a whole"], "Error: the end of this run is not on record: 1 of 3 steps finished");
    let seen = of(&runs::interrupted());
    assert!(seen["daily/system-health.database"].starts_with("Error: "), "{seen:?}");
    assert!(seen["run.the run as a whole"].starts_with("Error: the run was interrupted"), "{seen:?}");
}

#[test]
fn outside_text_is_neither_markup_nor_lost() {
    let seen = of(&signs());
    let criterion = seen.keys().find(|name| name.contains("criteria")).expect("a criterion");
    assert!(criterion.contains("]]>&amp;<script>alert(1)</script>"), "{criterion}");
}
