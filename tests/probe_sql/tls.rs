//! TLS to servers whose certificate an authority of the tests issued.

use std::path::Path;

use super::{Database, Kind, ask, error, shown, why_down};
use crate::support::web;

/// The kind, its words in a URL, and how it tells the protocol of a session.
const KINDS: [(Kind, Words, &str); 2] = [
    (
        Kind::MariaDb,
        Words { mode: "ssl-mode", encrypt: "REQUIRED", chain: "VERIFY_CA", name: "VERIFY_IDENTITY", ca: "ssl-ca" },
        "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Ssl_version'",
    ),
    (
        Kind::Postgres,
        Words { mode: "sslmode", encrypt: "require", chain: "verify-ca", name: "verify-full", ca: "sslrootcert" },
        "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    ),
];

struct Words {
    mode: &'static str,
    encrypt: &'static str,
    chain: &'static str,
    name: &'static str,
    ca: &'static str,
}

impl Words {
    fn url(&self, database: &Database, mode: &str, ca: &Path) -> String {
        format!("{}?{}={mode}&{}={}", database.url, self.mode, self.ca, ca.display())
    }
}

#[test]
fn a_certificate_of_the_named_authority_is_trusted() {
    for (kind, words, protocol) in KINDS {
        let database = Database::new(kind, "tls_trusted");
        for mode in [words.chain, words.name] {
            let seen = ask(&words.url(&database, mode, &web::local().ca), protocol).subject();
            assert_eq!(shown(&seen, "value"), "TLSv1.3", "{mode}: {seen:?}");
        }
    }
}

#[test]
fn a_certificate_of_another_authority_is_an_outage_that_says_what_to_do() {
    for (kind, words, protocol) in KINDS {
        let database = Database::new(kind, "tls_other");
        for mode in [words.chain, words.name] {
            let why = why_down(&ask(&words.url(&database, mode, &web::local().other_ca), protocol));
            let told = "its certificate was issued by an authority that is not trusted here; name the authority's file \
                        in the URL (`ssl-ca`, for PostgreSQL `sslrootcert`)";
            assert!(why.ends_with(told), "{mode}: {why}");
        }
        let unverified = ask(&format!("{}?{}={}", database.url, words.mode, words.encrypt), protocol).subject();
        assert_eq!(shown(&unverified, "value"), "TLSv1.3", "encryption alone asks for no authority: {unverified:?}");
    }
}

#[test]
fn the_name_counts_only_where_it_is_asked_for() {
    for (kind, words, protocol) in KINDS {
        let mut database = Database::new(kind, "tls_name");
        database.url = database.url.replace("127.0.0.1", "127.0.0.2");
        let ca = web::local().ca;
        assert_eq!(shown(&ask(&words.url(&database, words.chain, &ca), protocol).subject(), "value"), "TLSv1.3");
        let why = why_down(&ask(&words.url(&database, words.name, &ca), protocol));
        assert!(why.ends_with(": its certificate is for localhost and 127.0.0.1, not for 127.0.0.2"), "{why}");
    }
}

#[test]
fn a_file_that_the_url_names_and_nobody_can_read_is_no_outage() {
    for (kind, words, protocol) in KINDS {
        let database = Database::new(kind, "tls_file");
        let error = error(&ask(&words.url(&database, words.name, Path::new("/no/such%20ca.pem")), protocol));
        let told = "/no/such ca.pem, which the URL of the database shop names, does not exist";
        assert_eq!((error.code, error.message.as_str()), ("not_found", told));
    }
}
