//! From the written form to a condition.

use super::{Condition, ConditionError, Direction, Earlier, Literal, Period, RELATIONS};
use crate::model::fact::FactType;
use crate::model::pattern::Pattern;
use crate::model::unit::{Dimension, Quantity, QuantityError};

const TEXT_TESTS: &[&str] = &["contains", "matches", "starts with", "ends with"];
const MAX_DEPTH: usize = 16;

/// The rest of `text` after the words `prefix`, if it starts with them as whole words.
fn after<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    // Most do not even begin alike.
    if text.as_bytes().first() != prefix.as_bytes().first() {
        return None;
    }
    let rest = text.strip_prefix(prefix)?;
    let symbol = prefix.starts_with(['<', '>']);
    (symbol || rest.is_empty() || rest.starts_with([' ', '[', '(', '"'])).then(|| rest.trim_start())
}

/// Parses `text`, which has no white space around it.
pub(super) fn condition(text: &str, ty: FactType, depth: usize) -> Result<Condition, ConditionError> {
    if depth > MAX_DEPTH {
        return Err(ConditionError::new("the condition is nested too deeply", "write it in fewer levels"));
    }
    if text.is_empty() {
        let help = if matches!(ty, FactType::Text | FactType::Any) {
            "write what is expected; the empty text is `'\"\"'`".to_owned()
        } else {
            format!("write for example `{}`", ty.describe().1)
        };
        return Err(ConditionError::new("the condition is empty", help));
    }
    if let Some(literal) = unquote(text) {
        return literal_condition(&literal, text, ty, Quoted::Yes);
    }
    if let Some(rest) = after(text, "not") {
        return Ok(Condition::Not(Box::new(condition(rest, ty, depth + 1)?)));
    }
    if let Some(rest) = after(text, "one of") {
        let items = items_of(rest)?;
        return Condition::one_of(items.iter().map(String::as_str), ty);
    }
    for (word, make) in [("all of", Condition::All as fn(Vec<Condition>) -> Condition), ("any of", Condition::Any)] {
        if let Some(rest) = after(text, word) {
            let items = items_of(rest)?;
            let conditions: Result<Vec<_>, _> = items.iter().map(|item| condition(item, ty, depth + 1)).collect();
            return Ok(make(conditions?));
        }
    }
    if matches!(ty, FactType::Text | FactType::Texts | FactType::Any) {
        for test in TEXT_TESTS {
            if let Some(rest) = after(text, test) {
                return text_test(test, rest, ty);
            }
        }
    }
    for direction in [Direction::Rises, Direction::Falls] {
        if let Some(rest) = after(text, direction.word()) {
            return changes(text, direction, rest, ty);
        }
    }
    if let Some(rest) = after(text, "within") {
        let (percent, of) = share_of_earlier(rest).ok_or_else(|| history_help(text))?;
        if percent < 0.0 {
            return Err(ConditionError::new(
                format!("`{text}` is a distance below zero"),
                "write for example `within 30% of previous`",
            ));
        }
        numeric(ty, text)?;
        return Ok(Condition::Within { percent, of: of? });
    }
    for &(word, relation) in RELATIONS {
        if let Some(rest) = after(text, word) {
            if let Some((percent, of)) = share_of_earlier(rest) {
                numeric(ty, text)?;
                return Ok(Condition::Relative { relation, percent, of: of? });
            }
            numeric(ty, text)?;
            return Ok(Condition::Limit(relation, limit(rest, ty)?));
        }
    }
    if !matches!(ty, FactType::Text | FactType::Texts | FactType::Bool)
        && let Some((low, high)) = text.split_once("..")
        && [low, high].iter().all(|end| end.parse::<Quantity>().is_ok())
    {
        return between(low, high, ty);
    }
    literal_condition(text, text, ty, Quoted::No)
}

#[derive(Clone, Copy, PartialEq)]
enum Quoted {
    Yes,
    No,
}

impl Condition {
    /// One of several literals, written as a list.
    ///
    /// # Errors
    /// The list is empty, or an item does not fit the type.
    pub fn one_of<'t>(items: impl Iterator<Item = &'t str>, ty: FactType) -> Result<Self, ConditionError> {
        let literals: Result<Vec<_>, _> = items.map(|item| literal(item.trim(), ty)).collect();
        let literals = literals?;
        if literals.is_empty() {
            return Err(ConditionError::new(
                "an empty list allows nothing",
                "write the allowed values, such as `[200, 204]`",
            ));
        }
        Ok(Self::OneOf(literals))
    }
}

