//! Counting the entries of a log: fast over text that is all wanted, line by line where time decides.

use std::io::{self, Read};
use std::path::Path;
use std::time::Instant as Moment;

use memchr::{memchr_iter, memrchr};
use tokio_util::sync::CancellationToken;

use super::format::Stamps;
use super::matcher::{Matcher, line_end};
use super::source::{LogFile, Piece, Pieces};
use super::stamp::Instant;
use super::tally::Tally;
use crate::probe::{ProbeError, threads};

/// Bytes of an over-long line that are looked at for its timestamp and kept.
const LONG_LINE_HEAD: usize = 4096;

/// How far a place to cut a file in two is looked for.
pub const REACH: u64 = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The time limit or a cancellation; how many bytes had been read by then.
    #[error("stopped")]
    Stopped { read: u64 },
    /// Old entries among those that must be new: the file is not in order of time.
    #[error("not in order of time")]
    Disorder,
}

/// When to stop early.
#[derive(Clone, Debug)]
pub struct Watch {
    pub cancel: CancellationToken,
    pub until: Moment,
}

impl Watch {
    fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || Moment::now() >= self.until
    }

    /// An error when the search of `folder` for files has to end now.
    pub fn go_on(&self, folder: &Path) -> Result<(), ProbeError> {
        if self.cancel.is_cancelled() {
            return Err(ProbeError::new("cancelled", "the look was ended before it was complete"));
        }
        if self.is_over() {
            let message = format!("{} was not searched for files within the time limit", folder.display());
            return Err(ProbeError::new("time_limit", message)
                .help("write a narrower pattern, or give the step more time with `timeout`"));
        }
        Ok(())
    }
}

/// How the entries of a part of a file are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// All of it is in the window: jump from match to match.
    Skim,
    /// Each line's timestamp is read.
    Walk,
}

/// Everything that reading one file needs, besides the sums.
#[derive(Clone, Debug)]
pub struct Scanner<'l> {
    pub matcher: &'l Matcher,
    pub stamps: Stamps,
    pub watch: &'l Watch,
    /// Bytes read at a time.
    pub chunk: usize,
    /// A larger part of a file is read by two threads.
    pub split: u64,
}

