//! The course of an incident, folded from its record: the points, the figures, and everything in the order in which it
//! was so.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::event::Mode;
use super::event::doing::{Ended, Phase};
use super::event::incident::{BudgetUse, Delivered, Mark, Note};
use super::event::people::{Answer, Reply};
use super::outcome::{Outcome, Verdict};
use super::record::{ActionRecord, MessageRecord, ProcedureRecord, Record};
use super::unit::Quantity;

/// When what was so. What nobody has said and nothing shows is missing: detection is not guessed from the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Points {
    pub occurred: Option<DateTime<Utc>>,
    pub detected: Option<DateTime<Utc>>,
    /// The run began.
    pub started: Option<DateTime<Utc>>,
    pub acknowledged: Option<DateTime<Utc>>,
    pub identified: Option<DateTime<Utc>>,
    /// `mitigated`, or `restored`.
    pub mitigated: Option<DateTime<Utc>>,
    /// `resolved`, or the end of a run that did not fail.
    pub resolved: Option<DateTime<Utc>>,
}

impl Points {
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let good = |outcome| matches!(outcome, Outcome::Passed | Outcome::Waived | Outcome::Warned);
        let finished = record.finished.filter(|(outcome, _)| good(*outcome) && record.interrupted.is_none());
        let taken_on = record.acknowledged.as_ref().map(|(at, _)| *at);
        Self {
            occurred: record.mark("occurred"),
            detected: record.mark("detected"),
            started: record.started,
            acknowledged: record.mark("acknowledged").or(taken_on),
            identified: record.mark("identified"),
            mitigated: record.mark("mitigated").or_else(|| record.mark("restored")),
            resolved: record.mark("resolved").or_else(|| finished.and(record.ended)),
        }
    }

    /// From detection until somebody had taken it on; its mean over incidents is the MTTA.
    #[must_use]
    pub fn to_acknowledge(&self) -> Option<Duration> {
        between(self.detected, self.acknowledged)
    }

    /// From detection until people could work again.
    #[must_use]
    pub fn to_mitigate(&self) -> Option<Duration> {
        between(self.detected, self.mitigated)
    }

    /// From detection to the solution; its mean over incidents is the MTTR.
    #[must_use]
    pub fn to_resolve(&self) -> Option<Duration> {
        between(self.detected, self.resolved)
    }
}

/// Nothing where a point is missing, or where the second lies before the first: that is no duration.
#[must_use]
pub fn between(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Option<Duration> {
    (to? - from?).to_std().ok()
}

/// One line of the timeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// When it was so.
    pub at: DateTime<Utc>,
    /// When it was recorded, where that was a minute or more later.
    pub entered: Option<DateTime<Utc>>,
    pub kind: EntryKind,
    pub by: Option<String>,
    pub text: String,
    /// What was run, a line each; the names of what was attached.
    pub lines: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    Start,
    Mark,
    Acknowledged,
    Note,
    Answer,
    Action,
    Undo,
    Message,
    Budget,
    Rollback,
    Suspended,
    Resumed,
    End,
}

impl EntryKind {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Mark => "mark",
            Self::Acknowledged => "acknowledged",
            Self::Note => "note",
            Self::Answer => "answer",
            Self::Action => "action",
            Self::Undo => "undo",
            Self::Message => "message",
            Self::Budget => "budget",
            Self::Rollback => "rollback",
            Self::Suspended => "suspended",
            Self::Resumed => "resumed",
            Self::End => "end",
        }
    }
}

/// Everything that people did, said and were told, by when it was so; of one time, in the order of this function.
#[must_use]
pub fn timeline(record: &Record) -> Vec<Entry> {
    let mut entries = Vec::new();
    entries.extend(record.marks.iter().map(|(entered, mark)| of_mark(*entered, mark)));
    course(record, &mut entries);
    entries.extend(record.notes.iter().map(|(entered, note)| of_note(*entered, note)));
    for step in record.procedures.values().flat_map(|procedure| procedure.steps.values()) {
        entries.extend(step.answers.iter().map(|(at, answer)| of_answer(*at, answer)));
        entries.extend(step.actions.iter().map(of_action));
    }
    for message in record.messages.values() {
        of_message(message, &mut entries);
    }
    entries.extend(record.budgets.iter().map(|(at, used)| of_budget(*at, used)));
    entries.extend(record.ended.zip(record.finished).map(|(at, (outcome, _))| {
        let outcome = if record.interrupted.is_some() { "was interrupted".to_owned() } else { outcome.to_string() };
        Entry::new(at, EntryKind::End, format!("the run {outcome}"))
    }));
    entries.sort_by_key(|entry| entry.at);
    entries
}

