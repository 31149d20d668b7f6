//! A user with less than usual: few files and processes, no terminal, no environment, no working clock.

use std::fmt::Write as _;
use std::fs;

use super::{SMALL, measured, outcomes, steps};
use crate::support::case::Case;

const PASSING: &str = "title: Passing\nsteps:\n- id: here\n  title: The folder is there\n  probe: { file: { path: / } }\n  \
                       expect: { type: folder }\n";

fn passing(name: &str) -> Case {
    Case::new(name).site("vars: { word: short }\n").procedure("daily/passing.yaml", PASSING)
}

/// Forty looks that each need some open files.
fn forty() -> String {
    let mut yaml = "title: Forty\nsteps:\n".to_owned();
    for number in 0..20 {
        write!(
            yaml,
            "- id: command-{number}\n  title: A command\n  probe: {{ command: {{ run: [echo, done] }} }}\n  \
             expect: {{ stdout: done }}\n\
             - id: file-{number}\n  title: A file\n  probe: {{ file: {{ path: '*.yaml', contains: site }} }}\n  \
             expect: {{ count: 1 }}\n"
        )
        .expect("a text");
    }
    yaml
}

#[test]
fn sixty_four_open_files_are_enough_for_forty_looks() {
    let case = Case::new("files").site("").procedure("daily/forty.yaml", &forty());
    let ran = case.run_in_a_shell("ulimit -n 64; exec opsctl daily forty").exits(0);
    ran.says("40 of 40 steps passed").prints_on_stderr("");
}

#[test]
fn too_few_open_files_are_said_and_never_a_pass_nor_a_failure() {
    let case = Case::new("no-files").site("").procedure("daily/forty.yaml", &forty());
    for most in 4..24 {
        let ran = case.run_in_a_shell(&format!("ulimit -n {most}; exec opsctl daily forty"));
        assert!(ran.exit == 0 || ran.exit == 3 || ran.exit == 127, "with {most} files: {ran}");
        assert!(ran.exit == 0 || format!("{ran}").contains("oo many open files"), "with {most} files: {ran}");
        assert!(!ran.stderr.contains("panicked"), "with {most} files: {ran}");
    }
}

