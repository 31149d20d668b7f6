//! `name{label="value"}`: what selects series, and how a line of an exposition begins.

use regex::Regex;

#[derive(Debug)]
pub struct Selector {
    pub name: Option<String>,
    pub matchers: Vec<Matcher>,
}

#[derive(Debug)]
pub struct Matcher {
    pub label: String,
    pub relation: Relation,
}

/// A label that is not there is as one with an empty value.
#[derive(Debug)]
pub enum Relation {
    Is(String),
    IsNot(String),
    Matches(Regex),
    MatchesNot(Regex),
}

impl Selector {
    /// An error says what is wrong with `text`.
    pub fn of(text: &str) -> Result<Self, String> {
        let (selector, rest) = parse(text.trim())?;
        if !rest.trim().is_empty() {
            return Err(format!("`{}` does not belong into it", rest.trim()));
        }
        if selector.name.is_none() && selector.matchers.is_empty() {
            return Err("it names nothing".to_owned());
        }
        Ok(selector)
    }

    pub fn selects(&self, name: &str, labels: &[(String, String)]) -> bool {
        self.name.as_ref().is_none_or(|wanted| wanted == name)
            && self.matchers.iter().all(|matcher| {
                let found = labels.iter().find(|(label, _)| *label == matcher.label);
                matcher.relation.holds(found.map_or("", |(_, value)| value))
            })
    }
}

impl Relation {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Is(wanted) => value == wanted,
            Self::IsNot(other) => value != other,
            Self::Matches(pattern) => pattern.is_match(value),
            Self::MatchesNot(pattern) => !pattern.is_match(value),
        }
    }
}

/// A selector at the beginning of `text`, and what follows it.
pub fn parse(text: &str) -> Result<(Selector, &str), String> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("`{name}` is not the name of a metric"));
    }
    let mut selector = Selector { name: (!name.is_empty()).then(|| name.to_owned()), matchers: Vec::new() };
    let Some(mut inner) = rest.trim_start().strip_prefix('{') else { return Ok((selector, rest)) };
    loop {
        inner = inner.trim_start();
        if let Some(after) = inner.strip_prefix('}') {
            rest = after;
            return Ok((selector, rest));
        }
        inner = matcher(inner, &mut selector)?.trim_start();
        inner = match inner.strip_prefix(',') {
            Some(after) => after,
            None if inner.starts_with('}') => inner,
            None => return Err("after a label comes `,` or `}`".to_owned()),
        };
    }
}

/// `label="value"` or a name in quotes at the beginning of `text`; returns what follows.
fn matcher<'t>(text: &'t str, selector: &mut Selector) -> Result<&'t str, String> {
    let (label, after) = if text.starts_with('"') {
        quoted(text)?
    } else {
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
        (text[..end].to_owned(), &text[end..])
    };
    let after = after.trim_start();
    if text.starts_with('"') && after.starts_with([',', '}']) && selector.name.is_none() {
        selector.name = Some(label);
        return Ok(after);
    }
    let sign = ["=~", "!~", "!=", "="].into_iter().find(|sign| after.starts_with(sign));
    let sign = sign.filter(|_| !label.is_empty()).ok_or("in braces stands `label=\"value\"`")?;
    let (value, after) = quoted(after[sign.len()..].trim_start())?;
    let pattern = || {
        let anchored = format!("^(?s:{value})$");
        Regex::new(&anchored).map_err(|_| format!("`{value}` is not a regular expression"))
    };
    let relation = match sign {
        "=~" => Relation::Matches(pattern()?),
        "!~" => Relation::MatchesNot(pattern()?),
        "!=" => Relation::IsNot(value),
        _ => Relation::Is(value),
    };
    selector.matchers.push(Matcher { label, relation });
    Ok(after)
}

/// The text in quotes at the beginning of `text`, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\'')).ok_or("a value stands in quotes")?;
    let inner = &text[1..];
    let mut value = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            end if end == quote => return Ok((value, &inner[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('"' | '\'' | '\\'))) => value.push(escaped),
                Some((_, other)) => value.extend(['\\', other]),
                None => break,
            },
            other => value.push(other),
        }
    }
    Err("a quote is not closed".to_owned())
}
