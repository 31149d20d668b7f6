//! One number as a share of another.

use opsctl::model::unit::Dimension;
use serde_json::json;

use super::{all, has, look, met, number, number_in};
use crate::support::prometheus::shared;

fn ratio(query: &str, over: &str) -> crate::support::look::Look {
    look(json!({ "prometheus": shared().url, "query": query, "over": over }))
}

#[test]
fn a_ratio_is_a_percentage_of_the_second_query() {
    let seen = ratio(r#"requests_total{code="500"}"#, "sum(requests_total)").subject();
    assert_eq!(number_in(&seen, "ratio", Dimension::Percent), 1.0);
    assert_eq!(number(&seen, "over"), 1000.0);
    assert_eq!(met(&seen, "ratio", "below 1%"), Some(false));
}

#[test]
fn nothing_of_nothing_is_missing_and_neither_zero_nor_hundred_percent() {
    for (query, over) in [("vector(0)", "vector(0)"), ("vector(3)", "vector(0)"), ("vector(0)", "none_such")] {
        let seen = ratio(query, over).subject();
        assert!(!has(&seen, "ratio"), "{query} of {over}: {seen:?}");
        assert_eq!(met(&seen, "ratio", "below 1%"), None);
        assert!(seen.notes.iter().any(|note| note.contains("no ratio")), "{seen:?}");
    }
    assert!(!has(&ratio("none_such", "vector(5)").subject(), "ratio"), "errors that nobody counts are not none");
}

#[test]
fn several_results_are_shares_of_those_with_the_same_labels() {
    let seen = all(&ratio("sum by (code) (requests_total)", "sum by (code) (requests_total) * 2"));
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|one| number_in(one, "ratio", Dimension::Percent) == 50.0), "{seen:?}");
    let of_all = all(&ratio("requests_total", "sum(requests_total)"));
    let shares: Vec<f64> = of_all.iter().map(|one| number_in(one, "ratio", Dimension::Percent)).collect();
    assert_eq!(shares, [99.0, 1.0]);
}

#[test]
fn other_sources_have_ratios_too() {
    let inputs = json!({ "exposition": shared().target.url(), "query": r#"requests_total{code="500"}"#,
                         "over": r#"requests_total{code="200"}"# });
    let seen = look(inputs).subject();
    assert!((number_in(&seen, "ratio", Dimension::Percent) - 1000.0 / 990.0).abs() < 1e-9, "{seen:?}");
}
