//! A command that changes something.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

use super::run::{self, Done, Job};
use super::{Action, ActionError, Context, Kind, shown};
use crate::model::action::{Effect, Plan};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::secret::MaybeSecret;
use crate::model::text::one_line;
use crate::model::unit::Quantity;
use crate::model::value::Value;
use crate::probe::command::{evidence, line, start};
use crate::probe::{self, ProbeError};

const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "run",
        ty: InputType::Arguments,
        need: Need::Optional,
        about: "the program and its arguments, each as it is: no shell reads them. Exactly one of `run` and `shell` is \
                given",
    },
    InputSpec {
        name: "shell",
        ty: InputType::Text,
        need: Need::Optional,
        about: "a line for /bin/sh: pipes, wildcards, variables. Do not put values of others into it; hand them over \
                in `env`. The exit status of a pipe is that of its last part alone",
    },
    InputSpec {
        name: "env",
        ty: InputType::Pairs,
        need: Need::Optional,
        about: "environment variables besides those of opsctl; the place for secrets, which do not belong into \
                arguments. A secret is shown by the place that it comes from",
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
        about: "the user as whom it runs, with that user's main group and no other; needs root. Sets HOME, USER and \
                LOGNAME",
    },
    InputSpec {
        name: "exit",
        ty: InputType::Texts,
        need: Need::Default("0"),
        about: "the exit status, or a list of those, that means that it was done; any other is a failure",
    },
    InputSpec {
        name: "creates",
        ty: InputType::Path,
        need: Need::Optional,
        about: "what is there once it was done: if it is there already, nothing is run",
    },
    InputSpec {
        name: "reviewed",
        ty: InputType::Paths,
        need: Need::Optional,
        about: "files that the command works from, such as its script: the plan has their checksums, and if one is \
                edited after the plan was agreed to, nothing is run",
    },
    InputSpec {
        name: "output_limit",
        ty: InputType::Size,
        need: Need::Default("64KiB"),
        about: "how much of stdout and of stderr is kept; the rest is read and thrown away",
    },
];

pub static KIND: Kind = Kind {
    name: "command",
    about: "a command that changes something. It is ended as a whole, with all that is in its process group: what has \
            to go on afterwards belongs to a service manager",
    inputs: INPUTS,
    facts: &[
        FactSpec::new("exit", FactType::Count, "exit status"),
        FactSpec::new("took", FactType::Duration, "from its start to its end"),
        FactSpec::new("stdout", FactType::Text, "standard output without white space at the end"),
        FactSpec::new("stderr", FactType::Text, "standard error without white space at the end"),
    ],
    checks: "the program and the folder are there, the user is known, the secrets can be read, and the files \
             of `reviewed` are taken down with their checksums. Nothing is run if `creates` is there",
    effect: Effect::Change,
    destructive_when: "",
    least: |_| Effect::Change,
    example: include_str!("../../examples/actions/command.yaml"),
    limit: std::time::Duration::from_mins(5),
    build,
};

/// More than any script has, in bytes.
const MOST_REVIEWED: u64 = 16 << 20;

struct Command {
    /// The program and its arguments.
    run: Vec<String>,
    /// The text of `shell`, or the command line.
    target: String,
    env: IndexMap<String, MaybeSecret>,
    folder: Option<PathBuf>,
    user: Option<String>,
    exit: BTreeSet<i32>,
    creates: Option<PathBuf>,
    reviewed: Vec<PathBuf>,
    output_limit: usize,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Action>, InputError> {
    let run = line(inputs)?;
    let exit = inputs.texts("exit").iter().map(|text| {
        text.parse::<u8>().map(i32::from).map_err(|_| {
            InputError::new("exit", format!("`{text}` is no exit status"), "write a number from 0 to 255, or a list")
        })
    });
    Ok(Arc::new(Command {
        target: one_line(&inputs.text("shell").map_or_else(|| shown::command(&run), str::to_owned), 80),
        run,
        env: inputs.pairs("env").cloned().unwrap_or_default(),
        folder: inputs.path("folder").cloned(),
        user: inputs.text("user").map(str::to_owned),
        exit: exit.collect::<Result<_, _>>()?,
        creates: inputs.path("creates").cloned(),
        reviewed: inputs.paths("reviewed").to_vec(),
        output_limit: usize::try_from(inputs.size("output_limit").unwrap_or(0)).unwrap_or(usize::MAX),
    }))
}

impl Action for Command {
    fn target(&self) -> String {
        self.target.clone()
    }

