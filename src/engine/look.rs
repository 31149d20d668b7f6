//! One step: its looks, within the time limit, as often as `retry` allows, and the verdict on what was seen.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{Place, Planned, Settings, given, judge};
use crate::model::event::{EventKind, StepResult, SubjectResult};
use crate::model::expectation::Reading;
use crate::model::fact::{ANSWERS, Observation, Subject};
use crate::model::id::{ProcedureId, StepId};
use crate::model::outcome::{Outcome, Skip};
use crate::model::past::PastRun;
use crate::model::value::Value;
use crate::probe::{Context, Database, Kind, ManagedService, NoPast, Past, Probe, ProbeError};
use crate::procedure::diagnostic::Diagnostics;
use crate::procedure::document::{self, Procedure, RetryOn, Step};
use crate::procedure::inputs::Surroundings;

/// What all looks of a run share.
pub struct Looker {
    pub now: DateTime<Utc>,
    stop: CancellationToken,
    databases: Arc<indexmap::IndexMap<String, Database>>,
    services: Arc<indexmap::IndexMap<String, ManagedService>>,
    names: Vec<String>,
}

/// A look that ends by itself at its limit may need this long to say how far it came.
const GRACE: Duration = Duration::from_millis(1500);

/// A look that is given up may need this long to end what it began elsewhere: a statement in a server, a child.
const TIDYING: Duration = Duration::from_secs(2);

impl Looker {
    pub fn new(settings: &Settings, stop: CancellationToken) -> Self {
        Self {
            now: settings.given.as_ref().map_or_else(Utc::now, |given| given.now),
            stop,
            databases: Arc::new(settings.databases.clone()),
            services: Arc::new(settings.services.clone()),
            names: settings.databases.keys().cloned().collect(),
        }
    }

    /// What a look may know of the run; it expects nothing yet.
    pub fn context(&self, settings: &Settings, limit: Duration, cancel: CancellationToken) -> Context {
        Context {
            now: self.now,
            timezone: settings.timezone,
            limit,
            cancel,
            asked: Arc::new([]),
            databases: Arc::clone(&self.databases),
            services: Arc::clone(&self.services),
            mask: settings.mask.clone(),
            folder: settings.folder.clone(),
            past: Arc::new(NoPast),
        }
    }
}

/// As many earlier runs as any condition can ask for.
const MOST_RUNS: u32 = 1000;

/// Why nothing was expected of what happened since then.
const NO_EARLIER_RUN: &str = "no earlier run to compare with yet";

/// What was seen of one step before.
struct OfStep {
    settings: Arc<Settings>,
    procedure: ProcedureId,
    step: StepId,
    /// The subjects that an earlier run saw, if a look has asked.
    known: Mutex<Option<HashSet<String>>>,
}

impl std::fmt::Debug for OfStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OfStep({}.{})", self.procedure, self.step)
    }
}

impl Past for OfStep {
    fn newest<'p>(&'p self, facts: &'p [&'static str]) -> BoxFuture<'p, HashMap<(String, String), Reading>> {
        Box::pin(async move {
            let facts: Vec<String> = facts.iter().map(|&fact| fact.to_owned()).collect();
            let readings = self.settings.history.readings(&self.procedure, &self.step, &facts, 1).await;
            let newest = |(key, readings): (_, Vec<Reading>)| Some((key, *readings.first()?));
            let found: HashMap<(String, String), Reading> = readings.into_iter().filter_map(newest).collect();
            if let Ok(mut known) = self.known.lock() {
                known.get_or_insert_default().extend(found.keys().map(|(subject, _)| subject.clone()));
            }
            found
        })
    }

    fn runs_of<'p>(&'p self, procedure: &'p ProcedureId) -> BoxFuture<'p, Result<Vec<PastRun>, String>> {
        self.settings.history.runs_of(procedure, self.settings.run)
    }
}

