//! Dumps that are what they seem, and dumps that are not.

use super::*;

fn inspect(dialect: Dialect, into: &Into, sql: &str) -> Findings {
    let whole = in_pieces(dialect, into, sql, sql.len().max(1));
    for piece in [1, 3, 7] {
        assert_eq!(in_pieces(dialect, into, sql, piece), whole, "in pieces of {piece}: {sql}");
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
    assert_eq!(inspect(dialect, &Into::Scratch, sql), Findings::default(), "{sql}");
}

#[track_caller]
fn names_other(dialect: Dialect, sql: &str) {
    let found = inspect(dialect, &Into::Scratch, sql);
    assert!(found.other.is_some(), "{sql}: {found:?}");
}

#[track_caller]
fn foreign(dialect: Dialect, sql: &str) {
    let found = inspect(dialect, &Into::Scratch, sql);
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
        "SELECT 1 --- ' \n; USE shop; -- '",
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
        "/*!50001 CREATE ALGORITHM=UNDEFINED */ /*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */ \
         /*!50001 VIEW `v` AS select `a`.`b` AS `b` from `shop`.`a` */;",
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
        "SET SQL_MODE=1048576;",
        "SET SQL_MODE='NO_BACK' 'SLASH_ESCAPES';",
        "SET SQL_MODE=x'4E4F';",
        "SET @OLD_SQL_MODE=CONCAT('NO_BACK', 'SLASH_ESCAPES');",
        "SET @OLD_SQL_MODE='X';",
        "SET a=1, a=1, a=1, a=1, a=1, a=1, a=1, a=1, SQL_MODE=2;",
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
        "/*!99999 '\\*/ DROP DATABASE shop; -- ' */;",
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
        "COMMENT ON TABLE a IS 1$$'$$; DROP DATABASE shop; --'",
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
        "SELECT pg_catalog.set_config('search_path', '', false); SET client_encoding = 'UTF8'; SET client_encoding = 'LATIN1';",
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
        "SET client_encoding = 'SJIS';",
        "SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false);",
        "SELECT pg_catalog.setval('a', dblink_exec('dbname=shop', 'DELETE FROM t'));",
        "SELECT E'a'\n'\\''; DROP ROLE a; --'",
        "CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP ROLE a;",
        "ROLLBACK;",
    ] {
        foreign(Dialect::Postgres, sql);
    }
}

#[test]
fn a_dump_that_commits_by_itself_is_not_for_production() {
    let blobs = "BEGIN; SELECT pg_catalog.lo_close(pg_catalog.lo_open('1', 131072)); COMMIT;";
    harmless(Dialect::Postgres, "BEGIN; SELECT pg_catalog.lo_open('1', 131072); COMMIT;");
    let found = inspect(Dialect::Postgres, &Into::Database("shop".to_owned()), blobs);
    assert!(found.foreign.expect("a finding").what.contains("large objects"));
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
    let found = |sql| inspect(Dialect::MySql, &own, sql);
    assert_eq!(found("CREATE DATABASE `shop`; USE `shop`;"), Findings::default());
    assert_eq!(
        found("CREATE TRIGGER a AFTER INSERT ON b FOR EACH ROW INSERT INTO audit.t VALUES (1);"),
        Findings::default()
    );
    let other = found("\nUSE other;").other.expect("a finding");
    assert_eq!((other.line, other.what.as_str()), (2, "`USE OTHER` names the database other"));
}
