//! Web servers that listen, and what they answer on loopback; no other address is contacted.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::survey::{Findings, Machine, Step, Var};

/// What a web server said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    pub status: u16,
}

const SERVERS: &[&str] = &[
    "apache2", "httpd", "nginx", "caddy", "lighttpd", "haproxy", "traefik", "varnishd", "gunicorn", "uwsgi", "uvicorn",
];

/// Ports on which web servers are looked for, whoever listens.
const PORTS: &[u16] = &[80, 443, 3000, 5000, 8000, 8001, 8008, 8080, 8081, 8443, 8888, 9000];

/// Ports on which TLS is tried first.
const TLS_PORTS: &[u16] = &[443, 8443];

/// More than this are not a web server with a few sites but something else.
const MOST: usize = 100;
const AT_ONCE: usize = 8;

/// The answer to plain HTTP of a server that wants TLS.
const BAD_REQUEST: u16 = 400;

pub fn detect(machine: &Machine) -> Findings {
    let candidates: Vec<_> = candidates(machine).into_iter().collect();
    let mut answers = Vec::new();
    for some in candidates[..candidates.len().min(MOST)].chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let asking: Vec<_> = some
                .iter()
                .map(|(port, place)| (port, place, scope.spawn(|| first_answer(machine.ask, *port, &place.hosts))))
                .collect();
            answers.extend(asking.into_iter().map(|(port, place, asked)| (port, place, asked.join().ok().flatten())));
        });
    }
    let mut findings = Findings::default();
    if candidates.len() > MOST {
        findings.remarks.push(format!("more than {MOST} ports of web servers; the others were not asked"));
    }
    let nameless: Vec<String> = answers
        .iter()
        .filter(|(_, place, answer)| place.owner.is_none() && answer.is_some())
        .map(|(port, ..)| port.to_string())
        .collect();
    if !nameless.is_empty() {
        let ports = nameless.join(", ");
        findings.remarks.push(format!("only root can see which program serves port {ports}"));
    }
    for (port, place, answer) in answers {
        match answer {
            Some((url, answer)) => findings.add_web(*port, place.name(), &url, answer),
            None if place.hosts.is_empty() => findings.remarks.push(format!(
                "{} on port {port} does not listen on loopback, so it was not asked; add a step with its address",
                place.name()
            )),
            None if place.is_known() => {
                findings.remarks.push(format!("{} listens on port {port}, but speaks no HTTP there", place.name()));
            }
            None => {}
        }
    }
    findings
}

/// A port with the names of this machine under which it is reached on loopback.
#[derive(Default)]
struct Place {
    hosts: Vec<String>,
    owner: Option<String>,
}

impl Place {
    fn name(&self) -> &str {
        self.owner.as_deref().unwrap_or("the web server")
    }

    fn is_known(&self) -> bool {
        self.owner.as_deref().is_some_and(|owner| SERVERS.contains(&owner))
    }
}

fn candidates(machine: &Machine) -> BTreeMap<u16, Place> {
    let mut places: BTreeMap<u16, Place> = BTreeMap::new();
    for one in &machine.listeners {
        let known = one.owner.as_deref().is_some_and(|owner| SERVERS.contains(&owner));
        if !(known || PORTS.contains(&one.port)) {
            continue;
        }
        let place = places.entry(one.port).or_default();
        place.owner = place.owner.take().or_else(|| one.owner.clone());
        for host in hosts(one.address) {
            if !place.hosts.contains(&host) {
                place.hosts.push(host);
            }
        }
    }
    places
}

/// The loopback addresses at which a listener answers. One on `::` may or may not take IPv4.
fn hosts(address: IpAddr) -> Vec<String> {
    let (v4, v6) = (Ipv4Addr::LOCALHOST.to_string(), format!("[{}]", Ipv6Addr::LOCALHOST));
    match address {
        IpAddr::V4(address) if address.is_unspecified() => vec![v4],
        IpAddr::V6(address) if address.is_unspecified() => vec![v4, v6],
        IpAddr::V4(address) if address.is_loopback() => vec![address.to_string()],
        IpAddr::V6(address) if address.is_loopback() => vec![v6],
        IpAddr::V4(_) | IpAddr::V6(_) => Vec::new(),
    }
}

