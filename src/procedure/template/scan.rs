//! The words of an expression: which names it reads, and with what they are compared. The template engine tells only
//! what it reads, and finds an unknown test or filter only when it gets there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use compact_str::CompactString;
use minijinja::ErrorKind;
use smallvec::SmallVec;

use crate::model::outcome::Outcome;

/// A word of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Word<'t> {
    /// `steps.disk.facts.free` and `steps['disk'].facts['free']` alike: which of the scan's parts it has.
    Path {
        first: usize,
        end: usize,
    },
    /// The same before its parts are known.
    Name(&'t str),
    Text(&'t str),
    Number(&'t str),
    Sign(&'t str),
}

/// As many words as most expressions have.
const USUAL: usize = 8;

/// A value that stands in an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Literal<'t> {
    Text(&'t str),
    Number(&'t str),
}

/// An expression, or what is between two braces of a template.
#[derive(Debug)]
pub struct Scan<'t> {
    words: SmallVec<[Word<'t>; USUAL]>,
    /// Of all its names, one after the other.
    parts: SmallVec<[&'t str; USUAL]>,
}

impl<'t> Scan<'t> {
    /// `name['part'].other` is one name.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        let mut scan = Self { words: SmallVec::new(), parts: SmallVec::new() };
        let mut words = words_of(text).peekable();
        while let Some(word) = words.next() {
            match (scan.words.as_mut_slice(), word) {
                // `['part']` behind a name.
                ([.., Word::Path { first, end }, Word::Sign("["), Word::Text(part)], Word::Sign("]"))
                    if is_name(&scan.parts[*first..]) =>
                {
                    scan.parts.push(part);
                    // `.other` behind that.
                    if let Some(Word::Name(more)) =
                        words.next_if(|next| matches!(next, Word::Name(more) if more.starts_with('.')))
                    {
                        scan.parts.extend(more.split('.').skip(1));
                    }
                    *end = scan.parts.len();
                    scan.words.truncate(scan.words.len() - 2);
                }
                (_, Word::Name(name)) => {
                    let first = scan.parts.len();
                    scan.parts.extend(name.split('.'));
                    scan.words.push(Word::Path { first, end: scan.parts.len() });
                }
                _ => scan.words.push(word),
            }
        }
        scan
    }

    /// The parts of a name; nothing of other words.
    fn path(&self, word: Word<'t>) -> Option<&[&'t str]> {
        match word {
            Word::Path { first, end } => Some(&self.parts[first..end]),
            Word::Name(_) | Word::Text(_) | Word::Number(_) | Word::Sign(_) => None,
        }
    }

    /// The names with their parts, in their order. A method that is called is no part.
    pub fn paths(&self) -> impl Iterator<Item = &[&'t str]> {
        self.words.iter().enumerate().filter_map(|(at, &word)| {
            let parts = self.path(word)?;
            let is_called = self.words.get(at + 1) == Some(&Word::Sign("("));
            Some(&parts[..parts.len() - usize::from(is_called)])
        })
    }

    /// Names and the values with which they are compared: `a == 'b'`, `'b' != a`, `a in ['b', 'c']`.
    pub fn comparisons(&self) -> Vec<(&[&'t str], Literal<'t>)> {
        let mut found = Vec::new();
        for (at, &word) in self.words.iter().enumerate() {
            let Some(path) = self.path(word).filter(|path| is_name(path)) else { continue };
            let beside = |at: usize| self.words.get(at).and_then(Word::literal);
            let compares =
                |at: usize| matches!(self.words.get(at), Some(Word::Sign("==" | "!=" | "<" | "<=" | ">" | ">=")));
            if compares(at + 1) {
                found.extend(beside(at + 2).map(|literal| (path, literal)));
            }
            if at >= 2 && compares(at - 1) {
                found.extend(beside(at - 2).map(|literal| (path, literal)));
            }
            let is = |at: usize, name: &str| self.words.get(at).and_then(|&word| self.path(word)) == Some(&[name]);
            let list = at + 2 + usize::from(is(at + 1, "not"));
            if is(list - 1, "in") && self.words.get(list) == Some(&Word::Sign("[")) {
                let items = self.words[list + 1..].iter().take_while(|word| **word != Word::Sign("]"));
                found.extend(items.filter_map(Word::literal).map(|literal| (path, literal)));
            }
        }
        found
    }

    /// Tests (`is passed`) and filters (`| length`) that do not exist.
    pub fn unknown(&self) -> impl Iterator<Item = (&'static str, &'t str)> {
        let name = |at: usize| self.path(*self.words.get(at)?)?.first().copied();
        (0..self.words.len()).filter_map(move |at| {
            if self.words[at] == Word::Sign("|") {
                return name(at + 1).filter(|name| !exists(&format!("0|{name}"))).map(|name| ("filter", name));
            }
            if name(at) != Some("is") {
                return None;
            }
            let test = if name(at + 1) == Some("not") { name(at + 2) } else { name(at + 1) };
            let is_outcome = |name: &&str| Outcome::ALL.iter().any(|outcome| outcome.word() == *name);
            let test = test.filter(|name| !is_outcome(name) && !exists(&format!("0 is {name}")));
            test.map(|name| ("test", name))
        })
    }
}

/// The names that an expression reads, sorted, if it is one as most people write them: names, alone, tested or compared with
/// values, joined by `and` and `or`. `None` for all others, wrong ones among them.
#[must_use]
pub fn plain_reads(expression: &str) -> Option<Vec<CompactString>> {
    // What is written in another way, or with escapes, is the engine's own business.
    if !expression.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\') {
        return None;
    }
    let words: SmallVec<[Word<'_>; USUAL]> = words_of(expression).collect();
    let mut reads = Vec::with_capacity(2);
    plain(&words, &mut reads, 0)?.is_empty().then(|| super::sorted(reads))
}

/// How deep brackets may stand in brackets.
const MOST_NESTED: usize = 3;

/// Behind a plain expression, whose names are added to `reads`.
fn plain<'w>(words: &'w [Word<'_>], reads: &mut Vec<CompactString>, depth: usize) -> Option<&'w [Word<'w>]> {
    let mut rest = words;
    loop {
        rest = plain_term(rest, reads, depth)?;
        match rest {
            [Word::Name("and" | "or"), more @ ..] => rest = more,
            _ => return Some(rest),
        }
    }
}

/// A name that is not one of the engine's words.
fn plain_name<'t>(word: &Word<'t>) -> Option<&'t str> {
    let Word::Name(name) = word else { return None };
    name.split('.').all(|part| is_identifier(part) && !WORDS.contains(&part)).then_some(*name)
}

fn plain_literal(word: &Word<'_>) -> bool {
    match word {
        Word::Text(_) => true,
        // The engine's numbers end somewhere.
        Word::Number(number) => number.len() <= 18 && number.bytes().all(|byte| byte.is_ascii_digit()),
        Word::Path { .. } | Word::Name(_) | Word::Sign(_) => false,
    }
}

/// Behind one name with its test or comparison, or behind an expression in brackets.
fn plain_term<'w>(words: &'w [Word<'_>], reads: &mut Vec<CompactString>, depth: usize) -> Option<&'w [Word<'w>]> {
    let words = words.strip_prefix(&[Word::Name("not")]).unwrap_or(words);
    if let [Word::Sign("("), inner @ ..] = words {
        let rest = if depth < MOST_NESTED { plain(inner, reads, depth + 1) } else { None };
        return match rest? {
            [Word::Sign(")"), rest @ ..] => Some(rest),
            _ => None,
        };
    }
    let [name, rest @ ..] = words else { return None };
    reads.push(plain_name(name)?.into());
    let is_test = |word| plain_name(word).is_some_and(|test| !test.contains('.'));
    match rest {
        [Word::Sign("==" | "!=" | "<" | "<=" | ">" | ">="), value, rest @ ..] if plain_literal(value) => Some(rest),
        [Word::Name("is"), Word::Name("not"), test, rest @ ..] if is_test(test) => Some(rest),
        [Word::Name("is"), test, rest @ ..] if is_test(test) => Some(rest),
        [Word::Name("in"), Word::Sign("["), rest @ ..]
        | [Word::Name("not"), Word::Name("in"), Word::Sign("["), rest @ ..] => plain_list(rest),
        _ => Some(rest),
    }
}

/// Behind a list of values; `words` begins behind its bracket.
fn plain_list<'w>(words: &'w [Word<'_>]) -> Option<&'w [Word<'w>]> {
    let end = words.iter().position(|word| *word == Word::Sign("]"))?;
    let is_right =
        |(at, word): (usize, &Word<'_>)| if at % 2 == 0 { plain_literal(word) } else { *word == Word::Sign(",") };
    (end % 2 == 1 && words[..end].iter().enumerate().all(is_right)).then(|| &words[end + 1..])
}

impl<'t> Word<'t> {
    fn literal(&self) -> Option<Literal<'t>> {
        match self {
            Self::Text(text) => Some(Literal::Text(text)),
            Self::Number(number) => Some(Literal::Number(number)),
            Self::Path { .. } | Self::Name(_) | Self::Sign(_) => None,
        }
    }
}

/// Whether the engine knows the test or filter that is asked for. It is asked once for each: most procedures use the
/// same few.
fn exists(question: &str) -> bool {
    static ANSWERS: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());
    let answers = || ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&known) = answers().get(question) {
        return known;
    }
    let answer = super::environment().compile_expression(question).and_then(|compiled| compiled.eval(()));
    let known = !answer.is_err_and(|error| matches!(error.kind(), ErrorKind::UnknownTest | ErrorKind::UnknownFilter));
    answers().insert(question.to_owned(), known);
    known
}

fn words_of(text: &str) -> impl Iterator<Item = Word<'_>> {
    let mut rest = text.trim_start();
    std::iter::from_fn(move || {
        let (word, length) = word(rest, rest.chars().next()?);
        rest = rest.get(length..).unwrap_or_default().trim_start();
        Some(word)
    })
}

/// The first word of `rest`, and its length in bytes.
fn word(rest: &str, first: char) -> (Word<'_>, usize) {
    if first == '\'' || first == '"' {
        let text = &rest[1..];
        let end = memchr::memchr(rest.as_bytes()[0], text.as_bytes());
        // A quote that nothing closes is a sign that nobody knows.
        return end.map_or((Word::Sign(&rest[..1]), 1), |end| (Word::Text(&text[..end]), end + 2));
    }
    if first.is_ascii_digit() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(rest.len());
        return (Word::Number(&rest[..end]), end);
    }
    if first.is_alphabetic() || first == '_' || first == '.' {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
        return (Word::Name(&rest[..end]), end);
    }
    let double = ["==", "!=", "<=", ">=", "//", "**"].iter().any(|sign| rest.starts_with(sign));
    let end = if double { 2 } else { first.len_utf8() };
    (Word::Sign(&rest[..end]), end)
}

/// Whether a list behind it is a part of it, as it is not in `a in ['b']`.
fn is_name(path: &[&str]) -> bool {
    !matches!(path, ["in" | "not" | "and" | "or" | "is" | "if" | "else" | "elif"])
}

/// A part of a template that reads no more than one name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'t> {
    Text(&'t str),
    /// A name between braces, with its parts perhaps: `steps.disk.outcome`, `steps['disk'].outcome`.
    Name(&'t str),
    /// A name with filters behind it: `steps.disk.outcome | upper`.
    Filtered(&'t str),
}

impl<'t> Piece<'t> {
    #[must_use]
    pub fn name(self) -> Option<&'t str> {
        match self {
            Self::Text(_) => None,
            Self::Name(name) | Self::Filtered(name) => Some(name),
        }
    }
}

/// The template engine's own words, which name nothing.
const WORDS: &[&str] =
    &["true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else", "self", "loop"];

fn is_identifier(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(is_first) && name.bytes().all(|byte| is_first(byte) || byte.is_ascii_digit())
}

/// A name with its parts: `steps.disk.outcome`, `steps['disk'].outcome`.
fn is_path(text: &str) -> bool {
    let mut rest = text;
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        if !is_identifier(name) || WORDS.contains(&name) {
            return false;
        }
        rest = behind;
        while let Some(inner) = rest.strip_prefix("['") {
            match inner.split_once("']") {
                Some((part, behind)) if !part.is_empty() && !part.contains(['\'', '\\']) => rest = behind,
                _ => return false,
            }
        }
        match rest.strip_prefix('.') {
            Some(behind) => rest = behind,
            None => return rest.is_empty(),
        }
    }
}

/// A template that has nothing but names and filters between its braces, as most have: what the engine would find is
/// found in a fraction of the time. `None` for all others, broken ones among them.
#[must_use]
pub fn pieces(template: &str) -> Option<Vec<Piece<'_>>> {
    let (mut pieces, mut rest, mut from) = (Vec::with_capacity(3), template, 0);
    while let Some(brace) = memchr::memchr(b'{', &rest.as_bytes()[from..]) {
        let at = from + brace;
        match rest.as_bytes().get(at + 1) {
            Some(b'{') => {
                let end = at + memchr::memchr(b'}', &rest.as_bytes()[at..])?;
                let after = rest[end..].strip_prefix("}}")?;
                let inner = rest[at + 2..end].trim_matches(' ');
                let (name, filters) = inner.split_once('|').map_or((inner, None), |(name, all)| (name, Some(all)));
                let name = name.trim_end_matches(' ');
                if !is_path(name) || !filters.is_none_or(|all| all.split('|').all(is_plain_filter)) {
                    return None;
                }
                let named = if filters.is_some() { Piece::Filtered(name) } else { Piece::Name(name) };
                pieces.extend([Piece::Text(&rest[..at]), named]);
                (rest, from) = (after, 0);
            }
            Some(b'%' | b'#') => return None,
            _ => from = at + 1,
        }
    }
    pieces.push(Piece::Text(rest));
    Some(pieces)
}

/// A filter that is given texts alone: `length`, `replace('a', 'b')`.
fn is_plain_filter(filter: &str) -> bool {
    let filter = filter.trim_matches(' ');
    let (name, given) = filter.split_once('(').map_or((filter, None), |(name, given)| (name, Some(given)));
    let is_text = |given: &str| {
        let text = given.trim_matches(' ').strip_prefix('\'').and_then(|given| given.strip_suffix('\''));
        text.is_some_and(|text| !text.contains(['\'', '\\']))
    };
    let are_texts = |given: &str| given.strip_suffix(')').is_some_and(|given| given.split(',').all(is_text));
    is_identifier(name) && !WORDS.contains(&name) && given.is_none_or(are_texts)
}

/// What a template computes: the texts between its braces.
pub fn computed(template: &str) -> impl Iterator<Item = &str> {
    let mut rest = template;
    std::iter::from_fn(move || {
        loop {
            let begin = memchr::memchr(b'{', rest.as_bytes())?;
            rest = &rest[begin + 1..];
            let close = match rest.as_bytes().first() {
                Some(b'{') => b'}',
                Some(b'%') => b'%',
                _ => continue,
            };
            let closes = |at: &usize| rest.as_bytes().get(at + 1) == Some(&b'}');
            let end = memchr::memchr_iter(close, rest.as_bytes()).find(closes).unwrap_or(rest.len());
            let inner = rest.get(1..end).unwrap_or_default().trim_matches('-');
            rest = &rest[end..];
            return Some(inner);
        }
    })
}

/// The steps that are named in `texts`, if each is named by its own name: `steps.disk`, `steps['disk']`.
pub fn steps_in<'t>(texts: impl Iterator<Item = &'t str>) -> Option<impl Iterator<Item = Cow<'t, str>>> {
    let mut named = Vec::new();
    for text in texts {
        let scan = Scan::new(text);
        for path in scan.words.iter().filter_map(|&word| scan.path(word)).filter(|path| path[0] == "steps") {
            named.push(super::variable(path.get(1)?));
        }
    }
    Some(named.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        Scan::new(text).paths().map(|path| path.join("/")).collect()
    }

    #[test]
    fn a_name_is_read_with_its_parts_however_they_are_written() {
        assert_eq!(paths("steps['a-b'].choice"), ["steps/a-b/choice"]);
        assert_eq!(paths("steps.a.facts['json.x'] > 3"), ["steps/a/facts/json.x"]);
        assert_eq!(paths("'steps.a' == vars.b"), ["vars/b"]);
        assert_eq!(paths("vars.b in ['x']"), ["vars/b", "in"]);
        assert_eq!(paths("vars.b.lower()"), ["vars/b"]);
    }

    #[test]
    fn a_comparison_is_found_from_either_side_and_in_lists() {
        let found = |text| {
            let scan = Scan::new(text);
            let found = scan.comparisons();
            found.iter().map(|(path, literal)| format!("{} {literal:?}", path.join("."))).collect::<Vec<_>>()
        };
        assert_eq!(found("a.b == 'c'"), ["a.b Text(\"c\")"]);
        assert_eq!(found("3 < a and a <= 5"), ["a Number(\"3\")", "a Number(\"5\")"]);
        assert_eq!(found("a not in ['b', 'c']"), ["a Text(\"b\")", "a Text(\"c\")"]);
        assert_eq!(found("a == b"), Vec::<String>::new());
    }

    #[test]
    fn tests_and_filters_are_known_by_the_engine() {
        let unknown = |text| Scan::new(text).unknown().collect::<Vec<_>>();
        assert_eq!(unknown("steps.a is passed and not (x is not defined) and (y | length) > 1"), []);
        assert_eq!(unknown("steps.a is passd or y | lenght"), [("test", "passd"), ("filter", "lenght")]);
        assert_eq!(unknown("x is divisibleby(3) and x | join(', ') | upper"), []);
    }

    #[test]
    fn the_parts_of_a_template_that_compute_are_found() {
        let found: Vec<&str> = computed("{ it's {{ a }} {%- if b -%} { {{c").collect();
        assert_eq!(found, [" a ", " if b ", "c"]);
    }
}
