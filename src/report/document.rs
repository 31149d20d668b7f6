//! A run as a document: Markdown for tickets and wikis, HTML for people who read or print it.

use std::io;

use serde::Serialize;

use super::emergency::sheet::{self, Row};
use super::human::words::{Clock, meaning, spent};
use super::human::{block, led, procedure, verdict};
use super::line::{Paint, cut, harmless};
use super::standing::{self, Case, Standing, What, tidy};
use super::{Kept, Style, human, template};
use crate::model::event::RunStart;
use crate::model::fact::Evidence;
use crate::model::incident;
use crate::model::outcome::Verdict;
use crate::model::record::{ProcedureRecord, Record, StepRecord};

/// Subjects in trouble, for each step.
const MOST_SUBJECTS: usize = 100;
/// Lines of evidence, for each step, and columns of one.
const MOST_EVIDENCE: usize = 100;
const MOST_COLUMNS: usize = 1000;

/// All texts are harmless on a terminal, and not yet escaped for the document.
#[derive(Serialize)]
struct Sheet {
    verdict: &'static str,
    class: &'static str,
    command: String,
    site: String,
    summary: String,
    fields: Vec<Field>,
    attention: Vec<Block>,
    criteria: Vec<Criterion>,
    procedures: Vec<Part>,
    timeline: Vec<Row>,
}

#[derive(Serialize)]
struct Field {
    name: &'static str,
    value: String,
}

/// A step that needs attention.
#[derive(Serialize)]
struct Block {
    word: &'static str,
    class: &'static str,
    id: String,
    title: String,
    lines: Vec<Said>,
    fields: Vec<Field>,
    evidence: Vec<Seen>,
}

#[derive(Serialize)]
struct Said {
    subject: String,
    text: String,
}

#[derive(Serialize)]
struct Seen {
    title: String,
    lines: Vec<String>,
}

#[derive(Serialize)]
struct Criterion {
    verdict: &'static str,
    class: &'static str,
    says: String,
    proven_by: String,
}

/// A procedure.
#[derive(Serialize)]
struct Part {
    id: String,
    title: String,
    word: &'static str,
    class: &'static str,
    took: Option<String>,
    remark: Option<String>,
    steps: Vec<StepRow>,
}

#[derive(Serialize)]
struct StepRow {
    word: &'static str,
    class: &'static str,
    id: String,
    title: String,
    texts: Vec<String>,
    /// Answers, actions, questions that wait.
    below: Vec<Below>,
    /// Of what stands nowhere else.
    evidence: Vec<Seen>,
}

#[derive(Serialize)]
struct Below {
    /// It is what was run, or would be.
    is_run: bool,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Markdown,
    Html,
}

pub(super) fn render(record: &Record, form: Form, style: Style) -> io::Result<String> {
    let Some(start) = &record.start else { return Ok(String::new()) };
    let name = match form {
        Form::Markdown => "run.md",
        Form::Html => "run.html",
    };
    template::render(name, &view(record, start, style)).map_err(io::Error::other)
}

fn view(record: &Record, start: &RunStart, style: Style) -> Sheet {
    let clock = Clock { now: record.started.unwrap_or_default(), timezone: style.timezone };
    let (verdict, paint) = verdict(record);
    let cases = || record.procedures.values().flat_map(|one| standing::steps(record, one));
    let attention = [Standing::Bad, Standing::Unknown, Standing::Remark].into_iter().flat_map(|standing| {
        cases().filter(move |case| case.standing == standing).filter_map(|case| block_of(&case, clock))
    });
    let timeline = if incident::is_led(record) { incident::timeline(record) } else { Vec::new() };
    Sheet {
        verdict,
        class: class(paint),
        command: tidy(&start.command),
        site: tidy(&start.site),
        summary: human::summary(record).join(", "),
        fields: fields(record, start, clock, style),
        attention: attention.collect(),
        criteria: criteria(record),
        procedures: record.procedures.values().map(|one| part(record, one)).collect(),
        timeline: timeline.iter().map(|entry| sheet::row(entry, style.timezone)).collect(),
    }
}

fn class(paint: Paint) -> &'static str {
    match paint {
        Paint::Good => "passed",
        Paint::Caution => "warned",
        Paint::Bad => "failed",
        Paint::Unknown => "errored",
        Paint::Plain | Paint::Bold | Paint::Dim => "other",
    }
}

fn fields(record: &Record, start: &RunStart, clock: Clock, style: Style) -> Vec<Field> {
    let field = |name, value| Field { name, value };
    let mut fields = vec![
        field("Started", clock.full(clock.now)),
        field("Took", spent(record.took)),
        field("On", tidy(&start.host)),
        field("By", tidy(&start.operator)),
    ];
    if let Some((_, exit)) = record.finished {
        fields.push(field("Exit status", format!("{}, {}", exit.code(), meaning(exit))));
    }
    if record.suspended.is_some() && record.finished.is_none() {
        fields.push(field("Goes on with", tidy(&start.goes_on())));
    }
    let again = match style.kept {
        Kept::InJournal => format!("opsctl show {}", start.run.short()),
        Kept::ForTheDrill => "the drill's, which is gone".to_owned(),
        Kept::Nowhere => "not on record".to_owned(),
    };
    fields.push(field("Record", again));
    fields
}

