//! What a dump may set: in MySQL and MariaDB, settings of its own session, written out, that leave quotes as they are.

use super::Piece;

/// More than the session, or another statement.
const WIDE: &[&str] = &["GLOBAL", "PERSIST", "PERSIST_ONLY", "PASSWORD", "STATEMENT", "ROLE", "RESOURCE"];
/// Modes in which quotes or backslashes mean something else.
const MODES: &[&str] = &["NO_BACKSLASH_ESCAPES", "ANSI", "DB2", "ORACLE", "MSSQL"];
/// Character sets in which a byte of a character may look like a quote or a backslash.
pub const CHARACTER_SETS: &[&str] = &[
    "GBK",
    "BIG5",
    "SJIS",
    "SHIFT_JIS",
    "CP932",
    "GB18030",
    "GB2312",
    "UJIS",
    "EUCKR",
    "EUCJPMS",
    "UTF16",
    "UTF32",
    "UCS2",
    "JOHAB",
    "UHC",
];

const COMPUTED: &str = "computes a setting, so that it cannot be told what it means";

/// Why the SET statement must not be run. `head` is all of it.
pub fn trouble(head: &[Piece]) -> Option<&'static str> {
    if head.iter().any(|piece| WIDE.contains(&piece.word())) {
        return Some("changes the whole server or another statement");
    }
    if head.iter().any(reads_otherwise) {
        return Some("changes how quotes are read");
    }
    let mut parts = head.get(1..)?.split(|piece| *piece == Piece::Mark(b','));
    parts.any(|part| !is_plain(part)).then_some(COMPUTED)
}

fn reads_otherwise(piece: &Piece) -> bool {
    let text = match piece {
        Piece::Text(text) | Piece::Name(text) | Piece::Word(text, _) => text.to_ascii_uppercase(),
        Piece::Number | Piece::Mark(_) => return false,
    };
    MODES.iter().chain(CHARACTER_SETS).any(|word| text.contains(word))
}

/// `name = value` with one literal or one variable, or words alone: `NAMES utf8mb4`.
fn is_plain(part: &[Piece]) -> bool {
    use Piece::{Mark, Name, Number, Text, Word};
    const AT: Piece = Mark(b'@');
    let Some(equals) = part.iter().position(|piece| *piece == Mark(b'=')) else {
        return part.iter().all(|piece| matches!(piece, Word(..) | Text(_)));
    };
    let (name, value) = (&part[..equals], &part[equals + 1..]);
    let is_system = matches!(value, [one, two, Word(..), ..] if *one == AT && *two == AT);
    let about_reading = name
        .iter()
        .any(|piece| ["SQL_MODE", "CHARACTER_SET", "COLLATION"].iter().any(|word| piece.word().contains(word)));
    match (name, value) {
        // A variable of the session's own keeps a setting, and nothing that was put together.
        ([one, Word(..) | Name(_), ..], value) if *one == AT => is_system && value.len() <= 5,
        (_, [Text(_) | Word(..)]) => true,
        (_, [Number] | [Mark(b'-'), Number]) => !about_reading,
        (_, [one, Word(..) | Name(_)]) => *one == AT,
        (_, value) => is_system && value.len() <= 5,
    }
}
