//! Steps that refer to each other, and the criteria that refer to steps.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use super::work::Work;
use super::{Clock, Criterion, Document, Named, Proof, References, Step, StepKind, belongs_to};
use crate::model::id::StepId;
use crate::model::unit::Quantity;
use crate::procedure::decode::Fields;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::keys;
use crate::procedure::template::Reads;
use crate::procedure::yaml::Node;

/// Points of every incident's timeline, whoever marks them.
const POINTS: &[&str] = &["started", "occurred", "detected", "acknowledged", "mitigated", "resolved"];

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
            let needs = self.positions(&reference.needs, &ids, broken);
            steps[index].after.extend(&needs);
            steps[index].needs = needs;
            self.link_work(index, &mut steps, &ids, reference, broken);
            for (span, reads) in &reference.reads {
                match reads {
                    Reads::Any => steps[index].after.extend(0..index),
                    Reads::Steps(read) => {
                        for name in read {
                            match ids.iter().position(|id| id.is_variable(name)) {
                                Some(read) => _ = steps[index].after.insert(read),
                                None if broken.contains(name.as_str()) => {}
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
        if !self.reads_ahead(&steps, references)
            && let Some(circle) = circle_in(&steps)
        {
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

    /// Refuses steps that wait for one that can only run after them. Whether there are any.
    fn reads_ahead(&self, steps: &[Step], references: &[References]) -> bool {
        let before = self.reader.count();
        for (at, step) in steps.iter().enumerate() {
            let alone = |&later: &usize| steps[at..=later].iter().any(|between| !between.kind.looks());
            for later in step.after.range(at + 1..).copied().filter(alone) {
                let (id, later) = (&step.id, &steps[later].id);
                let message = format!("step `{id}` waits for `{later}`, which runs after it");
                let help = format!("move `{id}` behind `{later}`; only neighbours that look run side by side");
                self.reader.error(&references[at].place_of(later), message, "", help);
            }
        }
        self.reader.count() > before
    }

    /// The steps that are named, by position.
    fn positions(&self, named: &Named, ids: &[StepId], broken: &HashSet<String>) -> Vec<usize> {
        let mut positions = Vec::new();
        for (span, name) in named {
            match ids.iter().position(|id| id.as_str() == name) {
                Some(position) => positions.push(position),
                None if broken.contains(name.as_str()) => {}
                None => {
                    let help = suggestion(name, ids.iter().map(StepId::as_str), "the steps are");
                    self.reader.error(span, format!("there is no step `{name}`"), "", help);
                }
            }
        }
        positions
    }

    /// The looks before and after an action, and the actions that an approval is about.
    fn link_work(
        &self,
        index: usize,
        steps: &mut [Step],
        ids: &[StepId],
        reference: &References,
        broken: &HashSet<String>,
    ) {
        let of_kind = |named: &Named, right: fn(StepKind) -> bool, what: &str| {
            let positions = self.positions(named, ids, broken);
            for (position, (span, name)) in positions.iter().zip(named) {
                if !right(steps[*position].kind) {
                    let message = format!("step `{name}` is a `{}`, not {what}", steps[*position].kind.word());
                    self.reader.error(span, message, "", "");
                }
            }
            positions
        };
        let is_probe = |kind| kind == StepKind::Probe;
        let precheck = of_kind(&reference.precheck, is_probe, "a probe that could hold or not");
        let verify = of_kind(&reference.verify, is_probe, "a probe that could hold or not");
        let of = of_kind(&reference.of, |kind| kind == StepKind::Action, "an action that could be agreed to");
        for ((span, name), position) in reference.of.iter().zip(&of) {
            if *position < index {
                let message = format!("step `{name}` comes before its approval");
                self.reader.error(span, message, "", "put the approval before it");
            }
        }
        match &mut steps[index].work {
            Work::Action(act) => (act.precheck, act.verify) = (precheck, verify),
            Work::Approval(approval) => approval.of = of,
            Work::Look
            | Work::Manual(_)
            | Work::Decision(_)
            | Work::Notify(_)
            | Work::Report(_)
            | Work::Procedure(_) => {}
        }
    }

    pub(super) fn criteria(&self, fields: &Fields<'_>, steps: &[Step], broken: &HashSet<String>) -> Vec<Criterion> {
        let Some(node) = fields.get("criteria") else { return Vec::new() };
        let reader = self.reader;
        let one = |item: &Node| {
            let fields = reader.fields(item, "a criterion", keys::CRITERION)?;
            let says = fields.required(reader, "says", "a criterion").and_then(|node| reader.text(node, "`says`"));
            let node = fields.required(reader, "proven_by", "a criterion")?;
            if node.map().is_some() {
                let clock = self.clock(node, steps);
                return Some(Criterion { says: says?, proven_by: Vec::new(), clock: Some(clock?) });
            }
            let proofs = reader.words(node, "`proven_by`").into_iter();
            let proven_by =
                proofs.filter_map(|(span, word)| self.proof(&span, word.into_string(), steps, broken)).collect();
            Some(Criterion { says: says?, proven_by, clock: None })
        };
        reader.items(node, "`criteria`").iter().filter_map(one).collect()
    }

    /// A limit that the clock judges: `{ mark: identified, within: 15m }`.
    fn clock(&self, node: &Node, steps: &[Step]) -> Option<Clock> {
        let reader = self.reader;
        let fields = reader.fields(node, "`proven_by`", keys::CLOCK)?;
        let mark = reader.text(fields.required(reader, "mark", "`proven_by`")?, "`mark`")?;
        let within = fields.get("within").map(|node| reader.duration(node, "`within`"));
        let before = fields.get("before").map(|node| {
            let text = reader.str(node, "`before`")?;
            let time = chrono::NaiveTime::parse_from_str(text, "%H:%M").ok();
            if time.is_none() {
                reader.error(&node.span, format!("`{text}` is no time of day"), "", "write it as \"18:00\"");
            }
            time
        });
        if within.is_none() && before.is_none() {
            let message = "this says no limit for the mark";
            reader.error(&reader.start_of(&node.span), message, "", "add `within: 15m` or `before: \"18:00\"`");
        }
        let marked = || steps.iter().filter_map(|step| step.marks.as_deref());
        let calls = steps.iter().any(|step| step.kind == StepKind::Procedure);
        let from = fields.text(reader, "from").unwrap_or_else(|| "detected".to_owned());
        for (key, name) in [("mark", &mark), ("from", &from)] {
            if !calls && !POINTS.contains(&name.as_str()) && !marked().any(|known| known == name) {
                let span = fields.get(key).map_or(node.span.clone(), |node| node.span.clone());
                let help = suggestion(name, marked().chain(POINTS.iter().copied()), "there are");
                reader.error(&span, format!("no step marks `{name}`"), "", help);
            }
        }
        let written = match (within.flatten(), before.flatten()) {
            (Some(limit), _) => format!("{mark} within {} from {from}", Quantity::duration(limit).rounded()),
            (None, Some(time)) => format!("{mark} before {}", time.format("%H:%M")),
            (None, None) => return None,
        };
        Some(Clock { mark, within: within.flatten(), from, before: before.flatten(), written })
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

impl References {
    /// Where the step is named for which this one waits.
    pub(super) fn place_of(&self, step: &StepId) -> Range<usize> {
        let need = self.needs.iter().find(|(_, name)| name == step.as_str()).map(|(span, _)| span);
        let read = || {
            let reads =
                |reads: &Reads| matches!(reads, Reads::Steps(names) if names.iter().any(|name| step.is_variable(name)));
            self.reads.iter().find(|(_, read)| reads(read)).map(|(span, _)| span)
        };
        need.or_else(read).cloned().unwrap_or_default()
    }
}

/// What a step waits for in a run: what it needs and reads; and everything that does not only look is alone, so that it
/// waits for all before it, and what follows waits for it.
#[must_use]
pub fn waits_for(at: usize, steps: &[Step]) -> BTreeSet<usize> {
    let mut earlier = steps[at].after.clone();
    let barrier = (0..at).rev().find(|&before| !steps[before].kind.looks());
    if steps[at].kind.looks() {
        earlier.extend(barrier);
    } else {
        earlier.extend(barrier.unwrap_or(0)..at);
    }
    earlier
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
        for next in waits_for(at, steps) {
            if let Some(circle) = visit(next, steps, done, path) {
                return Some(circle);
            }
        }
        path.pop();
        done[at] = true;
        None
    }
    // Where each waits for earlier ones only, there is none.
    if steps.iter().enumerate().all(|(at, step)| step.after.last().is_none_or(|&last| last < at)) {
        return None;
    }
    let mut done = vec![false; steps.len()];
    let mut path = Vec::new();
    (0..steps.len()).find_map(|at| visit(at, steps, &mut done, &mut path))
}
