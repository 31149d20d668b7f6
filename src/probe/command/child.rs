//! A running process group: waits for its end, reads what it prints, and ends it when nobody waits any more.

use std::borrow::Cow;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdout};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::model::text::CUT;

/// How long a group that was asked to end may tidy up before it is killed.
const TIDYING: Duration = Duration::from_secs(1);

/// How long the output of a process that has ended may stay open in others' hands.
const LINGERING: Duration = Duration::from_millis(200);

pub struct Running {
    child: Child,
    group: Group,
    begun: Instant,
    leaves: bool,
}

pub struct Ended {
    pub end: End,
    pub stdout: Stream,
    pub stderr: Stream,
    /// The process has ended, and another one still had its output open.
    pub left_open: bool,
}

pub enum End {
    Exited { status: ExitStatus, took: Duration },
    TimeLimit,
    Cancelled,
    Lost(io::Error),
}

/// The process group of a child that was started as the leader of its own. Dropping it kills what is left of it.
pub struct Group(Option<Pid>);

impl Group {
    /// `child` must lead a process group of its own.
    pub fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // An error means that nothing is left of the group.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

impl Running {
    /// `child` must lead a process group of its own; what it prints is read where it is piped.
    pub fn new(child: Child) -> Self {
        Self { group: Group::of(&child), child, begun: Instant::now(), leaves: false }
    }

    /// What it has started goes on when it ends by itself: a service. Nothing may have been piped.
    pub fn leaving(mut self) -> Self {
        self.leaves = true;
        self
    }

    /// What it prints, for who reads it while it runs: then [`Ended::stdout`] is empty. It ends with the process.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for the end of the process, until `deadline` or `cancel`. Afterwards nothing is left of its group, unless
    /// it is one that [leaves](Self::leaving) something.
    pub async fn run(mut self, deadline: Instant, cancel: &CancellationToken, output_limit: usize) -> Ended {
        let (mut stdout, mut stderr) = (Stream::new(output_limit), Stream::new(output_limit));
        let (out, err) = (self.child.stdout.take(), self.child.stderr.take());
        let mut reading = Box::pin(async { tokio::join!(stdout.drain(out), stderr.drain(err)) });
        let mut all_read = false;
        let end = loop {
            tokio::select! {
                status = self.child.wait() => break match status {
                    Ok(status) => End::Exited { status, took: self.begun.elapsed() },
                    Err(error) => End::Lost(error),
                },
                _ = &mut reading, if !all_read => all_read = true,
                () = sleep_until(deadline) => break End::TimeLimit,
                () = cancel.cancelled() => break End::Cancelled,
            }
        };
        if matches!(end, End::TimeLimit | End::Cancelled) {
            self.group.signal(Signal::TERM);
            // What it prints while it tidies up is read, so that it does not wait for a reader.
            let tidied = timeout(TIDYING, async {
                if !all_read {
                    (&mut reading).await;
                }
                self.child.wait().await
            });
            all_read |= tidied.await.is_ok();
        } else if !all_read {
            all_read = timeout(LINGERING, &mut reading).await.is_ok();
        }
        if self.leaves && matches!(end, End::Exited { .. }) {
            self.group.0 = None;
        }
        drop(reading);
        drop(self.group);
        Ended { end, stdout, stderr, left_open: !all_read }
    }
}

/// The beginning of what was printed; the rest is counted.
pub struct Stream {
    kept: Vec<u8>,
    limit: usize,
    /// Bytes that were read and not kept.
    pub left_out: u64,
}

/// The beginning of what is read; the rest is thrown away, so that the writer can go on.
pub async fn beginning(output: impl AsyncRead + Unpin, limit: usize) -> String {
    let mut stream = Stream::new(limit);
    stream.drain(Some(output)).await;
    stream.text().into_owned()
}

impl Stream {
    fn new(limit: usize) -> Self {
        Self { kept: Vec::new(), limit, left_out: 0 }
    }

    /// Reads to the end, so that the writer never waits; an error of a pipe is its end.
    async fn drain(&mut self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
            let room = read.min(self.limit - self.kept.len());
            self.kept.extend_from_slice(&buffer[..room]);
            self.left_out += (read - room) as u64;
        }
    }

    /// What is no UTF-8 is replaced, and [`CUT`] ends a line that was cut.
    pub fn text(&self) -> Cow<'_, str> {
        let text = String::from_utf8_lossy(&self.kept);
        if self.left_out == 0 || text.ends_with('\n') { text } else { Cow::Owned(text.into_owned() + CUT) }
    }

    pub fn last_line(&self) -> Option<String> {
        self.text().lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
    }
}

/// `SIGKILL` for 9, as `kill -l` names it.
pub fn signal_name(signal: i32) -> String {
    let known = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::SYS, "SIGSYS"),
    ];
    let name = known.iter().find(|(known, _)| known.as_raw() == signal);
    name.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}
