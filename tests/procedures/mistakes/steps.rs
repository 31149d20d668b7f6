//! Steps, and what they refer to.

use crate::procedures::{assert_says, complaints, of_step};

#[test]
fn an_unknown_step_in_proven_by_is_refused() {
    let said = complaints(
        r"title: Check
steps:
  - id: memory
    probe: { memory: {} }
    expect: { available: above 5% }
criteria:
  - { says: There is memory, proven_by: [memroy] }
",
    );
    assert_says(
        &said,
        r"
error: there is no step `memroy` that could prove this
 --> pack/daily/check.yaml:7:42
  |
7 |   - { says: There is memory, proven_by: [memroy] }
  |                                          ^^^^^^
  |
  = help: did you mean `memory`? The steps are memory
",
    );
}

#[test]
fn an_unknown_step_in_needs_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
needs: [hom]
probe: { memory: {} }
expect: { available: above 5% }
",
    ));
    assert_says(
        &said,
        r"
error: there is no step `hom`
 --> pack/daily/check.yaml:4:13
  |
4 |     needs: [hom]
  |             ^^^
  |
  = help: did you mean `home`? The steps are home
",
    );
}

#[test]
fn steps_that_wait_for_each_other_are_refused() {
    let said = complaints(
        r"title: Check
steps:
  - id: one
    needs: [two]
    probe: { memory: {} }
    expect: { available: above 5% }
  - id: two
    when: steps.three is passed
    probe: { memory: {} }
    expect: { available: above 5% }
  - id: three
    needs: [one]
    probe: { memory: {} }
    expect: { available: above 5% }
",
    );
    assert_says(
        &said,
        r"
error: steps wait for each other: one -> two -> three -> one
 --> pack/daily/check.yaml:4:13
  |
4 |     needs: [two]
  |             ^^^
  |
  = help: remove one of `needs`, or of what `when` and templates read
",
    );
}

#[test]
fn a_step_that_needs_itself_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
needs: [home]
probe: { memory: {} }
expect: { available: above 5% }
",
    ));
    assert_says(
        &said,
        r"
error: steps wait for each other: home -> home
 --> pack/daily/check.yaml:4:13
  |
4 |     needs: [home]
  |             ^^^^
  |
  = help: remove one of `needs`, or of what `when` and templates read
",
    );
}

#[test]
fn probe_and_gather_in_one_step_are_refused() {
    let said = complaints(&of_step(
        r"
id: home
probe: { memory: {} }
gather: { load: {} }
expect: { available: above 5% }
",
    ));
    assert_says(
        &said,
        r"
error: step `home` has `probe` and `gather`
 --> pack/daily/check.yaml:5:13
  |
5 |     gather: { load: {} }
  |             ^^^^^^^^^^^^
  |
  = help: make two steps of it
",
    );
}

#[test]
fn a_procedure_without_steps_is_refused() {
    let said = complaints(
        r"title: Check
steps: []
",
    );
    assert_says(
        &said,
        r"
error: a procedure without steps checks nothing
 --> pack/daily/check.yaml:2:8
  |
2 | steps: []
  |        ^^
  |
  = help: add a step; `opsctl explain http` shows one
",
    );
}

#[test]
fn two_steps_of_one_name_are_refused_even_if_only_expressions_confuse_them() {
    let said = complaints(
        r"title: Check
steps:
  - { id: a-b, probe: { memory: {} }, expect: { available: above 5% } }
  - { id: a_b, probe: { memory: {} }, expect: { available: above 5% } }
",
    );
    assert_says(
        &said,
        r"
error: the step `a_b` exists twice
 --> pack/daily/check.yaml:4:11
  |
4 |   - { id: a_b, probe: { memory: {} }, expect: { available: above 5% } }
  |           ^^^
  |
  = help: give one of the two another id
",
    );
}

#[test]
fn a_broken_when_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
when: steps.home is
probe: { memory: {} }
expect: { available: above 5% }
",
    ));
    assert_says(
        &said,
        r"
error: `when` is no expression: syntax error: unexpected end of input, expected identifier
 --> pack/daily/check.yaml:4:11
  |
4 |     when: steps.home is
  |           ^^^^^^^^^^^^^
  |
  = help: write for example `steps.database is failed`
",
    );
}

#[test]
fn a_when_that_reads_an_unknown_step_or_name_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
when: steps.hme is passed and var.x
probe: { memory: {} }
expect: { available: above 5% }
",
    ));
    assert_says(
        &said,
        r"
error: `when` knows no `var`
 --> pack/daily/check.yaml:4:11
  |
4 |     when: steps.hme is passed and var.x
  |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write `vars.var`, `steps.var` or `run.var`; a text needs quotes

error: there is no step `hme`
 --> pack/daily/check.yaml:4:11
  |
4 |     when: steps.hme is passed and var.x
  |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: did you mean `home`? The steps are home
",
    );
}

#[test]
fn a_broken_step_is_not_also_called_unknown() {
    let said = complaints(
        r"title: Check
steps:
  - id: home
    probe: { memory: {} }
  - id: restart
    manual: [look]
  - id: last
    needs: [home, restart]
    when: steps.restart is passed
    probe: { memory: {} }
    expect: { available: above 5% }
criteria:
  - { says: Restarted, proven_by: [restart] }
",
    );
    assert_says(
        &said,
        r"
error: step `home` expects nothing
 --> pack/daily/check.yaml:3:5
  |
3 |   - id: home
  |     ^
  |
  = help: add `expect: { ... }`, or make it a `gather`; it reports <facts of memory>

error: `manual` is a text, not a list
 --> pack/daily/check.yaml:6:13
  |
6 |     manual: [look]
  |             ^^^^^^
",
    );
}
