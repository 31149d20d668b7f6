//! A program that sends one message.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::as_json;
use crate::model::event::incident::Message;
use crate::model::id::RunId;
use crate::model::text::{CUT, shortened};
use crate::model::unit::Quantity;

/// How long what it has printed may take to come after its end.
pub const TIDYING: Duration = Duration::from_secs(1);

/// As much of its standard error is read.
const MOST_WORDS: u64 = 16 * 1024;

/// As much of its last line is repeated.
const LINE: usize = 160;

/// A process group that ends with this, with all that is in it.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // An error means that nothing is left of the group.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

/// Runs `words` without a shell and waits for its end.
///
/// # Errors
/// It could not be started, did not end within `limit`, or did not end with 0; then with its last line.
pub async fn run(
    words: &[String],
    folder: &Path,
    limit: Duration,
    run: RunId,
    message: &Message,
) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Err("it has no program".to_owned()) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    for (name, value) in environment(run, message) {
        command.env(name, value);
    }
    let mut child = command.spawn().map_err(|error| format!("cannot start `{program}`: {error}"))?;
    let group = Group::of(&child);
    let (input, errors) = (child.stdin.take(), child.stderr.take());
    let text = as_json(run, message).to_string();
    let write = async {
        if let Some(mut input) = input {
            // It need not read: all is in its environment too.
            input.write_all(text.as_bytes()).await.ok();
        }
    };
    let mut said = Vec::new();
    let read = async {
        let Some(errors) = errors else { return };
        let mut errors = errors.take(MOST_WORDS);
        errors.read_to_end(&mut said).await.ok();
        // What comes behind is thrown away, so that the program does not wait for a reader.
        tokio::io::copy(&mut errors.into_inner(), &mut tokio::io::sink()).await.ok();
    };
    let ended = {
        let (mut talk, mut all_said) = (Box::pin(async { tokio::join!(write, read) }), false);
        let waiting = timeout(limit, async {
            loop {
                tokio::select! {
                    status = child.wait() => return status,
                    _ = &mut talk, if !all_said => all_said = true,
                }
            }
        });
        let ended = waiting.await;
        if ended.is_ok() && !all_said {
            timeout(TIDYING, &mut talk).await.ok();
        }
        ended
    };
    drop(group);
    let last = last_line(&said);
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("`{program}` ended with {status}{last}")),
        Ok(Err(error)) => Err(format!("cannot wait for `{program}`: {error}")),
        Err(_) => {
            let limit = Quantity::duration(limit).rounded();
            Err(format!(
                "`{program}` did not end within {limit} and was killed{last}; whether it was sent is not known"
            ))
        }
    }
}

/// What is not known is empty.
fn environment(run: RunId, message: &Message) -> [(&'static str, String); 8] {
    // No text of an environment holds a zero byte.
    let text = |text: &str| text.replace('\0', "");
    let some = |value: &Option<String>| text(value.as_deref().unwrap_or_default());
    [
        ("OPSCTL_RUN", run.to_string()),
        ("OPSCTL_ID", text(&message.id)),
        ("OPSCTL_TO", text(&message.to)),
        ("OPSCTL_CHANNEL", text(&message.channel)),
        ("OPSCTL_ADDRESS", some(&message.address)),
        ("OPSCTL_SEVERITY", some(&message.severity)),
        ("OPSCTL_TEXT", text(&message.text)),
        ("OPSCTL_DEADLINE", message.deadline.map_or(String::new(), |deadline| deadline.to_rfc3339())),
    ]
}

fn last_line(said: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(said).into_owned();
    if said.len() as u64 >= MOST_WORDS {
        text.push_str(CUT);
    }
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.map_or(String::new(), |line| {
        let line: String = line.trim().chars().filter(|c| !c.is_control()).collect();
        format!(": {}", shortened(&line, LINE))
    })
}
