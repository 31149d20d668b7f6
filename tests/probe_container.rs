//! Containers, with a stand-in for Docker: see [`crate::support::containers`].

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use chrono::{DateTime, Utc};
use opsctl::model::fact::{Observation, Subject};
use opsctl::model::unit::Quantity;
use opsctl::model::value::Value;
use opsctl::probe::ProbeError;
use serde_json::{Value as Json, json};

use crate::support::again::again_under;
use crate::support::containers::{BUILT_HERE, DIGEST, Engine, Manner};
use crate::support::look::Look;

fn now() -> DateTime<Utc> {
    "2026-01-01T01:00:01Z".parse().expect("a time")
}

fn look(engine: &Engine, inputs: Json) -> Look {
    engine.look("container", inputs).now(now())
}

fn seen(engine: &Engine, inputs: Json) -> Observation {
    look(engine, inputs).run().expect("a look that succeeds")
}

fn web(engine: &Engine) -> Subject {
    look(engine, json!({"name": "web"})).subject()
}

#[track_caller]
fn is(subject: &Subject, fact: &str, value: impl Into<Json>) {
    let seen = subject.facts.get(fact).unwrap_or_else(|| panic!("no `{fact}` in {subject:?}"));
    assert_eq!(seen.plain(), value.into(), "`{fact}` of {subject:?}");
}

#[track_caller]
fn has_no(subject: &Subject, facts: &[&str]) {
    for fact in facts {
        assert!(!subject.facts.contains_key(*fact), "`{fact}` in {subject:?}");
    }
}

#[track_caller]
fn down(look: &Look) -> String {
    let subject = look.subject();
    is(&subject, "answers", false);
    assert_eq!(subject.facts.len(), 1, "{subject:?}");
    subject.notes.join("; ")
}

#[track_caller]
fn error(look: &Look) -> ProbeError {
    look.run().expect_err("nothing could be seen")
}

#[test]
fn a_container_tells_how_it_is_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    engine.container("web", json!({"restarts": 2}));
    let seen = web(&engine);
    for (fact, value) in [("answers", true), ("exists", true), ("running", true), ("healthy", true)] {
        is(&seen, fact, value);
    }
    is(&seen, "state", "running");
    is(&seen, "state_age", 3600.0);
    is(&seen, "health", "healthy");
    is(&seen, "restarts", 2);
    is(&seen, "oom_killed", false);
    is(&seen, "image", "shop:1.0");
    is(&seen, "image_digest", DIGEST);
    is(&seen, "image_age", 7.0 * 86_400.0 + 3600.877);
    has_no(&seen, &["exit", "recent_restarts", "memory", "cpu", "log_lines"]);
    assert!(seen.notes.is_empty() && engine.changes().is_empty(), "{seen:?}");
}

#[test]
fn a_name_is_taken_in_full_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    engine.container("shop-web-10", json!({}));
    engine.container("shop-web-1", json!({"running": false, "exit": 1}));
    let all = seen(&engine, json!({"name": ["shop-web-1", "shop-web"]})).subjects;
    is(&all[0], "running", false);
    is(&all[1], "exists", false);
    is(&all[1], "running", false);
    assert_eq!(all[1].notes, ["there is no container shop-web; did you mean shop-web-1, shop-web-10?"]);
    // The engine would take the beginning of an id.
    let id = engine.id("shop-web-10");
    is(&look(&engine, json!({"name": id[..62]})).subject(), "exists", false);
}

#[test]
fn without_a_health_check_nothing_is_known_of_health_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    for none in [json!(null), json!({"Status": "none"}), json!({"Status": ""})] {
        engine.container("web", json!({"health": none}));
        let seen = web(&engine);
        has_no(&seen, &["health", "healthy"]);
        assert_eq!(seen.notes, ["has no health check (HEALTHCHECK), so only its process is known to run"]);
    }
}

#[test]
fn an_unhealthy_container_shows_what_its_check_says_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    let checks = json!([{"ExitCode": 0, "Output": "ok"}, {"ExitCode": 22, "Output": "curl: (22) 503\n"}]);
    let health = json!({"Status": "unhealthy", "FailingStreak": 7, "Log": checks});
    engine.container("web", json!({"health": health, "log": ["one", "two"]}));
    let all = seen(&engine, json!({"name": "web"}));
    is(&all.subjects[0], "running", true);
    is(&all.subjects[0], "healthy", false);
    assert_eq!(all.subjects[0].notes, ["7 health checks in a row failed; the last ended with 22: curl: (22) 503"]);
    assert_eq!(
        (&*all.evidence[0].title, &*all.evidence[0].lines),
        ("last log lines of web", &["one".to_owned(), "two".to_owned()][..])
    );
    engine.container("web", json!({"health": {"Status": "starting", "FailingStreak": 0, "Log": []}}));
    is(&web(&engine), "healthy", false);
}

