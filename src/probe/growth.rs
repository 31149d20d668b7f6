//! What a counter did since this step's newest earlier run: its size says little, its growth much.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Context;
use crate::model::expectation::Reading;

/// What the newest earlier run saw of one subject.
pub struct Earlier {
    readings: HashMap<String, Reading>,
    now: DateTime<Utc>,
}

/// Servers tell their age in whole seconds.
const AGE_STEP: Duration = Duration::from_secs(1);

impl Earlier {
    pub async fn of(subject: &str, facts: &[&'static str], cx: &Context) -> Self {
        let readings = cx.past.newest(facts).await.into_iter();
        let readings = readings.filter(|((of, _), _)| of == subject).map(|((_, fact), reading)| (fact, reading));
        Self { readings: readings.collect(), now: cx.now }
    }

    pub fn nothing(cx: &Context) -> Self {
        Self { readings: HashMap::new(), now: cx.now }
    }

    /// By how much the counter `fact` grew. If it began anew since then, which its `age` or a smaller number tells,
    /// that is all it has counted.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters are whole and positive")]
    pub fn growth(&self, fact: &str, now: u64, age: Option<Duration>) -> Option<u64> {
        let (before, elapsed) = self.reading(fact)?;
        let began_anew = age.is_some_and(|age| age + AGE_STEP < elapsed);
        Some(if began_anew { now } else { now.checked_sub(before as u64).unwrap_or(now) })
    }

    /// What `fact` was, and how long ago.
    pub fn reading(&self, fact: &str) -> Option<(f64, Duration)> {
        let reading = self.readings.get(fact)?;
        // A clock that was set back makes it younger than it is.
        Some((reading.value.amount(), (self.now - reading.at).to_std().unwrap_or_default()))
    }
}
