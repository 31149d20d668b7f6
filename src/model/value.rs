//! What a fact can be.

use std::fmt;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::unit::{Dimension, Quantity};

/// One observed value. There is no null: what is not there is a missing fact.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Bool(bool),
    /// Exact, without a unit.
    Integer(i64),
    Number(Quantity),
    /// An amount and its share of a whole, such as free bytes of a disk: compares as percent and as amount.
    Share {
        percent: f64,
        amount: Quantity,
    },
    Text(String),
    List(Vec<Value>),
}

impl Value {
    /// Without units: in base units, a share as its percentage.
    #[must_use]
    pub fn plain(&self) -> serde_json::Value {
        match self {
            Self::Bool(flag) => (*flag).into(),
            Self::Integer(integer) => (*integer).into(),
            Self::Number(quantity) => quantity.amount().into(),
            Self::Share { percent, .. } => (*percent).into(),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::plain).collect(),
        }
    }

    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    #[must_use]
    pub fn bytes(amount: u64) -> Self {
        Self::Number(Quantity::bytes(amount))
    }

    #[must_use]
    pub fn duration(amount: Duration) -> Self {
        Self::Number(Quantity::duration(amount))
    }

    #[must_use]
    pub fn percent(amount: f64) -> Self {
        Self::Number(Quantity::percent(amount))
    }

    /// A count that may exceed `i64`: exact where it can be.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "only beyond i64")]
    pub fn count(count: u64) -> Self {
        i64::try_from(count).map_or_else(|_| Self::Number(Quantity::count(count as f64)), Self::Integer)
    }

    /// `part` of `whole` bytes; 0 % of nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no exact bytes")]
    pub fn share(part: u64, whole: u64) -> Self {
        let percent = if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 };
        Self::Share { percent, amount: Quantity::bytes(part) }
    }

    /// A JSON value as a fact; `None` for null, which counts as missing. An object becomes its JSON text.
    #[must_use]
    pub fn from_json(json: &serde_json::Value) -> Option<Self> {
        use serde_json::Value as Json;
        Some(match json {
            Json::Null => return None,
            Json::Bool(flag) => Self::Bool(*flag),
            Json::Number(number) => match number.as_i64() {
                Some(integer) => Self::Integer(integer),
                None => Self::Number(Quantity::count(number.as_f64().unwrap_or(f64::NAN))),
            },
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => Self::List(items.iter().filter_map(Self::from_json).collect()),
            Json::Object(_) => Self::Text(json.to_string()),
        })
    }

    /// The finite number in `dimension`, if this value has one there. Text is never a number.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "integers are compared exactly before this is asked")]
    pub fn number_in(&self, dimension: Dimension) -> Option<f64> {
        let number = match self {
            Self::Integer(integer) if dimension == Dimension::Count => Some(*integer as f64),
            Self::Number(quantity) if quantity.dimension() == dimension => Some(quantity.amount()),
            Self::Share { percent, .. } if dimension == Dimension::Percent => Some(*percent),
            Self::Share { amount, .. } if amount.dimension() == dimension => Some(amount.amount()),
            Self::Bool(_) | Self::Integer(_) | Self::Number(_) | Self::Share { .. } | Self::Text(_) | Self::List(_) => {
                None
            }
        };
        number.filter(|number| number.is_finite())
    }

    /// The number that history keeps of this value, with its dimension; a share keeps its amount.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "history compares magnitudes")]
    pub fn history_number(&self) -> Option<Quantity> {
        let quantity = match self {
            Self::Integer(integer) => Some(Quantity::count(*integer as f64)),
            Self::Number(quantity) => Some(*quantity),
            Self::Share { amount, .. } => Some(*amount),
            Self::Bool(_) | Self::Text(_) | Self::List(_) => None,
        };
        quantity.filter(|quantity| quantity.amount().is_finite())
    }
}

/// For people: rounded, one line.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Integer(integer) => write!(f, "{integer}"),
            Self::Number(quantity) => f.write_str(&quantity.rounded()),
            Self::Share { percent, amount } => {
                write!(f, "{} ({})", Quantity::percent(*percent).rounded(), amount.rounded())
            }
            Self::Text(text) => f.write_str(text),
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

/// The form of reports and journal: `{"value": 3.8, "unit": "%"}`; the unit is left out where there is none, and a
/// share has its absolute part under `amount`. A number that is not finite is null, with its unit.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Bool(flag) => map.serialize_entry("value", flag)?,
            Self::Integer(integer) => map.serialize_entry("value", integer)?,
            Self::Number(quantity) => {
                map.serialize_entry("value", &quantity.amount())?;
                if quantity.dimension() != Dimension::Count || !quantity.amount().is_finite() {
                    map.serialize_entry("unit", &quantity.dimension())?;
                }
            }
            Self::Share { percent, amount } => {
                map.serialize_entry("value", percent)?;
                map.serialize_entry("unit", "%")?;
                map.serialize_entry("amount", amount)?;
            }
            Self::Text(text) => map.serialize_entry("value", text)?,
            Self::List(items) => map.serialize_entry("value", items)?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Form {
            value: serde_json::Value,
            unit: Option<Dimension>,
            amount: Option<Quantity>,
        }
        let form = Form::deserialize(deserializer)?;
        if let Some(amount) = form.amount {
            return Ok(Self::Share { percent: form.value.as_f64().unwrap_or(f64::NAN), amount });
        }
        if let Some(dimension) = form.unit {
            return Ok(Self::Number(Quantity::new(form.value.as_f64().unwrap_or(f64::NAN), dimension)));
        }
        if let serde_json::Value::Array(items) = form.value {
            let items: Result<Vec<Self>, _> = items.into_iter().map(serde_json::from_value).collect();
            return Ok(Self::List(items.map_err(serde::de::Error::custom)?));
        }
        Self::from_json(&form.value).ok_or_else(|| serde::de::Error::custom("a value cannot be null"))
    }
}
