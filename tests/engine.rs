//! The engine, from procedures as they are written to the events of a run.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use indexmap::IndexMap;
use opsctl::engine::{self, Crew, History, Planned, Selection, Settings, Stop};
use opsctl::model::event::{Event, EventKind, Mode, ProcedureResult, StepResult};
use opsctl::model::expectation::Reading;
use opsctl::model::fact::Observation;
use opsctl::model::id::{ProcedureId, RunId, StepId};
use opsctl::model::outcome::{Exit, Outcome};
use opsctl::model::past::PastRun;
use opsctl::model::record::Record;
use opsctl::model::secret::Mask;
use opsctl::probe::{Context, Probe, ProbeError};
use opsctl::procedure::document::{Made, Procedure};
use tokio::sync::mpsc::unbounded_channel;

use crate::procedures::Case;

mod acting;
mod bounds;
mod criteria;
mod ending;
mod leading;
mod order;
mod secrets;
mod selection;
mod steps;
mod waivers;

/// Earlier runs as a test wants them.
#[derive(Default)]
struct Past {
    readings: HashMap<(String, String), Vec<Reading>>,
    since: Option<DateTime<Utc>>,
}

impl History for Past {
    fn readings<'h>(
        &'h self,
        _procedure: &'h ProcedureId,
        _step: &'h StepId,
        _facts: &'h [String],
        _runs: u32,
    ) -> BoxFuture<'h, HashMap<(String, String), Vec<Reading>>> {
        ready(self.readings.clone()).boxed()
    }

    fn runs_of<'h>(
        &'h self,
        _procedure: &'h ProcedureId,
        _besides: RunId,
    ) -> BoxFuture<'h, Result<Vec<PastRun>, String>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn since<'h>(
        &'h self,
        _procedure: &'h ProcedureId,
        _step: &'h StepId,
        _outcome: Outcome,
    ) -> BoxFuture<'h, Option<DateTime<Utc>>> {
        ready(self.since).boxed()
    }
}

type Look = dyn Fn() -> BoxFuture<'static, Result<Observation, ProbeError>> + Send + Sync;

/// A probe that does what the test says.
struct Fake {
    look: Box<Look>,
    resource: Option<&'static str>,
}

impl Probe for Fake {
    fn target(&self) -> String {
        "fake".to_owned()
    }

    fn resource(&self) -> Option<String> {
        self.resource.map(str::to_owned)
    }

    fn observe<'a>(&'a self, _cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        (self.look)()
    }
}

/// A run to be made.
pub struct Run {
    case: Case,
    procedures: Vec<Procedure>,
    settings: Settings,
    stop: Stop,
}

impl Run {
    /// Of one procedure, `daily/check`.
    pub fn of(text: &str) -> Self {
        Self::in_case(Case::new().with("pack/daily/check.yaml", text))
    }

