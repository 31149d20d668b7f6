//! The processes of this machine, from `/proc`.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::command_line;
use crate::probe::{Context, ProbeError, proc_file};

/// The whole list of arguments of one process: more than Linux lets a program have in one piece.
const MOST_ARGUMENTS: usize = 2 * 1024 * 1024;

/// Bytes read at a time.
const BLOCK: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Running,
    Sleeping,
    /// In a wait that no signal ends, mostly for a disk or a server: state `D`.
    Stuck,
    /// Ended, and its parent has not asked how.
    Zombie,
    /// By a signal or a debugger.
    Stopped,
}

impl State {
    pub const ALL: [Self; 5] = [Self::Running, Self::Sleeping, Self::Stuck, Self::Zombie, Self::Stopped];

    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Sleeping => "sleeping",
            Self::Stuck => "stuck",
            Self::Zombie => "zombie",
            Self::Stopped => "stopped",
        }
    }

    fn of_letter(letter: &str) -> Self {
        match letter {
            "R" => Self::Running,
            "D" => Self::Stuck,
            "Z" | "X" | "x" => Self::Zombie,
            "T" | "t" => Self::Stopped,
            // `S`, and `I` of idle kernel threads.
            _ => Self::Sleeping,
        }
    }
}

/// What `/proc/PID/stat` says of one process.
#[derive(Clone, PartialEq, Debug)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    /// At most 15 bytes of the name, except of kernel threads.
    pub comm: String,
    pub state: State,
    pub kernel: bool,
    pub threads: u64,
    /// Resident memory in bytes, shared pages included.
    pub memory: u64,
    /// On a processor, all threads together.
    busy: Duration,
    /// After the machine.
    start: Duration,
    /// Looked up when first asked for.
    names: OnceLock<Names>,
    arguments: OnceLock<Vec<u8>>,
}

/// The names that one process goes by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Names {
    executable: Option<String>,
    program: Option<String>,
    comm: String,
}

#[derive(Debug)]
pub struct ProcessTable {
    pub processes: Vec<Process>,
    /// Some processes are hidden from this user.
    pub hidden: bool,
    up: Duration,
}

/// An executable file as the kernel names it.
#[derive(PartialEq, Eq, Debug)]
pub enum Executable {
    /// Its path, and whether that file is gone or replaced.
    File {
        name: String,
        deleted: bool,
    },
    /// Of kernel threads, zombies and processes that have just ended.
    None,
    NotPermitted,
}

/// How long a table serves the looks of one moment, which run side by side.
const MOMENT: Duration = Duration::from_millis(50);

/// Which processes a table holds. Most entries of `/proc` are threads of the kernel, and each costs as much as a program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// Without what the kernel started: its threads, and its own short-lived helpers.
    Programs,
    All,
}

/// A table, the run that it was read for, and when.
struct Recent {
    run: DateTime<Utc>,
    read: Instant,
    scope: Scope,
    table: Arc<ProcessTable>,
}

static RECENT: Mutex<Option<Recent>> = Mutex::new(None);

