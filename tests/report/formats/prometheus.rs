//! Metrics, read by promtool.

use std::collections::HashSet;
use std::time::Duration;

use opsctl::model::outcome::Outcome;
use opsctl::model::value::Value;
use opsctl::report::Format;

use super::super::story::{Seen, Step, Story, subject};
use super::{every_run, formatted, read_by, runs};

#[test]
fn promtool_has_nothing_to_say_about_any_run() {
    for (name, events) in every_run() {
        let (is_good, said) = read_by("promtool", &["check", "metrics"], &formatted(Format::Prometheus, &events));
        assert!(is_good && said.trim().is_empty(), "{name}: {said}");
    }
}

#[test]
fn no_series_comes_twice() {
    for (name, events) in every_run() {
        let text = formatted(Format::Prometheus, &events);
        let mut seen = HashSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let series = line.rsplit_once(' ').expect("a series and a value").0;
            assert!(seen.insert(series.to_owned()), "{name}: {series}");
        }
    }
}

#[test]
fn the_exit_status_and_the_outcome_are_those_of_the_run() {
    let text = formatted(Format::Prometheus, &runs::disk_failed());
    for line in [
        "opsctl_run_exit_status{site=\"helpdesk\",command=\"daily check\"} 2",
        "opsctl_run_outcome{site=\"helpdesk\",command=\"daily check\",outcome=\"failed\"} 1",
        "opsctl_run_outcome{site=\"helpdesk\",command=\"daily check\",outcome=\"passed\"} 0",
        "opsctl_step_outcome{site=\"helpdesk\",procedure=\"daily/system-health\",step=\"database\",outcome=\"errored\"} 1",
        "opsctl_fact{site=\"helpdesk\",procedure=\"daily/system-health\",step=\"disks\",subject=\"/var\",fact=\"free\",unit=\"%\"} 3.8",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line}\n{text}");
    }
}

#[test]
fn what_could_not_be_seen_has_no_number() {
    let text = formatted(Format::Prometheus, &runs::unreachable());
    assert!(!text.contains("json.queue.depth"), "{text}");
    let endless = subject("x", Outcome::Passed).seen("share", Value::percent(f64::NAN), "above 1 %", true);
    let events = Story::new().step(Step::new("odd", Outcome::Passed).subject(endless)).took(Duration::from_secs(1));
    assert!(!formatted(Format::Prometheus, &events.ends(Outcome::Passed)).contains("NaN"));
}
