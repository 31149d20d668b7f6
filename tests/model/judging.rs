//! The judge: total, exact, and never satisfied by what is missing.

use opsctl::model::condition::Condition;
use opsctl::model::expectation::NoHistory;
use opsctl::model::fact::FactType;
use opsctl::model::unit::{Dimension, Quantity};
use opsctl::model::value::Value;
use proptest::prelude::*;
use serde_json::json;

use super::any::{self, any_condition};
use super::{cases, judged, met, now, parse};

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn judging_never_breaks_down(
        condition in any_condition(),
        value in any::value_of(proptest::num::f64::ANY.boxed()),
        past in any::past(now()),
    ) {
        let check = judged(condition, Some(value), &past);
        prop_assert_eq!(check.met.is_none(), check.met.is_none() && check.note.is_some(), "not knowing says why");
    }

    #[test]
    fn a_missing_fact_satisfies_no_condition_and_no_negation(condition in any_condition(), past in any::past(now())) {
        let negated = Condition::Not(Box::new(condition.clone()));
        for condition in [condition, negated] {
            let check = judged(condition, None, &past);
            prop_assert_eq!((check.met, check.actual), (None, None));
            prop_assert_eq!(check.note.as_deref(), Some("no `fact` was seen"));
        }
    }

    #[test]
    fn a_negation_holds_exactly_when_the_condition_does_not(condition in any_condition(), value in any::value(), past in any::past(now())) {
        let plain = judged(condition.clone(), Some(value.clone()), &past).met;
        let negated = judged(Condition::Not(Box::new(condition)), Some(value), &past).met;
        prop_assert_eq!(negated, plain.map(|met| !met));
    }

    #[test]
    fn limits_compare_as_numbers_do(seen in any::amount(), limit in any::amount()) {
        let value = Value::Number(Quantity::new(seen, Dimension::Percent));
        let limit_text = Quantity::percent(limit).to_string();
        let holds = |word: &str| met(&format!("{word} {limit_text}"), FactType::Percent, value.clone());
        prop_assert_eq!(holds("above"), Some(seen > limit));
        prop_assert_eq!(holds("at least"), Some(seen >= limit));
        prop_assert_eq!(holds("below"), Some(seen < limit));
        prop_assert_eq!(holds("at most"), Some(seen <= limit));
    }
}

fn json_fact(json: &serde_json::Value) -> Value {
    Value::from_json(json).expect("a value")
}

#[test]
fn a_load_of_1_9_is_not_at_most_1_2() {
    assert_eq!(met("at most 1.2", FactType::Any, json_fact(&json!(1.9))), Some(false));
    assert_eq!(met("at most 1", FactType::Any, json_fact(&json!(1.000_001))), Some(false));
}

#[test]
fn ten_is_more_than_nine_even_as_text() {
    assert_eq!(met("above 9", FactType::Any, Value::text("10")), Some(true));
    assert_eq!(met("at most 9", FactType::Any, Value::text("10")), Some(false));
    assert_eq!(met("10", FactType::Any, Value::text("10.0")), Some(true));
}

#[test]
fn a_text_that_is_no_number_is_neither_above_nor_below() {
    for condition in ["above 9", "at most 9", "not above 9", "not at most 9", "not 9"] {
        assert_eq!(met(condition, FactType::Any, Value::text("many")), None, "{condition}");
    }
}

#[test]
fn a_json_path_that_is_not_there_is_not_at_most_10() {
    for condition in ["at most 10", "not above 10", "not contains error", "not 5", "any of [at most 10, not ok]"] {
        let check = judged(parse(condition, FactType::Any), None, &NoHistory(now()));
        assert_eq!(check.met, None, "{condition}");
    }
}

#[test]
fn null_in_json_counts_as_missing() {
    assert_eq!(Value::from_json(&json!(null)), None);
}

