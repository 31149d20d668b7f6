//! Resolving references to secrets.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::ProbeError;
use crate::model::secret::{Secret, SecretRef};
use crate::model::unit::Quantity;

/// Bytes that are read; what is longer is no secret.
const MOST_BYTES: u64 = 64 * 1024;

/// # Errors
/// The variable, file or command is not there, is empty or takes longer than `limit`.
pub async fn resolve(secret: &SecretRef, limit: Duration) -> Result<Secret, ProbeError> {
    let text = match secret {
        SecretRef::Env(name) => std::env::var(name).map_err(|_| {
            ProbeError::new("secret", format!("the environment variable {name} is not set"))
                .help(format!("set {name} for the user who runs opsctl"))
        })?,
        SecretRef::File(path) => {
            let place = format!("the secret {}", path.display());
            let reading = async { beginning(tokio::fs::File::open(path).await?).await };
            let read = tokio::time::timeout(limit, reading).await.map_err(|_| too_long(&place, limit))?;
            read.map_err(|error| ProbeError::io(place, &error))?
        }
        SecretRef::Command(run) => output_of(run, limit).await?,
    };
    let first = text.lines().next().unwrap_or_default();
    if first.len() as u64 >= MOST_BYTES {
        return Err(ProbeError::new("secret", format!("the secret from {secret} has a first line without end"))
            .help("only its first line counts, and at most 64 KiB of it; write the secret there"));
    }
    if first.is_empty() {
        return Err(ProbeError::new("secret", format!("the secret from {secret} is empty"))
            .help("only its first line counts; write the secret there"));
    }
    Ok(Secret::new(first.to_owned()))
}

async fn output_of(run: &[String], limit: Duration) -> Result<String, ProbeError> {
    let Some((program, arguments)) = run.split_first() else {
        return Err(ProbeError::new("secret", "the command of a secret is empty"));
    };
    let place = format!("the secret's command {program}");
    let running = async {
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let text = match child.stdout.take() {
            Some(stdout) => beginning(stdout).await?,
            None => String::new(),
        };
        Ok((text, child.wait().await?))
    };
    let ran: io::Result<_> = tokio::time::timeout(limit, running).await.map_err(|_| too_long(&place, limit))?;
    let (text, status) = ran.map_err(|error| ProbeError::io(&place, &error))?;
    if !status.success() {
        return Err(ProbeError::new("secret", format!("the secret's command {program} ended with {status}"))
            .help("try it by hand as the user who runs opsctl"));
    }
    Ok(text)
}

fn too_long(place: &str, limit: Duration) -> ProbeError {
    ProbeError::new("secret", format!("{place} took longer than {}", Quantity::duration(limit).rounded()))
}

/// The text up to the limit; the rest stays unread.
async fn beginning(from: impl AsyncRead + Unpin) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(MOST_BYTES).read_to_end(&mut bytes).await?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text in UTF-8"))
}
