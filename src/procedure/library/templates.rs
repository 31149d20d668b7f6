//! Texts of messages that the packs bring along: `PACK/templates/NAME.txt`.

use super::{SHIPPED, read_source};
use crate::procedure::diagnostic::{Diagnostics, suggestion};
use crate::procedure::site::{PackRef, Site};

const FOLDER: &str = "templates";

/// The text of a message by its name: of the site file, else of the first of its packs that has it.
///
/// # Errors
/// There is none, or its file cannot be read.
pub fn template(site: &Site, name: &str) -> Result<String, String> {
    if let Some(text) = site.telling.templates.get(name) {
        return Ok(text.clone());
    }
    let mut known: Vec<String> = site.telling.templates.keys().cloned().collect();
    for pack in &site.packs {
        for (found, read) in of_pack(pack) {
            if found == name {
                return read.text().map_err(|wrong| wrong.render(false).trim().to_owned());
            }
            known.push(found);
        }
    }
    let help = suggestion(name, known.iter().map(String::as_str), "there are");
    Err(format!("there is no template `{name}` in the site file or its packs: {help}"))
}

enum Place {
    Shipped(&'static str),
    File(std::path::PathBuf),
}

impl Place {
    fn text(&self) -> Result<String, Diagnostics> {
        match self {
            Self::Shipped(text) => Ok((*text).to_owned()),
            Self::File(path) => Ok(read_source(path)?.text.clone()),
        }
    }
}

fn of_pack(pack: &PackRef) -> Vec<(String, Place)> {
    match pack {
        PackRef::Builtin(pack) => {
            let within = format!("{pack}/{FOLDER}/");
            let named = |&(path, text): &(&'static str, &'static str)| {
                let name = path.strip_prefix(&within)?.strip_suffix(".txt")?;
                Some((name.to_owned(), Place::Shipped(text)))
            };
            SHIPPED.iter().filter_map(named).collect()
        }
        PackRef::Folder(folder) => {
            let entries = std::fs::read_dir(folder.join(FOLDER)).into_iter().flatten().flatten();
            let named = |path: std::path::PathBuf| {
                let name = path.file_name()?.to_str()?.strip_suffix(".txt")?.to_owned();
                Some((name, Place::File(path)))
            };
            let mut named: Vec<_> = entries.filter_map(|entry| named(entry.path())).collect();
            named.sort_by(|(one, _), (other, _)| one.cmp(other));
            named
        }
    }
}