impl OfStep {
    /// Nothing is expected of what happened since an earlier run where there was none.
    fn settle(&self, observation: &mut Observation, looks: &[Made], asked: &[String]) {
        let known = self.known.lock().ok().and_then(|known| known.clone());
        let Some(known) = known else { return };
        let recent: Vec<&str> =
            looks.iter().flat_map(|made| made.kind.facts).filter(|fact| fact.recent).map(|fact| fact.name).collect();
        for subject in observation.subjects.iter_mut().filter(|subject| !known.contains(&subject.name)) {
            let unseen: Vec<&str> = recent.iter().copied().filter(|&fact| !subject.facts.contains_key(fact)).collect();
            if unseen.iter().any(|&fact| asked.iter().any(|asked| asked == fact)) {
                subject.note(NO_EARLIER_RUN);
            }
            subject.inapplicable.extend(unseen.into_iter().map(str::to_owned));
        }
    }
}

/// A probe that is ready to look.
pub struct Made {
    pub kind: &'static Kind,
    pub probe: Arc<dyn Probe>,
}

/// A step on its way.
pub struct Task {
    pub looker: Arc<Looker>,
    pub settings: Arc<Settings>,
    pub planned: Arc<Vec<Planned>>,
    pub place: Place,
    /// When the procedure's budget is spent.
    pub deadline: Option<Instant>,
    pub notes: UnboundedSender<EventKind>,
}

/// How one attempt ended.
pub enum Attempt {
    Seen(Observation),
    Unseen(ProbeError),
    Stopped,
}

impl Task {
    fn procedure(&self) -> &Procedure {
        &self.planned[self.place.0].procedure
    }

    fn step(&self) -> &Step {
        &self.procedure().steps[self.place.1]
    }

    /// The probes of the step; those that waited for earlier results are made now.
    pub fn make(&self, context: Option<&minijinja::Value>) -> Result<Vec<Made>, String> {
        if self.settings.given.is_some() {
            return Ok(Vec::new());
        }
        let around = Surroundings { databases: &self.looker.names, procedures: None, folder: &self.settings.folder };
        self.step()
            .looks
            .iter()
            .map(|look| {
                Ok(Made { kind: look.kind, probe: look.make(context, &around).map_err(|wrong| first_of(&wrong))? })
            })
            .collect()
    }

    pub async fn run(self, looks: Result<Vec<Made>, String>) -> StepResult {
        let (procedure, step) = (self.procedure().id.clone(), self.step().id.clone());
        self.notes.send(EventKind::StepStarted { procedure: procedure.clone(), step: step.clone() }).ok();
        let begin = Instant::now();
        let mut result = super::run::unseen(procedure, step, Outcome::Errored, None, "");
        match looks {
            Ok(looks) => self.attempts(&looks, &mut result).await,
            Err(reason) => result.reason = Some(reason),
        }
        result.took = begin.elapsed();
        if matches!(result.outcome, Outcome::Failed | Outcome::Errored | Outcome::Warned) {
            result.since = self.settings.history.since(&result.procedure, &result.step, result.outcome).await;
        }
        result
    }

    /// What the procedure's budget leaves.
    fn left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Looks until it passes or no attempt is left. The record says how many it took.
    async fn attempts(&self, looks: &[Made], result: &mut StepResult) {
        let retry = &self.step().retry;
        // What a test says stays the same, however often it is looked at.
        let times = if self.settings.given.is_some() { 0 } else { retry.times };
        let mut first_reason = None;
        for attempt in 1..=times + 1 {
            result.attempts = attempt;
            let seen = self.attempt(looks).await;
            self.judge(seen, result).await;
            let again = match result.outcome {
                Outcome::Failed => retry.on != RetryOn::Errored,
                Outcome::Errored => retry.on != RetryOn::Failed,
                Outcome::Passed | Outcome::Waived | Outcome::Skipped | Outcome::Pending | Outcome::Warned => false,
            };
            let in_time = self.left().is_none_or(|left| left > retry.wait);
            if !again || attempt > times || !in_time || self.looker.stop.is_cancelled() {
                break;
            }
            let reason = result.reason.clone().unwrap_or_default();
            self.notes
                .send(EventKind::AttemptFailed {
                    procedure: result.procedure.clone(),
                    step: result.step.clone(),
                    attempt,
                    reason: reason.clone(),
                })
                .ok();
            first_reason.get_or_insert(reason);
            tokio::select! {
                () = tokio::time::sleep(retry.wait) => {}
                () = self.looker.stop.cancelled() => break,
            }
        }
        if let Some(first) = first_reason
            && matches!(result.outcome, Outcome::Passed | Outcome::Warned | Outcome::Waived)
        {
            let note = format!("attempt {} of {}; first {first}", result.attempts, times + 1);
            result.reason = Some(result.reason.take().map_or(note.clone(), |reason| format!("{reason}; {note}")));
        }
    }

