//! What containers print. The engine sends both streams in frames, or what a terminal would show as it is.

use super::engine::{Engine, Trouble};
use crate::model::text::shortened;

/// Bytes of a line that are looked at.
const LINE: usize = 64 * 1024;

/// Characters of a line that are kept for people.
const KEPT: usize = 400;

/// Takes lines out of what comes in pieces.
pub struct Lines {
    form: Form,
    /// Of standard output, or of the terminal, and of errors.
    begun: [Vec<u8>; 2],
}

enum Form {
    Plain,
    /// A frame's header has 8 bytes: which stream, and the length that follows.
    Header(Vec<u8>),
    Body {
        stream: usize,
        left: usize,
    },
}

impl Lines {
    pub fn new(terminal: bool) -> Self {
        Self { form: if terminal { Form::Plain } else { Form::Header(Vec::new()) }, begun: [Vec::new(), Vec::new()] }
    }

    pub fn feed(&mut self, mut piece: &[u8], each: &mut impl FnMut(&[u8])) {
        while !piece.is_empty() {
            match &mut self.form {
                Form::Plain => {
                    lines(&mut self.begun[0], piece, each);
                    return;
                }
                Form::Header(head) => {
                    let (taken, rest) = piece.split_at(piece.len().min(8 - head.len()));
                    head.extend_from_slice(taken);
                    piece = rest;
                    if let &[which, x, y, z, a, b, c, d] = &head[..] {
                        if which > 2 || [x, y, z] != [0; 3] {
                            // No frame: an engine that sends the text as it is.
                            let text = std::mem::take(head);
                            self.form = Form::Plain;
                            lines(&mut self.begun[0], &text, each);
                            continue;
                        }
                        let left = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                        self.form = Form::Body { stream: usize::from(which == 2), left };
                    }
                }
                Form::Body { stream, left } => {
                    let (taken, rest) = piece.split_at(piece.len().min(*left));
                    lines(&mut self.begun[*stream], taken, each);
                    *left -= taken.len();
                    piece = rest;
                    if *left == 0 {
                        self.form = Form::Header(Vec::new());
                    }
                }
            }
        }
    }

    /// Lines without a newline at the end are lines as well.
    pub fn end(mut self, each: &mut impl FnMut(&[u8])) {
        if let Form::Header(head) = &self.form {
            self.begun[0].extend_from_slice(head);
        }
        for line in self.begun.iter().filter(|line| !line.is_empty()) {
            each(line);
        }
    }
}

/// Adds `piece` to the line that has begun, and hands over every line that ends in it.
fn lines(begun: &mut Vec<u8>, piece: &[u8], each: &mut impl FnMut(&[u8])) {
    for part in piece.split_inclusive(|byte| *byte == b'\n') {
        let text = part.strip_suffix(b"\n");
        let (ends, text) = (text.is_some(), text.unwrap_or(part));
        begun.extend_from_slice(&text[..text.len().min(LINE - begun.len())]);
        if ends {
            each(begun);
            begun.clear();
        }
    }
}

/// A line for people: no control characters, and not too long.
pub fn readable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let clean = |c: char| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    shortened(&text.trim_end().chars().map(clean).collect::<String>(), KEPT)
}

/// The last `most` lines that a container printed. The error is the engine's refusal.
pub async fn last_lines(engine: &Engine<'_>, id: &str, terminal: bool, most: usize) -> Result<Vec<String>, String> {
    let mut kept = Vec::new();
    let path = format!("/containers/{id}/logs?stdout=true&stderr=true&tail={most}");
    read(engine, &path, terminal, |line| {
        let line = readable(line);
        if !line.is_empty() && kept.len() < most {
            kept.push(line);
        }
    })
    .await
    .map_err(|trouble| super::ProbeError::from(trouble).message)??;
    Ok(kept)
}

/// Hands over every line of the log at `path`. What the engine refuses to give comes back as its own words.
pub async fn read(
    engine: &Engine<'_>,
    path: &str,
    terminal: bool,
    mut each: impl FnMut(&[u8]),
) -> Result<Result<(), String>, Trouble> {
    let mut lines = Lines::new(terminal);
    let done = engine.stream(path, |piece| lines.feed(piece, &mut each)).await?;
    lines.end(&mut each);
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(terminal: bool, pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut all) = (Lines::new(terminal), Vec::new());
        let mut each = |line: &[u8]| all.push(String::from_utf8_lossy(line).into_owned());
        for piece in pieces {
            lines.feed(piece, &mut each);
        }
        lines.end(&mut each);
        all
    }

    fn frame(stream: u8, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).expect("a short text").to_be_bytes();
        [&[stream, 0, 0, 0], &length[..], text.as_bytes()].concat()
    }

    #[test]
    fn lines_of_both_streams_are_put_together_wherever_the_pieces_end() {
        let whole = [frame(1, "one\ntw"), frame(2, "err"), frame(1, "o\n"), frame(2, "or\nlast")].concat();
        let expected = ["one", "two", "error", "last"];
        assert_eq!(seen(false, &[&whole]), expected);
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(seen(false, &bytes), expected);
    }

    #[test]
    fn a_terminal_is_read_as_it_is() {
        assert_eq!(seen(true, &[b"on", b"e\r\ntwo"]), ["one\r", "two"]);
        assert_eq!(seen(false, &[b"no frames at all\n"]), ["no frames at all"], "though frames were announced");
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = vec![b'x'; LINE * 2];
        assert_eq!(seen(true, &[&long, &long, b"\nnext\n"]).iter().map(String::len).collect::<Vec<_>>(), [LINE, 4]);
    }

    #[test]
    fn control_characters_do_not_reach_the_reader() {
        assert_eq!(readable(b"\x1b[31mred\r\n"), "\u{fffd}[31mred");
    }
}
