//! A clock that somebody sets while the program is at work.

use super::outcomes;
use crate::support::case::Case;

/// Between one step and the next the clock is set by what stands for JUMP.
const YAML: &str = "\
title: Jumping
steps:
- id: before
  title: Before the jump
  probe: { file: { path: / } }
  expect: { type: folder }
- id: jump
  title: The clock is set
  needs: [before]
  probe: { command: { shell: \"echo JUMP > clock && date +%Y > year\" } }
  expect: { exit: 0 }
- id: after
  title: After the jump
  needs: [jump]
  probe: { command: { run: [sleep, '0.1'] } }
  expect: { exit: 0, took: 0s..1h }
";

/// The library that tells a program another time than that of the machine.
fn other_clock() -> String {
    let folders = std::fs::read_dir("/usr/lib").expect("a folder").flatten();
    let libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let found = libraries.into_iter().find(|path| path.is_file());
    found.expect("libfaketime of the package of this name").display().to_string()
}

#[test]
fn a_clock_that_is_set_during_a_run_changes_no_outcome_no_duration_and_no_record() {
    for (jump, took) in [("-1500d", "back"), ("+1500d", "ahead")] {
        let case = Case::new(took).site("").procedure("daily/jump.yaml", &YAML.replace("JUMP", jump));
        let case = case.file("clock", "+0s\n");
        let clock = case.path("clock").display().to_string();
        let case = case
            .env("LD_PRELOAD", &other_clock())
            .env("FAKETIME_TIMESTAMP_FILE", &clock)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        for _ in 0..2 {
            let ran = case.run(["daily", "jump", "--format", "json"]);
            assert_eq!(outcomes(&ran), ["before passed", "jump passed", "after passed"], "{jump}: {ran}");
            let took = ran.json()["took_ms"].as_f64().expect("a number");
            assert!((0.0..3_600_000.0).contains(&took), "{jump}: {took} ms");
            std::fs::write(&clock, "+0s\n").expect("a file");
        }
        let year = std::fs::read_to_string(case.path("year")).expect("a year");
        let now = chrono::Utc::now().format("%Y").to_string();
        assert_ne!(year.trim(), now, "the clock was not set");
        case.run(["history"]).exits(0).prints_on_stderr("");
        case.run(["journal", "verify"]).exits(0).says("events of 2 runs");
    }
}
