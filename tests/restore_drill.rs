//! The restore drill against real servers: it proves that a backup can be restored, and cannot touch production.

use std::fs;
use std::path::{Path, PathBuf};

use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::support::look::Look;
use crate::support::shop::{ALL, Kind, ROWS, Shop, alone, compress};
use crate::support::{mariadb, postgres};

fn look(shop: &Shop, file: &Path, more: Json) -> Look {
    let mut restore = json!({ "server": "shop", "checks": {
        "customers": { "query": "SELECT COUNT(*) FROM customer", "compare": true },
        "newest": { "query": "SELECT MAX(made) FROM customer" },
    } });
    if let (Json::Object(all), Json::Object(more)) = (&mut restore, more) {
        all.extend(more);
    }
    Look::new("backup", json!({ "file": file, "restore": restore }))
        .database("shop", &shop.url)
        .limit(std::time::Duration::from_mins(2))
}

fn drill(shop: &Shop, file: &Path) -> Subject {
    look(shop, file, json!({})).subject()
}

fn shown(subject: &Subject, fact: &str) -> String {
    subject.facts.get(fact).map_or_else(|| "missing".to_owned(), Value::to_string)
}

/// Restored, asked, dropped.
#[track_caller]
fn assert_restored(seen: &Subject) {
    let facts = ["restored", "names_other_database", "dropped", "check.customers", "production.customers"];
    let all = facts.map(|fact| shown(seen, fact));
    let rows = ROWS.to_string();
    assert_eq!(all, ["true", "false", "true", &rows, &rows], "{seen:?}");
    assert_eq!(seen.error, None);
}

/// Refused in front of everything: nothing was made.
#[track_caller]
fn assert_refused(seen: &Subject, why: &str) {
    let facts = ["restored", "dropped", "check.customers"].map(|fact| shown(seen, fact));
    assert_eq!(facts, ["false", "missing", "missing"], "{seen:?}");
    assert!(seen.notes.join("; ").contains(why), "{why}: {:?}", seen.notes);
}

#[test]
fn a_dump_of_each_server_is_restored_asked_and_dropped() {
    let _alone = alone();
    for kind in ALL {
        let shop = Shop::new(kind, "drill");
        let before = shop.fingerprint();
        let dump = shop.dump("shop.sql", &[]);
        assert_restored(&drill(&shop, &dump));
        let seen = look(&shop, &compress(&dump, "zstd", "zst"), json!({ "recovery_point": "newest" }))
            .asked(&["restored_rows"])
            .now("2026-11-20T13:00:00Z".parse().unwrap())
            .subject();
        assert_restored(&seen);
        let facts = ["recovery_point", "restored_tables", "restored_rows", "share.customers"];
        let facts = facts.map(|fact| shown(&seen, fact));
        assert_eq!(facts, ["2 h", "2", &(ROWS + 1).to_string(), "100 %"], "{kind:?}");
        assert!(seen.facts.contains_key("took"));
        assert_eq!(shop.fingerprint(), before, "{kind:?}");
        assert_eq!(shop.scratch(), [""; 0], "{kind:?}");
    }
}

#[test]
fn an_archive_of_postgresql_and_a_copy_of_sqlite_are_restored_too() {
    let _alone = alone();
    let shop = Shop::new(Kind::Postgres, "archive");
    assert_restored(&drill(&shop, &shop.dump("shop.dump", &["--format=custom"])));
    let shop = Shop::new(Kind::Sqlite, "copy");
    let copy = shop.path("copy.db");
    fs::copy(&shop.name, &copy).unwrap();
    assert_restored(&drill(&shop, &compress(&copy, "gzip", "gz")));
}

#[test]
fn a_dump_with_all_that_a_server_knows_is_restored() {
    let _alone = alone();
    let shop = Shop::new(Kind::MariaDb, "rich");
    shop.query(include_str!("restore_drill/mariadb.sql"));
    assert_restored(&drill(&shop, &shop.dump("rich.sql", &[])));
    let other = ["--skip-extended-insert", "--hex-blob", "--complete-insert", "--skip-opt"];
    assert_restored(&drill(&shop, &shop.dump("other.sql", &other)));

    let shop = Shop::new(Kind::Postgres, "rich");
    shop.query(include_str!("restore_drill/postgresql.sql"));
    assert_restored(&drill(&shop, &shop.dump("rich.sql", &[])));
    assert_restored(&drill(&shop, &shop.dump("inserts.sql", &["--inserts"])));
    assert_restored(&drill(&shop, &shop.dump("rich.dump", &["--format=custom"])));
}

