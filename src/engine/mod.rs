//! The engine: order, bounds, time limits, attempts, cancellation, actions, people, and what it all came to. It knows no
//! terminal, no listener and no exit: it turns a plan into events.

mod act;
mod ask;
mod call;
mod clock;
mod context;
mod given;
mod judge;
mod look;
mod may_start;
mod perform;
mod recorder;
mod resume;
mod rollback;
mod run;
mod selection;
mod tell;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::model::event::incident::{Delivery, Escalation, Message, Note};
use crate::model::event::people::{Answer, Question};
use crate::model::event::{Event, EventKind, Mode, ProcedurePlan, Resume, RunStart, StepPlan};
use crate::model::expectation::Reading;
use crate::model::id::{ProcedureId, RunId, StepId};
use crate::model::outcome::{Exit, Outcome};
use crate::model::past::PastRun;
use crate::model::record::Record;
use crate::model::secret::Mask;
use crate::probe::{Database, ManagedService};
use crate::procedure::cases::Given;
use crate::procedure::document::{Procedure, Work};
use crate::procedure::site::Waiver;
use crate::procedure::template::Vars;

use ask::NoAnswer;
pub use recorder::ON_RECORD;
use recorder::Recorder;
use run::Run;
pub use selection::{Selection, SelectionError};

/// Earlier runs, as far as judging needs them.
pub trait History: Send + Sync {
    /// Earlier readings of these facts of a step in its newest `runs` runs, by subject and fact, newest first.
    fn readings<'h>(
        &'h self,
        procedure: &'h ProcedureId,
        step: &'h StepId,
        facts: &'h [String],
        runs: u32,
    ) -> BoxFuture<'h, HashMap<(String, String), Vec<Reading>>>;

    /// The newest runs of a procedure, the newest first, without `besides` and without dry runs; an error says why they
    /// cannot be known.
    fn runs_of<'h>(&'h self, procedure: &'h ProcedureId, besides: RunId)
    -> BoxFuture<'h, Result<Vec<PastRun>, String>>;

    /// Since when the step has had this outcome without a break; `None` if its last run had another.
    fn since<'h>(
        &'h self,
        procedure: &'h ProcedureId,
        step: &'h StepId,
        outcome: Outcome,
    ) -> BoxFuture<'h, Option<DateTime<Utc>>>;
}

/// The record that has to be on disk before something is changed.
pub trait Ledger: Send + Sync {
    /// Waits until the event with this number, and all before it, are on disk.
    ///
    /// # Errors
    /// They are not on record, and why.
    fn written(&self, seq: u64) -> BoxFuture<'_, Result<(), String>>;
}

/// The people who take a run: the operator at a terminal, or nobody.
pub trait People: Send + Sync {
    /// Whether somebody can be asked now.
    fn present(&self) -> bool;

    /// Asks. What comes back is not recorded yet.
    fn ask<'a>(&'a self, question: &'a Question, briefing: &'a Briefing) -> BoxFuture<'a, Reaction>;

    /// Tells the operator something that needs no answer.
    fn tell(&self, text: &str);
}

/// What a person should know when asked.
#[derive(Clone, Debug, Default)]
pub struct Briefing {
    pub run: Option<RunId>,
    /// The procedure's title.
    pub title: String,
    /// The step's title.
    pub step: String,
    pub why: Option<String>,
    pub next: Option<String>,
    /// What was found so far, a line each.
    pub findings: Vec<String>,
    /// What should be known of what would be done.
    pub notes: Vec<String>,
    /// When the budget began to count, and when it is spent.
    pub budget: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// What came of asking.
#[derive(Clone, Debug)]
pub enum Reaction {
    Answered(Answer),
    /// Somebody answered in another program, where it was recorded.
    Elsewhere(Box<Event>),
    /// A note; the question stays.
    Noted(Note),
    /// Nobody is there, or nobody wants to answer now: the question becomes a task.
    Later,
}

/// The ways out of the house: escalation policies and channels.
pub trait Post: Send + Sync {
    /// Whom to tell, how and by when.
    ///
    /// # Errors
    /// The site file has no such role, policy, severity or channel.
    fn plan(&self, tell: &Tell) -> Result<Escalation, String>;

