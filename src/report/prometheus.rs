//! For the textfile collector of Prometheus' node exporter: the newest run as metrics.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::line::{cut, harmless};
use crate::model::event::RunStart;
use crate::model::incident;
use crate::model::outcome::{Outcome, Verdict};
use crate::model::record::{ProcedureRecord, Record};
use crate::model::unit::Quantity;
use crate::model::value::Value;

/// Columns of the value of a label.
const MOST_LABEL: usize = 200;

pub(super) fn render(record: &Record) -> String {
    let Some(start) = &record.start else { return String::new() };
    let mut page = Page { text: String::new(), seen: HashSet::new() };
    run(&mut page, record, start);
    let procedures: Vec<&ProcedureRecord> = record.procedures.values().collect();
    of_procedures(&mut page, start, &procedures);
    of_steps(&mut page, start, &procedures);
    of_facts(&mut page, start, &procedures);
    page.text
}

type Labels<'l> = Vec<(&'static str, &'l str)>;

struct Page {
    text: String,
    /// Every series once: a second one would make the collector refuse the whole file.
    seen: HashSet<String>,
}

impl Page {
    fn metric(&mut self, name: &str, help: &str) {
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge").ok();
    }

    fn sample(&mut self, name: &str, labels: &Labels<'_>, value: f64) {
        let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
        let series = format!("{name}{{{}}}", labels.join(","));
        if value.is_finite() && self.seen.insert(series.clone()) {
            writeln!(self.text, "{series} {value}").ok();
        }
    }

    /// One series for each state; that of the state that it is in is 1.
    fn states(&mut self, name: &str, labels: &Labels<'_>, label: &'static str, states: &[&str], state: Option<&str>) {
        for one in states {
            let mut labels = labels.clone();
            labels.push((label, one));
            self.sample(name, &labels, f64::from(u8::from(state == Some(*one))));
        }
    }
}

fn escaped(text: &str) -> String {
    cut(&harmless(text), MOST_LABEL).replace('\\', "\\\\").replace('"', "\\\"")
}

/// As exact as the record is: to the microsecond.
fn seconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e6
}

fn run(page: &mut Page, record: &Record, start: &RunStart) {
    let labels: Labels<'_> = vec![("site", &start.site), ("command", &start.command)];
    let outcome = record.finished.map(|(outcome, _)| outcome.word());
    page.metric("opsctl_run_outcome", "What the run came to: 1 for the outcome that it has; all 0 if it has no end.");
    page.states("opsctl_run_outcome", &labels, "outcome", &Outcome::ALL.map(Outcome::word), outcome);
    page.metric(
        "opsctl_run_exit_status",
        "Exit status: 0 everything holds, 1 warned, 2 failed, 3 could not tell, 130 or 143 interrupted.",
    );
    page.sample("opsctl_run_exit_status", &labels, f64::from(record.exit().code()));
    let ended = record.ended.or_else(|| Some(record.started? + record.took));
    if let Some(at) = ended {
        page.metric("opsctl_run_timestamp_seconds", "When the run ended.");
        page.sample("opsctl_run_timestamp_seconds", &labels, at.timestamp_millis() as f64 / 1000.0);
    }
    page.metric("opsctl_run_duration_seconds", "How long the run took.");
    page.sample("opsctl_run_duration_seconds", &labels, seconds(record.took));
}

fn labels<'r>(start: &'r RunStart, procedure: &'r ProcedureRecord) -> Labels<'r> {
    vec![("site", &start.site), ("procedure", procedure.plan.id.as_str())]
}

fn of_procedures(page: &mut Page, start: &RunStart, procedures: &[&ProcedureRecord]) {
    page.metric("opsctl_procedure_outcome", "What a procedure came to: 1 for the outcome that it has.");
    for procedure in procedures {
        let labels = labels(start, procedure);
        let outcome = procedure.outcome.map(Outcome::word);
        page.states("opsctl_procedure_outcome", &labels, "outcome", &Outcome::ALL.map(Outcome::word), outcome);
    }
    page.metric("opsctl_procedure_duration_seconds", "How long a procedure took.");
    for procedure in procedures.iter().filter(|procedure| procedure.outcome.is_some()) {
        let labels = labels(start, procedure);
        page.sample("opsctl_procedure_duration_seconds", &labels, seconds(procedure.took));
    }
    page.metric("opsctl_criterion_verdict", "Whether a criterion holds: 1 for the verdict that it has.");
    for procedure in procedures {
        for (says, verdict, _) in incident::criteria_of(procedure) {
            let mut labels = labels(start, procedure);
            labels.push(("criterion", says));
            let verdicts = [Verdict::Met, Verdict::Unmet, Verdict::NotProven].map(of_verdict);
            page.states("opsctl_criterion_verdict", &labels, "verdict", &verdicts, Some(of_verdict(verdict)));
        }
    }
}

fn of_verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::Unmet => "unmet",
        Verdict::NotProven => "not_proven",
    }
}

fn of_steps(page: &mut Page, start: &RunStart, procedures: &[&ProcedureRecord]) {
    let steps = || {
        procedures.iter().flat_map(|procedure| {
            procedure.steps.values().map(|step| {
                let mut labels = labels(start, procedure);
                labels.push(("step", step.plan.id.as_str()));
                (labels, step)
            })
        })
    };
    page.metric("opsctl_step_outcome", "What a step came to: 1 for the outcome that it has; all 0 without a result.");
    for (labels, step) in steps() {
        let outcome = step.result.as_ref().map(|result| result.outcome.word());
        page.states("opsctl_step_outcome", &labels, "outcome", &Outcome::ALL.map(Outcome::word), outcome);
    }
    page.metric("opsctl_step_duration_seconds", "How long a step took, with all its attempts.");
    for (labels, step) in steps() {
        if let Some(result) = &step.result {
            page.sample("opsctl_step_duration_seconds", &labels, seconds(result.took));
        }
    }
    page.metric("opsctl_step_attempts", "How often a step was tried.");
    for (labels, step) in steps() {
        if let Some(result) = &step.result {
            page.sample("opsctl_step_attempts", &labels, f64::from(result.attempts));
        }
    }
}

fn of_facts(page: &mut Page, start: &RunStart, procedures: &[&ProcedureRecord]) {
    page.metric("opsctl_fact", "What a step saw: numbers in their base unit, yes as 1 and no as 0.");
    let results = procedures.iter().flat_map(|one| one.steps.values()).filter_map(|step| step.result.as_ref());
    for result in results {
        for subject in &result.subjects {
            for (fact, value) in &subject.facts {
                for (unit, number) in numbers(value) {
                    let labels = vec![
                        ("site", start.site.as_str()),
                        ("procedure", result.procedure.as_str()),
                        ("step", result.step.as_str()),
                        ("subject", subject.name.as_str()),
                        ("fact", fact.as_str()),
                        ("unit", unit),
                    ];
                    page.sample("opsctl_fact", &labels, number);
                }
            }
        }
    }
}

/// With their units; a share has two.
fn numbers(value: &Value) -> Vec<(&'static str, f64)> {
    let of = |quantity: &Quantity| (quantity.dimension().base_unit(), quantity.amount());
    match value {
        Value::Bool(flag) => vec![("", f64::from(u8::from(*flag)))],
        Value::Integer(integer) => vec![("", *integer as f64)],
        Value::Number(quantity) => vec![of(quantity)],
        Value::Share { percent, amount } => vec![("%", *percent), of(amount)],
        Value::Text(_) | Value::List(_) => Vec::new(),
    }
}
