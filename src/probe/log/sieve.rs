//! Passes over text that cannot hold a word, several times as fast as an engine that looks for it in any case.

use std::ops::Range;

use memchr::arch::all::packedpair::Pair;

/// How many beginnings are looked at together: many, so that the compiler makes vector instructions of it.
const BLOCK: usize = 256;

/// Of a word in any case, three letters: its two rarest ones, and another one.
#[derive(Clone, Debug)]
pub struct Sieve([Letter; 3]);

#[derive(Clone, Copy, Debug)]
struct Letter {
    /// Where it stands in the word.
    at: usize,
    lower: u8,
    /// The bit in which an upper case letter differs; none for what has no case.
    case: u8,
}

impl Sieve {
    /// None for a word of one or two letters, which could stand anywhere.
    pub fn of(word: &[u8]) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        let pair = Pair::new(&word)?;
        let rare = [pair.index1(), pair.index2()].map(usize::from);
        let other = (0..word.len()).find(|at| !rare.contains(at))?;
        let letter = |at: usize| Letter { at, lower: word[at], case: u8::from(word[at].is_ascii_alphabetic()) << 5 };
        Some(Self([rare[0], rare[1], other].map(letter)))
    }

    /// The next beginnings in `from..` of which one may be that of the word; none where the rest is too short for them.
    pub fn next(&self, text: &[u8], from: usize) -> Range<usize> {
        let mut start = from;
        while let Some(false) = self.may_hold(text, start) {
            start += BLOCK;
        }
        let start = start.min(text.len());
        start..(start + BLOCK).min(text.len())
    }

    /// Whether the three letters stand behind one of the beginnings in the block at `start`, if there is so much text.
    fn may_hold(&self, text: &[u8], start: usize) -> Option<bool> {
        let block = |letter: &Letter| text.get(start + letter.at..)?.first_chunk::<BLOCK>();
        let [first, second, third] = &self.0;
        let (a, b, c) = (block(first)?, block(second)?, block(third)?);
        let mut any = 0;
        for ((a, b), c) in a.iter().zip(b).zip(c) {
            any |= u8::from(a | first.case == first.lower)
                & u8::from(b | second.case == second.lower)
                & u8::from(c | third.case == third.lower);
        }
        Some(any != 0)
    }
}
