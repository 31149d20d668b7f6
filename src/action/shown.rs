//! Commands and names as a plan shows them: exact, and on one line whatever is in them.

use std::borrow::Cow;
use std::fmt::Write;

/// A command as a person could paste it into a shell.
pub fn command(run: &[String]) -> String {
    run.iter().map(|argument| quoted(argument)).collect::<Vec<_>>().join(" ")
}

/// An argument as it is where a shell would leave it alone, else in quotes: `$'...'` where it holds control characters,
/// which would make one line look like two, or hide what stands there.
pub fn quoted(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    if !text.chars().any(is_invisible) {
        return Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")));
    }
    Cow::Owned(format!("$'{}'", escaped(&text.replace('\\', r"\\").replace('\'', r"\'"))))
}

/// Text of others on one line: control characters and what turns the direction of writing are spelled out.
pub fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            '\r' => line.push_str("\\r"),
            c if is_invisible(c) => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line
}

fn is_invisible(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_a_shell_would_take_it() {
        let run = ["psql", "-c", "SELECT 'a b'", "", "*", "two\nlines", "\u{202e}gpj.exe"].map(str::to_owned);
        assert_eq!(command(&run), r"psql -c 'SELECT '\''a b'\''' '' '*' $'two\nlines' $'\u202egpj.exe'");
    }
}
