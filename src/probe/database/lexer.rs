//! SQL as a stream of tokens, split as the program splits it that will run it: the client of MySQL and MariaDB, `psql`,
//! SQLite. Fed in pieces of any length; nothing is kept but the present token.

use crate::probe::sql::statement::Dialect;

mod aside;

/// More of a token is not kept.
const LONGEST: usize = 256;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Token<'t> {
    /// A keyword or a name without quotes.
    Word(&'t str),
    /// A name in quotes.
    Name(&'t str),
    /// A text; its content only in a statement that begins with `SET`.
    Text(&'t str),
    Number,
    /// Any other character.
    Mark(u8),
    /// The end of a statement.
    End,
}

/// Where a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct At {
    pub line: u64,
    /// Just behind the token, in the piece that was fed; behind the first byte that is no longer part of a word.
    pub end: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Plain,
    Word,
    Number,
    Quoted {
        quote: u8,
        escapes: bool,
        escaped: bool,
    },
    LineComment,
    BlockComment {
        depth: u32,
        last: u8,
    },
    /// After a first character that may begin something longer.
    Seen(u8),
    /// After `--` in MySQL, where a comment needs white space.
    Dashes,
    /// After `/*`, and how much of `!` or `M!` has come.
    Opening {
        mark: bool,
    },
    Version,
    DollarTag,
    DollarBody {
        matched: usize,
    },
    /// The rest of a line that only the client reads: `DELIMITER ;;`, `\restrict`.
    ClientLine,
    /// Behind `COPY .. FROM stdin;`, until the end of the line.
    CopyBegins,
    CopyRows {
        column: usize,
        is_end: bool,
    },
}

/// What the present statement began with, as far as its end depends on it.
#[derive(Default)]
struct Statement {
    words: Vec<String>,
    /// The two latest tokens: words in upper case, `;` for that mark, empty for others.
    before_last: String,
    last: String,
    parentheses: u32,
    /// Within `BEGIN ATOMIC .. END` of PostgreSQL.
    depth: u32,
}

pub struct Lexer {
    dialect: Dialect,
    state: State,
    text: Vec<u8>,
    /// How the present quote of PostgreSQL ends: `$tag$`.
    tag: Vec<u8>,
    /// The byte before, within a text or the rest of a line of an executable comment; 0 elsewhere.
    previous: u8,
    line: u64,
    statement: Statement,
    /// Within `/*! .. */`, which the server executes.
    executable: bool,
    /// The delimiter is `;;`.
    double: bool,
    /// The latest token is an `E'..'` of PostgreSQL.
    escape_text: bool,
    trouble: Option<(u64, String)>,
}

/// Who takes the tokens.
pub type Sink<'s> = dyn FnMut(Token<'_>, At) + 's;

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// `12`, `1.5`, `2e10`, `0x1F`; a sign of the exponent is a mark of its own, which does no harm. In MySQL, a name may
/// begin with a digit.
fn is_number(text: &[u8]) -> bool {
    let text = std::str::from_utf8(text).unwrap_or("name");
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match text.split_once(['e', 'E', 'x', 'X', 'b', 'B']) {
        None => digits(text),
        Some(("0", hexadecimal)) => hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit()),
        Some((mantissa, exponent)) => digits(mantissa) && digits(exponent),
    }
}