    /// Of all procedures of the case.
    fn in_case(case: Case) -> Self {
        let procedures = case.load().unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
        let site = case.site().expect("a site");
        let settings = Settings {
            run: RunId(uuid::Uuid::now_v7()),
            site: site.name,
            command: "daily check".to_owned(),
            host: "host".to_owned(),
            operator: "tester".to_owned(),
            timezone: site.timezone,
            databases: site.databases,
            services: site.services,
            folder: site.folder,
            waivers: site.waivers,
            mask: Mask::default(),
            parallel: 8,
            history: Arc::new(Past::default()),
            selection: Selection::default(),
            mode: Mode::Check,
            crew: Crew::nobody(),
            yes: false,
            one_by_one: false,
            detected: None,
            occurred: None,
            past: Vec::new(),
            accepted: Vec::new(),
            given: None,
        };
        Self { case, procedures, settings, stop: Stop::default() }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Every step looks like this instead.
    fn faking(
        mut self,
        resource: Option<&'static str>,
        look: impl Fn() -> BoxFuture<'static, Result<Observation, ProbeError>> + Clone + Send + Sync + 'static,
    ) -> Self {
        for step in self.procedures.iter_mut().flat_map(|procedure| &mut procedure.steps) {
            step.looks[0].made = Made::Ready(Arc::new(Fake { look: Box::new(look.clone()), resource }));
        }
        self
    }

    pub fn run(self) -> Ran {
        self.run_beside(|_| ())
    }

    /// Runs, and does something else meanwhile, on a thread of its own.
    fn run_beside(self, meanwhile: impl FnOnce(&Stop) + Send + 'static) -> Ran {
        let (_, library) = self.case.library().expect("a library");
        let planned = self
            .procedures
            .into_iter()
            .map(|procedure| Planned {
                vars: library.vars_of(&procedure.id).cloned().unwrap_or_else(IndexMap::new),
                procedure,
            })
            .collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (send, mut receive) = unbounded_channel();
        let stop = self.stop.clone();
        let beside = std::thread::spawn(move || meanwhile(&stop));
        let before = self.settings.past.last().map_or(0, |event| event.seq);
        let engine::End { outcome, exit, suspended } =
            runtime.block_on(engine::run(planned, self.settings, send, self.stop));
        beside.join().expect("what is done beside the run");
        runtime.shutdown_background();
        let events: Vec<Event> = std::iter::from_fn(|| receive.try_recv().ok()).collect();
        let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (before + 1..=before + events.len() as u64).collect::<Vec<_>>(), "numbered without gaps");
        match events.last().map(|event| &event.kind) {
            Some(EventKind::Suspended { .. }) => assert!(suspended),
            last => assert_eq!(last, Some(&EventKind::RunFinished { outcome, exit })),
        }
        Ran { events, outcome, exit, case: self.case }
    }
}

/// A run that was made.
pub struct Ran {
    events: Vec<Event>,
    pub outcome: Outcome,
    exit: Exit,
    /// Its folder lives as long as this.
    case: Case,
}

impl Ran {
    fn step(&self, id: &str) -> &StepResult {
        let found = self.events.iter().find_map(|event| match &event.kind {
            EventKind::StepFinished(result) if result.step.as_str() == id => Some(result),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no result of {id}"))
    }

    fn outcome_of(&self, id: &str) -> Outcome {
        self.step(id).outcome
    }

    fn reason_of(&self, id: &str) -> &str {
        self.step(id).reason.as_deref().unwrap_or_default()
    }

    /// The steps in the order in which they ended.
    fn ended(&self) -> Vec<&str> {
        let ended = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::StepFinished(result) => Some(result.step.as_str()),
            _ => None,
        });
        ended.collect()
    }

    fn started(&self) -> Vec<&str> {
        let started = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::StepStarted { step, .. } => Some(step.as_str()),
            _ => None,
        });
        started.collect()
    }

    fn procedure(&self) -> &ProcedureResult {
        let found = self.events.iter().find_map(|event| match &event.kind {
            EventKind::ProcedureFinished(result) => Some(result),
            _ => None,
        });
        found.expect("a procedure that ended")
    }

    pub fn record(&self) -> Record {
        Record::of(&self.events)
    }
}

/// A procedure of these steps: `(id, the rest of the step)`.
fn procedure(steps: &[(&str, &str)]) -> String {
    let steps: Vec<String> = steps.iter().map(|(id, rest)| format!("  - {{ id: {id}, {rest} }}\n")).collect();
    format!("title: Check\nsteps:\n{}", steps.concat())
}

/// A step that runs a line in a shell and expects exit status 0. No double quotes in it.
fn shell(line: &str) -> String {
    format!("probe: {{ command: {{ shell: \"{line}\" }} }}, expect: {{ exit: 0 }}")
}

const PASS: &str = "probe: { command: { run: ['true'] } }, expect: { exit: 0 }";
const FAIL: &str = "probe: { command: { run: ['false'] } }, expect: { exit: 0 }";
const WARN: &str = "probe: { command: { run: ['false'] } }, prefer: { exit: 0 }";
const ERROR: &str = "probe: { command: { run: [opsctl-no-such-program] } }, expect: { exit: 0 }";
const LEAVE_OUT: &str = "when: 'false', probe: { command: { run: ['true'] } }, expect: { exit: 0 }";
