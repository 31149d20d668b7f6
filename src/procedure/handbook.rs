//! The handbook: procedures as people read and print them, made from the same files that run.

mod chapter;
mod step;

use std::sync::OnceLock;

use minijinja::Environment;
use serde::Serialize;

use super::document::Procedure;
use super::library::Library;
use super::site::{Role, Site};
use crate::model::unit::Quantity;
use crate::report::template;
use chapter::Chapter;

/// How the handbook is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Markdown,
    /// One file without anything from elsewhere, made to be printed.
    Html,
}

#[derive(Serialize)]
struct Book {
    site: String,
    timezone: String,
    version: &'static str,
    groups: Vec<Group>,
    roles: Vec<Contact>,
}

#[derive(Serialize)]
struct Group {
    name: String,
    chapters: Vec<Chapter>,
}

/// A role and how it is reached.
#[derive(Serialize)]
struct Contact {
    role: String,
    known: bool,
    ways: Vec<String>,
}

/// The handbook of these procedures, in their order.
///
/// # Errors
/// A template of it is wrong, which is a mistake in the program.
pub fn render(procedures: &[Procedure], site: &Site, library: &Library, form: Form) -> Result<String, String> {
    let mut groups: Vec<Group> = Vec::new();
    for procedure in procedures {
        let chapter = Chapter::of(procedure, site, library);
        match groups.iter_mut().find(|group| group.name == procedure.id.group()) {
            Some(group) => group.chapters.push(chapter),
            None => groups.push(Group { name: procedure.id.group().to_owned(), chapters: vec![chapter] }),
        }
    }
    let book = Book {
        site: site.name.clone(),
        timezone: site.timezone.name().to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        groups,
        roles: roles(procedures, site),
    };
    let template = match form {
        Form::Markdown => "handbook.md",
        Form::Html => "handbook.html",
    };
    let rendered =
        environment().get_template(template).and_then(|template| template.render(minijinja::value::Serde(&book)));
    rendered.map_err(|error| format!("the handbook cannot be made: {error:#}"))
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        template::environment_of(&[
            ("handbook.md", include_str!("handbook/handbook.md")),
            ("handbook.html", include_str!("handbook/handbook.html")),
        ])
    })
}

/// The roles of the site file, and those that only the procedures name.
fn roles(procedures: &[Procedure], site: &Site) -> Vec<Contact> {
    let mut contacts: Vec<Contact> =
        site.roles.iter().map(|(name, role)| Contact { role: name.clone(), known: true, ways: ways(role) }).collect();
    let named = procedures.iter().flat_map(|procedure| [&procedure.owner, &procedure.escalate]).flatten();
    for name in named {
        if !contacts.iter().any(|contact| contact.role == *name) {
            contacts.push(Contact { role: name.clone(), known: false, ways: Vec::new() });
        }
    }
    contacts
}

fn ways(role: &Role) -> Vec<String> {
    let within = role.responds_within.map(|time| format!("responds within {}", Quantity::duration(time).rounded()));
    let hours = role.available.as_ref().map(|hours| format!("there {hours}"));
    let otherwise = role.otherwise.as_ref().map(|other| format!("otherwise {other}"));
    [role.phone.clone(), role.mail.clone(), within, hours, otherwise].into_iter().flatten().collect()
}
