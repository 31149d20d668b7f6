//! The sums of a look at the entries of one unit, of one identifier, or of all.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use chrono::{DateTime, TimeZone};

use super::entry::Entry;
use super::reader::{Journal, Read};
use crate::model::fact::{Evidence, Subject};
use crate::model::unit::Quantity;
use crate::model::value::Value;
use crate::probe::ProbeError;
use crate::probe::log::matcher::Matcher;
use crate::probe::log::severity;
use crate::probe::log::tally::{self, Ends};
use crate::probe::service::name;
use crate::probe::service::tool::Systemd;

/// Matching entries kept as evidence, from each end.
const KEPT: usize = 5;

/// Units that are counted one by one, and those of them that are shown.
const SOURCES: usize = 1000;
const SHOWN_SOURCES: usize = 10;

/// Whose entries have one result.
pub enum Chosen {
    All,
    Unit { name: String, full: String },
    Identifier(String),
}

impl Chosen {
    pub fn name(&self) -> String {
        match self {
            Self::All => "journal".to_owned(),
            Self::Unit { name, .. } => name.clone(),
            Self::Identifier(identifier) => identifier.clone(),
        }
    }

    fn argument(&self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Unit { full, .. } => Some(format!("--unit={full}")),
            Self::Identifier(identifier) => Some(format!("--identifier={identifier}")),
        }
    }
}

pub struct Setting {
    pub matcher: Matcher,
    pub since: Option<Duration>,
    pub last: Option<usize>,
    pub arguments: Vec<String>,
    /// The severities that are asked for.
    pub severities: Vec<String>,
    /// The oldest entry of the journal, in microseconds since 1970.
    pub oldest: i64,
}

#[derive(Default)]
struct Sums {
    entries: u64,
    matches: u64,
    /// Of the matching entries, as [`severity::NAMES`].
    severities: [u64; 8],
    without: u64,
    first: Option<i64>,
    newest: Option<i64>,
    kept: Ends,
    by_source: HashMap<String, u64>,
}

impl Setting {
    /// # Errors
    /// The journal cannot be read at all; what is wrong with one unit is an error of its subject.
    pub async fn look(&self, journal: &Journal<'_>, chosen: &Chosen) -> Result<(Subject, Vec<Evidence>), ProbeError> {
        let arguments: Vec<String> = chosen.argument().into_iter().chain(self.arguments.iter().cloned()).collect();
        let (first, last) = self.last.map_or((KEPT, KEPT), |last| (0, last));
        let mut sums = Sums { kept: Ends::new(first, last), ..Sums::default() };
        let zone = journal.cx.timezone;
        let read = journal.read(&arguments, |entry| {
            sums.add(&entry, &self.matcher, zone);
            ControlFlow::Continue(())
        });
        let read = read.await?;
        let mut subject = Subject::new(chosen.name());
        if sums.entries == 0 && read.unread == 0 {
            match newest(journal, chosen).await? {
                Some(at) => sums.newest = Some(at),
                None => {
                    if let Some(why) = unknown(journal, chosen).await? {
                        subject.error = Some(why);
                        return Ok((subject, Vec::new()));
                    }
                }
            }
        }
        self.report(journal, &read, &sums, &mut subject);
        let evidence = self.evidence(chosen, sums);
        Ok((subject, evidence))
    }

    fn report(&self, journal: &Journal<'_>, read: &Read, sums: &Sums, subject: &mut Subject) {
        let now = journal.cx.now.timestamp_micros();
        let age = |at: i64| Duration::from_micros(u64::try_from(now - at).unwrap_or_default());
        subject.set("matches", Value::count(sums.matches));
        if let Some(span) = self.since.or_else(|| sums.first.map(age)).filter(|span| !span.is_zero()) {
            let rate = Quantity::per_minute(sums.matches as f64 / (span.as_secs_f64() / 60.0));
            subject.set("rate", Value::Number(rate));
        }
        subject.set("entries", Value::count(sums.entries));
        if let Some(newest) = sums.newest {
            subject.set("newest_age", Value::duration(age(newest)));
        }
        let reach = age(self.oldest);
        subject.set("oldest_age", Value::duration(reach));
        if self.since.is_some_and(|since| since > reach) {
            let reach = Quantity::duration(reach).rounded();
            subject.note(format!("{} reaches back {reach} only; what was logged before is gone", journal.place()));
        }
        for asked in &self.severities {
            match severity::NAMES.iter().position(|name| name == asked) {
                Some(index) => subject.set(format!("severity.{asked}"), Value::count(sums.severities[index])),
                None => {
                    subject.note(format!("`{asked}` is no severity; they are {}", severity::NAMES.join(", ")));
                }
            }
        }
        if !self.severities.is_empty() && sums.without > 0 {
            subject.note(format!("{} of its matching entries state no severity", sums.without));
        }
        if read.unread > 0 {
            subject.error = Some(format!("{} entries are too large or damaged and were not looked at", read.unread));
        }
        for complaint in read.complaints.iter().take(KEPT) {
            subject.note(format!("not all of it could be read: {complaint}"));
        }
    }

