//! Jobs of cron and of timers, on a machine of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Europe::Warsaw;
use opsctl::model::fact::Subject;
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};

use crate::support::lab::again_inside;
use crate::support::look::Look;
use crate::support::server::wait_until;

const BACKUP: &str = "SHELL=/bin/sh\n30 2 * * *  root  /usr/local/bin/backup --all\n";

fn crontab(name: &str, text: &str) {
    fs::write(Path::new("/etc/cron.d").join(name), text).expect("a crontab");
}

/// The real cron, which has a process of its own.
fn start_cron() {
    assert!(Command::new("/usr/sbin/cron").status().expect("cron starts; scripts/setup installs it").success());
    let runs = || Command::new("pgrep").args(["-x", "cron"]).output().is_ok_and(|found| found.status.success());
    wait_until("cron", runs);
}

fn zone(name: &str) {
    fs::remove_file("/etc/localtime").ok();
    std::os::unix::fs::symlink(format!("/usr/share/zoneinfo/{name}"), "/etc/localtime").expect("a zone");
}

/// 12:00 in Warsaw on that day of November.
fn noon(day: u32) -> DateTime<Utc> {
    Warsaw.with_ymd_and_hms(2026, 11, day, 12, 0, 0).single().expect("a time").to_utc()
}

fn look(inputs: Json, now: DateTime<Utc>) -> Subject {
    Look::new("schedule", inputs).now(now).subject()
}

fn hours(subject: &Subject, fact: &str) -> f64 {
    let value = subject.facts.get(fact).unwrap_or_else(|| panic!("no {fact}: {subject:?}"));
    value.number_in(Dimension::Time).expect("a time") / 3600.0
}

fn is(subject: &Subject, fact: &str) -> Option<bool> {
    subject.facts.get(fact).map(|value| *value == Value::Bool(true))
}

fn touch(path: &str, at: DateTime<Utc>) {
    let file = fs::File::create(path).expect("a file");
    file.set_modified(at.into()).expect("its time");
}

#[test]
fn a_job_of_cron_is_found_by_its_command_and_tells_when_it_runs() {
    again_inside(&[], || {
        zone("Europe/Warsaw");
        crontab("backup", BACKUP);
        start_cron();
        let job = look(json!({ "cron": "/usr/local/bin/backup" }), noon(20));
        assert_eq!((is(&job, "defined"), is(&job, "scheduled")), (Some(true), Some(true)), "{job:?}");
        assert_eq!(job.facts["expression"], Value::text("30 2 * * *"));
        assert_eq!(job.facts["user"], Value::text("root"));
        assert!((hours(&job, "next_in") - 14.5).abs() < 1e-9 && (hours(&job, "period") - 24.0).abs() < 1e-9);
        assert!(!job.facts.contains_key("last_run_age") && !job.facts.contains_key("overdue"), "cron keeps no record");
        assert!(job.notes.contains(&"defined in /etc/cron.d/backup:2".to_owned()), "{job:?}");
    });
}

#[test]
fn cron_goes_by_the_zone_of_the_machine_and_not_by_that_of_the_site() {
    again_inside(&[], || {
        zone("America/New_York");
        crontab("backup", BACKUP);
        start_cron();
        // 12:00 in Warsaw is 06:00 in New York.
        assert!((hours(&look(json!({ "cron": "backup" }), noon(20)), "next_in") - 20.5).abs() < 1e-9);
    });
}

#[test]
fn a_job_is_not_scheduled_while_cron_does_not_run() {
    again_inside(&[], || {
        crontab("backup", BACKUP);
        let job = look(json!({ "cron": "backup" }), noon(20));
        assert_eq!((is(&job, "defined"), is(&job, "scheduled")), (Some(true), Some(false)), "{job:?}");
        assert!(job.notes.contains(&"cron does not run".to_owned()), "{job:?}");
    });
}

#[test]
fn a_job_that_nobody_defined_or_that_cron_takes_no_notice_of_is_not_defined_with_the_reason() {
    again_inside(&[], || {
        crontab("backup.sh", BACKUP);
        crontab("loose", "0 1 * * * root /usr/local/bin/import\n");
        fs::set_permissions("/etc/cron.d/loose", fs::Permissions::from_mode(0o666)).expect("rights");
        crontab("old", "#0 1 * * * root /usr/local/bin/copy\n");
        fs::write("/etc/cron.daily/report.sh", "#!/bin/sh\n").expect("a file");
        for (command, why) in [
            ("/usr/local/bin/backup", "/etc/cron.d/backup.sh:2: cron takes no notice of a file with a dot"),
            (
                "/usr/local/bin/import",
                "/etc/cron.d/loose:1: cron takes no notice of a file that does not belong to root",
            ),
            ("/usr/local/bin/copy", "/etc/cron.d/old:1: it is commented out"),
            ("cron.daily/report", "run-parts takes no notice of a file with a dot"),
            ("/usr/local/bin/nothing", "no job of this command"),
        ] {
            let job = look(json!({ "cron": command }), noon(20));
            assert_eq!((is(&job, "defined"), is(&job, "scheduled")), (Some(false), None), "{job:?}");
            assert!(job.notes.iter().any(|note| note.contains(why)), "{why}: {job:?}");
        }
    });
}

