//! The formats for programs and for documents, each from the same runs, and each read by a program that is not ours.

mod documents;
mod junit;
mod nagios;
mod ndjson;
mod prometheus;
mod tap;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use opsctl::model::event::Event;
use opsctl::model::expectation::Level;
use opsctl::model::outcome::{Outcome, Skip, Verdict};
use opsctl::model::value::Value;
use opsctl::report::Format;

use super::night::{outage, waiting};
use super::story::{Seen, Step, Story, subject};
use super::{EIGHTY, report, runs};

/// What is in many formats the end of something.
const SIGNS: &str =
    "a|b=c'd\"e;f#g\\h]]>&amp;<script>alert(1)</script>`code`*x*[l](http://e)${h} ... --- \u{fffe}\u{ffff}";

fn formatted(format: Format, events: &[Event]) -> String {
    report(format, EIGHTY, events)
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

/// Outside text that is the end of something in one format or another, in each place where outside text can be, and a
/// line of a megabyte.
fn signs() -> Vec<Event> {
    let long = format!("{SIGNS} {}", "long ".repeat(200_000));
    let mut bad = subject(SIGNS, Outcome::Failed)
        .checked(Level::Expect, SIGNS, Some(Value::percent(3.0)), "above 20 %", Some(false))
        .checked(Level::Expect, "text", Some(Value::text(&long)), &long, Some(false));
    bad.notes.push(SIGNS.to_owned());
    let good = subject(SIGNS, Outcome::Passed).seen("value", Value::Integer(3), "at most 10", true);
    Story::new()
        .edit(|start| {
            for text in [&mut start.command, &mut start.site, &mut start.host, &mut start.operator] {
                SIGNS.clone_into(text);
            }
            SIGNS.clone_into(&mut start.procedures[0].title);
        })
        .step(
            Step::new("logs", Outcome::Failed)
                .subject(bad)
                .reason(&long)
                .evidence(SIGNS, &[&long, SIGNS, "```", "~~~", "</pre>", "1. one", "# two"])
                .result(|result| result.help = Some(SIGNS.to_owned()))
                .plan(|plan| {
                    plan.title = SIGNS.into();
                    plan.why = Some(SIGNS.to_owned());
                    plan.next = Some(SIGNS.to_owned());
                }),
        )
        .step(Step::new("value", Outcome::Passed).subject(good).reason(SIGNS))
        .step(Step::new("later", Outcome::Skipped).skipped(Skip::Condition, SIGNS))
        .criterion(SIGNS, Verdict::Unmet, &[SIGNS])
        .ends(Outcome::Failed)
}

/// Every way in which a run can go.
fn every_run() -> Vec<(&'static str, Vec<Event>)> {
    let mut all = runs::all();
    all.extend([("signs", signs()), ("outage", outage()), ("waiting", waiting())]);
    all
}

/// What a program makes of `input`: whether it is content, and what it says.
fn read_by(program: &str, args: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is not there ({error}): scripts/setup installs it"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("a writer").ok();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

fn in_file(ending: &str, text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(ending).tempfile().expect("a file");
    file.write_all(text.as_bytes()).expect("a file");
    file
}

fn acts(text: &str) -> bool {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.contains(|c: char| (c.is_control() && c != '\n') || turns(c))
}

const NEW: [Format; 7] =
    [Format::Ndjson, Format::Junit, Format::Tap, Format::Nagios, Format::Prometheus, Format::Markdown, Format::Html];

#[test]
fn each_format_is_as_it_is_shown_here() {
    for (format, ending) in
        [(Format::Junit, "junit.xml"), (Format::Tap, "tap"), (Format::Nagios, "nagios"), (Format::Prometheus, "prom")]
    {
        is(&formatted(format, &runs::disk_failed()), &format!("disk_failed.{ending}"));
        is(&formatted(format, &runs::remarks()), &format!("remarks.{ending}"));
        is(&formatted(format, &runs::interrupted()), &format!("interrupted.{ending}"));
        is(&formatted(format, &runs::hostile()), &format!("hostile.{ending}"));
    }
    for (format, ending) in [(Format::Markdown, "md"), (Format::Html, "html")] {
        is(&formatted(format, &runs::disk_failed()), &format!("disk_failed.{ending}"));
        is(&formatted(format, &outage()), &format!("outage.run.{ending}"));
    }
    is(&formatted(Format::Ndjson, &runs::disk_failed()), "disk_failed.ndjson");
}

#[test]
fn no_format_lets_outside_text_reach_the_terminal() {
    for format in NEW {
        for events in [runs::hostile(), signs()] {
            let text = formatted(format, &events);
            assert!(!acts(&text), "{format:?}");
        }
    }
}

#[test]
fn a_megabyte_on_one_line_is_cut_where_people_read() {
    for format in NEW.into_iter().filter(|format| *format != Format::Ndjson) {
        let text = formatted(format, &signs());
        assert!(text.len() < 64 * 1024, "{format:?}: {} bytes", text.len());
    }
}

#[test]
fn nothing_is_said_of_a_run_that_never_began() {
    for format in NEW {
        assert_eq!(formatted(format, &[]), "", "{format:?}");
    }
}

#[test]
fn each_format_is_the_same_live_and_replayed() {
    let live = runs::disk_failed();
    let stored: Vec<String> = live.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    let replayed: Vec<Event> = stored.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    for format in NEW {
        assert_eq!(formatted(format, &replayed), formatted(format, &live), "{format:?}");
    }
}
