//! Steps for people: manual, decision, approval; telling them; and calling another procedure.

use indexmap::IndexMap;

use super::work::{Approval, Call, Manual, Message, Notify, Phrase, Work, Written};
use super::{Document, References};
use crate::model::id::{ProcedureId, StepId};
use crate::procedure::decode::Fields;
use crate::procedure::keys;
use crate::procedure::yaml::Node;

impl Document<'_> {
    /// One text, or several by name.
    pub(super) fn manual(&self, fields: &Fields<'_>, body: &Node, references: &mut References) -> Option<Work> {
        let points = match body.map() {
            Some(_) => self.named(body, "`manual`", references)?,
            None => IndexMap::from([(String::new(), self.phrase(body, "`manual`", references)?)]),
        };
        Some(Work::Manual(Manual { points, note_required: self.note_required(fields) }))
    }

    pub(super) fn decision(&self, fields: &Fields<'_>, body: &Node, references: &mut References) -> Option<Work> {
        let points = self.named(body, "`decision`", references)?;
        if points.len() < 2 {
            let help = "write `yes: what it means` and `no: what it means`, or other names";
            self.reader.error(&body.span, "a decision has at least two choices", "", help);
        }
        Some(Work::Decision(Manual { points, note_required: self.note_required(fields) }))
    }

    fn note_required(&self, fields: &Fields<'_>) -> bool {
        fields.get("note").and_then(|node| self.choice(node, "`note`", &["required"])).is_some()
    }

    fn named(&self, body: &Node, what: &str, references: &mut References) -> Option<IndexMap<String, Phrase>> {
        let Some(entries) = body.map().filter(|entries| !entries.is_empty()) else {
            let message = format!("{what} is a mapping of names and texts, not {}", body.describe());
            self.reader.error(&body.span, message, "", "write `name: what it means`, one a line");
            return None;
        };
        let mut points = IndexMap::with_capacity(entries.len());
        for (key, node) in entries {
            if let Err(error) = key.text.parse::<StepId>() {
                self.reader.error(&key.span, error.to_string(), "", "");
            }
            if let Some(phrase) = self.phrase(node, format_args!("`{}`", key.text), references) {
                points.insert(key.text.as_str().to_owned(), phrase);
            }
        }
        Some(points)
    }

    pub(super) fn approval(&self, body: &Node, references: &mut References) -> Option<Work> {
        let fields = self.reader.fields(body, "`approval`", keys::APPROVAL)?;
        let of = fields.required(self.reader, "of", "`approval`")?;
        references.of = self.reader.words(of, "`of`");
        Some(Work::Approval(Approval { of: Vec::new(), by: fields.text(self.reader, "by") }))
    }

    pub(super) fn notify(&self, body: &Node, references: &mut References) -> Option<Work> {
        let reader = self.reader;
        let fields = reader.fields(body, "`notify`", keys::NOTIFY)?;
        let to = match fields.get("to") {
            None => Vec::new(),
            Some(node) if node.list().is_some() => {
                reader.words(node, "`to`").into_iter().map(|(_, word)| word.into_string()).collect()
            }
            Some(node) => reader.text(node, "`to`").into_iter().collect(),
        };
        let escalation = fields.text(reader, "escalation");
        if to.is_empty() && escalation.is_none() {
            let help = "add `to: ROLE`, or `escalation: POLICY` of the site file";
            reader.error(&reader.start_of(&body.span), "`notify` says nothing of whom to tell", "", help);
        }
        let severity = fields.get("severity").and_then(|node| self.phrase(node, "`severity`", references));
        let message = fields.required(reader, "message", "`notify`")?;
        let message = if message.map().is_some() {
            let fields = reader.fields(message, "`message`", keys::MESSAGE)?;
            let template = fields.required(reader, "template", "`message`")?;
            Message::Template(reader.text(template, "`template`")?)
        } else {
            Message::Text(self.phrase(message, "`message`", references)?)
        };
        let channel = fields.text(reader, "channel");
        Some(Work::Notify(Notify { to, escalation, severity, channel, message }))
    }

    pub(super) fn report(&self, body: &Node, references: &mut References) -> Option<Work> {
        let fields = self.reader.fields(body, "`report`", keys::REPORT)?;
        let kind = fields.required(self.reader, "kind", "`report`");
        let kind = kind.and_then(|node| self.choice(node, "`kind`", &["emergency"]));
        let file = fields.required(self.reader, "file", "`report`")?;
        Some(Work::Report(Written { kind: kind?.to_owned(), file: self.phrase(file, "`file`", references)? }))
    }

    pub(super) fn call(&self, body: &Node) -> Option<Work> {
        let reader = self.reader;
        let node = match body.map() {
            None => body,
            Some(_) => {
                let fields = reader.fields(body, "`procedure`", keys::CALL)?;
                if let Some(node) = fields.get("same_incident") {
                    self.choice(node, "`same_incident`", &["true"]);
                }
                fields.required(reader, "run", "`procedure`")?
            }
        };
        let text = reader.str(node, "`procedure`")?;
        let parsed: Result<ProcedureId, _> = text.parse();
        match parsed {
            Ok(run) => Some(Work::Procedure(Call { run })),
            Err(error) => {
                reader.error(
                    &node.span,
                    error.to_string(),
                    "",
                    "write group/procedure, such as emergency/data-restore",
                );
                None
            }
        }
    }
}