impl ProcessTable {
    /// The table of this moment: looks of one run that are taken side by side read it once.
    pub fn now(scope: Scope, cx: &Context) -> Result<Arc<Self>, ProbeError> {
        let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recent) = &*recent
            && recent.run == cx.now
            && recent.read.elapsed() < MOMENT
            && recent.scope >= scope
        {
            return Ok(Arc::clone(&recent.table));
        }
        let read = Instant::now();
        let table = Arc::new(Self::read(scope, &cx.cancel)?);
        *recent = Some(Recent { run: cx.now, read, scope, table: Arc::clone(&table) });
        Ok(table)
    }

    pub fn read(scope: Scope, cancel: &CancellationToken) -> Result<Self, ProbeError> {
        let trouble = |error: &io::Error| {
            ProbeError::io("/proc", error).help("opsctl needs the /proc file system to see processes")
        };
        let mut processes = Vec::new();
        let mut denied = false;
        let mut text = Vec::new();
        let left_out = if scope == Scope::Programs { of_kernel(&mut text) } else { HashSet::new() };
        for entry in fs::read_dir("/proc").map_err(|error| trouble(&error))? {
            if cancel.is_cancelled() {
                return Err(ProbeError::new("cancelled", "nobody waits for the processes any more"));
            }
            let entry = entry.map_err(|error| trouble(&error))?;
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            if left_out.contains(&pid) {
                continue;
            }
            match read_into(&mut text, &format!("/proc/{pid}/stat")) {
                Ok(()) => processes.extend(match std::str::from_utf8(&text) {
                    Ok(text) => parse_stat(text),
                    Err(_) => parse_stat(&String::from_utf8_lossy(&text)),
                }),
                Err(error) if error.kind() == ErrorKind::PermissionDenied => denied = true,
                // It has ended meanwhile.
                Err(_) => {}
            }
        }
        // Process 1 is always there: when it is not in the list, `hidepid` hides what belongs to others.
        let hidden = denied || !processes.iter().any(|process: &Process| process.pid == 1);
        // Read last, so that no process is younger than nothing.
        let up = uptime()?;
        Ok(Self { processes, hidden, up })
    }

    /// How long the process has been there.
    pub fn age(&self, process: &Process) -> Duration {
        self.up.saturating_sub(process.start)
    }

    /// Percent of one processor since its start, as `ps` has it; more than 100 with several threads.
    pub fn cpu(&self, process: &Process) -> f64 {
        let age = self.age(process).as_secs_f64();
        if age > 0.0 { process.busy.as_secs_f64() / age * 100.0 } else { 0.0 }
    }

    /// `pid` and all that it started, directly or not.
    pub fn family(&self, pid: i32) -> HashSet<i32> {
        let parents = self.parents();
        let is_in = |process: &&Process| ancestors(process.pid, &parents).any(|ancestor| ancestor == pid);
        let descendants = self.processes.iter().filter(is_in).map(|process| process.pid);
        descendants.chain([pid]).collect()
    }

    /// Those that started `pid`, directly or not.
    pub fn ancestors(&self, pid: i32) -> HashSet<i32> {
        ancestors(pid, &self.parents()).collect()
    }

    fn parents(&self) -> HashMap<i32, i32> {
        self.processes.iter().map(|process| (process.pid, process.parent)).collect()
    }
}

fn ancestors(pid: i32, parents: &HashMap<i32, i32>) -> impl Iterator<Item = i32> {
    let parent = |pid: &i32| parents.get(pid).copied().filter(|parent| *parent > 0);
    // Read one after the other, the numbers may name a circle when one is taken again meanwhile.
    std::iter::successors(parent(&pid), parent).take(parents.len())
}

impl Process {
    pub fn is_alive(&self) -> bool {
        self.state != State::Zombie
    }

    /// Time on a processor since its start, all threads together.
    pub fn busy(&self) -> Duration {
        self.busy
    }

    /// The effective user.
    pub fn user(&self) -> Option<u32> {
        Some(fs::metadata(format!("/proc/{}", self.pid)).ok()?.uid())
    }

    /// Separated by NUL; empty of kernel threads, zombies and processes that have just ended.
    pub fn arguments(&self) -> &[u8] {
        self.arguments.get_or_init(|| {
            let mut arguments = Vec::new();
            if !self.kernel && read_into(&mut arguments, &format!("/proc/{}/cmdline", self.pid)).is_err() {
                arguments.clear();
            }
            arguments
        })
    }

    pub fn executable(&self) -> Executable {
        if self.kernel || !self.is_alive() {
            return Executable::None;
        }
        match fs::read_link(format!("/proc/{}/exe", self.pid)) {
            Ok(path) => Executable::of_link(&path),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Executable::NotPermitted,
            Err(_) => Executable::None,
        }
    }

