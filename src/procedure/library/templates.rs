//! Texts of messages that the packs bring along: `PACK/templates/NAME.txt`.

use super::{SHIPPED, read_source};
use crate::procedure::diagnostic::{Diagnostics, suggestion};
use crate::procedure::site::{PackRef, Site};

const FOLDER: &str = "templates";
const ENDING: &str = ".txt";

/// The text of a message by its name: of the site file, else of the first of its packs that has it.
///
/// # Errors
/// There is none, or its file cannot be read.
pub fn template(site: &Site, name: &str) -> Result<String, String> {
    if let Some(text) = site.telling.templates.get(name) {
        return Ok(text.clone());
    }
    if let Some(text) = site.packs.iter().find_map(|pack| text(pack, name)) {
        return text.map_err(|wrong| wrong.render(false).trim().to_owned());
    }
    let known: Vec<String> = site.telling.templates.keys().cloned().chain(site.packs.iter().flat_map(names)).collect();
    let help = suggestion(name, known.iter().map(String::as_str), "there are");
    Err(format!("there is no template `{name}` in the site file or its packs: {help}"))
}

/// All texts that the site and its packs have.
pub fn templates(site: &Site) -> impl Iterator<Item = String> {
    let of_pack = |pack| names(pack).into_iter().filter_map(move |name| text(pack, &name)?.ok());
    site.telling.templates.values().cloned().chain(site.packs.iter().flat_map(of_pack))
}

/// The text in this pack, if it has one of the name.
fn text(pack: &PackRef, name: &str) -> Option<Result<String, Diagnostics>> {
    match pack {
        PackRef::Builtin(pack) => {
            let file = format!("{pack}/{FOLDER}/{name}{ENDING}");
            let (_, text) = SHIPPED.iter().find(|(path, _)| *path == file)?;
            Some(Ok((*text).to_owned()))
        }
        PackRef::Folder(folder) => {
            let file = folder.join(FOLDER).join(format!("{name}{ENDING}"));
            let is_name = !name.contains('/');
            (is_name && file.exists()).then(|| Ok(read_source(&file)?.text.clone()))
        }
    }
}

fn names(pack: &PackRef) -> Vec<String> {
    let mut names: Vec<String> = match pack {
        PackRef::Builtin(pack) => {
            let within = format!("{pack}/{FOLDER}/");
            let named = |(path, _): &(&str, &str)| Some(path.strip_prefix(&within)?.strip_suffix(ENDING)?.to_owned());
            SHIPPED.iter().filter_map(named).collect()
        }
        PackRef::Folder(folder) => {
            let entries = std::fs::read_dir(folder.join(FOLDER)).into_iter().flatten().flatten();
            entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(ENDING)?.to_owned())).collect()
        }
    };
    names.sort();
    names
}
