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
use opsctl::model::outcome::{Exit, Outcome, Skip};
use opsctl::model::record::Record;

use super::{FAIL, PASS, Ran, Run, shell};
use crate::procedures::Case;

/// People who answer what they were told to, step by step; without a word for a step they leave it.
#[derive(Default)]
struct Script {
    present: bool,
    words: Mutex<VecDeque<(String, Reply, String)>>,
    asked: Mutex<Vec<Question>>,
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
struct Led {
    run: Run,
    script: Arc<Script>,
}

fn steps(lines: &[&str]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("  - {{ {line} }}\n")).collect();
    format!("title: Check\nsteps:\n{}", lines.concat())
}

fn led(text: &str, words: &[(&str, Reply)]) -> Led {
    led_in(Case::new().with("pack/daily/check.yaml", text), words)
}

fn led_in(case: Case, words: &[(&str, Reply)]) -> Led {
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
    fn with(mut self, change: impl FnOnce(&mut opsctl::engine::Settings)) -> Self {
        self.run = self.run.with(change);
        self
    }

    fn by(self, who: &str) -> Self {
        self.script.words.lock().expect("a list").iter_mut().for_each(|(_, _, by)| who.clone_into(by));
        self
    }

    /// After these events.
    fn after(self, past: &[Event]) -> Self {
        self.with(|settings| settings.past = past.to_vec())
    }

    fn run(self) -> Ran {
        self.run.run()
    }
}

impl Ran {
    fn content(&self, name: &str) -> String {
        std::fs::read_to_string(self.case.path().join(name)).unwrap_or_default()
    }

    fn actions(&self) -> Vec<(String, Phase, Option<Ended>)> {
        actions(&self.events)
    }

    fn is_suspended(&self) -> bool {
        matches!(self.events.last().map(|event| &event.kind), Some(EventKind::Suspended { .. }))
    }

    /// The newest result of a step.
    fn last(&self, id: &str) -> (Outcome, String) {
        let record = Record::of(&self.events);
        let step =
            record.procedures.values().find_map(|procedure| procedure.steps.get(&id.parse::<StepId>().expect("an id")));
        let result = step.and_then(|step| step.result.clone()).unwrap_or_else(|| panic!("no result of {id}"));
        (result.outcome, result.reason.unwrap_or_default())
    }
}

fn actions(events: &[Event]) -> Vec<(String, Phase, Option<Ended>)> {
    let record = Record::of(events);
    let steps = record.procedures.values().flat_map(|procedure| procedure.steps.values());
    let mut actions: Vec<_> = steps.flat_map(|step| &step.actions).collect();
    actions.sort_by_key(|action| action.started);
    actions
        .into_iter()
        .map(|action| (action.start.step.to_string(), action.start.phase, action.end.as_ref().map(|end| end.ended)))
        .collect()
}

/// An action that leaves a line in a file each time.
fn append(id: &str, line: &str) -> String {
    format!("id: {id}, action: {{ command: {{ shell: \"echo {line} >> done\" }} }}, irreversible: a line stays")
}

