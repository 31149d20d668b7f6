//! One line of text for a terminal: painted, of known width, and harmless whatever was in it.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar;

use crate::model::outcome::Outcome;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Paint {
    Plain,
    Bold,
    Dim,
    Good,
    Caution,
    Bad,
    Unknown,
}

impl Paint {
    pub(crate) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Passed => Self::Good,
            Outcome::Waived | Outcome::Skipped | Outcome::Pending => Self::Dim,
            Outcome::Warned => Self::Caution,
            Outcome::Errored => Self::Unknown,
            Outcome::Failed => Self::Bad,
        }
    }

    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Bold => Style::new().bold(),
            Self::Dim => Style::new().dimmed(),
            Self::Good => colour(AnsiColor::Green),
            Self::Caution => colour(AnsiColor::Yellow),
            Self::Bad => colour(AnsiColor::Red).bold(),
            Self::Unknown => colour(AnsiColor::Magenta).bold(),
        }
    }
}

/// Every text that goes in is made harmless on the way.
#[derive(Clone, Default, Debug)]
pub(crate) struct Line {
    spans: Vec<(Paint, String)>,
}

impl Line {
    pub(crate) fn with(mut self, paint: Paint, text: impl AsRef<str>) -> Self {
        let text = harmless(text.as_ref());
        if !text.is_empty() {
            self.spans.push((paint, text));
        }
        self
    }

    /// Spaces up to `column`; none if the line is that long already.
    pub(crate) fn to(self, column: usize) -> Self {
        let gap = column.saturating_sub(self.width());
        self.with(Paint::Plain, " ".repeat(gap))
    }

    pub(crate) fn then(mut self, other: Self) -> Self {
        self.spans.extend(other.spans);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub(crate) fn width(&self) -> usize {
        self.spans.iter().map(|(_, text)| width(text)).sum()
    }

    pub(crate) fn cut(self, limit: usize) -> Self {
        if self.width() <= limit {
            return self;
        }
        let mut left = limit;
        let mut spans = Vec::new();
        for (paint, text) in self.spans {
            let cut = if width(&text) < left { text } else { cut(&text, left) };
            left -= width(&cut);
            spans.push((paint, cut));
            if left == 0 {
                break;
            }
        }
        Self { spans }
    }

    pub(crate) fn write(&self, colour: bool, out: &mut String) {
        let start = out.len();
        for (paint, text) in &self.spans {
            if colour && *paint != Paint::Plain {
                let style = paint.style();
                out.extend([format!("{style}"), text.clone(), format!("{style:#}")]);
            } else {
                out.push_str(text);
            }
        }
        out.truncate(start + out[start..].trim_end_matches(' ').len());
        out.push('\n');
    }
}

/// In columns of a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn columns(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// The longest start of `text` that fits `limit` columns, with `…` in place of the rest.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let mut kept = head(text, limit.saturating_sub(1)).to_owned();
    if limit > 0 {
        kept.push('…');
    }
    kept
}

/// Cut in its middle: of a long path both the root and the name stay.
pub(crate) fn cut_middle(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let room = limit.saturating_sub(1);
    let (mut used, mut from) = (0, text.len());
    for (at, c) in text.char_indices().rev() {
        used += columns(c);
        if used > room - room / 2 {
            break;
        }
        from = at;
    }
    format!("{}…{}", head(text, room / 2), &text[from..])
}

fn head(text: &str, limit: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += columns(c);
        if used > limit {
            return &text[..at];
        }
    }
    text
}

/// The words of `text` on lines of at most `limit` columns. A longer word is broken.
pub(crate) fn wrap(text: &str, limit: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        let mut word = word;
        let gap = usize::from(!line.is_empty());
        if width(&line) + gap + width(word) <= limit {
            line.push_str(&" ".repeat(gap));
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        while width(word) > limit {
            let part = match head(word, limit) {
                "" => &word[..word.chars().next().map_or(0, char::len_utf8)],
                part => part,
            };
            lines.push(part.to_owned());
            word = &word[part.len()..];
        }
        word.clone_into(&mut line);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// One line that can neither move the cursor nor change colours, titles or the direction of writing.
///
/// Log lines are written by strangers: an escape sequence could hide a failure or print a false verdict.
pub(crate) fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.trim_end_matches(['\n', '\r']).chars() {
        match c {
            '\t' => clean.push_str("  "),
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => clean.push(' '),
            c if c.is_control() => clean.extend(format!("\\x{:02x}", u32::from(c)).chars()),
            c if deceives(c) => clean.extend(c.escape_unicode()),
            c => clean.push(c),
        }
    }
    clean
}

/// Invisible characters that turn the direction of writing, or that hide.
pub(crate) fn deceives(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_at_its_width_in_columns() {
        assert_eq!(cut("/var/log", 8), "/var/log");
        assert_eq!(cut("/var/log/x", 8), "/var/lo…");
        assert_eq!(cut("日本語日本語", 6), "日本…", "a wide character counts twice");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn a_long_path_keeps_both_ends() {
        assert_eq!(cut_middle("/srv/backup/2025/10/helpdesk.sql.gz", 20), "/srv/back…esk.sql.gz");
    }

    #[test]
    fn words_wrap_and_a_longer_word_is_broken() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a abcdefgh", 4), ["a", "abcd", "efgh"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("日本", 1), ["日", "本"], "a character wider than the line still gets out");
    }

    #[test]
    fn escape_sequences_come_out_as_text() {
        assert_eq!(harmless("\x1b[2J\x07\u{9b}31m\tok\r\n"), "\\x1b[2J\\x07\\x9b31m  ok");
        assert_eq!(harmless("a\nPASS\u{202e}x"), "a PASS\\u{202e}x");
    }
}
