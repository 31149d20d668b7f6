//! Regular expressions: checked when they are read, compiled when they are first needed.

use std::sync::{Arc, OnceLock};

use regex::Regex;

/// Longer patterns might be too large to compile even without a repetition by numbers.
const SURE: usize = 200;

/// Whether a text is a regular expression; the message names the reason in one line.
///
/// Compiling takes a hundred times as long, and most patterns of a library are only vetted. So a pattern is compiled
/// here only when that could still fail: when it repeats something by numbers or is very long. What has a right form
/// has a meaning, too, unless it names classes of characters or sets unusual flags.
///
/// # Errors
/// It is none, or it would be too large.
pub fn check(text: &str) -> Result<(), String> {
    let checked = if text.contains('{') || text.len() > SURE {
        Regex::new(text).map(drop).map_err(|error| error.to_string())
    } else if has_usual_groups(text) && !text.contains(r"\p") && !text.contains(r"\P") && has_form(text) {
        Ok(())
    } else {
        regex_syntax::parse(text).map(drop).map_err(|error| error.to_string())
    };
    checked.map_err(|reason| reason.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned())
}

/// No groups with names, no comments, no flags but the usual one.
fn has_usual_groups(text: &str) -> bool {
    text.split("(?").skip(1).all(|group| [":", "i)", "i:"].iter().any(|usual| group.starts_with(usual)))
}

fn has_form(text: &str) -> bool {
    regex_syntax::ast::parse::Parser::new().parse(text).is_ok()
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
        self.compiled.get_or_init(|| Regex::new(&self.text).expect("a checked pattern")).is_match(text)
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

    /// The short ways of checking must let nothing through that the long ones refuse.
    #[test]
    fn what_is_let_through_is_right_and_the_rest_is_not() {
        let parts: Vec<&str> = concat!(
            r"a b| ( ) (?: (?i) (?x) (?-u) (?P<n> (?<n> [ ] [^ a- z-a \ \p \pL \PX \w \b \x \xff * + ? . ^ $ # ",
            "&& [[:alpha:]] [[: ż \0",
        )
        .split(' ')
        .collect();
        for &one in &parts {
            for &two in &parts {
                for three in ["", ")", "]", "*", "a"] {
                    let text = [one, two, three].concat();
                    assert_eq!(check(&text).is_ok(), regex_syntax::parse(&text).is_ok(), "{text}");
                }
            }
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