/// What would destroy production if it were restored without a look.
fn dangerous(shop: &Shop) -> Vec<PathBuf> {
    let write = |name: &str, text: String| {
        let path = shop.path(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let name = &shop.name;
    match shop.kind {
        Kind::MariaDb => {
            let plain = fs::read_to_string(shop.dump("plain.sql", &[])).expect("a dump");
            let with = |text: &str| plain.replacen("DROP TABLE", &format!("{text}\nDROP TABLE"), 1);
            vec![
                shop.dump("databases.sql", &["--databases"]),
                shop.dump("add-drop.sql", &["--add-drop-database", "--databases"]),
                write("use.sql", with(&format!("DROP DATABASE {name}; CREATE DATABASE {name}; USE {name};"))),
                write("hidden.sql", with(&format!("/*!40000 DROP DATABASE IF EXISTS `{name}`*/;"))),
                write("maria.sql", with(&format!("/*M!100000 USE `{name}` */;"))),
                write("late.sql", plain.clone() + &format!("/* x */ uSe\n`{name}`;\nDELETE FROM customer;\n")),
                write("qualified.sql", with(&format!("INSERT INTO `{name}`.note VALUES (2, 'x');"))),
            ]
        }
        Kind::Postgres => {
            let plain = fs::read_to_string(shop.dump("plain.sql", &[])).expect("a dump");
            let with = |text: &str| plain.replacen("CREATE TABLE", &format!("{text}\nCREATE TABLE"), 1);
            vec![
                shop.dump("create.sql", &["--create", "--clean"]),
                write("connect.sql", with(&format!("\\connect {name}\nDELETE FROM note;"))),
                write("c.sql", with(&format!("SELECT 1; \\c {name}\nDELETE FROM note;"))),
                write("drop.sql", with(&format!("DROP DATABASE {name};"))),
                write("shell.sql", with("\\! touch /tmp/opsctl-was-here\n")),
            ]
        }
        Kind::Sqlite => {
            let plain = fs::read_to_string(shop.dump("plain.sql", &[])).expect("a dump");
            let with = |text: &str| plain.replacen("CREATE TABLE", &format!("{text}\nCREATE TABLE"), 1);
            vec![
                write("attach.sql", with(&format!("ATTACH '{name}' AS p; DELETE FROM p.customer;"))),
                write("open.sql", with(&format!(".open {name}\nDELETE FROM customer;"))),
            ]
        }
    }
}

#[test]
fn a_dump_that_reaches_for_production_is_refused_before_anything_is_loaded() {
    let _alone = alone();
    for kind in ALL {
        let shop = Shop::new(kind, "danger");
        let before = shop.fingerprint();
        let files = dangerous(&shop);
        let packed: Vec<PathBuf> = [("gzip", "gz"), ("zstd", "zst"), ("xz", "xz")]
            .iter()
            .zip(&files)
            .map(|((program, ending), file)| compress(file, program, ending))
            .collect();
        for file in files.iter().chain(&packed) {
            assert_refused(&drill(&shop, file), "so it was not restored");
            assert_eq!(shop.fingerprint(), before, "{}", file.display());
        }
        assert_eq!(shop.scratch(), [""; 0]);
    }
    assert!(!Path::new("/tmp/opsctl-was-here").exists());
}

#[test]
fn a_dump_that_names_its_database_is_told_from_one_that_is_damaged() {
    let _alone = alone();
    let shop = Shop::new(Kind::MariaDb, "told");
    let named = drill(&shop, &shop.dump("named.sql", &["--databases"]));
    assert_eq!(shown(&named, "names_other_database"), "true");
    assert!(named.notes[0].contains("names the database shop_told"), "{:?}", named.notes);
    let whole = fs::read(shop.dump("whole.sql", &[])).unwrap();
    let cut = shop.path("cut.sql");
    fs::write(&cut, &whole[..whole.len() - 30]).unwrap();
    assert_refused(&drill(&shop, &cut), "ends without the line `-- Dump completed`");
    let packed = fs::read(compress(&shop.path("whole.sql"), "gzip", "gz")).unwrap();
    let cut = shop.path("cut.sql.gz");
    fs::write(&cut, &packed[..packed.len() / 2]).unwrap();
    assert_refused(&drill(&shop, &cut), "is cut off");
    assert_refused(&drill(&shop, &Shop::new(Kind::Sqlite, "misfit").dump("a.sql", &[])), "no dump of MySQL or MariaDB");
}

#[test]
fn an_error_in_the_middle_ends_it_and_the_scratch_database_is_dropped() {
    let _alone = alone();
    for kind in ALL {
        let shop = Shop::new(kind, "broken");
        let dump = shop.dump("shop.sql", &[]);
        let text = fs::read_to_string(&dump).unwrap();
        fs::write(&dump, text.replacen("CREATE TABLE", "CREATE TABLE nonsense nonsense;\nCREATE TABLE", 1)).unwrap();
        let seen = drill(&shop, &dump);
        assert_eq!([shown(&seen, "restored"), shown(&seen, "dropped")], ["false", "true"], "{kind:?}: {seen:?}");
        assert!(seen.notes.join(";").to_lowercase().contains("syntax"), "{:?}", seen.notes);
        assert_eq!(shop.scratch(), [""; 0], "{kind:?}");
    }
}

#[test]
fn a_drill_out_of_time_drops_what_it_made() {
    let _alone = alone();
    let shop = Shop::new(Kind::MariaDb, "late");
    let dump = shop.dump("shop.sql", &[]);
    let text = fs::read_to_string(&dump).unwrap();
    let more = "INSERT INTO `note` VALUES (77,'x');\n".repeat(400_000);
    let text = text.replacen("INSERT INTO `note`", &format!("{more}INSERT INTO `note`"), 1).replacen(
        "PRIMARY KEY (`id`)",
        "KEY (`id`)",
        1,
    );
    fs::write(&dump, text).unwrap();
    let look = look(&shop, &dump, json!({})).limit(std::time::Duration::from_millis(1500));
    let seen = look.subject();
    assert!(seen.error.is_some() || shown(&seen, "restored") == "false", "{seen:?}");
    assert_eq!(shop.scratch(), [""; 0]);
}

#[test]
fn the_scratch_database_of_a_drill_that_nobody_waits_for_is_dropped() {
    let _alone = alone();
    for kind in ALL {
        let shop = Shop::new(kind, "left");
        let dump = shop.dump("shop.sql", &[]);
        let look = look(&shop, &dump, json!({}));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let probe = look.build().unwrap();
            let mut drill = probe.observe(&look.cx);
            // As soon as there is a scratch database, the run is interrupted as the engine does it.
            loop {
                let turn = tokio::time::timeout(std::time::Duration::from_millis(5), &mut drill).await;
                if turn.is_ok() || !shop.scratch().is_empty() {
                    break;
                }
            }
            drop(drill);
            look.cx.cancel.cancel();
        });
        // As the program ends.
        drop(runtime);
        assert_eq!(shop.scratch(), [""; 0], "{kind:?}");
    }
}

