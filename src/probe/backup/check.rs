//! Reading one backup: its facts, and what is wrong with it.

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::archive::{self, Restored};
use super::content::{Content, Kind, Scanner};
use super::decode::{Bound, Compression, End, Stop, decode};
use super::sqlite;
use crate::model::fact::Subject;
use crate::model::value::Value;
use crate::probe::{Context, ProbeError};

/// As much of a file as tells its format.
const HEAD: usize = 512;

/// How much of a file is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// As much as tells how it is compressed.
    Head,
    Whole,
}

/// What is known about the content; what is not known is missing.
#[derive(Default)]
struct Findings {
    compression: Option<Compression>,
    kind: Option<Kind>,
    content: Option<Content>,
    /// Each is a reason why the backup is not intact, and reads on after the name of the file.
    troubles: Vec<String>,
    /// Why it is not known whether the backup is intact; it reads on in the same way.
    doubt: Option<String>,
}

impl Findings {
    fn end(&mut self, end: End) {
        if let End::Damaged(trouble) = end {
            self.troubles.push(trouble);
        }
    }
}

/// Sets the facts about the content of the file at `path`.
///
/// # Errors
/// The file cannot be read, or not to its end in time.
pub async fn look(
    path: &Path,
    wanted: &[String],
    depth: Depth,
    cx: &Context,
    bound: &Bound,
    subject: &mut Subject,
) -> Result<(), ProbeError> {
    let (file, tables, until) = (path.to_path_buf(), wanted.to_vec(), bound.clone());
    let mut found = cx.blocking(move || read(&file, &tables, depth, &until)).await?;
    let plain = found.compression == Some(Compression::None);
    if found.kind == Some(Kind::PostgresqlCustom) && found.troubles.is_empty() {
        if plain {
            restore(path, wanted, bound, &mut found).await?;
        } else {
            found.doubt = Some("is an archive of PostgreSQL inside another compression, which was not read".to_owned());
        }
    }
    if found.kind == Some(Kind::SqliteDatabase) && found.troubles.is_empty() && plain {
        let (tables, end) = sqlite::read(path, bound).await?;
        found.content = found.content.map(|content| content.with_tables(tables, wanted));
        found.end(end);
    }
    if depth == Depth::Head {
        subject.facts.extend(found.compression.map(|found| ("compression".to_owned(), Value::text(found.word()))));
    } else {
        let is_asked = cx.asked.iter().any(|fact| fact == "complete");
        if is_asked && let Some(why) = why_not_known_complete(&found) {
            subject.note(format!("whether {} is complete cannot be told: {why}", name_of(path)));
        }
        report(found, path, wanted, subject);
    }
    Ok(())
}

fn read(path: &Path, wanted: &[String], depth: Depth, bound: &Bound) -> Result<Findings, ProbeError> {
    let io = |error| ProbeError::io(path.display(), &error);
    let file = File::open(path).map_err(io)?;
    let mut head = [0; HEAD];
    let length = file.read_at(&mut head, 0).map_err(io)?;
    let mut found = Findings::default();
    if length == 0 {
        found.troubles.push("is empty (0 bytes)".to_owned());
        return Ok(found);
    }
    let head = &head[..length];
    let (compression, named) = (Compression::of(head), Compression::named(path));
    found.compression = Some(compression);
    if depth == Depth::Head {
        return Ok(found);
    }
    if named != Compression::None && named != compression {
        found.troubles.push(format!("is named as {}, but its content is not {}", named.word(), named.word()));
    }
    if compression == Compression::None && Kind::of(head) == Kind::PostgresqlCustom {
        found.kind = Some(Kind::PostgresqlCustom);
        return Ok(found);
    }
    let mut scanner = Scanner::new(wanted);
    found.end(decode(file, compression, bound, |block| scanner.feed(block))?);
    let content = scanner.finish();
    found.kind = Some(content.kind);
    if let Some(trouble) = content.trouble.clone().filter(|_| found.troubles.is_empty()) {
        found.troubles.push(trouble);
    }
    if content.size == 0 && found.troubles.is_empty() {
        found.troubles.push("has no content (0 bytes when unpacked)".to_owned());
    }
    if compression == Compression::None && content.kind == Kind::Other {
        found.doubt = Some("has content of no kind that can be checked".to_owned());
    }
    found.content = Some(content);
    Ok(found)
}

