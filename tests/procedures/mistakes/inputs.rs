//! What a probe is told.

use crate::procedures::{assert_says, complaints, of_step};

#[test]
fn an_undefined_variable_is_refused_where_it_is_used() {
    let said = complaints(&of_step(
        r#"
id: home
probe: { http: { url: "{{ site_ulr }}/login" } }
expect: { status: 200 }
"#,
    ));
    assert_says(
        &said,
        r#"
error: the variable `site_ulr` is not defined
 --> pack/daily/check.yaml:4:27
  |
4 |     probe: { http: { url: "{{ site_ulr }}/login" } }
  |                           ^^^^^^^^^^^^^^^^^^^^^^ undefined
  |
  = help: add `site_ulr` to `vars` of the site file, or use --set site_ulr=VALUE; did you mean `site_url`? Defined are site_url, names, empty, none, token
"#,
    );
}

#[test]
fn an_unknown_kind_is_refused_with_all_kinds() {
    let said = complaints(&of_step(
        r#"
id: home
probe: { htp: { url: "http://127.0.0.1/" } }
expect: { status: 200 }
"#,
    ));
    assert_says(
        &said,
        r#"
error: there is no kind of probe `htp`
 --> pack/daily/check.yaml:4:14
  |
4 |     probe: { htp: { url: "http://127.0.0.1/" } }
  |              ^^^ unknown kind
  |
  = help: did you mean `http`? Kinds are <kinds>
"#,
    );
}

#[test]
fn a_missing_input_is_named_with_what_it_is_for() {
    let said = complaints(&of_step(
        r"
id: home
probe: { http: {} }
expect: { status: 200 }
",
    ));
    assert_says(
        &said,
        r"
error: `http` needs the input `url`: <about url of http>
 --> pack/daily/check.yaml:4:20
  |
4 |     probe: { http: {} }
  |                    ^
  |
  = help: add `url: ...`
",
    );
}

#[test]
fn an_unknown_input_is_refused() {
    let said = complaints(&of_step(
        r#"
id: home
probe: { http: { ulr: "http://127.0.0.1/", url: "http://127.0.0.1/" } }
expect: { status: 200 }
"#,
    ));
    assert_says(
        &said,
        r#"
error: `http` has no input `ulr`
 --> pack/daily/check.yaml:4:22
  |
4 |     probe: { http: { ulr: "http://127.0.0.1/", url: "http://127.0.0.1/" } }
  |                      ^^^ no such input
  |
  = help: did you mean `url`? It takes <inputs of http>
"#,
    );
}

#[test]
fn two_kinds_in_one_probe_are_refused() {
    let said = complaints(&of_step(
        r"
id: home
probe: { memory: {}, load: {} }
expect: { available: above 5% }
",
    ));
    assert_says(
        &said,
        r"
error: `probe` of step `home` has exactly one key
 --> pack/daily/check.yaml:4:26
  |
4 |     probe: { memory: {}, load: {} }
  |                          ^^^^ one too many
  |
  = help: write `probe: { http: { url: ... } }`; kinds are <kinds>
",
    );
}

#[test]
fn a_kind_without_its_mapping_is_told_how_it_is_written() {
    let of = |kind: &str| complaints(&of_step(&format!("\nid: home\nprobe: {kind}\nexpect: {{ answers: true }}\n")));
    let help = |kind: &str| of(kind).lines().find(|line| line.contains("= help")).expect("a help").trim().to_owned();
    assert_eq!(help("memory"), "= help: write `probe: { memory: {} }`; `opsctl explain memory` tells its inputs");
    assert_eq!(help("http"), "= help: write `probe: { http: { url: ... } }`; `opsctl explain http` tells its inputs");
    assert!(help("nothing").contains("kinds are http, "));
}

#[test]
fn a_step_without_a_kind_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
title: Look
",
    ));
    assert_says(
        &said,
        r"
error: step `home` does nothing
 --> pack/daily/check.yaml:3:5
  |
3 |   - id: home
  |     ^
  |
  = help: add `probe: { http: { url: ... } }`, or another kind
",
    );
}

