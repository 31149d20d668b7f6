//! Old files, deleted after they were listed: exactly those, and only while they are still the same.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use chrono::{DateTime, SecondsFormat};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{Action, ActionError, Changed, Context, Kind, shown};
use crate::model::action::{Effect, Plan};
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::unit::Quantity;
use crate::model::value::Value;
use crate::probe::disk::mounts::MountTable;
use crate::probe::{self, ProbeError};

mod choice;
mod folder;
mod guard;
mod open;

use choice::{Choice, Found, Names, Rule};
use folder::{PassedBy, Root};

const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "folder",
        ty: InputType::Paths,
        need: Need::Required,
        about: "the folder, or a list of them, each by its own path: no glob, no symbolic link on the way. Folders of \
                the system, homes, and folders that many programs share are refused",
    },
    InputSpec {
        name: "name",
        ty: InputType::Texts,
        need: Need::Required,
        about: "a glob, or a list of them, for the names of the files (`*.log.*`); one with `/` is for the path below \
                the folder. A hidden name is matched only by a glob that begins with a dot",
    },
    InputSpec {
        name: "except",
        ty: InputType::Texts,
        need: Need::Optional,
        about: "globs for files that stay although `name` matches them",
    },
    InputSpec {
        name: "older_than",
        ty: InputType::Duration,
        need: Need::Optional,
        about: "only what was last modified longer ago than this",
    },
    InputSpec {
        name: "larger_than",
        ty: InputType::Size,
        need: Need::Optional,
        about: "only what is larger than this",
    },
    InputSpec {
        name: "keep_newest",
        ty: InputType::Integer { least: 0, most: 10_000 },
        need: Need::Default("0"),
        about: "so many of the newest that match stay in each folder, however old they are; empty files do not count",
    },
    InputSpec {
        name: "recursive",
        ty: InputType::Bool,
        need: Need::Default("false"),
        about: "whether the folders below are cleaned up too; hidden ones and other file systems never are",
    },
    InputSpec {
        name: "empty_folders",
        ty: InputType::Bool,
        need: Need::Default("false"),
        about: "whether folders below that are empty when the plan is made are removed too; needs `recursive`",
    },
    InputSpec {
        name: "most",
        ty: InputType::Integer { least: 1, most: 10_000 },
        need: Need::Default("1000"),
        about: "how many are deleted at most in one go in each folder, the oldest first: the plan lists every one",
    },
];

pub static KIND: Kind = Kind {
    name: "cleanup",
    about: "old files, deleted. The plan lists each; one that has changed since, or that a process has open, is left",
    inputs: INPUTS,
    facts: &[
        FactSpec::new("deleted", FactType::Count, "how many files and empty folders were deleted"),
        FactSpec::new(
            "freed",
            FactType::Size,
            "the space that this gave back; a file with another name (a hard link) gives back none",
        ),
        FactSpec::new("left", FactType::Count, "how many of those listed were left; the evidence says why"),
    ],
    checks: "folders of the system, and those that many programs share, are refused. Each file is shown with \
             its age and size, and those that a process has open are left out",
    effect: Effect::Destructive,
    destructive_when: "",
    least: |_| Effect::Destructive,
    example: include_str!("../../examples/actions/cleanup.yaml"),
    limit: std::time::Duration::from_mins(5),
    build,
};

/// How many reasons for what is left are kept.
const REASONS: usize = 50;

#[derive(Clone)]
struct Cleanup {
    folders: Vec<PathBuf>,
    rule: Rule,
    recursive: bool,
}

