//! The site file.

use chrono::NaiveDate;
use opsctl::model::secret::MaybeSecret;

use super::{Case, assert_says};

fn complaints(site: &str) -> String {
    Case::new().with("opsctl.yaml", site).with("pack/.keep", "").complaints()
}

#[test]
fn a_wrong_time_zone_is_refused_with_the_nearest_one() {
    let said = complaints("site: test\npacks: [./pack]\ntimezone: Europe/Warszawa\n");
    assert_says(
        &said,
        r"
error: there is no time zone `Europe/Warszawa`
 --> opsctl.yaml:3:11
  |
3 | timezone: Europe/Warszawa
  |           ^^^^^^^^^^^^^^^
  |
  = help: did you mean `Europe/Warsaw`?
",
    );
}

#[test]
fn a_password_in_the_address_of_a_database_is_refused_and_not_repeated() {
    let said = complaints("site: test\ndatabases:\n  helpdesk: { url: mysql://opsctl:hunter22@db/helpdesk }\n");
    assert!(!said.contains("hunter22"), "{said}");
    assert_says(
        &said,
        r"
error: a password must not stand in a file
 --> opsctl.yaml:3:20
  |
3 |   helpdesk: { url: *********************************** }
  |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: refer to it: `{ env: NAME }`, `{ file: /run/secrets/name }` or `{ command: [pass, name] }`
",
    );
}

#[test]
fn a_password_among_the_options_of_an_address_is_refused_too() {
    for url in [
        "postgres://db/helpdesk?user=me&password=hunter22",
        "unix:///run/redis.sock?user=me&pass=hunter22",
        "redis://:hunter22@cache",
    ] {
        let said = complaints(&format!("site: test\npacks: [./pack]\ndatabases:\n  helpdesk: {{ url: '{url}' }}\n"));
        assert!(said.starts_with("error: a password must not stand in a file") && !said.contains("hunter22"), "{said}");
    }
}

