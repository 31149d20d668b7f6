//! From a condition to its canonical written form, which parses back to the same condition.

use std::fmt;

use super::{Condition, Direction, Earlier, Literal, Period, RELATIONS, Relation};
use crate::model::fact::FactType;
use crate::model::unit::Quantity;

/// Quotes a text that would be read as something else.
fn quote(text: &str, ty: FactType) -> String {
    let harmless = !text.is_empty()
        && text == text.trim()
        && !text.contains(['[', ']', ',', '"', '\\'])
        && !text.contains(char::is_control)
        && Condition::parse(text, ty) == Ok(Condition::Is(Literal::Text(text.to_owned())));
    if harmless { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

impl Direction {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Rises => "rises",
            Self::Falls => "falls",
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = RELATIONS.iter().find(|(_, relation)| relation == self).map_or("", |(word, _)| word);
        f.write_str(word)
    }
}

impl fmt::Display for Earlier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Previous => f.write_str("previous"),
            Self::Median(count) => write!(f, "median({count})"),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        })
    }
}

/// Quoted wherever a bare text would be read as something else, for the widest type.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Integer(integer) => write!(f, "{integer}"),
            Self::Number(quantity) => write!(f, "{quantity}"),
            Self::Text(text) => f.write_str(&quote(text, FactType::Any)),
        }
    }
}

struct Items<'c, T>(&'c [T]);

impl<T: fmt::Display> fmt::Display for Items<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}

/// The canonical written form: parses back to the same condition.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(literal) => write!(f, "{literal}"),
            Self::OneOf(literals) => write!(f, "one of {}", Items(literals)),
            Self::Between(low, high) => write!(f, "{low}..{high}"),
            Self::Limit(relation, quantity) => write!(f, "{relation} {quantity}"),
            Self::Contains(text) => write!(f, "contains {}", quote(text, FactType::Text)),
            Self::StartsWith(text) => write!(f, "starts with {}", quote(text, FactType::Text)),
            Self::EndsWith(text) => write!(f, "ends with {}", quote(text, FactType::Text)),
            Self::Matches(pattern) => write!(f, "matches {}", quote(pattern.as_str(), FactType::Text)),
            Self::Within { percent, of } => write!(f, "within {} of {of}", Quantity::percent(*percent)),
            Self::Relative { relation, percent, of } => {
                write!(f, "{relation} {} of {of}", Quantity::percent(*percent))
            }
            Self::Changes { direction, relation, by, per } => {
                write!(f, "{} {relation} {by} per {per}", direction.word())
            }
            Self::Not(inner) => write!(f, "not {inner}"),
            Self::All(all) => write!(f, "all of {}", Items(all)),
            Self::Any(any) => write!(f, "any of {}", Items(any)),
        }
    }
}
