//! Which lines count: found in large pieces of text at once, which is many times faster than line by line.

use std::ops::Range;
use std::sync::OnceLock;

use memchr::{memchr, memrchr};
use regex::bytes::{Regex, RegexBuilder};

use super::sieve::Sieve;
use crate::model::input::InputError;
use crate::model::pattern;

/// A line matches when a wanted pattern is found in it and no unwanted one.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// Absent: every entry is wanted.
    wanted: Option<Finder>,
    unwanted: Option<Finder>,
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

fn one_of(input: &'static str, patterns: &[String], ignore_case: bool) -> Result<Option<Finder>, InputError> {
    if patterns.is_empty() {
        return Ok(None);
    }
    Finder::new(patterns, ignore_case)
        .map(Some)
        .map_err(|error| bad_pattern(input, &joined(patterns), &error.to_string()))
}

/// Finds what one of several patterns matches.
#[derive(Clone, Debug)]
struct Finder {
    /// The patterns, if they are words alone: small texts need no engine.
    words: Option<Words>,
    pattern: String,
    ignore_case: bool,
    /// Made for the first text that needs it.
    engine: OnceLock<Regex>,
}

/// Looking through more bytes than that takes longer than making an engine that is many times faster.
const SMALL: usize = 64 * 1024;

impl Finder {
    fn new(patterns: &[String], ignore_case: bool) -> Result<Self, regex::Error> {
        let pattern = joined(patterns);
        let words = if pattern.len() <= pattern::SURE { Words::of(patterns, ignore_case) } else { None };
        let engine = match words {
            Some(_) => OnceLock::new(),
            None => OnceLock::from(compile(&pattern, ignore_case)?),
        };
        Ok(Self { words, pattern, ignore_case, engine })
    }

    /// The start and the end of the first match at `from` or behind it.
    fn find_at(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut from = from;
        if let Some(words) = &self.words {
            match words.find_at(text, from) {
                Ok(found) => return found,
                Err(at) => from = at,
            }
        }
        let engine =
            self.engine.get_or_init(|| compile(&self.pattern, self.ignore_case).expect("a few words can be compiled"));
        engine.find_at(text, from).map(|found| (found.start(), found.end()))
    }

    fn is_match(&self, text: &[u8]) -> bool {
        self.find_at(text, 0).is_some()
    }
}

/// Words that are looked for as they are.
#[derive(Clone, Debug)]
struct Words {
    alternatives: Vec<Vec<u8>>,
    ignore_case: bool,
    /// The bytes with which a word may begin.
    begins: [bool; 256],
    /// For a single word in any case.
    sieve: Option<Sieve>,
}

impl Words {
    /// Nothing if a pattern is more than words and alternatives.
    fn of(patterns: &[String], ignore_case: bool) -> Option<Self> {
        let words: Vec<&str> =
            patterns.iter().map(|pattern| pattern::words_of(pattern)).collect::<Option<Vec<_>>>()?.concat();
        let is_plain = |word: &&str| {
            // Beyond ASCII only the engine knows which letters are the same.
            !word.is_empty() && !word.contains(['\r', '\n']) && (word.is_ascii() || !ignore_case)
        };
        if !words.iter().all(is_plain) {
            return None;
        }
        let mut begins = [false; 256];
        for first in words.iter().map(|word| word.as_bytes()[0]) {
            begins[usize::from(first)] = true;
            if ignore_case {
                begins[usize::from(first.to_ascii_lowercase())] = true;
                begins[usize::from(first.to_ascii_uppercase())] = true;
            }
        }
        let sieve = match words.as_slice() {
            [word] if ignore_case => Sieve::of(word.as_bytes()),
            _ => None,
        };
        let alternatives = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        Some(Self { alternatives, ignore_case, begins, sieve })
    }

    /// The first word that begins at `from` or behind it; the place from which an engine finds it sooner.
    fn find_at(&self, text: &[u8], from: usize) -> Result<Option<(usize, usize)>, usize> {
        if text.len() <= SMALL {
            return Ok(self.find_in(text, from..text.len()));
        }
        let sieve = self.sieve.as_ref().ok_or(from)?;
        let (mut at, mut in_vain) = (from, 0);
        while at < text.len() {
            let block = sieve.next(text, at);
            at = block.end;
            in_vain += block.len();
            if let Some(found) = self.find_in(text, block) {
                return Ok(Some(found));
            }
            if in_vain > SMALL / 8 + (at - from) / 8 {
                return Err(at);
            }
        }
        Ok(None)
    }

