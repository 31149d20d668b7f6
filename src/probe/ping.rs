//! Is a host there, how far away, and how much gets lost on the way.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

use self::icmp::{Echo, Refusal};
use self::tally::Tally;
use super::http::ADDRESS;
use super::http::exchange::Family;
use super::http::trouble::shown;
use super::tcp::connect::{Way, end_of, refusal, resolve};
use super::tcp::place::{Place, families};
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{ANSWERS, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;

mod icmp;
mod tally;

pub static KIND: Kind = Kind {
    name: "ping",
    about: "whether a host is there, how far away it is, and how much gets lost on the way. That it answers says nothing \
            of its services, and a firewall may keep pings from a host that is well",
    inputs: INPUTS,
    facts: FACTS,
    example: include_str!("../../examples/probes/ping.yaml"),
    limit: Duration::from_secs(30),
    build: |inputs| Ok(Arc::new(Ping::new(inputs)?)),
};

const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "host",
        ty: InputType::Texts,
        need: Need::Required,
        about: "a name or an address, or a list of them; each is one result",
    },
    InputSpec {
        name: "count",
        ty: InputType::Integer { least: 1, most: 1000 },
        need: Need::Default("5"),
        about: "how many requests to send",
    },
    InputSpec {
        name: "interval",
        ty: InputType::Duration,
        need: Need::Default("200ms"),
        about: "from one request to the next, at least 10ms. A reply counts if it comes within 2 s",
    },
    InputSpec {
        name: "method",
        ty: InputType::Choice(&["any", "icmp", "tcp"]),
        need: Need::Default("any"),
        about: "`icmp` sends echo requests, which the kernel must allow (`net.ipv4.ping_group_range`, or the rights of \
                root); `tcp` times connections to `port`; `any` is ICMP where that is allowed, else TCP",
    },
    InputSpec {
        name: "port",
        ty: InputType::Integer { least: 1, most: 65535 },
        need: Need::Default("443"),
        about: "for TCP: whether it is open does not matter, for a refusal is a reply of the host as well",
    },
    ADDRESS,
];

const FACTS: &[FactSpec] = &[
    FactSpec::implied(ANSWERS, "at least one reply came"),
    FactSpec::new("loss", FactType::Percent, "of what was sent, how much had no reply"),
    FactSpec::new(
        "latency",
        FactType::Duration,
        "to the host and back: the median of the replies; missing without any. What is lost does not count",
    ),
    FactSpec::new("latency_max", FactType::Duration, "of the slowest reply"),
    FactSpec::new("jitter", FactType::Duration, "the mean difference between one reply and the next; needs two"),
    FactSpec::new("sent", FactType::Count, "requests, with those that the network refused at once"),
    FactSpec::new("received", FactType::Count, "replies"),
    FactSpec::new("method", FactType::Text, "`icmp` or `tcp`: how it was asked"),
    FactSpec::new("address", FactType::Text, "the IP address that was asked"),
    FactSpec::new("resolve", FactType::Duration, "looking up the name; missing for an address"),
];

const LEAST_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Any,
    Icmp,
    Tcp,
}

struct Ping {
    places: Vec<Place>,
    families: Vec<Family>,
    method: Method,
    count: u16,
    interval: Duration,
}

/// What one look at one address is to do.
struct Plan {
    count: u16,
    interval: Duration,
    /// How long the last reply is waited for.
    patience: Duration,
    end: Instant,
}

