//! The response as facts: body, headers, JSON members.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use serde_json::Value as Json;

use super::super::Context;
use super::trouble;
use crate::model::fact::{Evidence, Subject};
use crate::model::text::shortened;
use crate::model::unit::Quantity;
use crate::model::value::Value;

/// How reading a body ended.
pub enum End {
    Whole,
    /// There is more than may be read.
    TooLong,
    BrokenOff(String),
}

/// Reads into `body` until the end or until there are `most` bytes.
pub async fn read(response: &mut Response, body: &mut Vec<u8>, most: usize) -> End {
    loop {
        match response.chunk().await {
            Ok(None) => return End::Whole,
            Ok(Some(chunk)) => {
                body.extend_from_slice(&chunk[..chunk.len().min(most + 1 - body.len())]);
                if body.len() > most {
                    return End::TooLong;
                }
            }
            Err(error) => return End::BrokenOff(trouble::innermost(&error)),
        }
    }
}

/// Undoes gzip. An error says why there is no whole body within `most` bytes.
///
/// Done here and not by the client, so that the headers stay as the server sent them.
pub fn decoded(headers: &HeaderMap, body: Vec<u8>, most: usize, end: &End) -> Result<Vec<u8>, String> {
    let whole = if matches!(end, End::TooLong) { None } else { unzipped(headers, body, most)? };
    whole.ok_or_else(|| {
        let most = Quantity::bytes(most as u64).rounded();
        format!("the body is longer than `body_limit` ({most}), so it was not read to its end")
    })
}

/// A whole body without gzip; none if it is longer than `most` bytes.
pub fn unzipped(headers: &HeaderMap, body: Vec<u8>, most: usize) -> Result<Option<Vec<u8>>, String> {
    let coding = headers.get(CONTENT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes);
    if body.is_empty() || !(coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip")) {
        return Ok(Some(body));
    }
    let mut plain = Vec::new();
    MultiGzDecoder::new(body.as_slice())
        .take(most as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|error| format!("the body is not the gzip that its header promises: {error}"))?;
    Ok((plain.len() <= most).then_some(plain))
}

/// The headers that the step's expectations name.
pub fn set_headers(subject: &mut Subject, headers: &HeaderMap, cx: &Context) {
    for name in cx.asked_of("header") {
        let values: Vec<_> = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        if !values.is_empty() {
            subject.set(format!("header.{name}"), Value::text(values.join(", ")));
        }
    }
}

/// The body, and the members of it that the step's expectations name.
///
/// The text is a fact only where the step asks for it or judges nothing, so that a journal does not keep every page.
pub fn set_body(subject: &mut Subject, body: &[u8], cx: &Context) {
    subject.set("body_size", Value::bytes(body.len() as u64));
    let mut members = cx.asked_of("json").peekable();
    if members.peek().is_some() {
        match serde_json::from_slice::<Json>(body) {
            Ok(json) => members.for_each(|path| {
                if let Some(value) = member(&json, path).and_then(Value::from_json) {
                    subject.set(format!("json.{path}"), value);
                }
            }),
            Err(error) => subject.note(format!("the body is not JSON: {error}")),
        }
    }
    if cx.asked.is_empty() || cx.asked.iter().any(|fact| fact == "body") {
        subject.set("body", Value::text(String::from_utf8_lossy(body)));
    }
}

/// The member at a dotted path. A key that has dots itself is found too.
pub fn member<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    match json {
        Json::Object(map) => map
            .get(path)
            .or_else(|| path.match_indices('.').find_map(|(dot, _)| member(map.get(&path[..dot])?, &path[dot + 1..]))),
        Json::Array(items) => match path.split_once('.') {
            Some((index, rest)) => member(items.get(index.parse::<usize>().ok()?)?, rest),
            None => items.get(path.parse::<usize>().ok()?),
        },
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    }
}

/// The errors of the answer to a GraphQL query, which come with status 200 too. `None` when it is no such answer.
pub fn graphql_errors(body: &[u8]) -> Option<Vec<String>> {
    let answer: Json = serde_json::from_slice(body).ok()?;
    match answer.get("errors") {
        None | Some(Json::Null) => answer.get("data").map(|_| Vec::new()),
        Some(Json::Array(errors)) => Some(errors.iter().map(graphql_error).collect()),
        Some(_) => None,
    }
}

fn graphql_error(error: &Json) -> String {
    let message = error.get("message").and_then(Json::as_str).map_or_else(|| error.to_string(), str::to_owned);
    let path = error.get("path").and_then(Json::as_array).map(|path| {
        let parts = path.iter().map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned));
        parts.collect::<Vec<_>>().join(".")
    });
    let text = path.map_or_else(|| message.clone(), |path| format!("{path}: {message}"));
    shortened(&text, EXCERPT_WIDTH)
}

/// The first of them, as evidence.
pub fn of_graphql(title: String, errors: &[String]) -> Evidence {
    let mut evidence = Evidence::new(title, errors.iter().take(EXCERPT_LINES).cloned().collect());
    evidence.left_out = errors.len().saturating_sub(EXCERPT_LINES) as u64;
    evidence
}

const EXCERPT_LINES: usize = 20;
const EXCERPT_WIDTH: usize = 200;

/// The beginning of a body that tells of an error.
pub fn excerpt(title: String, body: &[u8]) -> Option<Evidence> {
    let text = std::str::from_utf8(body).ok().filter(|text| !text.trim().is_empty())?;
    let mut lines = text.lines().map(|line| shortened(line, EXCERPT_WIDTH));
    let mut evidence = Evidence::new(title, lines.by_ref().take(EXCERPT_LINES).collect());
    evidence.left_out = lines.count() as u64;
    Some(evidence)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_is_found_by_its_dotted_path() {
        let body = json!({ "queue": { "depth": 3 }, "items": [{ "name": "a" }], "jvm.memory": { "used": 7 } });
        assert_eq!(member(&body, "queue.depth"), Some(&json!(3)));
        assert_eq!(member(&body, "items.0.name"), Some(&json!("a")));
        assert_eq!(member(&body, "jvm.memory.used"), Some(&json!(7)));
        assert_eq!(member(&json!([[1, 2]]), "0.1"), Some(&json!(2)));
    }

    #[test]
    fn a_member_that_is_not_there_is_nothing() {
        let body = json!({ "queue": { "depth": 3 }, "items": [1], "text": "abc" });
        for path in ["queue.length", "queue.depth.x", "items.1", "items.-1", "items.x", "text.0", "", "queue."] {
            assert_eq!(member(&body, path), None, "{path}");
        }
    }
}
