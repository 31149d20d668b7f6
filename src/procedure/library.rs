//! The library: packs of procedures, built in or in folders. Only what a command needs is read.

use std::ffi::OsStr;
use std::fs::{DirEntry, File};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;

use super::diagnostic::{Diagnostic, Diagnostics, Source, suggestion};
use super::document::{self, Procedure};
use super::inputs::Surroundings;
use super::site::{ListedPack, PackRef, Site};
use super::template::Vars;
use super::yaml;
use crate::model::id::ProcedureId;
use crate::probe::threads;

mod pack;
mod templates;

pub use pack::policies;
use pack::{PACK_FILE, Pack};
pub use templates::{template, templates};

/// `pack/group/procedure.yaml` or `pack/templates/name.txt`, and its text.
const SHIPPED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/procedures.rs"));

/// How the name of a file of tests ends: `system-health.test.yaml` is beside `system-health.yaml`.
pub const TEST_ENDING: &str = ".test.yaml";

/// As many procedures as one thread reads before a second one pays.
const ALONE: usize = 16;

/// Every procedure that a site has, by id, in the order of the packs and then of the names; none is read yet.
#[derive(Debug, Default)]
pub struct Library {
    entries: IndexMap<ProcedureId, Entry>,
    /// The variables of each pack under those of the site.
    vars: Vec<Vars>,
}

#[derive(Debug)]
struct Entry {
    pack: usize,
    origin: Origin,
}

#[derive(Debug, Clone)]
enum Origin {
    Shipped { name: &'static str, text: &'static str },
    File(PathBuf),
}

