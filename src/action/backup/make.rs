//! Writing a backup, reading it to its end, and giving it its name.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::super::Context;
use super::format::{Content, Format};
use crate::model::fact::Subject;
use crate::model::value::Value;
use crate::probe::ProbeError;
use crate::probe::backup::check::{self, Depth};
use crate::probe::backup::decode::Bound;
use crate::probe::database::connection::literal;
use crate::probe::database::tool::{Failure, Tool, folder_of};
use crate::probe::database::{Target, space, within};
use crate::probe::sql::statement::Dialect;

pub enum Source {
    Database(Box<Target>),
    Folder(PathBuf),
}

/// One backup to be made.
pub struct Job {
    pub source: Source,
    /// Its whole path.
    pub path: PathBuf,
    pub format: Format,
}

pub struct Made {
    pub size: u64,
    pub sha256: String,
    pub took: Duration,
    pub tables: Option<u64>,
    /// What an archive of a folder does not have as it is now.
    pub notes: Vec<String>,
}

/// What GNU tar says of files that others changed while it read them: the archive is whole, and each of these files is
/// in it as far as it was read, or not at all.
const CHANGED: &[&str] = &["file changed as we read it", "File removed before we read it", "File shrank by "];
/// As many of them are named.
const MOST_NAMED: usize = 5;

impl Job {
    #[must_use]
    pub fn id(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What is written to until it is verified.
    fn part(&self) -> PathBuf {
        self.path.with_file_name(format!(".{}.part", self.id()))
    }

    /// Whether it can be made: the name is free, the disk has room for the whole source.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn check(&self, bound: &Bound) -> Result<Vec<String>, ProbeError> {
        let folder = folder_of(&self.path);
        if !folder.is_dir() {
            return Err(ProbeError::new("not_found", format!("there is no folder {}", folder.display()))
                .help("make it, for the user who runs opsctl alone"));
        }
        if self.path.symlink_metadata().is_ok() {
            return Err(ProbeError::new("exists", format!("{} exists already", self.path.display()))
                .help("put the time into the name, as %H%M%S; a backup is never overwritten"));
        }
        let (size, mut notes) = match &self.source {
            Source::Database(target) => self.database(target, bound).await?,
            Source::Folder(source) => (self.folder(source, bound).await?, Vec::new()),
        };
        notes.push(space::fits(folder, size)?);
        Ok(notes)
    }

    async fn database(&self, target: &Target, bound: &Bound) -> Result<(u64, Vec<String>), ProbeError> {
        let fits = match self.format.content {
            Content::Sql => target.dialect() != Dialect::Sqlite,
            Content::Custom => target.dialect() == Dialect::Postgres,
            Content::Sqlite => target.dialect() == Dialect::Sqlite,
            Content::Tar => false,
        };
        if !fits {
            return Err(ProbeError::new("refused", format!("{} cannot be written as {}", target.shown(), self.id()))
                .help(
                    "end the name in `.sql` for MySQL and PostgreSQL, in `.dump` for PostgreSQL, in `.db` for SQLite",
                ));
        }
        let mut connection = target.connect(bound).await?;
        let size = space::size(target, &mut connection).await?;
        let mut notes = Vec::new();
        if target.dialect() == Dialect::MySql {
            let other = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() \
                         AND table_type = 'BASE TABLE' AND engine <> 'InnoDB' LIMIT 10";
            let other = connection.texts(other).await?;
            if !other.is_empty() {
                notes.push(format!(
                    "not in one transaction with the others, as their engine knows none: {}",
                    other.join(", ")
                ));
            }
        }
        connection.close().await;
        Ok((size, notes))
    }

    async fn folder(&self, source: &Path, bound: &Bound) -> Result<u64, ProbeError> {
        if !source.is_dir() {
            return Err(ProbeError::new("not_found", format!("there is no folder {}", source.display())));
        }
        if self.path.starts_with(source) {
            let message = format!("{} would become a part of itself", self.path.display());
            return Err(ProbeError::new("refused", message).help("write it to a folder outside of `source`"));
        }
        let (source, until) = (source.to_path_buf(), bound.clone());
        let counting = tokio::task::spawn_blocking(move || {
            let files = walkdir::WalkDir::new(&source).same_file_system(true).into_iter();
            let sizes = files.take_while(|_| until.stop().is_none()).flatten().filter_map(|file| file.metadata().ok());
            sizes.filter(fs::Metadata::is_file).map(|file| file.len()).sum()
        });
        within(bound, "counting the files", async { Ok(counting.await.unwrap_or_default()) }).await
    }

