//! `opsctl lint`: everything that is wrong in the site file, its packs and all their procedures.

use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::Done;
use super::message::{self, Failure};
use super::settings::{self, Globals};
use crate::model::outcome::Exit;
use crate::procedure::cases;
use crate::procedure::diagnostic::{Diagnostic, Diagnostics};
use crate::procedure::document::{Procedure, Work};
use crate::procedure::library::{self, Library};
use crate::procedure::site::{PackRef, Site};

pub fn run(matches: &ArgMatches, globals: &Globals) -> Done {
    let paths: Vec<PathBuf> = matches.get_many::<String>("path").into_iter().flatten().map(PathBuf::from).collect();
    if paths.is_empty() {
        let (site, library) = settings::open(globals)?;
        return whole(&site, &library);
    }
    let mut site = settings::site(globals)?;
    let mut problems = Diagnostics::default();
    let mut count = 0;
    for path in &paths {
        if path.is_dir() {
            site.packs = vec![PackRef::Folder(std::path::absolute(path).unwrap_or_else(|_| path.clone()))];
            match Library::open(&site, &settings::set(globals)?) {
                Ok(library) => match library.vet(library.ids(), &site, drop) {
                    Ok(right) => count += right.len(),
                    Err(wrong) => problems.extend(wrong),
                },
                Err(wrong) => problems.extend(wrong),
            }
        } else {
            match one(path, &site, globals) {
                Ok(()) => count += 1,
                Err(Failure::Files(wrong)) => problems.extend(wrong),
                Err(other) => return Err(other),
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems.into());
    }
    if count == 0 {
        return Err(Failure::new("no procedures were found", "a pack is a folder of groups: PACK/daily/NAME.yaml"));
    }
    message::print(&format!("{count} {}, nothing wrong\n", if count == 1 { "procedure" } else { "procedures" }));
    Ok(Exit::Ok)
}

fn whole(site: &Site, library: &Library) -> Done {
    let vetted = library.vet(library.ids(), site, |procedure| (procedure.steps.len(), missing(site, &procedure)))?;
    let (steps, missing): (Vec<usize>, Vec<Diagnostics>) = vetted.into_iter().unzip();
    let missing = Diagnostics(missing.into_iter().flat_map(|missing| missing.0).collect());
    if !missing.is_empty() {
        return Err(missing.into());
    }
    let file = site.file.as_ref().map_or_else(|| "no site file".to_owned(), |file| file.display().to_string());
    let (count, steps) = (steps.len(), steps.iter().sum::<usize>());
    let procedures = if count == 1 { "1 procedure" } else { &format!("{count} procedures") };
    let steps = if steps == 1 { "1 step" } else { &format!("{steps} steps") };
    message::print(&format!("{procedures} with {steps}, nothing wrong ({file})\n"));
    Ok(Exit::Ok)
}

/// Whom and how the steps tell that the site file does not know.
fn missing(site: &Site, procedure: &Procedure) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for step in &procedure.steps {
        let Work::Notify(notify) = &step.work else { continue };
        for reason in site.cannot_tell(notify) {
            let message = format!("{}: step `{}`: {reason}", step.at, step.id);
            problems.push(Diagnostic::general(
                message,
                "correct the step, or add it to the site file (`opsctl explain site`)",
            ));
        }
    }
    problems
}

/// A single file: a site file or tests by its name, else a procedure.
fn one(path: &Path, site: &Site, globals: &Globals) -> Result<(), Failure> {
    if path.file_name().is_some_and(|name| name == "opsctl.yaml") {
        Site::read(path)?;
        return Ok(());
    }
    if library::is_test(path) {
        cases::read(path, site, &settings::set(globals)?)?;
        return Ok(());
    }
    library::read_one(path, site, &settings::set(globals)?)?;
    Ok(())
}
