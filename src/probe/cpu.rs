//! What the processors of this machine do over an interval, from `/proc/stat`.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::interval::{INTERVAL, Measured, interval, measure};
use super::process::table::{Process, ProcessTable, Scope};
use super::{Context, Kind, Probe, ProbeError, group};
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::unit::Quantity;
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "cpu",
    about: "what the processors of this machine do over an interval, all of them together: shares of their time. The \
            processes that take most of it are kept as evidence",
    inputs: &[INTERVAL],
    facts: &[
        FactSpec::new("busy", FactType::Percent, "everything but idling and waiting for disks"),
        FactSpec::new("user", FactType::Percent, "in programs, those with a lower priority (nice) included"),
        FactSpec::new("system", FactType::Percent, "in the kernel, on behalf of programs"),
        FactSpec::new("iowait", FactType::Percent, "idle while something waits for a disk"),
        FactSpec::new("irq", FactType::Percent, "in the kernel, on behalf of devices: network cards, disks, timers"),
        FactSpec::new("steal", FactType::Percent, "of a virtual machine: the host ran another one meanwhile"),
        FactSpec::new(
            "busiest_core",
            FactType::Percent,
            "`busy` of the core that was busiest: 100 % while the others idle is a program that uses one core only",
        ),
        FactSpec::new("cores", FactType::Count, "processors that are switched on, hyper-threads included"),
    ],
    example: include_str!("../../examples/probes/cpu.yaml"),
    limit: Duration::from_secs(30),
    build: |inputs| Ok(Arc::new(Cpu { interval: interval(inputs)? })),
};

const STAT: &str = "/proc/stat";

/// How many processes are shown as evidence, and the share of one processor from which on they are.
const SHOWN: usize = 5;
const LEAST_SHOWN: f64 = 1.0;

#[derive(Debug)]
struct Cpu {
    interval: Duration,
}

impl Probe for Cpu {
    fn target(&self) -> String {
        "processors of this machine".to_owned()
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(async move {
            let cancel = cx.cancel.clone();
            let read = move || {
                let text = fs::read_to_string(STAT).map_err(|error| ProbeError::io(STAT, &error))?;
                let times = Times::parse(&text).ok_or_else(|| {
                    ProbeError::new("bad_answer", format!("{STAT} has no line of a core, such as `cpu0`"))
                })?;
                Ok((times, ProcessTable::read(Scope::All, &cancel)?))
            };
            let Measured { before, after, over } = measure(self.interval, cx, read).await?;
            let mut subject = describe(&before.0, &after.0).ok_or_else(|| {
                ProbeError::new("bad_answer", format!("the counters of {STAT} stand still"))
                    .help("measure over a longer `interval`")
            })?;
            note_limit(&mut subject, after.0.cores.len(), &group::limits("cpu.max"));
            let evidence = busiest(&before.1, &after.1, over).into_iter().collect();
            Ok(Observation { subjects: vec![subject], evidence })
        })
    }
}

/// Ticks since the start of the machine, by core, such as `cpu0`. The kernel's line of all of them is left out: it
/// rounds that line and each core's on its own, so that the busiest core could seem less busy than all together.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Times {
    cores: HashMap<String, Ticks>,
}

/// `user nice system idle iowait irq softirq steal`: see `proc_stat(5)`. What guests took is a part of the first two.
type Ticks = [u64; 8];

const USER: usize = 0;
const NICE: usize = 1;
const SYSTEM: usize = 2;
const IOWAIT: usize = 4;
const IRQ: usize = 5;
const SOFTIRQ: usize = 6;
const STEAL: usize = 7;

impl Times {
    pub(crate) fn parse(stat: &str) -> Option<Self> {
        let mut cores = HashMap::new();
        for line in stat.lines().take_while(|line| line.starts_with("cpu")) {
            let mut words = line.split_ascii_whitespace();
            let name = words.next()?;
            let mut ticks = Ticks::default();
            // Old kernels have fewer columns.
            for (tick, word) in ticks.iter_mut().zip(words) {
                *tick = word.parse().ok()?;
            }
            if name != "cpu" {
                cores.insert(name.to_owned(), ticks);
            }
        }
        (!cores.is_empty()).then_some(Self { cores })
    }
}

/// Shares of the time between two readings; some counters may go back a little.
struct Shares {
    spent: Ticks,
    total: u64,
}

impl Shares {
    fn between(before: &Ticks, after: &Ticks) -> Self {
        let spent: Ticks = std::array::from_fn(|column| after[column].saturating_sub(before[column]));
        Self { spent, total: spent.iter().sum() }
    }

    fn together(mut self, other: &Self) -> Self {
        self.spent.iter_mut().zip(other.spent).for_each(|(spent, more)| *spent += more);
        Self { total: self.total + other.total, ..self }
    }

    fn of(&self, columns: &[usize]) -> f64 {
        let spent: u64 = columns.iter().map(|&column| self.spent[column]).sum();
        spent as f64 / self.total as f64 * 100.0
    }

    fn busy(&self) -> f64 {
        self.of(&[USER, NICE, SYSTEM, IRQ, SOFTIRQ, STEAL])
    }
}

