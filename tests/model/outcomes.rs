//! Outcomes and the exit status.

use opsctl::model::outcome::{Exit, Outcome};

#[test]
fn one_table_says_what_a_run_exits_with() {
    let code = |outcome| Exit::of(outcome, None).code();
    assert_eq!(
        Outcome::ALL.map(|outcome| (outcome.word(), code(outcome))),
        [("passed", 0), ("waived", 0), ("skipped", 0), ("pending", 0), ("warned", 1), ("errored", 3), ("failed", 2),]
    );
}

#[test]
fn an_interruption_wins_over_every_outcome() {
    for outcome in Outcome::ALL {
        assert_eq!(Exit::of(outcome, Some(Exit::Interrupted)).code(), 130);
        assert_eq!(Exit::of(outcome, Some(Exit::Terminated)).code(), 143);
    }
}

#[test]
fn a_failure_is_worse_than_not_knowing_and_that_is_worse_than_a_warning() {
    let mut sorted = Outcome::ALL;
    sorted.sort();
    assert_eq!(sorted, Outcome::ALL, "listed from best to worst");
    assert_eq!(sorted.iter().max(), Some(&Outcome::Failed));
}

#[test]
fn a_run_that_could_not_be_recorded_does_not_exit_with_less() {
    assert_eq!(Exit::Ok.at_least(Exit::CouldNotTell), Exit::CouldNotTell);
    assert_eq!(Exit::Failed.at_least(Exit::CouldNotTell), Exit::CouldNotTell);
    assert_eq!(Exit::Interrupted.at_least(Exit::CouldNotTell), Exit::Interrupted);
}

#[test]
fn each_outcome_has_a_word_and_four_letters_of_its_own() {
    for (index, outcome) in Outcome::ALL.iter().enumerate() {
        assert_eq!(outcome.tag().len(), 4);
        for other in &Outcome::ALL[index + 1..] {
            assert_ne!((outcome.word(), outcome.tag()), (other.word(), other.tag()));
            assert_ne!(outcome.tag(), other.tag());
        }
    }
}
