//! The body of a request: as it is written, as JSON, as a form, as a GraphQL query, filled up to a size.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use indexmap::IndexMap;
use reqwest::Url;
use serde_json::{Value as Json, json};

use super::super::{Context, ProbeError};
use super::placeholder::{self, Captured};
use crate::model::input::{InputError, Inputs};
use crate::model::secret::MaybeSecret;

/// A body whose secrets are still references.
#[derive(Clone)]
pub struct Body {
    content: Content,
    /// Filled up to this length.
    size: Option<u64>,
}

#[derive(Clone)]
enum Content {
    Nothing,
    Text(String),
    Json(Json),
    Form(IndexMap<String, MaybeSecret>),
}

const KINDS: [&str; 4] = ["body", "json", "form", "graphql"];

impl Body {
    pub fn new(inputs: &Inputs) -> Result<Option<Self>, InputError> {
        let given: Vec<&'static str> = KINDS.into_iter().filter(|name| inputs.has(name)).collect();
        if let [one, other, ..] = given.as_slice() {
            let message = format!("there are two bodies: `{one}` and `{other}`");
            return Err(InputError::new(other, message, "keep one of them"));
        }
        let size = inputs.size("body_size");
        let content = match (inputs.text("body"), inputs.json("json"), inputs.pairs("form"), inputs.group("graphql")) {
            (Some(text), ..) => Content::Text(text.to_owned()),
            (_, Some(json), ..) => Content::Json(json.clone()),
            (_, _, Some(fields), _) => Content::Form(fields.clone()),
            (.., Some(query)) => Content::Json(graphql(query)?),
            (None, None, None, None) if size.is_some() => Content::Nothing,
            (None, None, None, None) => return Ok(None),
        };
        if let Some(size) = size {
            if matches!(content, Content::Form(_)) {
                let help = "write the long field itself: `{{ 'a' * 4001 }}`";
                return Err(InputError::new("body_size", "a form cannot be filled up", help));
            }
            let least = content.bytes().len() as u64;
            if size < least {
                let message = format!("the body has {least} bytes already");
                return Err(InputError::new("body_size", message, "make it at least as long"));
            }
        }
        Ok(Some(Self { content, size }))
    }

    pub fn content_type(&self) -> Option<&'static str> {
        match self.content {
            Content::Json(_) => Some("application/json"),
            Content::Form(_) => Some("application/x-www-form-urlencoded"),
            Content::Text(_) | Content::Nothing => None,
        }
    }

    /// What it sends, for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = match &self.content {
            Content::Form(fields) => fields
                .iter()
                .map(|(name, value)| match value {
                    MaybeSecret::Plain(text) => format!("{name}={text}"),
                    MaybeSecret::Secret(secret) => format!("{name} from {secret}"),
                })
                .collect(),
            content => String::from_utf8_lossy(&content.bytes()).lines().map(str::to_owned).collect(),
        };
        lines.extend(self.size.map(|size| format!("filled up to {size} bytes")));
        lines
    }

    /// Every text in which something captured may stand.
    pub fn texts(&self) -> Vec<&str> {
        match &self.content {
            Content::Nothing => Vec::new(),
            Content::Text(text) => vec![text],
            Content::Json(json) => placeholder::texts(json),
            Content::Form(fields) => fields
                .values()
                .filter_map(|value| match value {
                    MaybeSecret::Plain(text) => Some(text.as_str()),
                    MaybeSecret::Secret(_) => None,
                })
                .collect(),
        }
    }

    #[must_use]
    pub fn filled(&self, captured: &Captured) -> Self {
        let content = match &self.content {
            Content::Nothing => Content::Nothing,
            Content::Text(text) => Content::Text(placeholder::filled(text, captured)),
            Content::Json(json) => Content::Json(placeholder::filled_json(json, captured)),
            Content::Form(fields) => {
                let value_of = |value: &MaybeSecret| match value {
                    MaybeSecret::Plain(text) => MaybeSecret::Plain(placeholder::filled(text, captured)),
                    MaybeSecret::Secret(secret) => MaybeSecret::Secret(secret.clone()),
                };
                Content::Form(fields.iter().map(|(name, value)| (name.clone(), value_of(value))).collect())
            }
        };
        Self { content, size: self.size }
    }

    pub async fn resolve(&self, cx: &Context) -> Result<Payload, ProbeError> {
        let start = match &self.content {
            Content::Form(fields) => {
                let mut encoded = Vec::new();
                for (name, value) in fields {
                    encoded.push((name.as_str(), cx.text(value).await?));
                }
                form(encoded.iter().map(|(name, value)| (*name, value.expose())))
            }
            content => content.bytes(),
        };
        let fill: &'static [u8] = if matches!(self.content, Content::Json(_)) { SPACES } else { LETTERS };
        let more = self.size.unwrap_or(0).saturating_sub(start.len() as u64);
        Ok(Payload { start: start.into(), fill, more })
    }
}

impl Content {
    /// Those of a form are known only with its secrets.
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Nothing | Self::Form(_) => Vec::new(),
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Json(json) => json.to_string().into_bytes(),
        }
    }
}

fn graphql(query: &Inputs) -> Result<Json, InputError> {
    let mut body = json!({ "query": query.text("query").unwrap_or_default() });
    if let Some(variables) = query.json("variables") {
        if !variables.is_object() {
            let help = "write `variables: { id: 7 }`";
            return Err(InputError::new("graphql", "the variables of a query have names", help));
        }
        body["variables"] = variables.clone();
    }
    if let Some(operation) = query.text("operation") {
        body["operationName"] = json!(operation);
    }
    Ok(body)
}

/// Written as browsers send a form.
fn form<'f>(fields: impl Iterator<Item = (&'f str, &'f str)>) -> Vec<u8> {
    let url = Url::parse("http://localhost/").map(|mut url| {
        url.query_pairs_mut().extend_pairs(fields);
        url.query().unwrap_or_default().as_bytes().to_vec()
    });
    url.unwrap_or_default()
}

const PIECE: usize = 16 * 1024;
static SPACES: &[u8] = &[b' '; PIECE];
static LETTERS: &[u8] = &[b'x'; PIECE];

/// A body as it goes over the wire. What fills it up is made while it is sent, so that a large one takes no memory.
#[derive(Clone)]
pub struct Payload {
    start: Bytes,
    fill: &'static [u8],
    more: u64,
}

impl Payload {
    pub fn into_body(self) -> reqwest::Body {
        if self.more == 0 { reqwest::Body::from(self.start) } else { reqwest::Body::wrap(self) }
    }
}

impl http_body::Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.start.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.start)))));
        }
        let next = usize::try_from(self.more).map_or(PIECE, |more| more.min(PIECE));
        if next == 0 {
            return Poll::Ready(None);
        }
        self.more -= next as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&self.fill[..next])))))
    }

    fn is_end_stream(&self) -> bool {
        self.start.is_empty() && self.more == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.start.len() as u64 + self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_as_browsers_do_it() {
        let fields = [("a b", "1&2=3"), ("name", "Łódź ~ +")];
        assert_eq!(form(fields.into_iter()), b"a+b=1%262%3D3&name=%C5%81%C3%B3d%C5%BA+%7E+%2B");
    }
}
