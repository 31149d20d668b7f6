//! Logins: what `redis-cli` passes silently fails here.

use opsctl::model::value::Value;

use super::{answers, ask, error, fact, has, why_down};
use crate::support::case::Case;
use crate::support::redis::Server;

#[test]
fn a_server_that_wants_a_password_does_not_answer_without_it() {
    let server = Server::start(&["--requirepass", "open/sesame"]);
    let at = format!("127.0.0.1:{}", server.port);
    assert_eq!(
        why_down(&ask(&server.url(""))),
        format!("{at}: the server wants a login and the URL has none: NOAUTH Authentication required.")
    );
    assert_eq!(
        why_down(&ask(&server.url(":wrong-sesame@"))),
        format!(
            "{at}: the login was refused: WRONGPASS invalid username-password pair or user is disabled.; check the \
             user and the password in the URL"
        )
    );
    let look = ask(&server.url(":open%2Fsesame@"));
    assert_eq!(fact(&answers(&look), "role"), &Value::text("master"));
    assert_eq!(look.cx.mask.apply("open/sesame, open%2Fsesame"), "***, ***");
}

#[test]
fn a_password_that_the_server_does_not_know_of_is_refused() {
    let note = why_down(&ask(&Server::start(&[]).url(":sesame@")));
    assert!(
        note.contains("the login was refused: ERR AUTH <password> called without any password configured"),
        "{note}"
    );
}

#[test]
fn a_user_of_the_access_list_sees_what_the_list_allows() {
    let server = Server::start(&[]);
    server.run("ACL SETUSER watcher on >sesame +ping +info +select");
    let seen = answers(&ask(&format!("{}/2", server.url("watcher:sesame@"))));
    assert_eq!(fact(&seen, "role"), &Value::text("master"));

    server.run("ACL SETUSER watcher -info");
    let seen = answers(&ask(&server.url("watcher:sesame@")));
    assert!(has(&seen, "latency") && !has(&seen, "role"), "{seen:?}");
    assert!(seen.notes[0].starts_with("INFO was refused: NOPERM "), "{seen:?}");
    assert!(seen.notes[0].ends_with("; allow it on the server: ACL SETUSER NAME +info"), "{seen:?}");

    server.run("ACL SETUSER watcher -ping");
    let error = error(&ask(&server.url("watcher:sesame@")));
    assert_eq!(error.code, "permission");
    let begin = format!("database cache (127.0.0.1:{}): the user of the URL may not run PING: NOPERM ", server.port);
    assert!(error.message.starts_with(&begin), "{error}");

    server.run("ACL SETUSER watcher off");
    assert!(why_down(&ask(&server.url("watcher:sesame@"))).contains("WRONGPASS"));
}

#[test]
fn a_database_that_the_server_does_not_have_is_not_there() {
    let server = Server::start(&["--databases", "4"]);
    answers(&ask(&format!("{}/3", server.url(""))));
    let note = why_down(&ask(&format!("{}/4", server.url(""))));
    assert_eq!(note, format!("127.0.0.1:{}: SELECT was refused: ERR DB index is out of range", server.port));
}

#[test]
fn a_step_without_the_password_fails_and_with_it_passes_and_never_shows_it() {
    let server = Server::start(&["--requirepass", "open-sesame"]);
    let case = Case::new("redis")
        .site("databases: { cache: { url: { env: CACHE_URL } } }\n")
        .procedure(
            "daily/cache.yaml",
            "title: Cache\nsteps:\n- id: cache\n  title: The cache answers\n  probe: { redis: { database: cache } }\n  \
             expect: { role: master, info: { maxmemory: 0 } }\n",
        )
        .env("CACHE_URL", &server.url(""));
    case.run(["daily", "check"]).exits(2).says("does not answer: ").says("NOAUTH");
    let case = case.env("CACHE_URL", &server.url(":open-sesame@"));
    case.run(["daily", "check", "--format", "json"]).exits(0).never_says("open-sesame");
    let journal = std::fs::read(case.journal()).expect("the journal");
    assert!(memchr::memmem::find(&journal, b"open-sesame").is_none(), "the password is in the journal");
}