    fn evidence(&self, chosen: &Chosen, sums: Sums) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        let (lines, left_out) = sums.kept.lines();
        if !lines.is_empty() {
            let what = if self.last.is_some() { "last entries" } else { "matching entries" };
            let of = if matches!(chosen, Chosen::All) { "the journal".to_owned() } else { chosen.name() };
            evidence.push(Evidence { left_out, ..Evidence::new(format!("{what} of {of}"), lines) });
        }
        if matches!(chosen, Chosen::All) && sums.by_source.len() > 1 {
            let mut sources: Vec<(String, u64)> = sums.by_source.into_iter().collect();
            sources.sort_by(|(one, few), (other, many)| many.cmp(few).then_with(|| one.cmp(other)));
            let left_out = sources.len().saturating_sub(SHOWN_SOURCES) as u64;
            let lines = sources.iter().take(SHOWN_SOURCES).map(|(source, count)| format!("{count}  {source}"));
            evidence.push(Evidence { left_out, ..Evidence::new("matching entries by unit", lines.collect()) });
        }
        evidence
    }
}

impl Sums {
    fn add(&mut self, entry: &Entry, matcher: &Matcher, zone: chrono_tz::Tz) {
        self.entries += 1;
        self.first.get_or_insert(entry.at);
        self.newest = self.newest.max(Some(entry.at));
        let head = entry.message.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = if matcher.wants_every_entry() {
            matcher.admits(head).then_some(head)
        } else {
            matcher.lines_in(&entry.message).next().map(|(start, end)| &entry.message[start..end])
        };
        let Some(line) = line else { return };
        self.matches += 1;
        match entry.priority {
            Some(priority) => self.severities[priority] += 1,
            None => self.without += 1,
        }
        let at = DateTime::from_timestamp_micros(entry.at).unwrap_or_default();
        let at = zone.from_utc_datetime(&at.naive_utc()).format("%F %T");
        let mut shown = format!("{at} {}: ", entry.tag).into_bytes();
        // The first line says what it is about, the matching one what was looked for.
        shown.extend(if line == head { tally::kept(line).to_vec() } else { tally::both(head, line) });
        self.kept.keep(shown);
        if self.by_source.len() < SOURCES || self.by_source.contains_key(&entry.source) {
            *self.by_source.entry(entry.source.clone()).or_default() += 1;
        }
    }
}

/// When the newest entry was written that the journal has of it, in whatever window.
async fn newest(journal: &Journal<'_>, chosen: &Chosen) -> Result<Option<i64>, ProbeError> {
    let arguments: Vec<String> = chosen.argument().into_iter().chain(["--lines=1".to_owned()]).collect();
    Ok(journal.first(&arguments).await?.map(|entry| entry.at))
}

/// Why nothing can be said of what never logged anything: nobody knows it. A unit that is only silent is known.
async fn unknown(journal: &Journal<'_>, chosen: &Chosen) -> Result<Option<String>, ProbeError> {
    let place = journal.place();
    match chosen {
        Chosen::All => Ok(None),
        Chosen::Identifier(identifier) => {
            let known = journal.values("SYSLOG_IDENTIFIER").await;
            let near = known.iter().map(|name| (strsim::damerau_levenshtein(identifier, name), name)).min();
            let advice = match near {
                Some((distance, name)) if distance <= identifier.len().max(3) / 3 => format!("did you mean {name}?"),
                _ => "`journalctl --field=SYSLOG_IDENTIFIER` lists those that did".to_owned(),
            };
            Ok(Some(format!("nothing ever logged to {place} as {identifier}; {advice}")))
        }
        Chosen::Unit { full, .. } => {
            let systemd = Systemd::of_this_machine(journal.cx).ok().filter(|_| journal.folder.is_none());
            let Some(systemd) = systemd else {
                return Ok(Some(format!("{place} has no entry of a unit {full}; correct the name of the unit")));
            };
            let is_here = systemd.unit(full).await?.is_some_and(|unit| !unit.is_nowhere());
            Ok((!is_here).then_some(name::not_found(full, &systemd.known_units().await)))
        }
    }
}
