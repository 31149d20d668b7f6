//! Folders with dated backups, and the pattern of their names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use chrono::{NaiveDate, TimeDelta};
use regex::Regex;
use walkdir::WalkDir;

use super::survey::{Findings, Machine, Step, Var, is_plain, unseen};

/// Where folders of backups are looked for; `*` is any folder.
const PLACES: &[&str] = &["", "var", "var/lib", "srv", "opt", "mnt", "root", "home", "home/*"];

/// Folders with other names are no backup folders.
const NAMES: &[&str] = &["dump", "dumps", "sqldumps"];

/// Files that the backup probe can read to their end.
const ENDINGS: &[&str] = &[".sql", ".dump", ".tar", ".tgz", ".gz", ".zst", ".xz", ".bz2", ".sqlite", ".sqlite3"];

/// How deep below a folder of backups, and how many entries there, are looked at.
const DEPTH: usize = 3;
const MOST_ENTRIES: usize = 20_000;
/// More series than these are no starter procedure.
const MOST_SERIES: usize = 20;
/// A larger file takes too long to be read in every check.
const READ_DAILY: u64 = 10 << 30;

/// Backups of one folder whose names differ in their dates only.
#[derive(Default)]
struct Series {
    files: BTreeMap<NaiveDate, PathBuf>,
    count: usize,
}

pub fn detect(machine: &Machine) -> Findings {
    let mut findings = Findings::default();
    let mut closed = BTreeSet::new();
    let mut all: BTreeMap<(PathBuf, String), Series> = BTreeMap::new();
    for folder in folders(machine, &mut closed) {
        if !collect(&folder, &mut all, &mut closed) {
            let shown = folder.display().to_string();
            findings.remarks.push(format!("{}: too many files; not all were looked at", shown.escape_debug()));
        }
    }
    if all.len() > MOST_SERIES {
        findings.remarks.push(format!("{} kinds of dated names; only the first {MOST_SERIES} are used", all.len()));
    }
    let mut ids = HashMap::new();
    for ((folder, pattern), series) in all.into_iter().take(MOST_SERIES) {
        match machine.name_of(&folder) {
            Some(name) => findings.add_series(machine, (&folder, &name), &pattern, &series, &mut ids),
            None => findings.remarks.push("backups in a folder whose name is a pattern were left out".to_owned()),
        }
    }
    findings.remarks.extend(unseen("what may be backups", &closed));
    findings
}

/// The folders whose names say that they hold backups.
fn folders(machine: &Machine, closed: &mut BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let (mut found, mut real): (Vec<PathBuf>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    for place in PLACES {
        let parents = match place.strip_suffix("/*") {
            Some(above) => subfolders(&machine.root.join(above), &mut BTreeSet::new()),
            None => vec![machine.root.join(place)],
        };
        let named = parents.iter().flat_map(|parent| subfolders(parent, closed)).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            name.contains("backup") || NAMES.contains(&name.as_str())
        });
        for folder in named {
            // Two places may lead to one folder, and one may lie in another.
            let target = fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone());
            if !real.iter().any(|known| target.starts_with(known)) {
                real.push(target);
                found.push(folder);
            }
        }
    }
    found
}

fn subfolders(folder: &Path, closed: &mut BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut paths: Vec<_> = match fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect(),
        Err(error) => {
            if error.kind() == ErrorKind::PermissionDenied {
                closed.insert(folder.to_owned());
            }
            Vec::new()
        }
    };
    paths.sort();
    paths
}

/// Sorts the files below `folder` into series; false when there are too many.
fn collect(folder: &Path, all: &mut BTreeMap<(PathBuf, String), Series>, closed: &mut BTreeSet<PathBuf>) -> bool {
    for (index, entry) in WalkDir::new(folder).max_depth(DEPTH).into_iter().enumerate() {
        if index >= MOST_ENTRIES {
            return false;
        }
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                if error.io_error().is_some_and(|error| error.kind() == ErrorKind::PermissionDenied) {
                    closed.extend(error.path().map(Path::to_owned));
                }
                continue;
            }
        };
        let dated = entry.file_name().to_str().and_then(dated);
        if let Some((pattern, date)) = dated.filter(|_| entry.file_type().is_file()) {
            let parent = entry.path().parent().unwrap_or(folder).to_owned();
            let series = all.entry((parent, pattern)).or_default();
            series.count += 1;
            series.files.insert(date, entry.into_path());
        }
    }
    true
}

