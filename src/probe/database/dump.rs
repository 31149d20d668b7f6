//! A dump in a file: what it is, what it would do, its content as a stream.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::policy::{Finding, Findings, Inspector, Into};
use super::tool::{Running, Tool};
use super::within;
use crate::probe::ProbeError;
use crate::probe::backup::content::{Content, Kind, Scanner};
use crate::probe::backup::decode::{Block, Bound, Compression, End, decode};
use crate::probe::sql::statement::Dialect;

/// An opened file: what replaces it under its name later does not matter.
pub struct Dump {
    pub path: PathBuf,
    pub kind: Kind,
    pub compression: Compression,
    pub size: u64,
    pub modified: SystemTime,
    file: File,
}

/// What is known of a dump that was read to its end.
pub struct Inspection {
    pub sha256: String,
    pub content: Content,
    /// What is wrong with the file, or why it does not go into such a server.
    pub trouble: Option<String>,
    pub findings: Findings,
}

impl Inspection {
    /// Why it must not be loaded.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let at = |found: &Finding| format!("line {} of the dump: {}", found.line, found.what);
        let other = self.findings.other.as_ref().map(at);
        // A file that is cut off also ends in the middle of something.
        let trouble = || self.trouble.as_ref().map(|why| format!("the backup {why}"));
        other.or_else(trouble).or_else(|| self.findings.foreign.as_ref().map(at))
    }
}

/// Takes the content of a dump block by block, on a thread that may block.
pub trait Sink: Send + 'static {
    /// `Break` when no more is wanted.
    fn take(&mut self, block: &mut Block) -> ControlFlow<()>;
}

impl Dump {
    /// Opens the file and finds out what it is.
    ///
    /// # Errors
    /// It is not there, is no file, or cannot be read.
    pub async fn open(path: &Path, bound: &Bound) -> Result<Self, ProbeError> {
        let (path, until) = (path.to_path_buf(), bound.clone());
        let opening = tokio::task::spawn_blocking(move || Self::opened(path, &until));
        within(bound, "opening the backup", async { opening.await.unwrap_or_else(|_| Err(ended())) }).await
    }

    fn opened(path: PathBuf, bound: &Bound) -> Result<Self, ProbeError> {
        let io = |error| ProbeError::io(path.display(), &error).help("check the path of the backup");
        let file = File::open(&path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(ProbeError::new("not_a_file", format!("{} is not a file", path.display()))
                .help("name one exact backup"));
        }
        let compression = Compression::of(&head(&file, Compression::None, bound).map_err(io)?);
        let kind = Kind::of(&head(&file, compression, bound).map_err(io)?);
        let modified = metadata.modified().map_err(io)?;
        Ok(Self { kind, compression, size: metadata.len(), modified, file, path })
    }

    /// Reads it to its end twice: for its checksum, and for what it holds.
    ///
    /// # Errors
    /// It cannot be read to its end: not in time, not by the programs that are here.
    pub async fn inspect(&self, dialect: Dialect, into: Into, bound: &Bound) -> Result<Inspection, ProbeError> {
        let sha256 = self.sha256(bound).await?;
        let look = Look { scanner: Scanner::new(&[]), inspector: Inspector::new(dialect, into) };
        let (look, end) = self.stream(look, bound).await?;
        let mut content = look.scanner.finish();
        // An archive shows itself as the SQL that it becomes.
        content.kind = self.kind;
        let mut trouble = self.misfit(dialect);
        if let Some(End::Damaged(why)) = end {
            trouble.get_or_insert(why);
        }
        if let Some(line) = self.kind.last_line().filter(|_| content.complete == Some(false)) {
            trouble.get_or_insert(format!("ends without the line `{line}`"));
        }
        if let Some(why) = content.trouble.take() {
            trouble.get_or_insert(why);
        }
        let is_sql = !matches!(self.kind, Kind::SqliteDatabase | Kind::Tar | Kind::Other);
        let findings = if is_sql { look.inspector.finish() } else { Findings::default() };
        Ok(Inspection { sha256, content, trouble, findings })
    }

    /// Why it cannot go into a server of that kind.
    fn misfit(&self, dialect: Dialect) -> Option<String> {
        let fits = match self.kind {
            Kind::MysqlDump => dialect == Dialect::MySql,
            Kind::PostgresqlDump | Kind::PostgresqlCluster => dialect == Dialect::Postgres,
            Kind::PostgresqlCustom => dialect == Dialect::Postgres && self.compression == Compression::None,
            Kind::SqliteDump | Kind::SqliteDatabase => dialect == Dialect::Sqlite,
            Kind::Tar | Kind::Other => false,
        };
        let wanted = match dialect {
            Dialect::MySql => "dump of MySQL or MariaDB",
            Dialect::Postgres => "dump of PostgreSQL",
            Dialect::Sqlite => "copy or dump of SQLite",
        };
        (!fits)
            .then(|| format!("is no {wanted} that can be recognised: its content is of the kind {}", self.kind.word()))
    }

