//! What expressions see of a run, and what messages say of it.

use std::sync::Arc;

use super::judge;
use super::run::Run;
use crate::model::event::StepResult;
use crate::model::id::ProcedureId;
use crate::model::outcome::Outcome;
use crate::procedure::document::Work;
use crate::procedure::template::context_of;

impl Run {
    /// What expressions see: `vars`, `steps`, `run`, and the variables by their own names.
    pub fn context(&self, procedure: usize) -> minijinja::Value {
        let planned = &self.planned[procedure];
        let vars = self.vars[procedure].get_or_init(|| context_of(&planned.vars)).clone();
        let mut steps = serde_json::Map::new();
        for (step, result) in planned.procedure.steps.iter().zip(&self.results[procedure]) {
            let Some(result) = result else { continue };
            let mut seen = judge::seen_of(result);
            if let Work::Procedure(call) = &step.work {
                seen["steps"] = self.seen_in(&call.run);
            }
            steps.insert(step.id.variable(), seen.clone());
            steps.insert(step.id.to_string(), seen);
        }
        let today = self.looker.now.with_timezone(&self.settings.timezone).date_naive();
        let run = serde_json::json!({
            "id": self.settings.run.to_string(),
            "title": planned.procedure.title,
            "site": self.settings.site,
            "date": today.to_string(),
            "operator": self.settings.operator,
            "host": self.settings.host,
            "findings": self.findings(procedure).join("; "),
        });
        let mut names: Vec<(String, minijinja::Value)> = planned
            .vars
            .keys()
            .filter_map(|name| Some((name.clone(), vars.get_attr(name).ok().filter(|value| !value.is_undefined())?)))
            .collect();
        names.push(("vars".to_owned(), vars));
        names.push(("steps".to_owned(), minijinja::value::Serde(steps).into()));
        names.push(("run".to_owned(), minijinja::value::Serde(run).into()));
        minijinja::Value::from_pairs(names)
    }

    /// The steps of a procedure that was called, as expressions see them.
    fn seen_in(&self, id: &ProcedureId) -> serde_json::Value {
        let Some(index) = self.planned.iter().position(|planned| planned.procedure.id == *id) else {
            return serde_json::json!({});
        };
        let results = self.results[index].iter().flatten();
        let seen = results.flat_map(|result| {
            let seen = judge::seen_of(result);
            [(result.step.variable(), seen.clone()), (result.step.to_string(), seen)]
        });
        seen.collect::<serde_json::Map<_, _>>().into()
    }

    /// What is wrong by now, a line each: in this procedure, and by name what those that led to it saw and nobody has
    /// looked at since.
    pub fn findings(&self, procedure: usize) -> Vec<String> {
        let wrong = |index: usize| {
            let wrong = move |result: &&Arc<StepResult>| {
                matches!(result.outcome, Outcome::Failed | Outcome::Errored | Outcome::Warned)
                    && !self.results[index + 1..].iter().flatten().flatten().any(|newer| newer.step == result.step)
            };
            self.results[index].iter().flatten().filter(wrong)
        };
        let told = |result: &Arc<StepResult>| {
            format!("{}: {}", result.step, result.reason.as_deref().unwrap_or_else(|| result.outcome.word()))
        };
        let others = (0..self.results.len()).filter(|&index| index != procedure && self.called[index]);
        let earlier: Vec<&str> = others.flat_map(wrong).map(|result| result.step.as_str()).collect();
        let earlier = (!earlier.is_empty()).then(|| format!("earlier: {}", earlier.join(", ")));
        wrong(procedure).map(told).chain(earlier).collect()
    }
}
