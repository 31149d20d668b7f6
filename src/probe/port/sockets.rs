//! The tables of sockets in `/proc/net`, which are those of the network namespace of this process.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio_util::sync::CancellationToken;

use super::super::ProbeError;
use super::{Port, Protocol, diag};

/// A socket on which something listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Socket {
    pub port: Port,
    pub address: IpAddr,
    /// The number of the user who opened it.
    pub user: u32,
    pub inode: u64,
    /// Of a socket for IPv6: it takes no IPv4. Not known where the kernel does not tell.
    pub only_v6: Option<bool>,
}

impl Socket {
    /// Not known of an IPv6 socket for all addresses where the kernel does not tell.
    pub fn takes_v4(&self) -> Option<bool> {
        match self.address {
            IpAddr::V4(_) => Some(true),
            IpAddr::V6(address) if address.is_unspecified() => self.only_v6.map(|only| !only),
            IpAddr::V6(_) => Some(false),
        }
    }

    pub fn takes_v6(&self) -> bool {
        self.address.is_ipv6()
    }

    pub fn is_public(&self) -> bool {
        !self.address.is_loopback()
    }

    /// Whether connections to `address` come here.
    pub fn takes(&self, address: IpAddr) -> bool {
        let family = match address {
            // As Linux has it unless a program or the administrator says otherwise.
            IpAddr::V4(_) => self.takes_v4().unwrap_or(true),
            IpAddr::V6(_) => self.takes_v6(),
        };
        self.address == address || (self.address.is_unspecified() && family)
    }
}

/// All listening sockets of `protocols`, by port.
pub fn read(protocols: &[Protocol], cancel: &CancellationToken) -> Result<Vec<Socket>, ProbeError> {
    let mut all = Vec::new();
    for &protocol in protocols {
        let word = protocol.word();
        read_table(&format!("/proc/net/{word}"), protocol, cancel, &mut all)?;
        let begin = all.len();
        let path = format!("/proc/net/{word}6");
        // There is none on a machine without IPv6.
        if std::fs::exists(&path).unwrap_or(true) {
            read_table(&path, protocol, cancel, &mut all)?;
        }
        let of_all = |socket: &&mut Socket| socket.address == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        if all[begin..].iter_mut().filter(of_all).count() > 0 {
            let only_v6 = diag::only_v6(protocol).unwrap_or_default();
            for socket in all[begin..].iter_mut().filter(of_all) {
                socket.only_v6 = only_v6.get(&socket.inode).copied();
            }
        }
    }
    all.sort_by_key(|socket| (socket.port, socket.address));
    Ok(all)
}

fn read_table(
    path: &str,
    protocol: Protocol,
    cancel: &CancellationToken,
    all: &mut Vec<Socket>,
) -> Result<(), ProbeError> {
    let trouble = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => ProbeError::new("not_found", format!("{path} does not exist"))
            .help("opsctl needs the /proc file system of Linux to see who listens"),
        _ => ProbeError::io(path, &error),
    };
    let mut table = BufReader::new(File::open(path).map_err(trouble)?);
    let mut line = String::new();
    while table.read_line(&mut line).map_err(trouble)? > 0 {
        if cancel.is_cancelled() {
            return Err(ProbeError::new("cancelled", "nobody waits for the ports any more"));
        }
        all.extend(parse(&line, protocol));
        line.clear();
    }
    Ok(())
}

/// `0: 0100007F:0CEA 00000000:0000 0A ...`: see `proc_net(5)`. `None` of sockets that do not listen.
pub(crate) fn parse(line: &str, protocol: Protocol) -> Option<Socket> {
    let listens = match protocol {
        Protocol::Tcp => "0A",
        // Not connected: datagrams from anybody are taken.
        Protocol::Udp => "07",
    };
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, local, _, state, _, _, _, user, _, inode, ..] = fields.as_slice() else { return None };
    if *state != listens {
        return None;
    }
    let (address, number) = local.split_once(':')?;
    let number = u16::from_str_radix(number, 16).ok().filter(|number| *number > 0)?;
    Some(Socket {
        port: Port { number, protocol },
        address: parse_address(address)?,
        user: user.parse().ok()?,
        inode: inode.parse().ok()?,
        only_v6: None,
    })
}

/// The kernel prints an address as words of 32 bits, each in the byte order of the machine.
pub fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (part, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                part.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(address: &str, only_v6: Option<bool>) -> Socket {
        let port = Port { number: 80, protocol: Protocol::Tcp };
        Socket { port, address: address.parse().expect("an address"), user: 0, inode: 1, only_v6 }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_listening_sockets_are_read_and_mapped_addresses_are_ipv4() {
        let line = "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   105  0 4711 1 0 100";
        let seen = parse(line, Protocol::Tcp).expect("a socket");
        assert_eq!(
            (seen.port.number, seen.address.to_string(), seen.user, seen.inode),
            (3306, "127.0.0.1".into(), 105, 4711)
        );
        assert_eq!(parse(line, Protocol::Udp), None);
        assert_eq!(parse(&line.replace(" 0A ", " 01 "), Protocol::Tcp), None);
        assert!(parse(&line.replace(" 0A ", " 07 "), Protocol::Udp).is_some());
        assert_eq!(parse("  sl  local_address rem_address   st", Protocol::Tcp), None);
        for (hex, address) in [
            ("0000000000000000FFFF00000100007F", "127.0.0.1"),
            ("00000000000000000000000000000000", "::"),
            ("00000000000000000000000001000000", "::1"),
            ("B80D0120000000000000000001000000", "2001:db8::1"),
        ] {
            assert_eq!(parse_address(hex).map(|address| address.to_string()).as_deref(), Some(address));
        }
    }

    #[test]
    fn a_socket_for_all_addresses_takes_both_families_unless_it_is_for_ipv6_alone() {
        assert_eq!(socket("::", Some(false)).takes_v4(), Some(true));
        assert_eq!(socket("::", Some(true)).takes_v4(), Some(false));
        assert_eq!(socket("::", None).takes_v4(), None);
        assert_eq!(socket("0.0.0.0", None).takes_v4(), Some(true));
        assert_eq!(socket("::1", None).takes_v4(), Some(false));
    }

    #[test]
    fn an_address_is_taken_by_its_own_sockets_and_by_those_for_all() {
        let takes =
            |own: &str, only_v6, address: &str| socket(own, only_v6).takes(address.parse().expect("an address"));
        assert!(takes("10.0.0.1", None, "10.0.0.1") && takes("0.0.0.0", None, "10.0.0.1"));
        assert!(takes("::", Some(false), "10.0.0.1") && takes("::", Some(true), "2001:db8::1"));
        assert!(!takes("10.0.0.2", None, "10.0.0.1") && !takes("::", Some(true), "10.0.0.1"));
        assert!(!takes("0.0.0.0", None, "::1") && !takes("::1", None, "::2"));
    }
}