#[test]
fn a_restart_loop_is_not_running_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    // Docker calls it running while it waits.
    let spec =
        json!({"running": true, "status": "restarting", "exit": 1, "restarts": 14, "log": ["ERROR no database"]});
    engine.container("web", spec);
    let all = seen(&engine, json!({"name": "web"}));
    is(&all.subjects[0], "running", false);
    is(&all.subjects[0], "state", "restarting");
    is(&all.subjects[0], "exit", 1);
    has_no(&all.subjects[0], &["healthy"]);
    assert_eq!(all.subjects[0].notes, ["ends again and again, last with exit status 1"]);
    assert_eq!(all.evidence[0].lines, ["ERROR no database"]);
    engine.container("web", json!({"running": true, "status": "paused"}));
    is(&web(&engine), "running", false);
}

#[test]
fn restarts_since_the_earlier_run_are_counted_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    let since = |restarts: f64, at: &str| {
        let before = [("web", "restarts", Quantity::count(restarts))];
        look(&engine, json!({"name": "web"})).before(at.parse().expect("a time"), &before).subject()
    };
    engine.container("web", json!({"restarts": 5}));
    is(&since(3.0, "2026-01-01T00:30:00Z"), "recent_restarts", 2);
    is(&since(5.0, "2026-01-01T00:30:00Z"), "recent_restarts", 0);
    is(&since(9.0, "2026-01-01T00:30:00Z"), "recent_restarts", 5);
    // Made anew since then: all of its restarts are new.
    is(&since(3.0, "2025-12-30T00:00:00Z"), "recent_restarts", 5);
}

#[test]
fn a_container_killed_for_memory_says_so_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    let spec = json!({"running": false, "oom": true, "exit": 137, "finished": "2026-01-01T00:59:01Z"});
    engine.container("web", spec);
    let seen = web(&engine);
    is(&seen, "oom_killed", true);
    is(&seen, "exit", 137);
    is(&seen, "state_age", 60.0);
    assert_eq!(seen.notes, ["exited with exit status 137: it used too much memory and was killed for it"]);
}

#[test]
fn one_that_could_not_be_started_says_why_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    let spec = json!({"running": false, "status": "created", "error": "driver failed: port is already allocated"});
    engine.container("web", spec);
    let seen = web(&engine);
    assert_eq!(seen.notes, ["was made and never started; the engine says: driver failed: port is already allocated"]);
    has_no(&seen, &["exit"]);
}

#[test]
fn an_image_that_was_built_here_or_is_gone_has_no_digest_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    engine.container("web", json!({"image": BUILT_HERE}));
    has_no(&web(&engine), &["image_digest", "image_age"]);
    engine.container("web", json!({"image": "sha256:gone"}));
    let seen = web(&engine);
    has_no(&seen, &["image_digest", "image_age"]);
    assert_eq!(seen.notes, ["its image has been removed"]);
}

#[test]
fn without_a_name_every_container_counts_and_a_label_picks_some_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    let names = |inputs: Json| -> Vec<String> {
        seen(&engine, inputs).subjects.into_iter().map(|subject| subject.name).collect()
    };
    let none = look(&engine, json!({})).subject();
    is(&none, "exists", false);
    assert_eq!((&*none.name, &none.notes[..]), ("containers", &["the engine has no container".to_owned()][..]));
    engine.container("web", json!({"labels": {"tier": "web"}}));
    engine.container("db", json!({"labels": {"tier": "data"}, "running": false}));
    assert_eq!(names(json!({})), ["db", "web"], "those that have ended as well");
    assert_eq!(names(json!({"label": "tier=web"})), ["web"]);
    assert_eq!(names(json!({"label": "tier"})), ["db", "web"]);
    let none = look(&engine, json!({"label": "tier=cache"})).subject();
    is(&none, "exists", false);
    assert_eq!(none.notes, ["no container has the label tier=cache"]);
}

