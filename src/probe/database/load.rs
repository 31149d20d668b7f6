//! Loading a dump: it streams into the client of the server, decompressed on the way, and the first error ends it.

use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::process::Stdio;

use super::connection::Connection;
use super::dump::{Dump, Sink};
use super::policy::{Inspector, Into};
use super::tool::Tool;
use super::{Target, within};
use crate::probe::ProbeError;
use crate::probe::backup::content::Kind;
use crate::probe::backup::decode::{Block, Bound, End};
use crate::probe::sql::statement::Dialect;

/// SQL that is executed at once, in a file of SQLite.
const BATCH: usize = 1 << 20;
/// A longer statement is refused.
const LONGEST_STATEMENT: usize = 256 << 20;

/// The command that takes a dump for `target`; `None` for SQLite, which is loaded without one.
///
/// # Errors
/// The client is not installed.
pub fn client(target: &Target) -> Result<Option<Tool>, ProbeError> {
    Ok(Some(match target.dialect() {
        // In binary mode, the client obeys no command of its own but `DELIMITER`.
        Dialect::MySql => Tool::find(&["mariadb", "mysql"])?
            .login(target)
            .arguments([
                "--batch",
                "--binary-mode",
                "--local-infile=0",
                "--connect-timeout=10",
                "--max-allowed-packet=1G",
                // As all dumps take it for granted until they set it themselves.
                "--init-command=SET SESSION sql_mode = ''",
            ])
            .argument(&target.database),
        Dialect::Postgres => Tool::find_postgresql("psql")?
            .arguments([
                "--no-psqlrc",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                "--single-transaction",
                "--output=/dev/null",
            ])
            .login(target)
            .argument(format!("--dbname={}", target.database))
            .argument("--file=-"),
        Dialect::Sqlite => return Ok(None),
    }))
}

/// Loads the whole dump, after `before`, SQL of this program. What is no longer as it was inspected ends it.
///
/// PostgreSQL and SQLite take all of it or nothing.
///
/// # Errors
/// The first error of the server; damage of the file; the bound. A client that was started is gone then.
pub async fn load(dump: &Dump, target: &Target, into: Into, before: &str, bound: &Bound) -> Result<(), ProbeError> {
    let inspector = Inspector::new(target.dialect(), into);
    match (client(target)?, dump.kind) {
        (Some(tool), _) => through(&tool, dump, inspector, before, bound).await,
        (None, Kind::SqliteDatabase) => copy(dump, target, bound).await,
        (None, _) => execute(dump, target, inspector, bound).await,
    }
}

async fn through(
    tool: &Tool,
    dump: &Dump,
    inspector: Inspector,
    before: &str,
    bound: &Bound,
) -> Result<(), ProbeError> {
    let mut client = tool.start(Stdio::piped(), Stdio::null())?;
    let pipe = client.stdin().ok_or_else(|| ProbeError::new("io", format!("{} has no input", tool.name())))?;
    let sink = Pipe { client: pipe, before: before.as_bytes().to_vec(), inspector, broken: false };
    match dump.stream(sink, bound).await.and_then(|(sink, end)| Ok((whole(dump, &sink.inspector, end)?, sink))) {
        Ok((Whole::Yes, sink)) => {
            // The end of its input tells the client to finish.
            drop(sink);
            client.end(bound).await
        }
        // The client ended first, and says why.
        Ok((Whole::Unwanted, sink)) => match client.end(bound).await {
            Ok(()) => {
                drop(sink);
                Err(ProbeError::new("tool_failed", format!("{} ended before the end of the dump", tool.name())))
            }
            Err(error) => Err(error),
        },
        Err(error) => {
            // Before its input ends, which would make it commit what it has.
            client.kill().await;
            Err(error)
        }
    }
}

enum Whole {
    Yes,
    Unwanted,
}

fn whole(dump: &Dump, inspector: &Inspector, end: Option<End>) -> Result<Whole, ProbeError> {
    let changed = |why: &str| {
        ProbeError::new("changed", format!("{} is not what it was a moment ago: {why}", dump.path.display()))
            .help("find out who writes to the backup")
    };
    match (inspector.found().first(), end) {
        (Some(finding), _) => Err(changed(&finding.what)),
        (None, Some(End::Damaged(why))) => Err(changed(&why)),
        (None, Some(End::Whole)) => Ok(Whole::Yes),
        (None, None) => Ok(Whole::Unwanted),
    }
}

