//! Whether this machine waits to be started again: after updates of its kernel, of its libraries, of its firmware.

mod kernels;
mod outdated;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use self::outdated::Outdated;
use super::command::ask;
use super::command::start::place_of;
use super::interval::boot;
use super::process::table::{self, ProcessTable, Scope};
use super::{Context, Kind, Probe, ProbeError};
use crate::model::expectation::Reading;
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "reboot",
    about: "whether this machine waits to be started again after updates, and which processes still use files that \
            updates have replaced; these are kept as evidence",
    inputs: &[],
    facts: &[
        FactSpec::new(
            "pending",
            FactType::Bool,
            "the system says so (`/run/reboot-required`, `needs-restarting -r`), or a newer kernel is installed than \
             the one that runs",
        ),
        FactSpec::new("reason", FactType::Text, "why, with the packages that ask for it; missing when not pending"),
        FactSpec::new("kernel", FactType::Text, "version of the kernel that runs"),
        FactSpec::new(
            "newest_kernel",
            FactType::Text,
            "version of the newest kernel that is installed; nothing is expected of it where none is, as in a container",
        ),
        FactSpec::new("uptime", FactType::Duration, "since the machine started"),
        FactSpec::new(
            "rebooted",
            FactType::Bool,
            "the machine was started since the newest earlier run; nothing is expected of it in the first one",
        ),
        FactSpec::new(
            "outdated_processes",
            FactType::Count,
            "processes that use programs or libraries which were replaced or removed: start their services again. \
             Those of other users count only for root",
        ),
    ],
    example: include_str!("../../examples/probes/reboot.yaml"),
    limit: Duration::from_secs(30),
    build: |_| Ok(Arc::new(Reboot)),
};

const REQUIRED: &str = "/run/reboot-required";

/// How many processes are shown as evidence, and packages in the reason.
const SHOWN: usize = 20;
const PACKAGES: usize = 10;

/// A start this close to the newest earlier run is that of a clock that was set, not of the machine.
const SLACK: TimeDelta = TimeDelta::seconds(30);

#[derive(Debug)]
struct Reboot;

impl Probe for Reboot {
    fn target(&self) -> String {
        "this machine".to_owned()
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(async move {
            let deadline = Instant::now() + cx.limit.mul_f64(0.8);
            let earlier = cx.past.newest(&["uptime"]).await;
            let told = needs_restarting(deadline, cx).await;
            let cancel = cx.cancel.clone();
            let (up, mut reasons, running, newest, outdated) = cx
                .blocking(move || {
                    let processes = ProcessTable::read(Scope::Programs, &cancel)?;
                    let outdated = Outdated::among(&processes.processes, &cancel)?;
                    let release = rustix::system::uname().release().to_string_lossy().into_owned();
                    let newest = kernels::newest(&release);
                    Ok((table::uptime()?, required(Path::new(REQUIRED)), release, newest, outdated))
                })
                .await?;
            let mut subject = Subject::new("reboot");
            if let Some(newest) = newest.as_ref().filter(|newest| kernels::is_newer(newest, &running)) {
                reasons.push(format!("kernel {newest} is installed, {running} runs"));
            }
            match told {
                Ok(told) => reasons.extend(told),
                Err(error) => subject.note(error.message),
            }
            describe(&mut subject, &reasons, running, newest);
            subject.set("uptime", Value::duration(up));
            let earlier = earlier.get(&(subject.name.clone(), "uptime".to_owned()));
            match earlier {
                Some(earlier) => subject.set("rebooted", Value::Bool(is_rebooted(earlier, boot(cx.now, up)))),
                None => subject.inapplicable.push("rebooted".to_owned()),
            }
            let evidence = note_outdated(&mut subject, &outdated);
            Ok(Observation { subjects: vec![subject], evidence: evidence.into_iter().collect() })
        })
    }
}

fn describe(subject: &mut Subject, reasons: &[String], running: String, newest: Option<String>) {
    subject.set("pending", Value::Bool(!reasons.is_empty()));
    if !reasons.is_empty() {
        subject.set("reason", Value::text(reasons.join("; ")));
    }
    subject.set("kernel", Value::Text(running));
    match newest {
        Some(newest) => subject.set("newest_kernel", Value::Text(newest)),
        None => subject.inapplicable.push("newest_kernel".to_owned()),
    }
}

