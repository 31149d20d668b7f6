//! The practice system's site file.

use std::fs;
use std::io;
use std::path::Path;

use super::control::CONTROL;
use super::setup::Setup;

pub(super) fn write(setup: &Setup, url: &str, own_exe: &Path) -> io::Result<()> {
    fs::write(setup.site_file(), text(setup, url, own_exe))
}

fn text(setup: &Setup, url: &str, own_exe: &Path) -> String {
    let [damaged, safety, evidence] = setup.kept();
    let command = |service: &str, verb: &str| {
        format!("[{}, {CONTROL}, {}, {service}, {verb}]", quoted(own_exe), quoted(&setup.root))
    };
    let managed = |service: &str| {
        let verbs = ["status", "start", "stop", "restart"];
        verbs.map(|verb| format!("    {verb}: {}\n", command(service, verb))).concat()
    };
    format!(
        "# Written by `opsctl drill`; gone when the drill ends.
site: drill
timezone: {timezone}
packs: [helpdesk]
vars:
  site_url: {url}
  apache_log: {apache_log}
  django_log: {django_log}
  backup_folder: {backup_folder}
  web_process: {web}
  database_process: {database_process}
  application_pattern: {worker}
  cache_process: \"\"
  disk_paths: {disk}
  web_service: helpdesk-web
  database_service: helpdesk-database
  cache_service: \"\"
  web_configuration_test: [\"true\"]
  process_list_query: PRAGMA database_list
  table_check: {check}
  application_check: []
  database_folder: {data}
  damaged_folder: {damaged}
  safety_folder: {safety}
  security_logs: [{django_log}, {apache_log}]
  log_folder: {logs}
  evidence_folder: {evidence}
  evidence_database_name: evidence_%Y%m%d_%H%M%S.db
services:
  helpdesk-web:
{web_service}  helpdesk-database:
{database_service}channels:
  practice: {{ file: {messages} }}
roles:
  it-team: {{ mail: it-team@example.com, channel: practice }}
  system-administrator: {{ mail: administrator@example.com, channel: practice }}
  management: {{ mail: management@example.com, channel: practice }}
  security-administrator: {{ mail: security-administrator@example.com, channel: practice }}
  security-team: {{ mail: security@example.com, channel: practice }}
  users: {{ mail: users@example.com, channel: practice }}
databases:
  helpdesk: {{ url: {database} }}
journal: {journal}
",
        timezone = setup.timezone.name(),
        messages = quoted(setup.logs().join("messages.jsonl")),
        apache_log = quoted(setup.apache_log()),
        django_log = quoted(setup.django_log()),
        backup_folder = quoted(setup.backups()),
        web = setup.process_name("web"),
        database_process = setup.process_name("database"),
        worker = setup.process_name("worker"),
        disk = quoted(setup.disk()),
        check = command("database", "check"),
        data = quoted(setup.data()),
        damaged = quoted(damaged),
        safety = quoted(safety),
        logs = quoted(setup.logs()),
        evidence = quoted(evidence),
        web_service = managed("web"),
        database_service = managed("database"),
        journal = quoted(setup.journal()),
        database = quoted(database_url(&setup.database())),
    )
}

/// A YAML scalar that is text whatever the path contains: JSON strings are YAML.
fn quoted(path: impl AsRef<Path>) -> String {
    serde_json::Value::from(path.as_ref().to_string_lossy()).to_string()
}

fn database_url(file: &Path) -> String {
    let path = file.to_string_lossy().replace('%', "%25").replace('?', "%3F").replace('#', "%23").replace(' ', "%20");
    format!("sqlite://{path}")
}
