//! The little that must be known of a statement before it is sent.

use super::site::Server;

/// How a server reads quotes and comments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    MySql,
    Postgres,
    Sqlite,
}

impl Dialect {
    pub fn of(server: &Server) -> Self {
        match server {
            Server::MySql(_) => Self::MySql,
            Server::Postgres(_) => Self::Postgres,
            Server::Sqlite(_) => Self::Sqlite,
        }
    }
}

/// Statements that read. A read-only session refuses most of the others, but not all: `COPY .. TO PROGRAM`,
/// `VACUUM INTO`, `DO` with a transaction of its own.
const READING: &[&str] =
    &["SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", "CHECKSUM", "PRAGMA"];

/// Refuses a statement that does not begin like one that reads.
pub fn reads(sql: &str) -> Result<(), String> {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches(|char: char| char.is_whitespace() || char == '(');
        let comment = match rest.as_bytes() {
            [b'-', b'-', ..] | [b'#', ..] => rest.find('\n'),
            [b'/', b'*', ..] => rest.find("*/").map(|end| end + 1),
            _ => break,
        };
        rest = comment.map_or("", |end| &rest[end + 1..]);
    }
    let word = rest.split(|char: char| !char.is_ascii_alphabetic()).next().unwrap_or_default();
    match word {
        _ if READING.iter().any(|known| known.eq_ignore_ascii_case(word)) => Ok(()),
        "" => Err("the query does not begin with a statement".to_owned()),
        _ => Err(format!("`{word}` is not a statement that reads")),
    }
}

/// The only statement in `sql`, without its semicolon.
///
/// PostgreSQL's simple protocol and the SQLite driver would run several; MySQL's prepared statements refuse them.
pub fn single(sql: &str, dialect: Dialect) -> Result<&str, String> {
    let mut scan = Scan { sql, at: 0, dialect };
    let mut end = None;
    let mut before = "";
    while let Some(token) = scan.next()? {
        if end.is_some() {
            return Err("one statement expected, several given".to_owned());
        }
        let is_file = ["OUTFILE", "DUMPFILE"].iter().any(|word| word.eq_ignore_ascii_case(token));
        if dialect == Dialect::MySql && is_file && before.eq_ignore_ascii_case("INTO") {
            return Err(format!("`INTO {token}` writes a file"));
        }
        if token == ";" {
            end = Some(scan.at - 1);
        }
        before = token;
    }
    Ok(&sql[..end.unwrap_or(sql.len())])
}

/// Words, quoted things and single characters, as slices of `sql`; space and comments are left out.
pub fn tokens(sql: &str, dialect: Dialect) -> Result<Vec<&str>, String> {
    let mut scan = Scan { sql, at: 0, dialect };
    std::iter::from_fn(|| scan.next().transpose()).collect()
}

/// Of the name, keyword or number at the beginning. A `$` within a name does not begin a quote.
fn word_length(rest: &str, first: char) -> usize {
    let in_word = |char: char| char.is_alphanumeric() || char == '_' || !char.is_ascii();
    let in_name = |char: char| in_word(char) || (char == '$' && !first.is_ascii_digit());
    if in_word(first) { rest.len() - rest.trim_start_matches(in_name).len() } else { 0 }
}

/// Goes over words, quoted things and single characters; leaves out space and comments.
struct Scan<'s> {
    sql: &'s str,
    at: usize,
    dialect: Dialect,
}

