use chrono::{DateTime, Days, Utc};
use opsctl::model::outcome::Outcome;
use opsctl::model::value::Value;
use rcgen::date_time_ymd;
use serde_json::json;

use super::{at_apache, days, has, is, look, text, with_lines};
use crate::engine::Run;
use crate::support::look::Look;
use crate::support::tls::Authority;
use crate::support::web::{self, apache};

#[test]
fn a_certificate_that_holds_says_all_that_it_is() {
    let seen = look(apache().tls, &apache().ca, &json!({})).run().expect("a look");
    let (seen, lines) = with_lines(seen);
    assert_eq!(seen.name, format!("localhost:{} over IPv4", apache().tls));
    let names: Vec<&str> = seen.facts.keys().map(String::as_str).collect();
    let wanted = [
        "answers",
        "expires_in",
        "leaf_expires_in",
        "lifetime_left",
        "valid",
        "not_yet_valid",
        "name_matches",
        "trusted",
        "self_signed",
        "chain_complete",
        "chain_length",
        "subject",
        "issuer",
        "names",
        "weak",
        "serial",
        "fingerprint",
        "key_type",
        "key_bits",
        "signature",
        "ocsp_stapled",
        "tls_version",
        "resolve",
        "connect",
        "address",
    ];
    assert_eq!(names, wanted);
    for name in ["answers", "valid", "name_matches", "trusted", "chain_complete"] {
        assert!(is(&seen, name), "{name}");
    }
    for name in ["not_yet_valid", "self_signed", "weak", "ocsp_stapled"] {
        assert!(!is(&seen, name), "{name}");
    }
    assert!(days(&seen, "expires_in") > 10_000.0 && days(&seen, "leaf_expires_in") > 10_000.0, "{seen:?}");
    assert_eq!((text(&seen, "names"), text(&seen, "chain_length")), ("localhost, 127.0.0.1".into(), "1".into()));
    assert_eq!(text(&seen, "issuer"), "CN=opsctl test root");
    assert!(text(&seen, "subject").contains("CN=good"), "{seen:?}");
    assert_eq!((text(&seen, "key_type"), text(&seen, "key_bits")), ("EC".into(), "256".into()));
    assert_eq!((text(&seen, "signature"), text(&seen, "tls_version")), ("ecdsa-with-SHA256".into(), "TLS 1.3".into()));
    assert_eq!((text(&seen, "address"), text(&seen, "fingerprint").len()), ("127.0.0.1".into(), 64));
    assert!(seen.notes.is_empty(), "{seen:?}");
    assert!(lines.len() == 1 && lines[0].contains("issued by CN=opsctl test root, valid "), "{lines:?}");
}

#[test]
fn the_whole_chain_counts_and_not_only_the_leaf() {
    let seen = at_apache(apache().chain);
    assert!((days(&seen, "expires_in") - web::INTERMEDIATE_DAYS as f64).abs() <= 2.0, "{seen:?}");
    assert!(days(&seen, "leaf_expires_in") > 10_000.0, "{seen:?}");
    assert_eq!(text(&seen, "chain_length"), "2");
    assert!(is(&seen, "valid"));
    assert_eq!(seen.notes, ["the first to expire is the intermediate certificate of `CN=opsctl test intermediate`"]);
}

#[test]
fn an_intermediate_certificate_that_expired_is_found_and_named() {
    let later = Utc::now() + Days::new(30);
    let seen = look(apache().chain, &apache().ca, &json!({})).now(later).subject();
    assert!(!is(&seen, "valid") && is(&seen, "trusted") && is(&seen, "chain_complete"), "{seen:?}");
    assert!(days(&seen, "expires_in") < 0.0 && days(&seen, "leaf_expires_in") > 10_000.0, "{seen:?}");
    assert!(seen.notes[0].starts_with("intermediate certificate expired on "), "{seen:?}");
}

#[test]
fn an_expired_certificate_is_seen_like_any_other() {
    let seen = at_apache(apache().expired);
    assert!(is(&seen, "answers") && !is(&seen, "valid") && is(&seen, "trusted") && is(&seen, "name_matches"));
    assert!(days(&seen, "expires_in") < 0.0, "{seen:?}");
    assert_eq!(seen.facts["lifetime_left"], Value::percent(0.0));
    assert_eq!(seen.notes, [format!("certificate expired on {}", web::EXPIRED_ON)]);
}

#[test]
fn a_certificate_whose_time_has_not_come_is_said() {
    let authority = Authority::new();
    authority.issue("early", |params| params.not_before = date_time_ymd(2089, 1, 1));
    let server = authority.serve("early", "");
    let seen = look(server.port, &authority.ca(), &json!({})).subject();
    assert!(is(&seen, "not_yet_valid") && !is(&seen, "valid") && is(&seen, "trusted"), "{seen:?}");
    assert_eq!(seen.notes, ["certificate is not valid yet"]);
}

