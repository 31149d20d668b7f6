//! The clock of an escalation: who is to be told next, as long as nobody has acknowledged.

use chrono::{DateTime, Utc};

use super::event::incident::Message;
use super::record::Record;

/// The point of the timeline at which an incident is over.
pub const RESOLVED: &str = "resolved";

/// Whether the ladders of a run stand still: somebody has acknowledged, or it is over.
#[must_use]
pub fn is_stopped(record: &Record) -> bool {
    record.acknowledged.is_some() || record.finished.is_some() || record.mark(RESOLVED).is_some()
}

/// What is due at `now` and not queued yet, in the order of the escalations and their rungs.
///
/// The first rung of a track is not among them: the run itself tells it at once, and takes care of it when it goes on
/// after an interruption.
#[must_use]
pub fn due(record: &Record, now: DateTime<Utc>) -> Vec<Message> {
    ahead(record).into_iter().filter(|(due, _)| *due <= now).map(|(_, message)| message).collect()
}

/// All that is still to come if nobody acknowledges, with the time of each.
#[must_use]
pub fn ahead(record: &Record) -> Vec<(DateTime<Utc>, Message)> {
    if is_stopped(record) {
        return Vec::new();
    }
    let mut messages = Vec::new();
    for escalation in &record.escalations {
        for (track, rungs) in escalation.tracks.iter().enumerate() {
            for (rung, told) in rungs.iter().enumerate().skip(1) {
                let Some(message) = escalation.message(track, rung) else { continue };
                let known = record.messages.contains_key(&message.id)
                    || messages.iter().any(|(_, other): &(_, Message)| other.id == message.id);
                if !known {
                    messages.push((told.due, message));
                }
            }
        }
    }
    messages
}