#[test]
fn users_jobs_and_those_of_whole_folders_are_found_and_a_line_that_cron_cannot_read_is_an_error() {
    again_inside(&[], || {
        start_cron();
        fs::create_dir_all("/var/spool/cron/crontabs").expect("a folder");
        fs::write("/var/spool/cron/crontabs/www-data", "@hourly /srv/shop/clean\n").expect("a crontab");
        let job = look(json!({ "cron": "shop/clean" }), noon(20));
        assert_eq!((&job.facts["user"], &job.facts["expression"]), (&Value::text("www-data"), &Value::text("@hourly")));
        fs::write("/etc/cron.daily/report", "#!/bin/sh\n").expect("a file");
        fs::set_permissions("/etc/cron.daily/report", fs::Permissions::from_mode(0o755)).expect("rights");
        let job = look(json!({ "cron": "^/etc/cron.daily/report$" }), noon(20));
        assert_eq!((is(&job, "defined"), &job.facts["user"]), (Some(true), &Value::text("root")), "{job:?}");
        crontab("wrong", "0 25 * * * root /usr/local/bin/wrong\n");
        let job = look(json!({ "cron": "bin/wrong" }), noon(20));
        assert_eq!(job.error.as_deref(), Some("cron cannot read `0 25 * * *` in /etc/cron.d/wrong:1"));
        crontab("twice", "0 1 * * * root /usr/bin/twin a\n0 2 * * * root /usr/bin/twin b\n");
        let seen = Look::new("schedule", json!({ "cron": "twin" })).run().expect("a look");
        let names: Vec<&str> = seen.subjects.iter().map(|subject| subject.name.as_str()).collect();
        assert_eq!(names, ["twin (/etc/cron.d/twice:1)", "twin (/etc/cron.d/twice:2)"]);
    });
}

#[test]
fn a_heartbeat_beside_cron_tells_whether_the_job_is_overdue() {
    again_inside(&[], || {
        zone("Europe/Warsaw");
        crontab("backup", BACKUP);
        start_cron();
        let inputs = json!({ "cron": "backup", "heartbeat": "/srv/done", "grace": "2h" });
        let never = look(inputs.clone(), noon(20));
        assert!(!never.facts.contains_key("overdue") && never.notes.iter().any(|note| note.contains("never came")));
        touch("/srv/done", noon(20) - Duration::from_hours(9));
        let job = look(inputs.clone(), noon(20));
        assert_eq!((is(&job, "overdue"), hours(&job, "last_run_age")), (Some(false), 9.0), "{job:?}");
        let next = look(inputs.clone(), noon(21));
        assert_eq!(is(&next, "overdue"), Some(true), "{next:?}");
        assert!(next.notes.iter().any(|note| note == "it should have run at 2026-11-21 02:30 CET"), "{next:?}");
        // At 03:30 it may still be at work.
        let early = look(inputs, noon(21) - Duration::from_mins(8 * 60 + 30));
        assert_eq!(is(&early, "overdue"), Some(false), "{early:?}");
    });
}

#[test]
fn users_crontabs_that_may_not_be_read_make_a_job_that_is_not_found_an_error() {
    again_inside(&[], || {
        fs::create_dir_all("/var/spool/cron/crontabs").expect("a folder");
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("rights");
        let yaml = "title: Job\nsteps:\n  - id: job\n    title: Job\n    \
                    probe: { schedule: { cron: nothing } }\n    expect: { defined: true }\n";
        fs::create_dir(folder.path().join("daily")).expect("a folder");
        fs::write(folder.path().join("daily/job.yaml"), yaml).expect("a file");
        let site = folder.path().join("opsctl.yaml");
        fs::write(&site, "site: test\ntimezone: UTC\npacks: [.]\njournal: /tmp/job-journal.db\n").expect("a file");
        let output = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--", crate::support::case::EXE])
            .args(["daily", "job", "--site"])
            .arg(&site)
            .output()
            .expect("the program starts");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(3), "{printed}{}", String::from_utf8_lossy(&output.stderr));
        assert!(printed.contains("no permission to read /var/spool/cron/crontabs"), "{printed}");
    });
}

