//! Which processes hold a socket: those with a file `socket:[INODE]` open.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::sync::Arc;

use super::super::process::table::{Process, ProcessTable, Scope};
use super::super::{Context, ProbeError};
use super::sockets::Socket;

pub struct Holders {
    table: Arc<ProcessTable>,
    /// Numbers of processes by inode.
    by_inode: HashMap<u64, Vec<i32>>,
    /// The open files of some processes are not for this user to see.
    pub hidden: bool,
}

impl Holders {
    pub fn of(sockets: &[Socket], cx: &Context) -> Result<Self, ProbeError> {
        let wanted: HashSet<u64> = sockets.iter().map(|socket| socket.inode).collect();
        let table = ProcessTable::now(Scope::Programs, cx)?;
        let mut by_inode: HashMap<u64, Vec<i32>> = HashMap::new();
        let mut hidden = table.hidden;
        for process in table.processes.iter().filter(|process| !wanted.is_empty() && !process.kernel) {
            if cx.cancel.is_cancelled() {
                return Err(ProbeError::new("cancelled", "nobody waits for the ports any more"));
            }
            match fs::read_dir(format!("/proc/{}/fd", process.pid)) {
                Ok(files) => {
                    let inodes = files.flatten().filter_map(|file| inode_of(&fs::read_link(file.path()).ok()?));
                    for inode in inodes.filter(|inode| wanted.contains(inode)) {
                        by_inode.entry(inode).or_default().push(process.pid);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => hidden = true,
                // It has ended meanwhile.
                Err(_) => {}
            }
        }
        Ok(Self { table, by_inode, hidden })
    }

    /// Those that hold one of `sockets`, the first to start first.
    pub fn holding(&self, sockets: &[Socket]) -> Vec<&Process> {
        let holders: HashSet<i32> =
            sockets.iter().filter_map(|socket| self.by_inode.get(&socket.inode)).flatten().copied().collect();
        let mut holding: Vec<&Process> =
            self.table.processes.iter().filter(|process| holders.contains(&process.pid)).collect();
        holding.sort_by_key(|process| (std::cmp::Reverse(self.table.age(process)), process.pid));
        holding
    }
}

/// Of the target of a link such as `socket:[4711]`.
fn inode_of(target: &std::path::Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}