    fn plan<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Plan, ActionError>> {
        self.look(&cx.look).boxed()
    }

    fn perform<'a>(&'a self, plan: &'a Plan, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ActionError>> {
        self.act(plan, &cx.look).boxed()
    }
}

impl Command {
    async fn look(&self, cx: &probe::Context) -> Result<Plan, ActionError> {
        if let Some(path) = self.done_already() {
            return Ok(Plan::settled(format!("{} is there already", path.display())));
        }
        self.prepare(cx, run::deadline(cx)).await?;
        let files = self.files(cx).await?;
        let lines = self.lines(cx);
        let data = json!({ "fingerprint": run::fingerprint(&lines), "files": files });
        let mut plan = Plan::new(lines).data(data);
        for (path, seen) in &files {
            if let Some(sha256) = seen.get("sha256").and_then(Json::as_str) {
                plan = plan.note(format!("{} has the SHA-256 {sha256}", shown::quoted(path)));
            }
        }
        Ok(plan)
    }

    async fn act(&self, plan: &Plan, cx: &probe::Context) -> Result<Observation, ActionError> {
        let deadline = run::deadline(cx);
        if plan.settled {
            return Ok(Subject::new(&self.target).into());
        }
        run::refuse_other_plan(plan, &self.lines(cx))?;
        if let Some(path) = self.done_already() {
            let message =
                format!("{} has appeared since this was planned, so `{}` was not run", path.display(), self.target);
            return Err(ActionError::before("changed", message).help("look at who made it, and plan it again"));
        }
        let command = self.prepare(cx, deadline).await?;
        self.refuse_edited(plan, &self.files(cx).await?)?;
        let job = Job {
            command,
            program: &self.run[0],
            user: self.user.as_deref(),
            shown: &self.target,
            output_limit: self.output_limit,
        };
        let done = job.run(deadline, cx).await?;
        let exit = match done.exit() {
            Ok(exit) if self.exit.contains(&exit) => exit,
            ended => return Err(self.failed(ended, &done)),
        };
        Ok(self.report(exit, done))
    }

    fn done_already(&self) -> Option<&PathBuf> {
        self.creates.as_ref().filter(|path| path.symlink_metadata().is_ok())
    }

    fn folder<'a>(&'a self, cx: &'a probe::Context) -> &'a Path {
        self.folder.as_ref().unwrap_or(&cx.folder)
    }

    /// The command, where and as whom it runs, and its environment, by which secrets are named and not shown.
    fn lines(&self, cx: &probe::Context) -> Vec<String> {
        let mut lines = vec![shown::command(&self.run)];
        lines.push(format!("  in {}", shown::quoted(&self.folder(cx).display().to_string())));
        lines.extend(self.user.iter().map(|user| format!("  as user {}", shown::quoted(user))));
        lines.extend(self.env.iter().map(|(name, value)| match value {
            MaybeSecret::Plain(text) => format!("  with {name}={}", shown::quoted(text)),
            MaybeSecret::Secret(secret) => format!("  with {name} from {secret}"),
        }));
        if !self.exit.iter().eq([&0]) {
            lines.push(format!("  which must end with exit status {}", self.exits()));
        }
        lines
    }

    fn exits(&self) -> String {
        self.exit.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
    }

    async fn prepare(&self, cx: &probe::Context, deadline: Instant) -> Result<tokio::process::Command, ProbeError> {
        let mut command = tokio::process::Command::new(&self.run[0]);
        command.args(&self.run[1..]).current_dir(self.folder(cx));
        if let Some(name) = &self.user {
            let late = |_| ProbeError::new("time_limit", format!("the user {name} could not be looked up in time"));
            timeout_at(deadline, start::user(name)).await.map_err(late)??.apply(&mut command);
        }
        for (name, value) in &self.env {
            command.env(name, cx.text(value).await?.expose());
        }
        Ok(command)
    }

