//! The shipped procedures against the documents that they come from: nothing that a document names may get lost.

use chrono::{DateTime, Utc};
use opsctl::model::id::ProcedureId;
use opsctl::procedure::document::{Procedure, Work};
use opsctl::procedure::library::Library;
use opsctl::procedure::site::telling::Asked;
use opsctl::procedure::site::{PackRef, Site};
use opsctl::procedure::template::Vars;

fn helpdesk() -> (Library, Site) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("opsctl.yaml");
    let site = "site: test\npacks: [helpdesk]\nvars: { site_url: http://127.0.0.1/ }\n\
                databases: { helpdesk: { url: \"sqlite:///nowhere\" } }\n";
    std::fs::write(&file, site).expect("written");
    let site = Site::read(&file).expect("a site file without mistakes");
    let packs: Vec<&PackRef> = site.packs.iter().map(|listed| &listed.pack).collect();
    assert_eq!(packs, [&PackRef::Builtin("helpdesk".to_owned())]);
    let library = Library::open(&site, &Vars::new()).expect("a library");
    (library, site)
}

fn load(id: &str) -> Procedure {
    let (library, site) = helpdesk();
    let id: ProcedureId = id.parse().expect("an id");
    let loaded = library.load([&id], &site).map_err(|wrong| wrong.render(false));
    loaded.expect("a procedure without mistakes").remove(0)
}

/// Steps, schedule, budget in minutes, number of criteria and addressee of the escalation, as documented.
fn assert_documented(id: &str, steps: &[&str], schedule: &str, minutes: u64, criteria: usize) {
    let procedure = load(id);
    let ids: Vec<&str> = procedure.steps.iter().map(|step| step.id.as_str()).collect();
    for step in steps {
        assert!(ids.contains(step), "{id} lacks the documented step {step}: {ids:?}");
    }
    assert_eq!(procedure.schedule.as_deref(), Some(schedule));
    assert_eq!(procedure.budget, Some(std::time::Duration::from_mins(minutes)));
    assert_eq!(procedure.criteria.len(), criteria);
    assert_eq!(procedure.escalate.as_deref(), Some("it-team"));
    for criterion in &procedure.criteria {
        assert!(!criterion.proven_by.is_empty(), "nothing proves: {}", criterion.says);
    }
}

#[test]
fn basic_monitoring_has_every_documented_step_and_criterion() {
    let steps = [
        "http-home",
        "db-select-1",
        "apache-errors-24h",
        "django-errors-24h",
        "disk-free",
        "proc-apache",
        "proc-mysql",
        "proc-python",
        "proc-redis",
    ];
    assert_documented("daily/system-health", &steps, "0 8 * * *", 15, 5);
}

#[test]
fn the_backup_check_has_every_documented_step_and_criterion() {
    let steps = ["backup-yesterday-exists", "backup-dry-run-restore", "backup-size-normal"];
    assert_documented("daily/backup-check", &steps, "0 9 * * *", 10, 3);
}

// --- emergencies and security incidents ---

/// Steps and limits as documented; the criteria that the document states, and those that close its gaps.
fn assert_emergency(id: &str, steps: &[&str], minutes: u64, criteria: usize) {
    let procedure = load(id);
    let ids: Vec<&str> = procedure.steps.iter().map(|step| step.id.as_str()).collect();
    for step in steps {
        assert!(ids.contains(step), "{id} lacks the documented step {step}: {ids:?}");
    }
    assert_eq!(procedure.budget, Some(std::time::Duration::from_mins(minutes)), "{id}");
    assert_eq!(procedure.report.as_deref(), Some("emergency"), "{id}");
    assert!(procedure.original_title.is_some(), "{id} has a title in the document");
    assert!(procedure.criteria.len() >= criteria, "{id} lacks a documented criterion");
    for criterion in &procedure.criteria {
        assert!(!criterion.proven_by.is_empty() || criterion.clock.is_some(), "nothing proves: {}", criterion.says);
    }
    // The first criterion of each is its time.
    assert!(procedure.criteria[0].clock.is_some(), "{id}: the clock proves {}", procedure.criteria[0].says);
}

fn position(procedure: &Procedure, step: &str) -> usize {
    procedure.steps.iter().position(|known| known.id.as_str() == step).unwrap_or_else(|| panic!("no step {step}"))
}

