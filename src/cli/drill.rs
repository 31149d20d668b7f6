//! `opsctl drill`: any command against the practice system.

use std::fmt::Write as _;
use std::process::Command;

use clap::ArgMatches;

use super::Done;
use super::message::{self, Failure};
use super::settings::Globals;
use crate::drill::{Fault, System};
use crate::model::outcome::Exit;

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
    ignore_signals()?;
    let system = System::start(faults, &own).map_err(|error| {
        let help = error.help().unwrap_or_default();
        Failure::new(error.to_string(), help)
    })?;
    let mut practised = Command::new(&own);
    practised.arg("--site").arg(system.site_file());
    if let Some(colour) = &globals.colour {
        practised.args(["--color", colour]);
    }
    for pair in &globals.set {
        practised.args(["--set", pair]);
    }
    let status = practised
        .args(command)
        .status()
        .map_err(|error| failed(format!("cannot start the program itself: {error}")))?;
    drop(system);
    Ok(match status.code() {
        Some(0) => Exit::Ok,
        Some(1) => Exit::Warned,
        Some(2) => Exit::Failed,
        Some(130) => Exit::Interrupted,
        Some(143) => Exit::Terminated,
        _ => Exit::CouldNotTell,
    })
}

/// The practised command hears the signals of the terminal itself and ends in order; the practice system goes after it.
fn ignore_signals() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let heard = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let _entered = runtime.enter();
        let streams = (signal(SignalKind::interrupt()).ok()?, signal(SignalKind::terminate()).ok()?);
        drop(streams);
        Some(())
    });
    heard.join().ok().flatten().ok_or_else(|| Failure::new("cannot listen for signals", ""))
}
