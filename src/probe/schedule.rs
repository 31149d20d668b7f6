//! Jobs that run by themselves: whether one is defined, will run again, and ran when it should have.

mod cron;
pub(crate) mod crontab;
pub(crate) mod expression;
mod heartbeat;
mod timer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

pub(crate) use expression::When;

use super::service::name;
use super::service::tool::Systemd;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::pattern;
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "schedule",
    about: "a job that runs by itself: that it is defined, runs again, and ran when it should have. By `cron`, by a \
            systemd `timer`, or by the `heartbeat` that it leaves; one result each. cron does not keep what became of a \
            job: let the job touch a file at its end, and name that as `heartbeat` beside `cron`",
    inputs: &[
        InputSpec {
            name: "cron",
            ty: InputType::Patterns,
            need: Need::Optional,
            about: "regular expressions, each found in the command of a job in /etc/crontab, /etc/cron.d, the folders that \
                    these run as a whole (/etc/cron.daily and others) or a user's crontab, such as \
                    `/usr/local/bin/backup`. Users' crontabs can be read by root only",
        },
        InputSpec {
            name: "timer",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "timers of systemd, such as `logrotate`, which is `logrotate.timer`",
        },
        InputSpec {
            name: "heartbeat",
            ty: InputType::Paths,
            need: Need::Optional,
            about: "the file that the job touches when it has done its work. Beside `cron` or `timer` the one file of the \
                    one job",
        },
        InputSpec {
            name: "stamp",
            ty: InputType::Bool,
            need: Need::Default("false"),
            about: "whether the time counts that stands in the first line of the heartbeat, and not that of its last \
                    change",
        },
        InputSpec {
            name: "every",
            ty: InputType::Duration,
            need: Need::Optional,
            about: "of a heartbeat alone: how often the job runs",
        },
        InputSpec {
            name: "grace",
            ty: InputType::Duration,
            need: Need::Default("10m"),
            about: "how much later than the schedule says its end may be before it is `overdue`: how long the job takes, and \
                    some more",
        },
    ],
    facts: &[
        FactSpec::implied(
            "defined",
            "cron or systemd knows the job; of a heartbeat alone, the file is there. A line that is commented out or that \
             cron takes no notice of is not",
        ),
        FactSpec::implied(
            "scheduled",
            "it will run again: cron runs and its times come, or the timer is active and elapses again. Nothing is \
             expected of a heartbeat alone",
        ),
        FactSpec::new("enabled", FactType::Bool, "of a timer: it starts with the machine"),
        FactSpec::new(
            "expression",
            FactType::Text,
            "when it runs, in the words of cron or systemd. cron runs a job with both a day of the month and a day of the \
             week on each of them: `0 9 1-7 * 1` is no first Monday",
        ),
        FactSpec::new("user", FactType::Text, "of cron: as whom it runs"),
        FactSpec::new("next_in", FactType::Duration, "until it runs next; cron goes by the time zone of the machine"),
        FactSpec::new(
            "period",
            FactType::Duration,
            "between two runs as scheduled, about now; `every` of a heartbeat alone",
        ),
        FactSpec::new(
            "last_run_age",
            FactType::Duration,
            "since its heartbeat, or since the timer last elapsed; missing of cron without a heartbeat, and if it never \
             ran",
        ),
        FactSpec::new(
            "last_ok",
            FactType::Bool,
            "of a timer: what it starts ended well the last time; missing if that was not started since boot",
        ),
        FactSpec::new(
            "overdue",
            FactType::Bool,
            "it should have run again by now, `grace` included, and did not. Missing where it is not known when it ran \
             last",
        ),
    ],
    example: include_str!("../../examples/probes/schedule.yaml"),
    limit: Duration::from_secs(30),
    build,
};

/// What is looked for, one result each.
#[derive(Clone, Debug)]
enum Jobs {
    Cron(Vec<String>),
    /// As the step writes them, and in full.
    Timers(Vec<(String, String)>),
    Heartbeats(Vec<PathBuf>),
}

#[derive(Clone, Debug)]
struct Schedule {
    jobs: Jobs,
    /// Of the one job.
    heartbeat: Option<PathBuf>,
    how: How,
}