#[test]
fn ten_thousand_containers_are_looked_at_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    for number in 0..10_000 {
        engine.container_quickly(&format!("web-{number:05}"), json!({"health": null}));
    }
    let all = look(&engine, json!({})).limit(Duration::from_mins(5)).run().expect("a look").subjects;
    assert_eq!(all.len(), 10_000);
    assert_eq!((&*all[0].name, &*all[9_999].name), ("web-00000", "web-09999"));
    assert!(all.iter().all(|subject| subject.facts["running"] == Value::Bool(true)));
}

#[test]
fn log_lines_that_match_are_counted_in_both_streams_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    let log = ["started", "ERROR no database", "ERROR expected in tests", "error: lower case"];
    engine.container("web", json!({"log": log}));
    let count = |log: Json| {
        let all = seen(&engine, json!({"name": "web", "log": log}));
        let facts = &all.subjects[0].facts;
        (facts["log_lines"].clone(), facts["log_matches"].clone(), all.evidence.first().map(|one| one.lines.clone()))
    };
    let lines = |lines: &[&str]| Some(lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
    let integer = Value::Integer;
    assert_eq!(count(json!({"match": "ERROR"})), (integer(4), integer(2), lines(&log[1..3])));
    assert_eq!(count(json!({"match": "^error", "ignore_case": true, "except": "tests"})).1, integer(2));
    assert_eq!(count(json!({"match": "FATAL"})), (integer(4), integer(0), None));
    assert_eq!(count(json!({})), (integer(4), integer(4), lines(&log)));
    engine.answers("/logs", Manner::Chunks(3));
    assert_eq!(count(json!({"match": "ERROR"})), (integer(4), integer(2), lines(&log[1..3])));
}

#[test]
fn the_log_of_a_terminal_has_no_frames_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    engine.container("web", json!({"tty": true, "log": ["one", "ERROR two"]}));
    let all = seen(&engine, json!({"name": "web", "log": {"match": "two$"}}));
    is(&all.subjects[0], "log_matches", 1);
    assert_eq!(all.evidence[0].lines, ["ERROR two"]);
}

#[test]
fn a_log_that_cannot_be_read_is_not_an_empty_one_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    engine.container("web", json!({"log_refused": "configured logging driver does not support reading"}));
    let seen = look(&engine, json!({"name": "web", "log": {"match": "ERROR"}})).subject();
    has_no(&seen, &["log_lines", "log_matches"]);
    assert_eq!(seen.notes, ["its log could not be read: configured logging driver does not support reading"]);
}

#[test]
fn a_log_that_begins_with_a_new_container_says_so_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    engine.container("web", json!({"created": "2026-01-01T00:30:01Z", "log": ["started"]}));
    let seen = look(&engine, json!({"name": "web", "log": {"since": "24h"}})).subject();
    assert_eq!(seen.notes, ["the container was made 30 min ago; what an earlier one logged is gone"]);
    let seen = look(&engine, json!({"name": "web", "log": {"since": "10m"}})).subject();
    assert!(seen.notes.is_empty(), "{seen:?}");
}

#[test]
fn memory_and_processor_are_measured_when_asked_for_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    let mib = 1024 * 1024;
    let stats = json!({
        "memory_stats": {"usage": 300 * mib, "limit": 400 * mib, "stats": {"inactive_file": 100 * mib}},
        "cpu_stats": {"cpu_usage": {"total_usage": 3_000}, "system_cpu_usage": 12_000, "online_cpus": 4},
        "precpu_stats": {"cpu_usage": {"total_usage": 1_000}, "system_cpu_usage": 8_000},
    });
    engine.container("web", json!({"stats": stats}));
    let asked = look(&engine, json!({"name": "web"})).asked(&["memory_share"]).subject();
    let gathered = look(&engine, json!({"name": "web", "stats": true})).subject();
    for seen in [asked, gathered] {
        is(&seen, "memory", f64::from(200 * mib));
        is(&seen, "memory_share", 50.0);
        is(&seen, "cpu", 200.0);
    }
    engine.container("web", json!({"stats": {"memory_stats": {}, "cpu_stats": {}, "precpu_stats": {}}}));
    has_no(&look(&engine, json!({"name": "web", "stats": true})).subject(), &["memory", "memory_share", "cpu"]);
}

