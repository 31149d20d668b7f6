//! Telling people, from the site file to the outbox: the program, its journal and real channels.

use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use opsctl::journal::{Access, Filter, Journal};
use opsctl::model::event::incident::{Escalation, Message, Rung};
use opsctl::model::event::{Event, EventKind};
use opsctl::model::id::RunId;
use serde_json::Value as Json;

use crate::support::case::{Case, Ran};

mod channels;
mod clock;
mod ladder;
mod outbox;
mod packs;
mod site;

const SITE: &str = r#"
channels:
  log: { file: ./messages.jsonl }
roles:
  it-team: { mail: it@example.com, channel: log }
  management: { mail: boss@example.com, channel: log }
  users: { phone: "+48 123 456 789" }
escalation:
  outage:
    critical:
      - to: it-team
        within: 5m
        answer: 1h
        then: [{ to: management, within: 15m }]
    default:
      - { to: it-team, within: 4h }
"#;

const OUTAGE: &str = r#"
title: Outage
steps:
  - id: tell
    notify: { escalation: outage, severity: critical, message: "{{ run.title }} of {{ run.site }}" }
  - id: repair
    manual: Repair it
"#;

/// A site with the procedure `emergency outage`, which tells and then waits for a person.
fn case(name: &str) -> Case {
    Case::new(name).site(SITE).procedure("emergency/outage.yaml", OUTAGE)
}

/// The run has told and waits.
fn begun(case: &Case) -> Ran {
    case.run(["emergency", "outage"]).exits(1)
}

/// What stands in the file of the channel.
fn messages(case: &Case) -> Vec<Json> {
    let text = fs::read_to_string(case.path("messages.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Who was told, in this order.
fn told(case: &Case) -> Vec<String> {
    messages(case).iter().map(|message| message["to"].as_str().expect("a role").to_owned()).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// The newest run.
fn last(case: &Case) -> RunId {
    block_on(async {
        let journal = Journal::open(&case.journal(), Access::Read).await.expect("a journal");
        journal.runs(&Filter::default()).await.expect("runs")[0].run
    })
}

/// Adds to the newest run as another program does.
fn add(case: &Case, at: DateTime<Utc>, kinds: impl IntoIterator<Item = EventKind>) {
    let run = last(case);
    let events: Vec<Event> =
        kinds.into_iter().map(|kind| Event { seq: 0, at, elapsed: std::time::Duration::ZERO, kind }).collect();
    block_on(async {
        let journal = Journal::open(&case.journal(), Access::Write).await.expect("a journal");
        journal.append(run, &events).await.expect("recorded");
        journal.close().await.expect("closed");
    });
}

/// An escalation of the step `step` an hour ago: its first rung and `above` more ones, all of them due.
fn an_hour_ago(step: &str, above: usize) -> EventKind {
    let since = Utc::now() - TimeDelta::hours(1);
    let rung = |to: String| Rung {
        to,
        channel: "log".to_owned(),
        address: Some("boss@example.com".to_owned()),
        instead_of: None,
        due: since,
        deadline: None,
    };
    let above = (1..=above).map(|number| rung(format!("manager-{number}")));
    EventKind::Escalated(Box::new(Escalation {
        procedure: "emergency/outage".parse().expect("an id"),
        step: step.parse().expect("an id"),
        item: None,
        severity: Some("critical".to_owned()),
        since,
        text: "Nobody answers".to_owned(),
        tracks: vec![[rung("it-team".to_owned())].into_iter().chain(above).collect()],
    }))
}

fn queued(id: &str) -> EventKind {
    EventKind::MessageQueued(Box::new(Message {
        id: id.to_owned(),
        to: "management".to_owned(),
        channel: "log".to_owned(),
        address: None,
        severity: None,
        text: "Half sent".to_owned(),
        deadline: None,
    }))
}

/// Nothing in the journal was hurt by it.
fn whole(case: &Case) {
    case.run(["journal", "verify"]).exits(0).says("the journal is whole");
}
