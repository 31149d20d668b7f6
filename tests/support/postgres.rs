//! One PostgreSQL server, started by the first test that asks for it and shared by all.
//!
//! ```ignore
//! postgres::execute("postgres", "CREATE DATABASE shop");
//! postgres::execute("shop", "CREATE TABLE item (id int)");
//! let url = postgres::url("shop");
//! ```

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::{server, web};

/// A superuser, over TCP with a password and over the socket without.
pub const USER: &str = "opsctl";
/// Must be written percent-encoded in a URL, and needs quotes in a shell.
pub const PASSWORD: &str = "open/sesame 7";
const PASSWORD_IN_URL: &str = "open%2Fsesame%207";

pub struct Postgres {
    pub port: u16,
    /// The folder of the socket, for `host=`.
    pub socket: PathBuf,
    /// Where `psql`, `pg_dump` and the others are.
    pub programs: PathBuf,
}

/// The shared server, on 127.0.0.1, with and without TLS, and on a socket.
pub fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(start)
}

/// The URL of a database, which need not exist, for [`USER`].
pub fn url(database: &str) -> String {
    format!("postgres://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}", server().port)
}

/// Runs statements in `database` as the superuser; `postgres` exists from the beginning.
pub fn execute(database: &str, sql: &str) {
    query(database, sql);
}

/// Runs statements in `database` as the superuser; the rows as lines, their columns separated by tabs.
pub fn query(database: &str, sql: &str) -> Vec<String> {
    ask(server(), database, sql).unwrap_or_else(|error| panic!("PostgreSQL refused {sql}: {error}"))
}

impl Postgres {
    /// Another server than the shared one, without TLS; `options` go to initdb, `settings` to the server.
    pub fn start(name: &str, options: &[&str], settings: &[&str]) -> Self {
        let folder = folder(name);
        init(&folder, options);
        run(folder, settings)
    }

    /// A server that replays what this one writes.
    pub fn standby(&self, name: &str, settings: &[&str]) -> Self {
        let folder = folder(name);
        run_program(&[
            self.programs.join("pg_basebackup").display().to_string(),
            format!("--pgdata={}", folder.join("data").display()),
            format!("--host={}", self.socket.display()),
            format!("--port={}", self.port),
            format!("--username={USER}"),
            "--write-recovery-conf".into(),
            "--checkpoint=fast".into(),
            "--no-sync".into(),
        ]);
        run(folder, settings)
    }

    /// The URL of a database of this server.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}", self.port)
    }

    /// As [`query`].
    pub fn query(&self, database: &str, sql: &str) -> Vec<String> {
        ask(self, database, sql).unwrap_or_else(|error| panic!("PostgreSQL refused {sql}: {error}"))
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = server::folder(name);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("the folder is opened");
    folder
}

/// Makes the cluster in `folder`.
fn init(folder: &Path, options: &[&str]) {
    let password = folder.join("password");
    fs::write(&password, PASSWORD).expect("the password is written");
    let mut command = vec![
        newest_programs().join("initdb").display().to_string(),
        format!("--pgdata={}", folder.join("data").display()),
        format!("--username={USER}"),
        format!("--pwfile={}", password.display()),
        "--auth-host=scram-sha-256".into(),
        "--auth-local=trust".into(),
        "--encoding=UTF8".into(),
        "--locale=C".into(),
        "--no-sync".into(),
    ];
    command.extend(options.iter().map(|option| (*option).to_owned()));
    run_program(&command);
}

/// Runs a program of PostgreSQL to its end.
fn run_program(command: &[String]) {
    let command = as_server_user(command);
    let output = Command::new(&command[0]).args(&command[1..]).current_dir("/").output().expect("the program runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn start() -> Postgres {
    let folder = folder("postgres");
    init(&folder, &[]);
    let tls = web::local();
    // The server refuses a key that others could read.
    let key = folder.join("key");
    run_program(&["cp".into(), "--no-preserve=all".into(), tls.key.display().to_string(), key.display().to_string()]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("the server's key is closed");
    let tls = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", tls.certificate.display()),
        format!("ssl_key_file={}", key.display()),
    ];
    run(folder, &tls.each_ref().map(String::as_str))
}

/// Starts the server of the cluster in `folder`.
fn run(folder: PathBuf, settings: &[&str]) -> Postgres {
    let programs = newest_programs();
    let port = server::free_port();
    let data = folder.join("data").display().to_string();
    let mut command = vec![programs.join("postgres").display().to_string(), "-D".into(), data];
    let common = [
        format!("port={port}"),
        format!("unix_socket_directories={}", folder.display()),
        // By the second address it has a name that its certificate does not have.
        "listen_addresses=127.0.0.1,127.0.0.2".into(),
        "fsync=off".into(),
        "synchronous_commit=off".into(),
        "full_page_writes=off".into(),
        "max_connections=100".into(),
        "shared_buffers=32MB".into(),
    ];
    let settings = common.into_iter().chain(settings.iter().map(|setting| (*setting).to_owned()));
    command.extend(settings.flat_map(|setting| ["-c".to_owned(), setting]));
    server::start(as_server_user(&command));
    let postgres = Postgres { port, socket: folder, programs };
    server::wait_until("PostgreSQL", || ask(&postgres, "postgres", "SELECT 1").is_ok());
    postgres
}

/// PostgreSQL refuses to run as root, and a change of user drops the death signal unless it is set again.
/// An immediate shutdown removes the shared memory, which a kill would leave behind.
fn as_server_user(command: &[String]) -> Vec<String> {
    let mut whole = vec!["setpriv".to_owned()];
    if rustix::process::geteuid().is_root() {
        whole.extend(["--reuid=postgres", "--regid=postgres", "--init-groups"].map(str::to_owned));
    }
    whole.extend(["--pdeathsig=QUIT", "--"].map(str::to_owned));
    whole.extend_from_slice(command);
    whole
}

fn newest_programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    versions
        .filter(|version| version.join("bin/postgres").is_file())
        .max_by_key(|version| version.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()))
        .map_or_else(|| panic!("PostgreSQL is not installed; scripts/test installs it"), |version| version.join("bin"))
}

fn ask(server: &Postgres, database: &str, sql: &str) -> Result<Vec<String>, String> {
    let Postgres { port, socket, programs, .. } = server;
    let output = psql(programs)
        .args(["--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--field-separator=\t"])
        .args(["--set=ON_ERROR_STOP=1", "--command", sql])
        .arg(format!("--host={}", socket.display()))
        .args([format!("--port={port}"), format!("--username={USER}"), format!("--dbname={database}")])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// The program itself: the `psql` on the path is a slow wrapper on Debian.
fn psql(programs: &Path) -> Command {
    let mut command = Command::new(programs.join("psql"));
    command.env("PGOPTIONS", "").env_remove("PGSERVICE");
    command
}