struct Pipe {
    client: File,
    before: Vec<u8>,
    inspector: Inspector,
    broken: bool,
}

impl Sink for Pipe {
    fn take(&mut self, block: &mut Block) -> ControlFlow<()> {
        self.inspector.feed(block.content());
        if self.inspector.found().first().is_some() {
            return ControlFlow::Break(());
        }
        let before = std::mem::take(&mut self.before);
        self.broken = self.client.write_all(&before).and_then(|()| self.client.write_all(block.content())).is_err();
        if self.broken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// A copy of a database of SQLite, which is checked by SQLite itself.
async fn copy(dump: &Dump, target: &Target, bound: &Bound) -> Result<(), ProbeError> {
    let io = |error| ProbeError::io(&target.database, &error);
    let file = File::create(&target.database).map_err(io)?;
    let (sink, end) = dump.stream(Copy { file, error: None }, bound).await?;
    if let Some(error) = sink.error {
        return Err(io(error));
    }
    if let Some(End::Damaged(why)) = end {
        return Err(ProbeError::new("damaged", format!("{} {why}", dump.path.display())));
    }
    let mut connection = target.connect(bound).await?;
    let verdict = connection.text("PRAGMA integrity_check(1)").await?.unwrap_or_default();
    connection.close().await;
    if verdict == "ok" {
        return Ok(());
    }
    Err(ProbeError::new("damaged", format!("{} is damaged: {verdict}", dump.path.display())))
}

struct Copy {
    file: File,
    error: Option<std::io::Error>,
}

impl Sink for Copy {
    fn take(&mut self, block: &mut Block) -> ControlFlow<()> {
        match self.file.write_all(block.content()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// A dump of SQLite, without its command line program, which obeys commands that stand in the file.
async fn execute(dump: &Dump, target: &Target, inspector: Inspector, bound: &Bound) -> Result<(), ProbeError> {
    let connection = target.connect(bound).await?;
    let runtime = tokio::runtime::Handle::current();
    let sink = Execute { runtime, connection, pending: Vec::new(), complete: 0, inspector, error: None };
    let (mut sink, end) = dump.stream(sink, bound).await?;
    if let Some(error) = sink.error {
        return Err(error);
    }
    whole(dump, &sink.inspector, end)?;
    let rest = String::from_utf8_lossy(&sink.pending).into_owned();
    within(bound, "loading the dump", async { sink.connection.run(&rest).await }).await?;
    sink.connection.close().await;
    Ok(())
}

struct Execute {
    runtime: tokio::runtime::Handle,
    connection: Connection,
    pending: Vec<u8>,
    /// How much of it is whole statements.
    complete: usize,
    inspector: Inspector,
    error: Option<ProbeError>,
}

impl Execute {
    fn run(&mut self) -> Result<(), ProbeError> {
        let rest = self.pending.split_off(self.complete);
        let statements = std::mem::replace(&mut self.pending, rest);
        self.complete = 0;
        let text = String::from_utf8(statements)
            .map_err(|_| ProbeError::new("bad_statement", "the dump has text that is no UTF-8"))?;
        self.runtime.block_on(self.connection.run(&text)).map(drop)
    }
}

impl Sink for Execute {
    fn take(&mut self, block: &mut Block) -> ControlFlow<()> {
        let (before, mut end) = (self.pending.len(), None);
        self.inspector.feed_and(block.content(), |at| end = Some(at));
        self.pending.extend_from_slice(block.content());
        if let Some(end) = end {
            self.complete = before + end;
        }
        let result = match self.inspector.found().first() {
            Some(finding) => Err(ProbeError::new("changed", finding.what.clone())),
            None if self.complete >= BATCH => self.run(),
            None if self.pending.len() > LONGEST_STATEMENT => {
                Err(ProbeError::new("bad_statement", "the dump has a statement of more than 256 MiB"))
            }
            None => Ok(()),
        };
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}
