//! The client programs of the servers: found, given their credentials in a file that only this user may read, run in a
//! process group of their own.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tempfile::NamedTempFile;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::{Target, within};
use crate::model::text::shortened;
use crate::probe::ProbeError;
use crate::probe::backup::decode::Bound;
use crate::probe::command::child::{Group, beginning};
use crate::probe::command::start;
use crate::probe::sql::site::Server;

/// Of what a program complains about, this much is kept.
const MOST_ERROR: usize = 4 << 10;
/// Where Debian keeps the programs of each version of PostgreSQL; the ones on the path are slow wrappers.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// A program of the machine with its arguments, ready to be started.
#[derive(Clone)]
pub struct Tool {
    program: PathBuf,
    arguments: Vec<String>,
    credentials: Credentials,
    env: Vec<(&'static str, String)>,
}

#[derive(Clone)]
enum Credentials {
    None,
    /// The content of an option file of MySQL and MariaDB, which must be the first argument; whose it is.
    Options(String, String),
    /// The content of a password file of PostgreSQL.
    PasswordFile(String),
}

impl Tool {
    /// The first of `names` that is installed.
    ///
    /// # Errors
    /// None of them is.
    pub fn find(names: &[&str]) -> Result<Self, ProbeError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut candidates =
            names.iter().flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)));
        candidates.find(|candidate| candidate.is_file()).map(Self::at).ok_or_else(|| {
            ProbeError::new("no_such_tool", format!("there is no program `{}` on the PATH", names.join("` or `")))
                .help("install the client programs of the database server")
        })
    }

    /// The program of the newest version of PostgreSQL, which also serves older servers and files.
    ///
    /// # Errors
    /// It is not installed.
    pub fn find_postgresql(name: &str) -> Result<Self, ProbeError> {
        let versions = std::fs::read_dir(POSTGRESQL).into_iter().flatten().filter_map(|entry| {
            let folder = entry.ok()?.path();
            let version: u32 = folder.file_name()?.to_str()?.parse().ok()?;
            let program = folder.join("bin").join(name);
            program.is_file().then_some((version, program))
        });
        versions.max().map_or_else(|| Self::find(&[name]), |(_, program)| Ok(Self::at(program)))
    }

    fn at(program: PathBuf) -> Self {
        Self { program, arguments: Vec::new(), credentials: Credentials::None, env: Vec::new() }
    }

    /// Lets the program log in to the server of `target`.
    #[must_use]
    pub fn login(mut self, target: &Target) -> Self {
        let password = target.password.as_ref().map(|password| password.expose().to_owned());
        match &target.site.server {
            Server::MySql(options) => {
                let mut lines = vec!["[client]".to_owned()];
                let mut set = |key: &str, value: &str| lines.push(format!("{key}={}", option_value(value)));
                match options.get_socket() {
                    Some(socket) => set("socket", &socket.display().to_string()),
                    None => {
                        set("host", options.get_host());
                        set("port", &options.get_port().to_string());
                        set("protocol", "tcp");
                    }
                }
                set("user", options.get_username());
                for (key, names) in MYSQL_TLS {
                    if let Some(path) = target.option(names) {
                        set(key, path);
                    }
                }
                if let Some(password) = &password {
                    set("password", password);
                }
                let content = lines.join("\n") + "\n";
                self.credentials = Credentials::Options(content, target.name.clone());
            }
            Server::Postgres(options) => {
                let socket = options.get_socket().map(|socket| socket.display().to_string());
                let host = socket.unwrap_or_else(|| options.get_host().to_owned());
                self = self.argument(format!("--host={host}")).argument(format!("--port={}", options.get_port()));
                self = self.argument(format!("--username={}", options.get_username())).argument("--no-password");
                for (variable, names) in POSTGRES_TLS {
                    self.env.extend(target.option(names).map(|value| (*variable, value.to_owned())));
                }
                self.env.push(("PGAPPNAME", "opsctl".to_owned()));
                let escaped = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
                let line = password.map(|password| format!("*:*:*:*:{}\n", escaped(&password)));
                self.credentials = Credentials::PasswordFile(line.unwrap_or_default());
            }
            Server::Sqlite(_) => {}
        }
        self
    }

    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    #[must_use]
    pub fn arguments<'a>(self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        arguments.into_iter().fold(self, Self::argument)
    }

    /// The name of the program.
    #[must_use]
    pub fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The command, as a person would type it.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut words = vec![self.name()];
        if let Credentials::Options(_, name) = &self.credentials {
            words.push(format!("--defaults-file=(login of {name})"));
        }
        let plain = |word: &str| word.chars().all(|char| char.is_ascii_alphanumeric() || "-_=./,:@+%".contains(char));
        words.extend(self.arguments.iter().map(|word| {
            if plain(word) && !word.is_empty() { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) }
        }));
        words.join(" ")
    }

    /// # Errors
    /// It cannot be started, or its credentials cannot be written.
    pub fn start(&self, stdin: Stdio, stdout: Stdio) -> Result<Running, ProbeError> {
        let mut command = Command::new(&self.program);
        let secret = match &self.credentials {
            Credentials::None => None,
            Credentials::Options(content, _) => {
                let file = secret_file(content)?;
                command.arg(format!("--defaults-file={}", file.path().display()));
                Some(file)
            }
            Credentials::PasswordFile(content) => {
                let file = secret_file(content)?;
                command.env("PGPASSFILE", file.path()).env_remove("PGPASSWORD").env_remove("PGSERVICE");
                command.env_remove("PGOPTIONS").env_remove("PGHOSTADDR");
                Some(file)
            }
        };
        command.args(&self.arguments).envs(self.env.iter().map(|(name, value)| (name, value))).env("LC_ALL", "C");
        command.stdin(stdin).stdout(stdout).stderr(Stdio::piped()).process_group(0).current_dir("/");
        let mut child =
            command.spawn().map_err(|error| start::explain(&error, &self.program.to_string_lossy(), None, None))?;
        let errors = child.stderr.take().map(|stderr| tokio::spawn(beginning(stderr, MOST_ERROR)));
        Ok(Running { name: self.name(), group: Group::of(&child), child, errors, secret })
    }
}

