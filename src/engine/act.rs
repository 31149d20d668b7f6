//! Actions: looked at, shown, agreed to, written ahead, done, looked at again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Place;
use super::ask::NoAnswer;
use super::perform::Item;
use super::recorder::Recorder;
use super::resume::Before;
use super::run::Run;
use crate::action::{Action, ActionError, Changed, Context};
use crate::model::action::{Effect, Plan};
use crate::model::event::doing::{ActionEnd, ActionStart, Ended, Phase, hash_of};
use crate::model::event::people::{Ask, Question, Reply};
use crate::model::event::{EventKind, StepResult, SubjectResult};
use crate::model::fact::{Evidence, Facts, Observation};
use crate::model::outcome::{Outcome, Skip};
use crate::model::value::Value;
use crate::procedure::document::{Act, Doing, OnFailure, Work};
use crate::procedure::inputs::Surroundings;

/// An action that is ready, and what it would do.
pub struct Foreseen {
    pub action: Arc<dyn Action>,
    pub kind: &'static str,
    pub plan: Plan,
    pub hash: String,
}

/// How an action of a step ended for the step.
pub struct Acted {
    outcome: Outcome,
    skip: Option<Skip>,
    reason: Option<String>,
    help: Option<String>,
    pub facts: Facts,
    evidence: Vec<Evidence>,
    pub does: Vec<String>,
}

impl Acted {
    pub fn ended(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self {
            outcome,
            skip: None,
            reason: Some(reason.into()),
            help: None,
            facts: Facts::new(),
            evidence: Vec::new(),
            does: Vec::new(),
        }
    }
}

/// An attempt that did not succeed.
pub struct Failure {
    pub reason: String,
    pub help: Option<String>,
}

impl From<ActionError> for Failure {
    fn from(error: ActionError) -> Self {
        Self { reason: error.message, help: error.help }
    }
}

/// How long the effects of an action may take to show in the looks that verify it.
pub const SETTLE: Duration = Duration::from_secs(15);

impl Run {
    pub fn cx(&self, limit: Duration) -> Context {
        let look = self.looker.context(&self.settings, limit, self.stop.kill.child_token());
        Context { look, run: self.settings.run }
    }

    pub fn make(&self, doing: &Doing, context: &minijinja::Value) -> Result<Arc<dyn Action>, String> {
        let names: Vec<String> = self.settings.databases.keys().cloned().collect();
        let around = Surroundings { databases: &names, procedures: None, folder: &self.settings.folder };
        doing.make(Some(context), &around).map_err(|wrong| super::look::first_of(&wrong))
    }

    /// What `doing` would do now.
    pub async fn plan(
        &self,
        doing: &Doing,
        context: &minijinja::Value,
        limit: Duration,
    ) -> Result<Foreseen, ActionError> {
        let wrong = |reason: String| ActionError::before("inputs", reason);
        let action = self.make(doing, context).map_err(wrong)?;
        let cx = self.cx(limit);
        let plan = tokio::time::timeout(limit, action.plan(&cx)).await.unwrap_or_else(|_| {
            let shown = crate::model::unit::Quantity::duration(limit).rounded();
            Err(ActionError::before("time_limit", format!("finding out what to do took longer than {shown}")))
        })?;
        let hash = hash_of(&action.target(), &plan);
        Ok(Foreseen { action, kind: doing.kind.name, plan, hash })
    }

    /// What the action of a step would do now, for an approval.
    pub async fn foresee(&self, place: Place) -> Result<Foreseen, String> {
        let planned = Arc::clone(&self.planned);
        let step = &planned[place.0].procedure.steps[place.1];
        let Work::Action(act) = &step.work else { return Err(format!("{} is no action", step.id)) };
        let seen = self.plan(&act.doing, &self.context(place.0), step.timeout).await;
        seen.map_err(|error| format!("{}: {}", step.id, error.message))
    }

    /// In a dry run: exactly what would be done.
    pub async fn foretell(&self, place: Place) -> StepResult {
        let step = self.step(place);
        let undone = self.undone_before(place);
        let if_so = undone.map_or_else(String::new, |undone| format!("depends on {undone}; "));
        if step.for_each.is_some() {
            return self.simulated(place, &format!("{if_so}would be done for each item"));
        }
        match self.foresee(place).await {
            Ok(foreseen) if foreseen.plan.settled => {
                let why = foreseen.plan.notes.join("; ");
                self.simulated(place, &format!("{if_so}nothing to do: {why}"))
            }
            Ok(foreseen) => {
                let mut result = self.simulated(place, &format!("{if_so}would change {}", foreseen.action.target()));
                let mut lines = foreseen.plan.does;
                lines.extend(foreseen.plan.notes.iter().map(|note| format!("# {note}")));
                result.evidence.push(Evidence::new("would run", lines));
                result
            }
            // What it needs to know is not known yet.
            Err(reason) => match undone {
                Some(undone) => self.depends_on(place, undone),
                None => self.result(place, Outcome::Errored, Some(reason)),
            },
        }
    }

