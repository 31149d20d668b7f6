//! The numbers of one file system, as `df` shows them.

use std::path::Path;
use std::process::Stdio;

use rustix::fs::StatVfs;
use rustix::io::Errno;
use tokio::process::Command;
use tokio::time::{Instant, timeout_at};

use crate::model::fact::Subject;
use crate::model::unit::Quantity;
use crate::model::value::Value;

/// Blocks are in bytes already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    size: u64,
    /// With what is reserved for root.
    free: u64,
    /// What ordinary users may still write.
    available: u64,
    inodes: u64,
    inodes_free: u64,
}

/// Why a file system gave no numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The path is not there.
    Absent,
    NoAnswer,
    Other(String),
}

/// `df` rounds the used percentage up to whole numbers, and so do we: 79.2 % used is 80 % used and 20 % free.
fn used_percent(used: u64, left: u64) -> u8 {
    let whole = u128::from(used) + u128::from(left);
    let percent = (u128::from(used) * 100).div_ceil(whole.max(1));
    u8::try_from(percent).unwrap_or(100)
}

impl Space {
    /// A file system without blocks counts nothing: a window into a program.
    pub fn is_counted(self) -> bool {
        self.size > 0
    }

    pub fn describe(self, subject: &mut Subject) {
        if self.is_counted() {
            let used = self.size.saturating_sub(self.free);
            let percent = used_percent(used, self.available);
            let share =
                |percent: u8, bytes| Value::Share { percent: f64::from(percent), amount: Quantity::bytes(bytes) };
            subject.set("size", Value::bytes(self.size));
            subject.set("used", share(percent, used));
            subject.set("free", share(100 - percent, self.available));
        }
        if self.inodes > 0 {
            let used = used_percent(self.inodes.saturating_sub(self.inodes_free), self.inodes_free);
            subject.set("inodes_free", Value::percent(f64::from(100 - used)));
        } else {
            subject.inapplicable.push("inodes_free".to_owned());
        }
    }

    /// At once, for file systems that this machine answers itself.
    pub fn of_local(path: &Path) -> Result<Self, Trouble> {
        match rustix::fs::statvfs(path) {
            Ok(seen) => Ok(Self::from(&seen)),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(Trouble::Absent),
            Err(error) => Err(Trouble::Other(std::io::Error::from(error).to_string())),
        }
    }

    /// Asks in a child that can be killed, because the call itself cannot be ended when a server is gone.
    pub async fn of_remote(path: &Path, deadline: Instant) -> Result<Self, Trouble> {
        let child = Command::new("stat")
            .args(["-f", "-c", "%S %b %f %a %c %d"])
            .arg(path)
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .output();
        match timeout_at(deadline, child).await {
            Err(_) => Err(Trouble::NoAnswer),
            Ok(Err(error)) => Err(Trouble::Other(format!("the program `stat` of coreutils cannot be run: {error}"))),
            Ok(Ok(output)) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout);
                Self::parse(&text).ok_or_else(|| Trouble::Other(format!("`stat` printed `{}`", text.trim())))
            }
            Ok(Ok(output)) => {
                let text = String::from_utf8_lossy(&output.stderr);
                let reason = text.trim().rsplit(": ").next().unwrap_or_default();
                Err(match reason {
                    "No such file or directory" | "Not a directory" => Trouble::Absent,
                    _ => Trouble::Other(reason.to_owned()),
                })
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let numbers: Result<Vec<u64>, _> = text.split_whitespace().map(str::parse).collect();
        let &[block, blocks, free, available, inodes, inodes_free] = numbers.ok()?.as_slice() else { return None };
        let bytes = |blocks: u64| blocks.saturating_mul(block);
        Some(Self { size: bytes(blocks), free: bytes(free), available: bytes(available), inodes, inodes_free })
    }
}

impl From<&StatVfs> for Space {
    fn from(seen: &StatVfs) -> Self {
        let bytes = |blocks: u64| blocks.saturating_mul(seen.f_frsize);
        Self {
            size: bytes(seen.f_blocks),
            free: bytes(seen.f_bfree),
            available: bytes(seen.f_bavail),
            inodes: seen.f_files,
            inodes_free: seen.f_ffree,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_is_rounded_up_as_df_does() {
        assert_eq!(used_percent(0, 100), 0);
        assert_eq!(used_percent(1, 1_000_000), 1);
        assert_eq!(used_percent(791, 209), 80);
        assert_eq!(used_percent(80, 20), 80);
        assert_eq!(used_percent(5, 0), 100);
        assert_eq!(used_percent(0, 0), 0);
        assert_eq!(used_percent(u64::MAX, u64::MAX), 50);
    }

    #[test]
    fn a_file_system_without_inodes_has_no_such_fact() {
        let mut subject = Subject::new("/data");
        Space::parse("4096 100 50 40 0 0").expect("six numbers").describe(&mut subject);
        assert_eq!(subject.facts.get("inodes_free"), None);
        assert_eq!(subject.facts["free"].to_string(), "44 % (160 KiB)");
        assert_eq!(Space::parse("4096 100 50"), None);
    }
}
