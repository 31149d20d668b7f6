//! A night with an outage, event by event.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use opsctl::model::action::{Effect, Plan};
use opsctl::model::event::doing::{ActionEnd, ActionStart, Ended, Phase};
use opsctl::model::event::incident::{BudgetUse, Delivered, Delivery, Mark, Message, Note};
use opsctl::model::event::people::{Answer, Ask, Question, Reply};
use opsctl::model::event::{
    CriterionResult, Event, EventKind, Mode, ProcedurePlan, ProcedureResult, Resume, RunStart, StepPlan, StepResult,
    SubjectResult,
};
use opsctl::model::id::{ProcedureId, StepId};
use opsctl::model::outcome::{Exit, Outcome, Verdict};
use opsctl::model::value::Value;

use super::story::{Seen, subject};

pub const WARSAW: chrono_tz::Tz = chrono_tz::Europe::Warsaw;

/// `03:05` of the night, in Warsaw.
pub fn at(clock: &str) -> DateTime<Utc> {
    let (hours, minutes) = clock.split_once(':').expect("hours and minutes");
    let since = hours.parse::<i64>().expect("hours") * 60 + minutes.parse::<i64>().expect("minutes");
    "2026-11-20T23:00:00Z".parse::<DateTime<Utc>>().expect("a time") + TimeDelta::minutes(since)
}

pub fn id(text: &str) -> ProcedureId {
    text.parse().expect("an id")
}

pub fn step(text: &str) -> StepId {
    text.parse().expect("an id")
}

/// What happened, event by event.
pub struct Night(pub Vec<Event>);

impl Night {
    pub fn then(mut self, clock: &str, kind: EventKind) -> Self {
        let at = at(clock);
        let elapsed = (at - self.0.first().map_or(at, |first| first.at)).to_std().expect("later");
        self.0.push(Event { seq: self.0.len() as u64 + 1, at, elapsed, kind });
        self
    }

    pub fn marked(self, clock: &str, name: &str, when: &str) -> Self {
        let mark = Mark { name: name.to_owned(), at: at(when), by: "anna".to_owned() };
        self.then(clock, EventKind::Marked(mark))
    }

    pub fn noted(self, clock: &str, text: &str, when: &str) -> Self {
        let note = Note { at: at(when), by: "jan".to_owned(), text: text.to_owned(), step: None, attachments: vec![] };
        self.then(clock, EventKind::Noted(note))
    }

    pub fn ended(self, clock: &str, id: &str, outcome: Outcome, edit: impl FnOnce(&mut StepResult)) -> Self {
        let mut result = StepResult {
            procedure: self::id("emergency/outage"),
            step: step(id),
            outcome,
            took: Duration::from_secs(1),
            attempts: 1,
            reason: None,
            help: None,
            skip: None,
            since: None,
            choice: None,
            subjects: Vec::new(),
            evidence: Vec::new(),
        };
        edit(&mut result);
        self.then(clock, EventKind::StepFinished(Box::new(result)))
    }

    pub fn asked(self, clock: &str, id: &str, ask: Ask, text: &str) -> Self {
        let question = Question {
            procedure: self::id("emergency/outage"),
            step: step(id),
            item: None,
            ask,
            text: text.to_owned(),
            choices: indexmap::IndexMap::new(),
            note_required: false,
            role: None,
            does: Vec::new(),
            hash: None,
            type_to_agree: None,
        };
        self.then(clock, EventKind::Asked(Box::new(question)))
    }

    pub fn answered(self, clock: &str, id: &str, reply: Reply, note: Option<&str>) -> Self {
        let answer = Answer {
            procedure: self::id("emergency/outage"),
            step: step(id),
            item: None,
            reply,
            note: note.map(str::to_owned),
            attachments: Vec::new(),
            by: "anna".to_owned(),
            verified: true,
            hash: None,
        };
        self.then(clock, EventKind::Answered(Box::new(answer)))
    }

    pub fn acts(self, clock: &str, id: &str, phase: Phase, does: &[&str]) -> Self {
        let start = ActionStart {
            procedure: self::id("emergency/outage"),
            step: step(id),
            item: None,
            phase,
            action: "service".to_owned(),
            target: "apache2.service".to_owned(),
            effect: Effect::Change,
            plan: Plan::new(does.iter().map(|line| (*line).to_owned()).collect()),
            hash: String::new(),
            agreed_by: "anna".to_owned(),
        };
        let began = EventKind::StepStarted { procedure: self::id("emergency/outage"), step: step(id) };
        let night = if phase == Phase::Do { self.then(clock, began) } else { self };
        night.then(clock, EventKind::ActionStarted(Box::new(start)))
    }

