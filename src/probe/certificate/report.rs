//! What a chain of certificates comes to, as facts.

use chrono::{DateTime, Utc};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;

use super::read::Details;
use crate::model::fact::{Evidence, Subject};
use crate::model::unit::Quantity;
use crate::model::value::Value;
use crate::probe::http::tls::{Certificate, Presented, Trust};
use crate::probe::http::trouble::explain_certificate;

/// Certificates that the evidence shows at most; a server presents two or three.
const MOST_LINES: usize = 20;

/// A chain, and by whom and when it is judged.
pub struct Chain<'a> {
    pub presented: &'a Presented,
    /// That it must be for; any is good where there is none.
    pub name: Option<&'a ServerName<'static>>,
    pub trust: &'a Trust,
    pub now: DateTime<Utc>,
}

impl Chain<'_> {
    /// False when the first certificate cannot be read.
    pub fn report(&self, seen: &mut Subject) -> bool {
        let Presented { chain, ders, .. } = self.presented;
        let details: Vec<Details> = ders.iter().filter_map(Details::read).collect();
        let readable = ders.first().and_then(|der| Some((der, Details::read(der)?, Certificate::read(der)?)));
        let Some((der, own, certificate)) = readable else {
            seen.set("chain_length", Value::count(ders.len() as u64));
            seen.note("the certificate is broken: it cannot be read");
            return false;
        };
        let verdict = self.verdict(der, &ders[1..]);
        let trusted = self.trust.vouch(der, &ders[1..], unix(self.inner_moment(&certificate))).is_ok();
        if let Some((_, first)) = self.presented.first_to_expire() {
            seen.set("expires_in", self.left(first.expires));
        }
        seen.set("leaf_expires_in", self.left(certificate.expires));
        seen.set("lifetime_left", self.share_left(&certificate));
        seen.set("valid", Value::Bool(verdict.is_none()));
        seen.set("not_yet_valid", Value::Bool(chain.iter().any(|certificate| self.now < certificate.begins)));
        if let Some(name) = self.name {
            let matches =
                ParsedCertificate::try_from(der).is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok());
            seen.set("name_matches", Value::Bool(matches));
        }
        seen.set("trusted", Value::Bool(trusted));
        seen.set("self_signed", Value::Bool(own.self_issued));
        seen.set("chain_complete", Value::Bool(trusted || self.is_complete(&details)));
        seen.set("chain_length", Value::count(ders.len() as u64));
        seen.set("subject", Value::text(&certificate.subject));
        seen.set("issuer", Value::text(&certificate.issuer));
        seen.set("names", Value::List(certificate.names.iter().map(Value::text).collect()));
        let weaknesses = self.weaknesses(&details);
        seen.set("weak", Value::Bool(!weaknesses.is_empty()));
        own.report(seen);
        seen.notes.extend(verdict);
        if let Some((1.., first)) = self.presented.first_to_expire() {
            seen.note(format!("the first to expire is the intermediate certificate of `{}`", first.subject));
        }
        seen.notes.extend(weaknesses);
        true
    }

    /// What does not hold.
    fn verdict(&self, der: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Option<String> {
        let now = unix(self.now);
        let verdict = match self.name {
            Some(name) => self.trust.judge(der, rest, name, now),
            None => self.trust.vouch(der, rest, now),
        };
        Some(match verdict.err()? {
            rustls::Error::InvalidCertificate(error) => explain_certificate(&error, self.presented),
            error => format!("certificate is not valid: {error}"),
        })
    }

    /// The moment nearest to now at which the whole chain is of the right age; that of the first certificate where
    /// there is none.
    fn inner_moment(&self, own: &Certificate) -> DateTime<Utc> {
        let all = &self.presented.chain;
        let from = all.iter().map(|certificate| certificate.begins).max().unwrap_or(own.begins);
        let to = all.iter().map(|certificate| certificate.expires).min().unwrap_or(own.expires);
        let (from, to) = if from <= to { (from, to) } else { (own.begins, own.expires) };
        self.now.min(to).max(from)
    }

    /// Whether each certificate comes with that of its issuer, up to one that is known here or issued itself.
    fn is_complete(&self, details: &[Details]) -> bool {
        let mut at = details.first();
        for _ in details {
            match at {
                None => return false,
                Some(certificate) if certificate.self_issued || self.trust.knows(&certificate.issuer) => return true,
                Some(certificate) => at = details.iter().find(|other| other.subject == certificate.issuer),
            }
        }
        false
    }

    fn weaknesses(&self, details: &[Details]) -> Vec<String> {
        let weak = |(details, certificate): (&Details, &Certificate)| {
            Some(format!("weak: the certificate of `{}`: {}", certificate.subject, details.weakness()?))
        };
        details.iter().zip(&self.presented.chain).filter_map(weak).collect()
    }

    fn left(&self, expires: DateTime<Utc>) -> Value {
        Value::Number(Quantity::seconds((expires - self.now).as_seconds_f64()))
    }

    /// Nothing is left of one that expired.
    fn share_left(&self, certificate: &Certificate) -> Value {
        let whole = (certificate.expires - certificate.begins).as_seconds_f64();
        let left = (certificate.expires - self.now).as_seconds_f64();
        Value::percent((left / whole.max(1.0) * 100.0).max(0.0))
    }

    /// The chain, one line for each certificate.
    pub fn evidence(&self, title: String) -> Evidence {
        let Presented { chain, ders, .. } = self.presented;
        let details = ders.iter().filter_map(Details::read);
        let lines = chain.iter().zip(details).map(|(certificate, details)| {
            let Certificate { subject, issuer, begins, expires, .. } = certificate;
            let key = details.key_bits.map_or_else(String::new, |bits| format!(" {bits}"));
            format!(
                "{subject}, issued by {issuer}, valid {} to {}, {}{key}, {}",
                begins.format("%Y-%m-%d"),
                expires.format("%Y-%m-%d"),
                details.key_type,
                details.signature,
            )
        });
        let mut evidence = Evidence::new(title, lines.take(MOST_LINES).collect());
        evidence.left_out = chain.len().saturating_sub(MOST_LINES) as u64;
        evidence
    }
}

impl Details {
    fn report(self, seen: &mut Subject) {
        seen.set("serial", Value::text(self.serial));
        seen.set("fingerprint", Value::text(self.fingerprint));
        seen.set("key_type", Value::text(self.key_type));
        if let Some(bits) = self.key_bits {
            seen.set("key_bits", Value::count(bits));
        }
        seen.set("signature", Value::text(self.signature));
        if let Some(responder) = self.responder {
            seen.set("ocsp_responder", Value::text(responder));
        }
    }
}

/// Before 1970 nothing was valid.
fn unix(moment: DateTime<Utc>) -> UnixTime {
    let seconds = u64::try_from(moment.timestamp()).unwrap_or_default();
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
}
