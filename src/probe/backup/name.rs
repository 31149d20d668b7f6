//! File names with a date in them, written as `strftime` writes them.

use std::sync::OnceLock;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use regex_lite::{Captures, Regex};

/// A name such as `backup_%Y%m%d.sql.gz`; `*` stands for any text and `?` for any character.
#[derive(Clone, Debug)]
pub struct NamePattern {
    pub written: String,
    source: String,
    /// Compiled when the first name is read: a procedure that is only vetted need not wait for it. Names are short, and
    /// this engine is made in a fraction of the time.
    regex: OnceLock<Regex>,
}

/// No name of a file is longer.
const LONGEST: usize = 255;

/// What a conversion such as `%Y` matches. A name is unique within a pattern; the first of two equal ones counts.
const CONVERSIONS: &[(char, &str)] = &[
    ('Y', "[0-9]{4}"),
    ('y', "[0-9]{2}"),
    ('m', "[0-9]{2}"),
    ('b', "[A-Za-z]{3}"),
    ('d', "[0-9]{2}"),
    ('j', "[0-9]{3}"),
    ('H', "[0-9]{2}"),
    ('M', "[0-9]{2}"),
    ('S', "[0-9]{2}"),
];

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

impl NamePattern {
    /// # Errors
    /// What is wrong with the pattern, in words: an unknown conversion, no whole date, a path.
    pub fn new(written: &str) -> Result<Self, String> {
        if written.contains('/') {
            return Err("it is a path; the name of a file has no `/`".to_owned());
        }
        let long = written.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S");
        let mut source = String::from("^");
        let mut seen = String::new();
        let mut characters = long.chars();
        while let Some(character) = characters.next() {
            match character {
                '*' => source += ".*",
                '?' => source += ".",
                '%' => {
                    let letter = characters.next().unwrap_or(' ');
                    if letter == '%' {
                        source.push('%');
                        continue;
                    }
                    let (_, digits) = CONVERSIONS
                        .iter()
                        .find(|(known, _)| *known == letter)
                        .ok_or_else(|| format!("`%{letter}` is not one of %Y %y %m %b %d %j %H %M %S %F %T %%"))?;
                    if seen.contains(letter) {
                        source += digits;
                    } else {
                        source.extend(["(?<", letter.encode_utf8(&mut [0; 4]), ">", digits, ")"]);
                        seen.push(letter);
                    }
                }
                _ if character.is_ascii_alphanumeric() => source.push(character),
                _ => source += &regex_lite::escape(character.encode_utf8(&mut [0; 4])),
            }
        }
        let has = |letters: &str| letters.chars().any(|letter| seen.contains(letter));
        if !(has("Yy") && (has("j") || has("mb") && has("d"))) {
            return Err("it has no whole date: year, month and day".to_owned());
        }
        if written.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes, which no name of a file is"));
        }
        Ok(Self { written: written.to_owned(), source: source + "$", regex: OnceLock::new() })
    }

    /// The time in the name; midnight where it has none. `None` for another name, or for no real date.
    #[must_use]
    pub fn time_of(&self, name: &str) -> Option<NaiveDateTime> {
        let regex = self.regex.get_or_init(|| Regex::new(&self.source).expect("escaped text and conversions"));
        let found = regex.captures(name)?;
        let year = number(&found, "Y").or_else(|| Some(2000 + number(&found, "y")?))?;
        let year = i32::try_from(year).ok()?;
        let date = match number(&found, "j") {
            Some(day_of_year) => NaiveDate::from_yo_opt(year, day_of_year),
            None => NaiveDate::from_ymd_opt(year, month(&found)?, number(&found, "d")?),
        };
        let part = |letter| number(&found, letter).unwrap_or(0);
        Some(date?.and_time(NaiveTime::from_hms_opt(part("H"), part("M"), part("S"))?))
    }
}

fn number(found: &Captures, letter: &str) -> Option<u32> {
    found.name(letter)?.as_str().parse().ok()
}

fn month(found: &Captures) -> Option<u32> {
    number(found, "m").or_else(|| {
        let name = found.name("b")?.as_str().to_ascii_lowercase();
        (1..).zip(MONTHS).find_map(|(number, month)| (month == name).then_some(number))
    })
}

#[cfg(test)]
mod tests {
    use super::NamePattern;

    fn time(pattern: &str, name: &str) -> Option<String> {
        let pattern = NamePattern::new(pattern).expect("a pattern");
        pattern.time_of(name).map(|time| time.format("%Y-%m-%d %H:%M:%S").to_string())
    }

    #[test]
    fn the_date_is_read_from_the_name() {
        let midnight = Some("2026-11-20 00:00:00".to_owned());
        assert_eq!(time("backup_%Y%m%d.sql.gz", "backup_20261120.sql.gz"), midnight);
        assert_eq!(time("%F.dump", "2026-11-20.dump"), midnight);
        assert_eq!(time("db-*-%d%b%y.tar", "db-shop-20Nov26.tar"), midnight);
        assert_eq!(time("%Y-%j.sql", "2026-324.sql"), midnight);
        assert_eq!(time("100%%_%F", "100%_2026-11-20"), midnight);
        assert_eq!(time("%F_%T.sql", "2026-11-20_03:15:09.sql").as_deref(), Some("2026-11-20 03:15:09"));
        assert_eq!(time("%Y_%F", "2026_2026-11-20"), midnight);
    }

    #[test]
    fn another_name_and_no_real_date_are_no_backup() {
        for name in [
            "backup_20261120.sql.gz.part",
            "old_backup_20261120.sql.gz",
            "backup_20261320.sql.gz",
            "backup_20260230.sql.gz",
        ] {
            assert_eq!(time("backup_%Y%m%d.sql.gz", name), None, "{name}");
        }
        assert_eq!(time("a.%F", "ab2026-11-20"), None, "a dot is a dot");
    }

    #[test]
    fn a_pattern_without_a_whole_date_is_refused() {
        for pattern in ["backup.sql.gz", "backup_%m%d.sql", "backup_%Y%m", "%Y%m%d_%Q", "%Y%m%d%", "daily/%F.sql"] {
            assert!(NamePattern::new(pattern).is_err(), "{pattern}");
        }
    }
}
