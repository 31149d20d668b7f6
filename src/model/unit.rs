//! Numbers with units: percent, sizes, durations, rates.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a number measures. Two numbers compare only within one dimension.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Dimension {
    /// A bare number: a count, a status, a load.
    #[serde(rename = "")]
    Count,
    #[serde(rename = "%")]
    Percent,
    /// Bytes.
    #[serde(rename = "B")]
    Size,
    /// Seconds.
    #[serde(rename = "s")]
    Time,
    /// Events a minute.
    #[serde(rename = "/min")]
    Rate,
    /// Bytes a second.
    #[serde(rename = "B/s")]
    Throughput,
}

/// A unit as it is written, and how many base units of its dimension it is worth.
struct UnitWord {
    word: &'static str,
    dimension: Dimension,
    worth: f64,
}

const fn unit(word: &'static str, dimension: Dimension, worth: f64) -> UnitWord {
    UnitWord { word, dimension, worth }
}

const KIB: f64 = 1024.0;

/// Every unit that may be written; the first word of each worth is the one that is printed.
/// Ascending within a dimension.
const UNITS: &[UnitWord] = &[
    unit("%", Dimension::Percent, 1.0),
    unit("B", Dimension::Size, 1.0),
    unit("KiB", Dimension::Size, KIB),
    unit("MiB", Dimension::Size, KIB * KIB),
    unit("GiB", Dimension::Size, KIB * KIB * KIB),
    unit("TiB", Dimension::Size, KIB * KIB * KIB * KIB),
    unit("kB", Dimension::Size, 1e3),
    unit("MB", Dimension::Size, 1e6),
    unit("GB", Dimension::Size, 1e9),
    unit("TB", Dimension::Size, 1e12),
    unit("ms", Dimension::Time, 1e-3),
    unit("s", Dimension::Time, 1.0),
    unit("min", Dimension::Time, 60.0),
    unit("m", Dimension::Time, 60.0),
    unit("h", Dimension::Time, 3600.0),
    unit("d", Dimension::Time, 86_400.0),
    unit("w", Dimension::Time, 604_800.0),
    unit("/min", Dimension::Rate, 1.0),
    unit("/s", Dimension::Rate, 60.0),
    unit("B/s", Dimension::Throughput, 1.0),
    unit("KiB/s", Dimension::Throughput, KIB),
    unit("Mbit/s", Dimension::Throughput, 125e3),
    unit("MiB/s", Dimension::Throughput, KIB * KIB),
    unit("Gbit/s", Dimension::Throughput, 125e6),
    unit("GiB/s", Dimension::Throughput, KIB * KIB * KIB),
];

impl Dimension {
    /// The word for one base unit; empty for a bare number.
    #[must_use]
    pub fn base_unit(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::Percent => "%",
            Self::Size => "B",
            Self::Time => "s",
            Self::Rate => "/min",
            Self::Throughput => "B/s",
        }
    }

    /// How people call it, with an example, for error messages.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Count => "a number without a unit, such as `3`",
            Self::Percent => "a percentage, such as `20%`",
            Self::Size => "a size, such as `512MiB`",
            Self::Time => "a duration, such as `2s`, `15m` or `24h`",
            Self::Rate => "a rate, such as `10/min`",
            Self::Throughput => "a throughput, such as `5MiB/s`",
        }
    }
}

/// A number with a dimension, in base units (bytes, seconds, percent points, events a minute, bytes a second).
///
/// What is parsed is finite. What was measured may not be: that is kept as it is, and no comparison holds of it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Quantity {
    #[serde(rename = "value")]
    amount: f64,
    #[serde(rename = "unit")]
    dimension: Dimension,
}

/// Why a text is not a quantity.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QuantityError {
    #[error("`{text}` is not a number; write a number and a unit, such as `20%`, `512MiB`, `2s` or `10/min`")]
    NotANumber { text: String },
    #[error(
        "`{unit}` is not a unit; the units are %, B KiB MiB GiB TiB, kB MB GB TB, ms s m h d w, /s /min, B/s KiB/s MiB/s GiB/s Mbit/s Gbit/s"
    )]
    NoSuchUnit { unit: String },
    #[error("`{text}` is not {wanted}")]
    WrongDimension { text: String, wanted: &'static str },
}

impl Quantity {
    /// `amount` is in base units.
    #[must_use]
    pub fn new(amount: f64, dimension: Dimension) -> Self {
        Self { amount, dimension }
    }

    #[must_use]
    pub fn count(amount: f64) -> Self {
        Self::new(amount, Dimension::Count)
    }

