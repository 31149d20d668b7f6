//! No secret leaves with the events of a run.

use opsctl::model::outcome::{Exit, Outcome};

use super::{Run, procedure};
use crate::procedures::Case;

fn run(secret: &str, steps: &[(&str, &str)]) -> super::Ran {
    let case = Case::new().with("token", secret).with("pack/daily/check.yaml", procedure(steps));
    Run::in_case(case).run()
}

#[test]
fn a_secret_that_a_command_prints_is_stars_in_every_event() {
    let env = "env: { TOKEN: { file: token } }";
    let ran = run(
        "open-sesame-1\n",
        &[
            ("printed", &format!("gather: {{ command: {{ shell: 'echo a; echo $TOKEN; echo $TOKEN >&2', {env} }} }}")),
            (
                "judged",
                &format!("probe: {{ command: {{ shell: 'echo $TOKEN', {env} }} }}, expect: {{ stdout: other }}"),
            ),
            (
                "known",
                &format!(
                    "probe: {{ command: {{ shell: 'echo $TOKEN', {env} }} }}, expect: {{ stdout: open-sesame-1 }}"
                ),
            ),
        ],
    );
    let events = serde_json::to_string(&ran.events).expect("JSON");
    assert!(!events.contains("open-sesame-1"), "{events}");
    assert_eq!(ran.outcome_of("known"), Outcome::Passed, "what is judged is the text itself");
    assert!(ran.reason_of("judged").contains("stdout ***, expected other"), "{}", ran.reason_of("judged"));
    assert_eq!(ran.step("printed").evidence.last().map(|evidence| evidence.lines[1].as_str()), Some("***"));
}

#[test]
fn where_a_text_is_cut_no_beginning_of_a_secret_is_left() {
    let filled = |length: usize| format!("printf %{length}s | tr ' ' x; printf %s $TOKEN-and-more");
    let gather = |inputs: &str| format!("gather: {{ command: {{ {inputs}, env: {{ TOKEN: {{ file: token }} }} }} }}");
    let ran = run(
        "open-sesame-1\n",
        &[
            ("limit", &gather(&format!("shell: \"{}\", output_limit: 1KiB", filled(1016)))),
            ("record", &gather(&format!("shell: \"{}\"", filled(4088)))),
            ("file", &gather(&format!("shell: \"({}) >app.log\"", filled(392)))),
            ("line", "needs: [file], gather: { log: { file: app.log, last: 100 } }"),
        ],
    );
    let events = serde_json::to_string(&ran.events).expect("JSON");
    for step in ["limit", "record", "file", "line"] {
        assert_eq!(ran.outcome_of(step), Outcome::Passed, "{}", ran.reason_of(step));
    }
    assert!(events.contains("x***..."), "{events}");
    assert!(!events.contains("open"), "{events}");
}

#[test]
fn a_secret_that_is_also_the_name_of_a_step_or_an_outcome_is_still_hidden() {
    for secret in ["home-page", "passed", "daily", "command"] {
        let step = "gather: { command: { shell: 'echo x${TOKEN}x', env: { TOKEN: { file: token } } } }";
        let ran = run(secret, &[("home-page", step)]);
        assert_eq!(ran.exit, Exit::Ok, "{}", ran.reason_of("home-page"));
        let facts = serde_json::to_string(&ran.step("home-page").subjects[0].facts).expect("JSON");
        assert!(facts.contains("x***x") && !facts.contains(secret), "{secret}: {facts}");
    }
}

#[test]
fn a_secret_that_is_not_there_is_an_error_that_names_its_place() {
    let step = "gather: { command: { run: [date], env: { TOKEN: { file: nothing } } } }";
    let ran = run("x", &[("a", step)]);
    assert_eq!(ran.outcome_of("a"), Outcome::Errored);
    assert!(ran.reason_of("a").contains("nothing"), "{}", ran.reason_of("a"));
}
