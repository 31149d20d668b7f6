//! A database with enough rows to stream, on each kind of server, and dumps of it by the real programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use super::server::program;
use super::{mariadb, postgres};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    MariaDb,
    Postgres,
    Sqlite,
}

pub const ALL: [Kind; 3] = [Kind::MariaDb, Kind::Postgres, Kind::Sqlite];

pub const ROWS: u64 = 20_000;

/// The tables `customer (id, name, made)`, with an hour between two of [`ROWS`] rows, and `note (id, body)` with one.
pub struct Shop {
    pub kind: Kind,
    pub name: String,
    pub url: String,
    pub folder: TempDir,
}

impl Shop {
    /// `test` must be a word that no other test uses.
    pub fn new(kind: Kind, test: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let name = format!("shop_{test}");
        let tables = "CREATE TABLE note (id INT PRIMARY KEY, body VARCHAR(200)); \
                      INSERT INTO note VALUES (1, 'USE nothing; it''s -- only text'); \
                      CREATE TABLE customer (id INT PRIMARY KEY, name VARCHAR(200), made VARCHAR(30));";
        let (name, url) = match kind {
            Kind::MariaDb => {
                mariadb::execute(&format!(
                    "CREATE DATABASE {name}; USE {name}; {tables}
                     INSERT INTO customer SELECT seq, REPEAT(MD5(seq), 5), '2026-11-20 12:00:00' FROM seq_1_to_{ROWS};
                     CREATE VIEW newest AS SELECT MAX(customer.id) FROM customer;
                     CREATE TRIGGER stamp BEFORE INSERT ON note FOR EACH ROW SET NEW.body = CONCAT(NEW.body, '!');"
                ));
                (name.clone(), mariadb::url(&name))
            }
            Kind::Postgres => {
                postgres::execute("postgres", &format!("CREATE DATABASE {name}"));
                postgres::execute(
                    &name,
                    &format!(
                        "{tables} INSERT INTO customer SELECT i, repeat(md5(i::text), 5), '2026-11-20 12:00:00' \
                         FROM generate_series(1, {ROWS}) i; \
                         CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; SELECT 2 $$;"
                    ),
                );
                (name.clone(), postgres::url(&name))
            }
            Kind::Sqlite => {
                let file = folder.path().join("shop.db").display().to_string();
                sqlite(
                    &file,
                    &format!(
                        "{tables} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
                         INSERT INTO customer SELECT i, hex(zeroblob(80)), '2026-11-20 12:00:00' FROM n;
                         CREATE TRIGGER stamp AFTER INSERT ON note BEGIN UPDATE note SET body = 'x' WHERE id < 0;
                         SELECT CASE 1 WHEN 1 THEN 2 END; END;"
                    ),
                );
                (file.clone(), format!("sqlite://{file}"))
            }
        };
        Self { kind, name, url, folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As an administrator sees it; the rows as lines.
    pub fn query(&self, sql: &str) -> Vec<String> {
        match self.kind {
            Kind::MariaDb => mariadb::query(&format!("USE {}; {sql}", self.name)),
            Kind::Postgres => postgres::query(&self.name, sql),
            Kind::Sqlite => sqlite(&self.name, sql),
        }
    }

    /// All that a wrong restore could change.
    pub fn fingerprint(&self) -> String {
        let tables = match self.kind {
            Kind::MariaDb => "SHOW TABLES",
            Kind::Postgres => "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
            Kind::Sqlite => "SELECT name FROM sqlite_schema ORDER BY 1",
        };
        let mut lines = self.query(tables);
        lines.extend(self.query("SELECT COUNT(*), MAX(id), MIN(id), MAX(name) FROM customer"));
        lines.extend(self.query("SELECT id, body FROM note ORDER BY id"));
        lines.join("\n")
    }

    /// A dump as the server's own program makes it, with more arguments.
    pub fn dump(&self, file: &str, arguments: &[&str]) -> PathBuf {
        let path = self.path(file);
        let mut command = match self.kind {
            Kind::MariaDb => {
                let mut command = Command::new(program("mariadb-dump"));
                let socket = format!("--socket={}", mariadb::server().socket.display());
                command.args(["--no-defaults", "--user=root", "--routines", "--triggers", "--events"]).arg(socket);
                command
            }
            Kind::Postgres => {
                let server = postgres::server();
                let mut command = Command::new(server.programs.join("pg_dump"));
                command.arg(format!("--host={}", server.socket.display())).arg(format!("--port={}", server.port));
                command.arg(format!("--username={}", postgres::USER));
                command
            }
            Kind::Sqlite => {
                std::fs::write(&path, sqlite(&self.name, ".dump").join("\n") + "\n").expect("a dump");
                return path;
            }
        };
        let output = command.args(arguments).arg(&self.name).stdin(Stdio::null()).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::write(&path, output.stdout).expect("a dump");
        path
    }

    /// The scratch databases of this process on the server.
    pub fn scratch(&self) -> Vec<String> {
        let own = format!("_{:x}_", std::process::id());
        let all = match self.kind {
            Kind::MariaDb => mariadb::query("SHOW DATABASES LIKE 'opsctl_scratch_%'"),
            Kind::Postgres => postgres::query("postgres", "SELECT datname FROM pg_database"),
            Kind::Sqlite => std::fs::read_dir(std::env::temp_dir())
                .expect("the temporary folder")
                .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
                .collect(),
        };
        all.into_iter().filter(|name| name.starts_with("opsctl_scratch_") && name.contains(&own)).collect()
    }
}

/// For tests that count scratch databases, which belong to the whole process: one after the other.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn sqlite(file: &str, sql: &str) -> Vec<String> {
    let output =
        Command::new(program("sqlite3")).args(["-batch", "-bail", file, sql]).output().expect("sqlite3 starts");
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Compresses with the program; the file gets its ending.
pub fn compress(file: &Path, name: &str, ending: &str) -> PathBuf {
    let target = PathBuf::from(format!("{}.{ending}", file.display()));
    let output = Command::new(program(name)).arg("-c").arg(file).output().expect("it starts");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(&target, output.stdout).expect("a file");
    target
}