    /// How many files it has open; `None` when this user may not know.
    pub fn open_files(&self) -> Option<u64> {
        let folder = format!("/proc/{}/fd", self.pid);
        // Linux 6.2 and newer count them in the size of the folder, and for every user.
        match fs::metadata(&folder).map(|folder| folder.size()) {
            Ok(count) if count > 0 => return Some(count),
            Ok(_) => {}
            Err(error) => return (error.kind() != ErrorKind::PermissionDenied).then_some(0),
        }
        match fs::read_dir(&folder) {
            Ok(entries) => Some(entries.fold(0, |count, _| count + 1)),
            Err(error) => (error.kind() != ErrorKind::PermissionDenied).then_some(0),
        }
    }

    pub fn names(&self) -> &Names {
        self.names.get_or_init(|| {
            let executable = match self.executable() {
                Executable::File { name, .. } => Some(name),
                Executable::None | Executable::NotPermitted => None,
            };
            Names { executable, program: command_line::program(self.arguments()), comm: self.comm.clone() }
        })
    }
}

impl Names {
    /// Whether `name` is one of them in full. Of a zombie only the beginning is known, and that must do.
    pub fn include(&self, name: &str) -> bool {
        match (&self.executable, &self.program) {
            (None, None) => self.comm == name || (self.comm.len() == 15 && name.starts_with(&self.comm)),
            (executable, program) => {
                self.comm == name || [executable, program].into_iter().flatten().any(|known| known == name)
            }
        }
    }

    /// The name that the process gave itself, as `ps` and `ss` show it, but in full where a longer one begins with it.
    pub fn own(&self) -> &str {
        let longer = [&self.executable, &self.program].into_iter().flatten().find(|name| name.starts_with(&self.comm));
        longer.filter(|_| self.comm.len() == 15).unwrap_or(&self.comm)
    }

    /// The best of them.
    pub fn best(&self) -> &str {
        self.executable.as_ref().or(self.program.as_ref()).unwrap_or(&self.comm)
    }
}

impl Executable {
    fn of_link(path: &Path) -> Self {
        let bytes = path.as_os_str().as_bytes();
        let (path, gone) = match bytes.strip_suffix(b" (deleted)") {
            Some(path) => (path, true),
            None => (bytes, false),
        };
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        // A program that runs from memory never had a file.
        let deleted = gone && !path.starts_with(b"/memfd:");
        Self::File { name: String::from_utf8_lossy(name).into_owned(), deleted }
    }
}

/// What the thread of the kernel that starts the others has started; empty where the kernel does not tell, and in
/// containers, which have no such thread.
fn of_kernel(text: &mut Vec<u8>) -> HashSet<i32> {
    const STARTER: i32 = 2;
    let stat =
        read_into(text, &format!("/proc/{STARTER}/stat")).ok().and_then(|()| parse_stat(str::from_utf8(text).ok()?));
    if !stat.is_some_and(|starter| starter.kernel) {
        return HashSet::new();
    }
    let started = proc_file::read(&format!("/proc/{STARTER}/task/{STARTER}/children")).unwrap_or_default();
    String::from_utf8_lossy(&started).split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Reads a file of `/proc`, which the kernel writes anew for each opening: a read that does not fill the buffer was the
/// last one, so that most files take one.
fn read_into(text: &mut Vec<u8>, path: &str) -> io::Result<()> {
    text.clear();
    let mut file = File::open(path)?;
    let mut block = [0; BLOCK];
    loop {
        match file.read(&mut block) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => {
                let read = &block[..read?];
                text.extend_from_slice(read);
                if read.len() < BLOCK || text.len() >= MOST_ARGUMENTS {
                    return Ok(());
                }
            }
        }
    }
}

