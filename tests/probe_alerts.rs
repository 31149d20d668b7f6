//! The alerts probe against a real Alertmanager and a real Prometheus.

use std::io::Write as _;

use chrono::{TimeDelta, Utc};
use opsctl::model::condition::Condition;
use opsctl::model::expectation::{Expectation, Level, NoHistory};
use opsctl::model::fact::{FactType, Observation, Subject};
use opsctl::model::outcome::Outcome;
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::engine::Run;
use crate::support::alertmanager::Alertmanager;
use crate::support::look::Look;
use crate::support::prometheus::shared;
use crate::support::server::{free_port, wait_until};
use crate::support::web;

fn look(inputs: Json) -> Look {
    Look::new("alerts", inputs)
}

fn at(manager: &Alertmanager) -> Look {
    look(json!({ "alertmanager": manager.url }))
}

fn at_prometheus() -> Look {
    look(json!({ "prometheus": shared().url, "watchdog": "Watchdog" }))
}

#[track_caller]
fn fact<'s>(subject: &'s Subject, name: &str) -> &'s Value {
    subject.facts.get(name).unwrap_or_else(|| panic!("no `{name}` in {subject:?}"))
}

#[track_caller]
fn count(subject: &Subject, name: &str) -> f64 {
    fact(subject, name).number_in(Dimension::Count).expect("a count")
}

#[track_caller]
fn counts<const N: usize>(look: &Look, names: [&str; N]) -> [f64; N] {
    let seen = look.subject();
    names.map(|name| count(&seen, name))
}

fn met(subject: &Subject, fact: &str, condition: &str) -> Option<bool> {
    let condition = Condition::parse(condition, FactType::Count).expect("a condition");
    let expectation = Expectation { level: Level::Expect, fact: fact.into(), condition };
    expectation.check(subject, &NoHistory(Utc::now())).met
}

/// An alert as it is sent to Alertmanager; it began two hours ago.
fn alert(name: &str, severity: &str, site: &str) -> Json {
    json!({ "labels": { "alertname": name, "severity": severity, "site": site },
            "annotations": { "summary": format!("{name} at {site}") },
            "startsAt": (Utc::now() - TimeDelta::hours(2)).to_rfc3339() })
}

fn silence(manager: &Alertmanager, name: &str) {
    let matcher = json!({ "name": "alertname", "value": name, "isRegex": false, "isEqual": true });
    let (from, until) = (Utc::now().to_rfc3339(), (Utc::now() + TimeDelta::hours(1)).to_rfc3339());
    let about =
        json!({ "matchers": [matcher], "startsAt": from, "endsAt": until, "createdBy": "anna", "comment": "known" });
    manager.post("silences", &about);
}

/// The outcome of a step that expects `expect` of a look with `inputs`.
fn outcome(inputs: &Json, expect: &str) -> Outcome {
    Run::of(&format!("title: Alerts\nsteps:\n  - {{ id: alerts, probe: {{ alerts: {inputs} }}, expect: {expect} }}\n"))
        .run()
        .outcome
}

fn lines(seen: &Observation, title: &str) -> Vec<String> {
    let found = seen.evidence.iter().find(|evidence| evidence.title.starts_with(title));
    found.map(|evidence| evidence.lines.clone()).unwrap_or_default()
}

#[test]
fn no_alert_means_that_it_was_looked() {
    let manager = Alertmanager::start();
    let look = at(&manager).asked(&["active", "severity.critical"]);
    let seen = look.subject();
    assert_eq!((seen.name.as_str(), fact(&seen, "answers")), (manager.url.as_str(), &Value::Bool(true)));
    for none in ["active", "silenced", "inhibited", "total", "severity.critical"] {
        assert_eq!(count(&seen, none), 0.0, "{none}");
    }
    assert!(look.run().expect("a look").evidence.is_empty());
    assert_eq!(met(&seen, "pending", "0"), None, "that is Prometheus's to know");
    assert_eq!(look.build().expect("a probe").target(), manager.url);
}

#[test]
fn active_alerts_are_counted_by_severity_and_shown() {
    let manager = Alertmanager::start();
    let all = [alert("DiskFull", "critical", "a"), alert("Slow", "warning", "b"), alert("Odd", "Warning", "c")];
    manager.post("alerts", &json!(all));
    let look = at(&manager).asked(&["severity.critical", "severity.warning", "severity.info"]);
    wait_until("the alerts", || counts(&look, ["active"]) == [3.0]);
    let names = ["total", "severity.critical", "severity.warning", "severity.info"];
    assert_eq!(counts(&look, names), [3.0, 1.0, 2.0, 0.0]);
    let oldest = fact(&look.subject(), "oldest_age").number_in(Dimension::Time).expect("a duration");
    assert!(oldest >= 7190.0, "it began two hours ago: {oldest}");
    let seen = look.run().expect("a look");
    let shown = lines(&seen, "alerts of");
    assert!(shown[0].starts_with("active  critical  DiskFull  since 20"), "{shown:?}");
    assert!(shown[0].ends_with("  DiskFull at a  site=a"), "{shown:?}");
    let row = &seen.evidence[0].rows[0];
    assert_eq!(
        (&row["name"], &row["severity"], &row["state"]),
        (&json!("DiskFull"), &json!("critical"), &json!("active"))
    );
}

