//! `opsctl explain` and `opsctl schema`: the format, from the tables that the loader reads by.

use clap::ArgMatches;

use super::Done;
use super::message::{self, Failure};
use crate::model::outcome::Exit;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::{explain, schema};

pub fn run(matches: &ArgMatches) -> Done {
    let Some(word) = matches.get_one::<String>("kind") else {
        message::print(&explain::kinds());
        return Ok(Exit::Ok);
    };
    let text = explain::topic(word).ok_or_else(|| {
        Failure::new(
            format!("there is nothing to explain about `{word}`"),
            suggestion(word, explain::topics(), "there are"),
        )
    })?;
    message::print(&text);
    Ok(Exit::Ok)
}

#[expect(clippy::unnecessary_wraps, reason = "a command like the others")]
pub fn schema(matches: &ArgMatches) -> Done {
    let site = matches.get_one::<String>("document").is_some_and(|document| document == "site");
    let schema = if site { schema::site() } else { schema::procedure() };
    message::print(&format!("{schema:#}\n"));
    Ok(Exit::Ok)
}
