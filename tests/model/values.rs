//! Values: their written forms.

use std::time::Duration;

use opsctl::model::unit::Quantity;
use opsctl::model::value::Value;
use proptest::prelude::*;
use serde_json::json;

use super::{any, cases};

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn a_value_is_the_same_after_a_journey_through_json(value in any::value()) {
        let json = serde_json::to_string(&value).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Value>(&json).expect("a value"), value);
    }

    #[test]
    fn what_is_not_finite_can_be_stored_and_read(value in any::value_of(proptest::num::f64::ANY.boxed())) {
        let json = serde_json::to_string(&value).expect("JSON");
        prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{}", json);
        value.to_string();
    }
}

#[test]
fn the_stored_form_has_value_unit_and_amount() {
    let stored = |value: Value| serde_json::to_value(value).expect("JSON");
    assert_eq!(stored(Value::Integer(3)), json!({"value": 3}));
    assert_eq!(stored(Value::text("ok")), json!({"value": "ok"}));
    assert_eq!(stored(Value::duration(Duration::from_millis(250))), json!({"value": 0.25, "unit": "s"}));
    assert_eq!(
        stored(Value::share(1024, 4096)),
        json!({"value": 25.0, "unit": "%", "amount": {"value": 1024.0, "unit": "B"}})
    );
}

#[test]
fn people_read_rounded_numbers_with_units() {
    let read = [
        (Value::percent(3.8), "3.8 %"),
        (Value::bytes(40 * 1024 * 1024 * 1024), "40 GiB"),
        (Value::bytes(1023), "1023 B"),
        (Value::duration(Duration::from_millis(250)), "250 ms"),
        (Value::duration(Duration::from_mins(90)), "90 min"),
        (Value::Number(Quantity::count(1.9)), "1.9"),
        (Value::Number(Quantity::per_minute(12.0)), "12/min"),
        (Value::Number(Quantity::per_second(250.0)), "250/s"),
        (Value::Number(Quantity::bytes_per_second(125e6)), "119 MiB/s"),
        (Value::Number(Quantity::bytes_per_second(10.4)), "10 B/s"),
        (Value::share(1, 8), "12.5 % (1 B)"),
        (Value::List(vec![Value::text("a"), Value::Integer(2)]), "a, 2"),
    ];
    for (value, text) in read {
        assert_eq!(value.to_string(), text);
    }
}

#[test]
fn null_is_missing_and_not_a_value() {
    assert_eq!(Value::from_json(&json!(null)), None);
    assert_eq!(Value::from_json(&json!([1, null])), Some(Value::List(vec![Value::Integer(1)])));
    assert!(serde_json::from_value::<Value>(json!({"value": null})).is_err());
}
