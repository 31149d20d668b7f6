//! The operator at a terminal: one question at a time, with what came before, what it is about and the time that is left.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::attach::{self, AttachError};
use super::words::{self, Said};
use crate::cli::message;
use crate::engine::{Briefing, People, Reaction};
use crate::journal::{Access, Journal};
use crate::model::event::people::{Answer, Ask, Attachment, Question};
use crate::model::event::{Event, EventKind};
use crate::model::id::RunId;

/// Asks on standard error and reads standard input. Only where both are terminals.
pub struct Terminal {
    operator: String,
    zone: chrono_tz::Tz,
    colour: bool,
    /// The journal, in which somebody may answer from elsewhere.
    journal: PathBuf,
    lines: Mutex<UnboundedReceiver<String>>,
}

/// How often the journal is asked whether somebody has answered elsewhere.
const LOOK_ELSEWHERE: Duration = Duration::from_secs(2);

impl Terminal {
    /// None where nobody sits at a terminal.
    pub fn open(operator: &str, zone: chrono_tz::Tz, colour: bool, journal: &Path) -> Option<Self> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        let (sender, lines) = unbounded_channel();
        // Reading a terminal cannot be interrupted, so it has a thread of its own, which ends with the program.
        std::thread::spawn(move || {
            for line in std::io::stdin().lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let journal = journal.to_owned();
        Some(Self { operator: operator.to_owned(), zone, colour, journal, lines: Mutex::new(lines) })
    }

    /// The next line that is typed; `None` at the end of the input.
    pub async fn line(&self, prompt: &str) -> Option<String> {
        message::warn(prompt);
        let line = self.lines.lock().await.recv().await;
        if line.is_none() {
            message::warn("\n");
        }
        line.map(|line| line.trim().to_owned())
    }

    fn bold(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn show(&self, question: &Question, briefing: &Briefing) {
        let width =
            usize::from(rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| size.ws_col)).max(40);
        let item = question.item.as_ref().map_or(String::new(), |item| format!(" {item}"));
        let left = briefing.budget.map_or(String::new(), |(since, until)| words::time_left(since, until, Utc::now()));
        let mut text = String::from("\n");
        let head = format!("{}{item}", question.step);
        let gap = width.saturating_sub(head.chars().count() + left.chars().count() + 1).max(1);
        writeln!(text, "{}{}{left}", self.bold(&head), " ".repeat(gap)).ok();
        text += &words::paragraph("  ", &question.text, width);
        if question.text != briefing.step && question.ask == Ask::Manual {
            text += &words::labelled("step", &briefing.step, width);
        }
        if let Some(why) = &briefing.why {
            text += &words::labelled("why", why, width);
        }
        for finding in briefing.findings.iter().take(words::MOST_FINDINGS) {
            text += &words::labelled("found", finding, width);
        }
        if briefing.findings.len() > words::MOST_FINDINGS {
            let more = briefing.findings.len() - words::MOST_FINDINGS;
            text += &words::labelled("found", &format!("{more} more"), width);
        }
        // What would be run is never cut or folded: it is what is agreed to.
        let does = match question.ask {
            Ask::Interrupted => "changed",
            Ask::Settle => "was begun",
            _ => "would run",
        };
        for line in &question.does {
            writeln!(text, "  {does:<10} {line}").ok();
        }
        for note in &briefing.notes {
            text += &words::labelled("note", note, width);
        }
        if let Some(next) = briefing.next.as_ref().filter(|_| matches!(question.ask, Ask::Failure | Ask::Decision)) {
            text += &words::labelled("next", next, width);
        }
        let longest = question.choices.keys().map(|name| name.chars().count()).max().unwrap_or_default();
        for (index, (name, means)) in question.choices.iter().enumerate() {
            text += &words::labelled(&format!("{} {name:<longest$}", index + 1), means, width);
        }
        if let Some(target) = &question.type_to_agree {
            writeln!(text, "  destructive: to do it, {}", self.bold(&format!("type {target}"))).ok();
        }
        message::warn(&text);
    }

    /// Asks until the words are understood.
    async fn converse(&self, question: &Question) -> Reaction {
        let mut attachments: Vec<Attachment> = Vec::new();
        let mut note: Option<String> = None;
        loop {
            let Some(line) = self.line(&words::prompt(question)).await else { return Reaction::Later };
            let said = match words::understand(&line, question) {
                Ok(said) => said,
                Err(help) => {
                    message::warn(&format!("  {help}\n"));
                    continue;
                }
            };
            match said {
                Said::Note(text) => {
                    let text = match text {
                        Some(text) => text,
                        None => match self.line("  note> ").await {
                            Some(text) if !text.is_empty() => text,
                            _ => continue,
                        },
                    };
                    note = Some(note.map_or(text.clone(), |before| format!("{before}\n{text}")));
                    message::warn("  noted; it goes with your answer\n");
                }
                Said::File(path) => {
                    let path = match path {
                        Some(path) => path,
                        None => self.line("  file> ").await.unwrap_or_default(),
                    };
                    match attach::keep(Path::new(&path), &self.journal) {
                        Ok(file) => {
                            message::warn(&format!("  attached {} ({} bytes)\n", file.name, file.size));
                            attachments.push(file);
                        }
                        Err(AttachError(reason)) => message::warn(&format!("  {reason}\n")),
                    }
                }
                Said::Stop => return Reaction::Later,
                Said::Reply(reply, with) => {
                    let by = if question.ask == Ask::Approval {
                        match self.approver(question).await {
                            Some(by) => by,
                            None => continue,
                        }
                    } else {
                        self.operator.clone()
                    };
                    note = with.or(note);
                    if words::wants_note(question, &reply) && note.is_none() {
                        match self.line("  why, in a few words> ").await {
                            Some(text) if !text.is_empty() => note = Some(text),
                            Some(_) => {
                                message::warn("  this needs a note\n");
                                continue;
                            }
                            None => return Reaction::Later,
                        }
                    }
                    return Reaction::Answered(Answer {
                        procedure: question.procedure.clone(),
                        step: question.step.clone(),
                        item: question.item.clone(),
                        reply,
                        note,
                        attachments,
                        verified: question.ask != Ask::Approval,
                        by,
                        hash: question.hash.clone(),
                    });
                }
            }
        }
    }

    /// Who agrees at the operator's own terminal: somebody else, by name.
    async fn approver(&self, question: &Question) -> Option<String> {
        let role = question.role.as_ref().map_or(String::new(), |role| format!(" ({role})"));
        let name = self.line(&format!("  name of the person who says so{role}> ")).await?;
        if name.is_empty() {
            message::warn("  it needs a name\n");
            return None;
        }
        Some(name)
    }

    /// Waits until somebody answers in another program.
    async fn elsewhere(&self, run: Option<RunId>, question: &Question) -> Reaction {
        let Some(run) = run else { return std::future::pending().await };
        let asked = Utc::now();
        loop {
            tokio::time::sleep(LOOK_ELSEWHERE).await;
            let Ok(journal) = Journal::open(&self.journal, Access::Read).await else { continue };
            let Ok(events) = journal.replay(run).await else { continue };
            if let Some(event) = events.into_iter().rev().find(|event| is_answer(event, question, asked)) {
                if let EventKind::Answered(answer) = &event.kind {
                    message::warn(&format!("\n  answered by {} in another program\n", answer.by));
                }
                return Reaction::Elsewhere(Box::new(event));
            }
        }
    }
}

fn is_answer(event: &Event, question: &Question, asked: DateTime<Utc>) -> bool {
    match &event.kind {
        EventKind::Answered(answer) => {
            event.at >= asked
                && (&answer.procedure, &answer.step, &answer.item)
                    == (&question.procedure, &question.step, &question.item)
        }
        _ => false,
    }
}

impl People for Terminal {
    fn present(&self) -> bool {
        true
    }

