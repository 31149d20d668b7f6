//! Which backup: always one exact file.

use std::path::Path;

use crate::probe::ProbeError;

/// What a pointer to some backup is called.
const POINTERS: &[&str] = &["latest", "newest", "current", "last"];

/// Refuses what does not name one file for good, in words.
pub fn exact(backup: &str, in_folder: bool) -> Result<(), String> {
    let name = backup.rsplit('/').next().unwrap_or_default();
    let stem = name.split(['.', '-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    if name.is_empty() {
        return Err(format!("`{backup}` names no file"));
    }
    if backup.contains(['*', '?', '[', ']', '{', '}']) {
        return Err(format!("`{backup}` is a pattern, and not one exact backup"));
    }
    if POINTERS.contains(&stem.as_str()) {
        return Err(format!("`{backup}` is whatever was made last, which may be a bad backup"));
    }
    if in_folder && (backup.contains('/') || backup == "..") {
        return Err(format!("`{backup}` is a path; with `folder`, write the name alone"));
    }
    Ok(())
}

/// A link may lead to another file by the time it is followed.
pub fn no_link(path: &Path) -> Result<(), ProbeError> {
    let metadata = path.symlink_metadata().map_err(|error| ProbeError::io(path.display(), &error))?;
    if !metadata.is_symlink() {
        return Ok(());
    }
    let target = std::fs::read_link(path).map(|target| target.display().to_string()).unwrap_or_default();
    Err(ProbeError::new("refused", format!("{} is a link to {target}, and not a backup itself", path.display()))
        .help("name the file that it leads to, after a look at its date"))
}
