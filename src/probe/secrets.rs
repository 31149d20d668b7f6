//! Resolving references to secrets.

use std::time::Duration;

use super::ProbeError;
use crate::model::secret::{Secret, SecretRef};
use crate::model::unit::Quantity;

/// # Errors
/// The variable, file or command is not there, is empty or takes longer than `limit`.
pub async fn resolve(secret: &SecretRef, limit: Duration) -> Result<Secret, ProbeError> {
    let text = match secret {
        SecretRef::Env(name) => std::env::var(name).map_err(|_| {
            ProbeError::new("secret", format!("the environment variable {name} is not set"))
                .help(format!("set {name} for the user who runs opsctl"))
        })?,
        SecretRef::File(path) => tokio::fs::read_to_string(path)
            .await
            .map_err(|error| ProbeError::io(format!("the secret {}", path.display()), &error))?,
        SecretRef::Command(run) => output_of(run, limit).await?,
    };
    let first = text.lines().next().unwrap_or_default();
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
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let within = Quantity::duration(limit).rounded();
    let output = tokio::time::timeout(limit, child)
        .await
        .map_err(|_| ProbeError::new("secret", format!("the secret's command {program} took longer than {within}")))?
        .map_err(|error| ProbeError::io(format!("the secret's command {program}"), &error))?;
    if !output.status.success() {
        return Err(ProbeError::new("secret", format!("the secret's command {program} ended with {}", output.status))
            .help("try it by hand as the user who runs opsctl"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
