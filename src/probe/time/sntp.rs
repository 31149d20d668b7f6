//! One question to a time server, as RFC 4330 has it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, timeout};

use super::Clock;
use crate::model::fact::Subject;
use crate::model::input::InputError;
use crate::model::unit::Quantity;
use crate::model::value::Value;

const PORT: u16 = 123;

/// From 1900, where NTP begins to count, to 1970.
const EPOCH: u64 = 2_208_988_800;

/// Version 4, from a client.
const QUESTION: u8 = 4 << 3 | 3;
const ANSWER: u8 = 4;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    host: String,
    port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            PORT => f.write_str(&self.host),
            port if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

impl Server {
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let wrong = || {
            let message = format!("`{text}` is not the name of a time server");
            InputError::new("server", message, "write a name or an address, such as `pool.ntp.org` or `10.0.0.1:123`")
        };
        let bare = text.trim_start_matches('[');
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host.trim_start_matches('[').trim_end_matches(']'), port.parse().map_err(|_| wrong())?)
            }
            _ => (bare.trim_end_matches(']'), PORT),
        };
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || !host.chars().all(is_name) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }

    /// Asks once.
    pub async fn look(&self, patience: Duration) -> Subject {
        let mut subject = Subject::new(self.to_string());
        subject.inapplicable = ["sources", "service"].map(str::to_owned).to_vec();
        let asked = timeout(patience, self.ask()).await;
        let limit = Quantity::duration(patience).rounded();
        match asked.unwrap_or_else(|_| Err(Trouble(format!("no answer within {limit}")))) {
            Ok(answer) => {
                subject = answer.clock().describe(subject);
                subject.set("latency", Value::Number(Quantity::seconds(answer.latency())));
            }
            Err(Trouble(why)) => {
                subject.set("answers", Value::Bool(false));
                subject.note(why);
            }
        }
        subject
    }

    async fn ask(&self) -> Result<Answer, Trouble> {
        let mut addresses = lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|error| Trouble(format!("the name {} has no address: {error}", self.host)))?;
        let address = addresses.next().ok_or_else(|| Trouble(format!("the name {} has no address", self.host)))?;
        let trouble = |error: io::Error| match error.kind() {
            io::ErrorKind::ConnectionRefused => Trouble(format!("no time server listens at {address} (UDP)")),
            _ => Trouble(format!("cannot ask {address}: {error}")),
        };
        let local: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
        let socket = UdpSocket::bind(local).await.map_err(trouble)?;
        socket.connect(address).await.map_err(trouble)?;
        let (asked, begin) = (Stamp::now(), Instant::now());
        let mut packet = [0; 48];
        packet[0] = QUESTION;
        packet[40..].copy_from_slice(&asked.0.to_be_bytes());
        socket.send(&packet).await.map_err(trouble)?;
        let mut answer = [0; 512];
        loop {
            let length = socket.recv(&mut answer).await.map_err(trouble)?;
            let arrived = asked.plus(begin.elapsed());
            // What answers another question was sent late, or by somebody else.
            if let Some(answer) = Answer::parse(&answer[..length], asked, arrived) {
                return answer;
            }
        }
    }
}

/// Why there is no time.
#[derive(PartialEq, Debug)]
pub(crate) struct Trouble(String);

/// Seconds since 1900 with 32 bits for the part after the point; they begin anew in 2036.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp(pub(crate) u64);

