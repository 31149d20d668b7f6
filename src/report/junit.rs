//! For continuous integration: the XML of `JUnit`. A procedure is a suite, a step a case; its criteria are a suite of their own.
//!
//! Not as expected is a `failure`, could not tell is an `error`, left out, waived or waiting is `skipped` with the reason.

use std::io;

use chrono::{DateTime, Utc};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::standing::{self, Case, Standing, What, tidy};
use crate::model::event::RunStart;
use crate::model::record::{ProcedureRecord, Record, StepRecord};

pub(super) fn render(record: &Record) -> io::Result<String> {
    let Some(start) = &record.start else { return Ok(String::new()) };
    let mut report = Report::new(xml(&format!("opsctl {}", start.command)));
    report.set_time(record.took);
    if let Some(at) = record.started {
        report.set_timestamp(at);
    }
    for procedure in record.procedures.values() {
        let mut suite = suite(record, start, procedure);
        suite.add_test_cases(standing::steps(record, procedure).map(|case| test_case(&case)));
        report.add_test_suite(suite);
        let criteria: Vec<TestCase> = standing::criteria(record, procedure).map(|case| test_case(&case)).collect();
        if !criteria.is_empty() {
            let mut suite = TestSuite::new(xml(&format!("{} criteria", procedure.plan.id)));
            stamp(&mut suite, start, record.started);
            suite.add_test_cases(criteria);
            report.add_test_suite(suite);
        }
    }
    if let Some((standing, text)) = standing::of_run(record) {
        let mut suite = TestSuite::new("run");
        stamp(&mut suite, start, record.started);
        let mut case = TestCase::new("the run as a whole", status(standing, &text));
        case.set_classname("run");
        suite.add_test_case(case);
        report.add_test_suite(suite);
    }
    report.to_string().map_err(io::Error::other)
}

/// One line that XML can hold.
fn xml(text: &str) -> XmlString {
    XmlString::new(tidy(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}

fn stamp(suite: &mut TestSuite, start: &RunStart, at: Option<DateTime<Utc>>) {
    suite.extra.insert("hostname".into(), xml(&start.host));
    if let Some(at) = at {
        suite.set_timestamp(at);
    }
}

fn suite(record: &Record, start: &RunStart, procedure: &ProcedureRecord) -> TestSuite {
    let mut suite = TestSuite::new(procedure.plan.id.as_str());
    let begun = procedure.steps.values().filter_map(|step| step.began).min();
    stamp(&mut suite, start, begun.or(record.started));
    suite.set_time(procedure.took);
    let texts = [
        ("title", &procedure.plan.title),
        ("site", &start.site),
        ("command", &start.command),
        ("operator", &start.operator),
        ("opsctl", &start.opsctl),
    ];
    for (name, text) in texts {
        suite.add_property((name, xml(text).as_str()));
    }
    suite.add_property(("run", start.run.to_string().as_str()));
    suite
}

fn test_case(case: &Case<'_>) -> TestCase {
    let first = case.lines.first().map_or("", String::as_str);
    let mut status = status(case.standing, first);
    match case.what {
        What::Step(step) => {
            let text = body(case, step);
            if matches!(case.standing, Standing::Bad | Standing::Unknown) {
                status.set_description(lines(&text));
            }
            let mut test = TestCase::new(step.plan.id.as_str(), status);
            // A pass that needs a word must not look like a plain one.
            if matches!(case.standing, Standing::Good | Standing::Remark) && !case.lines.is_empty() {
                test.set_system_out(lines(&text));
            }
            about(&mut test, step);
            test.set_classname(case.procedure.plan.id.as_str());
            test
        }
        What::Criterion(says) => {
            let mut test = TestCase::new(xml(says), status);
            test.set_classname(format!("{} criteria", case.procedure.plan.id));
            test
        }
    }
}

/// Time and place.
fn about(test: &mut TestCase, step: &StepRecord) {
    if let Some(result) = &step.result {
        test.set_time(result.took);
    }
    if let Some(at) = step.began {
        test.set_timestamp(at);
    }
    if let Some((file, line)) = step.plan.at.rsplit_once(':') {
        test.extra.insert("file".into(), xml(file));
        test.extra.insert("line".into(), xml(line));
    }
}

fn status(standing: Standing, message: &str) -> TestCaseStatus {
    let (mut status, kind) = match standing {
        Standing::Good | Standing::Remark => return TestCaseStatus::success(),
        Standing::Bad => (TestCaseStatus::non_success(NonSuccessKind::Failure), "failed"),
        Standing::Unknown => (TestCaseStatus::non_success(NonSuccessKind::Error), "could not tell"),
        Standing::Waived => (TestCaseStatus::skipped(), "waived"),
        Standing::LeftOut => (TestCaseStatus::skipped(), "left out"),
    };
    status.set_message(xml(message)).set_type(kind);
    status
}

/// Everything that there is to say of a step.
fn body(case: &Case<'_>, step: &StepRecord) -> Vec<String> {
    let head = if case.standing == Standing::Remark { "not as preferred: " } else { "" };
    let mut text = vec![format!("{head}{}", step.plan.title)];
    text.extend(case.lines.iter().cloned());
    let evidence = standing::evidence(step);
    if !evidence.is_empty() {
        text.push("evidence:".to_owned());
        text.extend(evidence.into_iter().map(|line| format!("  {line}")));
    }
    text.extend(standing::advice(step).into_iter().map(|(word, said)| format!("{word}: {said}")));
    text
}

fn lines(text: &[String]) -> XmlString {
    let lines: Vec<String> = text.iter().map(|line| xml(line).into_string()).collect();
    XmlString::new(lines.join("\n"))
}
