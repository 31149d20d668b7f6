//! Block devices of this machine: requests, throughput and waiting over an interval, from `/proc/diskstats`.

pub(crate) mod device;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use self::device::Counters;
use super::interval::{INTERVAL, Measured, interval, measure};
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputSpec, InputType, Inputs, Need};
use crate::model::unit::Quantity;
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "io",
    about: "what the disks of this machine do over an interval, one result each: requests, throughput, waiting. Their \
            free space is told by `disk`, their health by `smart`",
    inputs: &[
        InputSpec {
            name: "device",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "names or paths of block devices, such as `sda`, `/dev/nvme0n1`, `/dev/mapper/data` or a partition. \
                    Without it: every real disk (no loop, memory or RAID device, no volume that lies on others)",
        },
        INTERVAL,
    ],
    facts: &[
        FactSpec::new("busy", FactType::Percent, "share of the interval in which some request was under way"),
        FactSpec::new(
            "latency",
            FactType::Duration,
            "from a request to its end, waiting included, averaged (`await` of iostat). Nothing is expected of it when \
             none ended in the interval",
        ),
        FactSpec::new("read_latency", FactType::Duration, "the same of reads"),
        FactSpec::new("write_latency", FactType::Duration, "the same of writes"),
        FactSpec::new("queue", FactType::Count, "requests under way, averaged"),
        FactSpec::new("reads", FactType::Rate, "requests to read, such as `250/s`"),
        FactSpec::new("writes", FactType::Rate, "requests to write"),
        FactSpec::new("read_rate", FactType::Throughput, "bytes read"),
        FactSpec::new("write_rate", FactType::Throughput, "bytes written"),
    ],
    example: include_str!("../../examples/probes/io.yaml"),
    limit: Duration::from_secs(30),
    build: |inputs| Ok(Arc::new(Io::new(inputs, interval(inputs)?))),
};

const DISKSTATS: &str = "/proc/diskstats";

struct Io {
    /// Empty for every real disk.
    devices: Vec<String>,
    interval: Duration,
}

impl Io {
    fn new(inputs: &Inputs, interval: Duration) -> Self {
        Self { devices: inputs.texts("device").to_vec(), interval }
    }

    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let read = || {
            let text = fs::read_to_string(DISKSTATS).map_err(|error| ProbeError::io(DISKSTATS, &error))?;
            Ok(device::parse(&text))
        };
        let measured = measure(self.interval, cx, read).await?;
        let named = self.devices.clone();
        let subjects = cx.blocking(move || subjects(&named, &measured)).await?;
        Ok(Observation { subjects, evidence: Vec::new() })
    }
}

impl Probe for Io {
    fn target(&self) -> String {
        if self.devices.is_empty() { "every real disk".to_owned() } else { self.devices.join(", ") }
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(self.look(cx))
    }
}

type Devices = BTreeMap<String, Counters>;

fn subjects(named: &[String], measured: &Measured<Devices>) -> Result<Vec<Subject>, ProbeError> {
    let all = || measured.after.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    if named.is_empty() {
        let real = measured.after.keys().filter(|name| device::is_real(name));
        let subjects: Vec<Subject> = real.filter_map(|name| subject(name, name, measured)).collect();
        if subjects.is_empty() {
            let message = format!("this machine has no real disk; its block devices: {}", all());
            return Err(ProbeError::new("nothing_selected", message).help("name the devices with `device`"));
        }
        return Ok(subjects);
    }
    let unseen = |name: &String| Subject::unseen(name, format!("there is no such block device; there are: {}", all()));
    let look = |name: &String| subject(name, &device::kernel_name(name), measured).unwrap_or_else(|| unseen(name));
    Ok(named.iter().map(look).collect())
}

/// `None` for a device that is not there at both ends of the interval.
fn subject(name: &str, device: &str, measured: &Measured<Devices>) -> Option<Subject> {
    let (before, after) = (measured.before.get(device)?, measured.after.get(device)?);
    Some(describe(name, &after.since(before), measured.over))
}

fn describe(name: &str, spent: &Counters, over: Duration) -> Subject {
    let seconds = over.as_secs_f64();
    let mut subject = Subject::new(name);
    let percent = (spent.busy.as_secs_f64() / seconds * 100.0).min(100.0);
    subject.set("busy", Value::percent(percent));
    let latencies = [
        ("latency", spent.reads + spent.writes, spent.reading + spent.writing),
        ("read_latency", spent.reads, spent.reading),
        ("write_latency", spent.writes, spent.writing),
    ];
    for (fact, requests, time) in latencies {
        if requests == 0 {
            subject.inapplicable.push(fact.to_owned());
        } else {
            let average = time.as_secs_f64() / requests as f64;
            subject.set(fact, Value::Number(Quantity::seconds(average)));
        }
    }
    subject.set("queue", Value::Number(Quantity::count(spent.waiting.as_secs_f64() / seconds)));
    for (fact, requests) in [("reads", spent.reads), ("writes", spent.writes)] {
        subject.set(fact, Value::Number(Quantity::per_second(requests as f64 / seconds)));
    }
    for (fact, bytes) in [("read_rate", spent.read), ("write_rate", spent.written)] {
        subject.set(fact, Value::Number(Quantity::bytes_per_second(bytes as f64 / seconds)));
    }
    subject
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(spent: Counters) -> Subject {
        describe("sda", &spent, Duration::from_secs(2))
    }

    #[test]
    fn shares_rates_and_averages_are_those_of_the_interval() {
        let ms = Duration::from_millis;
        let spent = Counters {
            reads: 100,
            read: 1 << 20,
            reading: ms(500),
            writes: 300,
            written: 4 << 20,
            writing: ms(1500),
            busy: ms(1000),
            waiting: ms(3000),
        };
        let seen = facts(spent);
        let shown: Vec<String> = seen.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
        assert_eq!(
            shown,
            [
                "busy 50 %",
                "latency 5 ms",
                "read_latency 5 ms",
                "write_latency 5 ms",
                "queue 1.5",
                "reads 50/s",
                "writes 150/s",
                "read_rate 512 KiB/s",
                "write_rate 2 MiB/s"
            ]
        );
    }

    #[test]
    fn a_disk_that_did_nothing_has_no_latency_and_is_not_fast() {
        let seen = facts(Counters::default());
        assert!(!seen.facts.contains_key("latency"), "{seen:?}");
        assert_eq!(seen.inapplicable, ["latency", "read_latency", "write_latency"]);
    }
}
