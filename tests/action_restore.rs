//! Restores against real servers: into scratch, and into a database that people work with.

use std::fs;
use std::path::Path;

use opsctl::action::Changed;
use opsctl::model::action::Effect;
use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::support::act::Act;
use crate::support::look::inputs_of;
use crate::support::shop::{ALL, Kind, Shop, alone, compress};

fn shown(subject: &Subject, fact: &str) -> String {
    subject.facts.get(fact).map_or_else(|| "missing".to_owned(), Value::to_string)
}

fn restore(shop: &Shop, file: &Path, more: Json) -> Act {
    let mut inputs = json!({ "backup": file });
    if let (Json::Object(inputs), Json::Object(more)) = (&mut inputs, more) {
        inputs.extend(more);
    }
    Act::new("restore", inputs).database("shop", &shop.url)
}

fn into_scratch(shop: &Shop, file: &Path) -> Act {
    restore(shop, file, json!({ "server": "shop" }))
}

fn into_shop(shop: &Shop, file: &Path) -> Act {
    let folder = shop.path("safety");
    fs::create_dir_all(&folder).expect("a folder");
    restore(shop, file, json!({ "into": "shop", "safety_folder": folder }))
}

fn database(shop: &Shop, state: &str) -> Act {
    Act::new("database", json!({ "server": "shop", "state": state })).database("shop", &shop.url)
}

/// Changes that a restore takes back: a row, a table, a table that the backup does not know.
fn go_on(shop: &Shop) {
    shop.query("DELETE FROM customer WHERE id > 10; UPDATE note SET body = 'changed'; CREATE TABLE later (id INT);");
}

#[test]
fn into_scratch_makes_a_database_of_the_run_which_the_run_can_drop() {
    let _alone = alone();
    for kind in ALL {
        let shop = Shop::new(kind, "scratch");
        let before = shop.fingerprint();
        let act = into_scratch(&shop, &compress(&shop.dump("a.sql", &[]), "xz", "xz"));
        let plan = act.plan().unwrap();
        assert!(shop.scratch().is_empty(), "a plan changes nothing");
        assert!(!format!("{plan:?}").contains("sesame"), "{plan:?}");
        let done = act.perform(&plan).unwrap().subjects.remove(0);
        assert_eq!(shown(&done, "tables"), "2");
        assert_eq!(shop.scratch().len(), 1);
        assert!(shown(&done, "database").contains(shop.scratch()[0].trim_end_matches(".db")));

        // Another run has none, and drops none.
        let other = database(&shop, "absent").plan().unwrap();
        assert!(other.settled, "{other:?}");
        let own = database(&shop, "absent").in_run_of(&act);
        let plan = own.plan().unwrap();
        assert_eq!(shown(&own.perform(&plan).unwrap().subjects[0], "dropped"), "1");
        assert_eq!(shop.scratch(), [""; 0]);
        assert!(own.plan().unwrap().settled);
        assert_eq!(shop.fingerprint(), before);
    }
}

#[test]
fn a_scratch_database_is_made_once_for_a_run() {
    let _alone = alone();
    for kind in ALL {
        let shop = Shop::new(kind, "once");
        let act = database(&shop, "present");
        act.subject();
        assert!(act.plan().unwrap().settled);
        assert_eq!(shop.scratch().len(), 1);
        let drop = database(&shop, "absent").in_run_of(&act);
        // A plan that names something else is not followed.
        let mut plan = drop.plan().unwrap();
        plan.data = json!([shop.name]);
        drop.perform(&plan).unwrap();
        plan.data = json!([opsctl::probe::database::scratch::Name::new(uuid::Uuid::now_v7(), 1).to_string()]);
        assert_eq!(drop.perform(&plan).expect_err("refused").code, "refused");
        assert_eq!(shop.scratch().len(), 1);
        drop.subject();
        assert_eq!(shop.scratch(), [""; 0]);
        assert!(!shop.fingerprint().is_empty(), "production is there");
    }
}

#[test]
fn into_production_replaces_everything_after_a_verified_safety_backup() {
    let _alone = alone();
    for kind in ALL {
        let shop = Shop::new(kind, "replace");
        let before = shop.fingerprint();
        let dump = compress(&shop.dump("a.sql", &[]), "gzip", "gz");
        go_on(&shop);
        let changed = shop.fingerprint();
        assert_ne!(changed, before);
        let act = into_shop(&shop, &dump);
        let plan = act.plan().unwrap();
        let notes = plan.notes.join("\n");
        assert!(notes.contains("is lost") && notes.contains("ago"), "{notes}");
        assert_eq!(shop.fingerprint(), changed, "a plan changes nothing");
        let done = act.perform(&plan).unwrap().subjects.remove(0);
        assert_eq!(shop.fingerprint(), before, "{kind:?}");

        // The safety backup leads back to what was there.
        let safety = shown(&done, "safety_backup");
        let back = into_shop(&shop, Path::new(&safety));
        std::thread::sleep(std::time::Duration::from_secs(1));
        back.subject();
        assert_eq!(shop.fingerprint(), changed, "{kind:?}");
        assert_eq!(shop.scratch(), [""; 0]);
    }
}

#[test]
fn an_archive_of_postgresql_goes_into_production_too() {
    let shop = Shop::new(Kind::Postgres, "archive_back");
    let before = shop.fingerprint();
    let dump = shop.dump("a.dump", &["--format=custom"]);
    go_on(&shop);
    into_shop(&shop, &dump).subject();
    assert_eq!(shop.fingerprint(), before);
    assert_eq!(shop.query("SELECT has_schema_privilege('public', 'public', 'USAGE')"), ["t"]);
}

