//! What stands between the words: quotes, comments, lines for the client, rows of COPY.

use super::{LONGEST, Lexer, Sink, State, Token, in_word};
use crate::probe::sql::statement::Dialect;

impl Lexer {
    pub(super) fn quoted(
        &mut self,
        bytes: &[u8],
        at: usize,
        (quote, escapes, escaped): (u8, bool, bool),
        sink: &mut Sink,
    ) -> usize {
        let rest = &bytes[at..];
        if escaped {
            self.keep(&rest[..1]);
            self.previous = rest[0];
            return self.to(State::Quoted { quote, escapes, escaped: false }, at + 1);
        }
        let stop = if escapes { memchr::memchr2(quote, b'\\', rest) } else { memchr::memchr(quote, rest) };
        let length = stop.unwrap_or(rest.len());
        if self.executable
            && let Some(end) = self.end_of_comment(&rest[..length])
        {
            self.keep(&rest[..end]);
            return self.ambiguous(bytes);
        }
        self.keep(&rest[..length]);
        let Some(stop) = stop else { return bytes.len() };
        self.previous = 0;
        if rest[stop] != quote {
            self.keep(b"\\");
            return self.to(State::Quoted { quote, escapes, escaped: true }, at + stop + 1);
        }
        self.state = State::Plain;
        let text = std::mem::take(&mut self.text);
        let content = String::from_utf8_lossy(&text);
        let is_text = quote == b'\'' || (quote == b'"' && self.dialect == Dialect::MySql);
        let token = if is_text { Token::Text(&content) } else { Token::Name(&content) };
        self.emit(token, at + stop + 1, sink);
        self.escape_text = escapes && self.dialect == Dialect::Postgres;
        at + stop + 1
    }

    /// Where the piece, with the byte before it, holds the end of the comment around it.
    pub(super) fn end_of_comment(&mut self, piece: &[u8]) -> Option<usize> {
        let cut = self.previous == b'*' && piece.first() == Some(&b'/');
        self.previous = piece.last().copied().unwrap_or(self.previous);
        if cut { Some(0) } else { memchr::memmem::find(piece, b"*/") }
    }

    /// Keeps the beginning of a quoted text where it matters, and counts lines.
    pub(super) fn keep(&mut self, piece: &[u8]) {
        self.line += memchr::memchr_iter(b'\n', piece).count() as u64;
        let matters = self.statement.words.first().is_some_and(|first| matches!(first.as_str(), "SET" | "SELECT"));
        let is_data = matches!(self.state, State::Quoted { quote: b'\'', .. }) && !matters;
        if !is_data {
            self.text.extend_from_slice(&piece[..piece.len().min(LONGEST.saturating_sub(self.text.len()))]);
        }
    }

    /// A server that skips the comment sees its end where one that executes it does not.
    pub(super) fn ambiguous(&mut self, bytes: &[u8]) -> usize {
        self.fail("`*/` in a text within an executable comment, which servers read in different ways");
        bytes.len()
    }

    pub(super) fn line_comment(&mut self, bytes: &[u8], at: usize) -> usize {
        let rest = &bytes[at..];
        let end = memchr::memchr(b'\n', rest);
        if self.executable && self.end_of_comment(&rest[..end.unwrap_or(rest.len())]).is_some() {
            return self.ambiguous(bytes);
        }
        match end {
            Some(end) => {
                self.previous = 0;
                self.to(State::Plain, at + end)
            }
            None => bytes.len(),
        }
    }

    pub(super) fn block_comment(&mut self, bytes: &[u8], at: usize, depth: u32, last: u8) -> usize {
        let byte = bytes[at];
        self.line += u64::from(byte == b'\n');
        let nests = self.dialect == Dialect::Postgres;
        self.state = match (last, byte) {
            (b'*', b'/') if depth == 1 => State::Plain,
            (b'*', b'/') => State::BlockComment { depth: depth - 1, last: 0 },
            (b'/', b'*') if nests => State::BlockComment { depth: depth + 1, last: 0 },
            _ => State::BlockComment { depth, last: byte },
        };
        at + 1
    }

    pub(super) fn second(&mut self, first: u8, byte: u8, at: usize, sink: &mut Sink) -> usize {
        self.state = State::Plain;
        match (first, byte) {
            (b'-', b'-') if self.dialect == Dialect::MySql => self.to(State::Dashes, at + 1),
            (b'-', b'-') => self.to(State::LineComment, at + 1),
            (b'/', b'*') if self.dialect == Dialect::MySql => self.to(State::Opening { mark: false }, at + 1),
            (b'/', b'*') => self.to(State::BlockComment { depth: 1, last: 0 }, at + 1),
            (b'*', b'/') => {
                self.executable = false;
                at + 1
            }
            (b';', b';') => {
                self.end_statement(at + 1, sink);
                at + 1
            }
            (b'$', b'$') => {
                self.tag = b"$$".to_vec();
                self.to(State::DollarBody { matched: 0 }, at + 1)
            }
            (b'$', _) if in_word(byte) && !byte.is_ascii_digit() => self.to(State::DollarTag, at),
            _ => {
                self.emit(Token::Mark(first), at, sink);
                at
            }
        }
    }

