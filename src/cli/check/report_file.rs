//! A report in a file: whole or not at all. Who reads it while a run is under way sees the one before.

use std::fs::{self, File, Permissions};
use std::io::{self, Seek};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::report::{Format, Pace};

pub struct ReportFile {
    /// As it was asked for.
    path: PathBuf,
    place: Place,
}

enum Place {
    /// A pipe, a terminal, a device: nothing that could be replaced. Or a file that is written as the run goes on.
    Stream,
    /// The draft has no name: should the program be killed, nothing of it is left.
    File { target: PathBuf, draft: File, mode: Option<u32> },
}

impl ReportFile {
    /// The file, and what the report is written to.
    ///
    /// # Errors
    /// The report could not be put there at the end of the run.
    pub fn begin(path: &Path, format: Format) -> io::Result<(Self, File)> {
        let (place, writer) = match (Self::target(path), format.pace()) {
            (None, _) => (Place::Stream, File::options().write(true).open(path)?),
            (Some(target), Pace::AsItHappens) => {
                (Place::Stream, File::options().write(true).create(true).truncate(false).open(target)?)
            }
            (Some(target), Pace::AtTheEnd) => {
                if target.exists() {
                    rustix::fs::access(&target, Access::WRITE_OK)?;
                }
                rustix::fs::access(folder(&target), Access::WRITE_OK | Access::EXEC_OK)?;
                let draft = tempfile::tempfile_in(folder(&target))?;
                let writer = draft.try_clone()?;
                (Place::File { target, draft, mode: format.mode() }, writer)
            }
        };
        Ok((Self { path: path.to_owned(), place }, writer))
    }

    /// The file that `path` leads to; none if it is a pipe, a terminal or a device. What a link leads to is replaced,
    /// not the link.
    pub fn target(path: &Path) -> Option<PathBuf> {
        let is_stream = path.starts_with("/dev") || fs::metadata(path).is_ok_and(|found| !found.is_file());
        if is_stream {
            return None;
        }
        let absolute = std::path::absolute(path).ok()?;
        let in_folder = || Some(fs::canonicalize(folder(&absolute)).ok()?.join(absolute.file_name()?));
        Some(fs::canonicalize(path).ok().or_else(in_folder).unwrap_or(absolute))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Once the report is written to its end.
    pub fn put_in_place(self) -> io::Result<()> {
        let Place::File { target, mut draft, mode: wanted } = self.place else { return Ok(()) };
        let before = fs::metadata(&target).ok();
        // Of a new file the umask takes away what it takes from any other.
        let mode = before.as_ref().map_or(0o666, |before| before.mode() & 0o777);
        let mut whole = tempfile::Builder::new()
            .prefix(".opsctl-report-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder(&target))?;
        draft.rewind()?;
        io::copy(&mut draft, &mut whole)?;
        if let Some(before) = before {
            // Only root can give files away; from others it stays theirs.
            fchown(whole.as_file(), Some(before.uid()), Some(before.gid())).ok();
            whole.as_file().set_permissions(Permissions::from_mode(mode))?;
        } else if let Some(wanted) = wanted {
            whole.as_file().set_permissions(Permissions::from_mode(wanted))?;
        }
        whole.as_file().sync_all()?;
        whole.persist(&target)?;
        Ok(())
    }
}

fn folder(target: &Path) -> &Path {
    target.parent().unwrap_or(Path::new("/"))
}