    async fn attempt(&self, looks: &[Made]) -> Attempt {
        if let Some(given) = &self.settings.given {
            return given::look(given, &self.procedure().id, self.step());
        }
        let limit = self.left().map_or(self.step().timeout, |left| left.min(self.step().timeout));
        let cancel = self.looker.stop.child_token();
        let mut cx = self.looker.context(&self.settings, limit, cancel.clone());
        cx.asked = self.step().expectations.iter().map(|expectation| expectation.fact.to_string()).collect();
        let past = Arc::new(OfStep {
            settings: Arc::clone(&self.settings),
            procedure: self.procedure().id.clone(),
            step: self.step().id.clone(),
            known: Mutex::default(),
        });
        cx.past = Arc::clone(&past) as Arc<dyn Past>;
        let mut all = pin!(join_all(looks.iter().map(|made| one_look(made, &cx))));
        let ended = tokio::select! {
            biased;
            () = self.looker.stop.cancelled() => {
                // They have heard of it as well.
                tokio::time::timeout(TIDYING, &mut all).await.ok();
                Attempt::Stopped
            }
            seen = tokio::time::timeout(limit + GRACE, &mut all) => match seen {
                Ok(seen) if looks.len() == 1 => seen.into_iter().next().map_or(Attempt::Seen(Observation::default()), from_result),
                Ok(seen) => Attempt::Seen(together(looks, seen)),
                Err(_) => out_of_time(looks, limit),
            },
        };
        cancel.cancel();
        match ended {
            Attempt::Seen(mut observation) => {
                past.settle(&mut observation, looks, &cx.asked);
                Attempt::Seen(observation)
            }
            unseen => unseen,
        }
    }

    async fn judge(&self, seen: Attempt, result: &mut StepResult) {
        (result.skip, result.help) = (None, None);
        let observation = match seen {
            Attempt::Seen(observation) => observation,
            Attempt::Unseen(error) => {
                (result.subjects, result.evidence) = (Vec::new(), Vec::new());
                (result.outcome, result.reason, result.help) = (Outcome::Errored, Some(error.message), error.help);
                self.waive_whole(result);
                return;
            }
            Attempt::Stopped => {
                (result.outcome, result.skip) = (Outcome::Skipped, Some(Skip::Stopped));
                result.reason = Some("the run was interrupted while it looked".to_owned());
                return;
            }
        };
        let step = self.step();
        let facts = judge::history_facts(&step.expectations);
        let readings = if facts.is_empty() {
            HashMap::new()
        } else {
            self.settings.history.readings(&result.procedure, &result.step, &facts, MOST_RUNS).await
        };
        let past = judge::Past { now: self.looker.now, readings };
        let today = self.today();
        result.subjects = observation
            .subjects
            .into_iter()
            .map(|seen| {
                let mut judged = judge::subject(step, seen, &past);
                judge::waive(&mut judged, &result.procedure, &result.step, &self.settings.waivers, today);
                judged
            })
            .collect();
        result.evidence = observation.evidence;
        (result.outcome, result.reason) = judge::step(&result.subjects);
        // What could not be judged yet must not look like a plain pass.
        let unjudged = |subject: &SubjectResult| subject.notes.iter().any(|note| note == NO_EARLIER_RUN);
        if result.outcome == Outcome::Passed && result.subjects.iter().any(unjudged) {
            result.reason.get_or_insert_with(|| NO_EARLIER_RUN.to_owned());
        }
        result.skip = (result.outcome == Outcome::Skipped).then_some(Skip::Condition);
    }

