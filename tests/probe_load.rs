use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::json;

use crate::support::look::Look;

#[test]
fn the_load_of_each_core_is_the_load_divided_by_the_cores() {
    let seen = Look::new("load", json!({})).subject();
    let number = |fact: &str| seen.facts[fact].number_in(Dimension::Count).expect("a number");
    let online = std::process::Command::new("getconf").arg("_NPROCESSORS_ONLN").output().expect("getconf");
    let online: u64 = String::from_utf8_lossy(&online.stdout).trim().parse().expect("a number");
    assert_eq!(seen.facts["cores"], Value::count(online));
    for fact in ["one", "five", "fifteen"] {
        assert_eq!(number(&format!("per_core_{fact}")), number(fact) / online as f64);
    }
    assert!(number("running") >= 1.0, "this test runs: {seen:?}");
}

#[test]
fn pressure_is_reported_exactly_where_the_kernel_measures_it() {
    let seen = Look::new("load", json!({})).subject();
    for name in ["cpu", "io", "memory"] {
        let measured = std::fs::read_to_string(format!("/proc/pressure/{name}")).is_ok();
        let fact = seen.facts.get(&format!("{name}_pressure"));
        assert_eq!(fact.is_some(), measured);
        let percent = fact.map(|fact| fact.number_in(Dimension::Percent).expect("a percentage"));
        assert!(percent.is_none_or(|percent| (0.0..=100.0).contains(&percent)), "{seen:?}");
    }
}
