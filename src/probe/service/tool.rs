//! `systemctl` and `journalctl`: bounded, in plain English, without pager and shell.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::clock::{self, Clock};
use super::properties::{ASKED, Properties};
use super::unit::{End, Unit};
use crate::model::text::shortened;
use crate::model::unit::Quantity;
use crate::probe::command::child::{self, Stream};
use crate::probe::command::start;
use crate::probe::{Context, ProbeError};

/// There only where systemd runs the machine: see `sd_booted(3)`.
const BOOTED: &str = "/run/systemd/system";

/// About 1 KB is printed of a unit.
pub(crate) const MOST_OUTPUT: usize = 16 * 1024 * 1024;

/// How long the log lines of one unit may be looked for.
const LOG_LIMIT: Duration = Duration::from_secs(5);

/// Log lines of a unit that are kept, and characters of each.
const LOG_LINES: usize = 20;
const LOG_LINE: usize = 400;

/// How many are read for that: most may only tell that systemd ended the rest of the unit's processes.
pub(crate) const LOG_READ: usize = 300;

/// The systemd of this machine, for one look.
pub struct Systemd<'c> {
    pub cx: &'c Context,
    deadline: Instant,
}

struct Answer {
    status: ExitStatus,
    stdout: Stream,
    stderr: Stream,
}

impl<'c> Systemd<'c> {
    /// # Errors
    /// Something else runs this machine.
    pub fn of_this_machine(cx: &'c Context) -> Result<Self, ProbeError> {
        if !Path::new(BOOTED).is_dir() {
            let message = format!("this machine is not run by systemd ({BOOTED} is not there), so it has no units");
            let help = "look at the service with a `process`, `http` or `command` step instead";
            return Err(ProbeError::new("no_systemd", message).help(help));
        }
        Ok(Self { cx, deadline: Instant::now() + cx.limit })
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.cx.now
    }

    /// The properties of `units`, in this order. A pattern stands for the units that systemd has loaded.
    pub async fn show(&self, units: &[String]) -> Result<Vec<Properties>, ProbeError> {
        let property = format!("--property={ASKED}");
        let args = ["show", "--no-pager", &property, "--"].into_iter().chain(units.iter().map(String::as_str));
        let answer = self.run("systemctl", args, self.cx.limit).await?;
        if !answer.status.success() {
            let said = answer.stderr.last_line().unwrap_or_else(|| "it did not say why".to_owned());
            let help = "try `systemctl status` as the same user; users other than root need the D-Bus daemon to run";
            return Err(ProbeError::new("bad_answer", format!("systemctl cannot ask systemd: {said}")).help(help));
        }
        if answer.stdout.left_out > 0 {
            let most = Quantity::bytes(MOST_OUTPUT as u64).rounded();
            let message = format!("`systemctl show` printed more than {most}");
            return Err(ProbeError::new("bad_answer", message).help("name fewer units in one step"));
        }
        Ok(Properties::parse(&answer.stdout.text()))
    }

    /// The names of all units that systemd has loaded or has a file of; empty when it does not tell.
    pub async fn known_units(&self) -> Vec<String> {
        let mut known = Vec::new();
        for what in ["list-unit-files", "list-units"] {
            let args = [what, "--all", "--plain", "--no-legend", "--no-pager"];
            let Ok(answer) = self.run("systemctl", args, self.cx.limit).await else { continue };
            let text = answer.stdout.text();
            // Units that are asked for in vain are known as such.
            let there = text.lines().filter(|line| !line.contains(" not-found "));
            known.extend(there.filter_map(|line| line.split_whitespace().next()).map(str::to_owned));
        }
        known.sort();
        known.dedup();
        known
    }

    /// What systemd knows of the unit of this full name, which may be nothing.
    pub async fn unit(&self, full: &str) -> Result<Option<Unit>, ProbeError> {
        let shown = self.show(&[full.to_owned()]).await?;
        let clock = Clock::now(self.now());
        Ok(shown.into_iter().next().map(|properties| Unit::new(properties, clock)))
    }

    /// How the last command of `unit` ended that failed, other than its main process.
    pub async fn control_end(&self, unit: &str) -> Option<End> {
        let args = ["show", "--no-pager", "--property=ExecStartPre,ExecStart,ExecStartPost", "--", unit];
        let answer = self.run("systemctl", args, self.cx.limit).await.ok()?;
        answer.stdout.text().lines().rev().filter_map(End::of_command).find(|end| *end != End::Exited(0))
    }

