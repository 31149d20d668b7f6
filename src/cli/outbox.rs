//! `tick`, `ack` and `outbox`: whom an escalation tells next, that somebody has taken it on, and who was told.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::Done;
use super::check::block_on;
use super::message::{self, Failure};
use super::post::{self, id_of, is_lost, whom};
use super::settings::{self, Globals};
use crate::journal::{Access, Journal, JournalError, Letter, Problem, Stage};
use crate::model::event::EventKind;
use crate::model::event::incident::{Delivered, Delivery, Mark, Note};
use crate::model::event::people::{Answer, Reply};
use crate::model::id::RunId;
use crate::model::ladder;
use crate::model::outcome::Exit;
use crate::model::record::Record;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::site::Site;

/// As many messages that were delivered are listed.
const MOST_DELIVERED: usize = 20;

pub fn commands() -> [Command; 3] {
    let retry = Arg::new("retry").long("retry").action(ArgAction::SetTrue);
    let note = Arg::new("note").long("note").value_name("TEXT");
    [
        Command::new("tick")
            .about("Tell whom the escalations say is to be told by now; for cron")
            .arg(retry.help("Also send again what failed, or may not have been sent")),
        Command::new("ack").about("Take an incident on: nobody else is told of it").args([
            Arg::new("run").value_name("RUN").required(true).help("The beginning of a run's id, or `last`"),
            note.help("A note for the record"),
        ]),
        Command::new("outbox").about("Show who was told, and who is still to be told by a person").subcommand(
            Command::new("done")
                .about("Say that you have told somebody")
                .arg(Arg::new("id").value_name("ID").required(true).help("As `opsctl outbox` shows it")),
        ),
    ]
}

/// `opsctl tick`.
pub fn tick(matches: &ArgMatches, globals: &Globals) -> Done {
    let (site, path) = site(globals)?;
    if !path.exists() {
        return Ok(Exit::Ok);
    }
    let (told, lost) = block_on(async {
        let journal = Journal::open(&path, Access::Write).await?;
        let mut told = post::advance(&site, &journal).await?;
        let letters = journal.outbox().await?;
        let now = Utc::now();
        let mut lost: Vec<Letter> = letters.iter().filter(|letter| is_lost(letter, &site, now)).cloned().collect();
        if matches.get_flag("retry") {
            let just_now = |letter: &&Letter| !told.iter().any(|told| is_same(letter, told.run, &told.message.id));
            let failed =
                letters.iter().filter(|letter| letter.stage == Stage::Came(Delivered::Failed)).filter(just_now);
            let again: Vec<_> = failed.chain(&lost).map(|letter| (letter.run, letter.message.clone())).collect();
            lost.clear();
            told.extend(post::deliver(&site, &journal, again).await?);
        }
        Ok::<_, JournalError>((told, lost))
    })??;
    let mut text: String = told.iter().map(post::line).collect();
    for letter in &lost {
        let (whom, id) = (whom(&letter.message), id_of(letter.run, &letter.message));
        writeln!(text, "LOST  {whom}: whether it was sent is not known, opsctl was ended meanwhile").ok();
        writeln!(text, "      ask them, then `opsctl outbox done {id}`; or `opsctl tick --retry`").ok();
    }
    message::print(&text);
    let failed = told.iter().any(|told| told.delivery.state == Delivered::Failed);
    Ok(if failed || !lost.is_empty() { Exit::Failed } else { Exit::Ok })
}

fn is_same(letter: &Letter, run: RunId, id: &str) -> bool {
    letter.run == run && letter.message.id == id
}

/// The site, and its journal.
fn site(globals: &Globals) -> Result<(Site, std::path::PathBuf), Failure> {
    let site = settings::site(globals)?;
    let path = settings::journal_path(&site)?;
    Ok((site, path))
}

/// `opsctl ack RUN`.
pub fn ack(matches: &ArgMatches, globals: &Globals) -> Done {
    let Some(given) = matches.get_one::<String>("run") else { return Ok(Exit::CouldNotTell) };
    let note = matches.get_one::<String>("note").filter(|note| !note.trim().is_empty());
    let (site, path) = site(globals)?;
    let text = block_on(async {
        // Reading first: a journal that is not there is not made for this.
        let (run, record) = incident(&Journal::open(&path, Access::Read).await?, given).await?;
        let journal = Journal::open(&path, Access::Write).await?;
        acknowledge(&journal, run, &record, note, &site).await
    })??;
    message::print(&text);
    post::advance_after(globals, &path);
    Ok(Exit::Ok)
}

