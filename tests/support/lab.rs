//! A disposable machine with a systemd of its own, where services may be broken and repaired: this machine's file
//! system under a layer in memory, with processes, control groups and a network (loopback only) of its own.
//!
//! ```ignore
//! let lab = Lab::up(&["apache2.service"]);
//! lab.run(["systemctl", "stop", "apache2"]).exits(0);
//! lab.opsctl(["daily", "check"]).exits(2);
//! ```

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::case::{EXE, Ran};
use super::{again, server};

/// Up until it is dropped or the test process ends. Boots in about a second and takes about 30 MB; any number of them
/// may be up at the same time. Needs root.
///
/// Kernel settings cannot be changed inside, but the clock could be by what a test runs there: never do that.
#[must_use]
pub struct Lab {
    folder: TempDir,
    keeper: Pid,
    leader: u32,
}

impl Lab {
    /// Boots it and starts `units`, some of which may fail. Nothing else that is enabled on this machine is started.
    pub fn up(units: &[&str]) -> Self {
        static ALL: OnceLock<PathBuf> = OnceLock::new();
        let folder = tempfile::tempdir_in(ALL.get_or_init(|| server::folder("lab"))).expect("a folder");
        let this = env::current_exe().expect("the test binary");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/lab.sh");
        let mut command: Vec<String> =
            ["setpriv", "--pdeathsig=TERM", "--", "unshare", "--mount", "--", "bash", script].map(Into::into).into();
        command.extend([text(folder.path()), EXE, text(&this), "--"].map(Into::into));
        command.extend(units.iter().map(|unit| (*unit).to_owned()));
        let keeper = server::start(command);
        let leader = folder.path().join("leader");
        server::wait_until("a machine with systemd", || {
            assert!(is_alive(keeper), "no machine with systemd:\n{}", console(folder.path()));
            leader.exists()
        });
        let leader = fs::read_to_string(leader).expect("a number").trim().parse().expect("a number");
        let keeper = Pid::from_raw(keeper.cast_signed()).expect("a process");
        Self { folder, keeper, leader }
    }

    /// A folder that has the same name inside and outside.
    pub fn share(&self) -> PathBuf {
        self.folder.path().join("share")
    }

    /// Its first process, as it is numbered outside.
    pub fn leader(&self) -> u32 {
        self.leader
    }

    /// What a command is put behind in order to run inside, with the environment of the caller and in `folder`.
    pub fn words(&self, folder: &Path) -> Vec<String> {
        let leader = self.leader.to_string();
        let enter = ["nsenter", "--target", &leader, "--all", "--root", "--wd", "--", "env", "-C", text(folder), "--"];
        enter.map(Into::into).into()
    }

    /// Runs a command inside, as root in `/`, and waits for its end.
    pub fn run<A: AsRef<OsStr>>(&self, command: impl IntoIterator<Item = A>) -> Ran {
        let words = self.words(Path::new("/"));
        let output = Command::new(&words[0])
            .args(&words[1..])
            .args(command)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", "/root")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .expect("nsenter of util-linux starts");
        Ran::of(output, &self.share())
    }

    /// Runs the program inside. For a site file and procedures, use [`super::case::Case::inside`].
    pub fn opsctl<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        self.run([EXE.into()].into_iter().chain(args))
    }

    /// Writes a file inside, with the folders above it.
    pub fn write(&self, path: &str, content: &str) {
        let new = tempfile::NamedTempFile::new_in(self.share()).expect("a file");
        fs::write(new.path(), content).expect("its content");
        self.run(["install", "-D", "--mode=644", "--", text(new.path()), path]).exits(0);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = kill_process(self.keeper, Signal::TERM);
        let keeper = self.keeper.as_raw_nonzero().get().cast_unsigned();
        if !std::thread::panicking() {
            server::wait_until("the end of a machine", || !is_alive(keeper));
        }
    }
}

/// Runs `body`, a closure of the test itself, in a new process inside a machine that has started `units`.
pub fn again_inside<F: FnOnce()>(units: &[&str], body: F) {
    if again::is_again::<F>() {
        return body();
    }
    let lab = Lab::up(units);
    let words = lab.words(Path::new("/"));
    again::again_in(&lab.share(), &words.iter().map(String::as_str).collect::<Vec<_>>(), body);
}

fn is_alive(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

fn console(folder: &Path) -> String {
    fs::read_to_string(folder.join("console")).unwrap_or_default()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}