#[test]
fn a_secret_as_plain_text_is_refused() {
    let said = complaints(&of_step(
        r#"
id: home
probe: { http: { url: "http://127.0.0.1/", bearer: hunter22, basic: { user: me, password: hunter23 } } }
expect: { status: 200 }
"#,
    ));
    assert_says(
        &said,
        r#"
error: `bearer` is a secret and must not stand in a file
 --> pack/daily/check.yaml:4:56
  |
4 |     probe: { http: { url: "http://127.0.0.1/", bearer: ********, basic: { user: me, password: ******** } } }
  |                                                        ^^^^^^^^
  |
  = help: refer to it: `{ env: NAME }`, `{ file: /run/secrets/name }` or `{ command: [pass, name] }`

error: `password` is a secret and must not stand in a file
 --> pack/daily/check.yaml:4:95
  |
4 |     probe: { http: { url: "http://127.0.0.1/", bearer: ********, basic: { user: me, password: ******** } } }
  |                                                                                               ^^^^^^^^
  |
  = help: refer to it: `{ env: NAME }`, `{ file: /run/secrets/name }` or `{ command: [pass, name] }`
"#,
    );
}

#[test]
fn a_secret_variable_does_not_become_part_of_a_text() {
    let said = complaints(&of_step(
        r#"
id: home
probe: { http: { url: "http://127.0.0.1/?token={{ token }}" } }
expect: { status: 200 }
"#,
    ));
    assert_says(
        &said,
        r#"
error: the variable `token` is a secret, which never becomes part of a text
 --> pack/daily/check.yaml:4:27
  |
4 |     probe: { http: { url: "http://127.0.0.1/?token={{ token }}" } }
  |                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write `{{ token }}` alone, where a secret is taken
"#,
    );
}

#[test]
fn a_broken_regular_expression_is_refused() {
    let said = complaints(&of_step(
        r#"
id: hosts
probe: { file: { path: /etc/hosts, contains: "(localhost" } }
expect: { contains: true }
"#,
    ));
    assert_says(
        &said,
        r#"
error: `contains` is not a regular expression: unclosed group
 --> pack/daily/check.yaml:4:50
  |
4 |     probe: { file: { path: /etc/hosts, contains: "(localhost" } }
  |                                                  ^^^^^^^^^^^^
  |
  = help: single quotes keep backslashes: '\berror\b'
"#,
    );
}

#[test]
fn an_unknown_database_is_refused() {
    let said = complaints(&of_step(
        r"
id: tickets
probe: { sql: { database: helpdsk, query: SELECT 1 } }
expect: { value: 1 }
",
    ));
    assert_says(
        &said,
        r"
error: the site file names no database `helpdsk`
 --> pack/daily/check.yaml:4:31
  |
4 |     probe: { sql: { database: helpdsk, query: SELECT 1 } }
  |                               ^^^^^^^
  |
  = help: did you mean `helpdesk`? `databases` of the site file names helpdesk, cache
",
    );
}

#[test]
fn a_when_that_reads_an_undefined_variable_is_refused() {
    let said = complaints(&of_step(
        r"
id: home
when: vars.site
probe: { memory: {} }
expect: { available: above 5% }
",
    ));
    assert_says(
        &said,
        r"
error: the variable `site` is not defined
 --> pack/daily/check.yaml:4:11
  |
4 |     when: vars.site
  |           ^^^^^^^^^ undefined
  |
  = help: did you mean `site_url`? Defined are site_url, names, empty, none, token
",
    );
}

#[test]
fn a_wrong_choice_and_a_number_out_of_range_are_refused() {
    let said = complaints(&of_step(
        r#"
id: home
probe: { http: { url: "http://127.0.0.1/", redirects: sometimes, attempts: 1000 } }
expect: { status: 200 }
"#,
    ));
    assert_says(
        &said,
        r#"
error: `redirects` cannot be `sometimes`
 --> pack/daily/check.yaml:4:59
  |
4 |     probe: { http: { url: "http://127.0.0.1/", redirects: sometimes, attempts: 1000 } }
  |                                                           ^^^^^^^^^
  |
  = help: it can be none, same-host, follow

error: `attempts` is not a whole number in its range
 --> pack/daily/check.yaml:4:80
  |
4 |     probe: { http: { url: "http://127.0.0.1/", redirects: sometimes, attempts: 1000 } }
  |                                                                                ^^^^
  |
  = help: write a whole number from 1 to 10
"#,
    );
}
