//! The practice system's site file.

use std::fs;
use std::io;
use std::path::Path;

use super::setup::Setup;

pub(super) fn write(setup: &Setup, url: &str) -> io::Result<()> {
    fs::write(setup.site_file(), text(setup, url))
}

fn text(setup: &Setup, url: &str) -> String {
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
databases:
  helpdesk: {{ url: {database} }}
journal: {journal}
",
        timezone = setup.timezone.name(),
        apache_log = quoted(setup.apache_log()),
        django_log = quoted(setup.django_log()),
        backup_folder = quoted(setup.backups()),
        web = setup.process_name("web"),
        database_process = setup.process_name("database"),
        worker = setup.process_name("worker"),
        disk = quoted(setup.disk()),
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
