//! What became of other procedures, by the journal that real runs wrote.

use serde_json::{Value as Json, json};

use crate::support::case::Case;
use crate::support::server::wait_until;

/// `daily/job` ends as the file `state` says, and `weekly/review` looks at it.
fn case(expect: &str) -> Case {
    let job = "title: Job\nsteps:\n  - id: state\n    title: State\n    \
               probe: { command: { run: [cat, ./state] } }\n    expect: { stdout: fine }\n";
    let review = format!(
        "title: Review\nsteps:\n  - id: job\n    title: Job\n    \
         probe: {{ history: {{ procedure: daily/job }} }}\n    expect: {expect}\n"
    );
    Case::new("history").site("").procedure("daily/job.yaml", job).procedure("weekly/review.yaml", &review)
}

fn state(case: &Case, text: &str) {
    std::fs::write(case.path("state"), text).expect("a file");
}

fn run_job(case: &Case, text: &str, exit: i32) {
    state(case, text);
    case.run(["daily", "job"]).exits(exit);
}

/// The subject that the review saw.
fn review(case: &Case) -> (Json, Json) {
    let step = case.run(["weekly", "review", "--format", "json"]).json()["procedures"][0]["steps"][0].clone();
    (step["subjects"][0].clone(), step["evidence"].clone())
}

fn fact<'s>(subject: &'s Json, name: &str) -> &'s Json {
    &subject["facts"][name]["value"]
}

#[test]
fn a_procedure_that_has_never_run_is_not_known_and_nothing_else_can_be_told() {
    let new = case("{ passed_age: below 1d }");
    new.run(["weekly", "review"]).exits(3).says("it has never run, as far as the journal goes back");
    let (subject, evidence) = review(&new);
    assert_eq!((fact(&subject, "known"), &subject["facts"]["age"]), (&json!(false), &Json::Null), "{subject:#}");
    assert_eq!(evidence, json!([]));
    case("{ known: true }").run(["weekly", "review"]).exits(2);
}

#[test]
fn the_newest_run_and_the_failures_in_a_row_are_told() {
    let case = case("{ known: true, passed_age: below 1d, failures: 0 }");
    run_job(&case, "fine", 0);
    case.run(["weekly", "review"]).exits(0);
    let (subject, evidence) = review(&case);
    assert_eq!((fact(&subject, "outcome"), fact(&subject, "failures")), (&json!("passed"), &json!(0)), "{subject:#}");
    assert_eq!((fact(&subject, "unfinished"), &evidence), (&json!(false), &json!([])), "{subject:#}");
    for name in ["age", "passed_age", "outcome_age", "took"] {
        assert_eq!(subject["facts"][name]["unit"], "s", "{name} of {subject:#}");
    }

    run_job(&case, "broken", 2);
    run_job(&case, "broken", 2);
    case.run(["weekly", "review"]).exits(2).says("failures 2");
    let (subject, evidence) = review(&case);
    assert_eq!((fact(&subject, "outcome"), fact(&subject, "failures")), (&json!("failed"), &json!(2)), "{subject:#}");
    let age = |name: &str| fact(&subject, name).as_f64().expect("a number");
    assert!(age("passed_age") > age("outcome_age") && age("outcome_age") > age("age"), "{subject:#}");
    assert_eq!(evidence[0]["lines"].as_array().map(Vec::len), Some(3), "{evidence:#}");
    assert!(evidence[0]["lines"][0].to_string().contains("failed after"), "{evidence:#}");

    run_job(&case, "fine", 0);
    case.run(["weekly", "review"]).exits(0);
}

#[test]
fn the_outcome_is_that_of_the_procedure_and_not_of_a_run_with_others() {
    let case = case("{ outcome: passed }");
    let other = "title: Other\nsteps:\n  - id: other\n    title: Other\n    \
                 probe: { command: { run: [\"false\"] } }\n    expect: { exit: 0 }\n";
    let case = case.procedure("daily/other.yaml", other);
    state(&case, "fine");
    case.run(["daily", "check"]).exits(2);
    case.run(["weekly", "review"]).exits(0);
}

#[test]
fn a_dry_run_of_what_acts_does_not_count() {
    let job = "title: Job\nsteps:\n  - id: act\n    title: Act\n    \
               action: { command: { run: [touch, ./done] } }\n    irreversible: a file\n";
    let case = case("{ known: false, unfinished: false }").procedure("daily/job.yaml", job);
    case.run(["daily", "job", "--dry-run"]).exits(3).says("would run  touch ./done");
    case.run(["weekly", "review"]).exits(3).says("it has never run");
}

#[test]
fn a_run_that_is_still_at_work_is_unfinished_and_the_one_before_it_is_told() {
    let case = case("{ outcome: passed, unfinished: false }");
    run_job(&case, "fine", 0);
    std::fs::remove_file(case.path("state")).expect("a file");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        case.path("state"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("a pipe");
    let job = case.start(["daily", "job"]);
    let looks = || review(&case).0;
    wait_until("the run in the journal", || *fact(&looks(), "unfinished") == true);
    let subject = looks();
    assert_eq!((fact(&subject, "outcome"), fact(&subject, "failures")), (&json!("passed"), &json!(0)), "{subject:#}");
    assert!(subject["notes"].to_string().contains("opsctl show"), "{subject:#}");
    state(&case, "fine");
    job.ends().exits(0);
    case.run(["weekly", "review"]).exits(0);
}

#[test]
fn a_procedure_that_the_site_does_not_have_is_refused_with_the_nearest_one() {
    let step = "title: Review\nsteps:\n  - id: job\n    title: Job\n    \
                probe: { history: { procedure: [daily/job, daily/jop, job] } }\n    expect: { known: true }\n";
    let case = case("{ known: true }").procedure("weekly/wrong.yaml", step);
    case.run(["weekly", "wrong"])
        .exits(3)
        .says_on_stderr("there is no procedure daily/jop")
        .says_on_stderr("did you mean `daily/job`?")
        .says_on_stderr("`job` is not a procedure; write group/procedure");
}

#[test]
fn a_journal_that_cannot_be_read_is_an_error_and_never_a_procedure_that_did_not_run() {
    let case = case("{ known: false }").file("journal.db", "this is no journal");
    case.run(["weekly", "review"]).exits(3).says("the journal cannot tell of the runs of daily/job");
}
