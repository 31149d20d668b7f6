//! A folder and what is below it, reached by descriptors only: no symbolic link is followed, no other file system is
//! entered, and a folder that is exchanged meanwhile leads nowhere.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, AtFlags, Dir, Mode, OFlags, accessat, openat, unlinkat};
use rustix::io::Errno;

use super::choice::{Choice, Found};
use crate::action::shown;
use crate::probe::ProbeError;
use crate::probe::disk::mounts::MountTable;

/// More levels than anybody makes on purpose; each costs a descriptor.
const DEPTH: usize = 64;

/// How many names of what is left are shown.
const SHOWN: usize = 5;

const TO_PASS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const TO_LIST: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const TO_SEE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

pub struct Root {
    pub path: PathBuf,
    fd: OwnedFd,
    pub device: u64,
    pub inode: u64,
}

/// What a walk passed by, each with the first names.
#[derive(Default)]
pub struct PassedBy {
    /// Symbolic links, sockets, pipes, devices.
    pub no_files: u64,
    pub bad_names: u64,
    pub foreign: Names,
    pub unreadable: Names,
    pub too_deep: Names,
}

#[derive(Default)]
pub struct Names {
    first: Vec<String>,
    more: u64,
}

impl Names {
    fn add(&mut self, path: &str) {
        if self.first.len() < SHOWN { self.first.push(shown::quoted(path).into_owned()) } else { self.more += 1 }
    }

    pub fn shown(&self) -> Option<String> {
        let names = self.first.join(", ");
        match (self.first.len(), self.more) {
            (0, _) => None,
            (_, 0) => Some(names),
            (_, more) => Some(format!("{names} and {more} more")),
        }
    }
}

impl Root {
    /// # Errors
    /// It is not there, or the way to it leads through a symbolic link.
    pub fn open(path: &Path) -> Result<Self, ProbeError> {
        let shown = path.display();
        let failed = |error: Errno| ProbeError::io(format!("the folder {shown}"), &error.into());
        let mut fd = rustix::fs::open("/", TO_PASS, Mode::empty()).map_err(failed)?;
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            fd = openat(&fd, name, TO_PASS, Mode::empty()).map_err(|error| {
                let is_link = matches!(error, Errno::NOTDIR | Errno::LOOP);
                if !is_link {
                    return failed(error);
                }
                let message =
                    format!("`{}` on the way to {shown} is no folder but a file or a symbolic link", name.display());
                ProbeError::new("link", message).help(match fs::canonicalize(path) {
                    Ok(real) => format!("write the folder itself: {}", real.display()),
                    Err(_) => "correct `folder`".to_owned(),
                })
            })?;
        }
        let fd = openat(&fd, c".", TO_LIST, Mode::empty()).map_err(failed)?;
        let seen = fd.try_clone().and_then(|fd| fs::File::from(fd).metadata());
        let seen = seen.map_err(|error| ProbeError::io(path.display(), &error))?;
        Ok(Self { path: path.to_owned(), fd, device: seen.dev(), inode: seen.ino() })
    }

    /// # Errors
    /// This user may not delete anything in it.
    pub fn writable(&self) -> Result<(), ProbeError> {
        accessat(&self.fd, c".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).map_err(|error| {
            let message =
                format!("nothing may be deleted in {}: {}", self.path.display(), io::Error::from(error).kind());
            ProbeError::new("permission", message).help("run opsctl as a user who may")
        })
    }

    /// Shows `choice` every file that matches. `go_on` is asked for each entry.
    pub fn walk(
        &self,
        recursive: bool,
        choice: &mut Choice<'_>,
        mounts: &MountTable,
        go_on: &dyn Fn() -> Result<(), ProbeError>,
    ) -> Result<PassedBy, ProbeError> {
        let failed = |error: Errno| ProbeError::io(self.path.display(), &error.into());
        let mut passed = PassedBy::default();
        let own = openat(&self.fd, c".", TO_LIST, Mode::empty()).map_err(failed)?;
        let mut levels = vec![Level::new(own, String::new(), None).map_err(failed)?];
        while let Some(level) = levels.last_mut() {
            go_on()?;
            match level.dir.as_mut().and_then(Dir::read) {
                Some(Ok(entry)) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Some(Ok(entry)) => {
                    level.entries += 1;
                    let Some((path, seen)) = level.meet(entry.file_name(), choice, &mut passed) else { continue };
                    if !recursive || path.rsplit('/').next().is_some_and(|name| name.starts_with('.')) {
                        continue;
                    }
                    if seen.dev() != self.device || mounts.is_mount_point(&self.path.join(&path)) {
                        passed.foreign.add(&path);
                        continue;
                    }
                    let below = level.below(entry.file_name(), &path, &seen);
                    match below {
                        _ if levels.len() >= DEPTH => passed.too_deep.add(&path),
                        Ok(below) => levels.push(below),
                        Err(Errno::NOENT) => {}
                        Err(_) => passed.unreadable.add(&path),
                    }
                }
                Some(Err(_)) => {
                    passed.unreadable.add(if level.path.is_empty() { "." } else { &level.path });
                    level.entries += 1;
                    level.dir = None;
                }
                None => {
                    if let Some(Level { own: Some(own), entries: 0, .. }) = levels.pop() {
                        choice.empty_folder(own);
                    }
                }
            }
        }
        Ok(passed)
    }

    /// Deletes `listed` if it is still the same, and returns how many bytes that freed. An error says why it is left.
    pub fn remove(&self, listed: &Found) -> Result<u64, String> {
        let gone = |error: Errno| match error {
            Errno::NOENT => "it is gone already".to_owned(),
            Errno::NOTDIR | Errno::LOOP => "a folder on the way is none any more".to_owned(),
            other => plain(other),
        };
        let (above, name) = listed.path.rsplit_once('/').unwrap_or(("", &listed.path));
        if listed.path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err("it is not below the folder".to_owned());
        }
        let mut folder = openat(&self.fd, c".", TO_PASS, Mode::empty()).map_err(gone)?;
        for part in above.split('/').filter(|part| !part.is_empty()) {
            folder = openat(&folder, part, TO_PASS, Mode::empty()).map_err(gone)?;
        }
        let fd = openat(&folder, name, TO_SEE, Mode::empty()).map_err(gone)?;
        let seen = fs::File::from(fd).metadata().map_err(|error| error.to_string())?;
        let now = found(listed.path.clone(), &seen);
        if seen.is_file() == listed.folder || now != *listed {
            return Err("it has changed since it was listed".to_owned());
        }
        let flags = if listed.folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        unlinkat(&folder, name, flags).map_err(plain)?;
        // With another name the content stays.
        let freed = if !listed.folder && seen.nlink() == 1 { seen.blocks() * 512 } else { 0 };
        Ok(freed)
    }
}

