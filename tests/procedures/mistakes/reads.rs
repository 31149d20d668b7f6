//! What expressions and templates read: names that nothing has, and comparisons that can never hold.

use crate::procedures::{Case, assert_says, complaints, good};

/// A look, a decision, and a step with this `when`.
fn with_when(when: &str) -> String {
    format!(
        "title: Check
steps:
  - {{ id: disk-free, probe: {{ disk: {{ path: / }} }}, expect: {{ free: above 5% }} }}
  - {{ id: page, gather: {{ http: {{ url: 'http://127.0.0.1/' }} }} }}
  - {{ id: how-bad, decision: {{ critical: Nobody can work, low: A blemish }} }}
  - id: last
    when: {when}
    gather: {{ memory: {{}} }}
"
    )
}

/// Message and help of the only mistake of a `when`.
fn said_of(when: &str) -> (String, String) {
    let said = complaints(&with_when(when));
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    assert!(said.contains(" --> pack/daily/check.yaml:7:11\n"), "{said}");
    let line =
        |begin: &str| said.lines().find_map(|line| line.trim().strip_prefix(begin)).unwrap_or_default().to_owned();
    (line("error: "), line("= help: "))
}

#[test]
fn what_is_right_is_let_through() {
    for when in [
        "steps.disk_free is passed and steps['disk-free'].facts.free > 20",
        "steps.page.facts.status == 200 and not steps.page.facts.answers",
        "steps.page.facts['json.queue.depth'] > 3 or (steps.page.rows | length) == 0",
        "steps.how_bad.choice in ['critical', 'low'] and steps.how_bad.choice != ''",
        "\"'low' == steps.how_bad.choice or steps.page.outcome in ['failed', 'errored']\"",
        "run.date == '2026-01-01' and vars.names is defined and vars.site_url.startswith",
    ] {
        assert_eq!(complaints(&with_when(when)), "", "{when}");
    }
}

#[test]
fn a_part_that_no_step_has_is_refused() {
    let said = complaints(&with_when("steps.disk_free.outcom == 'failed'"));
    assert_says(
        &said,
        r"
error: a step has no `outcom` that could be read
 --> pack/daily/check.yaml:7:11
  |
7 |     when: steps.disk_free.outcom == 'failed'
  |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: did you mean `outcome`? It has outcome, facts, subjects, rows, choice, steps
",
    );
}

#[test]
fn a_fact_that_the_look_does_not_report_is_refused() {
    let (message, help) = said_of("steps['disk-free'].facts.fre > 20");
    assert_eq!(message, "step `disk-free` reports no `fre`");
    assert!(help.starts_with("did you mean `free`? It reports "), "{help}");
}

#[test]
fn a_family_of_facts_is_read_by_the_name_of_one() {
    let (message, help) = said_of("steps.page.facts.json.depth > 3");
    assert_eq!(message, "`json` is a family of facts; say which one");
    assert_eq!(help, "write `steps.page.facts['json.NAME']`");
}

#[test]
fn a_choice_that_the_decision_does_not_offer_is_refused() {
    for when in ["steps.how_bad.choice == 'critcal'", "steps.how_bad.choice in ['low', 'critcal']"] {
        let (message, help) = said_of(when);
        assert_eq!(message, "step `how-bad` has no choice `critcal`");
        assert_eq!(help, "did you mean `critical`? The choices are critical, low");
    }
}

#[test]
fn the_choice_of_a_step_that_is_no_decision_is_refused() {
    let (message, _) = said_of("steps.disk_free.choice == 'low'");
    assert_eq!(message, "step `disk-free` is a `probe`, which has no choice");
}

#[test]
fn an_outcome_that_there_is_not_is_refused() {
    let (message, help) = said_of("steps.disk_free.outcome == 'fail'");
    assert_eq!(message, "there is no outcome `fail`");
    assert!(help.contains("failed"), "{help}");
}

#[test]
fn a_test_that_there_is_not_is_refused_before_the_run_gets_there() {
    let (message, help) = said_of("steps.disk_free is not faild");
    assert_eq!(message, "there is no test `faild`");
    assert!(help.starts_with("did you mean `failed`?"), "{help}");
    assert_eq!(said_of("(steps.page.rows | lenght) > 1").0, "there is no filter `lenght`");
}

#[test]
fn a_number_compared_with_a_text_is_refused() {
    let (message, help) = said_of("steps.page.facts.status == '200'");
    assert_eq!(message, "`status` (number) is compared with `200`, which it never is");
    assert_eq!(help, "compare it with a number, without quotes");
    let (message, help) = said_of("steps.page.facts.latency > '2s'");
    assert_eq!(message, "`latency` (duration) is compared with `2s`, which it never is");
    assert_eq!(help, "compare it with a number of seconds, without quotes");
    assert_eq!(said_of("steps.page.facts.answers == 'true'").1, "read it alone, or with `not` before it");
}

