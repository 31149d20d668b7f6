//! What later requests need of an answer.

use regex::Regex;
use reqwest::cookie::{CookieStore, Jar};
use reqwest::header::HeaderName;
use serde_json::Value as Json;

use super::answer::member;
use super::look::Answer;

/// A longer one is refused: it is hardly what was meant.
const LONGEST: usize = 16 * 1024;

pub enum Capture {
    Json(String),
    Header(HeaderName),
    Cookie(String),
    Matches(Regex),
}

impl Capture {
    /// # Errors
    /// Why `text` says nothing that can be captured.
    pub fn new(text: &str) -> Result<Self, String> {
        if let Some(pattern) = text.strip_prefix("matches ") {
            let regex = Regex::new(pattern.trim()).map_err(|error| {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
                format!("`{pattern}` is not a regular expression: {reason}")
            })?;
            return Ok(Self::Matches(regex));
        }
        match text.split_once('.') {
            Some(("json", path)) if !path.is_empty() => Ok(Self::Json(path.to_owned())),
            Some(("cookie", name)) if !name.is_empty() => Ok(Self::Cookie(name.to_owned())),
            Some(("header", name)) => HeaderName::from_bytes(name.as_bytes())
                .map(Self::Header)
                .map_err(|_| format!("`{name}` is not the name of a header")),
            _ => Err(format!("`{text}` cannot be captured")),
        }
    }

    /// What is captured; an error says why nothing is.
    pub fn take(&self, answer: &Answer, jar: &Jar) -> Result<String, String> {
        let value = match self {
            Self::Json(path) => {
                let json: Json =
                    serde_json::from_slice(body(answer)?).map_err(|_| "the body is not JSON".to_owned())?;
                match member(&json, path) {
                    None | Some(Json::Null) => return Err(format!("the body has no member {path}")),
                    Some(Json::String(text)) => text.clone(),
                    Some(value @ (Json::Number(_) | Json::Bool(_))) => value.to_string(),
                    Some(Json::Array(_) | Json::Object(_)) => {
                        return Err(format!("the member {path} of the body is not a single value"));
                    }
                }
            }
            Self::Header(name) => {
                let value = answer.headers.get(name).ok_or_else(|| format!("there is no header {name}"))?;
                String::from_utf8_lossy(value.as_bytes()).into_owned()
            }
            Self::Cookie(name) => cookie(jar, answer, name).ok_or_else(|| format!("there is no cookie {name}"))?,
            Self::Matches(regex) => {
                let body = String::from_utf8_lossy(body(answer)?);
                let found = regex.captures(&body).ok_or_else(|| format!("nothing in the body matches `{regex}`"))?;
                let group = found.get(1).or_else(|| found.get(0));
                group.map_or("", |group| group.as_str()).to_owned()
            }
        };
        match value.len() {
            0 => Err("it is empty".to_owned()),
            long if long > LONGEST => Err(format!("it has {long} bytes, more than {LONGEST}")),
            _ => Ok(value),
        }
    }
}

fn body(answer: &Answer) -> Result<&[u8], String> {
    answer.body.as_deref().ok_or_else(|| "there is no whole body".to_owned())
}

/// Also of an earlier answer, as long as it is sent to this one's URL.
fn cookie(jar: &Jar, answer: &Answer, name: &str) -> Option<String> {
    let all = jar.cookies(&answer.url)?;
    let all = all.to_str().ok()?;
    all.split("; ").find_map(|one| one.split_once('=').filter(|(known, _)| *known == name).map(|(_, v)| v.to_owned()))
}
