//! Memory and swap of this machine, from `/proc/meminfo`.

use std::fs;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Context, Kind, Probe, ProbeError, group};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::unit::Quantity;
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "memory",
    about: "memory and swap of this machine",
    inputs: &[],
    facts: &[
        FactSpec::new("total", FactType::Size, "memory that the kernel manages"),
        FactSpec::new(
            "available",
            FactType::SizeShare,
            "what programs can still take without swapping, caches that can be given up included; the kernel's \
             estimate `MemAvailable`",
        ),
        FactSpec::new("used", FactType::SizeShare, "total less available"),
        FactSpec::new("swap_total", FactType::Size, "0 B on a machine without swap"),
        FactSpec::new("swap_used", FactType::SizeShare, "missing when there is no swap"),
        FactSpec::new("swap_free", FactType::SizeShare, "missing when there is no swap"),
    ],
    example: include_str!("../../examples/probes/memory.yaml"),
    limit: std::time::Duration::from_secs(30),
    build: |_| Ok(Arc::new(Memory)),
};

const MEMINFO: &str = "/proc/meminfo";

#[derive(Debug)]
struct Memory;

impl Probe for Memory {
    fn target(&self) -> String {
        "memory of this machine".to_owned()
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(cx.blocking(|| {
            let text = fs::read_to_string(MEMINFO).map_err(|error| ProbeError::io(MEMINFO, &error))?;
            let mut subject = describe(&text)
                .ok_or_else(|| ProbeError::new("bad_answer", format!("{MEMINFO} has no line `MemTotal`")))?;
            let limits = group::limits("memory.max");
            note_limit(&mut subject, limits.iter().filter_map(|limit| limit.parse().ok()).min());
            Ok(subject.into())
        }))
    }
}

/// The facts; `None` when the text is not that of `/proc/meminfo`.
fn describe(meminfo: &str) -> Option<Subject> {
    let bytes = |name: &str| {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        rest.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
    };
    let total = bytes("MemTotal")?;
    let mut subject = Subject::new("memory").with("total", Value::bytes(total));
    if let Some(available) = bytes("MemAvailable") {
        subject.set("available", Value::share(available, total));
        subject.set("used", Value::share(total.saturating_sub(available), total));
    }
    if let (Some(swap), Some(free)) = (bytes("SwapTotal"), bytes("SwapFree")) {
        subject.set("swap_total", Value::bytes(swap));
        if swap == 0 {
            subject.note("this machine has no swap");
        } else {
            subject.set("swap_used", Value::share(swap.saturating_sub(free), swap));
            subject.set("swap_free", Value::share(free, swap));
        }
    }
    Some(subject)
}

/// The numbers stay those of the machine: a limit of the control group is no fact about it.
fn note_limit(subject: &mut Subject, limit: Option<u64>) {
    let Some(limit) = limit.map(Quantity::bytes) else { return };
    let total = subject.facts.get("total").and_then(Value::history_number);
    if total.is_some_and(|total| limit.amount() < total.amount()) {
        subject.note(format!(
            "opsctl itself may take {} only (control group); the numbers are those of the machine",
            limit.rounded()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHOUT_SWAP: &str =
        "MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  250 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n";

    #[test]
    fn a_machine_without_swap_has_no_used_swap() {
        let subject = describe(WITHOUT_SWAP).expect("memory");
        assert_eq!(subject.facts["available"], Value::share(250 * 1024, 1000 * 1024));
        assert_eq!(subject.facts["used"], Value::share(750 * 1024, 1000 * 1024));
        assert_eq!(subject.facts["swap_total"], Value::bytes(0));
        assert!(!subject.facts.contains_key("swap_used") && !subject.facts.contains_key("swap_free"));
    }

    #[test]
    fn a_kernel_that_does_not_say_what_is_available_leaves_the_fact_out() {
        let subject = describe("MemTotal: 1000 kB\nMemFree: 100 kB\n").expect("memory");
        assert_eq!(subject.facts.keys().collect::<Vec<_>>(), ["total"]);
        assert_eq!(describe("no meminfo"), None);
    }

    #[test]
    fn a_limit_of_the_control_group_is_noted_where_it_is_tighter() {
        let mut subject = describe(WITHOUT_SWAP).expect("memory");
        note_limit(&mut subject, Some(524_288));
        assert!(subject.notes.iter().any(|note| note.contains("512 KiB")), "{:?}", subject.notes);
        let before = subject.notes.len();
        note_limit(&mut subject, Some(4 << 30));
        assert_eq!(subject.notes.len(), before);
    }
}