/// `None` when no tick went by.
fn describe(before: &Times, after: &Times) -> Option<Subject> {
    let of_core = |(name, ticks)| Some(Shares::between(before.cores.get(name)?, ticks));
    let cores: Vec<Shares> = after.cores.iter().filter_map(of_core).filter(|core| core.total > 0).collect();
    let busiest_core = cores.iter().map(Shares::busy).max_by(f64::total_cmp)?;
    let shares = cores.into_iter().reduce(|all, core| all.together(&core))?;
    let mut subject = Subject::new("cpu").with("busy", Value::percent(shares.busy()));
    let parts: [(&str, &[usize]); 5] = [
        ("user", &[USER, NICE]),
        ("system", &[SYSTEM]),
        ("iowait", &[IOWAIT]),
        ("irq", &[IRQ, SOFTIRQ]),
        ("steal", &[STEAL]),
    ];
    for (name, columns) in parts {
        subject.set(name, Value::percent(shares.of(columns)));
    }
    subject.set("busiest_core", Value::percent(busiest_core));
    subject.set("cores", Value::count(after.cores.len() as u64));
    Some(subject)
}

/// The numbers stay those of the machine: a limit of the control group is no fact about it.
fn note_limit(subject: &mut Subject, cores: usize, limits: &[String]) {
    let processors = |limit: &String| {
        let (quota, period) = limit.split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    };
    let tightest = limits.iter().filter_map(processors).min_by(f64::total_cmp);
    if let Some(tightest) = tightest.filter(|tightest| *tightest < cores as f64) {
        subject.note(format!(
            "opsctl itself may use {} processors only (control group); the numbers are those of the machine",
            Quantity::count(tightest).rounded()
        ));
    }
}

/// The processes that were longest on a processor.
fn busiest(before: &ProcessTable, after: &ProcessTable, over: Duration) -> Option<Evidence> {
    let earlier: HashMap<i32, Duration> =
        before.processes.iter().map(|process| (process.pid, process.busy())).collect();
    let share = |process: &Process| {
        // One that started within the interval has spent all its time there.
        let earlier = earlier.get(&process.pid).copied().unwrap_or_default();
        process.busy().saturating_sub(earlier).as_secs_f64() / over.as_secs_f64() * 100.0
    };
    let mut shares: Vec<(f64, &Process)> = after.processes.iter().map(|process| (share(process), process)).collect();
    shares.retain(|(share, _)| *share >= LEAST_SHOWN);
    shares.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    if shares.is_empty() {
        return None;
    }
    let left_out = shares.len().saturating_sub(SHOWN) as u64;
    let line = |(share, process): &(f64, &Process)| {
        format!("{:>7}  {:>7}  {}", Quantity::percent(*share).rounded(), process.pid, process.names().own())
    };
    let lines = shares.iter().take(SHOWN).map(line).collect();
    Some(Evidence { left_out, ..Evidence::new("of one processor: pid, process", lines) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str =
        "cpu  100 0 100 1000 0 0 0 0 0 0\ncpu0 50 0 50 500 0 0 0 0 0 0\ncpu1 50 0 50 500 0 0 0 0 0 0\n";
    const AFTER: &str = "cpu  140 10 120 1060 40 5 5 20 40 0\ncpu0 90 10 60 500 0 0 0 0 0 0\n\
                         cpu1 50 0 60 560 40 5 5 20 0 0\nintr 1 2 3\n";

    fn share(subject: &Subject, fact: &str) -> f64 {
        let percent = subject.facts[fact].number_in(crate::model::unit::Dimension::Percent);
        percent.unwrap_or_else(|| panic!("no share {fact} in {subject:?}"))
    }

    #[test]
    fn shares_are_those_of_the_interval_and_waiting_for_a_disk_is_not_busy() {
        let times = |text| Times::parse(text).expect("times");
        let subject = describe(&times(BEFORE), &times(AFTER)).expect("a subject");
        for (fact, expected) in
            [("busy", 50.0), ("user", 25.0), ("system", 10.0), ("iowait", 20.0), ("irq", 5.0), ("steal", 10.0)]
        {
            assert_eq!(share(&subject, fact), expected, "{fact}");
        }
        assert_eq!(share(&subject, "busiest_core"), 100.0);
        assert_eq!(subject.facts["cores"], Value::count(2));
    }

    #[test]
    fn the_busiest_core_is_at_least_as_busy_as_all_whatever_the_kernel_rounds() {
        let times = |text| Times::parse(text).expect("times");
        let (before, after) = (times("cpu 0 0 0 0\ncpu0 0 0 0 0\n"), times("cpu 99 0 0 1\ncpu0 98 0 0 2\n"));
        let subject = describe(&before, &after).expect("a subject");
        assert_eq!(share(&subject, "busiest_core"), share(&subject, "busy"));
    }

    #[test]
    fn counters_that_stand_still_say_nothing() {
        let times = Times::parse(BEFORE).expect("times");
        assert_eq!(describe(&times, &times), None);
        assert_eq!(Times::parse("intr 1 2 3\n"), None);
    }

    #[test]
    fn a_limit_of_the_control_group_is_noted_where_it_is_tighter() {
        let mut subject = Subject::new("cpu");
        note_limit(&mut subject, 4, &["max 100000".to_owned(), "400000 100000".to_owned()]);
        assert!(subject.notes.is_empty(), "{:?}", subject.notes);
        note_limit(&mut subject, 4, &["max 100000".to_owned(), "150000 100000".to_owned()]);
        assert!(subject.notes[0].contains("may use 1.5 processors"), "{:?}", subject.notes);
    }
}