/// The pattern of a backup's name, as strftime writes it, and the date in it.
fn dated(name: &str) -> Option<(String, NaiveDate)> {
    let lower = name.to_lowercase();
    if !is_plain(name) || !ENDINGS.iter().any(|ending| lower.ends_with(ending)) {
        return None;
    }
    let found = DATE.captures(name)?;
    let part = |letter| found.name(letter).map_or("", |part| part.as_str());
    let number = |letter| part(letter).parse().ok();
    let date = NaiveDate::from_ymd_opt(part("Y").parse().ok()?, number("m")?, number("d")?)?;
    let (start, end) = (found.name("Y")?.start(), found.name("after")?.start());
    let mut pattern = literal(&name[..start]);
    for (separator, letter) in [("", "Y"), ("s", "m"), ("t", "d"), ("u", "H"), ("v", "M"), ("w", "S")] {
        if found.name(letter).is_some() {
            pattern.extend([part(separator), "%", letter]);
        }
    }
    Some((pattern + &literal(&name[end..]), date))
}

/// Year, month and day, with or without separators, then perhaps a time; no digits around it.
static DATE: LazyLock<Regex> = LazyLock::new(|| {
    let date = r"(?<Y>20\d{2})(?<s>[-_.]?)(?<m>0[1-9]|1[0-2])(?<t>[-_.]?)(?<d>0[1-9]|[12]\d|3[01])";
    let time = r"(?<u>[-_.T]?)(?<H>[01]\d|2[0-3])(?<v>[-_.:]?)(?<M>[0-5]\d)(?:(?<w>[-_.:]?)(?<S>[0-5]\d))?";
    Regex::new(&format!(r"(?:^|\D){date}(?:{time})?(?<after>\D|$)")).expect("a regular expression")
});

/// A part of a name without a date, as a pattern: a long number is taken for one that changes.
fn literal(text: &str) -> String {
    const CHANGES: usize = 6;
    let mut pattern = String::new();
    for part in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        let (number, rest) = part.split_at(digits.len());
        pattern.push_str(if number.len() >= CHANGES { "*" } else { number });
        pattern.push_str(&rest.replace('%', "%%"));
    }
    pattern
}

impl Series {
    /// The usual number of days between two backups.
    fn cadence(&self) -> i64 {
        let days: Vec<&NaiveDate> = self.files.keys().rev().take(15).collect();
        let mut gaps: Vec<i64> = days.windows(2).map(|pair| (*pair[0] - *pair[1]).num_days()).collect();
        gaps.sort_unstable();
        gaps.get(gaps.len() / 2).copied().unwrap_or(1)
    }
}

impl Findings {
    /// `folder` with the machine's own name of it.
    fn add_series(
        &mut self,
        machine: &Machine,
        (folder, name): (&Path, &str),
        pattern: &str,
        series: &Series,
        ids: &mut HashMap<String, usize>,
    ) {
        let Some((&date, newest)) = series.files.last_key_value() else { return };
        let all = format!("{name}/{pattern}");
        if series.files.len() < 2 {
            self.remarks.push(format!("{all}: only one file is named like this, so it is not checked"));
            return;
        }
        let cadence = series.cadence();
        if machine.today - date > TimeDelta::days(30 + 3 * cadence) {
            self.remarks.push(format!("{all}: the newest is of {date}, so it is not checked; is it still made?"));
            return;
        }
        self.found.push(format!("{all}: {} files, the newest of {date}", series.count));
        let id = unique(&slug(folder), ids);
        let var = id.replace('-', "_");
        self.vars.extend([
            Var { name: format!("{var}_folder"), value: name.into(), about: "A folder of backups".to_owned() },
            Var {
                name: format!("{var}_name"),
                value: pattern.into(),
                about: "Their names, with the date as strftime writes it".to_owned(),
            },
        ]);
        let mut body = vec![
            "probe:".to_owned(),
            "  backup:".to_owned(),
            format!("    folder: \"{{{{ {var}_folder }}}}\""),
            format!("    name: \"{{{{ {var}_name }}}}\""),
            "    dated: newest".to_owned(),
        ];
        let intact = match (File::open(newest), fs::metadata(newest)) {
            (Ok(_), Ok(metadata)) if metadata.len() <= READ_DAILY => ", intact: true",
            (Ok(_), _) => {
                body.insert(0, "# Add `intact: true` where there is time to read it to its end.".to_owned());
                ""
            }
            (Err(_), _) => {
                self.remarks.push(format!("{all}: no permission to read, so only its age is checked"));
                ""
            }
        };
        body.extend([
            format!("expect: {{ exists: true, age: below {}h{intact} }}", cadence * 24 + 12),
            "next: make a backup now, then find out why there was none".to_owned(),
        ]);
        self.steps.push(Step { id, title: format!("There is a recent backup in {name}"), body });
    }
}