async fn restore(path: &Path, wanted: &[String], bound: &Bound, found: &mut Findings) -> Result<(), ProbeError> {
    match archive::read(path, wanted, bound).await? {
        Restored::Unknown(doubt) => found.doubt = Some(doubt),
        Restored::Read(content, end) => {
            found.content = Some(content);
            found.end(end);
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy()
}

/// Nothing about a backup that is said to be damaged or doubtful already.
fn why_not_known_complete(found: &Findings) -> Option<&'static str> {
    let content = found.content.as_ref().filter(|_| found.troubles.is_empty() && found.doubt.is_none())?;
    match (content.complete, content.kind) {
        (Some(_), _) => None,
        (None, Kind::Other) => {
            Some("it has neither the header nor the last line of a dump (one without comments has none)")
        }
        (None, _) => Some("only SQL dumps end with a line that says so; expect `intact` instead"),
    }
}

fn report(mut found: Findings, path: &Path, wanted: &[String], subject: &mut Subject) {
    let name = name_of(path);
    if let Some(Content { kind, complete: Some(false), .. }) = found.content
        && let Some(line) = kind.last_line()
        && found.troubles.is_empty()
    {
        found.troubles.push(format!("ends without the line `{line}`"));
    }
    match (&found.doubt, found.troubles.is_empty()) {
        (_, false) => subject.set("intact", Value::Bool(false)),
        (None, true) => subject.set("intact", Value::Bool(true)),
        (Some(doubt), true) => subject.note(format!("{name} {doubt}")),
    }
    for trouble in &found.troubles {
        subject.note(format!("{name} {trouble}"));
    }
    if let Some(compression) = found.compression {
        subject.set("compression", Value::text(compression.word()));
    }
    if let Some(kind) = found.kind {
        subject.set("kind", Value::text(kind.word()));
    }
    if let Some(content) = found.content {
        if !wanted.is_empty() && !content.lists_tables() && found.troubles.is_empty() {
            subject.note(format!("the tables of {name} cannot be listed: it is no dump that opsctl can read"));
        }
        report_content(content, &name, wanted, subject);
    }
}

fn report_content(content: Content, name: &str, wanted: &[String], subject: &mut Subject) {
    subject.set("unpacked_size", Value::bytes(content.size));
    if let Some(complete) = content.complete {
        subject.set("complete", Value::Bool(complete));
    }
    if let Some(database) = &content.database {
        subject.set("database", Value::text(database));
    }
    if !content.lists_tables() {
        return;
    }
    subject.set("table_count", Value::count(content.table_count));
    subject.set("tables", Value::List(content.tables.into_iter().map(Value::Text).collect()));
    if !wanted.is_empty() {
        subject.set("tables_missing", Value::count(content.missing.len() as u64));
    }
    if !content.missing.is_empty() {
        subject.note(format!("{name} has no table {}", content.missing.join(", ")));
    }
}

impl From<Stop> for ProbeError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Cancelled => Self::new("cancelled", "the look was ended before it was complete"),
            Stop::TimeLimit => Self::new("time_limit", "the backup was not read to its end within the time limit")
                .help("give the step a longer `timeout`"),
            Stop::Io(error) => Self::new("io", format!("the backup cannot be read: {error}")),
            Stop::Unsupported(reason) => {
                Self::new("unsupported", format!("the backup cannot be decompressed here: {reason}"))
                    .help("check it with the tool that made it")
            }
        }
    }
}
