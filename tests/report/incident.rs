//! The record of an incident, told once, in every form.

use std::path::Path;
use std::time::Duration;

use chrono::TimeDelta;
use opsctl::model::event::incident::{Mark, Note};
use opsctl::model::event::people::Ask;
use opsctl::model::event::{Event, EventKind};
use opsctl::model::incident::{EntryKind, Points, timeline};
use opsctl::model::outcome::{Exit, Outcome};
use opsctl::model::record::Record;
use opsctl::report::emergency::{self, Existing, Form};
use proptest::prelude::*;

use super::night::{Night, WARSAW, at, begins, outage, waiting};
use super::{EIGHTY, Style};

fn written(events: &[Event], form: Form) -> String {
    emergency::render(&Record::of(events), form, WARSAW).expect("a report")
}

/// `UPDATE_DOCS=1` writes the files anew.
#[track_caller]
fn is(text: &str, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).expect("a file");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(text == expected, "{name} differs.\n--- expected\n{expected}\n--- printed\n{text}");
}

#[test]
fn the_report_of_an_emergency_is_the_form_filled_from_the_record() {
    let events = outage();
    is(&written(&events, Form::Markdown), "outage.md");
    is(&written(&events, Form::Html), "outage.html");
    is(&written(&events, Form::Human), "outage.report.txt");
}

#[test]
fn every_event_of_an_incident_is_read_as_it_was_written() {
    for event in outage() {
        let text = serde_json::to_string(&event).expect("JSON");
        assert_eq!(serde_json::from_str::<Event>(&text).expect("the same"), event, "{text}");
    }
}

#[test]
fn a_person_reads_what_was_found_run_answered_and_told() {
    is(&super::human(&outage()), "outage.txt");
    is(&super::human(&waiting()), "waiting.txt");
    is(&super::plain(&outage()), "outage.plain.txt");
}

#[test]
fn every_line_of_an_incident_fits_the_terminal() {
    for width in [40, 80, 132] {
        for events in [outage(), waiting()] {
            let text = super::report(opsctl::report::Format::Human, Style { width, ..EIGHTY }, &events);
            for line in text.lines() {
                assert!(super::columns(line) <= width, "at {width}: {line}");
            }
        }
    }
}

#[test]
fn programs_get_the_incident_as_the_schema_says() {
    let schema = serde_json::from_str(&super::file("docs/report.schema.json")).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    for events in [outage(), waiting(), begins().0] {
        let json = super::json(&events);
        let wrong: Vec<String> = schema.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
    let json = super::json(&waiting());
    assert_eq!(json["suspended"], "test-login waits for a person");
    assert_eq!(json["procedures"][0]["steps"][3]["actions"][0]["ended"], serde_json::Value::Null);
    let json = super::json(&outage());
    assert_eq!((&json["suspended"], &json["points"]["to_resolve_ms"]), (&serde_json::Value::Null, &8_100_000.0.into()));
    assert_eq!(json["procedures"][0]["steps"][0]["finding"], true);
    assert_eq!(json["procedures"][0]["steps"][3]["actions"][1]["notes"][0], "3 pages had expired meanwhile");
}

#[test]
fn what_is_not_on_record_is_left_to_be_filled_in_by_hand() {
    let events = begins().0;
    for form in [Form::Markdown, Form::Human] {
        let text = written(&events, form);
        let blank = text.lines().filter(|line| line.contains("(to be filled in)")).count();
        assert_eq!(blank, 5 + 1 + 3 + 3 + 1, "{text}");
    }
    assert!(written(&events, Form::Human).contains("not known: nobody has said when it was detected and resolved"));
}

#[test]
fn points_that_nobody_has_said_are_missing() {
    let points = Points::of(&Record::of(&begins().0));
    assert_eq!(points, Points { started: Some(at("03:00")), ..Points::default() });
    assert_eq!(points.to_resolve(), None);
    let points = Points::of(&Record::of(&outage()));
    assert_eq!(points.to_acknowledge(), Some(Duration::from_mins(10)));
    assert_eq!(points.to_mitigate(), Some(Duration::from_mins(100)));
    assert_eq!(points.to_resolve(), Some(Duration::from_mins(135)));
}

#[test]
fn a_run_that_failed_resolves_nothing_and_one_that_passed_does() {
    let end = |outcome| begins().then("04:00", EventKind::RunFinished { outcome, exit: Exit::of(outcome, None) }).0;
    assert_eq!(Points::of(&Record::of(&end(Outcome::Failed))).resolved, None);
    assert_eq!(Points::of(&Record::of(&end(Outcome::Errored))).resolved, None);
    assert_eq!(Points::of(&Record::of(&end(Outcome::Passed))).resolved, Some(at("04:00")));
}

#[test]
fn a_note_after_the_end_makes_the_run_no_longer() {
    let record = Record::of(&outage());
    assert_eq!((record.took, record.ended), (Duration::from_hours(2), Some(at("05:00"))));
}

#[test]
fn an_action_without_an_end_is_of_unknown_outcome() {
    let text = written(&waiting(), Form::Human);
    assert!(
        text.contains("clear-cache, apache2.service: outcome unknown: it began, and no end is on record"),
        "{text}"
    );
}

const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "# heading | cell ` code ``` [a](javascript:x) ![i](http://x) *b* _i_ ~s~ &amp; \\ <!-- -->",
    "1. list\n- item\n===\n| --- |",
    "\x1b[2J\x07\u{202e}dessap\u{200b}\r\nPASSED",
    "{{ 7 * 7 }}{% for x in range(99999) %}",
    "- </td></tr></table><style>*{display:none}</style>",
];

