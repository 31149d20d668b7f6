//! Which files are read, and what is said of those that cannot be.

use super::{BOTH, READY, both};
use crate::support::case::Case;

/// A site file that says its name and has one procedure.
fn site(name: &str, pack: &str) -> String {
    format!("site: {name}\ntimezone: UTC\npacks: [{pack}]\n")
}

fn named(ran: &crate::support::case::Ran) -> String {
    ran.json()["site"].as_str().expect("a name").to_owned()
}

#[test]
fn the_site_file_is_the_first_of_option_environment_folder_and_home() {
    let case = Case::new("lookup").procedure("daily/ready.yaml", READY);
    let pack = case.path("pack").display().to_string();
    let case = case
        .file("option.yaml", site("of-the-option", &pack))
        .file("environment.yaml", site("of-the-environment", &pack))
        .file("opsctl.yaml", site("of-the-folder", &pack))
        .file("home/.config/opsctl/opsctl.yaml", site("of-the-home", &pack));
    let check = ["daily", "ready", "--format", "json"];
    assert_eq!(named(&case.run(check).exits(2)), "of-the-folder");
    let case = case.env("OPSCTL_SITE", "environment.yaml");
    assert_eq!(named(&case.run(check).exits(2)), "of-the-environment");
    for args in [["--site", "option.yaml"].iter().chain(&check), check.iter().chain(&["--site", "option.yaml"])] {
        assert_eq!(named(&case.run(args).exits(2)), "of-the-option");
    }
    assert_eq!(named(&case.run(["--site=option.yaml"].iter().chain(&check)).exits(2)), "of-the-option");

    let case = Case::new("home").procedure("daily/ready.yaml", READY);
    let pack = case.path("pack").display().to_string();
    let case = case.file("home/.config/opsctl/opsctl.yaml", site("of-the-home", &pack));
    assert_eq!(named(&case.run(check).exits(2)), "of-the-home");
}

#[test]
fn without_a_site_file_this_machine_is_checked() {
    let ran = Case::new("none").run(["daily"]).exits(0).prints_on_stderr("");
    ran.says("host-health  never run  This machine\n");
    let case = Case::new("here");
    let ran = case.run(["daily", "check", "--only", "disk-free", "--format", "json"]);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert_eq!((named(&ran), ran.json()["host"].clone()), (host.clone(), host.into()), "{ran}");
    assert!(case.path("home/state/opsctl/journal.db").is_file(), "recorded where the environment says");
}

#[test]
fn a_site_file_that_was_asked_for_must_be_there() {
    let case = both("asked");
    let help = "  help: check the path, or write one with `opsctl init`\n";
    let ran = case.run(["daily", "check", "--site", "no.yaml"]).exits(3).prints("");
    ran.prints_on_stderr(&format!("error: there is no site file no.yaml (--site)\n{help}"));
    let ran = case.env("OPSCTL_SITE", "no.yaml").run(["daily", "check"]).exits(3).prints("");
    ran.prints_on_stderr(&format!("error: there is no site file no.yaml ($OPSCTL_SITE)\n{help}"));
}

#[test]
fn a_broken_site_file_runs_nothing_and_shows_the_place() {
    let case = Case::new("broken").file("opsctl.yaml", "site: test\npack: [./pack]\n");
    let ran = case.run(["daily", "check"]).exits(3).prints("");
    ran.says_on_stderr(" --> opsctl.yaml:2:1\n").says_on_stderr("`packs`").says_on_stderr("; nothing was run\n");
    case.file("opsctl.yaml", "site: [\n").run(["daily", "check"]).exits(3).says_on_stderr("opsctl.yaml:");
}

#[test]
fn a_pack_that_is_not_there_is_named() {
    let case = Case::new("pack").file("opsctl.yaml", "site: test\npacks: [./pakc, hots]\n");
    let ran = case.run(["daily", "check"]).exits(3).prints("");
    ran.says_on_stderr("cannot read the pack pakc").says_on_stderr("there is no built-in pack `hots`");
}

#[test]
fn variables_of_the_command_line_win_and_unknown_ones_are_refused() {
    let case = both("variables");
    case.run(["daily", "both"]).exits(0).says("stdout passed");
    case.run(["daily", "both", "--set", "outcome=warned", "--set", "outcome=fine"]).exits(0).says("stdout fine");
    let case = case.procedure("daily/both.yaml", &BOTH.replace("{{ outcome }}", "{{ outcom }}"));
    let ran = case.run(["daily", "both"]).exits(3).prints("");
    ran.says_on_stderr("pack/daily/both.yaml:12:37").says_on_stderr("did you mean `outcome`?");
}

