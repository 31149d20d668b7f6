//! Who listens on which TCP port, from `/proc`.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::survey::is_plain;
use crate::probe::port::sockets::parse_address;

/// A TCP socket that takes connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listener {
    pub address: IpAddr,
    pub port: u16,
    /// The name of a process that holds it; unknown without the permission to know.
    pub owner: Option<String>,
}

/// All listeners of the machine whose root is `root`.
pub fn read(root: &Path) -> Vec<Listener> {
    let sockets: Vec<_> = ["proc/net/tcp", "proc/net/tcp6"]
        .iter()
        .flat_map(|table| parse(&fs::read_to_string(root.join(table)).unwrap_or_default()))
        .collect();
    let owners = owners(root);
    sockets
        .into_iter()
        .map(|(address, port, inode)| Listener { address, port, owner: owners.get(&inode).cloned() })
        .collect()
}

/// Address, port and inode of each listening socket in a table such as `/proc/net/tcp`.
fn parse(table: &str) -> Vec<(IpAddr, u16, u64)> {
    const LISTEN: &str = "0A";
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, LISTEN, _, _, _, _, _, inode, ..] = fields.as_slice() else { return None };
        let (address, port) = local.split_once(':')?;
        Some((parse_address(address)?, u16::from_str_radix(port, 16).ok()?, inode.parse().ok()?))
    };
    table.lines().filter_map(socket).collect()
}

/// The name of a process that holds a socket, by the socket's inode.
fn owners(root: &Path) -> HashMap<u64, String> {
    let mut owners = HashMap::new();
    for (folder, name) in living(root) {
        for link in fs::read_dir(folder.join("fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(link.path()).unwrap_or_default();
            let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode {
                owners.entry(inode).or_insert_with(|| name.clone());
            }
        }
    }
    owners
}

/// The names of all processes that live.
pub fn processes(root: &Path) -> BTreeSet<String> {
    living(root).into_iter().map(|(_, name)| name).collect()
}

/// The folder in `/proc` and the name of each process that is not a zombie. A process may give itself any name; one
/// that could not be written into a file or on a terminal is left out.
fn living(root: &Path) -> Vec<(PathBuf, String)> {
    let process = |folder: PathBuf| {
        folder.file_name()?.to_str()?.parse::<u32>().ok()?;
        let status = fs::read_to_string(folder.join("status")).ok()?;
        let field = |key: &str| status.lines().find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned()));
        let zombie = field("State:").is_some_and(|state| state.starts_with('Z'));
        Some((folder, field("Name:").filter(|name| !zombie && is_plain(name))?))
    };
    fs::read_dir(root.join("proc")).into_iter().flatten().flatten().filter_map(|entry| process(entry.path())).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use std::net::TcpListener;

    use super::*;

    #[cfg(target_endian = "little")]
    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   105        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:0CEA 0100007F:D431 01 00000000:00000000 00:00000000 00000000   105        0 4712 1 0000000000000000 20 4 30 10 -1
   2: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4713 1
   3: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4714 1
   4: nonsense
";

    #[test]
    #[cfg(target_endian = "little")]
    fn only_listening_sockets_are_read_and_mapped_addresses_are_ipv4() {
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let all = IpAddr::from(Ipv6Addr::UNSPECIFIED);
        assert_eq!(parse(TABLE), [(loopback, 3306, 4711), (all, 80, 4713), (loopback, 8080, 4714)]);
    }

    #[test]
    fn a_socket_of_this_process_is_found_with_its_owner() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = read(Path::new("/")).into_iter().find(|one| one.port == port).expect("the socket");
        assert_eq!(found.address, IpAddr::from(Ipv4Addr::LOCALHOST));
        let own = fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(found.owner.as_deref(), Some(own.trim()));
    }

    #[test]
    fn zombies_do_not_live_and_names_with_control_characters_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        for (pid, name, state) in
            [("1", "nginx", "S (sleeping)"), ("2", "redis-server", "Z (zombie)"), ("3", "\x1b[31mred", "S")]
        {
            let process = folder.path().join("proc").join(pid);
            fs::create_dir_all(&process).unwrap();
            fs::write(process.join("status"), format!("Name:\t{name}\nUmask:\t0022\nState:\t{state}\n")).unwrap();
        }
        assert_eq!(processes(folder.path()), BTreeSet::from(["nginx".to_owned()]));
    }
}
