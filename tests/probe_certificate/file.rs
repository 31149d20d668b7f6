use chrono::{Days, Utc};
use opsctl::model::outcome::Outcome;
use rcgen::date_time_ymd;
use serde_json::json;

use super::{days, has, is, look, text};
use crate::engine::Run;
use crate::support::look::Look;
use crate::support::tls::Authority;

#[test]
fn a_file_is_judged_with_the_chain_in_it() {
    let authority = Authority::new();
    let (whole, alone) = (authority.issue("whole", |_| {}), authority.issue_alone("alone", |_| {}));
    let look = Look::new("certificate", json!({ "file": [whole, alone], "ca": authority.ca() }));
    let seen = look.run().expect("a look").subjects;
    assert_eq!(seen[0].name, whole.display().to_string());
    assert!(is(&seen[0], "valid") && is(&seen[0], "chain_complete"), "{seen:?}");
    assert_eq!(text(&seen[0], "chain_length"), "2");
    assert!(!is(&seen[1], "valid") && !is(&seen[1], "chain_complete"), "{seen:?}");
    assert!(!has(&seen[0], "answers") && !has(&seen[0], "name_matches"), "{seen:?}");
    let missing = Look::new("certificate", json!({ "file": whole })).subject();
    assert!(!is(&missing, "trusted"), "the system does not know this authority: {missing:?}");
}

#[test]
fn a_file_is_for_a_name_where_one_is_given() {
    let authority = Authority::new();
    let file = authority.issue("whole", |_| {});
    let of =
        |name: &str| Look::new("certificate", json!({ "file": file, "ca": authority.ca(), "name": name })).subject();
    assert!(is(&of("localhost"), "valid") && is(&of("127.0.0.1"), "name_matches"));
    let seen = of("other.example");
    assert!(!is(&seen, "valid") && !is(&seen, "name_matches"), "{seen:?}");
    assert_eq!(seen.notes, ["certificate is for localhost, 127.0.0.1, not for other.example"]);
}

#[test]
fn an_expired_file_is_seen_and_fails_a_step() {
    let authority = Authority::new();
    let file = authority.issue("whole", |_| {});
    let seen = Look::new("certificate", json!({ "file": file, "ca": authority.ca() }));
    let seen = seen.now(Utc::now() + Days::new(40_000)).subject();
    assert!(!is(&seen, "valid") && is(&seen, "trusted") && days(&seen, "expires_in") < 0.0, "{seen:?}");
    let step = |expect: &str| {
        let look = format!("certificate: {{ file: {}, ca: {} }}", file.display(), authority.ca().display());
        let text = format!("title: Files\nsteps:\n- id: a\n  title: A\n  probe: {{ {look} }}\n  expect: {expect}\n");
        Run::of(&text).run().outcome
    };
    assert_eq!(step("{ expires_in: above 30d }"), Outcome::Passed);
    assert_eq!(step("{ expires_in: above 30000d }"), Outcome::Failed);
}

#[test]
fn each_file_of_a_glob_is_one_result_and_what_cannot_be_read_is_said() {
    let authority = Authority::new();
    authority.issue("one", |_| {});
    authority.issue("two", |_| {});
    std::fs::write(authority.path("empty.pem"), "nothing\n").expect("a file");
    let looked =
        Look::new("certificate", json!({ "file": authority.path("{one,two,empty}.pem"), "ca": authority.ca() }));
    let seen = looked.run().expect("a look").subjects;
    let names: Vec<String> =
        ["empty", "one", "two"].map(|name| authority.path(&format!("{name}.pem")).display().to_string()).into();
    assert_eq!(seen.iter().map(|one| one.name.clone()).collect::<Vec<_>>(), names);
    assert_eq!(seen[0].error, Some(format!("{} holds no certificate as PEM", names[0])));
    assert!(is(&seen[1], "valid") && is(&seen[2], "valid"), "{seen:?}");
    let seen = Look::new("certificate", json!({ "file": authority.path("none.pem") })).subject();
    assert_eq!(seen.error, Some(format!("{} does not exist", authority.path("none.pem").display())));
}

#[test]
fn a_certificate_that_was_renewed_but_not_reloaded_is_found() {
    let authority = Authority::new();
    let file = authority.issue("site", |params| params.not_after = date_time_ymd(2088, 1, 1));
    let server = authority.serve("site", "");
    let look = look(server.port, &authority.ca(), &json!({ "file": file }));
    let seen = look.subject();
    assert!(is(&seen, "matches_file") && seen.notes.is_empty(), "{seen:?}");
    authority.issue("site", |params| params.not_before = date_time_ymd(2026, 1, 1));
    let seen = look.subject();
    assert!(!is(&seen, "matches_file") && is(&seen, "valid"), "{seen:?}");
    let note = format!("{} holds a newer one: renewed, but the server has not loaded it; reload it", file.display());
    assert_eq!(seen.notes, [note]);
    let server = authority.serve("site", "");
    let seen = super::look(server.port, &authority.ca(), &json!({ "file": file })).subject();
    assert!(is(&seen, "matches_file"), "after a restart: {seen:?}");
}

#[test]
fn another_certificate_than_that_of_the_file_is_said_and_a_missing_file_is_no_difference() {
    let authority = Authority::new();
    authority.issue("site", |params| params.not_before = date_time_ymd(2026, 1, 1));
    let older = authority.issue("older", |params| params.not_before = date_time_ymd(2020, 1, 1));
    let server = authority.serve("site", "");
    let of = |file| look(server.port, &authority.ca(), &json!({ "file": file })).subject();
    let seen = of(older);
    assert!(!is(&seen, "matches_file"), "{seen:?}");
    assert_eq!(seen.notes, ["another certificate is presented than the files hold"]);
    let seen = of(authority.path("none.pem"));
    assert!(!has(&seen, "matches_file") && is(&seen, "valid"), "{seen:?}");
    assert_eq!(seen.error, Some(format!("{} does not exist", authority.path("none.pem").display())));
}

#[test]
fn a_private_key_fits_its_own_certificate_only() {
    let authority = Authority::new();
    let file = authority.issue("one", |_| {});
    authority.issue("two", |_| {});
    let with = |key: &str| Look::new("certificate", json!({ "file": file, "key": authority.path(key) }));
    assert!(is(&with("one.key").subject(), "key_fits"));
    assert!(!is(&with("two.key").subject(), "key_fits"));
    let server = authority.serve("one", "");
    let at_server = |key: &str| look(server.port, &authority.ca(), &json!({ "key": authority.path(key) })).subject();
    assert!(is(&at_server("one.key"), "key_fits") && !is(&at_server("two.key"), "key_fits"));
    let error = with("one.pem").run().expect_err("no key");
    assert_eq!(error.code, "bad_file");
    assert_eq!(error.message, format!("{} holds no private key that can be read", file.display()));
    assert_eq!(with("none.key").run().expect_err("no file").code, "not_found");
}
