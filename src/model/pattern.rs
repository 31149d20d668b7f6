//! Regular expressions: checked when they are read, compiled when they are first needed.

use std::sync::{Arc, OnceLock};

use regex::Regex;

/// Longer patterns might be too large to compile even without a repetition by numbers.
pub const SURE: usize = 200;

/// Whether a text is a regular expression; the message names the reason in one line.
///
/// Compiling takes a hundred times as long, and most patterns of a library are only vetted. So a pattern is compiled
/// here only when that could still fail: when it repeats something by numbers or is very long. Most of the others need
/// no parser to be seen right.
///
/// # Errors
/// It is none, or it would be too large.
pub fn check(text: &str) -> Result<(), String> {
    let checked = if text.contains('{') || text.len() > SURE {
        Regex::new(text).map(drop).map_err(|error| error.to_string())
    } else if is_simple(text) {
        Ok(())
    } else {
        regex_syntax::parse(text).map(drop).map_err(|error| error.to_string())
    };
    checked.map_err(|reason| reason.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned())
}

/// Whether a text is surely a regular expression: characters, usual escapes and classes, groups, alternatives and
/// simple repetitions. False says nothing.
fn is_simple(text: &str) -> bool {
    let mut rest = text.as_bytes();
    let mut groups = 0_usize;
    // Whether there is something that could be repeated.
    let mut item = false;
    loop {
        (rest, item) = match rest {
            [] => return groups == 0,
            [b'|' | b'^' | b'$', behind @ ..]
            | [b'\\', b'b' | b'B', behind @ ..]
            | [b'(', b'?', b'i', b')', behind @ ..] => (behind, false),
            [b'(', b'?', b':', behind @ ..] => {
                groups += 1;
                (behind, false)
            }
            [b'(', b'?', ..] => return false,
            [b'(', behind @ ..] => {
                groups += 1;
                (behind, false)
            }
            [b')', behind @ ..] if groups > 0 => {
                groups -= 1;
                (behind, true)
            }
            [b'[', behind @ ..] => match simple_class(behind) {
                Some(behind) => (behind, true),
                None => return false,
            },
            [b'*' | b'+' | b'?', behind @ ..] if item => (behind, false),
            [b'\\', escaped, behind @ ..] if b"dDsSwW".contains(escaped) || MEANING.contains(escaped) => (behind, true),
            [b'.', behind @ ..] => (behind, true),
            [other, behind @ ..] if !MEANING.contains(other) => (behind, true),
            _ => return false,
        };
    }
}

/// The characters that mean more than themselves.
const MEANING: &[u8] = br"\.+*?()|[]{}^$";

/// The alternatives of a pattern that has nothing but words; a word may be empty.
#[must_use]
pub fn words_of(pattern: &str) -> Option<Vec<&str>> {
    let is_plain = !pattern.bytes().any(|byte| byte != b'|' && MEANING.contains(&byte));
    is_plain.then(|| pattern.split('|').collect())
}

/// What stands behind a class of plain characters and ranges of letters or digits; `rest` begins behind its bracket.
fn simple_class(rest: &[u8]) -> Option<&[u8]> {
    let mut rest = rest.strip_prefix(b"^").unwrap_or(rest);
    let begin = rest.len();
    loop {
        rest = match rest {
            [b']', behind @ ..] if rest.len() < begin => return Some(behind),
            [b'\\', escaped, behind @ ..] if MEANING.contains(escaped) => behind,
            [from, b'-', to, behind @ ..]
                if from <= to && from.is_ascii_alphanumeric() && to.is_ascii_alphanumeric() =>
            {
                behind
            }
            [b'[' | b']' | b'\\' | b'-' | b'&' | b'~', ..] | [_, b'-', ..] | [] => return None,
            [_, behind @ ..] => behind,
        };
    }
}

