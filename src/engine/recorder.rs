//! Numbers and times events, and lets no secret out with them.

use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::mpsc::UnboundedSender;

use crate::model::event::{Event, EventKind};
use crate::model::secret::Mask;

pub struct Recorder {
    events: UnboundedSender<Event>,
    mask: Mask,
    begin: Instant,
    /// Between the run's start and `begin`, for a run that goes on.
    before: Duration,
    seq: u64,
}

impl Recorder {
    /// Goes on after `past`.
    pub fn new(events: UnboundedSender<Event>, mask: Mask, past: &[Event]) -> Self {
        let first = past.first().map(|event| event.at);
        let before = first.and_then(|first| (Utc::now() - first).to_std().ok()).unwrap_or_default();
        let seq = past.last().map_or(0, |event| event.seq);
        Self { events, mask, begin: Instant::now(), before, seq }
    }

    /// The number of the newest event.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Sends the event on; nobody listening is not an error of the run.
    pub fn send(&mut self, kind: EventKind) {
        let event = self.next(kind);
        self.events.send(event).ok();
    }

    /// As [`Self::send`], for the sender to keep as well.
    pub fn record(&mut self, kind: EventKind) -> Event {
        let event = self.next(kind);
        self.events.send(event.clone()).ok();
        event
    }

    fn next(&mut self, kind: EventKind) -> Event {
        self.seq += 1;
        let mut event = Event { seq: self.seq, at: Utc::now(), elapsed: self.before + self.begin.elapsed(), kind };
        if !self.mask.is_empty() {
            event.mask(&self.mask);
        }
        event
    }

    /// Sends on what another program has recorded already.
    pub fn pass_on(&mut self, event: &Event) {
        self.events.send(Event { seq: ON_RECORD, ..event.clone() }).ok();
    }
}

/// The number of an event that is in the journal already and must not be written again.
pub const ON_RECORD: u64 = 0;
