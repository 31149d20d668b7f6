//! Action steps: what is done, what must hold before and after, and how it is taken back.

use std::fmt::Display;

use super::step::Applies;
use super::work::{Act, Doing, OnFailure, Phrase, Work};
use super::{Document, Made, References};
use crate::action;
use crate::model::action::Effect;
use crate::procedure::decode::Fields;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::template::Reads;
use crate::procedure::yaml::Node;
use crate::procedure::{inputs, keys, template};

impl Document<'_> {
    pub(super) fn action(
        &self,
        fields: &Fields<'_>,
        body: &Node,
        step: &str,
        applies: Applies,
        references: &mut References,
    ) -> Option<Work> {
        let reader = self.reader;
        let (doing, least) = self.doing(body, step, applies, references)?;
        for (key, into) in [("precheck", &mut references.precheck), ("verify", &mut references.verify)] {
            if let Some(node) = fields.get(key) {
                *into = reader.words(node, format_args!("`{key}`"));
            }
        }
        let undo = fields.get("undo").and_then(|node| self.resolved(node));
        let mut of_undo = References::default();
        let undo = undo.and_then(|node| self.doing(&node, step, applies, &mut of_undo)).map(|(doing, _)| doing);
        references.take_back(of_undo, step);
        let irreversible = fields.get("irreversible").and_then(|node| self.phrase(node, "`irreversible`", references));
        match (&undo, fields.get("irreversible")) {
            (Some(_), Some(node)) => {
                let message = format!("step `{step}` has `undo` and is `irreversible`");
                reader.error(&node.span, message, "", "remove one of the two");
            }
            (None, None) if fields.get("undo").is_none() => {
                let help = "add `undo: { ... }` with the action that does, or `irreversible: why`";
                let message = format!("nothing says how the action of step `{step}` is taken back");
                reader.error(&reader.start_of(&fields.span), message, "", help);
            }
            _ => {}
        }
        let effect = match fields.get("effect") {
            None => doing.kind.effect.max(least),
            Some(node) => match self.choice(node, "`effect`", &["change", "destructive"])? {
                "destructive" => Effect::Destructive,
                _ if least > Effect::Change => {
                    let message = format!("the action of step `{step}` is destructive, whatever the step says");
                    reader.error(&node.span, message, "", "write `effect: destructive`, or remove the key");
                    least
                }
                _ => Effect::Change,
            },
        };
        let on_failure = match fields.get("on_failure") {
            None => OnFailure::Stop,
            Some(node) => match self.choice(node, "`on_failure`", keys::ON_FAILURE)? {
                "skip" => OnFailure::Skip,
                "retry" => OnFailure::Retry,
                "roll_back" => OnFailure::RollBack,
                _ => OnFailure::Stop,
            },
        };
        let (precheck, verify) = (Vec::new(), Vec::new());
        Some(Work::Action(Box::new(Act { doing, precheck, verify, undo, irreversible, effect, on_failure })))
    }

    /// An action, and the least effect that it can have.
    fn doing(&self, node: &Node, step: &str, applies: Applies, references: &mut References) -> Option<(Doing, Effect)> {
        let reader = self.reader;
        let kinds = || action::KINDS.iter().map(|kind| kind.name);
        let help = std::fmt::from_fn(|f| {
            let kinds = kinds().collect::<Vec<_>>().join(", ");
            write!(f, "write `action: {{ service: {{ name: ... }} }}`; kinds are {kinds}")
        });
        let (key, inputs) = reader.single(node, format_args!("the action of step `{step}`"), help)?;
        let Some(kind) = action::kind(&key.text) else {
            let help = suggestion(&key.text, kinds(), "kinds are");
            reader.error(&key.span, format!("there is no kind of action `{}`", key.text), "unknown kind", help);
            return None;
        };
        if applies == Applies::Never {
            return Some((Doing { kind, made: self.late(inputs) }, kind.effect));
        }
        let read = inputs::read(reader, inputs, kind.name, kind.inputs, self.around)?;
        let least = (kind.least)(&read);
        if let Some(reads) = template::late_reads(inputs) {
            references.reads.push((inputs.span.clone(), reads));
            references.late(inputs);
            return Some((Doing { kind, made: self.late(inputs) }, least));
        }
        match (kind.build)(&read) {
            Ok(action) => Some((Doing { kind, made: Made::Ready(action) }, least)),
            Err(error) => {
                let span = inputs.get(error.input).map_or_else(|| key.span.clone(), |node| node.span.clone());
                reader.error(&span, error.message, "", error.help);
                None
            }
        }
    }

    /// A text for people, which may wait for the results of earlier steps.
    pub(super) fn phrase(&self, node: &Node, what: impl Display + Copy, references: &mut References) -> Option<Phrase> {
        let node = self.resolved(node)?;
        match template::late_reads(&node) {
            Some(reads) => {
                references.reads.push((node.span.clone(), reads));
                references.late(&node);
            }
            None => _ = self.reader.str(&node, what)?,
        }
        Some(Phrase(node.into_owned()))
    }
}

impl References {
    /// Adds what an `undo` reads. What it reads of its own step is there when it runs: nothing waits for that.
    fn take_back(&mut self, undo: Self, step: &str) {
        self.computed.extend(undo.computed);
        for (span, mut reads) in undo.reads {
            if let Reads::Steps(names) = &mut reads {
                let own = step.replace('-', "_");
                names.retain(|name| *name != own);
            }
            self.reads.push((span, reads));
        }
    }
}
