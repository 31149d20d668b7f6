//! Time as systemd tells it: moments since boot, dates in UTC, spans in words.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use rustix::time::{ClockId, clock_gettime};

/// This moment, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    since_boot: Duration,
    date: DateTime<Utc>,
}

impl Clock {
    /// The clock that begins at boot is read now: it is not moved when somebody sets the date.
    pub fn now(date: DateTime<Utc>) -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        let since_boot = Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default());
        Self { since_boot, date }
    }

    pub fn since(&self, moment: Duration) -> Duration {
        self.since_boot.saturating_sub(moment)
    }

    pub fn until(&self, moment: Duration) -> Duration {
        moment.saturating_sub(self.since_boot)
    }

    pub fn since_date(&self, date: DateTime<Utc>) -> Duration {
        (self.date - date).to_std().unwrap_or_default()
    }

    pub fn until_date(&self, date: DateTime<Utc>) -> Duration {
        (date - self.date).to_std().unwrap_or_default()
    }
}

/// `Sun 2026-11-22 00:00:00 UTC`, as systemctl writes it where the time zone is UTC.
pub fn parse_date(text: &str) -> Option<DateTime<Utc>> {
    let (_weekday, date) = text.strip_suffix(" UTC")?.split_once(' ')?;
    NaiveDateTime::parse_from_str(date, "%Y-%m-%d %H:%M:%S").ok().map(|date| date.and_utc())
}

/// The moments that `systemd-analyze calendar` prints. It tells each in the zone of the machine, and again in UTC if that
/// is another one.
pub fn parse_elapses(printed: &str) -> Vec<DateTime<Utc>> {
    let mut elapses: Vec<DateTime<Utc>> = Vec::new();
    for line in printed.lines() {
        let Some((label, date)) = line.split_once(": ") else { continue };
        let is_one = ["Next elapse", "(in UTC)"].contains(&label.trim()) || label.trim().starts_with("Iter. #");
        elapses.extend(is_one.then(|| parse_date(date.trim())).flatten());
    }
    elapses
}

/// `1w 4h 35min 52.394531s`; a year and a month are as long as systemd takes them to be.
pub fn parse_span(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    for word in text.split_whitespace() {
        let unit = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
        let worth = match &word[unit..] {
            "y" => 31_557_600.0,
            "month" => 2_629_800.0,
            "w" => 604_800.0,
            "d" => 86_400.0,
            "h" => 3600.0,
            "min" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            "" if word == "0" => 0.0,
            _ => return None,
        };
        seconds += word[..unit].parse::<f64>().ok()? * worth;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_in_the_words_of_systemd() {
        assert_eq!(parse_span("3h 35min 52.392976s"), Some(Duration::from_micros(12_952_392_976)));
        assert_eq!(parse_span("1w 2d"), Some(Duration::from_hours(216)));
        assert_eq!(parse_span("12ms"), Some(Duration::from_millis(12)));
        assert_eq!(parse_span("0"), Some(Duration::ZERO));
        for wrong in ["soon", "5", "min", "-3s"] {
            assert_eq!(parse_span(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn elapses_are_read_in_utc_whatever_the_zone_of_the_machine() {
        let utc = "    Next elapse: Mon 2026-11-23 02:30:00 UTC\n       From now: 1 day 6h left\n       \
                   Iter. #2: Tue 2026-11-24 02:30:00 UTC\n";
        let other = "  Original form: 03:30\n    Next elapse: Mon 2026-11-23 03:30:00 CET\n       (in UTC): Mon \
                     2026-11-23 02:30:00 UTC\n       Iter. #2: Tue 2026-11-24 03:30:00 CET\n       (in UTC): Tue \
                     2026-11-24 02:30:00 UTC\n";
        assert_eq!(parse_elapses(utc).len(), 2);
        assert_eq!(parse_elapses(utc), parse_elapses(other));
    }

    #[test]
    fn dates_are_those_of_utc_and_no_other_zone() {
        let date = parse_date("Sun 2026-11-22 00:00:00 UTC").expect("a date");
        assert_eq!(date.to_rfc3339(), "2026-11-22T00:00:00+00:00");
        assert_eq!(parse_date("Sun 2026-11-22 00:00:00 CET"), None);
    }
}