    pub async fn act_for_each(
        &mut self,
        place: Place,
        act: &Act,
        items: &[Item],
        recorder: &mut Recorder,
    ) -> Result<StepResult, NoAnswer> {
        let mut whole = self.result(place, Outcome::Passed, None);
        let mut subjects = Vec::new();
        for item in items {
            let acted = self.act(place, act, item, recorder).await?;
            if !acted.does.is_empty() {
                whole.evidence.push(Evidence::new("ran", acted.does));
            }
            whole.evidence.extend(acted.evidence);
            subjects.push(SubjectResult {
                name: item.name.clone().unwrap_or_default(),
                outcome: acted.outcome,
                error: acted.reason.clone().filter(|_| acted.outcome >= Outcome::Errored),
                notes: acted.reason.iter().filter(|_| acted.outcome < Outcome::Errored).cloned().collect(),
                facts: acted.facts,
                checks: Vec::new(),
            });
            if acted.outcome >= whole.outcome {
                (whole.outcome, whole.skip) = (acted.outcome, acted.skip);
                (whole.reason, whole.help) = (acted.reason, acted.help);
            }
            if self.halted.is_some() {
                break;
            }
        }
        whole.subjects = subjects;
        Ok(whole)
    }

    /// One action, until it is done and verified, or left.
    async fn act(&mut self, place: Place, act: &Act, item: &Item, recorder: &mut Recorder) -> Result<Acted, NoAnswer> {
        let (mut failed, mut tries) = match self.before(place, act, item, recorder).await? {
            Before::Done(acted) => return Ok(acted),
            Before::Failed(failure, tries) => (Some(failure), tries),
            Before::Nothing => (None, 0),
        };
        loop {
            let failure = match failed.take() {
                Some(failure) => failure,
                None => {
                    tries += 1;
                    match self.attempt(place, act, item, recorder).await? {
                        Ok(acted) => return Ok(acted),
                        Err(failure) => failure,
                    }
                }
            };
            match self.after_failure(place, act, item, &failure, tries, recorder).await? {
                Reply::Retry => {}
                reply => return self.give_up(place, reply, failure, recorder).await,
            }
        }
    }

    async fn give_up(
        &mut self,
        place: Place,
        reply: Reply,
        failure: Failure,
        recorder: &mut Recorder,
    ) -> Result<Acted, NoAnswer> {
        let step = self.step(place).id.clone();
        match reply {
            Reply::RollBack => {
                self.roll_back(place.0, &format!("{step} failed"), recorder).await?;
                self.halted = Some(format!("the run was rolled back after {step} had failed"));
            }
            Reply::Skip => {}
            _ => self.halted = Some(format!("the run was stopped after {step} had failed")),
        }
        Ok(Acted { help: failure.help, ..Acted::ended(Outcome::Failed, failure.reason) })
    }

    /// Once: prechecks, plan, consent, and then the doing.
    async fn attempt(
        &mut self,
        place: Place,
        act: &Act,
        item: &Item,
        recorder: &mut Recorder,
    ) -> Result<Result<Acted, Failure>, NoAnswer> {
        for &look in &act.precheck {
            let seen = self.look_again((place.0, look), recorder).await;
            if !holds(seen.outcome) {
                return Ok(Err(self.missing((place.0, look), &seen, "not done, because")));
            }
        }
        let limit = self.step(place).timeout;
        let foreseen = match self.plan(&act.doing, &self.context_for(place, item), limit).await {
            Ok(foreseen) => foreseen,
            Err(error) => return Ok(Err(error.into())),
        };
        if foreseen.plan.settled {
            let why = foreseen.plan.notes.join("; ");
            return Ok(Ok(Acted::ended(Outcome::Passed, format!("nothing to do: {why}"))));
        }
        if let Err(reason) = self.is_approved(place, &foreseen) {
            return Ok(Err(Failure { reason, help: Some("have it approved again".to_owned()) }));
        }
        let agreed_by = match self.consent(place, act, item, &foreseen, recorder).await? {
            Ok(by) => by,
            Err(refused) => {
                return Ok(Ok(Acted { skip: Some(Skip::Operator), ..Acted::ended(Outcome::Skipped, refused) }));
            }
        };
        let done =
            self.perform_written(place, Phase::Do, item.name.clone(), &foreseen, act.effect, agreed_by, recorder).await;
        let seen = match done {
            Ok(seen) => seen,
            Err(error) => return Ok(Err(error.into())),
        };
        if let Err(failure) = self.verify(place, act, SETTLE, recorder).await {
            return Ok(Err(failure));
        }
        let facts = seen.subjects.into_iter().next().map(|subject| subject.facts).unwrap_or_default();
        let acted = Acted::ended(Outcome::Passed, format!("changed {}", foreseen.action.target()));
        Ok(Ok(Acted { facts, evidence: seen.evidence, does: foreseen.plan.does, ..acted }))
    }

