//! Echo requests and their replies.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};
use tokio::net::UdpSocket;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};

use super::Plan;
use super::tally::Tally;
use crate::probe::sql::trouble::without_number;

/// As the `ping` command has it.
const DATA: usize = 56;
const HEADER: usize = 8;

/// Asks one address, and hears nobody else's replies.
pub struct Echo {
    /// Of the kind for datagrams: sent and received as they are, without any header of UDP.
    socket: UdpSocket,
    address: IpAddr,
    /// A raw socket hears whatever comes in, IPv4 with its header.
    raw: bool,
    /// Tells the replies to this look from all others.
    token: [u8; 16],
}

pub enum Refusal {
    /// Neither the kernel's setting nor the rights of the user allow it.
    NotAllowed,
    /// There is no way to the address.
    NoWay(String),
}

impl Echo {
    pub fn open(address: IpAddr) -> Result<Self, Refusal> {
        let (family, protocol) = match address {
            IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
            IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let open = |kind| socket_with(family, kind, flags, Some(protocol));
        let (socket, raw) = match open(SocketType::DGRAM) {
            Ok(socket) => (socket, false),
            Err(_) => match open(SocketType::RAW) {
                Ok(socket) => (socket, true),
                Err(Errno::PERM | Errno::ACCESS) => return Err(Refusal::NotAllowed),
                Err(error) => return Err(no_way(address, &error.into())),
            },
        };
        connect(&socket, &SocketAddr::new(address, 0)).map_err(|error| no_way(address, &error.into()))?;
        let socket = UdpSocket::from_std(socket.into()).map_err(|error| no_way(address, &error))?;
        Ok(Self { socket, address, raw, token: uuid::Uuid::now_v7().into_bytes() })
    }

    /// Sends what is planned and counts what comes back.
    pub async fn run(&self, plan: &Plan) -> Tally {
        let mut tally = Tally::new(plan.count);
        let mut ticks = interval(plan.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while tally.is_waiting() {
            let until = if tally.is_all_sent() { plan.end.min(tally.last_sent() + plan.patience) } else { plan.end };
            tokio::select! {
                _ = ticks.tick(), if !tally.is_all_sent() => {
                    let number = tally.sent();
                    tally.send(Instant::now());
                    match timeout_at(plan.end, self.send(number)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tally.fail(number, without_number(&error.to_string())),
                        Err(_) => tally.fail(number, "the network took no more requests".to_owned()),
                    }
                }
                heard = self.hear() => match heard {
                    Ok((number, at)) => tally.receive(number, at),
                    // Which of them is not told: it counts as lost when nothing else comes.
                    Err(error) => tally.note(without_number(&error.to_string())),
                },
                () = sleep_until(until) => break,
            }
        }
        tally
    }

    async fn send(&self, number: u16) -> io::Result<()> {
        self.socket.send(&self.packet(number)).await.map(drop)
    }

    /// The number of the request that is answered, and when.
    async fn hear(&self) -> io::Result<(u16, Instant)> {
        let mut packet = [0; 256];
        loop {
            let length = self.socket.recv(&mut packet).await?;
            if let Some(number) = self.number_in(&packet[..length]) {
                return Ok((number, Instant::now()));
            }
        }
    }

    /// The kernel puts its own number and checksum in, except into those of a raw socket of IPv4.
    fn packet(&self, number: u16) -> Vec<u8> {
        let request = if self.address.is_ipv4() { 8 } else { 128 };
        let [high, low] = number.to_be_bytes();
        let mut packet = vec![request, 0, 0, 0, self.token[14], self.token[15], high, low];
        packet.extend(self.token);
        packet.resize(HEADER + DATA, 0);
        if self.address.is_ipv4() {
            let [high, low] = checksum(&packet).to_be_bytes();
            packet[2..4].copy_from_slice(&[high, low]);
        }
        packet
    }

    fn number_in(&self, packet: &[u8]) -> Option<u16> {
        let reply = if self.address.is_ipv4() { 0 } else { 129 };
        let skip = if self.raw && self.address.is_ipv4() { usize::from(packet.first()? & 0x0f) * 4 } else { 0 };
        let [kind, 0, _, _, _, _, high, low, data @ ..] = packet.get(skip..)? else { return None };
        (*kind == reply && data.starts_with(&self.token)).then(|| u16::from_be_bytes([*high, *low]))
    }
}

fn no_way(address: IpAddr, error: &io::Error) -> Refusal {
    Refusal::NoWay(format!("{address} cannot be reached: {}", without_number(&error.to_string())))
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX)
}

/// How long the last reply is waited for.
pub const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_with_its_checksum_sums_up_to_nothing() {
        let mut packet = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1, b'a', b'b', b'c'];
        let [high, low] = checksum(&packet).to_be_bytes();
        packet[2..4].copy_from_slice(&[high, low]);
        assert_eq!(checksum(&packet), 0);
        assert_eq!(checksum(&[0xff; 4000]), 0);
    }
}