#[test]
fn a_certificate_for_another_name_is_said_and_the_name_can_be_given() {
    let seen = at_apache(apache().other_name);
    assert!(!is(&seen, "valid") && !is(&seen, "name_matches") && is(&seen, "trusted"), "{seen:?}");
    assert_eq!(seen.notes, ["certificate is for other.example, not for localhost"]);
    let seen = look(apache().other_name, &apache().ca, &json!({ "name": "other.example" })).subject();
    assert!(is(&seen, "valid") && is(&seen, "name_matches") && seen.notes.is_empty(), "{seen:?}");
}

#[test]
fn a_self_signed_certificate_is_trusted_only_when_it_is_named() {
    let seen = at_apache(apache().self_signed);
    assert!(is(&seen, "self_signed") && !is(&seen, "trusted") && !is(&seen, "valid"), "{seen:?}");
    assert!(is(&seen, "chain_complete"), "nothing is missing: {seen:?}");
    assert_eq!(seen.notes, ["certificate is self-signed by `CN=opsctl test itself` and not trusted here"]);
    let seen = look(apache().self_signed, &apache().self_signed_certificate, &json!({})).subject();
    assert!(is(&seen, "self_signed") && is(&seen, "trusted") && is(&seen, "valid"), "{seen:?}");
}

#[test]
fn a_self_signed_certificate_that_is_named_holds_only_in_its_time() {
    let look = || look(apache().self_signed, &apache().self_signed_certificate, &json!({}));
    let seen = look().now(DateTime::UNIX_EPOCH).subject();
    assert!(!is(&seen, "valid") && is(&seen, "not_yet_valid") && is(&seen, "trusted"), "{seen:?}");
    assert_eq!(seen.notes, ["certificate is not valid yet"]);
    let seen = look().now(Utc::now() + Days::new(1_000_000)).subject();
    assert!(!is(&seen, "valid") && !is(&seen, "not_yet_valid") && is(&seen, "trusted"), "{seen:?}");
    assert!(seen.notes[0].starts_with("certificate expired on "), "{seen:?}");
}

#[test]
fn a_chain_without_its_intermediate_certificate_is_incomplete() {
    let authority = Authority::new();
    authority.issue_alone("alone", |_| {});
    authority.issue("whole", |_| {});
    let seen = look(authority.serve("alone", "").port, &authority.ca(), &json!({})).subject();
    assert!(!is(&seen, "chain_complete") && !is(&seen, "trusted") && !is(&seen, "valid"), "{seen:?}");
    assert_eq!(
        seen.notes,
        ["certificate was issued by `CN=own intermediate`, which is not trusted here; it comes without an \
             intermediate certificate"]
    );
    let whole = authority.serve("whole", "");
    let seen = look(whole.port, &authority.ca(), &json!({})).subject();
    assert!(is(&seen, "chain_complete") && is(&seen, "valid"), "{seen:?}");
    assert_eq!(text(&seen, "chain_length"), "2");
    let seen = look(whole.port, &apache().ca, &json!({})).subject();
    assert!(!is(&seen, "trusted") && !is(&seen, "chain_complete"), "{seen:?}");
}

#[test]
fn a_weak_key_is_said_and_the_certificate_seen_all_the_same() {
    let authority = Authority::new();
    authority.openssl(
        "req -x509 -newkey rsa:1024 -nodes -keyout weak.key -out weak.pem -days 30 -subj /CN=weak \
         -addext subjectAltName=DNS:localhost",
    );
    let server = authority.serve("weak", "-cipher DEFAULT@SECLEVEL=0");
    let seen = look(server.port, &authority.path("weak.pem"), &json!({})).subject();
    assert!(is(&seen, "answers") && is(&seen, "weak"), "{seen:?}");
    assert_eq!((text(&seen, "key_type"), text(&seen, "key_bits")), ("RSA".into(), "1024".into()));
    assert!(
        seen.notes.contains(&"weak: the certificate of `CN=weak`: its RSA key has only 1024 bits".into()),
        "{seen:?}"
    );
}

#[test]
fn a_signature_that_can_be_forged_is_weak_but_not_what_an_authority_signed_for_itself() {
    let authority = Authority::new();
    authority.openssl("req -x509 -newkey rsa:2048 -nodes -sha1 -keyout root.key -out root.pem -days 30 -subj /CN=root");
    authority.openssl("req -newkey rsa:2048 -nodes -keyout old.key -out old.csr -subj /CN=old");
    for (hash, weak) in [("sha1", true), ("sha256", false)] {
        authority.openssl(&format!("x509 -req -in old.csr -CA root.pem -CAkey root.key -{hash} -days 20 -out old.pem"));
        let seen = Look::new("certificate", json!({ "file": authority.path("old.pem") })).subject();
        assert_eq!(is(&seen, "weak"), weak, "{seen:?}");
        let note = "weak: the certificate of `CN=old`: signed with sha1WithRSAEncryption, which can be forged";
        assert_eq!(seen.notes.iter().any(|said| said == note), weak, "{seen:?}");
    }
    let seen = Look::new("certificate", json!({ "file": authority.path("root.pem") })).subject();
    assert!(!is(&seen, "weak") && text(&seen, "signature") == "sha1WithRSAEncryption", "{seen:?}");
}