/// What is deleted below one folder, which must still be the same one.
#[derive(Serialize, Deserialize)]
struct Listed {
    folder: PathBuf,
    device: u64,
    inode: u64,
    found: Vec<Found>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Action>, InputError> {
    let homes = guard::homes();
    let folders = inputs.paths("folder").to_vec();
    for (index, folder) in folders.iter().enumerate() {
        let help = "name the folder of one application, such as /var/log/helpdesk";
        if let Some(why) = guard::refusal(folder, &homes) {
            return Err(InputError::new("folder", format!("{why}: it is not cleaned up"), help));
        }
        if folders[..index].iter().any(|other| other.starts_with(folder) || folder.starts_with(other)) {
            let message = format!("{} is listed twice, or lies in another one that is listed", folder.display());
            return Err(InputError::new("folder", message, "name each folder once"));
        }
    }
    let names = |input: &'static str| {
        Names::new(inputs.texts(input))
            .map_err(|why| InputError::new(input, why, "write for example `*.log.*`, and quote it in YAML"))
    };
    if inputs.texts("name").iter().any(String::is_empty) {
        return Err(InputError::new("name", "an empty glob matches nothing", "write `*` if every name is meant"));
    }
    let count = |input: &str| inputs.integer(input).and_then(|count| usize::try_from(count).ok());
    let rule = Rule {
        names: names("name")?,
        except: names("except")?,
        older_than: inputs.duration("older_than"),
        larger_than: inputs.size("larger_than"),
        keep_newest: count("keep_newest").unwrap_or(0),
        empty_folders: inputs.flag("empty_folders"),
        most: count("most").unwrap_or(1),
    };
    let recursive = inputs.flag("recursive");
    if rule.empty_folders && !recursive {
        let help = "write `recursive: true` too, or leave it out";
        return Err(InputError::new("empty_folders", "the folders below are not looked at", help));
    }
    Ok(Arc::new(Cleanup { folders, rule, recursive }))
}

impl Action for Cleanup {
    fn target(&self) -> String {
        self.folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    fn plan<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Plan, ActionError>> {
        let (this, work) = (self.clone(), Work::begin(&cx.look));
        bounded(cx, move || this.look(&work)).boxed()
    }

    fn perform<'a>(&'a self, plan: &'a Plan, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ActionError>> {
        let (this, work, data) = (self.clone(), Work::begin(&cx.look), plan.data.clone());
        let settled = plan.settled;
        bounded(cx, move || {
            if settled {
                let nothing = |folder: &PathBuf| Outcome::default().subject(&folder.display().to_string());
                return Ok(Observation { subjects: this.folders.iter().map(nothing).collect(), evidence: Vec::new() });
            }
            this.delete(&work, data)
        })
        .boxed()
    }
}

/// Runs `work` on a thread of its own. A dead mount can hold it for ever; it ends itself before it deletes anything
/// late.
async fn bounded<T: Send + 'static>(
    cx: &Context,
    work: impl FnOnce() -> Result<T, ActionError> + Send + 'static,
) -> Result<T, ActionError> {
    let deadline = tokio::time::Instant::now() + cx.look.limit + std::time::Duration::from_secs(1);
    let done = cx.look.blocking(move || Ok(work()));
    match tokio::time::timeout_at(deadline, done).await {
        Ok(done) => done?,
        Err(_) => Err(ActionError::midway("time_limit", "a file system does not answer")
            .help("see which mount hangs; what was deleted before is gone")),
    }
}

/// What a thread that looks and deletes must obey.
struct Work {
    cx: probe::Context,
    until: Instant,
}

impl Work {
    fn begin(cx: &probe::Context) -> Self {
        Self { cx: cx.clone(), until: Instant::now() + cx.limit }
    }

    fn go_on(&self) -> Result<(), ProbeError> {
        if self.cx.cancel.is_cancelled() {
            return Err(ProbeError::new("cancelled", "the run was ended"));
        }
        if Instant::now() > self.until {
            let limit = Value::duration(self.cx.limit);
            return Err(ProbeError::new("time_limit", format!("not done within the time limit of {limit}"))
                .help("raise the step's `timeout`, or take fewer at a time with `most`"));
        }
        Ok(())
    }
}