    /// A text by its template's name.
    ///
    /// # Errors
    /// There is none of this name.
    fn template(&self, name: &str) -> Result<String, String>;

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Delivery>;
}

/// Who is to be told what.
#[derive(Clone, Debug)]
pub struct Tell {
    pub procedure: ProcedureId,
    pub step: StepId,
    pub to: Vec<String>,
    pub escalation: Option<String>,
    pub severity: Option<String>,
    pub channel: Option<String>,
    pub text: String,
    /// From when deadlines count.
    pub since: DateTime<Utc>,
}

/// What a run works with that is not only looking.
#[derive(Clone)]
pub struct Crew {
    pub people: Arc<dyn People>,
    pub ledger: Arc<dyn Ledger>,
    pub post: Arc<dyn Post>,
}

impl Crew {
    /// For a run that only looks.
    #[must_use]
    pub fn nobody() -> Self {
        Self { people: Arc::new(Nobody), ledger: Arc::new(Nobody), post: Arc::new(Nobody) }
    }
}

/// Nobody is there, nothing is written, nothing can be sent.
struct Nobody;

impl People for Nobody {
    fn present(&self) -> bool {
        false
    }

    fn ask<'a>(&'a self, _: &'a Question, _: &'a Briefing) -> BoxFuture<'a, Reaction> {
        std::future::ready(Reaction::Later).boxed()
    }

    fn tell(&self, _: &str) {}
}

impl Ledger for Nobody {
    fn written(&self, _: u64) -> BoxFuture<'_, Result<(), String>> {
        std::future::ready(Err("this run keeps no record".to_owned())).boxed()
    }
}

impl Post for Nobody {
    fn plan(&self, _: &Tell) -> Result<Escalation, String> {
        Err("this run tells nobody".to_owned())
    }

    fn template(&self, _: &str) -> Result<String, String> {
        Err("this run tells nobody".to_owned())
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Delivery> {
        use crate::model::event::incident::Delivered;
        let delivery = Delivery { id: message.id.clone(), state: Delivered::Waiting, detail: None };
        std::future::ready(delivery).boxed()
    }
}

/// What a run needs to know besides its procedures.
pub struct Settings {
    pub run: RunId,
    pub site: String,
    /// As typed, for the record.
    pub command: String,
    pub host: String,
    pub operator: String,
    pub timezone: chrono_tz::Tz,
    pub databases: IndexMap<String, Database>,
    pub services: IndexMap<String, ManagedService>,
    pub folder: PathBuf,
    pub waivers: Vec<Waiver>,
    pub mask: Mask,
    /// How many looks run at the same time.
    pub parallel: usize,
    pub history: Arc<dyn History>,
    pub selection: Selection,
    pub mode: Mode,
    pub crew: Crew,
    /// Actions need no further word; destructive ones do, unless the procedure allows it.
    pub yes: bool,
    /// Ask before each step.
    pub one_by_one: bool,
    /// When it was detected, if that was before the run.
    pub detected: Option<DateTime<Utc>>,
    /// When it occurred, if that is known.
    pub occurred: Option<DateTime<Utc>>,
    /// The run so far, when it goes on.
    pub past: Vec<Event>,
    /// Procedures whose files have changed since, which the operator accepted.
    pub accepted: Vec<(ProcedureId, String)>,
    /// Of a test: what was seen, done and answered. Nothing is looked at, nobody is asked, nothing is done.
    pub given: Option<Arc<Given>>,
}

/// How a run is asked to end early.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    token: CancellationToken,
    kill: CancellationToken,
    exit: Arc<std::sync::OnceLock<Exit>>,
    /// Held while an action is under way.
    acting: Arc<tokio::sync::Mutex<()>>,
}

impl Stop {
    /// No step starts any more, and looks that run are given up. An action that runs goes on to its end.
    pub fn now(&self, exit: Exit) {
        self.exit.get_or_init(|| exit);
        self.token.cancel();
    }

    /// An action that runs is given up as well, with what it started.
    pub fn kill(&self) {
        self.kill.cancel();
    }

    /// Waits until no action is under way, and its end is on record.
    pub async fn idle(&self) {
        drop(self.acting.lock().await);
    }
}

/// At most this many looks at one host or database at the same time.
const PER_RESOURCE: usize = 2;

/// One procedure to run, and the variables that its expressions see.
pub struct Planned {
    pub procedure: Procedure,
    pub vars: Vars,
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// The worst so far, for a run that is suspended.
    pub outcome: Outcome,
    pub exit: Exit,
    /// It goes on with `--resume`.
    pub suspended: bool,
}

