//! Signals while a database works: nobody waits for its answer any more, so it does not go on either.

use rustix::process::Signal;

use crate::support::case::{Case, Running};
use crate::support::server::wait_until;
use crate::support::shop::{Kind, Shop};

const SERVERS: [Kind; 2] = [Kind::MariaDb, Kind::Postgres];

/// An expression that takes far longer than any test.
fn sleep(kind: Kind) -> &'static str {
    if kind == Kind::MariaDb { "SLEEP(3000)" } else { "pg_sleep(3000)::text" }
}

/// How many statements that contain `mark` the server is working on.
fn running(shop: &Shop, mark: &str) -> String {
    let sql = match shop.kind {
        Kind::MariaDb => format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'opsctl' AND INFO LIKE '%{mark}%'"
        ),
        _ => format!(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'opsctl' AND state = 'active' AND query LIKE '%{mark}%'"
        ),
    };
    shop.query(&sql).join("")
}

fn case(shop: &Shop, step: &str) -> Case {
    let site = "databases: { shop: { url: { env: SHOP } } }\n";
    let yaml = format!("title: Slow\nsteps:\n  - {{ id: slow, timeout: 1h, {step} }}\n");
    Case::new("statement").env("SHOP", &shop.url).site(site).procedure("daily/slow.yaml", &yaml)
}

/// The program, with its statement at work in the server.
fn at_work(case: &Case, shop: &Shop, args: &[&str], mark: &str) -> Running {
    case.start(["daily", "slow"].iter().chain(args)).waits_for("the statement", || running(shop, mark) == "1")
}

#[test]
fn a_signal_ends_the_statement_of_a_look_in_the_server() {
    for kind in SERVERS {
        let shop = Shop::new(kind, "signalled_look");
        let step = format!(
            "probe: {{ sql: {{ database: shop, query: \"SELECT 'a look', {}\" }} }}, expect: {{ rows: 1 }}",
            sleep(kind)
        );
        let case = case(&shop, &step);
        for (signal, exit) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            at_work(&case, &shop, &["--check"], "a look").signal(signal).ends().exits(exit);
            wait_until("the end of the statement", || running(&shop, "a look") == "0");
        }
    }
}

#[test]
fn a_second_signal_ends_the_statement_of_an_action_in_the_server() {
    for kind in SERVERS {
        let shop = Shop::new(kind, "signalled_action");
        let before = shop.fingerprint();
        let step = format!(
            "action: {{ sql: {{ database: shop, statement: \"UPDATE note SET body = 'an action' WHERE {} = ''\" }} }}, irreversible: It stays.",
            if kind == Kind::MariaDb { "CONCAT(SLEEP(3000), 'x')" } else { sleep(kind) }
        );
        let case = case(&shop, &step);
        let program = at_work(&case, &shop, &["--yes"], "an action").signal(Signal::INT);
        assert_eq!(running(&shop, "an action"), "1", "the first signal lets an action come to its end");
        // Another signal than the first: two of a kind that come at the same time are one.
        let ran = program.signal(Signal::TERM).ends();
        assert!([130, 143].contains(&ran.exit), "{ran}");
        wait_until("the end of the statement", || running(&shop, "an action") == "0");
        assert_eq!(shop.fingerprint(), before);
        case.run(["show", "last"]).exits(0).never_says("outcome unknown").says("was ended with the run");
        case.run(["journal", "verify"]).exits(0);
    }
}
