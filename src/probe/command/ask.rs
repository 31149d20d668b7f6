//! Asking a program of the system: in plain English, without a shell, bounded.

use std::process::ExitStatus;

use tokio::process::Command;
use tokio::time::Instant;

use super::child::{End, Stream};
use super::start;
use crate::probe::{Context, ProbeError};

/// Much more than any of the programs prints that are asked so.
const MOST_OUTPUT: usize = 4 * 1024 * 1024;

pub struct Said {
    pub status: ExitStatus,
    pub stdout: Stream,
    pub stderr: Stream,
}

impl Said {
    /// The last line, wherever it was printed: what most programs end with when they cannot go on.
    pub fn reason(&self) -> String {
        let last = self.stderr.last_line().or_else(|| self.stdout.last_line());
        last.map_or_else(|| "it did not say why".to_owned(), |line| line.trim().to_owned())
    }
}

/// Runs `program` to its end, whatever its exit status.
pub async fn ask(program: &str, args: &[&str], deadline: Instant, cx: &Context) -> Result<Said, ProbeError> {
    let mut command = Command::new(program);
    command.args(args).env("LC_ALL", "C.UTF-8").env("TZ", "UTC").current_dir("/");
    let shown = [&[program], args].concat().join(" ");
    let too_long = || {
        let message = format!("`{shown}` did not end in time");
        ProbeError::new("time_limit", message)
            .help(format!("see by hand whether `{shown}` ends, or give the step a longer `timeout`"))
    };
    let name = program.to_owned();
    let start = cx.blocking(move || start::start(command, &name, None));
    let running = tokio::time::timeout_at(deadline, start).await.map_err(|_| too_long())??;
    let ended = running.run(deadline, &cx.cancel, MOST_OUTPUT).await;
    match ended.end {
        End::Exited { status, .. } => Ok(Said { status, stdout: ended.stdout, stderr: ended.stderr }),
        End::TimeLimit => Err(too_long()),
        End::Cancelled => Err(ProbeError::new("cancelled", format!("`{shown}` was ended with the run"))),
        End::Lost(error) => Err(ProbeError::new("io", format!("cannot wait for `{shown}`: {error}"))),
    }
}