#[test]
fn a_dump_may_name_the_database_that_it_is_restored_into_and_no_other() {
    let shop = Shop::new(Kind::MariaDb, "named");
    let other = Shop::new(Kind::MariaDb, "bystander");
    let (before, untouched) = (shop.fingerprint(), other.fingerprint());
    let own = shop.dump("own.sql", &["--add-drop-database", "--databases"]);
    go_on(&shop);
    into_shop(&shop, &own).subject();
    assert_eq!(shop.fingerprint(), before);
    let wrong = other.dump("other.sql", &["--add-drop-database", "--databases"]);
    let error = into_shop(&shop, &wrong).plan().expect_err("refused");
    assert_eq!((error.code, error.changed), ("refused", Changed::Nothing));
    assert!(error.message.contains("names the database shop_bystander"), "{}", error.message);
    assert_eq!((shop.fingerprint(), other.fingerprint()), (before, untouched));
}

#[test]
fn a_restore_that_fails_says_whether_something_was_changed() {
    let _alone = alone();
    for kind in ALL {
        let shop = Shop::new(kind, "fails");
        let dump = shop.dump("a.sql", &[]);
        let text = fs::read_to_string(&dump).unwrap();
        let broken = text.replacen("CREATE TABLE", "CREATE TABLE nonsense nonsense;\nCREATE TABLE", 1);
        fs::write(&dump, broken).unwrap();
        let before = shop.fingerprint();
        let error = into_shop(&shop, &dump).run().expect_err("it fails");
        assert!(error.help.unwrap().contains("before-restore_shop_"), "the way back is named");
        if kind == Kind::MariaDb {
            assert_eq!(error.changed, Changed::Perhaps);
        } else {
            assert_eq!((error.changed, shop.fingerprint()), (Changed::Nothing, before), "{kind:?}");
        }
        // Into scratch, nothing of it stays.
        assert_eq!(into_scratch(&shop, &dump).run().expect_err("it fails").changed, Changed::Nothing);
        assert_eq!(shop.scratch(), [""; 0]);
    }
}

#[test]
fn only_one_exact_backup_is_taken() {
    let refused = |backup: &str| {
        let act = Act::new("restore", json!({ "backup": backup, "server": "shop" }));
        act.build().err().expect("refused").message
    };
    assert!(refused("/b/latest.sql.gz").contains("whatever was made last"));
    assert!(refused("/b/LATEST").contains("whatever was made last"));
    assert!(refused("/b/backup_*.sql.gz").contains("is a pattern"));
    assert!(refused("/b/").contains("names no file"));
    let shop = Shop::new(Kind::Sqlite, "link");
    let link = shop.path("helpdesk.sql");
    std::os::unix::fs::symlink(shop.dump("a.sql", &[]), &link).unwrap();
    let error = into_scratch(&shop, &link).plan().expect_err("refused");
    assert!(error.message.contains("is a link to"), "{}", error.message);
    let gone = into_scratch(&shop, &shop.path("gone.sql")).plan().expect_err("refused");
    assert_eq!(gone.code, "not_found");
}

#[test]
fn a_backup_that_is_not_the_one_that_was_planned_is_refused() {
    let shop = Shop::new(Kind::Sqlite, "swapped");
    let dump = shop.dump("a.sql", &[]);
    let before = shop.fingerprint();
    let act = into_shop(&shop, &dump);
    let plan = act.plan().unwrap();
    fs::write(&dump, fs::read_to_string(&dump).unwrap().replace("only text", "other text")).unwrap();
    let error = act.perform(&plan).expect_err("refused");
    assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
    let sum = restore(&shop, &dump, json!({ "server": "shop", "sha256": "00ff" }));
    assert!(sum.plan().expect_err("refused").message.contains("expected 00ff"));
    let cut = fs::read(&dump).unwrap();
    fs::write(&dump, &cut[..cut.len() - 9]).unwrap();
    let error = into_shop(&shop, &dump).plan().expect_err("refused");
    assert!(error.message.contains("ends without the line `COMMIT;`"), "{}", error.message);
    assert_eq!(shop.fingerprint(), before);
}

#[test]
fn a_restore_by_id_finds_it_in_its_folder() {
    let _alone = alone();
    let shop = Shop::new(Kind::Sqlite, "id");
    shop.dump("shop_20261120.sql", &[]);
    let inputs = json!({ "backup": "shop_20261120.sql", "folder": shop.folder.path(), "server": "shop" });
    let act = Act::new("restore", inputs).database("shop", &shop.url);
    assert_eq!(shown(&act.subject(), "backup"), shop.path("shop_20261120.sql").display().to_string());
    database(&shop, "absent").in_run_of(&act).subject();
}

#[test]
fn only_a_restore_into_production_is_destructive() {
    let kind = opsctl::action::kind("restore").unwrap();
    let least = |inputs: Json| (kind.least)(&inputs_of(kind.inputs, &inputs));
    assert_eq!(least(json!({ "backup": "/a", "server": "shop" })), Effect::Change);
    assert_eq!(least(json!({ "backup": "/a", "into": "shop", "safety_folder": "/b" })), Effect::Destructive);
    let act = Act::new("restore", json!({ "backup": "/a", "into": "shop" }));
    assert_eq!(act.build().err().expect("refused").message, "a restore into shop needs `safety_folder`");
    let act = Act::new("restore", json!({ "backup": "/a", "into": "shop", "safety_folder": "/b" }));
    assert_eq!(act.build().unwrap().target(), "shop", "what the operator types");
}
