//! The backup action against real servers and folders: what it makes can be restored, and nothing is overwritten.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use opsctl::action::Changed;
use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use serde_json::json;

use crate::support::act::Act;
use crate::support::again::again_under;
use crate::support::look::Look;
use crate::support::server::{program, stand_in};
use crate::support::shop::{ALL, Kind, ROWS, Shop, alone};
use crate::support::{mariadb, postgres};

fn backup(shop: &Shop, name: &str) -> Act {
    let inputs = json!({ "database": "shop", "folder": shop.folder.path().join("backups"), "name": name });
    fs::create_dir_all(shop.folder.path().join("backups")).expect("a folder");
    Act::new("backup", inputs).database("shop", &shop.url)
}

fn shown(subject: &Subject, fact: &str) -> String {
    subject.facts.get(fact).map_or_else(|| "missing".to_owned(), Value::to_string)
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.collect()
}

fn refused(act: &Act) -> String {
    let error = act.plan().expect_err("refused");
    assert_eq!(error.changed, Changed::Nothing);
    format!("{}: {}", error.code, error.message)
}

#[test]
fn what_is_made_is_verified_and_can_be_restored() {
    let _alone = alone();
    for (kind, names_of_kind) in [
        (Kind::MariaDb, &["a_%Y%m%d.sql.zst", "b.sql.gz", "c.sql"][..]),
        (Kind::Postgres, &["a_%Y%m%d.sql.zst", "b.dump"][..]),
        (Kind::Sqlite, &["a_%Y%m%d.db.zst", "b.db"][..]),
    ] {
        let shop = Shop::new(kind, "backup");
        for name in names_of_kind {
            let made = backup(&shop, name).subject();
            assert_eq!(shown(&made, "verified"), "true", "{kind:?} {name}");
            let path = shown(&made, "path");
            assert!(!path.contains('%') && path.ends_with(&shown(&made, "id")));
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "only its maker may read it");
            let sum = std::process::Command::new("sha256sum").arg(&path).output().unwrap().stdout;
            assert!(String::from_utf8_lossy(&sum).starts_with(&shown(&made, "sha256")));
            let drill = Look::new(
                "backup",
                json!({ "file": path, "restore": { "server": "shop",
                "checks": { "customers": { "query": "SELECT COUNT(*) FROM customer" } } } }),
            );
            let seen = drill.database("shop", &shop.url).limit(std::time::Duration::from_mins(2)).subject();
            assert_eq!(shown(&seen, "check.customers"), ROWS.to_string(), "{kind:?} {name}: {seen:?}");
        }
        assert_eq!(names(&shop.path("backups")).len(), names_of_kind.len(), "nothing else is left there");
    }
}

#[test]
fn the_plan_shows_the_whole_command_and_no_password() {
    for kind in ALL {
        let shop = Shop::new(kind, "plan");
        let name = if kind == Kind::Sqlite { "x.db.gz" } else { "x.sql.gz" };
        let plan = backup(&shop, name).plan().unwrap();
        let does = plan.does.join("\n");
        let command = match kind {
            Kind::MariaDb => {
                "mariadb-dump --defaults-file=(login of shop) --single-transaction --quick --routines --events"
            }
            Kind::Postgres => "pg_dump --format=plain --lock-wait-timeout=30s --host=127.0.0.1",
            Kind::Sqlite => "VACUUM INTO '",
        };
        assert!(does.contains(command), "{does}");
        assert!(does.contains(" | gzip > ") && does.contains("mv --no-clobber"), "{does}");
        assert!(!does.contains("sesame"), "{does}");
        assert!(plan.notes.join(" ").contains("are free"), "{:?}", plan.notes);
        assert_eq!(names(&shop.path("backups")), [""; 0], "a plan changes nothing");
    }
}

#[test]
fn a_backup_is_never_overwritten() {
    let shop = Shop::new(Kind::Sqlite, "twice");
    let act = backup(&shop, "x.db");
    let plan = act.plan().unwrap();
    act.perform(&plan).unwrap();
    let first = fs::read(shop.path("backups/x.db")).unwrap();
    assert!(refused(&act).starts_with("exists: "), "{}", refused(&act));
    // Also when it appeared after the plan.
    let error = act.perform(&plan).expect_err("refused");
    assert_eq!((error.code, error.changed), ("exists", Changed::Nothing));
    assert_eq!(fs::read(shop.path("backups/x.db")).unwrap(), first);
}

