//! Texts that are cut where they are too long.

/// What ends a text that was cut. Secrets are masked after texts were cut, so [`Mask`](super::secret::Mask) looks in
/// front of it for the beginning of one: a text that is cut without it can show that.
pub const CUT: &str = "...";

/// The first `most` characters.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => [&text[..end], CUT].concat(),
        None => text.to_owned(),
    }
}

/// As [`shortened`], in one line.
#[must_use]
pub fn one_line(text: &str, most: usize) -> String {
    shortened(&text.split_whitespace().collect::<Vec<_>>().join(" "), most)
}