#[test]
fn silenced_and_inhibited_alerts_are_not_active_and_not_gone() {
    let manager = Alertmanager::start();
    let all = [
        alert("SiteDown", "critical", "a"),
        alert("Slow", "warning", "a"),
        alert("Slow", "warning", "b"),
        alert("Known", "warning", "c"),
    ];
    manager.post("alerts", &json!(all));
    silence(&manager, "Known");
    let look = at(&manager).asked(&["severity.warning"]);
    let names = ["total", "active", "silenced", "inhibited", "severity.warning"];
    wait_until("all states", || counts(&look, names) == [4.0, 2.0, 1.0, 1.0, 1.0]);
    let shown = lines(&look.run().expect("a look"), "alerts of");
    assert!(shown[2..].iter().any(|line| line.starts_with("silenced  warning  Known")), "{shown:?}");
    assert!(shown[2..].iter().any(|line| line.starts_with("inhibited  warning  Slow")), "{shown:?}");
}

#[test]
fn only_alerts_with_the_labels_count_and_those_excepted_do_not() {
    let manager = Alertmanager::start();
    manager.post("alerts", &json!([alert("A", "critical", "a"), alert("B", "critical", "b"), alert("C", "none", "a")]));
    wait_until("the alerts", || counts(&at(&manager), ["total"]) == [3.0]);
    let of_site = |more: Json| {
        let mut inputs = json!({ "alertmanager": manager.url, "labels": { "site": "a" } });
        inputs["except"] = more;
        counts(&look(inputs), ["total"])
    };
    assert_eq!(of_site(json!(["none"])), [2.0]);
    assert_eq!(of_site(json!("C")), [1.0]);
    let unlabelled = look(json!({ "alertmanager": manager.url, "labels": { "team": "shop" } }));
    assert_eq!(counts(&unlabelled, ["total"]), [0.0]);
}

#[test]
fn a_watchdog_that_is_missing_fails_the_step_although_no_alert_is_active() {
    let manager = Alertmanager::start();
    let inputs = json!({ "alertmanager": manager.url, "watchdog": "Watchdog" });
    let seen = look(inputs.clone()).subject();
    assert_eq!((fact(&seen, "watchdog"), count(&seen, "active")), (&Value::Bool(false), 0.0));
    assert!(seen.notes[0].contains("alerts do not come through"), "{seen:?}");
    assert_eq!(outcome(&inputs, "{ active: 0 }"), Outcome::Failed);
    assert_eq!(outcome(&json!({ "alertmanager": manager.url }), "{ active: 0 }"), Outcome::Passed);
    manager.post("alerts", &json!([alert("Watchdog", "none", "a")]));
    wait_until("the watchdog", || fact(&look(inputs.clone()).subject(), "watchdog") == &Value::Bool(true));
    assert_eq!(counts(&look(inputs.clone()), ["active", "total"]), [0.0, 0.0], "it does not count");
    assert_eq!(outcome(&inputs, "{ active: 0 }"), Outcome::Passed);
}

#[test]
fn nothing_is_expected_of_the_oldest_alert_where_there_is_none() {
    let manager = Alertmanager::start();
    let inputs = json!({ "alertmanager": manager.url });
    assert_eq!(outcome(&inputs, "{ oldest_age: below 1h }"), Outcome::Passed);
    manager.post("alerts", &json!([alert("A", "critical", "a")]));
    wait_until("the alert", || counts(&at(&manager), ["active"]) == [1.0]);
    assert_eq!(outcome(&inputs, "{ oldest_age: below 1h }"), Outcome::Failed);
}

