//! Processes by name, arguments, user and pid file, straight from `/proc`; never opsctl itself or what it started.

mod command_line;
mod pid_file;
pub(crate) mod table;
pub(super) mod users;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use self::pid_file::PidFile;
use self::table::{Executable, Process, ProcessTable, Scope, State};
use self::users::Users;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::pattern::Pattern;
use crate::model::unit::Quantity;
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "process",
    about: "running processes. Several inputs together select those for which all hold, none selects every process",
    inputs: INPUTS,
    facts: FACTS,
    example: include_str!("../../examples/probes/process.yaml"),
    limit: std::time::Duration::from_secs(30),
    build,
};

const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "name",
        ty: InputType::Texts,
        need: Need::Optional,
        about: "names, one result each: the file name of the executable, the file name of the first argument, or the \
                name that the process gave itself; in full, however long. A script runs under the name of its \
                interpreter: find it with `arguments`. Threads of the kernel are looked at where no program has the name",
    },
    InputSpec {
        name: "arguments",
        ty: InputType::Pattern,
        need: Need::Optional,
        about: "a regular expression that matches within the program and its arguments, joined by spaces",
    },
    InputSpec {
        name: "user",
        ty: InputType::Text,
        need: Need::Optional,
        about: "name or number of the user with whose rights the processes run",
    },
    InputSpec {
        name: "pid_file",
        ty: InputType::Path,
        need: Need::Optional,
        about: "file with the number of the process; add `name`, since the number may have gone to another program",
    },
];

const FACTS: &[FactSpec] = &[
    FactSpec::new("count", FactType::Count, "processes that live; zombies do not"),
    FactSpec::new("oldest_age", FactType::Duration, "since the first of them started"),
    FactSpec::new("youngest_age", FactType::Duration, "since the last of them started: small after a restart"),
    FactSpec::new(
        "cpu",
        FactType::Percent,
        "of one processor, averaged since the start of each process as `ps` does, summed",
    ),
    FactSpec::new("memory", FactType::Size, "resident memory summed; what processes share counts for each"),
    FactSpec::new("threads", FactType::Count, "of all of them"),
    FactSpec::new("open_files", FactType::Count, "of all of them; missing without the permission to know"),
    FactSpec::new("zombies", FactType::Count, "ended, but their parent has not asked for their result"),
    FactSpec::new(
        "stuck",
        FactType::Count,
        "in a wait that nothing ends but the disk or server waited for (state D), at this moment",
    ),
    FactSpec::new(
        "deleted_executable",
        FactType::Count,
        "still run a file that was replaced or removed, as after an update; missing without the permission to know",
    ),
    FactSpec::family(
        "state",
        FactType::Count,
        "processes by state: `state.running`, `.sleeping`, `.stuck`, `.zombie`, `.stopped`",
    ),
];

/// How many processes are shown as evidence.
const SHOWN: usize = 20;

#[derive(Debug)]
struct Processes {
    wanted: Arc<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    names: Vec<String>,
    arguments: Option<Pattern>,
    user: Option<String>,
    pid_file: Option<PathBuf>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let names = inputs.texts("name").to_vec();
    for name in &names {
        if name.is_empty() || name.contains('/') {
            let file_name = name.rsplit('/').next().unwrap_or_default();
            let example = if file_name.is_empty() { "apache2" } else { file_name };
            return Err(InputError::new(
                "name",
                format!("`{name}` is not the name of an executable"),
                format!("write the file name alone, such as `{example}`"),
            ));
        }
    }
    let arguments = inputs.text("arguments").map(|text| {
        Pattern::new(text).map_err(|reason| {
            let message = format!("`{text}` is not a regular expression: {reason}");
            InputError::new("arguments", message, "test it with `grep -P`, and quote it with '...' in YAML")
        })
    });
    let arguments = arguments.transpose()?;
    let user = inputs.text("user").map(str::to_owned);
    let pid_file = inputs.path("pid_file").cloned();
    Ok(Arc::new(Processes { wanted: Arc::new(Wanted { names, arguments, user, pid_file }) }))
}

impl Wanted {
    /// Everything but the names, in words; empty when nothing else is asked for.
    fn others(&self) -> String {
        let mut words = Vec::new();
        if let Some(arguments) = &self.arguments {
            words.push(format!("arguments {}", arguments.as_str()));
        }
        if let Some(user) = &self.user {
            words.push(format!("user {user}"));
        }
        if let Some(path) = &self.pid_file {
            words.push(format!("pid file {}", path.display()));
        }
        words.join(", ")
    }

