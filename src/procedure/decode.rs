//! Reading nodes with a known form. Every error is kept, and reading goes on: one pass shows all that is wrong.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;

use super::diagnostic::{Diagnostic, Diagnostics, Severity, Source, suggestion};
use super::inputs::SECRET_HELP;
use super::keys::{KeySpec, names};
use super::yaml::{Key, Node, NodeKind};
use crate::model::unit::parse_duration;

/// Reads one file and collects what is wrong with it.
pub struct Reader {
    pub source: Arc<Source>,
    problems: RefCell<Vec<Diagnostic>>,
    /// Where secrets stand that must not be shown.
    secrets: RefCell<Vec<Range<usize>>>,
    /// A place whose line is known, and this line: places are asked for in their order.
    known: Cell<(usize, usize)>,
}

/// A mapping whose keys are known to be right.
pub struct Fields<'n> {
    pub span: Range<usize>,
    entries: &'n [(Key, Node)],
}

impl Reader {
    #[must_use]
    pub fn new(source: Arc<Source>) -> Self {
        Self { source, problems: RefCell::default(), secrets: RefCell::default(), known: Cell::new((0, 1)) }
    }

    /// Keeps an error. `help` may be empty.
    pub fn error(&self, span: &Range<usize>, message: impl Into<String>, label: &str, help: impl Into<String>) {
        self.keep(Severity::Error, span, message.into(), label, help.into());
    }

    /// Keeps what is no error.
    pub fn remark(&self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.keep(Severity::Remark, span, message.into(), "", help.into());
    }

    fn keep(&self, severity: Severity, span: &Range<usize>, message: String, label: &str, help: String) {
        self.problems.borrow_mut().push(Diagnostic {
            severity,
            source: Some(Arc::clone(&self.source)),
            span: span.clone(),
            message,
            label: label.to_owned(),
            help: Some(help).filter(|help| !help.is_empty()),
        });
    }

