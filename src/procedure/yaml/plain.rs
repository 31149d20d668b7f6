//! The short way: YAML as most procedures are written, read in one go.
//!
//! Collections in blocks and in brackets, comments, plain and quoted texts of one line, and the values of keys that are
//! texts of several lines (`|` and `>`). What it reads, it reads as
//! [`super::full`] does; everything else, every mistake included, it leaves to that.

use std::borrow::Cow;
use std::ops::Range;

use super::{Key, MAX_DEPTH, MAX_NODES, Node, NodeKind};

/// YAML's own limit for a key is 1024 characters; this is surely below it.
const MAX_KEY: usize = 256;

/// The document; nothing when it takes more than this to read it.
#[must_use]
pub fn parse(text: &str) -> Option<Node> {
    if !is_usual(text.as_bytes()) {
        return None;
    }
    // As deep and as wide as most are.
    let (items, entries) = (Vec::with_capacity(32), Vec::with_capacity(64));
    let mut reader =
        Reader { text, bytes: text.as_bytes(), at: 0, line: 0, nodes: 0, items, entries, quoted_keys: false };
    reader.reach_content()?;
    let node = reader.block(0, 0)?;
    reader.is_at_end().then_some(node)
}

/// Whether there is neither a tab nor a carriage return, and nothing that is invisible or breaks lines elsewhere.
fn is_usual(text: &[u8]) -> bool {
    // Both looks take many bytes at once.
    let is_odd = |byte: u8| u8::from(byte < b' ') & u8::from(byte != b'\n') | u8::from(byte == 0x7f);
    if text.iter().fold(0, |odd, &byte| odd | is_odd(byte)) != 0 {
        return false;
    }
    // U+0080 to U+009F, U+2028 and U+2029, U+FEFF, U+FFFE and U+FFFF.
    !memchr::memchr3_iter(0xc2, 0xe2, 0xef, text).any(|at| {
        matches!(
            text[at..],
            [0xc2, 0x80..=0x9f, ..]
                | [0xe2, 0x80, 0xa8 | 0xa9, ..]
                | [0xef, 0xbb, 0xbf, ..]
                | [0xef, 0xbf, 0xbe | 0xbf, ..]
        )
    })
}

/// Where a scalar stands: in brackets more characters end it.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Block,
    Brackets,
}

struct Scalar<'t> {
    span: Range<usize>,
    text: Cow<'t, str>,
    quoted: bool,
}

/// The bytes at which a plain scalar in brackets may end.
const MAY_END: [bool; 256] = among(b"\n:#,[]{}");

/// The bytes with which a plain scalar does not begin.
const NO_BEGIN: [bool; 256] = among(b" \n?:,[]{}#&*!|>'\"%@`");

/// By byte, whether it is one of these.
const fn among(mut bytes: &[u8]) -> [bool; 256] {
    let mut among = [false; 256];
    while let [first, others @ ..] = bytes {
        among[*first as usize] = true;
        bytes = others;
    }
    among
}

