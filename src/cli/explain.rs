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

/// A document with a schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Document {
    Procedure,
    Site,
}

#[expect(clippy::unnecessary_wraps, reason = "a command like the others")]
pub fn schema(matches: &ArgMatches) -> Done {
    let site = matches.get_one::<String>("document").is_some_and(|document| document == "site");
    message::print(&schema_of(if site { Document::Site } else { Document::Procedure }));
    Ok(Exit::Ok)
}

/// The JSON Schema of a document.
pub fn schema_of(document: Document) -> String {
    let schema = match document {
        Document::Procedure => schema::procedure(),
        Document::Site => schema::site(),
    };
    format!("{schema:#}\n")
}
