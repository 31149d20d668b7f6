//! A host and a port, as people write them.

use std::fmt;
use std::net::Ipv6Addr;

use crate::model::input::{InputError, Inputs};
use crate::probe::http::exchange::{Family, literal};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// A name or an address, which has no brackets.
    pub host: String,
    pub port: u16,
}

impl Place {
    /// Those that the input `input` names, each once; `default` is the port of one without.
    pub fn all(inputs: &Inputs, input: &'static str, default: Option<u16>) -> Result<Vec<Self>, InputError> {
        let mut places: Vec<Self> = Vec::new();
        for text in inputs.texts(input) {
            let place = Self::parse(text, default).ok_or_else(|| {
                let with = "write a name or an address and a port, such as `mail.example.com:25` or `[::1]:25`";
                let without = "write a name or an address, with or without a port: `example.com`, `[::1]:8443`";
                let help = if default.is_some() { without } else { with };
                InputError::new(input, format!("`{text}` is not a host{}", port_wanted(default)), help)
            })?;
            if places.contains(&place) {
                return Err(InputError::new(input, format!("{place} is named twice"), "name it once"));
            }
            places.push(place);
        }
        Ok(places)
    }

    pub fn parse(text: &str, default: Option<u16>) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                if after.is_empty() { (host, None) } else { (host, Some(after.strip_prefix(':')?)) }
            }
            None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0)?,
            None => default?,
        };
        let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
        is_host.then(|| Self { host: host.to_owned(), port })
    }
}

fn port_wanted(default: Option<u16>) -> &'static str {
    if default.is_some() { "" } else { " with a port" }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// The families of addresses that the input `address` asks for, one look each; refused for hosts that are one address
/// of another family.
pub fn families<'h>(inputs: &Inputs, hosts: impl IntoIterator<Item = &'h str>) -> Result<Vec<Family>, InputError> {
    let families = Family::of(inputs.text("address"));
    for address in hosts.into_iter().filter_map(literal) {
        if !families.iter().all(|family| family.admits(address)) {
            let message = format!("{address} is one address and no host with several");
            return Err(InputError::new("address", message, "leave `address` out, or write the host's name"));
        }
    }
    Ok(families)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_and_perhaps_a_port() {
        let place = |text: &str| Place::parse(text, Some(443)).map(|place| place.to_string());
        for (text, wanted) in [
            ("example.com", "example.com:443"),
            ("example.com:8443", "example.com:8443"),
            ("127.0.0.1:25", "127.0.0.1:25"),
            ("::1", "[::1]:443"),
            ("[::1]", "[::1]:443"),
            ("[::1]:25", "[::1]:25"),
        ] {
            assert_eq!(place(text), Some(wanted.to_owned()));
        }
        for text in [
            "",
            ":25",
            "host:",
            "host:0",
            "host:65536",
            "host:http",
            "https://host",
            "a b",
            "münchen.example",
            "[host]:25",
            "[::1",
        ] {
            assert_eq!(place(text), None, "{text}");
        }
    }

    #[test]
    fn a_port_is_wanted_where_none_is_the_usual_one() {
        assert_eq!(Place::parse("example.com", None), None);
        assert_eq!(Place::parse("::1", None), None);
        assert_eq!(Place::parse("[::1]:25", None).map(|place| place.port), Some(25));
    }
}
