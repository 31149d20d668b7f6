//! A service of the site file, managed by its own commands.

use std::fs::File;
use std::io::{self, Seek};
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::Instant;

use super::Wanted;
use crate::action::run::{self, Job};
use crate::action::{ActionError, Changed, Context, shown};
use crate::model::action::Plan;
use crate::model::fact::{Observation, Subject};
use crate::model::text::one_line;
use crate::model::unit::Quantity;
use crate::model::value::Value;
use crate::probe::ManagedService;
use crate::probe::command::child::{End, Running, signal_name};
use crate::probe::command::start;

/// The commands of a service, and what is wanted of it.
pub struct Steps<'s> {
    name: &'s str,
    service: &'s ManagedService,
    wanted: Wanted,
}

/// What the plan is made for.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Planned {
    service: String,
    state: String,
    running: bool,
    commands: Vec<Vec<String>>,
}

/// How much a command may print: more fails in the command, as on a full disk.
const MOST_OUTPUT: u64 = 1024 * 1024;

impl<'s> Steps<'s> {
    pub fn new(name: &'s str, service: &'s ManagedService, wanted: Wanted) -> Result<Self, ActionError> {
        if matches!(wanted, Wanted::Enabled | Wanted::Disabled) {
            let message = format!("{name} cannot be {}: it is managed by commands of the site file", wanted.word());
            return Err(ActionError::before("refused", message)
                .help("remove it from `services` of the site file if systemd manages it"));
        }
        Ok(Self { name, service, wanted })
    }

    pub async fn plan(&self, cx: &Context) -> Result<Plan, ActionError> {
        let running = self.is_running(run::deadline(&cx.look), cx).await?;
        match (self.wanted, running) {
            (Wanted::Started, true) => return Ok(Plan::settled(format!("{} runs", self.name))),
            (Wanted::Stopped, false) => return Ok(Plan::settled(format!("{} does not run", self.name))),
            (Wanted::Reloaded, false) => {
                let message = format!("{} does not run, so there is nothing to reload", self.name);
                return Err(ActionError::before("refused", message).help("write `state: started`"));
            }
            _ => {}
        }
        let planned = self.planned(running)?;
        let does = planned.commands.iter().map(|command| shown::command(command)).collect();
        let data = serde_json::to_value(&planned).unwrap_or_default();
        Ok(Plan::new(does).note(format!("now: {}", state(running))).data(data))
    }

    pub async fn perform(&self, plan: &Plan, cx: &Context) -> Result<Observation, ActionError> {
        let (begun, limit) = (Instant::now(), run::deadline(&cx.look));
        let before = self.is_running(limit, cx).await?;
        let mut after = before;
        if !plan.settled {
            let planned = self.planned(before)?;
            if serde_json::from_value(plan.data.clone()).ok().as_ref() != Some(&planned) {
                let message = format!("{} or its commands have changed since this was planned", self.name);
                return Err(ActionError::before("changed", message).help("plan it again, and have it agreed to"));
            }
            for (nth, command) in planned.commands.iter().enumerate() {
                self.carry_out(command, limit, cx)
                    .await
                    .map_err(|error| if nth > 0 { midway(error) } else { error })?;
            }
            after = self.is_running(limit, cx).await.map_err(midway)?;
            if after == (self.wanted == Wanted::Stopped) {
                let message = format!(
                    "`{}` succeeded, but {} {}",
                    shown::command(planned.commands.last().map_or(&[][..], Vec::as_slice)),
                    self.name,
                    if after { "still runs" } else { "does not run" },
                );
                return Err(ActionError::midway("failed", message).help(format!(
                    "look into its log; `{}` says how it stands",
                    shown::command(&self.service.status)
                )));
            }
        }
        let subject = Subject::new(self.name)
            .with("state_before", Value::text(state(before)))
            .with("state", Value::text(state(after)))
            .with("took", Value::duration(begun.elapsed()));
        Ok(subject.into())
    }

    fn planned(&self, running: bool) -> Result<Planned, ActionError> {
        let ManagedService { status: _, start, stop, restart, reload } = self.service;
        let commands = match self.wanted {
            Wanted::Started => vec![self.given("start", start.as_ref())?],
            Wanted::Stopped => vec![self.given("stop", stop.as_ref())?],
            Wanted::Restarted => match restart {
                Some(restart) => vec![restart.clone()],
                None if running => vec![self.given("stop", stop.as_ref())?, self.given("start", start.as_ref())?],
                None => vec![self.given("start", start.as_ref())?],
            },
            Wanted::Reloaded | Wanted::Enabled | Wanted::Disabled => vec![self.given("reload", reload.as_ref())?],
        };
        Ok(Planned { service: self.name.to_owned(), state: self.wanted.word().to_owned(), running, commands })
    }