/// Since the machine started.
pub fn uptime() -> Result<Duration, ProbeError> {
    let text = fs::read_to_string("/proc/uptime").map_err(|error| ProbeError::io("/proc/uptime", &error))?;
    let seconds = text.split(' ').next().and_then(|seconds| seconds.parse().ok());
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| ProbeError::new("bad_answer", format!("/proc/uptime holds `{}`", text.trim())))
}

/// `4711 (the name) S 1 ...`: see `proc_pid_stat(5)`. The name may hold spaces and brackets.
pub(crate) fn parse_stat(text: &str) -> Option<Process> {
    const KERNEL_THREAD: u64 = 0x0020_0000;
    let (pid, rest) = text.split_once(" (")?;
    let (comm, rest) = rest.rsplit_once(')')?;
    // The numbers of the manual page count from the pid, which is the first; what follows the 24th is not needed.
    let mut fields = [""; 22];
    for (field, word) in fields.iter_mut().zip(rest.split_ascii_whitespace()) {
        *field = word;
    }
    let field = |number: usize| fields[number - 3];
    let number = |of: usize| field(of).parse::<u64>().ok();
    let ticks = rustix::param::clock_ticks_per_second();
    let time = |ticked: u64| Duration::from_secs_f64(ticked as f64 / ticks as f64);
    Some(Process {
        names: OnceLock::new(),
        arguments: OnceLock::new(),
        pid: pid.parse().ok()?,
        parent: field(4).parse().ok()?,
        comm: comm.to_owned(),
        state: State::of_letter(field(3)),
        kernel: number(9)? & KERNEL_THREAD != 0,
        threads: number(20)?,
        memory: number(24)?.saturating_mul(rustix::param::page_size() as u64),
        busy: time(number(14)?.saturating_add(number(15)?)),
        start: time(number(22)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let text = "42 (a) S (b) D 7 42 42 0 -1 4194304 1 0 0 0 300 200 0 0 20 0 5 0 1000 999999 25 1844674407";
        let process = parse_stat(text).expect("a process");
        assert_eq!((process.comm.as_str(), process.parent, process.state), ("a) S (b", 7, State::Stuck));
        assert_eq!(
            (process.threads, process.busy, process.start),
            (5, Duration::from_secs(5), Duration::from_secs(10))
        );
        assert_eq!(process.memory, 25 * rustix::param::page_size() as u64);
        assert_eq!(parse_stat("42 (a) S 7"), None);
    }

    #[test]
    fn a_replaced_executable_keeps_its_name_and_one_in_memory_is_not_replaced() {
        let of = |path: &str| Executable::of_link(Path::new(path));
        assert_eq!(of("/usr/bin/web"), Executable::File { name: "web".to_owned(), deleted: false });
        assert_eq!(of("/usr/bin/web (deleted)"), Executable::File { name: "web".to_owned(), deleted: true });
        assert_eq!(of("/memfd:runc (deleted)"), Executable::File { name: "memfd:runc".to_owned(), deleted: false });
    }

    #[test]
    fn names_match_in_full_and_by_their_beginning_only_when_nothing_more_is_known() {
        let names = |executable: Option<&str>, comm: &str| Names {
            executable: executable.map(str::to_owned),
            program: None,
            comm: comm.to_owned(),
        };
        assert!(names(Some("a-very-long-process-name"), "a-very-long-pro").include("a-very-long-process-name"));
        assert!(!names(Some("a-very-long-process-name"), "a-very-long-pro").include("a-very-long-process-other"));
        assert!(names(None, "a-very-long-pro").include("a-very-long-process-name"));
        assert!(!names(None, "web").include("webserver"));
        assert!(names(Some("python3.11"), "gunicorn").include("gunicorn"));
        assert_eq!(names(Some("redis-check-rdb"), "redis-server").own(), "redis-server");
        assert_eq!(names(Some("a-very-long-process-name"), "a-very-long-pro").own(), "a-very-long-process-name");
        assert_eq!(names(Some("webserver"), "web").own(), "web");
    }
}
