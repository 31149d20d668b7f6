//! The same request to several servers or by several ways, side by side.

use std::sync::Arc;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::super::{Context, ProbeError};
use super::look::{Look, Settings, Taken};
use super::request::Request;
use super::samples::{Samples, Tally};
use super::way::{Identity, Reach, Way};
use crate::model::fact::{Observation, Subject};
use crate::model::value::Value;

/// Looks that are taken at the same time at most.
const SIDE_BY_SIDE: usize = 32;

/// One page by one way.
pub struct Page<'a> {
    pub settings: &'a Settings,
    pub cx: &'a Context,
    pub name: String,
    pub request: Request,
    /// An error is why there is no way.
    pub reach: Result<Reach, String>,
    pub identity: Option<Arc<Identity>>,
    pub samples: Option<&'a Samples>,
    pub deadline: Instant,
}

impl Page<'_> {
    async fn take(&self) -> Result<Taken, ProbeError> {
        let reach = match &self.reach {
            Ok(reach) => reach,
            Err(why) => {
                let mut seen = Subject::new(self.name.clone()).with("answers", Value::Bool(false));
                seen.note(why);
                return Ok(Taken { seen, evidence: None, answer: None });
            }
        };
        if Instant::now() >= self.deadline {
            let error = ProbeError::new("time_limit", "its turn did not come within the time limit");
            return Err(error.help("raise `timeout` of the step, or look at fewer"));
        }
        let Some(samples) = self.samples else { return self.one(reach).await };
        let mut tally = Tally::default();
        for number in 0..samples.wanted {
            if number > 0 && !samples.wait(self.deadline).await {
                break;
            }
            tally.add(self.one(reach).await?, samples);
        }
        Ok(tally.into_taken(self.name.clone(), samples, self.cx.limit))
    }

    /// One request, with cookies of its own.
    async fn one(&self, reach: &Reach) -> Result<Taken, ProbeError> {
        let way = Way::by(reach.clone(), self.identity.clone());
        let look = Look::new(self.settings, self.cx, &way, self.name.clone(), self.deadline);
        look.take(self.request.clone(), &self.request.url).await
    }
}

/// What one look cannot see does not hide what the others saw; an error only where none saw anything.
pub async fn together(pages: Vec<Page<'_>>) -> Result<Observation, ProbeError> {
    let looks: Vec<_> = pages.iter().map(Page::take).collect();
    let taken: Vec<_> = futures_util::stream::iter(looks).buffered(SIDE_BY_SIDE).collect().await;
    let mut all = Observation::default();
    let mut seen_any = false;
    let mut first = None;
    for (page, taken) in pages.iter().zip(taken) {
        match taken {
            Ok(taken) => {
                seen_any = true;
                all.subjects.push(taken.seen);
                all.evidence.extend(taken.evidence);
            }
            Err(error) => {
                all.subjects.push(Subject::unseen(page.name.clone(), error.message.clone()));
                first = first.or(Some(error));
            }
        }
    }
    match first {
        Some(error) if !seen_any => Err(error),
        _ => Ok(all),
    }
}
