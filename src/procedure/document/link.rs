//! Steps that refer to each other, and the criteria that refer to steps.

use std::collections::HashSet;
use std::ops::Range;

use super::{Criterion, Document, Proof, References, Step, belongs_to};
use crate::model::id::StepId;
use crate::procedure::decode::Fields;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::keys;
use crate::procedure::template::Reads;
use crate::procedure::yaml::Node;

impl Document<'_> {
    /// Turns names of steps into positions, and refuses unknown ones and circles.
    pub(super) fn connect(
        &self,
        mut steps: Vec<Step>,
        references: &[References],
        broken: &HashSet<String>,
    ) -> Vec<Step> {
        let ids: Vec<StepId> = steps.iter().map(|step| step.id.clone()).collect();
        let names = || ids.iter().map(StepId::as_str);
        for (index, reference) in references.iter().enumerate() {
            for (span, name) in &reference.needs {
                match ids.iter().position(|id| id.as_str() == name) {
                    Some(need) => {
                        steps[index].needs.push(need);
                        steps[index].after.insert(need);
                    }
                    None if broken.contains(name) => {}
                    None => self.reader.error(
                        span,
                        format!("there is no step `{name}`"),
                        "",
                        suggestion(name, names(), "the steps are"),
                    ),
                }
            }
            for (span, reads) in &reference.reads {
                match reads {
                    Reads::Any => steps[index].after.extend(0..index),
                    Reads::Steps(read) => {
                        for name in read {
                            match ids.iter().position(|id| id.variable() == *name) {
                                Some(read) => _ = steps[index].after.insert(read),
                                None if broken.contains(name) => {}
                                None => {
                                    let help = suggestion(name, names(), "the steps are");
                                    self.reader.error(span, format!("there is no step `{name}`"), "", help);
                                }
                            }
                        }
                    }
                }
            }
        }
        if let Some(circle) = circle_in(&steps) {
            let path: Vec<&str> = circle.iter().map(|&index| ids[index].as_str()).collect();
            let begin = &references[circle[0]];
            let needs = begin.needs.iter().map(|(span, _)| span);
            let span = needs.chain(begin.reads.iter().map(|(span, _)| span)).next().cloned().unwrap_or_default();
            self.reader.error(
                &span,
                format!("steps wait for each other: {}", path.join(" -> ")),
                "",
                "remove one of `needs`, or of what `when` and templates read",
            );
        }
        steps
    }

    pub(super) fn criteria(&self, fields: &Fields<'_>, steps: &[Step], broken: &HashSet<String>) -> Vec<Criterion> {
        let Some(node) = fields.get("criteria") else { return Vec::new() };
        let reader = self.reader;
        let one = |item: &Node| {
            let fields = reader.fields(item, "a criterion", keys::CRITERION)?;
            let says = fields.required(reader, "says", "a criterion").and_then(|node| reader.text(node, "`says`"));
            let node = fields.required(reader, "proven_by", "a criterion")?;
            let proofs = reader.words(node, "`proven_by`").into_iter();
            let proven_by = proofs.filter_map(|(span, word)| self.proof(&span, word, steps, broken)).collect();
            Some(Criterion { says: says?, proven_by })
        };
        reader.items(node, "`criteria`").iter().filter_map(one).collect()
    }

    fn proof(&self, span: &Range<usize>, written: String, steps: &[Step], broken: &HashSet<String>) -> Option<Proof> {
        let (name, fact) = match written.split_once('.') {
            Some((name, fact)) => (name, Some(fact.to_owned())),
            None => (written.as_str(), None),
        };
        let Some(step) = steps.iter().position(|step| step.id.as_str() == name) else {
            if broken.contains(name) {
                return None;
            }
            let help = suggestion(name, steps.iter().map(|step| step.id.as_str()), "the steps are");
            self.reader.error(span, format!("there is no step `{name}` that could prove this"), "", help);
            return None;
        };
        if let Some(fact) = &fact {
            let judged = || steps[step].expectations.iter().map(|expectation| expectation.fact.as_str());
            if !judged().any(|name| belongs_to(name, fact)) {
                let help = suggestion(fact, judged().collect::<Vec<_>>(), "it expects");
                self.reader.error(span, format!("step `{name}` expects nothing of `{fact}`"), "", help);
                return None;
            }
        }
        Some(Proof { step, fact, written })
    }
}

/// The positions of steps that wait for each other, if there are any.
fn circle_in(steps: &[Step]) -> Option<Vec<usize>> {
    fn visit(at: usize, steps: &[Step], done: &mut [bool], path: &mut Vec<usize>) -> Option<Vec<usize>> {
        if let Some(begin) = path.iter().position(|&index| index == at) {
            let mut circle = path[begin..].to_vec();
            circle.push(at);
            return Some(circle);
        }
        if done[at] {
            return None;
        }
        path.push(at);
        for &next in &steps[at].after {
            if let Some(circle) = visit(next, steps, done, path) {
                return Some(circle);
            }
        }
        path.pop();
        done[at] = true;
        None
    }
    let mut done = vec![false; steps.len()];
    (0..steps.len()).find_map(|at| visit(at, steps, &mut done, &mut Vec::new()))
}
