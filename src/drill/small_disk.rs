//! A file system that is really full, and small, so that filling it hurts nobody.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::DrillError;

/// A full file system in memory; unmounted on drop.
#[derive(Debug)]
pub(super) struct SmallDisk {
    mount: PathBuf,
}

impl SmallDisk {
    /// Needs the right to mount.
    pub fn mount(place: &Path) -> Result<Self, DrillError> {
        let error = |reason: String| DrillError::SmallDisk { reason };
        let io = |source: io::Error| error(source.to_string());
        fs::create_dir(place).map_err(io)?;
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=755", "opsctl-drill"])
            .arg(place)
            .stdin(Stdio::null())
            .output()
            .map_err(io)?;
        if !output.status.success() {
            return Err(error(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let disk = Self { mount: place.to_owned() };
        fill(&place.join("debug.log")).map_err(io)?;
        Ok(disk)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.mount);
    }
}

/// Does nothing where nothing is mounted.
pub(super) fn unmount(place: &Path) {
    if place.is_dir() {
        Command::new("umount")
            .arg(place)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .ok();
    }
}

fn fill(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let line = [b'.'; 4096];
    loop {
        match file.write_all(&line) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
            result => result?,
        }
    }
}
