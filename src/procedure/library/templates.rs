//! Texts of messages that the packs bring along: `PACK/templates/NAME.txt`.

use std::fs::DirEntry;
use std::path::PathBuf;

use super::{SHIPPED, read_source};
use crate::procedure::diagnostic::{Diagnostic, Diagnostics, suggestion};
use crate::procedure::site::telling::Texts;
use crate::procedure::site::{ListedPack, PackRef, Site};

const FOLDER: &str = "templates";
const ENDING: &str = ".txt";

/// The text of a message by its name: of the site file, else of the first of its packs that has it.
///
/// # Errors
/// There is none, or its file cannot be read.
pub fn template(site: &Site, name: &str) -> Result<String, String> {
    let known = known(site);
    known.get(name).cloned().unwrap_or_else(|| {
        let help = suggestion(name, known.keys().map(String::as_str), "there are");
        Err(format!("there is no template `{name}` in the site file or its packs: {help}"))
    })
}

/// All texts that the site and its packs have.
pub fn templates(site: &Site) -> impl Iterator<Item = &str> {
    known(site).values().flatten().map(String::as_str)
}

/// Read when the first of them is asked for.
fn known(site: &Site) -> &Texts {
    site.telling.texts.get_or_init(|| {
        let mut known: Texts =
            site.telling.templates.iter().map(|(name, text)| (name.clone(), Ok(text.clone()))).collect();
        for (name, text) in site.packs.iter().flat_map(of_pack) {
            known.entry(name).or_insert(text);
        }
        known
    })
}

/// The texts of a pack in the order of their names.
fn of_pack(listed: &ListedPack) -> Vec<(String, Result<String, String>)> {
    let mut texts: Vec<_> = match &listed.pack {
        PackRef::Builtin(pack) => {
            let within = format!("{pack}/{FOLDER}/");
            let named = |(path, text): &(&str, &str)| {
                Some((path.strip_prefix(&within)?.strip_suffix(ENDING)?.to_owned(), Ok((*text).to_owned())))
            };
            SHIPPED.iter().filter_map(named).collect()
        }
        PackRef::Folder(folder) => {
            let read = |file: PathBuf| read_source(&file).map(|source| source.text.clone());
            let named = |entry: DirEntry| {
                let name = entry.file_name().to_str()?.strip_suffix(ENDING)?.to_owned();
                Some((name, read(entry.path()).map_err(|wrong| in_one_line(&wrong))))
            };
            let entries = std::fs::read_dir(folder.join(FOLDER)).into_iter().flatten().flatten();
            entries.filter_map(named).collect()
        }
    };
    texts.sort();
    texts
}

/// It has no place of its own in the file that names the text.
fn in_one_line(wrong: &Diagnostics) -> String {
    let told = |wrong: &Diagnostic| {
        let help = wrong.help.iter().map(String::as_str);
        std::iter::once(wrong.message.as_str()).chain(help).collect::<Vec<_>>().join("; ")
    };
    wrong.0.iter().map(told).collect::<Vec<_>>().join("; ")
}
