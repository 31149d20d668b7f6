//! Compose projects, with a stand-in for Docker: see [`crate::support::containers`].

use opsctl::model::fact::{Observation, Subject};
use opsctl::model::outcome::Outcome;
use opsctl::model::unit::Quantity;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::engine::Run;
use crate::support::containers::Engine;

/// A project with two containers of `web`, a database and a job that is done.
fn shop() -> Engine {
    let engine = Engine::start();
    container(&engine, "shop-web-1", "web", json!({}));
    container(&engine, "shop-web-2", "web", json!({"restarts": 1}));
    container(&engine, "shop-db-1", "db", json!({"health": null}));
    container(&engine, "shop-migrate-1", "migrate", json!({"running": false, "exit": 0}));
    let other = json!({"com.docker.compose.project": "blog", "com.docker.compose.service": "worker"});
    engine.container("blog-worker-1", json!({"labels": other}));
    engine
}

fn container(engine: &Engine, name: &str, service: &str, mut spec: Json) {
    spec["labels"] = json!({"com.docker.compose.project": "shop", "com.docker.compose.service": service});
    engine.container(name, spec);
}

fn seen(engine: &Engine, mut inputs: Json) -> Observation {
    inputs["project"] = json!("shop");
    engine.look("compose", inputs).run().expect("a look that succeeds")
}

fn of<'s>(seen: &'s Observation, name: &str) -> &'s Subject {
    seen.subjects.iter().find(|subject| subject.name == name).unwrap_or_else(|| panic!("no {name} in {seen:?}"))
}

#[track_caller]
fn is(seen: &Observation, subject: &str, fact: &str, value: impl Into<Json>) {
    let value = value.into();
    let fact_seen = of(seen, subject).facts.get(fact).map_or(Json::Null, Value::plain);
    assert_eq!(fact_seen, value, "`{fact}` of {subject} in {seen:?}");
}

/// The outcome of a step with this look and these expectations.
fn judged(engine: &Engine, inputs: &str, expect: &str) -> Outcome {
    let socket = engine.socket();
    let probe = format!("compose: {{ project: shop, socket: {}, {inputs} }}", socket.display());
    Run::of(&format!("title: Shop\nsteps:\n  - id: shop\n    probe: {{ {probe} }}\n    expect: {expect}\n"))
        .run()
        .outcome
}

#[test]
fn the_project_and_each_service_tell_how_they_are_with_a_stand_in_for_docker() {
    let seen = seen(&shop(), json!({"service": ["web", "db"], "job": "migrate"}));
    let names: Vec<&str> = seen.subjects.iter().map(|subject| &*subject.name).collect();
    assert_eq!(names, ["shop", "db", "migrate", "web"]);
    is(&seen, "shop", "complete", true);
    is(&seen, "shop", "services", 3);
    is(&seen, "web", "running", true);
    is(&seen, "web", "healthy", true);
    is(&seen, "web", "containers", 2);
    is(&seen, "web", "restarts", 1);
    is(&seen, "db", "running", true);
    is(&seen, "db", "healthy", Json::Null);
    is(&seen, "migrate", "succeeded", true);
    is(&seen, "migrate", "exit", 0);
    assert!(seen.evidence.is_empty() && of(&seen, "migrate").notes.is_empty(), "{seen:?}");
}

#[test]
fn a_service_that_is_gone_makes_the_project_incomplete_with_a_stand_in_for_docker() {
    let engine = shop();
    let seen = seen(&engine, json!({"service": ["web", "worker", "cron"]}));
    is(&seen, "shop", "complete", false);
    assert_eq!(of(&seen, "shop").notes, ["no container of worker, cron"]);
    is(&seen, "worker", "running", false);
    is(&seen, "worker", "containers", 0);
    assert_eq!(judged(&engine, "service: [web, db, worker], job: migrate", "{ running: true }"), Outcome::Failed);
    assert_eq!(judged(&engine, "service: [web, db], job: migrate", "{ running: true }"), Outcome::Passed);
}

#[test]
fn a_compose_file_says_what_must_be_there_with_a_stand_in_for_docker() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("compose.yaml");
    let yaml = "services:\n  web: { image: shop }\n  worker: { image: shop }\n  debug: { profiles: [debug] }\n";
    std::fs::write(&file, yaml).expect("a file");
    let engine = shop();
    let all = seen(&engine, json!({"file": file}));
    is(&all, "shop", "complete", false);
    assert_eq!(of(&all, "shop").notes, ["no container of worker"]);
    let error = engine.look("compose", json!({"project": "shop", "file": "/nowhere/compose.yaml"})).run();
    assert_eq!(error.expect_err("no file").message, "/nowhere/compose.yaml does not exist");
    std::fs::write(&file, "include: [other.yaml]\nservices: {}\n").expect("a file");
    let error = engine.look("compose", json!({"project": "shop", "file": file})).run().expect_err("others");
    assert!(error.message.ends_with("cannot be read: it includes other files"), "{error}");
}