impl Lexer {
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            state: State::Plain,
            text: Vec::new(),
            tag: Vec::new(),
            previous: 0,
            line: 1,
            statement: Statement::default(),
            executable: false,
            double: false,
            escape_text: false,
            trouble: None,
        }
    }

    /// Why the text cannot be read with certainty, and in which line. Nothing is read behind that.
    #[must_use]
    pub fn trouble(&self) -> Option<(u64, &str)> {
        self.trouble.as_ref().map(|(line, why)| (*line, why.as_str()))
    }

    pub fn feed(&mut self, bytes: &[u8], sink: &mut Sink) {
        let mut at = 0;
        while at < bytes.len() && self.trouble.is_none() {
            at = self.step(bytes, at, sink);
        }
    }

    /// The text is at its end; a statement without its delimiter ends there.
    pub fn finish(&mut self, sink: &mut Sink) {
        self.feed(b"\n", sink);
        let open = match self.state {
            State::Quoted { .. } | State::DollarBody { .. } => Some("a quote that is never closed"),
            State::BlockComment { .. } => Some("a comment that is never closed"),
            State::CopyRows { .. } => Some("rows of COPY without their end"),
            _ if self.executable => Some("a comment that is never closed"),
            _ => None,
        };
        if let Some(open) = open {
            self.fail(open);
        }
        if self.trouble.is_none() && (!self.statement.words.is_empty() || !self.statement.last.is_empty()) {
            self.end_statement(0, sink);
        }
    }

    fn fail(&mut self, why: impl Into<String>) {
        self.trouble.get_or_insert((self.line, why.into()));
    }

    /// Takes at least one byte, or changes the state; returns where to go on.
    fn step(&mut self, bytes: &[u8], at: usize, sink: &mut Sink) -> usize {
        match self.state {
            State::Plain => self.plain(bytes[at], at, sink),
            State::Word | State::Number => self.word(bytes[at], at, sink),
            State::Quoted { quote, escapes, escaped } => self.quoted(bytes, at, (quote, escapes, escaped), sink),
            State::LineComment => self.line_comment(bytes, at),
            State::BlockComment { depth, last } => self.block_comment(bytes, at, depth, last),
            State::Seen(first) => self.second(first, bytes[at], at, sink),
            State::Dashes => self.dashes(bytes[at], at, sink),
            State::Opening { mark } => self.opening(bytes[at], at, mark),
            State::Version => {
                if bytes[at].is_ascii_digit() {
                    at + 1
                } else {
                    self.to(State::Plain, at)
                }
            }
            State::DollarTag => self.dollar_tag(bytes[at], at, sink),
            State::DollarBody { matched } => self.dollar_body(bytes[at], at, matched, sink),
            State::ClientLine => self.client_line(bytes[at], at),
            State::CopyBegins => self.copy_begins(bytes[at], at),
            State::CopyRows { column, is_end } => self.copy_rows(bytes, at, column, is_end),
        }
    }

    fn to(&mut self, state: State, at: usize) -> usize {
        self.state = state;
        at
    }

    fn plain(&mut self, byte: u8, at: usize, sink: &mut Sink) -> usize {
        use Dialect::{MySql, Postgres, Sqlite};
        let next = at + 1;
        let quote = |escapes| State::Quoted { quote: byte, escapes, escaped: false };
        match (byte, self.dialect) {
            (b'\n', _) => {
                self.line += 1;
                next
            }
            (b' ' | b'\t' | b'\r' | 0x0b | 0x0c, _) => next,
            (b'\'', Postgres) if self.escape_text => {
                self.fail("a text that goes on in a second pair of quotes");
                next
            }
            (b'\'' | b'"', dialect) => self.begin(quote(dialect == MySql), next),
            (b'`', MySql | Sqlite) => self.begin(quote(false), next),
            (b'[', Sqlite) => self.begin(State::Quoted { quote: b']', escapes: false, escaped: false }, next),
            (b'#', MySql) => self.to(State::LineComment, next),
            (b'-' | b'/', _) | (b'$', Postgres) => self.begin(State::Seen(byte), next),
            (b'*', MySql) if self.executable => self.to(State::Seen(byte), next),
            (b';', MySql) if self.double => self.to(State::Seen(byte), next),
            (b'\\', MySql | Postgres) => self.begin(State::ClientLine, at),
            (b';', _) if self.ends_here() => {
                self.end_statement(next, sink);
                next
            }
            (b'0'..=b'9', _) => self.begin(State::Number, next),
            _ if in_word(byte) => self.begin(State::Word, at),
            _ => {
                match byte {
                    b'(' => self.statement.parentheses += 1,
                    b')' => self.statement.parentheses = self.statement.parentheses.saturating_sub(1),
                    _ => {}
                }
                self.emit(Token::Mark(byte), next, sink);
                next
            }
        }
    }

    fn begin(&mut self, state: State, at: usize) -> usize {
        self.text.clear();
        self.to(state, at)
    }

    fn emit(&mut self, token: Token<'_>, end: usize, sink: &mut Sink) {
        let last = match token {
            Token::Word(word) => word.to_ascii_uppercase(),
            Token::Mark(b';') => ";".to_owned(),
            Token::Name(_) | Token::Text(_) | Token::Number | Token::Mark(_) | Token::End => String::new(),
        };
        if self.statement.words.len() < 4 && matches!(token, Token::Word(_)) {
            self.statement.words.push(last.clone());
        }
        // Without `ATOMIC`, `psql` and the server disagree on where the statement ends.
        if self.statement.depth == 1 && self.statement.last == "BEGIN" && last != "ATOMIC" {
            self.fail("`BEGIN` without `ATOMIC` in the definition of a routine");
        }
        self.escape_text = false;
        self.statement.before_last = std::mem::replace(&mut self.statement.last, last);
        sink(token, At { line: self.line, end });
    }

    /// Whether a `;` ends the statement here, as the program that runs it sees it.
    fn ends_here(&self) -> bool {
        let statement = &self.statement;
        match self.dialect {
            Dialect::MySql => true,
            Dialect::Postgres => statement.parentheses == 0 && statement.depth == 0,
            Dialect::Sqlite => {
                let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
                let is_trigger =
                    matches!(words[..], ["CREATE", "TRIGGER", ..] | ["CREATE", "TEMP" | "TEMPORARY", "TRIGGER", ..]);
                !is_trigger || (statement.last == "END" && statement.before_last == ";")
            }
        }
    }

    fn end_statement(&mut self, end: usize, sink: &mut Sink) {
        let copies = self.dialect == Dialect::Postgres
            && self.statement.words.first().is_some_and(|word| word == "COPY")
            && self.statement.before_last == "FROM"
            && self.statement.last == "STDIN";
        self.statement = Statement::default();
        sink(Token::End, At { line: self.line, end });
        self.state = if copies { State::CopyBegins } else { State::Plain };
    }

    fn word(&mut self, byte: u8, at: usize, sink: &mut Sink) -> usize {
        let number = self.state == State::Number;
        let fraction = number && byte == b'.' && self.text.iter().all(u8::is_ascii_digit);
        // A number ends where a quote of PostgreSQL begins.
        let quote = number && byte == b'$' && self.dialect == Dialect::Postgres;
        if (in_word(byte) && !quote) || fraction {
            if self.text.len() < LONGEST {
                self.text.push(byte);
            }
            return at + 1;
        }
        self.state = State::Plain;
        let text = std::mem::take(&mut self.text);
        if number && is_number(&text) {
            self.emit(Token::Number, at, sink);
            return at;
        }
        if byte == b'\'' && self.dialect == Dialect::Postgres && text.eq_ignore_ascii_case(b"e") {
            return self.begin(State::Quoted { quote: byte, escapes: true, escaped: false }, at + 1);
        }
        let word = String::from_utf8_lossy(&text);
        if self.dialect == Dialect::MySql && self.statement.words.is_empty() && word.eq_ignore_ascii_case("delimiter") {
            self.text = text;
            return self.to(State::ClientLine, at);
        }
        self.bodies(&word);
        self.emit(Token::Word(&word), at, sink);
        at
    }

    /// Follows `BEGIN ATOMIC .. END` as `psql` does, which does not split at its semicolons.
    fn bodies(&mut self, word: &str) {
        if self.dialect != Dialect::Postgres || self.statement.parentheses > 0 {
            return;
        }
        let words: Vec<&str> = self.statement.words.iter().map(String::as_str).collect();
        let routine = matches!(
            words[..],
            ["CREATE", "FUNCTION" | "PROCEDURE", ..] | ["CREATE", "OR", "REPLACE", "FUNCTION" | "PROCEDURE", ..]
        );
        if !routine {
            return;
        }
        if word.eq_ignore_ascii_case("begin") || (self.statement.depth > 0 && word.eq_ignore_ascii_case("case")) {
            self.statement.depth += 1;
        } else if word.eq_ignore_ascii_case("end") {
            self.statement.depth = self.statement.depth.saturating_sub(1);
        }
    }
}