    /// The commands, as a person would type them.
    ///
    /// # Errors
    /// A program is not installed.
    pub fn shown(&self) -> Result<Vec<String>, ProbeError> {
        let part = self.part();
        let write = match self.tool()? {
            Some(tool) => vec![format!("{}{} > {}", tool.shown(), self.format.shown(), part.display())],
            None => {
                let copy = format!("VACUUM INTO {}", literal(&self.copy().display().to_string()));
                vec![copy, format!("cat {}{} > {}", self.copy().display(), self.format.shown(), part.display())]
            }
        };
        let name = format!("mv --no-clobber {} {}", part.display(), self.path.display());
        Ok([write, vec![format!("read {} to its end", part.display()), name]].concat())
    }

    /// The program that writes it to its output; `None` for SQLite.
    fn tool(&self) -> Result<Option<Tool>, ProbeError> {
        let target = match &self.source {
            Source::Database(target) => target,
            Source::Folder(source) => {
                let name = source.file_name().map_or(".".into(), std::ffi::OsStr::to_string_lossy);
                let tar = Tool::find(&["tar"])?.arguments(["--create", "--file=-", "--one-file-system", "--sparse"]);
                return Ok(Some(
                    tar.argument(format!("--directory={}", folder_of(source).display())).arguments(["--", &name]),
                ));
            }
        };
        Ok(Some(match target.dialect() {
            Dialect::MySql => Tool::find(&["mariadb-dump", "mysqldump"])?
                .login(target)
                .arguments(["--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob"])
                .arguments(["--no-tablespaces", "--default-character-set=utf8mb4", "--"])
                .argument(&target.database),
            Dialect::Postgres => {
                let format = if self.format.content == Content::Custom { "custom" } else { "plain" };
                Tool::find_postgresql("pg_dump")?
                    .argument(format!("--format={format}"))
                    .arguments(["--lock-wait-timeout=30s"])
                    .login(target)
                    .argument(format!("--dbname={}", target.database))
            }
            Dialect::Sqlite => return Ok(None),
        }))
    }

    /// The copy that SQLite makes of its database, before it is compressed.
    fn copy(&self) -> PathBuf {
        self.path.with_file_name(format!(".{}.copy", self.id()))
    }

