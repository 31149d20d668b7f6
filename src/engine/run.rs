//! A run: which step is next, and what is known so far.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::look::{self, Looker};
use super::recorder::Recorder;
use super::{PER_RESOURCE, Place, Planned, Settings, Stop, judge};
use crate::model::event::{EventKind, Mode, ProcedureResult, StepResult};
use crate::model::id::{ProcedureId, StepId};
use crate::model::outcome::{Exit, Outcome, Skip};
use crate::model::record::Record;
use crate::procedure::document::{Step, Work, waits_for};

/// What comes after a step that is alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    GoOn,
    /// Nobody answers now: the run is suspended.
    Suspend,
}

pub struct Run {
    pub planned: Arc<Vec<Planned>>,
    /// By procedure: its variables, as expressions see them; made for the first one that does.
    pub vars: Vec<OnceLock<minijinja::Value>>,
    pub settings: Arc<Settings>,
    pub stop: Stop,
    pub looker: Arc<Looker>,
    /// All that happened, those before a suspension included; kept by runs that do more than look.
    pub record: Record,
    /// What each step waits for, in a run with barriers.
    pub order: Vec<Vec<Vec<usize>>>,
    /// By procedure: the step that calls it.
    pub caller: Vec<Option<Place>>,
    /// By procedure: its caller has come to it.
    pub called: Vec<bool>,
    /// Why no further step starts, but for those that always run.
    pub halted: Option<String>,
    /// Steps that wait, in the order of the documents.
    pub waiting: Vec<Place>,
    pub results: Vec<Vec<Option<Arc<StepResult>>>>,
    pub begins: Vec<Option<Instant>>,
    pub outcomes: Vec<Option<Outcome>>,
    resources: HashMap<String, Arc<Semaphore>>,
    /// The stop came before everything was done, and is among the events.
    pub interrupted: Option<Exit>,
}

impl Run {
    pub fn new(planned: Vec<Planned>, settings: Settings, stop: Stop, record: Record) -> Self {
        let planned = Arc::new(planned);
        let settings = Arc::new(settings);
        let waiting = planned
            .iter()
            .enumerate()
            .flat_map(|(index, planned)| (0..planned.procedure.steps.len()).map(move |step| (index, step)))
            .collect();
        let looker = Arc::new(Looker::new(&settings, stop.token.clone()));
        let caller = callers(&planned);
        let mut run = Self {
            record,
            order: planned.iter().map(|planned| order_of(&planned.procedure.steps, settings.mode)).collect(),
            called: caller.iter().map(Option::is_none).collect(),
            caller,
            halted: None,
            vars: vec![OnceLock::new(); planned.len()],
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
        };
        run.take_up();
        run
    }

    /// Takes over what a run that goes on has done already. What was stopped, or left out because of a stop, is done anew.
    fn take_up(&mut self) {
        for (index, planned) in self.planned.iter().enumerate() {
            let Some(procedure) = self.record.procedures.get(&planned.procedure.id) else { continue };
            if procedure.started {
                self.begins[index] = Some(Instant::now());
                self.called[index] = true;
            }
            self.outcomes[index] = procedure.outcome;
            for (position, step) in planned.procedure.steps.iter().enumerate() {
                let Some(result) = procedure.steps.get(&step.id).and_then(|step| step.result.as_ref()) else {
                    continue;
                };
                if result.skip != Some(Skip::Stopped) && result.outcome != Outcome::Pending {
                    self.results[index][position] = Some(Arc::new(result.clone()));
                    self.waiting.retain(|&place| place != (index, position));
                }
            }
        }
    }

    /// The worst of the procedures that were asked for; those that they call count through them. One that was skipped
    /// counts for nothing beside others.
    pub fn outcome(&self) -> Outcome {
        let own = self.outcomes.iter().zip(&self.caller).filter(|(_, caller)| caller.is_none());
        let ended = own.filter_map(|(outcome, _)| *outcome);
        let counting = |outcome: &Outcome| *outcome != Outcome::Skipped;
        ended.clone().filter(counting).max().or_else(|| ended.max()).unwrap_or(Outcome::Passed)
    }

    /// Records, and knows it from now on.
    pub fn note(&mut self, kind: EventKind, recorder: &mut Recorder) {
        if self.settings.mode == Mode::Check {
            recorder.send(kind);
        } else {
            self.record.apply(&recorder.record(kind));
        }
    }

    pub fn step(&self, (procedure, step): Place) -> &Step {
        &self.planned[procedure].procedure.steps[step]
    }

