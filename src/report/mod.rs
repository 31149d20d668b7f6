//! Reports: what a run's events become for people and for programs.
//!
//! Every format renders `model::record::Record`, so a run reads the same live and replayed from the journal.
//! A new format is one file here and one line in `FORMATS`.

pub mod emergency;
mod human;
mod json;
mod line;
mod live;
mod page;
pub mod paper;
mod progress;

use std::io::{self, Write};
use std::str::FromStr;

use chrono_tz::Tz;

use crate::model::event::Event;
use crate::model::record::{Record, StepRecord};

pub use live::Live;
pub use progress::Progress;

/// Listens to a run.
pub trait Reporter: Send {
    fn on_event(&mut self, event: &Event) -> io::Result<()>;

    /// Called about every 100 ms while no event comes, for listeners that show time passing.
    fn on_tick(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// The run could not be recorded, so nothing may promise that it can be seen again. Called before `finish`.
    fn on_unrecorded(&mut self) {}

    /// No event comes any more, whether or not the run came to its end.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For a terminal: fits its width, with colour if wanted.
    Human,
    /// The same content for pipes and mails: no colour, nothing wrapped or cut.
    Plain,
    /// One JSON object for the run, as `docs/json.md` describes it.
    Json,
}

const FORMATS: &[(&str, Format)] = &[("human", Format::Human), ("plain", Format::Plain), ("json", Format::Json)];

/// How a report for people looks; machine formats ignore it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    pub colour: bool,
    /// In columns; plain text is as wide as it needs to be.
    pub width: usize,
    /// In which times are shown.
    pub timezone: Tz,
    pub kept: Kept,
}

/// Whether `opsctl show` will find the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    InJournal,
    /// The record of a drill goes away with it.
    ForTheDrill,
    /// Recording failed.
    Nowhere,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is not a format; {help}")]
pub struct FormatError {
    pub text: String,
    /// The nearest name, if one is near, and all of them.
    pub help: String,
}

impl FormatError {
    fn new(text: &str) -> Self {
        let names: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
        let distance = |name: &str| strsim::damerau_levenshtein(&text.to_lowercase(), name);
        let nearest = names.iter().min_by_key(|name| distance(name)).filter(|name| distance(name) <= 2);
        let hint = nearest.map_or_else(|| "the".to_owned(), |name| format!("did you mean `{name}`? The"));
        Self { text: text.to_owned(), help: format!("{hint} formats are {}", names.join(", ")) }
    }
}

impl Format {
    /// A listener that writes to `out` when the run is over.
    #[must_use]
    pub fn reporter(self, out: Box<dyn Write + Send>, style: Style) -> Box<dyn Reporter> {
        Box::new(AtEnd { format: self, style, record: Record::default(), out })
    }

    /// The whole report; empty when not even the start of the run is known.
    pub fn render(self, record: &Record, style: Style) -> io::Result<String> {
        match self {
            Self::Human => Ok(human::render(record, page::Page::wide(style.width, style.colour), style)),
            Self::Plain => Ok(human::render(record, page::Page::endless(), style)),
            Self::Json => json::render(record),
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        FORMATS.iter().find(|(name, _)| *name == text).map(|(_, format)| *format).ok_or_else(|| FormatError::new(text))
    }
}

/// A format that says everything once the run is over.
struct AtEnd {
    format: Format,
    style: Style,
    record: Record,
    out: Box<dyn Write + Send>,
}

impl Reporter for AtEnd {
    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        self.record.apply(event);
        Ok(())
    }

    fn on_unrecorded(&mut self) {
        self.style.kept = Kept::Nowhere;
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.out.write_all(self.format.render(&self.record, self.style)?.as_bytes())?;
        self.out.flush()
    }
}

/// What to say of a step without a result.
fn unfinished(step: &StepRecord) -> &'static str {
    match (step.started, step.open.is_empty()) {
        (_, false) => "waits for a person",
        (true, true) if step.plan.kind == "procedure" => "begun; what it calls stands below",
        (true, true) => "started, but how it ended is not known",
        (false, true) => "not started",
    }
}
