//! Earlier runs of a procedure, as the journal has them.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::id::RunId;
use super::outcome::Outcome;

/// What became of one procedure in one run, which may have run others too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastRun {
    pub run: RunId,
    pub began: DateTime<Utc>,
    /// `None` while it is at work or waits, and for ever when it was killed.
    pub ended: Option<Ended>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    pub at: DateTime<Utc>,
    /// Of the procedure, not of the whole run.
    pub outcome: Outcome,
    pub took: Duration,
}
