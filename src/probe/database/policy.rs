//! What a dump may do when it is restored: fill one database, and nothing else.
//!
//! Only statements that dump programs write are let through. Whatever names another database or changes the whole
//! server is found before anything is loaded, also inside executable comments.

use super::lexer::{At, Lexer, Token};
use crate::probe::sql::statement::Dialect;

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
        let judge = Judge { dialect, into, head: Vec::new(), part: Part::Head, on: false, found: Findings::default() };
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
    found: Findings,
}

impl Judge {
    fn take(&mut self, token: Token<'_>, at: At) {
        let Some(piece) = Piece::of(token) else {
            if !self.head.is_empty() {
                self.whole(at.line);
            }
            self.head.clear();
            (self.part, self.on) = (Part::Head, false);
            return;
        };
        self.piece(&piece, at.line);
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
            ("ALTER", "TABLE" | "VIEW" | "EVENT" | "SEQUENCE") => {}
            ("SET", _) => self.mysql_set(line),
            ("SELECT" | "DO", _) if self.at(1) == "SETVAL" => {}
            ("INSERT" | "REPLACE" | "COMMIT" | "BEGIN", _) => {}
            ("LOCK", _) if matches!(self.at(1), "TABLE" | "TABLES") => {}
            ("UNLOCK", _) if matches!(self.at(1), "TABLE" | "TABLES") => {}
            ("START", _) if self.at(1) == "TRANSACTION" => {}
            _ => self.foreign(line, NOT_A_DUMP),
        }
    }

    fn mysql_set(&mut self, line: u64) {
        const WIDE: &[&str] = &["GLOBAL", "PERSIST", "PERSIST_ONLY", "PASSWORD", "STATEMENT", "ROLE", "RESOURCE"];
        // In these, a byte of a character may look like a quote or a backslash.
        const UNREADABLE: &[&str] = &[
            "GBK", "BIG5", "SJIS", "CP932", "GB18030", "GB2312", "UJIS", "EUCKR", "EUCJPMS", "UTF16", "UTF32", "UCS2",
        ];
        if self.head.iter().any(|piece| WIDE.contains(&piece.word())) {
            return self.foreign(line, "changes the whole server or another statement");
        }
        let texts = self.head.iter().filter_map(|piece| match piece {
            Piece::Text(text) | Piece::Name(text) => Some(text.to_ascii_uppercase()),
            Piece::Word(word, _) => Some(word.clone()),
            Piece::Number | Piece::Mark(_) => None,
        });
        let mode = |text: &String| {
            ["NO_BACKSLASH_ESCAPES", "ANSI", "DB2", "ORACLE", "MSSQL"].iter().any(|mode| text.contains(mode))
        };
        let unreadable = |text: &String| mode(text) || UNREADABLE.iter().any(|set| text.contains(set));
        if texts.into_iter().any(|text| unreadable(&text)) {
            self.foreign(line, "changes how quotes are read");
        }
    }

    fn postgres(&mut self, line: u64) {
        const SHARED: &[&str] = &["ROLE", "GROUP", "TABLESPACE", "SYSTEM", "OWNED", "SUBSCRIPTION"];
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
            ("SECURITY" | "CREATE" | "ALTER" | "DROP" | "COMMENT" | "INSERT" | "REFRESH", _) => {}
            ("GRANT" | "REVOKE", _) if !self.on => self.foreign(line, "changes a role of the server"),
            ("GRANT" | "REVOKE", _) => {}
            ("COPY", _) => {
                let end: Vec<&str> = self.head.iter().rev().take(2).map(Piece::word).collect();
                if end != ["STDIN", "FROM"] {
                    self.foreign(line, "copies from somewhere else than the dump");
                }
            }
            ("SELECT", _) if (1..5).any(|place| self.at(place) == "PG_CATALOG") => {}
            ("SET", "STANDARD_CONFORMING_STRINGS") if self.head.iter().any(|piece| piece.word() == "OFF") => {
                self.foreign(line, "changes how quotes are read");
            }
            ("SET", _) if self.at(1) != "ROLE" && self.at(2) != "ROLE" => {}
            _ => self.foreign(line, NOT_A_DUMP),
        }
    }

    fn sqlite(&mut self, line: u64) {
        match (self.first(), self.at(1)) {
            ("ATTACH" | "DETACH" | "VACUUM", _) => {
                let what = format!("`{}` reaches another file", self.shown());
                self.found.other.get_or_insert(Finding { line, what });
            }
            ("PRAGMA", "FOREIGN_KEYS" | "WRITABLE_SCHEMA" | "ENCODING" | "USER_VERSION" | "APPLICATION_ID") => {}
            ("BEGIN" | "COMMIT" | "INSERT" | "CREATE" | "ANALYZE", _) => {}
            ("DELETE", "FROM") if matches!(self.at(2), "SQLITE_SEQUENCE" | "SQLITE_STAT1") => {}
            ("ROLLBACK", _) => self.foreign(line, "says that the dump program met errors"),
            _ => self.foreign(line, NOT_A_DUMP),
        }
    }
}