    /// Runs until nothing is left to do; why it is suspended, if it is.
    pub async fn execute(&mut self, recorder: &mut Recorder) -> Option<String> {
        let global = Arc::new(Semaphore::new(self.settings.parallel.max(1)));
        let (notes, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let mut running: JoinSet<(Place, StepResult)> = JoinSet::new();
        loop {
            if let Some(place) = self.start_ready(&global, &notes, &mut running, recorder) {
                match self.perform(place, recorder).await {
                    Flow::GoOn => continue,
                    Flow::Suspend => return Some(self.why_suspended()),
                }
            }
            if running.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                () = self.stop.token.cancelled(), if self.interrupted.is_none() => self.interrupt(recorder),
                Some(event) = heard.recv() => self.note(event, recorder),
                Some(joined) = running.join_next() => {
                    while let Ok(event) = heard.try_recv() {
                        self.note(event, recorder);
                    }
                    match joined {
                        Ok((place, result)) => self.finish(place, result, recorder),
                        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                        Err(_) => {}
                    }
                }
            }
        }
        if self.settings.mode == Mode::Run && self.interrupted.is_some() && self.halted.is_none() {
            return Some(self.why_suspended());
        }
        self.finish_empty(recorder);
        None
    }

    pub fn why_suspended(&self) -> String {
        let open = self.record.procedures.values().flat_map(|procedure| procedure.steps.values());
        let waiting = open.filter(|step| !step.open.is_empty()).map(|step| step.plan.id.to_string()).next();
        match (self.interrupted, waiting) {
            (Some(_), _) => "it was interrupted".to_owned(),
            (None, Some(step)) => format!("{step} waits for a person"),
            (None, None) => "it waits for a person".to_owned(),
        }
    }

    pub fn interrupt(&mut self, recorder: &mut Recorder) {
        let exit = self.stop.exit.get().copied().unwrap_or(Exit::Interrupted);
        self.interrupted = Some(exit);
        self.note(EventKind::Interrupted { exit }, recorder);
    }

    /// Starts or skips every waiting step whose predecessors have ended. The step that comes back runs alone, and its turn
    /// has come.
    ///
    /// In the order of the documents, as long as there is room. What finds none waits on, and whether it may start is
    /// asked again.
    fn start_ready(
        &mut self,
        global: &Arc<Semaphore>,
        notes: &UnboundedSender<EventKind>,
        running: &mut JoinSet<(Place, StepResult)>,
        recorder: &mut Recorder,
    ) -> Option<Place> {
        // What people are led through waits for them; what only looks is over.
        if self.settings.mode == Mode::Run && self.stop.token.is_cancelled() && self.halted.is_none() {
            return None;
        }
        loop {
            let ready: Vec<Place> = self.waiting.iter().copied().filter(|&place| self.is_ready(place)).collect();
            let mut skipped_some = false;
            for place in ready {
                if global.available_permits() == 0 && !self.stop.token.is_cancelled() {
                    break;
                }
                self.begin_procedure(place.0, recorder);
                match self.verdict(place) {
                    Ok(()) if self.is_alone(place) => {
                        if running.is_empty() {
                            return Some(place);
                        }
                    }
                    Ok(()) => self.start(place, global, notes, running),
                    Err(result) => {
                        self.finish(place, *result, recorder);
                        skipped_some = true;
                    }
                }
            }
            if !skipped_some {
                return None;
            }
        }
    }

    fn is_ready(&self, (procedure, step): Place) -> bool {
        self.called[procedure]
            && self.order[procedure][step].iter().all(|&earlier| self.results[procedure][earlier].is_some())
    }

    /// Whether the step is no look that runs beside others.
    fn is_alone(&self, place: Place) -> bool {
        let step = self.step(place);
        // A test tells of a step that is repeated as a whole.
        let is_repeated = step.for_each.is_some() && self.settings.given.is_none();
        !step.kind.looks() || is_repeated || (self.settings.one_by_one && self.settings.mode == Mode::Run)
    }

    pub fn begin_procedure(&mut self, procedure: usize, recorder: &mut Recorder) {
        if self.begins[procedure].is_none() {
            self.begins[procedure] = Some(Instant::now());
            let procedure = self.planned[procedure].procedure.id.clone();
            self.note(EventKind::ProcedureStarted { procedure }, recorder);
        }
    }

    /// When the budget is spent; a look-only run does not go on beyond it, one with people does.
    pub fn deadline(&self, procedure: usize) -> Option<Instant> {
        if self.settings.mode == Mode::Run {
            return None;
        }
        self.begins[procedure]?.checked_add(self.planned[procedure].procedure.budget?)
    }

