//! What the program itself has to say: to standard output what was asked for, to standard error what is wrong.

use std::io::Write;

use crate::procedure::diagnostic::{Diagnostics, Severity};
use crate::report::line::cut_middle;

/// Letters of a line of a message: what somebody wrote by mistake is not repeated in full, however long it is.
const LONGEST_LINE: usize = 2000;

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// What happened, where, and what to do next.
    Plain { message: String, help: Option<String> },
    /// Mistakes in files.
    Files(Diagnostics),
}

impl Failure {
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Plain { message: message.into(), help: Some(help.into()).filter(|help| !help.is_empty()) }
    }

    /// Prints it to standard error.
    pub fn print(&self, colour: bool) {
        let text = match self {
            Self::Plain { message, help } => {
                let help = help.as_ref().map_or_else(String::new, |help| format!("  help: {help}\n"));
                let (on, off) = if colour { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
                format!("{on}error{off}: {}{help}", brief(message))
            }
            Self::Files(problems) => {
                let count = problems.count(Severity::Error);
                let sum = if count == 1 { "1 error".to_owned() } else { format!("{count} errors") };
                format!("{}{sum}; nothing was run\n", problems.render(colour))
            }
        };
        warn(&text);
    }
}

impl From<Diagnostics> for Failure {
    fn from(problems: Diagnostics) -> Self {
        Self::Files(problems)
    }
}

impl From<crate::journal::JournalError> for Failure {
    fn from(error: crate::journal::JournalError) -> Self {
        let help = error.help().unwrap_or_default();
        Self::new(error.to_string(), help)
    }
}

/// To standard output. A reader that went away is not an error.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}

/// The lines of `text`, each cut in the middle where it is very long.
#[must_use]
pub fn brief(text: &str) -> String {
    text.lines().map(|line| cut_middle(line, LONGEST_LINE) + "\n").collect()
}

/// To standard error.
pub fn warn(text: &str) {
    std::io::stderr().lock().write_all(text.as_bytes()).ok();
}
