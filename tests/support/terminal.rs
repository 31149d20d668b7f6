//! A terminal of 80 columns, as far as progress and reports use one.

use regex::Regex;

const WIDTH: usize = 80;

/// What stands on it in the end, however it came there.
pub fn as_seen(written: &str) -> String {
    let mut screen = Screen::default();
    let pieces = Regex::new("\x1b\\[([0-9;]*)([A-Za-z])|[^\x1b]").expect("a pattern");
    for piece in pieces.captures_iter(written) {
        match piece.get(2) {
            Some(verb) => screen.obey(verb.as_str(), piece[1].parse().unwrap_or(1)),
            None => piece[0].chars().for_each(|c| screen.put(c)),
        }
    }
    let lines: Vec<String> = screen.lines.iter().map(|line| line.iter().collect::<String>()).collect();
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

#[derive(Default)]
struct Screen {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Screen {
    fn line(&mut self) -> &mut Vec<char> {
        let rows = self.lines.len().max(self.row + 1);
        self.lines.resize(rows, Vec::new());
        &mut self.lines[self.row]
    }

    fn obey(&mut self, verb: &str, number: usize) {
        match verb {
            "A" => self.row = self.row.saturating_sub(number),
            "B" => self.row += number,
            "K" => self.line().clear(),
            "m" => {}
            other => panic!("the terminal of the tests does not know ESC[{number}{other}"),
        }
    }

    fn put(&mut self, c: char) {
        match c {
            '\r' => self.column = 0,
            '\n' => self.row += 1,
            c => {
                if self.column == WIDTH {
                    (self.row, self.column) = (self.row + 1, 0);
                }
                let column = self.column;
                let line = self.line();
                line.resize(line.len().max(column + 1), ' ');
                line[column] = c;
                self.column += 1;
            }
        }
    }
}