/// The run that is meant; `last` is the newest one that has told somebody and is under way.
async fn incident(journal: &Journal, given: &str) -> Result<(RunId, Record), Failure> {
    if given.trim() == "last" {
        for letter in journal.outbox().await?.iter().rev() {
            let record = Record::of(&journal.replay(letter.run).await?);
            if record.finished.is_none() {
                return Ok((letter.run, record));
            }
        }
        return Err(Failure::new("no run that is under way has told anybody", "`opsctl history` lists the runs"));
    }
    let run = journal.find(given).await?;
    let record = Record::of(&journal.replay(run).await?);
    if record.escalations.is_empty() {
        let message = format!("run {} has told nobody: there is nothing to acknowledge", run.short());
        return Err(Failure::new(message, "`opsctl outbox` shows which runs have told somebody; `last` is the newest"));
    }
    if record.finished.is_some() {
        let message = format!("run {} has ended: nobody else is told of it anyway", run.short());
        return Err(Failure::new(message, "`opsctl outbox` shows who was told"));
    }
    Ok((run, record))
}

async fn acknowledge(
    journal: &Journal,
    run: RunId,
    record: &Record,
    note: Option<&String>,
    site: &Site,
) -> Result<String, Failure> {
    let (at, by) = (Utc::now(), settings::operator());
    let shown = |at: DateTime<Utc>| at.with_timezone(&site.timezone).format("%H:%M");
    let mut kinds = Vec::new();
    if record.acknowledged.is_none() {
        kinds.push(EventKind::Acknowledged { by: by.clone() });
        kinds.push(EventKind::Marked(Mark { name: "acknowledged".to_owned(), at, by: by.clone() }));
    }
    if let Some(text) = note {
        kinds.push(EventKind::Noted(Note {
            at,
            by: by.clone(),
            text: text.clone(),
            step: None,
            attachments: Vec::new(),
        }));
    }
    if !kinds.is_empty() {
        post::note(journal, run, kinds).await?;
    }
    let mut text = match &record.acknowledged {
        None => format!("run {}: acknowledged by {by} at {}\n", run.short(), shown(at)),
        Some((at, by)) => format!("run {}: {by} has acknowledged it already, at {}\n", run.short(), shown(*at)),
    };
    for (due, message) in ladder::ahead(record) {
        writeln!(text, "  not told any more      {}, who was due at {}", whom(&message), shown(due)).ok();
    }
    for letter in journal.outbox().await?.iter().filter(|letter| letter.run == run && is_open(letter)) {
        writeln!(text, "  still to be told       {}", whom(&letter.message)).ok();
        writeln!(text, "      then `opsctl outbox done {}`", id_of(run, &letter.message)).ok();
    }
    Ok(text)
}

/// Whether a person may have to tell them.
fn is_open(letter: &Letter) -> bool {
    matches!(letter.stage, Stage::Queued | Stage::Came(Delivered::Waiting | Delivered::Failed))
}

/// `opsctl outbox` and `opsctl outbox done`.
pub fn outbox(matches: &ArgMatches, globals: &Globals) -> Done {
    let (site, path) = site(globals)?;
    let letters = block_on(async {
        match Journal::open(&path, Access::Read).await {
            Err(error) if matches!(error.problem, Problem::Missing) => Ok(Vec::new()),
            opened => opened?.outbox().await,
        }
    })??;
    let Some(("done", matches)) = matches.subcommand() else {
        message::print(&list(&letters, &site));
        return Ok(Exit::Ok);
    };
    let Some(given) = matches.get_one::<String>("id") else { return Ok(Exit::CouldNotTell) };
    let letter = find(&letters, given)?;
    if matches!(letter.stage, Stage::Came(Delivered::Sent | Delivered::ByHand)) {
        let message = format!("{} was told already", whom(&letter.message));
        return Err(Failure::new(message, "`opsctl outbox` shows who is still to be told"));
    }
    let by = settings::operator();
    let delivery =
        Delivery { id: letter.message.id.clone(), state: Delivered::ByHand, detail: Some(format!("says {by}")) };
    block_on(async {
        let journal = Journal::open(&path, Access::Write).await?;
        let record = Record::of(&journal.replay(letter.run).await?);
        let mut kinds = vec![EventKind::MessageDelivered(delivery)];
        kinds.extend(answer(&record, letter, &by));
        post::note(&journal, letter.run, kinds).await
    })??;
    message::print(&format!("{}: told, says {by}\n", whom(&letter.message)));
    post::advance_after(globals, &path);
    Ok(Exit::Ok)
}

