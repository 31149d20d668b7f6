//! The clock of a run: the points of its timeline, its budgets, and from when they count.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Place;
use super::recorder::Recorder;
use super::run::Run;
use crate::model::event::incident::{BudgetUse, Mark};
use crate::model::event::{EventKind, Mode, StepResult};
use crate::model::outcome::Outcome;

/// When what was reached, and what time it is now.
pub struct Points {
    pub now: DateTime<Utc>,
    pub timezone: chrono_tz::Tz,
    pub reached: HashMap<String, DateTime<Utc>>,
    /// A run that only looks reaches no points.
    pub mode: Mode,
}

/// A budget that is used this far is said.
const WARN_AT: u32 = 80;

impl Run {
    /// The beginning of an incident: when it occurred and was detected, and that somebody has taken it on.
    pub fn open_incident(&mut self, recorder: &mut Recorder) {
        if self.settings.mode != Mode::Run {
            return;
        }
        let by = self.settings.operator.clone();
        let given = [("occurred", self.settings.occurred), ("detected", self.settings.detected)];
        for (name, at) in given {
            if let Some(at) = at {
                self.note(EventKind::Marked(Mark { name: name.to_owned(), at, by: by.clone() }), recorder);
            }
        }
        let incident = self.planned.iter().any(|planned| planned.procedure.report.is_some());
        if incident && self.settings.crew.people.present() && self.record.acknowledged.is_none() {
            self.note(EventKind::Acknowledged { by }, recorder);
        }
    }

    /// From when budgets and limits count: detection, or else the beginning of the run.
    pub fn detected(&self) -> DateTime<Utc> {
        self.record.mark("detected").or(self.settings.detected).or(self.record.started).unwrap_or(self.looker.now)
    }

    pub fn points(&self) -> Points {
        let mut reached: HashMap<String, DateTime<Utc>> =
            self.record.marks.iter().map(|(_, mark)| (mark.name.clone(), mark.at)).collect();
        reached.insert("started".to_owned(), self.record.started.unwrap_or(self.looker.now));
        reached.insert("detected".to_owned(), self.detected());
        if let Some((at, _)) = &self.record.acknowledged {
            reached.entry("acknowledged".to_owned()).or_insert(*at);
        }
        Points { now: Utc::now(), timezone: self.settings.timezone, reached, mode: self.settings.mode }
    }

    /// A step that has passed reaches its point of the timeline.
    pub fn mark(&mut self, place: Place, result: &StepResult, recorder: &mut Recorder) {
        let reached = matches!(result.outcome, Outcome::Passed | Outcome::Warned | Outcome::Waived);
        if let Some(name) = self.step(place).marks.clone().filter(|_| reached && self.settings.mode == Mode::Run) {
            let by = self.settings.operator.clone();
            self.note(EventKind::Marked(Mark { name, at: Utc::now(), by }), recorder);
        }
    }

    /// From when the budget of a procedure counts, and how long it is.
    pub fn budget(&self, procedure: usize) -> Option<(DateTime<Utc>, Duration)> {
        let budget = self.planned[procedure].procedure.budget?;
        // A procedure that another one has called has its own time; the whole counts from detection.
        let since = match self.caller[procedure] {
            None => self.detected(),
            Some(_) => Utc::now() - chrono::Duration::from_std(self.begins[procedure]?.elapsed()).ok()?,
        };
        Some((since, budget))
    }

    /// Says once that a budget is nearly used up, and once that it is.
    pub fn watch_budget(&mut self, place: Place, recorder: &mut Recorder) {
        if self.settings.mode != Mode::Run {
            return;
        }
        let mut watched = vec![(place.0, None, self.budget(place.0))];
        if let Some(caller) = self.caller[place.0] {
            watched.push((caller.0, None, self.budget(caller.0)));
        }
        if let Some(index) = self.step(place).section {
            let section = &self.planned[place.0].procedure.sections[index];
            let since = self.section_began(place.0, index);
            watched.push((place.0, Some(section.title.clone()), since.zip(section.budget)));
        }
        for (index, section, budget) in watched {
            let Some((since, budget)) = budget else { continue };
            let used = (Utc::now() - since).to_std().unwrap_or_default();
            for percent in [WARN_AT, 100] {
                if used < budget * percent / 100 {
                    continue;
                }
                let procedure = self.planned[index].procedure.id.clone();
                let percent = u8::try_from(percent).unwrap_or(100);
                let said = |said: &BudgetUse| {
                    (&said.procedure, &said.section, said.percent) == (&procedure, &section, percent)
                };
                if !self.record.budgets.iter().map(|(_, used)| used).any(said) {
                    let budget_ms = u64::try_from(budget.as_millis()).unwrap_or(u64::MAX);
                    let section = section.clone();
                    let used = BudgetUse { procedure, section, percent, budget_ms, since };
                    self.note(EventKind::BudgetUsed(used), recorder);
                }
            }
        }
    }

    /// When the first step of a section began.
    fn section_began(&self, procedure: usize, section: usize) -> Option<DateTime<Utc>> {
        let steps = &self.planned[procedure].procedure.steps;
        let record = self.record.procedures.get(&self.planned[procedure].procedure.id)?;
        steps
            .iter()
            .filter(|step| step.section == Some(section))
            .filter_map(|step| record.steps.get(&step.id)?.began)
            .min()
    }
}
