//! Pressure stall information: how long work waits because a resource is short, from `/proc/pressure`.

use std::fs;
use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "pressure",
    about: "how long work on this machine waits because processors, disks or memory are short (PSI), one result each. \
            Unlike the load it tells what is short. It does not apply where the kernel does not measure it",
    inputs: &[InputSpec {
        name: "resource",
        ty: InputType::Texts,
        need: Need::Optional,
        about: "`cpu`, `io` or `memory`, or a list of them; all three when left out",
    }],
    facts: FACTS,
    example: include_str!("../../examples/probes/pressure.yaml"),
    limit: std::time::Duration::from_secs(30),
    build,
};

const FACTS: &[FactSpec] = &[
    FactSpec::new("some_avg10", FactType::Percent, "share of the last 10 seconds in which some task waited"),
    FactSpec::new("some_avg60", FactType::Percent, "the same over one minute"),
    FactSpec::new("some_avg300", FactType::Percent, "the same over five minutes"),
    FactSpec::new(
        "full_avg10",
        FactType::Percent,
        "share of the last 10 seconds in which nothing went on, since all tasks waited. Nothing is expected of it for \
         `cpu`, where one task always runs",
    ),
    FactSpec::new("full_avg60", FactType::Percent, "the same over one minute"),
    FactSpec::new("full_avg300", FactType::Percent, "the same over five minutes"),
];

const RESOURCES: [&str; 3] = ["cpu", "io", "memory"];

#[derive(Debug)]
struct Pressure {
    resources: Vec<String>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let mut resources = inputs.texts("resource").to_vec();
    if let Some(unknown) = resources.iter().find(|name| !RESOURCES.contains(&name.as_str())) {
        let message = format!("the kernel does not measure the pressure on `{unknown}`");
        return Err(InputError::new("resource", message, "write `cpu`, `io` or `memory`"));
    }
    if resources.is_empty() {
        resources = RESOURCES.map(str::to_owned).to_vec();
    }
    Ok(Arc::new(Pressure { resources }))
}

impl Probe for Pressure {
    fn target(&self) -> String {
        format!("pressure on {}", self.resources.join(", "))
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        let resources = self.resources.clone();
        Box::pin(cx.blocking(move || {
            let look = |resource: &String| {
                let path = format!("/proc/pressure/{resource}");
                match fs::read_to_string(&path) {
                    Ok(text) => describe(resource, &text)
                        .unwrap_or_else(|| Subject::unseen(resource, format!("{path} holds `{}`", text.trim()))),
                    Err(error) if is_unmeasured(&error) => unmeasured(resource),
                    Err(error) => Subject::unseen(resource, ProbeError::io(path, &error).message),
                }
            };
            Ok(Observation { subjects: resources.iter().map(look).collect(), evidence: Vec::new() })
        }))
    }
}

/// Built without it, or started without it (`psi=0`).
fn is_unmeasured(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error())
}

fn unmeasured(resource: &str) -> Subject {
    let mut subject = Subject::new(resource);
    subject.inapplicable = FACTS.iter().map(|fact| fact.name.to_owned()).collect();
    subject.note("this kernel does not measure pressure; one that can do so does when it is started with `psi=1`");
    subject
}

/// `some avg10=2.08 avg60=1.53 avg300=0.79 total=16225016`, and the same for `full`.
fn describe(resource: &str, text: &str) -> Option<Subject> {
    let mut subject = Subject::new(resource);
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let kind = words.next()?;
        // Of the whole machine it means nothing, and newer kernels write zeros.
        if kind == "full" && resource == "cpu" {
            continue;
        }
        for word in words.filter(|word| word.starts_with("avg")) {
            let (name, percent) = word.split_once('=')?;
            subject.set(format!("{kind}_{name}"), Value::percent(percent.parse().ok()?));
        }
    }
    if resource == "cpu" {
        let full = FACTS.iter().map(|fact| fact.name).filter(|name| name.starts_with("full"));
        subject.inapplicable = full.map(str::to_owned).collect();
    }
    subject.facts.contains_key("some_avg10").then_some(subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "some avg10=2.08 avg60=1.50 avg300=0.70 total=1\nfull avg10=9.00 avg60=8.00 avg300=7.00 total=0\n";

    #[test]
    fn some_and_full_are_told_apart() {
        let subject = describe("io", TEXT).expect("a subject");
        let expected = [2.08, 1.5, 0.7, 9.0, 8.0, 7.0].map(Value::percent);
        assert_eq!(subject.facts.values().cloned().collect::<Vec<_>>(), expected);
        assert_eq!(subject.facts.keys().collect::<Vec<_>>(), FACTS.iter().map(|fact| fact.name).collect::<Vec<_>>());
        assert_eq!(describe("io", "nothing of the kind\n"), None);
    }

    #[test]
    fn nothing_is_expected_of_full_pressure_on_processors() {
        let subject = describe("cpu", TEXT).expect("a subject");
        assert_eq!(subject.facts.len(), 3);
        assert_eq!(subject.inapplicable, ["full_avg10", "full_avg60", "full_avg300"]);
    }

    #[test]
    fn nothing_is_expected_where_the_kernel_does_not_measure_it() {
        assert!(is_unmeasured(&io::Error::from_raw_os_error(rustix::io::Errno::OPNOTSUPP.raw_os_error())));
        let subject = unmeasured("memory");
        assert_eq!((subject.facts.len(), subject.inapplicable.len(), subject.error), (0, FACTS.len(), None));
    }
}
