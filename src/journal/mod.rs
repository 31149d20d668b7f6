//! The journal: every run in one SQLite file, append-only and chained by hashes, so that a changed record shows.
//!
//! `docs/journal.md` says how it is stored and how to verify it without opsctl.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, SqliteConnection};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

mod append;
mod chain;
mod draw;
mod entry;
mod error;
mod history;
mod open;
mod outbox;
mod runs;
mod script;
mod verify;

pub use entry::Entry;
pub use error::{Break, JournalError, Problem};
pub use history::History;
pub use outbox::{Letter, Stage};
pub use runs::{Filter, Finished, RunSummary};
pub use verify::Verified;

/// How long a statement waits while another program writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a journal is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Creates the journal, and the folders above it, when it does not exist.
    Write,
    Read,
}

/// A handle on an open journal; clones share one connection.
#[derive(Clone, Debug)]
pub struct Journal {
    path: PathBuf,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug)]
struct Book {
    connection: SqliteConnection,
    /// Where this program left the chain, if nothing went wrong.
    end: Option<append::End>,
    /// The row where the history of the run that this program is recording ends.
    before: Option<i64>,
    /// Readings and streaks are drawn up to there.
    is_settled: bool,
    /// When the end of the chain was looked for, no clock of an escalation was running: whoever asks next need not look.
    is_nobody_due: bool,
}

impl Journal {
    pub async fn open(path: &Path, access: Access) -> Result<Self, JournalError> {
        let error = |problem| JournalError { path: path.to_owned(), problem };
        let absolute = std::path::absolute(path).map_err(|io| error(Problem::io(path, io)))?;
        let connection = open::open(&absolute, access).await.map_err(error)?;
        Ok(Self {
            path: absolute,
            book: Arc::new(Mutex::new(Book {
                connection,
                end: None,
                before: None,
                is_settled: false,
                is_nobody_due: false,
            })),
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the connection, if this is the last handle, and moves what was recorded into the main file. Without it
    /// nothing is lost: the next program that opens the journal does the same.
    pub async fn close(self) -> Result<(), JournalError> {
        let Some(book) = Arc::into_inner(self.book) else { return Ok(()) };
        let closed = book.into_inner().connection.close().await;
        closed.map_err(|error| JournalError { path: self.path, problem: error.into() })
    }

    async fn connection(&self) -> MappedMutexGuard<'_, SqliteConnection> {
        MutexGuard::map(self.book.lock().await, |book| &mut book.connection)
    }

    fn error(&self, problem: impl Into<Problem>) -> JournalError {
        JournalError { path: self.path.clone(), problem: problem.into() }
    }
}

/// Where the journal is when the site file does not say: `opsctl/journal.db` in `$XDG_STATE_HOME`, else
/// `/var/lib/opsctl/journal.db` for root and `~/.local/state/opsctl/journal.db` for others. `None` without a home.
#[must_use]
pub fn default_path() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let named = std::env::var_os("XDG_STATE_HOME").is_some_and(|folder| Path::new(&folder).is_absolute());
    if rustix::process::geteuid().is_root() && !named {
        return Some(PathBuf::from("/var/lib/opsctl/journal.db"));
    }
    let state = etcetera::base_strategy::Xdg::new().ok()?.state_dir()?;
    Some(state.join("opsctl/journal.db"))
}
