//! What a backup holds, seen in one pass over its content: the kind of dump, its tables, whether its end is there.

use memchr::memmem::Finder;

use super::decode::{Block, OVERLAP};
use super::tar;

/// The headers of dumps stand within these first bytes.
const HEAD: usize = 16 << 10;
/// Names of more tables are counted and not kept.
const MOST_TABLES: usize = 2_000;
const CREATE: &[u8] = b"\nCREATE ";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    MysqlDump,
    PostgresqlDump,
    /// All databases of a server, by `pg_dumpall`.
    PostgresqlCluster,
    PostgresqlCustom,
    SqliteDump,
    SqliteDatabase,
    Tar,
    Other,
}

impl Kind {
    /// By the first bytes of the content.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        let starts = |line: &str| lines(head).any(|found| found.starts_with(line));
        if head.starts_with(b"PGDMP") {
            Self::PostgresqlCustom
        } else if head.starts_with(b"SQLite format 3\0") {
            Self::SqliteDatabase
        } else if tar::is_tar(head) {
            Self::Tar
        } else if starts("-- MySQL dump") || starts("-- MariaDB dump") {
            Self::MysqlDump
        } else if starts("-- PostgreSQL database cluster dump") {
            Self::PostgresqlCluster
        } else if starts("-- PostgreSQL database dump") {
            Self::PostgresqlDump
        } else if head.starts_with(b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;") {
            Self::SqliteDump
        } else {
            Self::Other
        }
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::MysqlDump => "mysql-dump",
            Self::PostgresqlDump | Self::PostgresqlCluster => "postgresql-dump",
            Self::PostgresqlCustom => "postgresql-custom",
            Self::SqliteDump => "sqlite-dump",
            Self::SqliteDatabase => "sqlite-database",
            Self::Tar => "tar",
            Self::Other => "other",
        }
    }

    /// How the last line of a whole SQL dump starts.
    #[must_use]
    pub fn last_line(self) -> Option<&'static str> {
        match self {
            Self::MysqlDump => Some("-- Dump completed"),
            Self::PostgresqlDump => Some("-- PostgreSQL database dump complete"),
            Self::PostgresqlCluster => Some("-- PostgreSQL database cluster dump complete"),
            Self::SqliteDump => Some("COMMIT;"),
            Self::PostgresqlCustom | Self::SqliteDatabase | Self::Tar | Self::Other => None,
        }
    }
}

/// What the pass found.
#[derive(Debug)]
pub struct Content {
    pub kind: Kind,
    /// The database that the dump's header names.
    pub database: Option<String>,
    /// In the order of the dump; the schema `public` is left out of names.
    pub tables: Vec<String>,
    pub table_count: u64,
    /// Tables that were wanted and that the dump does not create.
    pub missing: Vec<String>,
    /// The last line of an SQL dump is there; `None` for other content.
    pub complete: Option<bool>,
    pub size: u64,
    /// What is wrong with content that knows its own length.
    pub trouble: Option<String>,
}

impl Content {
    /// Whether it is known which tables there are, even if there are none.
    #[must_use]
    pub fn lists_tables(&self) -> bool {
        self.kind.last_line().is_some() || self.table_count > 0
    }

    /// With the tables that another program listed.
    #[must_use]
    pub fn with_tables(mut self, tables: Vec<String>, wanted: &[String]) -> Self {
        self.missing = wanted.iter().filter(|wanted| !tables.contains(wanted)).cloned().collect();
        self.table_count = tables.len() as u64;
        self.tables = tables;
        self.tables.truncate(MOST_TABLES);
        self
    }
}

/// Fed with the whole content block by block.
pub struct Scanner {
    head: Vec<u8>,
    size: u64,
    /// The end of what was seen, for what lies across two blocks.
    carry: Vec<u8>,
    create: Finder<'static>,
    tables: Vec<String>,
    table_count: u64,
    missing: Vec<String>,
    tar: Option<tar::Walk>,
}

impl Scanner {
    #[must_use]
    pub fn new(wanted: &[String]) -> Self {
        Self {
            head: Vec::with_capacity(HEAD),
            size: 0,
            // As if a line had ended before the first byte.
            carry: b"\n".to_vec(),
            create: Finder::new(CREATE),
            tables: Vec::new(),
            table_count: 0,
            missing: wanted.to_vec(),
            tar: None,
        }
    }

    pub fn feed(&mut self, block: &mut Block) {
        let content = block.content();
        if self.size == 0 && tar::is_tar(content) {
            self.tar = Some(tar::Walk::default());
        }
        self.size += content.len() as u64;
        self.head.extend_from_slice(&content[..content.len().min(HEAD - self.head.len())]);
        if let Some(tar) = &mut self.tar {
            tar.feed(content);
            return;
        }
        let carry = std::mem::take(&mut self.carry);
        let text = block.content_after(&carry);
        // A table whose name may not be whole yet is left to the next block.
        let end = text.len().saturating_sub(OVERLAP);
        self.find_tables(text, end);
        self.carry = text[end..].to_vec();
    }

    /// Finds the tables whose statement starts before `end`.
    fn find_tables(&mut self, text: &[u8], end: usize) {
        let within = &text[..text.len().min(end + CREATE.len() - 1)];
        let finder = self.create.clone();
        for start in finder.find_iter(within) {
            if let Some(name) = table_name(&text[start + CREATE.len()..]) {
                self.table_count += 1;
                self.missing.retain(|wanted| *wanted != name && name.rsplit('.').next() != Some(wanted));
                if self.tables.len() < MOST_TABLES {
                    self.tables.push(name);
                }
            }
        }
    }

