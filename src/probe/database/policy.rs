//! What a dump may do when it is restored: fill one database, and nothing else.
//!
//! Only statements that dump programs write are let through. Whatever names another database or changes the whole
//! server is found before anything is loaded, also inside executable comments.

use super::lexer::{At, Lexer, Token};
use crate::probe::sql::statement::Dialect;

mod settings;

/// Of a statement, this many tokens are looked at as a whole.
const HEAD: usize = 24;

/// Where the dump is to go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Into {
    /// A database of its own beside others. Triggers and events, which act by themselves, may not reach the others.
    Scratch,
    /// The database of this name, which the dump may name.
    Database(String),
}

/// Something that keeps a dump from being loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub line: u64,
    /// In words, to follow "line 12:".
    pub what: String,
}

/// Fed with the SQL of a dump.
pub struct Inspector {
    lexer: Lexer,
    judge: Judge,
}

/// The first of each that was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    /// It names another database.
    pub other: Option<Finding>,
    /// It does more than fill a database, or cannot be read with certainty.
    pub foreign: Option<Finding>,
}

impl Findings {
    #[must_use]
    pub fn first(&self) -> Option<&Finding> {
        self.other.as_ref().or(self.foreign.as_ref())
    }
}

impl Inspector {
    #[must_use]
    pub fn new(dialect: Dialect, into: Into) -> Self {
        let judge = Judge {
            dialect,
            into,
            head: Vec::new(),
            part: Part::Head,
            on: false,
            calls: 0,
            found: Findings::default(),
        };
        Self { lexer: Lexer::new(dialect), judge }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.feed_and(bytes, |_| {});
    }

    /// Also tells where in `bytes` statements end.
    pub fn feed_and(&mut self, bytes: &[u8], mut ends: impl FnMut(usize)) {
        let judge = &mut self.judge;
        self.lexer.feed(bytes, &mut |token, at| {
            judge.take(token, at);
            if token == Token::End {
                ends(at.end);
            }
        });
        self.trouble();
    }

    #[must_use]
    pub fn finish(mut self) -> Findings {
        let judge = &mut self.judge;
        self.lexer.finish(&mut |token, at| judge.take(token, at));
        self.trouble();
        self.judge.found
    }

    #[must_use]
    pub fn found(&self) -> &Findings {
        &self.judge.found
    }

    fn trouble(&mut self) {
        if let Some((line, why)) = self.lexer.trouble() {
            self.judge.found.foreign.get_or_insert_with(|| Finding { line, what: format!("it has {why}") });
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    /// In upper case, as is.
    Word(String, String),
    Name(String),
    Text(String),
    Number,
    Mark(u8),
}

impl Piece {
    fn of(token: Token<'_>) -> Option<Self> {
        Some(match token {
            Token::Word(word) => Self::Word(word.to_ascii_uppercase(), word.to_owned()),
            Token::Name(name) => Self::Name(name.to_owned()),
            Token::Text(text) => Self::Text(text.to_owned()),
            Token::Number => Self::Number,
            Token::Mark(mark) => Self::Mark(mark),
            Token::End => return None,
        })
    }

    fn word(&self) -> &str {
        if let Self::Word(upper, _) = self { upper } else { "" }
    }

    /// As the name of something.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Word(_, name) | Self::Name(name) => Some(name),
            Self::Text(_) | Self::Number | Self::Mark(_) => None,
        }
    }
}

/// What a part of a statement may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// No name of another database.
    Head,
    /// Behind `VALUES`: no call either.
    Values,
    /// The body of a view or a routine, which does nothing by itself.
    Idle,
    /// The body of a trigger or an event.
    Acting,
}

struct Judge {
    dialect: Dialect,
    into: Into,
    /// The first tokens of the present statement, and the latest ones.
    head: Vec<Piece>,
    part: Part,
    /// A GRANT said on what.
    on: bool,
    /// Opening parentheses of the present statement.
    calls: usize,
    found: Findings,
}

impl Judge {
    fn take(&mut self, token: Token<'_>, at: At) {
        let Some(piece) = Piece::of(token) else {
            if !self.head.is_empty() {
                self.whole(at.line);
            }
            self.head.clear();
            (self.part, self.on, self.calls) = (Part::Head, false, 0);
            return;
        };
        self.piece(&piece, at.line);
        self.calls += usize::from(piece == Piece::Mark(b'('));
        // The latest three stay at the end.
        if self.head.len() >= HEAD + 3 {
            self.head.remove(HEAD);
        }
        self.head.push(piece);
    }

    fn other(&mut self, line: u64, name: &str) {
        if self.into == Into::Database(name.to_owned()) {
            return;
        }
        let what = format!("`{}` names the database {name}", self.shown());
        self.found.other.get_or_insert(Finding { line, what });
    }

    fn foreign(&mut self, line: u64, why: &str) {
        let what = format!("`{}` {why}", self.shown());
        self.found.foreign.get_or_insert(Finding { line, what });
    }

    /// The first words of the statement.
    fn shown(&self) -> String {
        let words: Vec<&str> = self.head.iter().map(Piece::word).take_while(|word| !word.is_empty()).take(3).collect();
        words.join(" ")
    }