    /// How `unit` ended last, or how its last start went, if it was started since boot.
    pub async fn last_result(&self, unit: &str) -> Result<Option<String>, ProbeError> {
        Ok(self.unit(unit).await?.and_then(|unit| unit.last_result().map(str::to_owned)))
    }

    /// A moment, for people.
    pub fn shown(&self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.cx.timezone).format("%F %R %Z").to_string()
    }

    /// The next two moments after `base` that fit `calendar`, in the words of `OnCalendar=`.
    pub async fn calendar(&self, calendar: &str, base: DateTime<Utc>) -> Result<Vec<DateTime<Utc>>, ProbeError> {
        let base = format!("--base-time=@{}", base.timestamp());
        let answer =
            self.run("systemd-analyze", ["calendar", "--iterations=2", &base, "--", calendar], self.cx.limit).await?;
        if !answer.status.success() {
            let said = answer.stderr.last_line().unwrap_or_else(|| "it did not say why".to_owned());
            return Err(ProbeError::new("bad_answer", format!("systemd-analyze cannot read `{calendar}`: {said}")));
        }
        Ok(clock::parse_elapses(&answer.stdout.text()))
    }

    /// The last lines that the journal has of `unit`; the error says why it cannot be read.
    pub async fn last_lines(&self, unit: &str) -> Result<Vec<String>, String> {
        let (of, most) = (format!("--unit={unit}"), format!("--lines={LOG_READ}"));
        let args = [of.as_str(), &most, "--quiet", "--no-pager", "--no-hostname", "--output=short"];
        let answer = self.run("journalctl", args, LOG_LIMIT).await.map_err(|error| error.message)?;
        if !answer.status.success() {
            let said = answer.stderr.last_line().unwrap_or_else(|| "journalctl did not say why".to_owned());
            let may = if said.contains("permission") { " Users in the group systemd-journal may" } else { "" };
            return Err(said + may);
        }
        // An entry can be a text of many lines.
        let text = answer.stdout.text();
        let telling = text.lines().rev().filter(|line| !ends_the_rest(line, unit));
        let mut lines: Vec<String> = telling.take(LOG_LINES).map(|line| shortened(line, LOG_LINE)).collect();
        lines.reverse();
        Ok(lines)
    }

    async fn run<'a>(
        &self,
        program: &'static str,
        args: impl IntoIterator<Item = &'a str>,
        limit: Duration,
    ) -> Result<Answer, ProbeError> {
        let deadline = self.deadline.min(Instant::now() + limit);
        let mut command = tokio::process::Command::new(program);
        command.args(args).env("LC_ALL", "C.UTF-8").env("SYSTEMD_COLORS", "0").env_remove("SYSTEMD_LOG_LEVEL");
        match program {
            // Log lines are for people; everything else is read here.
            "journalctl" => command.env("TZ", self.cx.timezone.name()),
            // A calendar without a zone is one of the machine, whatever the zone of who asks.
            "systemd-analyze" => command.env_remove("TZ"),
            _ => command.env("TZ", "UTC"),
        };
        let too_long = || {
            let limit = Quantity::duration(limit.min(self.cx.limit)).rounded();
            let message = format!("`{program}` did not answer within {limit}");
            let help = "systemd, the D-Bus daemon or the disk hangs: see whether `systemctl status` answers";
            ProbeError::new("time_limit", message).help(help)
        };
        let start = self.cx.blocking(move || start::start(command, program, None));
        let running = tokio::time::timeout_at(deadline, start)
            .await
            .map_err(|_| too_long())?
            .map_err(|error| error.help(format!("{program} is a part of systemd; put it on the PATH of opsctl")))?;
        let ended = running.run(deadline, &self.cx.cancel, MOST_OUTPUT).await;
        match ended.end {
            child::End::Exited { status, .. } => Ok(Answer { status, stdout: ended.stdout, stderr: ended.stderr }),
            child::End::TimeLimit => Err(too_long()),
            child::End::Cancelled => Err(ProbeError::new("cancelled", format!("`{program}` was ended with the run"))),
            child::End::Lost(error) => Err(ProbeError::new("io", format!("cannot wait for `{program}`: {error}"))),
        }
    }
}

/// Whether this line of the journal only tells that systemd ended one more process of `unit`, as it does for each
/// worker of a server whose main process has ended. Why that was stands above all of them.
pub(crate) fn ends_the_rest(line: &str, unit: &str) -> bool {
    line.split_once(unit).is_some_and(|(_, said)| said.starts_with(": Killing process "))
}
