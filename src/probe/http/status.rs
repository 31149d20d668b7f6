//! Which status of an answer is a good one.

use std::ops::RangeInclusive;

use crate::model::input::{InputError, Inputs};

/// What is no error, if a procedure does not say otherwise.
pub const GOOD: RangeInclusive<u16> = 200..=399;

/// The ranges that the input `status` names; nothing when it is not given.
pub fn ranges(inputs: &Inputs) -> Result<Vec<RangeInclusive<u16>>, InputError> {
    let read = |text: &String| {
        range(text).ok_or_else(|| {
            let help = "write `201`, `200..299`, or a list of those";
            InputError::new("status", format!("`{text}` is no HTTP status"), help)
        })
    };
    inputs.texts("status").iter().map(read).collect()
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let status = |text: &str| text.trim().parse::<u16>().ok().filter(|status| (200..=599).contains(status));
    let range = status(first)?..=status(last)?;
    (!range.is_empty()).then_some(range)
}

pub fn holds(ranges: &[RangeInclusive<u16>], status: u16) -> bool {
    ranges.iter().any(|range| range.contains(&status))
}

/// As it is written.
pub fn shown(ranges: &[RangeInclusive<u16>]) -> String {
    let all = ranges.iter().map(|range| match (range.start(), range.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}..{last}"),
    });
    all.collect::<Vec<_>>().join(" or ")
}
