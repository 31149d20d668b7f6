//! Numbers over a time: statistics of samples that are known exactly.

use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::json;

use super::{all, ask, fact, has, look, number, number_in};
use crate::support::look::Look;
use crate::support::prometheus::shared;

fn over(query: &str, window: &str) -> Look {
    look(json!({ "prometheus": shared().url, "query": query, "window": window }))
}

#[test]
fn statistics_are_those_of_all_samples() {
    let seen = over("latency_ms", "2h").subject();
    assert_eq!(number(&seen, "samples"), 100.0);
    assert_eq!((number(&seen, "minimum"), number(&seen, "maximum"), number(&seen, "average")), (1.0, 100.0, 50.5));
    for (name, wanted) in [("p50", 50.5), ("p90", 90.1), ("p95", 95.05), ("p99", 99.01)] {
        assert!((number(&seen, name) - wanted).abs() < 1e-9, "{name} in {seen:?}");
    }
}

#[test]
fn percentiles_are_those_that_prometheus_reckons() {
    let seen = over("latency_ms", "2h").subject();
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)] {
        let own = ask(&format!("quantile_over_time({share}, latency_ms[2h])")).subject();
        assert!((number(&seen, name) - number(&own, "value")).abs() < 1e-9, "{name}: {seen:?} {own:?}");
    }
}

#[test]
fn a_unit_goes_for_statistics_too() {
    let seen =
        look(json!({ "prometheus": shared().url, "query": "latency_ms", "window": "2h", "unit": "ms" })).subject();
    assert_eq!(number_in(&seen, "maximum", Dimension::Time), 0.1);
}

#[test]
fn a_counter_that_began_again_goes_on_growing() {
    let seen = over("jobs_total", "2h").subject();
    assert_eq!(number(&seen, "increase"), 30.0 + 5.0 + 20.0);
    let rate = number_in(&seen, "rate", Dimension::Rate);
    assert!((rate - 55.0 / 25.0).abs() < 1e-9, "{seen:?}");
}

#[test]
fn growth_of_what_may_fall_is_told_only_when_a_step_asks_for_it() {
    assert!(!has(&over("latency_ms", "2h").subject(), "rate"));
    assert_eq!(number(&over("latency_ms", "2h").asked(&["increase"]).subject(), "increase"), 99.0);
}

#[test]
fn samples_that_are_not_a_number_do_not_count_and_that_is_said() {
    let seen = over("odd", "2h").subject();
    assert_eq!((number(&seen, "samples"), number(&seen, "average"), number(&seen, "maximum")), (2.0, 2.0, 3.0));
    assert!(seen.notes.contains(&"1 of 3 samples are not a number and do not count".to_owned()), "{seen:?}");
    let endless = over("endless", "2h").subject();
    assert_eq!((fact(&endless, "maximum"), fact(&endless, "average")), (&Value::text("+Inf"), &Value::text("+Inf")));
    assert_eq!(number(&endless, "minimum"), 1.0);
}

#[test]
fn a_query_that_is_no_plain_name_is_evaluated_at_steps() {
    let inputs = json!({ "prometheus": shared().url, "query": "vector(3) # three", "window": "10m", "step": "1m" });
    let seen = look(inputs).subject();
    assert_eq!((number(&seen, "samples"), number(&seen, "average"), number(&seen, "value")), (10.0, 3.0, 3.0));
    assert!(number_in(&seen, "newest_age", Dimension::Time) < 60.0, "at most one step ago: {seen:?}");
}

#[test]
fn a_window_without_samples_has_no_statistics() {
    let seen = over(r#"latency_ms{host="none"}"#, "2h").subject();
    assert_eq!(number(&seen, "series"), 0.0);
    for missing in ["average", "p95", "rate", "last", "value", "newest_age"] {
        assert!(!has(&seen, missing), "{missing} in {seen:?}");
    }
}

#[test]
fn each_series_has_its_own_statistics_and_its_value_now() {
    crate::support::server::wait_until("two scrapes", || {
        all(&over("queue_depth", "10m")).iter().all(|one| number(one, "samples") >= 2.0)
    });
    let seen = all(&over("queue_depth", "10m"));
    assert_eq!(seen.len(), 2);
    for (one, wanted) in seen.iter().zip([12.5, 0.0]) {
        assert_eq!((number(one, "value"), number(one, "average"), number(one, "last")), (wanted, wanted, wanted));
    }
}

#[test]
fn the_extremes_and_their_times_are_the_evidence() {
    let seen = over("latency_ms", "2h").run().expect("a look");
    let lines = &seen.evidence[0].lines;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("highest  20") && lines[0].ends_with("  100  latency_ms"), "{lines:?}");
    assert!(lines[1].starts_with("lowest   20") && lines[1].ends_with("  1  latency_ms"), "{lines:?}");
}
