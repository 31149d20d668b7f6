//! Load of this machine: the averages of its run queue.

use std::fs;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::unit::Quantity;
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "load",
    about: "load averages of this machine, for each core too. What work waits for is told by `pressure`",
    inputs: &[],
    facts: &[
        FactSpec::new("one", FactType::Count, "tasks that run or wait for the disk, averaged over one minute"),
        FactSpec::new("five", FactType::Count, "the same over five minutes"),
        FactSpec::new("fifteen", FactType::Count, "the same over fifteen minutes"),
        FactSpec::new("per_core_one", FactType::Count, "`one` for each core: above 1, work has to wait"),
        FactSpec::new("per_core_five", FactType::Count, "`five` for each core"),
        FactSpec::new("per_core_fifteen", FactType::Count, "`fifteen` for each core"),
        FactSpec::new("cores", FactType::Count, "processors that are switched on, hyper-threads included"),
        FactSpec::new("running", FactType::Count, "tasks that run or want to run at this moment"),
    ],
    example: include_str!("../../examples/probes/load.yaml"),
    limit: std::time::Duration::from_secs(30),
    build: |_| Ok(Arc::new(Load)),
};

const LOADAVG: &str = "/proc/loadavg";
const ONLINE: &str = "/sys/devices/system/cpu/online";

#[derive(Debug)]
struct Load;

impl Probe for Load {
    fn target(&self) -> String {
        "load of this machine".to_owned()
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(cx.blocking(|| {
            let text = fs::read_to_string(LOADAVG).map_err(|error| ProbeError::io(LOADAVG, &error))?;
            let subject = averages(&text, cores())
                .ok_or_else(|| ProbeError::new("bad_answer", format!("{LOADAVG} holds `{}`", text.trim())))?;
            Ok(subject.into())
        }))
    }
}

/// `0.20 0.18 0.12 1/80 11206`
fn averages(loadavg: &str, cores: Option<u32>) -> Option<Subject> {
    let mut words = loadavg.split_whitespace();
    let mut subject = Subject::new("load");
    let mut numbers = Vec::with_capacity(3);
    for name in ["one", "five", "fifteen"] {
        let number: f64 = words.next()?.parse().ok()?;
        subject.set(name, Value::Number(Quantity::count(number)));
        numbers.push((name, number));
    }
    if let Some(cores) = cores {
        for (name, number) in numbers {
            let share = number / f64::from(cores);
            subject.set(format!("per_core_{name}"), Value::Number(Quantity::count(share)));
        }
        subject.set("cores", Value::count(cores.into()));
    }
    let (running, _) = words.next()?.split_once('/')?;
    subject.set("running", Value::count(running.parse().ok()?));
    Some(subject)
}

/// The cores of the machine, to which its load belongs, not those that opsctl itself may use.
fn cores() -> Option<u32> {
    let listed = fs::read_to_string(ONLINE).ok().and_then(|text| count_listed(text.trim()));
    listed.or_else(|| u32::try_from(std::thread::available_parallelism().ok()?.get()).ok())
}

/// How many numbers a list such as `0-3,8,10-11` names.
fn count_listed(list: &str) -> Option<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    list.split(',').map(range).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_divided_by_the_cores() {
        let subject = averages("3.00 1.90 0.50 2/345 678\n", Some(2)).expect("a load");
        assert_eq!(subject.facts["per_core_one"], Value::Number(Quantity::count(1.5)));
        assert_eq!(subject.facts["five"], Value::Number(Quantity::count(1.9)));
        assert_eq!(subject.facts["running"], Value::count(2));
    }

    #[test]
    fn without_a_number_of_cores_nothing_is_divided() {
        let subject = averages("3.00 1.90 0.50 2/345 678\n", None).expect("a load");
        assert_eq!(subject.facts.keys().collect::<Vec<_>>(), ["one", "five", "fifteen", "running"]);
        assert_eq!(averages("3.00 1.90", None), None);
    }

    #[test]
    fn lists_of_cores_are_counted() {
        assert_eq!(count_listed("0-3,8,10-11"), Some(7));
        assert_eq!(count_listed("0"), Some(1));
        assert_eq!(count_listed(""), None);
    }
}
