//! Dumps made by the databases' own programs.

use super::*;
use crate::support::{mariadb, postgres};

fn tables(subject: &Subject) -> Vec<String> {
    let Some(Value::List(tables)) = fact(subject, "tables") else { panic!("no tables in {subject:?}") };
    let mut names: Vec<_> = tables.iter().map(ToString::to_string).collect();
    names.sort();
    names
}

fn output(mut command: Command) -> Vec<u8> {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A database with tables, a view and rows that look like statements.
fn maria_dump(database: &str, arguments: &[&str]) -> Vec<u8> {
    mariadb::execute(&format!(
        "CREATE DATABASE {database};
         CREATE TABLE {database}.customer (id INT PRIMARY KEY, note TEXT);
         CREATE TABLE {database}.ticket (id INT);
         CREATE VIEW {database}.open_ticket AS SELECT * FROM {database}.ticket;
         INSERT INTO {database}.customer VALUES (1, 'x\nCREATE TABLE `fake` (\n');"
    ));
    let mut command = Command::new(program("mariadb-dump"));
    command.arg("--no-defaults").arg(format!("--socket={}", mariadb::server().socket.display())).arg("--user=root");
    command.args(arguments);
    output(command)
}

#[test]
fn a_dump_of_mariadb_shows_database_and_tables() {
    let dump = maria_dump("backup_plain", &["--single-transaction", "backup_plain"]);
    let folder = folder();
    let file = folder.path().join("a.sql.gz");
    fs::write(&file, filter("gzip", &[], &dump)).unwrap();
    let inputs = json!({ "file": file, "tables": ["customer", "invoice"] });
    let seen = Look::new("backup", inputs).asked(CONTENT).subject();
    assert_eq!((fact(&seen, "intact"), fact(&seen, "complete")), (YES, YES), "{seen:?}");
    assert_eq!((text(&seen, "kind"), text(&seen, "database")), ("mysql-dump".to_owned(), "backup_plain".to_owned()));
    assert_eq!(tables(&seen), ["customer", "ticket"], "neither the view nor text in a row is a table");
    assert_eq!(fact(&seen, "table_count"), Some(&Value::Integer(2)));
    assert_eq!(fact(&seen, "tables_missing"), Some(&Value::Integer(1)));
    assert_eq!(seen.notes, ["a.sql.gz has no table invoice"]);
    assert_eq!(fact(&seen, "unpacked_size"), Some(&Value::bytes(dump.len() as u64)));

    let cut = read_bytes("a.sql", &dump[..dump.len() - 60]);
    assert_eq!((fact(&cut, "intact"), fact(&cut, "complete")), (NO, NO));
    assert_eq!(cut.notes, ["a.sql ends without the line `-- Dump completed`"]);
}

#[test]
fn a_dump_without_a_date_is_complete_too() {
    let seen =
        read_bytes("a.sql", &maria_dump("backup_undated", &["--skip-dump-date", "--databases", "backup_undated"]));
    assert_eq!((fact(&seen, "intact"), fact(&seen, "complete")), (YES, YES), "{seen:?}");
    assert_eq!(tables(&seen), ["customer", "ticket"]);
}

fn postgres_dump(program: &str, database: &str, arguments: &[&str]) -> Vec<u8> {
    let exists = format!("SELECT 1 FROM pg_database WHERE datname = '{database}'");
    if postgres::query("postgres", &exists).is_empty() {
        postgres::execute("postgres", &format!("CREATE DATABASE {database}"));
        postgres::execute(
            database,
            "CREATE TABLE customer (id int PRIMARY KEY, note text);
             CREATE UNLOGGED TABLE cache (id int);
             CREATE SCHEMA sales;
             CREATE TABLE sales.\"Order\" (id int);
             INSERT INTO customer SELECT i, md5(i::text) FROM generate_series(1, 20000) i",
        );
    }
    let server = postgres::server();
    let mut command = Command::new(server.programs.join(program));
    command.arg(format!("--host={}", server.socket.display())).arg(format!("--port={}", server.port));
    command.arg(format!("--username={}", postgres::USER)).args(arguments);
    output(command)
}

#[test]
fn a_plain_dump_of_postgresql_shows_its_tables() {
    let dump = postgres_dump("pg_dump", "backup_plain", &["--create", "backup_plain"]);
    for (name, content) in [("a.sql", dump.clone()), ("a.sql.zst", filter("zstd", &["-q"], &dump))] {
        let seen = read_bytes(name, &content);
        assert_eq!((fact(&seen, "intact"), fact(&seen, "complete")), (YES, YES), "{seen:?}");
        let told = (text(&seen, "kind"), text(&seen, "database"));
        assert_eq!(told, ("postgresql-dump".to_owned(), "backup_plain".to_owned()));
        assert_eq!(tables(&seen), ["cache", "customer", "sales.Order"]);
    }
    let cut = read_bytes("a.sql", &dump[..dump.len() - 100]);
    assert_eq!(cut.notes, ["a.sql ends without the line `-- PostgreSQL database dump complete`"]);
    assert_eq!(fact(&cut, "intact"), NO);
}

#[test]
fn a_newer_dump_of_postgresql_has_one_more_line_after_its_end() {
    let mut dump = postgres_dump("pg_dump", "backup_newer", &["backup_newer"]);
    if !dump.windows(12).any(|window| window == b"\n\\unrestrict ") {
        dump.extend_from_slice(b"\\unrestrict vDzzUMYgOuf4Pgnmm9aWUmzaBt9FY8nnHHbTpfeTkgq\n\n");
    }
    assert_eq!(fact(&read_bytes("a.sql", &dump), "complete"), YES);
}

#[test]
fn a_dump_of_a_whole_postgresql_needs_the_last_line_of_the_whole() {
    let dump =
        postgres_dump("pg_dumpall", "backup_cluster", &["--no-role-passwords", "--exclude-database=backup_[^c]*"]);
    let seen = read_bytes("a.sql", &dump);
    assert_eq!((fact(&seen, "complete"), text(&seen, "kind")), (YES, "postgresql-dump".to_owned()), "{seen:?}");
    let end = b"-- PostgreSQL database cluster dump complete";
    let cut = dump.windows(end.len()).rposition(|window| window == end).expect("the last line");
    assert_eq!(fact(&read_bytes("a.sql", &dump[..cut]), "complete"), NO, "only the last database is complete");
}

#[test]
fn an_archive_of_postgresql_is_read_with_all_its_data() {
    let archive = postgres_dump("pg_dump", "backup_archive", &["--format=custom", "backup_archive"]);
    let folder = folder();
    let file = folder.path().join("a.dump");
    fs::write(&file, &archive).unwrap();
    let inputs = json!({ "file": file, "tables": ["Order", "sales.Order", "customer", "invoice"] });
    let seen = Look::new("backup", inputs).asked(CONTENT).subject();
    assert_eq!((fact(&seen, "intact"), fact(&seen, "complete")), (YES, YES), "{seen:?}");
    let told = (text(&seen, "kind"), text(&seen, "database"));
    assert_eq!(told, ("postgresql-custom".to_owned(), "backup_archive".to_owned()));
    assert_eq!(tables(&seen), ["cache", "customer", "sales.Order"]);
    assert_eq!(fact(&seen, "tables_missing"), Some(&Value::Integer(1)));

    // The list of contents is at the beginning, so it alone would not notice.
    let cut = read_bytes("a.dump", &archive[..archive.len() / 2]);
    assert_eq!(fact(&cut, "intact"), NO, "{cut:?}");
    assert!(cut.notes[0].starts_with("a.dump is damaged: pg_restore: error: "), "{:?}", cut.notes);
    assert_eq!(fact(&read_bytes("a.dump", &archive[..30]), "intact"), NO);
    // A format that is newer than the program that reads it.
    let newer = [b"PGDMP\x63", &archive[6..]].concat();
    let seen = read_bytes("a.dump", &newer);
    assert_eq!(fact(&seen, "intact"), None);
    assert!(
        seen.notes[0].starts_with("a.dump was not read: pg_restore is older than the archive (pg_restore: error: "),
        "{:?}",
        seen.notes
    );
}

#[test]
fn an_archive_inside_another_compression_is_not_called_complete() {
    let archive = postgres_dump("pg_dump", "backup_wrapped", &["--format=custom", "backup_wrapped"]);
    let seen = read_bytes("a.dump.gz", &filter("gzip", &[], &archive));
    assert_eq!((fact(&seen, "intact"), fact(&seen, "complete")), (None, None));
    assert_eq!(seen.notes, ["a.dump.gz is an archive of PostgreSQL inside another compression, which was not read"]);
}

#[test]
fn a_dump_of_sqlite_shows_its_tables() {
    let seen = read_bytes("a.sql", sqlite_dump());
    assert_eq!((text(&seen, "kind"), fact(&seen, "database")), ("sqlite-dump".to_owned(), None));
    assert_eq!(tables(&seen), ["customer", "ticket"]);
}

#[test]
fn a_copy_of_a_sqlite_database_is_checked_page_by_page() {
    let folder = folder();
    let file = folder.path().join("helpdesk 100%?.db");
    let sql = "PRAGMA journal_mode = WAL; CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE ticket (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT); CREATE INDEX by_name ON ticket (name);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        INSERT INTO ticket (name) SELECT 'name ' || i FROM n;";
    filter("sqlite3", &[&file.display().to_string()], sql.as_bytes());
    let inputs = json!({ "file": file, "tables": ["ticket", "invoice"] });
    let seen = Look::new("backup", inputs).asked(CONTENT).subject();
    assert_eq!((fact(&seen, "intact"), fact(&seen, "complete")), (YES, None), "{seen:?}");
    assert_eq!(text(&seen, "kind"), "sqlite-database");
    assert_eq!(tables(&seen), ["customer", "ticket"]);
    assert_eq!(fact(&seen, "tables_missing"), Some(&Value::Integer(1)));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is written beside the backup");

    let whole = fs::read(&file).unwrap();
    let cut = read_bytes("a.db", &whole[..whole.len() - 5000]);
    assert_eq!(fact(&cut, "intact"), NO);
    assert!(cut.notes[0].starts_with("a.db is cut off: the database has "), "{:?}", cut.notes);
    assert_eq!(fact(&read_bytes("a.db.gz", &filter("gzip", &[], &whole[..whole.len() - 5000])), "intact"), NO);
    let mut broken = whole.clone();
    broken[4096..4096 * 4].fill(0x5a);
    let broken = read_bytes("a.db", &broken);
    assert_eq!((fact(&broken, "intact"), &broken.error), (NO, &None));
    assert!(broken.notes[0].starts_with("a.db is damaged: "), "{:?}", broken.notes);
}
