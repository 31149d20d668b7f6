//! The record of an incident, told once, in every form.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use opsctl::model::action::{Effect, Plan};
use opsctl::model::event::doing::{ActionEnd, ActionStart, Ended, Phase};
use opsctl::model::event::incident::{BudgetUse, Delivered, Delivery, Mark, Message, Note};
use opsctl::model::event::people::{Answer, Ask, Question, Reply};
use opsctl::model::event::{
    CriterionResult, Event, EventKind, Mode, ProcedurePlan, ProcedureResult, Resume, RunStart, StepPlan, StepResult,
    SubjectResult,
};
use opsctl::model::id::{ProcedureId, StepId};
use opsctl::model::incident::{EntryKind, Points, timeline};
use opsctl::model::outcome::{Exit, Outcome, Verdict};
use opsctl::model::record::Record;
use opsctl::model::value::Value;
use opsctl::report::emergency::{self, Existing, Form};
use proptest::prelude::*;

use super::story::{Seen, subject};
use super::{EIGHTY, Style};

const WARSAW: chrono_tz::Tz = chrono_tz::Europe::Warsaw;

/// `03:05` of the night, in Warsaw.
fn at(clock: &str) -> DateTime<Utc> {
    let (hours, minutes) = clock.split_once(':').expect("hours and minutes");
    let since = hours.parse::<i64>().expect("hours") * 60 + minutes.parse::<i64>().expect("minutes");
    "2026-11-20T23:00:00Z".parse::<DateTime<Utc>>().expect("a time") + TimeDelta::minutes(since)
}

fn id(text: &str) -> ProcedureId {
    text.parse().expect("an id")
}

fn step(text: &str) -> StepId {
    text.parse().expect("an id")
}

/// What happened, event by event.
pub struct Night(Vec<Event>);

impl Night {
    fn then(mut self, clock: &str, kind: EventKind) -> Self {
        let at = at(clock);
        let elapsed = (at - self.0.first().map_or(at, |first| first.at)).to_std().expect("later");
        self.0.push(Event { seq: self.0.len() as u64 + 1, at, elapsed, kind });
        self
    }

    fn marked(self, clock: &str, name: &str, when: &str) -> Self {
        let mark = Mark { name: name.to_owned(), at: at(when), by: "anna".to_owned() };
        self.then(clock, EventKind::Marked(mark))
    }

    pub fn noted(self, clock: &str, text: &str, when: &str) -> Self {
        let note = Note { at: at(when), by: "jan".to_owned(), text: text.to_owned(), step: None, attachments: vec![] };
        self.then(clock, EventKind::Noted(note))
    }

    fn ended(self, clock: &str, id: &str, outcome: Outcome, edit: impl FnOnce(&mut StepResult)) -> Self {
        let mut result = StepResult {
            procedure: self::id("emergency/outage"),
            step: step(id),
            outcome,
            took: Duration::from_secs(1),
            attempts: 1,
            reason: None,
            help: None,
            skip: None,
            since: None,
            choice: None,
            subjects: Vec::new(),
            evidence: Vec::new(),
        };
        edit(&mut result);
        self.then(clock, EventKind::StepFinished(Box::new(result)))
    }

    fn asked(self, clock: &str, id: &str, ask: Ask, text: &str) -> Self {
        let question = Question {
            procedure: self::id("emergency/outage"),
            step: step(id),
            item: None,
            ask,
            text: text.to_owned(),
            choices: indexmap::IndexMap::new(),
            note_required: false,
            role: None,
            does: Vec::new(),
            hash: None,
            type_to_agree: None,
        };
        self.then(clock, EventKind::Asked(Box::new(question)))
    }

    fn answered(self, clock: &str, id: &str, reply: Reply, note: Option<&str>) -> Self {
        let answer = Answer {
            procedure: self::id("emergency/outage"),
            step: step(id),
            item: None,
            reply,
            note: note.map(str::to_owned),
            attachments: Vec::new(),
            by: "anna".to_owned(),
            verified: true,
            hash: None,
        };
        self.then(clock, EventKind::Answered(Box::new(answer)))
    }

    fn acts(self, clock: &str, id: &str, phase: Phase, does: &[&str]) -> Self {
        let start = ActionStart {
            procedure: self::id("emergency/outage"),
            step: step(id),
            item: None,
            phase,
            action: "service".to_owned(),
            target: "apache2.service".to_owned(),
            effect: Effect::Change,
            plan: Plan::new(does.iter().map(|line| (*line).to_owned()).collect()),
            hash: String::new(),
            agreed_by: "anna".to_owned(),
        };
        let began = EventKind::StepStarted { procedure: self::id("emergency/outage"), step: step(id) };
        let night = if phase == Phase::Do { self.then(clock, began) } else { self };
        night.then(clock, EventKind::ActionStarted(Box::new(start)))
    }

