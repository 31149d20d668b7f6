//! For the tests, in debug builds alone: the program kills itself at an event of a run, as a power cut would.
//!
//! `OPSCTL_FAILPOINT=before:17` ends it when all events before the 17th of the run are on disk and whatever led to the
//! 17th has been done; `after:17` ends it when the 17th is on disk and nothing has followed from it.

use std::sync::OnceLock;

use rustix::process::{Signal, getpid, kill_process};

use crate::journal::{Entry, Journal};
use crate::model::id::RunId;

/// Writes no more than what comes before the failpoint, and ends the process, if the failpoint is among `entries`.
pub async fn reach(journal: &Journal, run: RunId, entries: Vec<Entry>) -> Vec<Entry> {
    let Some(last) = last_written() else { return entries };
    if entries.last().is_none_or(|entry| entry.seq < last.point) {
        return entries;
    }
    let kept = entries.into_iter().take_while(|entry| entry.seq <= last.seq).collect();
    journal.record(run, kept).await.ok();
    kill_process(getpid(), Signal::KILL).ok();
    Vec::new()
}

#[derive(Clone, Copy)]
struct Last {
    /// The event at which the program ends.
    point: u64,
    /// The last event that is written.
    seq: u64,
}

fn last_written() -> Option<Last> {
    static LAST: OnceLock<Option<Last>> = OnceLock::new();
    *LAST.get_or_init(|| {
        let given = std::env::var("OPSCTL_FAILPOINT").ok()?;
        let (moment, point) = given.split_once(':')?;
        let point: u64 = point.parse().ok()?;
        let seq = if moment == "before" { point.checked_sub(1)? } else { point };
        Some(Last { point, seq })
    })
}
