//! What the answers to the questions about one name come to.

use std::collections::BTreeSet;
use std::time::Duration;

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::ask::Answer;
use crate::model::fact::{ANSWERS, Evidence, Subject};
use crate::model::value::Value;

/// Records that are kept of one answer.
const MOST_RECORDS: usize = 100;

#[derive(Default)]
pub struct Found {
    rcode: ResponseCode,
    records: Vec<String>,
    left_out: usize,
    ttl: Option<u32>,
    serial: Option<u32>,
    canonical: Option<String>,
    latency: Duration,
    authoritative: bool,
    authenticated: bool,
}

impl Found {
    /// Of the answers to the questions for these types, at least one.
    pub fn of(name: &Name, answers: &[(RecordType, Answer)]) -> Self {
        let mut found = Self { authoritative: true, authenticated: true, ..Self::default() };
        for (kind, Answer { message, latency }) in answers {
            let metadata = &message.metadata;
            if found.rcode == ResponseCode::NoError {
                found.rcode = metadata.response_code;
            }
            found.latency = found.latency.max(*latency);
            found.authoritative &= metadata.authoritative;
            found.authenticated &= metadata.authentic_data;
            for record in &message.answers {
                found.add(record, *kind, name);
            }
        }
        found.records.sort();
        found.left_out = found.records.len().saturating_sub(MOST_RECORDS);
        found
    }

    fn add(&mut self, record: &Record, kind: RecordType, name: &Name) {
        if record.record_type() == RecordType::RRSIG {
            return;
        }
        self.ttl = Some(self.ttl.map_or(record.ttl, |ttl| ttl.min(record.ttl)));
        if record.record_type() != kind {
            return;
        }
        self.records.push(shown(&record.data));
        if let RData::SOA(soa) = &record.data {
            self.serial = Some(soa.serial);
        }
        if record.name != *name {
            self.canonical = Some(bare(&record.name));
        }
    }

    /// Whether both say the same of what exists; the time to live differs between caches.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let set = |found: &Self| found.records.iter().cloned().collect::<BTreeSet<String>>();
        self.rcode == other.rcode && set(self) == set(other)
    }

    pub fn report(&self, seen: &mut Subject) {
        let resolves = self.rcode == ResponseCode::NoError && !self.records.is_empty();
        seen.set(ANSWERS, Value::Bool(true));
        seen.set("resolves", Value::Bool(resolves));
        seen.set("rcode", Value::text(rcode(self.rcode)));
        if !self.records.is_empty() {
            seen.set("records", Value::List(self.records.iter().take(MOST_RECORDS).map(Value::text).collect()));
        }
        // Who could not find it out has not seen that there is none.
        if matches!(self.rcode, ResponseCode::NoError | ResponseCode::NXDomain) {
            seen.set("count", Value::count(self.records.len() as u64));
        }
        if let Some(ttl) = self.ttl.filter(|_| resolves) {
            seen.set("ttl", Value::duration(Duration::from_secs(ttl.into())));
        }
        if let Some(canonical) = &self.canonical {
            seen.set("canonical_name", Value::text(canonical));
        }
        if let Some(serial) = self.serial {
            seen.set("serial", Value::count(serial.into()));
        }
        seen.set("authoritative", Value::Bool(self.authoritative));
        seen.set("authenticated", Value::Bool(self.authenticated));
        seen.set("latency", Value::duration(self.latency));
        if self.left_out > 0 {
            seen.note(format!("only the first {MOST_RECORDS} of {} records are shown", self.records.len()));
        }
        match self.rcode {
            ResponseCode::NoError if !resolves => seen.note("the name exists, but has no such record"),
            ResponseCode::NXDomain => seen.note("there is no such name"),
            ResponseCode::ServFail => seen.note("the resolver could not find out (SERVFAIL): it cannot reach the name servers of the name, or what they say does not verify"),
            ResponseCode::Refused => seen.note("the resolver refuses to answer this"),
            _ => {}
        }
    }

    pub fn evidence(&self, title: String) -> Evidence {
        let lines = self.records.iter().take(MOST_RECORDS).cloned().collect();
        Evidence { left_out: self.left_out as u64, ..Evidence::new(title, lines) }
    }
}

/// As people write it, without the dot at the end of names.
fn shown(data: &RData) -> String {
    match data {
        RData::CNAME(name) => bare(&name.0),
        RData::NS(name) => bare(&name.0),
        RData::PTR(name) => bare(&name.0),
        RData::MX(mx) => format!("{} {}", mx.preference, bare(&mx.exchange)),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, bare(&srv.target)),
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            bare(&soa.mname),
            bare(&soa.rname),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        other => other.to_string(),
    }
}

fn bare(name: &Name) -> String {
    let text = name.to_ascii().to_lowercase();
    text.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(&text).to_owned()
}

/// The names of RFC 1035 and those that came after it.
fn rcode(code: ResponseCode) -> String {
    match code {
        ResponseCode::Unknown(number) => format!("RCODE{number}"),
        known => format!("{known:?}").to_uppercase(),
    }
}
