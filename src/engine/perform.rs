//! Steps that run alone, and those for people: what only they can do, decide or agree to.

use std::sync::Arc;

use super::ask::NoAnswer;
use super::recorder::Recorder;
use super::run::{Flow, Run, skipped, unseen};
use super::{Place, Reaction};
use crate::model::event::people::{Answer, Ask, Reply};
use crate::model::event::{EventKind, Mode, StepResult, SubjectResult};
use crate::model::fact::Facts;
use crate::model::outcome::{Outcome, Skip};
use crate::model::value::Value;
use crate::procedure::document::{Approval, Manual, Step, StepKind, Work};

/// An item of a step that is repeated, and the name that it has for people.
#[derive(Clone, Debug)]
pub struct Item {
    pub name: Option<String>,
    value: Option<minijinja::Value>,
}

impl Run {
    /// A step that runs alone, from its beginning to its end.
    pub async fn perform(&mut self, place: Place, recorder: &mut Recorder) -> Flow {
        let planned = Arc::clone(&self.planned);
        let step = &planned[place.0].procedure.steps[place.1];
        if let Some(result) = self.given(place) {
            self.finish(place, result, recorder);
            return Flow::GoOn;
        }
        if let Work::Procedure(call) = &step.work {
            self.call(place, call, recorder);
            return Flow::GoOn;
        }
        if self.settings.mode != Mode::Run && !step.kind.looks() {
            let result = self.simulate(place, step).await;
            if let Work::Action(act) = &step.work
                && result.skip == Some(Skip::Simulated)
            {
                self.doubt(place, &act.verify, recorder);
            }
            self.finish(place, result, recorder);
            return Flow::GoOn;
        }
        match self.go_on_with(place, step, recorder).await {
            Ok(true) => {}
            Ok(false) => {
                self.finish(place, skipped(self, place, Skip::Operator, "left out by the operator"), recorder);
                return Flow::GoOn;
            }
            Err(NoAnswer) => return Flow::Suspend,
        }
        let items = match self.items(place, step) {
            Ok(items) => items,
            Err(reason) => {
                self.finish(place, self.result(place, Outcome::Errored, Some(reason)), recorder);
                return Flow::GoOn;
            }
        };
        if !self.record_has_begun(place) {
            let (procedure, step) = (planned[place.0].procedure.id.clone(), step.id.clone());
            self.note(EventKind::StepStarted { procedure, step }, recorder);
        }
        let begin = std::time::Instant::now();
        let done = match &step.work {
            Work::Look => self.look_for_each(place, &items, recorder).await,
            Work::Action(act) => self.act_for_each(place, act, &items, recorder).await,
            Work::Manual(manual) => self.manual(place, manual, &items, recorder).await,
            Work::Decision(decision) => self.decide(place, decision, &items, recorder).await,
            Work::Approval(approval) => self.approve(place, approval, recorder).await,
            Work::Notify(notify) => self.notify(place, notify, &items, recorder).await,
            Work::Report(written) => Ok(self.write_report(place, written)),
            Work::Procedure(_) => return Flow::GoOn,
        };
        let Ok(mut result) = done else { return Flow::Suspend };
        result.took = begin.elapsed();
        self.finish(place, result, recorder);
        Flow::GoOn
    }

    /// After an action that was only simulated, nobody knows what the looks that verify it would see.
    fn doubt(&mut self, place: Place, verify: &[usize], recorder: &mut Recorder) {
        for &index in verify {
            if self.results[place.0][index].is_some() {
                let reason = format!("could not tell: {} was only simulated", self.step(place).id);
                let result = self.result((place.0, index), Outcome::Errored, Some(reason));
                self.note(EventKind::StepFinished(Box::new(result.clone())), recorder);
                self.results[place.0][index] = Some(Arc::new(result));
            }
        }
    }

    fn record_has_begun(&self, place: Place) -> bool {
        let step = self.step(place);
        let procedure = self.record.procedures.get(&self.planned[place.0].procedure.id);
        procedure.and_then(|procedure| procedure.steps.get(&step.id)).is_some_and(|step| step.started)
    }

    /// With `--step`, whether the operator wants this step.
    async fn go_on_with(&mut self, place: Place, step: &Step, recorder: &mut Recorder) -> Result<bool, NoAnswer> {
        if !self.settings.one_by_one || !step.kind.looks() {
            return Ok(true);
        }
        let question = self.question(place, None, Ask::Confirm, &format!("next: {}", step.title));
        let answer = self.ask(place, question, &[], recorder).await?;
        Ok(answer.reply == Reply::Yes)
    }

