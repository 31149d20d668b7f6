//! Free space of mounted file systems, in the numbers of `df`, one subject for each mount.

pub(crate) mod mounts;
mod place;
mod space;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use globset::{Glob, GlobBuilder, GlobMatcher};
use tokio::time::Instant;

use self::mounts::{Mount, MountTable};
use self::place::Place;
use self::space::{Space, Trouble};
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::unit::Quantity;
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "disk",
    about: "free space, free inodes and state of mounted file systems, in the numbers of `df`",
    inputs: &[
        InputSpec {
            name: "path",
            ty: InputType::Paths,
            need: Need::Optional,
            about: "paths to look at, each answered by the file system that holds it; a glob such as `/mnt/*` stands \
                    for the real file systems mounted there. Without it: every real file system once (no tmpfs, \
                    no overlay but the root, no images such as snaps, no second mount of the same device)",
        },
        InputSpec {
            name: "exclude",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "mount points (`/mnt/cdrom`, `/var/lib/docker/**`) or types (`vfat`, `fuse.*`) to leave out of \
                    every real file system; a path that is named is never left out",
        },
    ],
    facts: &[
        FactSpec::new("size", FactType::Size, "the whole file system; missing where it counts no blocks"),
        FactSpec::new("used", FactType::SizeShare, "what is written; the percentage is `Use%` of `df`, rounded up"),
        FactSpec::new(
            "free",
            FactType::SizeShare,
            "what ordinary users can still write, without the blocks reserved for root; the percentage is 100 % \
             less `Use%` of `df`",
        ),
        FactSpec::new(
            "inodes_free",
            FactType::Percent,
            "how many more files fit, 100 % less `IUse%` of `df`; missing where there is no such limit, as on btrfs",
        ),
        FactSpec::new("read_only", FactType::Bool, "mounted read-only, or made so by the kernel after an error"),
        FactSpec::new(
            "mounted",
            FactType::Bool,
            "the path is a mount point itself; if not, the other facts are those of the mount that holds it",
        ),
        FactSpec::new("type", FactType::Text, "of the file system, such as `ext4`"),
        FactSpec::new("source", FactType::Text, "the device or server, such as `/dev/sda1` or `server:/folder`"),
    ],
    example: include_str!("../../examples/probes/disk.yaml"),
    limit: std::time::Duration::from_secs(30),
    build,
};

/// How many mounts are asked at the same time.
const SIDE_BY_SIDE: usize = 64;

#[derive(Debug)]
struct Disk {
    wanted: Arc<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    paths: Vec<PathBuf>,
    exclude: Vec<Exclude>,
}

#[derive(Debug)]
enum Exclude {
    Point(GlobMatcher),
    Type(GlobMatcher),
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let paths = inputs.paths("path").to_vec();
    let exclude: Result<Vec<_>, _> = inputs.texts("exclude").iter().map(|text| Exclude::new(text)).collect();
    for path in paths.iter().filter(|path| is_glob(path)) {
        glob(&path.to_string_lossy(), "path")?;
    }
    Ok(Arc::new(Disk { wanted: Arc::new(Wanted { paths, exclude: exclude? }) }))
}

fn is_glob(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '[', '{'])
}

/// As a shell reads it: `*` stays within one folder, `**` does not.
fn glob(text: &str, input: &'static str) -> Result<GlobMatcher, InputError> {
    GlobBuilder::new(text).literal_separator(true).build().map(|glob: Glob| glob.compile_matcher()).map_err(|error| {
        InputError::new(input, format!("`{text}` is not a glob: {}", error.kind()), "write it as in `/mnt/*`")
    })
}

impl Exclude {
    fn new(text: &str) -> Result<Self, InputError> {
        let matcher = glob(text, "exclude")?;
        Ok(if text.starts_with('/') { Self::Point(matcher) } else { Self::Type(matcher) })
    }

    fn leaves_out(&self, mount: &Mount) -> bool {
        match self {
            Self::Point(glob) => glob.is_match(&mount.point),
            Self::Type(glob) => glob.is_match(&mount.kind),
        }
    }
}

/// One thing to look at.
#[derive(Debug)]
enum Target {
    /// Nothing more to find out.
    Known(Subject),
    Absent(String),
    Local(Mounted, Result<Space, Trouble>),
    Remote(Mounted),
}

/// A path and what the kernel's table says of the mount that holds it.
#[derive(Debug)]
struct Mounted {
    path: PathBuf,
    /// As the procedure has it; `None` when every real file system is looked at.
    named: Option<String>,
    mount: Mount,
}

impl Wanted {
    /// Finds the targets, and the numbers of those that this machine answers itself.
    fn look(&self) -> Result<Vec<Target>, ProbeError> {
        let table = MountTable::read()?;
        if self.paths.is_empty() {
            let left = |mount: &&Mount| !self.exclude.iter().any(|exclude| exclude.leaves_out(mount));
            let targets: Vec<Target> =
                table.real().into_iter().filter(left).map(|mount| Target::of_mount(mount, &table)).collect();
            if targets.is_empty() {
                return Err(ProbeError::new("nothing_selected", "no real file system is left to look at")
                    .help("check `exclude`, or name the paths with `path`"));
            }
            return Ok(targets);
        }
        Ok(self.paths.iter().flat_map(|path| named(path, &table)).collect())
    }
}

