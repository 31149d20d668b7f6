//! Events, one a line.

use std::collections::HashSet;

use opsctl::model::event::Event;
use opsctl::report::Format;
use serde_json::Value as Json;

use super::super::{EIGHTY, Sink, file};
use super::{every_run, formatted, runs};

#[test]
fn every_event_is_a_line_with_format_number_and_time() {
    for (name, events) in every_run() {
        let text = formatted(Format::Ndjson, &events);
        let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), events.len(), "{name}");
        for (number, line) in (1..).zip(&lines) {
            assert_eq!((&line["format"], &line["seq"]), (&1.into(), &number.into()), "{name}");
            assert!(line["at"].is_string() && line["elapsed_ms"].is_f64() && line["event"].is_string(), "{line}");
        }
    }
}

#[test]
fn a_line_is_there_before_the_next_event_comes() {
    let sink = Sink::default();
    let mut reporter = Format::Ndjson.reporter(Box::new(sink.clone()), EIGHTY);
    for (count, event) in (1..).zip(&runs::passed()) {
        reporter.on_event(event).expect("a sink takes all");
        let written = String::from_utf8(sink.0.lock().expect("a lock").clone()).expect("UTF-8");
        assert_eq!((written.lines().count(), written.ends_with('\n')), (count, true));
    }
}

#[test]
fn a_line_is_the_event_of_the_journal_and_can_be_read_back() {
    for (name, events) in every_run() {
        for (line, event) in formatted(Format::Ndjson, &events).lines().zip(&events) {
            assert_eq!(&serde_json::from_str::<Event>(line).expect("an event"), event, "{name}");
        }
    }
}

/// Keys of an event and of what is in it; not those that procedures name.
fn keys(json: &Json, found: &mut HashSet<String>) {
    match json {
        Json::Object(map) => {
            for (key, value) in map {
                found.insert(key.clone());
                if !matches!(key.as_str(), "facts" | "choices" | "data" | "rows") {
                    keys(value, found);
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn every_event_and_every_key_is_documented() {
    let docs = file("docs/ndjson.md");
    let (mut found, mut events) = (HashSet::new(), HashSet::new());
    for (_, run) in every_run() {
        for line in formatted(Format::Ndjson, &run).lines() {
            let json: Json = serde_json::from_str(line).expect("JSON");
            events.insert(json["event"].as_str().expect("a word").to_owned());
            keys(&json, &mut found);
        }
    }
    let missing: Vec<&String> = found.iter().chain(&events).filter(|key| !docs.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/ndjson.md does not tell {missing:?}");
    assert!(events.len() > 15, "{events:?}");
}
