//! The fast scans must count what a simple reading line by line counts.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant as Moment};

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::format::Stamps;
use super::matcher::Matcher;
use super::scan::{Next, Pace, Scanner, Watch, next_start};
use super::source::LogFile;
use super::stamp::{Clock, Instant};
use super::tally::{Plan, Tally};
use super::window::{self, Start};

const KEPT: usize = 3;

#[derive(Debug, PartialEq, Default)]
struct Seen {
    matches: u64,
    lines: u64,
    evidence: Vec<String>,
}

fn clock() -> Clock {
    Clock::new(chrono_tz::Europe::Warsaw, "2026-11-21T12:00:00Z".parse().unwrap())
}

fn watch() -> Watch {
    Watch { cancel: CancellationToken::new(), until: Moment::now() + Duration::from_mins(5) }
}

/// One line after the other, as the documentation says it.
fn simply(text: &str, stamps: &mut Stamps, matcher: &Matcher, since: Option<Instant>) -> Seen {
    let (mut seen, mut entry) = (Seen::default(), (since.is_none(), false, String::new()));
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if text.is_empty() {
            break;
        }
        let stamp = stamps.of(line.as_bytes());
        let starts = stamp.is_some() || (stamps.is_blind() && !line.trim_matches(['\0', ' ', '\r']).is_empty());
        if starts {
            entry = (since.is_none_or(|since| stamp.is_some_and(|stamp| stamp >= since)), false, line.to_owned());
        }
        let (within, counted, head) = &mut entry;
        if !*within {
            continue;
        }
        seen.lines += 1;
        let wanted = if matcher.wants_every_entry() { starts } else { matcher.finds(line.as_bytes()) };
        if wanted && !matcher.excludes(line.as_bytes()) && !*counted {
            *counted = true;
            seen.matches += 1;
            let is_first = starts || head.is_empty();
            seen.evidence.push(if is_first {
                line.trim_end().to_owned()
            } else {
                format!("{} … {}", head.trim_end(), line.trim())
            });
        }
    }
    let kept = seen.evidence.len();
    if kept > 2 * KEPT {
        seen.evidence.drain(KEPT..kept - KEPT);
    }
    seen
}

struct Case {
    file: tempfile::NamedTempFile,
    stamps: Stamps,
    matcher: Matcher,
    chunk: usize,
}

impl Case {
    fn new(text: &[u8], stamps: Stamps, matcher: &Matcher, chunk: usize) -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        Self { file, stamps, matcher: matcher.clone(), chunk }
    }

    fn scan(&self, pace: Pace, split: u64, since: Option<Instant>) -> Seen {
        let log = LogFile::open(self.file.path()).unwrap();
        let watch = watch();
        let plan = Plan { since, keep_first: KEPT, keep_last: KEPT, keep_lines: false, severity: false };
        let mut tally = Tally::new(plan);
        let mut scanner =
            Scanner { matcher: &self.matcher, stamps: self.stamps.clone(), watch: &watch, chunk: self.chunk, split };
        let pace = scanner.pace(pace);
        scanner.range(&log, log.start, log.size, pace, &mut tally).unwrap();
        Seen { matches: tally.matches, lines: tally.lines, evidence: tally.evidence().0 }
    }
}

const FORMATS: [&str; 3] = ["2026-11-21 10:00:00,000 x", "[Sat Nov 21 10:00:00.000000 2026] x", "no time"];

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0..60u32, "[ a-c]{0,4}(error|fine|0 errors|ok)?").prop_map(|(second, text)| format!("2026-11-21 10:00:{second:02},000 {text}")),
        1 => (0..60u32, "[ a-c]{0,4}(error|fine)?").prop_map(|(second, text)| format!("[Sat Nov 21 10:00:{second:02}.000000 2026] {text}")),
        2 => "[ a-c]{0,6}(error|ok)?",
        1 => Just(String::new()),
        1 => "(é|error|\u{0}|\r){0,3}",
    ]
}

fn patterns() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let wanted = prop::sample::select(vec![
        vec![],
        vec!["error"],
        vec![r"\berror\b"],
        vec!["error", "fine$"],
        vec!["^a", "^$"],
        vec![r"a[^b]*b"],
        vec![r"\s+a"],
        vec!["(?s)a.*error"],
        vec![r"\Aa", r"b\z"],
        vec!["(?i-m)^A|error$"],
        vec![""],
    ]);
    let unwanted = prop::sample::select(vec![vec![], vec!["0 errors"], vec!["b", "^ "]]);
    let owned = |patterns: Vec<&str>| patterns.into_iter().map(str::to_owned).collect();
    (wanted.prop_map(owned), unwanted.prop_map(owned))
}

