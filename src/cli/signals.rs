//! The signals that ask the program to end.

use std::io;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

use crate::model::outcome::Exit;
use crate::probe::proc_file;

pub struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    /// The terminal went away; none where that is not to end the program (`nohup`).
    hangup: Option<unix::Signal>,
}

impl Signals {
    /// From now on none of them ends the process by itself.
    pub fn listen() -> io::Result<Self> {
        let hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hangup })
    }

    /// Waits for one.
    pub async fn next(&mut self) -> Signal {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = hangup => Signal::HUP,
        }
    }
}

/// What a run that such a signal has ended exits with.
pub fn exit_of(signal: Signal) -> Exit {
    if signal == Signal::INT { Exit::Interrupted } else { Exit::Terminated }
}

fn ignores_hangup() -> bool {
    let status = proc_file::read("/proc/self/status").unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.is_some_and(|ignored| ignored & 1 != 0)
}