/// How the run itself went.
fn course(record: &Record, entries: &mut Vec<Entry>) {
    if let (Some(at), Some(start)) = (record.started, &record.start) {
        let text = format!("opsctl {} begins on {}", start.command, start.host);
        entries.push(Entry::new(at, EntryKind::Start, text).by(&start.operator));
    }
    if let Some((at, by)) = &record.acknowledged {
        entries.push(Entry::new(*at, EntryKind::Acknowledged, "taken on".to_owned()).by(by));
    }
    for (at, reason) in &record.pauses {
        entries.push(Entry::new(*at, EntryKind::Suspended, format!("the run waits: {reason}")));
    }
    for (at, resume) in &record.resumed {
        let changed = resume.accepted.iter().map(|(id, _)| format!("{id} has changed since, which was accepted"));
        let entry = Entry::new(*at, EntryKind::Resumed, format!("the run goes on, on {}", resume.host));
        entries.push(Entry { lines: changed.collect(), ..entry.by(&resume.operator) });
    }
    for procedure in record.procedures.values() {
        if let Some((at, reason)) = &procedure.rollback {
            let text = format!("{} is rolled back: {reason}", procedure.plan.id);
            entries.push(Entry::new(*at, EntryKind::Rollback, text));
        }
    }
}

impl Entry {
    fn new(at: DateTime<Utc>, kind: EntryKind, text: String) -> Self {
        Self { at, entered: None, kind, by: None, text, lines: Vec::new() }
    }

    fn by(mut self, who: &str) -> Self {
        self.by = Some(who.to_owned());
        self
    }

    fn entered(mut self, entered: DateTime<Utc>) -> Self {
        self.entered = Some(entered).filter(|entered| *entered - self.at >= TimeDelta::minutes(1));
        self
    }
}

fn of_mark(entered: DateTime<Utc>, mark: &Mark) -> Entry {
    Entry::new(mark.at, EntryKind::Mark, mark.name.clone()).by(&mark.by).entered(entered)
}

fn of_note(entered: DateTime<Utc>, note: &Note) -> Entry {
    let step = note.step.as_ref().map_or(String::new(), |(_, step)| format!("{step}: "));
    let entry = Entry::new(note.at, EntryKind::Note, format!("{step}{}", note.text)).by(&note.by).entered(entered);
    Entry { lines: note.attachments.iter().map(|file| format!("attached: {}", file.name)).collect(), ..entry }
}

fn of_answer(at: DateTime<Utc>, answer: &Answer) -> Entry {
    let text = format!("{}: {}", answered_where(answer), said(answer));
    let entry = Entry::new(at, EntryKind::Answer, text).by(&answer.by);
    Entry { lines: answer.attachments.iter().map(|file| format!("attached: {}", file.name)).collect(), ..entry }
}

fn answered_where(answer: &Answer) -> String {
    match &answer.item {
        Some(item) => format!("{}, {item}", answer.step),
        None => answer.step.to_string(),
    }
}

/// The reply and its note, in words.
#[must_use]
pub fn said(answer: &Answer) -> String {
    let reply = match &answer.reply {
        Reply::Done => "done",
        Reply::NotDone => "not done",
        Reply::NotApplicable => "does not apply",
        Reply::Chosen(name) => name,
        Reply::Yes => "yes",
        Reply::No => "no",
        Reply::Retry => "try again",
        Reply::Skip => "leave it out",
        Reply::RollBack => "roll back",
        Reply::Stop => "stop",
    };
    match answer.note.as_deref().filter(|note| !note.trim().is_empty()) {
        Some(note) => format!("{reply}: {note}"),
        None => reply.to_owned(),
    }
}

