//! What is expected, and of what.

use crate::procedures::{assert_says, complaints, of_step};

#[test]
fn an_empty_expectation_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
probe: { memory: {} }
expect: {}
",
    ));
    assert_says(
        &said,
        r"
error: the `expect` of step `home` says nothing
 --> pack/daily/check.yaml:5:13
  |
5 |     expect: {}
  |             ^^
  |
  = help: write `expect: { fact: condition }`; memory reports <facts of memory>
",
    );
}

#[test]
fn a_step_that_expects_nothing_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
probe: { memory: {} }
",
    ));
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
",
    );
}

#[test]
fn a_condition_of_the_wrong_type_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
probe: { disk: {} }
expect: { read_only: above 5 }
",
    ));
    assert_says(
        &said,
        r"
error: `read_only`: `above 5` does not fit a fact that is a yes or no
 --> pack/daily/check.yaml:5:26
  |
5 |     expect: { read_only: above 5 }
  |                          ^^^^^^^
  |
  = help: write for example `true`
",
    );
}

#[test]
fn a_wrong_fact_is_refused_with_the_nearest_right_one() {
    let said = complaints(&of_step(
        r#"
id: api
probe: { http: { url: "http://127.0.0.1/" } }
expect: { statsu: 200 }
"#,
    ));
    assert_says(
        &said,
        r"
error: step `api` expects `statsu`, which the http probe does not report
 --> pack/daily/check.yaml:5:15
  |
5 |     expect: { statsu: 200 }
  |               ^^^^^^ no such fact
  |
  = help: did you mean `status`? It reports: <facts of http>
",
    );
}

#[test]
fn a_wrong_unit_is_refused() {
    let said = complaints(&of_step(
        r#"
id: home
probe: { http: { url: "http://127.0.0.1/" } }
prefer: { latency: below 20% }
"#,
    ));
    assert_says(
        &said,
        r"
error: `latency`: `20%` is a percentage, such as `20%`, which does not fit a duration
 --> pack/daily/check.yaml:5:24
  |
5 |     prefer: { latency: below 20% }
  |                        ^^^^^^^^^
  |
  = help: write for example `below 2s`
",
    );
}

#[test]
fn a_number_without_its_unit_is_refused() {
    let said = complaints(&of_step(
        r#"
id: home
probe: { http: { url: "http://127.0.0.1/" } }
prefer: { latency: below 2 }
"#,
    ));
    assert_says(
        &said,
        r"
error: `latency`: `2` is a number without a unit, such as `3`, which does not fit a duration
 --> pack/daily/check.yaml:5:24
  |
5 |     prefer: { latency: below 2 }
  |                        ^^^^^^^
  |
  = help: write for example `below 2s`
",
    );
}

#[test]
fn a_fact_that_the_step_does_not_expect_proves_nothing() {
    let said = complaints(
        r"title: Check
steps:
  - id: memory
    probe: { memory: {} }
    expect: { available: above 5% }
criteria:
  - { says: There is memory, proven_by: [memory.avail] }
",
    );
    assert_says(
        &said,
        r"
error: step `memory` expects nothing of `avail`
 --> pack/daily/check.yaml:7:42
  |
7 |   - { says: There is memory, proven_by: [memory.avail] }
  |                                          ^^^^^^^^^^^^
  |
  = help: did you mean `available`? It expects available
",
    );
}

#[test]
fn a_gather_that_expects_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
gather: { memory: {} }
expect: { available: above 5% }
",
    ));
    assert_says(
        &said,
        r"
error: step `home` gathers, so it judges nothing
 --> pack/daily/check.yaml:5:13
  |
5 |     expect: { available: above 5% }
  |             ^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: make it a `probe`, or remove this
",
    );
}

#[test]
fn a_broken_regular_expression_in_a_condition_is_refused() {
    let said = complaints(&of_step(
        r#"
id: hosts
probe: { command: { run: [hostname] } }
expect: { stdout: "matches [a-" }
"#,
    ));
    assert_says(
        &said,
        r#"
error: `stdout`: `[a-` is not a regular expression: unclosed character class
 --> pack/daily/check.yaml:5:23
  |
5 |     expect: { stdout: "matches [a-" }
  |                       ^^^^^^^^^^^^^
  |
  = help: test it with `grep -P`, and quote it with '...' in YAML
"#,
    );
}

#[test]
fn a_family_of_facts_without_a_name_is_refused() {
    let said = complaints(&of_step(
        r#"
id: home
probe: { http: { url: "http://127.0.0.1/" } }
expect: { header: contains json }
"#,
    ));
    assert_says(
        &said,
        r"
error: `header` is a family of facts; say which one
 --> pack/daily/check.yaml:5:23
  |
5 |     expect: { header: contains json }
  |                       ^^^^^^^^^^^^^
  |
  = help: write `header: { name: contains ok }`
",
    );
}
