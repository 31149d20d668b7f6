//! How one text stands in another one: percent-encoded in URLs and forms, escaped in JSON, as entities in XML and HTML.

use std::mem;

/// What begins a spelling.
const SIGNS: [char; 4] = ['%', '\\', '&', '+'];

/// How much of a text was found.
#[derive(PartialEq, Eq, Debug)]
pub enum Spelled {
    /// All of it, in so many bytes.
    Whole(usize),
    /// So many bytes of it; then the text ends in which it was looked for.
    Beginning(usize),
}

/// Whether anything in `text` may stand for something else.
pub fn may_be_in(text: &str) -> bool {
    text.contains(SIGNS)
}

/// Whether `text` begins with `wanted`, each character of it as it is or spelled.
pub fn find(text: &str, wanted: &str) -> Option<Spelled> {
    if !text.starts_with(SIGNS) && !text.starts_with(wanted.chars().next()?) {
        return None;
    }
    // A backslash may be one, or spell what follows: all ways are gone at once.
    let (mut ends, mut beginning) = (vec![0], None);
    for (at, c) in wanted.char_indices() {
        for end in mem::take(&mut ends) {
            let rest = &text[end..];
            if is_cut(rest) {
                beginning = Some(Spelled::Beginning(at));
            }
            let as_it_is = rest.starts_with(c).then(|| c.len_utf8());
            for length in [as_it_is, spelled(rest, c)].into_iter().flatten() {
                if !ends.contains(&(end + length)) {
                    ends.push(end + length);
                }
            }
        }
        if ends.is_empty() {
            return beginning;
        }
    }
    ends.into_iter().max().map(Spelled::Whole)
}

/// The length of what stands for `wanted` at the beginning of `text`.
fn spelled(text: &str, wanted: char) -> Option<usize> {
    match text.as_bytes().first()? {
        b'+' => (wanted == ' ').then_some(1),
        b'%' => percent_encoded(text, wanted),
        b'\\' => escaped(text, wanted),
        b'&' => entity(text, wanted),
        _ => None,
    }
}

/// Whether nothing is left of `text`, or what is left may have been a spelling before it was cut.
fn is_cut(text: &str) -> bool {
    text.is_empty() || text.starts_with(SIGNS) && text.len() < "\\ud83d\\ude00".len()
}

/// Each byte as `%` and two digits.
fn percent_encoded(text: &str, wanted: char) -> Option<usize> {
    let (mut bytes, mut length) = ([0; 4], 0);
    for byte in wanted.encode_utf8(&mut bytes).bytes() {
        let digits = text.get(length..)?.strip_prefix('%')?.get(..2)?;
        (u8::from_str_radix(digits, 16) == Ok(byte)).then_some(())?;
        length += 3;
    }
    Some(length)
}

/// As in JSON; a backslash in front of any other character stands for that one.
fn escaped(text: &str, wanted: char) -> Option<usize> {
    let next = text[1..].chars().next()?;
    if next == 'u' {
        let (mut units, mut length) = ([0; 2], 0);
        for unit in wanted.encode_utf16(&mut units) {
            let digits = text.get(length..)?.strip_prefix("\\u")?.get(..4)?;
            (u16::from_str_radix(digits, 16) == Ok(*unit)).then_some(())?;
            length += 6;
        }
        return Some(length);
    }
    let meant = match next {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        other => other,
    };
    (meant == wanted).then(|| 1 + next.len_utf8())
}

/// `&amp;`, `&#38;` or `&#x26;`.
fn entity(text: &str, wanted: char) -> Option<usize> {
    let end = text.bytes().take("&#1114111;".len()).position(|byte| byte == b';')?;
    let name = &text[1..end];
    let meant = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    (meant == wanted).then(|| name.len() + 2)
}
