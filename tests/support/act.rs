//! One action, as a procedure would take it: planned, and then done.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use indexmap::IndexMap;
use opsctl::action::{Action, ActionError, Context};
use opsctl::model::action::Plan;
use opsctl::model::fact::{Observation, Subject};
use opsctl::model::id::RunId;
use opsctl::model::input::InputError;
use opsctl::model::secret::{Mask, MaybeSecret};
use opsctl::probe::{self, Database, ManagedService};
use serde_json::Value as Json;

use super::look::inputs_of;

/// An action to be taken: the inputs as JSON (which is YAML), and the context.
pub struct Act {
    kind: &'static str,
    inputs: Json,
    pub cx: Context,
}

impl Act {
    pub fn new(kind: &'static str, inputs: Json) -> Self {
        let look = probe::Context {
            now: Utc::now(),
            timezone: chrono_tz::Europe::Warsaw,
            limit: Duration::from_mins(1),
            cancel: tokio_util::sync::CancellationToken::new(),
            asked: Arc::new([]),
            databases: Arc::new(IndexMap::new()),
            services: Arc::new(IndexMap::new()),
            mask: Mask::default(),
            folder: std::env::temp_dir(),
            past: Arc::new(probe::NoPast),
        };
        Self { kind, inputs, cx: Context { look, run: RunId(uuid::Uuid::now_v7()) } }
    }

    pub fn database(mut self, name: &str, url: &str) -> Self {
        let mut databases = (*self.cx.look.databases).clone();
        databases.insert(name.to_owned(), Database { url: MaybeSecret::Plain(url.to_owned()) });
        self.cx.look.databases = Arc::new(databases);
        self
    }

    /// With a service that the site file names.
    pub fn service(mut self, name: &str, service: ManagedService) -> Self {
        let mut services = (*self.cx.look.services).clone();
        services.insert(name.to_owned(), service);
        self.cx.look.services = Arc::new(services);
        self
    }

    /// As part of the run that `other` is part of.
    pub fn in_run_of(mut self, other: &Self) -> Self {
        self.cx.run = other.cx.run;
        self
    }

    pub fn build(&self) -> Result<Arc<dyn Action>, InputError> {
        let kind = opsctl::action::kind(self.kind).expect("a kind of that name");
        (kind.build)(&inputs_of(kind.inputs, &self.inputs))
    }

    pub fn plan(&self) -> Result<Plan, ActionError> {
        self.with(async |action| action.plan(&self.cx).await)
    }

    pub fn perform(&self, plan: &Plan) -> Result<Observation, ActionError> {
        self.with(async |action| action.perform(plan, &self.cx).await)
    }

    /// Plans and does.
    pub fn run(&self) -> Result<Observation, ActionError> {
        self.with(async |action| {
            let plan = action.plan(&self.cx).await?;
            action.perform(&plan, &self.cx).await
        })
    }

    /// The only subject of an action that must succeed.
    pub fn subject(&self) -> Subject {
        let mut done = self.run().expect("an action that succeeds");
        assert_eq!(done.subjects.len(), 1, "one subject expected: {:?}", done.subjects);
        done.subjects.remove(0)
    }

    fn with<T>(&self, work: impl AsyncFnOnce(&dyn Action) -> T) -> T {
        let action = self.build().expect("inputs that fit together");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let done = runtime.block_on(work(&*action));
        runtime.shutdown_background();
        done
    }
}
