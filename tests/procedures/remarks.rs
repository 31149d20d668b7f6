//! What `opsctl lint` remarks: it can be run, but hardly means what it says.

use opsctl::procedure::diagnostic::{Diagnostics, Severity};
use opsctl::procedure::lint;
use opsctl::procedure::template::Vars;

use super::{Case, assert_says, of_step};

const STEPS: &str = "steps: [{ id: a, gather: { memory: {} } }]\n";

/// All that lint has to say of a site that has no errors.
fn remarks_of(case: &Case) -> Diagnostics {
    let (site, library) = case.library().unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
    let nothing = Vars::new();
    let commands = lint::Commands { library: &library, is_builtin: |command| command == "init" };
    let look = |procedure: opsctl::procedure::document::Procedure| {
        lint::procedure(&procedure, library.vars_of(&procedure.id).unwrap_or(&nothing), Some(&commands))
    };
    let linted = library.vet(library.ids(), &site, look).unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
    let across = lint::across(&site, &library, &linted);
    let mut remarks = Diagnostics::default();
    for linted in linted {
        remarks.extend(linted.remarks);
    }
    remarks.extend(across);
    assert_eq!(remarks.count(Severity::Error), 0);
    remarks
}

/// `line:column message` of each.
fn listed(case: &Case) -> Vec<String> {
    let place = |place: String| {
        place.rsplitn(3, ':').take(2).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join(":")
    };
    remarks_of(case).0.iter().map(|remark| format!("{} {}", place(remark.place()), remark.message)).collect()
}

/// Of a site whose variables are all read.
fn case(procedure: &str) -> Case {
    Case::new().with("opsctl.yaml", "site: test\npacks: [./pack]\n").with("pack/daily/check.yaml", procedure)
}

fn of(procedure: &str) -> Vec<String> {
    listed(&case(procedure))
}

fn of_inputs(kind: &str) -> Vec<String> {
    of(&of_step(&format!("id: a\nprobe: {{ {kind} }}\nexpect: {{ matches: 0 }}")))
}

fn of_command(run: &str) -> Vec<String> {
    of(&of_step(&format!("id: a\ngather: {{ command: {{ run: {run} }} }}")))
}

const NONE: [&str; 0] = [];

#[test]
fn a_remark_says_where_and_what_to_do() {
    let case = case(&format!("title: A\nschedule: {{ cron: '0 9 30 2 *' }}\n{STEPS}"));
    let said = remarks_of(&case).render(false).replace(&format!("{}/", case.path().display()), "");
    assert_says(
        said.trim(),
        r"
remark: `0 9 30 2 *` never comes
 --> pack/daily/check.yaml:2:19
  |
2 | schedule: { cron: '0 9 30 2 *' }
  |                   ^^^^^^^^^^^^
  |
  = help: no year has such a day; correct it
",
    );
}

#[test]
fn a_day_of_the_month_beside_a_day_of_the_week_is_either_or() {
    let with = |cron: &str| of(&format!("title: A\nschedule: {{ cron: '{cron}' }}\n{STEPS}"));
    assert_eq!(
        with("0 9 1-7 * 1"),
        ["2:19 cron takes either of the two: day `1-7` of the month, and day `1` of the week"]
    );
    for right in ["0 9 * * 1", "0 9 1 * *", "0 9 29 2 *", "0 9 */2 * 1"] {
        assert_eq!(with(right), NONE, "{right}");
    }
}

#[test]
fn two_steps_or_procedures_of_one_title_are_remarked() {
    let twice = "title: A
steps:
  - { id: a, title: Memory, gather: { memory: {} } }
  - { id: b, title: Memory, gather: { memory: {} } }
";
    assert_eq!(of(twice), ["4:21 step `b` has the title of step `a`"]);
    let case = case(&format!("title: A\n{STEPS}")).with("pack/weekly/check.yaml", format!("title: A\n{STEPS}"));
    assert_eq!(listed(&case), ["1:8 weekly/check has the title of daily/check"]);
}

