//! The kernel's own log (`dmesg`): what it tells of memory, disks, hardware and of itself.

pub(crate) mod message;
mod ring;
mod trouble;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use self::message::Message;
use self::trouble::Trouble;
use super::interval::Growth;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::pattern::Pattern;
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "kernel",
    about: "the kernel's own log (`dmesg`), which most machines let only root read: lines by what they tell of, each \
            counted once, within a window. The newest lines that were counted are kept as evidence",
    inputs: &[
        InputSpec {
            name: "since",
            ty: InputType::Duration,
            need: Need::Default("24h"),
            about: "how far back to look. The log begins with the machine, and forgets its oldest lines when it is full",
        },
        InputSpec {
            name: "match",
            ty: InputType::Patterns,
            need: Need::Optional,
            about: "a regular expression, or a list of them, for lines that matter here besides; they are `matches`",
        },
        InputSpec {
            name: "except",
            ty: InputType::Patterns,
            need: Need::Optional,
            about: "lines that are known and accepted; they are not counted anywhere",
        },
    ],
    facts: FACTS,
    example: include_str!("../../examples/probes/kernel.yaml"),
    limit: Duration::from_secs(30),
    build,
};

const FACTS: &[FactSpec] = &[
    FactSpec::new("oom_kills", FactType::Count, "processes that the kernel killed since memory was short"),
    FactSpec::new("io_errors", FactType::Count, "lines about disks that could not be read or written"),
    FactSpec::new("filesystem_errors", FactType::Count, "lines about file systems that are damaged, or made read-only"),
    FactSpec::new(
        "hardware_errors",
        FactType::Count,
        "lines about processors, memory and buses: machine checks (MCE), ECC, PCIe, overheating",
    ),
    FactSpec::new("hung_tasks", FactType::Count, "lines about tasks that did not go on for minutes, and about lockups"),
    FactSpec::new("oopses", FactType::Count, "lines about failures of the kernel itself: BUG, Oops, panic"),
    FactSpec::new("segfaults", FactType::Count, "programs that ended by touching memory that is not theirs"),
    FactSpec::new("errors", FactType::Count, "lines with the priority error or a worse one, whatever they tell of"),
    FactSpec::new("warnings", FactType::Count, "lines with the priority warning"),
    FactSpec::new("matches", FactType::Count, "lines that `match` finds; missing without it"),
    FactSpec::new(
        "reach",
        FactType::Duration,
        "how far back the log reaches; less than `since` where older lines were forgotten or the machine was started",
    ),
    FactSpec::new(
        "oom_kills_since_start",
        FactType::Count,
        "the kernel's own count since the machine started, which every user may read",
    ),
    FactSpec::recent("recent_oom_kills", FactType::Count, "how many of them since the newest earlier run"),
    FactSpec::new(
        "readable",
        FactType::Bool,
        "the log may be read; if not, a step that names facts of the log cannot tell",
    ),
];

/// Facts that are known whether the log can be read or not.
const KNOWN: [&str; 3] = ["oom_kills_since_start", "recent_oom_kills", "readable"];

/// How many lines are shown as evidence.
const SHOWN: usize = 30;

#[derive(Clone, Debug)]
struct Kernel {
    since: Duration,
    wanted: Vec<Pattern>,
    except: Vec<Pattern>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let patterns = |input: &'static str| {
        let pattern = |text: &String| {
            Pattern::new(text).map_err(|reason| {
                let message = format!("`{text}` is not a regular expression: {reason}");
                InputError::new(input, message, "test it with `grep -P`, and quote it with '...' in YAML")
            })
        };
        inputs.texts(input).iter().map(pattern).collect::<Result<Vec<_>, _>>()
    };
    Ok(Arc::new(Kernel {
        since: inputs.duration("since").unwrap_or_default(),
        wanted: patterns("match")?,
        except: patterns("except")?,
    }))
}

impl Probe for Kernel {
    fn target(&self) -> String {
        "the kernel's log".to_owned()
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(async move {
            let growth = Growth::of(&["oom_kills_since_start"], cx).await?;
            let (kernel, context) = (self.clone(), cx.clone());
            cx.blocking(move || kernel.look(&growth, &context)).await
        })
    }
}

impl Kernel {
    fn look(&self, growth: &Growth, cx: &Context) -> Result<Observation, ProbeError> {
        let mut subject = Subject::new("kernel");
        let mut evidence = Vec::new();
        match ring::read(cx) {
            Ok(messages) => {
                let counted = self.count(&messages, cx.now, &mut subject);
                evidence.extend(shown(&counted, cx));
                subject.set("readable", Value::Bool(true));
            }
            // What was asked for is known all the same; a `gather` asks for nothing.
            Err(error) if cx.asked.iter().all(|fact| KNOWN.contains(&fact.as_str())) => {
                subject.set("readable", Value::Bool(false));
                subject.note(error.message);
            }
            Err(error) => return Err(error),
        }
        let vmstat = fs::read_to_string("/proc/vmstat").unwrap_or_default();
        if let Some(kills) = oom_kills(&vmstat) {
            growth.set(&mut subject, "oom_kills_since_start", "recent_oom_kills", kills);
        }
        Ok(Observation { subjects: vec![subject], evidence })
    }