fn block_of(case: &Case<'_>, clock: Clock) -> Option<Block> {
    let What::Step(step) = case.what else { return None };
    let (paint, word) = word(step);
    let field = |name, value| Field { name, value };
    let mut lines = Vec::new();
    let mut fields = Vec::new();
    if let Some(result) = &step.result {
        let subjects = block::troubled(result);
        for subject in subjects.iter().take(MOST_SUBJECTS) {
            let text = tidy(&block::messages(subject).join("; "));
            lines.push(Said { subject: tidy(&subject.name), text });
            let new = |note: &&String| !lines.iter().any(|line| line.text.contains(&tidy(note)));
            let notes: Vec<&String> = subject.notes.iter().filter(new).collect();
            fields.extend(notes.into_iter().take(3).map(|note| field("note", tidy(note))));
        }
        if let more @ 1.. = subjects.len().saturating_sub(MOST_SUBJECTS) {
            lines.push(Said { subject: String::new(), text: format!("and {more} more") });
        }
        fields.extend(result.since.map(|since| field("since", clock.since(since))));
        if result.attempts > 1 {
            fields.push(field("tried", format!("{} times", result.attempts)));
        }
    }
    if lines.is_empty() {
        lines.extend(case.lines.first().map(|line| Said { subject: String::new(), text: line.clone() }));
    }
    fields.extend(standing::advice(step).into_iter().map(|(name, value)| field(name, value)));
    Some(Block {
        word,
        class: class(paint),
        id: step.plan.id.to_string(),
        title: tidy(&step.plan.title),
        lines,
        fields,
        evidence: seen(step),
    })
}

/// The outcome of a step, in a word.
fn word(step: &StepRecord) -> (Paint, &'static str) {
    match &step.result {
        Some(_) if led::is_finding(step) => (Paint::Caution, "found"),
        Some(result) => (Paint::of(result.outcome), result.outcome.word()),
        None if !step.open.is_empty() => (Paint::Caution, "waits"),
        None => (Paint::Unknown, "unfinished"),
    }
}

fn seen(step: &StepRecord) -> Vec<Seen> {
    let mut room = MOST_EVIDENCE;
    let of_one = |one: &Evidence| {
        let mut lines: Vec<String> =
            one.lines.iter().take(room).map(|line| cut(&harmless(line), MOST_COLUMNS)).collect();
        room -= lines.len();
        if let more @ 1.. = (one.lines.len() - lines.len()) as u64 + one.left_out {
            lines.push(format!("and {more} more lines"));
        }
        Seen { title: tidy(&one.title), lines }
    };
    let all = step.result.iter().flat_map(|result| &result.evidence);
    all.filter(|one| !one.lines.is_empty() || !one.title.is_empty()).map(of_one).collect()
}

fn criteria(record: &Record) -> Vec<Criterion> {
    let of_one = |(says, verdict, proven_by): (&str, Verdict, &[String])| Criterion {
        verdict: verdict.word(),
        class: match verdict {
            Verdict::Met => "passed",
            Verdict::Unmet => "failed",
            Verdict::NotProven => "errored",
        },
        says: tidy(says),
        proven_by: tidy(&proven_by.join(", ")),
    };
    incident::criteria(record).map(of_one).collect()
}

fn part(record: &Record, one: &ProcedureRecord) -> Part {
    let (word, paint) = procedure::state(record, one);
    let not_called = led::is_not_called(one);
    Part {
        id: one.plan.id.to_string(),
        title: tidy(&one.plan.title),
        word: if not_called { "not called" } else { word },
        class: if not_called { "other" } else { class(paint) },
        took: procedure::time(record, one).map(|(took, caution)| format!("{took}{caution}")),
        remark: one.rollback.as_ref().map(|(_, reason)| format!("rolled back: {}", tidy(reason))),
        steps: standing::steps(record, one).filter(|_| !not_called).filter_map(|case| row(&case)).collect(),
    }
}

fn row(case: &Case<'_>) -> Option<StepRow> {
    let What::Step(step) = case.what else { return None };
    let (paint, word) = word(step);
    let title = tidy(&step.plan.title);
    let is_block = matches!(case.standing, Standing::Bad | Standing::Unknown | Standing::Remark);
    let mut texts: Vec<String> = match &step.result {
        Some(result) => procedure::summary(step, result).iter().map(|text| tidy(text)).collect(),
        None => case.lines.clone(),
    };
    texts.retain(|text| *text != title);
    if texts.is_empty() && is_block {
        texts.extend(case.lines.first().cloned());
    }
    let below = led::below(step).into_iter().map(|(_, text)| Below {
        is_run: text.starts_with("ran ") || text.starts_with("would run "),
        text: tidy(&text),
    });
    Some(StepRow {
        word,
        class: class(paint),
        id: step.plan.id.to_string(),
        texts,
        title,
        below: below.collect(),
        evidence: if is_block { Vec::new() } else { seen(step) },
    })
}