#[test]
fn a_step_before_the_one_that_it_waits_for_is_remarked() {
    let procedure = "title: A
steps:
  - { id: a, needs: [b], gather: { memory: {} } }
  - { id: b, gather: { memory: {} } }
";
    assert_eq!(of(procedure), ["3:21 step `a` waits for `b`, which stands behind it"]);
}

#[test]
fn limits_that_a_budget_makes_useless_are_remarked() {
    let procedure = "title: A
budget: 10m
steps:
  - section: First
    budget: 6m
    steps: [{ id: a, timeout: 7m, gather: { memory: {} } }]
  - section: Second
    budget: 5m
    steps: [{ id: b, retry: { times: 6, wait: 1m }, gather: { memory: {} } }]
";
    assert_eq!(
        of(procedure),
        [
            "2:9 the sections may take 11 min together, the procedure 10 min",
            "6:31 step `a` alone may take 7 min, the whole section 6 min",
            "9:29 step `b` waits 6 min between its looks, the whole section may take 5 min",
        ]
    );
    assert_eq!(of(&procedure.replace("7m", "6m").replace("10m", "11m").replace("times: 6", "times: 5")), NONE);
}

#[test]
fn a_pattern_that_matches_everything_is_remarked() {
    for pattern in ["'.*'", "'x*'", "'error|'", "['(a)?']"] {
        let said = of_inputs(&format!("log: {{ file: /var/log/x, match: {pattern} }}"));
        assert!(said.len() == 1 && said[0].ends_with("matches everything, even nothing"), "{pattern} {said:?}");
    }
    for pattern in ["'.'", "'^$'", "'x+'"] {
        assert_eq!(of_inputs(&format!("log: {{ file: /var/log/x, match: {pattern} }}")), NONE, "{pattern}");
    }
}

#[test]
fn error_that_also_matches_0_errors_is_remarked() {
    let log = |inputs: &str| of_inputs(&format!("log: {{ file: /var/log/x, {inputs} }}"));
    assert_eq!(log("match: error"), ["4:46 `error` also matches `0 errors`"]);
    assert_eq!(log("match: ERROR, ignore_case: true").len(), 1);
    for right in ["match: '\\berror\\b'", "match: error, except: '0 errors'", "match: ERROR"] {
        assert_eq!(log(right), NONE, "{right}");
    }
}

#[test]
fn a_command_that_only_a_shell_understands_is_remarked() {
    assert_eq!(of_command("[ps, aux, '|', wc]"), ["4:41 `|` is handed to the program as an argument"]);
    assert_eq!(of_command("['ps aux | wc']"), ["4:32 the program is called `ps aux | wc`, with its spaces"]);
    assert_eq!(of_command("[ls, /x, '2>/dev/null']"), ["4:40 `2>/dev/null` is handed to the program as an argument"]);
    for right in
        ["[cut, -d, '|', -f1, x]", "[find, /x, -exec, ls, '{}', ';']", "['/opt/My Tools/run']", "[sh, -c, 'a | b']"]
    {
        assert_eq!(of_command(right), NONE, "{right}");
    }
}

#[test]
fn a_secret_in_plain_text_is_remarked_and_not_shown() {
    let curl = |argument: &str| of_step(&format!("id: a\ngather: {{ command: {{ run: [curl, {argument}] }} }}"));
    let sites = [
        case(&curl("'https://me:hunter2@127.0.0.1/'")),
        case(&curl("--password=hunter2")),
        case(&curl("--api-token, hunter2")),
        case(&of_step("id: a\ngather: { command: { run: [env], env: { PGPASSWORD: hunter2 } } }")),
        case(&of_step("id: a\ngather: { http: { url: 'http://127.0.0.1/', headers: { Authorization: hunter2 } } }")),
        case(&format!("title: '{{{{ db_password }}}}'\n{STEPS}"))
            .with("opsctl.yaml", "site: test\npacks: [./pack]\nvars: { db_password: hunter2 }\n"),
    ];
    for case in sites {
        let remarks = remarks_of(&case);
        let said = remarks.render(false);
        assert!(remarks.0.len() == 1 && said.contains("*******") && !said.contains("hunter2"), "{said}");
    }
    for right in ["--password-file, /x", "--password, --other", "'https://{{ site }}@127.0.0.1:80/a:b@c'"] {
        let site = "site: test\npacks: [./pack]\nvars: { site: me }\n";
        let procedure = curl(right).replace("title: Check", "title: '{{ site }}'");
        let case = Case::new().with("opsctl.yaml", site).with("pack/daily/check.yaml", procedure);
        assert_eq!(listed(&case), NONE, "{right}");
    }
}

