//! Where in its lines a log file has the timestamp: found in samples of the file, then expected in every line.

use std::sync::LazyLock;

use memchr::memchr_iter;
use regex::bytes::Regex;

use super::stamp::{Clock, Instant, Shape};

/// How far into a line a timestamp is looked for.
const BRACKET_REACH: usize = 1024;
const JSON_REACH: usize = 64 * 1024;

/// Formats that one file may mix.
const MOST_FORMATS: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// At the start of a word, counted from 0, after brackets, quotes, a syslog priority or `key=`.
    Word(usize),
    /// After the first `[` that has one: access logs.
    Bracket,
    /// In a member such as `"time":` of a JSON object.
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Format {
    place: Place,
    shape: Shape,
}

static JSON_TIME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#""(?:@?timestamp|time|ts|datetime|asctime|date|t)"\s*:\s*"?"#).ok());

/// Tells the lines that begin an entry by their timestamp. A line without one belongs to the entry above.
#[derive(Clone, Debug)]
pub struct Stamps {
    formats: Vec<Format>,
    clock: Clock,
    /// The format that fitted last is tried first.
    last: usize,
}

impl Stamps {
    /// Learns the formats from lines of a file: those that more than stray lines have, the most frequent first.
    pub fn learn<'l>(lines: impl IntoIterator<Item = &'l [u8]>, mut clock: Clock) -> Self {
        let mut counts: Vec<(Format, usize)> = Vec::new();
        let mut total = 0;
        for line in lines {
            total += usize::from(!line.trim_ascii().is_empty());
            if let Some(format) = discover(line, &mut clock) {
                match counts.iter_mut().find(|(known, _)| *known == format) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((format, 1)),
                }
            }
        }
        // A number at the start of few lines is an amount, not a time.
        counts
            .retain(|(format, count)| format.shape != Shape::Epoch || format.place == Place::Json || count * 2 > total);
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let most = counts.first().map_or(0, |(_, count)| *count);
        let formats = counts.into_iter().filter(|(_, count)| count * 20 >= most).map(|(format, _)| format);
        Self { formats: formats.take(MOST_FORMATS).collect(), clock, last: 0 }
    }

    /// No timestamp can be read in this file: each line is an entry of its own.
    pub fn is_blind(&self) -> bool {
        self.formats.is_empty()
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether a line begins an entry, and the entry's time. Without timestamps every line does that is not blank.
    pub fn begins(&mut self, line: &[u8]) -> (bool, Option<Instant>) {
        let stamp = self.of(line);
        let is_blank = || line.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace());
        (stamp.is_some() || (self.is_blind() && !is_blank()), stamp)
    }

    /// The time of the entry that this line begins, if it begins one.
    pub fn of(&mut self, line: &[u8]) -> Option<Instant> {
        let line = without_lead(line);
        if line.first().is_none_or(u8::is_ascii_whitespace) {
            return None;
        }
        let count = self.formats.len();
        for index in (self.last..count).chain(0..self.last.min(count)) {
            if let Some(at) = read(self.formats[index], line, &mut self.clock) {
                self.last = index;
                return Some(at);
            }
        }
        None
    }
}

/// Without the NUL bytes that copytruncate can leave and without colours.
fn without_lead(mut line: &[u8]) -> &[u8] {
    loop {
        match line {
            [0, rest @ ..] => line = rest,
            [0x1b, b'[', rest @ ..] => {
                let end = rest.iter().take(16).position(|byte| *byte == b'm').map_or(0, |end| end + 1);
                line = &rest[end..];
            }
            _ => return line,
        }
    }
}

fn discover(line: &[u8], clock: &mut Clock) -> Option<Format> {
    let line = without_lead(line);
    if line.first()?.is_ascii_whitespace() {
        return None;
    }
    let shapes = [Shape::Iso, Shape::DayFirst, Shape::Ctime, Shape::Rfc3164];
    let at_word = |word| shapes.map(|shape| Format { place: Place::Word(word), shape });
    let json = [Shape::Iso, Shape::Epoch].map(|shape| Format { place: Place::Json, shape });
    let bracket = Format { place: Place::Bracket, shape: Shape::DayFirst };
    let epoch = Format { place: Place::Word(0), shape: Shape::Epoch };
    let mut candidates =
        json.into_iter().chain(at_word(0)).chain([bracket]).chain((1..=4).flat_map(at_word)).chain([epoch]);
    candidates.find(|format| read(*format, line, clock).is_some())
}

fn read(format: Format, line: &[u8], clock: &mut Clock) -> Option<Instant> {
    match format.place {
        Place::Word(word) => clock.read(format.shape, word_of(line, word)?),
        Place::Bracket => {
            let head = &line[..line.len().min(BRACKET_REACH)];
            memchr_iter(b'[', head).find_map(|bracket| {
                let text = &line[bracket + 1..];
                (text.get(2) == Some(&b'/')).then(|| clock.read(format.shape, text)).flatten()
            })
        }
        Place::Json => {
            if line[0] != b'{' {
                return None;
            }
            let head = &line[..line.len().min(JSON_REACH)];
            let mut members = JSON_TIME.as_ref()?.find_iter(head).take(4);
            members.find_map(|member| clock.read(format.shape, &line[member.end()..]))
        }
    }
}