const NOT_A_DUMP: &str = "is no statement of a dump of one database";

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect(dialect: Dialect, into: Into, sql: &str) -> Findings {
        let whole = in_pieces(dialect, &into, sql, sql.len().max(1));
        for piece in [1, 3, 7] {
            assert_eq!(in_pieces(dialect, &into, sql, piece), whole, "in pieces of {piece}: {sql}");
        }
        whole
    }

    fn in_pieces(dialect: Dialect, into: &Into, sql: &str, piece: usize) -> Findings {
        let mut inspector = Inspector::new(dialect, into.clone());
        for piece in sql.as_bytes().chunks(piece) {
            inspector.feed(piece);
        }
        inspector.finish()
    }

    #[track_caller]
    fn harmless(dialect: Dialect, sql: &str) {
        assert_eq!(inspect(dialect, Into::Scratch, sql), Findings::default(), "{sql}");
    }

    #[track_caller]
    fn names_other(dialect: Dialect, sql: &str) {
        let found = inspect(dialect, Into::Scratch, sql);
        assert!(found.other.is_some(), "{sql}: {found:?}");
    }

    #[track_caller]
    fn foreign(dialect: Dialect, sql: &str) {
        let found = inspect(dialect, Into::Scratch, sql);
        assert!(found.foreign.is_some(), "{sql}: {found:?}");
    }

    #[test]
    fn a_dump_of_mysql_that_names_a_database_is_found_wherever_it_hides() {
        for sql in [
            "USE shop;",
            "use `shop`",
            "/*!40000 DROP DATABASE IF EXISTS `shop`*/;",
            "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;",
            "/*M!100100 CREATE OR REPLACE SCHEMA shop */;",
            "ALTER DATABASE `shop` CHARACTER SET latin1;",
            "INSERT INTO shop.t VALUES (1);",
            "INSERT INTO `shop` /* */ . `t` VALUES (1);",
            "DROP TABLE IF EXISTS a, `shop`.`t`;",
            "CREATE TABLE a (b INT, FOREIGN KEY (b) REFERENCES `shop`.`t` (`id`));",
            "INSERT INTO 1shop.t VALUES (1);",
            "SELECT 'it''s; \\'; -- ' ; USE shop;",
            "-- a comment; USE nothing\n# another; \nUSE shop;",
            "SET @a = \"x\\\"; USE b;\"; USE shop;",
            "DELIMITER ;;\nCREATE PROCEDURE a() BEGIN SELECT 1; SELECT 2; END ;;\nDELIMITER ;\nUSE shop;",
            "CREATE TRIGGER a AFTER INSERT ON b FOR EACH ROW DELETE FROM shop.t;",
            "CREATE EVENT a ON SCHEDULE EVERY 1 DAY DO UPDATE shop.t SET a = 1;",
        ] {
            names_other(Dialect::MySql, sql);
        }
    }

    #[test]
    fn a_dump_of_mysql_that_only_speaks_of_databases_passes() {
        for sql in [
            "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump\n",
            "INSERT INTO `t` VALUES (1.5,-2e-3,0xFF,_binary 'USE shop;','it''s \\' ; DROP DATABASE shop; -- '),(NULL);",
            "-- USE shop;\n/* DROP DATABASE shop; */ /*!40101 SET @OLD=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;",
            "CREATE TABLE `use` (`database` int DEFAULT 1 COMMENT 'shop.t') /*!50100 PARTITION BY HASH (a) */;",
            "DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER a BEFORE INSERT ON t \
             FOR EACH ROW BEGIN -- why\n SET NEW.a = OLD.b; SELECT t.a INTO @x FROM t; END */;;\nDELIMITER ;\n",
            "/*!50001 VIEW `v` AS select `a`.`b` AS `b` from `shop`.`a` */;",
            "SET @@SESSION.SQL_LOG_BIN= 0; SELECT SETVAL(`s`, 1, 0); LOCK TABLES `t` WRITE; UNLOCK TABLES; COMMIT;",
            "DELIMITER ;;\nCREATE FUNCTION f() RETURNS int BEGIN DELETE FROM shop.t; RETURN 1; END ;;\nDELIMITER ;\n",
        ] {
            harmless(Dialect::MySql, sql);
        }
    }

    #[test]
    fn a_dump_of_mysql_that_does_more_than_fill_a_database_is_found() {
        for sql in [
            "SET GLOBAL max_connections = 1;",
            "SET @@GLOBAL.GTID_PURGED='a:1';",
            "SET SQL_MODE='NO_BACKSLASH_ESCAPES';",
            "SET NAMES gbk;",
            "SET STATEMENT max_statement_time=1 FOR DROP DATABASE shop;",
            "GRANT ALL ON *.* TO a;",
            "CREATE USER a;",
            "CHANGE MASTER TO MASTER_LOG_FILE='a';",
            "PREPARE a FROM 'DROP DATABASE shop';",
            "LOAD DATA INFILE '/etc/passwd' INTO TABLE t;",
            "INSERT INTO t SELECT 1;",
            "INSERT INTO t VALUES (wipe());",
            "CALL wipe();",
            "\\! rm -rf /",
            "system rm -rf /\n",
            "source /tmp/x.sql\n",
            "DELIMITER $$\nSELECT 1$$\n",
            "/*!99999 ' */ DROP DATABASE shop; -- ' */;",
            "/*!99999 -- */ DROP DATABASE shop;\n */;",
            "CREATE FUNCTION f RETURNS STRING SONAME 'x.so';",
            "INSERT INTO t VALUES ('never closed);",
        ] {
            foreign(Dialect::MySql, sql);
        }
    }

    #[test]
    fn dumps_of_postgresql_are_read_as_psql_reads_them() {
        for sql in [
            "DROP DATABASE shop;",
            "CREATE DATABASE shop WITH TEMPLATE = template0;",
            "COMMENT ON DATABASE shop IS 'x';",
            "ALTER DATABASE shop OWNER TO a;",
            "GRANT ALL ON DATABASE shop TO a;",
            "SELECT pg_catalog.setval('a', 1); /* /* */ ; */ DROP DATABASE shop;",
            "COPY t (a) FROM stdin;\n1\n\\.\n\nDROP DATABASE shop;",
            "CREATE FUNCTION a() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; END;\nDROP DATABASE shop;",
        ] {
            names_other(Dialect::Postgres, sql);
        }
        for sql in [
            "\\restrict abc\n\nSET standard_conforming_strings = on;\nSET statement_timeout = 0;\n\\unrestrict abc\n",
            "COPY public.t (a, b) FROM stdin;\nDROP DATABASE shop;\t\\N\n\\\\.\nit's\t1\n\\.\n",
            "CREATE FUNCTION a() RETURNS void LANGUAGE plpgsql AS $_$ BEGIN DROP DATABASE shop; $$ $1 END $_$;",
            "INSERT INTO a VALUES (E'\\'; DROP DATABASE shop; --', 'a\\', 'b');",
            "CREATE RULE r AS ON INSERT TO a DO ALSO (INSERT INTO b VALUES (1); DELETE FROM c);",
            "GRANT SELECT ON TABLE a TO b; ALTER TABLE a OWNER TO b; CREATE USER MAPPING FOR a SERVER b;",
        ] {
            harmless(Dialect::Postgres, sql);
        }
        for sql in [
            "\\connect shop\n",
            "\\c shop\n",
            "SELECT 1 \\g /tmp/x\n",
            "\\! rm -rf /\n",
            "COPY t FROM PROGRAM 'rm -rf /';",
            "COPY t TO PROGRAM 'rm -rf /';",
            "COPY t FROM stdin; DROP DATABASE shop;\n\\.\n",
            "CREATE ROLE a; ",
            "GRANT a TO b;",
            "ALTER SYSTEM SET fsync = off;",
            "DO $$ BEGIN END $$;",
            "SET standard_conforming_strings = off;",
            "CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP ROLE a;",
            "COMMIT;",
        ] {
            foreign(Dialect::Postgres, sql);
        }
    }

    #[test]
    fn dumps_of_sqlite_stay_in_their_file() {
        names_other(Dialect::Sqlite, "BEGIN TRANSACTION; ATTACH DATABASE '/var/lib/shop.db' AS shop;");
        names_other(Dialect::Sqlite, "VACUUM INTO '/var/lib/shop.db';");
        harmless(
            Dialect::Sqlite,
            "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t(a);\nINSERT INTO t VALUES('ATTACH ''x''; -- ');\n\
             CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; DELETE FROM t; END;\n\
             DELETE FROM sqlite_sequence;\nCOMMIT;\n",
        );
        for sql in [".open /var/lib/shop.db\n", "PRAGMA journal_mode=DELETE;", "DELETE FROM t;", "ROLLBACK;"] {
            foreign(Dialect::Sqlite, sql);
        }
    }

    #[test]
    fn a_dump_may_name_the_database_that_it_goes_into() {
        let own = Into::Database("shop".to_owned());
        let found = |sql| inspect(Dialect::MySql, own.clone(), sql);
        assert_eq!(found("CREATE DATABASE `shop`; USE `shop`;"), Findings::default());
        assert_eq!(
            found("CREATE TRIGGER a AFTER INSERT ON b FOR EACH ROW INSERT INTO audit.t VALUES (1);"),
            Findings::default()
        );
        let other = found("\nUSE other;").other.expect("a finding");
        assert_eq!((other.line, other.what.as_str()), (2, "`USE OTHER` names the database other"));
    }
}