    /// Looks again with a step: its newest result is the one that counts.
    pub async fn look_again(&mut self, place: Place, recorder: &mut Recorder) -> Arc<StepResult> {
        let context = self.context(place.0);
        let result = Arc::new(self.look_once(place, &context, recorder).await);
        self.note(EventKind::StepFinished(Box::new((*result).clone())), recorder);
        // What an action is verified by may be looked at before its turn, or hold only now.
        if self.step(place).marks.as_ref().is_some_and(|name| self.record.mark(name).is_none()) {
            self.mark(place, &result, recorder);
        }
        self.results[place.0][place.1] = Some(Arc::clone(&result));
        self.waiting.retain(|&waiting| waiting != place);
        result
    }

    /// Looks with a step, alone.
    pub async fn look_once(&mut self, place: Place, context: &minijinja::Value, recorder: &mut Recorder) -> StepResult {
        let (notes, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let task = self.task(place, &notes);
        let looks = task.make(Some(context));
        let result = task.run(looks).await;
        while let Ok(event) = heard.try_recv() {
            self.note(event, recorder);
        }
        result
    }

    fn task(&self, place: Place, notes: &UnboundedSender<EventKind>) -> look::Task {
        look::Task {
            looker: Arc::clone(&self.looker),
            settings: Arc::clone(&self.settings),
            planned: Arc::clone(&self.planned),
            place,
            deadline: self.deadline(place.0),
            notes: notes.clone(),
        }
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
        let task = self.task(place, notes);
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

    pub fn finish(&mut self, place: Place, result: StepResult, recorder: &mut Recorder) {
        self.waiting.retain(|&waiting| waiting != place);
        // A look that was given up may be back before the loop has heard of the stop.
        if result.skip == Some(Skip::Stopped) && self.stop.token.is_cancelled() && self.interrupted.is_none() {
            self.interrupt(recorder);
        }
        self.begin_procedure(place.0, recorder);
        let result = Arc::new(result);
        self.note(EventKind::StepFinished(Box::new((*result).clone())), recorder);
        self.mark(place, &result, recorder);
        self.watch_budget(place, recorder);
        self.results[place.0][place.1] = Some(result);
        if self.results[place.0].iter().all(Option::is_some) {
            self.finish_procedure(place.0, recorder);
        }
    }

    pub fn finish_procedure(&mut self, index: usize, recorder: &mut Recorder) {
        let planned = Arc::clone(&self.planned);
        let procedure = &planned[index].procedure;
        let results: Vec<&StepResult> = self.results[index].iter().flatten().map(AsRef::as_ref).collect();
        let (criteria, outcome) = judge::procedure(procedure, &results, &self.points());
        self.outcomes[index] = Some(outcome);
        let took = self.begins[index].map_or(Duration::ZERO, |begin| begin.elapsed());
        let result = ProcedureResult { procedure: procedure.id.clone(), outcome, took, criteria };
        self.note(EventKind::ProcedureFinished(result), recorder);
        self.return_to_caller(index, recorder);
    }

    /// A circle cannot get past vetting; should a step be left all the same, it must not look as if it had passed.
    fn finish_empty(&mut self, recorder: &mut Recorder) {
        for place in self.waiting.clone() {
            if self.called[place.0] {
                let reason = "it waited for a step that never ended";
                self.finish(place, skipped(self, place, Skip::Stopped, reason), recorder);
            }
        }
    }
}

/// By procedure: the step that calls it.
fn callers(planned: &[Planned]) -> Vec<Option<Place>> {
    let mut callers = vec![None; planned.len()];
    for (index, one) in planned.iter().enumerate() {
        for (position, step) in one.procedure.steps.iter().enumerate() {
            if let Work::Procedure(call) = &step.work
                && let Some(callee) = planned.iter().position(|planned| planned.procedure.id == call.run)
            {
                callers[callee] = Some((index, position));
            }
        }
    }
    callers
}

/// What each step waits for. A run that only looks has nothing that must be alone.
fn order_of(steps: &[Step], mode: Mode) -> Vec<Vec<usize>> {
    let of = |at: usize| match mode {
        Mode::Check => steps[at].after.iter().copied().collect(),
        Mode::DryRun | Mode::Run => waits_for(at, steps).into_iter().collect(),
    };
    (0..steps.len()).map(of).collect()
}

pub fn skipped(run: &Run, place: Place, skip: Skip, reason: &str) -> StepResult {
    let procedure = run.planned[place.0].procedure.id.clone();
    unseen(procedure, run.step(place).id.clone(), Outcome::Skipped, Some(skip), reason)
}

/// The result of a step that saw nothing.
pub fn unseen(procedure: ProcedureId, step: StepId, outcome: Outcome, skip: Option<Skip>, reason: &str) -> StepResult {
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
        choice: None,
        subjects: Vec::new(),
        evidence: Vec::new(),
    }
}