/// The targets of one named path: itself, or the mounts that its glob stands for.
fn named(path: &Path, table: &MountTable) -> Vec<Target> {
    let name = path.display().to_string();
    match Place::of(path, table) {
        Place::At { path, mount } => {
            vec![Target::of(Mounted { path, named: Some(name), mount: mount.clone() }, table)]
        }
        Place::Unseen(error) => vec![Target::Known(Subject::unseen(name, error))],
        Place::Absent => {
            let glob = if is_glob(path) { glob(&name, "path").ok() } else { None };
            let Some(glob) = glob else { return vec![Target::Absent(name)] };
            let matching = table.real().into_iter().filter(|mount| glob.is_match(&mount.point));
            let targets: Vec<Target> = matching.map(|mount| Target::of_mount(mount, table)).collect();
            if targets.is_empty() {
                return vec![Target::Known(Subject::unseen(name, "matches no mounted file system"))];
            }
            targets
        }
    }
}

impl Target {
    fn of_mount(mount: &Mount, table: &MountTable) -> Self {
        Self::of(Mounted { path: mount.point.clone(), named: None, mount: mount.clone() }, table)
    }

    fn of(mounted: Mounted, table: &MountTable) -> Self {
        if table.may_hang(&mounted.mount) {
            return Self::Remote(mounted);
        }
        let space = Space::of_local(&mounted.path);
        Self::Local(mounted, space)
    }

    /// The subject; `None` for a window into a program, which counts nothing and which nobody named.
    async fn subject(self, until: Limit, cx: &Context) -> Option<Subject> {
        match self {
            Self::Known(subject) => Some(subject),
            Self::Absent(name) => Some(absent(name, cx)),
            Self::Local(mounted, space) => mounted.subject(space, until, cx),
            Self::Remote(mounted) => {
                let space = Space::of_remote(&mounted.path, until.deadline).await;
                mounted.subject(space, until, cx)
            }
        }
    }
}

/// How long a mount may take to answer, and until when that is.
#[derive(Clone, Copy, Debug)]
struct Limit {
    limit: Duration,
    deadline: Instant,
}

impl Limit {
    /// Somewhat less than the step has, so that the others are reported whatever one mount does.
    fn within(whole: Duration) -> Self {
        let limit = whole.mul_f64(0.8);
        Self { limit, deadline: Instant::now() + limit }
    }
}

/// A path that is not there has no numbers, and never those of its parent. It is surely not mounted, which is all
/// that a step may want to know.
fn absent(name: String, cx: &Context) -> Subject {
    if cx.asked.iter().any(|fact| fact == "mounted") {
        let mut subject = Subject::new(name).with("mounted", Value::Bool(false));
        subject.note("does not exist");
        return subject;
    }
    Subject::unseen(name, "does not exist")
}

impl Mounted {
    fn subject(self, space: Result<Space, Trouble>, until: Limit, cx: &Context) -> Option<Subject> {
        let Mount { kind, source, point, .. } = &self.mount;
        let name = self.named.clone().unwrap_or_else(|| point.display().to_string());
        let mut subject = Subject::new(name);
        match space {
            Ok(space) if self.named.is_none() && !space.is_counted() => return None,
            Ok(space) => space.describe(&mut subject),
            Err(Trouble::Absent) => return Some(absent(subject.name, cx)),
            Err(Trouble::NoAnswer) => {
                let limit = Quantity::duration(until.limit).rounded();
                subject.error = Some(format!("does not answer within {limit} (type {kind}, source {source})"));
            }
            Err(Trouble::Other(reason)) => {
                subject.error = Some(format!("cannot be read: {reason} (type {kind}, source {source})"));
            }
        }
        let mounted = self.path == *point;
        if !mounted {
            subject.note(format!("not a mount point itself; it lies on {}, {kind} of {source}", point.display()));
        }
        subject.set("read_only", Value::Bool(self.mount.read_only));
        subject.set("mounted", Value::Bool(mounted));
        subject.set("type", Value::text(kind));
        subject.set("source", Value::text(source));
        Some(subject)
    }
}

impl Probe for Disk {
    fn target(&self) -> String {
        if self.wanted.paths.is_empty() {
            return "every real file system".to_owned();
        }
        self.wanted.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(async move {
            let until = Limit::within(cx.limit);
            let wanted = Arc::clone(&self.wanted);
            let targets = cx.blocking(move || wanted.look()).await?;
            let subjects = stream::iter(targets)
                .map(|target| target.subject(until, cx))
                .buffered(SIDE_BY_SIDE)
                .filter_map(std::future::ready)
                .collect()
                .await;
            Ok(Observation { subjects, evidence: Vec::new() })
        })
    }
}
