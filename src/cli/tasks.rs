//! `tasks`: what waits for people, and their answers.

use std::fmt::Write as _;
use std::path::Path;

use chrono::Utc;
use clap::ArgMatches;

use super::Done;
use super::check::{attach, block_on, resume};
use super::message::{self, Failure};
use super::post;
use super::settings::{self, Globals};
use crate::journal::{Access, Journal};
use crate::model::event::incident::{Delivered, Delivery};
use crate::model::event::people::{Answer, Ask, Attachment, Question, Reply};
use crate::model::event::{Event, EventKind, RunStart};
use crate::model::outcome::Exit;
use crate::procedure::diagnostic::suggestion;

use resume::Unfinished;

pub fn run(matches: &ArgMatches, globals: &Globals) -> Done {
    let access = if matches.subcommand().is_some() { Access::Write } else { Access::Read };
    let (path, zone) = settings::journal_of(globals, access)?;
    let runs = block_on(resume::unfinished(&path))??;
    match matches.subcommand() {
        Some(("done", matches)) => done(matches, &runs, &path, globals),
        _ => {
            message::print(&list(&runs, zone));
            Ok(Exit::Ok)
        }
    }
}

/// The questions that wait, with what names them: `01a1fe4e-e757.severity`, `...works.login`.
fn open(run: &Unfinished) -> Vec<(String, &Question)> {
    let steps = run.record.procedures.values().flat_map(|procedure| procedure.steps.values());
    let named = steps.flat_map(|step| &step.open).map(|question| {
        let item = question.item.as_ref().map_or(String::new(), |item| format!(".{}", item.replace(' ', "-")));
        (format!("{}.{}{item}", run.run.short(), question.step), question)
    });
    named.collect()
}

fn list(runs: &[Unfinished], zone: chrono_tz::Tz) -> String {
    if runs.is_empty() {
        return "nothing waits for a person\n".to_owned();
    }
    let mut text = String::new();
    for run in runs {
        writeln!(text, "{}", run.line(zone)).ok();
        for (id, question) in open(run) {
            writeln!(text, "  {id}  {}", question.text).ok();
            for line in &question.does {
                writeln!(text, "      {}  {line}", question.ask.of_what_it_does()).ok();
            }
            for (name, means) in &question.choices {
                writeln!(text, "      {name:<12} {means}").ok();
            }
            writeln!(text, "      {}", how(question, &id)).ok();
        }
        let answered = if open(run).is_empty() { "everything is answered: " } else { "" };
        writeln!(text, "  {answered}go on with `{}`\n", goes_on(run)).ok();
    }
    text
}