#[test]
fn numbers_that_are_none_satisfy_nothing() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for condition in ["at most 10%", "above 10%", "0%", "not above 10%", "0%..100%"] {
            assert_eq!(met(condition, FactType::Percent, Value::percent(number)), None, "{number} {condition}");
        }
    }
}

#[test]
fn both_ends_of_a_range_belong_to_it() {
    let within = |number: f64| met("200..299", FactType::Count, Value::Number(Quantity::count(number)));
    assert_eq!(
        [within(199.9), within(200.0), within(299.0), within(299.1)].map(Option::unwrap),
        [false, true, true, false]
    );
}

#[test]
fn limits_are_strict_or_inclusive_as_their_words_say() {
    let holds = |condition: &str| met(condition, FactType::Count, Value::Integer(3)).expect("known");
    assert_eq!(["above 3", "at least 3", "below 3", "at most 3"].map(holds), [false, true, false, true]);
}

#[test]
fn a_share_is_compared_as_percent_and_as_size() {
    let free = || Value::share(50 << 30, 1000 << 30);
    let holds = |condition: &str| met(condition, FactType::SizeShare, free()).expect("known");
    assert!(holds("at least 5%") && holds("at least 50GiB") && holds("above 53GB"));
    assert!(!holds("above 5%") && !holds("above 50GiB"));
    assert!(holds("any of [above 10%, at least 50GiB]"), "a small part of a very large disk is still a lot");
}

#[test]
fn sizes_and_durations_compare_across_units() {
    let size = |condition: &str| met(condition, FactType::Size, Value::bytes(2 << 30)).expect("known");
    assert!(size("2GiB") && size("2048 MiB") && size("above 2GB") && !size("above 2GiB"));
    let time = |condition: &str| {
        met(condition, FactType::Duration, Value::duration(std::time::Duration::from_mins(90))).expect("known")
    };
    assert!(time("1.5h") && time("90m") && time("90min") && time("below 1d") && !time("above 5400s"));
}

#[test]
fn integers_are_compared_without_rounding() {
    let large = 9_007_199_254_740_993_i64;
    assert_eq!(met(&large.to_string(), FactType::Count, Value::Integer(large)), Some(true));
    assert_eq!(met(&(large - 1).to_string(), FactType::Count, Value::Integer(large)), Some(false));
}

#[test]
fn not_contains_is_met_by_a_text_without_it() {
    assert_eq!(met("not contains error", FactType::Text, Value::text("all well")), Some(true));
    assert_eq!(met("not contains error", FactType::Text, Value::text("an error")), Some(false));
}

#[test]
fn a_list_contains_an_item_and_not_a_part_of_one() {
    let names = Value::List(vec![Value::text("author"), Value::text("user")]);
    assert_eq!(met("contains auth", FactType::Texts, names.clone()), Some(false));
    assert_eq!(met("contains author", FactType::Texts, names.clone()), Some(true));
    assert_eq!(met("matches ^auth", FactType::Texts, names), Some(true));
}

#[test]
fn texts_are_compared_with_numbers_as_they_are_and_not_as_they_are_shown() {
    let number = Value::Number(Quantity::count(1234.5678));
    assert_eq!(met("ends with 5678", FactType::Any, number.clone()), Some(true));
    assert_eq!(met("contains 1235", FactType::Any, number), Some(false));
}

#[test]
fn the_worst_of_all_and_the_best_of_any_count_whatever_the_order() {
    let holds = |condition: &str| met(condition, FactType::Any, Value::text("many"));
    // One cannot be told, one does not hold: together they cannot hold.
    assert_eq!(holds("all of [above 3, few]"), Some(false));
    assert_eq!(holds("all of [few, above 3]"), Some(false));
    assert_eq!(holds("all of [above 3, many]"), None);
    assert_eq!(holds("any of [above 3, many]"), Some(true));
    assert_eq!(holds("any of [many, above 3]"), Some(true));
    assert_eq!(holds("any of [above 3, few]"), None);
}