/// They come in this order.
fn assert_order(id: &str, steps: &[&str]) {
    let procedure = load(id);
    let at: Vec<usize> = steps.iter().map(|step| position(&procedure, step)).collect();
    assert!(at.is_sorted(), "{id}: {steps:?} stand at {at:?}");
}

#[test]
fn an_outage_is_identified_with_every_documented_step() {
    let steps = [
        "confirm-outage",
        "svc-apache2",
        "svc-mysql",
        "proc-python",
        "log-apache-tail",
        "log-django-tail",
        "classify-severity",
        "escalate-it",
        "notify-users-outage",
    ];
    assert_emergency("emergency/outage-identify", &steps, 15, 3);
}

#[test]
fn service_is_restored_with_every_documented_step_evidence_first_and_from_the_bottom_up() {
    let steps = [
        "evidence-before-restart",
        "svc-apache2",
        "svc-mysql",
        "svc-redis",
        "disk",
        "memory",
        "restart-apache2",
        "restart-mysql",
        "restart-helped",
        "apache-configtest",
        "mysql-processlist",
        "db-damaged",
        "restore-latest",
        "test-login",
        "test-ticket-creation",
        "test-basic-functions",
        "notify-users-restored",
        "record-cause",
    ];
    assert_emergency("emergency/outage-restore", &steps, 120, 4);
    let order = [
        "evidence-before-restart",
        "mysql-processlist",
        "disk",
        "apache-configtest",
        "db-damaged",
        "restart-mysql",
        "restart-redis",
        "restart-apache2",
    ];
    assert_order("emergency/outage-restore", &order);
}

#[test]
fn data_loss_is_identified_with_every_documented_step() {
    let steps = [
        "django-check-deploy",
        "check-table-auth-user",
        "damaged-tables",
        "lost-data",
        "loss-time",
        "escalate-it",
        "escalate-management",
        "notify-users",
    ];
    assert_emergency("emergency/data-loss-identify", &steps, 30, 3);
}

#[test]
fn data_are_restored_with_every_documented_step_while_only_the_database_runs() {
    let steps = [
        "stop-apache2",
        "stop-mysql",
        "copy-damaged-db",
        "restore-latest",
        "django-check-deploy",
        "test-queries",
        "start-mysql",
        "start-apache2",
        "test-all-functions",
        "test-user-data",
        "test-tickets",
        "save-binlogs",
        "notify-users-restored",
        "flush-stale-cache",
    ];
    assert_emergency("emergency/data-restore", &steps, 240, 4);
    let order = [
        "choose-backup",
        "backup-whole",
        "stop-apache2",
        "stop-mysql",
        "copy-damaged-db",
        "save-binlogs",
        "start-mysql",
        "approve-restore",
        "restore-latest",
        "test-queries",
        "flush-stale-cache",
        "start-apache2",
        "test-all-functions",
    ];
    assert_order("emergency/data-restore", &order);
}

#[test]
fn a_security_incident_is_identified_with_every_documented_step() {
    let steps = [
        "log-security-words",
        "log-failed-logins",
        "attack-type",
        "damage-extent",
        "incident-priority",
        "escalate-management",
        "escalate-it",
        "escalate-security",
    ];
    assert_emergency("security/incident-identify", &steps, 30, 3);
}

#[test]
fn a_threat_is_neutralised_with_every_documented_step_and_evidence_is_kept_before() {
    let steps = [
        "isolation-needed",
        "stop-apache2",
        "lock-suspicious",
        "force-password-change",
        "upgrade-os",
        "upgrade-django",
        "notify-users-security",
    ];
    assert_emergency("security/incident-neutralise", &steps, 120, 4);
    let order = [
        "preserve-evidence",
        "accounts-to-lock",
        "stop-apache2",
        "lock-suspicious",
        "end-sessions",
        "recheck-indicators",
    ];
    assert_order("security/incident-neutralise", &order);
}

// --- who is told, and by when ---

/// Whom a step tells at this severity, and within how many minutes.
fn told(id: &str, step: &str, severity: &str) -> Vec<(String, Option<i64>)> {
    let procedure = load(id);
    let Work::Notify(notify) = &procedure.steps[position(&procedure, step)].work else {
        panic!("{step} of {id} tells nobody")
    };
    let since: DateTime<Utc> = "2026-11-21T02:40:00Z".parse().expect("a time");
    let policy = notify.escalation.as_deref();
    let asked = Asked { to: &notify.to, policy, severity: Some(severity), channel: None, since };
    let tracks = helpdesk().1.tracks(&asked).expect("a policy of the pack");
    let first = tracks.into_iter().map(|mut track| track.remove(0));
    first.map(|rung| (rung.to, rung.deadline.map(|deadline| (deadline - since).num_minutes()))).collect()
}

