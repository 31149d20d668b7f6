//! The services of a Compose project.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::container::description::{Description, Entry};
use super::container::engine::{Engine, SOCKET, Trouble, encoded};
use super::container::look::{grown, health_facts, trouble};
use super::container::{check_name, deadline, log, settled};
use super::{Context, Kind, Probe, ProbeError};
use crate::model::expectation::Reading;
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;

pub(crate) mod file;

pub static KIND: Kind = Kind {
    name: "compose",
    about: "a project of Docker Compose: one result for it as a whole and one for each service. What should be there is \
            said by `service` or `file`; without both, a service whose containers are gone is not missed. Containers \
            of `docker compose run` do not count",
    inputs: &[
        InputSpec {
            name: "project",
            ty: InputType::Text,
            need: Need::Required,
            about: "the project's name, as `docker compose ls` shows it",
        },
        InputSpec {
            name: "service",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "the services that must be there",
        },
        InputSpec {
            name: "file",
            ty: InputType::Path,
            need: Need::Optional,
            about: "instead of `service`: the Compose file, of which all services must be there that belong to no \
                    profile",
        },
        InputSpec {
            name: "job",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "services that do something once and end, such as migrations: they need not run and must have \
                    `succeeded`",
        },
        SOCKET,
    ],
    facts: FACTS,
    example: include_str!("../../examples/probes/compose.yaml"),
    limit: Duration::from_secs(30),
    build,
};

const FACTS: &[FactSpec] = &[
    FactSpec::implied("answers", "the engine answers"),
    FactSpec::implied("complete", "of the project: each service that must be there has a container, running or not"),
    FactSpec::implied(
        "running",
        "of a service: it has containers, and all of them run; nothing is expected of a `job`",
    ),
    FactSpec::implied(
        "succeeded",
        "of a `job`: its containers have ended with exit status 0; missing while one still runs",
    ),
    FactSpec::new("services", FactType::Count, "of the project: services that have a container"),
    FactSpec::new("containers", FactType::Count, "of the service, running or not"),
    FactSpec::new(
        "healthy",
        FactType::Bool,
        "of a service that runs: the health checks of all its containers pass; missing where one has none",
    ),
    FactSpec::new(
        "restarts",
        FactType::Count,
        "of a service: how often the engine has started its containers again by itself",
    ),
    FactSpec::recent("recent_restarts", FactType::Count, "the same since the newest earlier run of this step"),
    FactSpec::new(
        "exit",
        FactType::Count,
        "of a service: exit status of its containers that ended, the worst of them; missing while all run",
    ),
];

/// Facts of the project that no service has, and the other way round: nothing is expected of them there.
const OF_PROJECT: [&str; 2] = ["complete", "services"];
const OF_SERVICE: [&str; 7] = ["running", "succeeded", "containers", "healthy", "restarts", "recent_restarts", "exit"];
/// Facts of a service that a job does not have, and the other way round.
const NOT_OF_JOB: [&str; 2] = ["running", "healthy"];
const OF_JOB: &str = "succeeded";

const AT_ONCE: usize = 8;
const EXPLAINED: usize = 5;
const LOG_LINES: usize = 10;

struct Compose {
    project: String,
    services: Vec<String>,
    file: Option<PathBuf>,
    jobs: Vec<String>,
    socket: Option<PathBuf>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let compose = Compose {
        project: inputs.text("project").unwrap_or_default().to_owned(),
        services: inputs.texts("service").to_vec(),
        file: inputs.path("file").cloned(),
        jobs: inputs.texts("job").to_vec(),
        socket: inputs.path("socket").cloned(),
    };
    check_name("project", &compose.project)?;
    for (input, names) in [("service", &compose.services), ("job", &compose.jobs)] {
        names.iter().try_for_each(|name| check_name(input, name))?;
    }
    if !compose.services.is_empty() && compose.file.is_some() {
        let message = "`service` and `file` both say which services must be there";
        return Err(InputError::new("file", message, "leave out one of the two"));
    }
    Ok(Arc::new(compose))
}

impl Probe for Compose {
    fn target(&self) -> String {
        self.project.clone()
    }

    fn resource(&self) -> Option<String> {
        Some("container engine".to_owned())
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        async move {
            let expected = self.expected(cx).await?;
            let earlier = cx.past.newest(&["restarts", "containers"]).await;
            let seen = match Engine::connect(self.socket.as_deref(), deadline(cx), cx).await {
                Ok(engine) => self.look(&engine, &expected, &earlier).await,
                Err(trouble) => Err(trouble),
            };
            settled(seen, std::slice::from_ref(&self.project))
        }
        .boxed()
    }
}

impl Compose {
    /// The services that must be there, with the jobs.
    async fn expected(&self, cx: &Context) -> Result<Vec<String>, ProbeError> {
        let mut expected = match &self.file {
            Some(file) => {
                let file = file.clone();
                cx.blocking(move || file::services(&file)).await?
            }
            None => self.services.clone(),
        };
        expected.extend(self.jobs.iter().filter(|job| !expected.contains(job)).cloned().collect::<Vec<_>>());
        Ok(expected)
    }

