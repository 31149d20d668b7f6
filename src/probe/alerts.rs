//! Alerts of a monitoring system: which fire now, and whether it would notice if something were wrong.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{BoxFuture, join_all};
use indexmap::IndexMap;
use tokio::time::Instant;

use self::alert::{Alert, State};
use super::http::fetch::{Endpoint, HEADERS};
use super::http::{BEARER, CA, LOGIN};
use super::sql::trouble::Trouble;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{ANSWERS, Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::secret::MaybeSecret;
use crate::model::unit::Quantity;
use crate::model::value::Value;

mod alert;
mod alertmanager;
mod prometheus;

pub static KIND: Kind = Kind {
    name: "alerts",
    about: "the alerts of Alertmanager or Prometheus: which are active now, which are held back, and whether the \
            monitoring itself is in order. With both addresses each server is one result",
    inputs: INPUTS,
    facts: FACTS,
    example: include_str!("../../examples/probes/alerts.yaml"),
    limit: Duration::from_secs(30),
    build: |inputs| Ok(Arc::new(Alerts::new(inputs)?)),
};

const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "alertmanager",
        ty: InputType::Text,
        need: Need::Optional,
        about: "the address of an Alertmanager, such as http://127.0.0.1:9093: it knows what is silenced",
    },
    InputSpec {
        name: "prometheus",
        ty: InputType::Text,
        need: Need::Optional,
        about: "the address of a Prometheus, such as http://127.0.0.1:9090: it knows what is pending, and whether its \
                rules and targets are in order",
    },
    InputSpec {
        name: "labels",
        ty: InputType::Pairs,
        need: Need::Optional,
        about: "only alerts with all these labels, such as `{ team: shop }`",
    },
    InputSpec {
        name: "except",
        ty: InputType::Texts,
        need: Need::Optional,
        about: "names of alerts that do not count, such as `InfoInhibitor`",
    },
    InputSpec {
        name: "watchdog",
        ty: InputType::Text,
        need: Need::Optional,
        about: "the name of an alert that always fires, such as `Watchdog`. It does not count among the others; when it \
                is not there, alerts do not come through, and the step fails",
    },
    HEADERS,
    CA,
    LOGIN,
    BEARER,
];

const FACTS: &[FactSpec] = &[
    FactSpec::implied(ANSWERS, "the server told its alerts, even if there are none"),
    FactSpec::new(
        "active",
        FactType::Count,
        "alerts that fire and that nothing holds back. Prometheus does not know what is silenced: there, all that fire",
    ),
    FactSpec::family(
        "severity",
        FactType::Count,
        "active alerts by their label `severity`, such as `severity: { critical: 0 }`; upper and lower case are the same",
    ),
    FactSpec::new("silenced", FactType::Count, "alerts that a silence holds back; only Alertmanager knows"),
    FactSpec::new("inhibited", FactType::Count, "alerts that another alert holds back; only Alertmanager knows"),
    FactSpec::new("pending", FactType::Count, "alerts that wait for the `for` of their rule; only Prometheus knows"),
    FactSpec::new("total", FactType::Count, "all of these"),
    FactSpec::new(
        "oldest_age",
        FactType::Duration,
        "since the oldest active alert began. Nothing is expected of it when none is active",
    ),
    FactSpec::implied(
        "watchdog",
        "the alert of the input `watchdog` fires. Nothing is expected of it without that input",
    ),
    FactSpec::new("rules", FactType::Count, "alerting rules of Prometheus: without any, no alert can fire"),
    FactSpec::new(
        "rules_failing",
        FactType::Count,
        "rules of Prometheus, recording ones included, whose last evaluation failed: their alerts cannot fire",
    ),
    FactSpec::new(
        "targets",
        FactType::Count,
        "what Prometheus scrapes. This and `targets_down` are asked for only when a step names one of them",
    ),
    FactSpec::new("targets_down", FactType::Count, "targets whose last scrape failed"),
    FactSpec::new(
        "alertmanagers",
        FactType::Count,
        "to how many Alertmanagers Prometheus sends its alerts: with none, nobody is told. Asked for only when a step \
         names it",
    ),
];

struct Alerts {
    servers: Vec<Server>,
    labels: IndexMap<String, String>,
    except: Vec<String>,
    watchdog: Option<String>,
}

enum Server {
    Alertmanager(Endpoint),
    Prometheus(Endpoint),
}

/// What one server told, besides its name.
struct Told {
    alerts: Vec<Alert>,
    /// About the server itself.
    facts: Vec<(&'static str, Value)>,
    evidence: Vec<Evidence>,
    notes: Vec<String>,
}

impl Server {
    fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Alertmanager(endpoint) | Self::Prometheus(endpoint) => endpoint,
        }
    }

    /// Which facts such a server cannot know.
    fn unknowable(&self) -> &'static [&'static str] {
        match self {
            Self::Alertmanager(_) => &["pending", "rules", "rules_failing", "targets", "targets_down", "alertmanagers"],
            Self::Prometheus(_) => &["silenced", "inhibited"],
        }
    }

    async fn ask(&self, deadline: Instant, cx: &Context) -> Result<Told, Trouble> {
        match self {
            Self::Alertmanager(endpoint) => alertmanager::ask(endpoint, deadline, cx).await,
            Self::Prometheus(endpoint) => prometheus::ask(endpoint, deadline, cx).await,
        }
    }
}