    #[must_use]
    pub fn percent(amount: f64) -> Self {
        Self::new(amount, Dimension::Percent)
    }

    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "sizes above 8 PiB may lose bytes")]
    pub fn bytes(amount: u64) -> Self {
        Self::new(amount as f64, Dimension::Size)
    }

    #[must_use]
    pub fn seconds(amount: f64) -> Self {
        Self::new(amount, Dimension::Time)
    }

    #[must_use]
    pub fn duration(amount: Duration) -> Self {
        Self::seconds(amount.as_secs_f64())
    }

    #[must_use]
    pub fn per_minute(amount: f64) -> Self {
        Self::new(amount, Dimension::Rate)
    }

    #[must_use]
    pub fn per_second(amount: f64) -> Self {
        Self::per_minute(amount * 60.0)
    }

    #[must_use]
    pub fn bytes_per_second(amount: f64) -> Self {
        Self::new(amount, Dimension::Throughput)
    }

    /// In base units.
    #[must_use]
    pub fn amount(self) -> f64 {
        self.amount
    }

    #[must_use]
    pub fn dimension(self) -> Dimension {
        self.dimension
    }

    /// Parses `text` and insists on its dimension.
    ///
    /// # Errors
    /// The text is no quantity, or one of another dimension.
    pub fn parse_as(text: &str, dimension: Dimension) -> Result<Self, QuantityError> {
        let quantity: Self = text.parse()?;
        if quantity.dimension == dimension {
            Ok(quantity)
        } else {
            Err(QuantityError::WrongDimension { text: text.trim().to_owned(), wanted: dimension.describe() })
        }
    }

    /// For people: rounded to about three significant digits, with the unit that reads best.
    #[must_use]
    pub fn rounded(self) -> String {
        let magnitude = self.amount.abs();
        let word = match self.dimension {
            // Ten a second and more is counted by the second.
            Dimension::Rate if magnitude >= 600.0 => "/s",
            Dimension::Count | Dimension::Rate | Dimension::Percent => self.dimension.base_unit(),
            Dimension::Size | Dimension::Throughput => binary_unit(magnitude, self.dimension),
            Dimension::Time => match magnitude {
                0.0 => "s",
                m if m < 0.9995 => "ms",
                m if m < 120.0 => "s",
                // What would be shown as 120 min or 48 h has the next unit.
                m if m < 119.5 * 60.0 => "min",
                m if m < 47.95 * 3600.0 => "h",
                _ => "d",
            },
        };
        let scaled = self.amount / worth(word);
        let digits = match self.dimension {
            Dimension::Size | Dimension::Throughput if word.starts_with('B') => trim_zeros(&format!("{scaled:.0}")),
            Dimension::Count if scaled.fract() == 0.0 => format!("{scaled}"),
            _ => significant(scaled),
        };
        join(&digits, word)
    }
}

fn worth(word: &str) -> f64 {
    UNITS.iter().find(|unit| unit.word == word).map_or(1.0, |unit| unit.worth)
}

fn binary_unit(magnitude: f64, dimension: Dimension) -> &'static str {
    let mut best = dimension.base_unit();
    for unit in UNITS.iter().filter(|unit| unit.dimension == dimension && unit.word.contains("iB")) {
        if magnitude >= unit.worth {
            best = unit.word;
        }
    }
    best
}

/// About three significant digits, never in exponent form.
fn significant(number: f64) -> String {
    let magnitude = number.abs();
    let text = if magnitude >= 100.0 {
        format!("{number:.0}")
    } else if magnitude >= 10.0 {
        format!("{number:.1}")
    } else if magnitude >= 1.0 || magnitude == 0.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.3}")
    };
    trim_zeros(&text)
}

fn trim_zeros(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

fn join(digits: &str, word: &str) -> String {
    match word {
        "" => digits.to_owned(),
        "/min" | "/s" => format!("{digits}{word}"),
        _ => format!("{digits} {word}"),
    }
}

/// Exact: what is printed parses back to the same number.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().rev().filter(|unit| {
            unit.dimension == self.dimension
                && unit.word != "m"
                && (unit.dimension != Dimension::Size || unit.word.ends_with("iB") || unit.word == "B")
        });
        for unit in exact {
            let scaled = self.amount / unit.worth;
            if scaled.abs() >= 1.0 && scaled * unit.worth == self.amount && format!("{scaled}").len() <= 6 {
                return f.write_str(&join(&format!("{scaled}"), unit.word));
            }
        }
        f.write_str(&join(&format!("{}", self.amount), self.dimension.base_unit()))
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let not_a_number = || QuantityError::NotANumber { text: text.to_owned() };
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let end = unsigned.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '_'))).unwrap_or(unsigned.len());
        let (digits, word) = (&unsigned[..end], unsigned[end..].trim());
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_plain = whole.starts_with(|c: char| c.is_ascii_digit())
            && !fraction.is_empty()
            && fraction.chars().all(|c| c.is_ascii_digit());
        let written = &text[..text.len() - unsigned.len() + end];
        let number = if written.contains('_') { written.replace('_', "").parse() } else { written.parse() };
        let number: Option<f64> = number.ok();
        let number = number.filter(|number| is_plain && number.is_finite()).ok_or_else(not_a_number)?;
        if word.is_empty() {
            return Ok(Self::count(number));
        }
        let unit = UNITS
            .iter()
            .find(|unit| unit.word == word)
            .ok_or_else(|| QuantityError::NoSuchUnit { unit: word.to_owned() })?;
        let amount = number * unit.worth;
        if amount.is_finite() { Ok(Self::new(amount, unit.dimension)) } else { Err(not_a_number()) }
    }
}

/// Parses a duration such as `2s`, `15m` or `24h`.
///
/// # Errors
/// No number, no such unit, another dimension, or negative.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let quantity = Quantity::parse_as(text, Dimension::Time)?;
    Duration::try_from_secs_f64(quantity.amount)
        .map_err(|_| QuantityError::WrongDimension { text: text.to_owned(), wanted: Dimension::Time.describe() })
}

/// Parses a size in bytes such as `512MiB`.
///
/// # Errors
/// No number, no such unit, another dimension, or negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range just above")]
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    let quantity = Quantity::parse_as(text, Dimension::Size)?;
    if quantity.amount < 0.0 || quantity.amount > 9e18 {
        return Err(QuantityError::WrongDimension { text: text.to_owned(), wanted: Dimension::Size.describe() });
    }
    Ok(quantity.amount as u64)
}