#[test]
fn one_of_two_containers_that_ended_is_a_service_that_does_not_run_with_a_stand_in_for_docker() {
    let engine = shop();
    container(&engine, "shop-web-2", "web", json!({"running": false, "exit": 137, "oom": true, "log": ["bye"]}));
    let all = seen(&engine, json!({"job": "migrate"}));
    is(&all, "web", "running", false);
    is(&all, "web", "exit", 137);
    is(&all, "web", "healthy", Json::Null);
    assert_eq!(
        of(&all, "web").notes,
        ["shop-web-2: exited with exit status 137: it used too much memory and was killed for it"]
    );
    assert_eq!(
        (&*all.evidence[0].title, &all.evidence[0].lines[..]),
        ("last log lines of shop-web-2", &["bye".to_owned()][..])
    );
    assert_eq!(judged(&engine, "job: migrate", "{ complete: true }"), Outcome::Failed);
}

#[test]
fn a_job_must_have_succeeded_and_any_other_service_must_run_with_a_stand_in_for_docker() {
    let engine = shop();
    assert_eq!(judged(&engine, "service: [web, db]", "{ complete: true }"), Outcome::Failed, "migrate has ended");
    container(&engine, "shop-migrate-1", "migrate", json!({"running": false, "exit": 1}));
    let all = seen(&engine, json!({"job": "migrate"}));
    is(&all, "migrate", "succeeded", false);
    assert_eq!(of(&all, "migrate").notes, ["shop-migrate-1: exited with exit status 1"]);
    container(&engine, "shop-migrate-1", "migrate", json!({}));
    let all = seen(&engine, json!({"job": "migrate"}));
    is(&all, "migrate", "succeeded", Json::Null);
    assert_eq!(judged(&engine, "job: migrate", "{ complete: true }"), Outcome::Errored, "nobody knows yet");
    is(&seen(&engine, json!({"job": "gone"})), "gone", "succeeded", false);
}

#[test]
fn an_unhealthy_container_makes_its_service_unhealthy_with_a_stand_in_for_docker() {
    let engine = shop();
    let health = json!({"Status": "unhealthy", "FailingStreak": 3, "Log": [{"ExitCode": 1, "Output": "refused"}]});
    container(&engine, "shop-web-1", "web", json!({"health": health}));
    let all = seen(&engine, json!({}));
    is(&all, "web", "healthy", false);
    assert!(of(&all, "web").notes[0].starts_with("shop-web-1: 3 health checks in a row failed"), "{all:?}");
}

#[test]
fn restarts_of_all_containers_of_a_service_are_summed_up_with_a_stand_in_for_docker() {
    let engine = shop();
    let new = |before: f64| {
        let before = [("web", "restarts", Quantity::count(before))];
        let at = "2026-01-01T00:00:00Z".parse().expect("a time");
        let seen = engine.look("compose", json!({"project": "shop"})).before(at, &before).run().expect("a look");
        of(&seen, "web").facts["recent_restarts"].clone()
    };
    assert_eq!((new(0.0), new(1.0)), (Value::Integer(1), Value::Integer(0)));
    container(&engine, "shop-web-1", "web", json!({"restarts": 4, "created": "2026-01-01T12:00:00Z"}));
    assert_eq!(new(1.0), Value::Integer(4), "one of them is new");
}

#[test]
fn containers_of_a_single_run_do_not_count_with_a_stand_in_for_docker() {
    let engine = shop();
    let mut labels = json!({"com.docker.compose.project": "shop", "com.docker.compose.service": "web"});
    labels["com.docker.compose.oneoff"] = json!("True");
    engine.container("shop-web-run-1", json!({"labels": labels, "running": false, "exit": 1}));
    let all = seen(&engine, json!({}));
    is(&all, "web", "containers", 2);
    is(&all, "web", "running", true);
}

#[test]
fn a_project_without_containers_is_not_complete_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    let all = seen(&engine, json!({}));
    is(&all, "shop", "complete", false);
    assert_eq!(of(&all, "shop").notes, ["no container belongs to the project shop"]);
    let all = seen(&shop(), json!({}));
    is(&all, "shop", "complete", true);
    assert_eq!(
        of(&all, "shop").notes,
        ["neither `service` nor `file` says what must be there, so what is gone is not missed"]
    );
}

#[test]
fn a_project_of_an_engine_that_is_not_there_does_not_answer() {
    let look = crate::support::look::Look::new("compose", json!({"project": "shop", "socket": "/nowhere/docker.sock"}));
    let seen = look.subject();
    assert_eq!((&*seen.name, &seen.facts["answers"]), ("shop", &Value::Bool(false)));
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    let wrong =
        |inputs| crate::support::look::Look::new("compose", inputs).build().err().expect("wrong inputs").message;
    assert_eq!(
        wrong(json!({"project": "shop", "service": "web", "file": "/srv/compose.yaml"})),
        "`service` and `file` both say which services must be there"
    );
    assert_eq!(wrong(json!({"project": "a b"})), "`a b` is no name of a container or a service");
}