#[test]
fn too_few_processes_are_said_and_never_a_pass_nor_a_failure() {
    let case = Case::new("no-processes").site("").procedure("daily/forty.yaml", &forty());
    fs::set_permissions(case.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("our own folder");
    // A user whom nobody else is, so that only what belongs to this test counts.
    for most in 1..8 {
        let user = "setpriv --reuid 54321 --regid 54321 --clear-groups";
        let ran = case.run_in_a_shell(&format!("ulimit -u {most}; exec {user} opsctl daily forty"));
        assert!(ran.exit == 0 || ran.exit == 3, "with {most} processes: {ran}");
        assert!(!ran.stderr.contains("panicked"), "with {most} processes: {ran}");
    }
}

#[test]
fn very_long_arguments_are_taken_or_refused_in_few_words() {
    let case = passing("long");
    let long = "x".repeat(120_000);
    case.run(["daily", "passing", "--set", &format!("word={long}")]).exits(0);
    for arguments in
        [vec![long.as_str()], vec!["daily", &long], vec!["daily", "passing", "--set", &long], vec!["show", &long]]
    {
        let ran = case.run(&arguments).exits(3);
        assert!(ran.stdout.len() + ran.stderr.len() < 4000, "{} {}", ran.stdout.len(), ran.stderr.len());
    }
    let many: Vec<String> = (0..10_000).map(|number| format!("--skip=step-{number}")).collect();
    let ran = case.run(["daily", "passing"].into_iter().chain(many.iter().map(String::as_str))).exits(3);
    assert!(ran.stdout.len() + ran.stderr.len() < 4000, "{} {}", ran.stdout.len(), ran.stderr.len());
}

#[test]
fn a_time_zone_that_does_not_exist_hinders_nobody() {
    for zone in ["Mars/Phobos", ":/dev/zero", "", "../../etc/passwd", "UTC-99:99:99"] {
        passing("zone").env("TZ", zone).run(["daily", "passing"]).exits(0).prints_on_stderr("");
        // Without a site file the zone is that of the machine.
        let bare = Case::new("bare-zone").env("TZ", zone).env("TZDIR", "/nowhere");
        bare.run(["explain", "disk"]).exits(0).prints_on_stderr("");
        bare.run(["history"]).exits(0);
    }
}

#[test]
fn without_any_environment_the_site_of_the_folder_is_checked() {
    let ran = passing("bare").run_in_a_shell("exec env -i $(command -v opsctl) daily passing").exits(0);
    ran.says("PASSED  daily passing").prints_on_stderr("");
}

#[test]
fn closed_input_and_outputs_change_no_exit_status_and_no_file() {
    let case = passing("closed").procedure("daily/failing.yaml", &PASSING.replace("type: folder", "type: file"));
    for (closing, name) in [("<&-", "in"), (">&-", "out"), ("2>&-", "err"), ("<&- >&- 2>&-", "all")] {
        for (procedure, exit) in [("passing", 0), ("failing", 2)] {
            let report = format!("{name}-{procedure}.json");
            case.run_in_a_shell(&format!("exec opsctl daily {procedure} --report json={report} {closing}")).exits(exit);
            let report = fs::read_to_string(case.path(&report)).expect("a report");
            let report: serde_json::Value = serde_json::from_str(&report).expect("nothing but JSON in the file");
            assert_eq!(report["exit"], exit);
        }
    }
    assert_eq!(case.run(["history"]).exits(0).stdout.lines().count(), 8, "and every run is on record");
}

#[test]
fn a_reader_who_takes_his_time_gets_everything() {
    let case = Case::new("slow-reader");
    let all = case.run(["schema"]).exits(0).stdout;
    assert!(all.len() > 128 * 1024, "more than a pipe takes at once");
    let ran = case.run_in_a_shell("opsctl schema | { sleep 1; cat; }").exits(0).prints_on_stderr("");
    assert!(ran.stdout == all, "{} of {} bytes", ran.stdout.len(), all.len());
}

/// Where each kind of probe, and a secret, would read a file.
#[test]
fn a_device_or_a_pipe_in_place_of_a_file_takes_neither_time_nor_memory() {
    let kinds = |path: &str| {
        [
            ("log", format!("{{ log: {{ file: {path}, match: error }} }}"), "{ matches: 0 }"),
            ("backup", format!("{{ backup: {{ file: {path} }} }}"), "{ intact: true }"),
            ("certificate", format!("{{ certificate: {{ file: {path} }} }}"), "{ trusted: true }"),
            ("key", format!("{{ certificate: {{ file: /etc/hostname, key: {path} }} }}"), "{ trusted: true }"),
            ("ca", format!("{{ http: {{ url: 'https://127.0.0.1:1', ca: {path} }} }}"), "{ status: 200 }"),
            ("metric", format!("{{ metric: {{ exposition: {path}, query: up }} }}"), "{ value: 1 }"),
            ("scan", format!("{{ vulnerability: {{ file: {path} }} }}"), "{ total: 0 }"),
            ("compose", format!("{{ compose: {{ project: shop, file: {path} }} }}"), "{ complete: true }"),
            ("content", format!("{{ file: {{ path: {path}, contains: x }} }}"), "{ contains: true }"),
            ("secret", format!("{{ command: {{ run: [env], env: {{ WORD: {{ file: {path} }} }} }} }}"), "{ exit: 0 }"),
        ]
    };
    for (name, path) in [("device", "/dev/zero"), ("pipe", "./pipe")] {
        let all = kinds(path);
        let yaml = steps(&all.each_ref().map(|(id, probe, expect)| (*id, probe.as_str(), *expect)));
        let case = Case::new(name).site("").procedure("daily/endless.yaml", &yaml);
        case.run_in_a_shell("exec mkfifo pipe").exits(0);
        let (ran, peak) = measured(&case, "opsctl daily endless --format json");
        assert_eq!(outcomes(&ran), all.each_ref().map(|(id, ..)| format!("{id} errored")), "{ran}");
        assert!(peak < SMALL, "{peak} MiB");
    }
}

#[test]
fn a_secret_without_end_is_no_secret() {
    let step = "{ command: { run: [env], env: { WORD: { command: [sh, -c, \"yes | tr -d '\\\\n'\"] } } } }";
    let case = Case::new("endless").site("").procedure("daily/endless.yaml", &steps(&[("env", step, "{ exit: 0 }")]));
    let (ran, peak) = measured(&case, "opsctl daily endless --format json");
    assert_eq!(outcomes(&ran), ["env errored"], "{ran}");
    assert!(peak < SMALL, "{peak} MiB");
}
