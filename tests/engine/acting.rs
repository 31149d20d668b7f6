//! Runs with actions and people: nothing is done that was not meant, and nothing twice.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use opsctl::engine::{Briefing, Ledger, People, Reaction};
use opsctl::model::event::doing::{Ended, Phase};
use opsctl::model::event::people::{Answer, Ask, Question, Reply};
use opsctl::model::event::{Event, EventKind, Mode};
use opsctl::model::id::StepId;
use opsctl::model::outcome::{Exit, Outcome};
use opsctl::model::record::{ActionRecord, Record};

use super::{FAIL, PASS, Ran, Run, shell};
use crate::procedures::Case;

/// People who answer what they were told to, step by step; without a word for a step they leave it.
#[derive(Default)]
pub struct Script {
    pub present: bool,
    pub words: Mutex<VecDeque<(String, Reply, String)>>,
    pub asked: Mutex<Vec<Question>>,
}

impl People for Script {
    fn present(&self) -> bool {
        self.present
    }

    fn ask<'a>(&'a self, question: &'a Question, _: &'a Briefing) -> BoxFuture<'a, Reaction> {
        self.asked.lock().expect("a list").push(question.clone());
        let mut words = self.words.lock().expect("a list");
        let found = words.iter().position(|(step, ..)| *step == question.step.as_str());
        let Some((_, reply, by)) = found.and_then(|index| words.remove(index)) else {
            return ready(Reaction::Later).boxed();
        };
        let answer = Answer {
            procedure: question.procedure.clone(),
            step: question.step.clone(),
            item: question.item.clone(),
            reply,
            note: None,
            attachments: Vec::new(),
            by,
            verified: true,
            hash: question.hash.clone(),
        };
        ready(Reaction::Answered(answer)).boxed()
    }

    fn tell(&self, _: &str) {}
}

struct Written(Result<(), String>);

impl Ledger for Written {
    fn written(&self, _: u64) -> BoxFuture<'_, Result<(), String>> {
        ready(self.0.clone()).boxed()
    }
}

/// A run that is led.
pub struct Led {
    pub run: Run,
    pub script: Arc<Script>,
}

pub fn steps(lines: &[&str]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("  - {{ {line} }}\n")).collect();
    format!("title: Check\nsteps:\n{}", lines.concat())
}

pub fn led(text: &str, words: &[(&str, Reply)]) -> Led {
    led_in(Case::new().with("pack/daily/check.yaml", text), words)
}

pub fn led_in(case: Case, words: &[(&str, Reply)]) -> Led {
    let words = words.iter().map(|(step, reply)| ((*step).to_owned(), reply.clone(), "tester".to_owned())).collect();
    let script = Arc::new(Script { present: true, words: Mutex::new(words), asked: Mutex::default() });
    let people = Arc::clone(&script);
    let run = Run::in_case(case).with(|settings| {
        settings.mode = Mode::Run;
        settings.crew.people = people;
        settings.crew.ledger = Arc::new(Written(Ok(())));
    });
    Led { run, script }
}

impl Led {
    pub fn with(mut self, change: impl FnOnce(&mut opsctl::engine::Settings)) -> Self {
        self.run = self.run.with(change);
        self
    }

    pub fn by(self, who: &str) -> Self {
        self.script.words.lock().expect("a list").iter_mut().for_each(|(_, _, by)| who.clone_into(by));
        self
    }

    /// After these events.
    pub fn after(self, past: &[Event]) -> Self {
        self.with(|settings| settings.past = past.to_vec())
    }

    pub fn run(self) -> Ran {
        self.run.run()
    }
}

impl Ran {
    pub fn content(&self, name: &str) -> String {
        std::fs::read_to_string(self.case.path().join(name)).unwrap_or_default()
    }

    pub fn actions(&self) -> Vec<(String, Phase, Option<Ended>)> {
        actions(&self.events)
    }

    pub fn is_suspended(&self) -> bool {
        matches!(self.events.last().map(|event| &event.kind), Some(EventKind::Suspended { .. }))
    }

