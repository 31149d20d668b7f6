//! Who listens: sockets of this machine that wait for connections or datagrams, straight from `/proc`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use self::holders::Holders;
use self::look::Look;
use super::process::users::Users;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};

pub(crate) mod diag;
mod holders;
mod look;
pub(crate) mod sockets;

pub static KIND: Kind = Kind {
    name: "port",
    about: "who listens on a port of this machine, and on no other. Of its own network namespace: not inside \
            containers. What a firewall lets through is not looked at",
    inputs: INPUTS,
    facts: FACTS,
    example: include_str!("../../examples/probes/port.yaml"),
    limit: Duration::from_secs(30),
    build,
};

const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "number",
        ty: InputType::Texts,
        need: Need::Optional,
        about: "ports, one result each: `22` or `22/tcp` for TCP, `53/udp` for UDP. None looks at every port on which \
                something listens",
    },
    InputSpec {
        name: "address",
        ty: InputType::Text,
        need: Need::Optional,
        about: "an IP address of this machine: only what takes connections to it counts, what listens on all addresses \
                included",
    },
];

const FACTS: &[FactSpec] = &[
    FactSpec::implied_unless(
        "listening",
        &["public", OTHERS, PUBLIC_OTHERS],
        "something waits for connections on the port; with UDP, for datagrams from anybody",
    ),
    FactSpec::new("addresses", FactType::Texts, "the local addresses; `0.0.0.0` and `::` stand for all"),
    FactSpec::new(
        "public",
        FactType::Bool,
        "something listens on an address that others can reach, not on loopback alone; false as well when nothing does",
    ),
    FactSpec::new(
        "ipv4",
        FactType::Bool,
        "IPv4 is taken, be it by a socket for both families. Missing where the kernel does not tell",
    ),
    FactSpec::new("ipv6", FactType::Bool, "IPv6 is taken"),
    FactSpec::new(
        "process",
        FactType::Text,
        "names of the processes that hold the socket, such as `nginx`, joined by commas. Missing without the right to \
         know, which for processes of other users only root has",
    ),
    FactSpec::new("pid", FactType::Count, "the number of that process which started first"),
    FactSpec::new(
        "user",
        FactType::Text,
        "who opened the socket: root, also of a program that gave up the rights of root later",
    ),
    FactSpec::new(
        OTHERS,
        FactType::Count,
        "listening TCP ports that the step does not name; UDP ports as well if it names one, or no port at all. \
         Programs that wait for an answer open a UDP port for a moment",
    ),
    FactSpec::new(PUBLIC_OTHERS, FactType::Count, "those of `others` that others can reach, not on loopback alone"),
];

const OTHERS: &str = "others";
const PUBLIC_OTHERS: &str = "public_others";

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    Tcp,
    Udp,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Port {
    pub number: u16,
    pub protocol: Protocol,
}

impl Protocol {
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol.word())
    }
}

#[derive(PartialEq, Eq, Debug)]
pub struct NotAPort;

impl FromStr for Port {
    type Err = NotAPort;

    fn from_str(text: &str) -> Result<Self, NotAPort> {
        let (number, protocol) = match text.split_once('/') {
            None => (text, Protocol::Tcp),
            Some((number, "tcp")) => (number, Protocol::Tcp),
            Some((number, "udp")) => (number, Protocol::Udp),
            Some(_) => return Err(NotAPort),
        };
        let number = number.parse().ok().filter(|number| *number > 0).ok_or(NotAPort)?;
        Ok(Self { number, protocol })
    }
}

#[derive(Debug)]
struct Wanted {
    /// Every port when empty.
    ports: Vec<Port>,
    address: Option<IpAddr>,
}

struct Ports {
    wanted: Arc<Wanted>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let mut ports: Vec<Port> = Vec::new();
    for text in inputs.texts("number") {
        let port = text.parse().map_err(|NotAPort| {
            let message = format!("`{text}` is not a port");
            InputError::new("number", message, "write a number from 1 to 65535, such as `443` or `53/udp`")
        })?;
        if ports.contains(&port) {
            return Err(InputError::new("number", format!("the port {port} is named twice"), "name it once"));
        }
        ports.push(port);
    }
    let address = inputs.text("address").map(|text| {
        text.trim_matches(['[', ']']).parse::<IpAddr>().map(|address| address.to_canonical()).map_err(|_| {
            let message = format!("`{text}` is not an IP address");
            InputError::new("address", message, "write an address of this machine, such as `127.0.0.1` or `::1`")
        })
    });
    Ok(Arc::new(Ports { wanted: Arc::new(Wanted { ports, address: address.transpose()? }) }))
}

impl Wanted {
    fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let mut sockets = sockets::read(&self.protocols(), &cx.cancel)?;
        if let Some(address) = self.address {
            sockets.retain(|socket| socket.takes(address));
        }
        let holders = Holders::of(&sockets, cx)?;
        let look = Look { wanted: &self.ports, sockets: &sockets, holders: &holders, users: &Users::read() };
        Ok(look.observation(cx))
    }

    /// Those whose ports are looked at.
    fn protocols(&self) -> Vec<Protocol> {
        let udp = self.ports.is_empty() || self.ports.iter().any(|port| port.protocol == Protocol::Udp);
        Protocol::ALL.into_iter().filter(|protocol| udp || *protocol == Protocol::Tcp).collect()
    }
}

impl Probe for Ports {
    fn target(&self) -> String {
        let Wanted { ports, address } = &*self.wanted;
        let ports = match ports.as_slice() {
            [] => "all listening ports".to_owned(),
            ports => ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        address.map_or(ports.clone(), |address| format!("{ports} of {address}"))
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        let (wanted, cx_there) = (Arc::clone(&self.wanted), cx.clone());
        Box::pin(cx.blocking(move || wanted.look(&cx_there)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_number_and_perhaps_a_protocol() {
        let port = |text: &str| text.parse::<Port>().map(|port| port.to_string());
        assert_eq!(port("22"), Ok("22/tcp".to_owned()));
        assert_eq!(port("22/tcp"), Ok("22/tcp".to_owned()));
        assert_eq!(port("53/udp"), Ok("53/udp".to_owned()));
        for text in ["", "0", "65536", "-1", "ssh", "22/sctp", "22/", "/udp", "22/tcp/tcp", "80-90"] {
            assert_eq!(port(text), Err(NotAPort), "{text}");
        }
    }
}
