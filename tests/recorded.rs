//! Tests of procedures from recorded observations: the engine's own verdicts, and nothing else happens.

use std::path::Path;

use crate::support::case::{Case, Ran};

const SITE: &str = "databases: { shop: { url: 'sqlite:nowhere.db' } }\n";

/// Looks at things that are not there, and would leave a file if it acted.
const PROCEDURE: &str = "
title: Checked
steps:
  - id: disks
    probe: { disk: { path: /nowhere } }
    expect: { free: above 20%, inodes_free: above 10% }
  - id: page
    needs: [disks]
    probe: { http: { url: 'http://127.0.0.1:1/', attempts: 10 } }
    expect: { status: 200, json: { queue.depth: at most 10 } }
    prefer: { latency: at most 150% of previous }
  - id: orders
    probe: { sql: { database: shop, query: SELECT 1 } }
    expect: { value: rises below 5% per day }
  - id: locked
    gather: { sql: { database: shop, query: SELECT 1 } }
  - id: unlock
    when: steps.locked.rows | length > 1
    manual: Unlock them
  - id: how
    decision: { restart: Start it again, leave: Leave it }
  - id: agree
    approval: { of: [restart] }
  - id: restart
    when: steps.how.choice == 'restart'
    action: { command: { run: [touch, acted] } }
    irreversible: it is a test
  - id: again
    when: steps.restart is passed
    probe: { command: { run: [touch, looked] } }
    expect: { exit: 0 }
criteria:
  - { says: More than 20 % of each disk is free, proven_by: [disks] }
  - { says: The page answers, proven_by: [page] }
  - { says: The page is fast, proven_by: [page.latency] }
";

fn with(cases: &str) -> Case {
    let cases = format!("cases:\n{cases}");
    Case::new("recorded")
        .site(SITE)
        .procedure("daily/checked.yaml", PROCEDURE)
        .procedure("daily/checked.test.yaml", &cases)
}

fn test(cases: &str) -> Ran {
    with(cases).run(["test"])
}

/// A case of one line, which must come out as it says.
#[track_caller]
fn holds(case: &str) {
    test(&format!("  - {{ name: x, {case} }}\n")).exits(0).prints("PASS  1 case\nPASS  daily/checked: x\n");
}

#[test]
fn a_full_disk_fails_the_step_the_run_and_its_criterion() {
    holds(
        "given: { disks: { free: 3%, inodes_free: 50% } }, expect: { disks: failed, outcome: failed, criteria: { More than 20 %...: unmet } }",
    );
}

#[test]
fn one_of_several_subjects_fails_the_step() {
    holds(
        "given: { disks: { subjects: { /: { free: 60%, inodes_free: 50% }, /var: { free: 3%, inodes_free: 50% } } } }, expect: { disks: failed }",
    );
}

#[test]
fn a_case_that_comes_out_otherwise_shows_what_why_and_where() {
    test(
        "  - name: a full disk passes
    given: { disks: { subjects: { /var: { free: 3% of 40GiB, inodes_free: 50% } } } }
    expect: { disks: passed, criteria: { More than: met } }
  - name: nothing is known
    given: { disks: { error: no permission } }
    expect: { disks: errored, outcome: errored }
",
    )
    .exits(2)
    .prints(
        "FAIL  1 of 2 cases
FAIL  daily/checked: a full disk passes  (pack/daily/checked.test.yaml:2)
      disks failed, expected passed  (pack/daily/checked.test.yaml:4)
        /var: free 3 % (1.2 GiB), expected above 20 %
      `More than 20 % of each disk is free` unmet, expected met  (pack/daily/checked.test.yaml:4)
        proof: disks
PASS  daily/checked: nothing is known
",
    );
}

#[test]
fn a_fact_that_is_not_given_is_missing_and_nobody_can_tell() {
    holds("given: { disks: { free: 60% } }, expect: { disks: errored, criteria: { More than: not proven } }");
}

#[test]
fn what_does_not_apply_to_a_thing_is_not_expected_of_it() {
    holds("given: { disks: { free: 60%, inodes_free: not applicable } }, expect: { disks: passed }");
}

#[test]
fn a_server_whose_answer_is_given_answers_and_one_that_does_not_is_a_failure() {
    holds(
        "given: { page: { status: 200, json: { queue.depth: 3 }, latency: 1s } }, before: [{ given: { page: { latency: 1s } } }], expect: { page: passed }",
    );
    holds("given: { page: { answers: false } }, expect: { page: failed }");
    holds("given: { page: { status: 200, json: { queue.depth: 11 }, latency: 1s } }, expect: { page: failed }");
}