    /// The first word that begins in `starts`.
    fn find_in(&self, text: &[u8], starts: Range<usize>) -> Option<(usize, usize)> {
        let is_here = |at: usize, word: &[u8]| {
            text.get(at..at + word.len())
                .is_some_and(|here| if self.ignore_case { here.eq_ignore_ascii_case(word) } else { here == word })
        };
        let mut at = starts.start;
        loop {
            at += text.get(at..starts.end)?.iter().position(|&byte| self.begins[usize::from(byte)])?;
            if let Some(word) = self.alternatives.iter().find(|word| is_here(at, word)) {
                return Some((at, at + word.len()));
            }
            at += 1;
        }
    }
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
                let (from, to) = wanted.find_at(self.text, self.at)?;
                if from == self.text.len() && self.text.ends_with(b"\n") {
                    return None;
                }
                let start = memrchr(b'\n', &self.text[self.at..from]).map_or(self.at, |newline| self.at + newline + 1);
                let end = line_end(self.text, from);
                if to > end {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_where_the_engine_finds_them() {
        let texts = ["an Error, err\nERRor: e", "", "e", "abab", "err\u{17f}\u{212a}k", "ż Ż aż"];
        let mut looked = 0;
        for patterns in [vec!["error"], vec!["err", "error"], vec!["error|e"], vec!["ab", "b|ba"], vec!["k"], vec!["ż"]]
        {
            let patterns: Vec<String> = patterns.into_iter().map(str::to_owned).collect();
            for ignore_case in [false, true] {
                let Some(words) = Words::of(&patterns, ignore_case) else { continue };
                let engine = compile(&joined(&patterns), ignore_case).expect("a pattern");
                for text in texts.map(str::as_bytes) {
                    for from in 0..=text.len() {
                        let found = engine.find_at(text, from).map(|found| (found.start(), found.end()));
                        assert_eq!(
                            words.find_in(text, from..text.len()),
                            found,
                            "{patterns:?} {ignore_case} {text:?} {from}"
                        );
                        looked += 1;
                    }
                }
            }
        }
        assert!(looked > 500, "{looked}");
        for odd in ["a.b", "", "a|", "a\nb", "(a)"] {
            assert!(Words::of(&[odd.to_owned()], false).is_none(), "{odd:?}");
        }
        assert!(Words::of(&["ż".to_owned()], true).is_none());
    }

    #[test]
    fn a_word_in_a_large_text_is_found_where_the_engine_finds_it() {
        let patterns = ["Error".to_owned()];
        let finder = Finder::new(&patterns, true).expect("a pattern");
        let engine = compile(&joined(&patterns), true).expect("a pattern");
        let words = finder.words.as_ref().expect("a word");
        // The letters that are looked for stand together everywhere in the last one, so that the engine takes over.
        for (filling, is_crowded) in [("all is well, ", false), ("\n", false), ("orro rerr erro", true)] {
            let mut text = filling.repeat(100_000 / filling.len()).into_bytes();
            for (nth, at) in (0..text.len() - 5).step_by(251).enumerate().skip(if is_crowded { 200 } else { 0 }) {
                text[at..at + 5].copy_from_slice([b"error", b"ERROR", b"eRRoR"][nth % 3]);
            }
            let end = text.len();
            text[end - 5..].copy_from_slice(b"erroR");
            for text in [&text[..], &text[..end - 1]] {
                let (mut at, mut found) = (0, Vec::new());
                while let Some((from, to)) = finder.find_at(text, at) {
                    found.push((from, to));
                    at = to;
                }
                let expected: Vec<_> = engine.find_iter(text).map(|found| (found.start(), found.end())).collect();
                assert_eq!(found, expected, "{filling}");
                assert!(found.len() > 190, "{}", found.len());
                assert_eq!(words.find_at(text, 0).is_err(), is_crowded, "{filling}");
            }
        }
        assert_eq!(finder.find_at("all is well".repeat(10_000).as_bytes(), 3), None);
    }
}
