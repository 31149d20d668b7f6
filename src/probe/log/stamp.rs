//! Timestamps as log files write them, turned into instants.

use chrono::{DateTime, NaiveDate, Offset, TimeZone, Utc};
use chrono_tz::Tz;

/// Microseconds since 1970 in UTC.
pub type Instant = i64;

pub const SECOND: Instant = 1_000_000;
const DAY: Instant = 86_400 * SECOND;

/// Zones change their offset at whole quarters of an hour, so one answer serves a quarter.
const QUARTER: i64 = 900;

/// How a timestamp is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// `2026-11-21T10:00:00.123+01:00`, `2026-11-21 10:00:00,123`, `2026/11/21 10:00:00`.
    Iso,
    /// `21/Nov/2026:10:00:00 +0100`, `21-Nov-2026 10:00:00 UTC`, `21 Nov 2026 10:00:00.123`.
    DayFirst,
    /// `Sat Nov 21 10:00:00.123456 2026`
    Ctime,
    /// `Nov 21 10:00:00`, which has no year: the newest that is not in the future.
    Rfc3164,
    /// Seconds (10 digits), milliseconds (13) or microseconds (16) since 1970.
    Epoch,
}

/// Turns written times into instants: knows the zone of times that name none, and the present.
#[derive(Clone, Debug)]
pub struct Clock {
    zone: Tz,
    now: Instant,
    year: i32,
    /// A quarter of an hour of local time, and its offset in seconds.
    known: Option<(i64, i64)>,
}

#[derive(Clone, Copy)]
struct Time {
    seconds: u32,
    micros: i64,
}

impl Clock {
    pub fn new(zone: Tz, now: DateTime<Utc>) -> Self {
        let tomorrow = now.with_timezone(&zone).date_naive().succ_opt().unwrap_or(NaiveDate::MAX);
        Self { zone, now: now.timestamp_micros(), year: chrono::Datelike::year(&tomorrow), known: None }
    }

    /// Whether the zone's offset changes between the two instants.
    pub fn changes_between(&self, from: Instant, to: Instant) -> bool {
        let offset = |at| {
            DateTime::from_timestamp_micros(at).map(|at| self.zone.offset_from_utc_datetime(&at.naive_utc()).fix())
        };
        offset(from) != offset(to)
    }

    /// The instant that `text` begins with, if it begins with one of this shape.
    pub fn read(&mut self, shape: Shape, text: &[u8]) -> Option<Instant> {
        match shape {
            Shape::Iso => self.iso(text),
            Shape::DayFirst => self.day_first(text),
            Shape::Ctime => self.ctime(text),
            Shape::Rfc3164 => self.rfc3164(text),
            Shape::Epoch => epoch(text),
        }
    }

    fn iso(&mut self, text: &[u8]) -> Option<Instant> {
        let separator = *text.get(4)?;
        if !matches!(separator, b'-' | b'/') || text.get(7) != Some(&separator) {
            return None;
        }
        let date =
            NaiveDate::from_ymd_opt(number(text, 0, 4)?.cast_signed(), number(text, 5, 2)?, number(text, 8, 2)?)?;
        if !matches!(text.get(10)?, b'T' | b't' | b' ') {
            return None;
        }
        let (time, rest) = time_of_day(&text[11..])?;
        self.instant(date, time, zone(rest))
    }

    fn day_first(&mut self, text: &[u8]) -> Option<Instant> {
        let separator = *text.get(2)?;
        if !matches!(separator, b'/' | b'-' | b' ') || text.get(6) != Some(&separator) {
            return None;
        }
        let date =
            NaiveDate::from_ymd_opt(number(text, 7, 4)?.cast_signed(), month(text.get(3..6)?)?, number(text, 0, 2)?)?;
        if !matches!(text.get(11)?, b':' | b' ') {
            return None;
        }
        let (time, rest) = time_of_day(&text[12..])?;
        self.instant(date, time, zone(rest))
    }

