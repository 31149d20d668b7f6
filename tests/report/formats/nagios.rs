//! The answer of a plugin, read by opsctl's own reader and by Perl's `Monitoring::Plugin`.

use opsctl::model::event::Event;
use opsctl::model::value::Value;
use opsctl::report::Format;

use super::super::columns;
use super::super::night::waiting;
use super::{every_run, formatted, in_file, read_by, runs};
use crate::support::look::Look;

fn first(events: &[Event]) -> String {
    let text = formatted(Format::Nagios, events);
    text.lines().next().unwrap_or_default().split(" | ").next().unwrap_or_default().to_owned()
}

#[test]
fn the_first_line_is_the_state_and_what_is_wrong() {
    assert_eq!(first(&runs::passed()), "OK: 3 of 3 criteria met");
    assert_eq!(
        first(&runs::disk_failed()),
        "CRITICAL: disks /var free 3.8 % (1.9 GiB), expected above 20 % (1 of 4 failed)"
    );
    assert_eq!(
        first(&runs::warned()),
        "WARNING: home-page https://helpdesk.example latency 3.1 s, pre… (1 of 2 warned)"
    );
    assert_eq!(
        first(&runs::errored()),
        "UNKNOWN: error-logs /var/log/django.log no permission to read… (1 of 2 errored)"
    );
    assert_eq!(first(&runs::interrupted()), "UNKNOWN: the run was interrupted: 2 of 3 steps finished");
    assert_eq!(first(&runs::killed()), "UNKNOWN: the end of this run is not on record: 1 of 3 steps finished");
    assert!(first(&waiting()).starts_with("WARNING: the run waits: "), "{}", first(&waiting()));
}

#[test]
fn the_first_line_fits_eighty_columns_and_has_one_bar_at_most() {
    for (name, events) in every_run() {
        let text = formatted(Format::Nagios, &events);
        assert!(columns(&first(&events)) < 80, "{name}: {}", first(&events));
        assert!(text.matches('|').count() <= 1, "{name}: {text}");
        assert!(text.len() <= 8192, "{name}: {} bytes", text.len());
    }
}

#[test]
fn performance_data_have_the_limits_as_ranges() {
    let text = formatted(Format::Nagios, &runs::disk_failed());
    assert!(text.contains("'disks /var free'=3.8%;;20:;0;100"), "{text}");
    let text = formatted(Format::Nagios, &runs::warned());
    assert!(text.contains("'home-page https://helpdesk.example latency'=3.1s;~:2 "), "{text}");
    assert!(text.contains("'home-page https://helpdesk.example status'=200;;200:200"), "{text}");
}

#[test]
fn our_own_reader_of_plugins_reads_the_performance_data() {
    for (name, events) in every_run() {
        let text = formatted(Format::Nagios, &events);
        let labels = text.lines().next().unwrap_or_default().matches("'=").count();
        let file = in_file(".txt", &text);
        let inputs = serde_json::json!({ "run": ["cat", file.path()], "parse": "plugin" });
        let subject = Look::new("command", inputs).subject();
        let read = subject.facts.keys().filter(|fact| fact.starts_with("perf.")).count();
        assert_eq!(read, labels, "{name}: {text}");
        assert_eq!(subject.facts["message"], Value::text(first(&events).trim()), "{name}");
    }
    let file = in_file(".txt", &formatted(Format::Nagios, &runs::disk_failed()));
    let subject = Look::new("command", serde_json::json!({ "run": ["cat", file.path()], "parse": "plugin" })).subject();
    assert_eq!(subject.facts["perf.disks /var free"], Value::percent(3.8));
}

#[test]
fn monitoring_plugin_of_perl_reads_the_performance_data() {
    let script = "use Monitoring::Plugin::Performance; local $/; my $in = <STDIN>; my ($data) = $in =~ /\\|([^\\n]*)/; \
        my @all = Monitoring::Plugin::Performance->parse_perfstring($data // ''); \
        print join(' ', $_->clean_label // '', $_->value, $_->uom, $_->threshold->warning // '', $_->threshold->critical // ''), \"\\n\" for @all;";
    for (name, events) in every_run() {
        let text = formatted(Format::Nagios, &events);
        let labels = text.lines().next().unwrap_or_default().matches("'=").count();
        let (is_read, said) = read_by("perl", &["-e", script], &text);
        assert!(is_read, "{name}: {said}");
        assert_eq!(said.lines().count(), labels, "{name}: {said}\n{text}");
    }
}
