//! `opsctl test`: recorded observations, judged as a run would judge them. Nothing is looked at, nothing is done.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ArgMatches;
use tokio::sync::mpsc::unbounded_channel;

use super::Done;
use super::check::block_on;
use super::message::{self, Failure};
use super::settings::{self, Globals};
use crate::engine::{self, Crew, Planned, Selection, Stop};
use crate::model::event::Mode;
use crate::model::id::RunId;
use crate::model::outcome::Exit;
use crate::model::secret::Mask;
use crate::procedure::cases::{self, Case, Miss};
use crate::procedure::diagnostic::Diagnostics;
use crate::procedure::site::{ListedPack, PackRef, Site};

pub fn run(matches: &ArgMatches, globals: &Globals) -> Done {
    let site = settings::site(globals)?;
    let set = settings::set(globals)?;
    let asked: Vec<PathBuf> = matches.get_many::<String>("path").into_iter().flatten().map(PathBuf::from).collect();
    let paths = if asked.is_empty() { folders(&site) } else { asked };
    let (mut all, mut problems) = (Vec::new(), Diagnostics::default());
    for path in &paths {
        match cases::files(path) {
            Ok(files) => all.extend(files),
            Err(wrong) => problems.extend(wrong),
        }
    }
    all.sort();
    all.dedup();
    let mut cases = Vec::new();
    for file in &all {
        match cases::read(file, &site, &set) {
            Ok(read) => cases.extend(read),
            Err(wrong) => problems.extend(wrong),
        }
    }
    if !problems.is_empty() {
        return Err(problems.into());
    }
    if cases.is_empty() {
        let help = "tests stand beside their procedure: PACK/GROUP/NAME.test.yaml; `opsctl explain test` tells how";
        return Err(Failure::new("no tests were found", help));
    }
    let judged = block_on(judge(cases, &site))?;
    message::print(&report(&judged));
    let failed = judged.iter().any(|(_, misses)| !misses.is_empty());
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

/// The packs of the site that are folders; those that are built in are tested before they are shipped.
fn folders(site: &Site) -> Vec<PathBuf> {
    let folder = |listed: &ListedPack| match &listed.pack {
        PackRef::Folder(folder) => Some(folder.clone()),
        PackRef::Builtin(_) => None,
    };
    site.packs.iter().filter_map(folder).collect()
}

/// A case by procedure, name and place, and where it came to something else than expected.
type Judged = (Title, Vec<Miss>);

struct Title {
    procedure: String,
    name: String,
    at: String,
}

async fn judge(cases: Vec<Case>, site: &Site) -> Vec<Judged> {
    let mut judged = Vec::new();
    for mut case in cases {
        let given = Arc::new(case.given.clone());
        let planned = std::mem::take(&mut case.planned).into_iter();
        let planned = planned.map(|(procedure, vars)| Planned { procedure, vars }).collect();
        let settings = engine::Settings {
            run: RunId(uuid::Uuid::now_v7()),
            site: site.name.clone(),
            command: format!("test {}", case.procedure),
            host: settings::host(),
            operator: settings::operator(),
            timezone: site.timezone,
            databases: site.databases.clone(),
            services: site.services.clone(),
            folder: site.folder.clone(),
            // A limit is tested as it is, whoever has waived it.
            waivers: Vec::new(),
            mask: Mask::default(),
            parallel: 1,
            history: Arc::clone(&given) as Arc<dyn engine::History>,
            selection: Selection::default(),
            mode: Mode::Check,
            crew: Crew::nobody(),
            yes: false,
            one_by_one: false,
            detected: None,
            occurred: None,
            past: Vec::new(),
            accepted: Vec::new(),
            given: Some(given),
        };
        let (sender, mut receiver) = unbounded_channel();
        engine::run(planned, settings, sender, Stop::default()).await;
        let mut events = Vec::new();
        while let Ok(event) = receiver.try_recv() {
            events.push(event);
        }
        let misses = case.misses(&events);
        judged.push((Title { procedure: case.procedure.to_string(), name: case.name, at: case.at }, misses));
    }
    judged
}

/// The verdict, then a line for each case, and below a failed one what came out otherwise.
fn report(judged: &[Judged]) -> String {
    let count = judged.len();
    let failed = judged.iter().filter(|(_, misses)| !misses.is_empty()).count();
    let cases = if count == 1 { "1 case".to_owned() } else { format!("{count} cases") };
    let mut text = match failed {
        0 => format!("PASS  {cases}\n"),
        _ => format!("FAIL  {failed} of {cases}\n"),
    };
    for (title, misses) in judged {
        let tag = if misses.is_empty() { "PASS" } else { "FAIL" };
        let place = if misses.is_empty() { String::new() } else { format!("  ({})", title.at) };
        writeln!(text, "{tag}  {}: {}{place}", title.procedure, title.name).ok();
        for miss in misses {
            let Miss { of, expected, actual, reason, at } = miss;
            writeln!(text, "      {of} {actual}, expected {expected}  ({at})").ok();
            if let Some(reason) = reason {
                writeln!(text, "        {reason}").ok();
            }
        }
    }
    text
}
