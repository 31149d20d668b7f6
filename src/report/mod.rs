//! Reports: what a run's events become for people and for programs.
//!
//! Every format renders `model::record::Record`, so a run reads the same live and replayed from the journal.
//! A new format is one file here and one line in `FORMATS`.

mod document;
pub mod emergency;
mod human;
mod json;
mod junit;
pub(crate) mod line;
mod live;
mod nagios;
mod ndjson;
mod page;
mod progress;
mod prometheus;
mod standing;
mod tap;
pub mod template;

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

    /// The last event, unless the run cannot be recorded: a report that is made while that is tried need not be made
    /// afterwards. `on_event` says how it came.
    fn foresee(&mut self, _last: &Event) {}

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
    /// One JSON object for each event, when it happens, as `docs/ndjson.md` describes it.
    Ndjson,
    /// XML for continuous integration.
    Junit,
    /// The Test Anything Protocol.
    Tap,
    /// The answer of a monitoring plugin.
    Nagios,
    /// Metrics for the textfile collector of the node exporter.
    Prometheus,
    /// For tickets and wikis.
    Markdown,
    /// One page without anything from elsewhere, for the screen and for paper.
    Html,
}

const FORMATS: &[(&str, Format)] = &[
    ("human", Format::Human),
    ("plain", Format::Plain),
    ("json", Format::Json),
    ("ndjson", Format::Ndjson),
    ("junit", Format::Junit),
    ("tap", Format::Tap),
    ("nagios", Format::Nagios),
    ("prometheus", Format::Prometheus),
    ("markdown", Format::Markdown),
    ("html", Format::Html),
];

/// When a format says what it has to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    AsItHappens,
    AtTheEnd,
}

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
        let names: Vec<&str> = Format::names().collect();
        let distance = |name: &str| strsim::damerau_levenshtein(&text.to_lowercase(), name);
        let nearest =
            names.iter().min_by_key(|name| distance(name)).filter(|name| distance(name) <= (name.len() / 3).min(2));
        let hint = nearest.map_or_else(|| "the".to_owned(), |name| format!("did you mean `{name}`? The"));
        Self { text: text.to_owned(), help: format!("{hint} formats are {}", names.join(", ")) }
    }
}

impl Format {
    /// A listener that writes to `out`.
    #[must_use]
    pub fn reporter(self, out: Box<dyn Write + Send>, style: Style) -> Box<dyn Reporter> {
        let render: Render = match self {
            Self::Ndjson => return Box::new(ndjson::Lines::new(out)),
            Self::Human => {
                |record, style| Ok(human::render(record, page::Page::wide(style.width, style.colour), style))
            }
            Self::Plain => |record, style| Ok(human::render(record, page::Page::endless(), style)),
            Self::Json => |record, _| json::render(record),
            Self::Junit => |record, _| junit::render(record),
            Self::Tap => |record, _| Ok(tap::render(record)),
            Self::Nagios => |record, _| Ok(nagios::render(record)),
            Self::Prometheus => |record, _| Ok(prometheus::render(record)),
            Self::Markdown => |record, style| document::render(record, document::Form::Markdown, style),
            Self::Html => |record, style| document::render(record, document::Form::Html, style),
        };
        Box::new(AtEnd { render, style, record: Record::default(), foreseen: None, report: None, out })
    }

    #[must_use]
    pub fn pace(self) -> Pace {
        if self == Self::Ndjson { Pace::AsItHappens } else { Pace::AtTheEnd }
    }

    /// The rights of a new file, where its readers need more than the umask leaves.
    #[must_use]
    pub fn mode(self) -> Option<u32> {
        // The node exporter runs as a user of its own.
        (self == Self::Prometheus).then_some(0o644)
    }

    /// The names of all formats.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FORMATS.iter().map(|(name, _)| *name)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        FORMATS.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| *name)
    }
}

/// The whole report; empty when not even the start of the run is known.
type Render = fn(&Record, Style) -> io::Result<String>;

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        FORMATS.iter().find(|(name, _)| *name == text).map(|(_, format)| *format).ok_or_else(|| FormatError::new(text))
    }
}

/// A format that says everything once the run is over.
struct AtEnd {
    render: Render,
    style: Style,
    record: Record,
    /// The record has it already.
    foreseen: Option<Event>,
    /// As it is if nothing else comes.
    report: Option<String>,
    out: Box<dyn Write + Send>,
}

impl Reporter for AtEnd {
    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        if self.foreseen.as_ref() != Some(event) {
            self.report = None;
            self.record.apply(event);
        }
        Ok(())
    }

    fn foresee(&mut self, last: &Event) {
        self.record.apply(last);
        self.foreseen = Some(last.clone());
        self.report = (self.render)(&self.record, self.style).ok();
    }

    fn on_unrecorded(&mut self) {
        self.style.kept = Kept::Nowhere;
        self.report = None;
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        let report = match self.report {
            Some(report) => report,
            None => (self.render)(&self.record, self.style)?,
        };
        self.out.write_all(report.as_bytes())?;
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
