//! Error logs of known programs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use walkdir::WalkDir;

use super::survey::{Findings, Machine, Step, Var, unseen};

/// Logs that are searched for the same.
struct Kind {
    var: &'static str,
    id: &'static str,
    title: &'static str,
    about: &'static str,
    /// Where they are; a `*` stands within one folder.
    places: &'static [&'static str],
    /// What in their lines is an error, as inputs of the log probe.
    matching: &'static [&'static str],
}

const KINDS: &[Kind] = &[
    Kind {
        var: "web_error_logs",
        id: "web-errors",
        title: "The web server logged no errors in the last 24 hours",
        about: "Error logs of web servers",
        places: &["/var/log/{apache2,httpd,nginx,lighttpd}/*error{.log,_log}"],
        matching: &[r"match: '[:\[](error|crit|alert|emerg)\]'"],
    },
    Kind {
        var: "database_logs",
        id: "database-errors",
        title: "The database logged no errors in the last 24 hours",
        about: "Logs of database servers",
        places: &["/var/log/{mysql,mariadb}/*.log", "/var/log/mysqld.log", "/var/log/postgresql/*.log"],
        matching: &[r"match: '\[ERROR\]|\b(FATAL|PANIC):'"],
    },
    Kind {
        var: "application_logs",
        id: "application-errors",
        title: "The application logged no errors in the last 24 hours",
        about: "Logs of applications",
        places: &["/var/log/{,*/}*django*.log", "/var/log/{gunicorn,uwsgi,celery}{/*,*}.log"],
        matching: &[
            r"match: '\b(error|critical)\b'",
            "ignore_case: true",
            r#"except: ['\b(0|no) errors?\b', '(?i)"[A-Z]+ [^"]*error[^"]*"']"#,
        ],
    },
];

/// What the pack `host` reads.
const SYSTEM: &[&str] = &["/var/log/syslog", "/var/log/messages"];

/// More files than these are no list that a person reads.
const MOST: usize = 50;

pub fn detect(machine: &Machine) -> Findings {
    let mut findings = Findings::default();
    let mut closed = BTreeSet::new();
    let logs = Logs::below(machine, &mut closed);
    for kind in KINDS {
        let (mut names, mut odd) = (Vec::new(), 0_usize);
        for file in kind.places.iter().flat_map(|place| logs.at(place)) {
            match machine.name_of(file) {
                Some(name) if is_readable(file, &mut closed) => names.push(name),
                Some(_) => {}
                None => odd += 1,
            }
        }
        if odd > 0 {
            findings.remarks.push(format!("{}: {odd} with names that are patterns were left out", kind.about));
        }
        let undated = (machine.undated_logs)(&names);
        names.retain(|name| !undated.contains_key(name));
        findings.remarks.extend(undated.into_values());
        if names.len() > MOST {
            findings.remarks.push(format!("{}: {} files; only the first {MOST} are named", kind.about, names.len()));
            names.truncate(MOST);
        }
        findings.add_logs(kind, names);
    }
    for place in SYSTEM {
        if is_readable(&machine.path(place), &mut closed) {
            findings.found.push(format!("{place}, read by `daily host-health`"));
        }
    }
    findings.remarks.extend(unseen("these logs", &closed));
    findings
}

/// The files of `/var/log` and of the folders in it, with their paths from the root.
struct Logs(Vec<(PathBuf, PathBuf)>);

impl Logs {
    /// Folders that are closed to us are kept in `closed`, if logs that we look for may be in them.
    fn below(machine: &Machine, closed: &mut BTreeSet<PathBuf>) -> Self {
        let mut files = Vec::new();
        for entry in WalkDir::new(machine.path("/var/log")).min_depth(1).max_depth(2).sort_by_file_name() {
            match entry {
                Ok(entry) if !entry.file_name().to_string_lossy().contains("access") && entry.path().is_file() => {
                    files.push((machine.inside(entry.path()), entry.into_path()));
                }
                Ok(_) => {}
                Err(error) => {
                    let folder = error.path().unwrap_or(Path::new(""));
                    let any = Self(vec![(machine.inside(&folder.join("error.log")), PathBuf::new())]);
                    if KINDS.iter().flat_map(|kind| kind.places).any(|place| any.at(place).next().is_some()) {
                        closed.insert(folder.to_owned());
                    }
                }
            }
        }
        Self(files)
    }

