//! The grammar of expectations: `200`, `above 20%`, `not contains x`, `within 30% of median(14)`, `any of [...]`.
//!
//! Parsing needs the type of the fact, so that `on` is text for a text fact and an error for a number.

use super::fact::FactType;
use super::pattern::Pattern;
use super::unit::Quantity;

mod parse;
mod write;

/// What may be demanded of one fact.
#[derive(Clone, PartialEq, Debug)]
pub enum Condition {
    Is(Literal),
    OneOf(Vec<Literal>),
    /// Both ends included.
    Between(Quantity, Quantity),
    Limit(Relation, Quantity),
    /// A part of the text, or an item of the list.
    Contains(String),
    StartsWith(String),
    EndsWith(String),
    Matches(Pattern),
    /// Not further than this many percent from an earlier value, either way.
    Within {
        percent: f64,
        of: Earlier,
    },
    /// A limit at this many percent of an earlier value.
    Relative {
        relation: Relation,
        percent: f64,
        of: Earlier,
    },
    /// A limit on the change in one period; a percentage is relative to the earlier value.
    Changes {
        direction: Direction,
        relation: Relation,
        by: Quantity,
        per: Period,
    },
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

#[derive(Clone, PartialEq, Debug)]
pub enum Literal {
    Bool(bool),
    Integer(i64),
    Number(Quantity),
    Text(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// Which earlier values of the fact a history condition looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Earlier {
    Previous,
    /// The median of up to this many runs; needs at least half of them.
    Median(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Rises,
    Falls,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Period {
    Hour,
    Day,
    Week,
}

impl Period {
    #[must_use]
    pub fn seconds(self) -> f64 {
        match self {
            Self::Hour => 3600.0,
            Self::Day => 86_400.0,
            Self::Week => 604_800.0,
        }
    }
}

impl Relation {
    /// Whether `number` stands in this relation to `limit`.
    #[must_use]
    pub fn holds(self, number: f64, limit: f64) -> bool {
        match self {
            Self::Above => number > limit,
            Self::AtLeast => number >= limit,
            Self::Below => number < limit,
            Self::AtMost => number <= limit,
        }
    }
}

/// Why a text is not a condition for this fact.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConditionError {
    pub message: String,
    pub help: String,
}

impl ConditionError {
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// The words of limits, longest first; the first of each relation is the one that is printed.
const RELATIONS: &[(&str, Relation)] = &[
    ("above", Relation::Above),
    ("at least", Relation::AtLeast),
    ("below", Relation::Below),
    ("at most", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    (">", Relation::Above),
    ("<", Relation::Below),
];

impl Condition {
    /// Parses the written form of a condition on a fact of type `ty`.
    ///
    /// # Errors
    /// The text is no condition, or none that fits the type; `help` shows a right one.
    pub fn parse(text: &str, ty: FactType) -> Result<Self, ConditionError> {
        parse::condition(text.trim(), ty, 0)
    }

    /// Whether it needs earlier values of the fact.
    #[must_use]
    pub fn needs_history(&self) -> bool {
        match self {
            Self::Within { .. } | Self::Relative { .. } | Self::Changes { .. } => true,
            Self::Not(inner) => inner.needs_history(),
            Self::All(all) | Self::Any(all) => all.iter().any(Self::needs_history),
            Self::Is(_)
            | Self::OneOf(_)
            | Self::Between(..)
            | Self::Limit(..)
            | Self::Contains(_)
            | Self::StartsWith(_)
            | Self::EndsWith(_)
            | Self::Matches(_) => false,
        }
    }
}
