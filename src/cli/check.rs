//! Running procedures look-only: the engine's events to reports, journal and exit status.

use std::fs::File;
use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ArgMatches;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Done;
use super::message::{self, Failure};
use super::settings::{self, Globals};
use super::signals::{Signals, exit_of};
use crate::engine::{self, Planned, Stop};
use crate::model::event::{Event, EventKind};
use crate::model::id::RunId;
use crate::model::outcome::{Exit, Outcome};
use crate::model::secret::Mask;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::document::Procedure;
use crate::procedure::library::Library;
use crate::procedure::site::Site;
use crate::report::{Format, Progress, Reporter, Style};

mod record;

use record::Scribe;

/// What the options ask for.
pub struct Request {
    format: Option<Format>,
    /// Reports to files besides the one to standard output.
    reports: Vec<(Format, PathBuf)>,
    quiet: bool,
    only: Vec<String>,
    skip: Vec<String>,
    tags: Vec<String>,
    parallel: usize,
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
        })
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
    runtime.shutdown_background();
    Ok(done)
}

/// Runs `procedures`.
pub fn run(procedures: Vec<Procedure>, request: Request, globals: &Globals, site: Site, library: &Library) -> Done {
    refuse_unknown_steps(&procedures, &request)?;
    let planned: Vec<Planned> = procedures
        .into_iter()
        .map(|procedure| Planned { vars: library.vars_of(&procedure.id).cloned().unwrap_or_default(), procedure })
        .collect();
    let listeners = Listeners::open(&request, globals, site.timezone)?;
    let journal = settings::journal_path(&site)?;
    // A panic in a probe becomes that step's error; its text belongs into the report, not between the lines.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let supervised = supervise(planned, request, globals.typed.clone(), site, journal, listeners);
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| block_on(supervised)));
    std::panic::set_hook(usual);
    done.unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        let message = format!("opsctl broke down: {}", what.unwrap_or("no message"));
        Err(Failure::new(message, "this is a mistake in opsctl; please report it with this message"))
    })?
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
) -> Done {
    let run = RunId(uuid::Uuid::now_v7());
    let scribe = Scribe::start(journal, run);
    let settings = engine::Settings {
        run,
        site: site.name,
        command,
        host: settings::host(),
        operator: settings::operator(),
        timezone: site.timezone,
        databases: site.databases,
        folder: site.folder,
        waivers: site.waivers,
        mask: Mask::default(),
        parallel: request.parallel,
        history: Arc::new(scribe.history()),
        only: request.only,
        skip: request.skip,
        tags: request.tags,
    };
    let stop = Stop::default();
    tokio::spawn(listen_for_signals(stop.clone()));
    let (sender, receiver) = unbounded_channel();
    let engine = tokio::spawn(engine::check(planned, settings, sender, stop));
    let last = relay(receiver, &scribe, &mut listeners).await?;
    let ended = engine.await.map_err(|error| {
        Failure::new(format!("the engine broke down: {error}"), "this is a mistake in opsctl; please report it")
    })?;
    let (outcome, mut exit) = ended;
    let mut last = last;
    scribe.record(&last);
    // The record decides with: a run that is not on record has not proved anything to an auditor.
    let unrecorded = scribe.flush().await.err();
    if unrecorded.is_some() {
        exit = exit.at_least(Exit::CouldNotTell);
        last.kind = EventKind::RunFinished { outcome, exit };
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
                Some(event) if matches!(event.kind, EventKind::RunFinished { .. }) => return Ok(event),
                Some(event) => {
                    scribe.record(&event);
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
    files: Vec<(PathBuf, Box<dyn Reporter>)>,
}

impl Listeners {
    fn open(request: &Request, globals: &Globals, timezone: chrono_tz::Tz) -> Result<Self, Failure> {
        let style = globals.style(timezone);
        let format = request.format.unwrap_or_else(|| globals.default_format());
        let mut files = Vec::new();
        for (format, path) in &request.reports {
            let file = File::create(path).map_err(|error| {
                Failure::new(
                    format!("cannot write the report {}: {error}", path.display()),
                    "check the folder and its permissions",
                )
            })?;
            let style = Style { colour: false, ..style };
            files.push((path.clone(), format.reporter(Box::new(io::BufWriter::new(file)), style)));
        }
        Ok(Self {
            progress: (io::stderr().is_terminal() && !request.quiet)
                .then(|| Box::new(Progress::on_stderr()) as Box<dyn Reporter>),
            main: format.reporter(Box::new(Stdout), style),
            quiet: request.quiet,
            files,
        })
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

    fn finish(mut self, last: &Event, outcome: Outcome) -> Result<(), Failure> {
        self.hear(last)?;
        if let Some(progress) = self.progress {
            progress.finish().ok();
        }
        let mut written = Ok(());
        for (path, reporter) in self.files {
            let done = reporter.finish().map_err(|error| {
                let message = format!("cannot write the report {}: {error}", path.display());
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