proptest! {
    #[test]
    fn every_way_to_scan_counts_like_a_simple_reading(
        lines in prop::collection::vec(line(), 0..40),
        newline_at_the_end: bool,
        (wanted, unwanted) in patterns(),
        blind: bool,
        chunk in 256usize..700,
        split in 1u64..400,
        since in prop::option::of(0..60u32),
    ) {
        let mut text = lines.join("\n");
        if newline_at_the_end { text.push('\n'); }
        let samples = if blind { &FORMATS[2..] } else { &FORMATS[..2] };
        let mut stamps = Stamps::learn(samples.iter().map(|line| line.as_bytes()), clock());
        let since = if blind { None } else { since };
        let since = since.map(|second| stamps.of(format!("2026-11-21 10:00:{second:02},000").as_bytes()).unwrap());
        let matcher = Matcher::new(&wanted, &unwanted, false).unwrap();
        // Such bytes at the start of a file are what a cut left, and are not read.
        let expected = simply(text.trim_start_matches('\0'), &mut stamps, &matcher, since);
        let case = Case::new(text.as_bytes(), stamps, &matcher, chunk);
        for split in [split, u64::MAX] {
            prop_assert_eq!(&readable(&case.scan(Pace::Walk, split, since)), &readable(&expected), "walk {}", split);
            if since.is_none() {
                prop_assert_eq!(&readable(&case.scan(Pace::Skim, split, since)), &readable(&expected), "skim {}", split);
            }
        }
    }

    #[test]
    fn bisection_finds_the_first_entry_of_the_window(
        steps in prop::collection::vec((0i64..400, 0usize..4), 1..400),
        at in 0i64..80_000,
    ) {
        let begin = 1_795_000_000;
        let (mut time, mut text, mut starts) = (begin, String::new(), Vec::new());
        for (step, more) in steps {
            time += step;
            starts.push((time, text.len() as u64));
            writeln!(text, "{time} {}", "x".repeat(more * 200)).unwrap();
            text.push_str(&"  trace\n".repeat(more));
        }
        let since = (begin + at) * 1_000_000;
        let mut stamps = Stamps::learn(["1795251600 x".as_bytes()], clock());
        let case = Case::new(text.as_bytes(), stamps.clone(), &Matcher::new(&[], &[], false).unwrap(), 512);
        let log = LogFile::open(case.file.path()).unwrap();
        let first = |since: i64| starts.iter().find(|(time, _)| time * 1_000_000 >= since).map_or(log.size, |(_, at)| *at);
        let slack = 300 * 1_000_000;
        let found = window::start(&log, since, &mut stamps).unwrap();
        prop_assert_eq!(found, Start::Ordered { from: first(since - slack), sure: first(since + slack) });
    }
}

/// Carriage returns and NUL bytes are shown as others are.
fn readable(seen: &Seen) -> Seen {
    let clean = |line: &String| {
        line.replace(['\r', '\0', char::REPLACEMENT_CHARACTER], "?").trim_matches(['?', ' ']).to_owned()
    };
    Seen { evidence: seen.evidence.iter().map(clean).collect(), ..*seen }
}

#[test]
fn a_line_longer_than_the_buffer_is_one_line_and_all_of_it_is_searched() {
    let long = format!("2026-11-21 10:00:01,000 {}needle{}", "x".repeat(5000), "y".repeat(5000));
    let text = format!("2026-11-21 10:00:00,000 a\n{long}\n2026-11-21 10:00:02,000 needle\n");
    let stamps = Stamps::learn([FORMATS[0].as_bytes()], clock());
    let matcher = Matcher::new(&["needle".into()], &[], false).unwrap();
    let case = Case::new(text.as_bytes(), stamps, &matcher, 512);
    for pace in [Pace::Skim, Pace::Walk] {
        let seen = case.scan(pace, u64::MAX, None);
        assert_eq!((seen.matches, seen.evidence.len()), (2, 2), "{pace:?}");
        assert!(seen.evidence[0].starts_with("2026-11-21 10:00:01,000 xxx"), "{:?}", seen.evidence);
        assert!(seen.evidence[0].chars().count() <= 403);
        assert_eq!(seen.lines, 3, "{pace:?}");
    }
}

#[test]
fn the_place_of_the_next_entry_is_exact_behind_a_long_line_and_after_cut_off_zeros() {
    let entry = "2026-11-21 10:00:00,000 a\n";
    for before in ["z".repeat(2000) + "\n", "\0".repeat(2000)] {
        let text = format!("{before}{entry}");
        let mut stamps = Stamps::learn([FORMATS[0].as_bytes()], clock());
        let case = Case::new(text.as_bytes(), stamps.clone(), &Matcher::new(&[], &[], false).unwrap(), 256);
        let log = LogFile::open(case.file.path()).unwrap();
        let found = next_start(&log, log.start, log.size, 256, &mut stamps).unwrap();
        assert!(matches!(found, Next::Entry { at: 2000 | 2001, .. }), "{found:?}");
    }
}