    #[must_use]
    pub fn finish(mut self) -> Content {
        let tail = std::mem::take(&mut self.carry);
        self.find_tables(&tail, tail.len());
        let kind = Kind::of(&self.head);
        let trouble = match kind {
            Kind::Tar => self.tar.and_then(|tar| tar.trouble()),
            Kind::SqliteDatabase => sqlite_trouble(&self.head, self.size),
            Kind::MysqlDump
            | Kind::PostgresqlDump
            | Kind::PostgresqlCluster
            | Kind::PostgresqlCustom
            | Kind::SqliteDump
            | Kind::Other => None,
        };
        let complete = kind.last_line().map(|line| ends_with(&tail, line));
        Content {
            kind,
            database: database(kind, &self.head),
            tables: self.tables,
            table_count: self.table_count,
            missing: self.missing,
            complete,
            size: self.size,
            trouble,
        }
    }
}

fn lines(text: &[u8]) -> impl DoubleEndedIterator<Item = &str> {
    text.split(|byte| *byte == b'\n').map(|line| std::str::from_utf8(line).unwrap_or_default().trim_end())
}

/// The name after `CREATE `, if what is created is a table.
fn table_name(statement: &[u8]) -> Option<String> {
    let statement = statement.strip_prefix(b"UNLOGGED ").unwrap_or(statement).strip_prefix(b"TABLE ")?;
    let mut rest = statement.strip_prefix(b"IF NOT EXISTS ").unwrap_or(statement);
    let mut parts = Vec::new();
    loop {
        let (part, after) = identifier(rest)?;
        parts.push(part);
        match after.strip_prefix(b".") {
            Some(next) => rest = next,
            None => break,
        }
    }
    if parts.len() > 1 && parts[0] == "public" {
        parts.remove(0);
    }
    Some(parts.join("."))
}

/// An identifier, quoted or not, and what follows it.
fn identifier(text: &[u8]) -> Option<(String, &[u8])> {
    let (name, rest) = match text.first() {
        Some(quote @ (b'`' | b'"' | b'\'')) => {
            let end = memchr::memchr(*quote, &text[1..])?;
            (&text[1..=end], &text[end + 2..])
        }
        _ => text.split_at(text.iter().position(|byte| b" (.;\n".contains(byte))?),
    };
    (!name.is_empty()).then(|| (String::from_utf8_lossy(name).into_owned(), rest))
}

/// Whether the last line with content starts with `line`. PostgreSQL writes comment marks and `\unrestrict` after it.
fn ends_with(tail: &[u8], line: &str) -> bool {
    let is_trifle = |found: &&str| found.is_empty() || *found == "--" || found.starts_with("\\unrestrict ");
    lines(tail).rev().find(|found| !is_trifle(found)).is_some_and(|last| last.starts_with(line))
}

fn database(kind: Kind, head: &[u8]) -> Option<String> {
    let name = match kind {
        Kind::MysqlDump => {
            lines(head).find_map(|line| Some(line.strip_prefix("-- Host: ")?.split_once("Database: ")?.1))
        }
        Kind::PostgresqlDump => lines(head).find_map(|line| line.strip_prefix("\\connect ")),
        Kind::PostgresqlCluster
        | Kind::PostgresqlCustom
        | Kind::SqliteDump
        | Kind::SqliteDatabase
        | Kind::Tar
        | Kind::Other => None,
    };
    let name = name?.trim().trim_matches('"');
    (!name.is_empty()).then(|| name.to_owned())
}

/// A database file says in its header how many pages it has (offsets 16 and 28), if the writer of the header was not
/// an ancient one (offset 92 equals offset 24).
fn sqlite_trouble(head: &[u8], size: u64) -> Option<String> {
    let number = |at: usize| Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let page = u64::from(u16::from_be_bytes(head.get(16..18)?.try_into().ok()?));
    let page = if page == 1 { 65_536 } else { page };
    let expected = u64::from(number(28)?) * page;
    (number(24) == number(92) && size < expected)
        .then(|| format!("is cut off: the database has {size} bytes of the {expected} that its header names"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &[u8], piece: usize) -> Content {
        let (mut scanner, mut block) = (Scanner::new(&["ticket".to_owned(), "gone".to_owned()]), Block::new());
        for piece in text.chunks(piece) {
            block.room()[..piece.len()].copy_from_slice(piece);
            block.set_length(piece.len());
            scanner.feed(&mut block);
        }
        scanner.finish()
    }

    #[test]
    fn tables_and_the_last_line_are_found_wherever_the_blocks_are_cut() {
        let rows = "INSERT INTO `x` VALUES (1,'CREATE TABLE no (');\n".repeat(60);
        let dump = format!(
            "CREATE TABLE first (a);\n-- PostgreSQL database dump\n{rows}CREATE UNLOGGED TABLE public.\"My Table\" (\n\
             {rows}CREATE TABLE IF NOT EXISTS `sales`.`ticket` (\nCREATE INDEX none ON ticket;\n{rows}\
             CREATE TABLE last(\n);\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n"
        );
        for piece in [1, 7, 100, OVERLAP - 1, OVERLAP, OVERLAP + 1, 5000, 200_000] {
            let content = scan(dump.as_bytes(), piece);
            assert_eq!(content.tables, ["first", "My Table", "sales.ticket", "last"], "in pieces of {piece}");
            assert_eq!(content.missing, ["gone"]);
            assert_eq!((content.kind, content.complete), (Kind::PostgresqlDump, Some(true)));
            assert_eq!(content.size, dump.len() as u64);
        }
        assert_eq!(scan(&dump.as_bytes()[..dump.len() - 70], 100).complete, Some(false));
    }
}