#[test]
fn what_is_no_address_of_a_database_is_refused() {
    let said = complaints("site: test\ndatabases:\n  helpdesk: { url: oracle://db/helpdesk }\n");
    assert_says(
        &said,
        r"
error: this is not the address of a database
 --> opsctl.yaml:3:20
  |
3 |   helpdesk: { url: oracle://db/helpdesk }
  |                    ^^^^^^^^^^^^^^^^^^^^
  |
  = help: write mysql://user@host/name, postgres://user@host/name, sqlite:///path or redis://host; with a password, refer to it as a secret
",
    );
}

#[test]
fn an_unknown_key_and_a_missing_name_are_both_said() {
    let said = complaints("sight: test\n");
    assert_says(
        &said,
        r"
error: the site file has no key `sight`
 --> opsctl.yaml:1:1
  |
1 | sight: test
  | ^^^^^ unknown key
  |
  = help: the keys are site, timezone, packs, vars, databases, services, roles, channels, availability, escalation, templates, waivers, journal

error: the site file has no `site`
 --> opsctl.yaml:1:1
  |
1 | sight: test
  | ^
  |
  = help: add `site: ...`
",
    );
}

#[test]
fn variables_have_names_that_expressions_can_read_and_are_no_templates() {
    let said = complaints(
        "site: test\nvars:\n  site-url: x\n  steps: x\n  url: '{{ site }}/x'\n  deep: [[a]]\n  other: { env: A, file: B }\n",
    );
    assert_says(
        &said,
        r"
error: `site-url` cannot be the name of a variable
 --> opsctl.yaml:3:3
  |
3 |   site-url: x
  |   ^^^^^^^^
  |
  = help: use letters, digits and `_`; `steps`, `run`, `vars` and `item` are taken

error: `steps` cannot be the name of a variable
 --> opsctl.yaml:4:3
  |
4 |   steps: x
  |   ^^^^^
  |
  = help: use letters, digits and `_`; `steps`, `run`, `vars` and `item` are taken

error: the variable `url` is a template
 --> opsctl.yaml:5:8
  |
5 |   url: '{{ site }}/x'
  |        ^^^^^^^^^^^^^^
  |
  = help: write the value out; templates belong into procedures

error: the variable `deep` is a list of more than texts
 --> opsctl.yaml:6:9
  |
6 |   deep: [[a]]
  |         ^^^^^
  |
  = help: write texts only

error: `other` has exactly one key
 --> opsctl.yaml:7:20
  |
7 |   other: { env: A, file: B }
  |                    ^^^^ one too many
  |
  = help: refer to it: `{ env: NAME }`, `{ file: /run/secrets/name }` or `{ command: [pass, name] }`
",
    );
}

#[test]
fn a_waiver_needs_owner_reason_and_a_day() {
    let said = complaints("site: test\nwaivers:\n  - { step: daily/check.a, until: next week }\n");
    assert_says(
        &said,
        r"
error: a waiver has no `owner`
 --> opsctl.yaml:3:5
  |
3 |   - { step: daily/check.a, until: next week }
  |     ^
  |
  = help: add `owner: ...`

error: a waiver has no `reason`
 --> opsctl.yaml:3:5
  |
3 |   - { step: daily/check.a, until: next week }
  |     ^
  |
  = help: add `reason: ...`

error: `until` is not a day
 --> opsctl.yaml:3:35
  |
3 |   - { step: daily/check.a, until: next week }
  |                                   ^^^^^^^^^
  |
  = help: write the last day on which it holds: `2026-12-31`
",
    );
}

#[test]
fn a_journal_that_cannot_be_kept_is_refused() {
    let said = complaints("site: test\njournal: redis://localhost\n");
    assert_says(
        &said,
        r"
error: the journal cannot be kept there
 --> opsctl.yaml:2:10
  |
2 | journal: redis://localhost
  |          ^^^^^^^^^^^^^^^^^
  |
  = help: write `sqlite:///var/lib/opsctl/journal.db`
",
    );
}

#[test]
fn a_complete_site_is_read() {
    let case = Case::new().with(
        "opsctl.yaml",
        "
site: helpdesk
timezone: Europe/Warsaw
packs: [helpdesk, ./pack]
vars: { site_url: http://127.0.0.1/, names: [a, b], token: { env: TOKEN }, nothing: }
databases:
  helpdesk: { url: { env: HELPDESK_DATABASE_URL } }
  local: { url: sqlite://data/local.db }
services:
  search: { status: [searchctl, status], start: [searchctl, start, ''] }
roles:
  it-team: { mail: it@example.com, phone: '+48 123', responds_within: 1h }
waivers:
  - { step: daily/check.disks, subject: /mnt, owner: anna, reason: new disk ordered, until: 2026-12-31 }
journal: sqlite://journal.db
",
    );
    let site = case.site().unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
    assert_eq!((site.name.as_str(), site.timezone.name(), site.packs.len()), ("helpdesk", "Europe/Warsaw", 2));
    assert_eq!(site.journal, Some(case.path().join("journal.db")));
    let local = format!("sqlite://{}", case.path().join("data/local.db").display());
    assert_eq!(site.databases["local"].url, MaybeSecret::Plain(local));
    let search = &site.services["search"];
    assert_eq!((search.status.join(" ").as_str(), search.stop.as_ref()), ("searchctl status", None));
    assert_eq!(search.start.as_deref(), Some(&["searchctl".to_owned(), "start".to_owned(), String::new()][..]));
    assert_eq!(site.waivers[0].until, NaiveDate::from_ymd_opt(2026, 12, 31).expect("a day"));
    assert_eq!(site.roles["it-team"].responds_within, Some(std::time::Duration::from_hours(1)));
}

#[test]
fn a_service_is_managed_by_lists_of_arguments_and_says_whether_it_runs() {
    let said = complaints("site: test\nservices:\n  search: { start: searchctl start, stop: [[x]], restart: [] }\n");
    let wrong: Vec<&str> = said.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!(
        wrong,
        [
            "error: a service has no `status`",
            "error: `start` is a list, not a single value",
            "error: an argument of `stop` is a text, not a list",
            "error: `restart` is an empty list",
        ]
    );
}
