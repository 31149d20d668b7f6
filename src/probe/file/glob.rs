//! Many files under one glob: how many, the newest, the oldest.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use globset::{GlobBuilder, GlobMatcher};
use walkdir::WalkDir;

use super::Look;
use crate::model::fact::Subject;
use crate::model::value::Value;
use crate::probe::ProbeError;

pub fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '[', '{'])
}

/// One subject for all that match. A folder that cannot be read is an error: what it hides would be missing in the
/// count.
pub fn look(path: &Path, look: &Look) -> Subject {
    let mut subject = Subject::new(path.display().to_string());
    match matching(path, look) {
        Ok(matched) => matched.report(look, &mut subject),
        Err(error) => subject.error = Some(error.message),
    }
    if look.contains.is_some() {
        subject.note("`contains` looks only into files that are named by their path, not into those of a glob");
    }
    subject
}

#[derive(Default)]
struct Matched {
    count: u64,
    total_size: u64,
    newest: Option<(SystemTime, PathBuf)>,
    oldest: Option<(SystemTime, PathBuf)>,
}

impl Matched {
    fn add(&mut self, path: &Path, metadata: &fs::Metadata) {
        self.count += 1;
        if metadata.is_file() {
            self.total_size += metadata.len();
        }
        let Ok(modified) = metadata.modified() else { return };
        if self.newest.as_ref().is_none_or(|(newest, _)| modified > *newest) {
            self.newest = Some((modified, path.to_path_buf()));
        }
        if self.oldest.as_ref().is_none_or(|(oldest, _)| modified < *oldest) {
            self.oldest = Some((modified, path.to_path_buf()));
        }
    }

    fn report(self, look: &Look, subject: &mut Subject) {
        subject.set("exists", Value::Bool(self.count > 0));
        subject.set("count", Value::count(self.count));
        subject.set("total_size", Value::bytes(self.total_size));
        for (fact, age, found) in [("newest", "newest_age", self.newest), ("oldest", "oldest_age", self.oldest)] {
            if let Some((modified, path)) = found {
                subject.set(fact, Value::text(path.display().to_string()));
                subject.set(age, Value::duration(look.age(modified)));
            }
        }
    }
}

fn matching(pattern: &Path, look: &Look) -> Result<Matched, ProbeError> {
    let matcher = matcher(pattern)?;
    let (folder, depth) = start(pattern);
    let mut matched = Matched::default();
    for entry in WalkDir::new(&folder).min_depth(1).max_depth(depth) {
        look.go_on()?;
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => match error.io_error() {
                Some(io) if error.depth() > 0 && super::is_absent(io) => continue,
                Some(io) => return Err(ProbeError::io(error.path().unwrap_or(&folder).display(), io)),
                None => return Err(ProbeError::new("io", error.to_string())),
            },
        };
        if !matcher.is_match(entry.path()) {
            continue;
        }
        let metadata = fs::metadata(entry.path()).or_else(|_| fs::symlink_metadata(entry.path()));
        match metadata {
            Ok(metadata) if !metadata.is_dir() => matched.add(entry.path(), &metadata),
            Ok(_) => {}
            Err(error) if super::is_absent(&error) => {}
            Err(error) => return Err(ProbeError::io(entry.path().display(), &error)),
        }
    }
    Ok(matched)
}

fn matcher(pattern: &Path) -> Result<GlobMatcher, ProbeError> {
    let text = pattern.to_string_lossy();
    let glob = GlobBuilder::new(&text).literal_separator(true).build();
    Ok(glob.map_err(|error| ProbeError::new("bad_glob", format!("is not a glob: {}", error.kind())))?.compile_matcher())
}

/// The folder above the first part that has a wildcard, and how many levels below it can match.
fn start(pattern: &Path) -> (PathBuf, usize) {
    let wild = |part: &OsStr| is_glob(&part.to_string_lossy());
    let folder: PathBuf = pattern.iter().take_while(|part| !wild(part)).collect();
    let below: Vec<_> = pattern.iter().skip_while(|part| !wild(part)).collect();
    let unbounded = below.iter().any(|part| {
        let part = part.to_string_lossy();
        part.contains("**") || part.matches('{').count() != part.matches('}').count()
    });
    (folder, if unbounded { usize::MAX } else { below.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_starts_above_the_first_wildcard_and_goes_no_deeper_than_it_must() {
        assert_eq!(start(Path::new("/var/log/*.gz")), (PathBuf::from("/var/log"), 1));
        assert_eq!(start(Path::new("/srv/*/data/?.db")), (PathBuf::from("/srv"), 3));
        assert_eq!(start(Path::new("/srv/*.{gz,xz}")), (PathBuf::from("/srv"), 1));
        assert_eq!(start(Path::new("/srv/**/x")), (PathBuf::from("/srv"), usize::MAX));
        assert_eq!(start(Path::new("/srv/{a/b,c}/x")), (PathBuf::from("/srv"), usize::MAX));
    }
}