#[test]
fn a_timer_tells_its_times_and_how_it_ended_and_when_it_is_overdue() {
    again_inside(&["dbus.service"], || {
        let folder = "/etc/systemd/system";
        fs::write(format!("{folder}/copy.service"), "[Service]\nType=oneshot\nExecStart=false\n").expect("a file");
        let timer = "[Timer]\nOnCalendar=*-*-* 02:30:00\n[Install]\nWantedBy=timers.target\n";
        fs::write(format!("{folder}/copy.timer"), timer).expect("a file");
        let systemctl = |args: &[&str]| Command::new("systemctl").args(args).status().expect("systemctl starts");
        systemctl(&["daemon-reload"]);
        let now = Utc::now();
        let before = look(json!({ "timer": "copy" }), now);
        assert_eq!((is(&before, "defined"), is(&before, "scheduled")), (Some(true), Some(false)), "{before:?}");
        assert_eq!(is(&before, "enabled"), Some(false));

        systemctl(&["enable", "--now", "copy.timer"]);
        systemctl(&["start", "copy.service"]);
        let timer = look(json!({ "timer": "copy.timer" }), now);
        assert_eq!((is(&timer, "scheduled"), is(&timer, "enabled")), (Some(true), Some(true)), "{timer:?}");
        assert_eq!((is(&timer, "last_ok"), is(&timer, "overdue")), (Some(false), Some(false)), "{timer:?}");
        assert_eq!(timer.facts["expression"], Value::text("*-*-* 02:30:00"));
        assert!(hours(&timer, "next_in") <= 25.0 && (23.0..=25.0).contains(&hours(&timer, "period")), "{timer:?}");
        assert!(!timer.facts.contains_key("last_run_age"), "it has not elapsed yet");
        assert!(timer.notes.contains(&"copy.service ended with exit-code".to_owned()), "{timer:?}");

        let late = look(json!({ "timer": "copy", "grace": "1h" }), now + Duration::from_hours(50));
        assert_eq!(is(&late, "overdue"), Some(true), "{late:?}");
        touch("/srv/copied", now);
        let beside = look(json!({ "timer": "copy", "heartbeat": "/srv/copied" }), now);
        assert_eq!((is(&beside, "overdue"), hours(&beside, "last_run_age")), (Some(false), 0.0), "{beside:?}");

        let unknown = look(json!({ "timer": "copi" }), now);
        assert_eq!(is(&unknown, "defined"), Some(false));
        assert!(unknown.notes[0].contains("did you mean copy.timer"), "{unknown:?}");
    });
}

#[test]
fn a_heartbeat_alone_is_overdue_by_what_the_step_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("done");
    let path = path.to_str().expect("a plain path");
    let inputs = json!({ "heartbeat": path, "every": "1h", "grace": "5m" });
    let none = look(inputs.clone(), noon(20));
    assert_eq!((is(&none, "defined"), is(&none, "overdue")), (Some(false), None), "{none:?}");
    touch(path, noon(20) - Duration::from_mins(64));
    assert_eq!(is(&look(inputs.clone(), noon(20)), "overdue"), Some(false));
    touch(path, noon(20) - Duration::from_mins(66));
    let late = look(inputs, noon(20));
    assert_eq!((is(&late, "defined"), is(&late, "overdue")), (Some(true), Some(true)), "{late:?}");
    assert!(late.inapplicable.contains(&"scheduled".to_owned()));
}

#[test]
fn the_time_that_is_written_in_a_heartbeat_counts_when_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("done");
    let inputs = json!({ "heartbeat": path, "stamp": true });
    for written in
        ["2026-11-20T10:00:00+00:00\n", "2026-11-20 11:00:00", "1795168800", "2026-11-20T10:00:00Z backup done"]
    {
        fs::write(&path, written).expect("a file");
        let subject = look(inputs.clone(), noon(20));
        assert_eq!((subject.error.as_deref(), hours(&subject, "last_run_age")), (None, 1.0), "{written}");
    }
    fs::write(&path, "done\n").expect("a file");
    let wrong = look(inputs, noon(20)).error.expect("an error");
    assert!(wrong.contains("has no time that can be read") && wrong.contains("date --iso-8601=seconds"), "{wrong}");
}

#[test]
fn a_heartbeat_of_the_future_is_an_error_and_not_young() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("done");
    touch(path.to_str().expect("a plain path"), noon(20) + Duration::from_hours(2));
    let error = look(json!({ "heartbeat": path }), noon(20)).error.expect("an error");
    assert!(error.contains("is 120 min in the future") || error.contains("is 2 h in the future"), "{error}");
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    let refused = |inputs: Json| Look::new("schedule", inputs).build().err().expect("it is refused").message;
    assert_eq!(refused(json!({})), "`schedule` needs the job to look for");
    assert_eq!(refused(json!({ "cron": "a", "timer": "b" })), "a job is one of cron or of a timer");
    assert_eq!(refused(json!({ "cron": ["a", "b"], "heartbeat": "/c" })), "one heartbeat is that of one job");
    assert_eq!(
        refused(json!({ "timer": "a", "every": "1h" })),
        "how often the job runs is what cron or the timer says"
    );
    assert!(refused(json!({ "timer": "a b" })).contains("is not the name of a unit"));
}