impl<'s> Scan<'s> {
    fn next(&mut self) -> Result<Option<&'s str>, String> {
        self.skip_space_and_comments()?;
        let begin = self.at;
        let rest = &self.sql[begin..];
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let word = word_length(rest, first);
        let quoted = self.rest_has_escape_string();
        match first {
            _ if quoted => self.quoted(begin + 1, '\'', Backslash::Escapes)?,
            _ if word > 0 => self.at += word,
            '\'' => self.quoted(begin, '\'', self.backslash())?,
            '"' => self.quoted(begin, '"', self.backslash())?,
            '`' if self.dialect != Dialect::Postgres => self.quoted(begin, '`', Backslash::IsPlain)?,
            '[' if self.dialect == Dialect::Sqlite => self.until("]")?,
            '$' if self.dialect == Dialect::Postgres => self.dollar_quoted()?,
            _ => self.at += first.len_utf8(),
        }
        Ok(Some(&self.sql[begin..self.at]))
    }

    /// PostgreSQL's `E'..'`.
    fn rest_has_escape_string(&self) -> bool {
        let rest = &self.sql[self.at..];
        self.dialect == Dialect::Postgres && (rest.starts_with("E'") || rest.starts_with("e'"))
    }

    fn backslash(&self) -> Backslash {
        if self.dialect == Dialect::MySql { Backslash::Escapes } else { Backslash::IsPlain }
    }

    /// Two quotes within stand for one; they read as two neighbours here, which ends at the same place.
    fn quoted(&mut self, begin: usize, quote: char, backslash: Backslash) -> Result<(), String> {
        let mut chars = self.sql[begin + 1..].char_indices();
        while let Some((offset, char)) = chars.next() {
            if char == '\\' && backslash == Backslash::Escapes {
                chars.next();
            } else if char == quote {
                self.at = begin + 1 + offset + 1;
                return Ok(());
            }
        }
        Err(format!("the quote {quote} is never closed"))
    }

    /// `$$..$$` or `$tag$..$tag$`; a lone `$`, as in `$1`, is a character like others.
    fn dollar_quoted(&mut self) -> Result<(), String> {
        let rest = &self.sql[self.at + 1..];
        let tag = rest.find('$').map(|end| &rest[..end]);
        let is_tag = |tag: &&str| {
            !tag.starts_with(|char: char| char.is_ascii_digit())
                && tag.chars().all(|char| char.is_alphanumeric() || char == '_')
        };
        let Some(tag) = tag.filter(is_tag) else {
            self.at += 1;
            return Ok(());
        };
        self.at += tag.len() + 2;
        self.until(&format!("${tag}$"))
    }

    fn until(&mut self, end: &str) -> Result<(), String> {
        let found = self.sql[self.at..].find(end).ok_or_else(|| format!("`{end}` is missing"))?;
        self.at += found + end.len();
        Ok(())
    }

    fn skip_space_and_comments(&mut self) -> Result<(), String> {
        loop {
            let rest = &self.sql[self.at..];
            self.at += rest.len() - rest.trim_start().len();
            let rest = rest.trim_start();
            let dashes = match self.dialect {
                Dialect::MySql => {
                    rest.strip_prefix("--").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
                }
                Dialect::Postgres | Dialect::Sqlite => rest.starts_with("--"),
            };
            if dashes || (self.dialect == Dialect::MySql && rest.starts_with('#')) {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if self.dialect == Dialect::MySql && (rest.starts_with("/*!") || rest.starts_with("/*M!")) {
                return Err("a comment that the server executes".to_owned());
            } else if rest.starts_with("/*") {
                self.at += 2;
                self.block_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    /// PostgreSQL nests them.
    fn block_comment(&mut self) -> Result<(), String> {
        let mut depth = 1;
        while depth > 0 {
            let rest = &self.sql[self.at..];
            let end = rest.find("*/").ok_or("a comment is never closed")?;
            let inner = rest.find("/*").filter(|begin| *begin < end && self.dialect == Dialect::Postgres);
            depth = if inner.is_some() { depth + 1 } else { depth - 1 };
            self.at += inner.unwrap_or(end) + 2;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Backslash {
    Escapes,
    IsPlain,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Dialect; 3] = [Dialect::MySql, Dialect::Postgres, Dialect::Sqlite];

    #[test]
    fn statements_that_change_something_are_refused() {
        for sql in ["DELETE FROM t", "-- SELECT\nDROP TABLE t", "/* SELECT */ do $$ $$", "(update t", "", "  -- x"] {
            assert!(reads(sql).is_err(), "{sql}");
        }
        for sql in ["SELECT 1", "\n-- why\n select 1", "/* a */ ((SELECT 1) UNION SELECT 2)", "with a as (x) select"] {
            assert_eq!(reads(sql), Ok(()), "{sql}");
        }
    }

    #[test]
    fn one_statement_may_end_with_a_semicolon_and_a_comment() {
        for dialect in ALL {
            assert_eq!(single("SELECT 1 ; -- done\n ", dialect), Ok("SELECT 1 "));
            assert_eq!(single("SELECT ';', \"a;b\" /* ; */", dialect), Ok("SELECT ';', \"a;b\" /* ; */"));
            assert_eq!(single("SELECT 'it''s; fine'", dialect), Ok("SELECT 'it''s; fine'"));
            assert!(single("SELECT 1; DELETE FROM t", dialect).is_err());
            assert!(single("SELECT 1;;", dialect).is_err());
            assert!(single("SELECT 'never closed", dialect).is_err());
        }
    }

    #[test]
    fn a_backslash_means_what_it_means_to_the_server() {
        let sql = r"SELECT '\'; DELETE FROM t; -- '";
        assert!(single(sql, Dialect::MySql).is_ok());
        assert!(single(sql, Dialect::Postgres).is_err());
        assert!(single(sql, Dialect::Sqlite).is_err());
        assert!(single(r"SELECT E'\'; DELETE FROM t; -- '", Dialect::Postgres).is_ok());
        assert!(single(r"SELECT name'\'; DELETE FROM t; -- '", Dialect::Postgres).is_err());
    }

    #[test]
    fn each_dialect_has_its_own_quotes_and_comments() {
        assert!(single("SELECT $$;$$, $a$ $$ ; $a$, $1", Dialect::Postgres).is_ok());
        assert!(single("SELECT $1; SELECT $1", Dialect::Postgres).is_err());
        assert!(single("SELECT a$b$; SELECT $b$", Dialect::Postgres).is_err());
        assert!(single("SELECT 1 /* /* */ ; */", Dialect::Postgres).is_ok());
        assert!(single("SELECT 1 /* /* */ ; */", Dialect::Sqlite).is_err());
        assert!(single("SELECT [a;b] FROM `c;d`", Dialect::Sqlite).is_ok());
        assert!(single("SELECT 1 # ; no end", Dialect::MySql).is_ok());
        assert!(single("SELECT 1--1; SELECT 2", Dialect::MySql).is_err());
    }

    #[test]
    fn mysql_must_not_write_files_or_run_comments() {
        assert!(single("SELECT 1 INTO /* */ outfile '/tmp/x'", Dialect::MySql).is_err());
        assert!(single("SELECT 1 /*! INTO OUTFILE '/tmp/x' */", Dialect::MySql).is_err());
        assert!(single("SELECT 'INTO OUTFILE'", Dialect::MySql).is_ok());
    }
}
