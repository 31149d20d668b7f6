//! Programs that a look asks, run to their end.

use std::path::Path;
use std::process::ExitStatus;

use tokio::process::Command;
use tokio::time::{Instant, timeout_at};

use super::command::child::{End, Stream, signal_name};
use super::command::start;
use super::{Context, ProbeError};
use crate::model::text::one_line;
use crate::model::unit::Quantity;

/// How many of the last lines of a program its message repeats.
const LAST_LINES: usize = 3;

/// A program with its arguments, and how much of its output is kept.
pub struct Tool<'t> {
    pub run: &'t [&'t str],
    pub environment: &'t [(&'t str, &'t str)],
    pub folder: &'t Path,
    pub most_output: usize,
}

/// What came of it.
pub struct Done {
    pub status: ExitStatus,
    pub stdout: Stream,
    pub stderr: Stream,
}

impl Tool<'_> {
    /// Runs it until `deadline`, whatever its exit status.
    ///
    /// # Errors
    /// It could not be started, did not end by itself, or printed more than is kept.
    pub async fn ask(&self, deadline: Instant, cx: &Context) -> Result<Done, ProbeError> {
        let mut command = Command::new(self.run[0]);
        command.args(&self.run[1..]).env("LC_ALL", "C.UTF-8").envs(self.environment.iter().copied());
        command.current_dir(self.folder);
        let (program, shown) = (self.run[0].to_owned(), one_line(&self.run.join(" "), 80));
        let too_long = || {
            let limit = Quantity::duration(cx.limit).rounded();
            ProbeError::new("time_limit", format!("`{shown}` did not end within {limit}"))
                .help("find out what it waits for, or raise the step's `timeout`; it was ended with all its children")
        };
        let start = cx.blocking(move || start::start(command, &program, None));
        let running = timeout_at(deadline, start).await.map_err(|_| too_long())??;
        let ended = running.run(deadline, &cx.cancel, self.most_output).await;
        let status = match ended.end {
            End::Exited { status, .. } => status,
            End::TimeLimit => return Err(too_long()),
            End::Cancelled => return Err(ProbeError::new("cancelled", format!("`{shown}` was ended with the run"))),
            End::Lost(error) => return Err(ProbeError::new("io", format!("cannot wait for `{shown}`: {error}"))),
        };
        if ended.stdout.left_out > 0 {
            let most = Quantity::bytes(self.most_output as u64).rounded();
            return Err(ProbeError::new("bad_answer", format!("`{shown}` printed more than {most}")));
        }
        Ok(Done { status, stdout: ended.stdout, stderr: ended.stderr })
    }
}

impl Done {
    /// How it ended and what it printed last, for a message.
    pub fn last_words(&self) -> String {
        use std::os::unix::process::ExitStatusExt;
        let end = match self.status.code() {
            Some(code) => format!("exit status {code}"),
            None => format!("ended by {}", signal_name(self.status.signal().unwrap_or(0))),
        };
        let words = [&self.stderr, &self.stdout].into_iter().find_map(|stream| {
            let text = stream.text();
            let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            let last = lines[lines.len().saturating_sub(LAST_LINES)..].iter();
            let last: Vec<String> = last.map(|line| one_line(line, 160)).collect();
            (!last.is_empty()).then(|| last.join(" / "))
        });
        words.map_or_else(|| format!("{end}, and it printed nothing"), |words| format!("{end}: {words}"))
    }
}
