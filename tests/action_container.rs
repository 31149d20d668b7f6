//! Containers. No engine runs where these tests run, so a small server on a Unix socket stands for one: it answers as
//! the Docker Engine API (v1.41 and later) documents it, and it says so in the tests' names.

use std::time::Duration;

use opsctl::action::Changed;
use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use serde_json::json;

use crate::support::act::Act;
use crate::support::containers::{DIGEST, Engine};

fn text<'s>(subject: &'s Subject, fact: &str) -> &'s str {
    match &subject.facts.get(fact) {
        Some(Value::Text(text)) => text,
        other => panic!("{fact} is {other:?}"),
    }
}

#[test]
fn by_the_documented_api_a_restart_is_planned_with_the_image_and_done_with_the_grace() {
    let engine = Engine::start();
    engine.container("shop-web-1", json!({}));
    let act = engine.act(json!({"name": "shop-web-1", "state": "restarted", "grace": "30s"}));
    let plan = act.plan().expect("a plan");
    let id = engine.id("shop-web-1");
    assert_eq!(plan.does, [format!("POST /containers/{id}/restart?t=30")]);
    assert_eq!(
        plan.notes,
        [format!("shop-web-1 ({}): running, healthy, restarted 0 times, from shop:1.0 ({DIGEST})", &id[..12])]
    );
    assert_eq!(engine.changes(), Vec::<String>::new(), "a plan changes nothing");
    let done = act.perform(&plan).expect("a restart").subjects.remove(0);
    assert_eq!(engine.changes(), [format!("/containers/{id}/restart?t=30")]);
    assert_eq!(
        (text(&done, "state_before"), text(&done, "state"), text(&done, "health")),
        ("running", "running", "healthy")
    );
    assert_eq!((text(&done, "id"), &done.facts["restarts"]), (id.as_str(), &Value::Integer(0)));
}

#[test]
fn by_the_documented_api_what_is_so_already_is_settled() {
    let engine = Engine::start();
    engine.container("web", json!({}));
    let act = engine.act(json!({"name": "web", "state": "started"}));
    let plan = act.plan().expect("a plan");
    assert_eq!((plan.settled, plan.notes[0].as_str()), (true, "web is running"));
    act.perform(&plan).expect("nothing to do");
    assert_eq!(engine.changes(), Vec::<String>::new());
    assert_eq!(text(&engine.act(json!({"name": "web", "state": "stopped"})).subject(), "state"), "exited");
    assert!(engine.act(json!({"name": "web", "state": "stopped"})).plan().expect("a plan").settled);
    assert_eq!(text(&engine.act(json!({"name": "web", "state": "started"})).subject(), "state_before"), "exited");
}

#[test]
fn by_the_documented_api_all_containers_of_a_compose_service_and_no_others_are_restarted() {
    let engine = Engine::start();
    let labels = |project: &str| json!({"com.docker.compose.project": project, "com.docker.compose.service": "web"});
    engine.container("shop-web-2", json!({"labels": labels("shop")}));
    engine.container("shop-web-1", json!({"labels": labels("shop")}));
    engine.container("blog-web-1", json!({"labels": labels("blog")}));
    let done = engine.act(json!({"project": "shop", "service": "web", "state": "restarted"})).run().expect("restarts");
    let names: Vec<&str> = done.subjects.iter().map(|subject| subject.name.as_str()).collect();
    assert_eq!(names, ["shop-web-1", "shop-web-2"]);
    let restart = |name: &str| format!("/containers/{}/restart", engine.id(name));
    assert_eq!(engine.changes(), [restart("shop-web-1"), restart("shop-web-2")]);
    let error = engine.act(json!({"project": "shop", "service": "wbe", "state": "restarted"})).plan();
    let error = error.expect_err("no such service");
    assert_eq!(error.message, "there is no container of the service wbe of the Compose project shop");
}

#[test]
fn by_the_documented_api_a_container_that_ends_at_once_has_not_been_started() {
    let engine = Engine::start();
    engine.container("web", json!({"running": false, "ends": 137, "log": ["reading config", "no database"]}));
    let error = engine.act(json!({"name": "web", "state": "started"})).run().expect_err("it ends");
    assert_eq!((error.code, error.changed), ("failed", Changed::Perhaps));
    assert_eq!(
        error.message,
        "web was started and is exited (exit status 137); it printed last: reading config / no database"
    );
}

#[test]
fn by_the_documented_api_a_container_that_does_not_exist_is_an_error_with_near_names() {
    let engine = Engine::start();
    engine.container("shop-web-1", json!({}));
    let error = engine.act(json!({"name": "shop-web", "state": "stopped"})).plan().expect_err("no such container");
    assert_eq!((error.code, error.message.as_str()), ("not_found", "there is no container shop-web"));
    assert_eq!(error.help.as_deref(), Some("did you mean shop-web-1? `docker ps -a` lists all"));
}