fn is_rebooted(earlier: &Reading, boot: DateTime<Utc>) -> bool {
    boot > earlier.at + SLACK
}

/// What Debian and its kin leave behind when a package asks for it.
fn required(flag: &Path) -> Vec<String> {
    if !flag.exists() {
        return Vec::new();
    }
    let mut packages: Vec<String> = Vec::new();
    for line in fs::read_to_string(flag.with_extension("pkgs")).unwrap_or_default().lines() {
        let package = line.trim().to_owned();
        if !package.is_empty() && !packages.contains(&package) {
            packages.push(package);
        }
    }
    let place = flag.display();
    let more = if packages.len() > PACKAGES { ", ..." } else { "" };
    packages.truncate(PACKAGES);
    vec![if packages.is_empty() {
        format!("{place} is there")
    } else {
        format!("{place} is there, for {}{more}", packages.join(", "))
    }]
}

/// What dnf says, where it can be asked: 1 of `needs-restarting -r` stands for yes.
async fn needs_restarting(deadline: Instant, cx: &Context) -> Result<Option<String>, ProbeError> {
    const TOOL: &str = "needs-restarting";
    if place_of(TOOL, None).is_none() {
        return Ok(None);
    }
    let said = ask::ask(TOOL, &["-r"], deadline, cx).await?;
    let text = said.stdout.text();
    match said.status.code() {
        Some(0) => Ok(None),
        Some(1) => {
            // `  * kernel`: one line for each package.
            let packages = text.lines().filter_map(|line| line.trim().strip_prefix("* "));
            let packages = packages.take(PACKAGES).collect::<Vec<_>>().join(", ");
            Ok(Some(format!("`{TOOL} -r` says so: {packages}").trim_end_matches(": ").to_owned()))
        }
        _ => Err(ProbeError::new("bad_answer", format!("`{TOOL} -r` cannot tell: {}", said.reason()))),
    }
}

fn note_outdated(subject: &mut Subject, outdated: &Outdated) -> Option<Evidence> {
    subject.set("outdated_processes", Value::count(outdated.processes.len() as u64));
    if outdated.hidden > 0 {
        subject.note(format!("the files of {} processes may be seen by root only", outdated.hidden));
    }
    if outdated.processes.is_empty() {
        return None;
    }
    let lines = outdated.processes.iter().take(SHOWN).cloned().collect();
    let left_out = outdated.processes.len().saturating_sub(SHOWN) as u64;
    Some(Evidence { left_out, ..Evidence::new("processes that use replaced files: pid, process, file", lines) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::unit::Quantity;

    #[test]
    fn the_flag_of_debian_names_the_packages_once_each() {
        let folder = tempfile::tempdir().expect("a folder");
        let flag = folder.path().join("reboot-required");
        assert_eq!(required(&flag), Vec::<String>::new());
        fs::write(&flag, "*** System restart required ***\n").expect("a file");
        assert!(required(&flag)[0].ends_with("reboot-required is there"));
        fs::write(folder.path().join("reboot-required.pkgs"), "linux-image-amd64\nlibc6\nlibc6\n").expect("a file");
        assert!(required(&flag)[0].ends_with("is there, for linux-image-amd64, libc6"), "{:?}", required(&flag));
    }

    #[test]
    fn a_machine_that_started_after_the_earlier_run_was_rebooted() {
        let now = Utc::now();
        let earlier = Reading { at: now - TimeDelta::hours(24), value: Quantity::seconds(100.0) };
        assert!(is_rebooted(&earlier, now - TimeDelta::hours(1)));
        assert!(!is_rebooted(&earlier, now - TimeDelta::hours(25)));
        assert!(!is_rebooted(&earlier, earlier.at), "the clock was set a little");
    }

    #[test]
    fn without_a_reason_nothing_is_pending() {
        let mut subject = Subject::new("reboot");
        describe(&mut subject, &[], "6.1.0".to_owned(), None);
        assert_eq!(subject.facts["pending"], Value::Bool(false));
        assert!(!subject.facts.contains_key("reason") && subject.inapplicable == ["newest_kernel"]);
    }
}