    fn first(&self) -> &str {
        self.head.first().map_or("", Piece::word)
    }

    /// The word at a place of the head.
    fn at(&self, place: usize) -> &str {
        self.head.get(place).map_or("", Piece::word)
    }

    /// What must be seen wherever it stands in a statement.
    fn piece(&mut self, piece: &Piece, line: u64) {
        let inserts = matches!(self.first(), "INSERT" | "REPLACE");
        let creates_table = self.first() == "CREATE" && self.object() == "TABLE";
        match (piece, piece.word()) {
            (_, "VALUES" | "VALUE") if inserts => self.part = Part::Values,
            (_, "SELECT" | "WITH") if (inserts || creates_table) && self.dialect != Dialect::Sqlite => {
                self.foreign(line, "takes its rows from a query, which no dump does");
            }
            (_, "SONAME") if self.first() == "CREATE" => self.foreign(line, "loads code into the server"),
            (Piece::Mark(b'('), _) if self.part == Part::Values && self.dialect != Dialect::Sqlite => {
                let called = self.head.last().map_or("", Piece::word);
                if !matches!(called, "" | "VALUES" | "VALUE") {
                    self.foreign(line, "calls a function");
                }
            }
            (_, "DATABASE" | "TABLESPACE") if self.on_last() => self.on_shared(piece.word(), line),
            (_, "ON") => self.on = true,
            _ => {}
        }
        self.enter_body(piece);
        if self.dialect == Dialect::MySql && piece.name().is_some() {
            self.qualified(line);
        }
    }

    fn on_last(&self) -> bool {
        self.dialect == Dialect::Postgres && self.head.last().is_some_and(|last| last.word() == "ON")
    }

    fn on_shared(&mut self, what: &str, line: u64) {
        let why = format!("is about a {} of the server", what.to_ascii_lowercase());
        if what == "DATABASE" {
            let what = format!("`{}` {why}", self.shown());
            self.found.other.get_or_insert(Finding { line, what });
        } else {
            self.foreign(line, &why);
        }
    }

    /// What a CREATE or DROP is about.
    fn object(&self) -> &str {
        const OBJECTS: &[&str] = &[
            "TABLE",
            "VIEW",
            "TRIGGER",
            "PROCEDURE",
            "FUNCTION",
            "EVENT",
            "SEQUENCE",
            "INDEX",
            "PACKAGE",
            "DATABASE",
            "SCHEMA",
            "USER",
            "ROLE",
            "SERVER",
            "TABLESPACE",
            "LOGFILE",
        ];
        self.head.iter().map(Piece::word).find(|word| OBJECTS.contains(word)).unwrap_or_default()
    }

    fn enter_body(&mut self, piece: &Piece) {
        if self.dialect != Dialect::MySql || self.first() != "CREATE" || self.part != Part::Head {
            return;
        }
        self.part = match (self.object(), piece) {
            ("VIEW" | "PACKAGE", piece) if matches!(piece.word(), "AS" | "IS") => Part::Idle,
            ("PROCEDURE" | "FUNCTION", Piece::Mark(b'(')) => Part::Idle,
            ("TRIGGER", piece) if piece.word() == "ROW" => Part::Acting,
            ("EVENT", piece) if piece.word() == "DO" => Part::Acting,
            _ => Part::Head,
        };
    }

    /// With the present name still to come: `before`, `database`, `.`.
    fn qualified(&mut self, line: u64) {
        let [.., before, database, Piece::Mark(b'.')] = &self.head[..] else { return };
        let Some(name) = database.name().map(str::to_owned) else { return };
        let is_name = match self.part {
            // `@@session.sql_log_bin` is a variable.
            Part::Head | Part::Values => *before != Piece::Mark(b'@'),
            Part::Idle => false,
            Part::Acting => {
                let introduces = ["INTO", "UPDATE", "FROM", "JOIN", "TABLE", "CALL", "EXISTS"];
                self.into == Into::Scratch
                    && introduces.contains(&before.word())
                    && !matches!(database.word(), "NEW" | "OLD")
            }
        };
        if is_name {
            self.other(line, &name);
        }
    }

    /// The statement is at its end.
    fn whole(&mut self, line: u64) {
        match self.dialect {
            Dialect::MySql => self.mysql(line),
            Dialect::Postgres => self.postgres(line),
            Dialect::Sqlite => self.sqlite(line),
        }
    }

    /// The name at `place` or behind it.
    fn name_from(&self, place: usize) -> String {
        let mut rest = self.head.iter().skip(place).filter(|piece| !matches!(piece.word(), "IF" | "NOT" | "EXISTS"));
        rest.find_map(Piece::name).unwrap_or("?").to_owned()
    }

