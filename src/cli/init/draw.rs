//! The files that are written, and what is said about them.

use std::fmt::Write as _;
use std::path::Path;

use super::survey::{Detector, Findings, Step, quoted};
use super::{PROCEDURE, PROCEDURE_SCHEMA, SITE_SCHEMA};

pub type Survey = [(&'static Detector, Findings)];

/// Whether a starter procedure is written beside the site file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Starter {
    Beside,
    None,
}

/// Whether the schemas are written beside the site file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Schema {
    Beside,
    Unknown,
}

/// What editors read; it must be the first line.
fn schema_line(file: &str, document: &str) -> String {
    format!(
        "# yaml-language-server: $schema={file}\n\
         # Editors complete and check by that; `opsctl schema {document}` prints a newer one.\n"
    )
}

/// The site file.
pub fn site(name: &str, timezone: chrono_tz::Tz, survey: &Survey, starter: Starter, schema: Schema) -> String {
    let head = match schema {
        Schema::Beside => schema_line(SITE_SCHEMA, "site"),
        Schema::Unknown => String::new(),
    };
    let (packs, about) = match starter {
        Starter::Beside => (
            "[host, ./procedures]",
            format!("# `./procedures` is for this site's own procedures; {PROCEDURE} checks\n# what was found here.\n"),
        ),
        Starter::None => ("[host]", "# Add `./procedures` for this site's own procedures.\n".to_owned()),
    };
    let mut text = format!(
        "{head}# Where this installation is and what belongs to it. `opsctl explain site` explains every key.\n\
         # Written by `opsctl init` from what was found; it is yours to change.\n\
         site: {}\ntimezone: {timezone}\n\n\
         # `host` checks the machine itself: disks, memory, load, processes, system log.\n{about}packs: {packs}\n",
        quoted(name)
    );
    let vars: Vec<_> = survey.iter().flat_map(|(_, findings)| &findings.vars).collect();
    if !vars.is_empty() {
        text.push_str("\n# Values for `{{ name }}` in the procedures.\nvars:\n");
    }
    for var in vars {
        writeln!(text, "  # {}\n  {}: {}", var.about, var.name, var.value).ok();
    }
    text.push_str(&databases(survey));
    text.push_str(
        "\n# Who is behind a role that a procedure names.\n\
         # roles:\n\
         #   it-team: { mail: it-team@example.com, phone: \"+48 123 456 790\", responds_within: 1h }\n\n\
         # Where runs are recorded, if not in the folder of the user who runs them.\n\
         # journal: sqlite:///var/lib/opsctl/journal.db\n",
    );
    text
}

/// Databases behind comment signs: how to log in cannot be found by looking.
fn databases(survey: &Survey) -> String {
    let mut text = String::new();
    for database in survey.iter().flat_map(|(_, findings)| &findings.databases) {
        if text.is_empty() {
            text.push_str(
                "\n# Databases that listen here. Remove the `#` here and in the procedure, and keep the URL, which holds a\n\
                 # password, in the environment variable or in a file: `url: { file: /etc/opsctl/database-url }`.\n\
                 # databases:\n",
            );
        }
        let variable = format!("{}_URL", database.name.to_uppercase().replace('-', "_"));
        writeln!(text, "#   # {}: {variable}='{}'", database.title, database.url).ok();
        writeln!(text, "#   {}: {{ url: {{ env: {variable} }} }}", database.name).ok();
    }
    text
}

/// The starter procedure; none if nothing was found that it could check.
pub fn procedure(survey: &Survey) -> Option<String> {
    let head = schema_line(&format!("../../{PROCEDURE_SCHEMA}"), "procedure");
    let mut text = head
        + "# opsctl daily services\n\
                    title: Services of this machine\n\
                    purpose: Show before working hours that what runs here can be used.\n\
                    schedule: { cron: \"0 8 * * *\" }\n\
                    budget: 30m\n\n\
                    steps:\n";
    let mut criteria = String::new();
    for (detector, findings) in survey {
        for step in &findings.steps {
            text.push_str(&drawn(step, "  "));
        }
        for database in &findings.databases {
            let step = Step {
                id: format!("{}-answers", database.name),
                title: format!("{} answers", database.title),
                body: vec![
                    format!("probe: {{ sql: {{ database: {}, query: SELECT 1 }} }}", database.name),
                    "expect: { value: 1 }".to_owned(),
                ],
            };
            text.push_str(&drawn(&step, "  # "));
        }
        let ids: Vec<&str> = findings.steps.iter().map(|step| step.id.as_str()).collect();
        if !ids.is_empty() {
            writeln!(criteria, "  - {{ says: {}, proven_by: [{}] }}", detector.says, ids.join(", ")).ok();
        }
    }
    (!criteria.is_empty()).then(|| format!("{text}criteria:\n{criteria}"))
}

