//! `history`, `show`, `journal verify`: what earlier runs left behind.

use std::fmt::Write as _;

use clap::ArgMatches;
use serde_json::json;

use super::Done;
use super::check::block_on;
use super::check::listeners::Main;
use super::check::report_files::{self, ReportFiles};
use super::message::{self, Failure};
use super::settings::{self, Globals};
use crate::journal::{Access, Filter, Journal, Problem, RunSummary};
use crate::model::event::EventKind;
use crate::model::outcome::{Exit, Outcome};
use crate::report::Format;

/// `opsctl history`.
pub fn list(matches: &ArgMatches, globals: &Globals) -> Done {
    let what = matches.get_one::<String>("what");
    let mut filter = Filter { limit: matches.get_one("limit").copied(), ..Filter::default() };
    match what {
        Some(what) if what.contains('/') => {
            filter.procedure =
                Some(what.parse().map_err(|error: crate::model::id::IdError| Failure::new(error.to_string(), ""))?);
        }
        Some(group) => filter.group = Some(group.clone()),
        None => {}
    }
    let outcome = matches.get_one::<String>("outcome");
    filter.outcome = outcome.and_then(|word| Outcome::ALL.into_iter().find(|outcome| outcome.word() == word));
    let (path, timezone) = settings::journal_of(globals, Access::Read)?;
    let runs = match block_on(async { Journal::open(&path, Access::Read).await?.runs(&filter).await })? {
        Err(error) if matches!(error.problem, Problem::Missing) => Vec::new(),
        other => other?,
    };
    if matches.get_one::<String>("format").is_some_and(|format| format == "json") {
        message::print(&as_json(&runs));
    } else {
        message::print(&as_text(&runs, timezone, &path.display().to_string()));
    }
    Ok(Exit::Ok)
}

fn as_json(runs: &[RunSummary]) -> String {
    let lines = runs.iter().map(|run| {
        json!({
            "run": run.run, "started": run.started, "site": run.site, "command": run.command, "operator": run.operator,
            "host": run.host, "procedures": run.procedures,
            "finished": run.finished.map(|finished| finished.at),
            "outcome": run.finished.map(|finished| finished.outcome),
            "exit": run.finished.map(|finished| finished.exit.code()),
        })
    });
    format!("{}\n", serde_json::Value::Array(lines.collect()))
}

fn as_text(runs: &[RunSummary], timezone: chrono_tz::Tz, journal: &str) -> String {
    if runs.is_empty() {
        return format!("no such run in the journal {journal}\n");
    }
    let mut text = String::new();
    for run in runs {
        let short = run.run.short();
        let alike = runs.iter().filter(|other| other.run.short() == short).count();
        let id = if alike > 1 { run.run.to_string() } else { short };
        let outcome = how(run);
        let started = run.started.with_timezone(&timezone).format("%Y-%m-%d %H:%M:%S");
        writeln!(text, "{id}  {started}  {outcome:<10}  {}  by {}", run.command, run.operator).ok();
    }
    text
}

/// How it ended, in a word.
fn how(run: &RunSummary) -> &'static str {
    match run.finished {
        None => "unfinished",
        Some(finished) if matches!(finished.exit, Exit::Interrupted | Exit::Terminated) => "interrupted",
        Some(finished) => finished.outcome.word(),
    }
}

/// `passed today 08:00`, for lists of procedures.
pub fn when_and_how(run: &RunSummary, zone: chrono_tz::Tz) -> String {
    let outcome = how(run);
    format!("{outcome} {}", run.started.with_timezone(&zone).format("%a %Y-%m-%d %H:%M"))
}

/// `opsctl show RUN`.
pub fn show(matches: &ArgMatches, globals: &Globals) -> Done {
    let Some(given) = matches.get_one::<String>("run") else { return Ok(Exit::CouldNotTell) };
    let reports = report_files::asked(matches)?;
    let (path, _) = settings::journal_of(globals, Access::Read)?;
    let events = block_on(async {
        let journal = Journal::open(&path, Access::Read).await?;
        journal.replay(journal.find(given).await?).await
    })??;
    let begun = events.iter().find_map(|event| match &event.kind {
        EventKind::RunStarted(start) => start.timezone.parse().ok(),
        _ => None,
    });
    let style = globals.style(begun.unwrap_or(chrono_tz::UTC));
    let mut files = ReportFiles::open(&reports, style)?;
    let format = matches.get_one::<Format>("format").copied().unwrap_or_else(|| globals.default_format());
    let mut main = Main::open(format, style);
    for event in &events {
        files.hear(event);
        main.hear(event);
    }
    let failures: Vec<Failure> = files.finish().into_iter().chain(main.finish()).collect();
    for failure in &failures {
        failure.print(globals.colour_of_stderr());
    }
    // Showing succeeded, whatever the run came to.
    Ok(if failures.is_empty() { Exit::Ok } else { Exit::CouldNotTell })
}

/// `opsctl journal verify` and `opsctl journal rebuild`.
pub fn journal(matches: &ArgMatches, globals: &Globals) -> Done {
    if matches.subcommand_name() == Some("rebuild") {
        let (path, _) = settings::journal_of(globals, Access::Write)?;
        block_on(async { Journal::open(&path, Access::Write).await?.rebuild().await })??;
        message::print(&format!("the lists of {} are made anew from its events\n", path.display()));
        return Ok(Exit::Ok);
    }
    let (path, _) = settings::journal_of(globals, Access::Read)?;
    let verified = block_on(async { Journal::open(&path, Access::Read).await?.verify().await })?;
    let verified = match verified {
        Ok(verified) => verified,
        Err(error) if matches!(error.problem, Problem::Broken(_)) => {
            Failure::from(error).print(globals.colour_of_stderr());
            return Ok(Exit::Failed);
        }
        Err(error) => return Err(error.into()),
    };
    let mut text = format!(
        "the journal is whole: {} events of {} {}\n  file  {}\n  head  {}\n",
        verified.events,
        verified.runs,
        if verified.runs == 1 { "run" } else { "runs" },
        path.display(),
        verified.head
    );
    for run in &verified.unfinished {
        writeln!(text, "  note  run {run} has no end: it is under way, or was killed").ok();
    }
    message::print(&text);
    Ok(Exit::Ok)
}