    fn ask<'a>(&'a self, question: &'a Question, briefing: &'a Briefing) -> BoxFuture<'a, Reaction> {
        async move {
            self.show(question, briefing);
            tokio::select! {
                reaction = self.converse(question) => reaction,
                reaction = self.elsewhere(briefing.run, question) => reaction,
                () = self.watch(briefing) => Reaction::Later,
            }
        }
        .boxed()
    }

    fn tell(&self, text: &str) {
        message::warn(&format!("  {text}\n"));
    }
}

impl Terminal {
    /// Says once when little of the budget is left while somebody thinks, and once when it is spent.
    async fn watch(&self, briefing: &Briefing) {
        if let Some((since, until)) = briefing.budget {
            let all = until - since;
            for (at, word) in [(since + all * 4 / 5, "80 % of the time is used"), (until, "the time is used up")] {
                if let Ok(wait) = (at - Utc::now()).to_std() {
                    tokio::time::sleep(wait).await;
                    let until = until.with_timezone(&self.zone).format("%H:%M");
                    message::warn(&format!("\n  ! {word}; it ends at {until}\n> "));
                }
            }
        }
        std::future::pending::<()>().await;
    }

    /// When something was first seen, for deadlines that count from there: now, or a time of the past.
    pub async fn detected(&self) -> Option<DateTime<Utc>> {
        loop {
            let line = self.line("when was it noticed? HH:MM, or Enter for now> ").await?;
            if line.is_empty() {
                return Some(Utc::now());
            }
            match super::times::past(&line, self.zone, Utc::now()) {
                Ok(at) => return Some(at),
                Err(reason) => message::warn(&format!("  {reason}\n")),
            }
        }
    }
}