/// `backup` and the folder's name, as far as an id can hold it.
fn slug(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = std::iter::once("backup").chain(words.filter(|word| !word.starts_with("backup"))).collect();
    words.join("-").chars().take(40).collect()
}

fn unique(id: &str, ids: &mut HashMap<String, usize>) -> String {
    let count = ids.entry(id.to_owned()).or_default();
    *count += 1;
    if *count == 1 { id.to_owned() } else { format!("{id}-{count}") }
}

#[cfg(test)]
mod tests {
    use super::super::survey::tests::{machine, write};
    use super::*;

    fn pattern(name: &str) -> Option<String> {
        dated(name).map(|(pattern, _)| pattern)
    }

    #[test]
    fn the_pattern_of_a_dated_name_is_found() {
        for (name, expected) in [
            ("backup_20261120.sql.gz", "backup_%Y%m%d.sql.gz"),
            ("shop-2026-11-20.dump", "shop-%Y-%m-%d.dump"),
            ("20261120_031509.tar.zst", "%Y%m%d_%H%M%S.tar.zst"),
            ("db1-20261120031509.sql", "db1-%Y%m%d%H%M%S.sql"),
            ("2026-11-20T03:15.sql.xz", "%Y-%m-%dT%H:%M.sql.xz"),
            ("1795128122_2026_11_20_17.1.1_gitlab_backup.tar", "*_%Y_%m_%d_17.1.1_gitlab_backup.tar"),
            ("100%-20261120-7.tar", "100%%-%Y%m%d-7.tar"),
        ] {
            assert_eq!(pattern(name).as_deref(), Some(expected), "{name}");
        }
        for name in ["backup.sql.gz", "backup_20261320.sql", "backup_20260230.sql", "20261120.sha256", "a120261120.sql"]
        {
            assert_eq!(pattern(name), None, "{name}");
        }
    }

    #[test]
    fn folders_of_dated_backups_become_steps_by_their_cadence() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            &[
                "backups/database/backup_20261119.sql.gz",
                "backups/database/backup_20261120.sql.gz",
                "backups/database/backup_20261120.sql.gz.sha256",
                "backups/database/latest.sql.gz",
                "srv/shop/notes_20261120.tar",
                "home/anna/Backups/files-2026-11-08.tar",
                "home/anna/Backups/files-2026-11-15.tar",
                "opt/dumps/old-20240101.sql",
                "opt/dumps/old-20240102.sql",
                "var/backups/once-20261120.sql",
            ],
        );
        let findings = detect(&machine(folder.path()));
        assert_eq!(
            findings.found,
            [
                "/backups/database/backup_%Y%m%d.sql.gz: 2 files, the newest of 2026-11-20",
                "/home/anna/Backups/files-%Y-%m-%d.tar: 2 files, the newest of 2026-11-15",
            ]
        );
        let expects: Vec<_> = findings.steps.iter().map(|step| (step.id.as_str(), step.body[5].as_str())).collect();
        assert_eq!(
            expects,
            [
                ("backup-database", "expect: { exists: true, age: below 36h, intact: true }"),
                ("backup", "expect: { exists: true, age: below 180h, intact: true }"),
            ]
        );
        assert_eq!(
            findings.remarks,
            [
                "/opt/dumps/old-%Y%m%d.sql: the newest is of 2024-01-02, so it is not checked; is it still made?",
                "/var/backups/once-%Y%m%d.sql: only one file is named like this, so it is not checked",
            ]
        );
    }

    #[test]
    fn a_folder_with_two_names_is_found_once() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["home/backup/dumps/a-20261119.sql", "home/backup/dumps/a-20261120.sql"]);
        std::os::unix::fs::symlink("home/backup", folder.path().join("backups")).unwrap();
        let found = detect(&machine(folder.path())).found;
        assert_eq!(found, ["/backups/dumps/a-%Y%m%d.sql: 2 files, the newest of 2026-11-20"]);
    }

    #[test]
    fn two_series_in_one_folder_have_two_ids() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a-20261119.sql", "a-20261120.sql", "b-20261119.sql", "b-20261120.sql"];
        write(folder.path(), &files.map(|file| format!("backups/{file}")).each_ref().map(String::as_str));
        let ids: Vec<_> = detect(&machine(folder.path())).steps.into_iter().map(|step| step.id).collect();
        assert_eq!(ids, ["backup", "backup-2"]);
    }
}
