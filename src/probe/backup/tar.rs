//! Walking the headers of a tar archive to the mark of its end.

const BLOCK: usize = 512;
/// More of a header in the pax format is not kept.
const MOST_EXTENSION: usize = 64 << 10;

/// Whether the first block of a file is that of a tar archive (`ustar` of POSIX, pax and GNU).
pub fn is_tar(head: &[u8]) -> bool {
    head.len() >= BLOCK && &head[257..262] == b"ustar"
}

/// Fed with the whole archive piece by piece.
#[derive(Default)]
pub struct Walk {
    block: Vec<u8>,
    offset: u64,
    /// Bytes of the present entry that are still to come, padding included.
    skip: u64,
    /// The text of a pax header that precedes the next entry.
    extension: Option<Vec<u8>>,
    state: State,
}

#[derive(Default, PartialEq)]
enum State {
    #[default]
    Walking,
    Ended,
    Broken(u64),
    /// An entry whose length this walk does not understand.
    Unknown,
}

impl Walk {
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.state == State::Walking {
            let wanted = if self.skip > 0 { self.skip } else { (BLOCK - self.block.len()) as u64 };
            let taken = usize::try_from(wanted).unwrap_or(usize::MAX).min(bytes.len());
            let (piece, rest) = bytes.split_at(taken);
            bytes = rest;
            self.offset += taken as u64;
            if self.skip > 0 {
                self.skip -= taken as u64;
                if let Some(text) = &mut self.extension {
                    text.extend_from_slice(&piece[..piece.len().min(MOST_EXTENSION - text.len())]);
                }
            } else {
                self.block.extend_from_slice(piece);
                if self.block.len() == BLOCK {
                    self.header();
                    self.block.clear();
                }
            }
        }
    }

    fn header(&mut self) {
        let header = &self.block;
        if header.iter().all(|byte| *byte == 0) {
            self.state = State::Ended;
            return;
        }
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        // The field of the sum itself counts as eight spaces.
        let expected = sum(header) - sum(&header[148..156]) + 8 * u64::from(b' ');
        let right = number(&header[148..156]) == Some(expected);
        let size = self.extension.take().and_then(|text| size_in(&text)).or_else(|| number(&header[124..136]));
        let Some(padded) = size.filter(|_| right).and_then(|size| size.checked_next_multiple_of(BLOCK as u64)) else {
            self.state = State::Broken(self.offset - BLOCK as u64);
            return;
        };
        match header[156] {
            b'1'..=b'6' => {}
            b'S' if header[482] != 0 => self.state = State::Unknown,
            kind => {
                self.extension = (kind == b'x').then(Vec::new);
                self.skip = padded;
            }
        }
    }

    /// What is wrong with the archive, if anything is.
    pub fn trouble(&self) -> Option<String> {
        match self.state {
            State::Ended | State::Unknown => None,
            State::Broken(offset) => Some(format!("is damaged: no tar header at byte {offset} of the archive")),
            State::Walking => {
                Some(format!("is cut off: the archive stops at byte {} without the mark of its end", self.offset))
            }
        }
    }
}

/// Octal text, or binary when the highest bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        return Some(field[1..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// The size in a pax header, where it is too large for the entry's own field.
fn size_in(text: &[u8]) -> Option<u64> {
    let start = memchr::memmem::find(text, b" size=")? + b" size=".len();
    let digits: Vec<u8> = text[start..].iter().copied().take_while(u8::is_ascii_digit).collect();
    String::from_utf8(digits).ok()?.parse().ok()
}