/// Reads a file, but not one that is too large or no text.
///
/// # Errors
/// It is not there, no file, not readable, larger than [`yaml::MAX_FILE`] or not UTF-8.
pub fn read_source(path: &Path) -> Result<Arc<Source>, Diagnostics> {
    let name = shown(path);
    let fail = |message: String, help: &str| Diagnostics(vec![Diagnostic::general(message, help)]);
    let cannot = |error: std::io::Error, help: &str| fail(format!("cannot read {name}: {error}"), help);
    // Opening a pipe would wait for its writer.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(|error| {
        let is_forbidden = error.kind() == ErrorKind::PermissionDenied;
        cannot(error, if is_forbidden { "check its permissions" } else { "check the path" })
    })?;
    let metadata = file.metadata().map_err(|error| cannot(error, "check the path"))?;
    if !metadata.is_file() {
        return Err(fail(format!("{name} is not a file"), "check the path"));
    }
    // One more than there is, so that one reading sees the end.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(yaml::MAX_FILE)).unwrap_or(0) + 1);
    file.take(yaml::MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| cannot(error, "check the disk"))?;
    if bytes.len() as u64 > yaml::MAX_FILE {
        return Err(fail(format!("{name} is larger than 1 MiB"), "split it into several procedures"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        fail(format!("{name} is not UTF-8: byte {at} is wrong"), "save it as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok(Arc::new(Source { name, text }))
}

/// Reads and vets one file that belongs to no pack; its folder is taken for the group.
///
/// # Errors
/// Everything that is wrong in it.
pub fn read_one(path: &Path, site: &Site, set: &Vars) -> Result<Procedure, Diagnostics> {
    let source = read_source(path)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let id = ProcedureId::new("file", &stem).map_err(|error| {
        Diagnostics(vec![Diagnostic::general(
            format!("{} cannot be a command: {error}", shown(path)),
            "rename the file",
        )])
    })?;
    let mut vars = site.vars.clone();
    vars.extend(set.clone());
    let databases: Vec<String> = site.databases.keys().cloned().collect();
    document::read(&id, &source, &vars, &Surroundings { databases: &databases, procedures: None, folder: &site.folder })
}

/// The path relative to the working folder where it is below it.
fn shown(path: &Path) -> String {
    static HERE: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::current_dir().ok());
    let relative = HERE.as_ref().and_then(|here| path.strip_prefix(here).ok());
    let path = relative.unwrap_or(path);
    // Most are text.
    path.to_str().map_or_else(|| path.display().to_string(), str::to_owned)
}

impl Library {
    /// Finds the procedures of the site's packs. `set` are variables of the command line, which win.
    ///
    /// # Errors
    /// A pack that does not exist, a wrong file name, a procedure that two packs have.
    pub fn open(site: &Site, set: &Vars) -> Result<Self, Diagnostics> {
        let mut library = Self::default();
        let mut problems = Diagnostics::default();
        for listed in &site.packs {
            let index = library.vars.len();
            let found = match &listed.pack {
                PackRef::Builtin(name) => shipped(name, listed),
                PackRef::Folder(folder) => files_of(folder, listed),
            };
            match found {
                Ok((defaults, found)) => {
                    let mut vars = defaults;
                    vars.extend(site.vars.clone());
                    vars.extend(set.clone());
                    library.vars.push(vars);
                    for (id, origin) in found {
                        library.add(id, Entry { pack: index, origin }, &mut problems);
                    }
                }
                Err(wrong) => problems.extend(wrong),
            }
        }
        if problems.is_empty() { Ok(library) } else { Err(problems) }
    }

    fn add(&mut self, id: ProcedureId, entry: Entry, problems: &mut Diagnostics) {
        if let Some(known) = self.entries.get(&id) {
            let message =
                format!("the procedure {id} exists twice: {} and {}", known.origin.name(), entry.origin.name());
            problems.push(Diagnostic::general(message, "rename one, or remove one pack from `packs` of the site file"));
            return;
        }
        self.entries.insert(id, entry);
    }

    pub fn ids(&self) -> impl Iterator<Item = &ProcedureId> {
        self.entries.keys()
    }

    /// The groups with their procedures, in a fixed order.
    #[must_use]
    pub fn groups(&self) -> IndexMap<&str, Vec<&ProcedureId>> {
        let mut groups: IndexMap<&str, Vec<&ProcedureId>> = IndexMap::new();
        for id in self.ids() {
            match groups.last_mut() {
                // The procedures of a pack come group by group.
                Some((last, ids)) if *last == id.group() => ids.push(id),
                _ => groups.entry(id.group()).or_default().push(id),
            }
        }
        groups
    }

    /// Reads and vets these procedures.
    ///
    /// # Errors
    /// Everything that is wrong in all of them.
    pub fn load<'i>(
        &self,
        ids: impl IntoIterator<Item = &'i ProcedureId>,
        site: &Site,
    ) -> Result<Vec<Procedure>, Diagnostics> {
        self.vet(ids, site, |procedure| procedure)
    }

    /// Reads and vets these procedures, and keeps of each only what `keep` makes of it.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn vet<'i, T: Send>(
        &self,
        ids: impl IntoIterator<Item = &'i ProcedureId>,
        site: &Site,
        keep: impl Fn(Procedure) -> T + Sync,
    ) -> Result<Vec<T>, Diagnostics> {
        let ids: Vec<&ProcedureId> = ids.into_iter().collect();
        let databases: Vec<String> = site.databases.keys().cloned().collect();
        let procedures = Some(self.ids().map(ProcedureId::as_str).collect());
        let around = Surroundings { databases: &databases, procedures, folder: &site.folder };
        let many = match ids.len() / ALONE + 1 {
            1 => 1,
            worth => std::thread::available_parallelism().map_or(1, usize::from).min(worth),
        };
        let next = AtomicUsize::new(0);
        let work = || {
            let take = || {
                let place = next.fetch_add(1, Relaxed);
                ids.get(place).map(|id| (place, self.read(id, &around).map(&keep)))
            };
            std::iter::from_fn(take).collect::<Vec<_>>()
        };
        let here = threads::here();
        let elsewhere = || {
            threads::leave(here);
            threads::make_room();
            work()
        };
        let mut read = std::thread::scope(|scope| {
            let others: Vec<_> = (1..many).map(|_| scope.spawn(elsewhere)).collect();
            threads::let_leave();
            let mut read = work();
            for other in others {
                read.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            read
        });
        read.sort_unstable_by_key(|(place, _)| *place);
        let (mut kept, mut problems) = (Vec::new(), Diagnostics::default());
        for (_, read) in read {
            match read {
                Ok(procedure) => kept.push(procedure),
                Err(wrong) => problems.extend(wrong),
            }
        }
        if problems.is_empty() { Ok(kept) } else { Err(problems) }
    }

    /// Reads and vets these procedures and those that their steps call.
    ///
    /// # Errors
    /// Everything that is wrong in all of them; procedures that call each other.
    pub fn load_with_called<'i>(
        &self,
        ids: impl IntoIterator<Item = &'i ProcedureId>,
        site: &Site,
    ) -> Result<Vec<Procedure>, Diagnostics> {
        let mut procedures = self.load(ids, site)?;
        loop {
            let known = |id: &ProcedureId| procedures.iter().any(|procedure| procedure.id == *id);
            let calls = procedures.iter().flat_map(Procedure::calls);
            let mut missing: Vec<ProcedureId> = calls.filter(|id| !known(id)).cloned().collect();
            missing.sort();
            missing.dedup();
            if missing.is_empty() {
                break;
            }
            procedures.extend(self.load(&missing, site)?);
        }
        match circle_of_calls(&procedures) {
            None => Ok(procedures),
            Some(circle) => {
                let message = format!("procedures call each other: {}", circle.join(" -> "));
                Err(Diagnostics(vec![Diagnostic::general(message, "remove one of the `procedure` steps")]))
            }
        }
    }

    fn read(&self, id: &ProcedureId, around: &Surroundings<'_>) -> Result<Procedure, Diagnostics> {
        let Some(entry) = self.entries.get(id) else {
            let help = suggestion(id.as_str(), self.ids().map(ProcedureId::as_str), "there are");
            return Err(Diagnostics(vec![Diagnostic::general(format!("there is no procedure {id}"), help)]));
        };
        document::read(id, &entry.origin.source()?, &self.vars[entry.pack], around)
    }

    /// The variables that the procedures of `id`'s pack see.
    #[must_use]
    pub fn vars_of(&self, id: &ProcedureId) -> Option<&Vars> {
        self.entries.get(id).map(|entry| &self.vars[entry.pack])
    }

    /// The names of the variables that the packs and the site give a value.
    pub fn defaults(&self) -> impl Iterator<Item = &str> {
        self.vars.iter().flat_map(|vars| vars.keys().map(String::as_str))
    }

    /// The title, without vetting anything; `None` for a file that cannot be read.
    #[must_use]
    pub fn title(&self, id: &ProcedureId) -> Option<String> {
        self.unvetted(id)?.get("title")?.scalar().map(str::to_owned)
    }

    /// What people see when this is the right procedure, without vetting anything.
    #[must_use]
    pub fn symptoms(&self, id: &ProcedureId) -> Vec<String> {
        let node = self.unvetted(id);
        let words = node.as_ref().and_then(|node| node.get("symptoms")?.list()).unwrap_or_default();
        words.iter().filter_map(|word| word.scalar().map(str::to_owned)).collect()
    }

    fn unvetted(&self, id: &ProcedureId) -> Option<yaml::Node> {
        yaml::parse(&self.entries.get(id)?.origin.source().ok()?).ok()
    }
}

