//! Policies that a pack brings along, and the roles that a step picks from a policy.

use super::{Case, messages, told};

const ROLES: &str = "
channels: { log: { file: ./messages.jsonl } }
roles:
  it-team: { mail: it@example.com, channel: log }
  management: { mail: boss@example.com, channel: log }
";

const PACK: &str = "
escalation:
  outage:
    critical:
      - { to: it-team, within: 5m }
      - { to: management, within: 15m }
    low: [{ to: it-team, within: 4h }]
";

fn case(name: &str, site: &str, notify: &str) -> Case {
    let outage = format!("title: Outage\nsteps:\n  - id: tell\n    notify: {notify}\n");
    Case::new(name).site(site).file("pack/pack.yaml", PACK).procedure("emergency/outage.yaml", &outage)
}

/// Whether the only message has to be told by then.
fn has_deadline(case: &Case) -> bool {
    messages(case)[0]["deadline"].is_string()
}

#[test]
fn a_policy_of_the_pack_tells_everybody_in_it_where_the_site_has_none() {
    let case = case("pack-policy", ROLES, "{ escalation: outage, severity: critical, message: Down }");
    case.run(["lint"]).exits(0);
    case.run(["emergency", "outage"]).exits(0);
    // Side by side: who comes first is nobody's business.
    let mut told = told(&case);
    told.sort();
    assert_eq!(told, ["it-team", "management"]);
    assert!(has_deadline(&case));
}

#[test]
fn a_policy_of_the_site_is_taken_instead_of_that_of_the_pack() {
    let site = format!("{ROLES}escalation: {{ outage: {{ default: [{{ to: management }}] }} }}\n");
    let case = case("pack-override", &site, "{ escalation: outage, severity: critical, message: Down }");
    case.run(["emergency", "outage"]).exits(0);
    assert_eq!(told(&case), ["management"]);
    assert!(!has_deadline(&case));
}

#[test]
fn a_step_tells_only_those_of_a_policy_that_it_names() {
    let case = case("pack-picked", ROLES, "{ to: management, escalation: outage, severity: critical, message: Down }");
    case.run(["emergency", "outage"]).exits(0);
    assert_eq!(told(&case), ["management"]);
    assert!(has_deadline(&case));
}

#[test]
fn who_has_no_track_at_this_severity_is_left_out_as_long_as_somebody_is_told() {
    let both = "{ to: [it-team, management], escalation: outage, severity: low, message: Down }";
    let case_of_both = case("pack-low", ROLES, both);
    case_of_both.run(["emergency", "outage"]).exits(0);
    assert_eq!(told(&case_of_both), ["it-team"]);
    let alone = case("pack-nobody", ROLES, "{ to: management, escalation: outage, severity: low, message: Down }");
    alone.run(["emergency", "outage"]).exits(0);
    assert_eq!(told(&alone), ["management"]);
    assert!(!has_deadline(&alone));
}

#[test]
fn for_a_role_that_the_site_does_not_have_a_person_is_asked_and_the_others_are_told() {
    let site = ROLES.replace("  management: { mail: boss@example.com, channel: log }\n", "");
    let case = case("pack-role", &site, "{ escalation: outage, severity: critical, message: Down }");
    case.run(["lint"])
        .exits(3)
        .says_on_stderr("step `tell`: the site file has no role `management`: there are it-team");
    case.run(["emergency", "outage"]).exits(1).says("tell management by phone: Down");
    assert_eq!(told(&case), ["it-team"]);
}

#[test]
fn lint_says_when_a_policy_knows_no_deadline_for_a_role_or_a_severity() {
    let site = format!("{ROLES}  users: {{ mail: all@example.com }}\n");
    for (name, notify, part) in [
        (
            "pack-no-track",
            "{ to: users, escalation: outage, severity: low, message: Down }",
            "no row of the escalation `outage` says by when `users` has to be told",
        ),
        (
            "pack-no-row",
            "{ escalation: outage, severity: critcal, message: Down }",
            "the escalation `outage` has no row `critcal`: did you mean `critical`?",
        ),
        (
            "pack-no-policy",
            "{ escalation: outrage, message: Down }",
            "no escalation `outrage` in the site file or its packs: did you mean `outage`?",
        ),
    ] {
        case(name, &site, notify).run(["lint"]).exits(3).says_on_stderr(part);
    }
}

#[test]
fn what_is_wrong_in_a_policy_of_a_pack_is_shown_where_it_stands() {
    let ladder =
        "escalation:\n  outage:\n    low:\n      - { to: it-team, within: soon, then: [{ to: management }] }\n";
    let case = case("pack-wrong", ROLES, "{ to: it-team, message: Down }").file("pack/pack.yaml", ladder);
    case.run(["lint"])
        .exits(3)
        .says_on_stderr("pack/pack.yaml:4")
        .says_on_stderr("nothing says how long to wait for `it-team`")
        .says_on_stderr("`soon`");
}