    fn is_everything(&self) -> bool {
        self.names.is_empty() && self.others().is_empty()
    }

    fn look(&self, user: Option<u32>, cx: &Context) -> Result<Observation, ProbeError> {
        // What is asked for by what programs have is mostly a program; else everything is looked through.
        if !self.names.is_empty() || self.arguments.is_some() {
            let (seen, all_found) = self.look_in(Scope::Programs, user, cx)?;
            if all_found {
                return Ok(seen);
            }
        }
        Ok(self.look_in(Scope::All, user, cx)?.0)
    }

    /// What is there, and whether there is something of each name.
    fn look_in(&self, scope: Scope, user: Option<u32>, cx: &Context) -> Result<(Observation, bool), ProbeError> {
        let table = ProcessTable::now(scope, cx)?;
        let pid_file = self.pid_file.as_deref().map(PidFile::read).transpose()?;
        let mut candidates = self.candidates(&table, user);
        let users = OnceCell::new();
        let look = Look {
            table: &table,
            pid_file: pid_file.as_ref(),
            whole: self.is_everything(),
            count_files: !self.is_everything() || cx.asked.iter().any(|fact| fact == "open_files"),
            users: &users,
        };
        if let Some(pid_file) = &pid_file {
            candidates.retain(|process| pid_file.pid() == Some(process.pid));
        }
        let mut seen = Observation::default();
        if self.names.is_empty() {
            let name = if look.whole { "all processes".to_owned() } else { self.others() };
            look.subject(name, &candidates, &mut seen);
            return Ok((seen, !candidates.is_empty()));
        }
        let mut named = Vec::with_capacity(candidates.len());
        for process in candidates {
            if cx.cancel.is_cancelled() {
                return Err(ProbeError::new("cancelled", "nobody waits for the processes any more"));
            }
            named.push((process, process.names()));
        }
        let mut all_found = true;
        for name in &self.names {
            let matching = named.iter().filter(|(_, names)| names.include(name)).map(|(process, _)| *process);
            let matching: Vec<&Process> = matching.collect();
            all_found &= !matching.is_empty();
            look.subject(name.clone(), &matching, &mut seen);
        }
        Ok((seen, all_found))
    }

    /// Those whose user and arguments fit, without opsctl and what it started.
    fn candidates<'t>(&self, table: &'t ProcessTable, user: Option<u32>) -> Vec<&'t Process> {
        let me = i32::try_from(std::process::id()).unwrap_or_default();
        let own = table.family(me);
        let mut candidates: Vec<&Process> =
            table.processes.iter().filter(|process| !own.contains(&process.pid)).collect();
        if user.is_some() {
            candidates.retain(|process| process.user() == user);
        }
        if let Some(pattern) = &self.arguments {
            // `sh -c 'opsctl ...'`, `sudo opsctl ...`: the words that match there are our own.
            let above = table.ancestors(me);
            let executable = std::env::current_exe().ok();
            let opsctl = executable.as_ref().and_then(|path| path.file_name()?.to_str());
            // From the end: a look by name that runs beside this one reads them from the beginning, and neither has to wait
            // for the other at each process.
            for process in candidates.iter().rev() {
                process.arguments();
            }
            candidates.retain(|process| {
                let arguments = command_line::joined(process.arguments());
                let ours = above.contains(&process.pid) && opsctl.is_some_and(|name| arguments.contains(name));
                !arguments.is_empty() && !ours && pattern.is_match(&arguments)
            });
        }
        candidates
    }
}

/// What all subjects of one look share.
#[derive(Clone, Copy)]
struct Look<'t> {
    table: &'t ProcessTable,
    pid_file: Option<&'t PidFile>,
    /// Nothing was selected: every process of the machine.
    whole: bool,
    count_files: bool,
    users: &'t OnceCell<Users>,
}