    pub fn acted(self, clock: &str, id: &str, phase: Phase, ended: Ended, reason: Option<&str>) -> Self {
        self.acted_and_said(clock, id, phase, ended, reason, &[])
    }

    pub fn acted_and_said(
        self,
        clock: &str,
        id: &str,
        phase: Phase,
        ended: Ended,
        reason: Option<&str>,
        notes: &[&str],
    ) -> Self {
        let end = ActionEnd {
            procedure: self::id("emergency/outage"),
            step: step(id),
            item: None,
            phase,
            ended,
            took: Duration::from_secs(3),
            reason: reason.map(str::to_owned),
            help: None,
            facts: opsctl::model::fact::Facts::new(),
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
            evidence: Vec::new(),
        };
        self.then(clock, EventKind::ActionFinished(Box::new(end)))
    }

    pub fn told(self, clock: &str, to: &str, state: Delivered, deadline: &str) -> Self {
        let message = Message {
            id: format!("emergency/outage.tell-{to}.0.0"),
            to: to.to_owned(),
            severity: None,
            channel: "mail".to_owned(),
            address: Some(format!("{to}@helpdesk.example")),
            text: "helpdesk: outage, critical".to_owned(),
            deadline: Some(at(deadline)),
        };
        let delivery = Delivery { id: message.id.clone(), state, detail: None };
        self.then(clock, EventKind::MessageQueued(Box::new(message))).then(clock, EventKind::MessageDelivered(delivery))
    }

    pub fn spent(self, clock: &str, percent: u8) -> Self {
        let used = BudgetUse {
            procedure: id("emergency/outage"),
            section: None,
            percent,
            budget_ms: 7_200_000,
            since: at("02:50"),
        };
        self.then(clock, EventKind::BudgetUsed(used))
    }
}

fn plan(id: &str, title: &str, kind: &str, finding: bool) -> StepPlan {
    StepPlan {
        id: step(id),
        title: title.to_owned(),
        kind: kind.to_owned(),
        probe: if kind == "action" { "service" } else { "http" }.to_owned(),
        section: None,
        at: format!("emergency/outage.yaml:{id}"),
        why: None,
        next: None,
        finding,
    }
}

pub fn begins() -> Night {
    let called = ProcedurePlan {
        id: id("emergency/data-restore"),
        title: "Data restore".to_owned(),
        hash: String::new(),
        called_by: Some((id("emergency/outage"), step("restore-data"))),
        budget_ms: None,
        criteria: vec!["The data is there".to_owned()],
        steps: vec![plan("restore", "Restore the newest backup", "action", false)],
    };
    let outage = ProcedurePlan {
        id: id("emergency/outage"),
        title: "System unavailable".to_owned(),
        hash: String::new(),
        called_by: None,
        budget_ms: Some(7_200_000),
        criteria: vec!["The system is restored within 2 hours".to_owned(), "The users were told".to_owned()],
        steps: vec![
            plan("home-page", "The home page answers", "probe", true),
            plan("classify-severity", "How bad is it?", "decision", false),
            plan("tell", "The IT team is told", "notify", false),
            plan("clear-cache", "The cache is emptied", "action", false),
            plan("restart-web", "The web server is restarted", "action", false),
            plan("test-login", "People can log in", "manual", false),
            plan("record-cause", "The cause is written down", "manual", false),
            plan("restore-data", "The data is restored", "procedure", false),
        ],
    };
    let start = RunStart {
        run: "01a1fe4e-e757-7c3d-8e4f-5a6b7c8d9e0f".parse().expect("an id"),
        opsctl: "0.1.0".to_owned(),
        site: "helpdesk".to_owned(),
        command: "emergency outage".to_owned(),
        host: "web1".to_owned(),
        operator: "anna".to_owned(),
        timezone: "Europe/Warsaw".to_owned(),
        mode: Mode::Run,
        incident: true,
        procedures: vec![outage, called],
    };
    Night(Vec::new()).then("03:00", EventKind::RunStarted(start))
}

fn not_answering() -> SubjectResult {
    subject("https://helpdesk.example", Outcome::Failed).seen("status", Value::Integer(503), "200", false)
}

/// Up to the point where nobody answers any more.
pub fn waiting() -> Vec<Event> {
    identified()
        .asked("03:25", "test-login", Ask::Manual, "Log in as a customer")
        .ended("03:26", "test-login", Outcome::Pending, |result| {
            result.reason = Some("waits for a person".to_owned());
        })
        .then("03:26", EventKind::Suspended { reason: "test-login waits for a person".to_owned() })
        .0
}