fn plain(error: Errno) -> String {
    match error {
        Errno::ACCESS | Errno::PERM => "no permission to delete it".to_owned(),
        Errno::BUSY => "it is a mount point".to_owned(),
        Errno::NOTEMPTY | Errno::EXIST => "it is not empty any more".to_owned(),
        Errno::ROFS => "the file system is read-only".to_owned(),
        other => io::Error::from(other).to_string(),
    }
}

/// A folder that is being read.
struct Level {
    /// After an error there is nothing more to read.
    dir: Option<Dir>,
    fd: OwnedFd,
    path: String,
    entries: u64,
    /// Of a folder below the one that is cleaned up.
    own: Option<Found>,
}

impl Level {
    fn new(fd: OwnedFd, path: String, own: Option<Found>) -> rustix::io::Result<Self> {
        Ok(Self { dir: Some(Dir::read_from(&fd)?), fd, path, entries: 0, own })
    }

    /// Takes an entry, and returns it if it is a folder. What has just gone away needs no cleaning up.
    fn meet(&self, name: &CStr, choice: &mut Choice<'_>, passed: &mut PassedBy) -> Option<(String, fs::Metadata)> {
        let Ok(text) = name.to_str() else {
            passed.bad_names += 1;
            return None;
        };
        let path = if self.path.is_empty() { text.to_owned() } else { format!("{}/{text}", self.path) };
        let seen = see(&self.fd, name).ok()?;
        if seen.is_dir() {
            return Some((path, seen));
        }
        match (choice.wants(&path), seen.is_file()) {
            (true, true) => choice.file(found(path, &seen)),
            (true, false) => passed.no_files += 1,
            (false, _) => {}
        }
        None
    }

    fn below(&self, name: &CStr, path: &str, seen: &fs::Metadata) -> rustix::io::Result<Self> {
        let fd = openat(&self.fd, name, TO_LIST, Mode::empty())?;
        Self::new(fd, path.to_owned(), Some(found(path.to_owned(), seen)))
    }
}

fn see(folder: impl AsFd, name: &CStr) -> io::Result<fs::Metadata> {
    fs::File::from(openat(folder, name, TO_SEE, Mode::empty())?).metadata()
}

fn found(path: String, seen: &fs::Metadata) -> Found {
    let folder = seen.is_dir();
    Found {
        modified: (seen.mtime(), u64::try_from(seen.mtime_nsec()).unwrap_or(0)),
        path,
        folder,
        // That of a folder says nothing.
        size: if folder { 0 } else { seen.len() },
        device: seen.dev(),
        inode: seen.ino(),
    }
}
