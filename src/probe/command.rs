//! A command: its exit status, what it printed, and what that says as JSON or as the answer of a monitoring plugin.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use indexmap::IndexMap;

use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::secret::MaybeSecret;
use crate::model::text::one_line;
use crate::model::unit::Quantity;
use crate::model::value::Value;

pub(crate) mod ask;
pub(crate) mod child;
pub(crate) mod json;
pub(crate) mod plugin;
pub(crate) mod start;

use child::{End, Stream};

pub static KIND: Kind = Kind {
    name: "command",
    about: "a command that changes nothing: its exit status and its output. It and every process that it leaves in its \
            process group are ended with the look",
    inputs: &[
        InputSpec {
            name: "run",
            ty: InputType::Arguments,
            need: Need::Optional,
            about: "the program and its arguments, each as it is: no shell reads them. Exactly one of `run` and \
                    `shell` is given",
        },
        InputSpec {
            name: "shell",
            ty: InputType::Text,
            need: Need::Optional,
            about: "a line for /bin/sh: pipes, wildcards, variables. Do not put values of others into it; hand them \
                    over in `env`",
        },
        InputSpec {
            name: "env",
            ty: InputType::Pairs,
            need: Need::Optional,
            about: "environment variables besides those of opsctl; the place for secrets, which do not belong into \
                    arguments",
        },
        InputSpec {
            name: "folder",
            ty: InputType::Path,
            need: Need::Optional,
            about: "where it runs; the folder of the site file when not given",
        },
        InputSpec {
            name: "user",
            ty: InputType::Text,
            need: Need::Optional,
            about: "the user as whom it runs, with that user's main group and no other; needs root. Sets HOME, USER \
                    and LOGNAME",
        },
        InputSpec {
            name: "parse",
            ty: InputType::Choice(&["plugin"]),
            need: Need::Optional,
            about: "`plugin`: it answers like a monitoring plugin (Nagios, Icinga, Checkmk's local ones), which gives \
                    `state`, `message` and `perf`",
        },
        InputSpec {
            name: "output_limit",
            ty: InputType::Size,
            need: Need::Default("64KiB"),
            about: "how much of stdout and of stderr is kept; the rest is read and thrown away",
        },
    ],
    facts: &[
        FactSpec::implied_unless(
            "succeeded",
            &["exit", "signal", "state"],
            "ended with exit status 0; expected of every command whose step names neither this nor `exit`, `signal` or \
             `state`",
        ),
        FactSpec::new("exit", FactType::Count, "exit status; missing when a signal ended it"),
        FactSpec::new("signal", FactType::Text, "the signal that ended it, such as SIGSEGV; missing otherwise"),
        FactSpec::new("took", FactType::Duration, "from its start to its end"),
        FactSpec::new("stdout", FactType::Text, "standard output without white space at the end"),
        FactSpec::new("stderr", FactType::Text, "standard error without white space at the end"),
        FactSpec::family("json", FactType::Any, "a place in standard output read as JSON: `queue.depth`, `items.0.id`"),
        FactSpec::new("state", FactType::Text, "of a plugin: ok, warning, critical or unknown, by its exit status"),
        FactSpec::new("message", FactType::Text, "of a plugin: the first line, without performance data"),
        FactSpec::family(
            "perf",
            FactType::Any,
            "of a plugin: a value of its performance data, by label, with its unit",
        ),
    ],
    example: include_str!("../../examples/probes/command.yaml"),
    limit: std::time::Duration::from_secs(30),
    build,
};

/// Lines of output that are kept as evidence; the end of a long output says most.
const EVIDENCE_LINES: usize = 20;

#[derive(Clone, Debug)]
struct Command {
    /// The program and its arguments.
    run: Vec<String>,
    /// As people see it.
    shown: String,
    env: IndexMap<String, MaybeSecret>,
    folder: Option<PathBuf>,
    user: Option<String>,
    plugin: bool,
    output_limit: usize,
}

/// The program and its arguments, or the shell with the line that it is given.
pub(crate) fn line(inputs: &Inputs) -> Result<Vec<String>, InputError> {
    Ok(match (inputs.texts("run"), inputs.text("shell")) {
        ([], None) | ([_, ..], Some(_)) => {
            let message = "a command needs either `run` or `shell`";
            return Err(InputError::new("", message, "write `run: [program, argument]`, or `shell: a | b`"));
        }
        ([program, ..], None) if program.is_empty() => {
            return Err(InputError::new("run", "the program has no name", "write `run: [program, argument]`"));
        }
        (run, None) => run.to_vec(),
        ([], Some(line)) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.to_owned()],
    })
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let run = line(inputs)?;
    let shown = inputs.text("shell").map_or_else(|| run.join(" "), str::to_owned);
    Ok(Arc::new(Command {
        shown: one_line(&shown, 80),
        run,
        env: inputs.pairs("env").cloned().unwrap_or_default(),
        folder: inputs.path("folder").cloned(),
        user: inputs.text("user").map(str::to_owned),
        plugin: inputs.text("parse") == Some("plugin"),
        output_limit: usize::try_from(inputs.size("output_limit").unwrap_or(0)).unwrap_or(usize::MAX),
    }))
}

