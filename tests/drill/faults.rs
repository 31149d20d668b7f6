//! Each fault really breaks the real thing.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use opsctl::drill::{DrillError, Fault, System};

use crate::support::server::wait_until;

use super::{
    backup_name, backups, database, django_time, get, get_within, latest, log_text, name, own_exe, process_names,
    processes, query, site, start, unpacked,
};

#[test]
fn site_down_refuses_connections() {
    let system = start(&[Fault::SiteDown]);
    let error = get_within(&system, "/", Duration::from_secs(30)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(processes(system.folder()).len(), 3, "the process itself is there");
}

#[test]
fn site_slow_takes_three_seconds_for_the_home_page_alone() {
    let system = start(&[Fault::SiteSlow]);
    let begin = Instant::now();
    assert_eq!(get(&system, "/").0, 200);
    assert!(begin.elapsed() >= Duration::from_secs(3));
    assert_eq!(get(&system, "/health").0, 200);
}

#[test]
fn site_error_answers_500_and_logs_why() {
    let system = start(&[Fault::SiteError]);
    assert!(log_text(&system, "apache_log").contains("[wsgi:error]"), "logged before the first request");
    assert_eq!(get(&system, "/").0, 500);
    assert_eq!(get(&system, "/tickets").0, 200);
}

#[test]
fn site_wrong_page_answers_200_without_the_helpdesk() {
    let system = start(&[Fault::SiteWrongPage]);
    let (status, body) = get(&system, "/");
    assert_eq!(status, 200);
    assert!(body.contains("Maintenance") && !body.contains("Helpdesk"), "{body}");
}

#[test]
fn site_hangs_accepts_and_never_answers() {
    let system = start(&[Fault::SiteHangs]);
    let error = get_within(&system, "/", Duration::from_secs(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "the read ran into its own limit");
}

#[test]
fn database_down_cannot_be_opened_and_takes_the_home_page_with_it() {
    let system = start(&[Fault::DatabaseDown]);
    let error = query::<i64>(&database(&system), "SELECT 1").unwrap_err();
    assert!(error.to_string().contains("unable to open database file"), "{error}");
    assert_eq!(get(&system, "/").0, 500);
    assert_eq!(get(&system, "/health").0, 503);
}

#[test]
fn database_locked_lets_nobody_read() {
    let system = start(&[Fault::DatabaseLocked]);
    let error = query::<i64>(&database(&system), "SELECT count(*) FROM auth_user").unwrap_err();
    assert!(error.to_string().contains("database is locked"), "{error}");
    assert_eq!(get(&system, "/").0, 500);
}

#[test]
fn error_storm_fills_the_last_hour_of_both_logs() {
    let system = start(&[Fault::ErrorStorm]);
    let hour_ago = Utc::now() - TimeDelta::hours(1);
    let log = log_text(&system, "django_log");
    let recent = |level: &str| {
        let of_level = log.lines().filter(|line| line.starts_with(level));
        of_level.filter(|line| django_time(&system, line).is_some_and(|at| at > hour_ago)).count()
    };
    assert!(recent("ERROR ") > 200, "{}", recent("ERROR "));
    assert_eq!(recent("CRITICAL "), 1);
    assert!(log.contains("\nTraceback (most recent call last):\n  File "));
    assert!(log_text(&system, "apache_log").matches("[wsgi:error]").count() > 30);
}

#[test]
fn log_missing_stays_missing_while_the_worker_runs() {
    let system = start(&[Fault::LogMissing]);
    let activity = || query::<i64>(&database(&system), "SELECT count(*) FROM activity_log").unwrap();
    let before = activity();
    wait_until("a second of life", || activity() > before + 2);
    assert!(!Path::new(&site(&system, "django_log")).exists());
}

#[test]
fn backup_missing_leaves_the_day_before_as_the_latest() {
    let system = start(&[Fault::BackupMissing]);
    let files = backups(&system);
    assert_eq!((files.len(), name(&files[6])), (7, backup_name(&system, 2)));
    assert_eq!(name(&fs::read_link(latest(&system)).unwrap()), backup_name(&system, 2));
}

#[test]
fn backup_corrupt_does_not_unpack_though_its_size_is_right() {
    let (healthy, system) = (start(&[]), start(&[Fault::BackupCorrupt]));
    let size = |system: &System| fs::metadata(latest(system)).unwrap().len();
    assert!(unpacked(&latest(&system)).is_err());
    assert!(size(&system).abs_diff(size(&healthy)) < 2000, "{} and {}", size(&system), size(&healthy));
    assert!(unpacked(&backups(&system)[6]).is_ok(), "the older backups are whole");
}

#[test]
fn backup_truncated_breaks_off() {
    let system = start(&[Fault::BackupTruncated]);
    assert_eq!(unpacked(&latest(&system)).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn backup_small_is_a_valid_dump_of_a_database_without_rows() {
    let system = start(&[Fault::BackupSmall]);
    let dump = unpacked(&latest(&system)).unwrap();
    assert!(dump.contains("CREATE TABLE crm_ticket ") && dump.ends_with("COMMIT;\n"), "{dump}");
    assert!(!dump.contains("INSERT"));
}

#[test]
fn backup_empty_has_no_bytes() {
    let system = start(&[Fault::BackupEmpty]);
    assert_eq!(fs::metadata(latest(&system)).unwrap().len(), 0);
}

#[test]
fn latest_stale_points_to_the_oldest() {
    let system = start(&[Fault::LatestStale]);
    assert_eq!(name(&fs::read_link(latest(&system)).unwrap()), backup_name(&system, 8));
    assert!(latest(&system).exists());
}

#[test]
fn latest_dangling_points_to_nothing() {
    let system = start(&[Fault::LatestDangling]);
    assert!(latest(&system).is_symlink() && !latest(&system).exists());
}

#[test]
fn process_gone_leaves_the_other_two() {
    let system = start(&[Fault::ProcessGone]);
    let names = process_names(system.folder());
    assert_eq!(names, BTreeSet::from(["web_process", "database_process"].map(|key| site(&system, key))));
    assert!(!names.contains(&site(&system, "application_pattern")));
}

#[test]
fn disk_full_is_a_full_file_system_or_says_what_to_do() {
    match System::start(&[Fault::DiskFull], own_exe()) {
        Ok(system) => {
            let disk = PathBuf::from(site(&system, "disk_paths"));
            assert_ne!(disk, system.folder());
            let error = fs::write(disk.join("one-more"), [0; 8192]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            assert_eq!(rustix::fs::statvfs(&disk).unwrap().f_bavail, 0);
            let folder = system.folder().to_owned();
            drop(system);
            assert!(!folder.exists(), "unmounted and removed");
        }
        Err(error) => {
            assert!(matches!(error, DrillError::SmallDisk { .. }), "{error}");
            assert!(error.help().unwrap().contains("root"));
        }
    }
}

#[test]
fn faults_combine() {
    let system = start(&[Fault::SiteWrongPage, Fault::BackupMissing, Fault::LatestDangling, Fault::ProcessGone]);
    assert!(get(&system, "/").1.contains("Maintenance"));
    assert_eq!(backups(&system).len(), 7);
    assert!(!latest(&system).exists());
    assert_eq!(processes(system.folder()).len(), 2);
}