#[test]
fn what_a_killed_drill_left_over_is_told_and_not_dropped() {
    let _alone = alone();
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    let process = gone.id();
    gone.wait().unwrap();
    for kind in [Kind::MariaDb, Kind::Postgres] {
        let shop = Shop::new(kind, "over");
        let own = opsctl::probe::database::scratch::Name::new(uuid::Uuid::now_v7(), 1).to_string();
        let left = own.replace(&format!("_{:x}_", std::process::id()), &format!("_{process:x}_"));
        let run = |sql: &str| match kind {
            Kind::MariaDb => mariadb::execute(sql),
            Kind::Postgres => postgres::execute("postgres", sql),
            Kind::Sqlite => unreachable!(),
        };
        // One of a process that is gone, one of this living process.
        run(&format!("CREATE DATABASE {left}"));
        run(&format!("CREATE DATABASE {own}"));
        let seen = drill(&shop, &shop.dump("shop.sql", &[]));
        assert_restored(&seen);
        assert_ne!(shown(&seen, "left_over"), "0");
        let notes = seen.notes.join("; ");
        assert!(notes.contains(&left) && !notes.contains(&own), "{notes}");
        assert_eq!(shop.scratch(), [own.as_str()]);
        run(&format!("DROP DATABASE {left}"));
        run(&format!("DROP DATABASE {own}"));
    }
}

#[test]
fn checks_that_make_no_sense_are_refused() {
    let refused = |restore: Json| {
        let look = Look::new("backup", json!({ "file": "/x", "restore": restore }));
        look.build().err().expect("refused").message
    };
    let with = |checks: Json| refused(json!({ "server": "shop", "checks": checks }));
    assert_eq!(with(json!([1])), "`checks` is no mapping of names to queries");
    assert_eq!(
        with(json!({ "a": { "query": "DELETE FROM t" } })),
        "the check `a`: `DELETE` is not a statement that reads"
    );
    assert_eq!(with(json!({ "a": { "sql": "SELECT 1" } })), "the check `a` has no input `sql`");
    assert_eq!(
        refused(json!({ "server": "shop", "recovery_point": "newest" })),
        "there is no check `newest` to give the recovery point"
    );
}