    /// The newest result of a step.
    pub fn last(&self, id: &str) -> (Outcome, String) {
        let record = Record::of(&self.events);
        let step =
            record.procedures.values().find_map(|procedure| procedure.steps.get(&id.parse::<StepId>().expect("an id")));
        let result = step.and_then(|step| step.result.clone()).unwrap_or_else(|| panic!("no result of {id}"));
        (result.outcome, result.reason.unwrap_or_default())
    }
}

pub fn actions(events: &[Event]) -> Vec<(String, Phase, Option<Ended>)> {
    let ended = |action: ActionRecord| action.end.map(|end| end.ended);
    records(events)
        .into_iter()
        .map(|action| (action.start.step.to_string(), action.start.phase, ended(action)))
        .collect()
}

fn records(events: &[Event]) -> Vec<ActionRecord> {
    let record = Record::of(events);
    let steps = record.procedures.into_values().flat_map(|procedure| procedure.steps.into_values());
    let mut actions: Vec<_> = steps.flat_map(|step| step.actions).collect();
    actions.sort_by_key(|action| action.started);
    actions
}

/// An action that leaves a line in a file each time.
pub fn append(id: &str, line: &str) -> String {
    format!("id: {id}, action: {{ command: {{ shell: \"echo {line} >> done\" }} }}, irreversible: a line stays")
}

pub fn holds(file: &str) -> String {
    format!("probe: {{ command: {{ shell: \"test -s {file}\" }} }}, expect: {{ exit: 0 }}")
}

#[test]
fn an_action_is_on_record_before_it_begins_and_is_looked_at_afterwards() {
    let text = steps(&[
        &format!("id: there, {}", holds("done")),
        &format!("{}, when: steps.there is failed, verify: [there]", append("act", "x")),
    ]);
    let ran = led(&text, &[("act", Reply::Yes)]).run();
    let told: Vec<&str> = ran
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Asked(_) => Some("asked"),
            EventKind::Answered(_) => Some("answered"),
            EventKind::ActionStarted(_) => Some("started"),
            EventKind::ActionFinished(_) => Some("finished"),
            EventKind::StepFinished(result) => Some(if result.step.as_str() == "there" { "there" } else { "act" }),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["there", "asked", "answered", "started", "finished", "there", "act"]);
    assert_eq!((ran.exit, ran.content("done").as_str()), (Exit::Ok, "x\n"), "the newest look at `there` counts");
}

#[test]
fn what_the_operator_does_not_want_is_not_done() {
    let ran = led(&steps(&[&append("act", "x")]), &[("act", Reply::No)]).run();
    assert_eq!(ran.content("done"), "");
    assert_eq!(ran.last("act"), (Outcome::Skipped, "tester did not want it".to_owned()));
    assert!(ran.actions().is_empty());
}

#[test]
fn nothing_is_changed_that_cannot_be_recorded_first() {
    let led = led(&steps(&[&append("act", "x")]), &[("act", Reply::Yes), ("act", Reply::Stop)]);
    let ran = led.with(|settings| settings.crew.ledger = Arc::new(Written(Err("no space".to_owned())))).run();
    assert_eq!(ran.content("done"), "");
    assert_eq!(ran.last("act").0, Outcome::Failed);
    assert!(ran.last("act").1.contains("cannot be recorded first: no space"), "{}", ran.last("act").1);
}

#[test]
fn a_precheck_that_does_not_hold_keeps_the_action_from_being_done() {
    let text = steps(&[&format!("id: ready, {FAIL}"), &format!("{}, precheck: [ready]", append("act", "x"))]);
    let ran = led(&text, &[("act", Reply::Stop)]).run();
    assert_eq!(ran.content("done"), "");
    assert!(ran.last("act").1.starts_with("not done, because ready does not hold"), "{}", ran.last("act").1);
}