const MYSQL_TLS: &[(&str, &[&str])] =
    &[("ssl-ca", &["sslca", "ssl-ca"]), ("ssl-cert", &["sslcert", "ssl-cert"]), ("ssl-key", &["sslkey", "ssl-key"])];
const POSTGRES_TLS: &[(&str, &[&str])] = &[
    ("PGSSLMODE", &["sslmode", "ssl-mode"]),
    ("PGSSLROOTCERT", &["sslrootcert", "ssl-root-cert", "ssl-ca"]),
    ("PGSSLCERT", &["sslcert", "ssl-cert"]),
    ("PGSSLKEY", &["sslkey", "ssl-key"]),
];

/// As option files read it: quotes keep spaces and `#`, a backslash escapes.
fn option_value(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// Only this user may read it; it is gone when dropped.
fn secret_file(content: &str) -> Result<NamedTempFile, ProbeError> {
    let io = |error| ProbeError::io("the temporary file for the login", &error).help("check the temporary folder");
    let mut file = NamedTempFile::with_prefix("opsctl-login-").map_err(io)?;
    file.write_all(content.as_bytes()).and_then(|()| file.flush()).map_err(io)?;
    Ok(file)
}

/// A program that was started. Dropping it ends its whole process group and removes its credentials.
pub struct Running {
    name: String,
    group: Group,
    child: Child,
    errors: Option<JoinHandle<String>>,
    secret: Option<NamedTempFile>,
}

impl Running {
    /// Its input, to be written to on a thread that may block.
    pub fn stdin(&mut self) -> Option<File> {
        self.child.stdin.take().and_then(|pipe| pipe.into_owned_fd().ok()).map(File::from)
    }

    /// Its output, to be read on a thread that may block.
    pub fn stdout(&mut self) -> Option<File> {
        self.child.stdout.take().and_then(|pipe| pipe.into_owned_fd().ok()).map(File::from)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It failed, with what it complained about; the bound was reached: then nothing is left of it.
    pub async fn end(self, bound: &Bound) -> Result<(), ProbeError> {
        self.wait(bound).await?.map_or(Ok(()), |failure| Err(failure.error()))
    }

    /// Waits for its end; how it failed, if it did.
    ///
    /// # Errors
    /// The bound was reached: then nothing is left of it.
    pub async fn wait(mut self, bound: &Bound) -> Result<Option<Failure>, ProbeError> {
        let waiting = async { self.child.wait().await.map_err(|error| ProbeError::io(&self.name, &error)) };
        let status = within(bound, &format!("`{}`", self.name), waiting).await?;
        if status.success() {
            return Ok(None);
        }
        let said = match self.errors.take() {
            Some(errors) => within(bound, &self.name, async { Ok(errors.await.unwrap_or_default()) }).await?,
            None => String::new(),
        };
        Ok(Some(Failure { name: std::mem::take(&mut self.name), status, said }))
    }

    /// Ends the whole group, and waits until it is gone.
    pub async fn kill(self) {
        let Self { group, mut child, secret, .. } = self;
        drop(group);
        child.wait().await.ok();
        drop(secret);
    }
}

/// How a program failed.
pub struct Failure {
    name: String,
    pub status: ExitStatus,
    said: String,
}

impl Failure {
    /// The lines of what it complained about, without its own name, with which many begin each.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        let lines = self.said.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| match line.split_once(": ") {
            Some((first, rest)) if Path::new(first).file_name().is_some_and(|name| name == &*self.name) => rest,
            _ => line,
        })
    }

    #[must_use]
    pub fn error(&self) -> ProbeError {
        self.error_but(|_| false)
    }

    /// Without the lines that are not what it failed of.
    pub fn error_but(&self, beside: impl Fn(&str) -> bool) -> ProbeError {
        let lines = || self.lines().filter(|line| !beside(line));
        // Among those that only say what was done.
        let wrong = lines().find(|line| line.to_ascii_lowercase().contains("error"));
        let wrong = wrong.or_else(|| lines().next());
        let said = wrong.map_or_else(|| format!("ended with {}", self.status), |line| shortened(line, 400));
        ProbeError::new("tool_failed", format!("{}: {said}", self.name))
    }
}

/// The folder of a path; the root for a path without one.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("/"))
}
