//! The mask that covers every resolved secret, however the text around it spells it.

use std::borrow::Cow;
use std::sync::{Arc, RwLock};

use memchr::memmem;

use super::super::text::{self, CUT};
use super::Secret;
use super::spelling::{self, Spelled};

pub const MASK: &str = "***";

/// What stands where a text was cut.
const CUTS: [&str; 2] = [CUT, "…"];

/// Shorter secrets would turn ordinary words into stars.
const SHORTEST: usize = 4;

/// Every secret resolved so far, shared by all who may print.
#[derive(Clone, Default, Debug)]
pub struct Mask(Arc<RwLock<Vec<Secret>>>);

impl Mask {
    /// From now on `secret` is shown as stars wherever text passes through [`Mask::apply`], and so is each of its lines:
    /// texts are shown line by line, or as one line.
    pub fn add(&self, secret: &str) {
        let as_one_line = text::one_line(secret, usize::MAX);
        let mut known = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for part in [secret, &as_one_line].into_iter().chain(secret.lines().map(str::trim)) {
            if part.len() >= SHORTEST && !known.iter().any(|one| one.0 == part) {
                known.push(Secret(part.to_owned()));
            }
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).is_empty()
    }

    /// The text with stars in place of every secret; secrets that overlap become one row of stars.
    #[must_use]
    pub fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut places = self.places(text);
        if places.is_empty() {
            return Cow::Borrowed(text);
        }
        places.sort_unstable();
        let (mut masked, mut end) = (String::with_capacity(text.len()), 0);
        for (from, to) in places {
            if from >= end {
                masked.push_str(&text[end..from]);
                masked.push_str(MASK);
            }
            end = end.max(to);
        }
        masked.push_str(&text[end..]);
        Cow::Owned(masked)
    }

    /// Where secrets begin and end in `text`.
    fn places(&self, text: &str) -> Vec<(usize, usize)> {
        let known = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut places = Vec::new();
        if known.is_empty() {
            return places;
        }
        let (cuts, is_spelled) = (cuts(text), spelling::may_be_in(text));
        for Secret(secret) in known.iter() {
            let step = secret.chars().next().map_or(1, char::len_utf8);
            let mut from = 0;
            // Much sooner ready to search a short text than `str::find`.
            while let Some(at) = memmem::find(&text.as_bytes()[from..], secret.as_bytes()).map(|at| from + at) {
                places.push((at, at + secret.len()));
                from = at + step;
            }
            places.extend(cuts.iter().filter_map(|&cut| cut_off(&text[..cut], secret)));
            if is_spelled {
                places.extend(spelled(text, secret, &cuts));
            }
        }
        places
    }

    /// As [`Mask::apply`], in place.
    pub fn cover(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.apply(text) {
            *text = masked;
        }
    }
}

/// Where something ends that was cut, or that another text follows: texts are cut before they are masked.
fn cuts(text: &str) -> Vec<usize> {
    let found = CUTS.iter().flat_map(|mark| memmem::find_iter(text.as_bytes(), mark));
    // A character that was cut in two is replaced.
    let is_no_end = |c: char| c.is_whitespace() || c == char::REPLACEMENT_CHARACTER;
    found.map(|at| text[..at].trim_end_matches(is_no_end).len()).collect()
}

/// Where the beginning of `secret` stands at the end of `text`.
fn cut_off(text: &str, secret: &str) -> Option<(usize, usize)> {
    let mut lengths = (SHORTEST..secret.len()).rev().filter(|&length| secret.is_char_boundary(length));
    let length = lengths.find(|&length| text.ends_with(&secret[..length]))?;
    Some((text.len() - length, text.len()))
}

/// Where `secret` stands as URLs, forms, JSON and XML spell it, its beginning in front of `cuts` included.
fn spelled(text: &str, secret: &str, cuts: &[usize]) -> Vec<(usize, usize)> {
    let mut cuts = cuts.iter().copied().peekable();
    let starts = text.char_indices().map(|(at, _)| at);
    let place = |at| {
        if let Some(Spelled::Whole(length)) = spelling::find(&text[at..], secret) {
            return Some((at, at + length));
        }
        while cuts.next_if(|&cut| cut <= at).is_some() {}
        let cut = *cuts.peek()?;
        match spelling::find(&text[at..cut], secret)? {
            Spelled::Beginning(known) if known >= SHORTEST => Some((at, cut)),
            Spelled::Beginning(_) | Spelled::Whole(_) => None,
        }
    };
    starts.filter_map(place).collect()
}
