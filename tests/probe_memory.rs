use opsctl::model::value::Value;
use serde_json::json;

use crate::support::look::Look;

/// In bytes, from `/proc/meminfo`.
fn meminfo(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
    let line = text.lines().find(|line| line.starts_with(&format!("{name}:"))).expect("a line of that name");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") * 1024
}

#[test]
fn total_is_that_of_the_kernel_and_available_and_used_make_the_total() {
    let seen = Look::new("memory", json!({})).subject();
    let total = meminfo("MemTotal");
    assert_eq!(seen.facts["total"], Value::bytes(total));
    let parts = ["available", "used"].map(|fact| seen.facts[fact].history_number().expect("an amount").amount());
    assert_eq!(parts[0] + parts[1], total as f64);
    assert!(parts[0] > 0.0, "some memory is available: {seen:?}");
}

#[test]
fn swap_is_reported_only_where_there_is_some() {
    let seen = Look::new("memory", json!({})).subject();
    let swap = meminfo("SwapTotal");
    assert_eq!(seen.facts["swap_total"], Value::bytes(swap));
    assert_eq!(seen.facts.contains_key("swap_used"), swap > 0);
    assert_eq!(seen.facts.contains_key("swap_free"), swap > 0);
}
