//! `completions` and `man`, from the same clap tree as everything else.

use std::ffi::OsString;

use clap::Command;
use clap::builder::PossibleValuesParser;

use super::message::{self, Failure};
use super::{Done, parse};
use crate::model::outcome::Exit;
use crate::procedure::explain;

pub fn run(mut command: Command, args: &[OsString]) -> Done {
    let matches = match parse(command.clone(), args) {
        Ok(matches) => matches,
        Err(exit) => return Ok(exit),
    };
    let mut out = Vec::new();
    match matches.subcommand() {
        Some(("completions", matches)) => {
            let Some(shell) = matches.get_one::<clap_complete::Shell>("shell") else { return Ok(Exit::CouldNotTell) };
            // Elsewhere a wrong word is the command's own to answer.
            let kinds = PossibleValuesParser::new(explain::topics());
            command =
                command.mut_subcommand("explain", |explain| explain.mut_arg("kind", |kind| kind.value_parser(kinds)));
            clap_complete::generate(*shell, &mut command, "opsctl", &mut out);
        }
        _ => clap_mangen::Man::new(command)
            .render(&mut out)
            .map_err(|error| Failure::new(format!("cannot make the manual page: {error}"), ""))?,
    }
    message::print(&String::from_utf8_lossy(&out));
    Ok(Exit::Ok)
}