    fn today(&self) -> chrono::NaiveDate {
        self.looker.now.with_timezone(&self.settings.timezone).date_naive()
    }

    /// A waiver also covers a step that could not look at all.
    fn waive_whole(&self, result: &mut StepResult) {
        let mut whole = SubjectResult {
            name: String::new(),
            outcome: result.outcome,
            error: result.reason.clone(),
            notes: Vec::new(),
            facts: crate::model::fact::Facts::new(),
            checks: Vec::new(),
        };
        judge::waive(&mut whole, &result.procedure, &result.step, &self.settings.waivers, self.today());
        if whole.outcome == Outcome::Waived {
            result.outcome = Outcome::Waived;
            result.reason = whole.notes.pop();
        } else if let (Some(reason), Some(ended)) = (&mut result.reason, whole.notes.pop()) {
            reason.push_str("; ");
            reason.push_str(&ended);
        }
    }
}

fn from_result(seen: Result<Observation, ProbeError>) -> Attempt {
    match seen {
        Ok(observation) => Attempt::Seen(observation),
        Err(error) => Attempt::Unseen(error),
    }
}

/// A panic in a probe is this look's error, not the end of the run.
async fn one_look(made: &Made, cx: &Context) -> Result<Observation, ProbeError> {
    let looked = AssertUnwindSafe(async { made.probe.observe(cx).await }).catch_unwind().await;
    looked.unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(ProbeError::new("bug", format!("the {} probe broke down: {what}", made.kind.name))
            .help("this is a mistake in opsctl; please report it with this message"))
    })
}

/// Several looks of one `gather`: what one cannot see does not hide what the others saw.
fn together(looks: &[Made], seen: Vec<Result<Observation, ProbeError>>) -> Observation {
    let mut all = Observation::default();
    for (made, seen) in looks.iter().zip(seen) {
        match seen {
            Ok(observation) => {
                all.subjects.extend(observation.subjects);
                all.evidence.extend(observation.evidence);
            }
            Err(error) => all.subjects.push(Subject::unseen(made.probe.target(), error.message)),
        }
    }
    all
}

/// Nothing came back in time. Where "it answers" is a fact, that is an answer: it does not.
fn out_of_time(looks: &[Made], limit: Duration) -> Attempt {
    let shown = crate::model::unit::Quantity::duration(limit).rounded();
    let [made] = looks else {
        return Attempt::Unseen(ProbeError::new("time_limit", format!("took longer than {shown}")).help(LIMIT_HELP));
    };
    let target = made.probe.target();
    match made.kind.facts.iter().find(|spec| spec.name == ANSWERS) {
        Some(spec) => {
            let mut subject = Subject::new(target).with(spec.name, Value::Bool(false));
            subject.note(format!("no answer within {shown}"));
            Attempt::Seen(subject.into())
        }
        None => Attempt::Unseen(
            ProbeError::new("time_limit", format!("{target} took longer than {shown}")).help(LIMIT_HELP),
        ),
    }
}

const LIMIT_HELP: &str = "if that is normal here, raise `timeout` of the step";

pub fn first_of(wrong: &Diagnostics) -> String {
    wrong.0.first().map_or_else(String::new, |problem| problem.message.clone())
}

impl document::Step {
    /// Whether a look waits for the results of earlier steps.
    #[must_use]
    pub fn has_late_looks(&self) -> bool {
        self.looks.iter().any(|look| matches!(look.made, document::Made::Late { .. }))
    }
}
