//! `journalctl`: bounded, in plain English, and read while it prints, so that a large journal takes no memory.

use std::ops::ControlFlow;
use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::time::Instant;

use super::entry::{Entry, FIELDS};
use crate::model::unit::Quantity;
use crate::probe::command::child::{self, Stream};
use crate::probe::command::start;
use crate::probe::{Context, ProbeError};

/// An entry that takes more than this in JSON is not looked at, and said to be left out.
const LONGEST: usize = 4 * 1024 * 1024;

/// Bytes of its messages that are kept.
const MOST_ERRORS: usize = 64 * 1024;

/// Where the entries come from.
pub struct Journal<'c> {
    pub cx: &'c Context,
    pub folder: Option<&'c Path>,
    deadline: Instant,
}

/// What came besides the entries.
#[derive(Default)]
pub struct Read {
    /// Lines that were too long or no entry.
    pub unread: u64,
    /// What journalctl says of journal files that it leaves out.
    pub complaints: Vec<String>,
}

impl<'c> Journal<'c> {
    pub fn new(cx: &'c Context, folder: Option<&'c Path>) -> Self {
        Self { cx, folder, deadline: Instant::now() + cx.limit }
    }

    /// For messages.
    pub fn place(&self) -> String {
        self.folder.map_or_else(|| "the journal".to_owned(), |folder| format!("the journal in {}", folder.display()))
    }

    /// When the oldest entry was written, in microseconds since 1970.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub async fn oldest(&self) -> Result<i64, ProbeError> {
        self.first(&[]).await?.map(|entry| entry.at).ok_or_else(|| {
            let message = format!("{} has no entries: nothing is logged there", self.place());
            let help = "see that systemd-journald runs; `journalctl --header` tells which files there are";
            ProbeError::new("no_journal", message).help(help)
        })
    }

    /// The first entry that `arguments` choose.
    pub async fn first(&self, arguments: &[String]) -> Result<Option<Entry>, ProbeError> {
        let mut first = None;
        self.read(arguments, |entry| {
            first = Some(entry);
            ControlFlow::Break(())
        })
        .await?;
        Ok(first)
    }

    /// Every value that the field has in some entry.
    pub async fn values(&self, field: &str) -> Vec<String> {
        let mut command = self.command();
        command.arg(format!("--field={field}"));
        let start = self.cx.blocking(move || start::start(command, "journalctl", None));
        let Ok(Ok(running)) = tokio::time::timeout_at(self.deadline, start).await else { return Vec::new() };
        let ended = running.run(self.deadline, &self.cx.cancel, MOST_ERRORS).await;
        ended.stdout.text().lines().map(str::to_owned).collect()
    }

    /// Hands over each entry that `arguments` choose, the oldest first, until `each` breaks off.
    ///
    /// # Errors
    /// Not all could be read.
    pub async fn read(
        &self,
        arguments: &[String],
        mut each: impl FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<Read, ProbeError> {
        let mut command = self.command();
        command.args(["--output=json", "--all", FIELDS]).args(arguments);
        let start = self.cx.blocking(move || start::start(command, "journalctl", None));
        let mut running = tokio::time::timeout_at(self.deadline, start)
            .await
            .map_err(|_| self.too_long(0))?
            .map_err(|error| error.help("journalctl is a part of systemd; put it on the PATH of opsctl"))?;
        let (mut read, mut entries) = (Read::default(), 0_u64);
        let stdout = running.take_stdout();
        let reading = lines(stdout, |line| match line.and_then(Entry::parse) {
            Some(entry) => {
                entries += 1;
                each(entry)
            }
            None => {
                read.unread += 1;
                ControlFlow::Continue(())
            }
        });
        let (ended, broken_off) = tokio::join!(running.run(self.deadline, &self.cx.cancel, MOST_ERRORS), reading);
        self.refuse_partial(&ended.stderr)?;
        match ended.end {
            child::End::Exited { status, .. } if status.success() || broken_off => {}
            child::End::Exited { .. } => {
                let said = ended.stderr.last_line().unwrap_or_else(|| "it did not say why".to_owned());
                return Err(ProbeError::new("bad_answer", format!("journalctl cannot read {}: {said}", self.place()))
                    .help("try the same `journalctl` as the same user"));
            }
            child::End::TimeLimit => return Err(self.too_long(entries)),
            child::End::Cancelled => {
                return Err(ProbeError::new("cancelled", format!("the look at {} was cancelled", self.place())));
            }
            child::End::Lost(error) => {
                return Err(ProbeError::new("io", format!("cannot wait for `journalctl`: {error}")));
            }
        }
        let complaints = ended.stderr.text();
        read.complaints =
            complaints.lines().filter(|line| line.starts_with("Journal file")).map(str::to_owned).collect();
        Ok(read)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("journalctl");
        command.arg("--no-pager").env("LC_ALL", "C.UTF-8").env("SYSTEMD_COLORS", "0").env_remove("SYSTEMD_LOG_LEVEL");
        if let Some(folder) = self.folder {
            command.arg("--directory").arg(folder);
        }
        command
    }

    /// journalctl succeeds for users who may see their own entries only.
    fn refuse_partial(&self, stderr: &Stream) -> Result<(), ProbeError> {
        let said = stderr.text();
        if ["insufficient permissions", "not seeing messages", "Permission denied"]
            .iter()
            .any(|sign| said.contains(sign))
        {
            return Err(ProbeError::new("permission", format!("no permission to read all of {}", self.place()))
                .help("run opsctl as root, or put its user into the group adm or systemd-journal"));
        }
        Ok(())
    }

    fn too_long(&self, entries: u64) -> ProbeError {
        let limit = Quantity::duration(self.cx.limit).rounded();
        let message = format!("{} was not read to its end within {limit}: {entries} entries so far", self.place());
        ProbeError::new("time_limit", message)
            .help("give the step more time with `timeout`, or a shorter `since`, a `unit` or a `priority`")
    }
}

/// Hands over each line, `None` for one that is longer than [`LONGEST`]. Whether it was broken off.
async fn lines(input: Option<impl AsyncRead + Unpin>, mut each: impl FnMut(Option<&[u8]>) -> ControlFlow<()>) -> bool {
    let Some(input) = input else { return false };
    let mut input = BufReader::with_capacity(256 * 1024, input);
    let (mut line, mut is_too_long) = (Vec::new(), false);
    // An error of a pipe is its end.
    while let Ok(piece) = input.fill_buf().await {
        if piece.is_empty() {
            break;
        }
        let newline = memchr::memchr(b'\n', piece);
        let part = &piece[..newline.unwrap_or(piece.len())];
        is_too_long |= line.len() + part.len() > LONGEST;
        if !is_too_long {
            line.extend_from_slice(part);
        }
        let used = newline.map_or(piece.len(), |newline| newline + 1);
        input.consume(used);
        if newline.is_some() {
            if each((!is_too_long).then_some(line.as_slice())).is_break() {
                return true;
            }
            line.clear();
            is_too_long = false;
        }
    }
    false
}
