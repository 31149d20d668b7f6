//! Numbers and times events, and lets no secret out with them.

use std::time::Instant;

use chrono::Utc;
use tokio::sync::mpsc::UnboundedSender;

use crate::model::event::{Event, EventKind};
use crate::model::secret::Mask;

pub struct Recorder {
    events: UnboundedSender<Event>,
    mask: Mask,
    begin: Instant,
    seq: u64,
}

impl Recorder {
    pub fn new(events: UnboundedSender<Event>, mask: Mask, begin: Instant) -> Self {
        Self { events, mask, begin, seq: 0 }
    }

    /// Sends the event on; nobody listening is not an error of the run.
    pub fn record(&mut self, kind: EventKind) {
        self.seq += 1;
        let mut event = Event { seq: self.seq, at: Utc::now(), elapsed: self.begin.elapsed(), kind };
        if !self.mask.is_empty() {
            event.mask(&self.mask);
        }
        self.events.send(event).ok();
    }
}