fn holds(file: &str) -> String {
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
fn cut(events: &[Event], last: impl Fn(&EventKind) -> bool) -> Vec<Event> {
    let end = events.iter().position(|event| last(&event.kind)).expect("such an event");
    events[..=end].to_vec()
}

fn is_started(kind: &EventKind) -> bool {
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

#[test]
fn an_approval_is_another_persons_and_binds_to_what_is_run() {
    let text = steps(&["id: agree, approval: { of: [act] }", &append("act", "x")]);
    let own = led(&text, &[("agree", Reply::Yes)]).run();
    assert!(own.is_suspended(), "the operator cannot agree to their own doing");

    let text = steps(&[
        "id: name, probe: { command: { run: [cat, name] } }, expect: { exit: 0 }",
        "id: agree, approval: { of: [act] }",
        "id: change, action: { command: { shell: \"echo other > name\" } }, irreversible: it stays",
        &format!("id: look, needs: [change], {PASS}"),
        "id: act, action: { command: { shell: \"echo {{ steps.name.facts.stdout }} >> done\" } }, irreversible: it stays, precheck: [name]",
    ]);
    let case = || Case::new().with("pack/daily/check.yaml", &text).with("name", "one");
    let words = [("agree", Reply::Yes), ("change", Reply::Yes), ("act", Reply::Stop)];
    let ran = led_in(case(), &words).by("anna").run();
    assert_eq!(ran.content("done"), "");
    assert!(ran.last("act").1.contains("is not what was agreed to"), "{}", ran.last("act").1);

    let words = [("agree", Reply::Yes), ("change", Reply::No), ("act", Reply::Yes)];
    let ran = led_in(case(), &words).by("anna").run();
    assert_eq!(ran.content("done"), "one\n");
}

#[test]
fn a_question_without_an_answer_suspends_the_run_and_an_answer_lets_it_go_on() {
    let text = steps(&["id: ask, manual: look at it", &append("act", "x")]);
    let ran = led(&text, &[]).run();
    assert!(ran.is_suspended());
    assert_eq!(ran.exit, Exit::Warned);
    let mut past = ran.events.clone();
    let open = Record::of(&past).procedures[0].steps[0].open.clone();
    assert_eq!(open.len(), 1);
    let answer = Answer {
        procedure: open[0].procedure.clone(),
        step: open[0].step.clone(),
        item: None,
        reply: Reply::NotDone,
        note: None,
        attachments: Vec::new(),
        by: "bert".to_owned(),
        verified: true,
        hash: None,
    };
    let last = past.last().expect("an event").clone();
    past.push(Event { seq: last.seq + 1, kind: EventKind::Answered(Box::new(answer)), ..last });
    let again = led_in(ran.case, &[("act", Reply::Yes)]).after(&past).run();
    assert_eq!(again.exit, Exit::Failed, "it was not done");
    assert_eq!(again.content("done"), "x\n", "what follows does not need it");
}

#[test]
fn a_dry_run_does_nothing_and_proves_nothing_that_depends_on_it() {
    let text = steps(&[
        &format!("id: there, {}", holds("done")),
        &format!("{}, verify: [there]", append("act", "x")),
        &format!("id: after, needs: [act], {PASS}"),
        "id: how, decision: { fast: at once, slow: later }",
        &format!("id: branch, when: steps.how.choice == 'fast', {PASS}"),
    ]);
    let ran = led(&text, &[]).with(|settings| settings.mode = Mode::DryRun).run();
    assert_eq!(ran.content("done"), "");
    let shown: Vec<&str> =
        ran.step("act").evidence.iter().flat_map(|evidence| &evidence.lines).map(String::as_str).collect();
    assert!(shown[0].contains("echo x >> done"), "{shown:?}");
    for id in ["after", "branch"] {
        assert_eq!(ran.outcome_of(id), Outcome::Errored, "{id} could not be told");
    }
    assert_eq!(ran.exit, Exit::CouldNotTell);
}

#[test]
fn a_check_neither_acts_nor_asks() {
    let text = steps(&[
        &format!("id: look, {PASS}"),
        &append("act", "x"),
        "id: ask, manual: look at it",
        &format!("id: more, {PASS}"),
    ]);
    let led = led(&text, &[("act", Reply::Yes)]).with(|settings| settings.mode = Mode::Check);
    let script = Arc::clone(&led.script);
    let ran = led.run();
    assert_eq!((ran.content("done").as_str(), ran.exit), ("", Exit::Ok));
    assert_eq!(ran.step("act").skip, Some(Skip::LookOnly));
    assert_eq!(ran.outcome_of("ask"), Outcome::Pending);
    assert!(script.asked.lock().expect("a list").is_empty());
}

#[test]
fn a_procedure_is_a_step_of_another_one_and_part_of_its_run() {
    let outer = steps(&[
        "id: how, decision: { bad: it burns, good: it does not }",
        "id: inner, when: steps.how.choice == 'bad', procedure: daily/inner",
        &format!("{}, when: steps.inner.steps.deep is passed", append("after", "after")),
    ]);
    let inner = steps(&[&format!("id: deep, {PASS}"), &append("mend", "mend")]);
    let case = || Case::new().with("pack/daily/check.yaml", &outer).with("pack/daily/inner.yaml", &inner);
    let choice = |name: &str| ("how", Reply::Chosen(name.to_owned()));
    let ran = led_in(case(), &[choice("bad"), ("mend", Reply::Yes), ("after", Reply::Yes)]).run();
    assert_eq!((ran.exit, ran.content("done").as_str()), (Exit::Ok, "mend\nafter\n"));

    let ran = led_in(case(), &[choice("good"), ("after", Reply::Yes)]).run();
    assert_eq!(ran.content("done"), "");
    assert_eq!(Record::of(&ran.events).tally().unfinished, 0, "what was not called is no part of the run");
}

#[test]
fn one_verdict_is_given_for_each_row_of_an_earlier_step() {
    let text = steps(&[
        "id: users, gather: { sql: { database: users, query: \"SELECT id, name FROM users ORDER BY id\" } }",
        "id: each, for_each: steps.users.rows, manual: \"{{ item.name }} may stay\"",
    ]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.db");
    let made = std::process::Command::new("sqlite3")
        .arg(&file)
        .arg("CREATE TABLE users (id INTEGER, name TEXT); INSERT INTO users VALUES (1, 'anna'), (2, 'bert')")
        .status()
        .expect("sqlite3, which scripts/setup installs");
    assert!(made.success());
    let database = opsctl::probe::Database {
        url: opsctl::model::secret::MaybeSecret::Plain(format!("sqlite://{}", file.display())),
    };
    let site = format!(
        "site: test\ntimezone: UTC\npacks: [./pack]\ndatabases: {{ users: {{ url: 'sqlite://{}' }} }}\n",
        file.display()
    );
    let case = Case::new().with("pack/daily/check.yaml", &text).with("opsctl.yaml", site);
    let led = led_in(case, &[("each", Reply::Done), ("each", Reply::NotDone)])
        .with(|settings| _ = settings.databases.insert("users".to_owned(), database));
    let script = Arc::clone(&led.script);
    let ran = led.run();
    let asked: Vec<String> =
        script.asked.lock().expect("a list").iter().map(|question| question.text.clone()).collect();
    assert_eq!(asked, ["anna may stay", "bert may stay"]);
    let verdicts: Vec<_> =
        ran.step("each").subjects.iter().map(|subject| (subject.name.as_str(), subject.outcome)).collect();
    assert_eq!(verdicts, [("1 anna", Outcome::Passed), ("2 bert", Outcome::Failed)]);
}

#[test]
fn limits_of_time_count_from_detection() {
    let text = "title: Check\nbudget: 10m\nsteps:\n  - { id: found, manual: look, marks: identified }\n\
                criteria:\n  - { says: In time, proven_by: { mark: identified, within: 15m } }\n";
    let ago = |minutes| Some(chrono::Utc::now() - chrono::Duration::minutes(minutes));
    let at_once = led(text, &[("found", Reply::Done)]).run();
    assert_eq!(at_once.exit, Exit::Ok);
    let late = led(text, &[("found", Reply::Done)]).with(|settings| settings.detected = ago(20)).run();
    assert_eq!(late.exit, Exit::Failed);
    let used: Vec<u8> = late
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::BudgetUsed(used) => Some(used.percent),
            _ => None,
        })
        .collect();
    assert_eq!(used, [80, 100], "each is said once");
}

/// Nobody answers, ever.
struct Silent;
impl People for Silent {
    fn present(&self) -> bool {
        true
    }
    fn ask<'a>(&'a self, _: &'a Question, _: &'a Briefing) -> BoxFuture<'a, Reaction> {
        std::future::pending().boxed()
    }
    fn tell(&self, _: &str) {}
}

#[test]
fn an_interrupt_suspends_a_run_with_people() {
    let text = steps(&["id: ask, manual: look at it", &append("act", "x")]);
    let mut led = led(&text, &[]);
    led.run = led.run.with(|settings| settings.crew.people = Arc::new(Silent));
    let ran = led.run.run_beside(|stop| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        stop.now(Exit::Interrupted);
    });
    assert!(ran.is_suspended());
    assert_eq!((ran.exit, ran.content("done").as_str()), (Exit::Interrupted, ""));
}
