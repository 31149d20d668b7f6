//! Tests of procedures: recorded observations, and what the procedure must make of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::decode::{Fields, Reader};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::document::Procedure;
use super::library::{Library, TEST_ENDING, is_test, read_source};
use super::site::{self, PackRef, Site};
use super::template::Vars;
use super::yaml::{self, Node};
use super::{document, keys};
use crate::model::fact::{Facts, Observation};
use crate::model::id::{ProcedureId, StepId};
use crate::model::outcome::Outcome;
use crate::model::secret::MaybeSecret;
use crate::probe::Database;

mod expected;
mod told;

pub use expected::{Expected, Miss};

/// A case, ready to be judged.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    /// File and line.
    pub at: String,
    pub procedure: ProcedureId,
    /// The procedure and those that it calls, with their variables.
    pub planned: Vec<(Procedure, Vars)>,
    pub given: Given,
    pub expected: Vec<Expected>,
}

/// What became of a step, as a case tells it.
#[derive(Clone, PartialEq, Debug)]
pub enum Told {
    Seen(Observation),
    /// It could not be looked at, and why.
    Unseen(String),
    /// Of a step that does not look: what it came to.
    Done {
        outcome: Outcome,
        choice: Option<String>,
        facts: Facts,
    },
    /// The steps of the procedure that it calls are told.
    Called,
}

type ByStep = HashMap<(ProcedureId, StepId), Told>;

/// All that a case tells.
#[derive(Clone, PartialEq, Debug)]
pub struct Given {
    pub now: DateTime<Utc>,
    told: ByStep,
    /// Earlier runs, the newest first.
    before: Vec<(DateTime<Utc>, ByStep)>,
}

impl Given {
    #[must_use]
    pub fn told(&self, procedure: &ProcedureId, step: &StepId) -> Option<&Told> {
        self.told.get(&(procedure.clone(), step.clone()))
    }

    /// What was so in earlier runs, the newest first.
    pub fn before(&self, procedure: &ProcedureId, step: &StepId) -> impl Iterator<Item = (DateTime<Utc>, &Told)> {
        let key = (procedure.clone(), step.clone());
        self.before.iter().filter_map(move |(at, told)| Some((*at, told.get(&key)?)))
    }
}

/// The files of tests that `path` leads to: a pack, a group, a procedure, or such a file itself.
///
/// # Errors
/// The path cannot be read, or a procedure has no tests.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, Diagnostics> {
    let cannot = |error: &std::io::Error| general(format!("cannot read {}: {error}", path.display()), "check the path");
    let metadata = std::fs::metadata(path).map_err(|error| cannot(&error))?;
    if metadata.is_dir() {
        let mut found = Vec::new();
        collect(path, 2, &mut found).map_err(|error| cannot(&error))?;
        found.sort();
        return Ok(found);
    }
    if is_test(path) {
        return Ok(vec![path.to_owned()]);
    }
    let beside = path.with_extension(&TEST_ENDING[1..]);
    if beside.is_file() {
        return Ok(vec![beside]);
    }
    let message = format!("{} has no tests", path.display());
    Err(general(message, &format!("write them into {}; `opsctl explain test` tells how", beside.display())))
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.is_dir() && depth > 1 && !is_hidden {
            collect(&path, depth - 1, found)?;
        } else if path.is_file() && is_test(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn general(message: String, help: &str) -> Diagnostics {
    Diagnostics(vec![Diagnostic::general(message, help)])
}

/// Reads and vets the cases of one file, against the procedure beside it.
///
/// # Errors
/// Everything that is wrong in it, or in the procedure.
pub fn read(path: &Path, site: &Site, set: &Vars) -> Result<Vec<Case>, Diagnostics> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (Some(group), Some(pack)) = (whole.parent(), whole.parent().and_then(Path::parent)) else {
        return Err(general(format!("{} is in no pack", path.display()), PLACE));
    };
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = name(&whole);
    let procedure = ProcedureId::new(&name(group), file.strip_suffix(TEST_ENDING).unwrap_or(&file))
        .map_err(|error| general(format!("{}: {error}", path.display()), PLACE))?;
    let mut site = site.clone();
    // A pack of the site has the others beside it, whose procedures it may call.
    let pack = PackRef::Folder(pack.to_owned());
    if !site.packs.iter().any(|listed| listed.pack == pack) {
        site.packs = vec![pack.into()];
    }
    let source = read_source(path)?;
    let node = yaml::parse(&source).map_err(Diagnostics)?;
    let reader = Reader::new(Arc::clone(&source));
    // Their names have to be known, and nothing is asked.
    for (_, name) in node.get("databases").map_or_else(Vec::new, |node| reader.words(node, "`databases`")) {
        site.databases.entry(name.into_string()).or_insert(Database { url: MaybeSecret::Plain(String::new()) });
    }
    let file = File { reader: &reader, site: &site, set, procedure };
    let cases = file.cases(&node)?;
    if reader.is_clean() { Ok(cases) } else { Err(reader.into_problems()) }
}