#[test]
fn a_variable_compared_with_what_it_never_is_is_refused() {
    let site = "site: test\npacks: [./pack]\nvars: { limit: 5, level: low, unset: '' }\n";
    let said = |when| Case::new().with("opsctl.yaml", site).with("pack/daily/check.yaml", with_when(when)).complaints();
    assert!(
        said("vars.limit == '5'")
            .starts_with("error: the variable `limit` is a number and is compared with the text `5`")
    );
    assert!(
        said("3 < vars.level").starts_with("error: the variable `level` is a text and is compared with the number `3`")
    );
    assert_eq!(said("vars.limit > 3 and vars.level == 'low' and vars.limit != '' and vars.unset != 3"), "");
}

#[test]
fn what_a_template_reads_is_looked_at_too() {
    let said = complaints(
        "title: A
steps:
  - { id: how-bad, decision: { critical: Nobody can work, low: A blemish } }
  - { id: look, gather: { command: { run: [echo, \"{{ steps['hw-bad'].choice }}\"] } } }
  - { id: tell, notify: { to: it, message: \"{{ run.sit }}: it's {{ steps['how-bad'].chioce }}\" } }
",
    );
    assert_says(
        &said,
        r#"
error: there is no step `hw_bad`
 --> pack/daily/check.yaml:4:25
  |
4 |   - { id: look, gather: { command: { run: [echo, "{{ steps['hw-bad'].choice }}"] } } }
  |                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: did you mean `how-bad`? The steps are how-bad, look, tell

error: a run has no `sit`
 --> pack/daily/check.yaml:5:44
  |
5 |   - { id: tell, notify: { to: it, message: "{{ run.sit }}: it's {{ steps['how-bad'].chioce }}" } }
  |                                            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: did you mean `site`? It has id, title, site, date, operator, host, findings

error: a step has no `chioce` that could be read
 --> pack/daily/check.yaml:5:44
  |
5 |   - { id: tell, notify: { to: it, message: "{{ run.sit }}: it's {{ steps['how-bad'].chioce }}" } }
  |                                            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: did you mean `choice`? It has outcome, facts, subjects, rows, choice, steps
"#,
    );
}

#[test]
fn a_step_named_in_brackets_is_waited_for_and_no_other() {
    let procedure = good(
        "title: A
steps:
  - { id: first-one, gather: { command: { run: [date] } } }
  - { id: other, gather: { command: { run: [date] } } }
  - { id: last, gather: { command: { run: [echo, \"{{ steps['first-one'].facts.stdout }}\"] } } }
",
    );
    assert_eq!(procedure.steps[2].after.iter().copied().collect::<Vec<_>>(), [0]);
}

#[test]
fn a_step_that_waits_for_what_runs_after_it_is_refused() {
    let said = complaints(
        "title: A
steps:
  - { id: look, when: steps.restart is passed, probe: { memory: {} }, expect: { available: above 5% } }
  - { id: restart, manual: Restart it }
",
    );
    assert_says(
        &said,
        r"
error: step `look` waits for `restart`, which runs after it
 --> pack/daily/check.yaml:3:23
  |
3 |   - { id: look, when: steps.restart is passed, probe: { memory: {} }, expect: { available: above 5% } }
  |                       ^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: move `look` behind `restart`; only neighbours that look run side by side
",
    );
}

#[test]
fn a_cron_expression_that_cron_cannot_read_is_refused() {
    let said = complaints(
        "title: A
schedule: { cron: \"0 25 * * *\" }
steps: [{ id: a, gather: { memory: {} } }]
",
    );
    assert!(said.starts_with("error: cron cannot read `0 25 * * *`\n --> pack/daily/check.yaml:2:19\n"), "{said}");
    assert!(said.contains("hours 0-23"), "{said}");
}

#[test]
fn a_password_in_an_address_is_never_shown_beside_a_mistake() {
    let said = complaints(
        "title: A
steps: [{ id: a, probe: { http: { url: 'http://root:hunter2@127.0.0.1/' } }, expect: { status: 200 } }]
",
    );
    assert!(said.contains("root:*******@127.0.0.1") && !said.contains("hunter2"), "{said}");
}

#[test]
fn an_undo_reads_what_its_own_action_found_and_an_action_cannot() {
    let step = |action: &str, undo: &str| {
        let (action, undo) =
            (format!("command: {{ run: [echo, {action}] }}"), format!("command: {{ run: [echo, {undo}] }}"));
        complaints(&format!("title: A\nsteps:\n  - {{ id: do-it, action: {{ {action} }}, undo: {{ {undo} }} }}\n"))
    };
    for own in ["\"{{ steps.do_it.outcome }}\"", "\"{{ steps['do-it'].outcome }}\""] {
        assert_eq!(step("x", own), "");
        assert!(step(own, "x").starts_with("error: steps wait for each other: do-it -> do-it\n"));
    }
}
