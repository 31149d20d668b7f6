//! Where a named path really is, without ever touching a mount that may hang.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::mounts::{Mount, MountTable};

const MAX_LINKS: usize = 40;

/// A path with its links followed as far as that is safe.
#[derive(Debug)]
pub enum Place<'t> {
    At { path: PathBuf, mount: &'t Mount },
    Absent,
    Unseen(String),
}

impl<'t> Place<'t> {
    /// Follows links up to the first mount that may hang; what lies behind is for a child process to find out.
    pub fn of(named: &Path, table: &'t MountTable) -> Self {
        let mut path = PathBuf::from("/");
        let mut rest = parts_of(named);
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                path.pop();
                continue;
            }
            path.push(part);
            if table.holder(&path).is_some_and(|mount| table.may_hang(mount)) {
                path.extend(rest);
                break;
            }
            match fs::read_link(&path) {
                Ok(_) if links == MAX_LINKS => return Self::Unseen("too many symbolic links".to_owned()),
                Ok(target) => {
                    links += 1;
                    path.pop();
                    if target.is_absolute() {
                        path = PathBuf::from("/");
                    }
                    let mut way = parts_of(&target);
                    way.append(&mut rest);
                    rest = way;
                }
                Err(error) => match error.kind() {
                    // It is there and no link.
                    ErrorKind::InvalidInput => {}
                    ErrorKind::NotFound | ErrorKind::NotADirectory => return Self::Absent,
                    ErrorKind::PermissionDenied => return Self::Unseen("no permission to look there".to_owned()),
                    _ => return Self::Unseen(error.to_string()),
                },
            }
        }
        match table.holder(&path) {
            Some(mount) => Self::At { path, mount },
            None => Self::Unseen("no mount of the kernel's table holds it".to_owned()),
        }
    }
}

fn parts_of(path: &Path) -> VecDeque<OsString> {
    let part = |component: Component<'_>| match component {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}