/// The text from a word on, without what may stand before its timestamp.
fn word_of(line: &[u8], word: usize) -> Option<&[u8]> {
    let mut text = line;
    for _ in 0..word {
        let end = text.iter().take(64).position(u8::is_ascii_whitespace)?;
        text = text[end..].trim_ascii_start();
    }
    text = without_lead(text);
    if let [b'<', rest @ ..] = text
        && let Some(end) = rest.iter().take(4).position(|byte| *byte == b'>')
    {
        text = &rest[end + 1..];
    }
    loop {
        match text {
            [b'[' | b'(' | b'"' | b'\'', rest @ ..] => text = rest,
            [first, ..] if first.is_ascii_lowercase() => {
                let key = text.iter().take(16).position(|byte| *byte == b'=')?;
                text = &text[key + 1..];
            }
            _ => return Some(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::new(chrono_tz::Europe::Warsaw, "2026-11-21T12:00:00Z".parse().unwrap())
    }

    /// Nine o'clock in UTC, which is ten in Warsaw.
    const NINE: Instant = 1_795_251_600_000_000;

    #[test]
    fn the_time_is_found_where_the_known_programs_write_it() {
        for line in [
            "2026-11-21 10:00:00,000 ERROR django.request: x",
            "[2026-11-21 10:00:00] production.ERROR: x",
            "ERROR 2026-11-21 10:00:00,000 x",
            "ERROR    2026-11-21 10:00:00,000 x",
            "[21/Nov/2026 10:00:00] \"GET / HTTP/1.1\" 200 1",
            "10.0.0.1 - - [21/Nov/2026:10:00:00 +0100] \"GET / HTTP/1.1\" 200 1",
            "www:80 10.0.0.1, 10.0.0.2 - a b [21/Nov/2026:10:00:00 +0100] \"GET / HTTP/1.1\" 200 1",
            "[Sat Nov 21 10:00:00.000000 2026] [core:error] [pid 1] x",
            "2026/11/21 10:00:00 [error] 7#7: *1 open() failed",
            "Nov 21 10:00:00 host sshd[1]: x",
            "<34>Nov 21 10:00:00 host sshd[1]: x",
            "<34>1 2026-11-21T10:00:00+01:00 host app - - - x",
            "1795251600 x",
            "1795251600.000    12 10.0.0.1 TCP_MISS/200",
            r#"{"level":"info","time":"2026-11-21T09:00:00Z","msg":"x"}"#,
            r#"{"log":"a \"time\": \"2020-01-01T00:00:00Z\"\n","stream":"stdout","time":"2026-11-21T09:00:00Z"}"#,
            r#"{"level":30,"ts":1795251600000,"msg":"x"}"#,
            "time=\"2026-11-21T09:00:00Z\" level=info msg=x",
            "1234:M 21 Nov 2026 10:00:00.000 * Ready",
            "E, [2026-11-21T10:00:00.000 #7] ERROR -- : x",
            "[21-Nov-2026 09:00:00 UTC] PHP Warning:  x",
            "\u{1b}[2m2026-11-21T09:00:00Z\u{1b}[0m INFO x",
            "\0\0\x002026-11-21 10:00:00 x",
        ] {
            let mut stamps = Stamps::learn([line.as_bytes()], clock());
            assert_eq!(stamps.of(line.as_bytes()), Some(NINE), "{line}");
        }
    }

    #[test]
    fn a_line_of_a_stack_trace_begins_no_entry() {
        let first = "2026-11-21 10:00:00,000 ERROR x";
        let trace =
            ["Traceback (most recent call last):", "  File \"a.py\", line 2026", "KeyError: '2026-11-21 10:00:00'", ""];
        let lines = std::iter::repeat_n(first, 30).chain(trace).map(str::as_bytes);
        let mut stamps = Stamps::learn(lines, clock());
        assert!(stamps.of(first.as_bytes()).is_some());
        for line in trace {
            assert_eq!(stamps.of(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_file_may_mix_two_formats() {
        let lines = ["2026-11-21 10:00:00,000 a", "[Sat Nov 21 10:00:00.000000 2026] b"].map(str::as_bytes);
        let mut stamps = Stamps::learn(lines, clock());
        assert_eq!(lines.map(|line| stamps.of(line)), [Some(NINE); 2]);
    }

    #[test]
    fn amounts_are_no_times() {
        let lines = ["total", "1795251600 bytes", "more", "text"].map(str::as_bytes);
        assert!(Stamps::learn(lines, clock()).is_blind());
    }
}
