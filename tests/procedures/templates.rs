//! `{{ name }}` and `when`.

use opsctl::procedure::document::Made;

use super::{assert_says, complaints, good, of_step};

fn target(inputs: &str) -> String {
    let procedure = good(&of_step(&format!("id: a\ngather: {inputs}")));
    match &procedure.steps[0].looks[0].made {
        Made::Ready(probe) => probe.target(),
        Made::Late { .. } => "late".to_owned(),
    }
}

#[test]
fn a_variable_inside_a_text_is_put_in() {
    assert_eq!(
        target("{ command: { run: [echo, '{{ site_url }}login', '{{ names | join(\"+\") }}'] } }"),
        "echo http://127.0.0.1/login alpha+beta"
    );
}

#[test]
fn a_list_alone_stays_a_list() {
    assert_eq!(target("{ command: { run: '{{ names }}' } }"), "alpha beta");
}

#[test]
fn text_of_a_variable_never_becomes_structure() {
    // The quotes, braces and commas in it stay one argument.
    let case = super::Case::new()
        .with("opsctl.yaml", "site: test\npacks: [./pack]\nvars: { odd: '\"], shell: \"reboot' }\n")
        .with("pack/daily/check.yaml", of_step("id: a\ngather: { command: { run: [echo, \"x {{ odd }}\"] } }"));
    let procedures = case.load().unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
    let Made::Ready(probe) = &procedures[0].steps[0].looks[0].made else { panic!("ready") };
    assert_eq!(probe.target(), "echo x \"], shell: \"reboot");
}

#[test]
fn an_empty_variable_makes_an_optional_input_absent() {
    assert_eq!(target("{ command: { run: [date], folder: '{{ empty }}', env: '{{ none }}' } }"), "date");
}

#[test]
fn an_empty_variable_is_refused_where_the_input_is_required() {
    let said = complaints(&of_step("id: a\nprobe: { http: { url: '{{ empty }}' } }\nexpect: { status: 200 }"));
    assert_says(
        &said,
        r"
error: `url` is empty
 --> pack/daily/check.yaml:4:27
  |
4 |     probe: { http: { url: '{{ empty }}' } }
  |                           ^^^^^^^^^^^^^
  |
  = help: write it, or remove the key
",
    );
}

#[test]
fn what_reads_results_waits_for_them_and_for_the_step_that_has_them() {
    let procedure = good(
        "title: A
steps:
  - { id: second, gather: { command: { run: [echo, '{{ steps.first_one.facts.stdout }}'] } } }
  - { id: first-one, gather: { command: { run: [date] } } }
  - { id: other, gather: { command: { run: ['echo', 'on {{ run.date }}'] } } }
",
    );
    let late: Vec<bool> = procedure.steps.iter().map(opsctl::procedure::document::Step::has_late_looks).collect();
    assert_eq!(late, [true, false, true]);
    assert_eq!(procedure.steps[0].after.iter().copied().collect::<Vec<_>>(), [1]);
    assert!(procedure.steps[2].after.is_empty());
}

#[test]
fn an_expectation_cannot_wait_for_results() {
    let said = complaints(
        "title: A
steps:
  - { id: a, gather: { memory: {} } }
  - { id: b, probe: { memory: {} }, expect: { available: 'above {{ steps.a.facts.available }}B' } }
",
    );
    assert_says(
        &said,
        r"
error: `available`: an expectation cannot depend on the results of the run
 --> pack/daily/check.yaml:4:58
  |
4 |   - { id: b, probe: { memory: {} }, expect: { available: 'above {{ steps.a.facts.available }}B' } }
  |                                                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: compare in a `when`, or in SQL
",
    );
}

#[test]
fn mistakes_beside_a_late_template_are_found_when_loading() {
    let said = complaints(
        "title: A
steps:
  - { id: a, gather: { command: { run: [date] } } }
  - { id: b, gather: { http: { url: '{{ steps.a.facts.stdout }}', attempts: many } } }
",
    );
    assert_says(
        &said,
        r"
error: `attempts` is not a whole number in its range
 --> pack/daily/check.yaml:4:77
  |
4 |   - { id: b, gather: { http: { url: '{{ steps.a.facts.stdout }}', attempts: many } } }
  |                                                                             ^^^^
  |
  = help: write a whole number from 1 to 10
",
    );
}

#[test]
fn a_broken_template_is_refused() {
    let said = complaints(&of_step("id: a\ngather: { command: { run: [echo, '{{ site_url'] } }"));
    assert_says(
        &said,
        r"
error: the template is broken: syntax error: unexpected end of input, expected end of variable block
 --> pack/daily/check.yaml:4:38
  |
4 |     gather: { command: { run: [echo, '{{ site_url'] } }
  |                                      ^^^^^^^^^^^^^
  |
  = help: write `{{ name }}`
",
    );
}

#[test]
fn a_secret_variable_alone_is_taken_where_a_secret_is() {
    assert_eq!(target("{ http: { url: 'http://127.0.0.1/', bearer: '{{ token }}' } }"), "http://127.0.0.1/");
    assert_eq!(target("{ command: { run: [date], env: { TOKEN: '{{ token }}' } } }"), "date");
}

#[test]
fn a_secret_variable_is_no_argument() {
    let said = complaints(&of_step("id: a\ngather: { command: { run: [curl, '{{ token }}'] } }"));
    assert_says(
        &said,
        r"
error: an argument of `run` is a text, not a mapping
 --> pack/daily/check.yaml:4:38
  |
4 |     gather: { command: { run: [curl, '{{ token }}'] } }
  |                                      ^^^^^^^^^^^^^
  |
  = help: a secret does not belong into arguments, which every user of the machine can read; hand it over in `env`
",
    );
}
