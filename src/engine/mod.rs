//! The engine: order, bounds, time limits, attempts, cancellation, and what it all came to. It knows no terminal, no
//! listener and no exit: it turns a plan into events.

mod judge;
mod look;
mod recorder;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::model::event::{Event, EventKind, ProcedurePlan, ProcedureResult, RunStart, StepPlan, StepResult};
use crate::model::expectation::Reading;
use crate::model::id::{ProcedureId, RunId, StepId};
use crate::model::outcome::{Exit, Outcome, Skip};
use crate::model::secret::Mask;
use crate::probe::{Database, ManagedService};
use crate::procedure::document::{Procedure, Step};
use crate::procedure::site::Waiver;
use crate::procedure::template::{Vars, context_of};

use look::Looker;
use recorder::Recorder;

/// Earlier runs, as far as judging needs them.
pub trait History: Send + Sync {
    /// Earlier readings of these facts of a step, by subject and fact, newest first.
    fn readings<'h>(
        &'h self,
        procedure: &'h ProcedureId,
        step: &'h StepId,
        facts: &'h [String],
    ) -> BoxFuture<'h, HashMap<(String, String), Vec<Reading>>>;

    /// Since when the step has had this outcome without a break; `None` if its last run had another.
    fn since<'h>(
        &'h self,
        procedure: &'h ProcedureId,
        step: &'h StepId,
        outcome: Outcome,
    ) -> BoxFuture<'h, Option<DateTime<Utc>>>;
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
    /// Only these steps, when not empty.
    pub only: Vec<String>,
    /// None of these steps.
    pub skip: Vec<String>,
    /// Only steps with one of these tags, when not empty.
    pub tags: Vec<String>,
}

/// How a run is asked to end early.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    token: CancellationToken,
    exit: Arc<std::sync::OnceLock<Exit>>,
}

impl Stop {
    /// No step starts any more, and looks that run are given up.
    pub fn now(&self, exit: Exit) {
        self.exit.get_or_init(|| exit);
        self.token.cancel();
    }
}

/// At most this many looks at one host or database at the same time.
const PER_RESOURCE: usize = 2;

/// One procedure to run, and the variables that its expressions see.
pub struct Planned {
    pub procedure: Procedure,
    pub vars: Vars,
}

/// Runs `planned` look-only and sends what happens to `events`. The outcome and exit status are those of the last event.
pub async fn check(
    planned: Vec<Planned>,
    settings: Settings,
    events: UnboundedSender<Event>,
    stop: Stop,
) -> (Outcome, Exit) {
    let begin = Instant::now();
    let mut recorder = Recorder::new(events, settings.mask.clone(), begin);
    recorder.record(EventKind::RunStarted(start_of(&planned, &settings)));
    let mut run = Run::new(planned, settings, stop);
    run.skip_filtered(&mut recorder);
    run.execute(&mut recorder).await;
    let outcome = run.outcomes.iter().flatten().copied().max().unwrap_or(Outcome::Passed);
    let exit = Exit::of(outcome, run.interrupted);
    recorder.record(EventKind::RunFinished { outcome, exit });
    (outcome, exit)
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
        procedures: planned.iter().map(|planned| plan_of(&planned.procedure)).collect(),
    }
}

fn plan_of(procedure: &Procedure) -> ProcedurePlan {
    let steps = procedure.steps.iter().map(|step| StepPlan {
        id: step.id.clone(),
        title: step.title.clone(),
        kind: step.kind.word().to_owned(),
        probe: step.looks.first().map_or("", |look| look.kind.name).to_owned(),
        at: step.at.clone(),
        why: step.why.clone(),
        next: step.next.clone(),
    });
    ProcedurePlan {
        id: procedure.id.clone(),
        title: procedure.title.clone(),
        budget_ms: procedure.budget.map(|budget| u64::try_from(budget.as_millis()).unwrap_or(u64::MAX)),
        criteria: procedure.criteria.iter().map(|criterion| criterion.says.clone()).collect(),
        steps: steps.collect(),
    }
}

/// Where a step stands: procedure and step by position.
type Place = (usize, usize);