/// The names of procedures that call each other, if there are any.
fn circle_of_calls(procedures: &[Procedure]) -> Option<Vec<String>> {
    fn visit<'p>(at: &'p Procedure, all: &'p [Procedure], path: &mut Vec<&'p ProcedureId>) -> Option<Vec<String>> {
        if let Some(begin) = path.iter().position(|id| **id == at.id) {
            return Some(path[begin..].iter().copied().chain([&at.id]).map(ToString::to_string).collect());
        }
        path.push(&at.id);
        let called = at.calls().filter_map(|id| all.iter().find(|procedure| procedure.id == *id));
        let circle = called.into_iter().find_map(|procedure| visit(procedure, all, path));
        path.pop();
        circle
    }
    procedures.iter().find_map(|procedure| visit(procedure, procedures, &mut Vec::new()))
}

impl Origin {
    fn name(&self) -> String {
        match self {
            Self::Shipped { name, .. } => format!("{name} (built in)"),
            Self::File(path) => shown(path),
        }
    }

    fn source(&self) -> Result<Arc<Source>, Diagnostics> {
        match self {
            Self::Shipped { name, text } => {
                let name = name.split_once('/').map_or(*name, |(_, name)| name).to_owned();
                Ok(Arc::new(Source { name, text: (*text).to_owned() }))
            }
            Self::File(path) => read_source(path),
        }
    }
}