    /// Writes it, reads it to its end, and gives it its name. Nothing is left of one that failed.
    ///
    /// # Errors
    /// It cannot be made, or what was made is not whole.
    pub async fn make(&self, cx: &Context, bound: &Bound) -> Result<Made, ProbeError> {
        let begin = Instant::now();
        let part = Part(self.part());
        let io = |error| ProbeError::io(self.part().display(), &error);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part.0);
        let file = file.map_err(|error| {
            if error.kind() == std::io::ErrorKind::AlreadyExists {
                return ProbeError::new("exists", format!("{} exists: another backup is being made", part.0.display()))
                    .help("remove it if no other run is at work");
            }
            io(error)
        });
        let file = match file {
            Ok(file) => file,
            Err(error) => {
                part.keep();
                return Err(error);
            }
        };
        let (sha256, size, notes) = self.write(file, bound).await?;
        let tables = self.verify(&part.0, cx, bound).await?;
        renameat_with(CWD, &part.0, CWD, &self.path, RenameFlags::NOREPLACE).map_err(|error| {
            ProbeError::new("exists", format!("{} cannot get its name: {error}", self.path.display()))
        })?;
        part.keep();
        File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all()).map_err(io)?;
        Ok(Made { size, sha256, took: begin.elapsed(), tables, notes })
    }

    /// Its checksum, its size, and what should be known of it.
    async fn write(&self, file: File, bound: &Bound) -> Result<(String, u64, Vec<String>), ProbeError> {
        let writer = self.format.writer(file).map_err(|error| ProbeError::io(self.part().display(), &error))?;
        if let (Source::Database(target), None) = (&self.source, self.tool()?) {
            let copy = Part(self.copy());
            let mut connection = target.connect(bound).await?;
            connection.run(&format!("VACUUM INTO {}", literal(&copy.0.display().to_string()))).await?;
            connection.close().await;
            let from = File::open(&copy.0).map_err(|error| ProbeError::io(copy.0.display(), &error))?;
            let (sha256, size) = pump(from, writer, &self.part(), bound).await?;
            return Ok((sha256, size, Vec::new()));
        }
        let Some(tool) = self.tool()? else { return Err(ProbeError::new("refused", "there is nothing to back up")) };
        let mut running = tool.start(Stdio::null(), Stdio::piped())?;
        let from = running.stdout().ok_or_else(|| ProbeError::new("io", format!("{} has no output", tool.name())))?;
        let (sha256, size) = match pump(from, writer, &self.part(), bound).await {
            Ok(pumped) => pumped,
            Err(error) => {
                running.kill().await;
                return Err(error);
            }
        };
        let notes = match running.wait(bound).await? {
            None => Vec::new(),
            Some(failure) => self
                .changed_meanwhile(&failure)
                .ok_or_else(|| failure.error_but(|line| is_change(line) || line.ends_with("due to previous errors")))?,
        };
        Ok((sha256, size, notes))
    }

    /// Which files changed while they were read, if that alone is what tar's exit status 1 is about. Logs grow, in an
    /// incident most of all: that must not keep anybody from an archive of them.
    fn changed_meanwhile(&self, failure: &Failure) -> Option<Vec<String>> {
        if !matches!(self.source, Source::Folder(_)) || failure.status.code() != Some(1) {
            return None;
        }
        let changed: Vec<&str> = failure.lines().filter(|line| is_change(line)).collect();
        let more = match changed.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let named = changed.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join("; ");
        (!changed.is_empty()).then(|| vec![format!("not all of one moment: {named}{more}")])
    }

    /// Reads the backup to its end; how many tables it holds.
    async fn verify(&self, part: &Path, cx: &Context, bound: &Bound) -> Result<Option<u64>, ProbeError> {
        let wanted = match &self.source {
            Source::Folder(_) => Vec::new(),
            Source::Database(target) => {
                let mut connection = target.connect(bound).await?;
                let tables = space::tables(&mut connection).await?;
                connection.close().await;
                tables
            }
        };
        let mut seen = Subject::new(self.id());
        check::look(part, &wanted, Depth::Whole, &cx.look, bound, &mut seen).await?;
        let is_whole = seen.facts.get("intact") == Some(&Value::Bool(true));
        let missing = seen.facts.get("tables_missing").is_some_and(|missing| *missing != Value::count(0));
        if !is_whole || missing {
            let message = format!("the backup of {} is not whole: {}", self.path.display(), seen.notes.join("; "));
            return Err(ProbeError::new("not_verified", message).help("it was removed; make it again"));
        }
        Ok(match seen.facts.get("table_count") {
            Some(Value::Integer(tables)) => u64::try_from(*tables).ok(),
            _ => None,
        })
    }
}

fn is_change(line: &str) -> bool {
    CHANGED.iter().any(|change| line.contains(change))
}

/// Copies into the writer, on a thread that may block.
async fn pump(
    mut from: File,
    mut writer: super::format::Writer,
    place: &Path,
    bound: &Bound,
) -> Result<(String, u64), ProbeError> {
    let (until, place) = (bound.clone(), place.to_path_buf());
    let copying = tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; 256 << 10];
        let io = |error| ProbeError::io(place.display(), &error);
        loop {
            if let Some(stop) = until.stop() {
                return Err(stop.into());
            }
            match from.read(&mut buffer).map_err(io)? {
                0 => return writer.finish().map_err(io),
                read => writer.write_all(&buffer[..read]).map_err(io)?,
            }
        }
    });
    let copying =
        async { copying.await.unwrap_or_else(|_| Err(ProbeError::new("cancelled", "the program is ending"))) };
    within(bound, "writing the backup", copying).await
}

/// A file that is removed unless it is kept.
struct Part(PathBuf);

impl Part {
    fn keep(mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            fs::remove_file(&self.0).ok();
        }
    }
}
