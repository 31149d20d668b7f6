//! The jobs that are written into crontabs, and those that cron takes no notice of.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::expression::When;

/// Tables with a column for the user.
const SYSTEM: &str = "/etc/crontab";
const SYSTEM_FOLDER: &str = "/etc/cron.d";

/// Users' tables: of Debian, and of others.
const USERS: [&str; 2] = ["/var/spool/cron/crontabs", "/var/spool/cron"];

/// A larger file is no crontab.
const LARGEST: u64 = 1024 * 1024;

#[derive(Clone, Debug)]
pub struct Job {
    /// `/etc/cron.d/backup:3`
    pub place: String,
    pub expression: String,
    /// `None` if cron cannot read the expression.
    pub when: Option<When>,
    pub user: String,
    pub command: String,
    /// Why cron takes no notice of it.
    pub ignored: Option<&'static str>,
}

/// All that could be read, and where it could not.
#[derive(Default, Debug)]
pub struct Crontabs {
    pub jobs: Vec<Job>,
    pub unread: Vec<String>,
}

/// Whose table it is.
#[derive(Clone, Copy)]
pub(crate) enum Column<'u> {
    /// Each line names the user.
    User,
    Of(&'u str),
}

impl Crontabs {
    pub fn read() -> Self {
        let mut all = Self::default();
        all.file(Path::new(SYSTEM), Column::User, None);
        for path in all.entries(Path::new(SYSTEM_FOLDER)) {
            let ignored = ignored(&path);
            all.file(&path, Column::User, ignored);
        }
        for folder in USERS {
            for path in all.entries(Path::new(folder)) {
                let user = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                all.file(&path, Column::Of(&user), None);
            }
        }
        all.jobs = std::mem::take(&mut all.jobs).into_iter().flat_map(|job| all.with_parts(job)).collect();
        all
    }

    /// The files of a folder, by name.
    fn entries(&mut self, folder: &Path) -> Vec<PathBuf> {
        match fs::read_dir(folder) {
            Ok(entries) => {
                let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
                paths.retain(|path| path.is_file());
                paths.sort();
                paths
            }
            Err(error) => {
                self.miss(folder, &error);
                Vec::new()
            }
        }
    }

    fn miss(&mut self, path: &Path, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {}
            io::ErrorKind::PermissionDenied => self.unread.push(format!("no permission to read {}", path.display())),
            _ => self.unread.push(format!("cannot read {}: {error}", path.display())),
        }
    }

    fn file(&mut self, path: &Path, column: Column<'_>, ignored: Option<&'static str>) {
        let text = path.metadata().and_then(|file| {
            if file.len() > LARGEST {
                return Err(io::Error::other("it is too large for a crontab"));
            }
            Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
        });
        match text {
            Ok(text) => self.jobs.extend(jobs(&text, path, column, ignored)),
            Err(error) => self.miss(path, &error),
        }
    }

    /// The job, and those of the folder that it runs as a whole with `run-parts`.
    fn with_parts(&mut self, job: Job) -> Vec<Job> {
        let mut words = job.command.split_whitespace().skip_while(|word| !word.ends_with("run-parts")).skip(1);
        let Some(folder) = words.find(|word| word.starts_with('/')) else { return vec![job] };
        let folder = PathBuf::from(folder.trim_end_matches([';', ')', '}']));
        let parts = self.entries(&folder).into_iter().map(|path| {
            let ignored = job.ignored.or_else(|| not_run(&path));
            Job { command: path.display().to_string(), ignored, ..job.clone() }
        });
        let parts: Vec<Job> = parts.collect();
        [vec![job], parts].concat()
    }
}

pub(crate) fn jobs(text: &str, path: &Path, column: Column<'_>, ignored: Option<&'static str>) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let (line, is_comment) = match line.strip_prefix('#') {
            Some(comment) => (comment.trim_start_matches('#').trim_start(), true),
            None => (line, false),
        };
        let Some((expression, rest)) = When::split(line).filter(|_| !is_setting(line)) else { continue };
        let (user, command) = match column {
            Column::Of(user) => (user, rest),
            Column::User => match rest.split_once([' ', '\t']) {
                Some((user, command)) => (user, command.trim_start()),
                None => continue,
            },
        };
        let when = When::parse(expression);
        if is_comment && when.is_none() {
            continue;
        }
        jobs.push(Job {
            place: format!("{}:{}", path.display(), index + 1),
            expression: expression.to_owned(),
            when,
            user: user.to_owned(),
            command: command.to_owned(),
            ignored: if is_comment { Some("it is commented out") } else { ignored },
        });
    }
    jobs
}

/// `PATH = /usr/bin`, which is no job.
fn is_setting(line: &str) -> bool {
    let name = line.split('=').next().unwrap_or_default().trim_end();
    line.contains('=') && !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn has_plain_name(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// Why cron takes no notice of a file of `/etc/cron.d`.
fn ignored(path: &Path) -> Option<&'static str> {
    if !has_plain_name(path) {
        return Some("cron takes no notice of a file with a dot or another sign in its name");
    }
    let file = path.metadata().ok()?;
    if file.uid() != 0 || file.mode() & 0o022 != 0 {
        return Some("cron takes no notice of a file that does not belong to root or that others may write");
    }
    None
}

/// Why `run-parts` leaves a file out.
fn not_run(path: &Path) -> Option<&'static str> {
    if !has_plain_name(path) {
        return Some("run-parts takes no notice of a file with a dot or another sign in its name");
    }
    let is_executable = path.metadata().is_ok_and(|file| file.mode() & 0o111 != 0);
    (!is_executable).then_some("it is not executable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_remarks_are_no_jobs_and_a_job_that_is_commented_out_is_known_as_such() {
        let text = "SHELL=/bin/sh\nPATH = /bin:/usr/bin\n# m h dom mon dow user command and more of it\n\
                    25 6 * * *\troot\t/usr/local/bin/backup --all\n#30 6 * * * root /usr/local/bin/copy\n99 * * * * root bad\n";
        let jobs = jobs(text, Path::new("/etc/crontab"), Column::User, None);
        let seen: Vec<_> = jobs.iter().map(|job| (job.place.as_str(), job.command.as_str(), job.ignored)).collect();
        assert_eq!(
            seen,
            [
                ("/etc/crontab:4", "/usr/local/bin/backup --all", None),
                ("/etc/crontab:5", "/usr/local/bin/copy", Some("it is commented out")),
                ("/etc/crontab:6", "bad", None),
            ]
        );
        assert_eq!((jobs[0].user.as_str(), jobs[0].expression.as_str()), ("root", "25 6 * * *"));
        assert!(jobs[2].when.is_none());
    }
}