impl Cleanup {
    fn look(&self, work: &Work) -> Result<Plan, ActionError> {
        let mounts = MountTable::read()?;
        let now = SystemTime::from(work.cx.now);
        let mut notes = Vec::new();
        let mut all = Vec::new();
        for folder in &self.folders {
            let root = Root::open(folder)?;
            root.writable()?;
            let mut choice = Choice::new(&self.rule, now);
            let passed = root.walk(self.recursive, &mut choice, &mounts, &|| work.go_on())?;
            self.say(&root, &choice, &passed, &mut notes);
            all.push(Listed { folder: folder.clone(), device: root.device, inode: root.inode, found: choice.taken() });
        }
        let open = self.open_among(&all, &mounts, work)?;
        notes.extend(open.said());
        for listed in &mut all {
            listed.found.retain(|found| match open.by.get(&(found.device, found.inode)) {
                Some(process) if !found.folder => {
                    notes.push(format!("{} is left: {process} has it open", path_of(&listed.folder, found)));
                    false
                }
                _ => true,
            });
        }
        let does: Vec<String> = all.iter().flat_map(Listed::lines).collect();
        if does.is_empty() {
            let mut plan = Plan::settled(format!("there is nothing to delete in {}", self.target()));
            plan.notes.extend(notes);
            return Ok(plan);
        }
        let size: u64 = all.iter().flat_map(|listed| &listed.found).map(|found| found.size).sum();
        let mut plan = Plan::new(does);
        plan.notes.push(format!("{} to delete, {} in all", plan.does.len(), Quantity::bytes(size).rounded()));
        plan.notes.extend(notes);
        let data = serde_json::to_value(&all)
            .map_err(|error| ActionError::before("io", format!("the list cannot be kept: {error}")))?;
        Ok(plan.data(data))
    }

    /// What a person should know of what is not listed.
    fn say(&self, root: &Root, choice: &Choice<'_>, passed: &PassedBy, notes: &mut Vec<String>) {
        let folder = root.path.display();
        let mut say =
            |what: Option<String>, why: &str| notes.extend(what.map(|what| format!("in {folder}: {what} {why}")));
        let number = |count: u64| (count > 0).then(|| count.to_string());
        say(number(choice.more), &format!("more match and wait for the next time: `most` is {}", self.rule.most));
        say(number(choice.kept() as u64), "of the newest stay");
        say(number(passed.no_files), "links, sockets and the like are never deleted");
        say(number(passed.bad_names), "with a name that is no UTF-8 are left");
        say(passed.foreign.shown(), "is another file system and not looked at");
        say(passed.unreadable.shown(), "cannot be read, so what is in it is left");
        say(passed.too_deep.shown(), "lies too deep and is not looked at");
    }

    fn open_among(&self, all: &[Listed], mounts: &MountTable, work: &Work) -> Result<open::Open, ProbeError> {
        let files = all.iter().flat_map(|listed| &listed.found);
        let wanted: HashSet<(u64, u64)> = files.map(|found| (found.device, found.inode)).collect();
        open::look(&wanted, &self.folders, mounts, &|| work.go_on())
    }

    fn delete(&self, work: &Work, data: serde_json::Value) -> Result<Observation, ActionError> {
        let other = || {
            ActionError::before("changed", "the step has changed since it was planned, so nothing was deleted")
                .help("plan it again, and have the new plan agreed to")
        };
        let all: Vec<Listed> = serde_json::from_value(data).map_err(|_| other())?;
        if !all.iter().map(|listed| &listed.folder).eq(&self.folders) {
            return Err(other());
        }
        let open = self.open_among(&all, &MountTable::read()?, work)?;
        let roots: Vec<Root> = all.iter().map(Listed::root).collect::<Result<_, _>>()?;
        let mut outcomes: Vec<Outcome> = Vec::new();
        for (listed, root) in all.iter().zip(&roots) {
            outcomes.push(Outcome::default());
            for found in &listed.found {
                let deleted: u64 = outcomes.iter().map(|outcome| outcome.deleted).sum();
                work.go_on().map_err(|error| interrupted(error, deleted, &self.target()))?;
                let done = match open.by.get(&(found.device, found.inode)).filter(|_| !found.folder) {
                    Some(process) => Err(format!("{process} has it open")),
                    None => root.remove(found),
                };
                if let Some(outcome) = outcomes.last_mut() {
                    outcome.add(done, || path_of(&listed.folder, found));
                }
            }
        }
        let first = outcomes.iter().find_map(|outcome| outcome.reasons.first());
        if let Some(why) = first.filter(|_| outcomes.iter().all(|outcome| outcome.deleted == 0)) {
            let message = format!("nothing of what was listed could be deleted: {why}");
            return Err(ActionError::before("nothing_deleted", message).help("plan it again to see what there is now"));
        }
        Ok(self.report(outcomes, open.said()))
    }