#[test]
fn after_a_failure_the_operator_tries_again_and_agrees_again() {
    let text = steps(&[
        "id: act, action: { command: { shell: \"echo x >> tried; test -e fixed || { touch fixed; false; }\" } }, irreversible: it stays",
    ]);
    let ran = led(&text, &[("act", Reply::Yes), ("act", Reply::Retry), ("act", Reply::Yes)]).run();
    assert_eq!((ran.exit, ran.content("tried").as_str()), (Exit::Ok, "x\nx\n"));
}

#[test]
fn what_an_action_says_of_what_it_did_is_kept_and_of_what_it_took_back() {
    let much = "command: { run: [seq, '9000'], output_limit: 1KiB }";
    let text = steps(&[
        &format!("id: act, action: {{ {much} }}, undo: {{ {much} }}"),
        "id: last, action: { command: { run: ['false'] } }, irreversible: nothing",
    ]);
    let ran = led(&text, &[("act", Reply::Yes), ("last", Reply::Yes), ("last", Reply::RollBack)]).run();
    let said: Vec<(Phase, bool)> = records(&ran.events)
        .into_iter()
        .filter(|action| action.start.step.as_str() == "act")
        .map(|action| (action.start.phase, action.end.expect("its end").notes))
        .map(|(phase, notes)| (phase, notes[0].ends_with("after the 1 KiB that `output_limit` keeps")))
        .collect();
    assert_eq!(said, [(Phase::Do, true), (Phase::Undo, true)]);
}

#[test]
fn a_failed_action_is_not_tried_again_by_itself() {
    let text = steps(&[
        "id: act, action: { command: { shell: \"echo x >> tried; false\" } }, irreversible: it stays",
        &append("later", "y"),
    ]);
    let mut led = led(&text, &[]);
    led.run = led.run.with(|settings| {
        settings.yes = true;
        settings.crew.people = Arc::new(Script::default());
    });
    let ran = led.run();
    assert_eq!((ran.content("tried").as_str(), ran.content("done").as_str()), ("x\n", ""));
    assert_eq!(ran.last("later"), (Outcome::Skipped, "the run was stopped after act had failed".to_owned()));
}

#[test]
fn rolling_back_takes_back_what_was_completed_the_newest_first() {
    let undone = |id: &str| {
        format!(
            "id: {id}, action: {{ command: {{ shell: \"echo {id} >> done\" }} }}, undo: {{ command: {{ shell: \"echo not-{id} >> done\" }} }}"
        )
    };
    let text = steps(&[
        &undone("one"),
        &append("stays", "stays"),
        &undone("two"),
        "id: three, action: { command: { run: ['false'] } }, irreversible: nothing",
    ]);
    let yes = |step| (step, Reply::Yes);
    let ran = led(&text, &[yes("one"), yes("stays"), yes("two"), yes("three"), ("three", Reply::RollBack)]).run();
    assert_eq!(ran.content("done"), "one\nstays\ntwo\nnot-two\nnot-one\n");
    let undone: Vec<_> = ran.actions().into_iter().filter(|(_, phase, _)| *phase == Phase::Undo).collect();
    assert_eq!(undone.len(), 2, "{undone:?}");
}

#[test]
fn what_is_always_done_is_done_after_a_stop_too() {
    let text = steps(&[
        "id: act, action: { command: { run: ['false'] } }, irreversible: nothing",
        &append("between", "between"),
        &format!("{}, always: true", append("clean", "clean")),
    ]);
    let ran = led(&text, &[("act", Reply::Yes), ("act", Reply::Stop), ("clean", Reply::Yes)]).run();
    assert_eq!(ran.content("done"), "clean\n");
}

/// The events of a run up to and with the first one that `last` finds.
pub fn cut(events: &[Event], last: impl Fn(&EventKind) -> bool) -> Vec<Event> {
    let end = events.iter().position(|event| last(&event.kind)).expect("such an event");
    events[..=end].to_vec()
}

pub fn is_started(kind: &EventKind) -> bool {
    matches!(kind, EventKind::ActionStarted(_))
}