#[test]
fn history_is_what_the_case_says_was_before() {
    let page = "page: { status: 200, json: { queue.depth: 3 }, latency: 2s }";
    holds(&format!(
        "given: {{ {page} }}, before: [{{ given: {{ page: {{ latency: 1s }} }} }}], expect: {{ page: warned }}"
    ));
    holds(&format!(
        "given: {{ {page} }}, before: [{{ given: {{ page: {{ latency: 2s }} }} }}], expect: {{ page: passed }}"
    ));
    // The first run of all has nothing to compare with.
    holds(&format!("given: {{ {page} }}, expect: {{ page: warned }}"));
}

#[test]
fn a_limit_on_growth_is_exact_to_the_day() {
    let grows = |to: u32, outcome: &str| {
        holds(&format!(
            "given: {{ orders: {{ value: {to} }} }}, before: [{{ ago: 12h, given: {{}} }}, {{ ago: 2d, given: {{ orders: {{ value: 100 }} }} }}], expect: {{ orders: {outcome} }}"
        ));
    };
    grows(109, "passed");
    grows(110, "failed");
}

#[test]
fn a_step_that_is_not_given_is_left_out_and_nothing_waits_for_it() {
    // `page` needs `disks`.
    holds("given: { page: { answers: false } }, expect: { page: failed, criteria: { More than: not proven } }");
    let ran = test("  - { name: x, given: { page: { answers: false } }, expect: { disks: skipped } }\n");
    ran.exits(2).says("disks not given, expected skipped");
}

#[test]
fn a_step_whose_need_failed_is_skipped() {
    holds(
        "given: { disks: { free: 1%, inodes_free: 50% }, page: { status: 200 } }, expect: { page: skipped, outcome: failed }",
    );
}

#[test]
fn conditions_of_steps_read_what_is_given() {
    holds(
        "given: { locked: { evidence: [{ user: ann }, { user: bob }] }, unlock: not done }, expect: { unlock: failed }",
    );
    holds("given: { locked: { evidence: [{ user: ann }] }, unlock: done }, expect: { unlock: skipped }");
    holds("given: { how: leave, agree: refused, restart: done }, expect: { restart: skipped, agree: failed }");
    holds("given: { how: restart, restart: failed, again: { exit: 0 } }, expect: { restart: failed, again: skipped }");
}

#[test]
fn nothing_is_looked_at_nothing_is_done_and_nothing_is_recorded() {
    let case = with(
        "  - name: x
    given: { how: restart, agree: agreed, restart: done, again: { exit: 1 } }
    expect: { restart: passed, again: failed }
",
    );
    case.run(["test"]).exits(0);
    for left in ["acted", "looked", "pack/acted", "journal.db", "nowhere.db"] {
        assert!(!case.path(left).exists(), "{left} is there");
    }
}

#[test]
fn what_a_document_has_wrong_is_shown_at_its_place_with_the_nearest_name() {
    let ran = test(
        "  - name: x
    given: { disks: { fre: 3% }, diskz: {}, page: { latency: 5 }, how: restar, restart: maybe }
    expect: { page: fail, criteria: { Less: met } }
",
    );
    ran.exits(3)
        .says_on_stderr("step `disks` is given `fre`, which disk does not report")
        .says_on_stderr("pack/daily/checked.test.yaml:3:23")
        .says_on_stderr("did you mean `free`? It reports: ")
        .says_on_stderr("daily/checked has no step `diskz`")
        .says_on_stderr("`latency`: `5` is a number without a unit")
        .says_on_stderr("write for example `latency: 2s` (duration)")
        .says_on_stderr("did you mean `restart`? The choices are restart, leave")
        .says_on_stderr("what became of step `restart`, which is of the kind `action`, cannot be `maybe`")
        .says_on_stderr("did you mean `failed`?")
        .says_on_stderr("daily/checked has no criterion `Less`")
        .says_on_stderr("nothing was run");
}

#[test]
fn a_case_that_expects_nothing_is_refused_since_it_could_not_fail() {
    test("  - { name: x, expect: {} }\n").exits(3).says_on_stderr("the case expects nothing, so it cannot fail");
}

#[test]
fn variables_of_a_case_come_before_those_of_the_file_and_of_the_site() {
    let procedure =
        "title: T\nsteps: [{ id: load, when: vars.wanted, probe: { load: {} }, expect: { one: below 2 } }]\n";
    let tests = "vars: { wanted: x }
cases:
  - { name: here, given: { load: { one: 3 } }, expect: { load: failed } }
  - { name: elsewhere, vars: { wanted: '' }, given: { load: { one: 3 } }, expect: { load: skipped } }
";
    let case = Case::new("recorded").site("vars: { wanted: '' }\n");
    let case = case.procedure("daily/load.yaml", procedure).procedure("daily/load.test.yaml", tests);
    case.run(["test"]).exits(0).says("PASS  2 cases");
}

