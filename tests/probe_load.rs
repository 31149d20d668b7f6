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
