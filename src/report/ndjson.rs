//! Events as they happen, one JSON object a line: the form in which the journal keeps them, as `docs/ndjson.md` promises.

use std::io::{self, Write};

use serde::Serialize;

use super::Reporter;
use super::json::armoured;
use crate::model::event::Event;

const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Line<'e> {
    format: u32,
    #[serde(flatten)]
    event: &'e Event,
}

/// Every line is written at once: whoever follows a run sees it when it happens.
pub(super) struct Lines {
    out: Box<dyn Write + Send>,
    written: u64,
}

impl Lines {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, written: 0 }
    }
}

impl Reporter for Lines {
    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        self.written += 1;
        // What another program has added to a run that is under way comes without a number.
        let event = Event { seq: self.written, ..event.clone() };
        let mut line = armoured(&serde_json::to_string(&Line { format: FORMAT, event: &event })?).into_owned();
        line.push('\n');
        self.out.write_all(line.as_bytes())?;
        self.out.flush()
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.out.flush()
    }
}
