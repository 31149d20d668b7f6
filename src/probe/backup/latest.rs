//! The pointer to the latest backup: a link, a small text file with a path, or a copy.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::decode::{Bound, Compression, End, decode};
use super::series::Backup;
use crate::probe::ProbeError;

/// A larger file is no text with a path in it.
const MOST_TEXT: u64 = 4 << 10;

/// `None` when the pointer leads to the newest backup, otherwise what is wrong with it.
pub fn trouble(latest: &Path, newest: &Backup, bound: &Bound) -> Result<Option<String>, ProbeError> {
    let shown = latest.display();
    let io = |error| ProbeError::io(latest.display(), &error);
    let link = match fs::symlink_metadata(latest) {
        Ok(link) => link,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(format!("{shown} does not exist"))),
        Err(error) => return Err(io(error)),
    };
    let target = if link.is_symlink() { Some(fs::read_link(latest).map_err(io)?) } else { None };
    let found = match fs::metadata(latest) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let target = target.unwrap_or_default();
            return Ok(Some(format!("{shown} points to {}, which does not exist", target.display())));
        }
        Err(error) => return Err(io(error)),
    };
    let wanted = fs::metadata(&newest.path).map_err(|error| ProbeError::io(newest.path.display(), &error))?;
    if (found.dev(), found.ino()) == (wanted.dev(), wanted.ino()) {
        return Ok(None);
    }
    let elsewhere =
        |target: &Path| Some(format!("{shown} points to {}, but the newest is {}", target.display(), newest.name));
    if let Some(target) = target {
        return Ok(elsewhere(&target));
    }
    if let Some(target) = text_target(latest, &found).map_err(io)? {
        return Ok(match fs::metadata(&target) {
            Ok(found) if (found.dev(), found.ino()) == (wanted.dev(), wanted.ino()) => None,
            Ok(_) => elsewhere(&target),
            Err(_) => Some(format!("{shown} names {}, which does not exist", target.display())),
        });
    }
    let same = found.is_file() && found.len() == newest.size && same_content(latest, &newest.path, bound)?;
    Ok((!same).then(|| format!("{shown} is a file of its own and no copy of {}, the newest", newest.name)))
}

/// The path in a text file of one line.
fn text_target(latest: &Path, found: &fs::Metadata) -> std::io::Result<Option<PathBuf>> {
    if !found.is_file() || found.len() > MOST_TEXT {
        return Ok(None);
    }
    let text = fs::read(latest)?;
    let Ok(text) = std::str::from_utf8(&text) else { return Ok(None) };
    let line = text.trim();
    let is_path = !line.is_empty() && line.lines().count() == 1 && !line.contains('\0');
    Ok(is_path.then(|| latest.parent().unwrap_or(Path::new("/")).join(line)))
}

/// Compares two files of the same length byte by byte.
fn same_content(one: &Path, other: &Path, bound: &Bound) -> Result<bool, ProbeError> {
    let open = |path: &Path| File::open(path).map_err(|error| ProbeError::io(path.display(), &error));
    let (one, mut other) = (open(one)?, open(other)?);
    let (mut same, mut buffer) = (true, Vec::new());
    let end = decode(one, Compression::None, bound, |block| {
        buffer.resize(block.content().len(), 0);
        same = same && other.read_exact(&mut buffer).is_ok() && buffer == block.content();
    });
    match end {
        Ok(End::Whole) => Ok(same),
        Ok(End::Damaged(_)) => Ok(false),
        Err(stop) => Err(stop.into()),
    }
}
