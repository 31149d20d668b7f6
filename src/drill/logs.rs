//! The logs of the practice system: their formats, and the history that they hold when a drill begins.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::data::INTRUDER;
use super::dice::Dice;
use super::fault::Fault;
use super::setup::Setup;

/// More than the day that the daily checks look back.
const HISTORY_MINUTES: i64 = 30 * 60;
/// Outside of the last day: an error that must not count any more.
const OLD_ERROR_MINUTES: i64 = 27 * 60;
const STORM_MINUTES: std::ops::Range<i64> = 2..55;
const CRASH_MINUTES: i64 = 20;
const GUESSED_MINUTES: std::ops::Range<i64> = 10..40;

/// Django's documented `verbose` formatter: `{levelname} {asctime} {module} {process:d} {thread:d} {message}`.
pub(super) fn django(at: DateTime<Tz>, level: &str, module: &str, message: &str) -> String {
    format!("{level} {} {module} 812 140245163230016 {message}\n", at.format("%Y-%m-%d %H:%M:%S,%3f"))
}

/// Apache's default `ErrorLogFormat`; `source` is `module:level`.
pub(super) fn apache(at: DateTime<Tz>, source: &str, message: &str) -> String {
    format!("[{}] [{source}] [pid 644:tid 644] {message}\n", at.format("%a %b %d %H:%M:%S%.6f %Y"))
}

/// Apache's `combined` format.
pub(super) fn access(at: DateTime<Tz>, client: &str, request: &str, status: u16, size: u64, agent: &str) -> String {
    format!("{client} - - [{}] \"{request}\" {status} {size} \"-\" \"{agent}\"\n", at.format("%d/%b/%Y:%H:%M:%S %z"))
}

/// Appends one entry in one write, as the real programs do.
pub(super) fn append(file: &Path, entry: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(file)?.write_all(entry.as_bytes())
}

/// A line of ordinary life. Some speak of `0 errors`, which is no error.
pub(super) fn harmless(at: DateTime<Tz>, dice: &mut Dice) -> String {
    let ticket = 1 + dice.below(240);
    let (module, message) = match dice.below(8) {
        0 => ("sync", format!("mail import finished: {} messages, 0 errors", dice.below(9))),
        1 => ("tasks", "nightly clean-up of sessions: 0 errors".to_owned()),
        2 => ("views", format!("ticket #{ticket} updated by agent {}", 1 + dice.below(12))),
        3 => ("sla", format!("checked {} open tickets, none overdue", 2 + dice.below(9))),
        4 => ("mail", format!("notification for ticket #{ticket} sent")),
        5 => ("auth", format!("user {} logged in from 10.20.0.{}", 1 + dice.below(40), 2 + dice.below(250))),
        6 => ("search", format!("index refreshed in {} ms", 12 + dice.below(90))),
        _ => ("views", format!("GET /tickets/{ticket} 200 in {} ms", 8 + dice.below(120))),
    };
    django(at, "INFO", module, &message)
}

/// Writes the history of all three logs, one minute after the other.
pub(super) fn write_history(setup: &Setup, now: DateTime<Utc>) -> io::Result<()> {
    fs::create_dir_all(setup.root.join("log"))?;
    let (mut django_log, mut apache_log, mut access_log) = (String::new(), String::new(), String::new());
    let mut dice = Dice::new(3);
    for minutes_ago in (1..=HISTORY_MINUTES).rev() {
        let at = (now - TimeDelta::minutes(minutes_ago)).with_timezone(&setup.timezone);
        django_log.push_str(&harmless(at, &mut dice));
        let client = format!("10.20.0.{}", 2 + dice.below(250));
        let request = format!("GET /tickets?page={} HTTP/1.1", 1 + dice.below(12));
        access_log.push_str(&access(at, &client, &request, 200, 2048 + dice.below(4096), "Mozilla/5.0"));
        if minutes_ago % 20 == 0 {
            apache_log.push_str(&apache(
                at,
                "mpm_event:notice",
                "AH00489: Apache/2.4 configured -- resuming normal operations",
            ));
        }
        if minutes_ago == OLD_ERROR_MINUTES {
            django_log.push_str(&django(at, "ERROR", "mail", "mail server did not answer, trying again later"));
        }
        if setup.has(Fault::ErrorStorm) && STORM_MINUTES.contains(&minutes_ago) {
            storm(at, &mut dice, &mut django_log, &mut apache_log);
        }
        if setup.has(Fault::Intruder) && GUESSED_MINUTES.contains(&minutes_ago) {
            guesses(at, minutes_ago == GUESSED_MINUTES.start, &mut django_log);
        }
        if setup.has(Fault::ErrorStorm) && minutes_ago == CRASH_MINUTES {
            django_log.push_str(&django(at, "CRITICAL", "wsgi", "worker is out of memory, giving up"));
        }
    }
    if !setup.has(Fault::LogMissing) {
        fs::write(setup.django_log(), django_log)?;
    }
    fs::write(setup.apache_log(), apache_log)?;
    fs::write(setup.access_log(), access_log)
}

/// One minute in which passwords are guessed; in the last one, two are right.
fn guesses(minute: DateTime<Tz>, last: bool, log: &mut String) {
    for second in (0..60).step_by(6) {
        let at = minute + TimeDelta::seconds(second);
        let user = 12 + second / 3;
        log.push_str(&django(at, "WARNING", "auth", &format!("Failed login for user {user} from {INTRUDER}")));
    }
    for user in [17, 23].into_iter().filter(|_| last) {
        let at = minute + TimeDelta::seconds(59);
        log.push_str(&django(at, "INFO", "auth", &format!("user {user} logged in from {INTRUDER}")));
    }
}

/// One minute of a storm: six errors, each with the stack trace that Django writes, and one in Apache's log.
fn storm(minute: DateTime<Tz>, dice: &mut Dice, django_log: &mut String, apache_log: &mut String) {
    for second in (0..60).step_by(10) {
        let at = minute + TimeDelta::seconds(second);
        let ticket = 1 + dice.below(240);
        django_log.push_str(&django(at, "ERROR", "log", &format!("Internal Server Error: /tickets/{ticket}")));
        for line in [
            "Traceback (most recent call last):",
            "  File \"/srv/helpdesk/crm/views.py\", line 118, in detail",
            "    ticket = Ticket.objects.select_related('assigned_to').get(pk=pk)",
            "django.db.utils.OperationalError: (2013, 'Lost connection to server during query')",
        ] {
            writeln!(django_log, "{line}").ok();
        }
    }
    let message = format!("[client 10.20.0.{}:50122] Timeout when reading response headers", 2 + dice.below(250));
    apache_log.push_str(&apache(minute, "wsgi:error", &message));
}