#[test]
fn all_mistakes_of_all_files_come_at_once_and_nothing_runs() {
    let marker = "    probe: { command: { shell: touch ran } }\n    expect: { exit: 0 }\n";
    let one = READY.replace("exists: true", "exist: true");
    let two = READY.replace("file:", "fiel:");
    let case = Case::new("mistakes")
        .site("")
        .procedure("daily/a.yaml", &one)
        .procedure("daily/b.yaml", &two)
        .procedure("daily/c.yaml", &format!("title: C\nsteps:\n  - id: c\n    title: C\n{marker}"));
    for args in [&["daily", "check"][..], &["lint"]] {
        let ran = case.run(args).exits(3).prints("");
        ran.says_on_stderr(" --> pack/daily/a.yaml:6:")
            .says_on_stderr("did you mean `exists`?")
            .says_on_stderr(" --> pack/daily/b.yaml:5:")
            .says_on_stderr("did you mean `file`?")
            .says_on_stderr("\n2 errors; nothing was run\n");
    }
    assert!(!case.path("ran").exists());
    case.run(["daily", "c"]).exits(0);
    assert!(case.path("ran").exists(), "the mistakes of others do not keep a procedure from running");
}

#[test]
fn a_file_that_is_no_procedure_is_refused_with_its_name() {
    let large = format!("title: Large\n{}", "# x\n".repeat(512 * 1024));
    for (content, why) in [
        (&b"title: \xff\xfe\n"[..], "pack/daily/bad.yaml is not UTF-8: byte 7 is wrong"),
        (large.as_bytes(), "pack/daily/bad.yaml is larger than 1 MiB"),
        (b"", "pack/daily/bad.yaml"),
    ] {
        let case = Case::new("bad").site("").file("pack/daily/bad.yaml", content);
        case.run(["daily", "bad"]).exits(3).prints("").says_on_stderr(why);
        case.run(["daily"]).exits(0).says("bad  never run  (cannot be read; see `opsctl lint`)\n");
    }
}

#[test]
fn a_file_without_permission_is_refused_with_its_name() {
    let case = both("permission");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(case.path("pack/daily/both.yaml"), mode).unwrap();
    let ran = case.by_nobody().run(["daily", "both"]).exits(3).prints("");
    ran.says_on_stderr("cannot read ").says_on_stderr("pack/daily/both.yaml: Permission denied");
}

#[test]
fn lint_counts_what_it_found_right() {
    let case = both("lint").procedure("daily/ready.yaml", READY);
    case.run(["lint"]).exits(0).prints("2 procedures with 3 steps, nothing wrong ([folder]/opsctl.yaml)\n");
    case.run(["lint", "pack/daily/ready.yaml"]).exits(0).prints("1 procedure, nothing wrong\n");
    case.run(["lint", "pack"]).exits(0).prints("2 procedures, nothing wrong\n");
    case.run(["lint", "home"]).exits(3).prints("").says_on_stderr("no procedures were found");
}

#[test]
fn remarks_are_told_and_only_the_strict_exit_with_1() {
    let site = "vars: { outcome: passed, outcom: failed }\n";
    let case = both("remarks").site(site);
    let ran =
        case.run(["lint"]).exits(0).says("1 procedure with 2 steps, nothing wrong, 1 remark ([folder]/opsctl.yaml)\n");
    ran.says_on_stderr("remark: nothing reads the variable `outcom`\n --> opsctl.yaml:5:26\n");
    case.run(["lint", "--strict"]).exits(1).says("nothing wrong, 1 remark");
    case.run(["daily", "both"]).exits(0).prints_on_stderr("");
    case.site("vars: { outcome: passed }\n").run(["lint", "--strict"]).exits(0).prints_on_stderr("");
}

#[test]
fn a_file_alone_is_looked_at_as_closely_as_in_its_pack() {
    let twice = READY.replace("steps:\n", "schedule: { cron: \"0 9 30 2 *\" }\nsteps:\n");
    let case = both("remark-alone").procedure("daily/ready.yaml", &twice);
    for path in ["pack/daily/ready.yaml", "pack"] {
        case.run(["lint", "--strict", path]).exits(1).says_on_stderr("remark: `0 9 30 2 *` never comes\n");
    }
}

#[test]
fn errors_are_counted_without_the_remarks_beside_them() {
    let tell = "title: Tell\nsteps:\n  - { id: tell, notify: { to: nobody, message: Down } }\n";
    let case =
        both("both-kinds").site("vars: { outcome: passed, outcom: failed }\n").procedure("daily/tell.yaml", tell);
    let ran = case.run(["lint"]).exits(3).prints("");
    ran.says_on_stderr("no role `nobody`")
        .says_on_stderr("remark: nothing reads")
        .says_on_stderr("\n1 error; nothing was run\n");
}