struct Run {
    planned: Arc<Vec<Planned>>,
    settings: Arc<Settings>,
    stop: Stop,
    looker: Arc<Looker>,
    /// Steps that wait, in the order of the documents.
    waiting: Vec<Place>,
    results: Vec<Vec<Option<Arc<StepResult>>>>,
    begins: Vec<Option<Instant>>,
    outcomes: Vec<Option<Outcome>>,
    resources: HashMap<String, Arc<Semaphore>>,
    /// The stop came before everything was done, and is among the events.
    interrupted: Option<Exit>,
}

impl Run {
    fn new(planned: Vec<Planned>, settings: Settings, stop: Stop) -> Self {
        let planned = Arc::new(planned);
        let settings = Arc::new(settings);
        let waiting = planned
            .iter()
            .enumerate()
            .flat_map(|(index, planned)| (0..planned.procedure.steps.len()).map(move |step| (index, step)))
            .collect();
        let looker = Arc::new(Looker::new(&settings, stop.token.clone()));
        Self {
            results: planned.iter().map(|planned| vec![None; planned.procedure.steps.len()]).collect(),
            begins: vec![None; planned.len()],
            outcomes: vec![None; planned.len()],
            waiting,
            looker,
            planned,
            settings,
            stop,
            resources: HashMap::new(),
            interrupted: None,
        }
    }

    fn step(&self, (procedure, step): Place) -> &Step {
        &self.planned[procedure].procedure.steps[step]
    }

    /// Steps that the operator left out; what is left of an empty selection is for the caller to refuse.
    fn skip_filtered(&mut self, recorder: &mut Recorder) {
        let Settings { only, skip, tags, .. } = &*Arc::clone(&self.settings);
        for place in self.waiting.clone() {
            let step = self.step(place);
            let chosen = (only.is_empty() || only.iter().any(|id| id == step.id.as_str()))
                && !skip.iter().any(|id| id == step.id.as_str())
                && (tags.is_empty() || tags.iter().any(|tag| step.tags.contains(tag)));
            if !chosen {
                self.finish(place, skipped(self, place, Skip::Filter, "left out by --only, --skip or --tag"), recorder);
            }
        }
    }

    async fn execute(&mut self, recorder: &mut Recorder) {
        let global = Arc::new(Semaphore::new(self.settings.parallel.max(1)));
        let (notes, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let mut running: JoinSet<(Place, StepResult)> = JoinSet::new();
        loop {
            self.start_ready(&global, &notes, &mut running, recorder);
            if running.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                () = self.stop.token.cancelled(), if self.interrupted.is_none() => self.interrupt(recorder),
                Some(event) = heard.recv() => recorder.record(event),
                Some(joined) = running.join_next() => {
                    while let Ok(event) = heard.try_recv() {
                        recorder.record(event);
                    }
                    match joined {
                        Ok((place, result)) => self.finish(place, result, recorder),
                        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                        Err(_) => {}
                    }
                }
            }
        }
        self.finish_empty(recorder);
    }

    fn interrupt(&mut self, recorder: &mut Recorder) {
        let exit = self.stop.exit.get().copied().unwrap_or(Exit::Interrupted);
        self.interrupted = Some(exit);
        recorder.record(EventKind::Interrupted { exit });
    }

    /// Starts or skips every waiting step whose predecessors have ended.
    ///
    /// In the order of the documents, as long as there is room. What finds none waits on, and whether it may start is
    /// asked again.
    fn start_ready(
        &mut self,
        global: &Arc<Semaphore>,
        notes: &UnboundedSender<EventKind>,
        running: &mut JoinSet<(Place, StepResult)>,
        recorder: &mut Recorder,
    ) {
        loop {
            let ready: Vec<Place> = self.waiting.iter().copied().filter(|&place| self.is_ready(place)).collect();
            let mut skipped_some = false;
            for place in ready {
                if global.available_permits() == 0 && !self.stop.token.is_cancelled() {
                    break;
                }
                self.begin_procedure(place.0, recorder);
                match self.verdict(place) {
                    Ok(()) => self.start(place, global, notes, running),
                    Err(result) => {
                        self.finish(place, *result, recorder);
                        skipped_some = true;
                    }
                }
            }
            if !skipped_some {
                return;
            }
        }
    }

