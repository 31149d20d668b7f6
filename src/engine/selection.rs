//! The operator's selection: which steps of the procedures run, and what they need beside them.

use crate::model::outcome::Skip;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::document::{Procedure, Step, Work};

use super::recorder::Recorder;
use super::run::{Run, skipped};

/// What `--only`, `--skip`, `--tag` and `--from` ask for; everything when empty.
///
/// A step is named by its id, or by `procedure.id` where several procedures have it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// Only these steps, when not empty.
    pub only: Vec<String>,
    /// None of these steps, whatever else asks for them.
    pub skip: Vec<String>,
    /// Only steps with one of these tags, when not empty.
    pub tags: Vec<String>,
    /// No step before this one.
    pub from: Option<String>,
}

/// Why a selection is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SelectionError {
    pub message: String,
    pub help: String,
}

/// By procedure and step: whether it runs.
type Kept = Vec<Vec<bool>>;

impl Selection {
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// # Errors
    /// It names a step or a tag that is not there, or leaves nothing: what looks like a pass must have looked.
    pub fn vet(&self, procedures: &[&Procedure]) -> Result<(), SelectionError> {
        let all = || procedures.iter().flat_map(|&procedure| procedure.steps.iter().map(move |step| (procedure, step)));
        let from = self.from.as_slice();
        for (option, given) in [("--only", &self.only[..]), ("--skip", &self.skip), ("--from", from)] {
            for name in given {
                if !all().any(|(procedure, step)| is_named(name, procedure, step)) {
                    let message = format!("{option} {name}: there is no such step");
                    let ids = all().map(|(_, step)| step.id.as_str());
                    return Err(SelectionError { message, help: suggestion(name, ids, "the steps are") });
                }
            }
        }
        let mut tags: Vec<&str> = all().flat_map(|(_, step)| &step.tags).map(String::as_str).collect();
        tags.sort_unstable();
        tags.dedup();
        if let Some(unknown) = self.tags.iter().find(|tag| !tags.contains(&tag.as_str())) {
            let message = format!("--tag {unknown}: no step has this tag");
            let help = match tags.as_slice() {
                [] => "the steps have no tags; a step gets some with `tags: [quick]`".to_owned(),
                tags => suggestion(unknown, tags.iter().copied(), "the tags are"),
            };
            return Err(SelectionError { message, help });
        }
        if self.kept(procedures).iter().flatten().any(|&kept| kept) {
            return Ok(());
        }
        let help = "check --only, --skip, --tag and --from".to_owned();
        Err(SelectionError { message: "no step is selected".to_owned(), help })
    }

    /// What was chosen, and what that needs: the steps that it waits for or reads, the looks before and after an action,
    /// the approvals of an action, the steps of a procedure that it calls, and the step that calls its procedure.
    fn kept(&self, procedures: &[&Procedure]) -> Kept {
        let mut kept: Kept = procedures.iter().map(|procedure| vec![false; procedure.steps.len()]).collect();
        let mut open: Vec<(usize, usize)> = Vec::new();
        for (index, procedure) in procedures.iter().enumerate() {
            let named = |name: &String| procedure.steps.iter().position(|step| is_named(name, procedure, step));
            let begin = self.from.as_ref().map(|from| named(from).unwrap_or(procedure.steps.len()));
            for (position, step) in procedure.steps.iter().enumerate() {
                if self.chooses(procedure, step) && begin.is_none_or(|begin| position >= begin) {
                    open.push((index, position));
                }
            }
        }
        while let Some((index, position)) = open.pop() {
            let procedure = procedures[index];
            let step = &procedure.steps[position];
            if kept[index][position] || self.skips(procedure, step) {
                continue;
            }
            kept[index][position] = true;
            open.extend(needed(position, &procedure.steps).into_iter().map(|needed| (index, needed)));
            if let Work::Procedure(call) = &step.work
                && let Some(callee) = procedures.iter().position(|one| one.id == call.run)
                && !kept[callee].contains(&true)
            {
                open.extend((0..procedures[callee].steps.len()).map(|step| (callee, step)));
            }
            open.extend(callers(procedure, procedures));
        }
        kept
    }

    fn chooses(&self, procedure: &Procedure, step: &Step) -> bool {
        (self.only.is_empty() || self.only.iter().any(|name| is_named(name, procedure, step)))
            && (self.tags.is_empty() || self.tags.iter().any(|tag| step.tags.contains(tag)))
    }

    fn skips(&self, procedure: &Procedure, step: &Step) -> bool {
        self.skip.iter().any(|name| is_named(name, procedure, step))
    }

    /// The options that it was made with, for people.
    fn options(&self) -> String {
        let given = [
            ("--only", !self.only.is_empty()),
            ("--skip", !self.skip.is_empty()),
            ("--tag", !self.tags.is_empty()),
            ("--from", self.from.is_some()),
        ];
        let given: Vec<&str> = given.iter().filter(|(_, given)| *given).map(|(option, _)| *option).collect();
        given.join(", ")
    }
}

/// `disk-free`, `system-health.disk-free` or `daily/system-health.disk-free`.
fn is_named(name: &str, procedure: &Procedure, step: &Step) -> bool {
    let id = step.id.as_str();
    name == id
        || name
            .strip_suffix(id)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|of| of == procedure.id.as_str() || of == procedure.id.name())
}

/// The steps of the procedure without which the step at `position` says or does something else.
fn needed(position: usize, steps: &[Step]) -> Vec<usize> {
    let step = &steps[position];
    let mut needed: Vec<usize> = step.after.iter().copied().collect();
    if let Work::Action(act) = &step.work {
        needed.extend(act.precheck.iter().chain(&act.verify));
        let approves = |step: &Step| matches!(&step.work, Work::Approval(approval) if approval.of.contains(&position));
        needed.extend(steps.iter().enumerate().filter(|(_, step)| approves(step)).map(|(index, _)| index));
    }
    needed
}

/// The steps that call `procedure`.
fn callers(procedure: &Procedure, procedures: &[&Procedure]) -> Vec<(usize, usize)> {
    let calls = |step: &Step| matches!(&step.work, Work::Procedure(call) if call.run == procedure.id);
    let of = |(index, one): (usize, &&Procedure)| {
        let calling = one.steps.iter().enumerate().filter(|(_, step)| calls(step));
        calling.map(|(position, _)| (index, position)).collect::<Vec<_>>()
    };
    procedures.iter().enumerate().flat_map(of).collect()
}

impl Run {
    /// Ends what the operator left out before anything starts.
    pub fn skip_filtered(&mut self, recorder: &mut Recorder) {
        let selection = &std::sync::Arc::clone(&self.settings).selection;
        if selection.is_everything() {
            return;
        }
        let planned = std::sync::Arc::clone(&self.planned);
        let procedures: Vec<&Procedure> = planned.iter().map(|planned| &planned.procedure).collect();
        let kept = selection.kept(&procedures);
        let reason = format!("left out by {}", selection.options());
        for place in self.waiting.clone() {
            if !kept[place.0][place.1] {
                self.finish(place, skipped(self, place, Skip::Filter, &reason), recorder);
            }
        }
    }
}
