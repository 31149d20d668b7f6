//! Remarks: what can be run as it is, but hardly means what it says. For `opsctl lint` alone; what is refused is found
//! each time that a file is read.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::decode::{Reader, passwords_in_urls};
use super::diagnostic::{Diagnostics, Source};
use super::document::{Procedure, Step, Work, step_nodes};
use super::template::Vars;
use super::yaml::Node;
use crate::model::id::{ProcedureId, StepId};
use crate::model::unit::Quantity;
use crate::probe::schedule::When;

mod commands;
mod site;
mod texts;

pub use commands::Commands;
pub use site::across;

/// What `opsctl lint` keeps of a procedure.
#[derive(Debug)]
pub struct Linted {
    pub remarks: Diagnostics,
    pub id: ProcedureId,
    pub steps: Vec<StepId>,
    source: Arc<Source>,
    title: Option<Range<usize>>,
    /// Whom it names besides those who are told, and as what.
    roles: Vec<(String, &'static str, Range<usize>)>,
}

/// Looks at a vetted procedure once more. `commands` are those of its site, if it belongs to one.
#[must_use]
pub fn procedure(procedure: &Procedure, vars: &Vars, commands: Option<&Commands<'_>>) -> Linted {
    let source = procedure.source();
    let root = procedure.root();
    let lint = Lint { procedure, reader: Reader::new(Arc::clone(source)), nodes: step_nodes(root) };
    lint.schedule(root);
    lint.titles();
    lint.order();
    lint.times(root);
    if let Some(commands) = commands {
        lint.steps().for_each(|(step, node)| commands.next(&lint.reader, step, node));
    }
    // Most files have no address at all that could hold one.
    if !passwords_in_urls(&source.text).is_empty() {
        texts::passwords(&lint.reader, root);
    }
    lint.steps().for_each(|(step, node)| texts::inputs(&lint.reader, step, node, vars));
    let span = |node: Option<&Node>| node.map(|node| node.span.clone());
    Linted {
        id: procedure.id.clone(),
        steps: procedure.steps.iter().map(|step| step.id.clone()).collect(),
        source: Arc::clone(source),
        title: span(root.get("title")),
        roles: lint.roles(root),
        remarks: lint.reader.into_problems(),
    }
}

struct Lint<'l> {
    procedure: &'l Procedure,
    reader: Reader,
    /// Of the steps, in their order.
    nodes: Vec<&'l Node>,
}

impl Lint<'_> {
    fn steps(&self) -> impl Iterator<Item = (&Step, &Node)> {
        self.procedure.steps.iter().zip(self.nodes.iter().copied())
    }

    fn schedule(&self, root: &Node) {
        let Some(node) = root.get("schedule").and_then(|schedule| schedule.get("cron")) else { return };
        let Some(cron) = node.scalar() else { return };
        let fields: Vec<&str> = cron.split_whitespace().collect();
        let [_, _, day, _, weekday] = fields.as_slice() else { return };
        if day.starts_with('*') {
            return;
        }
        let epoch = chrono::DateTime::UNIX_EPOCH.with_timezone(&chrono_tz::UTC);
        if When::parse(cron).is_some_and(|when| when.next(&epoch).is_none()) {
            self.reader.remark(&node.span, format!("`{cron}` never comes"), "no year has such a day; correct it");
        }
        if !weekday.starts_with('*') {
            let message =
                format!("cron takes either of the two: day `{day}` of the month, and day `{weekday}` of the week");
            let help = "a timer of systemd can ask for both: `OnCalendar=Mon *-*-01..07 09:00` is the first Monday";
            self.reader.remark(&node.span, message, help);
        }
    }

    /// Two steps that nobody can tell apart in a report.
    fn titles(&self) {
        for (at, (step, node)) in self.steps().enumerate() {
            if let Some(first) = self.procedure.steps[..at].iter().find(|first| first.title == step.title) {
                let span = node.get("title").unwrap_or(node);
                let message = format!("step `{}` has the title of step `{}`", step.id, first.id);
                self.reader.remark(&span.span, message, "say in each what is different, so that a report can be read");
            }
        }
    }

    /// A step before the one that it waits for: the document does not read in the order of the run.
    fn order(&self) {
        for (at, (step, node)) in self.steps().enumerate() {
            for &later in step.after.range(at + 1..) {
                let later = &self.procedure.steps[later].id;
                let place = node.get("needs").or_else(|| node.get("when")).or_else(|| node.get("id")).unwrap_or(node);
                let message = format!("step `{}` waits for `{later}`, which stands behind it", step.id);
                self.reader.remark(&place.span, message, format!("move `{}` behind `{later}`", step.id));
            }
        }
    }

    /// Limits that a larger one makes useless.
    fn times(&self, root: &Node) {
        let shown = |time: Duration| Quantity::duration(time).rounded();
        let sections = &self.procedure.sections;
        let sum: Duration = sections.iter().filter_map(|section| section.budget).sum();
        if let (Some(budget), Some(node)) = (self.procedure.budget, root.get("budget"))
            && sum > budget
        {
            let message = format!("the sections may take {} together, the procedure {}", shown(sum), shown(budget));
            self.reader.remark(&node.span, message, "make one of them longer or the others shorter");
        }
        for (step, node) in self.steps() {
            let of_section = step.section.and_then(|section| sections[section].budget);
            let Some((budget, whose)) = of_section
                .map(|budget| (budget, "section"))
                .or_else(|| self.procedure.budget.map(|budget| (budget, "procedure")))
            else {
                continue;
            };
            if step.timeout > budget
                && let Some(place) = node.get("timeout")
            {
                let (timeout, budget) = (shown(step.timeout), shown(budget));
                let message = format!("step `{}` alone may take {timeout}, the whole {whose} {budget}", step.id);
                self.reader.remark(&place.span, message, "shorten `timeout`, or give more `budget`");
            }
            let waits = step.retry.wait.saturating_mul(step.retry.times);
            if waits > budget
                && let Some(place) = node.get("retry")
            {
                let (waits, budget) = (shown(waits), shown(budget));
                let message =
                    format!("step `{}` waits {waits} between its looks, the whole {whose} may take {budget}", step.id);
                self.reader.remark(&place.span, message, "look less often, or give more `budget`");
            }
        }
    }

    fn roles(&self, root: &Node) -> Vec<(String, &'static str, Range<usize>)> {
        let escalate = root.get("escalate").and_then(|escalate| escalate.get("to"));
        let named = [("owns this procedure", root.get("owner")), ("is to be told of a failure", escalate)];
        let approvals = self.steps().filter(|(step, _)| matches!(step.work, Work::Approval(_)));
        let by = approvals.map(|(_, node)| ("agrees", node.get("approval").and_then(|approval| approval.get("by"))));
        let named = named.into_iter().chain(by);
        named.filter_map(|(what, node)| Some((node?.scalar()?.to_owned(), what, node?.span.clone()))).collect()
    }
}