    fn acted(self, clock: &str, id: &str, phase: Phase, ended: Ended, reason: Option<&str>) -> Self {
        let end = ActionEnd {
            procedure: self::id("emergency/outage"),
            step: step(id),
            item: None,
            phase,
            ended,
            took: Duration::from_secs(3),
            reason: reason.map(str::to_owned),
            help: None,
            facts: opsctl::model::fact::Facts::new(),
            evidence: Vec::new(),
        };
        self.then(clock, EventKind::ActionFinished(Box::new(end)))
    }

    fn told(self, clock: &str, to: &str, state: Delivered, deadline: &str) -> Self {
        let message = Message {
            id: format!("emergency/outage.tell-{to}.0.0"),
            to: to.to_owned(),
            severity: None,
            channel: "mail".to_owned(),
            address: Some(format!("{to}@helpdesk.example")),
            text: "helpdesk: outage, critical".to_owned(),
            deadline: Some(at(deadline)),
        };
        let delivery = Delivery { id: message.id.clone(), state, detail: None };
        self.then(clock, EventKind::MessageQueued(Box::new(message))).then(clock, EventKind::MessageDelivered(delivery))
    }

    fn spent(self, clock: &str, percent: u8) -> Self {
        let used = BudgetUse {
            procedure: id("emergency/outage"),
            section: None,
            percent,
            budget_ms: 7_200_000,
            since: at("02:50"),
        };
        self.then(clock, EventKind::BudgetUsed(used))
    }
}

fn plan(id: &str, title: &str, kind: &str, finding: bool) -> StepPlan {
    StepPlan {
        id: step(id),
        title: title.to_owned(),
        kind: kind.to_owned(),
        probe: if kind == "action" { "service" } else { "http" }.to_owned(),
        section: None,
        at: format!("emergency/outage.yaml:{id}"),
        why: None,
        next: None,
        finding,
    }
}

fn begins() -> Night {
    let called = ProcedurePlan {
        id: id("emergency/data-restore"),
        title: "Data restore".to_owned(),
        hash: String::new(),
        called_by: Some((id("emergency/outage"), step("restore-data"))),
        budget_ms: None,
        criteria: vec!["The data is there".to_owned()],
        steps: vec![plan("restore", "Restore the newest backup", "action", false)],
    };
    let outage = ProcedurePlan {
        id: id("emergency/outage"),
        title: "System unavailable".to_owned(),
        hash: String::new(),
        called_by: None,
        budget_ms: Some(7_200_000),
        criteria: vec!["The system is restored within 2 hours".to_owned(), "The users were told".to_owned()],
        steps: vec![
            plan("home-page", "The home page answers", "probe", true),
            plan("classify-severity", "How bad is it?", "decision", false),
            plan("tell", "The IT team is told", "notify", false),
            plan("clear-cache", "The cache is emptied", "action", false),
            plan("restart-web", "The web server is restarted", "action", false),
            plan("test-login", "People can log in", "manual", false),
            plan("record-cause", "The cause is written down", "manual", false),
            plan("restore-data", "The data is restored", "procedure", false),
        ],
    };
    let start = RunStart {
        run: "01a1fe4e-e757-7c3d-8e4f-5a6b7c8d9e0f".parse().expect("an id"),
        opsctl: "0.1.0".to_owned(),
        site: "helpdesk".to_owned(),
        command: "emergency outage".to_owned(),
        host: "web1".to_owned(),
        operator: "anna".to_owned(),
        timezone: "Europe/Warsaw".to_owned(),
        mode: Mode::Run,
        incident: true,
        procedures: vec![outage, called],
    };
    Night(Vec::new()).then("03:00", EventKind::RunStarted(start))
}

fn not_answering() -> SubjectResult {
    subject("https://helpdesk.example", Outcome::Failed).seen("status", Value::Integer(503), "200", false)
}

/// Up to the point where nobody answers any more.
pub fn waiting() -> Vec<Event> {
    identified()
        .asked("03:25", "test-login", Ask::Manual, "Log in as a customer")
        .ended("03:26", "test-login", Outcome::Pending, |result| {
            result.reason = Some("waits for a person".to_owned());
        })
        .then("03:26", EventKind::Suspended { reason: "test-login waits for a person".to_owned() })
        .0
}

