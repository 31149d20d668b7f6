//! Network interfaces of this machine: their traffic over an interval, and what went wrong on them.

mod interface;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use self::interface::Interface;
use super::interval::{Growth, INTERVAL, Measured, interval, measure};
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputSpec, InputType, Inputs, Need};
use crate::model::unit::Quantity;
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "network",
    about: "network interfaces of this machine, one result each: traffic over an interval, errors and drops since the \
            start and since the newest earlier run. Counters that tell the errors apart are kept as evidence. Other \
            machines are asked by `http`, `port` and the like",
    inputs: &[
        InputSpec {
            name: "interface",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "names of interfaces, such as `eth0`. Without it: every real one that is switched on (no loopback, \
                    bridge, VLAN or tunnel, and none that belongs to a container or a virtual machine)",
        },
        INTERVAL,
    ],
    facts: FACTS,
    example: include_str!("../../examples/probes/network.yaml"),
    limit: Duration::from_secs(30),
    build: |inputs| Ok(Arc::new(Network::new(inputs, interval(inputs)?))),
};

const FACTS: &[FactSpec] = &[
    FactSpec::new("up", FactType::Bool, "switched on, and the cable or the network is there"),
    FactSpec::new("rx_rate", FactType::Throughput, "received over the interval"),
    FactSpec::new("tx_rate", FactType::Throughput, "sent over the interval"),
    FactSpec::new(
        "speed",
        FactType::Throughput,
        "of the link, such as `1Gbit/s`; nothing is expected of it where the interface does not know, as many virtual \
         ones",
    ),
    FactSpec::new("share", FactType::Percent, "of `speed`, in the direction with more traffic"),
    FactSpec::new("rx_packets", FactType::Rate, "packets received over the interval"),
    FactSpec::new("tx_packets", FactType::Rate, "packets sent over the interval"),
    FactSpec::new("errors", FactType::Count, "packets damaged on the way or impossible to send, since the start"),
    FactSpec::recent("recent_errors", FactType::Count, "how many of them since the newest earlier run"),
    FactSpec::new(
        "drops",
        FactType::Count,
        "packets given up since the start: for want of room, or since nobody here wanted them, which is harmless",
    ),
    FactSpec::recent("recent_drops", FactType::Count, "how many of them since the newest earlier run"),
    FactSpec::new("link_changes", FactType::Count, "how often the link went or came back since the start"),
    FactSpec::recent("recent_link_changes", FactType::Count, "how often since the newest earlier run"),
];

const DEV: &str = "/proc/net/dev";

/// How many counters are shown as evidence.
const SHOWN: usize = 30;

struct Network {
    /// Empty for every real one.
    interfaces: Vec<String>,
    interval: Duration,
}

impl Network {
    fn new(inputs: &Inputs, interval: Duration) -> Self {
        Self { interfaces: inputs.texts("interface").to_vec(), interval }
    }

    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let growth = Growth::of(&["errors", "drops", "link_changes"], cx).await?;
        let read = || {
            let text = fs::read_to_string(DEV).map_err(|error| ProbeError::io(DEV, &error))?;
            Ok(parse(&text))
        };
        let measured = measure(self.interval, cx, read).await?;
        let named = self.interfaces.clone();
        cx.blocking(move || Ok(observation(&named, &measured, &growth))).await
    }
}

impl Probe for Network {
    fn target(&self) -> String {
        if self.interfaces.is_empty() { "every real network interface".to_owned() } else { self.interfaces.join(", ") }
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(self.look(cx))
    }
}

/// What the kernel has counted on one interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counters {
    rx_bytes: u64,
    rx_packets: u64,
    tx_bytes: u64,
    tx_packets: u64,
    errors: u64,
    drops: u64,
}

/// The lines of `/proc/net/dev` after its heading:
/// `eth0: bytes packets errs drop fifo frame compressed multicast bytes packets errs drop fifo colls carrier compressed`
pub(crate) fn parse(text: &str) -> BTreeMap<String, Counters> {
    let line = |line: &str| {
        // The name of an alias has a colon of its own.
        let (name, rest) = line.rsplit_once(':')?;
        let numbers: Option<Vec<u64>> = rest.split_ascii_whitespace().map(|word| word.parse().ok()).collect();
        let numbers = numbers.filter(|numbers| numbers.len() >= 12)?;
        let counters = Counters {
            rx_bytes: numbers[0],
            rx_packets: numbers[1],
            tx_bytes: numbers[8],
            tx_packets: numbers[9],
            errors: numbers[2].saturating_add(numbers[10]),
            drops: numbers[3].saturating_add(numbers[11]),
        };
        Some((name.trim().to_owned(), counters))
    };
    text.lines().filter_map(line).collect()
}