impl Scanner<'_> {
    /// Skimming pays only if there is something to jump to.
    pub fn pace(&self, wanted: Pace) -> Pace {
        if self.matcher.wants_every_entry() { Pace::Walk } else { wanted }
    }

    /// Counts the entries in `from..to` of a plain file, on two threads if that pays.
    pub fn range(&mut self, log: &LogFile, from: u64, to: u64, pace: Pace, tally: &mut Tally) -> Result<(), ScanError> {
        let Some(middle) = self.cut(log, from, to)? else {
            return self.pieces(Pieces::of_range(log.range(from, to), self.chunk), pace, tally);
        };
        let mut right = self.clone();
        // Each thread has its own copy: the scratch memory of one would be fought for.
        let matcher = self.matcher.clone();
        right.matcher = &matcher;
        let mut right_tally = tally.part();
        let here = threads::here();
        let (left, right) = std::thread::scope(|scope| {
            let handle = scope.spawn(|| {
                threads::leave(here);
                right.stream(log.range(middle, to), pace, &mut right_tally)
            });
            threads::let_leave();
            let left = self.stream(log.range(from, middle), pace, tally);
            (left, handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        match (left, right) {
            (Err(ScanError::Stopped { read }), Err(ScanError::Stopped { read: more })) => {
                tally.append(right_tally);
                return Err(ScanError::Stopped { read: read + more });
            }
            (left, right) => left.and(right)?,
        }
        tally.append(right_tally);
        Ok(())
    }

    /// The start of an entry near the middle of a large part.
    fn cut(&mut self, log: &LogFile, from: u64, to: u64) -> io::Result<Option<u64>> {
        let size = to.saturating_sub(from);
        let alone = || std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
        if size < self.split || size < 2 || alone() {
            return Ok(None);
        }
        Ok(match next_start(log, from + size / 2, to, self.chunk, &mut self.stamps)? {
            Next::Entry { at, .. } => Some(at),
            Next::Nothing | Next::Unknown => None,
        })
    }

    /// Counts the entries of a stream.
    pub fn stream(&mut self, source: impl Read, pace: Pace, tally: &mut Tally) -> Result<(), ScanError> {
        self.pieces(Pieces::new(source, self.chunk), pace, tally)
    }

    fn pieces(&mut self, mut pieces: Pieces<impl Read>, pace: Pace, tally: &mut Tally) -> Result<(), ScanError> {
        let mut long = LongLine::default();
        loop {
            if self.watch.is_over() {
                return Err(ScanError::Stopped { read: pieces.taken() });
            }
            match pieces.next_piece()? {
                None => return Ok(()),
                Some(Piece::Lines(text)) => match pace {
                    Pace::Skim => self.skim(text, tally)?,
                    Pace::Walk => self.walk(text, tally),
                },
                Some(Piece::Part { text, first, last }) => {
                    long.add(text, first, self.matcher);
                    if last {
                        self.long_line(&long, tally);
                    }
                }
            }
        }
    }

    fn skim(&mut self, text: &[u8], tally: &mut Tally) -> Result<(), ScanError> {
        let mut seen = 0;
        for line in self.matcher.lines_in(text) {
            self.start_before(text, seen, line.1, tally)?;
            tally.hit(text, line);
            seen = (line.1 + 1).min(text.len());
        }
        self.start_before(text, seen, text.len(), tally)?;
        tally.lines += memchr_iter(b'\n', text).count() as u64 + u64::from(!text.ends_with(b"\n"));
        tally.seal(text);
        Ok(())
    }

    /// Opens the entry to which the line that ends at `to` belongs, if it begins in `from..to`.
    fn start_before(&mut self, text: &[u8], from: usize, to: usize, tally: &mut Tally) -> Result<(), ScanError> {
        let mut end = to;
        while end > from {
            let start = memrchr(b'\n', &text[from..end]).map_or(from, |newline| from + newline + 1);
            let (begins, stamp) = self.stamps.begins(&text[start..end]);
            if begins {
                return if tally.start(stamp, (start, end)) { Ok(()) } else { Err(ScanError::Disorder) };
            }
            end = start.saturating_sub(1);
        }
        Ok(())
    }

    fn walk(&mut self, text: &[u8], tally: &mut Tally) {
        let every = self.matcher.wants_every_entry();
        let mut matching = self.matcher.lines_in(text).peekable();
        let mut start = 0;
        while start < text.len() {
            let at = (start, line_end(text, start));
            let line = &text[at.0..at.1];
            let starts = self.start(line, at, tally);
            if tally.is_within() {
                tally.lines += 1;
                tally.line(line);
            }
            let hit = matching.next_if(|found| found.0 == at.0).is_some();
            if hit || (every && starts && self.matcher.admits(line)) {
                tally.hit(text, at);
            }
            start = at.1 + 1;
        }
        tally.seal(text);
    }

    /// Opens an entry if this line begins one.
    fn start(&mut self, line: &[u8], at: (usize, usize), tally: &mut Tally) -> bool {
        let (begins, stamp) = self.stamps.begins(line);
        if begins {
            tally.start(stamp, at);
        }
        begins
    }

    fn long_line(&mut self, long: &LongLine, tally: &mut Tally) {
        let line = &long.head;
        let at = (0, line.len());
        let starts = self.start(line, at, tally);
        if tally.is_within() {
            tally.lines += 1;
            tally.line(line);
        }
        let wanted = long.wanted || (starts && self.matcher.wants_every_entry());
        if wanted && !long.excluded {
            tally.hit(line, at);
        }
        tally.seal(line);
    }
}

/// A line longer than the buffer: its start is kept, all of it is searched.
#[derive(Default, Debug)]
struct LongLine {
    head: Vec<u8>,
    wanted: bool,
    excluded: bool,
}

impl LongLine {
    fn add(&mut self, text: &[u8], first: bool, matcher: &Matcher) {
        if first {
            *self = Self { head: text[..text.len().min(LONG_LINE_HEAD)].to_vec(), ..Self::default() };
        }
        self.wanted = self.wanted || matcher.finds(text);
        self.excluded = self.excluded || matcher.excludes(text);
    }
}

/// What a search for the next entry found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    Entry {
        at: u64,
        stamp: Option<Instant>,
    },
    /// No entry starts from here to the end.
    Nothing,
    /// None within reach.
    Unknown,
}

/// The first entry that starts in `from..to`.
pub fn next_start(log: &LogFile, from: u64, to: u64, chunk: usize, stamps: &mut Stamps) -> io::Result<Next> {
    // A line starts at `from` if the byte before ends one; the first line read is always given up.
    let base = if from == log.start { from } else { from - 1 };
    let mut pieces = Pieces::of_range(log.range(base, to), chunk);
    let mut whole = from == log.start;
    loop {
        let taken = pieces.taken();
        let (text, mut at, continues) = match pieces.next_piece()? {
            None => return Ok(Next::Nothing),
            Some(Piece::Lines(text)) => (text, 0, false),
            Some(Piece::Part { text, first: true, .. }) => (text, 0, true),
            Some(Piece::Part { text, last, .. }) => {
                whole |= last;
                (&text[..0], 0, false)
            }
        };
        let mut found = None;
        while at < text.len() && found.is_none() {
            let end = line_end(text, at);
            let (begins, stamp) = stamps.begins(&text[at..end]);
            if whole && begins {
                found = Some((at, stamp));
            }
            whole = !continues;
            at = end + 1;
        }
        if let Some((at, stamp)) = found {
            return Ok(Next::Entry { at: base + pieces.before() + at as u64, stamp });
        }
        if taken > REACH {
            return Ok(Next::Unknown);
        }
    }
}
