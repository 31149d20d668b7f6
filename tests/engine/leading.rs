//! Runs with people: what they are asked, what is left to them, and what a run shows that does nothing.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use opsctl::engine::{Briefing, People, Reaction};
use opsctl::model::event::people::{Answer, Question, Reply};
use opsctl::model::event::{Event, EventKind, Mode};
use opsctl::model::outcome::{Exit, Outcome, Skip};
use opsctl::model::record::Record;

use super::PASS;
use crate::procedures::Case;

use super::acting::{append, holds, led, led_in, steps};

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
        "id: agree, approval: { of: [agreed] }",
        &format!("{}, needs: [agree]", append("agreed", "y")),
        "id: named, manual: Name it",
        &format!("{}, needs: [named]", append("unknown", "{{ steps.named.facts.note }}")),
    ]);
    let ran = led(&text, &[]).with(|settings| settings.mode = Mode::DryRun).run();
    assert_eq!(ran.content("done"), "");
    let shown: Vec<&str> =
        ran.step("act").evidence.iter().flat_map(|evidence| &evidence.lines).map(String::as_str).collect();
    assert!(shown[0].contains("echo x >> done"), "{shown:?}");
    let agreed = ran.step("agreed");
    assert_eq!(agreed.reason.as_deref(), Some("depends on agree; would change echo y >> done"));
    assert!(agreed.evidence[0].lines[0].contains("echo y >> done"), "{:?}", agreed.evidence);
    for id in ["after", "branch", "unknown"] {
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

#[test]
fn a_dry_run_shows_what_a_procedure_would_do_whoever_decides_that_it_is_called() {
    let outer = steps(&[
        "id: identify, procedure: daily/identify",
        "id: mend, when: steps.identify.steps.how.choice == 'bad', procedure: daily/mend",
    ]);
    let identify = steps(&[&format!("id: look, {PASS}"), "id: how, decision: { bad: it burns, good: it does not }"]);
    let mend = steps(&[&append("act", "x")]);
    let case = || {
        let case = Case::new().with("pack/daily/check.yaml", &outer).with("pack/daily/identify.yaml", &identify);
        case.with("pack/daily/mend.yaml", &mend)
    };
    let ran = led_in(case(), &[]).with(|settings| settings.mode = Mode::DryRun).run();
    assert_eq!((ran.content("done").as_str(), ran.exit), ("", Exit::CouldNotTell));
    assert_eq!(ran.step("act").skip, Some(Skip::Simulated));
    assert!(ran.step("act").evidence[0].lines[0].contains("echo x >> done"), "{:?}", ran.step("act").evidence);

    let ran = led_in(case(), &[]).with(|settings| settings.mode = Mode::Check).run();
    assert_eq!(ran.step("mend").skip, Some(Skip::LookOnly), "nobody has decided that it does not apply");
}
