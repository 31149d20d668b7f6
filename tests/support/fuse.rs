//! A file system that can be made to hang.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::server::wait_until;

/// A FUSE file system whose daemon can be stopped. It is killed at the end, or nothing could be unmounted.
pub struct Fuse(Child);

impl Fuse {
    /// The folder `source` once more at `point`. Only for tests with mounts of their own.
    pub fn mount(source: &str, point: &str) -> Self {
        let daemon = Command::new("bindfs").args(["-f", source, point]).stdout(Stdio::null()).spawn();
        let fuse = Self(daemon.expect("bindfs of the package of this name"));
        let is_mounted =
            || std::fs::read_to_string("/proc/self/mountinfo").expect("the mounts").contains(&format!(" {point} "));
        wait_until("bindfs, which needs /dev/fuse,", is_mounted);
        fuse
    }

    /// From now on nothing that is asked of it is answered.
    pub fn stop(&self) {
        kill_process(Pid::from_child(&self.0), Signal::STOP).expect("the daemon is there");
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        self.0.kill().expect("the daemon is there");
        self.0.wait().expect("the daemon ends");
    }
}