    fn mysql(&mut self, line: u64) {
        const DROPPED: &[&str] =
            &["TABLE", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SEQUENCE", "INDEX", "PACKAGE"];
        match (self.first(), self.object()) {
            ("USE", _) => self.other(line, &self.name_from(1)),
            ("CREATE" | "DROP" | "ALTER", object @ ("DATABASE" | "SCHEMA")) => {
                let place = self.head.iter().position(|piece| piece.word() == object).unwrap_or(1);
                self.other(line, &self.name_from(place + 1));
            }
            ("CREATE" | "DROP", object) if DROPPED.contains(&object) => {}
            ("SET", _) => self.mysql_set(line),
            ("SELECT" | "DO", _) if self.at(1) == "SETVAL" => {}
            ("ALTER", "TABLE" | "VIEW" | "EVENT" | "SEQUENCE") | ("INSERT" | "REPLACE" | "COMMIT" | "BEGIN", _) => {}
            ("LOCK", _) if matches!(self.at(1), "TABLE" | "TABLES") => {}
            ("UNLOCK", _) if matches!(self.at(1), "TABLE" | "TABLES") => {}
            ("START", _) if self.at(1) == "TRANSACTION" => {}
            _ => self.foreign(line, NOT_A_DUMP),
        }
    }

    fn mysql_set(&mut self, line: u64) {
        let trouble = if self.head.len() > HEAD {
            Some("sets more than a dump sets at once")
        } else {
            settings::trouble(&self.head)
        };
        if let Some(trouble) = trouble {
            self.foreign(line, trouble);
        }
    }

    fn postgres(&mut self, line: u64) {
        const SHARED: &[&str] = &["ROLE", "GROUP", "TABLESPACE", "SYSTEM", "OWNED", "SUBSCRIPTION"];
        const FILLING: &[&str] =
            &["CREATE", "ALTER", "DROP", "COMMENT", "INSERT", "REFRESH", "SECURITY", "GRANT", "REVOKE"];
        let about = if self.at(1) == "ON" { self.at(2) } else { self.at(1) };
        let user = about == "USER" && self.at(2) != "MAPPING";
        match (self.first(), about) {
            ("CREATE" | "ALTER" | "DROP" | "COMMENT", "DATABASE") => {
                let place = if self.at(1) == "ON" { 3 } else { 2 };
                self.other(line, &self.name_from(place));
            }
            ("CREATE" | "ALTER" | "DROP" | "COMMENT", about) if SHARED.contains(&about) || user => {
                self.foreign(line, "changes the whole server");
            }
            ("GRANT" | "REVOKE", _) if !self.on => self.foreign(line, "changes a role of the server"),
            (first, _) if FILLING.contains(&first) => {}
            ("COPY", _) => {
                let end: Vec<&str> = self.head.iter().rev().take(2).map(Piece::word).collect();
                if end != ["STDIN", "FROM"] {
                    self.foreign(line, "copies from somewhere else than the dump");
                }
            }
            ("SELECT", _) if self.calls == 1 && (1..5).any(|place| self.at(place) == "PG_CATALOG") => {
                let sets = self.head.iter().any(|piece| piece.word() == "SET_CONFIG");
                if sets && !self.head.contains(&Piece::Text("search_path".to_owned())) {
                    self.foreign(line, "changes a setting");
                }
            }
            ("SET", "STANDARD_CONFORMING_STRINGS" | "CLIENT_ENCODING") if self.unreadable() => {
                self.foreign(line, "changes how quotes are read");
            }
            ("SET", _) if self.at(1) != "ROLE" && self.at(2) != "ROLE" => {}
            ("BEGIN" | "COMMIT", _) if self.into == Into::Scratch => {}
            ("BEGIN" | "COMMIT", _) => {
                self.foreign(
                    line,
                    "of a dump with large objects keeps it from being restored as a whole or not at all",
                );
            }
            _ => self.foreign(line, NOT_A_DUMP),
        }
    }

    /// The value of a setting of PostgreSQL makes quotes mean something else.
    fn unreadable(&self) -> bool {
        self.head.iter().skip(2).any(|piece| match piece {
            Piece::Word(word, _) => word != "ON" && word != "TO" && word != "UTF8",
            Piece::Text(set) => {
                let set = set.to_ascii_uppercase();
                set == "OFF" || settings::CHARACTER_SETS.iter().any(|word| set.contains(word))
            }
            Piece::Name(_) | Piece::Number => true,
            Piece::Mark(_) => false,
        })
    }

    fn sqlite(&mut self, line: u64) {
        match (self.first(), self.at(1)) {
            ("ATTACH" | "DETACH" | "VACUUM", _) => {
                let what = format!("`{}` reaches another file", self.shown());
                self.found.other.get_or_insert(Finding { line, what });
            }
            ("PRAGMA", "FOREIGN_KEYS" | "WRITABLE_SCHEMA" | "ENCODING" | "USER_VERSION" | "APPLICATION_ID")
            | ("BEGIN" | "COMMIT" | "INSERT" | "CREATE" | "ANALYZE", _) => {}
            ("DELETE", "FROM") if matches!(self.at(2), "SQLITE_SEQUENCE" | "SQLITE_STAT1") => {}
            ("ROLLBACK", _) => self.foreign(line, "says that the dump program met errors"),
            _ => self.foreign(line, NOT_A_DUMP),
        }
    }
}

const NOT_A_DUMP: &str = "is no statement of a dump of one database";

#[cfg(test)]
mod tests;
