//! Redis servers: each test starts its own, which is gone with it.
//!
//! ```ignore
//! let server = Server::start(&["--requirepass", "sesame"]);
//! let url = server.url(":sesame@");
//! ```

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::server;

pub struct Server {
    pub port: u16,
    pub socket: PathBuf,
    folder: TempDir,
    pid: u32,
}

impl Server {
    /// On 127.0.0.1 and on a socket, saving nothing by itself; `options` as on the command line come last.
    pub fn start(options: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder for the server"), options)
    }

    /// Ends this server and starts one with other options and the same data.
    pub fn restart(mut self, options: &[&str]) -> Self {
        self.stop();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"));
        Self::start_in(folder, options)
    }

    fn start_in(folder: TempDir, options: &[&str]) -> Self {
        let (port, socket) = (server::free_port(), folder.path().join("socket"));
        let mut command = vec![
            server::program("redis-server"),
            format!("--port {port}"),
            "--bind 127.0.0.1".into(),
            format!("--unixsocket {}", socket.display()),
            format!("--dir {}", folder.path().display()),
            format!("--logfile {}", folder.path().join("log").display()),
        ];
        command.extend(["--save", ""].map(str::to_owned));
        command.extend(options.iter().map(|option| (*option).to_owned()));
        let pid = server::start(command);
        let started = Self { port, socket, folder, pid };
        server::wait_until("Redis", || std::os::unix::net::UnixStream::connect(&started.socket).is_ok());
        started
    }

    /// `login` is `USER:PASSWORD@`, `:PASSWORD@` or nothing.
    pub fn url(&self, login: &str) -> String {
        format!("redis://{login}127.0.0.1:{}", self.port)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection without a login.
    pub fn connect(&self) -> redis::Connection {
        let client = redis::Client::open(self.url("")).expect("a URL");
        // The look that saw it start may still count as a client.
        let connection = RefCell::new(None);
        server::wait_until("a connection to Redis", || {
            *connection.borrow_mut() = client.get_connection().ok();
            connection.borrow().is_some()
        });
        connection.into_inner().expect("a connection")
    }

    /// Runs one command, whose words are separated by spaces.
    pub fn run(&self, line: &str) -> redis::Value {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().expect("a command"));
        for word in words {
            command.arg(word);
        }
        command.query(&mut self.connect()).unwrap_or_else(|error| panic!("Redis refused {line}: {error}"))
    }

    /// It keeps its connections and does nothing any more.
    pub fn freeze(&self) {
        kill_process(self.pid(), Signal::STOP).expect("it runs");
    }

    fn pid(&self) -> Pid {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("the number of a process")
    }

    fn stop(&self) {
        // One that is gone is as good.
        let _ = kill_process(self.pid(), Signal::KILL);
        server::wait_until("the end of Redis", || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
