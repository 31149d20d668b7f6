//! What happens, a line at a time, for the person who is led through a run.

use std::collections::HashSet;
use std::io::{self, Write};

use super::line::{cut, harmless, wrap};
use super::{Reporter, Style};
use crate::model::event::doing::{Ended, Phase};
use crate::model::event::incident::Delivered;
use crate::model::event::{Event, EventKind};
use crate::model::fact::Evidence;
use crate::model::id::{ProcedureId, StepId};
use crate::model::outcome::Outcome;

/// The width of the time and the tag.
const MARGIN: usize = 16;
/// Before what was seen.
const SEEN: &str = "          | ";
const RUN: &str = "RUN";
const UNDO: &str = "UNDO";

/// Lines that stay: a person scrolls back in them. Whole reports come at the end.
pub struct Live<W> {
    out: W,
    style: Style,
    /// The steps that only keep what they see: the reader wants to see it too.
    gathers: HashSet<(ProcedureId, StepId)>,
}

/// How many of the newest lines of what was seen are shown beside a step.
const NEWEST: usize = 5;

impl Live<io::Stderr> {
    #[must_use]
    pub fn on_stderr(style: Style) -> Self {
        Self { out: io::stderr(), style, gathers: HashSet::new() }
    }
}

impl<W: Write> Live<W> {
    pub fn new(out: W, style: Style) -> Self {
        Self { out, style, gathers: HashSet::new() }
    }

    fn line(&mut self, event: &Event, tag: &str, text: &str) -> io::Result<()> {
        let at = event.at.with_timezone(&self.style.timezone).format("%H:%M:%S");
        let mut head = format!("{at}  {tag:<4}  ");
        // What is run is never folded: it is what was agreed to.
        let room = if matches!(tag, RUN | UNDO) { usize::MAX } else { self.style.width.saturating_sub(MARGIN).max(20) };
        for line in wrap(&harmless(text), room) {
            writeln!(self.out, "{head}{line}")?;
            head = " ".repeat(MARGIN);
        }
        Ok(())
    }

    /// The newest lines of what was seen, each on at most two lines: all of it is in the record.
    fn seen(&mut self, evidence: &Evidence) -> io::Result<()> {
        let room = self.style.width.saturating_sub(SEEN.len()).max(20);
        for text in &evidence.lines[evidence.lines.len().saturating_sub(NEWEST)..] {
            for line in wrap(&cut(&harmless(text), room.saturating_mul(2)), room) {
                writeln!(self.out, "{SEEN}{line}")?;
            }
        }
        Ok(())
    }
}

impl<W: Write + Send> Reporter for Live<W> {
    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted(start) => {
                for procedure in &start.procedures {
                    let gathers = procedure.steps.iter().filter(|step| step.kind == "gather");
                    self.gathers.extend(gathers.map(|step| (procedure.id.clone(), step.id.clone())));
                }
                self.line(event, "", &format!("run {} of {} begins", start.run.short(), start.site))
            }
            EventKind::Resumed(resume) => self.line(event, "", &format!("{} goes on", resume.operator)),
            EventKind::ProcedureStarted { procedure } => self.line(event, "", &format!("== {procedure}")),
            EventKind::StepFinished(result) => {
                let reason = result.reason.as_ref().map_or(String::new(), |reason| format!("  {reason}"));
                if result.outcome == Outcome::Skipped && result.reason.is_none() {
                    return Ok(());
                }
                self.line(event, result.outcome.tag(), &format!("{}{reason}", result.step))?;
                let shown = matches!(result.outcome, Outcome::Failed | Outcome::Errored | Outcome::Warned)
                    || self.gathers.contains(&(result.procedure.clone(), result.step.clone()));
                result.evidence.iter().filter(|_| shown).try_for_each(|evidence| self.seen(evidence))
            }
            EventKind::ActionStarted(start) => {
                let tag = match start.phase {
                    Phase::Do => RUN,
                    Phase::Undo => UNDO,
                };
                for line in &start.plan.does {
                    self.line(event, tag, line)?;
                }
                Ok(())
            }
            EventKind::ActionFinished(end) => {
                let word = match end.ended {
                    Ended::Done if end.phase == Phase::Undo => "taken back",
                    Ended::Done => "done",
                    Ended::Failed => "not done",
                    Ended::Midway => "broken off",
                    Ended::FoundDone => "had been done",
                    Ended::FoundUndone => "had not been done",
                };
                let reason = end.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
                self.line(event, "", &format!("{} {word}{reason}", end.step))?;
                end.notes.iter().try_for_each(|note| self.line(event, "", &format!("{}: {note}", end.step)))
            }
            EventKind::RollbackStarted { reason, .. } => self.line(event, "", &format!("rolling back: {reason}")),
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
            EventKind::AttemptFailed { step, reason, .. } => {
                self.line(event, "", &format!("{step}: {reason}; tried again"))
            }
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
