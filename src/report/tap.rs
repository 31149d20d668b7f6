//! The Test Anything Protocol, version 13, which every reader understands: first the steps, then the criteria of each
//! procedure.

use std::fmt::Write as _;

use super::human::block::troubled;
use super::standing::{self, Case, Standing, What, tidy};
use crate::model::record::{Record, StepRecord};

pub(super) fn render(record: &Record) -> String {
    if record.start.is_none() {
        return String::new();
    }
    let mut tests = Vec::new();
    for procedure in record.procedures.values() {
        let cases = standing::steps(record, procedure).chain(standing::criteria(record, procedure));
        tests.extend(cases.map(|case| Test::of(&case)));
    }
    let of_run = standing::of_run(record);
    // What was stopped says so in TAP's own way.
    let stopped = record.interrupted.is_some() || (record.finished.is_none() && !standing::waits(record));
    if let Some((standing, text)) = of_run.as_ref().filter(|_| !stopped) {
        tests.push(Test {
            standing: *standing,
            name: "the run as a whole".to_owned(),
            reason: text.clone(),
            data: vec![],
        });
    }
    let mut text = format!("TAP version 13\n1..{}\n", tests.len());
    for (number, test) in (1..).zip(tests) {
        test.write(number, &mut text);
    }
    if let Some((_, why)) = of_run.filter(|_| stopped) {
        text.extend(["Bail out! ", &described(&why), "\n"]);
    }
    text
}

struct Test {
    standing: Standing,
    name: String,
    reason: String,
    /// Keys with texts, or with lists of texts.
    data: Vec<(&'static str, Data)>,
}

enum Data {
    Text(String),
    List(Vec<String>),
}

impl Test {
    fn of(case: &Case<'_>) -> Self {
        let id = &case.procedure.plan.id;
        let name = match &case.what {
            What::Step(step) => format!("{id} {}: {}", step.plan.id, tidy(&step.plan.title)),
            What::Criterion(says) => format!("{id} criterion: {}", tidy(says)),
        };
        let reason = case.lines.first().cloned().unwrap_or_default();
        Self { standing: case.standing, name, reason, data: data(case) }
    }

    fn write(&self, number: usize, text: &mut String) {
        let (ok, directive) = match self.standing {
            Standing::Good | Standing::Remark => ("ok", None),
            Standing::Bad | Standing::Unknown => ("not ok", None),
            // Known not to hold, and agreed to.
            Standing::Waived => ("not ok", Some("TODO")),
            Standing::LeftOut => ("ok", Some("SKIP")),
        };
        write!(text, "{ok} {number} - {}", described(&self.name)).ok();
        if let Some(word) = directive {
            write!(text, " # {word} {}", described(&self.reason)).ok();
        }
        text.push('\n');
        if self.data.is_empty() {
            return;
        }
        text.push_str("  ---\n");
        for (key, data) in &self.data {
            match data {
                Data::Text(value) => _ = writeln!(text, "  {key}: {}", quoted(value)),
                Data::List(values) => {
                    writeln!(text, "  {key}:").ok();
                    for value in values {
                        writeln!(text, "    - {}", quoted(value)).ok();
                    }
                }
            }
        }
        text.push_str("  ...\n");
    }
}

/// In a description a `#` begins a directive.
fn described(text: &str) -> String {
    text.replace('\\', "\\\\").replace('#', "\\#")
}

/// A text in YAML; JSON's are understood.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What a person, or a program, wants to know of what is not simply good.
fn data(case: &Case<'_>) -> Vec<(&'static str, Data)> {
    let severity = match case.standing {
        Standing::Bad => "fail",
        Standing::Unknown => "error",
        Standing::Remark => "warning",
        Standing::Good if case.lines.is_empty() => return Vec::new(),
        Standing::Good if matches!(case.what, What::Criterion(_)) => return Vec::new(),
        Standing::Good => "comment",
        Standing::Waived | Standing::LeftOut => return Vec::new(),
    };
    let text = |text: &str| Data::Text(text.to_owned());
    let mut data = vec![("severity", text(severity))];
    data.extend(case.lines.first().map(|line| ("message", text(line))));
    let What::Step(step) = &case.what else { return data };
    if let [_, rest @ ..] = case.lines.as_slice()
        && !rest.is_empty()
    {
        data.push(("more", Data::List(rest.to_vec())));
    }
    data.extend(first_check(step));
    let evidence = standing::evidence(step);
    if !evidence.is_empty() {
        data.push(("evidence", Data::List(evidence)));
    }
    data.extend(standing::advice(step).into_iter().map(|(word, said)| (word, Data::Text(said))));
    if let Some(result) = &step.result {
        data.push(("duration_ms", Data::Text(result.took.as_millis().to_string())));
    }
    data
}

/// The check that decided, in parts.
fn first_check(step: &StepRecord) -> Vec<(&'static str, Data)> {
    let Some(result) = &step.result else { return Vec::new() };
    let subjects = troubled(result);
    let found = subjects.iter().find_map(|subject| {
        let unmet = subject.checks.iter().find(|check| check.met == Some(false));
        Some((subject, unmet.or_else(|| subject.checks.iter().find(|check| check.met.is_none()))?))
    });
    let Some((subject, check)) = found else { return Vec::new() };
    let mut parts = vec![("subject", &subject.name), ("fact", &check.fact), ("expected", &check.expected)];
    parts.extend(check.actual.as_ref().map(|actual| ("actual", actual)));
    parts.into_iter().map(|(key, value)| (key, Data::Text(tidy(value)))).collect()
}
