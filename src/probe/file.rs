//! Files and folders: are they there, how old, how large, whose, what is in them.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use regex::bytes::{Regex, RegexBuilder};

use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::pattern;
use crate::model::value::Value;

mod content;
mod glob;
mod owner;

pub static KIND: Kind = Kind {
    name: "file",
    about: "files, folders and whatever else a path can name: type, size, age, rights, content. Each path is one result; \
            so is each glob, with the count, the newest and the oldest of what it matches",
    inputs: &[
        InputSpec {
            name: "path",
            ty: InputType::Paths,
            need: Need::Required,
            about: "a path or a glob (`*`, `?`, `[a-z]`, `{a,b}`, `**` for any depth), or a list of them. A glob \
                    counts whatever is not a folder",
        },
        InputSpec {
            name: "contains",
            ty: InputType::Pattern,
            need: Need::Optional,
            about: "a regular expression to look for in each regular file that is named by its path; `^` and `$` stand \
                    for the ends of a line. It fills the fact `contains`",
        },
    ],
    facts: &[
        FactSpec::new(
            "exists",
            FactType::Bool,
            "there is something at the path; a link that leads nowhere is nothing. Of a glob: something matches",
        ),
        FactSpec::new("type", FactType::Text, "file, folder, link (one that leads nowhere), socket, fifo or device"),
        FactSpec::new("size", FactType::Size, "size of a regular file"),
        FactSpec::new("age", FactType::Duration, "time since the content was last modified"),
        FactSpec::new("mode", FactType::Text, "permissions in octal, such as 0644"),
        FactSpec::new("owner", FactType::Text, "name of the owner, or the number where the machine knows no name"),
        FactSpec::new("group", FactType::Text, "name of the group, or the number where the machine knows no name"),
        FactSpec::new("links_to", FactType::Text, "where a symbolic link points; the other facts are its target's"),
        FactSpec::new("contains", FactType::Bool, "the regular expression `contains` is found in the file"),
        FactSpec::new("lines", FactType::Count, "lines of the file; it is read for this only when a step names it"),
        FactSpec::new(
            "checksum",
            FactType::Text,
            "SHA-256 of the file in hexadecimal; it is read for this only when a step names it",
        ),
        FactSpec::new("count", FactType::Count, "of a glob: how many match"),
        FactSpec::new("total_size", FactType::Size, "of a glob: sizes of the regular files, summed"),
        FactSpec::new("newest", FactType::Text, "of a glob: the path that was modified last"),
        FactSpec::new("newest_age", FactType::Duration, "of a glob: time since `newest` was modified"),
        FactSpec::new("oldest", FactType::Text, "of a glob: the path that was modified first"),
        FactSpec::new("oldest_age", FactType::Duration, "of a glob: time since `oldest` was modified"),
    ],
    example: include_str!("../../examples/probes/file.yaml"),
    limit: std::time::Duration::from_secs(30),
    build,
};

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let contains = inputs.text("contains").map(str::to_owned);
    if let Some(text) = &contains {
        pattern::check(text).map_err(|reason| {
            let help = "write a shorter one, and quote it with '...' in YAML";
            InputError::new("contains", format!("`{text}` is not a regular expression: {reason}"), help)
        })?;
    }
    Ok(Arc::new(File { paths: inputs.paths("path").to_vec(), contains }))
}

struct File {
    paths: Vec<PathBuf>,
    contains: Option<String>,
}

impl Probe for File {
    fn target(&self) -> String {
        let paths: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        paths.join(", ")
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        let paths = self.paths.clone();
        let (contains, until, context) = (self.contains.clone(), Instant::now() + cx.limit, cx.clone());
        Box::pin(cx.blocking(move || {
            let look = Look { contains: contains.as_deref().map(compile).transpose()?, until, cx: context };
            let subjects = paths.iter().map(|path| look.at(path)).collect();
            Ok(Observation { subjects, evidence: Vec::new() })
        }))
    }
}

fn compile(text: &str) -> Result<Regex, ProbeError> {
    RegexBuilder::new(text).multi_line(true).crlf(true).build().map_err(|error| {
        ProbeError::new("bad_pattern", format!("`{text}` cannot be searched for in a file: {error}"))
            .help("write a shorter one")
    })
}

/// What one look wants to know, and for how long it may look.
struct Look {
    contains: Option<Regex>,
    until: Instant,
    cx: Context,
}

impl Look {
    fn at(&self, path: &Path) -> Subject {
        let name = path.display().to_string();
        if let Err(error) = self.go_on() {
            return Subject::unseen(name, error.message);
        }
        let link = fs::symlink_metadata(path);
        if link.is_err() && glob::is_glob(&name) {
            return glob::look(path, self);
        }
        let mut subject = Subject::new(name);
        match link {
            Ok(link) => {
                if let Err(error) = self.describe(path, &link, &mut subject) {
                    subject.error = Some(error.message);
                }
            }
            Err(error) if is_absent(&error) => self.absent(&mut subject, "does not exist"),
            Err(error) => subject.error = Some(ProbeError::io("it", &error).message),
        }
        subject
    }

    /// An error when the look has to end now.
    fn go_on(&self) -> Result<(), ProbeError> {
        if self.cx.cancel.is_cancelled() {
            return Err(ProbeError::new("cancelled", "the look was ended before it was complete"));
        }
        if Instant::now() > self.until {
            let limit = Value::duration(self.cx.limit);
            return Err(ProbeError::new("time_limit", format!("not done within the time limit of {limit}")));
        }
        Ok(())
    }

    /// That nothing is there is an answer only to who asked for it.
    fn absent(&self, subject: &mut Subject, why: &str) {
        if self.cx.asked.iter().any(|fact| fact == "exists") {
            subject.set("exists", Value::Bool(false));
            subject.note(why);
        } else {
            subject.error = Some(why.to_owned());
        }
    }

    fn describe(&self, path: &Path, link: &fs::Metadata, subject: &mut Subject) -> Result<(), ProbeError> {
        let mut found = link.clone();
        if link.is_symlink() {
            let target = fs::read_link(path).map_err(|error| ProbeError::io("the link", &error))?;
            subject.set("links_to", Value::text(target.display().to_string()));
            match fs::metadata(path) {
                Ok(target) => found = target,
                Err(error) if is_absent(&error) => {
                    subject.set("type", Value::text("link"));
                    self.absent(subject, &format!("is a link to {}, which does not exist", target.display()));
                    return Ok(());
                }
                Err(error) => return Err(ProbeError::io(target.display(), &error)),
            }
        }
        subject.set("exists", Value::Bool(true));
        subject.set("type", Value::text(type_of(&found)));
        if found.is_file() {
            subject.set("size", Value::bytes(found.len()));
        }
        if let Ok(modified) = found.modified() {
            subject.set("age", Value::duration(self.age(modified)));
        }
        subject.set("mode", Value::text(format!("{:04o}", found.permissions().mode() & 0o7777)));
        subject.set("owner", Value::text(owner::user(found.uid())));
        subject.set("group", Value::text(owner::group(found.gid())));
        if found.is_file() { content::look(path, self, subject) } else { Ok(()) }
    }

    /// Zero for what was modified after the run began.
    fn age(&self, modified: SystemTime) -> Duration {
        SystemTime::from(self.cx.now).duration_since(modified).unwrap_or_default()
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn type_of(metadata: &fs::Metadata) -> &'static str {
    let ty = metadata.file_type();
    if ty.is_file() {
        "file"
    } else if ty.is_dir() {
        "folder"
    } else if ty.is_socket() {
        "socket"
    } else if ty.is_fifo() {
        "fifo"
    } else {
        "device"
    }
}
