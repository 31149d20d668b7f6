//! What happens, a line at a time, for the person who is led through a run.

use std::io::{self, Write};

use super::line::{harmless, wrap};
use super::{Reporter, Style};
use crate::model::event::doing::{Ended, Phase};
use crate::model::event::incident::Delivered;
use crate::model::event::{Event, EventKind};
use crate::model::outcome::Outcome;

/// Lines that stay: a person scrolls back in them. Whole reports come at the end.
pub struct Live<W> {
    out: W,
    style: Style,
}

impl Live<io::Stderr> {
    #[must_use]
    pub fn on_stderr(style: Style) -> Self {
        Self { out: io::stderr(), style }
    }
}

impl<W: Write> Live<W> {
    pub fn new(out: W, style: Style) -> Self {
        Self { out, style }
    }

    /// Folded at words to the width of the terminal.
    fn line(&mut self, event: &Event, tag: &str, text: &str) -> io::Result<()> {
        let at = event.at.with_timezone(&self.style.timezone).format("%H:%M:%S");
        let mut margin = format!("{at}  {tag:<4}  ");
        for line in wrap(&harmless(text), self.style.width.saturating_sub(margin.len()).max(20)) {
            writeln!(self.out, "{margin}{line}")?;
            margin = " ".repeat(margin.len());
        }
        Ok(())
    }

    /// What is run stays in one line, so that it can be copied.
    fn command(&mut self, event: &Event, tag: &str, text: &str) -> io::Result<()> {
        let at = event.at.with_timezone(&self.style.timezone).format("%H:%M:%S");
        writeln!(self.out, "{at}  {tag:<4}  {}", harmless(text))
    }
}

impl<W: Write + Send> Reporter for Live<W> {
    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted(start) => {
                self.line(event, "", &format!("run {} of {} begins", start.run.short(), start.site))
            }
            EventKind::Resumed(resume) => self.line(event, "", &format!("{} goes on", resume.operator)),
            EventKind::ProcedureStarted { procedure } => self.line(event, "", &format!("== {procedure}")),
            EventKind::StepFinished(result) => {
                let reason = result.reason.as_ref().map_or(String::new(), |reason| format!("  {reason}"));
                if result.outcome == Outcome::Skipped && result.reason.is_none() {
                    return Ok(());
                }
                self.line(event, result.outcome.tag(), &format!("{}{reason}", result.step))
            }
            EventKind::ActionStarted(start) => {
                let tag = match start.phase {
                    Phase::Do => "RUN",
                    Phase::Undo => "UNDO",
                };
                for line in &start.plan.does {
                    self.command(event, tag, line)?;
                }
                Ok(())
            }
            EventKind::ActionFinished(end) => {
                let word = match end.ended {
                    Ended::Done => "done",
                    Ended::Failed => "not done",
                    Ended::Midway => "broken off",
                    Ended::FoundDone => "had been done",
                    Ended::FoundUndone => "had not been done",
                };
                let reason = end.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
                self.line(event, "", &format!("{} {word}{reason}", end.step))
            }
            EventKind::RollbackStarted { reason, .. } => self.line(event, "UNDO", &format!("rolling back: {reason}")),
            EventKind::Marked(mark) => self.line(event, "", &format!("* {}", mark.name)),
            EventKind::BudgetUsed(used) => {
                let of = used.section.clone().unwrap_or_else(|| used.procedure.to_string());
                let text = if used.percent < 100 {
                    format!("{} % of the budget of {of} is used", used.percent)
                } else {
                    format!("the budget of {of} is used up")
                };
                self.line(event, "TIME", &text)
            }
            EventKind::MessageQueued(message) => self.line(event, "TELL", &format!("{}: {}", message.to, message.text)),
            EventKind::MessageDelivered(delivery) if delivery.state == Delivered::Failed => {
                let detail = delivery.detail.clone().unwrap_or_default();
                self.line(event, "TELL", &format!("could not be sent: {detail}"))
            }
            EventKind::Acknowledged { by } => self.line(event, "", &format!("{by} has taken it on")),
            EventKind::AttemptFailed { step, reason, .. } => self.line(event, "", &format!("{step}: {reason}; again")),
            EventKind::StepStarted { .. }
            | EventKind::ProcedureFinished(_)
            | EventKind::Asked(_)
            | EventKind::Answered(_)
            | EventKind::Noted(_)
            | EventKind::Escalated(_)
            | EventKind::MessageDelivered(_)
            | EventKind::Suspended { .. }
            | EventKind::Interrupted { .. }
            | EventKind::RunFinished { .. } => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        writeln!(self.out)
    }
}