fn goes_on(run: &Unfinished) -> String {
    run.record.start.as_ref().map_or_else(String::new, RunStart::goes_on)
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/:@-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The command that answers.
fn how(question: &Question, id: &str) -> String {
    match (question.ask, &question.type_to_agree) {
        (Ask::Manual, _) => format!("opsctl tasks done {id} [--not-done | --not-applicable] [--note TEXT]"),
        (Ask::Decision, _) => format!("opsctl tasks done {id} --choose NAME"),
        (Ask::Approval, _) => format!("opsctl tasks done {id} [--no --note WHY]   as another person than the operator"),
        (Ask::Confirm, Some(target)) => format!("opsctl tasks done {id} --target {}   or --no", quoted(target)),
        (Ask::Confirm | Ask::Settle, _) => format!("opsctl tasks done {id} [--no]"),
        (Ask::Failure | Ask::Interrupted, _) => "go on at a terminal".to_owned(),
    }
}

fn done(matches: &ArgMatches, runs: &[Unfinished], journal: &Path, globals: &Globals) -> Done {
    let Some(given) = matches.get_one::<String>("id") else { return Ok(Exit::CouldNotTell) };
    let all: Vec<(&Unfinished, String, &Question)> =
        runs.iter().flat_map(|run| open(run).into_iter().map(move |(id, question)| (run, id, question))).collect();
    let found = all.iter().find(|(_, id, _)| id == given);
    // Without the run, if that is clear.
    let short: Vec<_> =
        all.iter().filter(|(_, id, _)| id.split_once('.').is_some_and(|(_, rest)| rest == given)).collect();
    let Some((run, id, question)) = found.or(if let [one] = short.as_slice() { Some(*one) } else { None }) else {
        let ids = all.iter().map(|(_, id, _)| id.as_str());
        let help = if all.is_empty() { "nothing waits".to_owned() } else { suggestion(given, ids, "there are") };
        return Err(Failure::new(format!("there is no task `{given}`"), help));
    };
    let reply = reply(matches, question, run)?;
    let note = matches.get_one::<String>("note").cloned();
    let is_empty = note.as_deref().is_none_or(|note| note.trim().is_empty());
    if question.note_required && is_empty {
        return Err(Failure::new(format!("{id} needs a note"), "add --note TEXT"));
    }
    let by = settings::operator();
    let start = run.record.start.as_ref();
    if question.ask == Ask::Approval && start.is_some_and(|start| start.operator == by) {
        let message = format!("{by} runs this procedure; another person has to agree");
        return Err(Failure::new(message, "they type this under their own login"));
    }
    let files = matches.get_many::<String>("file").into_iter().flatten();
    let attachments: Result<Vec<Attachment>, Failure> = files
        .map(|file| attach::keep(Path::new(file), journal).map_err(|error| Failure::new(error.0, "check the path")))
        .collect();
    let answer = Answer {
        procedure: question.procedure.clone(),
        step: question.step.clone(),
        item: question.item.clone(),
        reply,
        note,
        attachments: attachments?,
        by: by.clone(),
        verified: true,
        hash: question.hash.clone(),
    };
    let last = run.events.last().map_or(0, |event| event.seq);
    let at = Utc::now();
    let elapsed = run.record.started.and_then(|started| (at - started).to_std().ok()).unwrap_or_default();
    let kinds = told(run, question, &answer).into_iter().chain([EventKind::Answered(Box::new(answer))]);
    let events: Vec<Event> = (last + 1..).zip(kinds).map(|(seq, kind)| Event { seq, at, elapsed, kind }).collect();
    block_on(async { Journal::open(journal, Access::Write).await?.append(run.run, &events).await })??;
    let left = all.iter().filter(|(other, ..)| other.run == run.run).count() - 1;
    let next = match left {
        0 => format!("go on with `{}`", goes_on(run)),
        left => format!("{left} more wait in this run"),
    };
    message::print(&format!("{id}: recorded, by {by}; {next}\n"));
    post::advance_after(globals, journal);
    Ok(Exit::Ok)
}

/// What the answer says of the message that the question asks to tell, if it does.
fn told(run: &Unfinished, question: &Question, answer: &Answer) -> Option<EventKind> {
    let mut messages = run.record.messages.values().map(|record| &record.message);
    let message = messages.find(|message| post::asks_for(question, message))?;
    let state = if answer.reply == Reply::Done { Delivered::ByHand } else { Delivered::Failed };
    let detail = Some(format!("says {}", answer.by));
    Some(EventKind::MessageDelivered(Delivery { id: message.id.clone(), state, detail }))
}

fn reply(matches: &ArgMatches, question: &Question, run: &Unfinished) -> Result<Reply, Failure> {
    let no = matches.get_flag("no");
    let chosen = matches.get_one::<String>("choose");
    let target = matches.get_one::<String>("target");
    let wrong = |what: &str, help: String| Err(Failure::new(format!("{} {what}", question.step), help));
    match question.ask {
        Ask::Manual if matches.get_flag("not-done") || no => Ok(Reply::NotDone),
        Ask::Manual if matches.get_flag("not-applicable") => Ok(Reply::NotApplicable),
        Ask::Manual => Ok(Reply::Done),
        Ask::Decision => match chosen {
            Some(name) if question.choices.contains_key(name) => Ok(Reply::Chosen(name.clone())),
            Some(name) => {
                let help = suggestion(name, question.choices.keys().map(String::as_str), "the choices are");
                wrong(&format!("has no choice `{name}`"), help)
            }
            None => {
                let names: Vec<&str> = question.choices.keys().map(String::as_str).collect();
                wrong("is a decision", format!("add --choose with one of {}", names.join(", ")))
            }
        },
        Ask::Confirm if !no => match &question.type_to_agree {
            Some(wanted) if target != Some(wanted) => {
                wrong("is destructive", format!("add --target {} to agree that it is done, or --no", quoted(wanted)))
            }
            _ => Ok(Reply::Yes),
        },
        Ask::Approval | Ask::Confirm | Ask::Settle => Ok(if no { Reply::No } else { Reply::Yes }),
        Ask::Failure | Ask::Interrupted => {
            wrong("is asked at a terminal", format!("go on there with `{}`", goes_on(run)))
        }
    }
}
