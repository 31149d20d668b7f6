//! Counters of the kernel over an interval, and since the newest earlier run.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::process::table;
use super::{Context, ProbeError};
use crate::model::expectation::Reading;
use crate::model::fact::Subject;
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::unit::Quantity;
use crate::model::value::Value;

pub const INTERVAL: InputSpec = InputSpec {
    name: "interval",
    ty: InputType::Duration,
    need: Need::Default("1s"),
    about: "over how long to measure, `100ms` or more; steps that stand beside each other measure at the same time",
};

/// Below this the ticks of the kernel's counters show.
const SHORTEST: Duration = Duration::from_millis(100);

pub fn interval(inputs: &Inputs) -> Result<Duration, InputError> {
    let interval = inputs.duration("interval").unwrap_or(Duration::from_secs(1));
    if interval < SHORTEST {
        let message = format!("nothing can be measured over {}", Quantity::duration(interval).rounded());
        return Err(InputError::new("interval", message, "write `1s`, or leave it out"));
    }
    Ok(interval)
}

/// What was read at both ends of an interval.
pub struct Measured<T> {
    pub before: T,
    pub after: T,
    /// How long it really was.
    pub over: Duration,
}

/// Reads, waits for the interval, and reads again.
pub async fn measure<T: Send + 'static>(
    interval: Duration,
    cx: &Context,
    read: impl Fn() -> Result<T, ProbeError> + Clone + Send + 'static,
) -> Result<Measured<T>, ProbeError> {
    if interval >= cx.limit {
        let (interval, limit) = (Quantity::duration(interval).rounded(), Quantity::duration(cx.limit).rounded());
        let message = format!("the interval of {interval} does not end within the time limit of {limit}");
        return Err(ProbeError::new("time_limit", message).help("give the step a longer `timeout`"));
    }
    let timed = move || Ok((read()?, Instant::now()));
    let (before, begin) = cx.blocking(timed.clone()).await?;
    tokio::select! {
        () = tokio::time::sleep(interval) => {}
        () = cx.cancel.cancelled() => {
            return Err(ProbeError::new("cancelled", "nobody waits for the end of the interval any more"));
        }
    }
    let (after, end) = cx.blocking(timed).await?;
    Ok(Measured { before, after, over: end - begin })
}

/// Counters since the start of the machine, and what they have grown by since the newest earlier run.
pub struct Growth {
    earlier: HashMap<(String, String), Reading>,
    boot: DateTime<Utc>,
}

impl Growth {
    /// `counters` are the names of the facts.
    pub async fn of(counters: &[&'static str], cx: &Context) -> Result<Self, ProbeError> {
        let earlier = cx.past.newest(counters).await;
        let up = cx.blocking(table::uptime).await?;
        Ok(Self { earlier, boot: boot(cx.now, up) })
    }

    /// Sets the fact `counter`, and `growth` if there was an earlier run.
    pub fn set(&self, subject: &mut Subject, counter: &'static str, growth: &'static str, count: u64) {
        subject.set(counter, Value::count(count));
        if let Some(earlier) = self.earlier.get(&(subject.name.clone(), counter.to_owned())) {
            subject.set(growth, Value::count(grown(count, *earlier, self.boot)));
        }
    }
}

/// When the machine started.
pub fn boot(now: DateTime<Utc>, up: Duration) -> DateTime<Utc> {
    now - TimeDelta::from_std(up).unwrap_or_default()
}

/// A counter that began anew, with the machine or with what it counts for, has grown by all that it counts.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter is whole and not negative")]
fn grown(count: u64, earlier: Reading, boot: DateTime<Utc>) -> u64 {
    if boot > earlier.at { count } else { count.checked_sub(earlier.value.amount() as u64).unwrap_or(count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_began_anew_has_grown_by_all_that_it_counts() {
        let now = Utc::now();
        let reading = Reading { at: now - TimeDelta::hours(24), value: Quantity::count(10.0) };
        let long_ago = now - TimeDelta::days(9);
        assert_eq!(grown(12, reading, long_ago), 2);
        assert_eq!(grown(10, reading, long_ago), 0);
        assert_eq!(grown(3, reading, long_ago), 3, "what it counts for was made anew");
        assert_eq!(grown(12, reading, now - TimeDelta::hours(1)), 12, "the machine was started since then");
    }
}