    fn ctime(&mut self, text: &[u8]) -> Option<Instant> {
        if text.get(3) != Some(&b' ') || !text[..3].iter().all(u8::is_ascii_alphabetic) {
            return None;
        }
        let (month, day, time, rest) = month_day_time(&text[4..])?;
        let rest = rest.strip_prefix(b" ")?;
        let word = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let (name, year) = if word == 0 { (&rest[..0], rest) } else { (&rest[..word], rest.get(word + 1..)?) };
        let date = NaiveDate::from_ymd_opt(number(year, 0, 4)?.cast_signed(), month, day)?;
        self.instant(date, time, matches!(name, b"UTC" | b"GMT").then_some(0))
    }

    fn rfc3164(&mut self, text: &[u8]) -> Option<Instant> {
        let (month, day, time, _) = month_day_time(text)?;
        // A clock may be a little ahead; 29 February is not in every year.
        let latest = self.now + DAY;
        let year = self.year;
        (year - 8..=year)
            .rev()
            .filter_map(|year| NaiveDate::from_ymd_opt(year, month, day))
            .find_map(|date| self.instant(date, time, None).filter(|at| *at <= latest))
    }

    fn instant(&mut self, date: NaiveDate, time: Time, zone: Option<i64>) -> Option<Instant> {
        let local = date.and_hms_opt(0, 0, 0)?.and_utc().timestamp() + i64::from(time.seconds);
        let offset = zone.unwrap_or_else(|| self.offset(local));
        Some((local - offset) * SECOND + time.micros)
    }

    /// The zone's offset from UTC, in seconds, at a local time.
    ///
    /// Of a time that a clock change repeats, the later one is meant, unless that is in the future: a window rather
    /// holds an hour too much than too little. A time that a clock change leaves out counts as if it had not changed.
    fn offset(&mut self, local: i64) -> i64 {
        let quarter = local.div_euclid(QUARTER);
        if let Some((known, offset)) = self.known
            && known == quarter
        {
            return offset;
        }
        let [earliest, latest] = self.offsets(local);
        if earliest == latest {
            self.known = Some((quarter, earliest));
        } else if (local - latest) * SECOND > self.now {
            return earliest;
        }
        latest
    }

    /// The offsets that give the earliest and the latest instant at a local time.
    fn offsets(&self, local: i64) -> [i64; 2] {
        use chrono::LocalResult::{Ambiguous, None, Single};
        let at = |local: i64| {
            let local = DateTime::from_timestamp(local, 0).unwrap_or_default().naive_utc();
            self.zone.offset_from_local_datetime(&local).map(|offset| i64::from(offset.fix().local_minus_utc()))
        };
        match at(local) {
            Single(offset) => [offset; 2],
            Ambiguous(one, other) => [one.max(other), one.min(other)],
            None => match at(local - 3 * 3600) {
                Single(offset) | Ambiguous(_, offset) => [offset; 2],
                None => [0; 2],
            },
        }
    }
}

fn number(text: &[u8], at: usize, digits: usize) -> Option<u32> {
    let mut number = 0;
    for byte in text.get(at..at + digits)? {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u32::from(byte - b'0');
    }
    Some(number)
}

/// A number of two digits, the first of which may be a space.
fn padded(text: &[u8], at: usize) -> Option<u32> {
    if text.get(at) == Some(&b' ') { number(text, at + 1, 1) } else { number(text, at, 2) }
}

fn month(name: &[u8]) -> Option<u32> {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    (1..).zip(MONTHS.chunks(3)).find(|(_, month)| *month == name).map(|(number, _)| number)
}

/// `Nov 21 10:00:00.123`
fn month_day_time(text: &[u8]) -> Option<(u32, u32, Time, &[u8])> {
    if text.get(3) != Some(&b' ') || text.get(6) != Some(&b' ') {
        return None;
    }
    let (time, rest) = time_of_day(&text[7..])?;
    Some((month(&text[..3])?, padded(text, 4)?, time, rest))
}