    /// Those of one place, such as `/var/log/{a,b}/*.log`.
    fn at(&self, place: &str) -> impl Iterator<Item = &PathBuf> {
        let glob = GlobBuilder::new(place).literal_separator(true).empty_alternates(true).build();
        let matcher = glob.ok().map(|glob| glob.compile_matcher());
        let fits = move |inside: &Path| matcher.as_ref().is_some_and(|matcher| matcher.is_match(inside));
        self.0.iter().filter(move |(inside, _)| fits(inside)).map(|(_, file)| file)
    }
}

/// Whether a file is there and may be read; one that may not is kept in `closed`.
fn is_readable(file: &Path, closed: &mut BTreeSet<PathBuf>) -> bool {
    // Opening a pipe would wait for its writer.
    if !file.is_file() {
        return false;
    }
    match File::open(file) {
        Ok(_) => true,
        Err(error) => {
            if error.kind() == ErrorKind::PermissionDenied {
                closed.insert(file.to_owned());
            }
            false
        }
    }
}

impl Findings {
    fn add_logs(&mut self, kind: &Kind, names: Vec<String>) {
        if names.is_empty() {
            return;
        }
        let mut body = vec![
            "probe:".to_owned(),
            "  log:".to_owned(),
            format!("    file: \"{{{{ {} }}}}\"", kind.var),
            "    since: 24h".to_owned(),
        ];
        body.extend(kind.matching.iter().map(|line| format!("    {line}")));
        body.extend(["prefer: { matches: 0 }".to_owned(), "next: read the lines above".to_owned()]);
        self.found.extend(names.iter().cloned());
        self.steps.push(Step { id: kind.id.to_owned(), title: kind.title.to_owned(), body });
        self.vars.push(Var { name: kind.var.to_owned(), value: names.into(), about: kind.about.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::survey::tests::{machine, write};
    use super::*;

    #[test]
    fn logs_are_found_by_kind_without_rotated_and_access_logs() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            &[
                "var/log/nginx/error.log",
                "var/log/nginx/error.log.1",
                "var/log/nginx/access.log",
                "var/log/apache2/shop-error.log",
                "var/log/httpd/error_log",
                "var/log/postgresql/postgresql-16-main.log",
                "var/log/django.log",
                "var/log/shop/django-errors.log",
                "var/log/gunicorn/worker.log",
                "var/log/gunicorn/access.log",
                "var/log/syslog",
            ],
        );
        let findings = detect(&machine(folder.path()));
        let vars: Vec<_> = findings.vars.iter().map(|var| (var.name.as_str(), var.value.clone())).collect();
        let web = json!(["/var/log/apache2/shop-error.log", "/var/log/httpd/error_log", "/var/log/nginx/error.log"]);
        let application =
            json!(["/var/log/django.log", "/var/log/shop/django-errors.log", "/var/log/gunicorn/worker.log"]);
        assert_eq!(
            vars,
            [
                ("web_error_logs", web),
                ("database_logs", json!(["/var/log/postgresql/postgresql-16-main.log"])),
                ("application_logs", application),
            ]
        );
        assert_eq!(findings.steps.len(), 3);
        assert_eq!(findings.found.last().unwrap(), "/var/log/syslog, read by `daily host-health`");
        assert_eq!(findings.remarks, [""; 0]);
    }

    #[test]
    fn a_log_without_times_is_left_out_and_said() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["var/log/nginx/error.log", "var/log/nginx/shop-error.log"]);
        let mut here = machine(folder.path());
        here.undated_logs = |names| {
            let odd = names.iter().find(|name| name.contains("shop")).cloned();
            odd.map(|name| (name, "no times".to_owned())).into_iter().collect()
        };
        let findings = detect(&here);
        assert_eq!(findings.found, ["/var/log/nginx/error.log"]);
        assert_eq!(findings.remarks, ["no times"]);
    }

    #[test]
    fn a_name_that_is_a_pattern_is_left_out_and_said() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["var/log/nginx/error.log", "var/log/nginx/a[1]-error.log"]);
        let findings = detect(&machine(folder.path()));
        assert_eq!(findings.found, ["/var/log/nginx/error.log"]);
        assert_eq!(findings.remarks, ["Error logs of web servers: 1 with names that are patterns were left out"]);
    }
}
