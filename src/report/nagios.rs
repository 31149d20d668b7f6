//! For Nagios, Icinga and the like: the answer of a monitoring plugin. The exit status of the process goes with it.

mod perf;

use std::fmt::Write as _;

use super::human;
use super::human::block::{messages, tag, troubled};
use super::human::led::is_finding;
use super::line::{cut, harmless};
use super::standing::{self, Standing, tidy};
use crate::model::outcome::{Exit, Outcome};
use crate::model::record::{Record, StepRecord};

/// Screens and pagers show this much of the first line.
const FIRST: usize = 79;
/// Nagios reads 8 KiB; half of it is for the performance data.
const MOST_TEXT: usize = 3800;

pub(super) fn render(record: &Record) -> String {
    if record.start.is_none() {
        return String::new();
    }
    let mut text = first_line(record);
    let data = perf::data(record);
    if !data.is_empty() {
        text.push_str(" | ");
        text.push_str(&data.join(" "));
    }
    text.push('\n');
    let lines = long_text(record);
    let (mut room, all) = (MOST_TEXT, lines.len());
    for (index, line) in lines.into_iter().enumerate() {
        if line.len() + 1 > room {
            writeln!(text, "and {} more lines", all - index).ok();
            break;
        }
        room -= line.len() + 1;
        text.extend([line.as_str(), "\n"]);
    }
    text
}

/// The state, by the exit status alone.
fn word(exit: Exit) -> &'static str {
    match exit {
        Exit::Ok => "OK",
        Exit::Warned => "WARNING",
        Exit::Failed => "CRITICAL",
        Exit::CouldNotTell | Exit::Interrupted | Exit::Terminated => "UNKNOWN",
    }
}

/// Columns of a line of the long text.
const MOST_LINE: usize = 300;

/// A `|` would begin performance data.
fn plain(text: &str) -> String {
    cut(&tidy(text), MOST_LINE).replace('|', "¦")
}

fn first_line(record: &Record) -> String {
    let exit = record.exit();
    let head = format!("{}: ", word(exit));
    let room = FIRST - head.len();
    let stopped = record.interrupted.is_some() || record.finished.is_none();
    let said = standing::of_run(record).filter(|(standing, _)| stopped || *standing == Standing::Unknown);
    let text = match (said, exit) {
        (Some((_, text)), _) => plain(&text),
        (None, Exit::Ok) => human::summary(record).join(", "),
        (None, Exit::Warned) => of_steps(record, Outcome::Warned, room),
        (None, Exit::Failed) => of_steps(record, Outcome::Failed, room),
        (None, Exit::CouldNotTell | Exit::Interrupted | Exit::Terminated) => of_steps(record, Outcome::Errored, room),
    };
    format!("{head}{}", cut(&plain(&text), room))
}

/// The first step that came to `outcome`, and how many did; what the run rests on, if none did.
fn of_steps(record: &Record, outcome: Outcome, room: usize) -> String {
    let called = |step: &&StepRecord| step.result.as_ref().is_some_and(|result| result.outcome == outcome);
    let steps = || record.procedures.values().flat_map(|procedure| procedure.steps.values());
    let found: Vec<&StepRecord> = steps().filter(called).filter(|step| !is_finding(step)).collect();
    let Some(first) = found.first() else { return human::summary(record).join(", ") };
    let count = format!(" ({} of {} {outcome})", found.len(), steps().count());
    let text = plain(&format!("{} {}", first.plan.id, of_first_subject(first, outcome)));
    format!("{}{count}", cut(&text, room.saturating_sub(count.len())))
}

fn of_first_subject(step: &StepRecord, outcome: Outcome) -> String {
    let Some(result) = &step.result else { return String::new() };
    let subject = troubled(result).into_iter().find(|subject| subject.outcome == outcome);
    match subject {
        Some(subject) => {
            let said = messages(subject);
            let name = if subject.name == step.plan.id.as_str() { "" } else { &subject.name };
            format!("{} {}", harmless(name), said.first().map_or("", String::as_str)).trim().to_owned()
        }
        None => result.reason.clone().unwrap_or_else(|| step.plan.title.clone()),
    }
}

/// What needs attention, step by step, and where to look further.
fn long_text(record: &Record) -> Vec<String> {
    let mut lines = Vec::new();
    let steps = record.procedures.values().flat_map(|procedure| standing::steps(record, procedure));
    for case in steps.filter(|case| !matches!(case.standing, Standing::Good | Standing::LeftOut)) {
        let standing::What::Step(step) = case.what else { continue };
        let tag = step.result.as_ref().map_or("----", |result| tag(&step.plan, result.outcome).1);
        lines.extend(case.lines.iter().map(|line| plain(&format!("{tag} {}: {line}", step.plan.id))));
        lines.extend(standing::advice(step).iter().map(|(word, said)| plain(&format!("  {word}: {said}"))));
    }
    if let Some(start) = &record.start {
        let begun = record.started.map_or(String::new(), |at| format!(" {}", at.format("%Y-%m-%d %H:%M:%SZ")));
        let summary = human::summary(record).join(", ");
        lines.push(plain(&format!("{}{begun}: {summary}", start.command)));
        lines.push(format!("opsctl show {}", start.run.short()));
    }
    lines
}