fn of_action(action: &ActionRecord) -> Entry {
    let kind = match action.start.phase {
        Phase::Do => EntryKind::Action,
        Phase::Undo => EntryKind::Undo,
    };
    let entry = Entry::new(action.started, kind, told(action)).by(&action.start.agreed_by);
    let notes = action.end.iter().flat_map(|end| &end.notes).map(|note| format!("note: {note}"));
    Entry { lines: action.start.plan.does.iter().cloned().chain(notes).collect(), ..entry }
}

/// What the step did to what, and what came of it: `restart of apache2: done in 3 s`.
#[must_use]
pub fn told(action: &ActionRecord) -> String {
    let item = action.start.item.as_ref().map_or(String::new(), |item| format!(" for {item}"));
    let undone = if action.start.phase == Phase::Undo { ", taken back" } else { "" };
    format!("{}{item}{undone}, {}: {}", action.start.step, action.start.target, came(action))
}

/// What came of an action.
#[must_use]
pub fn came(action: &ActionRecord) -> String {
    let Some(end) = &action.end else { return "outcome unknown: it began, and no end is on record".to_owned() };
    let word = match end.ended {
        Ended::Done => "done",
        Ended::Failed => "failed before anything was changed",
        Ended::Midway => "failed midway: it may have changed something",
        Ended::FoundDone => "was cut off; it was found done",
        Ended::FoundUndone => "was cut off; it was found not done",
    };
    match &end.reason {
        Some(reason) => format!("{word}: {reason}"),
        None => word.to_owned(),
    }
}

/// What became of a message, in one word or two.
#[must_use]
pub fn delivered(message: &MessageRecord) -> &'static str {
    match message.delivery.as_ref().map(|(_, delivery)| delivery.state) {
        Some(Delivered::Sent) => "sent",
        Some(Delivered::ByHand) => "told by a person",
        Some(Delivered::Failed) => "not told",
        Some(Delivered::Waiting) => "a person has to tell",
        None => "not known whether it was sent",
    }
}

fn of_message(record: &MessageRecord, entries: &mut Vec<Entry>) {
    let message = &record.message;
    let (at, detail) = match &record.delivery {
        Some((at, delivery)) => (*at, delivery.detail.as_deref()),
        None => (record.queued, None),
    };
    let late = if message.deadline.is_some_and(|deadline| at > deadline) { ", too late" } else { "" };
    let detail = detail.map_or(String::new(), |detail| format!(" ({detail})"));
    let state = delivered(record);
    let text = format!("{} through {}: {state}{late}{detail}: {}", message.to, message.channel, message.text);
    entries.push(Entry::new(at, EntryKind::Message, text));
}

fn of_budget(at: DateTime<Utc>, used: &BudgetUse) -> Entry {
    let budget = Quantity::duration(Duration::from_millis(used.budget_ms)).rounded();
    let of = used.section.clone().unwrap_or_else(|| used.procedure.to_string());
    let text = match used.percent {
        100.. => format!("the budget of {of}, {budget}, is used up"),
        percent => format!("{percent} % of the budget of {of}, {budget}, is used"),
    };
    Entry::new(at, EntryKind::Budget, text)
}

/// The criteria of what was asked for and called, with the verdicts so far.
pub fn criteria(record: &Record) -> impl Iterator<Item = (&str, Verdict, &[String])> {
    let called = record.procedures.values().filter(|procedure| procedure.plan.called_by.is_none() || procedure.started);
    called.flat_map(criteria_of)
}

/// Those of one procedure.
pub fn criteria_of(procedure: &ProcedureRecord) -> impl Iterator<Item = (&str, Verdict, &[String])> {
    let judged = procedure.criteria.iter().map(|one| (one.says.as_str(), one.outcome, one.proven_by.as_slice()));
    let none: &[String] = &[];
    let open = if procedure.criteria.is_empty() { procedure.plan.criteria.as_slice() } else { &[] };
    judged.chain(open.iter().map(move |says| (says.as_str(), Verdict::NotProven, none)))
}

/// Whether the record is one of people and actions, and not only of looks.
#[must_use]
pub fn is_led(record: &Record) -> bool {
    record.start.as_ref().is_some_and(|start| start.mode == Mode::Run)
}