    fn given(&self, what: &str, command: Option<&Vec<String>>) -> Result<Vec<String>, ActionError> {
        command.cloned().ok_or_else(|| {
            ActionError::before("no_command", format!("the site file has no `{what}` for the service {}", self.name))
                .help(format!("add `{what}: [program, argument]` to it under `services`"))
        })
    }

    /// What `status` says, in the exit statuses of LSB.
    async fn is_running(&self, limit: Instant, cx: &Context) -> Result<bool, ActionError> {
        let shown = shown::command(&self.service.status);
        let mut command = Command::new(&self.service.status[0]);
        command.args(&self.service.status[1..]).current_dir(&cx.look.folder);
        let program = &self.service.status[0];
        let job = Job { command, program, user: None, shown: &shown, output_limit: 64 * 1024 };
        let looked = job.run(limit, &cx.look).await;
        let looked = looked.map_err(|error| ActionError { changed: Changed::Nothing, ..error })?;
        match looked.status.code() {
            Some(0) => Ok(true),
            Some(1..=3) => Ok(false),
            other => {
                let ended = other.map_or_else(|| "a signal".to_owned(), |code| format!("exit status {code}"));
                let message = format!(
                    "`{shown}` does not tell whether {} runs: it ended with {ended}; {}",
                    self.name,
                    looked.last_words()
                );
                Err(ActionError::before("bad_answer", message)
                    .help("its exit status is to be 0 when the service runs, and 3 when it does not"))
            }
        }
    }

    /// Runs one command to its end. What it has started goes on.
    async fn carry_out(&self, run: &[String], limit: Instant, cx: &Context) -> Result<(), ActionError> {
        let shown = one_line(&shown::command(run), 80);
        if cx.look.cancel.is_cancelled() {
            return Err(ActionError::before("cancelled", format!("`{shown}` was not started: the run was ended")));
        }
        let output = output().map_err(|error| ActionError::before("io", format!("no memory for output: {error}")))?;
        let mut command = Command::new(&run[0]);
        command.args(&run[1..]).current_dir(&cx.look.folder).process_group(0).stdin(Stdio::null());
        for (set, name) in
            [(Command::stdout as fn(&mut Command, Stdio) -> &mut Command, "stdout"), (Command::stderr, "stderr")]
        {
            let handle =
                output.try_clone().map_err(|error| ActionError::before("io", format!("no {name}: {error}")))?;
            set(&mut command, Stdio::from(handle));
        }
        let (program, folder) = (run[0].clone(), cx.look.folder.clone());
        let started = cx
            .look
            .blocking(move || command.spawn().map_err(|error| start::explain(&error, &program, Some(&folder), None)));
        let running = Running::new(started.await?).leaving();
        let ended = running.run(limit, &cx.look.cancel, 0).await;
        let after = "what it began is ended with all its children; look at how the service stands";
        match ended.end {
            End::Exited { status, .. } if status.success() => Ok(()),
            End::Exited { status, .. } => {
                use std::os::unix::process::ExitStatusExt;
                let how = status.code().map_or_else(
                    || format!("was ended by {}", signal_name(status.signal().unwrap_or(0))),
                    |code| format!("ended with exit status {code}"),
                );
                Err(ActionError::midway("failed", format!("`{shown}` {how}; {}", last_words(output)))
                    .help(format!("`{}` says how it stands", shown::command(&self.service.status))))
            }
            End::TimeLimit => {
                let limit = Quantity::duration(cx.look.limit).rounded();
                let message = format!("`{shown}` did not end within {limit}; {}", last_words(output));
                Err(ActionError::midway("time_limit", message).help(format!("{after}, or raise the step's `timeout`")))
            }
            End::Cancelled => {
                Err(ActionError::midway("cancelled", format!("`{shown}` was ended with the run")).help(after))
            }
            End::Lost(error) => Err(ActionError::midway("io", format!("cannot wait for `{shown}`: {error}"))),
        }
    }
}

fn state(running: bool) -> &'static str {
    if running { "running" } else { "not running" }
}

fn midway(error: ActionError) -> ActionError {
    ActionError { changed: Changed::Perhaps, ..error }
}

/// Takes what a command prints. A pipe would break under a service that goes on to print when nobody reads any more,
/// and a file would grow unseen; this is full at some time, and nothing else.
fn output() -> io::Result<File> {
    let memory = memfd_create("output", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&memory, MOST_OUTPUT)?;
    fcntl_add_seals(&memory, SealFlags::GROW | SealFlags::SHRINK)?;
    Ok(File::from(memory))
}

/// The last lines that were printed, for a message.
fn last_words(mut output: File) -> String {
    let mut read = || {
        let mut text = vec![0; usize::try_from(output.stream_position()?.min(MOST_OUTPUT)).unwrap_or(0)];
        output.read_exact_at(&mut text, 0)?;
        io::Result::Ok(text)
    };
    // What cannot be read is not shown: the command's failure is told anyway.
    run::last_words(&[String::from_utf8_lossy(&read().unwrap_or_default())])
}