pub fn identified() -> Night {
    begins()
        .marked("03:00", "occurred", "02:40")
        .marked("03:00", "detected", "02:50")
        .then("03:00", EventKind::Acknowledged { by: "anna".to_owned() })
        .then("03:00", EventKind::ProcedureStarted { procedure: id("emergency/outage") })
        .then("03:00", EventKind::StepStarted { procedure: id("emergency/outage"), step: step("home-page") })
        .ended("03:01", "home-page", Outcome::Failed, |result| result.subjects.push(not_answering()))
        .answered("03:04", "classify-severity", Reply::Chosen("critical".to_owned()), None)
        .ended("03:04", "classify-severity", Outcome::Passed, |result| result.choice = Some("critical".to_owned()))
        .marked("03:04", "identified", "03:04")
        .told("03:05", "it-team", Delivered::Sent, "03:20")
        .told("03:31", "management", Delivered::ByHand, "03:20")
        .ended("03:05", "tell", Outcome::Passed, |_| {})
        .acts("03:10", "clear-cache", Phase::Do, &["redis-cli --scan --pattern 'cache:*'", "redis-cli unlink cache:1"])
}

/// From the first call to the last note.
pub fn outage() -> Vec<Event> {
    let resume = Resume {
        opsctl: "0.1.0".to_owned(),
        command: "emergency outage --resume".to_owned(),
        host: "web1".to_owned(),
        operator: "anna".to_owned(),
        accepted: Vec::new(),
    };
    let criterion = |says: &str, outcome, proof: &str| CriterionResult {
        says: says.to_owned(),
        outcome,
        proven_by: vec![proof.to_owned()],
    };
    identified_and_acted()
        .then("03:26", EventKind::Suspended { reason: "test-login waits for a person".to_owned() })
        .then("04:20", EventKind::Resumed(resume))
        .spent("04:26", 80)
        .answered("04:30", "test-login", Reply::Done, Some("as customer and agent"))
        .ended("04:30", "test-login", Outcome::Passed, |_| {})
        .marked("04:30", "restored", "04:30")
        .spent("04:50", 100)
        .answered("05:00", "record-cause", Reply::Done, Some("the log had filled /var"))
        .ended("05:00", "record-cause", Outcome::Passed, |_| {})
        .ended("05:00", "restore-data", Outcome::Skipped, |result| {
            result.reason = Some("does not apply: no data was lost".to_owned());
        })
        .then(
            "05:00",
            EventKind::ProcedureFinished(ProcedureResult {
                procedure: id("emergency/outage"),
                outcome: Outcome::Failed,
                took: Duration::from_hours(2),
                criteria: vec![
                    criterion("The system is restored within 2 hours", Verdict::Met, "restored 100 min after detected"),
                    criterion("The users were told", Verdict::NotProven, "tell-users"),
                ],
            }),
        )
        .then("05:00", EventKind::RunFinished { outcome: Outcome::Failed, exit: Exit::Failed })
        .marked("09:00", "resolved", "05:05")
        .noted("09:01", "solution: made room on /var and restarted the web server", "05:05")
        .noted("09:02", "extent: all customers, two hours", "05:05")
        .noted("09:03", "corrective: rotate the log by size", "09:03")
        .noted("09:04", "corrective: warn at 80 % of /var", "09:04")
        .noted("09:05", "a customer had called first", "02:45")
        .0
}

pub fn identified_and_acted() -> Night {
    identified()
        .acted("03:10", "clear-cache", Phase::Do, Ended::Done, None)
        .ended("03:10", "clear-cache", Outcome::Passed, |_| {})
        .acts("03:12", "restart-web", Phase::Do, &["systemctl restart apache2.service"])
        .acted("03:12", "restart-web", Phase::Do, Ended::Midway, Some("exit 1: no space left on device"))
        .ended("03:12", "restart-web", Outcome::Failed, |result| {
            result.reason = Some("exit 1: no space left on device".to_owned());
        })
        .then(
            "03:13",
            EventKind::RollbackStarted {
                procedure: id("emergency/outage"),
                reason: "the operator wanted it after restart-web had failed".to_owned(),
            },
        )
        .acts("03:13", "clear-cache", Phase::Undo, &["systemctl start cache-warmer.service"])
        .acted_and_said("03:13", "clear-cache", Phase::Undo, Ended::Done, None, &["3 pages had expired meanwhile"])
}
