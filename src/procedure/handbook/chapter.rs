//! One procedure as a chapter.

use std::sync::Arc;

use serde::Serialize;

use super::step::StepView;
use crate::model::unit::Quantity;
use crate::procedure::decode::Reader;
use crate::procedure::document::{Criterion, Procedure, step_nodes};
use crate::procedure::library::Library;
use crate::procedure::site::Site;
use crate::procedure::template::{self, Vars};
use crate::procedure::yaml::Node;

#[derive(Serialize)]
pub struct Chapter {
    /// For links: `daily/system-health`.
    id: String,
    anchor: String,
    command: String,
    /// Looks at everything and does nothing; only where the procedure does more than look.
    check: Option<String>,
    title: String,
    original_title: Option<String>,
    purpose: Option<String>,
    symptoms: Vec<String>,
    owner: Option<String>,
    schedule: Option<String>,
    budget: Option<String>,
    escalate: Option<String>,
    file: String,
    sections: Vec<SectionView>,
    criteria: Vec<CriterionView>,
}

#[derive(Serialize)]
struct SectionView {
    title: Option<String>,
    budget: Option<String>,
    steps: Vec<StepView>,
}

#[derive(Serialize)]
struct CriterionView {
    says: String,
    proven_by: Vec<String>,
}

impl Chapter {
    pub fn of(procedure: &Procedure, site: &Site, library: &Library) -> Self {
        let none = Vars::new();
        let vars = library.vars_of(&procedure.id).unwrap_or(&none);
        let nodes = step_nodes(procedure.root());
        let mut sections: Vec<(Option<usize>, SectionView)> = Vec::new();
        for (index, step) in procedure.steps.iter().enumerate() {
            if sections.last().is_none_or(|(section, _)| *section != step.section) {
                let section = step.section.map(|section| &procedure.sections[section]);
                let view = SectionView {
                    title: section.map(|section| section.title.clone()),
                    budget: section.and_then(|section| section.budget).map(|time| Quantity::duration(time).rounded()),
                    steps: Vec::new(),
                };
                sections.push((step.section, view));
            }
            let node = nodes.get(index).map_or_else(Node::empty, |node| with_vars(node, procedure, vars));
            let view = StepView::of(index, procedure, &node, site);
            if let Some((_, section)) = sections.last_mut() {
                section.steps.push(view);
            }
        }
        let command = format!("opsctl {} {}", procedure.id.group(), procedure.id.name());
        let looks = procedure.steps.iter().all(|step| step.kind.looks());
        Self {
            id: procedure.id.to_string(),
            anchor: super::step::anchor(&procedure.id),
            check: (!looks).then(|| format!("{command} --check")),
            command,
            title: procedure.title.clone(),
            original_title: procedure.original_title.clone(),
            purpose: procedure.purpose.clone(),
            symptoms: procedure.symptoms.clone(),
            owner: procedure.owner.clone(),
            schedule: procedure.schedule.as_deref().map(|cron| schedule(cron, site)),
            budget: procedure.budget.map(|budget| Quantity::duration(budget).rounded()),
            escalate: procedure.escalate.clone(),
            file: procedure.source().name.clone(),
            sections: sections.into_iter().map(|(_, section)| section).collect(),
            criteria: procedure.criteria.iter().map(|criterion| criterion_view(criterion, procedure)).collect(),
        }
    }
}

fn criterion_view(criterion: &Criterion, procedure: &Procedure) -> CriterionView {
    let proof = |proof: &crate::procedure::document::Proof| {
        let step = &procedure.steps[proof.step];
        match &proof.fact {
            Some(fact) => format!("{} ({fact})", step.id),
            None => step.id.to_string(),
        }
    };
    let clock = criterion.clock.iter().map(|clock| format!("the clock of the run: {}", clock.written));
    CriterionView {
        says: criterion.says.clone(),
        proven_by: criterion.proven_by.iter().map(proof).chain(clock).collect(),
    }
}

/// A cron expression in words, in the site's time.
fn schedule(cron: &str, site: &Site) -> String {
    match cron.parse::<croner::Cron>() {
        Ok(parsed) => {
            let words = parsed.describe();
            format!("{} ({}, cron {cron})", words.trim_end_matches('.'), site.timezone.name())
        }
        Err(_) => format!("cron: {cron}"),
    }
}

/// A step as it stands in the file, with the site's variables as far as they are known before a run.
fn with_vars(node: &Node, procedure: &Procedure, vars: &Vars) -> Node {
    let reader = Reader::new(Arc::clone(procedure.source()));
    let resolved = template::resolve(node, vars, &reader).into_owned();
    // A step that does not apply here may name what is not there: it is shown as it was written.
    if reader.is_clean() { resolved } else { node.clone() }
}
