//! A file system that hangs, as that of a dead file server does.

use super::{SMALL, measured, outcomes, steps};
use crate::support::again::with_own_mounts;
use crate::support::case::Case;
use crate::support::fuse::Fuse;

#[test]
fn a_file_system_that_hangs_costs_each_step_its_own_time_and_the_run_ends() {
    with_own_mounts(|| {
        let all = [
            ("file", "{ file: { path: point/a } }", "{ exists: true }"),
            ("glob", "{ file: { path: 'point/*' } }", "{ count: 1 }"),
            ("log", "{ log: { file: point/app.log, match: error } }", "{ matches: 0 }"),
            ("logs", "{ log: { file: 'point/*.log', match: error } }", "{ matches: 0 }"),
            ("backup", "{ backup: { file: point/a.sql.gz } }", "{ intact: true }"),
            ("backups", "{ backup: { folder: point, name: 'a_%Y%m%d.sql' } }", "{ gaps: 0 }"),
            ("disk", "{ disk: { path: point } }", "{ free: above 1% }"),
            ("certificate", "{ certificate: { file: point/tls.pem } }", "{ trusted: true }"),
            ("metric", "{ metric: { exposition: point/metrics, query: up } }", "{ value: 1 }"),
            ("ca", "{ http: { url: 'https://127.0.0.1:1', ca: point/ca.pem } }", "{ status: 200 }"),
            ("command", "{ command: { run: [cat, point/a] } }", "{ exit: 0 }"),
            ("elsewhere", "{ file: { path: here } }", "{ exists: true }"),
        ];
        let case = Case::new("hanging").site("").procedure("daily/hanging.yaml", &steps(&all)).file("here", "");
        let case = case.file("source/a", "a").file("source/app.log", "error\n");
        std::fs::create_dir(case.path("point")).expect("a folder");
        let fuse = Fuse::mount(&case.path("source").to_string_lossy(), &case.path("point").to_string_lossy());
        fuse.stop();

        let (ran, peak) = measured(&case, "opsctl daily hanging --format json");
        let expected = all.map(|(id, ..)| format!("{id} {}", if id == "elsewhere" { "passed" } else { "errored" }));
        assert_eq!(outcomes(&ran), expected, "{ran}");
        assert!(peak < SMALL, "{peak} MiB");
        ran.exits(3);
        // It is on record as well, with what was not seen.
        case.run(["show", "last"]).exits(0).says("11 of 12 steps errored").says("took longer than 1 s");
    });
}

#[test]
fn a_file_system_whose_server_is_gone_is_an_error_and_not_an_empty_folder() {
    with_own_mounts(|| {
        let all = [
            ("glob", "{ file: { path: 'point/*' } }", "{ count: 0 }"),
            ("logs", "{ log: { file: 'point/*.log', match: error } }", "{ matches: 0 }"),
            ("backups", "{ backup: { folder: point, name: 'a_%Y%m%d.sql' } }", "{ exists: false }"),
            ("file", "{ file: { path: point/a } }", "{ exists: false }"),
        ];
        let case = Case::new("gone").site("").procedure("daily/gone.yaml", &steps(&all)).file("source/a", "a");
        std::fs::create_dir(case.path("point")).expect("a folder");
        drop(Fuse::mount(&case.path("source").to_string_lossy(), &case.path("point").to_string_lossy()));

        let ran = case.run(["daily", "gone", "--format", "json"]);
        assert_eq!(outcomes(&ran), all.map(|(id, ..)| format!("{id} errored")), "{ran}");
        case.run(["show", "last"]).exits(0).says("Transport endpoint is not connected");
    });
}
