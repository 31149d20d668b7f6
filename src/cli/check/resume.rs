//! Runs that wait or were cut off, and going on with them.

use std::path::Path;

use crate::cli::message::Failure;
use crate::journal::{Access, Filter, Journal, JournalError, Problem};
use crate::model::event::{Event, EventKind, Mode, RunStart};
use crate::model::id::{ProcedureId, RunId};
use crate::model::outcome::{Exit, Outcome};
use crate::model::record::Record;
use crate::procedure::document::Procedure;

/// A run with people that has no end yet.
pub struct Unfinished {
    pub run: RunId,
    pub events: Vec<Event>,
    pub record: Record,
}

/// As many runs as are searched for one that has no end.
const MOST_RUNS: u32 = 500;

/// Runs with people that have no end, newest first. No journal is no such run.
pub async fn unfinished(path: &Path) -> Result<Vec<Unfinished>, JournalError> {
    let journal = match Journal::open(path, Access::Read).await {
        Err(error) if matches!(error.problem, Problem::Missing) => return Ok(Vec::new()),
        opened => opened?,
    };
    let runs = journal.runs(&Filter { limit: Some(MOST_RUNS), ..Filter::default() }).await?;
    let mut found = Vec::new();
    for run in runs.into_iter().filter(|run| run.finished.is_none()) {
        let events = journal.replay(run.run).await?;
        let record = Record::of(&events);
        if record.start.as_ref().is_some_and(|start| start.mode == Mode::Run) && record.finished.is_none() {
            found.push(Unfinished { run: run.run, events, record });
        }
    }
    Ok(found)
}

impl Unfinished {
    /// The procedures that were asked for, without those that they call.
    pub fn asked(&self) -> Vec<&ProcedureId> {
        let plans = self.record.start.iter().flat_map(|start| &start.procedures);
        plans.filter(|plan| plan.called_by.is_none()).map(|plan| &plan.id).collect()
    }

    /// In one line, for people.
    pub fn line(&self, zone: chrono_tz::Tz) -> String {
        let started = self
            .record
            .started
            .map_or(String::new(), |at| format!(", begun {}", at.with_timezone(&zone).format("%Y-%m-%d %H:%M")));
        let start = self.record.start.as_ref();
        let who = start.map_or(String::new(), |start| format!(" by {} on {}", start.operator, start.host));
        let state = self.record.suspended.as_ref().map_or("it was cut off".to_owned(), Clone::clone);
        let command = start.map_or("", |start| start.command.as_str());
        format!("run {} of `opsctl {command}`{started}{who}: {state}", self.run.short())
    }

    /// The procedures whose files are not those that the run began with, with their hashes now.
    pub fn changed(&self, procedures: &[Procedure]) -> Vec<(ProcedureId, String)> {
        let mut known: Vec<(ProcedureId, String)> = Vec::new();
        for plan in self.record.start.iter().flat_map(|start| &start.procedures) {
            known.push((plan.id.clone(), plan.hash.clone()));
        }
        for (_, resume) in &self.record.resumed {
            for (id, hash) in &resume.accepted {
                known.retain(|(known, _)| known != id);
                known.push((id.clone(), hash.clone()));
            }
        }
        let differs =
            |procedure: &&Procedure| !known.iter().any(|(id, hash)| *id == procedure.id && *hash == procedure.hash());
        procedures.iter().filter(differs).map(|procedure| (procedure.id.clone(), procedure.hash())).collect()
    }
}

/// The run of just these procedures to go on with: the one that is named, or the newest.
///
/// # Errors
/// There is none; its procedures have changed since.
pub fn choose(
    unfinished: Vec<Unfinished>,
    named: Option<RunId>,
    procedures: &[Procedure],
    asked: &[ProcedureId],
    accept_change: bool,
) -> Result<(Unfinished, Vec<(ProcedureId, String)>), Failure> {
    let same = |run: &Unfinished| run.asked().into_iter().eq(asked.iter());
    let mut fitting = unfinished.into_iter().filter(|run| named.map_or_else(|| same(run), |named| run.run == named));
    let Some(run) = fitting.next() else {
        let message = match named {
            Some(run) => format!("run {} has an end, or does not wait: there is nothing to go on with", run.short()),
            None => "no run of this waits".to_owned(),
        };
        return Err(Failure::new(
            message,
            "`opsctl tasks` shows the runs that wait; without --resume a new one begins",
        ));
    };
    if !same(&run) {
        let message = format!("run {} is of another procedure", run.run.short());
        let command = run.record.start.as_ref().map_or_else(String::new, RunStart::goes_on);
        return Err(Failure::new(message, format!("write `{command}`")));
    }
    let changed = run.changed(procedures);
    if !changed.is_empty() && !accept_change {
        let names: Vec<String> = changed.iter().map(|(id, _)| id.to_string()).collect();
        let message = format!("{} changed since run {} began", names.join(", "), run.run.short());
        let help = "compare the files; --accept-change goes on with the new ones, and is recorded";
        return Err(Failure::new(message, help));
    }
    Ok((run, changed))
}

/// Ends a run that nobody goes on with.
pub async fn give_up(path: &Path, unfinished: &Unfinished, why: &str, by: &str) -> Result<(), JournalError> {
    let journal = Journal::open(path, Access::Write).await?;
    let last = unfinished.events.last();
    let at = chrono::Utc::now();
    let elapsed = unfinished.record.started.and_then(|started| (at - started).to_std().ok()).unwrap_or_default();
    let seq = last.map_or(0, |event| event.seq);
    let note = crate::model::event::incident::Note {
        at,
        by: by.to_owned(),
        text: why.to_owned(),
        step: None,
        attachments: Vec::new(),
    };
    let kinds =
        [EventKind::Noted(note), EventKind::RunFinished { outcome: Outcome::Errored, exit: Exit::CouldNotTell }];
    let events: Vec<Event> = (seq + 1..).zip(kinds).map(|(seq, kind)| Event { seq, at, elapsed, kind }).collect();
    journal.append(unfinished.run, &events).await
}
