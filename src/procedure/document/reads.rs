//! What expressions and late templates read of steps, of the run and of variables: whether it can be there, and whether
//! it can ever equal what it is compared with.

use std::ops::Range;

use super::{Document, References, Step, StepKind, Work};
use crate::model::fact::{FactSpec, FactType};
use crate::model::outcome::Outcome;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::template::scan::{Literal, Scan};
use crate::procedure::template::{RUN, STEP, scan};
use crate::procedure::yaml::Node;

impl References {
    /// Keeps the late templates below `node`.
    pub(super) fn late(&mut self, node: &Node) {
        let mut texts = Vec::new();
        crate::procedure::template::late_texts(node, &mut texts);
        let computed = texts.into_iter().flat_map(|(span, text)| scan::computed(text).map(move |part| (span, part)));
        self.computed.extend(computed.map(|(span, part)| (span.clone(), part.into())));
    }
}

impl Document<'_> {
    /// Refuses what no step, run or variable has, and comparisons that can never hold.
    pub(super) fn check_reads(&self, steps: &[Step], references: &[References]) {
        for (span, text) in references.iter().flat_map(|reference| &reference.computed) {
            let before = self.reader.count();
            let scan = Scan::new(text);
            for (what, name) in scan.unknown() {
                let known = Outcome::ALL.map(Outcome::word);
                let help = if what == "test" { suggestion(name, known, "outcomes are") } else { String::new() };
                self.reader.error(span, format!("there is no {what} `{name}`"), "", help);
            }
            for path in scan.paths() {
                match path {
                    ["steps", step, part, rest @ ..] => {
                        if let Some(step) = named(steps, step) {
                            self.part(span, step, part, rest);
                        }
                    }
                    ["run", part, ..] if !RUN.contains(part) => {
                        let help = suggestion(part, RUN.iter().copied(), "it has");
                        self.reader.error(span, format!("a run has no `{part}`"), "", help);
                    }
                    _ => {}
                }
            }
            // Of what is not there, nothing more can be said.
            if self.reader.count() == before {
                for (path, literal) in scan.comparisons() {
                    self.compared(span, steps, path, literal);
                }
            }
        }
    }

    /// `steps.STEP.PART`, and what is read of that.
    fn part(&self, span: &Range<usize>, step: &Step, part: &str, rest: &[&str]) {
        let (id, kind) = (&step.id, step.kind.word());
        match (part, rest) {
            ("choice", _) if step.kind != StepKind::Decision => {
                let help = "only a `decision` has one; read `outcome`, or test it with `is passed`";
                self.reader.error(span, format!("step `{id}` is a `{kind}`, which has no choice"), "", help);
            }
            ("steps", _) if step.kind != StepKind::Procedure => {
                self.reader.error(span, format!("step `{id}` is a `{kind}`, which has no steps"), "", "");
            }
            ("facts", [fact, ..]) if step.kind.looks() && !step.looks.is_empty() => {
                let known = || step.looks.iter().flat_map(|look| look.kind.facts);
                let base = fact.split('.').next().unwrap_or(fact);
                match known().find(|spec| spec.name == base) {
                    Some(spec) if spec.family && *fact == base => {
                        let variable = id.variable();
                        let help = format!("write `steps.{variable}.facts['{base}.NAME']`");
                        self.reader.error(span, format!("`{base}` is a family of facts; say which one"), "", help);
                    }
                    Some(_) => {}
                    None => {
                        let help = suggestion(fact, known().map(|spec| spec.name), "it reports");
                        self.reader.error(span, format!("step `{id}` reports no `{fact}`"), "no such fact", help);
                    }
                }
            }
            _ if !STEP.contains(&part) => {
                let help = suggestion(part, STEP.iter().copied(), "it has");
                self.reader.error(span, format!("a step has no `{part}` that could be read"), "", help);
            }
            _ => {}
        }
    }

    /// Refuses a comparison that is the same whatever is seen.
    fn compared(&self, span: &Range<usize>, steps: &[Step], path: &[&str], literal: Literal<'_>) {
        // `x != ''` asks whether there is anything.
        if literal == Literal::Text("") {
            return;
        }
        match path {
            ["steps", step, "choice"] => {
                let Some(step) = named(steps, step) else { return };
                let Work::Decision(decision) = &step.work else { return };
                let (Literal::Text(choice) | Literal::Number(choice)) = literal;
                let known = || decision.points.keys().map(String::as_str);
                if !known().any(|name| Literal::Text(name) == literal) {
                    let help = suggestion(choice, known(), "the choices are");
                    self.reader.error(span, format!("step `{}` has no choice `{choice}`", step.id), "", help);
                }
            }
            ["steps", _, "outcome"] => {
                let (Literal::Text(word) | Literal::Number(word)) = literal;
                if !Outcome::ALL.iter().any(|outcome| outcome.word() == word) {
                    let help = suggestion(word, Outcome::ALL.map(Outcome::word), "outcomes are");
                    self.reader.error(span, format!("there is no outcome `{word}`"), "", help);
                }
            }
            ["steps", step, "facts", fact] => {
                let Some(step) = named(steps, step).filter(|step| step.kind.looks()) else { return };
                let base = fact.split('.').next().unwrap_or(fact);
                let mut types = step.looks.iter().flat_map(|look| look.kind.facts);
                if let Some(spec) = types.find(|spec| spec.name == base) {
                    self.fact_compared(span, spec, fact, literal);
                }
            }
            ["vars", name] => self.variable_compared(span, name, literal),
            _ => {}
        }
    }

    fn fact_compared(&self, span: &Range<usize>, spec: &FactSpec, fact: &str, literal: Literal<'_>) {
        let (what, _) = spec.ty.describe();
        let help = match (spec.ty, literal) {
            (FactType::Bool, Literal::Text(_) | Literal::Number(_)) => "read it alone, or with `not` before it",
            (FactType::Text | FactType::Texts, Literal::Number(_)) => "write the value in quotes",
            (FactType::Size | FactType::Throughput, Literal::Text(_)) => {
                "compare it with a number of bytes, without quotes"
            }
            (FactType::Duration, Literal::Text(_)) => "compare it with a number of seconds, without quotes",
            (FactType::Count | FactType::Percent | FactType::SizeShare | FactType::Rate, Literal::Text(_)) => {
                "compare it with a number, without quotes"
            }
            _ => return,
        };
        let (Literal::Text(value) | Literal::Number(value)) = literal;
        self.reader.error(span, format!("`{fact}` ({what}) is compared with `{value}`, which it never is"), "", help);
    }

    fn variable_compared(&self, span: &Range<usize>, name: &str, literal: Literal<'_>) {
        let Some(value) = self.vars.get(name).map(Node::to_json) else { return };
        let (is, other, value) = match (&value, literal) {
            (serde_json::Value::Number(_), Literal::Text(text)) => ("a number", "the text", text),
            (serde_json::Value::String(text), Literal::Number(number)) if !text.is_empty() => {
                ("a text", "the number", number)
            }
            _ => return,
        };
        let message = format!("the variable `{name}` is {is} and is compared with {other} `{value}`");
        self.reader.error(span, message, "", "quotes make a text: write both with them, or both without");
    }
}

fn named<'s>(steps: &'s [Step], name: &str) -> Option<&'s Step> {
    steps.iter().find(|step| step.id.is_variable(name))
}