    /// Sets the facts, and gives back the messages that tell of trouble or that `match` finds.
    fn count<'m>(&self, messages: &'m [Message], now: DateTime<Utc>, subject: &mut Subject) -> Vec<&'m Message> {
        let from = now.checked_sub_signed(TimeDelta::from_std(self.since).unwrap_or(TimeDelta::MAX));
        let from = from.unwrap_or(DateTime::<Utc>::MIN_UTC);
        let finds = |patterns: &[Pattern], text: &str| patterns.iter().any(|pattern| pattern.is_match(text));
        let mut counts = [0_u64; Trouble::ALL.len()];
        let (mut errors, mut warnings, mut matches) = (0, 0, 0);
        let mut counted = Vec::new();
        for message in messages.iter().filter(|message| message.at >= from && !finds(&self.except, &message.text)) {
            let wanted = finds(&self.wanted, &message.text);
            let trouble = if message.is_of_kernel { Trouble::of(&message.text) } else { None };
            let is_error = message.is_of_kernel && message.priority <= message::ERROR;
            matches += u64::from(wanted);
            errors += u64::from(is_error);
            warnings += u64::from(message.is_of_kernel && message.priority == message::WARNING);
            if let Some(trouble) = trouble {
                counts[trouble as usize] += 1;
            }
            if wanted || is_error || trouble.is_some() {
                counted.push(message);
            }
        }
        for trouble in Trouble::ALL {
            subject.set(trouble.fact(), Value::count(counts[trouble as usize]));
        }
        subject.set("errors", Value::count(errors));
        subject.set("warnings", Value::count(warnings));
        if !self.wanted.is_empty() {
            subject.set("matches", Value::count(matches));
        }
        if let Some(oldest) = messages.first() {
            subject.set("reach", Value::duration((now - oldest.at).to_std().unwrap_or_default()));
            // The first line of all has the number 0.
            if oldest.at > from && oldest.number > 0 {
                subject
                    .note("older lines of the window are forgotten: the log is full (`log_buf_len=` makes it larger)");
            }
        }
        counted
    }
}

/// `oom_kill 3`
fn oom_kills(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

fn shown(counted: &[&Message], cx: &Context) -> Option<Evidence> {
    if counted.is_empty() {
        return None;
    }
    let left_out = counted.len().saturating_sub(SHOWN);
    let line = |message: &&Message| {
        let at = message.at.with_timezone(&cx.timezone).format("%Y-%m-%d %H:%M:%S");
        format!("{at} {}", message.text)
    };
    let lines = counted.iter().rev().take(SHOWN).map(line).collect();
    Some(Evidence { left_out: left_out as u64, ..Evidence::new("the kernel's log, newest first", lines) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of real machines, as `/dev/kmsg` has them: an hour, two minutes and one minute before the end.
    const LOG: &str = "\
        5,0,0,-;Linux version 6.1.0\n\
        3,900,1000000,-;Buffer I/O error on dev sdb1, logical block 0, async page read\n\
        4,1000,3480000000,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=java,pid=4711,uid=1000\n\
        3,1001,3480000001,-;Out of memory: Killed process 4711 (java) total-vm:8388608kB, anon-rss:4194304kB\n\
        3,1002,3540000000,-;blk_update_request: I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0\n\
        3,1003,3540000001,-;usb 1-1: device descriptor read/64, error -71\n\
        30,1004,3540000002,-;systemd[1]: I/O error, said by a program\n\
        4,1005,3540000003,-;ACPI: something odd\n SUBSYSTEM=acpi\n";

    fn look(kernel: &Kernel) -> (Subject, Vec<String>) {
        let now = Utc::now();
        let messages = message::parse_all(LOG, now - TimeDelta::hours(1));
        let mut subject = Subject::new("kernel");
        let counted = kernel.count(&messages, now, &mut subject);
        (subject, counted.iter().map(|message| message.text.clone()).collect())
    }

    fn kernel(wanted: &[&str], except: &[&str]) -> Kernel {
        let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(text).expect("a pattern")).collect();
        Kernel { since: Duration::from_mins(30), wanted: patterns(wanted), except: patterns(except) }
    }

    #[test]
    fn lines_are_counted_by_what_they_tell_of_within_the_window() {
        let (seen, counted) = look(&kernel(&[], &[]));
        let count = |fact: &str| seen.facts[fact].to_string();
        let facts = ["oom_kills", "io_errors", "filesystem_errors", "errors", "warnings"];
        assert_eq!(facts.map(count), ["1", "1", "0", "3", "2"]);
        assert!(!seen.facts.contains_key("matches"), "{seen:?}");
        assert_eq!(counted.len(), 3, "the old one, the warnings and the program's are not: {counted:?}");
    }

    #[test]
    fn lines_that_matter_here_are_matches_and_accepted_ones_count_nowhere() {
        let (seen, counted) = look(&kernel(&["ACPI"], &["usb 1-1", "Out of memory"]));
        assert_eq!((&seen.facts["matches"], &seen.facts["errors"]), (&Value::count(1), &Value::count(1)));
        assert_eq!(seen.facts["oom_kills"], Value::count(0));
        assert_eq!(counted.len(), 2, "{counted:?}");
    }

    #[test]
    fn the_kernels_own_count_of_kills_is_found() {
        assert_eq!(oom_kills("pgpgin 1\noom_kill 3\ndrop_slab 0\n"), Some(3));
        assert_eq!(oom_kills("pgpgin 1\n"), None);
    }
}