impl Probe for Command {
    fn target(&self) -> String {
        self.shown.clone()
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        self.look(cx).boxed()
    }
}

impl Command {
    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let deadline = tokio::time::Instant::now() + cx.limit;
        let command = self.prepare(cx, deadline).await?;
        let (program, user) = (self.run[0].clone(), self.user.clone());
        let start = cx.blocking(move || start::start(command, &program, user.as_deref()));
        let running = tokio::select! {
            running = start => running?,
            () = tokio::time::sleep_until(deadline) => return Err(self.too_long(cx, "it could not even be started")),
        };
        let ended = running.run(deadline, &cx.cancel, self.output_limit).await;
        match ended.end {
            End::Exited { status, took } => {
                let mut subject = Subject::new(&self.shown);
                status_facts(&mut subject, status);
                subject.set("took", Value::duration(took));
                self.output_facts(&mut subject, cx, status, &ended.stdout, &ended.stderr);
                if ended.left_open {
                    subject.note("a process that it started kept its output open; what that printed later is not here");
                }
                let evidence = [("stderr", ended.stderr, 1), ("stdout", ended.stdout, 2)]
                    .iter()
                    .filter_map(|(title, stream, least)| evidence(title, stream, *least))
                    .collect();
                Ok(Observation { subjects: vec![subject], evidence })
            }
            End::TimeLimit => {
                let last = ended.stderr.last_line().or_else(|| ended.stdout.last_line());
                let said = last.map_or_else(
                    || "it printed nothing".to_owned(),
                    |line| format!("the last that it printed is: {}", one_line(&line, 120)),
                );
                Err(self.too_long(cx, &said))
            }
            End::Cancelled => Err(ProbeError::new("cancelled", format!("`{}` was ended with the run", self.shown))),
            End::Lost(error) => Err(ProbeError::new("io", format!("cannot wait for `{}`: {error}", self.shown))),
        }
    }

    async fn prepare(
        &self,
        cx: &Context,
        deadline: tokio::time::Instant,
    ) -> Result<tokio::process::Command, ProbeError> {
        let mut command = tokio::process::Command::new(&self.run[0]);
        command.args(&self.run[1..]).current_dir(self.folder.as_ref().unwrap_or(&cx.folder));
        if let Some(name) = &self.user {
            let lookup = tokio::time::timeout_at(deadline, start::user(name));
            let user = lookup.await.map_err(|_| self.too_long(cx, "its user could not be looked up"))??;
            user.apply(&mut command);
        }
        for (name, value) in &self.env {
            command.env(name, cx.text(value).await?.expose());
        }
        Ok(command)
    }

    fn too_long(&self, cx: &Context, said: &str) -> ProbeError {
        let limit = Quantity::duration(cx.limit).rounded();
        ProbeError::new("time_limit", format!("`{}` did not end within {limit}; {said}", self.shown))
            .help("find out what it waits for, or raise the step's `timeout`; it was ended with all its children")
    }

    fn output_facts(&self, subject: &mut Subject, cx: &Context, status: ExitStatus, stdout: &Stream, stderr: &Stream) {
        let printed = stdout.text();
        subject.set("stdout", Value::text(printed.trim_end()));
        subject.set("stderr", Value::text(stderr.text().trim_end()));
        let kept = Quantity::bytes(self.output_limit as u64).rounded();
        for (name, stream) in [("stdout", stdout), ("stderr", stderr)] {
            if stream.left_out > 0 {
                let more = Quantity::bytes(stream.left_out).rounded();
                subject.note(format!("{name} went on for {more} after the {kept} that `output_limit` keeps"));
            }
        }
        let asked: Vec<&str> = cx.asked_of("json").collect();
        if !asked.is_empty() {
            if stdout.left_out > 0 {
                subject.note("stdout is longer than `output_limit`, so it cannot be read as JSON");
            } else {
                json::facts(subject, &printed, &asked);
            }
        }
        if self.plugin {
            plugin::facts(subject, status.code(), &printed);
        }
    }
}

fn status_facts(subject: &mut Subject, status: ExitStatus) {
    use std::os::unix::process::ExitStatusExt;
    subject.set("succeeded", Value::Bool(status.success()));
    if let Some(code) = status.code() {
        subject.set("exit", Value::Integer(code.into()));
        if code != 0 {
            subject.note(format!("exit status {code}"));
        }
    }
    if let Some(signal) = status.signal() {
        let name = child::signal_name(signal);
        subject.note(format!("ended by {name}"));
        subject.set("signal", Value::text(name));
    }
}

/// The end of what was printed, if it has at least `least` lines: one line is seen in its fact.
pub(crate) fn evidence(title: &str, stream: &Stream, least: usize) -> Option<Evidence> {
    let text = stream.text();
    let lines: Vec<&str> = text.trim_end().lines().collect();
    if lines.len() < least {
        return None;
    }
    let left_out = lines.len().saturating_sub(EVIDENCE_LINES);
    let lines = lines[left_out..].iter().map(|line| (*line).to_owned()).collect();
    Some(Evidence { left_out: left_out as u64, ..Evidence::new(title, lines) })
}