#[test]
fn a_login_that_fails_leaves_nothing_behind_and_tells_no_password() {
    for (kind, url) in [(Kind::MariaDb, mariadb::url("shop_login")), (Kind::Postgres, postgres::url("shop_login"))] {
        let shop = Shop::new(kind, "login");
        let wrong = url.replace("open%2Fsesame%207", "wrong%2Fsecret");
        let error = backup(&shop, "x.sql").database("shop", &wrong).plan().expect_err("no login");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        assert_eq!(names(&shop.path("backups")), [""; 0]);
    }
}

#[test]
fn a_backup_that_is_ended_leaves_nothing_behind() {
    let shop = Shop::new(Kind::MariaDb, "ended");
    let act = backup(&shop, "x.sql.zst");
    let plan = act.plan().unwrap();
    act.cx.look.cancel.cancel();
    assert_eq!(act.perform(&plan).expect_err("ended").code, "cancelled");
    assert_eq!(names(&shop.path("backups")), [""; 0]);
}

#[test]
fn a_folder_becomes_an_archive_that_can_be_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("app");
    fs::create_dir_all(source.join("deep")).unwrap();
    fs::write(source.join("deep/file"), "content").unwrap();
    for name in ["app.tar.gz", "app.tar.zst", "app.tar"] {
        let act = Act::new("backup", json!({ "source": source, "folder": folder.path(), "name": name }));
        let made = act.subject();
        assert_eq!(shown(&made, "verified"), "true");
        let listed =
            std::process::Command::new("tar").args(["--list", "--file", &shown(&made, "path")]).output().unwrap();
        assert!(String::from_utf8_lossy(&listed.stdout).contains("app/deep/file"), "{listed:?}");
    }
    let inside = Act::new("backup", json!({ "source": source, "folder": source, "name": "a.tar" }));
    assert!(refused(&inside).contains("would become a part of itself"));
}

#[test]
fn a_log_that_grows_while_it_is_archived_is_named_and_the_archive_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("logs");
    fs::create_dir(&source).unwrap();
    let log = source.join("app.log");
    fs::write(&log, "a line of a log that is not short\n".repeat(200_000)).unwrap();
    let (begun, told) = (Instant::now(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = fs::OpenOptions::new().append(true).open(&log).unwrap();
            while !told.load(Relaxed) && begun.elapsed() < Duration::from_mins(1) {
                log.write_all(b"one more\n").unwrap();
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        for attempt in 0.. {
            let inputs = json!({ "source": source, "folder": folder.path(), "name": format!("{attempt}.tar.zst") });
            let made = Act::new("backup", inputs).subject();
            assert_eq!(shown(&made, "verified"), "true");
            if made.notes == ["not all of one moment: logs/app.log: file changed as we read it"] {
                told.store(true, Relaxed);
                break;
            }
            assert_eq!(made.notes, [""; 0]);
            assert!(begun.elapsed() < Duration::from_mins(1), "it never changed while it was read");
        }
    });
}

#[test]
fn an_archive_that_lacks_what_cannot_be_read_is_not_made_with_a_stand_in_for_tar() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("logs");
    fs::create_dir(&source).unwrap();
    let script = format!(
        "#!/bin/sh\n{} \"$@\"\ncat >&2 <<'END'\n\
         tar: logs/app.log: file changed as we read it\n\
         tar: logs/secure: Cannot open: Permission denied\n\
         tar: Exiting with failure status due to previous errors\nEND\nexit 2\n",
        program("tar")
    );
    let path = stand_in(folder.path(), "tar", &script);
    again_under(&["env", &path], || {
        let backups = folder.path().join("backups");
        fs::create_dir(&backups).unwrap();
        let error = Act::new("backup", json!({ "source": source, "folder": backups, "name": "a.tar" })).run();
        assert_eq!(error.expect_err("it lacks a file").message, "tar: logs/secure: Cannot open: Permission denied");
        assert_eq!(names(&backups), [""; 0]);
    });
}

#[test]
fn inputs_that_make_no_sense_are_refused() {
    let refused = |name: &str, database: &str| {
        let inputs = json!({ database: "shop", "folder": "/x", "name": name });
        Act::new("backup", inputs).build().err().expect("refused").message
    };
    assert_eq!(refused("x", "database"), "the ending of `x` does not say what to write");
    assert_eq!(refused("../x.sql", "database"), "`../x.sql` is not the name of one file");
    assert_eq!(refused("x_%Q.sql", "database"), "`x_%Q.sql` has a `%` that is no part of a date");
    assert_eq!(refused("x.sql", "source"), "a folder becomes a `.tar`, and a database does not");
    let shop = Shop::new(Kind::Sqlite, "ending");
    let error = backup(&shop, "x.sql").plan().expect_err("refused");
    assert!(error.message.contains("cannot be written as x.sql"), "{}", error.message);
}
