//! A procedure: its own keys, and its steps and sections one after the other.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Arc;

use super::{Document, Procedure, References, Section, Step};
use crate::model::id::ProcedureId;
use crate::probe::schedule::When;
use crate::procedure::decode::Fields;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::keys;
use crate::procedure::yaml::Node;

impl Document<'_> {
    pub(super) fn procedure(&self, id: &ProcedureId, node: &Node) -> Option<Procedure> {
        let reader = self.reader;
        let fields = reader.fields(node, "a procedure", keys::PROCEDURE)?;
        let title = fields.required(reader, "title", "a procedure").and_then(|node| reader.text(node, "`title`"));
        let (steps, references, broken, sections) = self.steps(&fields);
        let steps = self.connect(steps, &references, &broken);
        self.check_reads(&steps, &references);
        let criteria = self.criteria(&fields, &steps, &broken);
        let words = |key: &str| -> Vec<String> {
            let node = fields.get(key).and_then(|node| self.resolved(node));
            let words = node.map_or_else(Vec::new, |node| reader.words(&node, format_args!("`{key}`")));
            words.into_iter().map(|(_, word)| word.into_string()).collect()
        };
        Some(Procedure {
            id: id.clone(),
            title: title?,
            original_title: fields.text(reader, "original_title"),
            purpose: fields.text(reader, "purpose"),
            owner: fields.text(reader, "owner"),
            schedule: fields.get("schedule").and_then(|node| self.schedule(node)),
            budget: fields.get("budget").and_then(|node| reader.duration(node, "`budget`")),
            escalate: fields.get("escalate").and_then(|node| self.escalate(node)),
            report: fields
                .get("report")
                .and_then(|node| self.choice(node, "`report`", &["emergency"]))
                .map(str::to_owned),
            symptoms: words("symptoms"),
            lock: words("lock"),
            unattended: fields
                .get("unattended")
                .and_then(|node| self.choice(node, "`unattended`", &["allow"]))
                .is_some(),
            source: Arc::clone(&reader.source),
            root: Node::empty(),
            sections,
            steps,
            criteria,
        })
    }

    fn schedule(&self, node: &Node) -> Option<String> {
        let fields = self.reader.fields(node, "a schedule", keys::SCHEDULE)?;
        if let Some(node) = fields.get("missed") {
            self.choice(node, "`missed`", &["run_once", "skip"]);
        }
        let cron = fields.required(self.reader, "cron", "a schedule")?;
        let text = self.reader.text(cron, "`cron`")?;
        if text.split_whitespace().count() != 5 {
            let help = "write minute, hour, day of month, month and day of week: `\"0 8 * * *\"`";
            self.reader.error(&cron.span, "this is not a cron expression of five fields", "", help);
        } else if !When::is_right(&text) {
            let help =
                "minutes are 0-59, hours 0-23, days 1-31, months 1-12 or jan-dec, days of the week 0-7 or sun-sat";
            self.reader.error(&cron.span, format!("cron cannot read `{text}`"), "", help);
        }
        Some(text)
    }

    fn escalate(&self, node: &Node) -> Option<String> {
        let fields = self.reader.fields(node, "an escalation", keys::ESCALATION)?;
        if let Some(node) = fields.get("when") {
            self.choice(node, "`when`", &["failed", "errored", "warned"]);
        }
        fields.required(self.reader, "to", "an escalation").and_then(|node| self.reader.text(node, "`to`"))
    }

    /// The one of `choices` that stands there.
    pub(super) fn choice<'c>(&self, node: &Node, what: impl Display + Copy, choices: &[&'c str]) -> Option<&'c str> {
        let text = self.reader.str(node, what)?;
        if let Some(choice) = choices.iter().find(|choice| **choice == text) {
            return Some(choice);
        }
        let help = suggestion(text, choices.iter().copied(), "it can be");
        self.reader.error(&node.span, format!("{what} cannot be `{text}`"), "", help);
        None
    }

    /// The steps, what they refer to, the ids of those that are wrong (references to these are no second mistake), and
    /// the sections.
    fn steps(&self, fields: &Fields<'_>) -> (Vec<Step>, Vec<References>, HashSet<String>, Vec<Section>) {
        let mut list = StepList::default();
        if let Some(node) = fields.required(self.reader, "steps", "a procedure") {
            if node.is_null() || node.list().is_some_and(<[Node]>::is_empty) {
                self.reader.error(
                    &node.span,
                    "a procedure without steps checks nothing",
                    "",
                    "add a step; `opsctl explain http` shows one",
                );
            } else {
                let items = self.reader.items(node, "`steps`");
                list.expect(items.len());
                for item in items {
                    if item.get("section").is_some() {
                        self.section(item, &mut list);
                    } else {
                        self.one_step(item, None, &mut list);
                    }
                }
            }
        }
        (list.steps, list.references, list.broken, list.sections)
    }

    fn section(&self, item: &Node, list: &mut StepList) {
        let reader = self.reader;
        let Some(fields) = reader.fields(item, "a section", keys::SECTION) else { return };
        let title = fields.text(reader, "section").unwrap_or_default();
        let budget = fields.get("budget").and_then(|node| reader.duration(node, "`budget`"));
        list.sections.push(Section { title, budget });
        let index = list.sections.len() - 1;
        let Some(steps) = fields.required(reader, "steps", "a section") else { return };
        let items = reader.items(steps, "`steps`");
        list.expect(items.len());
        for item in items {
            self.one_step(item, Some(index), list);
        }
    }

    fn one_step(&self, item: &Node, section: Option<usize>, list: &mut StepList) {
        let Some((mut step, reference)) = self.step(item) else {
            if let Some(id) = item.get("id").and_then(Node::scalar) {
                list.broken.extend([id.to_owned(), id.replace('-', "_")]);
            }
            return;
        };
        if list.steps.iter().any(|known| known.id.is_variable(step.id.as_str())) {
            let span = item.get("id").map_or(item.span.clone(), |id| id.span.clone());
            let message = format!("the step `{}` exists twice", step.id);
            self.reader.error(&span, message, "", "give one of the two another id");
            return;
        }
        step.section = section;
        list.steps.push(step);
        list.references.push(reference);
    }
}

/// What was read of the steps so far.
#[derive(Default)]
struct StepList {
    steps: Vec<Step>,
    references: Vec<References>,
    broken: HashSet<String>,
    sections: Vec<Section>,
}

impl StepList {
    /// Makes room for `more` steps.
    fn expect(&mut self, more: usize) {
        self.steps.reserve(more);
        self.references.reserve(more);
    }
}
