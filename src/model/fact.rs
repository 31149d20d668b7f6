//! Facts: what a probe kind can report, and what a probe saw.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::unit::Dimension;
use super::value::Value;

/// The type of a fact, which decides the conditions that may be put on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FactType {
    Bool,
    /// A number without a unit.
    Count,
    Percent,
    Size,
    /// An amount of bytes that is also a percentage of a whole; both may be limited.
    SizeShare,
    Duration,
    /// Events a minute or a second.
    Rate,
    /// Bytes a second.
    Throughput,
    Text,
    /// A list of texts.
    Texts,
    /// Known only when looked at: an SQL value, a JSON path.
    Any,
}

impl FactType {
    /// Whether a limit in `dimension` may be put on a fact of this type.
    #[must_use]
    pub fn admits(self, dimension: Dimension) -> bool {
        match self {
            Self::Any => true,
            Self::Bool | Self::Text | Self::Texts => false,
            Self::Count => dimension == Dimension::Count,
            Self::Percent => dimension == Dimension::Percent,
            Self::Size => dimension == Dimension::Size,
            Self::SizeShare => matches!(dimension, Dimension::Percent | Dimension::Size),
            Self::Duration => dimension == Dimension::Time,
            Self::Rate => dimension == Dimension::Rate,
            Self::Throughput => dimension == Dimension::Throughput,
        }
    }

    /// The word that `opsctl explain` shows, with an example of a condition.
    #[must_use]
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::Bool => ("yes or no", "true"),
            Self::Count => ("number", "at most 10"),
            Self::Percent => ("percent", "above 20%"),
            Self::Size => ("size", "at least 512MiB"),
            Self::SizeShare => ("size and percent", "above 20%"),
            Self::Duration => ("duration", "below 2s"),
            Self::Rate => ("rate", "below 10/min"),
            Self::Throughput => ("throughput", "below 5MiB/s"),
            Self::Text => ("text", "contains ok"),
            Self::Texts => ("list", "contains ok"),
            Self::Any => ("any", "at most 10"),
        }
    }
}

/// The implied fact of kinds that ask a server: an answer came. The engine sets it to false when none came in time.
pub const ANSWERS: &str = "answers";

/// One fact that a probe kind can report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FactSpec {
    /// Lower case, words joined with `_`, no dot.
    pub name: &'static str,
    pub ty: FactType,
    /// A family has members named by the procedure (`json: { queue.depth: ... }`); each is a fact `family.member`.
    pub family: bool,
    /// Every step with an expectation also expects this yes-or-no fact to be true, unless it names this fact or one
    /// of these. For "the target answers at all", so that an outage is a failure and not an inability to look.
    pub implied: Option<&'static [&'static str]>,
    /// What happened since the newest earlier run of the step. Where there is none, nothing is expected of it.
    pub recent: bool,
    pub about: &'static str,
}

impl FactSpec {
    #[must_use]
    pub const fn new(name: &'static str, ty: FactType, about: &'static str) -> Self {
        Self { name, ty, family: false, implied: None, recent: false, about }
    }

    #[must_use]
    pub const fn family(name: &'static str, ty: FactType, about: &'static str) -> Self {
        Self { name, ty, family: true, implied: None, recent: false, about }
    }

    /// Of what happened since the newest earlier run.
    #[must_use]
    pub const fn recent(name: &'static str, ty: FactType, about: &'static str) -> Self {
        Self { name, ty, family: false, implied: None, recent: true, about }
    }

    /// What it means, for people.
    #[must_use]
    pub fn explained(&self) -> Cow<'static, str> {
        if self.recent {
            format!("{}. Nothing is expected of it in a first run", self.about).into()
        } else {
            self.about.into()
        }
    }

    #[must_use]
    pub const fn implied(name: &'static str, about: &'static str) -> Self {
        Self::implied_unless(name, &[], about)
    }

    /// Implied, but not where the step names one of `others`.
    #[must_use]
    pub const fn implied_unless(name: &'static str, others: &'static [&'static str], about: &'static str) -> Self {
        Self { name, ty: FactType::Bool, family: false, implied: Some(others), recent: false, about }
    }
}

/// The facts of one subject by name (`free`, `json.queue.depth`), in the order in which they read best.
pub type Facts = IndexMap<String, Value>;

/// One thing that was looked at: a mount, a log file, a host name.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Subject {
    pub name: String,
    pub facts: Facts,
    /// Why this subject could not be looked at (its facts may be partial); other subjects are not affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a person should know besides the facts: "connection refused", "held by mount /".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Facts that a thing of this nature does not have, such as inodes on vfat: nothing is expected of them. Not for
    /// what merely could not be seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inapplicable: Vec<String>,
}

impl Subject {
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), facts: Facts::new(), error: None, notes: Vec::new(), inapplicable: Vec::new() }
    }

    /// A subject that could not be looked at.
    #[must_use]
    pub fn unseen(name: impl Into<String>, error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::new(name) }
    }

    #[must_use]
    pub fn with(mut self, fact: impl Into<String>, value: Value) -> Self {
        self.set(fact, value);
        self
    }

    pub fn set(&mut self, fact: impl Into<String>, value: Value) {
        self.facts.insert(fact.into(), value);
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// What explains a verdict: log lines, rows, the largest files. Capped by who makes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    pub title: String,
    pub lines: Vec<String>,
    /// The same as rows of a table, where it is one: what `for_each` goes through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<serde_json::Map<String, serde_json::Value>>,
    /// How many more lines there were than are kept here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Evidence {
    #[must_use]
    pub fn new(title: impl Into<String>, lines: Vec<String>) -> Self {
        Self { title: title.into(), lines, rows: Vec::new(), left_out: 0 }
    }
}

/// What one look saw. Says nothing about good or bad.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Observation {
    pub subjects: Vec<Subject>,
    pub evidence: Vec<Evidence>,
}

impl From<Subject> for Observation {
    fn from(subject: Subject) -> Self {
        Self { subjects: vec![subject], evidence: Vec::new() }
    }
}
