//! Conditions on earlier runs.

use chrono::Duration;
use opsctl::model::expectation::{Reading, median};
use opsctl::model::fact::FactType;
use opsctl::model::unit::{Dimension, Quantity};
use opsctl::model::value::Value;
use proptest::prelude::*;

use super::any::Past;
use super::{cases, judged, now, parse};

/// Readings of `(hours ago, percent)`, newest first.
fn past(readings: &[(i64, f64)]) -> Past {
    let reading = |&(hours, amount): &(i64, f64)| Reading {
        at: now() - Duration::hours(hours),
        value: Quantity::percent(amount),
    };
    Past { now: now(), readings: readings.iter().map(reading).collect() }
}

fn daily(amounts: &[f64]) -> Past {
    let readings: Vec<(i64, f64)> = (1..).map(|day| day * 24).zip(amounts.iter().copied()).collect();
    past(&readings)
}

fn seen(condition: &str, percent: f64, past: &Past) -> (Option<bool>, String) {
    let check = judged(parse(condition, FactType::Percent), Some(Value::percent(percent)), past);
    (check.met, check.note.unwrap_or_default())
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn half_of_the_values_are_at_most_the_median_and_half_at_least(values in proptest::collection::vec(-1e9..1e9_f64, 1..30)) {
        let middle = median(&values);
        let below = values.iter().filter(|value| **value <= middle).count();
        let above = values.iter().filter(|value| **value >= middle).count();
        prop_assert!(below * 2 >= values.len() && above * 2 >= values.len());
        let mut turned = values.clone();
        turned.reverse();
        prop_assert_eq!(median(&turned), middle);
    }

    #[test]
    fn without_history_nothing_is_met_and_nothing_is_unmet(percent in 0.0..100.0_f64) {
        for condition in ["within 30% of median(14)", "at most 150% of previous", "rises below 5% per day",
                          "falls above 5% per hour", "not at most 150% of previous"] {
            let (met, note) = seen(condition, percent, &daily(&[]));
            prop_assert_eq!(met, None);
            prop_assert!(note.starts_with("no history yet"), "{}", condition);
        }
    }
}

#[test]
fn the_median_is_the_middle_value_or_the_mean_of_the_two_in_the_middle() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
    assert_eq!(median(&[]), 0.0);
}

#[test]
fn a_median_needs_half_of_its_values() {
    let condition = "within 30% of median(6)";
    assert_eq!(
        seen(condition, 50.0, &daily(&[50.0, 50.0])),
        (None, "no history yet: 2 of 3 earlier values".to_owned())
    );
    assert_eq!(seen(condition, 50.0, &daily(&[50.0, 40.0, 60.0])), (Some(true), "median(6) is 50 %".to_owned()));
}

#[test]
fn a_median_looks_at_the_newest_values_only() {
    let past = daily(&[50.0, 50.0, 50.0, 1.0, 1.0, 1.0, 1.0]);
    assert_eq!(seen("within 10% of median(3)", 50.0, &past).0, Some(true));
}

#[test]
fn within_means_both_ways() {
    let past = daily(&[50.0]);
    let within = |percent: f64| seen("within 30% of previous", percent, &past).0;
    assert_eq!(
        [within(34.9), within(35.0), within(65.0), within(65.1)].map(Option::unwrap),
        [false, true, true, false]
    );
}

#[test]
fn a_limit_by_the_run_before_says_what_that_was() {
    let past = daily(&[40.0, 90.0]);
    assert_eq!(seen("at most 150% of previous", 60.0, &past), (Some(true), "previous is 40 %".to_owned()));
    assert_eq!(seen("at most 150% of previous", 60.1, &past), (Some(false), "previous is 40 %".to_owned()));
}

#[test]
fn a_change_is_counted_from_the_newest_value_that_is_half_a_period_old() {
    // The look an hour ago says nothing about a day.
    let past = past(&[(1, 59.0), (24, 50.0), (48, 10.0)]);
    assert_eq!(seen("rises at most 10% per day", 60.0, &past), (Some(true), "10 % per day".to_owned()));
    assert_eq!(seen("rises below 10% per day", 60.0, &past), (Some(false), "10 % per day".to_owned()));
    assert_eq!(seen("falls below 10% per day", 60.0, &past).0, Some(true));
}

#[test]
fn a_change_is_scaled_to_its_period() {
    let past = past(&[(48, 50.0)]);
    assert_eq!(seen("rises below 6% per day", 60.0, &past), (Some(true), "5 % per day".to_owned()));
    assert_eq!(
        seen("rises below 6% per week", 60.0, &past),
        (None, "no history yet: no value is at least half a week old".to_owned())
    );
}

#[test]
fn a_percentage_of_change_is_relative_where_the_fact_is_no_percentage() {
    let reading = |amount: f64| Past {
        now: now(),
        readings: vec![Reading { at: now() - Duration::hours(24), value: Quantity::new(amount, Dimension::Size) }],
    };
    let check = |condition: &str, now: u64, then: f64| {
        let check = judged(parse(condition, FactType::Size), Some(Value::bytes(now)), &reading(then));
        (check.met, check.note.unwrap_or_default())
    };
    assert_eq!(check("rises below 5% per day", 110, 100.0), (Some(false), "10 % per day".to_owned()));
    assert_eq!(check("rises below 20B per day", 110, 100.0), (Some(true), "10 B per day".to_owned()));
    assert_eq!(
        check("rises below 5% per day", 110, 0.0),
        (None, "the earlier value is 0, so a change has no percentage".to_owned())
    );
}

#[test]
fn a_rise_from_below_zero_is_a_rise() {
    let readings = vec![Reading { at: now() - Duration::hours(24), value: Quantity::count(-10.0) }];
    let past = Past { now: now(), readings };
    let check = judged(parse("rises above 40% per day", FactType::Count), Some(Value::Integer(-5)), &past);
    assert_eq!((check.met, check.note.unwrap_or_default()), (Some(true), "50 % per day".to_owned()));
}

#[test]
fn earlier_values_of_another_unit_are_no_history() {
    let check = judged(parse("at most 150% of previous", FactType::Any), Some(Value::bytes(5)), &daily(&[40.0]));
    assert_eq!((check.met, check.note.unwrap_or_default()), (None, "no history yet: 0 of 1 earlier values".to_owned()));
}
