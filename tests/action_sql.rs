//! Statements against real servers: all or nothing, within their limits, and said before.

use std::time::Duration;

use opsctl::action::Changed;
use opsctl::model::action::Effect;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::support::act::Act;
use crate::support::look::inputs_of;
use crate::support::shop::{ALL, Kind, ROWS, Shop};

fn sql(shop: &Shop, inputs: Json) -> Act {
    let mut all = json!({ "database": "shop" });
    if let (Json::Object(all), Json::Object(inputs)) = (&mut all, inputs) {
        all.extend(inputs);
    }
    Act::new("sql", all).database("shop", &shop.url)
}

fn affected(act: &Act) -> Vec<String> {
    let done = act.run().expect("it succeeds");
    done.subjects.iter().map(|subject| subject.facts.get("affected").map_or("?".into(), Value::to_string)).collect()
}

fn customers(shop: &Shop) -> String {
    shop.query("SELECT COUNT(*) FROM customer").join("")
}

#[test]
fn statements_with_parameters_change_what_they_say() {
    for kind in ALL {
        let shop = Shop::new(kind, "parameters");
        let place = if kind == Kind::Postgres { "$1" } else { "?" };
        let statement = format!("DELETE FROM customer WHERE id <= {place}");
        let act = sql(&shop, json!({ "statement": statement, "parameters": ["12"] }));
        let plan = act.plan().unwrap();
        assert_eq!(plan.does, ["BEGIN", &format!("{statement}   -- with '12'"), "COMMIT"]);
        assert!(plan.notes.iter().any(|note| note.starts_with("12 rows at this moment")), "{:?}", plan.notes);
        assert_eq!(customers(&shop), ROWS.to_string(), "a plan changes nothing");
        assert_eq!(affected(&act), ["12"], "{kind:?}");
        assert_eq!(customers(&shop), (ROWS - 12).to_string());
        let evil = sql(
            &shop,
            json!({ "statement": format!("UPDATE note SET body = {place} WHERE id = 1"),
            "parameters": ["x'; DROP TABLE customer; --"] }),
        );
        assert_eq!(affected(&evil), ["1"]);
        assert_eq!(shop.query("SELECT body FROM note"), ["x'; DROP TABLE customer; --"]);
    }
}

#[test]
fn an_error_takes_back_what_came_before() {
    for kind in ALL {
        let shop = Shop::new(kind, "together");
        let statements = ["DELETE FROM customer WHERE id > 5", "DELETE FROM nothing WHERE id = 1"];
        let act = sql(&shop, json!({ "statement": statements }));
        let error = act.run().expect_err("it fails");
        assert_eq!((error.changed, customers(&shop)), (Changed::Nothing, ROWS.to_string()), "{kind:?}");
        let single = sql(&shop, json!({ "statement": statements, "transaction": false }));
        assert_eq!(single.run().expect_err("it fails").changed, Changed::Perhaps);
        assert_eq!(customers(&shop), "5");
    }
}

#[test]
fn several_statements_in_one_text_are_refused() {
    for kind in ALL {
        let shop = Shop::new(kind, "several");
        let error = sql(&shop, json!({ "statement": "SELECT 1; DELETE FROM customer" })).plan().expect_err("refused");
        assert!(error.message.contains("one statement expected, several given"), "{}", error.message);
        assert_eq!(customers(&shop), ROWS.to_string());
    }
}

#[test]
fn a_wait_for_a_lock_ends_soon_and_changes_nothing() {
    for kind in [Kind::MariaDb, Kind::Postgres] {
        let shop = Shop::new(kind, "lock");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let url = shop.url.clone();
        let (locked, ready) = std::sync::mpsc::channel();
        let (done, until) = tokio::sync::oneshot::channel::<()>();
        let holder = runtime.spawn(async move {
            use sqlx::{Connection as _, Executor as _};
            let hold = "DELETE FROM customer WHERE id = 1";
            if kind == Kind::MariaDb {
                let mut connection = sqlx::MySqlConnection::connect(&url).await.unwrap();
                connection.execute("BEGIN").await.unwrap();
                connection.execute(hold).await.unwrap();
                locked.send(()).unwrap();
                until.await.ok();
            } else {
                let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
                connection.execute("BEGIN").await.unwrap();
                connection.execute(hold).await.unwrap();
                locked.send(()).unwrap();
                until.await.ok();
            }
        });
        ready.recv().unwrap();
        let act = sql(&shop, json!({ "statement": "UPDATE customer SET name = 'x' WHERE id = 1", "lock_wait": "1s" }));
        let error = act.run().expect_err("it waits in vain");
        assert_eq!((error.code, error.changed), ("no_answer", Changed::Nothing), "{kind:?}: {}", error.message);
        assert!(error.message.to_lowercase().contains("lock"), "{}", error.message);
        done.send(()).ok();
        runtime.block_on(holder).unwrap();
    }
}

