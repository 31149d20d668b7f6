//! `opsctl docs`: the procedures of the site as a handbook.

use std::io::ErrorKind;
use std::path::Path;

use clap::ArgMatches;

use super::Done;
use super::message::{self, Failure};
use super::settings::{self, Globals};
use crate::model::id::ProcedureId;
use crate::model::outcome::Exit;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::handbook::{self, Form};
use crate::procedure::library::Library;
use crate::report::emergency::{Existing, write};

pub fn run(matches: &ArgMatches, globals: &Globals) -> Done {
    let (site, library) = settings::open(globals)?;
    let named: Vec<&String> = matches.get_many::<String>("what").into_iter().flatten().collect();
    let ids = chosen(&library, &named)?;
    let procedures = library.load(ids, &site)?;
    let output = matches.get_one::<String>("output").map(Path::new);
    let html = |path: &Path| path.extension().is_some_and(|extension| extension == "html" || extension == "htm");
    let form = match matches.get_one::<String>("format").map(String::as_str) {
        Some("html") => Form::Html,
        None if output.is_some_and(html) => Form::Html,
        Some(_) | None => Form::Markdown,
    };
    let text = handbook::render(&procedures, &site, &library, form)
        .map_err(|error| Failure::new(error, "this is a mistake in opsctl; please report it"))?;
    let Some(output) = output else {
        message::print(&text);
        return Ok(Exit::Ok);
    };
    let existing = if matches.get_flag("force") { Existing::Replace } else { Existing::Keep };
    write(output, &text, existing).map_err(|error| {
        let shown = output.display();
        match error.kind() {
            ErrorKind::AlreadyExists => {
                Failure::new(format!("{shown} exists"), "choose another name, or replace it with --force")
            }
            _ => Failure::new(format!("cannot write {shown}: {error}"), "check the folder, or use another"),
        }
    })?;
    message::warn(&format!("written: {}\n", output.display()));
    Ok(Exit::Ok)
}

/// The procedures that are named, by themselves or by their groups, in the order of the library; all without a name.
fn chosen<'l>(library: &'l Library, named: &[&String]) -> Result<Vec<&'l ProcedureId>, Failure> {
    let is_named = |id: &ProcedureId, name: &str| id.as_str() == name || id.group() == name;
    for name in named {
        if !library.ids().any(|id| is_named(id, name)) {
            let groups = library.groups();
            let known = groups.keys().copied().chain(library.ids().map(ProcedureId::as_str));
            return Err(Failure::new(
                format!("{name} is neither a group nor a procedure"),
                suggestion(name, known, "there are"),
            ));
        }
    }
    Ok(library.ids().filter(|id| named.is_empty() || named.iter().any(|name| is_named(id, name))).collect())
}
