//! Timers: whether one that should have elapsed did, and how what it starts ended.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::clock;
use super::properties::Properties;
use super::tool::Systemd;
use crate::model::fact::Subject;
use crate::model::unit::Quantity;
use crate::model::value::Value;
use crate::probe::ProbeError;

/// How much later than it says a timer may elapse, besides the accuracy and the random delay of its file.
const GRACE: Duration = Duration::from_mins(1);

/// What the file of a timer says, and when it last elapsed.
#[derive(Debug)]
pub struct Timer {
    /// What it starts.
    pub unit: Option<String>,
    pub last: Option<DateTime<Utc>>,
    /// From here on it should have elapsed: since it did last, or since it is active.
    since: Option<DateTime<Utc>>,
    /// In the words of `OnCalendar=`.
    calendars: Vec<String>,
    /// `OnUnitActiveSec=`: so long after what it starts was started.
    interval: Option<Duration>,
    /// Accuracy and random delay.
    slack: Duration,
}

/// When it should elapse again after it did last.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    pub at: DateTime<Utc>,
    /// Between that time and the one after it.
    pub period: Option<Duration>,
}

impl Timer {
    pub fn of(properties: &Properties, is_active: bool) -> Self {
        let last = properties.get("LastTriggerUSec").and_then(clock::parse_date);
        let active = properties.get("ActiveEnterTimestamp").filter(|_| is_active).and_then(clock::parse_date);
        let written = |what: &'static str, key: &'static str| {
            properties.all(what).filter_map(move |value| written_in(value, key)).map(str::to_owned)
        };
        let interval = written("TimersMonotonic", "OnUnitActiveUSec").next();
        let slack = ["AccuracyUSec", "RandomizedDelayUSec"]
            .iter()
            .filter_map(|name| properties.span(name))
            .fold(Duration::ZERO, Duration::saturating_add);
        Self {
            unit: properties.get("Unit").map(str::to_owned),
            last,
            since: last.or(active),
            calendars: written("TimersCalendar", "OnCalendar").collect(),
            interval: interval.as_deref().and_then(clock::parse_span),
            slack,
        }
    }

    /// The first time after the last one at which it should elapse; `None` of a timer that is not by the calendar or by
    /// an interval, and of one that was not started yet.
    pub async fn due(&self, systemd: &Systemd<'_>) -> Result<Option<Due>, ProbeError> {
        let Some(since) = self.since else { return Ok(None) };
        let mut all = Vec::new();
        for calendar in &self.calendars {
            all.extend(systemd.calendar(calendar, since).await?);
        }
        if let (Some(interval), Some(last)) = (self.interval, self.last) {
            all.extend([last + interval, last + 2 * interval]);
        }
        all.sort();
        all.dedup();
        let Some(at) = all.first().copied() else { return Ok(None) };
        Ok(Some(Due { at, period: all.get(1).and_then(|next| (*next - at).to_std().ok()) }))
    }

    /// When it elapses, as its file says.
    pub fn expression(&self) -> Option<String> {
        let interval = self.interval.map(|interval| format!("every {}", Quantity::duration(interval)));
        let all: Vec<String> = self.calendars.iter().cloned().chain(interval).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// What it starts came to its end at that time, or never did.
    pub fn ran(&mut self, at: Option<DateTime<Utc>>) {
        (self.last, self.since) = (at, at);
    }

    /// Whether a timer that is `due` has not elapsed yet though it should have, `grace` later at the latest.
    pub fn is_overdue(&self, due: &Due, grace: Duration, now: DateTime<Utc>) -> bool {
        now > due.at + self.slack + grace
    }
}

/// `{ OnCalendar=*-*-* 00:00:00 ; next_elapse=... }`
fn written_in<'v>(value: &'v str, key: &str) -> Option<&'v str> {
    let inner = value.strip_prefix("{ ")?.strip_prefix(key)?.strip_prefix('=')?;
    inner.split_once(" ; ").map(|(written, _)| written)
}

/// Sets the facts of `subject` that take more than the timer's own properties.
pub async fn describe(timer: &Timer, systemd: &Systemd<'_>, subject: &mut Subject) {
    match timer.due(systemd).await {
        Ok(Some(due)) => {
            let overdue = timer.is_overdue(&due, GRACE, systemd.now());
            subject.set("overdue", Value::Bool(overdue));
            if overdue {
                subject.note(format!("it should have elapsed at {}", systemd.shown(due.at)));
            }
        }
        Ok(None) => {}
        Err(error) => subject.note(format!("whether it is overdue cannot be told: {error}")),
    }
    if let Some(unit) = &timer.unit {
        match systemd.last_result(unit).await {
            Ok(Some(result)) => subject.set("last_result", Value::text(result)),
            Ok(None) => {}
            Err(error) => subject.note(format!("how {unit} ended cannot be told: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_file_is_found_in_the_properties() {
        let shown = "TimersCalendar={ OnCalendar=Mon..Fri *-*-* 02:30:00 ; next_elapse=Mon 2026-11-23 02:30:00 UTC }\n\
                     TimersCalendar={ OnCalendar=weekly ; next_elapse=n/a }\n\
                     TimersMonotonic={ OnBootUSec=15min ; next_elapse=0 }\n\
                     TimersMonotonic={ OnUnitActiveUSec=1d ; next_elapse=0 }\nAccuracyUSec=1min\nUnit=a.service\n\
                     LastTriggerUSec=Fri 2026-11-20 02:30:04 UTC\n";
        let timer = Timer::of(&Properties::parse(shown)[0], true);
        assert_eq!(timer.calendars, ["Mon..Fri *-*-* 02:30:00", "weekly"]);
        assert_eq!((timer.interval, timer.slack), (Some(Duration::from_hours(24)), Duration::from_mins(1)));
        assert_eq!((timer.unit.as_deref(), timer.since), (Some("a.service"), timer.last));
    }

    #[test]
    fn a_timer_is_overdue_when_its_slack_and_the_grace_have_passed() {
        let timer = Timer::of(&Properties::parse("AccuracyUSec=1min\n")[0], false);
        let due = Due { at: Utc::now(), period: None };
        assert!(!timer.is_overdue(&due, GRACE, due.at + Duration::from_mins(2)));
        assert!(timer.is_overdue(&due, GRACE, due.at + Duration::from_secs(121)));
    }
}
