//! Folders of dated files, and the pointer to the latest.

use std::os::unix::fs::symlink;

use opsctl::model::unit::Dimension;

use super::*;

fn percent(subject: &Subject, name: &str) -> f64 {
    fact(subject, name).and_then(|value| value.number_in(Dimension::Percent)).expect("a percentage").round()
}

#[test]
fn yesterdays_backup_is_found_with_its_size_age_and_neighbours() {
    let folder = folder();
    for (day, bytes) in [("2026-11-17", 90), ("2026-11-18", 100), ("2026-11-19", 110), ("2026-11-20", 80)] {
        dated(folder.path(), day, bytes);
    }
    fs::write(folder.path().join("backup_20261121.sql.gz.part"), "x").unwrap();
    fs::create_dir(folder.path().join("backup_20261122.sql.gz")).unwrap();
    let seen = series(folder.path(), json!({})).subject();
    assert_eq!(seen.error, None);
    assert_eq!(seen.name, folder.path().join("backup_%Y%m%d.sql.gz").display().to_string());
    assert_eq!(fact(&seen, "exists"), YES);
    assert_eq!(text(&seen, "path"), folder.path().join("backup_20261120.sql.gz").display().to_string());
    assert_eq!(text(&seen, "dated"), "2026-11-20");
    assert_eq!(fact(&seen, "size"), Some(&Value::bytes(80)));
    assert_eq!(fact(&seen, "age"), Some(&Value::duration(Duration::from_hours(34))));
    assert_eq!(percent(&seen, "size_vs_median"), 80.0);
    assert_eq!(fact(&seen, "count"), Some(&Value::Integer(4)), "no unfinished file, no folder");
    assert_eq!(text(&seen, "newest"), "backup_20261120.sql.gz");
    assert_eq!(fact(&seen, "newest_agrees"), YES);
    assert_eq!(fact(&seen, "gaps"), Some(&Value::Integer(0)));
    assert_eq!(fact(&seen, "latest_is_newest"), None, "no pointer was given");
    assert!(seen.notes.is_empty(), "{:?}", seen.notes);
}

#[test]
fn a_day_without_a_backup_is_an_answer_that_names_the_newest() {
    let folder = folder();
    dated(folder.path(), "2026-11-18", 10);
    let seen = series(folder.path(), json!({})).subject();
    assert_eq!((fact(&seen, "exists"), &seen.error), (NO, &None));
    assert_eq!(seen.notes, ["no backup of 2026-11-20; the newest is backup_20261118.sql.gz"]);
    for name in ["path", "size", "age", "dated", "intact"] {
        assert_eq!(fact(&seen, name), None, "{name} is that of another day");
    }
    assert_eq!(fact(&series(folder.path(), json!({ "dated": "2026-11-18" })).subject(), "exists"), YES);
    assert_eq!(fact(&series(folder.path(), json!({ "dated": "newest" })).subject(), "exists"), YES);
    assert_eq!(fact(&series(folder.path(), json!({ "dated": "today" })).subject(), "exists"), NO);
}

#[test]
fn an_empty_folder_has_no_backup_and_a_missing_one_cannot_be_looked_at() {
    let folder = folder();
    let empty = series(folder.path(), json!({})).subject();
    assert_eq!((fact(&empty, "exists"), fact(&empty, "count")), (NO, Some(&Value::Integer(0))));
    assert_eq!(empty.notes, ["no file in the folder has such a name"]);
    let gone = folder.path().join("gone");
    let error = series(&gone, json!({})).run().expect_err("nothing to look at");
    assert_eq!((error.code, error.message), ("not_found", format!("the folder {} does not exist", gone.display())));
    assert!(error.help.is_some());
}

#[test]
fn the_day_is_that_of_the_sites_time_zone() {
    let folder = folder();
    dated(folder.path(), "2026-11-19", 10);
    dated(folder.path(), "2026-11-20", 10);
    // Half past midnight of the 21st in Warsaw, still the 20th in UTC.
    let mut look = series(folder.path(), json!({})).now("2026-11-20T23:30:00Z".parse().unwrap());
    assert_eq!(text(&look.subject(), "dated"), "2026-11-20");
    look.cx.timezone = chrono_tz::UTC;
    assert_eq!(text(&look.subject(), "dated"), "2026-11-19");
}

#[test]
fn a_backup_that_was_changed_a_moment_ago_may_still_be_growing() {
    let folder = folder();
    let file = dated(folder.path(), "2026-11-20", 10);
    assert_eq!(fact(&series(folder.path(), json!({})).subject(), "growing"), NO);
    touch(&file, midday() - Duration::from_secs(20));
    assert_eq!(fact(&series(folder.path(), json!({})).subject(), "growing"), YES);
    assert_eq!(fact(&Look::new("backup", json!({ "file": file })).now(midday()).subject(), "growing"), YES);
}