    fn report(&self, outcomes: Vec<Outcome>, said: Option<String>) -> Observation {
        let mut seen = Observation::default();
        let mut evidence = Evidence::new("left", Vec::new());
        for (folder, outcome) in self.folders.iter().zip(outcomes) {
            seen.subjects.push(outcome.subject(&folder.display().to_string()));
            evidence.left_out += outcome.left.saturating_sub(outcome.reasons.len() as u64);
            evidence.lines.extend(outcome.reasons);
        }
        if let (Some(said), Some(first)) = (said, seen.subjects.first_mut()) {
            first.note(said);
        }
        seen.evidence.extend((!evidence.lines.is_empty()).then_some(evidence));
        seen
    }
}

impl Listed {
    /// Each with what tells whether it is still the same, and nothing that changes while it is thought about: what was
    /// agreed to has to be what is deleted.
    fn lines(&self) -> impl Iterator<Item = String> {
        self.found.iter().map(move |found| {
            let path = path_of(&self.folder, found);
            let (device, inode) = (found.device, found.inode);
            let modified = DateTime::from_timestamp(found.modified.0, u32::try_from(found.modified.1).unwrap_or(0));
            let modified = modified.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true);
            let size = Value::bytes(found.size);
            if found.folder {
                return format!(
                    "remove the empty folder {path}: modified {modified}, inode {inode} on device {device}"
                );
            }
            format!("delete {path}: {size}, modified {modified}, inode {inode} on device {device}")
        })
    }

    fn root(&self) -> Result<Root, ActionError> {
        let root = Root::open(&self.folder)?;
        if (root.device, root.inode) == (self.device, self.inode) {
            return Ok(root);
        }
        let message = format!("{} is another folder than when this was planned", self.folder.display());
        Err(ActionError::before("changed", message).help("look at who replaced it, and plan it again"))
    }
}

fn path_of(folder: &std::path::Path, found: &Found) -> String {
    shown::quoted(&folder.join(&found.path).display().to_string()).into_owned()
}

fn interrupted(error: ProbeError, deleted: u64, target: &str) -> ActionError {
    let changed = if deleted == 0 { Changed::Nothing } else { Changed::Perhaps };
    let message = format!("{target}: {deleted} were deleted, then {}", error.message);
    ActionError { code: error.code, message, help: error.help, changed }
}

impl open::Open {
    fn said(&self) -> Option<String> {
        let hidden = self.hidden;
        let of = "of other users cannot be seen, nor what files they have open: run opsctl as root to see them";
        (hidden > 0).then(|| format!("{hidden} processes {of}"))
    }
}

#[derive(Default)]
struct Outcome {
    deleted: u64,
    freed: u64,
    left: u64,
    reasons: Vec<String>,
}

impl Outcome {
    fn add(&mut self, done: Result<u64, String>, path: impl FnOnce() -> String) {
        match done {
            Ok(freed) => {
                self.deleted += 1;
                self.freed += freed;
            }
            Err(why) => {
                self.left += 1;
                if self.reasons.len() < REASONS {
                    self.reasons.push(format!("{}: {why}", path()));
                }
            }
        }
    }

    fn subject(&self, folder: &str) -> Subject {
        Subject::new(folder)
            .with("deleted", Value::count(self.deleted))
            .with("freed", Value::bytes(self.freed))
            .with("left", Value::count(self.left))
    }
}
