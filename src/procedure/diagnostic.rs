//! What is wrong in a file: message, place, the source line, and what to write instead.

use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// A file as it was read. `name` is how people see it: relative where that is shorter.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub text: String,
}

impl Source {
    /// The line of a byte offset, from 1.
    #[must_use]
    pub fn line(&self, at: usize) -> usize {
        self.breaks(0..at) + 1
    }

    /// How many lines end between two byte offsets.
    #[must_use]
    pub fn breaks(&self, between: Range<usize>) -> usize {
        let (begin, end) = (between.start.min(self.text.len()), between.end.min(self.text.len()));
        memchr::memchr_iter(b'\n', &self.text.as_bytes()[begin..end]).count()
    }

    /// A copy with stars at these places, so that all others keep theirs.
    #[must_use]
    pub fn starred(&self, places: &[Range<usize>]) -> Self {
        let hidden = |at: usize| places.iter().any(|place| place.contains(&at));
        let mut text = String::with_capacity(self.text.len());
        for (at, c) in self.text.char_indices() {
            if hidden(at) && c != '\n' {
                text.extend(std::iter::repeat_n('*', c.len_utf8()));
            } else {
                text.push(c);
            }
        }
        Self { name: self.name.clone(), text }
    }

    /// Line and column (in characters) of a byte offset, both from 1.
    #[must_use]
    pub fn position(&self, at: usize) -> (usize, usize) {
        let at = at.min(self.text.len());
        let begin = memchr::memrchr(b'\n', &self.text.as_bytes()[..at]).map_or(0, |newline| newline + 1);
        let column = self.text.get(begin..at).map_or(1, |before| before.chars().count() + 1);
        (self.line(at), column)
    }
}

/// Whether a file can be used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but it hardly means what it says. Only `opsctl lint` tells.
    Remark,
}

/// What is wrong, and where it is. Bytes of `source`; without a source it is about a file as a whole.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub severity: Severity,
    pub source: Option<Arc<Source>>,
    pub span: Range<usize>,
    pub message: String,
    /// Short text under the marked place.
    pub label: String,
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error about something that has no place in a file.
    pub fn general(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            source: None,
            span: 0..0,
            message: message.into(),
            label: String::new(),
            help: Some(help.into()).filter(|help| !help.is_empty()),
        }
    }

    /// The same about a place.
    #[must_use]
    pub fn at(self, source: Arc<Source>, span: Range<usize>) -> Self {
        Self { source: Some(source), span, ..self }
    }

    /// `file:line:column`, or nothing without a source.
    #[must_use]
    pub fn place(&self) -> String {
        self.source.as_ref().map_or_else(String::new, |source| {
            let (line, column) = source.position(self.span.start);
            format!("{}:{line}:{column}", source.name)
        })
    }

    fn group(&self) -> Group<'_> {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Remark => Level::WARNING.with_name("remark"),
        };
        let title = level.primary_title(self.message.as_str());
        let mut group = match &self.source {
            None => Group::with_title(title),
            Some(source) => {
                let mut mark = AnnotationKind::Primary.span(self.span.clone());
                if !self.label.is_empty() {
                    mark = mark.label(self.label.as_str());
                }
                title.element(Snippet::source(source.text.as_str()).path(source.name.as_str()).annotation(mark))
            }
        };
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        group
    }
}

/// Everything that is wrong, in the order of the files.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// How many there are of this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// For people, with the lines of the files.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for diagnostic in &self.0 {
            text.push_str(&renderer.render(&[diagnostic.group()]));
            text.push_str("\n\n");
        }
        text
    }
}

/// The word of `known` that is most like `word`, if one is like it at all.
#[must_use]
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
            let part =
                word.len() >= 4 && candidate.len() >= 4 && (candidate.contains(&word) || word.contains(candidate));
            (if part { distance.min(2) } else { distance }, candidate)
        })
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean ...?` followed by all that is known.
#[must_use]
pub fn suggestion<'k>(word: &str, known: impl IntoIterator<Item = &'k str>, all: &str) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if known.is_empty() {
        return "there are none yet".to_owned();
    }
    let list = format!("{all} {}", known.join(", "));
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`? {}", sentence(&list)),
        None => list,
    }
}

/// With a capital letter, to stand behind a full stop.
fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
