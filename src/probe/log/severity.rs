//! How grave an entry says it is.

use std::sync::LazyLock;

use regex::bytes::Regex;

/// The severities of syslog, the gravest first; what other programs say is put among them.
pub const NAMES: [&str; 8] = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

/// The level stands near the start of a line.
const REACH: usize = 300;

const LEVELS: &str = "emerg(?:ency)?|panic|alert|crit(?:ical)?|fatal|severe|err(?:or)?|warn(?:ing)?|notice|note|\
                      info(?:rmation(?:al)?)?|log|debug[0-9]?|trace[0-9]?|fine";

struct Places {
    priority: Regex,
    json: Regex,
    plain: Regex,
}

static PLACES: LazyLock<Option<Places>> = LazyLock::new(|| {
    let upper = LEVELS.to_ascii_uppercase();
    Some(Places {
        priority: Regex::new(r"^<([0-9]{1,3})>").ok()?,
        json: Regex::new(&format!(r#"(?i)"(?:level|severity|levelname|lvl|log\.level|loglevel)"\s*:\s*"({LEVELS})""#)).ok()?,
        // `[error]`, `[core:error]`, `level=error`; elsewhere only a word in capitals is a level.
        plain: Regex::new(&format!(
            r#"\[(?:[\w.-]+:)?((?i:{LEVELS}))\]|\b(?:level|lvl|severity|levelname)="?((?i:{LEVELS}))\b|(?:^|[\s\[|(.m])({upper})(?:[\s\]:|)\x1b]|$)"#
        ))
        .ok()?,
    })
});

/// The index in [`NAMES`] of the severity that the first line of an entry states, if it states one.
pub fn of(line: &[u8]) -> Option<usize> {
    let places = PLACES.as_ref()?;
    if let Some(found) = places.priority.captures(line) {
        return str::from_utf8(&found[1]).ok()?.parse::<usize>().ok().map(|priority| priority % NAMES.len());
    }
    if line.first() == Some(&b'{') {
        return places.json.captures(line).and_then(|found| named(&found[1]));
    }
    // What stands in quotes is content: a request for `/ERROR` is no error.
    let head = &line[..line.len().min(REACH)];
    let level_in_quotes = memchr::memmem::find(head, b"=\"").is_some();
    let end = if level_in_quotes { None } else { memchr::memchr(b'"', head) };
    let found = places.plain.captures(&head[..end.unwrap_or(head.len())])?;
    named(found.get(1).or_else(|| found.get(2)).or_else(|| found.get(3))?.as_bytes())
}

fn named(word: &[u8]) -> Option<usize> {
    let word = word.to_ascii_lowercase();
    let starts: [(&[u8], usize); 15] = [
        (b"emerg", 0),
        (b"panic", 0),
        (b"alert", 1),
        (b"crit", 2),
        (b"fatal", 2),
        (b"severe", 3),
        (b"err", 3),
        (b"warn", 4),
        (b"notice", 5),
        (b"note", 5),
        (b"info", 6),
        (b"log", 6),
        (b"debug", 7),
        (b"trace", 7),
        (b"fine", 7),
    ];
    starts.iter().find(|(start, _)| word.starts_with(start)).map(|(_, severity)| *severity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_read_where_the_known_programs_write_it() {
        for (line, name) in [
            ("<34>1 2026-11-21T10:00:00Z host app - - - x", "critical"),
            ("2026-11-21 10:00:00,123 ERROR django.request: x", "error"),
            ("CRITICAL 2026-11-21 10:00:00,123 x", "critical"),
            ("[2026-11-21 10:00:00] production.x WARNING: x", "warning"),
            ("[Sat Nov 21 10:00:00.123456 2026] [core:error] [pid 1] x", "error"),
            ("2026/11/21 10:00:00 [emerg] 7#7: bind() failed", "emergency"),
            ("2026-11-21 10:00:00 0 [Warning] InnoDB: x", "warning"),
            ("2026-11-21 10:00:00.123 UTC [7] FATAL:  no such role \"x\"", "critical"),
            ("E, [2026-11-21T10:00:00.123 #7] ERROR -- : x", "error"),
            (r#"{"time":"2026-11-21T10:00:00Z","level":"warn","msg":"ERROR"}"#, "warning"),
            ("time=\"2026-11-21T10:00:00Z\" level=info msg=x", "info"),
            ("2026-11-21 10:00:00 INFO sent ERROR page", "info"),
            ("\u{1b}[2m2026-11-21T10:00:00Z\u{1b}[0m \u{1b}[32mDEBUG\u{1b}[0m x", "debug"),
        ] {
            assert_eq!(of(line.as_bytes()).map(|index| NAMES[index]), Some(name), "{line}");
        }
    }

    #[test]
    fn a_line_that_states_no_level_has_none() {
        for line in [
            "10.0.0.1 - - [21/Nov/2026:10:00:00 +0100] \"GET /ERROR HTTP/1.1\" 200 1",
            "Nov 21 10:00:00 host a[1]: error: x",
            "",
        ] {
            assert_eq!(of(line.as_bytes()), None, "{line}");
        }
    }
}