#[test]
fn a_role_that_the_site_lacks_is_remarked_once() {
    let owned = |title: &str| format!("title: {title}\nowner: admin\nescalate: {{ to: it-team }}\n{STEPS}");
    let roles = |roles: &str| {
        let site = format!("site: test\npacks: [./pack]\n{roles}");
        let case = Case::new().with("opsctl.yaml", site).with("pack/daily/a.yaml", owned("A"));
        listed(&case.with("pack/daily/b.yaml", owned("B")))
    };
    assert_eq!(
        roles("roles: { it-team: {} }\n"),
        ["2:8 the site file has no role `admin`, who owns this procedure; it is named in one more place"]
    );
    assert_eq!(
        roles("roles: { admin: {} }\n"),
        ["3:17 the site file has no role `it-team`, who is to be told of a failure; it is named in one more place"]
    );
    assert_eq!(roles("roles: { admin: {}, it-team: {} }\n"), NONE);
    assert_eq!(roles(""), NONE, "without roles they are for people alone");
}

#[test]
fn a_variable_that_nothing_reads_is_remarked_with_the_one_that_was_meant() {
    let site = "site: test
packs: [./pack]
vars: { apache_lgo: /x, used: 1, in_when: 1, in_notice: 1, used_not: 2 }
templates: { notice: '{{ in_notice }}' }
";
    let case = Case::new().with("opsctl.yaml", site).with("pack/pack.yaml", "vars: { apache_log: /y }\n").with(
        "pack/daily/check.yaml",
        "title: '{{ used }} {{ apache_log }}'\nsteps: [{ id: a, when: vars.in_when, gather: { memory: {} } }]\n",
    );
    assert_eq!(
        listed(&case),
        ["3:9 nothing reads the variable `apache_lgo`", "3:60 nothing reads the variable `used_not`"]
    );
    assert!(
        remarks_of(&case).render(false).contains("did you mean `apache_log`? Now its value is the one of the pack")
    );
}

#[test]
fn a_waiver_of_a_step_that_is_not_there_is_remarked() {
    let waived = |step: &str| {
        let waiver = format!("{{ step: {step}, owner: it, reason: known, until: 2099-01-01 }}");
        let site = format!("site: test\npacks: [./pack]\nwaivers: [{waiver}]\n");
        listed(&case(&format!("title: A\n{STEPS}")).with("opsctl.yaml", site))
    };
    assert_eq!(waived("daily/chek.a"), ["3:19 this waiver covers nothing: there is no step `daily/chek.a`"]);
    assert_eq!(waived("daily/check.a"), NONE);
}

#[test]
fn a_next_that_leads_to_no_command_is_remarked() {
    let next = |next: &str| of(&of_step(&format!("id: a\nnext: {next}\ngather: {{ memory: {{}} }}")));
    assert_eq!(next("opsctl daily chek"), ["4:11 there is no command `opsctl daily chek`"]);
    assert_eq!(next("look, then `opsctl emergency outage`"), ["4:11 there is no command `opsctl emergency`"]);
    for right in
        ["opsctl daily check", "opsctl daily", "opsctl init", "opsctl daily check, then look", "ask opsctl people"]
    {
        assert_eq!(next(right), NONE, "{right}");
    }
}
