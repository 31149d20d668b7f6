//! One value of a row, typed for judging and written for people.

use std::fmt::Write as _;

use crate::model::text::{CUT, shortened};
use crate::model::unit::Quantity;
use crate::model::value::Value;

/// Longer texts are cut: a fact is to be judged, not to be stored.
const LONGEST_TEXT: usize = 64 * 1024;
/// Of a binary value, this many bytes are shown: room for every hash.
const MOST_BYTES: usize = 256;

/// NULL is `None`.
pub type Cell = Option<Value>;

/// Exact as text where it exceeds `i64`.
pub fn unsigned(integer: u64) -> Value {
    i64::try_from(integer).map_or_else(|_| Value::Text(integer.to_string()), Value::Integer)
}

/// Infinities and not-a-number are text: no limit holds for them.
pub fn float(number: f64) -> Value {
    if number.is_finite() { Value::Number(Quantity::count(number)) } else { Value::Text(number.to_string()) }
}

pub fn text(text: &str) -> Value {
    let end = (0..=LONGEST_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    Value::Text(if end < text.len() { [&text[..end], CUT].concat() } else { text.to_owned() })
}

/// As `0x0a1b`.
pub fn bytes(bytes: &[u8]) -> Value {
    let mut digits = String::new();
    for byte in bytes.iter().take(MOST_BYTES) {
        write!(digits, "{byte:02x}").ok();
    }
    hexadecimal(&digits, bytes.len())
}

/// `digits` are those of the first bytes at least, `length` counts all bytes.
pub fn hexadecimal(digits: &str, length: usize) -> Value {
    let shown = digits.get(..2 * MOST_BYTES).unwrap_or(digits);
    let more = if length > MOST_BYTES { format!("{CUT} ({length} bytes)") } else { String::new() };
    Value::Text(format!("0x{shown}{more}"))
}

/// Text if it can be, else hexadecimal: servers report some texts (JSON in MariaDB, `*_bin` collations) as binary.
pub fn text_or_bytes(raw: &[u8]) -> Value {
    let printable = |text: &&str| !text.contains(|char: char| char.is_control() && !"\n\r\t".contains(char));
    std::str::from_utf8(raw).ok().filter(printable).map_or_else(|| bytes(raw), text)
}

/// In one line, without control characters, at most `width` characters long.
pub fn shown(cell: &Cell, width: usize) -> String {
    let text = match cell {
        None => return "NULL".to_owned(),
        // The fact's own display rounds.
        Some(Value::Number(quantity)) => quantity.amount().to_string(),
        Some(value) => value.to_string(),
    };
    let mut line = String::new();
    for char in text.chars().take(width + 1) {
        if char.is_control() { line.extend(char.escape_default()) } else { line.push(char) }
    }
    shortened(&line, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let Value::Text(cut) = text(&"ä".repeat(LONGEST_TEXT)) else { panic!("a text") };
        assert_eq!(cut.chars().count(), LONGEST_TEXT / 2 + CUT.len());
        assert!(cut.ends_with("ä..."));
    }

    #[test]
    fn bytes_that_are_no_text_are_hexadecimal() {
        assert_eq!(text_or_bytes(b"{\"a\": 1}"), text("{\"a\": 1}"));
        assert_eq!(text_or_bytes(b"\x00\xff"), text("0x00ff"));
        assert_eq!(text_or_bytes(b"a\x00b"), text("0x610062"));
        assert_eq!(bytes(&[0xab; 300]), text(&format!("0x{}... (300 bytes)", "ab".repeat(256))));
    }

    #[test]
    fn a_cell_is_shown_in_one_short_line() {
        assert_eq!(shown(&Some(text("a\nb\u{1b}[31mc")), 40), "a\\nb\\u{1b}[31mc");
        assert_eq!(shown(&Some(text("abcdef")), 3), "abc...");
        assert_eq!(shown(&None, 3), "NULL");
    }
}