fn first_answer(ask: fn(&str) -> Option<Answer>, port: u16, hosts: &[String]) -> Option<(String, Answer)> {
    let schemes = if TLS_PORTS.contains(&port) { ["https", "http"] } else { ["http", "https"] };
    let mut bad_request = None;
    for host in hosts {
        for scheme in schemes {
            let url = match (scheme, port) {
                ("http", 80) | ("https", 443) => format!("{scheme}://{host}/"),
                _ => format!("{scheme}://{host}:{port}/"),
            };
            match ask(&url) {
                Some(answer) if answer.status == BAD_REQUEST => bad_request = Some((url, answer)),
                Some(answer) => return Some((url, answer)),
                None => {}
            }
        }
    }
    bad_request
}

impl Findings {
    fn add_web(&mut self, port: u16, server: &str, url: &str, Answer { status }: Answer) {
        self.found.push(format!("{server} on port {port}: {url} answers {status}"));
        if status >= 500 {
            self.remarks.push(format!("{url} answers {status}: its check will fail until that is mended"));
        }
        let tls = url.starts_with("https:");
        let name = format!("url_{port}");
        let about = format!("{server}, port {port}; better the address that its visitors use");
        self.vars.push(Var { name: name.clone(), value: url.into(), about });
        let mut body = Vec::new();
        if tls {
            body.push(
                "# The certificate is for another name than 127.0.0.1; with that name in the URL, remove `verify`.",
            );
        }
        if (400..500).contains(&status) {
            body.push("# A page of the application with its status proves more than any answer.");
        }
        let verify = if tls { ", verify: false" } else { "" };
        let look = format!("probe: {{ http: {{ url: \"{{{{ {name} }}}}\"{verify} }} }}");
        body.push(&look);
        body.push(if (400..500).contains(&status) {
            "expect: { answers: true }"
        } else {
            "expect: { status: 200..399 }"
        });
        body.push(if tls {
            "prefer: { latency: below 2s, certificate_expires_in: above 14d }"
        } else {
            "prefer: { latency: below 2s }"
        });
        body.push("next: look at the web server and its error log");
        self.steps.push(Step {
            id: format!("web-{port}"),
            title: format!("{} answers on port {port}", capitalized(server)),
            body: body.into_iter().map(str::to_owned).collect(),
        });
    }
}

/// A sentence begins with a capital, but the name of a program does not change.
fn capitalized(server: &str) -> String {
    server.strip_prefix("the ").map_or_else(|| server.to_owned(), |rest| format!("The {rest}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::listeners::Listener;
    use super::super::survey::tests::machine;
    use super::*;

    fn listener(address: &str, port: u16, owner: Option<&str>) -> Listener {
        Listener { address: address.parse().unwrap(), port, owner: owner.map(str::to_owned) }
    }

    #[test]
    fn servers_are_asked_on_loopback_with_the_scheme_that_they_speak() {
        let mut here = machine(Path::new("/nowhere"));
        here.listeners = vec![
            listener("0.0.0.0", 80, Some("nginx")),
            listener("::", 80, Some("nginx")),
            listener("::", 443, Some("nginx")),
            listener("127.0.0.1", 9999, Some("apache2")),
            listener("127.0.0.1", 22, Some("sshd")),
            listener("127.0.0.1", 8000, None),
        ];
        here.ask = |url| {
            let status = match url {
                "http://127.0.0.1/" => 301,
                "https://[::1]/" => 200,
                "http://127.0.0.1:9999/" => 400,
                "https://127.0.0.1:9999/" => 404,
                _ => return None,
            };
            Some(Answer { status })
        };
        let findings = detect(&here);
        assert_eq!(
            findings.found,
            [
                "nginx on port 80: http://127.0.0.1/ answers 301",
                "nginx on port 443: https://[::1]/ answers 200",
                "apache2 on port 9999: https://127.0.0.1:9999/ answers 404",
            ]
        );
        assert_eq!(findings.remarks, [""; 0]);
        let expects: Vec<_> =
            findings.steps.iter().flat_map(|step| &step.body).filter(|line| line.starts_with("expect")).collect();
        assert_eq!(
            expects,
            ["expect: { status: 200..399 }", "expect: { status: 200..399 }", "expect: { answers: true }"]
        );
    }

    #[test]
    fn a_server_on_another_address_is_not_contacted_and_said() {
        let mut here = machine(Path::new("/nowhere"));
        here.listeners = vec![listener("192.0.2.7", 80, Some("nginx"))];
        here.ask = |url| panic!("asked {url}");
        let findings = detect(&here);
        assert_eq!(findings.steps, []);
        assert!(findings.remarks[0].starts_with("nginx on port 80 does not listen on loopback"), "{findings:?}");
    }
}