/// Functions that read something return nothing when they do not know what stands there.
struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// Where the line of `at` begins.
    line: usize,
    nodes: usize,
    /// Of the collections that have begun and not ended, the inner ones behind the outer ones: so each is made when it
    /// is known how large it is.
    items: Vec<Node>,
    entries: Vec<(Key, Node)>,
    /// Whether a key had quotes.
    quoted_keys: bool,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn column(&self) -> usize {
        self.at - self.line
    }

    /// Whether `mark` stands here with white space behind it.
    fn is_mark(&self, mark: u8) -> bool {
        self.peek() == Some(mark) && matches!(self.bytes.get(self.at + 1), None | Some(b' ' | b'\n'))
    }

    fn skip_spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    /// Skips spaces and a comment; whether this was all that was left of the line.
    fn ends_line(&mut self) -> bool {
        let begin = self.at;
        self.skip_spaces();
        if self.peek() == Some(b'#') && (self.at > begin || self.column() == 0) {
            self.at = memchr::memchr(b'\n', &self.bytes[begin..]).map_or(self.bytes.len(), |length| begin + length);
        }
        matches!(self.peek(), None | Some(b'\n'))
    }

    /// Skips the rest of lines that say nothing more, up to content that is no mark between documents.
    fn reach_content(&mut self) -> Option<()> {
        while self.ends_line() && !self.is_at_end() {
            self.at += 1;
            self.line = self.at;
        }
        let rest = &self.bytes[self.at..];
        (self.column() > 0 || !(rest.starts_with(b"---") || rest.starts_with(b"..."))).then_some(())
    }

    /// From behind the last value of a line to the content behind the line.
    fn leave_line(&mut self) -> Option<()> {
        if self.ends_line() { self.reach_content() } else { None }
    }

    /// The node that begins here, and on to the content behind it; all its lines begin in column `least` or behind it.
    fn block(&mut self, least: usize, depth: usize) -> Option<Node> {
        if self.is_mark(b'-') {
            return self.block_list(depth);
        }
        if matches!(self.peek(), Some(b'[' | b'{')) {
            return self.rest_of_line(least, depth);
        }
        let column = self.column();
        let scalar = self.scalar(Place::Block)?;
        if self.is_key(&scalar) {
            return self.block_map(scalar, column, depth);
        }
        let node = self.scalar_node(scalar, depth)?;
        self.leave_line()?;
        Some(node)
    }

    fn block_list(&mut self, depth: usize) -> Option<Node> {
        self.count(depth)?;
        let (start, column, first) = (self.at, self.column(), self.items.len());
        while self.is_mark(b'-') && self.column() == column {
            self.at += 1;
            if self.ends_line() {
                self.reach_content()?;
            }
            if self.column() <= column {
                return None;
            }
            let item = self.block(column + 1, depth + 1)?;
            self.items.push(item);
        }
        let items = self.items.split_off(first);
        let span = start..items.last()?.span.end;
        (self.is_at_end() || self.column() <= column).then_some(Node { span, kind: NodeKind::List(items) })
    }

    /// `key` was read; its colon is next.
    fn block_map(&mut self, mut key: Scalar<'t>, column: usize, depth: usize) -> Option<Node> {
        self.count(depth)?;
        let (start, first) = (key.span.start, self.entries.len());
        loop {
            self.at += 1;
            let value = if self.ends_line() {
                self.reach_content()?;
                self.below(column, depth + 1)?
            } else if matches!(self.peek(), Some(b'|' | b'>')) {
                self.lines(column + 1, depth + 1)?
            } else {
                self.rest_of_line(column + 1, depth + 1)?
            };
            let end = value.span.end;
            self.add(first, key, value, depth + 1)?;
            if self.is_at_end() || self.column() < column {
                return Some(Node { span: start..end, kind: NodeKind::Map(self.entries.split_off(first)) });
            }
            if self.column() > column {
                return None;
            }
            key = self.scalar(Place::Block)?;
            if !self.is_key(&key) {
                return None;
            }
        }
    }

    /// The value of a key in `column`, from the line below it.
    fn below(&mut self, column: usize, depth: usize) -> Option<Node> {
        if self.column() > column {
            return self.block(column + 1, depth);
        }
        if self.column() < column || !self.is_mark(b'-') {
            return None;
        }
        let dash = self.at;
        let mut node = self.block_list(depth)?;
        // For the parser such a list begins behind the first dash, so its item has to stand there.
        node.span.start = node.list()?.first()?.span.start;
        self.bytes[dash + 1..node.span.start].iter().all(|&byte| byte == b' ').then_some(node)
    }

    /// A text of several lines, of which none begins in front of column `least`, and on to the content behind it.
    fn lines(&mut self, least: usize, depth: usize) -> Option<Node> {
        self.count(depth)?;
        let folded = self.peek() == Some(b'>');
        self.at += 1;
        let stripped = self.peek() == Some(b'-');
        self.at += usize::from(stripped);
        let (mut text, mut indent, mut breaks) = (String::new(), None, 0);
        // For the parser such a text begins with its first character and ends where it knows that no more of it comes.
        let (mut start, mut end) = (None, self.at);
        while self.peek()? == b'\n' {
            self.at += 1;
            self.line = self.at;
            self.skip_spaces();
            match self.peek() {
                // White space alone could be content, or less than the indent of a text that has not begun.
                Some(b'\n') if self.column() > 0 || indent.is_none() => return None,
                Some(b'\n') => {}
                None if self.column() > 0 => return None,
                Some(_) if self.column() >= *indent.get_or_insert(self.column().max(least)) => {
                    let deeper = self.column() - indent?;
                    // Lines that stand deeper are not folded, nor those around them.
                    if folded && deeper > 0 {
                        return None;
                    }
                    match breaks {
                        0 => {}
                        1 if folded => text.push(' '),
                        _ => text.extend(std::iter::repeat_n('\n', breaks - usize::from(folded))),
                    }
                    let length = memchr::memchr(b'\n', &self.bytes[self.at..])?;
                    text.push_str(&self.text[self.at - deeper..self.at + length]);
                    start.get_or_insert(self.at);
                    self.at += length;
                    breaks = 0;
                }
                _ => {
                    end = self.at;
                    self.at = self.line;
                    break;
                }
            }
            breaks += 1;
        }
        if !stripped {
            text.push('\n');
        }
        self.reach_content()?;
        Some(Node { span: start?..end, kind: NodeKind::Scalar { text: text.into(), quoted: true } })
    }

    /// A scalar or a collection in brackets, the last of its line, and on to the content behind it.
    fn rest_of_line(&mut self, least: usize, depth: usize) -> Option<Node> {
        let node = self.leaf(Place::Block, least, depth)?;
        self.leave_line()?;
        Some(node)
    }

    /// A scalar or a collection in brackets.
    fn leaf(&mut self, place: Place, least: usize, depth: usize) -> Option<Node> {
        match self.peek()? {
            b'[' => self.flow_list(least, depth),
            b'{' => self.flow_map(least, depth),
            _ => {
                let scalar = self.scalar(place)?;
                self.scalar_node(scalar, depth)
            }
        }
    }

    fn scalar_node(&mut self, scalar: Scalar<'_>, depth: usize) -> Option<Node> {
        self.count(depth)?;
        let Scalar { span, text, quoted } = scalar;
        Some(Node { span, kind: NodeKind::Scalar { text: text.into(), quoted } })
    }

    fn flow_list(&mut self, least: usize, depth: usize) -> Option<Node> {
        self.count(depth)?;
        let (start, first) = (self.at, self.items.len());
        while !self.closes(b']', least)? {
            let item = self.leaf(Place::Brackets, least, depth + 1)?;
            self.items.push(item);
            self.reach_comma(b']', least)?;
        }
        Some(Node { span: start..self.at, kind: NodeKind::List(self.items.split_off(first)) })
    }

    fn flow_map(&mut self, least: usize, depth: usize) -> Option<Node> {
        self.count(depth)?;
        let (start, first) = (self.at, self.entries.len());
        while !self.closes(b'}', least)? {
            let key = self.scalar(Place::Brackets)?;
            if !self.is_key(&key) {
                return None;
            }
            self.at += 1;
            self.skip_lines(least)?;
            let value = self.leaf(Place::Brackets, least, depth + 1)?;
            self.add(first, key, value, depth + 1)?;
            self.reach_comma(b'}', least)?;
        }
        Some(Node { span: start..self.at, kind: NodeKind::Map(self.entries.split_off(first)) })
    }

    /// From an opening bracket or a comma to what follows; whether this was the closing bracket, which is skipped.
    fn closes(&mut self, bracket: u8, least: usize) -> Option<bool> {
        // An opening bracket, a comma, or the closing bracket itself.
        if self.peek() != Some(bracket) {
            self.at += 1;
            self.skip_lines(least)?;
        }
        let closes = self.peek() == Some(bracket);
        self.at += usize::from(closes);
        Some(closes)
    }

    /// From an item to the comma or the bracket behind it.
    fn reach_comma(&mut self, bracket: u8, least: usize) -> Option<()> {
        self.skip_lines(least)?;
        (self.peek() == Some(b',') || self.peek() == Some(bracket)).then_some(())
    }

    /// Skips spaces, comments and ends of lines in brackets.
    fn skip_lines(&mut self, least: usize) -> Option<()> {
        let line = self.line;
        if self.ends_line() {
            self.reach_content()?;
        }
        (self.line == line || self.column() >= least).then_some(())
    }

    /// Whether a colon makes a key of `scalar`; goes to it then.
    fn is_key(&mut self, scalar: &Scalar<'_>) -> bool {
        let begin = self.at;
        self.skip_spaces();
        let is_key = self.is_mark(b':') && scalar.span.len() <= MAX_KEY;
        if !is_key {
            self.at = begin;
        }
        is_key
    }

    /// Adds to the mapping whose entries begin at `first`.
    fn add(&mut self, first: usize, key: Scalar<'_>, value: Node, depth: usize) -> Option<()> {
        self.count(depth)?;
        let Scalar { span, text, quoted } = key;
        self.quoted_keys |= quoted;
        // Without quotes, keys of different lengths are different.
        let may_be = |known: &Key| self.quoted_keys || known.span.len() == span.len();
        if self.entries[first..].iter().any(|(known, _)| may_be(known) && known.text == text) {
            return None;
        }
        self.entries.push((Key { span, text: text.into() }, value));
        Some(())
    }

    /// Counts a node. The limit is far from the parser's own limits of depth, which count in another way.
    fn count(&mut self, depth: usize) -> Option<()> {
        self.nodes += 1;
        (self.nodes <= MAX_NODES && depth <= MAX_DEPTH / 2).then_some(())
    }

    fn scalar(&mut self, place: Place) -> Option<Scalar<'t>> {
        match self.peek()? {
            b'\'' => self.single_quoted(),
            b'"' => self.double_quoted(),
            _ => self.unquoted(place),
        }
    }

    fn single_quoted(&mut self) -> Option<Scalar<'t>> {
        let start = self.at;
        let mut doubled = false;
        self.at += 1;
        loop {
            self.at += memchr::memchr2(b'\'', b'\n', &self.bytes[self.at..])?;
            if self.bytes[self.at] == b'\n' {
                return None;
            }
            self.at += 1;
            if self.peek() != Some(b'\'') {
                break;
            }
            doubled = true;
            self.at += 1;
        }
        let inner = &self.text[start + 1..self.at - 1];
        let text = if doubled { Cow::Owned(inner.replace("''", "'")) } else { Cow::Borrowed(inner) };
        Some(Scalar { span: start..self.at, text, quoted: true })
    }

    /// With the escapes that people write.
    fn double_quoted(&mut self) -> Option<Scalar<'t>> {
        let start = self.at;
        let mut text = Cow::Borrowed("");
        self.at += 1;
        loop {
            let length = memchr::memchr3(b'"', b'\\', b'\n', &self.bytes[self.at..])?;
            text += &self.text[self.at..self.at + length];
            self.at += length + 1;
            match self.bytes[self.at - 1] {
                b'"' => return Some(Scalar { span: start..self.at, text, quoted: true }),
                b'\\' => {
                    text += match self.peek()? {
                        b'n' => "\n",
                        b't' => "\t",
                        b'"' => "\"",
                        b'\\' => "\\",
                        _ => return None,
                    }
                }
                _ => return None,
            }
            self.at += 1;
        }
    }

    fn unquoted(&mut self, place: Place) -> Option<Scalar<'t>> {
        let start = self.at;
        let is_end = |bytes: &[u8], at: usize| match bytes.get(at) {
            None | Some(b' ' | b'\n') => true,
            Some(b',' | b'[' | b']' | b'{' | b'}') => place == Place::Brackets,
            Some(_) => false,
        };
        let begins = match self.peek()? {
            b'-' => !is_end(self.bytes, start + 1),
            first => !NO_BEGIN[usize::from(first)],
        };
        if !begins {
            return None;
        }
        let mut at = start;
        loop {
            at += match place {
                // Long texts, mostly: many bytes at once.
                Place::Block => memchr::memchr3(b'\n', b':', b'#', &self.bytes[at..]).unwrap_or(self.bytes.len() - at),
                Place::Brackets => self.bytes[at..].iter().take_while(|&&byte| !MAY_END[usize::from(byte)]).count(),
            };
            match self.bytes.get(at) {
                None | Some(b'\n') => break,
                Some(b':') if is_end(self.bytes, at + 1) => break,
                Some(b'#') if self.bytes[at - 1] == b' ' => break,
                Some(b',' | b'[' | b']' | b'{' | b'}') if place == Place::Brackets => break,
                Some(_) => at += 1,
            }
        }
        let end = start + self.bytes[start..at].trim_ascii_end().len();
        self.at = end;
        Some(Scalar { span: start..end, text: Cow::Borrowed(&self.text[start..end]), quoted: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_the_parser_treats_in_its_own_way_are_not_usual() {
        let is_odd = |c: char| {
            c.is_control() && c != '\n' || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        };
        for c in '\0'..=char::MAX {
            assert_eq!(is_usual(format!("a{c}b").as_bytes()), !is_odd(c), "{c:?}");
        }
    }
}
