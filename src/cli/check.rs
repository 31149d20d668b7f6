//! Running procedures look-only: the engine's events to reports, journal and exit status.

use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::ArgMatches;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Done;
use super::message::{self, Failure};
use super::post::{Clocks, Office, Watch};
use super::settings::{self, Globals};
use super::signals::{Signals, exit_of};
use crate::engine::{self, Crew, Planned, Stop};
use crate::journal::{Access, Journal};
use crate::model::event::{Event, EventKind, Mode};
use crate::model::id::{ProcedureId, RunId};
use crate::model::outcome::{Exit, Outcome};
use crate::model::secret::Mask;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::document::Procedure;
use crate::procedure::library::Library;
use crate::procedure::site::Site;
use crate::report::{Format, Live, Progress, Reporter, Style};

pub mod attach;
mod lock;
mod record;
mod report_file;
pub mod resume;
mod terminal;
pub mod times;
mod words;

pub use record::Recorded;

use record::Scribe;
use report_file::ReportFile;
use resume::Unfinished;
use terminal::Terminal;

/// What the options ask for.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Request {
    format: Option<Format>,
    /// Reports to files besides the one to standard output.
    reports: Vec<(Format, PathBuf)>,
    quiet: bool,
    only: Vec<String>,
    skip: Vec<String>,
    tags: Vec<String>,
    parallel: usize,
    mode: Mode,
    yes: bool,
    one_by_one: bool,
    /// Goes on with a run: the one that is named, or the newest.
    resume: Option<Goes>,
    accept_change: bool,
    /// Begins anew although a run waits.
    anew: bool,
    since: Option<String>,
    occurred: Option<String>,
}

/// Which run goes on.
enum Goes {
    Newest,
    Named(String),
}

impl Request {
    /// # Errors
    /// A `--report` that is not `FORMAT=FILE`.
    pub fn from_matches(matches: &ArgMatches) -> Result<Self, Failure> {
        let words = |name: &str| matches.get_many::<String>(name).into_iter().flatten().cloned().collect();
        let reports: Vec<String> = words("report");
        let reports = reports.iter().map(|report| {
            let Some((format, file)) = report.split_once('=').filter(|(_, file)| !file.is_empty()) else {
                return Err(Failure::new(
                    format!("--report {report} names no file"),
                    "write --report FORMAT=FILE, such as json=check.json",
                ));
            };
            let format =
                format.parse().map_err(|error: crate::report::FormatError| Failure::new(error.to_string(), ""))?;
            Ok((format, PathBuf::from(file)))
        });
        Ok(Self {
            format: matches.get_one::<Format>("format").copied(),
            reports: reports.collect::<Result<_, _>>()?,
            quiet: matches.get_flag("quiet"),
            only: words("only"),
            skip: words("skip"),
            tags: words("tag"),
            parallel: usize::from(matches.get_one::<u16>("parallel").copied().unwrap_or(8)),
            mode: mode(matches),
            yes: flag(matches, "yes"),
            one_by_one: flag(matches, "step"),
            resume: resumed(matches),
            accept_change: flag(matches, "accept-change"),
            anew: flag(matches, "new"),
            since: text(matches, "since"),
            occurred: text(matches, "occurred"),
        })
    }
}

/// Whether an option is given, where the command has it.
fn flag(matches: &ArgMatches, name: &str) -> bool {
    matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false)
}

/// The value of an option, where the command has it.
fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.try_get_one::<String>(name).ok().flatten().cloned()
}

/// `--resume` names a run, or none.
fn resumed(matches: &ArgMatches) -> Option<Goes> {
    let given = matches.try_contains_id("resume").is_ok() && matches.contains_id("resume");
    let named = text(matches, "resume").filter(|run| !run.is_empty());
    given.then(|| named.map_or(Goes::Newest, Goes::Named))
}

/// `<group> check` has no other way than to look.
fn mode(matches: &ArgMatches) -> Mode {
    if matches.try_contains_id("check").is_err() || flag(matches, "check") {
        Mode::Check
    } else if flag(matches, "dry-run") {
        Mode::DryRun
    } else {
        Mode::Run
    }
}

