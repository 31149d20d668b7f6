//! The services: this program itself as separate processes, which end when the process that started them is gone.
//!
//! A service holds one end of two pipes. Its standard output says once that it is ready (or why not). Its standard
//! input says once that the files are there and the work can begin, and ends when the starter ends, however it ends.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::DrillError;
use super::orphan::tidy;
use super::setup::Setup;

mod database;
mod web;
mod worker;

/// The first argument with which this program becomes a service of the practice system. Not for people.
pub const SERVICE: &str = "__drill-service";

/// Generous, for a machine under load.
const START_LIMIT: Duration = Duration::from_secs(30);

const BEGIN: &[u8] = b"\n";

/// A running service; killed on drop.
#[derive(Debug)]
pub(super) struct Service {
    name: String,
    child: Child,
}

impl Service {
    /// Starts it without waiting. It begins its work when [`Service::ready`] says so, and tidies up after a starter that
    /// is gone before.
    pub fn start(kind: &str, setup: &Setup, own_exe: &Path) -> Result<Self, DrillError> {
        let name = setup.process_name(kind);
        let child = Command::new(own_exe)
            .arg0(&name)
            .args([SERVICE, kind])
            .args(setup.to_args())
            .current_dir("/")
            // A Ctrl-C is for the command that is practised, not for the system that it is practised on.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| DrillError::Service { name: name.clone(), reason: error.to_string() })?;
        Ok(Self { name, child })
    }

    /// Lets it begin and waits until it is ready; gives what it says of itself: the web server's address.
    pub fn ready(mut self) -> Result<(Self, String), DrillError> {
        // One that is gone already shows in what it says.
        self.child.stdin.as_mut().map(|input| input.write_all(BEGIN));
        let output = self.child.stdout.take();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            output.map(|output| BufReader::new(output.take(4096)).read_line(&mut line));
            sender.send(line).ok();
        });
        let said = receiver.recv_timeout(START_LIMIT);
        let reason = match said.as_deref().map(|line| line.trim().split_once(' ')) {
            Ok(Some(("ready", rest))) => return Ok((self, rest.to_owned())),
            Ok(Some((_, reason))) => reason.to_owned(),
            Ok(None) => "it ended at once".to_owned(),
            Err(_) => format!("it was not ready after {} s", START_LIMIT.as_secs()),
        };
        Err(DrillError::Service { name: self.name.clone(), reason })
    }

    /// Whether it lives.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Is the service that the arguments (those after [`SERVICE`]) say, until the starter is gone.
#[must_use]
pub fn service(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let kind = args.next().unwrap_or_default();
    let Some(setup) = Setup::from_args(args) else {
        return ExitCode::from(3);
    };
    if io::stdin().read_exact(&mut [0; BEGIN.len()]).is_err() {
        tidy(&setup.root);
        return ExitCode::SUCCESS;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::from(3);
    };
    let work = async {
        match kind.to_str() {
            Some("database") => database::run(&setup).await,
            Some("web") => web::run(&setup).await,
            Some("worker") => worker::run(&setup).await,
            _ => Err(io::Error::other("no such service")),
        }
    };
    let result = runtime.block_on(async {
        tokio::select! {
            result = work => result,
            () = starter_gone() => Ok(()),
        }
    });
    runtime.shutdown_background();
    match result {
        Ok(()) => {
            tidy(&setup.root);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say("failed", &error.to_string()).ok();
            ExitCode::from(3)
        }
    }
}

async fn starter_gone() {
    let read = || io::copy(&mut io::stdin(), &mut io::sink());
    tokio::task::spawn_blocking(read).await.ok();
}

/// Tells the starter that requests are answered from now on.
fn say_ready(about: &str) -> io::Result<()> {
    say("ready", about)
}

fn say(word: &str, about: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{word} {about}")?;
    output.flush()
}
