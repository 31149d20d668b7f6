//! Waivers: somebody answers for a failure until a day.

use chrono::{Days, NaiveDate, Utc};
use opsctl::model::outcome::{Exit, Outcome, Verdict};
use opsctl::procedure::site::Waiver;

use super::{ERROR, FAIL, Ran, Run, procedure};

fn waiver(step: &str, subject: Option<&str>, until: NaiveDate) -> Waiver {
    Waiver {
        step: step.to_owned(),
        subject: subject.map(str::to_owned),
        owner: "anna".to_owned(),
        reason: "new disk ordered".to_owned(),
        until,
    }
}

fn today() -> NaiveDate {
    Utc::now().date_naive()
}

fn run(step: &str, waivers: Vec<Waiver>) -> Ran {
    let text = format!("{}criteria: [{{ says: Well, proven_by: [a] }}]\n", procedure(&[("a", step)]));
    Run::of(&text).with(|settings| settings.waivers = waivers).run()
}

#[test]
fn a_waived_failure_meets_its_criterion_and_says_who_answers_for_it() {
    let until = today() + Days::new(2);
    let ran = run(FAIL, vec![waiver("daily/check.a", None, until)]);
    assert_eq!((ran.outcome_of("a"), ran.exit), (Outcome::Waived, Exit::Ok));
    assert_eq!(ran.procedure().criteria[0].outcome, Verdict::Met);
    assert!(
        ran.reason_of("a").ends_with(&format!("waived by anna until {until}: new disk ordered")),
        "{}",
        ran.reason_of("a")
    );
}

#[test]
fn an_expired_waiver_covers_nothing_and_is_mentioned() {
    let until = today() - Days::new(2);
    let ran = run(FAIL, vec![waiver("daily/check.a", None, until)]);
    assert_eq!((ran.outcome_of("a"), ran.exit), (Outcome::Failed, Exit::Failed));
    let notes = &ran.step("a").subjects[0].notes;
    assert!(notes.contains(&format!("the waiver of anna ended on {until}")), "{notes:?}");
}

#[test]
fn a_waiver_covers_a_step_that_could_not_look_at_all() {
    let ran = run(ERROR, vec![waiver("daily/check.a", None, today() + Days::new(2))]);
    assert_eq!((ran.outcome_of("a"), ran.exit), (Outcome::Waived, Exit::Ok));
    let expired = run(ERROR, vec![waiver("daily/check.a", None, today() - Days::new(2))]);
    assert_eq!(expired.exit, Exit::CouldNotTell);
    assert!(expired.reason_of("a").contains("the waiver of anna ended on"), "{}", expired.reason_of("a"));
}

#[test]
fn a_waiver_for_one_subject_covers_no_other() {
    let far = today() + Days::new(2);
    let gather = "probe: { file: { path: [one, two] } }, expect: { exists: true }";
    let ran = run(gather, vec![waiver("daily/check.a", Some("one"), far)]);
    let names: Vec<String> = ran.step("a").subjects.iter().map(|subject| subject.name.clone()).collect();
    let own = names.iter().find(|name| name.ends_with("one")).expect("a subject");
    let ran = run(gather, vec![waiver("daily/check.a", Some(own), far)]);
    assert_eq!(ran.exit, Exit::Failed, "the other is not covered");
}

#[test]
fn waivers_of_other_steps_and_procedures_cover_nothing() {
    let far = today() + Days::new(2);
    let ran = run(FAIL, vec![waiver("daily/check.b", None, far), waiver("weekly/check.a", None, far)]);
    assert_eq!(ran.exit, Exit::Failed);
}

#[test]
fn of_several_waivers_the_one_that_lasts_longest_counts() {
    let (past, far) = (today() - Days::new(2), today() + Days::new(2));
    let ran = run(FAIL, vec![waiver("daily/check.a", None, far), waiver("daily/check.a", None, past)]);
    assert_eq!(ran.outcome_of("a"), Outcome::Waived);
}
