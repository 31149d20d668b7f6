//! A table of processes that changes while it is read.

use std::process::{Child, Command, Stdio};

use super::{outcomes, steps};
use crate::support::case::Case;

/// Ends with the test.
struct Ended(Child);

impl Ended {
    fn start(command: &[&str]) -> Self {
        let mut words = Command::new("setpriv");
        words.args(["--pdeathsig", "KILL", "--"]).args(command).stdin(Stdio::null()).stdout(Stdio::null());
        Self(words.spawn().expect("setpriv of util-linux"))
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().expect("it is there");
        self.0.wait().expect("it ends");
    }
}

/// Starts processes by the hundred, each of which ends at once, and begins anew.
const CHURN: &str = "while :; do i=0; while [ $i -lt 100 ]; do /bin/true & i=$((i+1)); done; wait; done";

#[test]
fn processes_that_come_and_go_by_the_hundred_hide_no_other_and_are_no_error() {
    let name = format!("steady-{}", std::process::id());
    let all = [
        ("name", format!("{{ process: {{ name: {name} }} }}"), "{ count: 1 }"),
        ("arguments", "{ process: { arguments: '^\\S+ 98765 1$' } }".to_owned(), "{ count: 1 }"),
        ("whole", "{ process: {} }".to_owned(), "{ count: at least 2, open_files: at least 2 }"),
        // Any number of them, in any state: a program that is read in waits for the disk for a moment.
        ("coming", "{ process: { name: 'true' } }".to_owned(), "{ count: at most 200 }"),
        ("ports", "{ port: { number: 1/udp } }".to_owned(), "{ listening: false }"),
        ("cpu", "{ cpu: { interval: 100ms } }".to_owned(), "{ cores: at least 1 }"),
        ("reboot", "{ reboot: {} }".to_owned(), "{ uptime: at least 1ms }"),
    ];
    let yaml = steps(&all.each_ref().map(|(id, probe, expect)| (*id, probe.as_str(), *expect)));
    let case = Case::new("churn").site("").procedure("daily/churn.yaml", &yaml.replace("1s", "30s"));
    let program = case.path(&name);
    std::fs::copy("/bin/sleep", &program).expect("a copy");
    let _steady = Ended::start(&[&program.to_string_lossy(), "98765", "1"]);
    let _churn = Ended::start(&["sh", "-c", CHURN]);
    for _ in 0..5 {
        let ran = case.run(["daily", "churn", "--format", "json"]);
        assert_eq!(outcomes(&ran), all.each_ref().map(|(id, ..)| format!("{id} passed")), "{ran}");
    }
}
