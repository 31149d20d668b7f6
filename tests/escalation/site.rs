//! What the site file says of telling people.

use chrono::{Datelike, Days, Utc};

use super::{Case, OUTAGE, SITE, begun, case, messages, told};

fn complains(name: &str, site: &str, part: &str) {
    let case = Case::new(name).site(site).procedure("emergency/outage.yaml", OUTAGE);
    case.run(["lint"]).exits(3).says_on_stderr(part);
}

#[test]
fn a_name_that_the_site_does_not_have_is_refused_with_the_nearest_one() {
    for (site, part) in [
        (SITE.replace("then: [{ to: management", "then: [{ to: managment"), "did you mean `management`?"),
        (SITE.replace("it@example.com, channel: log", "it@example.com, channel: lgo"), "did you mean `log`?"),
        (
            SITE.replace("it@example.com,", "it@example.com, available: ofice,")
                + "availability: { office: { from: \"08:00\", to: \"16:00\" } }\n",
            "did you mean `office`?",
        ),
        (SITE.replace("it@example.com,", "it@example.com, otherwise: users,"), "has no `otherwise`"),
    ] {
        complains("site-names", &site, part);
    }
}

#[test]
fn what_cannot_work_is_refused() {
    for (site, part) in [
        (SITE.replace("        answer: 1h\n", ""), "nothing says how long to wait for `it-team`"),
        (SITE.replace("management, within: 15m", "management, answer: 15m"), "nobody comes after this rung"),
        (
            SITE.replace("{ file: ./messages.jsonl }", "{ by_hand: phone }"),
            "cannot reach `it-team`, which has no `phone`",
        ),
        (SITE.replace("{ file: ./messages.jsonl }", "{ file: a, command: [b] }"), "exactly one of"),
        (SITE.replace("{ file: ./messages.jsonl }", "{ by_hand: pigeon }"), "`by_hand` cannot be `pigeon`"),
        (
            format!("{SITE}availability: {{ office: {{ days: [monday], from: \"8\", to: \"16:00\" }} }}\n"),
            "a day cannot be `monday`",
        ),
        (format!("{SITE}availability: {{ office: {{ from: \"25:00\", to: \"16:00\" }} }}\n"), "is no time of day"),
    ] {
        complains("site-wrong", &site, part);
    }
}

#[test]
fn roles_that_replace_each_other_in_a_circle_are_refused() {
    let site = "availability: { office: { from: \"08:00\", to: \"16:00\" } }
roles:
  a: { available: office, otherwise: b }
  b: { available: office, otherwise: a }
";
    complains("site-circle", site, "outside of its hours `a` is replaced by itself");
}

#[test]
fn lint_names_what_a_step_tells_and_the_site_does_not_have() {
    let case = case("site-lint").procedure(
        "emergency/other.yaml",
        "title: Other
steps:
  - id: tell
    notify: { to: [user, it-team], escalation: outag, channel: smoke, message: { template: outage-notise } }
",
    );
    let ran = case.run(["lint"]).exits(3);
    ran.says_on_stderr("pack/emergency/other.yaml:3")
        .says_on_stderr("no role `user`")
        .says_on_stderr("no escalation `outag`")
        .says_on_stderr("no channel `smoke`")
        .says_on_stderr("no template `outage-notise`");
}

#[test]
fn another_severity_has_the_row_default_and_no_row_is_an_error_of_the_step() {
    let of = |severity: &str| OUTAGE.replace("severity: critical", &format!("severity: {severity}"));
    let case = Case::new("site-rows").site(SITE).procedure("emergency/outage.yaml", &of("low"));
    begun(&case);
    assert_eq!(told(&case), ["it-team"]);
    let case = Case::new("site-row")
        .site(&SITE.replace("default:", "medium:"))
        .procedure("emergency/outage.yaml", &of("mediun"));
    case.run(["emergency", "outage"]).says("the escalation `outage` has no row `mediun`: did you mean `medium`?");
    assert!(told(&case).is_empty());
}

#[test]
fn who_is_not_there_is_replaced() {
    let day = Utc::now().date_naive().checked_add_days(Days::new(3)).expect("a day").weekday();
    let site = SITE.replace("it@example.com,", "it@example.com, available: some, otherwise: management,")
        + &format!(
            "availability: {{ some: {{ days: [{}], from: \"08:00\", to: \"09:00\" }} }}\n",
            day.to_string().to_lowercase()
        );
    let case = Case::new("site-hours").site(&site).procedure("emergency/outage.yaml", OUTAGE);
    begun(&case);
    assert_eq!(told(&case), ["management"]);
}

#[test]
fn a_text_comes_from_the_pack_and_the_site_may_say_it_differently() {
    let outage = "title: Outage\nsteps:\n  - id: tell\n    notify: { to: it-team, message: { template: notice } }\n";
    let text = |case: &Case| {
        case.run(["emergency", "outage"]).exits(0);
        messages(case)[0]["text"].as_str().expect("a text").to_owned()
    };
    let case = Case::new("site-template")
        .site(SITE)
        .procedure("emergency/outage.yaml", outage)
        .file("pack/templates/notice.txt", "{{ run.title }}!\nSorry.\n");
    assert_eq!(text(&case), "Outage!\nSorry.");
    let case = Case::new("site-own")
        .site(&format!("{SITE}templates: {{ notice: \"{{{{ run.site }}}} is down\" }}\n"))
        .procedure("emergency/outage.yaml", outage)
        .file("pack/templates/notice.txt", "not this one");
    assert_eq!(text(&case), "test is down");
}

#[test]
fn a_text_that_cannot_be_read_is_named_in_one_line() {
    let outage = "title: Outage\nsteps:\n  - id: tell\n    notify: { to: it-team, message: { template: notice } }\n";
    let case = Case::new("site-unread")
        .site(SITE)
        .procedure("emergency/outage.yaml", outage)
        .file("pack/templates/notice.txt/inside", "a folder where a text should be");
    let says =
        "error: pack/emergency/outage.yaml:3: step `tell`: pack/templates/notice.txt is not a file; check the path\n";
    case.run(["lint"]).exits(3).says_on_stderr(says);
}

#[test]
fn the_notices_of_the_helpdesk_need_nothing_but_the_run() {
    for name in ["outage-notice", "restored-notice", "security-notice", "data-loss-notice"] {
        let outage = format!(
            "title: Outage\nsteps:\n  - id: tell\n    notify: {{ to: it-team, message: {{ template: {name} }} }}\n"
        );
        let case = Case::new(name)
            .file("opsctl.yaml", format!("site: the helpdesk\npacks: [helpdesk, ./pack]\njournal: ./journal.db\nvars: {{ site_url: \"http://127.0.0.1:9\" }}\n{SITE}"))
            .procedure("emergency/try-it.yaml", &outage);
        case.run(["emergency", "try-it"]).exits(0);
        let said = messages(&case);
        assert!(said[0]["text"].as_str().expect("a text").contains("the helpdesk"), "{said:?}");
    }
}