#[test]
fn both_sides_agree_on_a_version_of_the_api_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    engine.container("web", json!({}));
    for (newest, oldest, used) in [("1.51", "1.24", "1.44"), ("1.41", "1.12", "1.41"), ("1.60", "1.52", "1.52")] {
        engine.speaks(newest, oldest);
        is(&web(&engine), "running", true);
        assert_eq!(engine.version(), used);
    }
}

#[test]
fn an_answer_in_chunks_is_put_together_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    engine.container("web", json!({}));
    engine.answers("/json", Manner::Chunks(1));
    is(&web(&engine), "running", true);
}

#[test]
fn an_engine_in_trouble_does_not_answer_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    engine.container("web", json!({}));
    let look = look(&engine, json!({"name": "web"})).limit(Duration::from_secs(1));
    engine.answers("/containers", Manner::Never);
    assert_eq!(down(&look), "GET /containers/web/json was not answered within 1 s");
    engine.answers("/containers", Manner::Cut);
    assert!(down(&look).starts_with("GET /containers/web/json broke off at "));
    engine.answers("/containers", Manner::Says(500, r#"{"message": "disk is full"}"#));
    assert!(down(&look).ends_with("answers GET /containers/web/json with 500: disk is full"));
    engine.answers("/version", Manner::Never);
    assert_eq!(down(&look), "GET /version was not answered within 1 s");
}

#[test]
fn what_is_no_engine_is_an_error_and_not_a_container_that_is_missing() {
    let engine = Engine::start();
    engine.container("web", json!({}));
    let look = look(&engine, json!({"name": "web"}));
    for (path, status, text) in [
        ("/version", 404, "not found"),
        ("/version", 200, "hello"),
        ("/version", 200, "{}"),
        ("/containers", 200, "{}"),
        ("/containers", 200, "[]"),
        ("/containers", 400, "no"),
    ] {
        engine.answers(path, Manner::Says(status, text));
        assert_eq!(error(&look).code, "bad_answer", "{path} {status} {text}");
    }
}

#[test]
fn an_engine_that_is_not_there_does_not_answer() {
    let look = |socket: &str| Look::new("container", json!({"name": ["web", "db"], "socket": socket}));
    let seen = look("/nowhere/docker.sock").run().expect("an outage is seen").subjects;
    assert_eq!(seen.iter().map(|one| &*one.name).collect::<Vec<_>>(), ["web", "db"]);
    for one in &seen {
        is(one, "answers", false);
        assert_eq!(one.notes, ["no container engine answers at /nowhere/docker.sock: there is no such socket"]);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("docker.sock");
    drop(UnixListener::bind(&socket).expect("a socket"));
    let seen = look(socket.to_str().expect("a path")).run().expect("an outage is seen").subjects;
    assert!(seen[0].notes[0].ends_with("docker.sock: nobody listens there"), "{seen:?}");
}

#[test]
fn without_the_right_to_ask_nothing_is_seen() {
    again_under(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"], || {
        let folder = tempfile::tempdir_in("/tmp").expect("a folder");
        let socket = folder.path().join("docker.sock");
        let _listener = UnixListener::bind(&socket).expect("a socket");
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o000)).expect("no rights");
        let error = error(&Look::new("container", json!({"name": "web", "socket": socket})));
        assert_eq!(error.code, "permission");
        assert!(error.help.expect("help").contains("`docker`"));
    });
}

#[test]
fn docker_host_says_where_the_engine_is_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    engine.container("web", json!({}));
    // The engine of this process answers the other one.
    let host = format!("DOCKER_HOST=unix://{}", engine.socket().display());
    again_under(&["env", &host], || is(&Look::new("container", json!({"name": "web"})).subject(), "exists", true));
}

#[test]
fn another_machine_is_not_asked_because_docker_host_names_it() {
    again_under(&["env", "DOCKER_HOST=tcp://192.0.2.1:2375"], || {
        let error = error(&Look::new("container", json!({"name": "web"})));
        assert_eq!(error.message, "DOCKER_HOST names an engine that is not reached over a socket of this machine");
    });
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    let wrong = |inputs| Look::new("container", inputs).build().err().expect("wrong inputs").message;
    assert_eq!(wrong(json!({"name": "web", "label": "a=b"})), "`label` finds containers, and `name` has them already");
    assert_eq!(wrong(json!({"name": "../images"})), "`../images` is no name of a container or a service");
    assert!(wrong(json!({"name": "web", "log": {"match": "("}})).starts_with("`(` is not a regular expression"));
}