/// A runtime for one command. Looks wait for others most of the time, so one thread serves them all; what computes or
/// may hang has threads of its own, and does not keep the program from ending; what tidies up does.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(format!("cannot start: {error}"), "check the limits of this user (`ulimit -a`)")
    })?;
    let done = runtime.block_on(work);
    crate::probe::database::wait_for_tidying();
    // The command is done, and the program ends: putting everything away in order would only take time.
    std::mem::forget(runtime);
    Ok(done)
}

/// What a run with people needs before it begins.
struct Preparation {
    run: RunId,
    terminal: Option<Arc<Terminal>>,
    past: Vec<Event>,
    accepted: Vec<(ProcedureId, String)>,
    detected: Option<DateTime<Utc>>,
    occurred: Option<DateTime<Utc>>,
    locks: Option<lock::Locks>,
}

impl Preparation {
    /// Of a run that only looks.
    fn none() -> Self {
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

/// Runs `procedures`: those that were asked for, then those that they call.
pub fn run(
    procedures: Vec<Procedure>,
    asked: &[ProcedureId],
    mut request: Request,
    globals: &Globals,
    site: Site,
    library: &Library,
) -> Done {
    refuse_unknown_steps(&procedures, &request)?;
    // What only looks is a check, however it was asked for.
    if procedures.iter().flat_map(|procedure| &procedure.steps).all(|step| step.kind.looks()) {
        request.mode = Mode::Check;
    }
    let journal = settings::journal_path(&site)?;
    let style = globals.style(site.timezone);
    let terminal = match request.mode {
        Mode::Run => Terminal::open(&settings::operator(), site.timezone, style.colour, &journal).map(Arc::new),
        Mode::Check | Mode::DryRun => None,
    };
    let listeners = Listeners::open(&request, globals, site.timezone)?;
    // A panic in a probe becomes that step's error; its text belongs into the report, not between the lines.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let supervised = async {
        let prepared = match request.mode {
            Mode::Run => prepare(&procedures, asked, &request, &site, &journal, terminal).await?,
            Mode::Check | Mode::DryRun => Preparation::none(),
        };
        let planned: Vec<Planned> = procedures
            .into_iter()
            .map(|procedure| Planned { vars: library.vars_of(&procedure.id).cloned().unwrap_or_default(), procedure })
            .collect();
        supervise(planned, request, globals.typed.clone(), site, journal, listeners, prepared).await
    };
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| block_on(supervised)));
    std::panic::set_hook(usual);
    done.unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        let message = format!("opsctl broke down: {}", what.unwrap_or("no message"));
        Err(Failure::new(message, "this is a mistake in opsctl; please report it with this message"))
    })?
}