#[test]
fn a_statement_out_of_time_is_ended_in_the_server() {
    for (kind, slow) in [
        (Kind::MariaDb, "UPDATE customer SET name = 'x' WHERE id = 1 AND SLEEP(60) = 0"),
        (Kind::Postgres, "UPDATE customer SET name = 'x' WHERE id = 1 AND pg_sleep(60)::text = ''"),
    ] {
        let shop = Shop::new(kind, "slow");
        let mut act = sql(&shop, json!({ "statement": slow, "transaction": true }));
        act.cx.look.limit = Duration::from_secs(2);
        let plan = opsctl::model::action::Plan { data: json!([slow]), ..Default::default() };
        let error = act.perform(&plan).expect_err("it is ended");
        assert_eq!(error.changed, Changed::Nothing, "{kind:?}: {error:?}");
        let running = match kind {
            Kind::MariaDb => {
                "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE customer%SLEEP%'"
            }
            _ => "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE 'UPDATE customer%sleep%' AND state = 'active'",
        };
        crate::support::server::wait_until("the end of the statement", || shop.query(running) == ["0"]);
    }
}

#[test]
fn what_mariadb_commits_by_itself_is_said() {
    let shop = Shop::new(Kind::MariaDb, "commits");
    let statements =
        ["DELETE FROM customer WHERE id > 5", "ALTER TABLE note ADD c INT", "DELETE FROM nothing WHERE a = 1"];
    let act = sql(&shop, json!({ "statement": statements }));
    let plan = act.plan().unwrap();
    assert!(plan.notes.join("\n").contains("commits by itself, what came before included: ALTER TABLE note"));
    assert_eq!(act.perform(&plan).expect_err("it fails").changed, Changed::Perhaps);
    assert_eq!(customers(&shop), "5");
}

#[test]
fn an_optimize_that_fails_in_its_rows_is_a_failure() {
    let shop = Shop::new(Kind::MariaDb, "optimize");
    let act = sql(&shop, json!({ "statement": ["OPTIMIZE TABLE note", "OPTIMIZE TABLE nothing"] }));
    let error = act.run().expect_err("there is no such table");
    assert!(error.message.contains("doesn't exist"), "{}", error.message);
    assert_eq!(affected(&sql(&shop, json!({ "statement": "OPTIMIZE TABLE note" }))).len(), 1);
}

#[test]
fn what_cannot_be_in_a_transaction_runs_by_itself() {
    let shop = Shop::new(Kind::Postgres, "vacuum");
    let act = sql(&shop, json!({ "statement": "VACUUM customer" }));
    assert_eq!(act.plan().unwrap().does, ["VACUUM customer"]);
    act.run().unwrap();
    let error = sql(&shop, json!({ "statement": "VACUUM customer", "transaction": true })).plan().expect_err("refused");
    assert!(error.message.contains("cannot be in a transaction"), "{}", error.message);
}

#[test]
fn secrets_are_masked_in_the_plan() {
    let shop = Shop::new(Kind::Sqlite, "masked");
    let act = sql(&shop, json!({ "statement": "UPDATE note SET body = ? WHERE id = 1", "parameters": ["swordfish"] }));
    act.cx.look.mask.add("swordfish");
    assert!(act.plan().unwrap().does[1].ends_with("-- with '***'"));
}

#[test]
fn a_statement_that_may_lose_everything_is_destructive() {
    let kind = opsctl::action::kind("sql").unwrap();
    let least = |sql: &str| (kind.least)(&inputs_of(kind.inputs, &json!({ "database": "shop", "statement": sql })));
    assert_eq!(least("DELETE FROM customer"), Effect::Destructive);
    assert_eq!(least("DELETE FROM customer WHERE id = 1"), Effect::Change);
    let refused = |inputs: Json| Act::new("sql", inputs).build().err().expect("refused").message;
    assert_eq!(refused(json!({ "database": "a", "statement": [" "] })), "there is no statement");
    assert_eq!(
        refused(json!({ "database": "a", "statement": ["SELECT 1", "SELECT 2"], "parameters": ["1"] })),
        "several statements cannot share parameters"
    );
}
