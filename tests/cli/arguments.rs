//! Arguments: what is asked for is found, what is misspelled is named, help always comes.

use super::both;
use crate::support::case::Case;

#[test]
fn a_mistake_in_the_arguments_is_3_and_names_the_nearest_right_word() {
    let case = both("mistakes");
    for (args, hint) in [
        (&["daly", "check"][..], "a similar subcommand exists: 'daily'"),
        (&["daily", "chek"], "a similar subcommand exists: 'check'"),
        (&["daily", "bth"], "a similar subcommand exists: 'both'"),
        (&["daily", "check", "--frmat", "json"], "a similar argument exists: '--format'"),
        (&["daily", "check", "--format", "jsn"], "did you mean `json`? The formats are human, plain, json"),
        (&["daily", "check", "--report", "jsn=x"], "did you mean `json`? The formats are human, plain, json"),
        (&["daily", "check", "--report", "json"], "help: write --report FORMAT=FILE, such as json=check.json"),
        (&["daily", "check", "--set", "outcome"], "help: write --set name=value"),
        (&["explain", "dsk"], "did you mean `disk`?"),
        (&["explain", "disk.fre"], "did you mean `disk.free`?"),
        (&["explain", "retyr"], "did you mean `retry`?"),
        (&["histroy"], "a similar subcommand exists: 'history'"),
        (&["journal", "verfy"], "a similar subcommand exists: 'verify'"),
    ] {
        case.run(args).exits(3).prints("").says_on_stderr(hint);
    }
}

#[test]
fn nothing_asked_is_answered_with_help_and_3() {
    let ran = Case::new("bare").run([] as [&str; 0]).exits(3).prints("");
    ran.says_on_stderr("Usage: opsctl [OPTIONS] <COMMAND>").says_on_stderr("\n  daily ");
}

#[test]
fn help_and_version_come_on_standard_output_with_0() {
    let case = both("help");
    for args in [&["--help"][..], &["-h"], &["help"], &["daily", "--help"], &["daily", "-h"], &["help", "daily"]] {
        case.run(args).exits(0).prints_on_stderr("").says("Usage: opsctl").says("\n  help ");
    }
    case.run(["--help"]).says("\n  daily        both\n");
    case.run(["help", "daily", "both"]).exits(0).says("Purpose   Show each outcome.\n");
    case.run(["--version"]).exits(0).prints(&format!("opsctl {}\n", env!("CARGO_PKG_VERSION")));
    case.run(["-V"]).exits(0).says("opsctl ");
}

#[test]
fn help_comes_beside_what_is_wrong_with_the_site_file() {
    let case = Case::new("broken").file("opsctl.yaml", "sites: x\n");
    for args in [&["--help"][..], &["help"]] {
        case.run(args).exits(0).says("\n  lint ").says_on_stderr("opsctl.yaml:1:1");
    }
    case.run(["lint", "--help"]).exits(0).prints_on_stderr("").says("Usage: opsctl lint");
    case.run(["explain", "disk"]).exits(0).prints_on_stderr("");
}

#[test]
fn the_help_of_a_procedure_with_mistakes_shows_them() {
    let case = Case::new("mistaken").site("").procedure("daily/bad.yaml", "title: Bad\nsteps: 3\n");
    case.run(["daily", "bad", "--help"]).exits(0).says("pack/daily/bad.yaml:2").says("It does not run like this.");
}

#[test]
fn completions_know_the_groups_and_procedures_of_the_site() {
    let case = both("completions");
    for shell in ["bash", "zsh", "fish"] {
        case.run(["completions", shell]).exits(0).prints_on_stderr("").says("daily").says("both").says("check");
    }
    case.run(["completions", "tcsh"]).exits(3).prints("").says_on_stderr("possible values: bash, ");
    let bash = case.run(["completions", "bash"]);
    let case = case.file("completions.bash", &bash.stdout);
    let asked = "source completions.bash; COMP_WORDS=(opsctl daily b); COMP_CWORD=2; _opsctl opsctl b daily; \
                 echo ${COMPREPLY[@]}";
    case.run_in_a_shell(&format!("bash --norc -c '{asked}'")).exits(0).prints("both\n");
}

#[test]
fn the_manual_page_is_one() {
    let ran = both("man").run(["man"]).exits(0).prints_on_stderr("");
    assert!(ran.stdout.lines().any(|line| line.starts_with(".TH opsctl 1")), "{ran}");
    ran.says(".SH NAME").says(".SH SYNOPSIS").says("opsctl\\-daily");
}

#[test]
fn a_group_of_a_pack_that_the_site_does_not_name_is_told_with_its_pack() {
    for words in [&["emergency", "outage"][..], &["emergency"]] {
        let ran = both("elsewhere").run(words).exits(3);
        let ran = ran.says_on_stderr("no pack of this site has `emergency`");
        ran.says_on_stderr("the built-in pack `helpdesk` has it").says_on_stderr("`opsctl drill emergency`");
    }
}
