//! An event on its way into the journal.

use crate::model::event::Event;

use super::{Problem, chain, draw};

/// An event, ready to be recorded. Its text is made as it comes: at its end a run waits for the journal, and should not
/// wait for that as well.
pub struct Entry {
    /// The place in the run.
    pub seq: u64,
    text: serde_json::Result<String>,
    listed: Option<Box<Event>>,
    link: Option<Link>,
}

/// The hash of a row, and the one before it.
struct Link {
    before: String,
    hash: String,
}

impl Entry {
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let listed = draw::is_listed(event).then(|| Box::new(event.clone()));
        Self { seq: event.seq, text: serde_json::to_string(event), listed, link: None }
    }

    /// As it is stored.
    pub(super) fn text(&self) -> Result<&str, Problem> {
        self.text.as_deref().map_err(|error| std::io::Error::other(error.to_string()).into())
    }

    /// Its hash in the chain of `run`, behind the row with the hash `before`.
    pub(super) fn link(&mut self, before: &str, run: &str) -> Result<&str, Problem> {
        if self.link.as_ref().is_none_or(|link| link.before != before) {
            let hash = chain::link(before, run, self.text()?);
            self.link = Some(Link { before: before.to_owned(), hash });
        }
        Ok(self.link.as_ref().map_or("", |link| &link.hash))
    }

    /// If lists are drawn from it.
    pub(super) fn listed(&self) -> Option<&Event> {
        self.listed.as_deref()
    }

    /// Gives it another place: another program may have added to the run since it was made.
    pub(super) fn move_to(&mut self, seq: u64) -> Result<(), Problem> {
        if self.seq != seq {
            let event: Event = serde_json::from_str(self.text()?).map_err(std::io::Error::from)?;
            *self = Self::of(&Event { seq, ..event });
        }
        Ok(())
    }
}
