//! Real servers from the system's packages, on free loopback ports, gone with the test process.

use std::io;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A port that is free: below those that the kernel gives to whoever connects, and each is given away once, so that
/// nobody else takes it before its server does.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    const PORTS: std::ops::Range<u32> = 10_000..32_768;
    // Tests that run at the same time in another process begin elsewhere.
    let begin = std::process::id().wrapping_mul(997);
    let count = PORTS.end - PORTS.start;
    let next = || PORTS.start + begin.wrapping_add(GIVEN.fetch_add(1, Relaxed)) % count;
    let mut ports = (0..count).map(|_| u16::try_from(next()).expect("a port"));
    let is_free = |&port: &u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    ports.find(is_free).expect("a free port")
}

/// Starts `command` so that the kernel kills it when this test process ends, however it ends.
///
/// The death signal is bound to the thread that forks, so the fork happens on a thread that never ends.
pub fn start(command: Vec<String>) -> u32 {
    let (sender, receiver) = std::sync::mpsc::channel::<io::Result<u32>>();
    std::thread::spawn(move || {
        let child: io::Result<Child> = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .args(&command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        sender
            .send(child.as_ref().map(Child::id).map_err(|error| io::Error::new(error.kind(), error.to_string())))
            .ok();
        if let Ok(mut child) = child {
            child.wait().ok();
        }
        loop {
            std::thread::park();
        }
    });
    receiver.recv().expect("the starter answers").expect("the server starts")
}

/// Waits until `ready` says so.
pub fn wait_until(what: &str, ready: impl Fn() -> bool) {
    let begin = Instant::now();
    while !ready() {
        assert!(begin.elapsed() < Duration::from_mins(1), "{what} was not ready after a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The program on the path or in the places where servers live; a missing one fails the test and says what to do.
pub fn program(name: &str) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin"])
        .map(|folder| format!("{folder}/{name}"))
        .find(|candidate| std::path::Path::new(candidate).is_file())
        .unwrap_or_else(|| panic!("{name} is not installed; scripts/test installs it"))
}

/// Puts a script into `folder` that stands in for the program `name`; returns a `PATH` where it is found first.
pub fn stand_in(folder: &Path, name: &str, script: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, script).expect("a script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    format!("PATH={}:{}", folder.display(), std::env::var("PATH").unwrap_or_default())
}

/// A new folder for the server `name`; those of test processes that have ended are removed.
pub fn folder(name: &str) -> PathBuf {
    let temporary = std::env::temp_dir();
    let prefix = format!("opsctl-{name}-");
    for entry in std::fs::read_dir(&temporary).into_iter().flatten().flatten() {
        let owner = entry.file_name().to_str().and_then(|name| name.strip_prefix(&prefix)?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
    let folder = temporary.join(format!("{prefix}{}", std::process::id()));
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir(&folder).expect("a folder for the server");
    folder
}
