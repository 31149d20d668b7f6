//! One command of an action, run to its end.

use std::borrow::Cow;
use std::fmt::Write;
use std::process::ExitStatus;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::process::Command;
use tokio::time::{Instant, sleep_until};

use super::ActionError;
use crate::model::action::Plan;
use crate::model::text::one_line;
use crate::model::unit::Quantity;
use crate::probe;
use crate::probe::command::child::{End, Stream, signal_name};
use crate::probe::command::start;

/// How many of the last lines of a failed command its message repeats.
const LAST_LINES: usize = 3;

/// A command that has ended by itself.
pub struct Done {
    pub status: ExitStatus,
    pub took: Duration,
    pub stdout: Stream,
    pub stderr: Stream,
    /// A process that it started still had its output open.
    pub left_open: bool,
}

/// What is run, and how it is called in messages.
pub struct Job<'a> {
    pub command: Command,
    pub program: &'a str,
    pub user: Option<&'a str>,
    pub shown: &'a str,
    /// How much of each output is kept.
    pub output_limit: usize,
}

impl Job<'_> {
    /// Runs it in a process group of its own until `deadline`; what is left of the group at the end is killed.
    ///
    /// # Errors
    /// It could not be started, or it did not end by itself: then it may have changed something.
    pub async fn run(self, deadline: Instant, cx: &probe::Context) -> Result<Done, ActionError> {
        let Self { command, program, user, shown, output_limit } = self;
        let shown = one_line(shown, 80);
        let too_long = |said: &str| {
            let limit = Quantity::duration(cx.limit).rounded();
            ActionError::midway("time_limit", format!("`{shown}` did not end within {limit}; {said}")).help(
                "look at what it has changed, then find out what it waits for, or raise the step's `timeout`; it \
                       was ended with all its children",
            )
        };
        if cx.cancel.is_cancelled() {
            return Err(ActionError::before("cancelled", format!("`{shown}` was not started: the run was ended")));
        }
        let (name, as_user) = (program.to_owned(), user.map(str::to_owned));
        let starting = cx.blocking(move || start::start(command, &name, as_user.as_deref()));
        let running = tokio::select! {
            running = starting => running?,
            () = sleep_until(deadline) => return Err(too_long("it could not even be started")),
        };
        let ended = running.run(deadline, &cx.cancel, output_limit).await;
        match ended.end {
            End::Exited { status, took } => {
                Ok(Done { status, took, stdout: ended.stdout, stderr: ended.stderr, left_open: ended.left_open })
            }
            End::TimeLimit => Err(too_long(&last_words(&[ended.stderr.text(), ended.stdout.text()]))),
            End::Cancelled => Err(ActionError::midway("cancelled", format!("`{shown}` was ended with the run"))
                .help("look at what it has changed; it was ended with all its children")),
            End::Lost(error) => Err(ActionError::midway("io", format!("cannot wait for `{shown}`: {error}"))),
        }
    }
}

impl Done {
    /// The exit status; an error when a signal ended it.
    pub fn exit(&self) -> Result<i32, String> {
        use std::os::unix::process::ExitStatusExt;
        self.status.code().ok_or_else(|| format!("was ended by {}", signal_name(self.status.signal().unwrap_or(0))))
    }

    /// What it printed last, for a message.
    pub fn last_words(&self) -> String {
        last_words(&[self.stderr.text(), self.stdout.text()])
    }
}

/// The last lines of the first of `outputs` that has any.
pub fn last_words(outputs: &[Cow<'_, str>]) -> String {
    let words = outputs.iter().find_map(|text| {
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        let last: Vec<String> = last.iter().map(|line| one_line(line, 160)).collect();
        (!last.is_empty()).then(|| last.join(" / "))
    });
    words.map_or_else(|| "it printed nothing".to_owned(), |words| format!("it printed last: {words}"))
}

/// The time until which an action that begins now may work.
pub fn deadline(cx: &probe::Context) -> Instant {
    Instant::now() + cx.limit
}

/// What an action that is planned in these words is known by; words with secrets in them differ by what is masked.
pub fn fingerprint(lines: &[String]) -> String {
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    hex(&hash.finalize())
}

/// In lower case, as `sha256sum` prints it.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The plan must be of what these inputs ask for: `lines` are what it was made from.
pub fn refuse_other_plan(plan: &Plan, lines: &[String]) -> Result<(), ActionError> {
    if plan.data["fingerprint"] == fingerprint(lines) {
        return Ok(());
    }
    Err(ActionError::before("changed", "the step has changed since it was planned, so nothing was done")
        .help("plan it again, and have the new plan agreed to"))
}