    /// Whether what would be done is what another person agreed to, where the procedure asks for that.
    fn is_approved(&self, place: Place, foreseen: &Foreseen) -> Result<(), String> {
        let steps = &self.planned[place.0].procedure.steps;
        for (index, step) in steps.iter().enumerate() {
            let Work::Approval(approval) = &step.work else { continue };
            if !approval.of.contains(&place.1) {
                continue;
            }
            let result = self.results[place.0][index].as_deref();
            let Some(result) = result.filter(|result| result.outcome == Outcome::Passed) else {
                return Err(format!("{} has not agreed to it", step.id));
            };
            let name = self.step(place).id.as_str();
            let agreed = result.subjects.iter().find(|subject| subject.name == name);
            if agreed.and_then(|subject| subject.facts.get("hash")) != Some(&Value::text(foreseen.hash.clone())) {
                return Err(format!("what would be done now is not what was agreed to in {}", step.id));
            }
        }
        Ok(())
    }

    /// The operator's word: who agreed, or why it is not done.
    async fn consent(
        &mut self,
        place: Place,
        act: &Act,
        item: &Item,
        foreseen: &Foreseen,
        recorder: &mut Recorder,
    ) -> Result<Result<String, String>, NoAnswer> {
        let unattended = self.planned[place.0].procedure.unattended;
        if self.settings.yes && (act.effect != Effect::Destructive || unattended) {
            return Ok(Ok(format!("{} (--yes)", self.settings.operator)));
        }
        let title = self.step(place).title.clone();
        let mut question = self.question(place, item.name.as_deref(), Ask::Confirm, &title);
        question.does.clone_from(&foreseen.plan.does);
        question.hash = Some(foreseen.hash.clone());
        if act.effect == Effect::Destructive {
            question.type_to_agree = Some(foreseen.action.target());
        }
        let mut notes = foreseen.plan.notes.clone();
        notes.extend(self.way_back(place, act, item));
        let answer = self.ask(place, question, &notes, recorder).await?;
        Ok(match (answer.reply, answer.note) {
            (Reply::Yes, _) => Ok(answer.by),
            (_, Some(note)) => Err(format!("{} did not want it: {note}", answer.by)),
            (_, None) => Err(format!("{} did not want it", answer.by)),
        })
    }

    /// How it can be taken back, for people.
    fn way_back(&self, place: Place, act: &Act, item: &Item) -> Option<String> {
        let context = self.context_for(place, item);
        match (&act.undo, &act.irreversible) {
            (Some(undo), _) => Some(format!("can be taken back ({})", undo.kind.name)),
            (None, Some(why)) => Some(format!("cannot be taken back: {}", why.say(&context).unwrap_or_default())),
            (None, None) => None,
        }
    }