    fn is_ready(&self, (procedure, step): Place) -> bool {
        self.step((procedure, step)).after.iter().all(|&earlier| self.results[procedure][earlier].is_some())
    }

    fn begin_procedure(&mut self, procedure: usize, recorder: &mut Recorder) {
        if self.begins[procedure].is_none() {
            self.begins[procedure] = Some(Instant::now());
            recorder.record(EventKind::ProcedureStarted { procedure: self.planned[procedure].procedure.id.clone() });
        }
    }

    /// When the budget is spent; a look-only run does not go on beyond it.
    fn deadline(&self, procedure: usize) -> Option<Instant> {
        self.begins[procedure]?.checked_add(self.planned[procedure].procedure.budget?)
    }

    /// Whether the step may start; if not, its result.
    fn verdict(&self, place: Place) -> Result<(), Box<StepResult>> {
        let step = self.step(place);
        if self.stop.token.is_cancelled() {
            return Err(Box::new(skipped(self, place, Skip::Stopped, INTERRUPTED)));
        }
        if self.deadline(place.0).is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Box::new(skipped(self, place, Skip::Stopped, BUDGET_SPENT)));
        }
        for &need in &step.needs {
            let Some(result) = &self.results[place.0][need] else { continue };
            if !matches!(result.outcome, Outcome::Passed | Outcome::Warned | Outcome::Waived) {
                let reason = format!("needs {}, which {}", result.step, ended(result.outcome));
                let skip = if result.skip == Some(Skip::Condition) { Skip::Condition } else { Skip::Need };
                return Err(Box::new(skipped(self, place, skip, &reason)));
            }
        }
        if let Some(when) = &step.when {
            match when.holds(&self.context(place.0)) {
                Ok(true) => {}
                Ok(false) => {
                    let reason = format!("does not apply: {}", when.text);
                    return Err(Box::new(skipped(self, place, Skip::Condition, &reason)));
                }
                Err(reason) => {
                    let step = step.id.clone();
                    let reason = format!("its `when` fails: {reason}");
                    let procedure = self.planned[place.0].procedure.id.clone();
                    let result = unseen(procedure, step, Outcome::Errored, None, &reason);
                    return Err(Box::new(result));
                }
            }
        }
        Ok(())
    }

    /// What expressions see: `vars`, `steps`, `run`, and the variables by their own names.
    fn context(&self, procedure: usize) -> minijinja::Value {
        let planned = &self.planned[procedure];
        let vars = context_of(&planned.vars);
        let mut steps = serde_json::Map::new();
        for (step, result) in planned.procedure.steps.iter().zip(&self.results[procedure]) {
            let Some(result) = result else { continue };
            let seen = judge::seen_of(result);
            steps.insert(step.id.variable(), seen.clone());
            steps.insert(step.id.to_string(), seen);
        }
        let today = self.looker.now.with_timezone(&self.settings.timezone).date_naive();
        let run = serde_json::json!({
            "id": self.settings.run.to_string(),
            "title": planned.procedure.title,
            "site": self.settings.site,
            "date": today.to_string(),
        });
        let mut names: Vec<(String, minijinja::Value)> = planned
            .vars
            .keys()
            .filter_map(|name| Some((name.clone(), vars.get_attr(name).ok().filter(|value| !value.is_undefined())?)))
            .collect();
        names.push(("vars".to_owned(), vars));
        names.push(("steps".to_owned(), minijinja::value::Serde(steps).into()));
        names.push(("run".to_owned(), minijinja::value::Serde(run).into()));
        minijinja::Value::from_pairs(names)
    }

    /// Starts the step if there is room for it.
    fn start(
        &mut self,
        place: Place,
        global: &Arc<Semaphore>,
        notes: &UnboundedSender<EventKind>,
        running: &mut JoinSet<(Place, StepResult)>,
    ) {
        let context = self.step(place).has_late_looks().then(|| self.context(place.0));
        let task = look::Task {
            looker: Arc::clone(&self.looker),
            settings: Arc::clone(&self.settings),
            planned: Arc::clone(&self.planned),
            place,
            deadline: self.deadline(place.0),
            notes: notes.clone(),
        };
        let looks = task.make(context.as_ref());
        let mut resources = looks.as_ref().map_or_else(|_| Vec::new(), |probes| self.resources_of(probes));
        resources.push(Arc::clone(global));
        let permits: Result<Vec<_>, _> = resources.into_iter().map(Semaphore::try_acquire_owned).collect();
        let Ok(permits) = permits else { return };
        self.waiting.retain(|&waiting| waiting != place);
        running.spawn(async move {
            let result = task.run(looks).await;
            drop(permits);
            (place, result)
        });
    }

    /// The bounds of what the probes look at.
    fn resources_of(&mut self, probes: &[look::Made]) -> Vec<Arc<Semaphore>> {
        let mut names: Vec<String> = probes.iter().filter_map(|made| made.probe.resource()).collect();
        names.sort();
        names.dedup();
        names
            .into_iter()
            .map(|name| {
                Arc::clone(self.resources.entry(name).or_insert_with(|| Arc::new(Semaphore::new(PER_RESOURCE))))
            })
            .collect()
    }

    fn finish(&mut self, place: Place, result: StepResult, recorder: &mut Recorder) {
        self.waiting.retain(|&waiting| waiting != place);
        // A look that was given up may be back before the loop has heard of the stop.
        if result.skip == Some(Skip::Stopped) && self.stop.token.is_cancelled() && self.interrupted.is_none() {
            self.interrupt(recorder);
        }
        self.begin_procedure(place.0, recorder);
        let result = Arc::new(result);
        recorder.record(EventKind::StepFinished(Box::new((*result).clone())));
        self.results[place.0][place.1] = Some(result);
        if self.results[place.0].iter().all(Option::is_some) {
            self.finish_procedure(place.0, recorder);
        }
    }

    fn finish_procedure(&mut self, index: usize, recorder: &mut Recorder) {
        let procedure = &self.planned[index].procedure;
        let results: Vec<&StepResult> = self.results[index].iter().flatten().map(AsRef::as_ref).collect();
        let (criteria, outcome) = judge::procedure(procedure, &results);
        self.outcomes[index] = Some(outcome);
        let took = self.begins[index].map_or(Duration::ZERO, |begin| begin.elapsed());
        let procedure = procedure.id.clone();
        recorder.record(EventKind::ProcedureFinished(ProcedureResult { procedure, outcome, took, criteria }));
    }

    /// A circle cannot get past vetting; should a step be left all the same, it must not look as if it had passed.
    fn finish_empty(&mut self, recorder: &mut Recorder) {
        for place in self.waiting.clone() {
            self.finish(place, skipped(self, place, Skip::Stopped, "it waited for a step that never ended"), recorder);
        }
    }
}

fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Failed => "failed",
        Outcome::Errored => "could not look",
        Outcome::Skipped => "was skipped",
        Outcome::Pending => "waits for a person",
        Outcome::Passed | Outcome::Warned | Outcome::Waived => "passed",
    }
}

const INTERRUPTED: &str = "the run was interrupted";
const BUDGET_SPENT: &str = "the procedure's budget was spent";

fn skipped(run: &Run, place: Place, skip: Skip, reason: &str) -> StepResult {
    let procedure = run.planned[place.0].procedure.id.clone();
    unseen(procedure, run.step(place).id.clone(), Outcome::Skipped, Some(skip), reason)
}

/// The result of a step that saw nothing.
fn unseen(procedure: ProcedureId, step: StepId, outcome: Outcome, skip: Option<Skip>, reason: &str) -> StepResult {
    StepResult {
        procedure,
        step,
        outcome,
        took: Duration::ZERO,
        attempts: 0,
        reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
        help: None,
        skip,
        since: None,
        subjects: Vec::new(),
        evidence: Vec::new(),
    }
}
