//! Before a run with people begins: the run that waits, the locks, and since when the incident is known.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::request::{Goes, Request};
use super::resume::{self, Unfinished};
use super::terminal::Terminal;
use super::{lock, times};
use crate::cli::message::{self, Failure};
use crate::cli::settings;
use crate::journal::{Access, Journal};
use crate::model::event::Event;
use crate::model::id::{ProcedureId, RunId};
use crate::procedure::document::Procedure;
use crate::procedure::site::Site;

/// What a run with people needs before it begins.
pub struct Preparation {
    pub run: RunId,
    pub terminal: Option<Arc<Terminal>>,
    pub past: Vec<Event>,
    pub accepted: Vec<(ProcedureId, String)>,
    pub detected: Option<DateTime<Utc>>,
    pub occurred: Option<DateTime<Utc>>,
    pub locks: Option<lock::Locks>,
}

impl Preparation {
    /// Of a run that only looks.
    pub fn none() -> Self {
        Self {
            run: RunId(uuid::Uuid::now_v7()),
            terminal: None,
            past: Vec::new(),
            accepted: Vec::new(),
            detected: None,
            occurred: None,
            locks: None,
        }
    }
}

/// Takes the locks, finds the run that goes on, and asks since when the incident is known.
pub async fn prepare(
    procedures: &[Procedure],
    asked: &[ProcedureId],
    request: &Request,
    site: &Site,
    journal: &Path,
    terminal: Option<Arc<Terminal>>,
) -> Result<Preparation, Failure> {
    let now = Utc::now();
    let time = |given: &Option<String>, option: &str| match given {
        None => Ok(None),
        Some(text) => times::past(text, site.timezone, now)
            .map(Some)
            .map_err(|reason| Failure::new(format!("{option}: {reason}"), "")),
    };
    let mut prepared = Preparation {
        detected: time(&request.since, "--since")?,
        occurred: time(&request.occurred, "--occurred")?,
        terminal,
        ..Preparation::none()
    };
    let mut holder = lock::Holder {
        run: prepared.run,
        operator: settings::operator(),
        host: settings::host(),
        pid: std::process::id(),
        since: now,
    };
    let own = procedures.iter().map(|procedure| procedure.id.to_string());
    let keys: Vec<String> = own.chain(procedures.iter().flat_map(|procedure| procedure.lock.iter().cloned())).collect();
    // Before the record is read: nobody may go on with a run that somebody else is working on.
    let mut locks = lock::take(&keys, &holder, journal, site.timezone)?;
    let waiting = resume::unfinished(journal).await?;
    let goes_on = match &request.resume {
        Some(named) => {
            let named = match named {
                Goes::Named(named) => Some(Journal::open(journal, Access::Read).await?.find(named).await?),
                Goes::Newest => None,
            };
            Some(resume::choose(waiting, named, procedures, asked, request.accept_change)?)
        }
        None => match waiting.into_iter().find(|run| run.asked().into_iter().eq(asked.iter())) {
            None => None,
            Some(run) => goes_on(run, procedures, request, site, journal, prepared.terminal.as_deref()).await?,
        },
    };
    if let Some((run, accepted)) = goes_on {
        (prepared.run, prepared.past, prepared.accepted) = (run.run, run.events, accepted);
        holder.run = run.run;
        locks.name(&holder)?;
    }
    prepared.locks = Some(locks);
    let incident = procedures.iter().any(|procedure| procedure.report.is_some());
    // A run that ended at its very beginning has not kept what was said.
    let unsaid = incident && prepared.past.len() < 2 && prepared.detected.is_none();
    if let Some(terminal) = prepared.terminal.as_ref().filter(|_| unsaid) {
        prepared.detected = terminal.detected().await;
    }
    Ok(prepared)
}

type GoesOn = Option<(Unfinished, Vec<(ProcedureId, String)>)>;

/// What to do about a run of the same procedure that waits: nobody may forget it, and nobody may begin twice by mistake.
async fn goes_on(
    run: Unfinished,
    procedures: &[Procedure],
    request: &Request,
    site: &Site,
    journal: &Path,
    terminal: Option<&Terminal>,
) -> Result<GoesOn, Failure> {
    let line = run.line(site.timezone);
    let mut anew = request.anew;
    if let Some(terminal) = terminal.filter(|_| !anew) {
        message::warn(&format!("{line}\n"));
        loop {
            match terminal.line("resume / new / quit> ").await.as_deref() {
                Some("resume" | "r") => {
                    let asked: Vec<ProcedureId> = run.asked().into_iter().cloned().collect();
                    return resume::choose(vec![run], None, procedures, &asked, request.accept_change).map(Some);
                }
                Some("new" | "n") => {
                    anew = true;
                    break;
                }
                Some("quit" | "q") | None => return Err(Failure::new("nothing was run", "")),
                Some(_) => {}
            }
        }
    }
    if !anew {
        return Err(Failure::new(line, "go on with --resume, or begin anew with --new, which ends that run"));
    }
    resume::give_up(journal, &run, "given up: a new run was begun", &settings::operator()).await?;
    Ok(None)
}