/// A regular expression that is known to be right; compares by its source.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    compiled: Arc<OnceLock<Regex>>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// # Errors
    /// As [`check`].
    pub fn new(text: &str) -> Result<Self, String> {
        check(text)?;
        Ok(Self { text: text.to_owned(), compiled: Arc::default() })
    }

    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        if let Some(matches) = self.matches_words(text) {
            return matches;
        }
        self.compiled.get_or_init(|| Regex::new(&self.text).expect("a checked pattern")).is_match(text)
    }

    /// Which of `texts` match, as [`Self::is_match`] says, for patterns that are asked only once and texts in ASCII: by
    /// an engine that is made in a fraction of the time, and is slow on long texts.
    #[must_use]
    pub fn match_once<const N: usize>(&self, texts: [&str; N]) -> [bool; N] {
        let words = texts.map(|text| self.matches_words(text));
        if words.iter().all(Option::is_some) {
            return words.map(|matches| matches == Some(true));
        }
        match regex_lite::Regex::new(&self.text) {
            Ok(engine) => texts.map(|text| engine.is_match(text)),
            // It knows fewer classes of characters.
            Err(_) => texts.map(|text| self.is_match(text)),
        }
    }

    /// As [`Self::is_match`] says, if this is words and alternatives alone: most patterns are, and need no engine.
    fn matches_words(&self, text: &str) -> Option<bool> {
        let (plain, folded) = self.text.strip_prefix("(?i)").map_or((&*self.text, false), |plain| (plain, true));
        // Some letters beyond ASCII are others in another case.
        let is_sure = !folded || (plain.is_ascii() && text.is_ascii());
        let has = |word: &str| {
            if folded {
                let places = 0..=text.len().saturating_sub(word.len());
                word.len() <= text.len()
                    && places.into_iter().any(|at| text[at..at + word.len()].eq_ignore_ascii_case(word))
            } else {
                text.contains(word)
            }
        };
        words_of(plain).filter(|_| is_sure).map(|words| words.into_iter().any(has))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_pattern_is_refused_with_its_reason() {
        assert_eq!(check("(a"), Err("unclosed group".to_owned()));
        assert_eq!(check(r"\p{Nothing}"), Err("Unicode property not found".to_owned()));
        assert!(check(r"\w{1000}{1000}").is_err_and(|reason| reason.contains("size limit")));
        assert!(check(&format!("{}(", "a".repeat(600))).is_err());
    }

    /// What is let through without a parser must be right for the parser.
    #[test]
    fn what_looks_simple_is_a_regular_expression() {
        let parts: Vec<&str> = concat!(
            r"a é 0 b| ( ) (?: (?i) (?x) (?P<n> [ ] [^ a- -a a-z Z-A - 0-9 -] \ \p \b \w \. \- \] \< * + ? . ^ $ # ",
            "& ~ \" ' / : , = < {",
        )
        .split(' ')
        .chain(["", " "])
        .collect();
        let mut simple = 0;
        for &one in &parts {
            for &two in &parts {
                for three in ["", "*", "|", ")", "]", "-z"] {
                    for text in [
                        [one, two, three].concat(),
                        ["[", one, two, three, "]"].concat(),
                        ["(", one, two, three, ")"].concat(),
                    ] {
                        if is_simple(&text) {
                            simple += 1;
                            assert!(regex_syntax::parse(&text).is_ok(), "{text}");
                        }
                    }
                }
            }
        }
        assert!(simple > 3000, "{simple}");
        assert!(is_simple(r#"(?i)"[A-Z]+ [^"]*error[^"]*"|\b(0|no) errors?\b|[:\[](crit|alert)\]|^a.*b$"#));
    }

    #[test]
    fn both_engines_agree() {
        let usual = [
            "",
            "a*",
            "^$",
            "(?i)ERROR",
            "(?i)x|An|",
            "(?i)ſ|0",
            r"\b0 errors\b",
            "x|y",
            "x|",
            "|",
            ".",
            "[^a]",
            r"\d\s\w",
            "ó|[ż]",
            "(?i)[[:upper:]]",
        ];
        // The quick engine may not know these, and must not take them for something else.
        let odd = [
            r"\pL+ż",
            "[a-z&&[^e]]",
            "[a-z--e]",
            r"[^\W\d]",
            r"\b{start}e",
            r"\<e",
            "(?R)a$",
            r"\x{65}r{2}",
            "(?u:e)",
            "[[e]r]",
        ];
        for pattern in usual.into_iter().chain(odd) {
            let pattern = Pattern::new(pattern).expect("a pattern");
            let texts = ["", "0 errors", "an error", "\u{1}~", "A\n"];
            assert_eq!(pattern.match_once(texts), texts.map(|text| pattern.is_match(text)), "{}", pattern.as_str());
        }
    }

    /// What `check` lets through unseen must always compile.
    #[test]
    fn the_largest_patterns_that_are_not_tried_compile() {
        for part in [r"\w", r"\W", r"\pL", r"\PL", r"\b", r"[\w--\d]", "(?i:k)", "ż"] {
            let text = part.repeat(SURE / part.len());
            assert_eq!(check(&text), Ok(()));
            assert!(Regex::new(&format!("(?i){text}")).is_ok(), "{part}");
        }
    }
}
