//! Finding the start of a window of time in a large file by bisection, without reading what is before it.

use std::io;
use std::ops::RangeInclusive;

use super::format::Stamps;
use super::scan::{Next, next_start};
use super::source::LogFile;
use super::stamp::{Instant, SECOND};

/// Programs that write side by side, or that stamp a request when it begins, are this much out of order.
const SLACK: Instant = 300 * SECOND;

/// A clock change repeats or leaves out up to this much.
const CLOCK_CHANGE: Instant = 2 * 3600 * SECOND;

/// How many places of the file must be in order of time: one in so many bytes, within these limits.
const SAMPLE_EVERY: u64 = 64 * 1024;
const SAMPLES: RangeInclusive<u64> = 8..=64;

/// Bytes read at each of these places.
const STEP: usize = 1024;

/// Below this distance a search goes from entry to entry.
const NEAR: u64 = 512;

/// Where a window begins in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// Entries from `from` on may be in the window, those from `sure` on are.
    Ordered { from: u64, sure: u64 },
    /// The file is not in order of time, or stamps are too rare to tell.
    Unordered,
}

/// The first entry that starts at `place` or behind it.
struct Sample {
    place: u64,
    at: u64,
    stamp: Instant,
}

/// The order of the file is tried at samples and where the search goes, so a short stretch that is far out of order
/// may be missed.
pub fn start(log: &LogFile, since: Instant, stamps: &mut Stamps) -> io::Result<Start> {
    let changes = stamps.clock().changes_between(since - CLOCK_CHANGE, since + CLOCK_CHANGE);
    let slack = if changes { CLOCK_CHANGE } else { SLACK };
    let Some(samples) = samples(log, slack, stamps)? else { return Ok(Start::Unordered) };
    let Some(from) = first_since(log, since - slack, log.start, &samples, stamps)? else { return Ok(Start::Unordered) };
    let Some(sure) = first_since(log, since + slack, from, &samples, stamps)? else { return Ok(Start::Unordered) };
    Ok(Start::Ordered { from, sure })
}

/// From all over the file; nothing if they are not in order of time.
fn samples(log: &LogFile, slack: Instant, stamps: &mut Stamps) -> io::Result<Option<Vec<Sample>>> {
    let size = log.size.saturating_sub(log.start);
    let count = (size / SAMPLE_EVERY).clamp(*SAMPLES.start(), *SAMPLES.end());
    let (mut samples, mut newest) = (Vec::new(), Instant::MIN);
    for number in 0..count {
        // Divided first: the product could be too large.
        let place = log.start + size / count * number;
        match next_start(log, place, log.size, STEP, stamps)? {
            Next::Entry { at, stamp: Some(stamp) } if stamp >= newest.saturating_sub(slack) => {
                newest = newest.max(stamp);
                samples.push(Sample { place, at, stamp });
            }
            Next::Nothing if number > 0 => {}
            Next::Entry { .. } | Next::Nothing | Next::Unknown => return Ok(None),
        }
    }
    Ok(Some(samples))
}

/// Where the first entry at or after `since` starts, from `from` on; the end of the file if there is none.
fn first_since(
    log: &LogFile,
    since: Instant,
    from: u64,
    samples: &[Sample],
    stamps: &mut Stamps,
) -> io::Result<Option<u64>> {
    // Entries that start before `low` are too old; an entry that is new enough starts at `answer`.
    let (mut low, mut high, mut answer) = (from, log.size, log.size);
    for sample in samples {
        if sample.stamp >= since {
            (high, answer) = (sample.place, sample.at);
            break;
        }
        low = low.max(sample.at + 1);
    }
    while low < high {
        let middle = if high - low > NEAR { low + (high - low) / 2 } else { low };
        match next_start(log, middle, log.size, STEP, stamps)? {
            Next::Entry { at, stamp: Some(stamp) } if stamp >= since => {
                answer = answer.min(at);
                high = middle;
            }
            Next::Entry { at, .. } => low = at + 1,
            Next::Nothing => high = middle,
            Next::Unknown => return Ok(None),
        }
    }
    Ok(Some(answer))
}