#[test]
fn an_action_that_was_cut_off_is_settled_by_looking() {
    let text = steps(&[&format!("id: there, {}", holds("done")), &format!("{}, verify: [there]", append("act", "x"))]);
    let ran = led(&text, &[("act", Reply::Yes)]).run();
    let past = cut(&ran.events, is_started);
    let again = led_in(ran.case, &[]).after(&past).run();
    assert_eq!((again.exit, again.content("done").as_str()), (Exit::Ok, "x\n"), "it is not done twice");
    let all: Vec<Event> = past.into_iter().chain(again.events).collect();
    assert_eq!(actions(&all), [("act".to_owned(), Phase::Do, Some(Ended::FoundDone))]);
}

#[test]
fn where_looking_does_not_tell_a_person_says_whether_it_was_done() {
    let text = steps(&[&append("act", "x")]);
    let ran = led(&text, &[("act", Reply::Yes)]).run();
    let past = cut(&ran.events, is_started);

    let unanswered = led_in(ran.case, &[]).after(&past).run();
    assert!(unanswered.is_suspended());
    assert_eq!(unanswered.content("done"), "x\n", "nothing is done as long as it is unknown");

    let done = led_in(unanswered.case, &[("act", Reply::Yes)]).after(&past).run();
    assert_eq!((done.exit, done.content("done").as_str()), (Exit::Ok, "x\n"));

    let undone = led_in(done.case, &[("act", Reply::No), ("act", Reply::Yes)]).after(&past);
    let script = Arc::clone(&undone.script);
    let undone = undone.run();
    assert_eq!(undone.content("done"), "x\nx\n", "it was said not to have been done, and agreed to anew");
    let asked: Vec<Ask> = script.asked.lock().expect("a list").iter().map(|question| question.ask).collect();
    assert_eq!(asked, [Ask::Settle, Ask::Confirm]);
}

#[test]
fn a_run_that_was_cut_off_anywhere_goes_on_without_doing_anything_twice() {
    let text = steps(&[
        &format!("id: first, {PASS}"),
        "id: how, decision: { fast: at once, slow: later }",
        &format!("{}, verify: [one-there]", append("one", "one")),
        &format!("id: one-there, {}", shell("grep -q one done")),
        &format!("{}, when: steps.how.choice == 'fast', verify: [two-there]", append("two", "two")),
        &format!("id: two-there, {}", shell("grep -q two done")),
        "id: works, manual: { login: log in, ticket: write a ticket }",
    ]);
    let words = || {
        let mut words = vec![("how", Reply::Chosen("fast".to_owned())), ("one", Reply::Yes), ("two", Reply::Yes)];
        words.extend([("works", Reply::Done), ("works", Reply::Done)]);
        words
    };
    let whole = led(&text, &words()).run();
    assert_eq!(whole.exit, Exit::Ok, "{:?}", whole.last("works"));
    for cut in 1..whole.events.len() {
        let past = whole.events[..cut].to_vec();
        let case = Case::new().with("pack/daily/check.yaml", &text);
        // What had been changed by then: at the latest when the end of an action is on record, at the earliest when its
        // beginning is. Both are tried.
        let record = actions(&past);
        for late in [false, true] {
            let done: String = record
                .iter()
                .filter(|(_, _, end)| end.is_some() || late)
                .flat_map(|(step, ..)| [step.as_str(), "\n"])
                .collect();
            std::fs::write(case.path().join("done"), &done).expect("a file");
            let mut words = words();
            if !late && record.last().is_some_and(|(_, _, end)| end.is_none()) {
                let step = if record.len() == 1 { "one" } else { "two" };
                words.insert(0, (step, Reply::No));
            }
            let case = Case::new().with("pack/daily/check.yaml", &text).with("done", &done);
            let again = led_in(case, &words).after(&past).run();
            assert_eq!(again.exit, Exit::Ok, "cut after {cut}, late {late}: {:?}", again.last("works"));
            assert_eq!(again.content("done"), "one\ntwo\n", "cut after {cut}, late {late}");
        }
    }
}
