//! A page that lines are put on: as wide as a terminal, or endless.

use super::line::{Line, Paint, harmless, width, wrap};

/// Right-hand notes do not follow a very wide terminal: the eye would lose the line.
const WIDEST: usize = 100;
/// Narrower terminals get lines that they wrap themselves.
const NARROWEST: usize = 40;

pub(crate) struct Page {
    /// In columns; `None` is endless.
    width: Option<usize>,
    colour: bool,
    text: String,
}

impl Page {
    pub(crate) fn wide(width: usize, colour: bool) -> Self {
        Self { width: Some(width.max(NARROWEST)), colour, text: String::new() }
    }

    /// For pipes and files: nothing is painted, wrapped or cut.
    pub(crate) fn endless() -> Self {
        Self { width: None, colour: false, text: String::new() }
    }

    pub(crate) fn width(&self) -> Option<usize> {
        self.width
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// Cut where it does not fit.
    pub(crate) fn line(&mut self, line: Line) {
        let line = match self.width {
            Some(width) => line.cut(width),
            None => line,
        };
        line.write(self.colour, &mut self.text);
    }

    pub(crate) fn lines(&mut self, lines: impl IntoIterator<Item = Line>) {
        for line in lines {
            self.line(line);
        }
    }

    /// `left`, and `right` at the right-hand edge; false if there was no room for `right`, which is then not printed.
    pub(crate) fn sided(&mut self, left: Line, right: &Line) -> bool {
        let beside = left.width() + 2;
        let edge = match self.width {
            None => beside,
            Some(width) if beside + right.width() > width => {
                self.line(left);
                return right.is_empty();
            }
            Some(width) => beside.max(width.min(WIDEST).saturating_sub(right.width())),
        };
        self.line(if right.is_empty() { left } else { left.to(edge).then(right.clone()) });
        true
    }

    /// How many columns are left for `text` on lines that begin with `indent` columns.
    fn room(&self, indent: usize) -> usize {
        self.width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(1))
    }

    /// `head`, then `texts` one below the other in the column where `head` ends. An endless page has them all on one
    /// line. A head that takes more than half of the width stands alone, and the texts begin below at `fallback`.
    pub(crate) fn hanging(&self, head: Line, texts: &[String], paint: Paint, fallback: usize) -> Vec<Line> {
        let Some(page) = self.width else {
            return vec![head.with(paint, texts.join("; "))];
        };
        let alone = head.width() > page / 2 && !self.fits(&head, texts);
        let column = if alone { fallback } else { head.width() };
        let mut lines = Vec::new();
        let mut next = if alone {
            lines.push(head);
            Line::default().to(column)
        } else {
            head
        };
        for text in texts {
            let text = harmless(text);
            for part in wrap(&text, self.room(column)) {
                lines.push(next.with(paint, part));
                next = Line::default().to(column);
            }
        }
        lines
    }

    fn fits(&self, head: &Line, texts: &[String]) -> bool {
        matches!(texts, [only] if width(&harmless(only)) <= self.room(head.width()))
    }
}
