//! An operator who answers each question whenever it comes, in whatever order.

use std::io::{Read as _, Write as _};
use std::process::{Output, Stdio};
use std::sync::LazyLock;

use regex::Regex;

use super::case::{Case, Ran, Watch};

/// The end of a question: the words before the cursor.
static PROMPT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(now|note, file, stop|skip / roll back / stop|it had been done / no|leave|who says so[^>]*|words)> ")
        .expect("a pattern")
});

impl Case {
    /// At a terminal, with more in the environment: types what `answer` says to each question. It gets the text that came
    /// since the last answer, up to the cursor.
    pub fn answer(&self, line: &str, env: &[(&str, &str)], answer: impl Fn(&str) -> String) -> Ran {
        let mut script = self.on_a_terminal(line);
        script.envs(env.iter().copied()).env("NO_COLOR", "1");
        let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script is there");
        let (mut keyboard, mut screen) = (script.stdin.take().expect("a pipe"), script.stdout.take().expect("a pipe"));
        let watch = Watch::over(&script);
        let (mut written, mut piece, mut seen) = (Vec::new(), [0; 4096], 0);
        while let Ok(length @ 1..) = screen.read(&mut piece) {
            written.extend_from_slice(&piece[..length]);
            let text = String::from_utf8_lossy(&written[seen..]).into_owned();
            let Some(prompt) = PROMPT.find(&text) else { continue };
            // Nobody reads any more when the program was killed.
            keyboard.write_all(format!("{}\r", answer(&text[..prompt.end()])).as_bytes()).ok();
            seen += prompt.end();
        }
        watch.ends();
        let status = script.wait().expect("script ends");
        Ran::of(Output { status, stdout: written, stderr: Vec::new() }, &self.path(""))
    }
}