    pub(super) fn dashes(&mut self, byte: u8, at: usize, sink: &mut Sink) -> usize {
        if byte.is_ascii_whitespace() || byte.is_ascii_control() {
            return self.to(State::LineComment, at);
        }
        // The second dash may begin a comment with what follows.
        self.state = State::Seen(b'-');
        self.emit(Token::Mark(b'-'), at, sink);
        at
    }

    pub(super) fn opening(&mut self, byte: u8, at: usize, mark: bool) -> usize {
        match byte {
            b'!' if self.executable => {
                self.fail("an executable comment within another");
                at
            }
            b'!' => {
                self.executable = true;
                self.previous = 0;
                self.to(State::Version, at + 1)
            }
            b'M' if !mark => self.to(State::Opening { mark: true }, at + 1),
            _ => self.to(State::BlockComment { depth: 1, last: 0 }, at),
        }
    }

    pub(super) fn dollar_tag(&mut self, byte: u8, at: usize, sink: &mut Sink) -> usize {
        if byte == b'$' {
            self.tag = [b"$", self.text.as_slice(), b"$"].concat();
            self.text.clear();
            return self.to(State::DollarBody { matched: 0 }, at + 1);
        }
        if in_word(byte) && self.text.len() < LONGEST {
            self.text.push(byte);
            return at + 1;
        }
        self.state = State::Plain;
        self.emit(Token::Mark(b'$'), at, sink);
        at
    }

    pub(super) fn dollar_body(&mut self, byte: u8, at: usize, matched: usize, sink: &mut Sink) -> usize {
        self.line += u64::from(byte == b'\n');
        // Only the first and the last byte of the tag are `$`, so a mismatch begins anew at most with this byte.
        let matched = if self.tag[matched] == byte { matched + 1 } else { usize::from(byte == b'$') };
        if matched == self.tag.len() {
            self.state = State::Plain;
            self.emit(Token::Text(""), at + 1, sink);
        } else {
            self.state = State::DollarBody { matched };
        }
        at + 1
    }

    /// Dump programs write few lines for the client; any other may reach beyond the database.
    pub(super) fn client_line(&mut self, byte: u8, at: usize) -> usize {
        // The mark of MariaDB's sandbox stands in a comment: `/*M!999999\- enable the sandbox mode */`.
        if self.executable && self.text == b"\\-" {
            self.executable = false;
            return self.to(State::BlockComment { depth: 1, last: 0 }, at);
        }
        if byte != b'\n' {
            if self.text.len() < LONGEST {
                self.text.push(byte);
            }
            return at + 1;
        }
        let line = String::from_utf8_lossy(&self.text).trim().to_owned();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line.as_str(), ""));
        match (self.dialect, word.to_ascii_lowercase().as_str(), rest.trim()) {
            (Dialect::MySql, "delimiter", ";") => self.double = false,
            (Dialect::MySql, "delimiter", ";;") => self.double = true,
            (Dialect::Postgres, "\\restrict" | "\\unrestrict", _) => {}
            _ => self.fail(format!("`{word}`, a command for the client")),
        }
        self.to(State::Plain, at)
    }

    pub(super) fn copy_begins(&mut self, byte: u8, at: usize) -> usize {
        match byte {
            b'\n' => {
                self.line += 1;
                self.state = State::CopyRows { column: 0, is_end: true };
            }
            b'\r' | b' ' => {}
            _ => self.fail("more behind COPY in the same line"),
        }
        at + 1
    }

    /// Rows end with a line that is `\.` and nothing else.
    pub(super) fn copy_rows(&mut self, bytes: &[u8], at: usize, column: usize, is_end: bool) -> usize {
        if !is_end {
            let Some(end) = memchr::memchr(b'\n', &bytes[at..]) else { return bytes.len() };
            self.line += 1;
            return self.to(State::CopyRows { column: 0, is_end: true }, at + end + 1);
        }
        self.state = match (column, bytes[at]) {
            (0, b'\\') | (1, b'.') => State::CopyRows { column: column + 1, is_end: true },
            (2, b'\r') => State::CopyRows { column, is_end: true },
            (2, b'\n') => State::Plain,
            (_, b'\n') => State::CopyRows { column: 0, is_end: true },
            _ => State::CopyRows { column: column + 1, is_end: false },
        };
        self.line += u64::from(bytes[at] == b'\n');
        at + 1
    }
}
