//! Reports of whole runs, compared as they are printed.

mod formats;
mod incident;
mod night;
mod runs;
mod screen;
mod story;

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::ProgressDrawTarget;
use opsctl::model::event::{Event, EventKind};
use opsctl::report::{Format, Kept, Progress, Reporter, Style};
use serde_json::Value as Json;

use screen::Screen;

const EIGHTY: Style = Style { colour: false, width: 80, timezone: chrono_tz::Europe::Warsaw, kept: Kept::InJournal };

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a healthy lock").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn report(format: Format, style: Style, events: &[Event]) -> String {
    let sink = Sink::default();
    let mut reporter = format.reporter(Box::new(sink.clone()), style);
    for event in events {
        reporter.on_event(event).expect("a sink takes all");
    }
    reporter.finish().expect("a sink takes all");
    String::from_utf8(std::mem::take(&mut *sink.0.lock().expect("a healthy lock"))).expect("UTF-8")
}

fn human(events: &[Event]) -> String {
    report(Format::Human, EIGHTY, events)
}

fn plain(events: &[Event]) -> String {
    report(Format::Plain, Style { colour: true, width: 40, ..EIGHTY }, events)
}

fn json(events: &[Event]) -> Json {
    serde_json::from_str(&report(Format::Json, EIGHTY, events)).expect("one JSON object")
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// In columns, as a terminal counts them.
fn columns(line: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(line)
}

#[track_caller]
fn prints(printed: &str, name: &str) {
    let expected = file(&format!("tests/report/{name}.txt"));
    assert!(printed == expected, "{name}.txt differs.\n--- expected\n{expected}\n--- printed\n{printed}");
}

#[test]
fn a_person_reads_each_run_as_it_is_shown_here() {
    for (name, events) in runs::all() {
        prints(&human(&events), name);
    }
}

#[test]
fn colour_paints_and_changes_no_letter() {
    let painted = report(Format::Human, Style { colour: true, ..EIGHTY }, &runs::disk_failed());
    prints(&painted.replace('\x1b', "␛"), "disk_failed.colour");
    let codes = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
    for (name, events) in runs::all() {
        let painted = report(Format::Human, Style { colour: true, ..EIGHTY }, &events);
        assert_eq!(codes.replace_all(&painted, ""), human(&events), "{name}");
    }
}

#[test]
fn a_pipe_gets_the_same_uncut() {
    prints(&plain(&runs::disk_failed()), "disk_failed.plain");
    let long = plain(&runs::long_names());
    assert!(long.contains(&"x".repeat(500)) && !long.contains('…'), "{long}");
    assert!(long.lines().next().unwrap().starts_with(
        "FAILED  emergency outage --from identify-the-cause --set region=eu-central-1  helpdesk-production-of-the-customer"
    ));
}

#[test]
fn a_full_disk_is_one_line_with_what_was_seen_and_expected_and_since_when() {
    let wide = report(Format::Human, Style { width: 83, ..EIGHTY }, &runs::disk_failed());
    let line = "FAIL  disks  /var  free 3.8 % (1.9 GiB), expected above 20 %        since Tue 03:12";
    assert_eq!(wide.lines().nth(2), Some(line));
}

#[test]
fn every_line_fits_the_terminal() {
    for width in [40, 60, 80, 100, 132] {
        for (name, events) in runs::all() {
            for line in report(Format::Human, Style { width, ..EIGHTY }, &events).lines() {
                assert!(columns(line) <= width, "{name} at {width}: {} columns: {line}", columns(line));
            }
        }
    }
}

#[test]
fn the_first_line_is_the_verdict_in_every_case() {
    let first = |events: &[Event]| human(events).lines().next().unwrap_or_default().to_owned();
    let word = |events: &[Event]| first(events).split("  ").next().unwrap_or_default().to_owned();
    assert_eq!(word(&runs::passed()), "PASSED");
    assert_eq!(word(&runs::warned()), "WARNED");
    assert_eq!(word(&runs::disk_failed()), "FAILED");
    assert_eq!(word(&runs::errored()), "COULD NOT TELL");
    assert_eq!(word(&runs::remarks()), "PENDING");
    assert_eq!(word(&runs::interrupted()), "INTERRUPTED");
    assert_eq!(word(&runs::killed()), "UNFINISHED");
}

#[test]
fn hostile_text_cannot_reach_the_terminal() {
    let events = runs::hostile();
    for format in [Format::Human, Format::Plain, Format::Json] {
        let text = report(format, EIGHTY, &events);
        let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || turns(c)), "{format:?}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("PASSED")), "{format:?}: no verdict is forged: {text}");
    }
    let seen = &json(&events)["procedures"][0]["steps"][0]["subjects"][0]["name"];
    assert_eq!(seen, runs::HOSTILE, "programs get it as it was");
}

