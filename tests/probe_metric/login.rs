//! Login and TLS at a real Prometheus that demands both.

use opsctl::model::value::Value;
use serde_json::json;

use super::{error, fact, look, value};
use crate::support::prometheus::{PASSWORD, USER, secure};
use crate::support::web;

fn with_password(password: &str) -> crate::support::look::Look {
    let basic = json!({ "user": USER, "password": { "command": ["printf", password] } });
    look(json!({ "prometheus": secure(), "query": "1", "ca": web::local().ca, "basic": basic }))
}

#[test]
fn a_prometheus_behind_tls_and_a_password_answers_who_may_ask() {
    assert_eq!(value(&with_password(PASSWORD).subject()), 1.0);
}

#[test]
fn a_refused_login_is_an_error_that_names_the_login_and_not_the_password() {
    let error = error(&with_password("wrong-horse"));
    assert_eq!(error.code, "permission");
    assert!(error.message.contains("401") && !format!("{error:?}").contains("wrong-horse"), "{error:?}");
    assert!(error.help.as_deref().unwrap_or_default().contains("`basic`"), "{error:?}");
}

#[test]
fn a_certificate_that_is_not_trusted_is_an_outage() {
    let seen = look(json!({ "prometheus": secure(), "query": "1", "ca": web::local().other_ca })).subject();
    assert_eq!(fact(&seen, "answers"), &Value::Bool(false));
    assert!(seen.notes[0].contains("not trusted here"), "{seen:?}");
}