#[test]
fn hostile_text_stays_text_in_every_form() {
    let mut night = Night(outage());
    for text in HOSTILE {
        night = night.noted("09:10", text, "09:10").noted("09:10", &format!("cause: {text}"), "09:10");
    }
    let long = "x".repeat(100_000);
    let events = night.noted("09:11", &long, "09:11").0;
    for (name, form) in Form::ALL {
        let text = written(&events, form);
        let acts = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{200b}';
        assert!(!text.contains(acts), "{name}");
        assert!(text.contains(&long), "{name}: nothing is cut");
        assert!(text.replace('\\', "").contains("{{ 7 * 7 }}"), "{name}: no template is made of it");
        assert!(!text.contains("49"), "{name}");
    }
    let html = written(&events, Form::Html);
    for tag in ["<script", "<img", "<style>*", "<!-- "] {
        assert!(!html.contains(tag), "{tag}");
    }
    assert_eq!(html.matches("</table>").count(), 3, "no table ends early");
    let markdown = written(&events, Form::Markdown);
    for line in markdown.lines().filter(|line| line.starts_with('|')) {
        let bars = line.replace("\\|", "").matches('|').count();
        assert!(matches!(bars, 3..=5), "{bars} cells: {line}");
    }
    for line in markdown.lines() {
        assert!(!line.replace("\\<", "").contains("<script"), "{line}");
        assert!(!line.starts_with("1. list") && !line.starts_with("==="), "{line}");
    }
}

#[test]
fn a_report_is_written_whole_and_replaces_nothing_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.md");
    emergency::write(&file, "one", Existing::Keep).expect("written");
    let kept = emergency::write(&file, "two", Existing::Keep).expect_err("kept");
    assert_eq!(kept.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "one");
    emergency::write(&file, "two", Existing::Replace).expect("written");
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "two");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left beside it");
}

#[test]
fn the_name_of_the_file_says_the_form() {
    let form = |name: &str| Form::of_file(Path::new(name));
    assert_eq!(
        ["a.md", "a.HTML", "a.htm", "a.txt", "a"].map(form),
        [Form::Markdown, Form::Html, Form::Html, Form::Human, Form::Markdown]
    );
}

proptest! {
    #[test]
    fn the_timeline_is_in_order_and_loses_nothing(
        points in proptest::collection::vec((0i64..600, 0i64..600, any::<bool>()), 0..30)
    ) {
        let mut night = begins();
        let begin = at("03:00");
        let mut clock = begin;
        for (later, earlier, is_mark) in &points {
            clock += TimeDelta::seconds(*later);
            let when = clock - TimeDelta::seconds(*earlier);
            let kind = if *is_mark {
                EventKind::Marked(Mark { name: "mitigated".to_owned(), at: when, by: "jan".to_owned() })
            } else {
                let text = "text".to_owned();
                EventKind::Noted(Note { at: when, by: "jan".to_owned(), text, step: None, attachments: vec![] })
            };
            let seq = night.0.len() as u64 + 1;
            let elapsed = (clock - begin).to_std().expect("later");
            night.0.push(Event { seq, at: clock, elapsed, kind });
        }
        let record = Record::of(&night.0);
        let entries = timeline(&record);
        prop_assert!(entries.is_sorted_by_key(|entry| entry.at));
        prop_assert_eq!(entries.len(), points.len() + 1);
        prop_assert_eq!(entries.iter().filter(|entry| entry.kind == EntryKind::Start).count(), 1);
        let late = points.iter().filter(|(_, earlier, _)| *earlier >= 60).count();
        prop_assert_eq!(entries.iter().filter(|entry| entry.entered.is_some()).count(), late);
        for entry in &entries {
            prop_assert!(entry.entered.is_none_or(|entered| entered - entry.at >= TimeDelta::minutes(1)));
        }
        let points = Points::of(&record);
        prop_assert_eq!(points.to_resolve(), None);
        prop_assert_eq!(points.mitigated, record.mark("mitigated"));
    }
}

#[test]
fn what_was_asked_about_a_step_that_is_over_waits_no_longer() {
    let night = begins().asked("03:02", "clear-cache", Ask::Failure, "failed: no answer");
    assert!(super::human(&night.0).contains("WAIT  clear-cache"));
    let night = night.ended("03:03", "clear-cache", Outcome::Passed, |_| {});
    let text = super::human(&night.0);
    assert!(text.contains("PASS  clear-cache") && !text.contains("failed: no answer"), "{text}");
}