/// A step as an item of a list, and an empty line; every line begins with `margin`.
fn drawn(step: &Step, margin: &str) -> String {
    let mut text = format!("{margin}- id: {}\n{margin}  title: {}\n", step.id, quoted(&step.title));
    for line in &step.body {
        writeln!(text, "{margin}  {line}").ok();
    }
    text + "\n"
}

/// What was found and written, and what to do next.
pub fn summary(name: &str, survey: &Survey, disks: &[String], written: &[&Path], site_file: &Path) -> String {
    let mut text = format!("Found on {name}:\n");
    let mut row = |label: &str, lines: &[String]| {
        for (index, line) in lines.iter().enumerate() {
            writeln!(text, "  {:<10} {line}", if index == 0 { label } else { "" }).ok();
        }
    };
    for (detector, findings) in survey {
        row(detector.name, &findings.found);
    }
    row("disks", disks);
    let remarks: Vec<_> = survey.iter().flat_map(|(_, findings)| &findings.remarks).collect();
    if !remarks.is_empty() {
        text.push_str("\nTo know:\n");
    }
    for remark in remarks {
        writeln!(text, "  - {remark}").ok();
    }
    text.push('\n');
    for file in written {
        writeln!(text, "Wrote {}", file.display()).ok();
    }
    let option =
        if site_file == Path::new(super::DEFAULT) { String::new() } else { format!(" --site {}", site_file.display()) };
    writeln!(text, "\nNext:\n  opsctl{option} lint\n  opsctl{option} daily check").ok();
    text
}

#[cfg(test)]
mod tests {
    use super::super::survey::{self, tests::machine, tests::write};
    use super::super::web::Answer;
    use super::*;
    use crate::cli::init::listeners::Listener;
    use crate::procedure::library::Library;
    use crate::procedure::site::Site;
    use crate::procedure::template::Vars;

    #[test]
    fn what_is_found_under_any_name_makes_valid_files() {
        let root = tempfile::tempdir().unwrap();
        let folder = r#"srv/it's a "backup": #1 - żółw"#;
        let files = ["db %d-20261119.sql.gz", "db %d-20261120.sql.gz", "'x'-20261119.tar", "'x'-20261120.tar"];
        write(root.path(), &files.map(|file| format!("{folder}/{file}")).each_ref().map(String::as_str));
        write(root.path(), &["var/log/nginx/- \"a\": 'b' #c error.log", "var/log/django.log", "var/log/mysqld.log"]);
        let mut here = machine(root.path());
        let any = std::net::Ipv4Addr::UNSPECIFIED.into();
        here.listeners = vec![
            Listener { address: any, port: 80, owner: Some("a: \"b\" #c".to_owned()) },
            Listener { address: any, port: 443, owner: None },
            Listener { address: any, port: 3306, owner: None },
        ];
        here.processes = ["nginx", "php-fpm8.3"].map(str::to_owned).into();
        here.ask = |url| Some(Answer { status: if url.starts_with("https:") { 404 } else { 200 } });
        let survey = survey::take(here);

        let site_folder = tempfile::tempdir().unwrap();
        write(site_folder.path(), &[PROCEDURE]);
        let site_file = site_folder.path().join("opsctl.yaml");
        std::fs::write(&site_file, site("a \"host\": #1", chrono_tz::UTC, &survey, Starter::Beside, Schema::Unknown))
            .unwrap();
        std::fs::write(site_folder.path().join(PROCEDURE), procedure(&survey).unwrap()).unwrap();

        let site = Site::read(&site_file).unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
        assert_eq!(site.name, "a \"host\": #1");
        let library = Library::open(&site, &Vars::new()).unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
        let procedures = library.load(library.ids(), &site).unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
        let services = procedures.iter().find(|procedure| procedure.id.name() == "services").expect("the starter");
        let ids: Vec<_> = services.steps.iter().map(|step| step.id.as_str()).collect();
        let expected = [
            "web-80",
            "web-443",
            "servers-run",
            "web-errors",
            "database-errors",
            "application-errors",
            "backup-it-s-a-1-w",
            "backup-it-s-a-1-w-2",
        ];
        assert_eq!(ids, expected);
        assert_eq!(services.criteria.len(), 4);
    }

    #[test]
    fn a_machine_on_which_nothing_was_found_has_no_starter_procedure() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(procedure(&survey::take(machine(root.path()))), None);
    }
}
