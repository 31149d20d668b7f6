//! `opsctl lint`: everything that is wrong in the site file, its packs and all their procedures.

use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::Done;
use super::message::{self, Failure};
use super::settings::{self, Globals};
use super::tree;
use crate::model::outcome::Exit;
use crate::procedure::cases;
use crate::procedure::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::procedure::document::{Procedure, Work};
use crate::procedure::library::{self, Library};
use crate::procedure::lint::{self, Commands, Linted};
use crate::procedure::site::{PackRef, Site};
use crate::procedure::template::Vars;

/// What was read, and what is to be said of it.
#[derive(Default)]
struct Findings {
    procedures: usize,
    steps: usize,
    problems: Diagnostics,
}

pub fn run(matches: &ArgMatches, globals: &Globals) -> Done {
    let paths: Vec<PathBuf> = matches.get_many::<String>("path").into_iter().flatten().map(PathBuf::from).collect();
    let mut findings = Findings::default();
    let mut file = None;
    if paths.is_empty() {
        let (site, library) = settings::open(globals)?;
        findings.whole(&site, &library);
        let shown = site.file.as_ref().map_or_else(|| "no site file".to_owned(), |file| file.display().to_string());
        file = Some(shown);
    } else {
        let mut site = settings::site(globals)?;
        for path in &paths {
            if path.is_dir() {
                findings.folder(path, &mut site, globals)?;
            } else {
                findings.one(path, &site, globals)?;
            }
        }
    }
    if findings.problems.count(Severity::Error) > 0 {
        return Err(findings.problems.into());
    }
    if findings.procedures == 0 {
        return Err(Failure::new("no procedures were found", "a pack is a folder of groups: PACK/daily/NAME.yaml"));
    }
    message::warn(&findings.problems.render(globals.colour_of_stderr()));
    message::print(&findings.sum(file.as_deref()));
    let remarks = findings.problems.count(Severity::Remark);
    Ok(if remarks > 0 && matches.get_flag("strict") { Exit::Warned } else { Exit::Ok })
}

impl Findings {
    /// The site with all its procedures.
    fn whole(&mut self, site: &Site, library: &Library) {
        let Some(linted) = self.vet(site, library, |procedure| missing(site, procedure)) else { return };
        self.problems.extend(lint::across(site, library, &linted));
    }

    /// A folder as if it were the only pack: what the site file has for others is not looked at.
    fn folder(&mut self, path: &Path, site: &mut Site, globals: &Globals) -> Result<(), Failure> {
        site.packs = vec![PackRef::Folder(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())).into()];
        match Library::open(site, &settings::set(globals)?) {
            Ok(library) => _ = self.vet(site, &library, |_| Diagnostics::default()),
            Err(wrong) => self.problems.extend(wrong),
        }
        Ok(())
    }

    /// `None` if there are errors: then only these are said.
    fn vet(
        &mut self,
        site: &Site,
        library: &Library,
        more: impl Fn(&Procedure) -> Diagnostics + Sync,
    ) -> Option<Vec<Linted>> {
        let nothing = Vars::new();
        let commands = Commands { library, is_builtin: tree::is_command };
        let look = |procedure: Procedure| {
            let vars = library.vars_of(&procedure.id).unwrap_or(&nothing);
            let mut linted = lint::procedure(&procedure, vars, Some(&commands));
            linted.remarks.extend(more(&procedure));
            linted
        };
        match library.vet(library.ids(), site, look) {
            Ok(mut linted) => {
                for linted in &mut linted {
                    self.add(linted);
                }
                Some(linted)
            }
            Err(wrong) => {
                self.problems.extend(wrong);
                None
            }
        }
    }

    /// A single file: a site file or tests by its name, else a procedure.
    fn one(&mut self, path: &Path, site: &Site, globals: &Globals) -> Result<(), Failure> {
        let set = settings::set(globals)?;
        let read = if path.file_name().is_some_and(|name| name == "opsctl.yaml") {
            Site::read(path).map(|_| self.procedures += 1)
        } else if library::is_test(path) {
            cases::read(path, site, &set).map(|_| self.procedures += 1)
        } else {
            library::read_one(path, site, &set).map(|procedure| {
                let mut vars = site.vars.clone();
                vars.extend(set);
                self.add(&mut lint::procedure(&procedure, &vars, None));
            })
        };
        if let Err(wrong) = read {
            self.problems.extend(wrong);
        }
        Ok(())
    }

    fn add(&mut self, linted: &mut Linted) {
        self.procedures += 1;
        self.steps += linted.steps.len();
        self.problems.extend(std::mem::take(&mut linted.remarks));
    }

    /// For standard output; `file` is the site file if the whole site was looked at.
    fn sum(&self, file: Option<&str>) -> String {
        let of = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let procedures = of(self.procedures, "procedure");
        let remarks = match self.problems.count(Severity::Remark) {
            0 => String::new(),
            count => format!(", {}", of(count, "remark")),
        };
        match file {
            Some(file) => {
                format!("{procedures} with {}, nothing wrong{remarks} ({file})\n", of(self.steps, "step"))
            }
            None => format!("{procedures}, nothing wrong{remarks}\n"),
        }
    }
}

/// Whom and how the steps tell that the site file does not know.
fn missing(site: &Site, procedure: &Procedure) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for step in &procedure.steps {
        let Work::Notify(notify) = &step.work else { continue };
        for reason in site.cannot_tell(notify) {
            let message = format!("{}: step `{}`: {reason}", procedure.place(step), step.id);
            problems.push(Diagnostic::general(
                message,
                "correct the step, or add it to the site file (`opsctl explain site`)",
            ));
        }
    }
    problems
}
