//! Folders with more files than anybody meant to keep.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;

use super::{SMALL, measured, outcomes};
use crate::support::again::with_own_mounts;
use crate::support::case::Case;

const MANY: usize = 1_000_000;

/// A million names of one file of 5 bytes, on a file system in memory: links are made much faster than files.
fn fill(folder: &Path) {
    let options = ["-t", "tmpfs", "-o", "nr_inodes=0,size=16m", "tmpfs"];
    let mounted = Command::new("mount").args(options).arg(folder).status().expect("mount is there");
    assert!(mounted.success(), "a tmpfs with as many names as one likes");
    let first = folder.join("job-0.log");
    std::fs::write(&first, "error").expect("a file");
    std::fs::File::options().write(true).mode(0o644).open(&first).expect("a file");
    let halves = [1..MANY / 2, MANY / 2..MANY];
    std::thread::scope(|scope| {
        for half in halves {
            let first = &first;
            scope.spawn(move || {
                for number in half {
                    std::fs::hard_link(first, folder.join(format!("job-{number}.log"))).expect("one more name");
                }
            });
        }
    });
}

#[test]
fn a_million_files_are_counted_or_refused_in_little_memory() {
    with_own_mounts(|| {
        let step = |id: &str, probe: &str, expect: &str| {
            format!("- id: {id}\n  title: The step {id}\n  timeout: 80s\n  probe: {probe}\n  expect: {expect}\n")
        };
        let yaml = "title: Many files\nsteps:\n".to_owned()
            + &step("glob", "{ file: { path: 'many/*.log' } }", &format!("{{ count: {MANY}, total_size: 5000000B }}"))
            + &step("logs", "{ log: { file: 'many/*.log', match: error } }", "{ matches: 0 }")
            + &step("older", "{ log: { file: many/job-0.log, rotated: true, match: error } }", "{ matches: 1 }")
            + &step("backups", "{ backup: { folder: many, name: 'backup_%Y%m%d.sql' } }", "{ exists: false }");
        let case = Case::new("many").site("").procedure("daily/many.yaml", &yaml).file("many/.keep", "");
        fill(&case.path("many"));
        let (ran, peak) = measured(&case, "opsctl daily many --format json");
        assert_eq!(outcomes(&ran), ["glob passed", "logs errored", "older passed", "backups passed"], "{ran}");
        assert!(peak < SMALL, "{peak} MiB");
        let shown = case.run(["show", "last"]).exits(0);
        shown.says("many/*.log stands for more than 1000 files").says("write a narrower pattern");
    });
}

#[test]
fn a_search_through_a_million_files_ends_with_the_time() {
    with_own_mounts(|| {
        let step = |id: &str, probe: &str, expect: &str| {
            format!("- id: {id}\n  title: The step {id}\n  timeout: 20ms\n  probe: {probe}\n  expect: {expect}\n")
        };
        let yaml = "title: Many files\nsteps:\n".to_owned()
            + &step("glob", "{ file: { path: 'many/*.txt' } }", "{ count: 0 }")
            + &step("logs", "{ log: { file: 'many/*.txt', match: error } }", "{ matches: 0 }")
            + &step("deep", "{ log: { file: 'many/**/*.txt', match: error } }", "{ matches: 0 }")
            + &step("backups", "{ backup: { folder: many, name: 'backup_%Y%m%d.sql' } }", "{ exists: false }");
        let case = Case::new("hurry").site("").procedure("daily/hurry.yaml", &yaml).file("many/.keep", "");
        fill(&case.path("many"));
        let (ran, _) = measured(&case, "opsctl daily hurry --format json");
        assert_eq!(outcomes(&ran), ["glob errored", "logs errored", "deep errored", "backups errored"], "{ran}");
        let shown = case.run(["show", "last"]).exits(0);
        shown.says("many  was not searched for files within the time limit").says("time limit of 20 ms");
    });
}