impl Look<'_> {
    fn subject(&self, name: String, matching: &[&Process], seen: &mut Observation) {
        let mut subject = Subject::new(name);
        let settled = self.pid_file.is_some_and(|file| file.settles(self.table));
        if self.table.hidden && matching.is_empty() && !settled {
            subject.error = Some("none is seen, but processes of other users are hidden (hidepid)".to_owned());
        } else if let Some(note) = self.pid_file.and_then(|file| file.note(matching, self.table)) {
            subject.note(note);
        } else if self.table.hidden {
            subject.note("processes of other users are hidden (hidepid): there may be more");
        }
        if subject.error.is_none() {
            self.describe(&mut subject, matching);
        }
        if let Some(evidence) = self.evidence(&subject.name, matching) {
            seen.evidence.push(evidence);
        }
        seen.subjects.push(subject);
    }

    fn describe(&self, subject: &mut Subject, matching: &[&Process]) {
        let alive: Vec<&Process> = matching.iter().copied().filter(|process| process.is_alive()).collect();
        let ages = || alive.iter().map(|process| self.table.age(process));
        let of_state = |state| matching.iter().filter(|process| process.state == state).fold(0, |count, _| count + 1);
        subject.set("count", Value::count(alive.len() as u64));
        if let (Some(oldest), Some(youngest)) = (ages().max(), ages().min()) {
            subject.set("oldest_age", Value::duration(oldest));
            subject.set("youngest_age", Value::duration(youngest));
            subject.set("cpu", Value::percent(alive.iter().map(|process| self.table.cpu(process)).sum()));
            subject.set("memory", Value::bytes(alive.iter().map(|process| process.memory).sum()));
            subject.set("threads", Value::count(alive.iter().map(|process| process.threads).sum()));
            if self.count_files
                && let Some(files) = alive.iter().map(|process| process.open_files()).sum()
            {
                subject.set("open_files", Value::count(files));
            }
        }
        subject.set("zombies", Value::count(of_state(State::Zombie)));
        subject.set("stuck", Value::count(of_state(State::Stuck)));
        if let Some(deleted) = deleted_executables(&alive) {
            subject.set("deleted_executable", Value::count(deleted));
        }
        for state in State::ALL {
            subject.set(format!("state.{}", state.word()), Value::count(of_state(state)));
        }
    }

    /// One line for each process, zombies and stuck ones first, then the largest; of a whole machine only the former.
    fn evidence(&self, name: &str, matching: &[&Process]) -> Option<Evidence> {
        let in_trouble = |process: &&Process| matches!(process.state, State::Zombie | State::Stuck);
        let mut shown: Vec<&Process> =
            matching.iter().copied().filter(|process| !self.whole || in_trouble(process)).collect();
        if shown.is_empty() {
            return None;
        }
        shown.sort_by_key(|process| (!in_trouble(process), std::cmp::Reverse(process.memory), process.pid));
        let left_out = shown.len().saturating_sub(SHOWN) as u64;
        let lines = shown.iter().take(SHOWN).map(|process| self.line(process)).collect();
        let title = if self.whole { "zombies and stuck processes".to_owned() } else { format!("processes: {name}") };
        Some(Evidence { left_out, ..Evidence::new(title, lines) })
    }

    /// `pid user age memory state command`
    fn line(&self, process: &Process) -> String {
        let Process { pid, parent, comm, state, .. } = process;
        let user = process.user().map_or_else(|| "?".to_owned(), |user| self.users.get_or_init(Users::read).name(user));
        let age = Quantity::duration(self.table.age(process)).rounded();
        let memory = Quantity::bytes(process.memory).rounded();
        let command = match command_line::shown(process.arguments()) {
            shown if !shown.is_empty() => shown,
            _ if process.is_alive() => format!("[{comm}]"),
            _ => {
                let of = self.table.processes.iter().find(|other| other.pid == *parent);
                format!("[{comm}] left by {parent} {}", of.map_or("", |process| process.comm.as_str()))
            }
        };
        format!("{pid} {user} {age} {memory} {} {command}", state.word())
    }
}

/// `None` when it is not permitted to know of one of them, or when there is none.
fn deleted_executables(alive: &[&Process]) -> Option<u64> {
    if alive.is_empty() {
        return None;
    }
    let deleted = |process: &&Process| match process.executable() {
        Executable::File { deleted, .. } => Some(u64::from(deleted)),
        Executable::None => Some(0),
        Executable::NotPermitted => None,
    };
    alive.iter().map(deleted).sum()
}

impl Probe for Processes {
    fn target(&self) -> String {
        let Wanted { names, .. } = &*self.wanted;
        match (names.join(", "), self.wanted.others()) {
            (names, others) if names.is_empty() && others.is_empty() => "all processes".to_owned(),
            (names, others) if others.is_empty() => names,
            (names, others) if names.is_empty() => others,
            (names, others) => format!("{names}, {others}"),
        }
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(async move {
            let user = match &self.wanted.user {
                Some(user) => Some(users::number_of(user, cx).await?),
                None => None,
            };
            let (wanted, cx_there) = (Arc::clone(&self.wanted), cx.clone());
            cx.blocking(move || wanted.look(user, &cx_there)).await
        })
    }
}
