//! What came of a step, a criterion, a run; and the one function that makes an exit status of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// From best to worst: the worst one of several counts, whatever their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Looked; everything expected holds.
    Passed,
    /// Covered by a waiver with owner, reason and expiry.
    Waived,
    /// Not looked at, with the reason.
    Skipped,
    /// Waits for a person.
    Pending,
    /// Looked; something preferred does not hold.
    Warned,
    /// Could not look.
    Errored,
    /// Looked; something expected does not hold.
    Failed,
}

impl Outcome {
    pub const ALL: [Self; 7] =
        [Self::Passed, Self::Waived, Self::Skipped, Self::Pending, Self::Warned, Self::Errored, Self::Failed];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Waived => "waived",
            Self::Skipped => "skipped",
            Self::Pending => "pending",
            Self::Warned => "warned",
            Self::Errored => "errored",
            Self::Failed => "failed",
        }
    }

    /// The four letters at the start of a report's line.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Passed => "PASS",
            Self::Waived => "WAIV",
            Self::Skipped => "SKIP",
            Self::Pending => "WAIT",
            Self::Warned => "WARN",
            Self::Errored => "ERR ",
            Self::Failed => "FAIL",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why a step was skipped; decides whether that leaves its criterion unproven.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Its `when` was false: it does not apply, and counts for nothing.
    Condition,
    /// Left out by the operator's filter.
    Filter,
    /// A step that it needs did not pass.
    Need,
    /// The run was interrupted or out of time before it started.
    Stopped,
    /// It acts, or depends on what a person decides, and the run only looks.
    LookOnly,
    /// A dry run does not do this, or it depends on what a dry run does not do.
    Simulated,
    /// The operator left it out, with a reason.
    Operator,
    /// It was done and taken back: it proves nothing any more.
    TakenBack,
}

/// Whether a success criterion of the procedure holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Met,
    Unmet,
    NotProven,
}

impl Verdict {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Unmet => "unmet",
            Self::NotProven => "not proven",
        }
    }
}

/// The process's exit status, by the convention of the monitoring plugins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    Ok,
    Warned,
    Failed,
    /// Errored, bad file, bad flag, nothing selected, or the run could not be recorded.
    CouldNotTell,
    /// By SIGINT.
    Interrupted,
    /// By SIGTERM.
    Terminated,
}

impl Exit {
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warned => 1,
            Self::Failed => 2,
            Self::CouldNotTell => 3,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The status of a run with this outcome. `interrupted` wins over everything else.
    #[must_use]
    pub fn of(outcome: Outcome, interrupted: Option<Exit>) -> Self {
        if let Some(interrupted) = interrupted {
            return interrupted;
        }
        match outcome {
            Outcome::Passed | Outcome::Waived | Outcome::Skipped | Outcome::Pending => Self::Ok,
            Outcome::Warned => Self::Warned,
            Outcome::Failed => Self::Failed,
            Outcome::Errored => Self::CouldNotTell,
        }
    }

    /// The worse of two by number: a run that failed and could not be recorded reports that it could not tell.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        if self.code() >= other.code() { self } else { other }
    }
}
