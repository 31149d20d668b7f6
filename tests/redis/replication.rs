//! Masters and replicas.

use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;

use super::{answers, ask, count, fact, has, number, seconds, why_down};
use crate::support::redis::Server;
use crate::support::server::wait_until;

/// A master, and a replica of it that is in step.
fn pair() -> (Server, Server) {
    let master = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let port = master.port.to_string();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &port]);
    master.run("SET a 1");
    wait_until("the replica in step", || {
        let (master, replica) = (ask(&master.url("")), ask(&replica.url("")).subject());
        // The replica has everything up to a tenth of a second before the master takes note of it.
        let is_online = |line: &String| line.contains("state=online");
        fact(&replica, "link_up") == &Value::Bool(true)
            && count(&replica, "keys") == 1.0
            && master.run().expect("a look").evidence.iter().flat_map(|seen| &seen.lines).any(is_online)
            && master.subject().facts.get("lag") == Some(&Value::bytes(0))
    });
    (master, replica)
}

#[test]
fn a_master_tells_of_its_replicas_and_a_replica_of_its_link() {
    let (master, replica) = pair();
    let look = ask(&master.url(""));
    let seen = answers(&look);
    assert_eq!((fact(&seen, "role"), count(&seen, "replicas")), (&Value::text("master"), 1.0));
    assert!(has(&seen, "lag") && seconds(&seen, "last_io") >= 0.0 && !has(&seen, "link_up"), "{seen:?}");
    let evidence = &look.run().expect("a look").evidence[0];
    assert_eq!(evidence.title, "replicas of cache");
    assert!(evidence.lines[0].contains(&format!("port={},state=online", replica.port)), "{evidence:?}");

    let seen = answers(&ask(&replica.url("")));
    assert_eq!((fact(&seen, "role"), fact(&seen, "link_up")), (&Value::text("replica"), &Value::Bool(true)));
    assert_eq!((number(&seen, "lag", Dimension::Size), count(&seen, "replicas")), (0.0, 0.0));
    assert!(seconds(&seen, "last_io") >= 0.0, "{seen:?}");
}

#[test]
fn a_replica_that_hangs_falls_behind() {
    let (master, replica) = pair();
    replica.freeze();
    master.run(&format!("SET big {}", "x".repeat(20_000)));
    let seen = answers(&ask(&master.url("")));
    assert!(number(&seen, "lag", Dimension::Size) >= 20_000.0, "{seen:?}");
    wait_until("some silence", || seconds(&answers(&ask(&master.url(""))), "last_io") >= 2.0);
}

#[test]
fn a_replica_without_its_master_says_so() {
    let (master, replica) = pair();
    let port = master.port;
    drop(master);
    wait_until("the end of the link", || fact(&ask(&replica.url("")).subject(), "link_up") == &Value::Bool(false));
    let seen = answers(&ask(&replica.url("")));
    assert!(!has(&seen, "last_io"), "{seen:?}");
    let begin = format!("the link to the master 127.0.0.1:{port} is down since ");
    assert!(seen.notes[0].starts_with(&begin), "{seen:?}");

    replica.run("CONFIG SET replica-serve-stale-data no");
    let note = why_down(&ask(&replica.url("")));
    assert!(note.contains("PING was refused: MASTERDOWN Link with MASTER is down"), "{note}");
    assert!(note.contains(&begin), "{note}");
}
