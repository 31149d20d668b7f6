//! Which files are meant: names, patterns of names, and the older files that rotation left beside them.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;
use std::time::SystemTime;

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

use super::scan::Watch;
use crate::probe::ProbeError;

/// Files that one look may take in.
const MOST_FILES: usize = 1000;

/// What one written path stands for.
#[derive(Debug)]
pub enum Named {
    File(PathBuf),
    /// Found by a pattern.
    Matched(PathBuf),
    Unseen(PathBuf, ProbeError),
}

impl Named {
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Matched(path) | Self::Unseen(path, _) => path,
        }
    }
}

/// The files that the written paths stand for, each once, in their order.
pub fn expand(paths: &[PathBuf], watch: &Watch) -> Result<Vec<Named>, ProbeError> {
    let mut all: Vec<Named> = Vec::new();
    for path in paths {
        let found =
            if is_pattern(path) && !path.exists() { matching(path, watch) } else { vec![Named::File(path.clone())] };
        for named in found {
            if !all.iter().any(|known| known.path() == named.path()) {
                all.push(named);
            }
        }
        if all.len() > MOST_FILES {
            let message = format!("{} stands for more than {MOST_FILES} files", path.display());
            return Err(ProbeError::new("too_many", message).help("write a narrower pattern"));
        }
    }
    Ok(all)
}

fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().iter().any(|byte| b"*?[{".contains(byte))
}

fn matching(pattern: &Path, watch: &Watch) -> Vec<Named> {
    let mut found = vec![PathBuf::new()];
    let mut trouble = Vec::new();
    let mut components = pattern.components().peekable();
    while let Some(component) = components.next() {
        let is_last = components.peek().is_none();
        let mut next = Vec::new();
        for folder in found {
            match below(&folder, component, is_last, watch) {
                Ok(paths) => next.extend(paths),
                Err(error) => trouble.push(Named::Unseen(folder, error)),
            }
        }
        found = next;
    }
    if found.is_empty() && trouble.is_empty() {
        let error = ProbeError::new("not_found", format!("no file matches {}", pattern.display()));
        return vec![Named::Unseen(pattern.to_owned(), error)];
    }
    found.sort();
    found.into_iter().map(Named::Matched).chain(trouble).collect()
}

/// What one component of a pattern stands for in `folder`: files if it is the last one, else folders. Of files, no more
/// than show that there are too many.
fn below(folder: &Path, component: Component<'_>, is_last: bool, watch: &Watch) -> Result<Vec<PathBuf>, ProbeError> {
    let Component::Normal(name) = component else { return Ok(vec![folder.join(component)]) };
    if name == "**" {
        return folders(folder, watch);
    }
    let is_right_kind = |path: &Path| if is_last { path.is_file() } else { path.is_dir() };
    if !is_pattern(Path::new(name)) {
        let path = folder.join(name);
        return Ok(if is_right_kind(&path) { vec![path] } else { Vec::new() });
    }
    let matcher = glob(&name.to_string_lossy())?;
    let hidden_too = name.as_encoded_bytes().starts_with(b".");
    let trouble = |error| ProbeError::io(folder.display(), &error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(trouble)? {
        watch.go_on(folder)?;
        let name = entry.map_err(trouble)?.file_name().to_string_lossy().into_owned();
        if matcher.is_match(&name) && (hidden_too || !name.starts_with('.')) {
            found.extend(Some(folder.join(name)).filter(|path| is_right_kind(path)));
        }
        if is_last && found.len() > MOST_FILES {
            break;
        }
    }
    Ok(found)
}

/// `folder` and all folders below it.
fn folders(folder: &Path, watch: &Watch) -> Result<Vec<PathBuf>, ProbeError> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(folder) {
        watch.go_on(folder)?;
        let entry = entry.map_err(|error| {
            let place = error.path().unwrap_or(folder).display().to_string();
            ProbeError::io(place, &error.into())
        })?;
        if entry.file_type().is_dir() {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}

fn glob(pattern: &str) -> Result<GlobMatcher, ProbeError> {
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| ProbeError::new("bad_pattern", format!("`{pattern}` is not a pattern of names: {error}")))
}

/// `.1`, `-20260101`, `.2026-01-01`, `-20260101-1767225600`: what rotation puts into names. A short number after a
/// dash is none: `worker-2.log` is the log of another worker.
static TURN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let day = "[0-9]{8}(?:[-_]?[0-9]{2,10})?";
    let dashed_day = "[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[-_T][0-9]{2}(?:[-:]?[0-9]{2}){0,2})?";
    Regex::new(&format!(r"^(?:\.[0-9]{{1,3}}|[._-](?:{day}|{dashed_day}))$")).ok()
});

const PACKED: [&str; 4] = [".gz", ".zst", ".xz", ".bz2"];

/// Whether `name` is an older file of the log `main`: `app.log.1`, `app.log.2.gz`, `app.log-20260101`,
/// `app-20260101.log.gz`.
pub fn is_older(main: &str, name: &str) -> bool {
    let name = unpacked_name(name);
    // The cheap look first: making the expression takes longer than listing most folders.
    let may_be_turn =
        |turn: &str| !turn.is_empty() && turn.bytes().all(|byte| byte.is_ascii_digit() || b"._-:T".contains(&byte));
    let has_turn = |turn: &str| may_be_turn(turn) && TURN.as_ref().is_some_and(|shape| shape.is_match(turn));
    let in_the_middle = || {
        let (stem, ending) = main.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?;
        name.strip_prefix(stem)?.strip_suffix(ending)?.strip_suffix('.')
    };
    name.strip_prefix(main).is_some_and(has_turn) || in_the_middle().is_some_and(has_turn)
}

fn unpacked_name(name: &str) -> &str {
    PACKED.iter().find_map(|packed| name.strip_suffix(packed)).unwrap_or(name)
}

/// The older files of a log that were changed at or after `since`, the oldest first.
pub fn older(main: &Path, since: Option<SystemTime>) -> io::Result<Vec<PathBuf>> {
    let folder = main.parent().unwrap_or(Path::new("/"));
    let name = main.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let other = entry?.file_name().to_string_lossy().into_owned();
        names.extend(Some(other).filter(|other| is_older(&name, other)));
    }
    let mut found = Vec::new();
    for other in &names {
        // While a file is being packed, the packed one is not whole and the other one still there.
        if unpacked_name(other) != other && names.iter().any(|plain| plain == unpacked_name(other)) {
            continue;
        }
        let path = folder.join(other);
        match std::fs::metadata(&path) {
            Ok(meta) if meta.is_file() => {
                let changed = meta.modified()?;
                if since.is_none_or(|since| changed >= since) {
                    found.push((changed, path));
                }
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_are_known_by_their_names() {
        for name in [
            "app.log.1",
            "app.log.2.gz",
            "app.log-20260101",
            "app.log-20260101.gz",
            "app.log.2026-01-01",
            "app.log-20260101-1767225600.zst",
            "app-20260101.log",
            "app-20260101.log.xz",
            "app.1.log",
            "app.log.12.bz2",
        ] {
            assert!(is_older("app.log", name), "{name}");
        }
        for name in [
            "app.log",
            "app.log.gz",
            "app.log.old",
            "app2.log.1",
            "app.log.1.tmp",
            "app-web.log",
            "app.log.x.1",
            "xapp.log.1",
            "app.log.1234",
            "app-2.log",
        ] {
            assert!(!is_older("app.log", name), "{name}");
        }
        assert!(is_older("syslog", "syslog.1"));
    }
}