fn identified() -> Night {
    begins()
        .marked("03:00", "occurred", "02:40")
        .marked("03:00", "detected", "02:50")
        .then("03:00", EventKind::Acknowledged { by: "anna".to_owned() })
        .then("03:00", EventKind::ProcedureStarted { procedure: id("emergency/outage") })
        .then("03:00", EventKind::StepStarted { procedure: id("emergency/outage"), step: step("home-page") })
        .ended("03:01", "home-page", Outcome::Failed, |result| result.subjects.push(not_answering()))
        .answered("03:04", "classify-severity", Reply::Chosen("critical".to_owned()), None)
        .ended("03:04", "classify-severity", Outcome::Passed, |result| result.choice = Some("critical".to_owned()))
        .marked("03:04", "identified", "03:04")
        .told("03:05", "it-team", Delivered::Sent, "03:20")
        .told("03:31", "management", Delivered::ByHand, "03:20")
        .ended("03:05", "tell", Outcome::Passed, |_| {})
        .acts("03:10", "clear-cache", Phase::Do, &["redis-cli --scan --pattern 'cache:*'", "redis-cli unlink cache:1"])
}

/// From the first call to the last note.
pub fn outage() -> Vec<Event> {
    let resume = Resume {
        opsctl: "0.1.0".to_owned(),
        command: "emergency outage --resume".to_owned(),
        host: "web1".to_owned(),
        operator: "anna".to_owned(),
        accepted: Vec::new(),
    };
    let criterion = |says: &str, outcome, proof: &str| CriterionResult {
        says: says.to_owned(),
        outcome,
        proven_by: vec![proof.to_owned()],
    };
    identified_and_acted()
        .then("03:26", EventKind::Suspended { reason: "test-login waits for a person".to_owned() })
        .then("04:20", EventKind::Resumed(resume))
        .spent("04:26", 80)
        .answered("04:30", "test-login", Reply::Done, Some("as customer and agent"))
        .ended("04:30", "test-login", Outcome::Passed, |_| {})
        .marked("04:30", "restored", "04:30")
        .spent("04:50", 100)
        .answered("05:00", "record-cause", Reply::Done, Some("the log had filled /var"))
        .ended("05:00", "record-cause", Outcome::Passed, |_| {})
        .ended("05:00", "restore-data", Outcome::Skipped, |result| {
            result.reason = Some("does not apply: no data was lost".to_owned());
        })
        .then(
            "05:00",
            EventKind::ProcedureFinished(ProcedureResult {
                procedure: id("emergency/outage"),
                outcome: Outcome::Failed,
                took: Duration::from_hours(2),
                criteria: vec![
                    criterion("The system is restored within 2 hours", Verdict::Met, "restored 100 min after detected"),
                    criterion("The users were told", Verdict::NotProven, "tell-users"),
                ],
            }),
        )
        .then("05:00", EventKind::RunFinished { outcome: Outcome::Failed, exit: Exit::Failed })
        .marked("09:00", "resolved", "05:05")
        .noted("09:01", "solution: made room on /var and restarted the web server", "05:05")
        .noted("09:02", "extent: all customers, two hours", "05:05")
        .noted("09:03", "corrective: rotate the log by size", "09:03")
        .noted("09:04", "corrective: warn at 80 % of /var", "09:04")
        .noted("09:05", "a customer had called first", "02:45")
        .0
}

fn identified_and_acted() -> Night {
    identified()
        .acted("03:10", "clear-cache", Phase::Do, Ended::Done, None)
        .ended("03:10", "clear-cache", Outcome::Passed, |_| {})
        .acts("03:12", "restart-web", Phase::Do, &["systemctl restart apache2.service"])
        .acted("03:12", "restart-web", Phase::Do, Ended::Midway, Some("exit 1: no space left on device"))
        .ended("03:12", "restart-web", Outcome::Failed, |result| {
            result.reason = Some("exit 1: no space left on device".to_owned());
        })
        .then(
            "03:13",
            EventKind::RollbackStarted {
                procedure: id("emergency/outage"),
                reason: "the operator wanted it after restart-web had failed".to_owned(),
            },
        )
        .acts("03:13", "clear-cache", Phase::Undo, &["systemctl start cache-warmer.service"])
        .acted("03:13", "clear-cache", Phase::Undo, Ended::Done, None)
}

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