/// Takes the locks, finds the run that goes on, and asks since when the incident is known.
async fn prepare(
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
    }
    let holder = lock::Holder {
        run: prepared.run,
        operator: settings::operator(),
        host: settings::host(),
        pid: std::process::id(),
        since: now,
    };
    let own = procedures.iter().map(|procedure| procedure.id.to_string());
    let keys: Vec<String> = own.chain(procedures.iter().flat_map(|procedure| procedure.lock.iter().cloned())).collect();
    prepared.locks = Some(lock::take(&keys, &holder, journal, site.timezone)?);
    let incident = procedures.iter().any(|procedure| procedure.report.is_some());
    let unsaid = incident && prepared.past.is_empty() && prepared.detected.is_none();
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
            match terminal.line("resume it / new / quit> ").await.as_deref() {
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

/// A selection that selects nothing must not look like a pass.
fn refuse_unknown_steps(procedures: &[Procedure], request: &Request) -> Result<(), Failure> {
    let ids = || procedures.iter().flat_map(|procedure| &procedure.steps).map(|step| step.id.as_str());
    for (option, given) in [("--only", &request.only), ("--skip", &request.skip)] {
        if let Some(unknown) = given.iter().find(|id| !ids().any(|known| known == *id)) {
            return Err(Failure::new(
                format!("{option} {unknown}: there is no such step"),
                suggestion(unknown, ids(), "the steps are"),
            ));
        }
    }
    let tagged = |tags: &[String]| tags.iter().any(|tag| request.tags.contains(tag));
    let left = procedures.iter().flat_map(|procedure| &procedure.steps).any(|step| {
        (request.only.is_empty() || request.only.iter().any(|id| id == step.id.as_str()))
            && !request.skip.iter().any(|id| id == step.id.as_str())
            && (request.tags.is_empty() || tagged(&step.tags))
    });
    if left { Ok(()) } else { Err(Failure::new("no step is selected", "check --only, --skip and --tag")) }
}

async fn supervise(
    planned: Vec<Planned>,
    request: Request,
    command: String,
    site: Site,
    journal: PathBuf,
    mut listeners: Listeners,
    prepared: Preparation,
) -> Done {
    let run = prepared.run;
    // The report is of the whole run, the part before included.
    for event in &prepared.past {
        listeners.recall(event)?;
    }
    let scribe = Scribe::start(journal, run);
    let office = Arc::new(site.clone());
    let watch = if request.mode == Mode::Run { Watch::Always } else { Watch::AtTheEnd };
    let clocks = Clocks::start(Arc::clone(&office), scribe.history(), watch);
    let settings = engine::Settings {
        run,
        site: site.name,
        command,
        host: settings::host(),
        operator: settings::operator(),
        timezone: site.timezone,
        databases: site.databases,
        services: site.services,
        folder: site.folder,
        waivers: site.waivers,
        mask: Mask::default(),
        parallel: request.parallel,
        history: Arc::new(scribe.history()),
        only: request.only,
        skip: request.skip,
        tags: request.tags,
        mode: request.mode,
        crew: crew(&scribe, prepared.terminal, Office { site: office, run }),
        yes: request.yes,
        one_by_one: request.one_by_one,
        detected: prepared.detected,
        occurred: prepared.occurred,
        past: prepared.past,
        accepted: prepared.accepted,
    };
    let stop = Stop::default();
    tokio::spawn(listen_for_signals(stop.clone()));
    let (sender, receiver) = unbounded_channel();
    let engine = tokio::spawn(engine::run(planned, settings, sender, stop));
    let last = relay(receiver, &scribe, &mut listeners).await?;
    let ended = engine.await.map_err(|error| {
        Failure::new(format!("the engine broke down: {error}"), "this is a mistake in opsctl; please report it")
    })?;
    let engine::End { outcome, mut exit, suspended } = ended;
    let mut last = last;
    scribe.record(&last);
    // The record decides with: a run that is not on record has not proved anything to an auditor.
    let unrecorded = scribe.flush().await.err();
    clocks.finish().await;
    if unrecorded.is_some() {
        exit = exit.at_least(Exit::CouldNotTell);
        if !suspended {
            last.kind = EventKind::RunFinished { outcome, exit };
        }
        listeners.unrecorded();
    }
    listeners.finish(&last, outcome)?;
    if let Some(error) = unrecorded {
        message::warn(&format!("error: this run is not on record: {error}\n"));
        if let Some(help) = error.help() {
            message::warn(&format!("  help: {help}\n"));
        }
    }
    Ok(exit)
}

/// Who works on a run that does more than look.
fn crew(scribe: &Scribe, terminal: Option<Arc<Terminal>>, office: Office) -> Crew {
    let mut crew = Crew { ledger: Arc::new(scribe.ledger()), post: Arc::new(office), ..Crew::nobody() };
    if let Some(terminal) = terminal {
        crew.people = terminal;
    }
    crew
}

/// Hands every event on, all but the last one, which is for the caller.
async fn relay(
    mut events: UnboundedReceiver<Event>,
    scribe: &Scribe,
    listeners: &mut Listeners,
) -> Result<Event, Failure> {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) if matches!(event.kind, EventKind::RunFinished { .. } | EventKind::Suspended { .. }) => return Ok(event),
                Some(event) => {
                    // What another program wrote is in the journal already.
                    if event.seq != engine::ON_RECORD {
                        scribe.record(&event);
                    }
                    listeners.hear(&event)?;
                }
                None => return Err(Failure::new("the engine ended without a result", "this is a mistake in opsctl; please report it")),
            },
            _ = tick.tick() => listeners.tick(),
        }
    }
}

