//! Surroundings that mean no good: whatever they do, the program ends in time, says what it could not see, and stays small.

use std::fs;

use crate::support::case::{Case, Ran};

mod clock;
mod databases;
mod file_systems;
mod folders;
mod limits;
mod processes;

/// Runs a command and writes down how much memory it took at most, in KiB.
const MEASURE: &str = "\
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
";

/// Runs `line` of a shell, which must not hang, and says how many MiB of memory the program took at most.
fn measured(case: &Case, line: &str) -> (Ran, u64) {
    fs::write(case.path("measure.py"), MEASURE).expect("a script");
    let ran = case.run_in_a_shell(&format!("python3 measure.py peak timeout --kill-after=5 100 {line}"));
    assert!(ran.exit != 124 && ran.exit != 137, "{line} hangs: {ran}");
    let peak: u64 = fs::read_to_string(case.path("peak")).expect("a number").parse().expect("a number");
    (ran, peak / 1024)
}

/// A run that does next to nothing takes about 30 MiB; the rest is room for what is read and for threads.
const SMALL: u64 = 150;

/// `id: {probe}` of each step, with what is expected of it, and a time limit of one second.
fn steps(all: &[(&str, &str, &str)]) -> String {
    let step = |(id, probe, expect): &(&str, &str, &str)| {
        format!("- id: {id}\n  title: The step {id}\n  timeout: 1s\n  probe: {probe}\n  expect: {expect}\n")
    };
    format!("title: In bad surroundings\nsteps:\n{}", all.iter().map(step).collect::<String>())
}

/// The outcome of each step, in their order, from a report of the format `json`.
fn outcomes(ran: &Ran) -> Vec<String> {
    let report = ran.json();
    let steps = report["procedures"][0]["steps"].as_array().unwrap_or_else(|| panic!("no steps in {ran}")).clone();
    steps.iter().map(|step| format!("{} {}", step["id"], step["outcome"]).replace('"', "")).collect()
}
