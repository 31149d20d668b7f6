//! What was sent and what came back.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::fact::{ANSWERS, Subject};
use crate::model::value::Value;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Sent(Instant),
    Received(Duration),
    Failed,
}

/// A request that is not answered is a loss, and never a latency.
#[derive(Debug)]
pub struct Tally {
    count: u16,
    fates: Vec<Fate>,
    /// Why one failed; the newest reason.
    why: Option<String>,
}

impl Tally {
    pub fn new(count: u16) -> Self {
        Self { count, fates: Vec::new(), why: None }
    }

    /// Without the network: each came back after this time, or why it did not.
    pub fn of(count: u16, outcomes: impl IntoIterator<Item = Result<Duration, String>>) -> Self {
        let mut tally = Self::new(count);
        for outcome in outcomes {
            match outcome {
                Ok(latency) => tally.fates.push(Fate::Received(latency)),
                Err(why) => {
                    tally.fates.push(Fate::Failed);
                    tally.why = Some(why);
                }
            }
        }
        tally
    }

    pub fn sent(&self) -> u16 {
        u16::try_from(self.fates.len()).unwrap_or(u16::MAX)
    }

    pub fn is_all_sent(&self) -> bool {
        self.sent() >= self.count
    }

    /// For something to send or to come.
    pub fn is_waiting(&self) -> bool {
        !self.is_all_sent() || self.fates.iter().any(|fate| matches!(fate, Fate::Sent(_)))
    }

    /// Of those that are waited for.
    pub fn last_sent(&self) -> Instant {
        let sent = self.fates.iter().filter_map(|fate| if let Fate::Sent(at) = fate { Some(*at) } else { None });
        sent.max().unwrap_or_else(Instant::now)
    }

    pub fn send(&mut self, at: Instant) {
        self.fates.push(Fate::Sent(at));
    }

    /// A reply that comes twice counts once.
    pub fn receive(&mut self, number: u16, at: Instant) {
        if let Some(fate) = self.fates.get_mut(usize::from(number))
            && let Fate::Sent(sent) = *fate
        {
            *fate = Fate::Received(at.duration_since(sent));
        }
    }

    pub fn fail(&mut self, number: u16, why: String) {
        if let Some(fate) = self.fates.get_mut(usize::from(number)) {
            *fate = Fate::Failed;
        }
        self.note(why);
    }

    pub fn note(&mut self, why: String) {
        self.why = Some(why);
    }

    pub fn report(&self, seen: &mut Subject) {
        let latencies: Vec<Duration> = self
            .fates
            .iter()
            .filter_map(|fate| if let Fate::Received(latency) = fate { Some(*latency) } else { None })
            .collect();
        let (sent, received) = (self.fates.len(), latencies.len());
        seen.set(ANSWERS, Value::Bool(received > 0));
        if sent > 0 {
            seen.set("loss", Value::percent((sent - received) as f64 / sent as f64 * 100.0));
        }
        if let Some(median) = median(&latencies) {
            seen.set("latency", Value::duration(median));
        }
        if let Some(longest) = latencies.iter().max() {
            seen.set("latency_max", Value::duration(*longest));
        }
        if let Some(jitter) = jitter(&latencies) {
            seen.set("jitter", Value::duration(jitter));
        }
        seen.set("sent", Value::count(sent as u64));
        seen.set("received", Value::count(received as u64));
        if let Some(why) = self.why.as_ref().filter(|_| received < sent) {
            seen.note(why);
        }
        if sent < usize::from(self.count) {
            seen.note(format!("the time limit ended it after {sent} of {}", self.count));
        }
    }
}

fn median(latencies: &[Duration]) -> Option<Duration> {
    let mut sorted = latencies.to_vec();
    sorted.sort();
    let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some((*low + *high) / 2)
}

/// The mean difference between one and the next; of one alone there is none.
fn jitter(latencies: &[Duration]) -> Option<Duration> {
    let steps: Vec<Duration> = latencies.windows(2).map(|pair| pair[0].abs_diff(pair[1])).collect();
    let count = u32::try_from(steps.len()).ok().filter(|count| *count > 0)?;
    Some(steps.iter().sum::<Duration>() / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn the_median_is_in_the_middle_and_jitter_is_between_neighbours() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[ms(7)]), Some(ms(7)));
        assert_eq!(median(&[ms(90), ms(1), ms(3)]), Some(ms(3)));
        assert_eq!(median(&[ms(4), ms(1), ms(2), ms(90)]), Some(ms(3)));
        assert_eq!(jitter(&[ms(7)]), None);
        assert_eq!(jitter(&[ms(1), ms(4), ms(3)]), Some(ms(2)));
    }

    #[test]
    fn a_loss_is_never_a_latency() {
        let mut seen = Subject::new("x");
        Tally::of(3, [Ok(ms(5)), Err("no answer".to_owned()), Ok(ms(7))]).report(&mut seen);
        assert_eq!(seen.facts["latency"], Value::duration(ms(6)));
        assert_eq!((&seen.facts["sent"], &seen.facts["received"]), (&Value::Integer(3), &Value::Integer(2)));
        assert_eq!(seen.facts["loss"], Value::percent(1.0 / 3.0 * 100.0));
        assert_eq!(seen.notes, ["no answer"]);
    }

    #[test]
    fn a_reply_that_comes_twice_counts_once() {
        let (mut tally, now) = (Tally::new(1), Instant::now());
        tally.send(now);
        assert!(tally.is_waiting());
        tally.receive(0, now + ms(5));
        tally.receive(0, now + ms(9));
        tally.receive(7, now + ms(9));
        assert!(!tally.is_waiting());
        let mut seen = Subject::new("x");
        tally.report(&mut seen);
        assert_eq!(seen.facts["latency_max"], Value::duration(ms(5)));
    }
}
