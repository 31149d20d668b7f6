//! One look with one probe, as a procedure would take it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use opsctl::model::expectation::Reading;
use opsctl::model::fact::{Observation, Subject};
use opsctl::model::input::{Input, InputError, InputSpec, InputType, Inputs, Need};
use opsctl::model::secret::{Mask, MaybeSecret, SecretRef};
use opsctl::model::unit::{Quantity, parse_duration, parse_size};
use opsctl::probe::{Context, Database, NoPast, Past, Probe, ProbeError};
use serde_json::Value as Json;

/// A look to be taken: the inputs as JSON (which is YAML), and the context.
pub struct Look {
    kind: &'static str,
    inputs: Json,
    pub cx: Context,
}

impl Look {
    pub fn new(kind: &'static str, inputs: Json) -> Self {
        let cx = Context {
            now: Utc::now(),
            timezone: chrono_tz::Europe::Warsaw,
            limit: Duration::from_secs(20),
            cancel: tokio_util::sync::CancellationToken::new(),
            asked: Arc::new([]),
            databases: Arc::new(IndexMap::new()),
            services: Arc::new(IndexMap::new()),
            mask: Mask::default(),
            folder: std::env::temp_dir(),
            past: Arc::new(NoPast),
        };
        Self { kind, inputs, cx }
    }

    pub fn now(mut self, now: DateTime<Utc>) -> Self {
        self.cx.now = now;
        self
    }

    pub fn limit(mut self, limit: Duration) -> Self {
        self.cx.limit = limit;
        self
    }

    /// The facts that the step's expectations name, such as `json.queue.depth`.
    pub fn asked(mut self, facts: &[&str]) -> Self {
        self.cx.asked = facts.iter().map(|fact| (*fact).to_owned()).collect();
        self
    }

    pub fn database(mut self, name: &str, url: &str) -> Self {
        let mut databases = (*self.cx.databases).clone();
        databases.insert(name.to_owned(), Database { url: MaybeSecret::Plain(url.to_owned()) });
        self.cx.databases = Arc::new(databases);
        self
    }

    /// What this step saw in its newest earlier run: `(subject, fact, value)`.
    pub fn before(mut self, at: DateTime<Utc>, seen: &[(&str, &str, Quantity)]) -> Self {
        let key = |subject: &str, fact: &str| (subject.to_owned(), fact.to_owned());
        let readings = seen.iter().map(|&(subject, fact, value)| (key(subject, fact), Reading { at, value }));
        self.cx.past = Arc::new(Before(readings.collect()));
        self
    }

    pub fn build(&self) -> Result<Arc<dyn Probe>, InputError> {
        let kind = opsctl::probe::kind(self.kind).expect("a kind of that name");
        (kind.build)(&inputs_of(kind.inputs, &self.inputs))
    }

    pub fn run(&self) -> Result<Observation, ProbeError> {
        let probe = self.build().expect("inputs that fit together");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let seen = runtime.block_on(probe.observe(&self.cx));
        runtime.shutdown_background();
        seen
    }

    /// The only subject of a look that must succeed.
    pub fn subject(&self) -> Subject {
        let mut seen = self.run().expect("a look that succeeds");
        assert_eq!(seen.subjects.len(), 1, "one subject expected: {:?}", seen.subjects);
        seen.subjects.remove(0)
    }
}

#[derive(Debug)]
struct Before(HashMap<(String, String), Reading>);

impl Past for Before {
    fn newest<'p>(&'p self, facts: &'p [&'static str]) -> BoxFuture<'p, HashMap<(String, String), Reading>> {
        let asked = self.0.iter().filter(|((_, fact), _)| facts.contains(&fact.as_str()));
        Box::pin(std::future::ready(asked.map(|(key, reading)| (key.clone(), *reading)).collect()))
    }
}

/// Inputs that vetting would have made of the JSON.
pub fn inputs_of(specs: &'static [InputSpec], json: &Json) -> Inputs {
    let empty = serde_json::Map::new();
    let given = json.as_object().unwrap_or(&empty);
    for key in given.keys() {
        assert!(specs.iter().any(|spec| spec.name == key), "no input `{key}`");
    }
    let mut inputs = Vec::new();
    for spec in specs {
        let value = match (given.get(spec.name), spec.need) {
            (Some(value), _) => value.clone(),
            (None, Need::Default(written)) => serde_json::from_str(written).unwrap_or_else(|_| Json::from(written)),
            (None, Need::Required) => panic!("input `{}` is required", spec.name),
            (None, Need::Optional) => continue,
        };
        inputs.push((spec.name, input_of(spec, &value)));
    }
    Inputs(inputs)
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn many(value: &Json) -> Vec<String> {
    value.as_array().map_or_else(|| vec![text(value)], |items| items.iter().map(text).collect())
}

fn secret(value: &Json) -> Option<SecretRef> {
    let map = value.as_object()?;
    if let Some(name) = map.get("env") {
        return Some(SecretRef::Env(text(name)));
    }
    if let Some(path) = map.get("file") {
        return Some(SecretRef::File(text(path).into()));
    }
    map.get("command").map(|run| SecretRef::Command(many(run)))
}

fn input_of(spec: &InputSpec, value: &Json) -> Input {
    match spec.ty {
        InputType::Text | InputType::Pattern | InputType::Choice(_) | InputType::Database => Input::Text(text(value)),
        InputType::Texts | InputType::Patterns | InputType::Arguments | InputType::Procedures => {
            Input::Texts(many(value))
        }
        InputType::Bool => Input::Bool(value.as_bool().expect("a boolean")),
        InputType::Integer { .. } => Input::Integer(value.as_i64().expect("an integer")),
        InputType::Duration => Input::Duration(parse_duration(&text(value)).expect("a duration")),
        InputType::Size => Input::Size(parse_size(&text(value)).expect("a size")),
        InputType::Path => Input::Path(text(value).into()),
        InputType::Paths => Input::Paths(many(value).into_iter().map(Into::into).collect()),
        InputType::Secret => Input::Secret(secret(value).expect("a secret")),
        InputType::Pairs => {
            let pairs = value.as_object().expect("a mapping");
            let maybe =
                |value: &Json| secret(value).map_or_else(|| MaybeSecret::Plain(text(value)), MaybeSecret::Secret);
            Input::Pairs(pairs.iter().map(|(name, value)| (name.clone(), maybe(value))).collect())
        }
        InputType::Json => Input::Json(value.clone()),
        InputType::Group(specs) => Input::Group(inputs_of(specs, value)),
        InputType::Groups(specs) => {
            let items = value.as_array().expect("a list of mappings");
            Input::Groups(items.iter().map(|item| inputs_of(specs, item)).collect())
        }
    }
}
