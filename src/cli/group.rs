//! `opsctl <group>`, `opsctl <group> check`, `opsctl <group> <procedure>`.

use std::fmt::Write as _;

use clap::ArgMatches;

use super::check::{self, Request};
use super::message::{self, Failure};
use super::settings::{self, Globals};
use super::{Done, history};
use crate::journal::{Access, Filter, Journal, RunSummary};
use crate::model::id::ProcedureId;
use crate::model::outcome::Exit;
use crate::procedure::library::Library;
use crate::procedure::site::Site;

pub fn run(group: &str, matches: &ArgMatches, globals: &Globals, site: Site, library: &Library) -> Done {
    let groups = library.groups();
    let ids: &[&ProcedureId] = groups.get(group).map_or(&[], Vec::as_slice);
    let Some((name, matches)) = matches.subcommand() else {
        message::print(&overview(group, ids, &site, library));
        return Ok(Exit::Ok);
    };
    let opening = check::Opening::start(settings::journal_path(&site)?);
    let chosen: Vec<&ProcedureId> = ids.iter().copied().filter(|id| name == "check" || id.name() == name).collect();
    let asked: Vec<ProcedureId> = chosen.iter().copied().cloned().collect();
    let procedures = library.load_with_called(chosen, &site)?;
    let request = Request::from_matches(matches)?;
    check::run(procedures, &asked, request, globals, site, library, opening)
}

/// What is in the group: last outcome and title.
fn overview(group: &str, ids: &[&ProcedureId], site: &Site, library: &Library) -> String {
    let runs = last_runs(group, site);
    let wide = ids.iter().map(|id| id.name().len()).max().unwrap_or(0);
    let last = |id: &ProcedureId| {
        let run = runs.iter().find(|run| run.procedures.contains(id));
        run.map_or_else(|| "never run".to_owned(), |run| history::when_and_how(run, site.timezone))
    };
    let wide_last = ids.iter().map(|id| last(id).len()).max().unwrap_or(0);
    let mut text = String::new();
    for id in ids {
        let title = library.title(id).unwrap_or_else(|| "(cannot be read; see `opsctl lint`)".to_owned());
        writeln!(text, "{:<wide$}  {:<wide_last$}  {title}", id.name(), last(id)).ok();
        let symptoms = library.symptoms(id);
        if !symptoms.is_empty() {
            writeln!(text, "    when {}", symptoms.join(", ")).ok();
        }
    }
    writeln!(text, "\n`opsctl {group} PROCEDURE` runs one; with --help it is shown.").ok();
    writeln!(text, "`opsctl {group} check` looks at all of them, and changes nothing.").ok();
    text
}

/// Nothing when there is no journal yet.
fn last_runs(group: &str, site: &Site) -> Vec<RunSummary> {
    let read = async {
        let path = settings::journal_path(site)?;
        let journal = Journal::open(&path, Access::Read).await?;
        let filter = Filter { limit: Some(200), group: Some(group.to_owned()), ..Filter::default() };
        Ok::<_, Failure>(journal.runs(&filter).await?)
    };
    check::block_on(read).and_then(|runs| runs).unwrap_or_default()
}
