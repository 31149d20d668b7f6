//! Which lines count: found in large pieces of text at once, which is many times faster than line by line.

use memchr::{memchr, memrchr};
use regex::bytes::{Regex, RegexBuilder};

use crate::model::input::InputError;
use crate::model::pattern;

/// A line matches when a wanted pattern is found in it and no unwanted one.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// Absent: every entry is wanted.
    wanted: Option<Regex>,
    unwanted: Option<Regex>,
    /// A pattern speaks of the ends of the text, which must be those of the line.
    by_line: bool,
}

impl Matcher {
    /// Whether a matcher can be made of these patterns; making it takes much longer.
    pub fn check(wanted: &[String], unwanted: &[String]) -> Result<(), InputError> {
        for (input, patterns) in [("match", wanted), ("except", unwanted)] {
            let all = joined(patterns);
            pattern::check(&all).map_err(|reason| {
                let wrong = patterns.iter().find(|text| pattern::check(text).is_err());
                bad_pattern(input, wrong.unwrap_or(&all), &reason)
            })?;
        }
        Ok(())
    }

    pub fn new(wanted: &[String], unwanted: &[String], ignore_case: bool) -> Result<Self, InputError> {
        Ok(Self {
            wanted: one_of("match", wanted, ignore_case)?,
            unwanted: one_of("except", unwanted, ignore_case)?,
            by_line: wanted.iter().any(|pattern| is_about_ends(pattern)),
        })
    }

    pub fn wants_every_entry(&self) -> bool {
        self.wanted.is_none()
    }

    /// Whether the first line of an entry counts where every entry does.
    pub fn admits(&self, line: &[u8]) -> bool {
        !self.excludes(line)
    }

    pub fn finds(&self, line: &[u8]) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| wanted.is_match(without_return(line)))
    }

    pub fn excludes(&self, line: &[u8]) -> bool {
        self.unwanted.as_ref().is_some_and(|unwanted| unwanted.is_match(without_return(line)))
    }

    /// The matching lines of a text of whole lines, in order; none when every entry is wanted.
    pub fn lines_in<'t>(&'t self, text: &'t [u8]) -> MatchingLines<'t> {
        MatchingLines { matcher: self, text, at: 0, by_line: self.by_line }
    }
}

/// `\A`, `\z`, or a flag taken away, which may be the one that lets `^` and `$` fit at each line.
fn is_about_ends(pattern: &str) -> bool {
    let takes_flags = |flags: &str| flags.bytes().find(|byte| !byte.is_ascii_alphabetic()) == Some(b'-');
    pattern.contains(r"\A") || pattern.contains(r"\z") || pattern.split("(?").skip(1).any(takes_flags)
}

fn one_of(input: &'static str, patterns: &[String], ignore_case: bool) -> Result<Option<Regex>, InputError> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let all = joined(patterns);
    compile(&all, ignore_case).map(Some).map_err(|error| bad_pattern(input, &all, &error.to_string()))
}

fn joined(patterns: &[String]) -> String {
    patterns.iter().map(|pattern| format!("(?:{pattern})")).collect::<Vec<_>>().join("|")
}

fn bad_pattern(input: &'static str, pattern: &str, reason: &str) -> InputError {
    InputError::new(
        input,
        format!("`{pattern}` is not a regular expression: {reason}"),
        r"put a \ before characters such as ( [ { * + ? . that mean themselves",
    )
}

fn compile(pattern: &str, ignore_case: bool) -> Result<Regex, regex::Error> {
    let build = |unicode| {
        RegexBuilder::new(pattern).case_insensitive(ignore_case).multi_line(true).crlf(true).unicode(unicode).build()
    };
    // Without Unicode classes `\b` and ignoring case stay fast on any text; a pattern that needs them says so itself.
    if pattern.is_ascii() { build(false).or_else(|_| build(true)) } else { build(true) }
}

/// Iterates over `start..end` of the matching lines, without their newline.
#[derive(Debug)]
pub struct MatchingLines<'t> {
    matcher: &'t Matcher,
    text: &'t [u8],
    /// Start of the first line not yet looked at.
    at: usize,
    by_line: bool,
}

impl Iterator for MatchingLines<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let wanted = self.matcher.wanted.as_ref()?;
        while self.at < self.text.len() {
            let (start, end) = if self.by_line {
                let line = (self.at, line_end(self.text, self.at));
                self.at = line.1 + 1;
                if !self.matcher.finds(&self.text[line.0..line.1]) {
                    continue;
                }
                line
            } else {
                let found = wanted.find_at(self.text, self.at)?;
                if found.start() == self.text.len() && self.text.ends_with(b"\n") {
                    return None;
                }
                let start =
                    memrchr(b'\n', &self.text[self.at..found.start()]).map_or(self.at, |newline| self.at + newline + 1);
                let end = line_end(self.text, found.start());
                if found.end() > end {
                    // The pattern runs on into the next line. Looking line by line from here is right, and it is
                    // bounded, where each such match could run to the end of the text.
                    self.by_line = true;
                    self.at = start;
                    continue;
                }
                self.at = end + 1;
                // A carriage return at the end is no part of the line, though the pattern may have found it.
                if self.text[start..end].ends_with(b"\r") && !self.matcher.finds(&self.text[start..end]) {
                    continue;
                }
                (start, end)
            };
            if !self.matcher.excludes(&self.text[start..end]) {
                return Some((start, end));
            }
        }
        None
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The offset of the newline that ends the line at `at`, or the end of the text.
pub fn line_end(text: &[u8], at: usize) -> usize {
    memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline)
}
