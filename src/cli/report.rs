//! `report`: documents made from the record of a run.

use std::io::ErrorKind;
use std::path::Path;

use clap::ArgMatches;

use super::Done;
use super::check::block_on;
use super::message::{self, Failure};
use super::settings::{self, Globals};
use crate::journal::{Access, Filter, Journal};
use crate::model::id::RunId;
use crate::model::outcome::Exit;
use crate::model::record::Record;
use crate::report::emergency::{self, Existing, Form};

pub fn run(matches: &ArgMatches, globals: &Globals) -> Done {
    match matches.subcommand() {
        Some(("emergency", matches)) => emergency(matches, globals),
        _ => Ok(Exit::CouldNotTell),
    }
}

fn emergency(matches: &ArgMatches, globals: &Globals) -> Done {
    let given = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let output = given("output").map(Path::new);
    let form = match given("format") {
        Some(name) => name.parse().map_err(|error| Failure::new(error, ""))?,
        None => output.map_or(Form::Markdown, Form::of_file),
    };
    let (path, zone) = settings::journal_of(globals, Access::Read)?;
    let record = block_on(async {
        let journal = Journal::open(&path, Access::Read).await?;
        // A dry run, or a check of this morning, is newer often enough, and has nothing to report.
        match given("run").filter(|run| run.trim() != "last") {
            Some(run) => Ok(Record::of(&journal.replay(journal.find(run).await?).await?)),
            None => newest_incident(&journal).await,
        }
    })??;
    let text = emergency::render(&record, form, zone)
        .map_err(|error| Failure::new(error, "`opsctl journal verify` checks the journal"))?;
    let Some(output) = output else {
        message::print(&text);
        return Ok(Exit::Ok);
    };
    let existing = if matches.get_flag("force") { Existing::Replace } else { Existing::Keep };
    match emergency::write(output, &text, existing) {
        Ok(()) => {
            message::warn(&format!("written: {}\n", output.display()));
            Ok(Exit::Ok)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Failure::new(
            format!("{} exists, and may have been completed by hand", output.display()),
            "choose another name, or replace it with --force",
        )),
        Err(error) => {
            Err(Failure::new(format!("cannot write {}: {error}", output.display()), "check the folder, or use another"))
        }
    }
}

/// As many runs as are searched for an incident.
const MOST_RUNS: u32 = 500;

async fn newest_incident(journal: &Journal) -> Result<Record, Failure> {
    let runs = journal.runs(&Filter { limit: Some(MOST_RUNS), ..Filter::default() }).await?;
    let runs: Vec<RunId> = runs.into_iter().map(|run| run.run).collect();
    for run in runs {
        let record = Record::of(&journal.replay(run).await?);
        if record.start.as_ref().is_some_and(|start| start.incident) {
            return Ok(record);
        }
    }
    Err(Failure::new(
        format!("none of the newest {MOST_RUNS} runs is an incident"),
        "name a run with --run, as `opsctl history` shows it",
    ))
}