/// "At once" leaves time for a call.
const AT_ONCE: i64 = 5;

#[track_caller]
fn assert_told(id: &str, step: &str, severity: &str, expected: &[(&str, i64)]) {
    let told = told(id, step, severity);
    let expected: Vec<_> = expected.iter().map(|(to, within)| ((*to).to_owned(), Some(*within))).collect();
    assert_eq!(told, expected, "{id} {step} at {severity}");
}

#[test]
fn at_an_outage_everybody_is_told_in_the_time_of_its_severity() {
    let id = "emergency/outage-identify";
    assert_told(id, "escalate-it", "critical", &[("it-team", AT_ONCE), ("management", 15)]);
    assert_told(id, "escalate-it", "high", &[("it-team", 30)]);
    assert_told(id, "escalate-it", "medium", &[("it-team", 60)]);
    assert_told(id, "escalate-it", "low", &[("it-team", 240)]);
    assert_told(id, "notify-users-outage", "critical", &[("users", 30)]);
}

#[test]
fn at_a_data_loss_everybody_is_told_in_the_documented_time() {
    let id = "emergency/data-loss-identify";
    assert_told(id, "escalate-it", "critical", &[("it-team", AT_ONCE)]);
    assert_told(id, "escalate-management", "critical", &[("management", 15)]);
    assert_told(id, "notify-users", "critical", &[("users", 30)]);
}

#[test]
fn at_a_security_incident_everybody_is_told_at_once_whatever_its_priority() {
    let id = "security/incident-identify";
    for priority in ["critical", "high", "medium", "low"] {
        assert_told(id, "escalate-management", priority, &[("management", AT_ONCE)]);
        assert_told(id, "escalate-it", priority, &[("it-team", AT_ONCE)]);
    }
    assert_told(id, "escalate-security", "critical", &[("security-team", AT_ONCE)]);
}

#[test]
fn a_server_that_is_started_again_and_again_is_not_taken_for_one_that_runs() {
    for (id, steps) in [
        ("emergency/outage-identify", vec!["svc-apache2", "svc-mysql"]),
        ("emergency/outage-restore", vec!["svc-apache2", "svc-mysql", "svc-redis"]),
    ] {
        let procedure = load(id);
        for step in steps {
            let expected = &procedure.steps[position(&procedure, step)].expectations;
            assert!(expected.iter().any(|one| one.fact == "crash_loop"), "{id}: {step} expects {expected:?}");
        }
    }
}

#[test]
fn each_kind_of_emergency_is_led_through_both_halves_as_one_incident() {
    for (id, halves) in [
        ("emergency/outage", ["emergency/outage-identify", "emergency/outage-restore"]),
        ("emergency/data-loss", ["emergency/data-loss-identify", "emergency/data-restore"]),
        ("security/incident", ["security/incident-identify", "security/incident-neutralise"]),
    ] {
        let procedure = load(id);
        let called: Vec<String> = procedure.calls().map(ToString::to_string).collect();
        assert_eq!(called, halves, "{id}");
        assert_eq!(procedure.report.as_deref(), Some("emergency"), "{id}");
    }
}

#[test]
fn a_site_without_redis_and_packages_to_repair_needs_nothing_for_them() {
    let (library, _) = helpdesk();
    assert!(library.ids().count() > 9);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("opsctl.yaml");
    let site = "site: test\npacks: [helpdesk]\n\
                vars: { site_url: http://127.0.0.1/, cache_service: '', web_service: '', database_folder: '' }\n\
                databases: { helpdesk: { url: \"sqlite:///nowhere\" } }\n";
    std::fs::write(&file, site).expect("written");
    let site = Site::read(&file).expect("a site file without mistakes");
    let library = Library::open(&site, &Vars::new()).expect("a library");
    let all: Vec<&ProcedureId> = library.ids().collect();
    assert!(library.load(all, &site).map_err(|wrong| wrong.render(false)).is_ok());
}