#[test]
fn by_the_documented_api_a_container_made_anew_since_the_plan_is_left_alone() {
    let engine = Engine::start();
    engine.container("web", json!({}));
    let act = engine.act(json!({"name": "web", "state": "restarted"}));
    let plan = act.plan().expect("a plan");
    engine.container("web", json!({}));
    let error = act.perform(&plan).expect_err("another container");
    assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
    assert_eq!(error.message, "the containers have changed since this was planned: web");
    let plan = act.plan().expect("a plan");
    act.perform(&plan).expect("a restart");
    let error = act.perform(&plan).expect_err("it was restarted in the meantime");
    assert_eq!(error.code, "changed");
}

#[test]
fn by_the_documented_api_a_refusal_of_the_engine_is_repeated() {
    let engine = Engine::start();
    engine.container("web", json!({"running": false, "refuses": "driver failed: port is already allocated"}));
    let error = engine.act(json!({"name": "web", "state": "started"})).run().expect_err("a refusal");
    assert_eq!((error.code, error.changed), ("failed", Changed::Perhaps));
    assert!(error.message.ends_with("was answered with 500: driver failed: port is already allocated"), "{error}");
}

#[test]
fn by_the_documented_api_a_stop_tells_of_the_policy_that_starts_it_again() {
    let engine = Engine::start();
    engine.container("web", json!({"policy": "always"}));
    let plan = engine.act(json!({"name": "web", "state": "stopped"})).plan().expect("a plan");
    assert_eq!(plan.notes[1], "web starts again with the engine (restart policy `always`)");
}

#[test]
fn by_the_documented_api_an_image_is_pulled_by_its_digest() {
    let engine = Engine::start();
    let image = format!("registry.example.com:5000/shop@{DIGEST}");
    let act = engine.act(json!({"image": image, "state": "pulled"}));
    let plan = act.plan().expect("a plan");
    let path =
        format!("/images/create?fromImage=registry.example.com%3A5000%2Fshop&tag={}", DIGEST.replace(':', "%3A"));
    assert_eq!(plan.does, [format!("POST {path}")]);
    let done = act.perform(&plan).expect("an image").subjects.remove(0);
    assert_eq!((engine.changes(), text(&done, "image")), (vec![path], DIGEST));
    let again = act.plan().expect("a plan");
    assert!(again.settled && again.notes[0].starts_with(&format!("{image} is there: ")), "{again:?}");
}

#[test]
fn by_the_documented_api_a_pull_that_fails_after_status_200_is_a_failure() {
    let engine = Engine::start();
    let other = DIGEST.replace("aaaa", "bbbb");
    let error =
        engine.act(json!({"image": format!("shop@{other}"), "state": "pulled"})).run().expect_err("no such image");
    assert_eq!(error.changed, Changed::Nothing);
    assert_eq!(error.message, format!("shop@{other} was not pulled: manifest unknown"));
}

#[test]
fn an_engine_that_does_not_answer_in_time_may_have_begun() {
    let engine = Engine::start();
    engine.container("web", json!({"hangs": true}));
    let mut act = engine.act(json!({"name": "web", "state": "restarted"}));
    let plan = act.plan().expect("a plan");
    act.cx.look.limit = Duration::from_secs(1);
    let error = act.perform(&plan).expect_err("too long");
    assert_eq!((error.code, error.changed), ("time_limit", Changed::Perhaps));
    assert!(error.message.ends_with("/restart was not answered within 1 s"), "{error}");
}

#[test]
fn without_an_engine_the_socket_is_named() {
    let act = Act::new("container", json!({"name": "web", "state": "started", "socket": "/nowhere/docker.sock"}));
    let error = act.plan().expect_err("no engine");
    assert_eq!((error.code, error.changed), ("no_engine", Changed::Nothing));
    assert!(error.message.starts_with("no container engine answers at /nowhere/docker.sock"), "{error}");
}

#[test]
fn inputs_that_leave_open_what_is_meant_are_refused() {
    let wrong = |inputs| Act::new("container", inputs).build().err().expect("wrong inputs").message;
    assert_eq!(wrong(json!({"state": "started"})), "exactly one of `name`, `service` and `image` is needed");
    assert_eq!(
        wrong(json!({"service": "web", "state": "started"})),
        "a service of Compose needs `project` and `service`"
    );
    assert_eq!(wrong(json!({"name": "web", "state": "pulled"})), "only an image can be pulled");
    assert_eq!(wrong(json!({"image": "shop:latest", "state": "pulled"})), "`shop:latest` is no image with a digest");
    assert_eq!(
        wrong(json!({"name": "../images", "state": "started"})),
        "`../images` is no name of a container or a service"
    );
}
