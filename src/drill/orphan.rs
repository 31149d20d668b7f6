//! What is left when the drill was killed: all that belonged to it ends and removes the folder.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::setup::{FOLDER_PREFIX, small_disk_in};
use super::small_disk;

/// Set for the command that a drill practises: the id of the drill's process, a colon, its folder.
pub const PRACTISED: &str = "OPSCTL_DRILL";

/// Others may still write into the folder, or keep the small disk busy, until they notice, too.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn to_variable(folder: &Path) -> OsString {
    let mut text = format!("{}:", std::process::id()).into_bytes();
    text.extend_from_slice(folder.as_os_str().as_bytes());
    OsString::from_vec(text)
}

/// This process, if it is the command that a drill practises.
#[derive(Debug)]
pub struct Practised {
    drill: Pid,
    folder: PathBuf,
}

impl Practised {
    /// `None` without a drill, and in programs that the practised command started. From now on the end of the drill
    /// asks this process to end as well, in order.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let variable = std::env::var_os(PRACTISED)?;
        let (id, folder) = variable.to_str()?.split_once(':')?;
        let practised = Self { drill: Pid::from_raw(id.parse().ok()?)?, folder: folder.into() };
        if rustix::process::getppid() == Some(practised.drill) {
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM)).ok();
        } else if rustix::process::test_kill_process(practised.drill) != Err(Errno::SRCH) {
            return None;
        }
        Some(practised)
    }

    /// The drill is gone, however it ended.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        rustix::process::getppid() != Some(self.drill)
    }

    /// The terminal goes back to the drill, which lent it.
    pub fn give_back_terminal(&self) {
        let terminal = std::io::stdin();
        let own = rustix::termios::tcgetpgrp(&terminal).ok() == Some(rustix::process::getpgrp());
        if let Ok(group) = rustix::process::getpgid(Some(self.drill))
            && own
        {
            rustix::termios::tcsetpgrp(&terminal, group).ok();
        }
    }

    /// What the drill could not do any more.
    pub fn tidy(&self) {
        tidy(&self.folder);
    }
}

/// Removes the folder of a drill, and no other. All that are left do it side by side: the last one finds nobody who
/// still writes.
pub(super) fn tidy(folder: &Path) {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    if !name.starts_with(FOLDER_PREFIX) {
        return;
    }
    for _ in 0..TRIES {
        small_disk::unmount(&small_disk_in(folder));
        fs::remove_dir_all(folder).ok();
        if !folder.exists() {
            return;
        }
        thread::sleep(PAUSE);
    }
}
