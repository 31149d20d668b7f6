//! Running procedures: the engine's events to reports, journal and exit status.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Done;
use super::message::{self, Failure};
use super::post::{Clocks, Office, Watch};
use super::settings::{self, Globals};
use super::signals::{Signals, exit_of};
use crate::engine::{self, Crew, Planned, Stop};
use crate::model::event::{Event, EventKind, Mode};
use crate::model::id::ProcedureId;
use crate::model::outcome::Exit;
use crate::model::secret::Mask;
use crate::probe::threads;
use crate::procedure::document::Procedure;
use crate::procedure::library::Library;
use crate::procedure::site::Site;

pub mod attach;
#[cfg(debug_assertions)]
mod failpoint;
pub mod listeners;
mod lock;
mod prepare;
mod record;
mod report_file;
pub mod report_files;
mod request;
pub mod resume;
mod terminal;
pub mod times;
mod words;

pub use record::{Opening, Recorded};
pub use request::Request;

use listeners::Listeners;
use prepare::{Preparation, prepare};
use record::Scribe;
use terminal::Terminal;

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

/// Runs `procedures`: those that were asked for, then those that they call.
pub fn run(
    procedures: Vec<Procedure>,
    asked: &[ProcedureId],
    mut request: Request,
    globals: &Globals,
    site: Site,
    library: &Library,
    opening: Opening,
) -> Done {
    request
        .selection
        .vet(&procedures.iter().collect::<Vec<_>>())
        .map_err(|error| Failure::new(error.message, error.help))?;
    // What only looks is a check, however it was asked for.
    if procedures.iter().flat_map(|procedure| &procedure.steps).all(|step| step.kind.looks()) {
        request.mode = Mode::Check;
    }
    let journal = opening.path.clone();
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
        supervise(planned, request, globals.typed.clone(), site, opening, listeners, prepared).await
    };
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| block_on(supervised)));
    std::panic::set_hook(usual);
    done.unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        let message = format!("opsctl broke down: {}", what.unwrap_or("no message"));
        Err(Failure::new(message, "this is a mistake in opsctl; please report it with this message"))
    })?
}

async fn supervise(
    planned: Vec<Planned>,
    request: Request,
    command: String,
    site: Site,
    opening: Opening,
    mut listeners: Listeners,
    prepared: Preparation,
) -> Done {
    let run = prepared.run;
    // The report is of the whole run, the part before included.
    for event in &prepared.past {
        listeners.recall(event);
    }
    let scribe = Scribe::start(opening, run);
    let office = Arc::new(site.clone());
    let watch = if request.mode == Mode::Run { Watch::Always } else { Watch::Once };
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
        selection: request.selection,
        mode: request.mode,
        crew: crew(&scribe, prepared.terminal, Office { site: office, run }),
        yes: request.yes,
        one_by_one: request.one_by_one,
        detected: prepared.detected,
        occurred: prepared.occurred,
        past: prepared.past,
        accepted: prepared.accepted,
        given: None,
    };
    threads::make();
    let stop = Stop::default();
    let (sender, receiver) = unbounded_channel();
    let engine = tokio::spawn(engine::run(planned, settings, sender, stop.clone()));
    // Behind the engine: the first looks are under way meanwhile. An action waits for its record, and so for this.
    tokio::spawn(listen_for_signals(stop));
    let last = relay(receiver, &scribe, &mut listeners).await?;
    let ended = engine.await.map_err(|error| {
        Failure::new(format!("the engine broke down: {error}"), "this is a mistake in opsctl; please report it")
    })?;
    let engine::End { outcome, mut exit, suspended } = ended;
    let mut last = last;
    scribe.record(&last);
    // The record decides with: a run that is not on record has not proved anything to an auditor.
    let report = async {
        // The scribe first: while the journal is being written, there is time.
        tokio::task::yield_now().await;
        listeners.foresee(&last);
    };
    let (recorded, ()) = tokio::join!(scribe.flush(), report);
    let unrecorded = recorded.err();
    clocks.finish().await;
    if unrecorded.is_some() {
        exit = exit.at_least(Exit::CouldNotTell);
        if !suspended {
            last.kind = EventKind::RunFinished { outcome, exit };
        }
        listeners.unrecorded();
    }
    exit = listeners.finish(last, outcome, exit);
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
                    listeners.hear(&event);
                }
                None => return Err(Failure::new("the engine ended without a result", "this is a mistake in opsctl; please report it")),
            },
            _ = tick.tick() => listeners.tick(),
        }
    }
}

/// How long an action that is killed may take to end what it has started.
const MOST_TIDYING: Duration = Duration::from_secs(6);

/// The first signal ends the run in order; the second one ends the program, the third one at once.
async fn listen_for_signals(stop: Stop) {
    let Ok(mut signals) = Signals::listen() else { return };
    stop.now(exit_of(signals.next().await));
    let second = exit_of(signals.next().await);
    // What an action has started ends with it, also in a server.
    stop.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    tokio::select! {
        _ = tokio::time::timeout(MOST_TIDYING, stop.idle()) => {}
        _ = signals.next() => {}
    }
    #[expect(
        clippy::disallowed_methods,
        clippy::exit,
        reason = "asked twice to end: what has finished is in the journal"
    )]
    std::process::exit(i32::from(second.code()));
}