#[test]
fn programs_get_one_object_on_one_line_that_keeps_to_the_schema() {
    let schema: Json = serde_json::from_str(&file("docs/report.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    for (name, events) in runs::all() {
        let text = report(Format::Json, EIGHTY, &events);
        assert_eq!(text.matches('\n').count(), 1, "{name}");
        let json: Json = serde_json::from_str(&text).unwrap();
        let wrong: Vec<String> = schema.iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    }
    let mut json = json(&runs::passed());
    json["procedures"][0]["steps"][0]["more"] = Json::Null;
    assert!(!schema.is_valid(&json), "the schema is strict");
}

#[test]
fn programs_get_every_key_in_its_order() {
    let seen = report(Format::Json, EIGHTY, &runs::disk_failed());
    let expected: Json = serde_json::from_str(&file("tests/report/disk_failed.json")).unwrap();
    let seen: Json = serde_json::from_str(&seen).unwrap();
    let pretty = |json: &Json| serde_json::to_string_pretty(json).unwrap();
    assert!(pretty(&seen) == pretty(&expected), "disk_failed.json differs: {}", pretty(&seen));
}

#[test]
fn every_key_of_the_schema_is_documented() {
    fn keys(json: &Json, found: &mut Vec<String>) {
        let Some(map) = json.as_object() else { return };
        if let Some(properties) = map.get("properties").and_then(Json::as_object) {
            found.extend(properties.keys().cloned());
        }
        map.values().for_each(|value| keys(value, found));
    }
    let schema: Json = serde_json::from_str(&file("docs/report.schema.json")).unwrap();
    let (docs, mut found) = (file("docs/json.md"), Vec::new());
    keys(&schema, &mut found);
    for key in &found {
        let named = [format!("`{key}`"), format!(".{key}`")];
        assert!(named.iter().any(|name| docs.contains(name)), "docs/json.md does not name `{key}`");
    }
    assert!(found.len() > 50, "the schema has keys: {found:?}");
}

#[test]
fn a_killed_run_has_no_outcome_and_says_what_is_not_known() {
    let json = json(&runs::killed());
    assert_eq!((&json["outcome"], &json["exit"]), (&Json::Null, &Json::Null));
    assert_eq!(json["counts"]["steps"]["unfinished"], 2);
    assert_eq!(json["procedures"][0]["criteria"][0]["outcome"], "not_proven");
    let reasons: Vec<&Json> = json["procedures"][0]["steps"].as_array().unwrap().iter().map(|s| &s["reason"]).collect();
    assert_eq!(reasons, [&Json::Null, &"started, but how it ended is not known".into(), &"not started".into()]);
}

#[test]
fn an_interrupted_run_keeps_its_outcome_and_its_signal() {
    let json = json(&runs::interrupted());
    assert_eq!((&json["interrupted"], &json["outcome"], &json["exit"]), (&true.into(), &"failed".into(), &130.into()));
}

#[test]
fn nothing_is_printed_of_a_run_that_never_began() {
    for format in [Format::Human, Format::Plain, Format::Json] {
        assert_eq!(report(format, EIGHTY, &[]), "");
    }
}

#[test]
fn a_replayed_run_reads_as_the_live_one() {
    let live = runs::disk_failed();
    let stored: Vec<String> = live.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    let replayed: Vec<Event> = stored.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    for format in [Format::Human, Format::Plain, Format::Json] {
        assert_eq!(report(format, EIGHTY, &replayed), report(format, EIGHTY, &live));
    }
}

#[test]
fn only_a_run_on_record_is_said_to_be_seen_again() {
    let last = |kept| {
        let text = report(Format::Plain, Style { kept, ..EIGHTY }, &runs::disk_failed());
        text.lines().last().unwrap_or_default().to_owned()
    };
    let exit = "exit 2: not as expected";
    assert!(last(Kept::InJournal).starts_with("see it again: opsctl show "), "{}", last(Kept::InJournal));
    assert_eq!(last(Kept::ForTheDrill), exit);
    assert_eq!(last(Kept::Nowhere), format!("this run is not on record  {exit}"));
}

#[test]
fn a_format_is_chosen_by_its_name() {
    assert_eq!("json".parse(), Ok(Format::Json));
    let message = |text: &str| text.parse::<Format>().unwrap_err().to_string();
    let names = Format::names().collect::<Vec<_>>().join(", ");
    assert_eq!(message("jsno"), format!("`jsno` is not a format; did you mean `json`? The formats are {names}"));
    assert_eq!(message("yaml"), format!("`yaml` is not a format; the formats are {names}"));
    for name in Format::names() {
        assert_eq!(name.parse::<Format>().map(Format::name), Ok(name));
    }
}

/// The same run, `later` into it.
fn shifted(mut events: Vec<Event>, later: Duration) -> Vec<Event> {
    for event in &mut events {
        event.elapsed += later;
    }
    events
}

/// Up to and with the start of a step.
fn until_started(events: &[Event], step: &str) -> usize {
    let starts = |event: &Event| matches!(&event.kind, EventKind::StepStarted { step: id, .. } if id.as_str() == step);
    events.iter().position(starts).expect("a step that starts") + 1
}

fn progress(screen: &Screen) -> Box<dyn Reporter> {
    Box::new(Progress::on(ProgressDrawTarget::term_like(Box::new(screen.clone()))))
}

#[test]
fn progress_shows_the_running_step_and_how_far_the_run_is() {
    let (screen, events) = (Screen::default(), shifted(runs::disk_failed(), Duration::from_secs(3723)));
    let mut progress = progress(&screen);
    for event in &events[..until_started(&events, "disks")] {
        progress.on_event(event).unwrap();
    }
    progress.on_tick().unwrap();
    let text = screen.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "one running step and the run: {text}");
    assert!(lines[0].contains("Look at disks"), "{text}");
    assert!(lines[1].starts_with("2/4 steps  1:02:0") && lines[1].ends_with(" of 15:00"), "{text}");
}