fn literal(text: &str, ty: FactType) -> Result<Literal, ConditionError> {
    let (inner, quoted) = match unquote(text) {
        Some(inner) => (inner, Quoted::Yes),
        None => (text.to_owned(), Quoted::No),
    };
    match literal_condition(&inner, text, ty, quoted)? {
        Condition::Is(literal) => Ok(literal),
        Condition::OneOf(_)
        | Condition::Between(..)
        | Condition::Limit(..)
        | Condition::Contains(_)
        | Condition::StartsWith(_)
        | Condition::EndsWith(_)
        | Condition::Matches(_)
        | Condition::Within { .. }
        | Condition::Relative { .. }
        | Condition::Changes { .. }
        | Condition::Not(_)
        | Condition::All(_)
        | Condition::Any(_) => Err(mismatch(text, ty)),
    }
}

fn literal_condition(text: &str, written: &str, ty: FactType, quoted: Quoted) -> Result<Condition, ConditionError> {
    let flag = match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    match ty {
        FactType::Bool => flag.map(|flag| Condition::Is(Literal::Bool(flag))).ok_or_else(|| mismatch(written, ty)),
        FactType::Text => Ok(Condition::Is(Literal::Text(text.to_owned()))),
        FactType::Texts => Err(mismatch(written, ty)),
        FactType::Any if quoted == Quoted::Yes => Ok(Condition::Is(Literal::Text(text.to_owned()))),
        FactType::Any => Ok(Condition::Is(match (flag, text.parse::<i64>(), text.parse::<Quantity>()) {
            (Some(flag), _, _) => Literal::Bool(flag),
            (_, Ok(integer), _) => Literal::Integer(integer),
            (_, _, Ok(number)) => number_literal(number),
            _ => Literal::Text(text.to_owned()),
        })),
        FactType::Count => match text.parse::<i64>() {
            Ok(integer) => Ok(Condition::Is(Literal::Integer(integer))),
            Err(_) => Ok(Condition::Is(number_literal(limit(text, ty)?))),
        },
        FactType::Percent
        | FactType::Size
        | FactType::SizeShare
        | FactType::Duration
        | FactType::Rate
        | FactType::Throughput => Ok(Condition::Is(Literal::Number(limit(text, ty)?))),
    }
}

/// `5.0` and `1_000` are the integers that they look like, so that there is one form of each.
#[expect(clippy::cast_possible_truncation, reason = "whole, and checked to be in range")]
fn number_literal(number: Quantity) -> Literal {
    let amount = number.amount();
    if number.dimension() == Dimension::Count && amount.fract() == 0.0 && amount.abs() < 9e18 {
        Literal::Integer(amount as i64)
    } else {
        Literal::Number(number)
    }
}

fn limit(text: &str, ty: FactType) -> Result<Quantity, ConditionError> {
    numeric(ty, text)?;
    let quantity: Quantity = text.parse().map_err(|error: QuantityError| {
        let (_, example) = ty.describe();
        ConditionError::new(error.to_string(), format!("write for example `{example}`"))
    })?;
    if ty.admits(quantity.dimension()) {
        return Ok(quantity);
    }
    let (_, example) = ty.describe();
    Err(ConditionError::new(
        format!("`{text}` is {}, which does not fit a {}", quantity.dimension().describe(), ty.describe().0),
        format!("write for example `{example}`"),
    ))
}

/// Refuses limits on facts that are no numbers.
fn numeric(ty: FactType, written: &str) -> Result<(), ConditionError> {
    match ty {
        FactType::Bool | FactType::Text | FactType::Texts => Err(mismatch(written, ty)),
        FactType::Count
        | FactType::Percent
        | FactType::Size
        | FactType::SizeShare
        | FactType::Duration
        | FactType::Rate
        | FactType::Throughput
        | FactType::Any => Ok(()),
    }
}

fn mismatch(written: &str, ty: FactType) -> ConditionError {
    let (name, example) = ty.describe();
    ConditionError::new(
        format!("`{written}` does not fit a fact that is a {name}"),
        format!("write for example `{example}`"),
    )
}

