//! What `/proc/net` does not tell of a socket: whether it is for IPv6 alone. The kernel is asked by `sock_diag(7)`.

use std::collections::HashMap;
use std::time::Duration;

use rustix::io;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

use super::Protocol;

/// The kernel answers at once; this is for one that does not.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sizes of `nlmsghdr` and `inet_diag_msg`, and where the latter has its inode.
const HEADER: usize = 16;
const MESSAGE: usize = 72;
const INODE: usize = 68;

/// By inode, of the listening IPv6 sockets of `protocol`.
pub fn only_v6(protocol: Protocol) -> io::Result<HashMap<u64, bool>> {
    let kernel =
        socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    set_socket_timeout(&kernel, Timeout::Recv, Some(PATIENCE))?;
    send(&kernel, &request(protocol), SendFlags::empty())?;
    let mut all = HashMap::new();
    let mut packet = vec![0; 1 << 16];
    loop {
        let (_, length) = recv(&kernel, packet.as_mut_slice(), RecvFlags::empty())?;
        if length == 0 || read_packet(packet.get(..length).unwrap_or_default(), &mut all) == End::Reached {
            return Ok(all);
        }
    }
}

/// `nlmsghdr` and `inet_diag_req_v2`.
fn request(protocol: Protocol) -> Vec<u8> {
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const REQUEST_AND_DUMP: u16 = 0x301;
    const AF_INET6: u8 = 10;
    const LENGTH: u32 = 72;
    let (number, state): (u8, u32) = match protocol {
        Protocol::Tcp => (6, 10),
        Protocol::Udp => (17, 7),
    };
    let mut request = Vec::from(LENGTH.to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(REQUEST_AND_DUMP.to_ne_bytes());
    request.extend([0; 8]);
    request.extend([AF_INET6, number, 0, 0]);
    request.extend(u32::to_ne_bytes(1 << state));
    request.resize(LENGTH as usize, 0);
    request
}

#[derive(PartialEq, Eq, Debug)]
pub(crate) enum End {
    Reached,
    ToCome,
}

pub(crate) fn read_packet(mut packet: &[u8], all: &mut HashMap<u64, bool>) -> End {
    const ERROR: u16 = 2;
    const DONE: u16 = 3;
    const SK_V6_ONLY: u16 = 11;
    while let (Some(length), Some(kind)) = (number_u32(packet, 0), number_u16(packet, 4)) {
        let length = length as usize;
        if matches!(kind, ERROR | DONE) || length < HEADER {
            return End::Reached;
        }
        let message = packet.get(HEADER..length).unwrap_or_default();
        let flag = attribute(message.get(MESSAGE..).unwrap_or_default(), SK_V6_ONLY).and_then(<[u8]>::first);
        if let (Some(inode), Some(flag)) = (number_u32(message, INODE), flag) {
            all.insert(inode.into(), *flag != 0);
        }
        packet = packet.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    End::ToCome
}

/// The value of an attribute in a row of `rtattr`.
fn attribute(mut row: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(number_u16(row, 0)?);
        if number_u16(row, 2)? == wanted {
            return row.get(4..length);
        }
        row = row.get(length.max(4).next_multiple_of(4)..)?;
    }
}

fn number_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn number_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One message about the socket 4711, with another attribute of five bytes first.
    fn message(flag: u8) -> Vec<u8> {
        let mut body = vec![0; MESSAGE];
        body[INODE..].copy_from_slice(&4711_u32.to_ne_bytes());
        for (kind, value) in [(8_u16, &[0_u8; 5][..]), (11, &[flag])] {
            body.extend(u16::try_from(4 + value.len()).expect("short").to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut message = Vec::from(u32::try_from(HEADER + body.len()).expect("short").to_ne_bytes());
        message.extend(20_u16.to_ne_bytes());
        message.resize(HEADER, 0);
        message.extend(body);
        message
    }

    #[test]
    fn a_message_tells_of_one_socket_and_the_last_ends_the_list() {
        let mut all = HashMap::new();
        assert_eq!(read_packet(&message(1), &mut all), End::ToCome);
        assert_eq!(all, HashMap::from([(4711, true)]));
        let mut last = vec![0; HEADER];
        last[0] = 16;
        last[4] = 3;
        assert_eq!(read_packet(&[message(0), last].concat(), &mut all), End::Reached);
        assert_eq!(all, HashMap::from([(4711, false)]));
    }

    #[test]
    fn a_message_that_is_cut_off_tells_nothing() {
        let whole = message(1);
        for length in 0..whole.len() - 4 {
            let mut all = HashMap::new();
            read_packet(&whole[..length], &mut all);
            assert!(all.is_empty(), "after {length} bytes");
        }
    }
}
