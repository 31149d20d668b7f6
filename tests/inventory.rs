//! The shipped procedures against the documents that they come from: nothing that a document names may get lost.

use opsctl::model::id::ProcedureId;
use opsctl::procedure::document::Procedure;
use opsctl::procedure::library::Library;
use opsctl::procedure::site::{PackRef, Site};
use opsctl::procedure::template::Vars;

fn helpdesk() -> (Library, Site) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("opsctl.yaml");
    let site = "site: test\npacks: [helpdesk]\nvars: { site_url: http://127.0.0.1/ }\n\
                databases: { helpdesk: { url: \"sqlite:///nowhere\" } }\n";
    std::fs::write(&file, site).expect("written");
    let site = Site::read(&file).expect("a site file without mistakes");
    assert_eq!(site.packs, [PackRef::Builtin("helpdesk".to_owned())]);
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