impl Ping {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let number = |name| inputs.integer(name).and_then(|number| u16::try_from(number).ok());
        let port = number("port").unwrap_or(443);
        let places = Place::all(inputs, "host", Some(port))?;
        if let Some(place) = places.iter().find(|place| place.port != port) {
            let message = format!("{place} has a port, and a host is asked");
            return Err(InputError::new("host", message, "write the port of the TCP way as `port`, or use `tcp`"));
        }
        let interval = inputs.duration("interval").unwrap_or_default();
        if interval < LEAST_INTERVAL {
            let message = format!("an interval of {} is too short", shown(interval));
            return Err(InputError::new("interval", message, "write at least `10ms`"));
        }
        Ok(Self {
            families: families(inputs, places.iter().map(|place| place.host.as_str()))?,
            places,
            method: match inputs.text("method") {
                Some("icmp") => Method::Icmp,
                Some("tcp") => Method::Tcp,
                _ => Method::Any,
            },
            count: number("count").unwrap_or(5),
            interval,
        })
    }

    async fn look(&self, place: &Place, family: Family, cx: &Context) -> Result<Subject, ProbeError> {
        let mut seen = Subject::new(family.subject(&place.host)).with(ANSWERS, Value::Bool(false));
        let (mut way, end) = (Way::default(), end_of(cx));
        let addresses = resolve(place, family, end, &mut way).await;
        way.report(&mut seen);
        let address = match addresses {
            Ok(addresses) => addresses[0],
            Err(why) => {
                seen.note(why);
                return Ok(seen);
            }
        };
        seen.set("address", Value::text(address.ip().to_string()));
        let plan = Plan { count: self.count, interval: self.interval, patience: icmp::PATIENCE, end };
        let echo = if self.method == Method::Tcp { Err(Refusal::NotAllowed) } else { Echo::open(address.ip()) };
        match echo {
            Ok(echo) => {
                seen.set("method", Value::text("icmp"));
                echo.run(&plan).await.report(&mut seen);
            }
            Err(Refusal::NoWay(why)) => seen.note(why),
            Err(Refusal::NotAllowed) if self.method == Method::Icmp => return Err(not_allowed()),
            Err(Refusal::NotAllowed) => {
                seen.set("method", Value::text("tcp"));
                by_tcp(address, &plan, &mut seen).await;
                if self.method == Method::Any {
                    let port = address.port();
                    seen.note(format!("the kernel allows no ping here, so connections to port {port} were timed"));
                }
            }
        }
        Ok(seen)
    }
}

/// Times connections to a port of the host.
async fn by_tcp(address: SocketAddr, plan: &Plan, seen: &mut Subject) {
    let begin = Instant::now();
    let refused = AtomicBool::new(false);
    let attempts = (0..plan.count).map(|number| {
        let at = begin + plan.interval * number.into();
        let refused = &refused;
        async move {
            if at >= plan.end {
                return None;
            }
            sleep_until(at).await;
            let began = Instant::now();
            let late = (began + plan.patience).min(plan.end);
            Some(match timeout_at(late, TcpStream::connect(address)).await {
                Ok(Ok(_)) => Ok(began.elapsed()),
                Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                    refused.store(true, Ordering::Relaxed);
                    Ok(began.elapsed())
                }
                Ok(Err(error)) => Err(refusal(&error, address)),
                Err(_) => Err(format!("no answer from {address}")),
            })
        }
    });
    let outcomes: Vec<_> = join_all(attempts).await.into_iter().flatten().collect();
    Tally::of(plan.count, outcomes).report(seen);
    if refused.into_inner() {
        seen.note(format!(
            "port {} is closed, but the host refuses connections itself, and so it is there",
            address.port()
        ));
    }
}

fn not_allowed() -> ProbeError {
    ProbeError::new("permission", "the kernel allows no ping: neither as this user nor without rights").help(
        "let the user's group ping (sysctl net.ipv4.ping_group_range), run opsctl as root, or write `method: tcp`",
    )
}

impl Probe for Ping {
    fn target(&self) -> String {
        self.places.iter().map(|place| place.host.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        let looks = self.places.iter().flat_map(|place| self.families.iter().map(move |&family| (place, family)));
        Box::pin(async move {
            let taken =
                cx.unless_cancelled(join_all(looks.map(|(place, family)| self.look(place, family, cx)))).await?;
            Ok(Observation { subjects: taken.into_iter().collect::<Result<_, _>>()?, evidence: Vec::new() })
        })
    }
}
