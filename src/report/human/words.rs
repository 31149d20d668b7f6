//! How people say numbers, times and checks.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::model::outcome::Exit;

/// When the run began, and where its readers live.
#[derive(Clone, Copy)]
pub(in crate::report) struct Clock {
    pub(in crate::report) now: DateTime<Utc>,
    pub(in crate::report) timezone: Tz,
}

impl Clock {
    /// `Tue 03:12` within the last six days, a date before.
    pub(in crate::report) fn since(self, then: DateTime<Utc>) -> String {
        let age = self.now - then;
        let recent = age >= TimeDelta::zero() && age < TimeDelta::days(6);
        let format = if recent { "%a %H:%M" } else { "%Y-%m-%d %H:%M" };
        then.with_timezone(&self.timezone).format(format).to_string()
    }

    pub(super) fn minute(self, then: DateTime<Utc>) -> String {
        then.with_timezone(&self.timezone).format("%Y-%m-%d %H:%M").to_string()
    }

    pub(in crate::report) fn full(self, then: DateTime<Utc>) -> String {
        then.with_timezone(&self.timezone).format("%a %Y-%m-%d %H:%M:%S %Z").to_string()
    }
}

/// `4 ms`, `0.4 s`, `95 s`, `14 min 50 s`, `2 h 5 min`.
pub(in crate::report) fn spent(took: Duration) -> String {
    let (seconds, millis) = (took.as_secs(), took.as_millis());
    if millis < 100 {
        return format!("{millis} ms");
    }
    if millis < 9_950 {
        return format!("{:.1} s", took.as_secs_f64());
    }
    let pair = |major: u64, unit: &str, minor: u64, below: &str| match minor {
        0 => format!("{major} {unit}"),
        _ => format!("{major} {unit} {minor} {below}"),
    };
    match seconds {
        0..120 => format!("{:.0} s", took.as_secs_f64()),
        120..7200 => pair(seconds / 60, "min", seconds % 60, "s"),
        _ => pair(seconds / 3600, "h", seconds % 3600 / 60, "min"),
    }
}

pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

pub(in crate::report) fn meaning(exit: Exit) -> &'static str {
    match exit {
        Exit::Ok => "everything holds",
        Exit::Warned => "not as preferred",
        Exit::Failed => "not as expected",
        Exit::CouldNotTell => "could not tell",
        Exit::Interrupted => "interrupted",
        Exit::Terminated => "terminated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spent_reads_well_at_every_length() {
        let said = |millis| spent(Duration::from_millis(millis));
        assert_eq!(
            [4, 99, 420, 9_949, 9_950, 95_400, 119_700, 900_000, 890_000, 7_500_000].map(said),
            ["4 ms", "99 ms", "0.4 s", "9.9 s", "10 s", "95 s", "120 s", "15 min", "14 min 50 s", "2 h 5 min"]
        );
    }

    #[test]
    fn since_names_the_weekday_only_of_the_last_days() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let clock = Clock { now: at("2025-10-15T06:00:00Z"), timezone: chrono_tz::Europe::Warsaw };
        assert_eq!(clock.since(at("2025-10-14T01:12:00Z")), "Tue 03:12");
        assert_eq!(clock.since(at("2025-10-08T06:00:00Z")), "2025-10-08 08:00", "a week ago it was the same weekday");
        assert_eq!(clock.since(at("2025-10-16T06:00:00Z")), "2025-10-16 08:00", "a clock that was set back");
    }
}