/// `10:00:00`, `10:00:00.123`, `10:00:00,123`; MariaDB writes ` 9:00:00`.
fn time_of_day(text: &[u8]) -> Option<(Time, &[u8])> {
    let (hours, minutes, seconds) = (padded(text, 0)?, number(text, 3, 2)?, number(text, 6, 2)?);
    if text[2] != b':' || text[5] != b':' || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let mut rest = &text[8..];
    let mut micros = 0;
    if let [b'.' | b',', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        micros = micros_of(&fraction[..digits]);
        if digits > 0 {
            rest = &fraction[digits..];
        }
    }
    // A leap second is the second before it: clocks of computers do not have it.
    Some((Time { seconds: hours * 3600 + minutes * 60 + seconds.min(59), micros }, rest))
}

/// The offset in seconds of `Z`, `+01:00`, `+0100`, `+01`, ` +0100`, ` UTC`; `None` when no zone is named.
fn zone(text: &[u8]) -> Option<i64> {
    let (spaced, text) = text.strip_prefix(b" ").map_or((false, text), |rest| (true, rest));
    let ends = |at: usize| text.get(at).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    match text.first()? {
        b'Z' | b'z' if !spaced && ends(1) => Some(0),
        b'U' if text.starts_with(b"UTC") && ends(3) => Some(0),
        b'G' if text.starts_with(b"GMT") && ends(3) => Some(0),
        sign @ (b'+' | b'-') => {
            let hours = number(text, 1, 2)?;
            let colon = usize::from(text.get(3) == Some(&b':'));
            let (minutes, end) = match number(text, 3 + colon, 2) {
                Some(minutes) => (minutes, 5 + colon),
                None if spaced => return None,
                None => (0, 3),
            };
            if hours > 14 || minutes > 59 || !ends(end) {
                return None;
            }
            let seconds = i64::from(hours * 3600 + minutes * 60);
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn epoch(text: &[u8]) -> Option<Instant> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if text.get(digits).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let whole: i64 = str::from_utf8(text.get(..digits)?).ok()?.parse().ok()?;
    let at = match digits {
        10 => whole * SECOND + fraction(&text[10..]),
        13 => whole * 1000,
        16 => whole,
        _ => return None,
    };
    // From 2001 to 2100: other numbers are no times.
    (1_000_000_000..4_102_444_800).contains(&(at / SECOND)).then_some(at)
}

/// The fraction of a second after a dot, in microseconds.
fn fraction(text: &[u8]) -> i64 {
    let [b'.', rest @ ..] = text else { return 0 };
    micros_of(&rest[..rest.iter().take_while(|byte| byte.is_ascii_digit()).count()])
}

fn micros_of(digits: &[u8]) -> i64 {
    let padded = digits.iter().chain(b"000000");
    padded.take(6).fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(shape: Shape, text: &str) -> Option<String> {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let at = Clock::new(chrono_tz::Europe::Warsaw, now).read(shape, text.as_bytes())?;
        Some(DateTime::from_timestamp_micros(at)?.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }

    #[track_caller]
    fn reads(shape: Shape, text: &str, instant: &str) {
        assert_eq!(read(shape, text).as_deref(), Some(instant), "{text}");
    }

    #[test]
    fn iso_times_are_read_with_and_without_zone() {
        reads(Shape::Iso, "2026-11-21T10:00:00Z x", "2026-11-21T10:00:00Z");
        reads(Shape::Iso, "2026-11-21T10:00:00.5+01:00", "2026-11-21T09:00:00.500Z");
        reads(Shape::Iso, "2026-11-21 10:00:00 -0530 x", "2026-11-21T15:30:00Z");
        reads(Shape::Iso, "2026-11-21 10:00:00+02", "2026-11-21T08:00:00Z");
        reads(Shape::Iso, "2026-11-21 10:00:00,123 ERROR", "2026-11-21T09:00:00.123Z");
        reads(Shape::Iso, "2026-07-21 10:00:00 - x", "2026-07-21T08:00:00Z");
        reads(Shape::Iso, "2026/11/21 10:00:00 [error]", "2026-11-21T09:00:00Z");
        reads(Shape::Iso, "2026-11-21 10:00:00.123 UTC [7]", "2026-11-21T10:00:00.123Z");
        reads(Shape::Iso, "2026-11-21  9:00:00 0 [Note]", "2026-11-21T08:00:00Z");
        reads(Shape::Iso, "2026-06-30T23:59:60Z", "2026-06-30T23:59:59Z");
    }

    #[test]
    fn the_other_shapes_are_read() {
        reads(Shape::DayFirst, "21/Nov/2026:10:00:00 +0100] \"GET", "2026-11-21T09:00:00Z");
        reads(Shape::DayFirst, "21/Nov/2026 10:00:00] x", "2026-11-21T09:00:00Z");
        reads(Shape::DayFirst, "21-Nov-2026 10:00:00 UTC] PHP", "2026-11-21T10:00:00Z");
        reads(Shape::DayFirst, "21 Nov 2026 10:00:00.123 * Ready", "2026-11-21T09:00:00.123Z");
        reads(Shape::Ctime, "Sat Nov 21 10:00:00.123456 2026]", "2026-11-21T09:00:00.123456Z");
        reads(Shape::Ctime, "Sun Nov  1 10:00:00 UTC 2026", "2026-11-01T10:00:00Z");
        reads(Shape::Epoch, "1795255200 x", "2026-11-21T10:00:00Z");
        reads(Shape::Epoch, "1795255200.25 x", "2026-11-21T10:00:00.250Z");
        reads(Shape::Epoch, "1795255200123", "2026-11-21T10:00:00.123Z");
    }

    #[test]
    fn a_time_without_year_is_the_newest_that_is_not_in_the_future() {
        reads(Shape::Rfc3164, "Nov 21 10:00:00 host", "2026-11-21T09:00:00Z");
        reads(Shape::Rfc3164, "Nov  1 10:00:00 host", "2026-11-01T09:00:00Z");
        reads(Shape::Rfc3164, "Dec 31 10:00:00 host", "2025-12-31T09:00:00Z");
        reads(Shape::Rfc3164, "Feb 29 10:00:00 host", "2024-02-29T09:00:00Z");
        reads(Shape::Rfc3164, "Nov 21 13:00:05 host", "2026-11-21T12:00:05Z");
    }

    #[test]
    fn clock_changes_give_an_instant_for_every_local_time() {
        reads(Shape::Iso, "2026-03-29 01:59:59", "2026-03-29T00:59:59Z");
        reads(Shape::Iso, "2026-03-29 02:30:00", "2026-03-29T01:30:00Z");
        reads(Shape::Iso, "2026-03-29 03:00:00", "2026-03-29T01:00:00Z");
        reads(Shape::Iso, "2026-10-25 01:59:59", "2026-10-24T23:59:59Z");
        reads(Shape::Iso, "2026-10-25 02:30:00", "2026-10-25T01:30:00Z");
        reads(Shape::Iso, "2026-10-25 03:00:00", "2026-10-25T02:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "2026", "2026-13-01 10:00:00", "2026-11-21 24:00:00", "2026-11-21", "2026-11-21 10:00", "Żółw"]
        {
            for shape in [Shape::Iso, Shape::DayFirst, Shape::Ctime, Shape::Rfc3164, Shape::Epoch] {
                assert_eq!(read(shape, text), None, "{shape:?} {text}");
            }
        }
        assert_eq!(read(Shape::Epoch, "1234567890ab"), None);
        assert_eq!(read(Shape::Epoch, "0234567890"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_reading_panic(text: Vec<u8>) {
            let mut clock = Clock::new(chrono_tz::Europe::Warsaw, Utc::now());
            for shape in [Shape::Iso, Shape::DayFirst, Shape::Ctime, Shape::Rfc3164, Shape::Epoch] {
                let _ = clock.read(shape, &text);
            }
        }

        #[test]
        fn no_time_like_text_makes_reading_panic(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9: ]{0,9}[.,]?[0-9]{0,12}[ +-]?[0-9:]{0,6}") {
            let mut clock = Clock::new(chrono_tz::Australia::Lord_Howe, Utc::now());
            let _ = clock.read(Shape::Iso, text.as_bytes());
        }
    }
}