/// The answer to the task that asks to tell them, if the run has one.
fn answer(record: &Record, letter: &Letter, by: &str) -> Option<EventKind> {
    let steps = record.procedures.values().flat_map(|procedure| procedure.steps.values());
    let question = steps.flat_map(|step| &step.open).find(|question| post::asks_for(question, &letter.message))?;
    Some(EventKind::Answered(Box::new(Answer {
        procedure: question.procedure.clone(),
        step: question.step.clone(),
        item: question.item.clone(),
        reply: Reply::Done,
        note: None,
        attachments: Vec::new(),
        by: by.to_owned(),
        verified: true,
        hash: question.hash.clone(),
    })))
}

/// By its id, or without the run if that is clear.
fn find<'l>(letters: &'l [Letter], given: &str) -> Result<&'l Letter, Failure> {
    let exactly = letters.iter().find(|letter| id_of(letter.run, &letter.message) == given);
    let alike: Vec<&Letter> = letters.iter().filter(|letter| letter.message.id == given).collect();
    exactly.or(if let [one] = alike.as_slice() { Some(*one) } else { None }).ok_or_else(|| {
        let open: Vec<String> =
            letters.iter().filter(|letter| is_open(letter)).map(|letter| id_of(letter.run, &letter.message)).collect();
        let help = suggestion(given, open.iter().map(String::as_str), "still to be told are");
        Failure::new(format!("there is no message `{given}`"), help)
    })
}

fn list(letters: &[Letter], site: &Site) -> String {
    if letters.is_empty() {
        return "nobody was told anything\n".to_owned();
    }
    let now = Utc::now();
    let (open, delivered): (Vec<&Letter>, Vec<&Letter>) = letters.iter().partition(|letter| is_open(letter));
    let mut open = open;
    open.sort_by_key(|letter| letter.stage != Stage::Came(Delivered::Waiting));
    let mut text = String::new();
    for letter in open.iter().copied().chain(delivered.iter().rev().take(MOST_DELIVERED).copied()) {
        entry(&mut text, letter, site, now);
    }
    if delivered.len() > MOST_DELIVERED {
        writeln!(text, "and {} delivered before", delivered.len() - MOST_DELIVERED).ok();
    }
    text
}

fn entry(text: &mut String, letter: &Letter, site: &Site, now: DateTime<Utc>) {
    let word = match letter.stage {
        Stage::Queued if is_lost(letter, site, now) => "LOST",
        Stage::Queued => "SENDS",
        Stage::Came(Delivered::Waiting) => "ASK",
        Stage::Came(Delivered::Failed) => "FAIL",
        Stage::Came(Delivered::Sent) => "TOLD",
        Stage::Came(Delivered::ByHand) => "HAND",
    };
    let at = letter.at.with_timezone(&site.timezone).format("%Y-%m-%d %H:%M");
    let detail = letter.detail.as_ref().map_or(String::new(), |detail| format!("  ({detail})"));
    writeln!(text, "{word:<5} {at}  {}{detail}", whom(&letter.message)).ok();
    let first = letter.message.text.lines().next().unwrap_or_default();
    writeln!(text, "      {first}").ok();
    if is_open(letter) {
        if let Some(deadline) = letter.message.deadline {
            let deadline = deadline.with_timezone(&site.timezone).format("%Y-%m-%d %H:%M");
            writeln!(text, "      to be told by {deadline}").ok();
        }
        writeln!(text, "      opsctl outbox done {}", id_of(letter.run, &letter.message)).ok();
    }
}
