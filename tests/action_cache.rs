//! The cache action against real Redis servers.

use std::fs;

use opsctl::action::{ActionError, Changed};
use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::support::act::Act;
use crate::support::redis::Server;
use crate::support::server::free_port;
use crate::support::web::{apache, misbehaving};

fn act(url: &str, prefix: impl Into<Json>) -> Act {
    Act::new("cache", json!({ "database": "cache", "prefix": prefix.into() })).database("cache", url)
}

fn count(subject: &Subject, fact: &str) -> i64 {
    match subject.facts.get(fact) {
        Some(Value::Integer(count)) => *count,
        other => panic!("{fact} is {other:?}"),
    }
}

/// Every key of a database, sorted.
fn keys(server: &Server, database: u8) -> Vec<String> {
    let mut connection = server.connect();
    redis::cmd("SELECT").arg(database).exec(&mut connection).expect("selected");
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).expect("keys");
    keys.sort();
    keys
}

fn put(server: &Server, database: u8, keys: &[&str]) {
    let mut connection = server.connect();
    redis::cmd("SELECT").arg(database).exec(&mut connection).expect("selected");
    for key in keys {
        redis::cmd("SET").arg(key).arg("x").exec(&mut connection).expect("set");
    }
}

fn refused(act: &Act) -> ActionError {
    let error = act.plan().expect_err("no plan");
    assert_eq!(error.changed, Changed::Nothing);
    error
}

#[test]
fn only_keys_with_the_prefix_are_deleted_and_the_plan_counts_them() {
    let server = Server::start(&[]);
    put(&server, 0, &["shop:a", "shop:b", "shopping", "session:1", "xshop:a"]);
    let act = act(&server.url(""), "shop:");
    let plan = act.plan().expect("a plan");
    let expected = ["SELECT 0", "SCAN 0 MATCH 'shop:*' COUNT 1000", "UNLINK the 2 keys that begin with shop:"];
    assert_eq!(plan.does, expected);
    let last = format!("2 of 5 keys in database 0 of 127.0.0.1:{}", server.port);
    assert_eq!(plan.notes.last(), Some(&last));
    assert_eq!(keys(&server, 0).len(), 5, "the plan deletes nothing");

    let done = act.perform(&plan).expect("done");
    assert_eq!((count(&done.subjects[0], "deleted"), count(&done.subjects[0], "keys")), (2, 3));
    assert_eq!(keys(&server, 0), ["session:1", "shopping", "xshop:a"]);
}

#[test]
fn other_databases_of_the_server_stay() {
    let server = Server::start(&[]);
    for database in [0, 2] {
        put(&server, database, &["shop:a", "other"]);
    }
    let subject = act(&format!("{}/2", server.url("")), "shop:").subject();
    assert_eq!(count(&subject, "deleted"), 1);
    assert_eq!((keys(&server, 0).len(), keys(&server, 2)), (2, vec!["other".to_owned()]));
}

#[test]
fn many_keys_are_deleted_in_portions_and_all_of_them() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    for from in (0..20_000).step_by(2000) {
        let mut set = redis::cmd("MSET");
        for number in from..from + 2000 {
            set.arg(format!("shop:{number}")).arg("x");
        }
        set.exec(&mut connection).expect("set");
    }
    put(&server, 0, &["session:1"]);
    server.run("CONFIG RESETSTAT");
    assert_eq!(count(&act(&server.url(""), "shop:").subject(), "deleted"), 20_000);
    assert_eq!(keys(&server, 0), ["session:1"]);
    let redis::Value::BulkString(stats) = server.run("INFO commandstats") else { panic!("no statistics") };
    let stats = String::from_utf8(stats).expect("text");
    let calls = |command: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")))?;
        line.split(',').next()?.parse::<u32>().ok()
    };
    assert!(calls("unlink").is_some_and(|calls| calls >= 10), "{stats}");
    for never in ["flushdb", "flushall", "del"] {
        assert_eq!(calls(never), None, "{never}: {stats}");
    }
    // The one of this test itself.
    assert_eq!(calls("keys"), Some(1), "{stats}");
}

