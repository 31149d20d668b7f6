//! The command line: settings, the clap tree, one file per command, and the only place that ends the process.

mod check;
mod docs;
mod drill;
mod explain;
mod group;
mod history;
mod init;
mod lint;
mod message;
mod note;
mod outbox;
mod post;
mod report;
mod settings;
mod shell;
mod signals;
mod tasks;
mod test;
mod tree;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::ArgMatches;

use crate::drill::Practised;
use crate::model::outcome::Exit;
use crate::procedure::library::builtin_pack_with;
use message::Failure;
use settings::Globals;

/// What a command came to.
type Done = Result<Exit, Failure>;

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    if args.get(1).is_some_and(|word| word == crate::drill::SERVICE) {
        return crate::drill::service(args.drain(2..));
    }
    if args.get(1).is_some_and(|word| word == crate::drill::CONTROL) {
        return crate::drill::control(args.drain(2..));
    }
    let practised = Practised::from_environment();
    if let Some(practised) = practised.as_ref().filter(|practised| practised.is_alone()) {
        practised.tidy();
        return ExitCode::from(Exit::Terminated.code());
    }
    let globals = Globals::scan(&args);
    let exit = run(&args, &globals).unwrap_or_else(|failure| {
        failure.print(globals.colour_of_stderr());
        Exit::CouldNotTell
    });
    if let Some(practised) = &practised {
        practised.give_back_terminal();
    }
    if let Some(practised) = practised.filter(Practised::is_alone) {
        practised.tidy();
    }
    ExitCode::from(exit.code())
}

fn run(args: &[OsString], globals: &Globals) -> Done {
    let first = globals.command.as_deref();
    if first.is_none() && globals.wants_version {
        message::print(&format!("opsctl {}\n", env!("CARGO_PKG_VERSION")));
        return Ok(Exit::Ok);
    }
    if first.is_some_and(tree::is_builtin) && !(first == Some("completions") || first == Some("man")) {
        let matches = match parse(tree::builtin_only(globals), args) {
            Ok(matches) => matches,
            Err(exit) => return Ok(exit),
        };
        return builtin(&matches, globals);
    }
    let opened = settings::open(globals);
    let (site, library) = match (opened, first) {
        (Ok(opened), _) => opened,
        // Help must come even when the site file is broken; what is broken is said beside it.
        (Err(failure), None | Some("help" | "completions" | "man")) => {
            failure.print(globals.colour_of_stderr());
            (settings::no_site(), crate::procedure::library::Library::default())
        }
        (Err(failure), Some(_)) => return Err(failure),
    };
    if let Some(group) = first.filter(|group| !library.groups().contains_key(group))
        && let Some(pack) = builtin_pack_with(group)
    {
        let help = format!(
            "the built-in pack `{pack}` has it: name it in `packs` of the site file (`opsctl init` writes one), or \
             practise with `opsctl drill {group}`"
        );
        return Err(Failure::new(format!("no pack of this site has `{group}`"), help));
    }
    // What this does not understand is explained by the whole tree.
    let named = tree::named(&library, globals).and_then(|command| command.try_get_matches_from(args).ok());
    if let Some((name, matches)) = named.as_ref().and_then(ArgMatches::subcommand) {
        return group::run(name, matches, globals, site, &library);
    }
    let command = tree::whole(&library, globals, &site);
    if first == Some("completions") || first == Some("man") {
        return shell::run(command, args);
    }
    let matches = match parse(command, args) {
        Ok(matches) => matches,
        Err(exit) => return Ok(exit),
    };
    match matches.subcommand() {
        Some((name, matches)) => group::run(name, matches, globals, site, &library),
        None => Ok(Exit::CouldNotTell),
    }
}

fn builtin(matches: &ArgMatches, globals: &Globals) -> Done {
    match matches.subcommand() {
        Some(("lint", matches)) => lint::run(matches, globals),
        Some(("test", matches)) => test::run(matches, globals),
        Some(("explain", matches)) => explain::run(matches, globals),
        Some(("docs", matches)) => docs::run(matches, globals),
        Some(("schema", matches)) => explain::schema(matches),
        Some(("history", matches)) => history::list(matches, globals),
        Some(("show", matches)) => history::show(matches, globals),
        Some(("journal", matches)) => history::journal(matches, globals),
        Some(("drill", matches)) => drill::run(matches, globals),
        Some(("init", matches)) => init::run(matches),
        Some(("note", matches)) => note::run(matches, globals),
        Some(("report", matches)) => report::run(matches, globals),
        Some(("tasks", matches)) => tasks::run(matches, globals),
        Some(("tick", matches)) => outbox::tick(matches, globals),
        Some(("ack", matches)) => outbox::ack(matches, globals),
        Some(("outbox", matches)) => outbox::outbox(matches, globals),
        _ => Ok(Exit::CouldNotTell),
    }
}

/// Parses; what clap has to say goes to where it belongs. A wrong flag is "could not tell", not clap's 2.
fn parse(command: clap::Command, args: &[OsString]) -> Result<ArgMatches, Exit> {
    command.try_get_matches_from(args).map_err(|error| {
        let text = error.to_string();
        let brief = message::brief(&text);
        if brief.len() < text.len() {
            message::warn(&brief);
        } else {
            error.print().ok();
        }
        match error.kind() {
            clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => Exit::Ok,
            _ => Exit::CouldNotTell,
        }
    })
}
