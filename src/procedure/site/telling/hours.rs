//! The hours in which somebody is there.

use chrono::{DateTime, Datelike, Days, Timelike, Utc, Weekday};

/// From a time of day to another one, on some days of the week, by the clocks of the site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hours {
    /// On which they begin; those that go over midnight end on the day after.
    pub days: Vec<Weekday>,
    /// Minutes of the day; the first one that belongs to it.
    pub from: u32,
    /// The first one that does not; before `from`, or the same, it is on the day after.
    pub to: u32,
}

/// `24:00`.
const DAY: u32 = 24 * 60;

impl Hours {
    /// Whether somebody is there then.
    #[must_use]
    pub fn hold(&self, at: DateTime<Utc>, zone: chrono_tz::Tz) -> bool {
        let local = at.with_timezone(&zone);
        let minute = local.hour() * 60 + local.minute();
        let today = local.date_naive();
        let begins = |day: chrono::NaiveDate| self.days.contains(&day.weekday());
        let yesterday = || today.checked_sub_days(Days::new(1)).is_some_and(begins);
        if self.from < self.to {
            return begins(today) && (self.from..self.to).contains(&minute);
        }
        (begins(today) && minute >= self.from) || (yesterday() && minute < self.to)
    }
}

/// `08:00`, or `24:00` for the end of the day, as minutes.
pub fn time_of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |digits: &str| digits.parse().ok().filter(|_| digits.len() == 2 && !digits.starts_with('+'));
    let (hour, minute): (u32, u32) = (number(hour)?, number(minute)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= DAY).then_some(minutes)
}

/// `mon` to `sun`, in their order.
pub const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Mon),
    ("tue", Weekday::Tue),
    ("wed", Weekday::Wed),
    ("thu", Weekday::Thu),
    ("fri", Weekday::Fri),
    ("sat", Weekday::Sat),
    ("sun", Weekday::Sun),
];
