//! `opsctl docs`: what is in the files is in the handbook, and nothing of it means anything else there.

use opsctl::procedure::library::is_test;

use crate::support::case::Case;

const HOSTILE: &str = r#"
title: "Check <script>alert(1)</script> | *stars*"
purpose: "Look at `ls -l *` and # nothing"
owner: admin
schedule: { cron: "0 8 * * 1-5" }
budget: 15m
escalate: { to: it-team }
steps:
  - id: page
    title: The page & its <b>title</b>
    probe: { http: { url: "{{ url }}", bearer: { env: OPSCTL_TEST_TOKEN } } }
    expect: { status: 200 }
    prefer: { latency: below 2s }
    why: Customers order here.
    next: "run `systemctl status web`"
  - section: By hand
    budget: 5m
    steps:
      - id: call
        manual: "Call <them>"
        when: steps.page is failed
      - id: way
        decision: { wait: "Wait | see", act: Act at once }
  - id: agreed
    approval: { of: [restart], by: lead }
  - id: restart
    action: { command: { run: [touch, "{{ url }}"] } }
    verify: [page]
    irreversible: the file stays
    effect: destructive
criteria:
  - { says: The page answers, proven_by: [page] }
"#;

fn hostile() -> Case {
    Case::new("handbook")
        .site("vars: { url: 'http://127.0.0.1:1/' }\nroles: { admin: { phone: '+48 1', responds_within: 1h } }\n")
        .procedure("daily/page.yaml", HOSTILE)
}

#[test]
fn a_handbook_says_who_when_how_long_what_and_what_then() {
    let mut said = hostile().run(["docs"]).exits(0);
    for line in [
        "- **admin**: \\+48 1; responds within 60 min",
        "- **it-team**: not in the site file",
        "## Check \\<script\\>alert(1)\\</script\\> \\| \\*stars\\*",
        "`opsctl daily page`, or `opsctl daily page --check` to look only",
        "Look at `ls -l *` and \\# nothing",
        "- Schedule: At 08:00, on Monday, Tuesday, Wednesday, Thursday, and Friday (UTC, cron ",
        "- Time: 15 min",
        "- If it does not hold: tell it-team",
        "1. **The page \\& its \\<b\\>title\\</b\\>** (probe `page`)",
        "     - `url: http://127.0.0.1:",
        "     - `bearer: { env: OPSCTL_TEST_TOKEN }`",
        "   - Must hold: `status: 200`",
        "   - Should hold: `latency: below 2 s`",
        "   - Why: Customers order here.",
        "   - If not: run `systemctl status web`",
        "### By hand (5 min)",
        "   - Call \\<them\\>",
        "   - Only when: steps.page is failed",
        "     - `wait: Wait | see`",
        "   - lead agrees to: restart",
        "   - Effect: destructive",
        "   - Afterwards, must hold: page",
        "   - Cannot be taken back: the file stays",
        "- The page answers (shown by page)",
    ] {
        said = said.says(line);
    }
}

#[test]
fn the_page_to_print_needs_nothing_from_elsewhere_and_no_text_becomes_markup() {
    let case = hostile();
    case.run(["docs", "--output", "book.html"]).exits(0).prints("").prints_on_stderr("written: book.html\n");
    let page = std::fs::read_to_string(case.path("book.html")).expect("a file");
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"), "whole");
    for absent in ["<script", "<b>title", "<them>", "src=", "@import", "url(", "<link"] {
        assert!(!page.contains(absent), "{absent} in {page}");
    }
    assert!(page.contains("Check &lt;script&gt;alert(1)&lt;"), "{page}");
    assert!(page.contains("<code>systemctl status web</code>"), "{page}");
    let again = case.run(["docs", "--output", "book.html"]).exits(3);
    again.prints_on_stderr("error: book.html exists\n  help: choose another name, or replace it with --force\n");
    case.run(["docs", "--output", "book.html", "--force"]).exits(0);
}

#[test]
fn the_shipped_packs_are_whole_in_it() {
    let case = Case::new("shipped").file("opsctl.yaml", "site: test\npacks: [host, helpdesk]\njournal: ./j.db\ndatabases: { helpdesk: { url: 'sqlite:a.db' } }\nvars: { site_url: 'http://127.0.0.1:1' }\n");
    let mut said = case.run(["docs"]).exits(0);
    for path in walkdir::WalkDir::new(concat!(env!("CARGO_MANIFEST_DIR"), "/procedures")) {
        let path = path.expect("a file").into_path();
        let group =
            path.parent().and_then(|folder| folder.file_name()).expect("a group").to_string_lossy().into_owned();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if path.extension().is_none_or(|extension| extension != "yaml") || name == "pack" || is_test(&path) {
            continue;
        }
        said = said.says(&format!("`opsctl {group} {name}`"));
        let text = std::fs::read_to_string(&path).expect("a procedure");
        for id in text.lines().filter_map(|line| line.trim_start().strip_prefix("- id: ")) {
            said = said.says(&format!(" `{id}`)"));
        }
    }
}

#[test]
fn only_what_is_named_is_in_it_and_a_wrong_name_is_refused() {
    let case = hostile().procedure("weekly/other.yaml", HOSTILE);
    let one = case.run(["docs", "weekly"]).exits(0);
    assert!(one.stdout.contains("opsctl weekly other") && !one.stdout.contains("opsctl daily page"), "{one}");
    case.run(["docs", "daily/page"]).exits(0).says("opsctl daily page");
    case.run(["docs", "daily/pge"]).exits(3).prints_on_stderr(
        "error: daily/pge is neither a group nor a procedure\n  help: did you mean `daily/page`? There are daily, weekly, daily/page, weekly/other\n",
    );
}