/// Runs `planned` and sends what happens to `events`. The last event is [`EventKind::RunFinished`], or
/// [`EventKind::Suspended`].
pub async fn run(planned: Vec<Planned>, settings: Settings, events: UnboundedSender<Event>, stop: Stop) -> End {
    let mut recorder = Recorder::new(events, settings.mask.clone(), &settings.past);
    let mut record = Record::of(&settings.past);
    let begun = if settings.past.is_empty() {
        recorder.record(EventKind::RunStarted(start_of(&planned, &settings)))
    } else {
        recorder.record(EventKind::Resumed(Resume {
            opsctl: env!("CARGO_PKG_VERSION").to_owned(),
            command: settings.command.clone(),
            host: settings.host.clone(),
            operator: settings.operator.clone(),
            accepted: settings.accepted.clone(),
        }))
    };
    record.apply(&begun);
    let mut run = Run::new(planned, settings, stop, record);
    run.open_incident(&mut recorder);
    let caught_up = if run.settings.past.is_empty() { Ok(()) } else { run.catch_up(&mut recorder).await };
    run.skip_filtered(&mut recorder);
    let mut suspended = match caught_up {
        Ok(()) => run.execute(&mut recorder).await,
        Err(NoAnswer) => Some(run.why_suspended()),
    };
    if suspended.is_some() && run.interrupted.is_some() && !run.after_interrupt(&mut recorder).await {
        suspended = run.execute(&mut recorder).await;
    }
    if let Some(reason) = suspended {
        let outcome = run.outcome();
        let exit = run.interrupted.unwrap_or_else(|| Exit::of(outcome, None).at_least(Exit::Warned));
        recorder.record(EventKind::Suspended { reason });
        return End { outcome, exit, suspended: true };
    }
    let outcome = run.outcome();
    let exit = Exit::of(outcome, run.interrupted);
    recorder.record(EventKind::RunFinished { outcome, exit });
    End { outcome, exit, suspended: false }
}

fn start_of(planned: &[Planned], settings: &Settings) -> RunStart {
    RunStart {
        run: settings.run,
        opsctl: env!("CARGO_PKG_VERSION").to_owned(),
        site: settings.site.clone(),
        command: settings.command.clone(),
        host: settings.host.clone(),
        operator: settings.operator.clone(),
        timezone: settings.timezone.name().to_owned(),
        mode: settings.mode,
        incident: settings.mode == Mode::Run && planned.iter().any(|planned| planned.procedure.report.is_some()),
        procedures: planned.iter().map(|one| plan_of(&one.procedure, planned)).collect(),
    }
}

/// The step that runs `procedure`, if one does.
fn caller<'p>(procedure: &ProcedureId, planned: &'p [Planned]) -> Option<(&'p ProcedureId, &'p StepId)> {
    planned.iter().find_map(|planned| {
        let step = planned.procedure.steps.iter().find(|step| match &step.work {
            Work::Procedure(call) => call.run == *procedure,
            _ => false,
        })?;
        Some((&planned.procedure.id, &step.id))
    })
}

fn plan_of(procedure: &Procedure, planned: &[Planned]) -> ProcedurePlan {
    let steps = procedure.steps.iter().map(|step| StepPlan {
        id: step.id.clone(),
        title: step.title.clone(),
        kind: step.kind.word().to_owned(),
        probe: match &step.work {
            Work::Action(act) => act.doing.kind.name.to_owned(),
            _ => step.looks.first().map_or("", |look| look.kind.name).to_owned(),
        },
        section: step.section.map(|section| procedure.sections[section].title.clone()),
        at: procedure.place(step),
        why: step.why.clone(),
        next: step.next.clone(),
        finding: step.finding,
    });
    ProcedurePlan {
        id: procedure.id.clone(),
        title: procedure.title.clone(),
        hash: procedure.hash(),
        called_by: caller(&procedure.id, planned).map(|(procedure, step)| (procedure.clone(), step.clone())),
        budget_ms: procedure.budget.map(|budget| u64::try_from(budget.as_millis()).unwrap_or(u64::MAX)),
        criteria: procedure.criteria.iter().map(|criterion| criterion.says.clone()).collect(),
        steps: steps.collect(),
    }
}

/// Where a step stands: procedure and step by position.
type Place = (usize, usize);
