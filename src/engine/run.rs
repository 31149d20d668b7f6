//! A run: which step is next, and what is known so far.

use std::collections::HashMap;
use std::sync::Arc;
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
use crate::procedure::template::context_of;

/// What comes after a step that is alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    GoOn,
    /// Nobody answers now: the run is suspended.
    Suspend,
}

pub struct Run {
    pub planned: Arc<Vec<Planned>>,
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
        let event = recorder.record(kind);
        if self.settings.mode != Mode::Check {
            self.record.apply(&event);
        }
    }

    pub fn step(&self, (procedure, step): Place) -> &Step {
        &self.planned[procedure].procedure.steps[step]
    }

    /// Steps that the operator left out; what is left of an empty selection is for the caller to refuse.
    pub fn skip_filtered(&mut self, recorder: &mut Recorder) {
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

    fn why_suspended(&self) -> String {
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
        !step.kind.looks() || step.for_each.is_some() || (self.settings.one_by_one && self.settings.mode == Mode::Run)
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

    /// Whether the step may start; if not, its result.
    fn verdict(&self, place: Place) -> Result<(), Box<StepResult>> {
        let step = self.step(place);
        if let Some(halted) = self.halted.as_ref().filter(|_| !step.always) {
            return Err(Box::new(skipped(self, place, Skip::Stopped, halted)));
        }
        if self.stop.token.is_cancelled() && !(step.always && self.halted.is_some()) {
            return Err(Box::new(skipped(self, place, Skip::Stopped, INTERRUPTED)));
        }
        if self.deadline(place.0).is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Box::new(skipped(self, place, Skip::Stopped, BUDGET_SPENT)));
        }
        if let Some(result) = self.depends_on_people(place) {
            return Err(Box::new(result));
        }
        for &need in step.needs.iter().filter(|_| !step.always) {
            let Some(result) = &self.results[place.0][need] else { continue };
            if !matches!(result.outcome, Outcome::Passed | Outcome::Warned | Outcome::Waived) {
                let reason = format!("needs {}, which {}", result.step, ended(result.outcome));
                let skip = match result.skip {
                    Some(skip @ (Skip::Condition | Skip::LookOnly | Skip::Simulated | Skip::Operator)) => skip,
                    Some(Skip::Filter | Skip::Need | Skip::Stopped) | None => Skip::Need,
                };
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

    /// In a run that only looks: the result of a step that reads or needs what only a person or an action gives.
    fn depends_on_people(&self, place: Place) -> Option<StepResult> {
        if self.settings.mode == Mode::Run {
            return None;
        }
        let step = self.step(place);
        let undone = |result: &&StepResult| {
            result.outcome == Outcome::Pending || matches!(result.skip, Some(Skip::LookOnly | Skip::Simulated))
        };
        let on = step.after.iter().filter_map(|&earlier| self.results[place.0][earlier].as_deref()).find(undone);
        let on = on.or_else(|| {
            let steps = self.planned[place.0].procedure.steps.iter().zip(&self.results[place.0]);
            let verifies = |step: &Step| matches!(&step.work, Work::Action(act) if act.verify.contains(&place.1));
            let simulated = steps.filter(|(step, _)| verifies(step)).filter_map(|(_, result)| result.as_deref());
            simulated.into_iter().find(|result| result.skip == Some(Skip::Simulated))
        })?;
        if self.settings.mode == Mode::Check {
            let reason = format!("depends on {}, which a check does not do", on.step);
            return Some(skipped(self, place, Skip::LookOnly, &reason));
        }
        let reason = format!("could not tell: depends on {}, which a dry run does not do", on.step);
        let procedure = self.planned[place.0].procedure.id.clone();
        let mut result = unseen(procedure, step.id.clone(), Outcome::Errored, None, &reason);
        result.skip = Some(Skip::Simulated);
        Some(result)
    }

    /// What expressions see: `vars`, `steps`, `run`, and the variables by their own names.
    pub fn context(&self, procedure: usize) -> minijinja::Value {
        let planned = &self.planned[procedure];
        let vars = context_of(&planned.vars);
        let mut steps = serde_json::Map::new();
        for (step, result) in planned.procedure.steps.iter().zip(&self.results[procedure]) {
            let Some(result) = result else { continue };
            let mut seen = judge::seen_of(result);
            if let Work::Procedure(call) = &step.work {
                seen["steps"] = self.seen_in(&call.run);
            }
            steps.insert(step.id.variable(), seen.clone());
            steps.insert(step.id.to_string(), seen);
        }
        let today = self.looker.now.with_timezone(&self.settings.timezone).date_naive();
        let run = serde_json::json!({
            "id": self.settings.run.to_string(),
            "title": planned.procedure.title,
            "site": self.settings.site,
            "date": today.to_string(),
            "operator": self.settings.operator,
            "host": self.settings.host,
            "findings": self.findings(procedure).join("; "),
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

    /// The steps of a procedure that was called, as expressions see them.
    fn seen_in(&self, id: &ProcedureId) -> serde_json::Value {
        let Some(index) = self.planned.iter().position(|planned| planned.procedure.id == *id) else {
            return serde_json::json!({});
        };
        let results = self.results[index].iter().flatten();
        let seen = results.flat_map(|result| {
            let seen = judge::seen_of(result);
            [(result.step.variable(), seen.clone()), (result.step.to_string(), seen)]
        });
        seen.collect::<serde_json::Map<_, _>>().into()
    }

    /// What is wrong by now, a line each: in this procedure, and by name what those that led to it saw and nobody has
    /// looked at since.
    pub fn findings(&self, procedure: usize) -> Vec<String> {
        let wrong = |index: usize| {
            let wrong = move |result: &&Arc<StepResult>| {
                matches!(result.outcome, Outcome::Failed | Outcome::Errored | Outcome::Warned)
                    && !self.results[index + 1..].iter().flatten().flatten().any(|newer| newer.step == result.step)
            };
            self.results[index].iter().flatten().filter(wrong)
        };
        let told = |result: &Arc<StepResult>| {
            format!("{}: {}", result.step, result.reason.as_deref().unwrap_or_else(|| result.outcome.word()))
        };
        let others = (0..self.results.len()).filter(|&index| index != procedure && self.called[index]);
        let earlier: Vec<&str> = others.flat_map(wrong).map(|result| result.step.as_str()).collect();
        let earlier = (!earlier.is_empty()).then(|| format!("earlier: {}", earlier.join(", ")));
        wrong(procedure).map(told).chain(earlier).collect()
    }

    /// Looks again with a step: its newest result is the one that counts.
    pub async fn look_again(&mut self, place: Place, recorder: &mut Recorder) -> Arc<StepResult> {
        let context = self.context(place.0);
        let result = Arc::new(self.look_once(place, &context, recorder).await);
        self.note(EventKind::StepFinished(Box::new((*result).clone())), recorder);
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

    fn finish_procedure(&mut self, index: usize, recorder: &mut Recorder) {
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

pub fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Failed => "failed",
        Outcome::Errored => "could not look",
        Outcome::Skipped => "was skipped",
        Outcome::Pending => "waits for a person",
        Outcome::Passed | Outcome::Warned | Outcome::Waived => "passed",
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

const INTERRUPTED: &str = "the run was interrupted";
const BUDGET_SPENT: &str = "the procedure's budget was spent";

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