type Found = (Vars, Vec<(ProcedureId, Origin)>);

/// The names of the built-in packs.
#[must_use]
pub fn builtin_packs() -> Vec<&'static str> {
    let mut names: Vec<&str> = SHIPPED.iter().filter_map(|(path, _)| path.split('/').next()).collect();
    names.dedup();
    names
}

/// The built-in pack that has procedures in `group`.
#[must_use]
pub fn builtin_pack_with(group: &str) -> Option<&'static str> {
    let pack_of = |(path, _): &(&'static str, &str)| {
        let (pack, rest) = path.split_once('/')?;
        let id: ProcedureId = rest.strip_suffix(".yaml")?.parse().ok()?;
        (id.group() == group).then_some(pack)
    };
    SHIPPED.iter().find_map(pack_of)
}

fn shipped(pack: &str, listed: &ListedPack) -> Result<Found, Diagnostics> {
    let mut defaults = Vars::new();
    let mut found = Vec::new();
    let mut known = false;
    for &(name, text) in SHIPPED {
        let Some(rest) = name.strip_prefix(pack).and_then(|rest| rest.strip_prefix('/')) else { continue };
        known = true;
        if rest == PACK_FILE {
            defaults = Pack::read(&Arc::new(Source { name: name.to_owned(), text: text.to_owned() }))?.vars;
        } else if let Some(id) = rest.strip_suffix(".yaml").and_then(|id| id.parse().ok()) {
            found.push((id, Origin::Shipped { name, text }));
        }
    }
    if known {
        return Ok((defaults, found));
    }
    let help =
        format!("{}; a folder is written with a slash: `./{pack}`", suggestion(pack, builtin_packs(), "built in are"));
    Err(listed.wrong(format!("there is no built-in pack `{pack}`"), help))
}

fn files_of(folder: &Path, listed: &ListedPack) -> Result<Found, Diagnostics> {
    let fail = |path: &Path, error: &std::io::Error| {
        let help = "`packs` of the site file names built-in packs and folders";
        listed.wrong(format!("cannot read the pack {}: {error}", shown(path)), help)
    };
    let sorted = |folder: &Path| -> Result<Vec<DirEntry>, Diagnostics> {
        let entries = std::fs::read_dir(folder).map_err(|error| fail(folder, &error))?;
        let mut entries: Vec<DirEntry> = entries.filter_map(Result::ok).filter(|entry| !is_hidden(entry)).collect();
        // `outage` before `outage-identify`.
        entries.sort_by_cached_key(|entry| Path::new(&entry.file_name()).file_stem().map(OsStr::to_owned));
        Ok(entries)
    };
    let (mut defaults, mut found, mut problems) = (Vars::new(), Vec::new(), Diagnostics::default());
    for entry in sorted(folder)? {
        if entry.file_name() == PACK_FILE {
            defaults = Pack::read(&read_source(&entry.path())?)?.vars;
        }
        if !is_folder(&entry) {
            continue;
        }
        let group = entry.file_name().to_string_lossy().into_owned();
        for file in sorted(&entry.path())? {
            let name = PathBuf::from(file.file_name());
            let is_yaml = name.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
            if !is_yaml || is_test(&name) {
                continue;
            }
            match ProcedureId::new(&group, &name.file_stem().unwrap_or_default().to_string_lossy()) {
                Ok(id) => found.push((id, Origin::File(file.path()))),
                Err(error) => {
                    let message = format!("{} cannot be a command: {error}", shown(&file.path()));
                    problems.push(Diagnostic::general(message, "rename the file"));
                }
            }
        }
    }
    if problems.is_empty() { Ok((defaults, found)) } else { Err(problems) }
}

/// Recorded observations beside a procedure are no procedure.
#[must_use]
pub fn is_test(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().ends_with(TEST_ENDING))
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// A folder, or a link to one.
fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir() || (kind.is_symlink() && entry.path().is_dir()))
}