    /// The items of a step that is repeated; one without a name for any other.
    fn items(&self, place: Place, step: &Step) -> Result<Vec<Item>, String> {
        let Some(each) = &step.for_each else { return Ok(vec![Item { name: None, value: None }]) };
        let values = each.items(&self.context(place.0)).map_err(|reason| format!("its `for_each` fails: {reason}"))?;
        let mut items: Vec<Item> = Vec::new();
        for value in values {
            let name = name_of(&value).unwrap_or_else(|| (items.len() + 1).to_string());
            // What was said of one, or done for it, must not count for another.
            let is_taken = |name: &str| items.iter().any(|item| item.name.as_deref() == Some(name));
            let numbered = (2..).map(|number| format!("{name} ({number})"));
            let name = std::iter::once(name.clone()).chain(numbered).find(|name| !is_taken(name));
            items.push(Item { name, value: Some(value) });
        }
        Ok(items)
    }

    /// The item of this name, as it is now.
    pub fn item(&self, place: Place, step: &Step, name: Option<&str>) -> Result<Item, String> {
        let found = self.items(place, step)?.into_iter().find(|item| item.name.as_deref() == name);
        found.ok_or_else(|| format!("{} is not among the items any more", name.unwrap_or("it")))
    }

    /// What expressions see, with the item of a step that is repeated.
    pub fn context_for(&self, place: Place, item: &Item) -> minijinja::Value {
        let context = self.context(place.0);
        match &item.value {
            None => context,
            Some(value) => minijinja::context! { item => value, ..context },
        }
    }

    pub fn result(&self, place: Place, outcome: Outcome, reason: Option<String>) -> StepResult {
        let procedure = self.planned[place.0].procedure.id.clone();
        let step = self.step(place).id.clone();
        StepResult { attempts: 1, reason, ..unseen(procedure, step, outcome, None, "") }
    }

    async fn manual(
        &mut self,
        place: Place,
        manual: &Manual,
        items: &[Item],
        recorder: &mut Recorder,
    ) -> Result<StepResult, NoAnswer> {
        let mut subjects = Vec::new();
        for item in items {
            for (point, phrase) in &manual.points {
                let name = named(item, point);
                let text = match phrase.say(&self.context_for(place, item)) {
                    Ok(text) => text,
                    Err(reason) => return Ok(self.result(place, Outcome::Errored, Some(reason))),
                };
                let mut question = self.question(place, name.as_deref(), Ask::Manual, &text);
                question.note_required = manual.note_required;
                let mut answer = self.ask(place, question.clone(), &[], recorder).await?;
                while answer.reply == Reply::Retry {
                    self.look_at_findings(place.0, recorder).await;
                    answer = self.ask_anew(place, question.clone(), &[], recorder).await?;
                }
                let outcome = match answer.reply {
                    Reply::Done | Reply::Yes => Outcome::Passed,
                    Reply::NotApplicable | Reply::Skip => Outcome::Skipped,
                    _ => Outcome::Failed,
                };
                subjects.push(said(&name.unwrap_or_default(), outcome, &answer, &text));
            }
        }
        Ok(self.of_people(place, subjects))
    }

    async fn decide(
        &mut self,
        place: Place,
        decision: &Manual,
        items: &[Item],
        recorder: &mut Recorder,
    ) -> Result<StepResult, NoAnswer> {
        let (mut subjects, mut last) = (Vec::new(), None);
        for item in items {
            let context = self.context_for(place, item);
            let mut question =
                self.question(place, item.name.as_deref(), Ask::Decision, &self.step(place).title.clone());
            for (name, phrase) in &decision.points {
                match phrase.say(&context) {
                    Ok(text) => _ = question.choices.insert(name.clone(), text),
                    Err(reason) => return Ok(self.result(place, Outcome::Errored, Some(reason))),
                }
            }
            question.note_required = decision.note_required;
            let choices = question.choices.clone();
            let answer = self.ask(place, question, &[], recorder).await?;
            let Reply::Chosen(choice) = &answer.reply else {
                let reason = "the answer is none of the choices".to_owned();
                return Ok(self.result(place, Outcome::Errored, Some(reason)));
            };
            let means = choices.get(choice).cloned().unwrap_or_default();
            let mut subject = said(item.name.as_deref().unwrap_or_default(), Outcome::Passed, &answer, &means);
            subject.facts.insert("choice".to_owned(), Value::text(choice.clone()));
            subjects.push(subject);
            last = Some(choice.clone());
        }
        let mut result = self.of_people(place, subjects);
        if let Some(choice) = &last {
            result.reason = Some(format!("decided: {choice}"));
        }
        result.choice = last;
        Ok(result)
    }

