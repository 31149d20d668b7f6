//! The ring buffer of the kernel, read to its end without waiting for more.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rustix::fs::OFlags;
use rustix::time::{ClockId, clock_gettime};

use super::message::Message;
use crate::probe::{Context, ProbeError};

const KMSG: &str = "/dev/kmsg";

/// A record is never longer.
const RECORD: usize = 8192;

/// More records than the largest buffer holds: a kernel that writes faster than they are read comes to an end.
const MOST: usize = 1_000_000;

/// Every message that the kernel still has, oldest first.
pub fn read(cx: &Context) -> Result<Vec<Message>, ProbeError> {
    let mut kmsg = open()?;
    let boot = boot();
    let mut record = vec![0; RECORD];
    let mut messages = Vec::new();
    for _ in 0..MOST {
        if cx.cancel.is_cancelled() {
            return Err(ProbeError::new("cancelled", "nobody waits for the kernel's log any more"));
        }
        match kmsg.read(&mut record) {
            Ok(0) => break,
            Ok(length) => messages.extend(Message::parse(&String::from_utf8_lossy(&record[..length]), boot)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // Overwritten meanwhile: the next read goes on with the oldest record that is left.
            Err(error) if error.kind() == ErrorKind::BrokenPipe || error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(explain(&error)),
        }
    }
    Ok(messages)
}

fn open() -> Result<File, ProbeError> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(KMSG).map_err(|error| explain(&error))
}

fn explain(error: &io::Error) -> ProbeError {
    if error.kind() == ErrorKind::NotFound {
        return ProbeError::new("not_found", format!("{KMSG} is not there: a container does not see the kernel's log"))
            .help("run the step on the host");
    }
    if error.kind() == ErrorKind::PermissionDenied {
        let help = "run opsctl as root, give its service `AmbientCapabilities=CAP_SYSLOG`, or let everybody read the \
                    log: `sysctl kernel.dmesg_restrict=0`";
        return ProbeError::new("permission", "no permission to read the kernel's log").help(help);
    }
    ProbeError::io(KMSG, error)
}

/// When the clock of the messages began, which stands still while the machine is suspended.
fn boot() -> DateTime<Utc> {
    let time = clock_gettime(ClockId::Monotonic);
    let up = Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default());
    Utc::now() - TimeDelta::from_std(up).unwrap_or_default()
}