#[test]
fn wildcards_in_a_prefix_stand_for_themselves() {
    let server = Server::start(&[]);
    put(&server, 0, &["a*b:1", "aXb:1", "[ab]:1", "a:1", "b:1", r"a\:1", "a?:1"]);
    let done = act(&server.url(""), json!(["a*b", "[ab]", r"a\", "a?"])).run().expect("done");
    assert_eq!(count(&done.subjects[0], "deleted"), 4);
    assert_eq!(keys(&server, 0), ["a:1", "aXb:1", "b:1"]);
}

#[test]
fn a_prefix_of_everything_is_refused() {
    for prefix in ["", "*", "**", "?*", " ", "[^]*"] {
        let error = act("redis://127.0.0.1:1", prefix).build().err().expect("it is refused");
        assert_eq!(error.input, "prefix");
        assert!(error.message.contains("every key"), "{error}");
    }
    assert!(act("redis://127.0.0.1:1", json!(["shop:", "*"])).build().is_err());
}

#[test]
fn no_key_is_settled_and_a_star_is_explained() {
    let server = Server::start(&[]);
    put(&server, 0, &["shop:a"]);
    let act = act(&server.url(""), "shop:*");
    let plan = act.plan().expect("a plan");
    assert!(plan.settled && plan.does.is_empty(), "{plan:?}");
    assert!(plan.notes.iter().any(|note| note.contains("stand for themselves")), "{:?}", plan.notes);
    assert_eq!(count(&act.perform(&plan).expect("nothing to do").subjects[0], "deleted"), 0);
    assert_eq!(keys(&server, 0), ["shop:a"]);
}

#[test]
fn a_prefix_that_all_keys_have_is_said() {
    let server = Server::start(&[]);
    put(&server, 0, &["shop:a", "shop:b"]);
    let plan = act(&server.url(""), "shop:").plan().expect("a plan");
    assert!(plan.notes.iter().any(|note| note.ends_with(": that is all of them")), "{:?}", plan.notes);
}

#[test]
fn a_key_that_may_be_the_secret_of_a_session_is_not_shown_in_full() {
    let server = Server::start(&[]);
    put(&server, 0, &["session:0123456789abcdef", "session:\u{1b}[2Jx"]);
    let plan = act(&server.url(""), "session:").plan().expect("a plan");
    let shown = serde_json::to_string(&plan).expect("JSON");
    assert!(shown.contains("session:01234567...") && !shown.contains("012345678"), "{shown}");
    assert!(plan.notes.iter().all(|note| !note.contains('\u{1b}')), "{:?}", plan.notes);
}

#[test]
fn a_login_that_is_missing_or_wrong_is_an_error_without_the_password() {
    let server = Server::start(&["--requirepass", "open-sesame"]);
    let error = refused(&act(&server.url(""), "shop:"));
    assert!(error.message.contains("NOAUTH"), "{error}");
    let error = refused(&act(&server.url(":wrong-sesame@"), "shop:"));
    assert!(error.message.contains("the login was refused: WRONGPASS"), "{error}");
    let act = act(&server.url(":open-sesame@"), "shop:");
    let plan = act.plan().expect("a plan");
    assert!(!serde_json::to_string(&plan).expect("JSON").contains("sesame"), "{plan:?}");
}

#[test]
fn a_user_who_may_not_delete_changes_nothing_and_learns_what_to_allow() {
    let server = Server::start(&[]);
    put(&server, 0, &["shop:a"]);
    server.run("ACL SETUSER watcher on >open-sesame ~* +select +scan +dbsize");
    let error = act(&server.url("watcher:open-sesame@"), "shop:").run().expect_err("it is refused");
    assert_eq!((error.code, error.changed, keys(&server, 0).len()), ("permission", Changed::Nothing, 1));
    assert!(error.help.expect("help").contains("+unlink"));
}

#[test]
fn a_server_that_takes_no_changes_deletes_nothing_and_says_why() {
    let server = Server::start(&[]);
    put(&server, 0, &["shop:a"]);
    let act = act(&server.url(""), "shop:");
    let plan = act.plan().expect("a plan");
    server.run("CONFIG SET min-replicas-to-write 1");
    let error = act.perform(&plan).expect_err("it is refused");
    assert_eq!((error.code, error.changed), ("refused", Changed::Nothing));
    assert!(error.message.contains("UNLINK was refused: NOREPLICAS"), "{error}");
    assert_eq!(keys(&server, 0), ["shop:a"]);
}

#[test]
fn a_replica_is_refused() {
    let master = Server::start(&[]);
    let replica = Server::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    assert_eq!(refused(&act(&replica.url(""), "shop:")).code, "replica");
}

#[test]
fn a_part_of_a_cluster_is_refused() {
    let server = Server::start(&["--cluster-enabled", "yes"]);
    assert_eq!(refused(&act(&server.url(""), "shop:")).code, "cluster");
}

#[test]
fn a_plan_for_another_database_is_refused() {
    let server = Server::start(&[]);
    for database in [0, 1] {
        put(&server, database, &["shop:a"]);
    }
    let plan = act(&server.url(""), "shop:").plan().expect("a plan");
    for other in [act(&format!("{}/1", server.url("")), "shop:"), act(&server.url(""), "sh")] {
        let error = other.perform(&plan).expect_err("it is refused");
        assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
    }
    assert_eq!((keys(&server, 0).len(), keys(&server, 1).len()), (1, 1));
}

#[test]
fn a_plan_is_not_carried_out_elsewhere() {
    let server = Server::start(&[]);
    put(&server, 0, &["shop:a"]);
    let plan = act(&server.url(""), "shop:").plan().expect("a plan");
    // On another port.
    let server = server.restart(&[]);
    put(&server, 0, &["shop:a"]);
    let error = act(&server.url(""), "shop:").perform(&plan).expect_err("it is refused");
    assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
    assert_eq!(keys(&server, 0), ["shop:a"]);
}

#[test]
fn a_socket_is_as_good_as_a_port() {
    let server = Server::start(&[]);
    put(&server, 3, &["shop:a"]);
    let url = format!("unix://{}?db=3", server.folder().join("socket").display());
    assert_eq!(count(&act(&url, "shop:").subject(), "deleted"), 1);
    assert_eq!(keys(&server, 3), [""; 0]);
}

#[test]
fn a_server_that_is_not_there_or_is_none_of_redis_is_an_error() {
    let error = refused(&act(&format!("redis://127.0.0.1:{}", free_port()), "shop:"));
    assert_eq!(error.code, "no_answer");
    assert!(error.message.contains("connection refused"), "{error}");
    let error = refused(&act(&format!("redis://127.0.0.1:{}", apache().plain), "shop:"));
    assert!(error.message.contains("does not speak the protocol of Redis"), "{error}");
    let error = refused(&Act::new("cache", json!({ "database": "cache", "prefix": "shop:" })));
    assert_eq!(error.message, "the site file names no database cache");
}

#[test]
fn a_server_that_stops_answering_is_not_waited_for() {
    let server = Server::start(&[]);
    put(&server, 0, &["shop:a"]);
    let mut frozen = act(&server.url(""), "shop:");
    let plan = frozen.plan().expect("a plan");
    server.freeze();
    frozen.cx.look.limit = std::time::Duration::from_millis(500);
    let error = frozen.perform(&plan).expect_err("it is ended");
    assert_eq!((error.code, error.changed), ("time_limit", Changed::Nothing));
}

#[test]
fn a_connection_that_is_lost_during_the_deletion_may_have_deleted() {
    let server = Server::start(&[]);
    put(&server, 0, &["shop:a"]);
    let act = act(&format!("redis://127.0.0.1:{}", cut_at_unlink(server.port)), "shop:");
    let plan = act.plan().expect("a plan");
    let error = act.perform(&plan).expect_err("it is lost");
    assert_eq!((error.code, error.changed), ("no_answer", Changed::Perhaps));
    assert!(error.message.ends_with("0 keys were deleted before"), "{error}");
}

/// The port of something between client and server that hangs up when it sees UNLINK.
fn cut_at_unlink(to: u16) -> u16 {
    use std::io::{Read, Write};
    misbehaving(move |mut client| {
        let mut server = std::net::TcpStream::connect(("127.0.0.1", to)).expect("the server");
        let (mut back, mut answers) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
        std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = client.read(&mut buffer) {
            if buffer[..read].windows(6).any(|part| part == b"UNLINK") {
                break;
            }
            server.write_all(&buffer[..read]).expect("sent on");
        }
        server.shutdown(std::net::Shutdown::Both).ok();
        client.shutdown(std::net::Shutdown::Both).ok();
    })
}

#[test]
fn a_secret_address_is_taken_from_where_it_is() {
    let (server, folder) = (Server::start(&["--requirepass", "open-sesame"]), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("url");
    fs::write(&file, server.url(":open-sesame@")).expect("written");
    let mut act = act("redis://127.0.0.1:1", "shop:");
    let url = opsctl::model::secret::MaybeSecret::Secret(opsctl::model::secret::SecretRef::File(file));
    let database = opsctl::probe::Database { url };
    act.cx.look.databases = std::sync::Arc::new([("cache".to_owned(), database)].into_iter().collect());
    assert!(act.plan().expect("a plan").settled);
}
