//! Packages of a Debian or Ubuntu machine. Nothing here needs root or a lock: `apt list` is for people, and says so.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::simulation::{Line, lines};
use super::{Asks, LISTED, Update, note_no_lists, set_lists_age, set_updates};
use crate::model::fact::{Evidence, Observation, Subject};
use crate::model::text::one_line;
use crate::model::value::Value;
use crate::probe::tool::Done;
use crate::probe::{Context, ProbeError};

const LISTS: &str = "/var/lib/apt/lists";

/// Where it is said that the machine waits to be booted again.
const REBOOT: &str = "/run/reboot-required";

const RENEW: &str = "apt-get update";

pub async fn look(asks: &Asks<'_>) -> Result<Observation, ProbeError> {
    let mut seen = Observation::from(Subject::new("apt"));
    let (held, broken) = states(asks).await?;
    let upgrade = simulate(asks, &["--ignore-hold", "dist-upgrade"]).await?;
    let subject = &mut seen.subjects[0];
    subject.set("held", Value::count(held.len() as u64));
    subject.set("broken", Value::count(broken.len() as u64));
    subject.set("reboot_required", Value::Bool(Path::new(REBOOT).exists()));
    match trouble(&upgrade) {
        None => subject.set("consistent", Value::Bool(true)),
        Some(Trouble::Unmet(said)) => {
            subject.set("consistent", Value::Bool(false));
            subject.note(format!("some packages lack what they require: {said}; `apt-get --fix-broken install` helps"));
        }
        Some(Trouble::Other(said)) => {
            return Err(ProbeError::new("bad_answer", format!("apt-get cannot tell what is pending: {said}"))
                .help("`apt-get --simulate dist-upgrade` says the same; correct what it names"));
        }
    }
    if asks.cx.asked.iter().any(|fact| fact == "removable") {
        let done = simulate(asks, &["autoremove"]).await?;
        if done.status.success() {
            let text = done.stdout.text();
            let removable = lines(&text).filter(|line| matches!(line, Line::Remove { .. })).count();
            subject.set("removable", Value::count(removable as u64));
        }
    }
    if !broken.is_empty() {
        seen.evidence.push(capped("half installed", broken));
    }
    match renewed(asks.cx).await? {
        Some(renewed) => {
            set_lists_age(&mut seen.subjects[0], renewed, asks.cx, RENEW);
            if upgrade.status.success() {
                set_updates(&mut seen, updates(&upgrade.stdout.text(), &held), true);
            }
        }
        None => note_no_lists(&mut seen.subjects[0], RENEW),
    }
    Ok(seen)
}

fn capped(title: &str, mut lines: Vec<String>) -> Evidence {
    let left_out = lines.len().saturating_sub(LISTED) as u64;
    lines.truncate(LISTED);
    Evidence { left_out, ..Evidence::new(title, lines) }
}

/// New versions that need other packages count as well, which `upgrade` would leave out: kernels are such.
async fn simulate(asks: &Asks<'_>, what: &[&str]) -> Result<Done, ProbeError> {
    let begin =
        ["apt-get", "--simulate", "--quiet", "-o", "Debug::NoLocking=true", "-o", "APT::Get::Show-Upgraded=false"];
    asks.run(&[&begin[..], what].concat()).await
}

/// The packages that are held back, and those whose installation was not finished, with their state.
async fn states(asks: &Asks<'_>) -> Result<(Vec<String>, Vec<String>), ProbeError> {
    let format = "--showformat=${binary:Package}\\t${db:Status-Want}\\t${db:Status-Status}\\t${db:Status-Eflag}\\n";
    let done = asks.run(&["dpkg-query", "--show", format]).await?;
    if !done.status.success() {
        let message = format!("dpkg-query does not tell what is installed: {}", done.last_words());
        return Err(ProbeError::new("bad_answer", message).help("`dpkg --audit` shows what is wrong"));
    }
    let (mut held, mut broken) = (Vec::new(), Vec::new());
    for line in done.stdout.text().lines() {
        let [name, want, status, error] = line.split('\t').collect::<Vec<_>>()[..] else { continue };
        if want == "hold" {
            held.push(name.to_owned());
        }
        if !matches!(status, "installed" | "config-files" | "not-installed") || error != "ok" {
            let error = if error == "ok" { String::new() } else { format!(", {error}") };
            broken.push(format!("{name}  {status}{error}"));
        }
    }
    Ok((held, broken))
}

enum Trouble {
    /// Packages require what is not there.
    Unmet(String),
    Other(String),
}

fn trouble(done: &Done) -> Option<Trouble> {
    if done.status.success() {
        return None;
    }
    let stderr = done.stderr.text();
    let said: Vec<String> =
        stderr.lines().filter_map(|line| line.strip_prefix("E: ")).take(3).map(|line| one_line(line, 200)).collect();
    let said = if said.is_empty() { done.last_words() } else { said.join(" / ") };
    Some(if said.contains("Unmet dependencies") { Trouble::Unmet(said) } else { Trouble::Other(said) })
}

fn updates(simulation: &str, held: &[String]) -> Vec<Update> {
    let is_held = |name: &str| {
        let base = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
        held.iter().any(|held| held == name || (!name.contains(':') && base(held) == name))
    };
    let update = |line| match line {
        Line::Install { name, from: Some(from), to, origin } => Some(Update {
            name: name.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            security: origin.to_ascii_lowercase().contains("security"),
            remark: is_held(name).then(|| "held back".to_owned()),
        }),
        Line::Install { from: None, .. } | Line::Remove { .. } => None,
    };
    lines(simulation).filter_map(update).collect()
}

/// When the lists of the archive that was renewed longest ago were renewed. apt gives a list the time of the server, and
/// touches it when it is found unchanged: only the time of the last change of its entry tells.
async fn renewed(cx: &Context) -> Result<Option<SystemTime>, ProbeError> {
    cx.blocking(|| {
        let entries = match std::fs::read_dir(LISTS) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ProbeError::io(LISTS, &error)),
        };
        let (mut heads, mut lists) = (Vec::new(), Vec::new());
        for entry in entries.flatten() {
            let (name, Ok(metadata)) = (entry.file_name(), entry.metadata()) else { continue };
            let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0));
            let name = name.to_string_lossy();
            if name.ends_with("Release") {
                heads.push(changed);
            } else if name.contains("_Packages") {
                lists.push(changed);
            }
        }
        Ok(heads.into_iter().min().or_else(|| lists.into_iter().min()))
    })
    .await
}