    /// What tells whether the program and the reviewed files are still the same, by their paths.
    async fn files(&self, cx: &probe::Context) -> Result<IndexMap<String, Json>, ProbeError> {
        let (program, folder, reviewed) = (self.run[0].clone(), self.folder(cx).to_owned(), self.reviewed.clone());
        cx.blocking(move || {
            let is_folder = fs::metadata(&folder)
                .map_err(|error| ProbeError::io(format!("the folder {}", folder.display()), &error))?
                .is_dir();
            let place = start::place_of(&program, Some(&folder)).filter(|_| is_folder).ok_or_else(|| {
                ProbeError::new(
                    "no_such_tool",
                    format!("there is no program `{program}` to run in {}", folder.display()),
                )
                .help("correct the step, or install the program")
            })?;
            let mut files = IndexMap::new();
            files.insert(place.display().to_string(), identity(&place)?);
            for path in reviewed {
                files.insert(path.display().to_string(), checksum(&path)?);
            }
            Ok(files)
        })
        .await
    }

    fn refuse_edited(&self, plan: &Plan, now: &IndexMap<String, Json>) -> Result<(), ActionError> {
        for (path, seen) in now {
            if plan.data["files"].get(path) != Some(seen) {
                let message = format!("{path} has changed since this was planned, so `{}` was not run", self.target);
                return Err(ActionError::before("changed", message).help("read what has changed, and plan it again"));
            }
        }
        Ok(())
    }

    fn failed(&self, ended: Result<i32, String>, done: &Done) -> ActionError {
        let how = ended
            .map_or_else(|signal| signal, |exit| format!("ended with exit status {exit}, not with {}", self.exits()));
        ActionError::midway("failed", format!("`{}` {how}; {}", self.target, done.last_words()))
            .help("look at what it has changed before it is run again; if that exit status is right, name it in `exit`")
    }

    fn report(&self, exit: i32, done: Done) -> Observation {
        let mut subject = Subject::new(&self.target)
            .with("exit", Value::Integer(exit.into()))
            .with("took", Value::duration(done.took))
            .with("stdout", Value::text(done.stdout.text().trim_end()))
            .with("stderr", Value::text(done.stderr.text().trim_end()));
        for (name, stream) in [("stdout", &done.stdout), ("stderr", &done.stderr)] {
            if stream.left_out > 0 {
                let (more, kept) = (Quantity::bytes(stream.left_out), Quantity::bytes(self.output_limit as u64));
                let (more, kept) = (more.rounded(), kept.rounded());
                subject.note(format!("{name} went on for {more} after the {kept} that `output_limit` keeps"));
            }
        }
        if done.left_open {
            subject.note("a process that it started kept its output open; what that printed later is not here");
        }
        let outputs = [("stderr", done.stderr), ("stdout", done.stdout)];
        let evidence = outputs.iter().filter_map(|(title, stream)| evidence(title, stream, 1)).collect();
        Observation { subjects: vec![subject], evidence }
    }
}

/// Of a program: too large to be read each time, so by what changes when it is replaced.
fn identity(path: &Path) -> Result<Json, ProbeError> {
    let file = fs::metadata(path).map_err(|error| ProbeError::io(path.display(), &error))?;
    Ok(json!({
        "device": file.dev(), "inode": file.ino(), "size": file.len(),
        "modified": [file.mtime(), file.mtime_nsec()],
    }))
}

fn checksum(path: &Path) -> Result<Json, ProbeError> {
    let error = |error: &io::Error| ProbeError::io(format!("the reviewed file {}", path.display()), error);
    let file = fs::metadata(path).map_err(|e| error(&e))?;
    if !file.is_file() || file.len() > MOST_REVIEWED {
        let message = format!("{} is in `reviewed` and is no file that a person can have read", path.display());
        return Err(ProbeError::new("bad_file", message).help("name scripts of at most 16 MiB, each by its path"));
    }
    let mut hash = Sha256::new();
    io::copy(&mut fs::File::open(path).map_err(|e| error(&e))?, &mut HashWriter(&mut hash)).map_err(|e| error(&e))?;
    Ok(json!({ "sha256": run::hex(&hash.finalize()) }))
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