#[test]
fn a_step_that_is_repeated_or_waits_for_results_is_given_as_a_whole() {
    let procedure = "title: T
steps:
  - { id: sites, gather: { load: {} } }
  - id: each
    for_each: steps.sites.rows
    probe: { http: { url: 'http://{{ item.host }}/' } }
    expect: { status: 200 }
  - id: first
    probe: { http: { url: 'http://{{ steps.sites.rows[0].host }}/' } }
    expect: { status: 200 }
";
    let tests = "cases:
  - name: one of two is down
    given: { each: { subjects: { a: { status: 200 }, b: { status: 500 } } }, first: { status: 200 } }
    expect: { each: failed, first: passed }
";
    let case = Case::new("recorded").site("").procedure("daily/sites.yaml", procedure);
    case.procedure("daily/sites.test.yaml", tests).run(["test"]).exits(0);
}

#[test]
fn a_procedure_that_is_called_is_given_by_its_own_steps() {
    let case = Case::new("recorded").site("");
    let case = case
        .procedure(
            "daily/find.yaml",
            "title: Find\nsteps:\n  - { id: kind, decision: { real: R, false-alarm: F } }\n  - { id: load, probe: { load: {} }, expect: { one: below 2 } }\n",
        )
        .procedure(
            "daily/whole.yaml",
            "title: Whole\nsteps:\n  - { id: find, procedure: daily/find }\n  - { id: mend, when: steps.find.steps.kind.choice == 'real', manual: Mend it }\n",
        )
        .procedure(
            "daily/whole.test.yaml",
            "cases:
  - { name: real, given: { find: { kind: real, load: { one: 3 } }, mend: done }, expect: { find: failed, mend: passed } }
  - { name: false, given: { find: { kind: false-alarm }, mend: done }, expect: { find: passed, mend: skipped } }
  - { name: whole, given: { find: failed }, expect: { find: failed, outcome: failed } }
",
        );
    case.run(["test"]).exits(0).says("PASS  3 cases");
}

#[test]
fn waivers_of_the_site_do_not_count() {
    let waiver = "waivers: [{ step: daily/load.load, owner: me, reason: x, until: 2999-01-01 }]\n";
    let case = Case::new("recorded").site(waiver);
    case.procedure(
        "daily/load.yaml",
        "title: T\nsteps:\n  - { id: load, probe: { load: {} }, expect: { one: below 2 } }\n",
    )
    .procedure("daily/load.test.yaml", "cases: [{ name: x, given: { load: { one: 3 } }, expect: { load: failed } }]\n")
    .run(["test"])
    .exits(0);
}

#[test]
fn tests_are_no_procedures() {
    let case = with("  - { name: x, given: { page: { answers: false } }, expect: { page: failed } }\n");
    case.run(["lint"]).exits(0).says("1 procedure with 9 steps");
    case.run(["daily"]).says("checked").never_says("checked.test");
    case.run(["lint", "pack/daily/checked.test.yaml"]).exits(0);
}

#[test]
fn a_pack_a_group_a_procedure_and_a_file_of_tests_can_be_named() {
    let case = with("  - { name: x, given: { page: { answers: false } }, expect: { page: failed } }\n");
    for path in ["pack", "pack/daily", "pack/daily/checked.yaml", "pack/daily/checked.test.yaml"] {
        case.run(["test", path]).exits(0).says("PASS  1 case");
    }
    case.run(["test", "pack", "pack/daily"]).exits(0).says("PASS  1 case\n");
    case.run(["test", "nowhere"]).exits(3).says_on_stderr("cannot read nowhere");
}

#[test]
fn without_any_tests_nothing_has_been_proven() {
    let case = Case::new("recorded").site("").procedure("daily/load.yaml", PROCEDURE);
    case.run(["test"]).exits(3).says_on_stderr("no tests were found");
    case.run(["test", "pack/daily/load.yaml"]).exits(3).says_on_stderr("write them into pack/daily/load.test.yaml");
}

#[test]
fn the_packs_that_come_with_opsctl_hold_their_tests() {
    for pack in ["host", "helpdesk"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("procedures").join(pack);
        let ran = Case::new("packs").run(["test".as_ref(), folder.as_os_str()]);
        ran.exits(0).says("PASS  ").never_says("FAIL");
    }
}
