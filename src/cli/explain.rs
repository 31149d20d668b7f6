//! `opsctl explain` and `opsctl schema`: the format, from the tables that the loader reads by; and single procedures.

use clap::ArgMatches;

use super::Done;
use super::message::{self, Failure};
use super::settings::{self, Globals};
use super::tree;
use crate::model::outcome::Exit;
use crate::procedure::diagnostic::nearest;
use crate::procedure::{explain, schema};

pub fn run(matches: &ArgMatches, globals: &Globals) -> Done {
    let Some(word) = matches.get_one::<String>("kind") else {
        message::print(&explain::kinds());
        return Ok(Exit::Ok);
    };
    let text = match explain::word(word) {
        Some(text) => text,
        None => procedure(word, globals)?,
    };
    message::print(&text);
    Ok(Exit::Ok)
}

/// What a procedure is for and does, for a name such as `daily/system-health`.
fn procedure(word: &str, globals: &Globals) -> Result<String, Failure> {
    let unknown = |known: &mut dyn Iterator<Item = String>| {
        let known: Vec<String> = known.collect();
        let near = nearest(word, known.iter().map(String::as_str));
        let help = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        Failure::new(
            format!("there is nothing to explain about `{word}`"),
            format!("{help}`opsctl explain` lists the topics"),
        )
    };
    if !word.contains('/') {
        return Err(unknown(&mut explain::all_words().into_iter()));
    }
    let (site, library) = settings::open(globals)?;
    let Some(id) = library.ids().find(|id| id.as_str() == word) else {
        return Err(unknown(&mut library.ids().map(ToString::to_string)));
    };
    let procedures = library.load([id], &site)?;
    let text: Vec<String> = procedures
        .iter()
        .map(|procedure| {
            let more =
                format!("opsctl docs {id}     as a page of the handbook\nopsctl {} {} --help", id.group(), id.name());
            format!("{}\n\n{}\n{more}\n", procedure.title, tree::details(procedure))
        })
        .collect();
    Ok(text.concat())
}

/// A document with a schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Document {
    Procedure,
    Site,
    Test,
}

#[expect(clippy::unnecessary_wraps, reason = "a command like the others")]
pub fn schema(matches: &ArgMatches) -> Done {
    let document = match matches.get_one::<String>("document").map(String::as_str) {
        Some("site") => Document::Site,
        Some("test") => Document::Test,
        _ => Document::Procedure,
    };
    message::print(&schema_of(document));
    Ok(Exit::Ok)
}

/// The JSON Schema of a document.
pub fn schema_of(document: Document) -> String {
    let schema = match document {
        Document::Procedure => schema::procedure(),
        Document::Site => schema::site(),
        Document::Test => schema::test(),
    };
    format!("{schema:#}\n")
}