/// How lateness is told.
#[derive(Clone, Copy, Debug)]
struct How {
    stamp: bool,
    every: Option<Duration>,
    grace: Duration,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let (cron, timers, heartbeats) = (inputs.texts("cron"), inputs.texts("timer"), inputs.paths("heartbeat"));
    for text in cron {
        let help = r"put a \ before characters such as ( [ { * + ? . that mean themselves";
        pattern::check(text)
            .map_err(|why| InputError::new("cron", format!("`{text}` is not a regular expression: {why}"), help))?;
    }
    if !cron.is_empty() && !timers.is_empty() {
        return Err(InputError::new("timer", "a job is one of cron or of a timer", "write two steps"));
    }
    let alone = cron.is_empty() && timers.is_empty();
    if alone && heartbeats.is_empty() {
        let help = "write `cron: COMMAND`, `timer: NAME` or `heartbeat: FILE`";
        return Err(InputError::new("", "`schedule` needs the job to look for", help));
    }
    if !alone && (heartbeats.len() > 1 || (heartbeats.len() == 1 && cron.len() + timers.len() > 1)) {
        let message = "one heartbeat is that of one job";
        return Err(InputError::new("heartbeat", message, "write a step for each job and its heartbeat"));
    }
    if !alone && inputs.has("every") {
        let message = "how often the job runs is what cron or the timer says";
        return Err(InputError::new("every", message, "leave `every` out"));
    }
    let in_full = |timer: &String| {
        let stem = timer.strip_suffix(".timer").unwrap_or(timer);
        Ok((timer.clone(), name::full("timer", &format!("{stem}.timer"))?))
    };
    let jobs = match (cron, timers) {
        ([], []) => Jobs::Heartbeats(heartbeats.to_vec()),
        ([], timers) => Jobs::Timers(timers.iter().map(in_full).collect::<Result<_, _>>()?),
        (cron, _) => Jobs::Cron(cron.to_vec()),
    };
    let how = How {
        stamp: inputs.flag("stamp"),
        every: inputs.duration("every"),
        grace: inputs.duration("grace").unwrap_or_default(),
    };
    let heartbeat = heartbeats.first().filter(|_| !alone).cloned();
    Ok(Arc::new(Schedule { jobs, heartbeat, how }))
}

impl Probe for Schedule {
    fn target(&self) -> String {
        match &self.jobs {
            Jobs::Cron(commands) => commands.join(", "),
            Jobs::Timers(timers) => timers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "),
            Jobs::Heartbeats(paths) => {
                paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
            }
        }
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        self.look(cx).boxed()
    }
}

impl Schedule {
    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let subjects = match &self.jobs {
            Jobs::Timers(timers) => {
                let systemd = Systemd::of_this_machine(cx)?;
                let ran = self.heartbeat(cx).await?;
                timer::look(timers, ran, self.how.grace, &systemd).await?
            }
            Jobs::Cron(commands) => {
                let ran = self.heartbeat(cx).await?;
                let (commands, grace, cx) = (commands.clone(), self.how.grace, cx.clone());
                let look = move |cx: &Context| cron::look(&commands, ran, grace, cx);
                cx.clone().blocking(move || look(&cx)).await?
            }
            Jobs::Heartbeats(paths) => {
                let (paths, how, cx) = (paths.clone(), self.how, cx.clone());
                let each = move |cx: &Context| paths.iter().map(|path| alone(path, how, cx)).collect::<Vec<_>>();
                cx.clone().blocking(move || Ok(each(&cx))).await?
            }
        };
        Ok(Observation { subjects, evidence: Vec::new() })
    }

    /// The heartbeat of the one job, if it has one.
    async fn heartbeat(&self, cx: &Context) -> Result<Option<heartbeat::Heartbeat>, ProbeError> {
        let Some(path) = self.heartbeat.clone() else { return Ok(None) };
        let (stamp, now, zone) = (self.how.stamp, cx.now, cx.timezone);
        cx.blocking(move || heartbeat::read(&path, stamp, now, zone)).await.map(Some)
    }
}

/// A heartbeat of which nobody says when it is due but the step.
fn alone(path: &std::path::Path, how: How, cx: &Context) -> Subject {
    let mut subject = Subject::new(path.display().to_string());
    subject.inapplicable =
        ["scheduled", "enabled", "expression", "user", "next_in", "last_ok"].map(str::to_owned).into();
    match heartbeat::read(path, how.stamp, cx.now, cx.timezone) {
        Ok(heartbeat) => {
            subject.set("defined", Value::Bool(heartbeat.at.is_some()));
            heartbeat.describe(cx, &mut subject);
            if let (Some(every), Some(age)) = (how.every, heartbeat.age(cx.now)) {
                subject.set("period", Value::duration(every));
                subject.set("overdue", Value::Bool(age > every + how.grace));
            }
        }
        Err(error) => {
            subject.error =
                Some(error.help.as_ref().map_or_else(|| error.to_string(), |help| format!("{error}; {help}")));
        }
    }
    subject
}