    /// Writes ahead, and then does it.
    #[expect(clippy::too_many_arguments, reason = "each is a different thing that the record needs")]
    pub async fn perform_written(
        &mut self,
        place: Place,
        phase: Phase,
        item: Option<String>,
        foreseen: &Foreseen,
        effect: Effect,
        agreed_by: String,
        recorder: &mut Recorder,
    ) -> Result<Observation, ActionError> {
        let procedure = self.planned[place.0].procedure.id.clone();
        let (step, limit) = (self.step(place).id.clone(), self.step(place).timeout);
        let start = ActionStart {
            procedure: procedure.clone(),
            step: step.clone(),
            item: item.clone(),
            phase,
            action: foreseen.kind.to_owned(),
            target: foreseen.action.target(),
            effect,
            plan: foreseen.plan.clone(),
            hash: foreseen.hash.clone(),
            agreed_by,
        };
        let acting = Arc::clone(&self.stop.acting);
        let _acting = acting.lock().await;
        self.note(EventKind::ActionStarted(Box::new(start)), recorder);
        let begin = Instant::now();
        let done = match self.settings.crew.ledger.written(recorder.seq()).await {
            Err(reason) => {
                let message = format!("not done, because it cannot be recorded first: {reason}");
                let help = "free space or name another journal with OPSCTL_JOURNAL=/dev/shm/opsctl.db; then --resume";
                Err(ActionError::before("journal", message).help(help))
            }
            Ok(()) => {
                let cx = self.cx(limit);
                let work = foreseen.action.perform(&foreseen.plan, &cx);
                let limited = tokio::time::timeout(limit + Duration::from_secs(5), work).await;
                limited.unwrap_or_else(|_| {
                    cx.look.cancel.cancel();
                    let shown = crate::model::unit::Quantity::duration(limit).rounded();
                    Err(ActionError::midway("time_limit", format!("it took longer than {shown}")))
                })
            }
        };
        let first = done.as_ref().ok().and_then(|seen| seen.subjects.first());
        let end = ActionEnd {
            procedure,
            step,
            item,
            phase,
            ended: match &done {
                Ok(_) => Ended::Done,
                Err(error) if error.changed == Changed::Nothing => Ended::Failed,
                Err(_) => Ended::Midway,
            },
            took: begin.elapsed(),
            reason: done.as_ref().err().map(|error| error.message.clone()),
            help: done.as_ref().err().and_then(|error| error.help.clone()),
            facts: first.map(|subject| subject.facts.clone()).unwrap_or_default(),
            notes: first.map(|subject| subject.notes.clone()).unwrap_or_default(),
            evidence: done.as_ref().map_or_else(|_| Vec::new(), |seen| seen.evidence.clone()),
        };
        self.note(EventKind::ActionFinished(Box::new(end)), recorder);
        self.settings.crew.ledger.written(recorder.seq()).await.ok();
        done
    }

    /// Looks whether it helped; what was done just now may take a moment to show.
    pub async fn verify(
        &mut self,
        place: Place,
        act: &Act,
        patience: Duration,
        recorder: &mut Recorder,
    ) -> Result<(), Failure> {
        let until = Instant::now() + patience;
        for &look in &act.verify {
            loop {
                let seen = self.look_again((place.0, look), recorder).await;
                if holds(seen.outcome) {
                    break;
                }
                if Instant::now() >= until || self.stop.token.is_cancelled() {
                    return Err(self.missing((place.0, look), &seen, "done, but"));
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Ok(())
    }

    /// What has to hold and does not, and what to do about it.
    fn missing(&self, place: Place, seen: &StepResult, what: &str) -> Failure {
        let why = seen.reason.as_deref().unwrap_or_else(|| seen.outcome.word());
        Failure {
            reason: format!("{what} {} does not hold: {why}", seen.step),
            help: seen.help.clone().or_else(|| self.step(place).next.clone()),
        }
    }

    /// What to do after a failure: what the operator says, or what the procedure says when nobody is there.
    async fn after_failure(
        &mut self,
        place: Place,
        act: &Act,
        item: &Item,
        failure: &Failure,
        tries: u32,
        recorder: &mut Recorder,
    ) -> Result<Reply, NoAnswer> {
        // Who has asked twice to end is not asked what to do: the run waits.
        if self.stop.kill.is_cancelled() {
            if self.interrupted.is_none() {
                self.interrupt(recorder);
            }
            return Err(NoAnswer);
        }
        if !self.settings.crew.people.present() {
            return Ok(match act.on_failure {
                OnFailure::Retry if tries < 2 && act.effect != Effect::Destructive => Reply::Retry,
                OnFailure::Stop | OnFailure::Retry => Reply::Stop,
                OnFailure::Skip => Reply::Skip,
                OnFailure::RollBack => Reply::RollBack,
            });
        }
        let text = format!("failed: {}", failure.reason);
        let question: Question = self.question(place, item.name.as_deref(), Ask::Failure, &text);
        let notes: Vec<String> = failure.help.iter().cloned().collect();
        Ok(self.ask(place, question, &notes, recorder).await?.reply)
    }
}

pub fn holds(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Passed | Outcome::Warned | Outcome::Waived)
}