impl Stamp {
    fn now() -> Self {
        Self((EPOCH % (1 << 32)) << 32).plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    fn plus(self, time: Duration) -> Self {
        let part = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
        Self(self.0.wrapping_add(time.as_secs() << 32).wrapping_add(part))
    }

    /// Seconds, correct for moments less than 68 years apart.
    fn since(self, earlier: Self) -> f64 {
        self.0.wrapping_sub(earlier.0).cast_signed() as f64 / (1_u64 << 32) as f64
    }

    /// Unix time of seconds since 1900 near `now`.
    pub fn unix(seconds: u32, now: i64) -> i64 {
        let now_there = (now.cast_unsigned().wrapping_add(EPOCH) & 0xffff_ffff) as u32;
        now + i64::from(seconds.wrapping_sub(now_there).cast_signed())
    }
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Answer {
    leap: u8,
    stratum: u8,
    reference: [u8; 4],
    set: Stamp,
    asked: Stamp,
    received: Stamp,
    sent: Stamp,
    arrived: Stamp,
}

impl Answer {
    /// `None` for a packet that does not answer the question.
    pub(crate) fn parse(packet: &[u8], asked: Stamp, arrived: Stamp) -> Option<Result<Self, Trouble>> {
        let word = |at: usize| packet.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes).map(Stamp);
        let answer = Self {
            leap: packet.first()? >> 6,
            stratum: *packet.get(1)?,
            reference: packet.get(12..16)?.try_into().ok()?,
            set: word(16)?,
            asked: word(24)?,
            received: word(32)?,
            sent: word(40)?,
            arrived,
        };
        if packet[0] & 7 != ANSWER || answer.asked != asked {
            return None;
        }
        if answer.stratum == 0 {
            let code: String =
                answer.reference.iter().map(|&byte| char::from(byte)).filter(char::is_ascii_graphic).collect();
            return Some(Err(Trouble(format!("the server refuses to answer: {code} (RATE: asked too often)"))));
        }
        Some(Ok(answer))
    }

    pub(crate) fn clock(&self) -> Clock {
        let [a, b, c, d] = self.reference;
        let text: String =
            self.reference.iter().filter(|byte| byte.is_ascii_graphic()).map(|&byte| char::from(byte)).collect();
        Clock {
            synchronised: self.leap != 3 && self.stratum < 16,
            offset: Some(f64::midpoint(self.received.since(self.asked), self.sent.since(self.arrived))),
            source: Some(if self.stratum == 1 { text } else { format!("{a}.{b}.{c}.{d}") }),
            stratum: Some(self.stratum.into()),
            last_sync: (self.set.0 != 0).then(|| Duration::from_secs_f64(self.sent.since(self.set).max(0.0))),
            ..Clock::default()
        }
    }

    pub(crate) fn latency(&self) -> f64 {
        (self.arrived.since(self.asked) - self.sent.since(self.received)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Stamp {
        Stamp(0xfff0_0000 << 32).plus(Duration::from_secs_f64(seconds))
    }

    fn packet(first: u8, stratum: u8, reference: [u8; 4], times: [Stamp; 4]) -> Vec<u8> {
        let mut packet = vec![first, stratum, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        packet.extend(reference);
        packet.extend(times.iter().flat_map(|time| time.0.to_be_bytes()));
        packet
    }

    #[test]
    fn offset_and_latency_are_told_apart() {
        // Asked at 10.0, under way for 0.1 each way, 0.2 in the server, which is 5 s ahead.
        let bytes = packet(0x24, 1, *b"GPS\0", [at(3.0), at(10.0), at(15.1), at(15.3)]);
        let answer = Answer::parse(&bytes, at(10.0), at(10.4)).expect("an answer").expect("a time");
        let clock = answer.clock();
        assert!((clock.offset.expect("an offset") - 5.0).abs() < 1e-6, "{clock:?}");
        assert!((answer.latency() - 0.2).abs() < 1e-6, "{answer:?}");
        assert_eq!((clock.synchronised, clock.source.as_deref(), clock.stratum), (true, Some("GPS"), Some(1)));
        assert_eq!(clock.last_sync.map(|age| age.as_millis()), Some(12_300));
    }

    #[test]
    fn an_answer_to_another_question_is_not_taken() {
        let bytes = packet(0x24, 1, *b"GPS\0", [at(3.0), at(9.0), at(15.1), at(15.3)]);
        assert_eq!(Answer::parse(&bytes, at(10.0), at(10.4)), None);
        assert_eq!(Answer::parse(&bytes[..40], at(9.0), at(10.4)), None);
        let question = packet(QUESTION, 1, *b"GPS\0", [at(3.0), at(10.0), at(15.1), at(15.3)]);
        assert_eq!(Answer::parse(&question, at(10.0), at(10.4)), None);
    }

    #[test]
    fn a_server_without_a_time_or_that_refuses_is_not_taken_for_right() {
        let bytes = packet(0xe4, 16, [0; 4], [Stamp(0), at(10.0), at(10.1), at(10.2)]);
        let clock = Answer::parse(&bytes, at(10.0), at(10.3)).expect("an answer").expect("a time").clock();
        assert_eq!((clock.synchronised, clock.last_sync), (false, None));
        let bytes = packet(0xe4, 0, *b"RATE", [Stamp(0), at(10.0), at(10.1), at(10.2)]);
        let refused = Answer::parse(&bytes, at(10.0), at(10.3)).expect("an answer").expect_err("no time");
        assert!(refused.0.contains("refuses to answer: RATE"), "{refused:?}");
    }

    #[test]
    fn the_end_of_the_count_in_2036_does_not_matter() {
        assert!((Stamp(1 << 32).since(Stamp(0xffff_ffff << 32)) - 2.0).abs() < 1e-9);
        let after = i64::from(u32::MAX) + 100 - EPOCH.cast_signed();
        assert_eq!(Stamp::unix(50, after), after - 49);
    }

    #[test]
    fn servers_are_written_with_and_without_a_port() {
        for (text, shown) in [
            ("pool.ntp.org", "pool.ntp.org"),
            ("10.0.0.1:123", "10.0.0.1"),
            ("10.0.0.1:1123", "10.0.0.1:1123"),
            ("[::1]:1123", "[::1]:1123"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(Server::parse(text).expect("a server").to_string(), shown);
        }
        for wrong in ["", "a b", "ntp://x", "host:many"] {
            assert!(Server::parse(wrong).is_err(), "{wrong}");
        }
    }
}
