//! How the file is written: keys, values, YAML itself.

use crate::procedures::{assert_says, complaints, of_step};

#[test]
fn an_unknown_key_is_refused_with_the_nearest_right_one() {
    let said = complaints(&of_step(
        r"
id: home
titel: Home page
probe: { memory: {} }
expect: { available: above 5% }
",
    ));
    assert_says(
        &said,
        r"
error: a step has no key `titel`
 --> pack/daily/check.yaml:4:5
  |
4 |     titel: Home page
  |     ^^^^^ unknown key
  |
  = help: did you mean `title`? The keys are id, title, why, next, tags, needs, when, timeout, retry, probe, gather, expect, prefer, finding, action, precheck, verify, undo, irreversible, effect, on_failure, manual, decision, note, approval, notify, report, procedure, marks, for_each, always
",
    );
}

#[test]
fn a_duplicate_key_is_refused_with_the_line_of_the_first() {
    let said = complaints(&of_step(
        r"
id: home
probe: { memory: {} }
expect: { available: above 5% }
expect: { available: above 1% }
",
    ));
    assert_says(
        &said,
        r"
error: the key `expect` stands here twice
 --> pack/daily/check.yaml:6:5
  |
6 |     expect: { available: above 1% }
  |     ^^^^^^ first in line 5
  |
  = help: remove one of the two
",
    );
}

#[test]
fn a_tag_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
probe: { http: { url: !env SITE_URL } }
expect: { status: 200 }
",
    ));
    assert_says(
        &said,
        r"
error: tags are not supported
 --> pack/daily/check.yaml:4:27
  |
4 |     probe: { http: { url: !env SITE_URL } }
  |                           ^^^^
  |
  = help: remove it; the input says what type it has
",
    );
}

#[test]
fn a_second_document_is_refused() {
    let said = complaints(
        r"title: Check
steps: [{ id: a, probe: { memory: {} }, expect: { available: above 5% } }]
---
title: Another
",
    );
    assert_says(
        &said,
        r"
error: a second document in one file
 --> pack/daily/check.yaml:3:1
  |
3 | ---
  | ^^^
  |
  = help: put it into a file of its own
",
    );
}

#[test]
fn a_duration_without_unit_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
timeout: 30
probe: { memory: {} }
expect: { available: above 5% }
",
    ));
    assert_says(
        &said,
        r"
error: `timeout`: `30` is not a duration, such as `2s`, `15m` or `24h`
 --> pack/daily/check.yaml:4:14
  |
4 |     timeout: 30
  |              ^^
  |
  = help: write a duration, such as `30s` or `15m`
",
    );
}

#[test]
fn a_duration_of_zero_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
timeout: 0s
probe: { memory: {} }
expect: { available: above 5% }
",
    ));
    assert_says(
        &said,
        r"
error: `timeout` is zero
 --> pack/daily/check.yaml:4:14
  |
4 |     timeout: 0s
  |              ^^
  |
  = help: write a duration, such as `30s` or `15m`
",
    );
}

#[test]
fn a_procedure_without_title_and_steps_is_refused_for_both() {
    let said = complaints(
        r"purpose: none
",
    );
    assert_says(
        &said,
        r"
error: a procedure has no `title`
 --> pack/daily/check.yaml:1:1
  |
1 | purpose: none
  | ^
  |
  = help: add `title: ...`

error: a procedure has no `steps`
 --> pack/daily/check.yaml:1:1
  |
1 | purpose: none
  | ^
  |
  = help: add `steps: ...`
",
    );
}

#[test]
fn a_list_where_a_mapping_belongs_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
probe: { memory: [] }
expect: [above 5%]
",
    ));
    assert_says(
        &said,
        r"
error: `memory` takes a mapping of inputs, not a list
 --> pack/daily/check.yaml:4:22
  |
4 |     probe: { memory: [] }
  |                      ^^
  |
  = help: write `memory: {}`
",
    );
}

#[test]
fn a_wrong_cron_expression_is_refused() {
    let said = complaints(
        r#"title: Check
schedule: { cron: "0 8 * *" }
steps: [{ id: a, probe: { memory: {} }, expect: { available: above 5% } }]
"#,
    );
    assert_says(
        &said,
        r#"
error: this is not a cron expression of five fields
 --> pack/daily/check.yaml:2:19
  |
2 | schedule: { cron: "0 8 * *" }
  |                   ^^^^^^^^^
  |
  = help: write minute, hour, day of month, month and day of week: `"0 8 * * *"`
"#,
    );
}

#[test]
fn an_id_with_spaces_is_refused() {
    let said = complaints(&of_step(
        r"
id: home page
probe: { memory: {} }
expect: { available: above 5% }
",
    ));
    assert_says(
        &said,
        r"
error: `home page` is not an id; use letters, digits and dashes, such as `disk-free`
 --> pack/daily/check.yaml:3:9
  |
3 |   - id: home page
  |         ^^^^^^^^^
",
    );
}

#[test]
fn broken_yaml_is_refused_at_its_place() {
    let said = complaints(
        r#"title: Check
steps:
  - id: "home
"#,
    );
    assert_says(
        &said,
        r#"
error: this is not YAML: invalid indentation in multiline quoted scalar
 --> pack/daily/check.yaml:3:15
  |
3 |   - id: "home
  |              ^
"#,
    );
}

#[test]
fn an_empty_file_is_refused() {
    let said = complaints(r"");
    assert_says(
        &said,
        r"
error: the file is empty
 --> pack/daily/check.yaml:1:1
  |
1 |
  | ^
  |
  = help: `opsctl explain procedure` shows what belongs into it
",
    );
}

#[test]
fn letters_of_several_bytes_do_not_shift_the_place() {
    let said = complaints(
        r#"title: Zażółć gęślą jaźń 日本
steps:
  - id: a
    title: "日本日本"
    probe: { memory: {} }
    expect: { dostępne: "日本" }
  - łąka: 1
"#,
    );
    assert_says(
        &said,
        r#"
error: step `a` expects `dostępne`, which the memory probe does not report
 --> pack/daily/check.yaml:6:15
  |
6 |     expect: { dostępne: "日本" }
  |               ^^^^^^^^ no such fact
  |
  = help: it reports: <facts of memory>

error: a step has no key `łąka`
 --> pack/daily/check.yaml:7:5
  |
7 |   - łąka: 1
  |     ^^^^ unknown key
  |
  = help: the keys are id, title, why, next, tags, needs, when, timeout, retry, probe, gather, expect, prefer, finding, action, precheck, verify, undo, irreversible, effect, on_failure, manual, decision, note, approval, notify, report, procedure, marks, for_each, always

error: a step has no `id`
 --> pack/daily/check.yaml:7:5
  |
7 |   - łąka: 1
  |     ^
  |
  = help: add `id: ...`

error: step `?` does nothing
 --> pack/daily/check.yaml:7:5
  |
7 |   - łąka: 1
  |     ^
  |
  = help: add `probe: { http: { url: ... } }`, or another kind
"#,
    );
}