    async fn sha256(&self, bound: &Bound) -> Result<String, ProbeError> {
        let plain = Source { file: self.reader()?, compression: Compression::None, process: None };
        let (Hash(hash), _) = flow(plain, Hash(Sha256::new()), bound).await?;
        Ok(hex(&hash.finalize()))
    }

    /// Shows its decompressed content, an archive as SQL. `None` when the sink wanted no more.
    ///
    /// # Errors
    /// It cannot be read to its end.
    pub async fn stream<S: Sink>(&self, sink: S, bound: &Bound) -> Result<(S, Option<End>), ProbeError> {
        flow(self.source()?, sink, bound).await
    }

    fn source(&self) -> Result<Source, ProbeError> {
        if self.kind != Kind::PostgresqlCustom || self.compression != Compression::None {
            return Ok(Source { file: self.reader()?, compression: self.compression, process: None });
        }
        let tool = Tool::find_postgresql("pg_restore")?.argument("--file=-");
        let mut process = tool.start(Stdio::from(self.reader()?), Stdio::piped())?;
        let file = process.stdout().ok_or_else(|| ProbeError::new("io", "pg_restore has no output"))?;
        Ok(Source { file, compression: Compression::None, process: Some(process) })
    }

    /// The file from its beginning, with a position of its own.
    fn reader(&self) -> Result<File, ProbeError> {
        // Reopened by its number, since a duplicate would share the position.
        use std::os::fd::AsRawFd as _;
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        File::open(own).map_err(|error| ProbeError::io(self.path.display(), &error))
    }
}

/// Where content comes from; the process that makes it, if one does.
struct Source {
    file: File,
    compression: Compression,
    process: Option<Running>,
}

async fn flow<S: Sink>(source: Source, mut sink: S, bound: &Bound) -> Result<(S, Option<End>), ProbeError> {
    let Source { file, compression, process } = source;
    let stop = bound.cancel.child_token();
    let inner = Bound { until: bound.until, cancel: stop.clone() };
    let thread = tokio::task::spawn_blocking(move || {
        let mut enough = false;
        let end = decode(file, compression, &inner, |block| {
            if !enough && sink.take(block).is_break() {
                enough = true;
                stop.cancel();
            }
        });
        let end = if enough { None } else { Some(end?) };
        Ok::<_, ProbeError>((sink, end))
    });
    let reading = async { thread.await.unwrap_or_else(|_| Err(ended())) };
    let (sink, end) = within(bound, "reading the backup", reading).await?;
    if end == Some(End::Whole)
        && let Some(process) = process
        && let Err(error) = process.end(bound).await
    {
        return if error.code == "tool_failed" { Ok((sink, Some(End::Damaged(error.message)))) } else { Err(error) };
    }
    Ok((sink, end))
}

fn ended() -> ProbeError {
    ProbeError::new("cancelled", "the program is ending")
}

/// The first bytes of the content.
fn head(file: &File, compression: Compression, bound: &Bound) -> std::io::Result<Vec<u8>> {
    use std::io::Seek as _;
    let mut file = file.try_clone()?;
    file.rewind()?;
    let stop = bound.cancel.child_token();
    let inner = Bound { until: bound.until, cancel: stop.clone() };
    let mut head = Vec::new();
    // What is wrong with the file shows when it is read to its end.
    let _ = decode(file, compression, &inner, |block| {
        if head.is_empty() {
            head = block.content()[..block.content().len().min(HEAD)].to_vec();
        }
        stop.cancel();
    });
    Ok(head)
}

/// As much as tells what a dump is.
const HEAD: usize = 4 << 10;

struct Hash(Sha256);

impl Sink for Hash {
    fn take(&mut self, block: &mut Block) -> ControlFlow<()> {
        self.0.update(block.content());
        ControlFlow::Continue(())
    }
}

struct Look {
    scanner: Scanner,
    inspector: Inspector,
}

impl Sink for Look {
    fn take(&mut self, block: &mut Block) -> ControlFlow<()> {
        self.inspector.feed(block.content());
        self.scanner.feed(block);
        ControlFlow::Continue(())
    }
}

#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}