    #[must_use]
    pub fn into_problems(self) -> Diagnostics {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.span.start);
        if problems.is_empty() {
            return Diagnostics(problems);
        }
        let mut secrets = self.secrets.into_inner();
        secrets.extend(passwords_in_urls(&self.source.text));
        if !secrets.is_empty() {
            let starred = Arc::new(self.source.starred(&secrets));
            for problem in &mut problems {
                problem.source = Some(Arc::clone(&starred));
            }
        }
        Diagnostics(problems)
    }

    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// How many errors were kept so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.problems.borrow().len()
    }

    /// The line of a node, from 1.
    #[must_use]
    pub fn line(&self, node: &Node) -> usize {
        let at = node.span.start;
        let (known, line) = self.known.get();
        let line = if at < known { self.source.line(at) } else { line + self.source.breaks(known..at) };
        self.known.set((at, line));
        line
    }

    /// `line` of a node, as `file:line`.
    #[must_use]
    pub fn at(&self, node: &Node) -> String {
        format!("{}:{}", self.source.name, self.line(node))
    }

    /// The first character of `span`: where something is missing.
    #[must_use]
    pub fn start_of(&self, span: &Range<usize>) -> Range<usize> {
        let first = self.source.text.get(span.clone()).and_then(|text| text.chars().next());
        span.start..span.start + first.map_or(0, char::len_utf8)
    }

    /// Keeps an error about a secret that stands in the file. From now on it is shown as stars with all errors.
    pub fn secret(&self, span: &Range<usize>, message: impl Into<String>) {
        self.hide(span);
        self.error(span, message, "", SECRET_HELP);
    }

    /// From now on this is shown as stars.
    pub fn hide(&self, span: &Range<usize>) {
        self.secrets.borrow_mut().push(span.clone());
    }

    /// A mapping with only these keys; `what` names it in messages: "a step".
    pub fn fields<'n>(&self, node: &'n Node, what: impl Display + Copy, keys: &[KeySpec]) -> Option<Fields<'n>> {
        let Some(entries) = node.map() else {
            let message = format!("{what} is a mapping, not {}", node.describe());
            self.error(&node.span, message, "", format!("its keys are {}", names(keys).join(", ")));
            return None;
        };
        for (key, _) in entries {
            if !keys.iter().any(|known| key.is(known.name)) {
                let help = suggestion(&key.text, names(keys), "the keys are");
                self.error(&key.span, format!("{what} has no key `{}`", key.text), "unknown key", help);
            }
        }
        Some(Fields { span: node.span.clone(), entries })
    }

    /// A non-empty text.
    pub fn text(&self, node: &Node, what: impl Display + Copy) -> Option<String> {
        self.str(node, what).map(str::to_owned)
    }

    /// A non-empty text where it stands.
    pub fn str<'n>(&self, node: &'n Node, what: impl Display + Copy) -> Option<&'n str> {
        match node.scalar() {
            Some(text) if !is_blank(text) && !node.is_null() => Some(text),
            Some(_) => {
                self.error(&node.span, format!("{what} is empty"), "", "write it, or remove the key");
                None
            }
            None => {
                self.error(&node.span, format!("{what} is a text, not {}", node.describe()), "", "");
                None
            }
        }
    }

    pub fn duration(&self, node: &Node, what: impl Display + Copy) -> Option<Duration> {
        match parse_duration(self.str(node, what)?) {
            Ok(duration) if !duration.is_zero() => Some(duration),
            Ok(_) => {
                self.error(&node.span, format!("{what} is zero"), "", "write a duration, such as `30s` or `15m`");
                None
            }
            Err(error) => {
                self.error(&node.span, format!("{what}: {error}"), "", "write a duration, such as `30s` or `15m`");
                None
            }
        }
    }

    pub fn integer(&self, node: &Node, what: impl Display + Copy, least: i64, most: i64) -> Option<i64> {
        let integer = self.str(node, what)?.parse::<i64>().ok().filter(|number| (least..=most).contains(number));
        if integer.is_none() {
            let help = format!("write a whole number from {least} to {most}");
            self.error(&node.span, format!("{what} is not a whole number in its range"), "", help);
        }
        integer
    }

    /// A list that is not empty; a single value is an error that shows how to write one.
    pub fn items<'n>(&self, node: &'n Node, what: impl Display + Copy) -> &'n [Node] {
        if node.list().is_some_and(<[Node]>::is_empty) {
            self.error(&node.span, format!("{what} is an empty list"), "", "name at least one, or remove the key");
        }
        node.list().unwrap_or_else(|| {
            self.error(
                &node.span,
                format!("{what} is a list, not {}", node.describe()),
                "",
                "write `[a, b]`, or one `- item` a line",
            );
            &[]
        })
    }

    /// A non-empty list of texts without repetitions.
    pub fn words(&self, node: &Node, what: impl Display + Copy) -> Vec<(Range<usize>, CompactString)> {
        let mut seen = BTreeSet::new();
        let items = self.items(node, what);
        let mut words = Vec::with_capacity(items.len());
        for item in items {
            if let Some(word) = self.str(item, what) {
                if items.len() > 1 && !seen.insert(word) {
                    self.error(&item.span, format!("{what} names `{word}` twice"), "", "remove one of the two");
                }
                words.push((item.span.clone(), word.into()));
            }
        }
        words
    }

    /// The only entry of a mapping such as `{ http: {...} }`.
    pub fn single<'n>(&self, node: &'n Node, what: impl Display + Copy, help: impl Display) -> Option<&'n (Key, Node)> {
        match &node.kind {
            NodeKind::Map(entries) if entries.len() == 1 => entries.first(),
            NodeKind::Map(entries) if entries.len() > 1 => {
                let (second, _) = &entries[1];
                self.error(&second.span, format!("{what} has exactly one key"), "one too many", help.to_string());
                None
            }
            NodeKind::Map(_) | NodeKind::Scalar { .. } | NodeKind::List(_) | NodeKind::Late(_) => {
                let message = format!("{what} is a mapping with one key, not {}", node.describe());
                self.error(&node.span, message, "", help.to_string());
                None
            }
        }
    }
}

/// Whether there is nothing but white space. Most texts begin with something else.
fn is_blank(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_graphic()) && text.trim().is_empty()
}

/// Where passwords stand in addresses such as `https://user:password@host`, and not the names of variables.
#[must_use]
pub fn passwords_in_urls(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for at in memchr::memmem::find_iter(text.as_bytes(), "://") {
        let begin = at + "://".len();
        let rest = &text[begin..];
        let end = rest.find(|c: char| c.is_whitespace() || "/?#'\"<>()|,`".contains(c)).unwrap_or(rest.len());
        let Some((login, _)) = rest[..end].rsplit_once('@') else { continue };
        let Some((user, password)) = login.split_once(':') else { continue };
        if !password.is_empty() && !password.contains(['{', '$']) {
            let begin = begin + user.len() + 1;
            found.push(begin..begin + password.len());
        }
    }
    found
}

impl<'n> Fields<'n> {
    #[inline]
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(name, _)| name.is(key)).map(|(_, node)| node)
    }

    /// The key that must be there.
    pub fn required(&self, reader: &Reader, key: &str, what: impl Display + Copy) -> Option<&'n Node> {
        let node = self.get(key);
        if node.is_none() {
            reader.error(
                &reader.start_of(&self.span),
                format!("{what} has no `{key}`"),
                "",
                format!("add `{key}: ...`"),
            );
        }
        node
    }

    /// The text under a key, if it is there and right.
    pub fn text(&self, reader: &Reader, key: &str) -> Option<String> {
        self.get(key).and_then(|node| reader.text(node, format_args!("`{key}`")))
    }

    /// The keys with their places, and their values.
    pub fn entries(&self) -> impl Iterator<Item = (&'n Key, &'n Node)> {
        self.entries.iter().map(|(key, node)| (key, node))
    }
}