    async fn look(
        &self,
        engine: &Engine<'_>,
        expected: &[String],
        earlier: &HashMap<(String, String), Reading>,
    ) -> Result<Observation, Trouble> {
        let mut services: BTreeMap<String, Vec<Description>> = BTreeMap::new();
        for (service, told) in self.containers(engine).await? {
            services.entry(service).or_default().push(told);
        }
        let mut project = Subject::new(&self.project).with("answers", Value::Bool(true));
        project.inapplicable = OF_SERVICE.map(str::to_owned).into();
        let absent: Vec<&String> = expected.iter().filter(|name| !services.contains_key(*name)).collect();
        project.set("complete", Value::Bool(absent.is_empty() && !services.is_empty()));
        project.set("services", Value::count(services.len() as u64));
        if services.is_empty() {
            project.note(format!("no container belongs to the project {}", self.project));
        } else if !absent.is_empty() {
            let names: Vec<&str> = absent.iter().map(|name| name.as_str()).collect();
            project.note(format!("no container of {}", names.join(", ")));
        } else if self.services.is_empty() && self.file.is_none() {
            project.note("neither `service` nor `file` says what must be there, so what is gone is not missed");
        }
        let mut seen = Observation::from(project);
        for name in expected.iter().filter(|name| absent.contains(name)) {
            seen.subjects.push(self.service(name, &[], earlier));
        }
        for (name, containers) in &services {
            seen.subjects.push(self.service(name, containers, earlier));
            for told in containers.iter().filter(|told| self.is_in_trouble(name, told)) {
                if seen.evidence.len() < EXPLAINED
                    && let Ok(lines) = log::last_lines(engine, &told.id, told.config.tty, LOG_LINES).await
                    && !lines.is_empty()
                {
                    let title = format!("last log lines of {}", told.plain_name());
                    seen.evidence.push(Evidence::new(title, lines));
                }
            }
        }
        Ok(seen)
    }

    /// Each container of the project with its service.
    async fn containers(&self, engine: &Engine<'_>) -> Result<Vec<(String, Description)>, Trouble> {
        let label = format!("com.docker.compose.project={}", self.project);
        let filters = encoded(&json!({"label": [label]}).to_string());
        let entries: Vec<Entry> = engine.json(&format!("/containers/json?all=true&filters={filters}")).await?;
        let looks: Vec<_> = entries
            .into_iter()
            .filter(|entry| entry.labels.get("com.docker.compose.oneoff").is_none_or(|one| one != "True"))
            .filter_map(|entry| Some((entry.labels.get("com.docker.compose.service")?.clone(), entry)))
            .map(async |(service, entry)| {
                let told = engine.find::<Description>(&format!("/containers/{}/json", entry.id)).await?;
                Ok(told.map(|told| (service, told)))
            })
            .collect();
        let found: Vec<Option<_>> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
        let mut found: Vec<(String, Description)> = found.into_iter().flatten().collect();
        found.sort_by(|one, other| one.1.name.cmp(&other.1.name));
        Ok(found)
    }

    fn is_in_trouble(&self, service: &str, told: &Description) -> bool {
        let done = self.is_job(service) && told.exit() == Some(0);
        told.is_unhealthy() || !(told.is_running() || done)
    }

    fn is_job(&self, service: &str) -> bool {
        self.jobs.iter().any(|job| job == service)
    }

    fn service(&self, name: &str, containers: &[Description], earlier: &HashMap<(String, String), Reading>) -> Subject {
        let mut subject = Subject::new(name).with("answers", Value::Bool(true));
        let is_job = self.is_job(name);
        subject.inapplicable = OF_PROJECT.map(str::to_owned).into();
        if is_job {
            subject.inapplicable.extend(NOT_OF_JOB.map(str::to_owned));
            if containers.iter().any(Description::is_running) {
                subject.note("still at work");
            } else {
                let all = containers.iter().all(|told| told.exit() == Some(0)) && !containers.is_empty();
                subject.set("succeeded", Value::Bool(all));
            }
        } else {
            subject.inapplicable.push(OF_JOB.to_owned());
            let running = containers.iter().all(Description::is_running) && !containers.is_empty();
            subject.set("running", Value::Bool(running));
            let health: Option<Vec<bool>> =
                containers.iter().map(|told| Some(told.health()?.status == "healthy")).collect();
            if let Some(health) = health.filter(|_| running) {
                subject.set("healthy", Value::Bool(health.into_iter().all(|healthy| healthy)));
            }
        }
        subject.set("containers", Value::count(containers.len() as u64));
        if containers.is_empty() {
            subject.note("has no container");
            return subject;
        }
        subject.set(
            "restarts",
            Value::count(containers.iter().map(|told| told.restart_count).fold(0, u64::saturating_add)),
        );
        if let Some(grown) = recent_restarts(name, containers, earlier) {
            subject.set("recent_restarts", Value::count(grown));
        }
        let worst = containers.iter().filter_map(Description::exit).max_by_key(|exit| exit.abs());
        if let Some(exit) = worst {
            subject.set("exit", Value::Integer(exit));
        }
        for told in containers {
            let done = is_job && told.exit() == Some(0);
            if let Some(note) = trouble(told).filter(|_| !done) {
                subject.note(format!("{}: {note}", told.plain_name()));
            } else if !is_job {
                let mut of_health = Subject::new(told.plain_name());
                health_facts(told, &mut of_health);
                subject.notes.extend(of_health.notes.iter().map(|note| format!("{}: {note}", told.plain_name())));
            }
        }
        subject
    }
}

/// With one container as [`grown`]; the sum of several says nothing when some of them are new.
fn recent_restarts(
    service: &str,
    containers: &[Description],
    earlier: &HashMap<(String, String), Reading>,
) -> Option<u64> {
    let earlier = earlier.get(&(service.to_owned(), "restarts".to_owned()));
    if let [only] = containers {
        return grown(only, earlier);
    }
    let earlier = earlier?;
    let since_then = |told: &&Description| told.created_at().is_some_and(|created| created > earlier.at);
    let (new, old): (Vec<_>, Vec<_>) = containers.iter().partition(since_then);
    let count = |all: &[&Description]| all.iter().map(|told| told.restart_count).fold(0, u64::saturating_add);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of restarts")]
    let then = if old.is_empty() { 0 } else { earlier.value.amount() as u64 };
    Some(count(&new).saturating_add(count(&old).saturating_sub(then)))
}