    /// Another person agrees to just what the actions would do now.
    async fn approve(
        &mut self,
        place: Place,
        approval: &Approval,
        recorder: &mut Recorder,
    ) -> Result<StepResult, NoAnswer> {
        let (mut does, mut hashes, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for &index in &approval.of {
            let of = (place.0, index);
            match self.foresee(of).await {
                Ok(foreseen) => {
                    let step = &self.step(of).id;
                    does.extend(foreseen.plan.does.iter().map(|line| format!("{step}: {line}")));
                    notes.extend(foreseen.plan.notes);
                    hashes.push((step.to_string(), foreseen.hash));
                }
                Err(reason) => return Ok(self.result(place, Outcome::Errored, Some(reason))),
            }
        }
        let title = self.step(place).title.clone();
        let mut question = self.question(place, None, Ask::Approval, &title);
        question.role.clone_from(&approval.by);
        question.does = does;
        question.hash = Some(hashes.iter().map(|(_, hash)| hash.as_str()).collect::<Vec<_>>().join(" "));
        let answer = self.ask(place, question, &notes, recorder).await?;
        let outcome = if answer.reply == Reply::Yes { Outcome::Passed } else { Outcome::Failed };
        let mut result = self.result(place, outcome, None);
        result.reason = Some(match outcome {
            Outcome::Passed => format!("{} agreed", answer.by),
            _ => format!(
                "{} refused{}",
                answer.by,
                answer.note.as_ref().map_or(String::new(), |note| format!(": {note}"))
            ),
        });
        for (step, hash) in hashes {
            let mut subject = said(&step, outcome, &answer, "");
            subject.facts.insert("hash".to_owned(), Value::text(hash));
            result.subjects.push(subject);
        }
        Ok(result)
    }

    /// What people said of each point: the worst counts; what does not apply counts for nothing.
    fn of_people(&self, place: Place, subjects: Vec<SubjectResult>) -> StepResult {
        let (outcome, mut reason) = super::judge::step(&subjects);
        if outcome != Outcome::Passed && reason.is_none() {
            let first = subjects.iter().find(|subject| subject.outcome == outcome);
            reason = first.and_then(|subject| subject.notes.first().cloned());
        }
        let mut result = self.result(place, outcome, reason);
        if subjects.is_empty() {
            (result.outcome, result.reason) = (Outcome::Passed, Some("there is nothing to do it for".to_owned()));
        }
        result.skip = (result.outcome == Outcome::Skipped).then_some(Skip::Operator);
        result.subjects = subjects;
        result
    }

    async fn look_for_each(
        &mut self,
        place: Place,
        items: &[Item],
        recorder: &mut Recorder,
    ) -> Result<StepResult, NoAnswer> {
        let mut whole = self.result(place, Outcome::Passed, Some("there is nothing to look at".to_owned()));
        for item in items {
            let result = self.look_once(place, &self.context_for(place, item), recorder).await;
            let name = item.name.clone().unwrap_or_default();
            whole.evidence.extend(result.evidence);
            whole.subjects.extend(result.subjects.into_iter().map(|mut subject| {
                subject.name = [name.as_str(), &subject.name]
                    .iter()
                    .filter(|part| !part.is_empty())
                    .copied()
                    .collect::<Vec<_>>()
                    .join(" ");
                subject
            }));
            if result.outcome >= whole.outcome {
                (whole.outcome, whole.reason, whole.help) = (result.outcome, result.reason, result.help);
            }
        }
        Ok(whole)
    }

    /// After an interrupt, when something was changed: whether the run goes on later. Otherwise it is rolled back or left,
    /// and ends.
    pub async fn after_interrupt(&mut self, recorder: &mut Recorder) -> bool {
        let people = Arc::clone(&self.settings.crew.people);
        let asks = people.present() && !self.stop.kill.is_cancelled();
        let Some((place, _)) = self.to_undo().into_iter().next().filter(|_| asks) else { return true };
        let text = "interrupted after something was changed: go on later, take back what was done, or leave it?";
        let mut question = self.question(place, None, Ask::Interrupted, text);
        let done = self.to_undo().into_iter().map(|(place, _)| match &self.step(place).work {
            Work::Action(act) if act.undo.is_none() => format!("{} (cannot be taken back)", self.step(place).title),
            _ => self.step(place).title.clone(),
        });
        question.does = done.collect();
        let briefing = self.briefing(place, &[]);
        let reply = match people.ask(&question, &briefing).await {
            Reaction::Answered(answer) => answer.reply,
            Reaction::Elsewhere(_) | Reaction::Noted(_) | Reaction::Later => return true,
        };
        match reply {
            Reply::RollBack => {
                if self.roll_back(place.0, "interrupted by the operator", recorder).await.is_err() {
                    return true;
                }
                self.halted = Some("the run was interrupted and rolled back".to_owned());
            }
            _ => self.halted = Some("the run was interrupted and left as it was".to_owned()),
        }
        false
    }

    /// What a run that only looks says of a step that does something.
    async fn simulate(&self, place: Place, step: &Step) -> StepResult {
        if self.settings.mode == Mode::Check {
            let (outcome, skip, reason) = match step.kind {
                StepKind::Manual | StepKind::Decision | StepKind::Approval => {
                    (Outcome::Pending, None, "for a person; a check does not ask")
                }
                _ => (Outcome::Skipped, Some(Skip::LookOnly), "a check only looks"),
            };
            return StepResult { skip, ..self.result(place, outcome, Some(reason.to_owned())) };
        }
        match &step.work {
            Work::Action(_) => self.foretell(place).await,
            Work::Manual(_) | Work::Decision(_) | Work::Approval(_) => {
                self.result(place, Outcome::Pending, Some("would ask a person".to_owned()))
            }
            Work::Notify(_) => self.simulated(place, "would tell people"),
            Work::Report(_) => self.simulated(place, "would write a report"),
            Work::Look | Work::Procedure(_) => self.simulated(place, "would run"),
        }
    }

    pub fn simulated(&self, place: Place, would: &str) -> StepResult {
        StepResult { skip: Some(Skip::Simulated), ..self.result(place, Outcome::Skipped, Some(would.to_owned())) }
    }
}

/// What people call an item: its first text or number.
fn name_of(value: &minijinja::Value) -> Option<String> {
    use minijinja::value::ValueKind;
    match value.kind() {
        ValueKind::String | ValueKind::Number => Some(value.to_string()),
        ValueKind::Map => {
            let keys: Vec<minijinja::Value> = value.try_iter().ok()?.collect();
            let texts = keys.iter().filter_map(|key| value.get_item(key).ok());
            let mut texts = texts.filter(|item| matches!(item.kind(), ValueKind::String | ValueKind::Number));
            let first = texts.next()?;
            // A number alone says little; the first name beside it says who it is.
            let name =
                texts.find(|item| item.kind() == ValueKind::String).filter(|_| first.kind() == ValueKind::Number);
            Some(name.map_or_else(|| first.to_string(), |name| format!("{first} {name}")))
        }
        _ => None,
    }
}

/// The name of a point of an item.
fn named(item: &Item, point: &str) -> Option<String> {
    match (&item.name, point) {
        (None, "") => None,
        (None, point) => Some(point.to_owned()),
        (Some(item), "") => Some(item.clone()),
        (Some(item), point) => Some(format!("{item} {point}")),
    }
}

/// What somebody said, as a subject of the step.
fn said(name: &str, outcome: Outcome, answer: &Answer, text: &str) -> SubjectResult {
    let word = match &answer.reply {
        Reply::Done | Reply::Yes => "done",
        Reply::NotDone | Reply::No => "not done",
        Reply::NotApplicable => "not applicable",
        Reply::Chosen(choice) => choice,
        Reply::Retry => "again",
        Reply::Skip => "skipped",
        Reply::RollBack => "roll back",
        Reply::Stop => "stopped",
    };
    let mut notes = vec![format!(
        "{word}, says {}{}",
        answer.by,
        answer.note.as_ref().map_or(String::new(), |note| format!(": {note}"))
    )];
    notes.extend(Some(text.to_owned()).filter(|text| !text.is_empty()));
    notes.extend(
        answer
            .attachments
            .iter()
            .map(|file| format!("file {} ({} bytes, SHA-256 {})", file.name, file.size, file.sha256)),
    );
    let mut facts = Facts::from([("by".to_owned(), Value::text(answer.by.clone()))]);
    // For later steps: a note may be the name that they work with.
    facts.extend(answer.note.iter().map(|note| ("note".to_owned(), Value::text(note.trim()))));
    SubjectResult { name: name.to_owned(), outcome, error: None, notes, facts, checks: Vec::new() }
}
