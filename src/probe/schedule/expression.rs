//! When cron runs a job, read as cron reads it.

use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::DateTime;
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// What the words after `@` stand for.
const NICKNAMES: [(&str, &str); 8] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
    ("@reboot", ""),
];

#[derive(Clone, Debug)]
pub enum When {
    Times(Box<Cron>),
    /// Each time that cron starts after the machine did.
    Reboot,
}

impl When {
    /// The expression at the start of a line, and the rest of the line.
    pub fn split(line: &str) -> Option<(&str, &str)> {
        let fields = if line.starts_with('@') { 1 } else { 5 };
        let mut rest = line;
        for _ in 0..fields {
            let end = rest.find([' ', '\t'])?;
            rest = rest[end..].trim_start();
        }
        Some((line[..line.len() - rest.len()].trim_end(), rest))
    }

    /// Whether cron can read it. Most ask for plain times, which need no parser to be seen right.
    pub fn is_right(expression: &str) -> bool {
        is_simple(expression) || Self::parse(expression).is_some()
    }

    /// `None` if cron cannot read it.
    pub fn parse(expression: &str) -> Option<Self> {
        if expression == "@reboot" {
            return Some(Self::Reboot);
        }
        let nickname = NICKNAMES.iter().find(|(name, _)| *name == expression);
        let fields: Vec<&str> = nickname.map_or(expression, |(_, times)| times).split_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else { return None };
        // croner knows more than cron does.
        let is_plain = |field: &&str| field.bytes().all(|byte| byte.is_ascii_digit() || b"*,/-".contains(&byte));
        let is_word = |field: &str, words: [&str; 12]| {
            field.split([',', '-']).all(|part| is_plain(&part) || words.contains(&part.to_ascii_lowercase().as_str()))
        };
        if ![minute, hour, day].iter().all(is_plain) || !is_word(month, MONTHS) || !is_word(weekday, WEEKDAYS) {
            return None;
        }
        // Either day will do, unless one of the two begins with a star, as `*/2` does: then both must fit.
        let both = day.starts_with('*') || weekday.starts_with('*');
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).dom_and_dow(both).build();
        parser.parse(&fields.join(" ")).ok().map(|cron| Self::Times(Box::new(cron)))
    }

    pub fn next(&self, now: &DateTime<Tz>) -> Option<DateTime<Tz>> {
        self.times()?.find_next_occurrence(now, false).ok()
    }

    pub fn previous(&self, now: &DateTime<Tz>) -> Option<DateTime<Tz>> {
        self.times()?.find_previous_occurrence(now, true).ok()
    }

    /// Between the time before `now` and the one after it.
    pub fn period(&self, now: &DateTime<Tz>) -> Option<Duration> {
        (self.next(now)? - self.previous(now)?).to_std().ok()
    }

    fn times(&self) -> Option<&Cron> {
        if let Self::Times(cron) = self { Some(cron) } else { None }
    }
}

/// Whether each field is a star or one number in its range.
fn is_simple(expression: &str) -> bool {
    let ranges = [0..=59, 0..=23, 1..=31, 1..=12, 0..=7];
    let is_number = |field: &str| !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit());
    let mut fields = expression.split_whitespace();
    let fit = |range: &RangeInclusive<u8>| {
        fields.next().is_some_and(|field| {
            field == "*" || is_number(field) && field.parse().is_ok_and(|number| range.contains(&number))
        })
    };
    ranges.iter().all(fit) && fields.next().is_none()
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 12] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "mon", "tue", "wed", "thu"];

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use chrono_tz::Europe::Warsaw;

    use super::*;

    fn at(date: (i32, u32, u32), hour: u32, minute: u32) -> DateTime<Tz> {
        Warsaw.with_ymd_and_hms(date.0, date.1, date.2, hour, minute, 0).earliest().expect("a time")
    }

    fn next(expression: &str, from: &DateTime<Tz>) -> String {
        let when = When::parse(expression).unwrap_or_else(|| panic!("{expression} is read"));
        when.next(from).expect("a next time").format("%a %F %R").to_string()
    }

    #[test]
    fn what_is_right_without_the_parser_is_right_for_it() {
        let mut simple = 0;
        for field in 0..5 {
            for value in (0..100)
                .map(|number: u8| number.to_string())
                .chain(["*", "01", "", "-1", "7-", "256"].map(str::to_owned))
            {
                let mut fields = ["0", "8", "*", "*", "*"].map(str::to_owned);
                fields[field] = value;
                let expression = fields.join(" ");
                simple += usize::from(is_simple(&expression));
                assert!(!is_simple(&expression) || When::parse(&expression).is_some(), "{expression}");
            }
        }
        assert_eq!(simple, 60 + 24 + 31 + 12 + 8 + 2 * 5, "numbers in their ranges, a star and `01` in each field");
        assert!(!is_simple("0 8 * *") && !is_simple("0 8 * * * *") && !is_simple("@daily"));
    }

    #[test]
    fn a_day_of_the_month_and_a_day_of_the_week_are_either_or() {
        let saturday = at((2026, 11, 21), 12, 0);
        assert_eq!(next("0 9 1-7 * 1", &saturday), "Mon 2026-11-23 09:00", "no first Monday");
        assert_eq!(next("0 9 1 * *", &saturday), "Tue 2026-12-01 09:00");
        assert_eq!(next("0 9 * * mon", &saturday), "Mon 2026-11-23 09:00");
    }

    #[test]
    fn a_day_that_begins_with_a_star_must_fit_together_with_the_other() {
        assert_eq!(next("0 9 */2 * 1", &at((2026, 11, 23), 12, 0)), "Mon 2026-12-07 09:00");
    }

    #[test]
    fn a_job_in_the_hour_that_the_clocks_leave_out_runs_once_and_in_the_one_that_comes_twice_too() {
        assert!(next("30 2 * * *", &at((2026, 3, 28), 12, 0)).starts_with("Sun 2026-03-29 03:"));
        let when = When::parse("30 2 * * *").expect("an expression");
        let first = when.next(&at((2026, 10, 24), 12, 0)).expect("a time");
        let second = when.next(&first).expect("a time");
        assert_eq!(
            (first.date_naive().to_string(), second.date_naive().to_string()),
            ("2026-10-25".into(), "2026-10-26".into())
        );
    }

    #[test]
    fn words_for_times_are_known_and_what_cron_does_not_know_is_refused() {
        assert_eq!(next("@daily", &at((2026, 11, 21), 12, 0)), "Sun 2026-11-22 00:00");
        assert!(matches!(When::parse("@reboot"), Some(When::Reboot)));
        for wrong in ["0 9 * * MON#1", "0 9 L * *", "0 0 9 * * *", "61 * * * *", "@sometimes", "a b c d e"] {
            assert!(When::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_line_is_split_behind_the_expression() {
        assert_eq!(When::split("0  9 * * 1\troot /bin/a b"), Some(("0  9 * * 1", "root /bin/a b")));
        assert_eq!(When::split("@daily root x"), Some(("@daily", "root x")));
        assert_eq!(When::split("0 9 * *"), None);
    }
}