/// The first signal ends the run in order; the second one ends the program.
async fn listen_for_signals(stop: Stop) {
    let Ok(mut signals) = Signals::listen() else { return };
    stop.now(exit_of(signals.next().await));
    let second = exit_of(signals.next().await);
    // What an action has started ends with it.
    stop.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    #[expect(
        clippy::disallowed_methods,
        clippy::exit,
        reason = "asked twice to end: what has finished is in the journal"
    )]
    std::process::exit(i32::from(second.code()));
}

/// Who is told of a run.
struct Listeners {
    progress: Option<Box<dyn Reporter>>,
    main: Box<dyn Reporter>,
    /// With --quiet the main report is only written when something does not hold.
    quiet: bool,
    files: Vec<(ReportFile, Box<dyn Reporter>)>,
}

impl Listeners {
    fn open(request: &Request, globals: &Globals, timezone: chrono_tz::Tz) -> Result<Self, Failure> {
        let style = globals.style(timezone);
        let format = request.format.unwrap_or_else(|| globals.default_format());
        let mut files = Vec::new();
        for (format, path) in &request.reports {
            let unwritable = |error| {
                let message = format!("cannot write the report {}: {error}", path.display());
                Failure::new(message, "check the folder and its permissions")
            };
            let (file, draft) = ReportFile::begin(path).map_err(unwritable)?;
            let style = Style { colour: false, ..style };
            files.push((file, format.reporter(Box::new(io::BufWriter::new(draft)), style)));
        }
        Ok(Self {
            progress: match request.mode {
                _ if request.quiet || !io::stderr().is_terminal() => None,
                Mode::Run => Some(Box::new(Live::on_stderr(style)) as Box<dyn Reporter>),
                Mode::Check | Mode::DryRun => Some(Box::new(Progress::on_stderr())),
            },
            main: format.reporter(Box::new(Stdout), style),
            quiet: request.quiet,
            files,
        })
    }

    /// What happened before a run went on: no news.
    fn recall(&mut self, event: &Event) -> Result<(), Failure> {
        for (_, reporter) in &mut self.files {
            reporter.on_event(event).map_err(|error| cannot_report(&error))?;
        }
        self.main.on_event(event).map_err(|error| cannot_report(&error))
    }

    fn hear(&mut self, event: &Event) -> Result<(), Failure> {
        if let Some(progress) = &mut self.progress {
            progress.on_event(event).ok();
        }
        for (_, reporter) in &mut self.files {
            reporter.on_event(event).map_err(|error| cannot_report(&error))?;
        }
        self.main.on_event(event).map_err(|error| cannot_report(&error))
    }

    fn tick(&mut self) {
        if let Some(progress) = &mut self.progress {
            progress.on_tick().ok();
        }
    }

    fn unrecorded(&mut self) {
        self.main.on_unrecorded();
        for (_, reporter) in &mut self.files {
            reporter.on_unrecorded();
        }
    }

    fn finish(mut self, last: &Event, outcome: Outcome) -> Result<(), Failure> {
        self.hear(last)?;
        if let Some(progress) = self.progress {
            progress.finish().ok();
        }
        let mut written = Ok(());
        for (file, reporter) in self.files {
            let path = file.path().display().to_string();
            let done = reporter.finish().and_then(|()| file.put_in_place()).map_err(|error| {
                let message = format!("cannot write the report {path}: {error}");
                Failure::new(message, "check the space that is left; `opsctl show last` shows the run again")
            });
            written = written.and(done);
        }
        let holds = matches!(outcome, Outcome::Passed | Outcome::Waived | Outcome::Skipped | Outcome::Pending);
        let interrupted = matches!(
            last.kind,
            EventKind::RunFinished { exit: Exit::Interrupted | Exit::Terminated | Exit::CouldNotTell, .. }
        );
        if self.quiet && holds && !interrupted {
            return written;
        }
        match self.main.finish() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(cannot_report(&error)),
            Ok(()) | Err(_) => written,
        }
    }
}

fn cannot_report(error: &io::Error) -> Failure {
    Failure::new(format!("cannot write the report: {error}"), "`opsctl show last` shows the run again")
}

/// Standard output, locked for each write only.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().flush()
    }
}
