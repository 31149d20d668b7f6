//! A terminal that only remembers what stands on it.

use std::io;
use std::sync::{Arc, Mutex};

use indicatif::TermLike;

const WIDTH: usize = 60;

#[derive(Clone, Default, Debug)]
pub struct Screen(Arc<Mutex<State>>);

#[derive(Default, Debug)]
struct State {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    calls: usize,
}

impl Screen {
    pub fn text(&self) -> String {
        let state = self.0.lock().expect("a healthy lock");
        let lines: Vec<String> =
            state.lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// How often anything was done to it.
    pub fn calls(&self) -> usize {
        self.0.lock().expect("a healthy lock").calls
    }

    pub fn cursor(&self) -> (usize, usize) {
        let state = self.0.lock().expect("a healthy lock");
        (state.row, state.column)
    }

    fn act(&self, act: impl FnOnce(&mut State)) {
        let mut state = self.0.lock().expect("a healthy lock");
        state.calls += 1;
        act(&mut state);
    }
}

impl State {
    fn put(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' => {
                    self.row += 1;
                    self.column = 0;
                }
                '\r' => self.column = 0,
                c => {
                    if self.column == WIDTH {
                        self.row += 1;
                        self.column = 0;
                    }
                    let column = self.column;
                    let line = self.line();
                    if line.len() <= column {
                        line.resize(column + 1, ' ');
                    }
                    line[column] = c;
                    self.column += 1;
                }
            }
        }
    }

    fn line(&mut self) -> &mut Vec<char> {
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Vec::new());
        }
        &mut self.lines[self.row]
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        u16::try_from(WIDTH).expect("a narrow screen")
    }

    fn height(&self) -> u16 {
        24
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.act(|state| state.row = state.row.saturating_sub(n));
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.act(|state| state.row += n);
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.act(|state| state.column += n);
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.act(|state| state.column = state.column.saturating_sub(n));
        Ok(())
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.act(|state| {
            state.put(s);
            state.put("\n");
        });
        Ok(())
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.act(|state| state.put(s));
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.act(|state| {
            state.line().clear();
            state.column = 0;
        });
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.act(|_| {});
        Ok(())
    }
}
