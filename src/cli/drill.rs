//! `opsctl drill`: any command against the practice system.

use std::fmt::Write as _;
use std::io;
use std::process::ExitStatus;

use clap::ArgMatches;
use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use super::Done;
use super::check::block_on;
use super::message::{self, Failure};
use super::settings::Globals;
use super::signals::Signals;
use crate::drill::{Fault, LEFT_OPEN, PRACTISED, System, score};
use crate::journal::{Access, Journal};
use crate::model::outcome::Exit;
use crate::model::record::Record;

pub fn run(matches: &ArgMatches, globals: &Globals) -> Done {
    if matches.get_flag("list-faults") {
        message::print(&list());
        return Ok(Exit::Ok);
    }
    let given: Vec<&String> = matches.get_many::<String>("fault").into_iter().flatten().collect();
    let words: Vec<String> = matches.get_many::<String>("command").into_iter().flatten().cloned().collect();
    let (command, behind) = without_faults(words)?;
    let faults: Result<Vec<Fault>, _> = given.into_iter().chain(&behind).map(|name| name.parse::<Fault>()).collect();
    let faults = faults
        .map_err(|error| Failure::new(error.to_string(), "`opsctl drill --list-faults` shows what can be broken"))?;
    if command.is_empty() {
        return Err(Failure::new("there is nothing to practise", "name a command: `opsctl drill daily check`"));
    }
    practise(&command, &faults, globals)
}

/// `--fault NAME` may also stand behind the practised command.
fn without_faults(words: Vec<String>) -> Result<(Vec<String>, Vec<String>), Failure> {
    let (mut command, mut faults) = (Vec::new(), Vec::new());
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        if word == "--fault" {
            faults.push(rest.next().ok_or_else(|| {
                Failure::new("--fault names nothing", "`opsctl drill --list-faults` shows what can be broken")
            })?);
        } else if let Some(name) = word.strip_prefix("--fault=") {
            faults.push(name.to_owned());
        } else {
            command.push(word);
        }
    }
    Ok((command, faults))
}

fn list() -> String {
    let wide = Fault::ALL.iter().map(|fault| fault.name().len()).max().unwrap_or(0);
    let mut text = String::from("Faults for `opsctl drill COMMAND --fault NAME`; several can be combined:\n\n");
    for fault in Fault::ALL {
        writeln!(text, "  {:<wide$}  {}", fault.name(), fault.about()).ok();
    }
    text
}

fn practise(command: &[String], faults: &[Fault], globals: &Globals) -> Done {
    let failed = |message: String| Failure::new(message, "");
    let own = std::env::current_exe().map_err(|error| failed(format!("cannot find the program itself: {error}")))?;
    block_on(async {
        // Heard from here on, so that a signal cannot end the drill before the system that it takes away.
        let signals = Signals::listen().map_err(|error| failed(format!("cannot listen for signals: {error}")))?;
        let system = System::start(faults, &own).map_err(|error| {
            let help = error.help().unwrap_or_default();
            Failure::new(error.to_string(), help)
        })?;
        let mut practised = Command::new(&own);
        practised.env(PRACTISED, system.to_variable()).arg("--site").arg(system.site_file());
        if let Some(colour) = &globals.colour {
            practised.args(["--color", colour]);
        }
        for pair in &globals.set {
            practised.args(["--set", pair]);
        }
        // In a group of its own, the command hears each signal once: from here, or from the terminal that it is given.
        let practised = practised.args(command).process_group(0).spawn();
        let practised = practised.map_err(|error| failed(format!("cannot start the program itself: {error}")))?;
        let pid = practised.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let terminal = pid.is_some_and(lend_terminal);
        let status = pass_on(signals, practised, pid, terminal).await;
        say_score(&system, faults).await;
        status.map_err(|error| failed(format!("cannot wait for the practised command: {error}")))
    })?
    .map(|status| match status.code() {
        Some(0) => Exit::Ok,
        Some(1) => Exit::Warned,
        Some(2) => Exit::Failed,
        Some(130) => Exit::Interrupted,
        Some(143) => Exit::Terminated,
        _ => Exit::CouldNotTell,
    })
}

/// After the report: how the emergency was handled. Beside standard output, which may be for a machine.
async fn say_score(system: &System, faults: &[Fault]) {
    let read = async {
        let journal = Journal::open(&system.journal(), Access::Read).await?;
        let last = journal.find("last").await?;
        journal.replay(last).await
    };
    // Without a run there is nothing to say: help was shown, or a mistake was found before.
    let Ok(events) = read.await else { return };
    let record = Record::of(&events);
    if let Some(text) = score(&record, faults) {
        message::warn(&text);
    }
    if record.suspended.is_some() {
        message::warn(LEFT_OPEN);
    }
}

/// Who is asked at a terminal must be in its foreground: reading it from elsewhere stops a process. The command gives it
/// back in the end.
fn lend_terminal(to: Pid) -> bool {
    let terminal = io::stdin();
    if rustix::termios::tcgetpgrp(&terminal).ok() != Some(rustix::process::getpgrp()) {
        return false;
    }
    let lent = rustix::termios::tcsetpgrp(&terminal, to).is_ok();
    // Should it have been faster than this.
    rustix::process::kill_process_group(to, Signal::CONT).ok();
    lent
}

/// Every signal goes to the command, which ends in order; the practice system goes after it. That its terminal has gone
/// away it hears from the terminal.
async fn pass_on(
    mut signals: Signals,
    mut command: Child,
    pid: Option<Pid>,
    has_terminal: bool,
) -> io::Result<ExitStatus> {
    loop {
        let heard = tokio::select! {
            status = command.wait() => return status,
            heard = signals.next() => heard,
        };
        if let Some(pid) = pid.filter(|_| !(has_terminal && heard == Signal::HUP)) {
            rustix::process::kill_process(pid, heard).ok();
        }
    }
}
