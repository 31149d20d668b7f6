//! One MariaDB server, started by the first test that asks for it and shared by all.
//!
//! ```ignore
//! mariadb::execute("CREATE DATABASE shop; CREATE TABLE shop.item (id INT);");
//! let url = mariadb::url("shop");
//! ```

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::{server, web};

/// A user who may do everything, over TCP and over the socket.
pub const USER: &str = "opsctl";
/// Must be written percent-encoded in a URL, and needs quotes in a shell.
pub const PASSWORD: &str = "open/sesame 7";
const PASSWORD_IN_URL: &str = "open%2Fsesame%207";

pub struct MariaDb {
    pub port: u16,
    pub socket: PathBuf,
}

/// The shared server. It listens on 127.0.0.1, with and without TLS, and on a socket, where `root` needs no password.
pub fn server() -> &'static MariaDb {
    static SERVER: OnceLock<MariaDb> = OnceLock::new();
    SERVER.get_or_init(shared)
}

/// The URL of a database, which need not exist, for [`USER`].
pub fn url(database: &str) -> String {
    format!("mysql://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}", server().port)
}

/// Runs statements as root. They name the database: `CREATE TABLE shop.item ...`.
pub fn execute(sql: &str) {
    query(sql);
}

/// Runs statements as root; the rows as lines, their columns separated by tabs.
pub fn query(sql: &str) -> Vec<String> {
    ask(&server().socket, sql).unwrap_or_else(|error| panic!("MariaDB refused {sql}: {error}"))
}

impl MariaDb {
    /// Another server than the shared one, without TLS.
    pub fn start(name: &str, options: &[&str]) -> Self {
        start(name, options.iter().map(|option| (*option).to_owned()).collect())
    }

    /// The URL of a database of this server.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}", self.port)
    }

    /// As [`query`].
    pub fn query(&self, sql: &str) -> Vec<String> {
        ask(&self.socket, sql).unwrap_or_else(|error| panic!("MariaDB refused {sql}: {error}"))
    }

    /// Where its databases are.
    pub fn data(&self) -> PathBuf {
        self.socket.with_file_name("data")
    }
}

fn shared() -> MariaDb {
    let tls = web::local();
    let options = [
        // By the second address it has a name that its certificate does not have.
        "--bind-address=127.0.0.1,127.0.0.2".to_owned(),
        format!("--ssl-cert={}", tls.certificate.display()),
        format!("--ssl-key={}", tls.key.display()),
        "--max-connections=300".into(),
    ];
    start("mariadb", options.into())
}

fn start(name: &str, options: Vec<String>) -> MariaDb {
    let folder = server::folder(name);
    let data = folder.join("data");
    let socket = folder.join("socket");
    let fast = ["--innodb-flush-method=nosync", "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M"];
    let install = Command::new(server::program("mariadb-install-db"))
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"])
        .args(["--user=root", &format!("--datadir={}", data.display())])
        .args(fast)
        .output()
        .expect("mariadb-install-db runs");
    assert!(install.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&install.stderr));

    let port = server::free_port();
    let mut command = vec![server::program("mariadbd"), "--no-defaults".into(), "--user=root".into()];
    command.extend(fast.map(str::to_owned));
    command.extend([
        format!("--datadir={}", data.display()),
        format!("--socket={}", socket.display()),
        format!("--pid-file={}", folder.join("pid").display()),
        format!("--log-error={}", folder.join("log").display()),
        format!("--port={port}"),
        "--bind-address=127.0.0.1".into(),
        "--innodb-flush-log-at-trx-commit=0".into(),
        "--skip-name-resolve".into(),
    ]);
    command.extend(options);
    server::start(command);
    server::wait_until("MariaDB", || ask(&socket, "SELECT 1").is_ok());
    ask(
        &socket,
        &format!(
            "DELETE FROM mysql.global_priv WHERE User = ''; FLUSH PRIVILEGES;
             CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}';
             GRANT ALL ON *.* TO {USER}@'%';"
        ),
    )
    .expect("the first user is made");
    MariaDb { port, socket }
}

fn ask(socket: &Path, sql: &str) -> Result<Vec<String>, String> {
    let mut client = Command::new(server::program("mariadb"))
        .args(["--no-defaults", "--user=root", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"])
        .arg(format!("--socket={}", socket.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    client.stdin.take().expect("stdin is piped").write_all(sql.as_bytes()).map_err(|error| error.to_string())?;
    let output = client.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}