#[test]
fn the_last_of_several_backups_of_a_day_counts() {
    let folder = folder();
    for name in ["db-2026-11-20_0300.sql", "db-2026-11-20_2300.sql", "db-2026-11-20_1200.sql"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let inputs = json!({ "folder": folder.path(), "name": "db-%F_%H%M.sql" });
    let seen = Look::new("backup", inputs).now(midday()).subject();
    assert!(text(&seen, "path").ends_with("db-2026-11-20_2300.sql"));
    assert_eq!(fact(&seen, "gaps"), Some(&Value::Integer(0)), "three backups of one day leave no gap");
}

#[test]
fn days_left_out_are_counted_and_named_within_the_last_thirty() {
    let folder = folder();
    for day in ["2026-08-01", "2026-11-10", "2026-11-11", "2026-11-14", "2026-11-16"] {
        dated(folder.path(), day, 10);
    }
    let seen = series(folder.path(), json!({})).subject();
    assert_eq!(fact(&seen, "gaps"), Some(&Value::Integer(3)), "August is too long ago");
    assert_eq!(text(&seen, "gap_days"), "2026-11-12, 2026-11-13, 2026-11-15");
}

#[test]
fn a_size_needs_three_earlier_ones_to_be_compared_with() {
    let folder = folder();
    for (day, bytes) in [("2026-11-18", 100), ("2026-11-19", 300), ("2026-11-20", 50), ("2026-11-21", 999)] {
        dated(folder.path(), day, bytes);
    }
    assert_eq!(
        fact(&series(folder.path(), json!({})).subject(), "size_vs_median"),
        None,
        "two earlier ones, one later"
    );
    dated(folder.path(), "2026-11-17", 100);
    assert_eq!(percent(&series(folder.path(), json!({})).subject(), "size_vs_median"), 50.0);
    dated(folder.path(), "2026-11-16", 300);
    assert_eq!(percent(&series(folder.path(), json!({})).subject(), "size_vs_median"), 25.0, "the median of four");
}

#[test]
fn the_newest_by_name_and_the_one_written_last_may_differ() {
    let folder = folder();
    let old = dated(folder.path(), "2026-11-18", 10);
    dated(folder.path(), "2026-11-20", 10);
    touch(&old, midday());
    let seen = series(folder.path(), json!({})).subject();
    assert_eq!(text(&seen, "newest"), "backup_20261120.sql.gz");
    assert_eq!(text(&seen, "newest_by_mtime"), "backup_20261118.sql.gz");
    assert_eq!(fact(&seen, "newest_agrees"), NO);
    assert_eq!(seen.notes, ["backup_20261118.sql.gz was modified after backup_20261120.sql.gz, the newest by name"]);
}

/// Whether the pointer leads to the newest of two backups, and what is said about it.
fn pointed(make: impl Fn(&Path, &Path)) -> (Option<Value>, Vec<String>) {
    let folder = folder();
    dated(folder.path(), "2026-11-19", 10);
    let newest = dated(folder.path(), "2026-11-20", 10);
    let latest = folder.path().join("latest");
    make(&latest, &newest);
    let seen = series(folder.path(), json!({ "latest": latest })).subject();
    assert_eq!(seen.error, None);
    let here = format!("{}/", folder.path().display());
    let notes = seen.notes.iter().map(|note| note.replace(&here, "")).collect();
    (fact(&seen, "latest_is_newest").cloned(), notes)
}

#[test]
fn a_pointer_to_the_newest_may_be_a_link_a_name_or_a_copy() {
    let good = (Some(Value::Bool(true)), Vec::new());
    assert_eq!(pointed(|latest, _| symlink("backup_20261120.sql.gz", latest).unwrap()), good);
    assert_eq!(pointed(|latest, newest| symlink(newest, latest).unwrap()), good);
    assert_eq!(pointed(|latest, newest| fs::hard_link(newest, latest).unwrap()), good);
    assert_eq!(pointed(|latest, _| fs::write(latest, "backup_20261120.sql.gz\n").unwrap()), good);
    assert_eq!(pointed(|latest, newest| fs::write(latest, newest.display().to_string()).unwrap()), good);
    let big = |latest: &Path, newest: &Path| {
        fs::write(newest, vec![7; 700_000]).unwrap();
        fs::copy(newest, latest).unwrap();
        touch(newest, midday());
    };
    assert_eq!(pointed(big), good);
}

#[test]
fn a_pointer_elsewhere_is_told() {
    let bad = |note: &str| (Some(Value::Bool(false)), vec![note.to_owned()]);
    assert_eq!(
        pointed(|latest, _| symlink("backup_20261119.sql.gz", latest).unwrap()),
        bad("latest points to backup_20261119.sql.gz, but the newest is backup_20261120.sql.gz")
    );
    assert_eq!(
        pointed(|latest, _| symlink("backup_20261101.sql.gz", latest).unwrap()),
        bad("latest points to backup_20261101.sql.gz, which does not exist")
    );
    assert_eq!(
        pointed(|latest, _| fs::write(latest, "backup_20261119.sql.gz").unwrap()),
        bad("latest points to backup_20261119.sql.gz, but the newest is backup_20261120.sql.gz")
    );
    assert_eq!(pointed(|_, _| {}), bad("latest does not exist"));
    let differs = |latest: &Path, newest: &Path| {
        let mut content = vec![7; 700_000];
        fs::write(newest, &content).unwrap();
        touch(newest, midday());
        content[699_999] = 8;
        fs::write(latest, &content).unwrap();
    };
    assert_eq!(pointed(differs), bad("latest is a file of its own and no copy of backup_20261120.sql.gz, the newest"));
}
