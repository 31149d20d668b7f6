use opsctl::model::unit::Dimension;
use serde_json::json;

use crate::support::look::Look;

#[test]
fn pressure_is_reported_exactly_where_the_kernel_measures_it() {
    let seen = Look::new("pressure", json!({})).run().expect("a look");
    let names: Vec<&str> = seen.subjects.iter().map(|subject| subject.name.as_str()).collect();
    assert_eq!(names, ["cpu", "io", "memory"]);
    for subject in &seen.subjects {
        let measured = std::fs::read_to_string(format!("/proc/pressure/{}", subject.name)).is_ok();
        assert_eq!(subject.facts.contains_key("some_avg10"), measured, "{subject:?}");
        assert_eq!(subject.inapplicable.contains(&"some_avg10".to_owned()), !measured, "{subject:?}");
        let percents = subject.facts.values().map(|fact| fact.number_in(Dimension::Percent).expect("a percentage"));
        assert!(percents.into_iter().all(|percent| (0.0..=100.0).contains(&percent)), "{subject:?}");
    }
}

#[test]
fn one_resource_can_be_asked_for_and_one_that_is_not_measured_is_refused() {
    let seen = Look::new("pressure", json!({ "resource": "memory" })).subject();
    assert_eq!(seen.name, "memory");
    let error = Look::new("pressure", json!({ "resource": ["io", "network"] })).build().err().expect("no probe");
    assert!(error.message.contains("`network`") && error.help.contains("`memory`"), "{error:?}");
}