const PLACE: &str = "tests stand beside their procedure: PACK/GROUP/NAME.test.yaml";

/// A file of tests on its way.
struct File<'f> {
    reader: &'f Reader,
    site: &'f Site,
    set: &'f Vars,
    procedure: ProcedureId,
}

impl File<'_> {
    /// The cases, those that are wrong left out; an error is about the procedure.
    fn cases(&self, node: &Node) -> Result<Vec<Case>, Diagnostics> {
        let reader = self.reader;
        let Some(fields) = reader.fields(node, "a file of tests", keys::TEST) else { return Ok(Vec::new()) };
        let vars = self.vars(&fields, self.set);
        let Some(list) = fields.required(reader, "cases", "a file of tests") else { return Ok(Vec::new()) };
        let mut cases: Vec<Case> = Vec::new();
        for item in reader.items(list, "`cases`") {
            let Some(fields) = reader.fields(item, "a case", keys::CASE) else { continue };
            let name = fields.required(reader, "name", "a case").and_then(|node| reader.text(node, "`name`"));
            let planned = self.planned(&self.vars(&fields, &vars))?;
            let case = self.case(name.unwrap_or_default(), reader.at(item), &fields, planned);
            if cases.iter().any(|other| other.name == case.name) && !case.name.is_empty() {
                let message = format!("two cases are called `{}`", case.name);
                reader.error(&reader.start_of(&item.span), message, "", "say what is different about this one");
            }
            cases.push(case);
        }
        Ok(cases)
    }

    fn vars(&self, fields: &Fields<'_>, below: &Vars) -> Vars {
        let mut vars = below.clone();
        vars.extend(fields.get("vars").map(|node| site::vars(self.reader, node)).unwrap_or_default());
        vars
    }

    fn planned(&self, vars: &Vars) -> Result<Vec<(Procedure, Vars)>, Diagnostics> {
        let library = Library::open(self.site, vars)?;
        let procedures = library.load_with_called([&self.procedure], self.site)?;
        let vars_of = |id: &ProcedureId| library.vars_of(id).cloned().unwrap_or_default();
        let with_vars = |procedure: Procedure| {
            let vars = vars_of(&procedure.id);
            (procedure, vars)
        };
        Ok(procedures.into_iter().map(with_vars).collect())
    }

    fn case(&self, name: String, at: String, fields: &Fields<'_>, planned: Vec<(Procedure, Vars)>) -> Case {
        let reader = self.reader;
        let now = Utc::now();
        let mut given = Given { now, told: ByStep::new(), before: Vec::new() };
        let mut expected = Vec::new();
        if let Some(procedure) = planned.iter().map(|(procedure, _)| procedure).find(|one| one.id == self.procedure) {
            let tell = told::Teller { reader, planned: &planned };
            if let Some(node) = fields.get("given") {
                tell.steps(node, procedure, &mut given.told);
            }
            given.before = self.before(fields, now, &tell, procedure);
            if let Some(node) = fields.required(reader, "expect", "a case") {
                expected = expected::read(reader, node, procedure);
            }
        }
        Case { name, at, procedure: self.procedure.clone(), planned, given, expected }
    }

    fn before(
        &self,
        fields: &Fields<'_>,
        now: DateTime<Utc>,
        tell: &told::Teller<'_>,
        procedure: &document::Procedure,
    ) -> Vec<(DateTime<Utc>, ByStep)> {
        let reader = self.reader;
        let (mut runs, mut age) = (Vec::new(), Duration::ZERO);
        for item in fields.get("before").map_or(&[][..], |node| reader.items(node, "`before`")) {
            let Some(fields) = reader.fields(item, "an earlier run", keys::BEFORE) else { continue };
            let ago = fields.get("ago").map(|node| (node, reader.duration(node, "`ago`")));
            let next = match ago {
                Some((_, Some(ago))) => ago,
                _ => age + Duration::from_hours(24),
            };
            if let Some((node, Some(_))) = ago
                && next <= age
            {
                let help = "the newest run comes first";
                reader.error(&node.span, "this run is not before the one above it", "", help);
            }
            age = next;
            let mut told = ByStep::new();
            if let Some(node) = fields.required(reader, "given", "an earlier run") {
                tell.steps(node, procedure, &mut told);
            }
            match chrono::TimeDelta::from_std(age).ok().and_then(|age| now.checked_sub_signed(age)) {
                Some(at) => runs.push((at, told)),
                None => reader.error(&reader.start_of(&item.span), "this run is too long ago", "", ""),
            }
        }
        runs
    }
}