#[test]
fn keys_and_numbers_are_read_as_openssl_shows_them() {
    let authority = Authority::new();
    for (key, kind, bits) in [
        ("rsa:3072", "RSA", "3072"),
        ("ec -pkeyopt ec_paramgen_curve:P-384", "EC", "384"),
        ("ec -pkeyopt ec_paramgen_curve:P-521", "EC", "521"),
        ("ed25519", "Ed25519", "256"),
    ] {
        authority.openssl(&format!(
            "req -x509 -newkey {key} -nodes -keyout own.key -out own.pem -days 30 -subj /CN=own -set_serial 0xABCDEF01"
        ));
        let seen = Look::new("certificate", json!({ "file": authority.path("own.pem") })).subject();
        assert_eq!((text(&seen, "key_type"), text(&seen, "key_bits")), (kind.to_owned(), bits.to_owned()));
        assert_eq!((text(&seen, "serial"), is(&seen, "weak")), ("ABCDEF01".into(), false));
    }
}

#[test]
fn the_lifetime_is_counted_in_shares_of_itself() {
    let authority = Authority::new();
    let now = Utc::now();
    authority.openssl("req -x509 -newkey ed25519 -nodes -keyout own.key -out own.pem -days 100 -subj /CN=own");
    let look = Look::new("certificate", json!({ "file": authority.path("own.pem") }));
    let seen = look.now(now + Days::new(75)).subject();
    let left = seen.facts["lifetime_left"].plain().as_f64().expect("a number");
    assert!((left - 25.0).abs() < 0.1, "{seen:?}");
}

#[test]
fn a_stapled_answer_and_the_responder_are_seen() {
    let authority = Authority::new();
    authority.openssl("req -newkey rsa:2048 -nodes -keyout stapled.key -out stapled.csr -subj /CN=stapled");
    let extensions = "subjectAltName=DNS:localhost\nauthorityInfoAccess=OCSP;URI:http://ocsp.example/\n";
    std::fs::write(authority.path("extensions"), extensions).expect("a file");
    authority.openssl(
        "x509 -req -in stapled.csr -CA ca.pem -CAkey ca.key -days 20 -set_serial 0x1234 -extfile extensions \
         -out stapled.pem",
    );
    std::fs::write(authority.path("index"), "V\t901231235959Z\t\t1234\tunknown\t/CN=stapled\n").expect("a file");
    authority.openssl(
        "ocsp -index index -CA ca.pem -rsigner ca.pem -rkey ca.key -issuer ca.pem -cert stapled.pem -respout answer \
         -ndays 5 -noverify",
    );
    let staple = format!("-status_file {}", authority.path("answer").display());
    let seen = look(authority.serve("stapled", &staple).port, &authority.ca(), &json!({})).subject();
    assert!(is(&seen, "ocsp_stapled") && is(&seen, "valid"), "{seen:?}");
    assert_eq!(text(&seen, "ocsp_responder"), "http://ocsp.example/");
    let seen = look(authority.serve("stapled", "").port, &authority.ca(), &json!({})).subject();
    assert!(!is(&seen, "ocsp_stapled") && has(&seen, "ocsp_responder"), "{seen:?}");
}

#[test]
fn a_certificate_that_does_not_hold_fails_a_step_unless_that_names_a_part_of_it() {
    let step = |port: u16, expect: &str| {
        let look = format!("certificate: {{ host: \"localhost:{port}\", ca: {} }}", apache().ca.display());
        let text =
            format!("title: Certificates\nsteps:\n- id: a\n  title: A\n  probe: {{ {look} }}\n  expect: {expect}\n");
        Run::of(&text).run().outcome
    };
    assert_eq!(step(apache().tls, "{ weak: false }"), Outcome::Passed);
    assert_eq!(step(apache().tls, "{ expires_in: above 30d }"), Outcome::Passed);
    assert_eq!(step(apache().chain, "{ expires_in: above 30d }"), Outcome::Failed);
    assert_eq!(step(apache().expired, "{ weak: false }"), Outcome::Failed);
    assert_eq!(step(apache().other_name, "{ weak: false }"), Outcome::Failed);
    assert_eq!(step(apache().self_signed, "{ expires_in: above 30d }"), Outcome::Failed);
    assert_eq!(step(apache().self_signed, "{ expires_in: above 30d, self_signed: true }"), Outcome::Passed);
    assert_eq!(step(apache().plain, "{ expires_in: above 30d, self_signed: true }"), Outcome::Failed);
}
