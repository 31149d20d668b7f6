//! YAML as a tree that knows where everything stands.
//!
//! Scalars keep the text as it was written, so that `0644`, `NO` and `007` stay what they are; who reads a scalar
//! decides what it has to be.

use std::ops::Range;
use std::sync::Arc;

use compact_str::CompactString;

use super::diagnostic::{Diagnostic, Source};

pub mod full;
pub mod plain;

/// Files above this are refused unread.
pub const MAX_FILE: u64 = 1024 * 1024;
/// With aliases expanded.
const MAX_NODES: usize = 20_000;
const MAX_DEPTH: usize = 64;

#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Bytes of the source.
    pub span: Range<usize>,
    pub kind: NodeKind,
}

#[derive(Clone, PartialEq, Debug)]
pub enum NodeKind {
    Scalar {
        text: CompactString,
        quoted: bool,
    },
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<(Key, Node)>),
    /// A template that needs the results of the run: its value is not known yet.
    Late(CompactString),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    pub span: Range<usize>,
    pub text: CompactString,
}

impl Key {
    /// Whether it is `name`. Most keys that are not differ in their length or their first letter.
    #[inline]
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        let text = self.text.as_str();
        text.len() == name.len() && text.as_bytes().first() == name.as_bytes().first() && text == name
    }
}

impl Node {
    /// A mapping without keys.
    #[must_use]
    pub fn empty() -> Self {
        Self { span: 0..0, kind: NodeKind::Map(Vec::new()) }
    }

    /// The text of a scalar.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        if let NodeKind::Scalar { text, .. } = &self.kind { Some(text) } else { None }
    }

    /// Nothing, `~` or `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, NodeKind::Scalar { text, quoted: false } if matches!(text.as_str(), "" | "~" | "null"))
    }

    #[must_use]
    pub fn list(&self) -> Option<&[Node]> {
        if let NodeKind::List(items) = &self.kind { Some(items) } else { None }
    }

    #[must_use]
    pub fn map(&self) -> Option<&[(Key, Node)]> {
        if let NodeKind::Map(entries) = &self.kind { Some(entries) } else { None }
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.map()?.iter().find(|(name, _)| name.is(key)).map(|(_, node)| node)
    }

    /// What it is, for messages: "a list".
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            _ if self.is_null() => "nothing",
            NodeKind::Scalar { .. } => "a single value",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a mapping",
            NodeKind::Late(_) => "a template",
        }
    }

    /// As JSON, for free values: scalars by YAML's core schema.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.kind {
            NodeKind::Scalar { text, quoted: true } | NodeKind::Late(text) => Json::from(text.as_str()),
            NodeKind::Scalar { text, quoted: false } => match text.as_str() {
                "" | "~" | "null" => Json::Null,
                "true" => Json::Bool(true),
                "false" => Json::Bool(false),
                _ => number(text).unwrap_or_else(|| Json::from(text.as_str())),
            },
            NodeKind::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            NodeKind::Map(entries) => {
                Json::Object(entries.iter().map(|(key, node)| (key.text.to_string(), node.to_json())).collect())
            }
        }
    }
}

/// A JSON number; a leading zero makes it text.
fn number(text: &str) -> Option<serde_json::Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if leading_zero || !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    serde_json::from_str::<serde_json::Number>(text).ok().map(serde_json::Value::Number)
}

/// Parses one document: by the short way, or by the full one where the short one does not know what to make of it.
///
/// # Errors
/// As [`full::parse`].
pub fn parse(source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
    plain::parse(&source.text).map_or_else(|| full::parse(source), Ok)
}
