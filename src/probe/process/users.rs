//! Names of users: those of `/etc/passwd`, and others through `getent`, which knows directories such as LDAP.

use std::fs;
use std::process::Stdio;

use tokio::process::Command;

use crate::probe::{Context, ProbeError};

/// The text of `/etc/passwd`.
#[derive(Debug)]
pub struct Users(String);

impl Users {
    pub fn read() -> Self {
        Self(fs::read_to_string("/etc/passwd").unwrap_or_default())
    }

    /// The number itself where there is no name.
    pub fn name(&self, number: u32) -> String {
        let known = self.0.lines().filter_map(parse_line).find(|(_, known)| *known == number);
        known.map_or_else(|| number.to_string(), |(name, _)| name.to_owned())
    }
}

/// `name:x:1000:...`
fn parse_line(line: &str) -> Option<(&str, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    Some((name, fields.nth(1)?.parse().ok()?))
}

/// The number of the user that is named, or numbered.
///
/// # Errors
/// There is no such user: a mistyped name must not look like a user without processes.
pub async fn number_of(user: &str, cx: &Context) -> Result<u32, ProbeError> {
    if let Ok(number) = user.parse() {
        return Ok(number);
    }
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    if let Some((_, number)) = text.lines().filter_map(parse_line).find(|(name, _)| *name == user) {
        return Ok(number);
    }
    let asked = Command::new("getent")
        .args(["passwd", user])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .output();
    let answer = tokio::time::timeout(cx.limit.mul_f64(0.5), asked).await.map_err(|_| {
        ProbeError::new("time_limit", format!("looking up the user `{user}` takes too long"))
            .help("check the directory service, or give the number of the user")
    })?;
    let printed = answer.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    parse_line(printed.trim()).map(|(_, number)| number).ok_or_else(|| {
        ProbeError::new("not_found", format!("there is no user `{user}` on this machine"))
            .help("check the name, or give the number of the user")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_passwd_has_a_name_and_a_number() {
        assert_eq!(parse_line("www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin"), Some(("www-data", 33)));
        assert_eq!(parse_line("+"), None);
    }
}
