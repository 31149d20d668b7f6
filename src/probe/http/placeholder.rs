//! `${name}` in a request: what an earlier answer gave.

use indexmap::IndexMap;
use serde_json::Value as Json;

/// What was captured so far, by name.
pub type Captured = IndexMap<String, String>;

enum Piece<'t> {
    Text(&'t str),
    Name(&'t str),
}

/// The pieces of `text`; an error is the placeholder that is none. `$${` stands for `${` itself.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find("${") {
        let before = &rest[..at];
        if let Some(before) = before.strip_suffix('$') {
            pieces.extend([Piece::Text(before), Piece::Text("${")]);
            rest = &rest[at + 2..];
            continue;
        }
        let name = rest[at + 2..].split_once('}').map(|(name, _)| name).filter(|name| is_name(name));
        let Some(name) = name else { return Err(rest[at..].chars().take(20).collect()) };
        pieces.extend([Piece::Text(before), Piece::Name(name)]);
        rest = &rest[at + name.len() + 3..];
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The names that `text` refers to.
///
/// # Errors
/// Where a placeholder begins that is none.
pub fn names(text: &str) -> Result<Vec<&str>, String> {
    let names = pieces(text)?.into_iter().filter_map(|piece| match piece {
        Piece::Name(name) => Some(name),
        Piece::Text(_) => None,
    });
    Ok(names.collect())
}

/// The text with what was captured.
pub fn filled(text: &str, captured: &Captured) -> String {
    filled_with(text, |name| captured.get(name).cloned().unwrap_or_default())
}

/// The URL with what was captured: raw at its beginning, where a whole URL may stand; elsewhere as a part of a path or
/// of a query, which it cannot leave.
pub fn filled_url(text: &str, captured: &Captured) -> String {
    let mut begins = true;
    filled_with(text, |name| {
        let value = captured.get(name).map_or("", String::as_str);
        let raw = std::mem::take(&mut begins) && text.starts_with("${");
        if raw { value.to_owned() } else { percent_encoded(value) }
    })
}

fn filled_with(text: &str, mut value_of: impl FnMut(&str) -> String) -> String {
    let Ok(pieces) = pieces(text) else { return text.to_owned() };
    let texts = pieces.into_iter().map(|piece| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Name(name) => value_of(name),
    });
    texts.collect()
}

fn percent_encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// Every text in `json`.
pub fn texts(json: &Json) -> Vec<&str> {
    match json {
        Json::String(text) => vec![text],
        Json::Array(items) => items.iter().flat_map(texts).collect(),
        Json::Object(members) => members.values().flat_map(texts).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) => Vec::new(),
    }
}

/// The JSON with what was captured.
pub fn filled_json(json: &Json, captured: &Captured) -> Json {
    match json {
        Json::String(text) => Json::String(filled(text, captured)),
        Json::Array(items) => items.iter().map(|item| filled_json(item, captured)).collect(),
        Json::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), filled_json(value, captured))).collect()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => json.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured() -> Captured {
        [("a", "1 2/3"), ("url", "https://example.com/x?y")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    #[test]
    fn names_stand_between_braces_and_two_dollars_are_one() {
        assert_eq!(names("x ${a} ${b_2}$ {"), Ok(vec!["a", "b_2"]));
        assert_eq!(names("$${a} $5 {b}"), Ok(vec![]));
        assert_eq!(names("x ${a-b}"), Err("${a-b}".to_owned()));
        assert_eq!(names("${a"), Err("${a".to_owned()));
        assert_eq!(filled("<${a}> $${a} ${none}", &captured()), "<1 2/3> ${a} ");
    }

    #[test]
    fn in_a_url_only_what_it_begins_with_is_taken_as_it_is() {
        assert_eq!(filled_url("/x/${a}?q=${a}", &captured()), "/x/1%202%2F3?q=1%202%2F3");
        assert_eq!(filled_url("${url}&a=${a}", &captured()), "https://example.com/x?y&a=1%202%2F3");
    }
}