fn history_help(written: &str) -> ConditionError {
    ConditionError::new(
        format!("`{written}` does not say which earlier value is meant"),
        "write for example `within 30% of median(14)`, `at most 150% of previous` or `rises below 5% per day`",
    )
}

fn between(low: &str, high: &str, ty: FactType) -> Result<Condition, ConditionError> {
    let (low, high) = (limit(low.trim(), ty)?, limit(high.trim(), ty)?);
    if low.dimension() != high.dimension() || low.amount() > high.amount() {
        return Err(ConditionError::new(
            format!("`{low}..{high}` is not a range"),
            "write the lower end first: `200..299`",
        ));
    }
    Ok(Condition::Between(low, high))
}

fn text_test(test: &str, rest: &str, ty: FactType) -> Result<Condition, ConditionError> {
    let text = unquote(rest).unwrap_or_else(|| rest.to_owned());
    if text.is_empty() {
        return Err(ConditionError::new(
            format!("`{test}` nothing holds for every text"),
            format!("write what it {test}, such as `{test} ok`"),
        ));
    }
    match test {
        "contains" => Ok(Condition::Contains(text)),
        "matches" => Pattern::new(&text).map(Condition::Matches).map_err(|reason| {
            ConditionError::new(
                format!("`{text}` is not a regular expression: {reason}"),
                "test it with `grep -P`, and quote it with '...' in YAML",
            )
        }),
        "starts with" if ty != FactType::Texts => Ok(Condition::StartsWith(text)),
        "ends with" if ty != FactType::Texts => Ok(Condition::EndsWith(text)),
        _ => Err(mismatch(&format!("{test} {text}"), ty)),
    }
}

/// `30% of median(14)` as its parts; `None` when there is no ` of `, an inner error when the earlier value is unknown.
fn share_of_earlier(text: &str) -> Option<(f64, Result<Earlier, ConditionError>)> {
    let (percent, of) = text.split_once(" of ")?;
    let percent = Quantity::parse_as(percent, Dimension::Percent).ok()?;
    Some((percent.amount(), earlier(of.trim())))
}

fn earlier(text: &str) -> Result<Earlier, ConditionError> {
    if text == "previous" {
        return Ok(Earlier::Previous);
    }
    text.strip_prefix("median(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|count| count.trim().parse().ok())
        .filter(|count| (1..=1000).contains(count))
        .map(Earlier::Median)
        .ok_or_else(|| history_help(text))
}

fn changes(written: &str, direction: Direction, rest: &str, ty: FactType) -> Result<Condition, ConditionError> {
    numeric(ty, written)?;
    let (limit_text, per) = rest.split_once(" per ").ok_or_else(|| history_help(written))?;
    let per = match per.trim() {
        "hour" => Period::Hour,
        "day" => Period::Day,
        "week" => Period::Week,
        _ => return Err(history_help(written)),
    };
    for &(word, relation) in RELATIONS {
        if let Some(amount) = after(limit_text, word) {
            let by: Quantity = amount.parse().map_err(|_| history_help(written))?;
            if by.dimension() != Dimension::Percent && !ty.admits(by.dimension()) {
                return Err(mismatch(written, ty));
            }
            return Ok(Condition::Changes { direction, relation, by, per });
        }
    }
    Err(history_help(written))
}

/// The items of `[a, "b, c", d]`, split at commas outside quotes and brackets.
fn items_of(text: &str) -> Result<Vec<String>, ConditionError> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or_else(|| {
        ConditionError::new(format!("`{text}` is not a list"), "write it with brackets: `[above 20%, above 50GiB]`")
    })?;
    let (mut items, mut item, mut depth, mut quoted, mut escaped) = (Vec::new(), String::new(), 0_usize, false, false);
    for c in inner.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                items.push(std::mem::take(&mut item).trim().to_owned());
                continue;
            }
            _ => {}
        }
        item.push(c);
    }
    items.push(item.trim().to_owned());
    if items.iter().any(String::is_empty) {
        return Err(ConditionError::new("an empty item in a list", "remove it, or write what is allowed"));
    }
    Ok(items)
}

/// The text inside double quotes, with JSON's escapes; `None` if it is not quoted as a whole.
fn unquote(text: &str) -> Option<String> {
    (text.len() >= 2 && text.starts_with('"') && text.ends_with('"')).then(|| serde_json::from_str(text).ok())?
}
