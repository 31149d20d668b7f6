//! `opsctl init`: a site file for this machine from what is found on it. It only looks; nothing but its own files is
//! written.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use clap::ArgMatches;

use super::Done;
use super::check::block_on;
use super::explain::Document;
use super::message::{self, Failure};
use super::settings;
use crate::model::fact::Observation;
use crate::model::input::{Input, Inputs};
use crate::model::outcome::Exit;
use crate::model::secret::Mask;
use crate::model::value::Value;
use crate::probe::{self, Context};
use crate::procedure::site::local_timezone;

mod backup;
mod database;
mod draw;
mod listeners;
mod log;
mod process;
mod survey;
mod web;

use draw::{Schema, Starter};
use survey::Machine;
use web::Answer;

const DEFAULT: &str = "opsctl.yaml";
/// The starter procedure, from the folder of the site file.
const PROCEDURE: &str = "procedures/daily/services.yaml";

/// The schemas for editors, from the folder of the site file.
const SITE_SCHEMA: &str = ".opsctl/site.schema.json";
const PROCEDURE_SCHEMA: &str = ".opsctl/procedure.schema.json";

/// How long a web server or a disk may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

pub fn run(matches: &ArgMatches) -> Done {
    let output = matches.get_one::<String>("output").map_or(DEFAULT, String::as_str);
    let (name, timezone) = (settings::host(), local_timezone());
    if output == "-" {
        message::print(&draw::site(&name, timezone, &survey::take(here()), Starter::None, Schema::Unknown));
        return Ok(Exit::Ok);
    }
    let site_file = Path::new(output);
    let beside = |name: &str| site_file.parent().unwrap_or(Path::new("")).join(name);
    let procedure_file = beside(PROCEDURE);
    let replace = if matches.get_flag("force") { Replace::Existing } else { Replace::Nothing };
    check_place(&[site_file, &procedure_file], replace)?;

    let survey = survey::take(here());
    let procedure = draw::procedure(&survey);
    let starter = if procedure.is_some() { Starter::Beside } else { Starter::None };
    let mut written = vec![site_file];
    // They are the program's, and say nothing of this site.
    write(&beside(SITE_SCHEMA), &super::explain::schema_of(Document::Site), Replace::Existing)?;
    write(&beside(PROCEDURE_SCHEMA), &super::explain::schema_of(Document::Procedure), Replace::Existing)?;
    // The site file comes last: it never names a folder that is not there.
    if let Some(text) = &procedure {
        write(&procedure_file, text, replace)?;
        written.push(&procedure_file);
    }
    write(site_file, &draw::site(&name, timezone, &survey, starter, Schema::Beside), replace)?;
    message::print(&draw::summary(&name, &survey, &disks(), &written, site_file));
    Ok(Exit::Ok)
}

fn here() -> Machine {
    let root = PathBuf::from("/");
    Machine {
        today: Utc::now().with_timezone(&local_timezone()).date_naive(),
        listeners: listeners::read(&root),
        processes: listeners::processes(&root),
        ask,
        undated_logs,
        root,
    }
}

/// What may be overwritten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Replace {
    Nothing,
    Existing,
}

/// Looks at all places before the first file is written.
fn check_place(files: &[&Path], replace: Replace) -> Result<(), Failure> {
    for file in files {
        let shown = file.display();
        if file.is_dir() {
            let help = format!("name the file: --output {}", file.join(DEFAULT).display());
            return Err(Failure::new(format!("{shown} is a folder"), help));
        }
        if replace == Replace::Nothing && file.symlink_metadata().is_ok() {
            let help = "--force replaces it, --output writes elsewhere, `--output -` only prints";
            return Err(Failure::new(format!("{shown} exists; nothing was written"), help));
        }
    }
    Ok(())
}

/// Writes a file in one step: it is there in full or not at all. A link stays one, and leads to the new text.
fn write(file: &Path, text: &str, replace: Replace) -> Result<(), Failure> {
    let failed = |what: &str, error: &std::io::Error| {
        let help = "write elsewhere with --output FILE, or run as a user who may write there";
        Failure::new(format!("cannot {what}: {error}"), help)
    };
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| failed(&format!("make the folder {}", folder.display()), &error))?;
    let place = format!("write {}", file.display());
    let write = || {
        // Like any new file: readable for all, less what the umask takes.
        let mut whole = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
        whole.write_all(text.as_bytes())?;
        whole.as_file().sync_all()?;
        match replace {
            Replace::Existing => whole.persist(&target),
            Replace::Nothing => whole.persist_noclobber(&target),
        }
        .map_err(|error| error.error)
    };
    write().map(drop).map_err(|error| failed(&place, &error))
}

/// What a web server answers; a certificate that does not hold is no obstacle.
fn ask(url: &str) -> Option<Answer> {
    let inputs = Inputs(vec![("url", Input::Texts(vec![url.to_owned()]))]);
    let seen = look("http", &inputs)?;
    match seen.subjects.first()?.facts.get("status")? {
        Value::Integer(status) => Some(Answer { status: u16::try_from(*status).ok()? }),
        _ => None,
    }
}

/// Why logs cannot be searched by time. The shortest window suffices to see that, however large they are.
fn undated_logs(names: &[String]) -> HashMap<String, String> {
    if names.is_empty() {
        return HashMap::new();
    }
    let inputs = Inputs(vec![
        ("file", Input::Paths(names.iter().map(PathBuf::from).collect())),
        ("since", Input::Duration(Duration::from_secs(1))),
        ("rotated", Input::Bool(false)),
    ]);
    let subjects = look("log", &inputs).into_iter().flat_map(|seen| seen.subjects);
    subjects.filter_map(|subject| Some((subject.name, subject.error?))).collect()
}

/// The mount points of the real file systems.
fn disks() -> Vec<String> {
    let seen = look("disk", &Inputs::default());
    let names: Vec<String> = seen.into_iter().flat_map(|seen| seen.subjects).map(|subject| subject.name).collect();
    if names.is_empty() {
        return Vec::new();
    }
    vec![format!("{}, checked by `daily host-health`", names.join(", ").escape_debug())]
}

/// One look with a probe, as a procedure would take it.
fn look(kind: &str, inputs: &Inputs) -> Option<Observation> {
    let probe = (probe::kind(kind)?.build)(inputs).ok()?;
    let cx = Context {
        now: Utc::now(),
        timezone: local_timezone(),
        limit: LIMIT,
        cancel: tokio_util::sync::CancellationToken::new(),
        asked: Arc::new([]),
        databases: Arc::default(),
        services: Arc::default(),
        mask: Mask::default(),
        folder: PathBuf::from("/"),
        past: Arc::new(probe::NoPast),
    };
    block_on(async { tokio::time::timeout(LIMIT * 2, probe.observe(&cx)).await.ok()?.ok() }).ok()?
}
