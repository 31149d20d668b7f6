//! What is found on a machine, by looking only: one list of detectors, each of which returns findings.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use chrono::NaiveDate;
use serde_json::Value as Json;

use super::listeners::Listener;
use super::web::Answer;
use super::{backup, database, log, process, web};

/// What the detectors look at.
pub struct Machine {
    /// `/`; in tests a folder that stands for it.
    pub root: PathBuf,
    pub today: NaiveDate,
    pub listeners: Vec<Listener>,
    /// The names of the running processes, as the kernel knows them: at most 15 characters.
    pub processes: BTreeSet<String>,
    /// Asks a web server on loopback; `None` when it does not speak HTTP.
    pub ask: fn(&str) -> Option<Answer>,
    /// Looks at logs; tells of those that cannot be searched by time why not, by their names.
    pub undated_logs: fn(&[String]) -> HashMap<String, String>,
}

/// What one detector found.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Findings {
    /// For people, one line each.
    pub found: Vec<String>,
    pub vars: Vec<Var>,
    pub databases: Vec<Database>,
    pub steps: Vec<Step>,
    /// What could not be seen, or is left to a person.
    pub remarks: Vec<String>,
}

/// A variable of the site file.
#[derive(Clone, PartialEq, Debug)]
pub struct Var {
    pub name: String,
    pub value: Json,
    pub about: String,
}

/// A database that waits for somebody to say how to log in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Database {
    pub name: String,
    pub title: String,
    /// The form of its URL, without a real user or password.
    pub url: String,
}

/// A step of the starter procedure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    pub id: String,
    pub title: String,
    /// The lines below the title, as YAML: comments, `probe`, `expect`, `prefer`, `next`.
    pub body: Vec<String>,
}

/// One way to find something.
pub struct Detector {
    /// What it finds, for people.
    pub name: &'static str,
    /// The criterion that its steps prove.
    pub says: &'static str,
    detect: fn(&Machine) -> Findings,
}

pub const DETECTORS: &[Detector] = &[
    Detector { name: "web", says: "The web servers answer", detect: web::detect },
    Detector { name: "databases", says: "The databases answer", detect: database::detect },
    Detector { name: "servers", says: "All servers run", detect: process::detect },
    Detector { name: "logs", says: "The logs have no errors", detect: log::detect },
    Detector { name: "backups", says: "There is a recent backup that can be read", detect: backup::detect },
];

/// A dead network mount below one of the places must not hold up the rest.
const LONGEST: Duration = Duration::from_secs(30);

/// Runs every detector, side by side, none longer than [`LONGEST`].
pub fn take(machine: Machine) -> Vec<(&'static Detector, Findings)> {
    let machine = Arc::new(machine);
    let running: Vec<_> = DETECTORS
        .iter()
        .map(|detector| {
            let (sender, receiver) = mpsc::channel();
            let machine = Arc::clone(&machine);
            std::thread::spawn(move || sender.send((detector.detect)(&machine)).ok());
            (detector, receiver)
        })
        .collect();
    let finish = |(detector, receiver): (&'static Detector, mpsc::Receiver<Findings>)| {
        let findings = receiver.recv_timeout(LONGEST).unwrap_or_else(|_| Findings {
            remarks: vec![format!("looking for {} took too long and was given up", detector.name)],
            ..Findings::default()
        });
        (detector, findings)
    };
    running.into_iter().map(finish).collect()
}

impl Machine {
    /// A path of the machine, below its root.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The machine's own name of a path below its root.
    pub fn inside(&self, path: &Path) -> PathBuf {
        Path::new("/").join(path.strip_prefix(&self.root).unwrap_or(path))
    }

    /// The same as text, if it can stand in a procedure: readable text that is neither
    /// a pattern nor a template.
    pub fn name_of(&self, path: &Path) -> Option<String> {
        self.inside(path).to_str().filter(|name| is_plain(name)).map(str::to_owned)
    }
}

/// Whether a name means only itself wherever it is written in a procedure.
pub fn is_plain(name: &str) -> bool {
    !name.chars().any(|c| c.is_control() || "*?[]{}\\".contains(c))
}

/// A remark on places that could not be looked at; none if there are none.
pub fn unseen(what: &str, places: &BTreeSet<PathBuf>) -> Option<String> {
    const SHOWN: usize = 5;
    let shown: Vec<String> =
        places.iter().take(SHOWN).map(|place| place.display().to_string().escape_debug().to_string()).collect();
    let more = if places.len() > SHOWN { format!(" and {} more", places.len() - SHOWN) } else { String::new() };
    (!places.is_empty()).then(|| format!("no permission to read {what}: {}{more}", shown.join(", ")))
}

/// A text as a YAML scalar that is text whatever it contains: JSON strings are YAML.
pub fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A machine whose root is `folder`, where nothing runs and nothing listens.
    pub fn machine(folder: &Path) -> Machine {
        Machine {
            root: folder.to_owned(),
            today: NaiveDate::from_ymd_opt(2026, 11, 21).unwrap(),
            listeners: Vec::new(),
            processes: BTreeSet::new(),
            ask: |_| None,
            undated_logs: |_| HashMap::new(),
        }
    }

    /// Writes files below `folder`, with the folders that they need.
    pub fn write(folder: &Path, files: &[&str]) {
        for file in files {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "content\n").unwrap();
        }
    }

    #[test]
    fn a_bare_machine_has_nothing_to_check() {
        let folder = tempfile::tempdir().unwrap();
        for (detector, findings) in take(machine(folder.path())) {
            assert_eq!(findings, Findings::default(), "{}", detector.name);
        }
    }

    #[test]
    fn names_that_would_be_patterns_or_templates_are_not_used() {
        let here = machine(Path::new("/somewhere"));
        assert_eq!(here.name_of(Path::new("/somewhere/var/a log.txt")).as_deref(), Some("/var/a log.txt"));
        for name in ["a*.log", "{{ a }}.log", "{% a %}", "a\nb", "a[1].log"] {
            assert_eq!(here.name_of(&Path::new("/somewhere").join(name)), None, "{name}");
        }
    }
}
