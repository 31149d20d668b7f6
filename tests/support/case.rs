//! One run of the program, in a folder and an environment of its own, compared as a whole.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::lab::Lab;
use super::server::wait_until;

/// What a user has: a folder with a site file and procedures, a home, an environment.
///
/// Nothing of the machine gets in: no `OPSCTL_*`, no home, no journal. Everything is gone with the case.
#[must_use]
pub struct Case {
    folder: TempDir,
    env: Vec<(String, String)>,
    /// What the program is started with: `nsenter ...`, `setpriv ...`.
    before: Vec<String>,
}

/// What somebody at a terminal does.
#[derive(Clone, Copy)]
pub enum Turn<'t> {
    /// A line; nothing for an empty text.
    Type(&'t str),
    /// Keys, without Enter.
    Press(&'t str),
    /// Something elsewhere while the program waits, and then a line; nothing for an empty text.
    Do(&'t dyn Fn(), &'t str),
}

pub const EXE: &str = env!("CARGO_BIN_EXE_opsctl");

/// Under `nohup` the tests ignore this signal, and what they start would inherit that.
const ORDINARY: [&str; 2] = ["/usr/bin/env", "--default-signal=HUP"];

impl Case {
    pub fn new(name: &str) -> Self {
        Self::below(&std::env::temp_dir(), name)
    }

    /// A user of the machine `lab`: the program runs there.
    pub fn inside(lab: &Lab, name: &str) -> Self {
        let mut case = Self::below(&lab.share(), name);
        case.before = lab.words(case.folder.path());
        case
    }

    fn below(parent: &Path, name: &str) -> Self {
        let folder = tempfile::Builder::new().prefix(&format!("opsctl-case-{name}-")).tempdir_in(parent);
        let folder = folder.expect("a folder");
        // For the cases that run as another user.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder of one's own");
        fs::create_dir(folder.path().join("home")).expect("a home");
        Self { folder, env: Vec::new(), before: Vec::new() }
    }

    /// `opsctl.yaml`, with the procedures of the folder `pack` and a journal beside it.
    pub fn site(self, more: &str) -> Self {
        self.file("opsctl.yaml", format!("site: test\ntimezone: UTC\npacks: [./pack]\njournal: ./journal.db\n{more}"))
    }

    /// `path` is `group/name.yaml`.
    pub fn procedure(self, path: &str, yaml: &str) -> Self {
        self.file(&format!("pack/{path}"), yaml)
    }

    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// From now on the program runs as a user without any right but those of everybody.
    pub fn by_nobody(mut self) -> Self {
        if rustix::process::geteuid().is_root() {
            let words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
            self.before.extend(words.map(str::to_owned));
        }
        self
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn journal(&self) -> PathBuf {
        self.path("journal.db")
    }

    fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let words = ORDINARY.into_iter().chain(self.before.iter().map(String::as_str)).chain([EXE]).map(Into::into);
        let mut words = words.chain(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        let mut command = Command::new(words.next().expect("a program"));
        command
            .args(words)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("XDG_STATE_HOME", self.path("home/state"))
            .env("TZ", "UTC")
            .env("TERM", "xterm-256color")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        let output = self.command(args).output().expect("the program starts");
        Ran::of(output, self.folder.path())
    }

    /// On a terminal of 80 columns, which takes standard output and standard error together.
    pub fn run_on_a_terminal(&self, line: &str) -> Ran {
        let mut script = self.on_a_terminal(line);
        Ran::of(script.stdin(Stdio::null()).output().expect("script of util-linux is there"), self.folder.path())
    }

    /// Presses Ctrl-C when `shown` has been drawn. All that the terminal was sent.
    pub fn interrupt_on_a_terminal(&self, line: &str, shown: &str) -> String {
        let mut script = self.on_a_terminal(line);
        let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script is there");
        let (mut keyboard, mut screen) = (script.stdin.take().expect("a pipe"), script.stdout.take().expect("a pipe"));
        let (mut written, mut piece, mut pressed) = (Vec::new(), [0; 4096], false);
        while let Ok(length @ 1..) = screen.read(&mut piece) {
            written.extend_from_slice(&piece[..length]);
            if !pressed && memchr::memmem::find(&written, shown.as_bytes()).is_some() {
                keyboard.write_all(b"\x03").expect("a keyboard");
                pressed = true;
            }
        }
        script.wait().expect("script ends");
        String::from_utf8(written).expect("UTF-8 on the terminal")
    }

    /// At a terminal: whenever the next of `turns` shows what it waits for, types what belongs to it; nothing for an empty
    /// text, Enter alone for a space.
    pub fn talk(&self, line: &str, turns: &[(&str, &str)]) -> Ran {
        let turns: Vec<(&str, Turn)> = turns.iter().map(|(shown, typed)| (*shown, Turn::Type(typed))).collect();
        self.converse(line, &turns)
    }

    /// At a terminal: whenever the next of `turns` shows what it waits for, does what belongs to it.
    pub fn converse(&self, line: &str, turns: &[(&str, Turn)]) -> Ran {
        let mut script = self.on_a_terminal(line);
        let script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut script = script.spawn().expect("script is there");
        let (mut keyboard, mut screen) = (script.stdin.take().expect("a pipe"), script.stdout.take().expect("a pipe"));
        let (mut written, mut piece, mut seen) = (Vec::new(), [0; 4096], 0);
        let watch = Watch::over(&script);
        let mut turns = turns.iter().peekable();
        while let Ok(length @ 1..) = screen.read(&mut piece) {
            written.extend_from_slice(&piece[..length]);
            while let Some((shown, turn)) = turns.peek()
                && let Some(at) = memchr::memmem::find(&written[seen..], shown.as_bytes())
            {
                seen += at + shown.len();
                if let Turn::Do(work, _) = turn {
                    work();
                }
                let keys = match turn {
                    Turn::Type("") | Turn::Do(_, "") => String::new(),
                    Turn::Type(line) | Turn::Do(_, line) => format!("{line}\r"),
                    Turn::Press(keys) => (*keys).to_owned(),
                };
                keyboard.write_all(keys.as_bytes()).expect("a keyboard");
                turns.next();
            }
        }
        watch.ends();
        let status = script.wait().expect("script ends");
        let output = Output { status, stdout: written, stderr: Vec::new() };
        let ran = Ran::of(output, self.folder.path());
        let missed = turns.peek().map(|(shown, _)| shown);
        assert!(missed.is_none(), "never came: {missed:?}\n{}", ran.stdout);
        ran
    }

    pub(super) fn on_a_terminal(&self, line: &str) -> Command {
        let shell = format!("stty cols 80 rows 24; exec {EXE} {line}");
        let mut command = self.command([] as [&str; 0]);
        let mut words = self.before.iter().map(String::as_str).chain(["script", "-qec", &shell, "/dev/null"]);
        let mut script = Command::new(words.next().expect("a program"));
        script.args(words).env_clear().current_dir(self.folder.path());
        for (name, value) in command.env("SHELL", "/bin/sh").get_envs() {
            script.env(name, value.unwrap_or_default());
        }
        script
    }

    /// A shell's line, in which `opsctl` is the program.
    pub fn run_in_a_shell(&self, line: &str) -> Ran {
        let mut path = Path::new(EXE).parent().expect("a folder").as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = self.command([] as [&str; 0]);
        let mut shell = Command::new(ORDINARY[0]);
        shell
            .args(&ORDINARY[1..])
            .args(["sh", "-c", line])
            .env_clear()
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        for (name, value) in command.env("PATH", path).get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        Ran::of(shell.output().expect("a shell"), self.folder.path())
    }

    /// Leads a process group of its own, as under a shell with job control.
    pub fn start<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Running {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        Running { child: command.spawn().expect("the program starts"), folder: self.folder.path().to_owned() }
    }
}

/// Kills what does not end within two minutes: what never comes is waited for no longer.
pub(super) struct Watch {
    over: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub fn over(child: &Child) -> Self {
        let (id, (over, ends)) = (Pid::from_child(child), channel::<()>());
        let thread = std::thread::spawn(move || {
            if ends.recv_timeout(Duration::from_mins(2)) == Err(RecvTimeoutError::Timeout) {
                // As a whole where it leads a group, as what enters a machine does.
                kill_process_group(id, Signal::KILL).or_else(|_| kill_process(id, Signal::KILL)).ok();
            }
        });
        Self { over, thread }
    }

    pub fn ends(self) {
        drop(self.over);
        self.thread.join().expect("a watch");
    }
}

/// The program at work.
#[must_use]
pub struct Running {
    child: Child,
    folder: PathBuf,
}

impl Running {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn waits_for(self, what: &str, ready: impl Fn() -> bool) -> Self {
        wait_until(what, ready);
        self
    }

    pub fn signal(self, signal: Signal) -> Self {
        kill_process(self.pid(), signal).expect("a process that is still there");
        self
    }

    /// As Ctrl-C in a terminal does.
    pub fn signal_group(self, signal: Signal) -> Self {
        kill_process_group(self.pid(), signal).expect("a process that is still there");
        self
    }

    pub fn ends(self) -> Ran {
        Ran::of(self.child.wait_with_output().expect("the program ends"), &self.folder)
    }
}

/// What a run left: exit status and texts. Each question about it hands it on.
#[derive(Debug)]
pub struct Ran {
    pub exit: i32,
    pub stdout: String,
    pub stderr: String,
    folder: PathBuf,
}

impl Ran {
    pub(super) fn of(output: Output, folder: &Path) -> Self {
        Self {
            exit: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or_default()),
            stdout: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
            folder: folder.to_owned(),
        }
    }

    #[track_caller]
    pub fn exits(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "exit status; {self}");
        self
    }

    /// All of standard output, with the placeholders of [`Ran::stable`].
    #[track_caller]
    pub fn prints(self, expected: &str) -> Self {
        let printed = self.stable(&self.stdout);
        assert!(printed == expected, "--- expected\n{expected}\n--- printed\n{printed}\n--- of {self}");
        self
    }

    #[track_caller]
    pub fn prints_on_stderr(self, expected: &str) -> Self {
        let printed = self.stable(&self.stderr);
        assert!(printed == expected, "--- expected\n{expected}\n--- printed on stderr\n{printed}\n--- of {self}");
        self
    }

    /// Somewhere on standard output.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        assert!(self.stable(&self.stdout).contains(part), "not on standard output: {part}\n{self}");
        self
    }

    #[track_caller]
    pub fn says_on_stderr(self, part: &str) -> Self {
        assert!(self.stable(&self.stderr).contains(part), "not on standard error: {part}\n{self}");
        self
    }

    #[track_caller]
    pub fn never_says(self, part: &str) -> Self {
        assert!(!self.stdout.contains(part) && !self.stderr.contains(part), "somewhere: {part}\n{self}");
        self
    }

    #[track_caller]
    pub fn first_line(&self) -> &str {
        self.stdout.lines().next().unwrap_or_else(|| panic!("nothing on standard output; {self}"))
    }

    /// Standard output, which must be one JSON value and nothing else.
    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not one JSON value: {error}; {self}"))
    }

    /// What differs from run to run becomes a word in brackets: the case's folder, ids, ports, times, who and where.
    fn stable(&self, text: &str) -> String {
        let took = r"\d+(\.\d+)? (ms|s|min|h)( \d+ (s|min))?";
        let mut text = text.replace(&*self.folder.to_string_lossy(), "[folder]");
        for (pattern, word) in [
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".to_owned(), "[run]"),
            (r"show [0-9a-f]{8}-[0-9a-f]{4}".to_owned(), "show [run]"),
            (r"(?m)^[0-9a-f]{8}-[0-9a-f]{4}\b".to_owned(), "[run]"),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?".to_owned(), "[time]"),
            (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (\[time\]( UTC)?|\d\d:\d\d)".to_owned(), "[time]"),
            (format!(r"(?m)^([A-Z]{{6}}.*)   {took}$"), "$1   [took]"),
            (format!(r"took {took}\b"), "took [took]"),
            (r"127\.0\.0\.1:\d+".to_owned(), "127.0.0.1:[port]"),
            (r"on \S+ by \S+\n".to_owned(), "on [host] by [user]\n"),
            (r"(?m)  by \S+$".to_owned(), "  by [user]"),
        ] {
            text = Regex::new(&pattern).expect("a pattern").replace_all(&text, word).into_owned();
        }
        text
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n--- stdout\n{}\n--- stderr\n{}", self.exit, self.stdout, self.stderr)
    }
}
