//! Which files some process has open.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::probe::ProbeError;
use crate::probe::disk::mounts::MountTable;

/// The kernel's mark of its own threads among the flags in `/proc/PID/stat`.
const KERNEL_THREAD: u64 = 0x0020_0000;

#[derive(Default)]
pub struct Open {
    /// By device and inode: a process that has it open.
    pub by: HashMap<(u64, u64), String>,
    /// How many processes belong to others, so that their open files cannot be seen.
    pub hidden: u64,
}

/// Looks for files among `wanted`, by device and inode, in every process that can be seen. `folders` are those that
/// they are in.
pub fn look(
    wanted: &HashSet<(u64, u64)>,
    folders: &[PathBuf],
    mounts: &MountTable,
    go_on: &dyn Fn() -> Result<(), ProbeError>,
) -> Result<Open, ProbeError> {
    let mut open = Open::default();
    let own: HashSet<u32> = folders.iter().filter_map(|folder| mounts.holder(folder)).map(|mount| mount.id).collect();
    // A look at a file on a dead mount never ends, and none that is wanted can be there.
    let may_hang =
        |file: &Path| mounts.holder(file).is_some_and(|mount| mounts.may_hang(mount) && !own.contains(&mount.id));
    let namespace = fs::read_link("/proc/self/ns/mnt").ok();
    let processes = fs::read_dir("/proc")
        .map_err(|error| ProbeError::io("/proc", &error).help("opsctl needs the /proc file system"))?;
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        go_on()?;
        let descriptors = match fs::read_dir(process.path().join("fd")) {
            Ok(descriptors) => descriptors,
            Err(error) => {
                if error.kind() == ErrorKind::PermissionDenied && !is_kernel_thread(&process.path()) {
                    open.hidden += 1;
                }
                continue;
            }
        };
        // The paths of another namespace, that of a container, say nothing about the mounts of this one.
        let is_here = fs::read_link(process.path().join("ns/mnt")).ok() == namespace;
        for descriptor in descriptors.flatten() {
            let Ok(target) = fs::read_link(descriptor.path()) else { continue };
            if !target.is_absolute() || (is_here && may_hang(&target)) {
                continue;
            }
            let Ok(file) = fs::metadata(descriptor.path()) else { continue };
            let id = (file.dev(), file.ino());
            if wanted.contains(&id) {
                open.by.entry(id).or_insert_with(|| format!("{} ({pid})", name_of(&process.path())));
            }
        }
    }
    Ok(open)
}

fn is_kernel_thread(process: &Path) -> bool {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    let flags = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(6)?.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & KERNEL_THREAD != 0)
}

fn name_of(process: &Path) -> String {
    fs::read_to_string(process.join("comm")).map_or_else(|_| "a process".to_owned(), |name| name.trim_end().to_owned())
}
