//! The service manager of the practice system: what `systemctl` is to a real one.
//!
//! The drill itself owns the services; the commands of its site file reach it through a socket in its folder.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use super::service::Service;
use super::setup::{FOLDER_PREFIX, Setup};

/// The first argument with which this program manages a service of the practice system. Not for people.
pub const CONTROL: &str = "__drill-control";

/// A start waits for the service.
const LIMIT: Duration = Duration::from_mins(1);

const NOT_RUNNING: u8 = 3;

struct Services {
    running: HashMap<String, Service>,
    setup: Setup,
    own_exe: PathBuf,
    closed: bool,
}

/// Manages the services until it is dropped, which kills them.
pub(super) struct Control {
    services: Arc<Mutex<Services>>,
    root: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Control {
    pub fn open(running: Vec<(&str, Service)>, setup: &Setup, own_exe: &Path) -> io::Result<Self> {
        let running = running.into_iter().map(|(name, service)| (name.to_owned(), service)).collect();
        let own = Services { running, setup: setup.clone(), own_exe: own_exe.to_owned(), closed: false };
        let services = Arc::new(Mutex::new(own));
        let listener = in_folder(&setup.root, |path| UnixListener::bind(path))?;
        let for_thread = Arc::clone(&services);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut services = for_thread.lock().unwrap_or_else(PoisonError::into_inner);
                if services.closed {
                    return;
                }
                services.serve(stream).ok();
            }
        });
        Ok(Self { services, root: setup.root.clone(), thread: Some(thread) })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        {
            let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
            services.closed = true;
            services.running.clear();
        }
        // Wakes the thread; without the folder it cannot be reached any more, and ends with the process.
        let woken = in_folder(&self.root, |path| UnixStream::connect(path)).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            thread.join().ok();
        }
    }
}

/// A socket's path may have 108 bytes at most, a folder's many more; through its descriptor every folder is near.
fn in_folder<T>(root: &Path, with: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    let folder = File::open(root)?;
    with(Path::new(&format!("/proc/self/fd/{}/control", folder.as_raw_fd())))
}

impl Services {
    fn serve(&mut self, mut stream: UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(LIMIT))?;
        let mut line = String::new();
        BufReader::new((&stream).take(256)).read_line(&mut line)?;
        let answer = match line.trim().split_once(' ') {
            Some((name, "status")) => Ok(if self.runs(name) { "running" } else { "stopped" }),
            Some((name, "start")) => self.start(name),
            Some((name, "stop")) => Ok(self.stop(name)),
            Some((name, "restart")) => {
                self.stop(name);
                self.start(name)
            }
            _ => Err("no such command".to_owned()),
        };
        match answer {
            Ok(word) => writeln!(stream, "{word}"),
            Err(reason) => writeln!(stream, "failed: {reason}"),
        }
    }

    fn runs(&mut self, name: &str) -> bool {
        self.running.get_mut(name).is_some_and(Service::runs)
    }

    fn stop(&mut self, name: &str) -> &'static str {
        self.running.remove(name);
        "stopped"
    }

    /// A service that is started anew has forgotten what it had got itself into.
    fn start(&mut self, name: &str) -> Result<&'static str, String> {
        if !self.runs(name) {
            let mut setup = self.setup.clone();
            setup.faults.retain(|fault| !fault.ends_with_restart());
            let service = Service::start(name, &setup, &self.own_exe).and_then(Service::ready);
            let (service, _) = service.map_err(|error| error.to_string())?;
            self.running.insert(name.to_owned(), service);
        }
        Ok("running")
    }
}

/// Manages a service of the practice system in the folder that the arguments (those after [`CONTROL`]) say.
#[must_use]
pub fn control(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let root = PathBuf::from(args.next().unwrap_or_default());
    let mut word = || args.next().unwrap_or_default().to_string_lossy().into_owned();
    let (name, verb) = (word(), word());
    let is_drill = root.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FOLDER_PREFIX));
    let answer = match verb.as_str() {
        _ if !is_drill => Err(io::Error::other("this is no folder of a drill")),
        "check" => check(&root),
        _ => ask(&root, &format!("{name} {verb}")),
    };
    let (text, code) = match answer {
        Ok(answer) if answer.starts_with("failed") => (answer, 1),
        Ok(answer) if verb == "status" && answer == "stopped" => (answer, NOT_RUNNING),
        Ok(answer) => (answer, 0),
        Err(error) => (format!("{name}: {error}"), 4),
    };
    writeln!(io::stdout(), "{text}").ok();
    ExitCode::from(code)
}

fn ask(root: &Path, command: &str) -> io::Result<String> {
    let mut stream = in_folder(root, |path| UnixStream::connect(path))?;
    stream.set_read_timeout(Some(LIMIT))?;
    writeln!(stream, "{command}")?;
    let mut answer = String::new();
    BufReader::new(stream.take(4096)).read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// Whether the pages of the database are whole.
fn check(root: &Path) -> io::Result<String> {
    let options = SqliteConnectOptions::new().filename(root.join("data/helpdesk.sqlite3")).read_only(true);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let look = async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(found)
    };
    let found = runtime.block_on(look).map_err(io::Error::other)?;
    Ok(if found == "ok" { "all tables are whole".to_owned() } else { format!("failed: corrupt: {found}") })
}