#[test]
fn prometheus_tells_what_fires_what_is_pending_and_which_rules_fail() {
    let look = at_prometheus().asked(&["severity.critical", "severity.warning", "targets_down", "alertmanagers"]);
    wait_until("the rules", || counts(&look, ["active", "pending", "rules_failing"]) == [1.0, 1.0, 1.0]);
    wait_until("all targets", || counts(&look, ["targets_down"]) == [1.0]);
    let seen = look.subject();
    assert_eq!(fact(&seen, "watchdog"), &Value::Bool(true));
    assert_eq!(counts(&look, ["total", "severity.critical", "severity.warning"]), [2.0, 1.0, 0.0]);
    assert_eq!(counts(&look, ["rules", "targets", "alertmanagers"]), [3.0, 3.0, 0.0]);
    assert_eq!(met(&seen, "silenced", "0"), None, "that is Alertmanager's to know");
    let seen = look.run().expect("a look");
    let shown = lines(&seen, "alerts of");
    assert!(shown[0].starts_with("active  critical  QueueTooLong  since 20"), "{shown:?}");
    assert!(shown[0].contains("the queue mail is long") && shown[1].starts_with("pending  warning  "), "{shown:?}");
    assert!(lines(&seen, "failing rules")[0].starts_with("broken: "), "{seen:?}");
    assert!(lines(&seen, "failing rules")[0].contains("many-to-many"), "{seen:?}");
    assert!(lines(&seen, "targets down")[0].contains("connection refused"), "{seen:?}");
}

#[test]
fn targets_are_asked_for_only_when_a_step_names_them() {
    assert!(!at_prometheus().asked(&["active"]).subject().facts.contains_key("targets"));
    assert!(at_prometheus().asked(&["targets"]).subject().facts.contains_key("targets_down"));
}

#[test]
fn with_both_servers_each_is_asked_for_what_it_knows() {
    let manager = Alertmanager::start();
    let both = json!({ "alertmanager": manager.url, "prometheus": shared().url });
    let seen = look(both.clone()).run().expect("a look").subjects;
    assert_eq!(seen.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), [&manager.url, &shared().url]);
    assert_eq!(outcome(&both, "{ silenced: 0, rules: 3 }"), Outcome::Passed);
    assert_eq!(outcome(&json!({ "alertmanager": manager.url }), "{ rules: 3 }"), Outcome::Errored);
    assert_eq!(outcome(&json!({ "prometheus": shared().url }), "{ silenced: 0 }"), Outcome::Errored);
    let half = json!({ "alertmanager": format!("http://127.0.0.1:{}", free_port()), "prometheus": shared().url });
    let seen = look(half).run().expect("a look").subjects;
    assert_eq!((fact(&seen[0], "answers"), fact(&seen[1], "answers")), (&Value::Bool(false), &Value::Bool(true)));
}

#[test]
fn a_server_that_is_down_has_no_alerts_to_count() {
    for source in ["alertmanager", "prometheus"] {
        let inputs = json!({ source: format!("http://127.0.0.1:{}", free_port()), "watchdog": "Watchdog" });
        let seen = look(inputs.clone()).subject();
        assert_eq!(fact(&seen, "answers"), &Value::Bool(false), "{source}");
        assert_eq!(met(&seen, "active", "0"), None, "{source}");
        assert!(seen.notes[0].contains("connection refused"), "{seen:?}");
        assert_eq!(outcome(&inputs, "{ active: 0 }"), Outcome::Failed, "{source}");
    }
}

#[test]
fn an_answer_that_is_no_list_of_alerts_is_not_no_alerts() {
    for body in ["", "{}", "null", "<html></html>", r#"{"status":"success","data":{}}"#] {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let port = web::misbehaving(move |mut connection| {
            web::request(&connection);
            connection.write_all(answer.as_bytes()).ok();
        });
        for source in ["alertmanager", "prometheus"] {
            let error = look(json!({ source: format!("http://127.0.0.1:{port}") })).run().expect_err(body);
            assert_eq!(error.code, "bad_answer", "{source} {body}");
            assert!(error.help.is_some(), "{error:?}");
        }
    }
    let manager = Alertmanager::start();
    let mixed_up = look(json!({ "prometheus": manager.url })).run().expect_err("an Alertmanager");
    assert_eq!(mixed_up.code, "bad_answer", "{mixed_up:?}");
    look(json!({ "alertmanager": shared().url })).run().expect_err("a Prometheus");
}

#[test]
fn a_prometheus_without_alerting_rules_says_that_no_alert_can_fire() {
    let basic = json!({ "user": crate::support::prometheus::USER,
                        "password": { "command": ["printf", crate::support::prometheus::PASSWORD] } });
    let inputs = json!({ "prometheus": crate::support::prometheus::secure(), "basic": basic, "ca": web::local().ca });
    let seen = look(inputs).subject();
    assert_eq!((count(&seen, "active"), count(&seen, "rules")), (0.0, 0.0));
    assert!(seen.notes.contains(&"it has no alerting rules, so no alert can fire".to_owned()), "{seen:?}");
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    let refused = |inputs: Json| look(inputs).build().err().expect("inputs that are refused").input;
    assert_eq!(refused(json!({})), "");
    assert_eq!(refused(json!({ "alertmanager": "127.0.0.1:9093" })), "alertmanager");
    assert_eq!(refused(json!({ "alertmanager": "http://127.0.0.1", "labels": { "team": { "env": "A" } } })), "labels");
}
