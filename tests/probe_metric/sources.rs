//! Numbers that are not in Prometheus: expositions, JSON, databases, as files and over HTTP.

use std::fs;
use std::time::{Duration, SystemTime};

use chrono::{TimeDelta, Utc};
use opsctl::model::unit::{Dimension, Quantity};
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::{all, error, fact, has, look, met, number, number_in, value};
use crate::support::look::Look;
use crate::support::prometheus::{Target, shared};
use crate::support::web::apache;

fn exposed(query: &str) -> Look {
    look(json!({ "exposition": shared().target.url(), "query": query }))
}

fn of(word: &str) -> f64 {
    value(&look(json!({ "exposition": shared().target.url(), "query": "queue_depth", "of": word })).subject())
}

/// A look at a file that lies in the folder of the site file.
fn in_file(name: &str, text: &str, inputs: &Json) -> (Look, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(name), text).expect("a file");
    let mut look = look(inputs.clone());
    folder.path().clone_into(&mut look.cx.folder);
    (look, folder)
}

fn health(path: &str) -> Look {
    look(json!({ "json": format!("http://127.0.0.1:{}/health.json", apache().plain), "query": path }))
}

fn rows(query: &str) -> (Look, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shop.db");
    fs::write(&file, "").expect("an empty database");
    let url = format!("sqlite://{}", file.display());
    (look(json!({ "database": "shop", "query": query })).database("shop", &url), folder)
}

#[test]
fn an_exposition_gives_one_result_for_each_series() {
    let seen = all(&exposed("queue_depth"));
    let seen: Vec<_> = seen.iter().map(|one| (one.name.as_str(), value(one))).collect();
    assert_eq!(seen, [(r#"queue_depth{queue="mail"}"#, 12.5), (r#"queue_depth{queue="print"}"#, 0.0)]);
    assert_eq!(value(&exposed(r#"requests_total{code=~"5.."}"#).subject()), 10.0);
}

#[test]
fn several_series_can_be_one_number() {
    assert_eq!((of("sum"), of("min"), of("max"), of("avg")), (12.5, 0.0, 12.5, 6.25));
}

#[test]
fn a_series_that_is_not_exposed_is_missing_and_a_near_name_is_told() {
    let seen = exposed("requests").subject();
    assert_eq!(met(&seen, "value", "at most 10"), None);
    assert!(seen.notes.contains(&"there is `requests_total`".to_owned()), "{seen:?}");
    let inputs = json!({ "exposition": shared().target.url(), "query": "none", "of": "sum" });
    assert!(!has(&look(inputs).subject(), "value"), "the sum of nothing is not 0");
}

#[test]
fn a_counter_is_told_as_its_growth_since_the_earlier_run() {
    let name = r#"requests_total{code="500"}"#;
    let before =
        |amount| exposed(name).before(Utc::now() - TimeDelta::minutes(5), &[(name, "value", Quantity::count(amount))]);
    let seen = before(4.0).subject();
    assert_eq!(number(&seen, "increase"), 6.0);
    assert!((number_in(&seen, "rate", Dimension::Rate) - 1.2).abs() < 0.01, "{seen:?}");
    let again = before(400.0).subject();
    assert_eq!(number(&again, "increase"), 10.0);
    assert!(again.notes[0].contains("began again"), "{again:?}");
    assert!(!has(&exposed(name).subject(), "increase"), "the first run has nothing to compare with");
}

#[test]
fn a_file_that_nobody_writes_any_more_shows_by_its_age() {
    let inputs = json!({ "exposition": "backup.prom", "query": "backup_size_bytes", "unit": "B" });
    let (look, folder) = in_file("backup.prom", "backup_size_bytes 1048576\n", &inputs);
    let file = fs::File::options().write(true).open(folder.path().join("backup.prom")).expect("the file");
    file.set_modified(SystemTime::now() - Duration::from_hours(30)).expect("an older file");
    let seen = look.subject();
    assert_eq!(fact(&seen, "value"), &Value::bytes(1 << 20));
    assert!(number_in(&seen, "newest_age", Dimension::Time) >= 30.0 * 3600.0, "{seen:?}");
}

#[test]
fn an_exposition_that_tells_a_series_twice_is_not_believed() {
    let target = Target::start("a 1\na 2\n");
    let error = error(&look(json!({ "exposition": target.url(), "query": "a" })));
    assert!(error.message.ends_with("tells a twice"), "{error:?}");
}

#[test]
fn json_has_its_number_at_a_path() {
    let seen = health("queue.depth").subject();
    assert_eq!((seen.name.as_str(), value(&seen)), ("queue.depth", 3.0));
    assert_eq!(met(&health("load").subject(), "value", "at most 1.2"), Some(false), "1.9 is not cut to 1");
}

#[test]
fn a_json_path_that_is_missing_does_not_count_as_zero() {
    for (path, said) in [
        ("queue.length", "there is no `queue.length`"),
        ("queue.age", "there is no `queue.age`"),
        ("status", "`status` is a text, and no number"),
        ("queue", "`queue` is an object, and no number"),
    ] {
        let seen = health(path).subject();
        for condition in ["at most 10", "not above 10"] {
            assert_eq!(met(&seen, "value", condition), None, "{path}");
        }
        assert!(seen.notes.iter().any(|note| note == said), "{seen:?}");
    }
}

#[test]
fn a_list_of_numbers_in_json_is_a_list_of_samples() {
    let inputs = json!({ "json": "times.json", "query": "took", "unit": "ms" });
    let (look, _folder) = in_file("times.json", r#"{ "took": [10, 20, "30", 40] }"#, &inputs);
    let seen = look.subject();
    assert_eq!(number_in(&seen, "p50", Dimension::Time), 0.025);
    assert_eq!((number(&seen, "samples"), has(&seen, "value")), (4.0, false));
    assert!(has(&seen, "newest_age"), "{seen:?}");
}

#[test]
fn a_database_gives_its_number() {
    let (look, _folder) = rows("SELECT 1.5");
    let seen = look.subject();
    assert_eq!((seen.name.as_str(), value(&seen)), ("shop", 1.5));
}

#[test]
fn other_columns_name_what_the_number_is_of() {
    let (look, _folder) = rows("SELECT 'open' AS state, 5 AS n UNION ALL SELECT 'closed', 7");
    let seen = all(&look);
    let seen: Vec<_> = seen.iter().map(|one| (one.name.as_str(), value(one))).collect();
    assert_eq!(seen, [(r#"{state="open"}"#, 5.0), (r#"{state="closed"}"#, 7.0)]);
}

#[test]
fn rows_of_one_thing_are_its_samples() {
    let (look, _folder) =
        rows("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100) SELECT x FROM n");
    let seen = look.run().expect("a look");
    let subject = &seen.subjects[0];
    assert!((number(subject, "p95") - 95.05).abs() < 1e-9, "{subject:?}");
    assert!(!has(subject, "value"), "a hundred rows are not one number");
    assert_eq!((seen.evidence[0].lines.len(), seen.evidence[0].left_out), (21, 80));
}

#[test]
fn null_and_no_row_are_missing_and_a_text_is_an_error() {
    for query in ["SELECT NULL", "SELECT 1 WHERE 1 = 0"] {
        let (look, _folder) = rows(query);
        assert_eq!(met(&look.subject(), "value", "at most 10"), None, "{query}");
    }
    let (look, _folder) = rows("SELECT 'many'");
    assert!(error(&look).message.contains("`many` in the last column is not a number"));
}
