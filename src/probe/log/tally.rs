//! The sums of a look: lines, entries that match, and the lines that are kept as evidence.

use std::collections::VecDeque;

use super::severity;
use super::stamp::Instant;
use crate::model::text::shortened;

/// Characters of a line that are kept.
const KEPT: usize = 400;

/// Bytes of the first line of an entry that are remembered while its other lines are read.
const HEAD: usize = 1024;

/// What is counted and kept; the same for every part of a look.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Entries before this instant do not count.
    pub since: Option<Instant>,
    pub keep_first: usize,
    pub keep_last: usize,
    /// Every line is kept, not only the first of each entry.
    pub keep_lines: bool,
    pub severity: bool,
}

/// The entry that the lines read last belong to.
#[derive(Clone, Debug)]
struct Entry {
    /// In the window of time.
    within: bool,
    counted: bool,
    /// Its first line, or what is kept of it.
    head: Vec<u8>,
    /// Where its first line is in the text at hand, if it is there.
    at: Option<(usize, usize)>,
}

#[derive(Clone, Debug)]
pub struct Tally {
    pub plan: Plan,
    pub lines: u64,
    pub matches: u64,
    /// Of the matching entries, as [`severity::NAMES`].
    pub severities: [u64; 8],
    pub newest: Option<Instant>,
    kept: Ends,
    entry: Entry,
}

/// The first and the last lines of many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    most_first: usize,
    most_last: usize,
    first: Vec<Vec<u8>>,
    last: VecDeque<Vec<u8>>,
    of: u64,
}

impl Ends {
    pub fn new(most_first: usize, most_last: usize) -> Self {
        Self { most_first, most_last, ..Self::default() }
    }

    pub fn keep(&mut self, line: Vec<u8>) {
        self.of += 1;
        if self.first.len() < self.most_first {
            self.first.push(line);
        } else {
            self.last.push_back(line);
            if self.last.len() > self.most_last {
                self.last.pop_front();
            }
        }
    }

    /// Adds those that follow.
    fn append(&mut self, other: Self) {
        let dropped = other.of - (other.first.len() + other.last.len()) as u64;
        for line in other.first.into_iter().chain(other.last) {
            self.keep(line);
        }
        self.of += dropped;
    }

    /// The lines kept, oldest first, and how many more there were.
    pub fn lines(self) -> (Vec<String>, u64) {
        let lines: Vec<String> = self.first.iter().chain(&self.last).map(|line| readable(line)).collect();
        let left_out = self.of - lines.len() as u64;
        (lines, left_out)
    }
}

impl Tally {
    /// Lines before the first timestamp belong to an entry before the window, or make one of their own if time does
    /// not matter.
    pub fn new(plan: Plan) -> Self {
        let entry = Entry { within: plan.since.is_none(), counted: false, head: Vec::new(), at: None };
        Self {
            plan,
            lines: 0,
            matches: 0,
            severities: [0; 8],
            newest: None,
            kept: Ends::new(plan.keep_first, plan.keep_last),
            entry,
        }
    }

    /// A line of `text` begins an entry. Without timestamps in the file, `stamp` is `None` and every line does.
    ///
    /// Returns whether the entry is in the window.
    pub fn start(&mut self, stamp: Option<Instant>, at: (usize, usize)) -> bool {
        self.newest = self.newest.max(stamp);
        let within = match (self.plan.since, stamp) {
            (None, _) => true,
            (Some(since), Some(stamp)) => stamp >= since,
            (Some(_), None) => false,
        };
        self.entry.within = within;
        self.entry.counted = false;
        self.entry.at = Some(at);
        within
    }

    pub fn is_within(&self) -> bool {
        self.entry.within
    }

    /// A line of the current entry matches.
    pub fn hit(&mut self, text: &[u8], (start, end): (usize, usize)) {
        if !self.entry.within || self.entry.counted {
            return;
        }
        self.entry.counted = true;
        self.matches += 1;
        let head = match self.entry.at {
            Some((start, end)) => &text[start..end],
            None => &self.entry.head,
        };
        if self.plan.severity
            && let Some(severity) = severity::of(head)
        {
            self.severities[severity] += 1;
        }
        if self.plan.keep_lines {
            return;
        }
        let line = &text[start..end];
        if head.is_empty() || self.entry.at == Some((start, end)) {
            self.kept.keep(kept(line).to_vec());
        } else {
            let both = both(head, line);
            self.kept.keep(both);
        }
    }

    /// Any line, kept if the plan keeps every line of the window.
    pub fn line(&mut self, line: &[u8]) {
        if self.plan.keep_lines && self.entry.within {
            self.kept.keep(kept(line).to_vec());
        }
    }

    /// The text at hand goes away: what is still needed of it is copied.
    pub fn seal(&mut self, text: &[u8]) {
        if let Some((start, end)) = self.entry.at.take() {
            self.entry.head.clear();
            self.entry.head.extend_from_slice(&text[start..end.min(start + HEAD)]);
        }
    }

    /// An empty tally for the part that follows, which begins with an entry.
    pub fn part(&self) -> Self {
        Self::new(self.plan)
    }

    /// Adds the tally of the part that follows.
    pub fn append(&mut self, other: Self) {
        self.lines += other.lines;
        self.matches += other.matches;
        for (sum, more) in self.severities.iter_mut().zip(other.severities) {
            *sum += more;
        }
        self.newest = self.newest.max(other.newest);
        self.entry = other.entry;
        self.kept.append(other.kept);
    }

    /// The lines kept, oldest first, and how many more there were.
    pub fn evidence(self) -> (Vec<String>, u64) {
        self.kept.lines()
    }
}

/// Of an entry of several lines: the first one says when and where, the matching one what.
pub(crate) fn both(head: &[u8], line: &[u8]) -> Vec<u8> {
    let head = head.trim_ascii_end();
    let mut both = head[..head.len().min(KEPT * 3 / 4)].to_vec();
    both.extend_from_slice(" … ".as_bytes());
    both.extend_from_slice(kept(line.trim_ascii()));
    both
}

/// As much of a line as can be more than [`KEPT`] characters.
pub(crate) fn kept(line: &[u8]) -> &[u8] {
    &line[..line.len().min((KEPT + 1) * 4)]
}

/// Text for people: no control characters, which a terminal would obey, and not too long.
fn readable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_start_matches('\0').trim_end();
    let clean = |character: char| match character {
        '\t' => '\t',
        control if control.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    };
    shortened(&text.chars().map(clean).collect::<String>(), KEPT)
}