impl Alerts {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let endpoint = |name: &'static str| inputs.text(name).map(|url| Endpoint::new(name, url, inputs)).transpose();
        let alertmanager = endpoint("alertmanager")?.map(Server::Alertmanager);
        let prometheus = endpoint("prometheus")?.map(Server::Prometheus);
        let servers: Vec<Server> = alertmanager.into_iter().chain(prometheus).collect();
        if servers.is_empty() {
            let help = "write for example `alertmanager: http://127.0.0.1:9093`";
            return Err(InputError::new("", "it is not said whose alerts to look at", help));
        }
        let mut labels = IndexMap::new();
        for (name, value) in inputs.pairs("labels").into_iter().flatten() {
            let MaybeSecret::Plain(value) = value else {
                return Err(InputError::new("labels", format!("the label `{name}` is no secret"), "write its value"));
            };
            labels.insert(name.clone(), value.clone());
        }
        Ok(Self {
            servers,
            labels,
            except: inputs.texts("except").to_vec(),
            watchdog: inputs.text("watchdog").map(str::to_owned),
        })
    }

    async fn look(&self, server: &Server, deadline: Instant, cx: &Context) -> Result<Observation, ProbeError> {
        let told = match server.ask(deadline, cx).await {
            Ok(told) => told,
            Err(Trouble::Blind(error)) => return Err(error),
            Err(Trouble::Down(why)) => {
                let mut subject = self.subject(server).with(ANSWERS, Value::Bool(false));
                subject.note(why);
                return Ok(subject.into());
            }
        };
        let mut subject = self.subject(server).with(ANSWERS, Value::Bool(true));
        let is_watchdog = |alert: &Alert| Some(&alert.name) == self.watchdog.as_ref();
        let (watchdogs, others): (Vec<Alert>, Vec<Alert>) = told.alerts.into_iter().partition(is_watchdog);
        let mut alerts: Vec<Alert> = others.into_iter().filter(|alert| self.counts(alert)).collect();
        alerts.sort_by_key(|alert| (alert.state, alert.since));
        set_counts(&mut subject, &alerts, server, cx);
        if let Some(name) = &self.watchdog {
            let fires = watchdogs.iter().any(|alert| alert.state != State::Pending);
            subject.set("watchdog", Value::Bool(fires));
            if !fires {
                subject.note(format!("{name}, which always fires, is not there: alerts do not come through"));
            }
        }
        for (name, value) in told.facts {
            subject.set(name, value);
        }
        subject.notes.extend(told.notes);
        let title = format!("alerts of {}", subject.name);
        let evidence = alert::evidence(title, &alerts, cx).into_iter().chain(told.evidence).collect();
        Ok(Observation { subjects: vec![subject], evidence })
    }

    fn subject(&self, server: &Server) -> Subject {
        let mut subject = Subject::new(server.endpoint().shown());
        if self.watchdog.is_none() {
            subject.inapplicable.push("watchdog".to_owned());
        }
        // What one server cannot know the other one does; without the other one nobody does.
        if self.servers.len() > 1 {
            subject.inapplicable.extend(server.unknowable().iter().map(|fact| (*fact).to_owned()));
        }
        subject
    }

    fn counts(&self, alert: &Alert) -> bool {
        !self.except.contains(&alert.name)
            && self.labels.iter().all(|(name, value)| alert.labels.get(name).map_or("", String::as_str) == value)
    }
}

fn set_counts(subject: &mut Subject, alerts: &[Alert], server: &Server, cx: &Context) {
    let count =
        |wanted: &dyn Fn(&Alert) -> bool| Value::count(alerts.iter().filter(|alert| wanted(alert)).count() as u64);
    let is_active = |alert: &Alert| alert.state == State::Active;
    subject.set("active", count(&is_active));
    let mut severities: Vec<&str> = cx.asked_of("severity").collect();
    if cx.asked.is_empty() {
        severities = alerts.iter().filter(|alert| is_active(alert)).map(|alert| alert.severity.as_str()).collect();
        severities.retain(|severity| !severity.is_empty());
        severities.sort_unstable();
        severities.dedup();
    }
    for severity in severities {
        let has = |alert: &Alert| is_active(alert) && alert.severity.eq_ignore_ascii_case(severity);
        subject.set(format!("severity.{severity}"), count(&has));
    }
    match server {
        Server::Alertmanager(_) => {
            subject.set("silenced", count(&|alert| alert.silenced));
            subject.set("inhibited", count(&|alert| alert.inhibited));
        }
        Server::Prometheus(_) => subject.set("pending", count(&|alert| alert.state == State::Pending)),
    }
    subject.set("total", Value::count(alerts.len() as u64));
    let oldest = alerts.iter().filter(|alert| is_active(alert)).filter_map(|alert| alert.since).min();
    match oldest {
        Some(oldest) => subject.set("oldest_age", age(oldest, cx.now)),
        None => subject.inapplicable.push("oldest_age".to_owned()),
    }
}

fn age(since: DateTime<Utc>, now: DateTime<Utc>) -> Value {
    Value::Number(Quantity::seconds((now - since).as_seconds_f64().max(0.0)))
}

impl Probe for Alerts {
    fn target(&self) -> String {
        self.servers.iter().map(|server| server.endpoint().shown()).collect::<Vec<_>>().join(", ")
    }

    fn resource(&self) -> Option<String> {
        self.servers.first()?.endpoint().resource()
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(async move {
            let deadline = Instant::now() + cx.limit;
            let looks = join_all(self.servers.iter().map(|server| self.look(server, deadline, cx))).await;
            let mut all = Observation::default();
            for (server, look) in self.servers.iter().zip(looks) {
                match look {
                    Ok(one) => {
                        all.subjects.extend(one.subjects);
                        all.evidence.extend(one.evidence);
                    }
                    Err(error) if self.servers.len() == 1 => return Err(error),
                    Err(error) => all.subjects.push(Subject::unseen(server.endpoint().shown(), error.message)),
                }
            }
            Ok(all)
        })
    }
}