fn observation(named: &[String], measured: &Measured<BTreeMap<String, Counters>>, growth: &Growth) -> Observation {
    let names = if named.is_empty() {
        let real = |name: &&String| Interface::of(name).is_some_and(|interface| interface.is_real && interface.is_on);
        measured.after.keys().filter(real).cloned().collect()
    } else {
        named.to_vec()
    };
    if names.is_empty() {
        return nothing().into();
    }
    let subjects: Vec<Subject> = names.iter().map(|name| describe(name, measured, growth)).collect();
    let mut evidence = Evidence::new("counters of errors since the start", interface::troubles(&names));
    evidence.left_out = evidence.lines.len().saturating_sub(SHOWN) as u64;
    evidence.lines.truncate(SHOWN);
    let evidence = if evidence.lines.is_empty() { Vec::new() } else { vec![evidence] };
    Observation { subjects, evidence }
}

/// A machine without a network: there is nothing to expect but that it had one.
fn nothing() -> Subject {
    let mut subject = Subject::new("network").with("up", Value::Bool(false));
    subject.note("no real network interface is switched on");
    let others = FACTS.iter().map(|fact| fact.name).filter(|name| *name != "up");
    subject.inapplicable = others.map(str::to_owned).collect();
    subject
}

fn describe(name: &str, measured: &Measured<BTreeMap<String, Counters>>, growth: &Growth) -> Subject {
    let (Some(before), Some(after)) = (measured.before.get(name), measured.after.get(name)) else {
        let all: Vec<&str> = measured.after.keys().map(String::as_str).collect();
        return Subject::unseen(name, format!("there is no such interface; there are: {}", all.join(", ")));
    };
    let mut subject = Subject::new(name);
    let interface = Interface::of(name);
    if let Some(interface) = &interface {
        subject.set("up", Value::Bool(interface.is_on && interface.has_link));
    }
    let seconds = measured.over.as_secs_f64();
    let per_second = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
    let rx = per_second(before.rx_bytes, after.rx_bytes);
    let tx = per_second(before.tx_bytes, after.tx_bytes);
    subject.set("rx_rate", Value::Number(Quantity::bytes_per_second(rx)));
    subject.set("tx_rate", Value::Number(Quantity::bytes_per_second(tx)));
    match interface.as_ref().map(|interface| (interface.speed, interface.has_link)) {
        Some((Some(speed), _)) => {
            subject.set("speed", Value::Number(Quantity::bytes_per_second(speed)));
            subject.set("share", Value::percent(rx.max(tx) / speed * 100.0));
        }
        // The speed of a link that is not there is agreed on when it comes.
        Some((None, false)) | None => {}
        Some((None, true)) => subject.inapplicable.extend(["speed", "share"].map(str::to_owned)),
    }
    let packets = |before, after| Value::Number(Quantity::per_second(per_second(before, after)));
    subject.set("rx_packets", packets(before.rx_packets, after.rx_packets));
    subject.set("tx_packets", packets(before.tx_packets, after.tx_packets));
    growth.set(&mut subject, "errors", "recent_errors", after.errors);
    growth.set(&mut subject, "drops", "recent_drops", after.drops);
    if let Some(changes) = interface.and_then(|interface| interface.link_changes) {
        growth.set(&mut subject, "link_changes", "recent_link_changes", changes);
    }
    subject
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 5055156899 2723826    0    0    0     0          0         0 5055156899 2723826    0    0    0     0       0          0
  eth0:1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0
eth0:1: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0
";

    #[test]
    fn errors_and_drops_of_both_directions_are_summed() {
        let seen = parse(TEXT);
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["eth0", "eth0:1", "lo"]);
        let expected = Counters { rx_bytes: 1000, rx_packets: 10, tx_bytes: 2000, tx_packets: 20, errors: 4, drops: 6 };
        assert_eq!(seen["eth0"], expected);
    }

    #[test]
    fn nothing_but_a_network_is_expected_of_a_machine_without_one() {
        let seen = nothing();
        assert_eq!(seen.facts["up"], Value::Bool(false));
        assert!(
            seen.inapplicable.contains(&"recent_errors".to_owned()) && !seen.inapplicable.contains(&"up".to_owned())
        );
    }
}
