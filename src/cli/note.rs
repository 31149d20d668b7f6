//! `note`: what people add to the record of a run, also when it is over.

use std::fmt::Write as _;
use std::path::Path;

use chrono::Utc;
use clap::ArgMatches;

use super::Done;
use super::check::{attach, block_on, times};
use super::message::{self, Failure};
use super::settings::{self, Globals};
use crate::journal::{Access, Journal};
use crate::model::event::incident::{Mark, Note};
use crate::model::event::people::Attachment;
use crate::model::event::{Event, EventKind};
use crate::model::id::StepId;
use crate::model::outcome::Exit;
use crate::model::record::Record;

/// The longest note, in bytes.
const MOST: usize = 64 * 1024;

pub fn run(matches: &ArgMatches, globals: &Globals) -> Done {
    let given = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let (path, zone) = settings::journal_of(globals, Access::Write)?;
    let now = Utc::now();
    let at = match given("at") {
        None => now,
        Some(text) => times::past(text, zone, now)
            .map_err(|reason| Failure::new(format!("--at: {reason}"), "a note tells of what has been"))?,
    };
    let text = given("text").unwrap_or_default().trim();
    if text.len() > MOST {
        let message = format!("the note has {} bytes, and at most {MOST} are kept", text.len());
        return Err(Failure::new(message, "put it into a file and add --attach FILE"));
    }
    let mark = given("mark");
    if let Some(name) = mark {
        let parsed: Result<StepId, _> = name.parse();
        parsed.map_err(|error| Failure::new(format!("--mark {name}: {error}"), "such as mitigated or resolved"))?;
    }
    let files = matches.get_many::<String>("attach").into_iter().flatten();
    let (run, record) = block_on(async {
        let journal = Journal::open(&path, Access::Read).await?;
        let run = journal.find(given("run").unwrap_or("last")).await?;
        Ok::<_, Failure>((run, Record::of(&journal.replay(run).await?)))
    })??;
    // Only now, when it is clear that there is such a run.
    let attachments: Result<Vec<Attachment>, Failure> = files
        .map(|file| attach::keep(Path::new(file), &path).map_err(|error| Failure::new(error.0, "check the path")))
        .collect();
    let attachments = attachments?;
    let by = settings::operator();
    let mut kinds = Vec::new();
    if let Some(name) = mark {
        kinds.push(EventKind::Marked(Mark { name: name.to_owned(), at, by: by.clone() }));
    }
    if !text.is_empty() || !attachments.is_empty() {
        let text = if text.is_empty() { "files" } else { text };
        kinds.push(EventKind::Noted(Note { at, by: by.clone(), text: text.to_owned(), step: None, attachments }));
    }
    if kinds.is_empty() {
        return Err(Failure::new("the note is empty", "write what happened, or add --mark or --attach"));
    }
    let elapsed = record.started.and_then(|started| (now - started).to_std().ok()).unwrap_or_default();
    block_on(async {
        let journal = Journal::open(&path, Access::Write).await?;
        let last = journal.replay(run).await?.last().map_or(0, |event| event.seq);
        let events: Vec<Event> =
            (last + 1..).zip(kinds).map(|(seq, kind)| Event { seq, at: now, elapsed, kind }).collect();
        journal.append(run, &events).await
    })??;
    let when = at.with_timezone(&zone).format("%Y-%m-%d %H:%M");
    let mut said = format!("recorded in run {}, by {by}, for {when}", run.short());
    if record.started.is_some_and(|started| at < started) {
        write!(said, ", before the run began").ok();
    }
    if let Some(name) = mark {
        write!(said, "; {name} is marked").ok();
    }
    message::print(&format!("{said}\n"));
    Ok(Exit::Ok)
}
