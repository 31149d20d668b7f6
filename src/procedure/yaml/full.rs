//! All of YAML, with the place and reason of each mistake. The only place that knows the parser.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::{Key, MAX_DEPTH, MAX_NODES, Node, NodeKind};
use crate::procedure::diagnostic::{Diagnostic, Severity, Source};

/// Parses one document.
///
/// # Errors
/// Broken YAML, a duplicate key, an alias bomb, too deep nesting, tags, several documents: with the place of each.
pub fn parse(source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
    let mut builder = Builder {
        source,
        anchors: HashMap::new(),
        nodes: 0,
        problems: Vec::new(),
        parser: Parser::new_from_str_with_options(
            &source.text,
            granit_parser::options! {
                emit_comments: false,
                flow_nesting_limit: MAX_DEPTH,
                block_nesting_limit: MAX_DEPTH,
                disallow_directives: true,
            },
        ),
    };
    match builder.document() {
        Ok(node) if builder.problems.is_empty() => Ok(node),
        Ok(_) => Err(builder.problems),
        Err(fatal) => {
            builder.problems.push(fatal);
            Err(builder.problems)
        }
    }
}

struct Builder<'s> {
    source: &'s Arc<Source>,
    parser: Parser<'s, granit_parser::StrInput<'s>>,
    /// Each anchored node and how many nodes it holds.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    /// Errors that do not stop the reading.
    problems: Vec<Diagnostic>,
}

type Built<T> = Result<T, Diagnostic>;

impl<'s> Builder<'s> {
    fn document(&mut self) -> Built<Node> {
        let mut root: Option<Node> = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(self.error(
                        bytes(&span),
                        "a second document in one file",
                        "",
                        "put it into a file of its own",
                    ));
                }
                Event::DocumentStart(..) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, &span, 0)?);
                }
                _ => return Err(self.error(bytes(&span), "unexpected content", "", "")),
            }
        }
        root.ok_or_else(|| {
            self.error(0..0, "the file is empty", "", "`opsctl explain procedure` shows what belongs into it")
        })
    }

    fn next(&mut self) -> Built<(Event<'s>, Span)> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let at = error.marker().byte_offset().unwrap_or(0).min(self.source.text.len());
                let reason = error.kind().to_string();
                Err(self.error(at..at, &format!("this is not YAML: {reason}"), "", ""))
            }
            None => Err(self.error(0..0, "the file ends too early", "", "")),
        }
    }

    fn error(&self, span: Range<usize>, message: &str, label: &str, help: &str) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            source: Some(Arc::clone(self.source)),
            span,
            message: message.to_owned(),
            label: label.to_owned(),
            help: Some(help.to_owned()).filter(|help| !help.is_empty()),
        }
    }

    /// Counts nodes, aliases expanded, so that a bomb ends before it unfolds.
    fn count(&mut self, nodes: usize, span: &Span) -> Built<()> {
        self.nodes += nodes;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let message = format!("more than {MAX_NODES} values, aliases unfolded");
        Err(self.error(bytes(span), &message, "", "split the file, or use fewer aliases"))
    }

    fn node(&mut self, event: Event<'s>, span: &Span, depth: usize) -> Built<Node> {
        self.count(1, span)?;
        if let Some(tag) = span.tag_span() {
            self.problems.push(self.error(
                bytes(&tag),
                "tags are not supported",
                "",
                "remove it; the input says what type it has",
            ));
        }
        if depth > MAX_DEPTH {
            return Err(self.error(
                bytes(span),
                &format!("nested more than {MAX_DEPTH} levels deep"),
                "",
                "flatten it",
            ));
        }
        let before = self.nodes;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let quoted = !matches!(style, ScalarStyle::Plain);
                (Node { span: bytes(span), kind: NodeKind::Scalar { text: text.into(), quoted } }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(span, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(span, depth)?, anchor),
            Event::Alias(id) => return self.alias(id, span),
            _ => return Err(self.error(bytes(span), "unexpected content", "", "")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before + 1));
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: &Span) -> Built<Node> {
        let Some(size) = self.anchors.get(&id).map(|(_, size)| *size) else {
            return Err(self.error(bytes(span), "an alias inside what it refers to", "", "write the value out"));
        };
        self.count(size, span)?;
        let (node, _) = &self.anchors[&id];
        Ok(node.clone())
    }

    fn list(&mut self, start: &Span, depth: usize) -> Built<Node> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let span = start_of(start)..end_of(&span, items.last());
                return Ok(Node { span, kind: NodeKind::List(items) });
            }
            items.push(self.node(event, &span, depth + 1)?);
        }
    }

    fn map(&mut self, start: &Span, depth: usize) -> Built<Node> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                let span = start_of(start)..end_of(&span, entries.last().map(|(_, node)| node));
                return Ok(Node { span, kind: NodeKind::Map(entries) });
            }
            let key = self.node(event, &span, depth + 1)?;
            let NodeKind::Scalar { text, .. } = key.kind else {
                return Err(self.error(key.span, "a key must be a word", "", "quote it if it is meant as text"));
            };
            let (event, span) = self.next()?;
            let value = self.node(event, &span, depth + 1)?;
            if let Some((first, _)) = entries.iter().find(|(known, _)| known.text == text) {
                let line = self.source.line(first.span.start);
                let message = format!("the key `{text}` stands here twice");
                let label = format!("first in line {line}");
                self.problems.push(self.error(key.span, &message, &label, "remove one of the two"));
                continue;
            }
            entries.push((Key { span: key.span, text }, value));
        }
    }
}

fn start_of(span: &Span) -> usize {
    span.start.byte_offset().unwrap_or(0)
}

fn bytes(span: &Span) -> Range<usize> {
    let start = start_of(span);
    start..span.end.byte_offset().unwrap_or(start).max(start)
}

/// A block ends with its last item, not with the white space after it.
fn end_of(end: &Span, last: Option<&Node>) -> usize {
    let closing = bytes(end);
    if closing.is_empty() { last.map_or(closing.end, |node| node.span.end) } else { closing.end }
}