#[test]
fn progress_leaves_the_terminal_as_it_was() {
    let (screen, events) = (Screen::default(), shifted(runs::interrupted(), Duration::from_secs(9)));
    let mut progress = progress(&screen);
    for event in &events[..until_started(&events, "disks")] {
        progress.on_event(event).unwrap();
    }
    assert!(screen.text().contains("Look at disks"), "it was drawn: {}", screen.text());
    progress.finish().unwrap();
    assert_eq!((screen.text().as_str(), screen.cursor()), ("", (0, 0)));
}

#[test]
fn a_quick_run_never_touches_the_terminal() {
    let screen = Screen::default();
    let mut progress = progress(&screen);
    // The clock of the progress starts with the first event, so that a slow machine cannot make the run long.
    progress.on_event(&runs::passed()[0]).unwrap();
    progress.finish().unwrap();
    assert_eq!(screen.calls(), 0);
}

#[test]
fn progress_counts_the_running_steps_that_have_no_line() {
    let screen = Screen::default();
    let steps =
        (0..20).fold(story::Story::new(), |story, index| story.step(story::Step::started(&format!("s{index}"))));
    let mut progress = progress(&screen);
    for event in shifted(steps.killed(), Duration::from_secs(1)) {
        progress.on_event(&event).unwrap();
    }
    assert_eq!(screen.text().lines().count(), 9, "{}", screen.text());
    assert!(screen.text().ends_with("12 more running"), "{}", screen.text());
}
